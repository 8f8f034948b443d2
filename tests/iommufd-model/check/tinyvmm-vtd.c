/*
 * A tiny VMM: the VT-d half
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest PASID entries become attachments, descriptors become entries.
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>

#include "tinyvmm.h"

void tv_vtd_open(TvVm *vm)
{
    struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };

    unsigned i;

    /* tv_open() gave every RID the parent; the guest's tables say otherwise */
    for (i = 0; i < vm->cfg.n_devices; i++) {
        vm->device[i].pasid[0].used = true;
    }
    vtd_tables_init(&vm->vtd, &vm->mem, true);
    vtd_queue_init(&vm->qi, &vm->mem, 4, true);
    if (!tv_ioctl(vm, vm->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &cmd,
                  "FAULT_QUEUE_ALLOC")) {
        vm->fault_queue = cmd.out_fault_id;
        vm->fault_fd = cmd.out_fault_fd;
        if (fcntl(vm->fault_fd, F_SETFL, O_NONBLOCK) < 0) {
            vm->errors++;
        }
    }
}

/* ------------------------------------------------------------------ HWPTs */

static bool same_stage1(const VtdPasidEntry *a, const VtdPasidEntry *b)
{
    return a->s1 == b->s1 && a->s1_levels == b->s1_levels &&
           a->sre == b->sre && a->wpe == b->wpe && a->eafe == b->eafe;
}

static TvHwpt *hwpt_get(TvVm *vm, TvDevice *dev, const VtdPasidEntry *pe)
{
    struct iommu_hwpt_vtd_s1 s1 = {
        .flags = (pe->sre ? IOMMU_VTD_S1_SRE : 0) |
                 (pe->wpe ? IOMMU_VTD_S1_WPE : 0) |
                 (pe->eafe ? IOMMU_VTD_S1_EAFE : 0),
        .pgtbl_addr = pe->s1,
        .addr_width = pe->s1_levels == 5 ? 57 : 48,
    };
    struct iommu_hwpt_alloc cmd = {
        .size = sizeof(cmd),
        .flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
        .dev_id = dev->dev_id,
        .pt_id = vm->iommu[dev->iommu].parent,
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data_len = sizeof(s1),
        .data_uptr = (uintptr_t)&s1,
        .fault_id = vm->fault_queue,
    };
    TvHwpt *h;

    for (h = vm->hwpts; h; h = h->next) {
        if (h->iommu == dev->iommu && h->did == pe->did &&
            same_stage1(&h->pe, pe)) {
            h->refs++;
            return h;
        }
    }
    if (tv_ioctl(vm, vm->iommufd, IOMMU_HWPT_ALLOC, &cmd, "HWPT_ALLOC")) {
        return NULL;
    }
    h = g_new0(TvHwpt, 1);
    h->id = cmd.out_hwpt_id;
    h->iommu = dev->iommu;
    h->refs = 1;
    h->did = pe->did;
    h->pe = *pe;
    h->next = vm->hwpts;
    vm->hwpts = h;
    return h;
}

static void hwpt_put(TvVm *vm, TvHwpt *h)
{
    TvHwpt **p = &vm->hwpts;

    if (!h || --h->refs) {
        return;
    }
    /* Entries not yet handed over are for nobody now */
    tv_flush(vm);
    tv_destroy(vm, &h->id);
    while (*p != h) {
        p = &(*p)->next;
    }
    *p = h->next;
    g_free(h);
}

/* ------------------------------------------------------------ attachments */

static bool read_entry(TvVm *vm, TvDevice *dev, uint32_t pasid,
                       VtdPasidEntry *pe)
{
    uint64_t ctx = iommu_mem_read64(&vm->mem,
                                    vtd_context_entry(&vm->vtd, dev->rid));
    uint64_t slot, qw0, qw2;

    if (!(ctx & VTD_CTX_P)) {
        return false;
    }
    slot = vtd_pasid_entry(&vm->vtd, dev->rid, pasid);
    qw0 = iommu_mem_read64(&vm->mem, slot);
    qw2 = iommu_mem_read64(&vm->mem, slot + 16);
    if (!(qw0 & 1)) {
        return false;
    }
    *pe = (VtdPasidEntry) {
        .pgtt = (qw0 >> 6) & 7,
        .did = iommu_mem_read64(&vm->mem, slot + 8),
        .s1 = qw2 & ~0xfffULL,
        .s1_levels = qw2 & (1 << 2) ? 5 : 4,
        .sre = qw2 & (1 << 0),
        .wpe = qw2 & (1 << 4),
        .eafe = qw2 & (1 << 7),
    };
    return true;
}

static TvPasid *pasid_slot(TvDevice *dev, uint32_t pasid)
{
    TvPasid *unused = NULL;
    unsigned i;

    if (pasid == TV_NO_PASID) {
        return &dev->pasid[0];
    }
    for (i = 1; i < TV_MAX_PASIDS; i++) {
        if (!dev->pasid[i].used) {
            unused = unused ?: &dev->pasid[i];
        } else if (dev->pasid[i].pasid == pasid) {
            return &dev->pasid[i];
        }
    }
    g_assert(unused);
    return unused;
}

/* What @pasid of @dev translates through is what its entry says now */
static void update_pasid(TvVm *vm, TvDevice *dev, uint32_t pasid,
                         uint32_t guest_pasid)
{
    TvPasid *slot = pasid_slot(dev, pasid);
    TvHwpt *old = slot->hwpt, *new = NULL;
    uint32_t pt_id = 0;
    VtdPasidEntry pe;

    if (read_entry(vm, dev, guest_pasid, &pe)) {
        if (pe.pgtt == VTD_PGTT_FIRST) {
            new = hwpt_get(vm, dev, &pe);
            pt_id = new ? new->id : 0;
        } else if (pe.pgtt == VTD_PGTT_PASSTHROUGH) {
            pt_id = vm->iommu[dev->iommu].parent;
        }
    }
    if (pt_id) {
        tv_attach(vm, dev, pasid, pt_id);
    } else if (slot->used) {
        tv_detach(vm, dev, pasid);
    }
    slot->used = pt_id;
    slot->pasid = pasid;
    slot->guest_pasid = guest_pasid;
    slot->hwpt = new;
    hwpt_put(vm, old);
}

static uint32_t rid_pasid(TvVm *vm, TvDevice *dev)
{
    return iommu_mem_read64(&vm->mem,
                            vtd_context_entry(&vm->vtd, dev->rid) + 8) &
           0xfffff;
}

static void context_changed(TvVm *vm, TvDevice *dev)
{
    unsigned i;

    update_pasid(vm, dev, TV_NO_PASID, rid_pasid(vm, dev));
    for (i = 1; i < TV_MAX_PASIDS; i++) {
        if (dev->pasid[i].used) {
            update_pasid(vm, dev, dev->pasid[i].pasid, dev->pasid[i].pasid);
        }
    }
}

static void pasid_cache(TvVm *vm, const VtdDesc *d)
{
    unsigned granularity = (d->qw[0] >> 4) & 3;
    uint32_t pasid = (d->qw[0] >> 32) & 0xfffff;
    unsigned i;

    if (tv_bug(vm, TV_BUG_NO_CONFIG)) {
        return;
    }
    for (i = 0; i < vm->cfg.n_devices; i++) {
        TvDevice *dev = &vm->device[i];

        if (granularity != VTD_PC_PASID) {
            context_changed(vm, dev);
            continue;
        }
        if (rid_pasid(vm, dev) == pasid) {
            update_pasid(vm, dev, TV_NO_PASID, pasid);
        } else {
            update_pasid(vm, dev, pasid, pasid);
        }
    }
}

static void context_cache(TvVm *vm, const VtdDesc *d)
{
    unsigned granularity = (d->qw[0] >> 4) & 3;
    uint16_t rid = d->qw[0] >> 32;
    unsigned i;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        TvDevice *dev = &vm->device[i];

        if (granularity != VTD_INV_NARROW || dev->rid == rid) {
            context_changed(vm, dev);
        }
    }
}

/* ----------------------------------------------------------- invalidation */

static bool hwpt_concerned(const TvVm *vm, const TvHwpt *h, uint16_t did,
                           uint32_t pasid)
{
    unsigned i, j;

    if (h->did != did) {
        return false;
    }
    for (i = 0; i < vm->cfg.n_devices; i++) {
        for (j = 0; j < TV_MAX_PASIDS; j++) {
            const TvPasid *p = &vm->device[i].pasid[j];

            if (p->used && p->hwpt == h && p->guest_pasid == pasid) {
                return true;
            }
        }
    }
    return false;
}

static void piotlb(TvVm *vm, const VtdDesc *d)
{
    bool narrow = ((d->qw[0] >> 4) & 3) == VTD_INV_NARROW;
    uint32_t pasid = (d->qw[0] >> 32) & 0xfffff;
    uint16_t did = d->qw[0] >> 16;
    unsigned order = d->qw[1] & 0x3f;
    struct iommu_hwpt_vtd_s1_invalidate entry = { .npages = UINT64_MAX };
    TvHwpt *h;

    if (narrow) {
        entry.addr = d->qw[1] & ~((4096ULL << order) - 1);
        entry.npages = 1ULL << order;
        if ((d->qw[1] & (1 << 6)) || tv_bug(vm, TV_BUG_LEAF)) {
            entry.flags = IOMMU_VTD_INV_FLAGS_LEAF;
        }
    }
    if (tv_bug(vm, TV_BUG_WRONG_PASID)) {
        /* What a VMM does that looks up by PASID and takes its neighbour */
        pasid++;
        did++;
    }
    for (h = vm->hwpts; h; h = h->next) {
        if (hwpt_concerned(vm, h, did, pasid)) {
            tv_append(vm, h->id, &entry);
            if (tv_bug(vm, TV_BUG_FORGET_DEVICE)) {
                break;
            }
        }
    }
}

static void complete(TvVm *vm, const VtdDesc *d)
{
    tv_flush(vm);
    iommu_mem_write32(&vm->mem, d->qw[1] & ~3ULL, d->qw[0] >> 32);
}

void tv_vtd_run(TvVm *vm)
{
    while (vm->head != vm->qi.tail) {
        VtdDesc d = vtd_queue_pop(&vm->qi, &vm->head);

        switch (d.qw[0] & 0xf) {
        case VTD_DESC_CONTEXT:
            context_cache(vm, &d);
            break;
        case VTD_DESC_PASID_CACHE:
            pasid_cache(vm, &d);
            break;
        case VTD_DESC_PIOTLB:
            piotlb(vm, &d);
            break;
        case VTD_DESC_DEV_TLB:
        case VTD_DESC_PASID_DEV_TLB:
            /* The kernel flushes device TLBs along with the IOTLB */
            break;
        case VTD_DESC_WAIT:
            complete(vm, &d);
            break;
        default:
            vm->errors++;
            printf("# tinyvmm: descriptor type %u\n",
                   (unsigned)(d.qw[0] & 0xf));
            break;
        }
    }
}

/* ----------------------------------------------------------- page requests */

int tv_vtd_event_rid(TvVm *vm)
{
    struct iommu_hwpt_pgfault fault;
    struct iommu_hwpt_page_response resp = {
        .code = IOMMUFD_PAGE_RESP_INVALID,
    };
    TvDevice *dev;

    if (read(vm->fault_fd, &fault, sizeof(fault)) != sizeof(fault)) {
        return -1;
    }
    resp.cookie = fault.cookie;
    if (write(vm->fault_fd, &resp, sizeof(resp)) != sizeof(resp)) {
        vm->errors++;
    }
    dev = tv_by_dev_id(vm, fault.dev_id);
    if (!dev) {
        return -1;
    }
    return tv_bug(vm, TV_BUG_STALE_LABEL) ? dev->old_rid : dev->rid;
}

void tv_vtd_close(TvVm *vm)
{
    unsigned i, j;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        TvDevice *dev = &vm->device[i];

        for (j = TV_MAX_PASIDS; j--;) {
            TvPasid *p = &dev->pasid[j];

            if (p->used) {
                tv_detach(vm, dev, j ? p->pasid : TV_NO_PASID);
            }
            hwpt_put(vm, p->hwpt);
            p->used = false;
            p->hwpt = NULL;
        }
    }
    if (vm->fault_fd >= 0) {
        close(vm->fault_fd);
    }
    tv_destroy(vm, &vm->fault_queue);
}
