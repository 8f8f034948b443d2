/*
 * SMMUv3 nested translation: command queues of the guest's own
 *
 * A Tegra241 CMDQV as the guest sees it: one VINTF, which the hypervisor does
 * not own. Its registers are those of tegra241-cmdqv-host.c, which carries its
 * queues out as well, as the SMMU's own is. If the host has a VINTF for us, it
 * takes the queues over: the registers in page 0 of the window are then the
 * host's, mapped into the guest, and nobody here hears of a command.
 *
 * Queues go over to the host, and come back, all together and with their
 * registers as they are: commands that are carried out twice do no harm. The
 * host has them while one of them is enabled, all below the last one have a
 * base, and none stands at an error of before.
 *
 * As TLBIs are not heard of then, the emulation caches nothing of page tables
 * for its own endpoints. Who caches translations himself (vhost) keeps the
 * queues here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "migration/blocker.h"
#include "system/hostmem.h"
#include "system/iommufd.h"
#include "system/ramblock.h"
#include "smmuv3-nested-internal.h"
#include "tegra241-cmdqv.h"
#include "trace.h"

/* What a guest is promised that starts without a device: what Grace has */
#define VERSION_ALONE       1
#define VCMDQS_LOG2_ALONE   1

/* Events the host keeps while the main loop is busy elsewhere */
#define EVENT_DEPTH         64

/* Bytes of a command, as a power of two */
#define COMMAND_LOG2        4

/* ----------------------------------------------------- to the host and back */

/* The host's registers, written before the queue runs there */
static void cmdqv_push(Tegra241CMDQV *c, unsigned lvcmdq)
{
    const Tegra241VCMDQ *v = tegra241_cmdqv_lvcmdq(c, 0, lvcmdq);

    tegra241_cmdqv_page0_write(c, lvcmdq, A_VCMDQ_CONS,
                               v->q.cons & R_VCMDQ_CONS_RD_MASK);
    tegra241_cmdqv_page0_write(c, lvcmdq, A_VCMDQ_PROD, v->q.prod);
    /* It runs from where it is told to */
    smp_wmb();
    tegra241_cmdqv_page0_write(c, lvcmdq, A_VCMDQ_CONFIG, v->config);
}

/*
 * It may have done more than CONS says, which is then done again; but not know
 * yet of a device that does not answer.
 */
static void cmdqv_stop(Tegra241CMDQV *c)
{
    tegra241_cmdqv_pull(c);
    for (unsigned i = 0; i < c->direct; i++) {
        tegra241_cmdqv_page0_write(c, i, A_VCMDQ_CONFIG, 0);
    }
}

static void cmdqv_take_back(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    Tegra241CMDQV *c = s->host.cmdqv;

    cmdqv_stop(c);
    iommufd_nested_queues_cut(n->core, 0);
    trace_smmuv3_nested_cmdqv(c->direct, 0);
    qatomic_set(&c->direct, 0);
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        smmu_iotlb_inv_all(ARM_SMMU(s));
    }
    smmu_inv_notifiers_all(ARM_SMMU(s));
    smmuv3_nested_forget_atcs(n);
    iommufd_nested_put_off(n->core);
}

static void cmdqv_leave(SMMUv3State *s)
{
    memory_region_set_enabled(&s->nested->cmdqv.page0, false);
    cmdqv_take_back(s);
}

/* The guest's address space is being changed already: the page goes later */
static void cmdqv_page_goes(void *opaque)
{
    SMMUv3State *s = opaque;

    if (s->host.cmdqv && !s->host.cmdqv->direct) {
        memory_region_set_enabled(&s->nested->cmdqv.page0, false);
    }
}

static void cmdqv_memory_goes(void *opaque)
{
    SMMUv3Nested *n = opaque;

    cmdqv_take_back(n->s);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), cmdqv_page_goes, n->s);
}

/* All of them, or none */
static void cmdqv_enter(SMMUv3State *s, unsigned num)
{
    SMMUv3Nested *n = s->nested;
    Tegra241CMDQV *c = s->host.cmdqv;
    Error *err = NULL;

    for (unsigned i = c->direct; i < num; i++) {
        const Tegra241VCMDQ *v = tegra241_cmdqv_lvcmdq(c, 0, i);

        if (!iommufd_nested_queue_add(n->core, vcmdq_addr(v), vcmdq_length(v),
                                      &err)) {
            error_prepend(&err, "the guest's commands are trapped: ");
            iommufd_nested_tell(&n->cmdqv.told, err);
            if (c->direct) {
                cmdqv_leave(s);
            } else {
                iommufd_nested_queues_cut(n->core, 0);
            }
            return;
        }
        n->cmdqv.base[i] = v->q.base;
    }
    for (unsigned i = c->direct; i < num; i++) {
        cmdqv_push(c, i);
    }
    trace_smmuv3_nested_cmdqv(c->direct, num);
    qatomic_set(&c->direct, num);
    memory_region_set_enabled(&n->cmdqv.page0, true);
}

static bool cmdqv_pending(Tegra241CMDQV *c, unsigned first)
{
    for (unsigned i = first; i < c->vcmdqs; i++) {
        const Tegra241VCMDQ *v = tegra241_cmdqv_lvcmdq(c, 0, i);

        if (v && vcmdq_pending(v)) {
            return true;
        }
    }
    return false;
}

/* How many the host is to have */
static unsigned cmdqv_wanted(SMMUv3State *s)
{
    Tegra241CMDQV *c = s->host.cmdqv;
    bool enabled = false, based = true;
    const Tegra241VCMDQ *v;
    unsigned num = 0;

    if (!iommufd_nested_has_page(s->nested->core) ||
        !tegra241_cmdqv_vintf_enabled(c, 0) || cmdqv_pending(c, c->direct) ||
        !QLIST_EMPTY(&ARM_SMMU(s)->devices_with_notifiers)) {
        return 0;
    }
    for (unsigned i = 0; (v = tegra241_cmdqv_lvcmdq(c, 0, i)); i++) {
        based &= v->q.base != 0;
        if (!based && v->config) {
            return 0;
        }
        num += based;
        enabled |= v->config;
    }
    return enabled ? num : 0;
}

/* Whether the first of the host's queues are what the guest's are now */
static bool cmdqv_same(SMMUv3State *s, unsigned num)
{
    Tegra241CMDQV *c = s->host.cmdqv;

    for (unsigned i = 0; i < num; i++) {
        if (s->nested->cmdqv.base[i] !=
            tegra241_cmdqv_lvcmdq(c, 0, i)->q.base) {
            return false;
        }
    }
    return true;
}

static void cmdqv_changed(SMMUv3State *s)
{
    Tegra241CMDQV *c = s->host.cmdqv;
    unsigned num;

    /* As for the SMMU's own queue: what was blocked for an error */
    if (tegra241_cmdqv_vintf_enabled(c, 0) && !cmdqv_pending(c, 0)) {
        smmuv3_nested_resume(s);
    }
    num = cmdqv_wanted(s);
    if (c->direct && (!num || !cmdqv_same(s, MIN(num, c->direct)))) {
        cmdqv_leave(s);
        num = cmdqv_wanted(s);
    }
    if (num < c->direct) {
        trace_smmuv3_nested_cmdqv(c->direct, num);
        qatomic_set(&c->direct, num);
        iommufd_nested_queues_cut(s->nested->core, num);
    } else if (num > c->direct) {
        cmdqv_enter(s, num);
    }
}

void smmuv3_nested_cmdqv_changed(SMMUv3State *s)
{
    if (s->host.cmdqv && s->host.cmdqv->guest) {
        tegra241_cmdqv_pull(s->host.cmdqv);
        cmdqv_changed(s);
    }
}

void smmuv3_nested_cmdqv_part(SMMUv3Nested *n)
{
    const Tegra241CMDQV *c = n->s->host.cmdqv;

    if (c && c->direct && !g_hash_table_size(n->devices)) {
        cmdqv_leave(n->s);
    }
}

void smmuv3_nested_cmdqv_translate(SMMUv3State *s)
{
    const Tegra241CMDQV *c = s->host.cmdqv;

    if (c && qatomic_read(&c->direct)) {
        smmu_iotlb_inv_all(ARM_SMMU(s));
    }
}

/* ------------------------------------------------------ events of the host */

/* Which queue it is, its registers say */
static void cmdqv_event(void *opaque, const void *data, size_t len)
{
    SMMUv3Nested *n = opaque;

    if (n->s->host.cmdqv) {
        trace_smmuv3_nested_cmdqv_event(ldq_le_p(data));
        tegra241_cmdqv_irq(n->s->host.cmdqv, 0);
    }
}

static void cmdqv_events_lost(void *opaque, uint32_t count)
{
    SMMUv3Nested *n = opaque;

    if (n->s->host.cmdqv) {
        tegra241_cmdqv_irq(n->s->host.cmdqv, 0);
    }
}

static void cmdqv_where(const void *data, uint64_t *offset, uint64_t *length)
{
    const struct iommu_viommu_tegra241_cmdqv *d = data;

    *offset = d->out_vintf_mmap_offset;
    *length = d->out_vintf_mmap_length;
}

/* -------------------------------------------------------------------- life */

bool smmuv3_nested_cmdqv_realize(SMMUv3Nested *n, Error **errp)
{
    IOMMUFDNestedQueues *q = &n->cmdqv.queues;

    if (n->s->nested_props.cmdqv == ON_OFF_AUTO_OFF) {
        return true;
    }
    *q = (IOMMUFDNestedQueues) {
        .viommu_type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
        .data_len = sizeof(struct iommu_viommu_tegra241_cmdqv),
        .where = cmdqv_where,
        .queue_type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
        .page_len = PAGE_SIZE_64K,
        .veventq_type = IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
        .veventq_depth = EVENT_DEPTH,
        .event_len = sizeof(struct iommu_vevent_tegra241_cmdqv),
        .event = cmdqv_event,
        .events_lost = cmdqv_events_lost,
        .memory_goes = cmdqv_memory_goes,
    };
    q->page = mmap(NULL, q->page_len, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (q->page == MAP_FAILED) {
        error_setg_errno(errp, errno, "cmdqv=%s: no memory for a page of "
                         "registers",
                         OnOffAuto_str(n->s->nested_props.cmdqv));
        return false;
    }
    n->cmdqv.version = VERSION_ALONE;
    n->cmdqv.vcmdqs_log2 = VCMDQS_LOG2_ALONE;
    return true;
}

void smmuv3_nested_cmdqv_init(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    Tegra241CMDQV *c = s->host.cmdqv;
    MemoryRegion *page0 = &n->cmdqv.page0;

    c->changed = cmdqv_changed;
    c->page0 = n->cmdqv.queues.page;
    memory_region_init_ram_device_ptr(page0, OBJECT(s), "tegra241-cmdqv-page0",
                                      PAGE_SIZE_64K, c->page0);
    /* Registers of the host's IOMMU are no memory for devices */
    page0->ram_block->flags |= RAM_PROTECTED;
    memory_region_set_enabled(page0, false);
    memory_region_add_subregion_overlap(&c->mmio, WINDOWS, page0, 1);
}

static unsigned cmdqv_queue_log2(void)
{
    long page = qemu_minrampagesize();

    if (page == LONG_MAX) {
        page = qemu_real_host_page_size();
    }
    return MIN(ctz64(page) - COMMAND_LOG2, SMMU_CMDQS);
}

bool smmuv3_nested_cmdqv_freeze(SMMUv3Nested *n, Error **errp)
{
    OnOffAuto wish = n->s->nested_props.cmdqv;
    Tegra241CMDQV *c = n->s->host.cmdqv;

    if (!c || !c->guest) {
        return true;
    }
    if (!n->active || (wish == ON_OFF_AUTO_AUTO && !n->cmdqv.taken)) {
        if (n->active && !n->host_seen) {
            info_report("arm-smmuv3: cmdqv=auto is off, because there is no "
                        "assigned device to follow");
        }
        memory_region_set_enabled(&c->mmio, false);
        n->s->host.cmdqv = NULL;
        return true;
    }
    c->param = tegra241_cmdqv_param(n->cmdqv.version, n->cmdqv.vcmdqs_log2, 0,
                                    0);
    c->vcmdqs = 1u << n->cmdqv.vcmdqs_log2;
    c->cmdqs = cmdqv_queue_log2();
    trace_smmuv3_nested_cmdqv_frozen(c->param, c->cmdqs);
    error_setg(&n->cmdqv.blocker, "arm-smmuv3: cmdqv=%s: the guest's command "
               "queues are in the host's SMMU; use cmdqv=off for a guest that "
               "is to be migrated", OnOffAuto_str(wish));
    return migrate_add_blocker(&n->cmdqv.blocker, errp) == 0;
}

void smmuv3_nested_cmdqv_idr(SMMUv3Nested *n)
{
    const Tegra241CMDQV *c = n->s->host.cmdqv;

    if (c) {
        n->s->idr[1] = FIELD_DP32(n->s->idr[1], IDR1, CMDQS, c->cmdqs);
    }
}

/* ------------------------------------------------------------ host devices */

/* What the host has of it, against what is promised, and what is still open */
static bool cmdqv_check(SMMUv3Nested *n, HostIOMMUDeviceIOMMUFD *idev,
                        Error **errp)
{
    struct iommu_hw_info_tegra241_cmdqv info;
    uint8_t log2;

    if (!iommufd_nested_host_info_of(idev, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
                                     &info, sizeof(info), errp)) {
        error_append_hint(errp, "That takes NVIDIA's Tegra241 CMDQV, and Linux "
                          "6.17.\n");
        return false;
    }
    log2 = MIN(info.log2vcmdqs, VCMDQS_LOG2);
    if (!n->frozen) {
        n->cmdqv.version = info.version;
        n->cmdqv.vcmdqs_log2 = log2;
    } else if (log2 < n->cmdqv.vcmdqs_log2) {
        error_setg(errp, "the guest has been promised %u command queues, but "
                   "the host's SMMU has %u for device %s",
                   1u << n->cmdqv.vcmdqs_log2, 1u << log2,
                   HOST_IOMMU_DEVICE(idev)->name);
        return false;
    }
    n->cmdqv.sids = 1u << MIN(info.log2vsids, 31);
    return true;
}

/* The first one: with a VINTF of the host, or without if that is allowed */
static IOMMUFDNestedDevice *cmdqv_first(SMMUv3Nested *n,
                                        HostIOMMUDeviceIOMMUFD *idev,
                                        void *opaque, Error **errp)
{
    IOMMUFDNestedDevice *dev = NULL;
    Error *err = NULL;

    iommufd_nested_want_queues(n->core, &n->cmdqv.queues);
    if (cmdqv_check(n, idev, &err)) {
        dev = iommufd_nested_device_add(n->core, idev, opaque, &err);
    }
    if (dev) {
        n->cmdqv.taken = true;
        return dev;
    }
    iommufd_nested_want_queues(n->core, NULL);
    if (n->s->nested_props.cmdqv == ON_OFF_AUTO_ON) {
        error_propagate_prepend(errp, err, "cmdqv=on: ");
        return NULL;
    }
    info_report("arm-smmuv3: cmdqv=auto: %s: %s",
                n->frozen ? "the guest's commands are trapped" : "it is off",
                error_get_pretty(err));
    error_free(err);
    return iommufd_nested_device_add(n->core, idev, opaque, errp);
}

IOMMUFDNestedDevice *smmuv3_nested_cmdqv_add(SMMUv3Nested *n,
                                             HostIOMMUDeviceIOMMUFD *idev,
                                             void *opaque, Error **errp)
{
    unsigned num = g_hash_table_size(n->devices);

    if (n->s->host.cmdqv && !num) {
        return cmdqv_first(n, idev, opaque, errp);
    }
    if (iommufd_nested_has_page(n->core) && num >= n->cmdqv.sids) {
        error_setg(errp, "cmdqv=%s: %s: a VINTF of the host translates "
                   "StreamIDs for %u devices, and they are there: use another "
                   "arm-smmuv3, or cmdqv=off",
                   OnOffAuto_str(n->s->nested_props.cmdqv),
                   HOST_IOMMU_DEVICE(idev)->name, n->cmdqv.sids);
        return NULL;
    }
    return iommufd_nested_device_add(n->core, idev, opaque, errp);
}
