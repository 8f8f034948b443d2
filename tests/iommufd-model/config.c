/*
 * Model of /dev/iommu: configuration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An INI file named by IOMMUFD_MODEL, or the same text in
 * IOMMUFD_MODEL_CONFIG with lines ended by ';' or newline.  Every mistake is
 * reported once, with its line, and ends the process: a test must not run
 * on a host other than the one it asked for.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "objects.h"
#include "json.h"

typedef enum Section {
    SEC_NONE,
    SEC_MODEL,
    SEC_HOST,
    SEC_IOMMU,
    SEC_DEVICE,
    SEC_FAULT,
} Section;

typedef struct Parser {
    const char *name;                   /* of the file, for messages */
    unsigned line;
    Section section;
    MdlIommu *iommu;
    MdlDevice *dev;
} Parser;

/* What a [device] section says that needs the whole file to be resolved */
typedef struct DeviceExtra {
    unsigned iommu;
    bool group_given, reserved_given;
} DeviceExtra;

/* KMALLOC_MAX_SIZE with pages of 4 KiB */
#define KMALLOC_MAX_SIZE (4u << 20)

MdlConfig mdl_config;
MdlHost mdl_host = {
    .scalable_mode = true, .isolated_msi = true, .la57 = true,
    .superpages = true,
    .max_kmalloc = KMALLOC_MAX_SIZE,
    .page_size = MDL_PAGE_SIZE,
    .memlock = MDL_MEMLOCK_OFF,
};

static DeviceExtra extra[MDL_MAX_DEVICES];
static bool cap_given[MDL_MAX_IOMMUS];
static bool arch_given;

static void die(const Parser *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void die(const Parser *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "iommufd-model: %s:%u: %s\n", p->name, p->line, text);
    _exit(1);
}

static void bad(const Parser *p, const char *key, const char *value,
                const char *why)
    __attribute__((noreturn));

static void bad(const Parser *p, const char *key, const char *value,
                const char *why)
{
    die(p, "key '%s': value '%s' %s", key, value, why);
}

static uint64_t number(const Parser *p, const char *key, const char *value,
                       uint64_t min, uint64_t max)
{
    const char *end;
    uint64_t num;
    char why[96];

    if (!mdl_parse_u64(value, &end, &num) || *end) {
        bad(p, key, value, "is not a number");
    }
    if (num < min || num > max) {
        snprintf(why, sizeof(why), "is not in %" PRIu64 "..%" PRIu64, min,
                 max);
        bad(p, key, value, why);
    }
    return num;
}

static bool on_off(const Parser *p, const char *key, const char *value)
{
    if (!strcmp(value, "on")) {
        return true;
    }
    if (strcmp(value, "off")) {
        bad(p, key, value, "is neither 'on' nor 'off'");
    }
    return false;
}

static char *dup_string(const char *value)
{
    char *copy = strdup(value);

    if (!copy) {
        abort();
    }
    return copy;
}

static void unknown(const Parser *p, const char *key, const char *value)
{
    static const char *const names[] = {
        "", "model", "host", "iommu", "device", "fault",
    };

    die(p, "key '%s': value '%s': no such key in section [%s]", key, value,
        names[p->section]);
}

static void key_model(Parser *p, const char *key, const char *value)
{
    if (!strcmp(key, "journal")) {
        mdl_config.journal = dup_string(value);
    } else if (!strcmp(key, "socket")) {
        mdl_config.socket = dup_string(value);
    } else if (!strcmp(key, "run-dir")) {
        if (value[0] != '/') {
            bad(p, key, value, "is not an absolute path");
        }
        mdl_config.run_dir = dup_string(value);
    } else if (!strcmp(key, "seed")) {
        mdl_config.seed = number(p, key, value, 0, UINT64_MAX);
    } else {
        unknown(p, key, value);
    }
}

static void kernel_features(Parser *p, const char *key, const char *value)
{
    static const struct {
        const char *name;
        uint32_t absent;
    } features[] = {
        /* What an older feature is missing takes along what builds on it */
        { "no-nesting", MDL_NO_NESTING | MDL_NO_VIOMMU | MDL_NO_VEVENTQ },
        { "no-viommu", MDL_NO_VIOMMU | MDL_NO_VEVENTQ },
        { "no-veventq", MDL_NO_VEVENTQ },
        { "no-pasid-attach", MDL_NO_PASID_ATTACH },
        { "no-fault-queue", MDL_NO_FAULT_QUEUE },
        { "no-map-file", MDL_NO_MAP_FILE | MDL_NO_CHANGE_PROCESS },
        { "no-change-process", MDL_NO_CHANGE_PROCESS },
        { "no-dma-buf", MDL_NO_DMA_BUF | MDL_NO_DMA_BUF_MAP },
        { "no-dma-buf-map", MDL_NO_DMA_BUF_MAP },
        { "no-bind-token", MDL_NO_BIND_TOKEN },
        { "7.3", 0 },
    };
    char *copy = dup_string(value), *save, *word;
    size_t i;

    for (word = strtok_r(copy, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        for (i = 0; i < MDL_ARRAY_SIZE(features); i++) {
            if (!strcmp(word, features[i].name)) {
                break;
            }
        }
        if (!strcmp(word, "amd-nested")) {
            /* 7.3 has the code, but no operation leads there yet */
            mdl_host.amd_nested = true;
            continue;
        }
        if (i == MDL_ARRAY_SIZE(features)) {
            bad(p, key, word, "is neither '7.3' nor a feature to leave out");
        }
        mdl_host.absent |= features[i].absent;
    }
    free(copy);
}

static uint64_t memlock(Parser *p, const char *key, const char *value)
{
    if (!strcmp(value, "off")) {
        return MDL_MEMLOCK_OFF;
    }
    return strcmp(value, "rlimit") ?
           number(p, key, value, 0, MDL_MEMLOCK_RLIMIT - 1) :
           MDL_MEMLOCK_RLIMIT;
}

static void key_host(Parser *p, const char *key, const char *value)
{
    if (!strcmp(key, "arch")) {
        arch_given = true;
        if (!strcmp(value, "vtd")) {
            mdl_host.arch = MDL_ARCH_VTD;
        } else if (!strcmp(value, "smmuv3")) {
            mdl_host.arch = MDL_ARCH_SMMUV3;
        } else if (!strcmp(value, "amd")) {
            mdl_host.arch = MDL_ARCH_AMD;
        } else {
            bad(p, key, value, "is not 'vtd', 'smmuv3' or 'amd'");
        }
    } else if (!strcmp(key, "kernel")) {
        kernel_features(p, key, value);
    } else if (!strcmp(key, "scalable-mode")) {
        mdl_host.scalable_mode = on_off(p, key, value);
    } else if (!strcmp(key, "isolated-msi")) {
        mdl_host.isolated_msi = on_off(p, key, value);
    } else if (!strcmp(key, "la57")) {
        mdl_host.la57 = on_off(p, key, value);
    } else if (!strcmp(key, "superpages")) {
        mdl_host.superpages = on_off(p, key, value);
    } else if (!strcmp(key, "max-kmalloc")) {
        mdl_host.max_kmalloc = number(p, key, value, MDL_PAGE_SIZE,
                                      KMALLOC_MAX_SIZE);
    } else if (!strcmp(key, "page-size")) {
        mdl_host.page_size = number(p, key, value, MDL_PAGE_SIZE, 65536);
        if (mdl_host.page_size != MDL_PAGE_SIZE &&
            mdl_host.page_size != 16384 && mdl_host.page_size != 65536) {
            bad(p, key, value, "is none of 4096, 16384, 65536");
        }
    } else if (!strcmp(key, "memlock")) {
        mdl_host.memlock = memlock(p, key, value);
    } else if (!strcmp(key, "refetch")) {
        mdl_host.refetch = on_off(p, key, value);
    } else if (!strcmp(key, "container")) {
        mdl_host.container = on_off(p, key, value);
    } else if (!strcmp(key, "privileged")) {
        mdl_host.privileged = on_off(p, key, value);
    } else if (!strcmp(key, "vhost")) {
        mdl_host.vhost = on_off(p, key, value);
    } else {
        unknown(p, key, value);
    }
}

static void need_arch(const Parser *p, MdlArch arch, const char *key,
                      const char *value)
{
    if (mdl_host.arch != arch) {
        bad(p, key, value, "is for another arch= than the one given");
    }
}

static bool key_iommu_vtd(Parser *p, const char *key, const char *value)
{
    MdlIommu *iommu = p->iommu;

    if (!strcmp(key, "cap")) {
        iommu->cap = number(p, key, value, 0, UINT64_MAX);
        cap_given[iommu->index] = true;
    } else if (!strcmp(key, "ecap")) {
        iommu->ecap = number(p, key, value, 1, UINT64_MAX);
    } else if (!strcmp(key, "errata-772415")) {
        iommu->errata = on_off(p, key, value);
    } else if (!strcmp(key, "aw")) {
        iommu->aw = number(p, key, value, 39, 57);
        if (iommu->aw != 39 && iommu->aw != 48 && iommu->aw != 57) {
            bad(p, key, value, "is not 39, 48 or 57");
        }
    } else {
        return false;
    }
    need_arch(p, MDL_ARCH_VTD, key, value);
    return true;
}

static unsigned power_of_two(Parser *p, const char *key, const char *value,
                             unsigned min, unsigned max)
{
    unsigned n = number(p, key, value, min, max);

    if (n & (n - 1)) {
        bad(p, key, value, "is not a power of two");
    }
    return n;
}

static bool key_iommu_cmdqv(Parser *p, const char *key, const char *value)
{
    MdlIommu *iommu = p->iommu;

    if (!strcmp(key, "cmdqv")) {
        iommu->cmdqv.on = on_off(p, key, value);
    } else if (!strcmp(key, "cmdqv-vintfs")) {
        iommu->cmdqv.vintfs = power_of_two(p, key, value, 1, 64);
    } else if (!strcmp(key, "cmdqv-queues")) {
        iommu->cmdqv.queues = power_of_two(p, key, value, 1, MDL_CMDQV_QUEUES);
    } else if (!strcmp(key, "cmdqv-sids")) {
        iommu->cmdqv.sids = power_of_two(p, key, value, 1, 16);
    } else {
        return false;
    }
    return true;
}

static bool key_iommu_smmu(Parser *p, const char *key, const char *value)
{
    MdlIommu *iommu = p->iommu;

    if (!strncmp(key, "idr", 3) && key[3] >= '0' && key[3] <= '5' &&
        !key[4]) {
        iommu->idr[key[3] - '0'] = number(p, key, value, 0, UINT32_MAX);
    } else if (!strcmp(key, "iidr")) {
        iommu->iidr = number(p, key, value, 0, UINT32_MAX);
    } else if (!strcmp(key, "aidr")) {
        iommu->aidr = number(p, key, value, 0, UINT32_MAX);
    } else if (!strcmp(key, "errata-repeat")) {
        iommu->errata = on_off(p, key, value);
    } else if (!strcmp(key, "oas")) {
        iommu->aw = number(p, key, value, 32, 52);
        if (!strstr(" 32 36 40 42 44 48 52 ", value)) {
            bad(p, key, value, "is not 32, 36, 40, 42, 44, 48 or 52");
        }
    } else if (!strcmp(key, "fwb")) {
        iommu->fwb = on_off(p, key, value);
    } else if (!key_iommu_cmdqv(p, key, value)) {
        return false;
    }
    need_arch(p, MDL_ARCH_SMMUV3, key, value);
    return true;
}

static void key_iommu(Parser *p, const char *key, const char *value)
{
    if (key_iommu_vtd(p, key, value) || key_iommu_smmu(p, key, value)) {
        return;
    }
    if (!strcmp(key, "dirty-tracking")) {
        p->iommu->dirty_tracking = on_off(p, key, value);
    } else if (!strcmp(key, "efr")) {
        need_arch(p, MDL_ARCH_AMD, key, value);
        p->iommu->efr = number(p, key, value, 0, UINT64_MAX);
    } else if (!strcmp(key, "efr2")) {
        need_arch(p, MDL_ARCH_AMD, key, value);
        p->iommu->efr2 = number(p, key, value, 0, UINT64_MAX);
    } else {
        unknown(p, key, value);
    }
}

static void add_reserved(MdlDevice *dev, uint64_t first, uint64_t last,
                         bool msi)
{
    MdlResv *r = calloc(1, sizeof(*r)), **tail = &dev->reserved;

    if (!r) {
        abort();
    }
    r->first = first;
    r->last = last;
    r->msi = msi;
    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = r;
}

/* first-last[:msi], separated by commas; "none" for no range at all */
static void reserved(Parser *p, const char *key, const char *value)
{
    char *copy = dup_string(value), *save, *word;

    extra[mdl_host.nr_devices - 1].reserved_given = true;
    for (word = strtok_r(copy, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        const char *end;
        uint64_t first, last;
        bool msi = false;

        if (!strcmp(word, "none")) {
            continue;
        }
        if (!mdl_parse_u64(word, &end, &first) || *end != '-' ||
            !mdl_parse_u64(end + 1, &end, &last)) {
            bad(p, key, word, "is not <first>-<last>[:msi]");
        }
        if (!strcmp(end, ":msi")) {
            msi = true;
            end += 4;
        }
        if (*end || last < first) {
            bad(p, key, word, "is not <first>-<last>[:msi]");
        }
        add_reserved(p->dev, first, last, msi);
    }
    free(copy);
}

static bool key_device_flag(Parser *p, const char *key, const char *value)
{
    MdlDevice *dev = p->dev;
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        { "pri", &dev->pri }, { "ats", &dev->ats }, { "vf", &dev->vf },
        { "mdev", &dev->mdev },
        { "pf-pri", &dev->pf_pri }, { "reset", &dev->can_reset },
        { "migration", &dev->migration },
        { "dma-logging", &dev->dma_logging }, { "host-ats", &dev->host_ats },
        { "host-pri", &dev->host_pri }, { "pasid-attach", &dev->pasid_attach },
        { "pasid-exec", &dev->pasid_exec }, { "pasid-priv", &dev->pasid_priv },
        { "af", &dev->af }, { "pm", &dev->pm },
        { "no-soft-reset", &dev->no_soft_reset }, { "viable", &dev->viable },
        { "intx", &dev->intx }, { "bound", &dev->vfio_driver },
        { "bar-mmap", &dev->bar_mmap }, { "express", &dev->express },
    };
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(flags); i++) {
        if (!strcmp(key, flags[i].key)) {
            *flags[i].flag = on_off(p, key, value);
            return true;
        }
    }
    return false;
}

static uint64_t bar_size(Parser *p, const char *key, const char *value,
                         uint64_t max)
{
    uint64_t size = number(p, key, value, 4096, max);

    if (size & (size - 1)) {
        bad(p, key, value, "is not a power of two");
    }
    return size;
}

static void key_device(Parser *p, const char *key, const char *value)
{
    DeviceExtra *x = &extra[mdl_host.nr_devices - 1];
    MdlDevice *dev = p->dev;

    if (key_device_flag(p, key, value)) {
        return;
    }
    if (!strcmp(key, "iommu")) {
        x->iommu = number(p, key, value, 0, MDL_MAX_IOMMUS - 1);
    } else if (!strcmp(key, "pf")) {
        dev->pf = mdl_device_by_bdf(value);
        if (!dev->pf || dev->pf == dev) {
            bad(p, key, value, "is no device that comes before this one");
        }
        dev->vf = true;
    } else if (!strcmp(key, "group")) {
        dev->group = number(p, key, value, 0, INT32_MAX);
        x->group_given = true;
    } else if (!strcmp(key, "vendor")) {
        dev->vendor = number(p, key, value, 0, 0xffff);
    } else if (!strcmp(key, "device")) {
        dev->device_id = number(p, key, value, 0, 0xffff);
    } else if (!strcmp(key, "class")) {
        dev->class_code = number(p, key, value, 0, 0xffffff);
    } else if (!strcmp(key, "revision")) {
        dev->revision = number(p, key, value, 0, 0xff);
    } else if (!strcmp(key, "pasid-bits")) {
        dev->pasid_bits = number(p, key, value, 0, 20);
    } else if (!strcmp(key, "streams")) {
        dev->streams = number(p, key, value, 1, 256);
    } else if (!strcmp(key, "reserved")) {
        reserved(p, key, value);
    } else if (!strcmp(key, "bar0-size")) {
        dev->bar0_size = bar_size(p, key, value, 1ull << 30);
    } else if (!strcmp(key, "bar4-size")) {
        dev->bar4_size = bar_size(p, key, value, 16ull << 20);
    } else if (!strcmp(key, "rom-size")) {
        dev->rom_size = bar_size(p, key, value, 64 << 10);
    } else if (!strcmp(key, "msi")) {
        dev->msi_vectors = number(p, key, value, 0, 32);
        if (dev->msi_vectors & (dev->msi_vectors - 1)) {
            bad(p, key, value, "is not a power of two");
        }
    } else if (!strcmp(key, "msix")) {
        dev->msix_vectors = number(p, key, value, 0, 2048);
    } else if (!strcmp(key, "disk")) {
        dev->disk_mib = number(p, key, value, 1, 1024);
        dev->class_code = 0x010802;     /* NVM Express */
        dev->bar0_size = 0x4000;
    } else {
        unknown(p, key, value);
    }
}

static void key_fault(Parser *p, const char *key, const char *value)
{
    const char *err;

    if (strcmp(key, "on")) {
        unknown(p, key, value);
    }
    err = mdl_inject_add(value);
    if (err) {
        char why[128];

        snprintf(why, sizeof(why), "is no order: %s", err);
        bad(p, key, value, why);
    }
}

static MdlIommu *use_iommu(unsigned n)
{
    MdlIommu *iommu = &mdl_host.iommu[n];

    if (!iommu->present) {
        iommu->present = true;
        iommu->index = n;
        iommu->fwb = true;
        iommu->dirty_tracking = true;
        iommu->cmdqv.vintfs = 4;
        iommu->cmdqv.queues = 2;
        iommu->cmdqv.sids = 16;
        /* Linux 7.3 reports 772415 on every VT-d host */
        iommu->errata = mdl_host.arch == MDL_ARCH_VTD;
    }
    return iommu;
}

static MdlDevice *add_device(const Parser *p, const char *bdf)
{
    unsigned dom, bus, slot, fn;
    MdlDevice *dev;
    char tail;

    if (sscanf(bdf, "%4x:%2x:%2x.%1x%c", &dom, &bus, &slot, &fn, &tail) != 4 ||
        strlen(bdf) != 12 || slot > 31 || fn > 7) {
        die(p, "section [device %s]: not of the form 0000:01:00.0", bdf);
    }
    if (mdl_device_by_bdf(bdf)) {
        die(p, "section [device %s]: given twice", bdf);
    }
    if (mdl_host.nr_devices == MDL_MAX_DEVICES) {
        die(p, "section [device %s]: more than %d devices", bdf,
            MDL_MAX_DEVICES);
    }
    dev = calloc(1, sizeof(*dev));
    if (!dev) {
        abort();
    }
    snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
    dev->segment = dom;
    dev->host_sid = bus << 8 | slot << 3 | fn;
    dev->vendor = 0x1234;
    dev->device_id = 0x11e8;
    dev->class_code = 0x088000;
    dev->express = true;
    dev->pasid_bits = 20;
    dev->pri = true;
    dev->ats = true;
    dev->can_reset = true;
    dev->host_ats = true;
    dev->host_pri = true;
    dev->pasid_attach = true;
    dev->pasid_exec = true;
    dev->pasid_priv = true;
    dev->viable = true;
    dev->vfio_driver = true;
    dev->streams = 1;
    dev->bar0_size = 4096;
    dev->bar_mmap = true;
    dev->msix_vectors = 4;
    dev->vfio_index = mdl_host.nr_devices;
    mdl_host.device[mdl_host.nr_devices++] = dev;
    return dev;
}

static void section(Parser *p, char *text)
{
    char *arg = strpbrk(text, " \t");

    if (arg) {
        *arg++ = '\0';
        arg += strspn(arg, " \t");
    }
    if (!strcmp(text, "model") && !arg) {
        p->section = SEC_MODEL;
    } else if (!strcmp(text, "host") && !arg) {
        p->section = SEC_HOST;
    } else if (!strcmp(text, "fault") && !arg) {
        p->section = SEC_FAULT;
    } else if (!strcmp(text, "iommu") && arg && arg[0] >= '0' &&
               arg[0] < '0' + MDL_MAX_IOMMUS && !arg[1]) {
        if (!arch_given) {
            die(p, "section [iommu %s]: [host] arch= must come first", arg);
        }
        p->section = SEC_IOMMU;
        p->iommu = use_iommu(arg[0] - '0');
    } else if (!strcmp(text, "device") && arg) {
        p->section = SEC_DEVICE;
        p->dev = add_device(p, arg);
    } else {
        die(p, "section [%s%s%s]: unknown", text, arg ? " " : "",
            arg ? arg : "");
    }
}

static char *strip(char *text)
{
    size_t len;

    text += strspn(text, " \t\r");
    len = strlen(text);
    while (len && strchr(" \t\r", text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

static void parse_line(Parser *p, char *line)
{
    char *value, *end;

    line = strip(line);
    if (!*line || *line == '#') {
        return;
    }
    if (*line == '[') {
        end = strchr(line, ']');
        if (!end || end[1]) {
            die(p, "'%s': section not closed", line);
        }
        *end = '\0';
        section(p, strip(line + 1));
        return;
    }
    value = strchr(line, '=');
    if (!value) {
        die(p, "'%s': neither a section nor key=value", line);
    }
    *value++ = '\0';
    line = strip(line);
    value = strip(value);
    switch (p->section) {
    case SEC_MODEL:
        key_model(p, line, value);
        break;
    case SEC_HOST:
        key_host(p, line, value);
        break;
    case SEC_IOMMU:
        key_iommu(p, line, value);
        break;
    case SEC_DEVICE:
        key_device(p, line, value);
        break;
    case SEC_FAULT:
        key_fault(p, line, value);
        break;
    default:
        die(p, "key '%s': value '%s' stands before any section", line, value);
    }
}

static void parse(Parser *p, char *text, const char *ends)
{
    while (text) {
        char *next = strpbrk(text, ends);

        if (next) {
            *next++ = '\0';
        }
        p->line++;
        parse_line(p, text);
        text = next;
    }
}

static void finish(const Parser *p)
{
    unsigned i, group = 1;

    if (!arch_given) {
        die(p, "key 'arch': value '' missing in section [host]");
    }
    if (!mdl_host.nr_devices) {
        add_device(p, "0000:01:00.0");
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];

        dev->iommu = use_iommu(extra[i].iommu);
        if (!dev->express) {
            dev->ats = dev->pri = false;
            dev->pasid_bits = 0;
        }
        if (dev->disk_mib && dev->migration) {
            die(p, "key 'disk': value '%u' of device %s: cannot be migrated",
                dev->disk_mib, dev->bdf);
        }
        if (!extra[i].group_given) {
            dev->group = 100 + group++;
        }
        if (!extra[i].reserved_given) {
            /* IOAPIC range of VT-d and AMD; MSI_IOVA_BASE of the SMMU */
            if (mdl_host.arch == MDL_ARCH_SMMUV3) {
                add_reserved(dev, 0x8000000, 0x80fffff, true);
            } else {
                add_reserved(dev, 0xfee00000, 0xfeefffff, true);
            }
        }
    }
    for (i = 0; i < MDL_MAX_IOMMUS; i++) {
        if (mdl_host.iommu[i].present) {
            mdl_host_defaults(&mdl_host.iommu[i], cap_given[i]);
        }
    }
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    ssize_t n;

    if (!f) {
        fprintf(stderr, "iommufd-model: %s:0: key 'IOMMUFD_MODEL': value "
                "'%s': %s\n", path, path, strerror(errno));
        _exit(1);
    }
    n = getdelim(&text, &room, '\0', f);
    fclose(f);
    if (n < 0) {
        free(text);
        text = dup_string("");
    }
    return text;
}

void mdl_config_load(void)
{
    const char *file = getenv("IOMMUFD_MODEL");
    const char *text = getenv("IOMMUFD_MODEL_CONFIG");
    Parser p = { 0 };
    char *copy;

    if (file && *file) {
        p.name = file;
        copy = read_all(file);
        parse(&p, copy, "\n");
    } else if (text && *text) {
        p.name = "IOMMUFD_MODEL_CONFIG";
        copy = dup_string(text);
        parse(&p, copy, "\n;");
    } else {
        return;
    }
    finish(&p);
    free(copy);
    mdl_config.active = true;
}

MdlDevice *mdl_device_by_bdf(const char *bdf)
{
    unsigned i;

    for (i = 0; bdf && i < mdl_host.nr_devices; i++) {
        if (!strcmp(mdl_host.device[i]->bdf, bdf)) {
            return mdl_host.device[i];
        }
    }
    return NULL;
}
