/*
 * Model of /dev/iommu: an NVMe controller, its disk in memory
 *
 * What drivers need of NVMe 1.2. Queues, PRP lists and data are reached through
 * the modelled IOMMU, and through the device's TLB while ATS is on. Commands
 * are done when the write to their doorbell returns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "hw-priv.h"
#include "le.h"

/* Registers */
#define R_CAP           0x00
#define R_VS            0x08
#define R_CC            0x14
#define R_CSTS          0x1c
#define R_AQA           0x24
#define R_ASQ           0x28
#define R_ACQ           0x30
#define R_END           0x38
#define R_DOORBELLS     0x1000

#define MQES            63u             /* entries of a queue, less one */
#define CAP_CQR         (1ULL << 16)    /* contiguous queues only */
#define CAP_TO(halves)  ((uint64_t)(halves) << 24)
#define CAP_CSS_NVM     (1ULL << 37)
#define VS_1_2          0x00010200u
#define CC_EN           (1u << 0)
#define CC_SHN(cc)      ((cc) >> 14 & 3)
#define CSTS_RDY        (1u << 0)
#define CSTS_CFS        (1u << 1)
#define CSTS_SHST_DONE  (2u << 2)

#define QUEUES          5               /* the admin queues and four pairs */
#define SQE_SIZE        64
#define CQE_SIZE        16
#define LBA_SHIFT       9
#define MDTS            5               /* pages of a transfer, log2 */

enum {
    ADMIN_DELETE_SQ = 0x00,
    ADMIN_CREATE_SQ = 0x01,
    ADMIN_LOG       = 0x02,
    ADMIN_DELETE_CQ = 0x04,
    ADMIN_CREATE_CQ = 0x05,
    ADMIN_IDENTIFY  = 0x06,
    ADMIN_ABORT     = 0x08,
    ADMIN_SET       = 0x09,
    ADMIN_GET       = 0x0a,
    ADMIN_EVENT     = 0x0c,
    IO_FLUSH        = 0x00,
    IO_WRITE        = 0x01,
    IO_READ         = 0x02,
};

/* Status code and its type */
enum {
    SC_OK           = 0x000,
    SC_OPCODE       = 0x001,
    SC_FIELD        = 0x002,
    SC_TRANSFER     = 0x004,
    SC_NAMESPACE    = 0x00b,
    SC_LBA          = 0x080,
    SC_CQ           = 0x100,
    SC_QID          = 0x101,
    SC_QSIZE        = 0x102,
    SC_NO_ANSWER    = 0xfff,            /* not one: nothing is completed */
};

enum { FEATURE_WRITE_CACHE = 0x06, FEATURE_QUEUES = 0x07,
       FEATURE_EVENTS = 0x0b };

typedef struct NvmeQueue {
    bool live;
    uint64_t base;
    uint32_t size, head, tail;
    uint32_t cqid;                      /* of an SQ */
    uint32_t vector;                    /* of a CQ */
    bool irq, phase;
} NvmeQueue;

struct MdlNvme {
    MdlDevice *dev;
    uint8_t regs[R_END];
    NvmeQueue sq[QUEUES], cq[QUEUES];
    uint8_t *disk;
    uint64_t disk_size;
};

typedef struct NvmeCommand {
    uint32_t dw[SQE_SIZE / 4];
    uint32_t sqid;
    uint32_t result;
} NvmeCommand;

static uint32_t command_opcode(const NvmeCommand *c)
{
    return c->dw[0] & 0xff;
}

static uint64_t command_u64(const NvmeCommand *c, unsigned dw)
{
    return c->dw[dw] | (uint64_t)c->dw[dw + 1] << 32;
}

/* ------------------------------------------------------------------- DMA */

/* @len lies in one page */
static bool nvme_dma(MdlNvme *n, uint64_t addr, void *buf, uint32_t len,
                     bool write)
{
    DmaOp *op;
    bool ok;

    if (!(n->dev->ep->config[PCI_COMMAND] & PCI_COMMAND_MASTER)) {
        return false;
    }
    op = dma_new(n->dev, len);
    op->addr = addr;
    op->write = write;
    op->ats = hw_ats_enabled(n->dev);
    if (write) {
        memcpy(op->data, buf, len);
    }
    dma_run(op);
    ok = op->state == DMA_DONE;
    if (ok && !write) {
        memcpy(buf, op->data, len);
    }
    free(op);
    return ok;
}

static void nvme_fatal(MdlNvme *n)
{
    put32(n->regs + R_CSTS, get32(n->regs + R_CSTS) | CSTS_CFS);
}

/*
 * The page behind the one of @prp, of a list whose last slot in a page leads on
 * when more follow. False: the list cannot be read.
 */
static bool nvme_next_prp(MdlNvme *n, uint64_t *list, uint32_t left,
                          uint64_t *prp)
{
    uint8_t entry[8];

    if (left > MDL_PAGE_SIZE &&
        *list % MDL_PAGE_SIZE == MDL_PAGE_SIZE - sizeof(entry)) {
        if (!nvme_dma(n, *list, entry, sizeof(entry), false)) {
            return false;
        }
        *list = get64(entry);
    }
    if (!nvme_dma(n, *list, entry, sizeof(entry), false)) {
        return false;
    }
    *list += sizeof(entry);
    *prp = get64(entry);
    return true;
}

/* Data of a command, in the direction of the guest if @write */
static unsigned nvme_data(MdlNvme *n, const NvmeCommand *c, uint8_t *buf,
                          uint32_t len, bool write)
{
    uint64_t prp = command_u64(c, 6), second = command_u64(c, 8);
    uint32_t first = MDL_PAGE_SIZE - prp % MDL_PAGE_SIZE, part;
    bool list = len > first && len - first > MDL_PAGE_SIZE;

    for (part = first; len; part = MDL_PAGE_SIZE) {
        part = part < len ? part : len;
        if (!nvme_dma(n, prp, buf, part, write)) {
            return SC_TRANSFER;
        }
        buf += part;
        len -= part;
        prp = second;
        if (len && list && !nvme_next_prp(n, &second, len, &prp)) {
            return SC_TRANSFER;
        }
    }
    return SC_OK;
}

/* -------------------------------------------------------- admin commands */

static void nvme_text(uint8_t *at, size_t len, const char *text)
{
    memset(at, ' ', len);
    memcpy(at, text, strlen(text));
}

static void nvme_identify_controller(const MdlNvme *n, uint8_t *id)
{
    put16(id, n->dev->vendor);
    put16(id + 2, n->dev->vendor);
    nvme_text(id + 4, 20, n->dev->bdf);
    nvme_text(id + 24, 40, "Disk of the model of /dev/iommu");
    nvme_text(id + 64, 8, "1");
    id[77] = MDTS;
    put32(id + 80, VS_1_2);
    id[258] = 3;                        /* commands to abort, less one */
    id[259] = 3;                        /* event requests, less one */
    id[512] = 0x66;                     /* size of queue entries, log2 */
    id[513] = 0x44;
    put32(id + 516, 1);                 /* namespaces */
    id[525] = 1;                        /* takes flushes */
}

static void nvme_identify_namespace(const MdlNvme *n, uint8_t *id)
{
    const uint64_t blocks = n->disk_size >> LBA_SHIFT;

    put64(id, blocks);
    put64(id + 8, blocks);
    put64(id + 16, blocks);
    put32(id + 128, LBA_SHIFT << 16);
}

static unsigned nvme_identify(MdlNvme *n, const NvmeCommand *c)
{
    uint8_t id[4096] = { 0 };

    switch (c->dw[10] & 0xff) {
    case 0:
        if (c->dw[1] != 1) {
            return SC_NAMESPACE;
        }
        nvme_identify_namespace(n, id);
        break;
    case 1:
        nvme_identify_controller(n, id);
        break;
    case 2:
        put32(id, c->dw[1] < 1);        /* namespaces with higher numbers */
        break;
    default:
        return SC_FIELD;
    }
    return nvme_data(n, c, id, sizeof(id), true);
}

/* Nothing has ever happened here */
static unsigned nvme_log(MdlNvme *n, const NvmeCommand *c)
{
    uint32_t len = ((c->dw[10] >> 16) + 1) * 4;
    uint8_t log[4096] = { 0 };

    return len > sizeof(log) ? SC_FIELD :
           nvme_data(n, c, log, len, true);
}

static unsigned nvme_feature(NvmeCommand *c)
{
    switch (c->dw[10] & 0xff) {
    case FEATURE_QUEUES:
        c->result = (QUEUES - 2) | (QUEUES - 2) << 16;
        return SC_OK;
    case FEATURE_WRITE_CACHE:
    case FEATURE_EVENTS:
        return SC_OK;
    default:
        return SC_FIELD;
    }
}

static unsigned nvme_create(MdlNvme *n, const NvmeCommand *c, bool cq)
{
    NvmeQueue *set = cq ? n->cq : n->sq;
    uint32_t id = c->dw[10] & 0xffff, size = (c->dw[10] >> 16) + 1;
    uint32_t other = c->dw[11] >> 16;

    if (!id || id >= QUEUES || set[id].live) {
        return SC_QID;
    }
    if (size < 2 || size > MQES + 1) {
        return SC_QSIZE;
    }
    if (!(c->dw[11] & 1) || command_u64(c, 6) % MDL_PAGE_SIZE ||
        (cq && other >= n->dev->msix_vectors)) {
        return SC_FIELD;
    }
    if (!cq && (!other || other >= QUEUES || !n->cq[other].live)) {
        return SC_CQ;
    }
    set[id] = (NvmeQueue) {
        .live = true,
        .base = command_u64(c, 6),
        .size = size,
        .cqid = other,
        .vector = other,
        .irq = c->dw[11] & 2,
        .phase = true,
    };
    return SC_OK;
}

static unsigned nvme_delete(MdlNvme *n, const NvmeCommand *c, bool cq)
{
    NvmeQueue *set = cq ? n->cq : n->sq;
    uint32_t id = c->dw[10] & 0xffff, i;

    if (!id || id >= QUEUES || !set[id].live) {
        return SC_QID;
    }
    for (i = 1; cq && i < QUEUES; i++) {
        if (n->sq[i].live && n->sq[i].cqid == id) {
            return SC_FIELD;
        }
    }
    set[id].live = false;
    return SC_OK;
}

static unsigned nvme_admin(MdlNvme *n, NvmeCommand *c)
{
    switch (command_opcode(c)) {
    case ADMIN_DELETE_SQ:
    case ADMIN_DELETE_CQ:
        return nvme_delete(n, c, command_opcode(c) == ADMIN_DELETE_CQ);
    case ADMIN_CREATE_SQ:
    case ADMIN_CREATE_CQ:
        return nvme_create(n, c, command_opcode(c) == ADMIN_CREATE_CQ);
    case ADMIN_LOG:
        return nvme_log(n, c);
    case ADMIN_IDENTIFY:
        return nvme_identify(n, c);
    case ADMIN_ABORT:
        c->result = 1;                  /* too late: it is done */
        return SC_OK;
    case ADMIN_SET:
    case ADMIN_GET:
        return nvme_feature(c);
    case ADMIN_EVENT:
        return SC_NO_ANSWER;            /* there will be no event */
    default:
        return SC_OPCODE;
    }
}

/* ---------------------------------------------------------- I/O commands */

static unsigned nvme_io(MdlNvme *n, const NvmeCommand *c)
{
    const uint64_t blocks = n->disk_size >> LBA_SHIFT;
    uint64_t lba = command_u64(c, 10);
    uint32_t count = (c->dw[12] & 0xffff) + 1;

    if (c->dw[1] != 1) {
        return SC_NAMESPACE;
    }
    switch (command_opcode(c)) {
    case IO_FLUSH:
        return SC_OK;
    case IO_READ:
    case IO_WRITE:
        break;
    default:
        return SC_OPCODE;
    }
    if (count << LBA_SHIFT > MDL_PAGE_SIZE << MDTS) {
        return SC_FIELD;
    }
    if (lba > blocks || count > blocks - lba) {
        return SC_LBA;
    }
    return nvme_data(n, c, n->disk + (lba << LBA_SHIFT), count << LBA_SHIFT,
                     command_opcode(c) == IO_READ);
}

/* ---------------------------------------------------------------- queues */

static bool nvme_running(const MdlNvme *n)
{
    return (get32(n->regs + R_CSTS) & (CSTS_RDY | CSTS_CFS)) == CSTS_RDY;
}

static bool nvme_full(const NvmeQueue *cq)
{
    return (cq->tail + 1) % cq->size == cq->head;
}

static void nvme_complete(MdlNvme *n, const NvmeCommand *c, unsigned status)
{
    const NvmeQueue *sq = &n->sq[c->sqid];
    NvmeQueue *cq = &n->cq[sq->cqid];
    uint8_t cqe[CQE_SIZE] = { 0 };

    put32(cqe, c->result);
    put32(cqe + 8, sq->head | c->sqid << 16);
    put32(cqe + 12, c->dw[0] >> 16 | (uint32_t)cq->phase << 16 |
          status << 17);
    if (!nvme_dma(n, cq->base + cq->tail * CQE_SIZE, cqe, sizeof(cqe), true)) {
        nvme_fatal(n);
        return;
    }
    cq->tail = (cq->tail + 1) % cq->size;
    if (!cq->tail) {
        cq->phase = !cq->phase;
    }
    if (cq->irq) {
        ep_interrupt(n->dev, cq->vector);
    }
}

static bool nvme_fetch(MdlNvme *n, uint32_t sqid, NvmeCommand *c)
{
    NvmeQueue *sq = &n->sq[sqid];
    uint8_t sqe[SQE_SIZE];
    unsigned i;

    if (!nvme_dma(n, sq->base + sq->head * SQE_SIZE, sqe, sizeof(sqe), false)) {
        nvme_fatal(n);
        return false;
    }
    for (i = 0; i < SQE_SIZE / 4; i++) {
        c->dw[i] = get32(sqe + 4 * i);
    }
    c->sqid = sqid;
    c->result = 0;
    sq->head = (sq->head + 1) % sq->size;
    return true;
}

static void nvme_run(MdlNvme *n, uint32_t sqid)
{
    const NvmeQueue *sq = &n->sq[sqid];
    NvmeCommand c;
    unsigned status;

    while (nvme_running(n) && sq->live && sq->head != sq->tail &&
           !nvme_full(&n->cq[sq->cqid]) && nvme_fetch(n, sqid, &c)) {
        status = sqid ? nvme_io(n, &c) : nvme_admin(n, &c);
        if (status != SC_NO_ANSWER) {
            nvme_complete(n, &c, status);
        }
    }
}

static void nvme_doorbell(MdlNvme *n, uint64_t index, uint32_t value)
{
    uint32_t id = index / 2, i;
    NvmeQueue *queue;

    if (!nvme_running(n) || id >= QUEUES) {
        return;
    }
    queue = index % 2 ? &n->cq[id] : &n->sq[id];
    if (!queue->live || value >= queue->size) {
        return;
    }
    if (index % 2 == 0) {
        queue->tail = value;
        nvme_run(n, id);
        return;
    }
    queue->head = value;
    for (i = 0; i < QUEUES; i++) {
        if (n->sq[i].live && n->sq[i].cqid == id) {
            nvme_run(n, i);
        }
    }
}

/* ------------------------------------------------------------- registers */

static void nvme_queues_off(MdlNvme *n)
{
    memset(n->sq, 0, sizeof(n->sq));
    memset(n->cq, 0, sizeof(n->cq));
    put32(n->regs + R_CSTS, 0);
}

static void nvme_enable(MdlNvme *n)
{
    uint32_t aqa = get32(n->regs + R_AQA);
    NvmeQueue both = { .live = true, .irq = true, .phase = true };

    n->sq[0] = n->cq[0] = both;
    n->sq[0].base = get64(n->regs + R_ASQ);
    n->sq[0].size = (aqa & 0xfff) + 1;
    n->cq[0].base = get64(n->regs + R_ACQ);
    n->cq[0].size = (aqa >> 16 & 0xfff) + 1;
    put32(n->regs + R_CSTS, CSTS_RDY);
}

static void nvme_configured(MdlNvme *n, uint32_t old)
{
    uint32_t cc = get32(n->regs + R_CC);

    if (!(old & CC_EN) && (cc & CC_EN)) {
        nvme_enable(n);
    } else if ((old & CC_EN) && !(cc & CC_EN)) {
        nvme_queues_off(n);
    }
    if (CC_SHN(cc)) {
        put32(n->regs + R_CSTS, get32(n->regs + R_CSTS) | CSTS_SHST_DONE);
    }
}

static bool nvme_writable(uint64_t offset)
{
    return (offset >= R_CC && offset < R_CC + 4) ||
           (offset >= R_AQA && offset < R_END);
}

void nvme_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf, size_t len,
             bool write)
{
    MdlNvme *n = dev->ep->nvme;
    uint32_t cc = get32(n->regs + R_CC);
    size_t i;

    if (write && offset >= R_DOORBELLS) {
        if (len == 4 && offset % 4 == 0) {
            nvme_doorbell(n, (offset - R_DOORBELLS) / 4, get32(buf));
        }
        return;
    }
    for (i = 0; i < len; i++) {
        if (!write) {
            buf[i] = offset + i < R_END ? n->regs[offset + i] : 0;
        } else if (nvme_writable(offset + i)) {
            n->regs[offset + i] = buf[i];
        }
    }
    if (write) {
        nvme_configured(n, cc);
    }
}

/* ------------------------------------------------------------- life times */

/* What is on the disk outlives a reset */
void nvme_reset(MdlDevice *dev)
{
    MdlNvme *n = dev->ep->nvme;

    if (!n) {
        return;
    }
    memset(n->regs, 0, sizeof(n->regs));
    nvme_queues_off(n);
    put64(n->regs + R_CAP, MQES | CAP_CQR | CAP_TO(20) | CAP_CSS_NVM);
    put32(n->regs + R_VS, VS_1_2);
}

void nvme_init(MdlDevice *dev)
{
    MdlNvme *n = calloc(1, sizeof(*n));
    uint64_t i;

    if (!n) {
        abort();
    }
    n->dev = dev;
    n->disk_size = (uint64_t)dev->disk_mib << 20;
    n->disk = malloc(n->disk_size);
    if (!n->disk) {
        abort();
    }
    for (i = 0; i < n->disk_size; i += 8) {
        put64(n->disk + i, i / 8 * NVME_DISK_WORD);
    }
    dev->ep->nvme = n;
    nvme_reset(dev);
}

void nvme_fini(MdlDevice *dev)
{
    MdlNvme *n = dev->ep->nvme;

    if (n) {
        free(n->disk);
        free(n);
    }
}
