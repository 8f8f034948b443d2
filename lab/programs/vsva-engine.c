/*
 * vsva: the engine as a process sees it, through uio
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "vsva-engine.h"

#define PCI_DEVICES     "/sys/bus/pci/devices"
#define PCI_DRIVERS     "/sys/bus/pci/drivers"
#define SPIN_NS         5000000ULL
#define NAP_NS          1000000
#define WAIT_NS         30000000000ULL
#define OPEN_TRIES      200     /* of 10 ms: devtmpfs makes the node */

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* ---------------------------------------------------------------- sysfs */

static bool because(Engine *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool because(Engine *e, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(e->why, sizeof(e->why), format, ap);
    va_end(ap);
    return false;
}

static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0) {
        return false;
    }
    got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    return got >= 0;
}

static bool write_text(Engine *e, const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (!ok) {
        because(e, "'%s' to %s: %s", text, path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool is_engine(const char *bdf)
{
    char path[320], vendor[16], device[16];
    unsigned v, d;

    snprintf(path, sizeof(path), PCI_DEVICES "/%s/vendor", bdf);
    if (!read_text(path, vendor, sizeof(vendor))) {
        return false;
    }
    snprintf(path, sizeof(path), PCI_DEVICES "/%s/device", bdf);
    return read_text(path, device, sizeof(device)) &&
           sscanf(vendor, "%x", &v) == 1 && v == SVA_PCI_VENDOR_ID &&
           sscanf(device, "%x", &d) == 1 && d == SVA_PCI_DEVICE_ID;
}

bool engine_find(Engine *e, const char *bdf)
{
    DIR *dir = opendir(PCI_DEVICES);
    struct dirent *entry;

    *e = (Engine) { .fd = -1 };
    while (dir && (entry = readdir(dir))) {
        if (bdf ? !strcmp(entry->d_name, bdf) : is_engine(entry->d_name)) {
            snprintf(e->bdf, sizeof(e->bdf), "%.15s", entry->d_name);
            break;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return *e->bdf || because(e, "no PCI function %s", bdf ? bdf :
                              "1234:11e9");
}

bool engine_bind(Engine *e, const char *driver)
{
    char path[320], link[256], *name;
    ssize_t len;

    snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", e->bdf);
    len = readlink(path, link, sizeof(link) - 1);
    link[len > 0 ? len : 0] = 0;
    name = strrchr(link, '/');
    if (name && !strcmp(name + 1, driver)) {
        return true;
    }
    snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind", e->bdf);
    if (name && !write_text(e, path, e->bdf)) {
        return false;
    }
    snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", e->bdf);
    if (!write_text(e, path, driver)) {
        return false;
    }
    snprintf(path, sizeof(path), PCI_DRIVERS "/%s/bind", driver);
    return write_text(e, path, e->bdf);
}

/* ------------------------------------------------------------------ uio */

/* The driver makes one uio device below the function */
static bool uio_path(Engine *e, char *path, size_t size)
{
    char dir_path[64];
    DIR *dir;
    struct dirent *entry;
    bool found = false;

    snprintf(dir_path, sizeof(dir_path), PCI_DEVICES "/%s/uio", e->bdf);
    dir = opendir(dir_path);
    while (dir && !found && (entry = readdir(dir))) {
        found = !strncmp(entry->d_name, "uio", 3);
        if (found) {
            snprintf(path, size, "/dev/%.32s", entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return found || because(e, "%s has no uio device", e->bdf);
}

bool engine_open(Engine *e)
{
    char path[320], text[16];
    uint32_t status;

    if (!uio_path(e, path, sizeof(path))) {
        return false;
    }
    for (int i = 0; i < OPEN_TRIES; i++) {
        e->fd = open(path, O_RDWR | O_CLOEXEC);
        if (e->fd >= 0 || errno != ENOENT) {
            break;
        }
        usleep(10000);
    }
    if (e->fd < 0) {
        return because(e, "open of %s, which binds the process to a PASID:"
                       " %s", path, strerror(errno));
    }
    snprintf(path, sizeof(path), PCI_DEVICES "/%s/pasid", e->bdf);
    if (!read_text(path, text, sizeof(text)) ||
        sscanf(text, "%u", &e->pasid) != 1) {
        return because(e, "no PASID in %s", path);
    }
    e->regs = mmap(NULL, SVA_BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                   e->fd, 0);
    if (e->regs == MAP_FAILED) {
        e->regs = NULL;
        return because(e, "mmap of BAR 0: %s", strerror(errno));
    }
    if (engine_readl(e, SVA_ID) != SVA_ID_VALUE) {
        return because(e, "ID reads 0x%x", engine_readl(e, SVA_ID));
    }
    e->queues = SVA_PARAMS_QUEUES(engine_readl(e, SVA_PARAMS));
    status = engine_readl(e, SVA_STATUS);
    e->faults = status & SVA_STATUS_PRI;
    e->absent = e->faults ? SVA_CODE_INVALID :
                status & SVA_STATUS_ATS ? SVA_CODE_ABSENT : SVA_CODE_BUS;
    return true;
}

void engine_close(Engine *e)
{
    if (e->regs) {
        munmap(e->regs, SVA_BAR0_SIZE);
        e->regs = NULL;
    }
    if (e->fd >= 0) {
        close(e->fd);
        e->fd = -1;
    }
}

bool engine_wait_irq(Engine *e, int timeout_ms)
{
    struct pollfd p = { .fd = e->fd, .events = POLLIN };
    uint32_t count;

    return poll(&p, 1, timeout_ms) == 1 &&
           read(e->fd, &count, sizeof(count)) == sizeof(count);
}

/* ------------------------------------------------------------ registers */

uint32_t engine_readl(const Engine *e, unsigned reg)
{
    return le32toh(__atomic_load_n((uint32_t *)(e->regs + reg),
                                   __ATOMIC_ACQUIRE));
}

uint64_t engine_readq(const Engine *e, unsigned reg)
{
    return le64toh(__atomic_load_n((uint64_t *)(e->regs + reg),
                                   __ATOMIC_ACQUIRE));
}

void engine_writel(const Engine *e, unsigned reg, uint32_t value)
{
    __atomic_store_n((uint32_t *)(e->regs + reg), htole32(value),
                     __ATOMIC_RELEASE);
}

void engine_writeq(const Engine *e, unsigned reg, uint64_t value)
{
    __atomic_store_n((uint64_t *)(e->regs + reg), htole64(value),
                     __ATOMIC_RELEASE);
}

void engine_counters(const Engine *e, Counters *c)
{
    for (unsigned i = 0; i < SVA_CNT__NUM; i++) {
        c->value[i] = engine_readq(e, SVA_COUNTERS + 8 * i);
    }
}

/* --------------------------------------------------------------- queues */

static size_t ring_size(const Queue *q)
{
    return (size_t)SVA_DESC_SIZE << q->order;
}

static size_t records_size(const Queue *q)
{
    return (size_t)SVA_COMP_SIZE << q->order;
}

static void *fresh(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

bool queue_open(Queue *q, Engine *e, unsigned n, unsigned order)
{
    *q = (Queue) { .e = e, .n = n, .order = order };
    q->ring = fresh(ring_size(q));
    q->records = fresh(records_size(q));
    if (!q->ring || !q->records) {
        return because(e, "no memory for queue %u", n);
    }
    return queue_restart(q);
}

bool queue_restart(Queue *q)
{
    unsigned base = SVA_QUEUE(q->n);
    Engine *e = q->e;

    q->tail = 0;
    engine_writel(e, base + SVA_Q_CTRL, SVA_Q_CTRL_RESET);
    engine_writel(e, base + SVA_Q_PASID, e->pasid | SVA_Q_PASID_VALID);
    engine_writel(e, base + SVA_Q_RING_ORDER, q->order);
    engine_writeq(e, base + SVA_Q_RING_BASE, (uintptr_t)q->ring);
    engine_writel(e, base + SVA_Q_VECTOR, 0);
    engine_writel(e, base + SVA_Q_CTRL, SVA_Q_CTRL_ENABLE);
    if (queue_state(q) != SVA_STATE_IDLE) {
        return because(e, "queue %u: STATUS 0x%x after it was enabled", q->n,
                       engine_readl(e, base + SVA_Q_STATUS));
    }
    return true;
}

void queue_close(Queue *q)
{
    engine_writel(q->e, SVA_QUEUE(q->n) + SVA_Q_CTRL, 0);
    if (q->ring) {
        munmap(q->ring, ring_size(q));
    }
    if (q->records) {
        munmap(q->records, records_size(q));
    }
    *q = (Queue) { .e = q->e, .n = q->n };
}

unsigned queue_state(const Queue *q)
{
    return SVA_Q_STATE(engine_readl(q->e, SVA_QUEUE(q->n) + SVA_Q_STATUS));
}

static void put32(uint8_t *p, unsigned offset, uint32_t value)
{
    value = htole32(value);
    memcpy(p + offset, &value, sizeof(value));
}

static void put64(uint8_t *p, unsigned offset, uint64_t value)
{
    value = htole64(value);
    memcpy(p + offset, &value, sizeof(value));
}

static uint64_t get64(const uint8_t *p, unsigned offset)
{
    uint64_t value;

    memcpy(&value, p + offset, sizeof(value));
    return le64toh(value);
}

unsigned queue_push(Queue *q, const Desc *d)
{
    unsigned slot = q->tail;
    uint8_t *raw = q->ring + (size_t)slot * SVA_DESC_SIZE;
    uint8_t *record = q->records + (size_t)slot * SVA_COMP_SIZE;

    memset(record, 0, SVA_COMP_SIZE);
    memset(raw, 0, SVA_DESC_SIZE);
    put32(raw, SVA_DESC_OP, d->op);
    put32(raw, SVA_DESC_TAG, slot);
    put64(raw, SVA_DESC_SRC, (uintptr_t)d->src);
    put64(raw, SVA_DESC_DST, (uintptr_t)d->dst);
    put64(raw, SVA_DESC_LEN, d->len);
    put64(raw, SVA_DESC_PATTERN, d->pattern);
    put64(raw, SVA_DESC_COMPLETION, (uintptr_t)record);
    q->tail = (q->tail + 1) & ((1u << q->order) - 1);
    return slot;
}

void queue_kick(Queue *q)
{
    engine_writel(q->e, SVA_QUEUE(q->n) + SVA_Q_TAIL, q->tail);
}

uint32_t queue_done(const Queue *q, unsigned slot)
{
    uint8_t *record = q->records + (size_t)slot * SVA_COMP_SIZE;

    return le32toh(__atomic_load_n((uint32_t *)(record + SVA_COMP_CODE),
                                   __ATOMIC_ACQUIRE));
}

Completion queue_wait(Queue *q, unsigned slot)
{
    uint8_t *record = q->records + (size_t)slot * SVA_COMP_SIZE;
    uint64_t start = now_ns(), waited;
    uint32_t code, tag;

    while (!(code = queue_done(q, slot))) {
        waited = now_ns() - start;
        if (waited > WAIT_NS) {
            return (Completion) { };
        }
        /* What takes long must not keep a CPU from those who work on it */
        if (waited < SPIN_NS) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec) { .tv_nsec = NAP_NS }, NULL);
        }
    }
    memcpy(&tag, record + SVA_COMP_TAG, sizeof(tag));
    return (Completion) {
        .code = code,
        .tag = le32toh(tag),
        .done = get64(record, SVA_COMP_DONE),
        .result = get64(record, SVA_COMP_RESULT),
        .address = get64(record, SVA_COMP_ADDRESS),
    };
}

Completion queue_do(Queue *q, const Desc *d)
{
    unsigned slot = queue_push(q, d);

    queue_kick(q);
    return queue_wait(q, slot);
}
