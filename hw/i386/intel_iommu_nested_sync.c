/*
 * VT-d nested translation: from the guest's tables to attachments
 *
 * The tables in guest memory are the truth; what the core has for a device
 * and its PASIDs is made to match whenever the guest says that something may
 * have changed. The core makes no host call for what did not change, so it is
 * no harm to look at more than the guest named.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qapi/error.h"
#include "intel_iommu_nested_internal.h"
#include "trace.h"

/*
 * Faults that FPD silences: all whose entry could be read (7.1.3). The base
 * knows those that it has itself.
 */
static bool vtd_nested_qualified(uint8_t fault)
{
    return fault != VTD_FR_PASID_DIR_ACCESS_ERR &&
           fault != VTD_FR_PASID_TABLE_ACCESS_ERR;
}

/* Record a fault as if a request had met it: the host tells of none */
static void vtd_nested_record_fault(VTDNestedDevice *vdev, uint32_t pasid,
                                    uint8_t fault, bool fpd)
{
    IntelIOMMUState *s = vdev->n->s;
    bool has_pasid = pasid != IOMMUFD_NESTED_RID;

    if (fpd && vtd_nested_qualified(fault)) {
        return;
    }
    QEMU_LOCK_GUARD(&s->iommu_lock);
    vtd_report_fault(s, fault, false, vdev->sid, 0, false, has_pasid,
                     has_pasid ? pasid : 0);
}

/* The host has refused what the tables say */
static void vtd_nested_record_refusal(VTDNestedDevice *vdev, uint32_t pasid,
                                      const VTDNestedContext *ctx)
{
    vtd_nested_record_fault(vdev, pasid, ctx->scalable ?
                            VTD_FR_PASID_TABLE_ENTRY_INV :
                            VTD_FR_CONTEXT_ENTRY_INV, false);
}

void vtd_nested_record_blocked(VTDNestedDevice *vdev, uint32_t pasid)
{
    VTDNestedContext ctx;

    if (vdev->n->s->dmar_enabled) {
        vtd_nested_read_context(vdev->n->s, vdev->sid, &ctx);
        vtd_nested_record_refusal(vdev, pasid, &ctx);
    }
}

/* Tables of other kinds are no mistake that a guest's driver mends */
static void vtd_nested_tell_kind(VTDNestedDevice *vdev, uint8_t fault)
{
    Error *err = NULL;

    if (fault != VTD_FR_CONTEXT_ENTRY_INV &&
        fault != VTD_FR_PASID_TABLE_ENTRY_INV) {
        return;
    }
    error_setg(&err, "%s: %s: its DMA is blocked",
               iommufd_nested_device_name(vdev->dev),
               vtd_nested_reason(fault));
    if (!vdev->n->s->ssts) {
        error_append_hint(&err, "With ssts=off there are first-stage tables "
                          "only; Linux as guest has them with "
                          "intel_iommu=on,sm_on\n");
    }
    iommufd_nested_tell(&vdev->told_kind, err);
}

/*
 * Entries that are not present are no mistake of the guest. Others are told
 * once: the reason the core keeps is the memory of it.
 */
static void vtd_nested_tell_bad_entry(VTDNestedDevice *vdev, uint32_t pasid,
                                      const VTDNestedEntry *entry)
{
    const char *was = NULL;
    IOMMUFDNestedState state = iommufd_nested_get(vdev->dev, pasid, &was);

    if (entry->present && (state != IOMMUFD_NESTED_BLOCKED ||
                           was != vtd_nested_reason(entry->fault))) {
        vtd_nested_record_fault(vdev, pasid, entry->fault, entry->fpd);
        vtd_nested_tell_kind(vdev, entry->fault);
    }
}

static void vtd_nested_shadow(const VTDNestedDevice *vdev,
                              const VTDNestedEntry *entry,
                              IOMMUFDNestedTranslation *t)
{
    t->flags = vtd_nested_shadow_flags(&vdev->info);
    t->data = &entry->ss;
    t->data_len = sizeof(entry->ss);
    t->last = vtd_nested_ss_last(&entry->ss);
    t->host_last = MAKE_64BIT_MASK(0, vtd_nested_shadow_width(&vdev->info));
}

static bool vtd_nested_apply(VTDNestedDevice *vdev, uint32_t pasid,
                             const VTDNestedContext *ctx,
                             const VTDNestedEntry *entry)
{
    bool is_rid = pasid == IOMMUFD_NESTED_RID;
    IOMMUFDNestedTranslation t = {
        .state = entry->state,
        .domain = entry->did,
        .index_pasid = is_rid ? ctx->rid_pasid : pasid,
    };
    Error *err = NULL;

    switch (entry->state) {
    case IOMMUFD_NESTED_BLOCKED:
        vtd_nested_tell_bad_entry(vdev, pasid, entry);
        t.reason = vtd_nested_reason(entry->fault);
        t.mistake = entry->present;
        break;
    case IOMMUFD_NESTED_STAGE1:
        t.data_type = IOMMU_HWPT_DATA_VTD_S1;
        t.data = &entry->s1;
        t.data_len = sizeof(entry->s1);
        t.pasid_flag = !is_rid ||
                       (vdev->info.parent_flags & IOMMU_HWPT_ALLOC_PASID);
        t.page_requests = ctx->page_requests && ctx->device_tlb &&
                          vtd_nested_pri_enabled(vdev);
        break;
    case IOMMUFD_NESTED_SHADOW:
        vtd_nested_shadow(vdev, entry, &t);
        break;
    default:
        break;
    }

    if (is_rid) {
        vdev->rid_pasid = ctx->scalable ? ctx->rid_pasid : IOMMUFD_NESTED_RID;
    }
    trace_vtd_nested_set(iommufd_nested_device_name(vdev->dev), vdev->sid,
                         pasid, entry->state, entry->did,
                         entry->s1.pgtbl_addr | entry->ss.root, entry->fault);
    /* A PASID without an entry is one the core need not remember */
    if (!iommufd_nested_set(vdev->dev, pasid,
                            !is_rid && entry->state == IOMMUFD_NESTED_BLOCKED &&
                            !entry->present ? NULL : &t, &err)) {
        iommufd_nested_tell(&vdev->told, err);
        vtd_nested_record_refusal(vdev, pasid, ctx);
        return false;
    }
    return true;
}

void vtd_nested_dirty(VTDNestedDevice *vdev)
{
    if (!vdev->dirty) {
        vdev->dirty = true;
        QTAILQ_INSERT_TAIL(&vdev->n->dirty, vdev, dirty_next);
    }
}

static void vtd_nested_late(VTDNestedDevice *vdev)
{
    vtd_nested_dirty(vdev);
    iommufd_nested_put_off(vdev->n->core);
}

void vtd_nested_shadow_late(void *opaque)
{
    VTDNested *n = opaque;

    vtd_nested_dirty_all(n);
    iommufd_nested_put_off(n->core);
}

/* What the tables have for a PASID, or for the RID */
static void vtd_nested_read(VTDNestedDevice *vdev, const VTDNestedContext *ctx,
                            uint32_t pasid, VTDNestedEntry *entry)
{
    IntelIOMMUState *s = vdev->n->s;

    iommufd_nested_count_read(vdev->n->core);
    if (pasid == IOMMUFD_NESTED_RID) {
        *entry = ctx->entry;
        if (ctx->scalable) {
            vtd_nested_read_rid(s, ctx, entry);
        }
    } else if (ctx->scalable && ctx->pasid_enable &&
               vtd_nested_pasid_enabled(vdev)) {
        vtd_nested_read_pasid(s, ctx, pasid, entry);
    } else {
        *entry = (VTDNestedEntry) { .state = IOMMUFD_NESTED_BLOCKED };
    }
}

/* Return: false: a shadow is not ready yet */
static bool vtd_nested_prepare(VTDNestedDevice *vdev,
                               const VTDNestedEntry *entry, bool in_turns)
{
    IOMMUFDNestedTranslation t = {
        .state = entry->state,
        .domain = entry->did,
    };

    if (entry->state != IOMMUFD_NESTED_SHADOW) {
        return true;
    }
    vtd_nested_shadow(vdev, entry, &t);
    return iommufd_nested_shadow_prepare(vdev->dev, &t, in_turns);
}

void vtd_nested_relabel(VTDNested *n)
{
    Error *err = NULL;

    if (!iommufd_nested_relabel(n->core, &err)) {
        iommufd_nested_tell(&n->told_label, err);
    }
}

VTDNestedDevice *vtd_nested_find(VTDNested *n, uint16_t sid)
{
    IOMMUFDNestedDevice *dev = iommufd_nested_find(n->core, sid);

    return dev ? iommufd_nested_device_opaque(dev) : NULL;
}

static void vtd_nested_context(VTDNestedDevice *vdev, VTDNestedContext *ctx)
{
    VTDNested *n = vdev->n;

    vdev->sid = PCI_BUILD_BDF(pci_bus_num(vdev->bus), vdev->devfn);
    vtd_nested_read_context(n->s, vdev->sid, ctx);
    if (n->s->dmar_enabled && vtd_nested_find(n, vdev->sid) != vdev) {
        /* Half-way through numbering its buses, the guest has two of them */
        *ctx = (VTDNestedContext) {
            .entry.state = IOMMUFD_NESTED_BLOCKED,
            .entry.fault = VTD_FR_NESTED_AMBIGUOUS,
        };
    }
}

static void vtd_nested_look_known(IOMMUFDNestedDevice *dev, uint32_t pasid,
                                  void *opaque)
{
    VTDNestedLook *look = opaque;

    if (!look->known) {
        look->known = bitmap_new(1u << look->vdev->n->pasid_bits);
    }
    set_bit(pasid, look->known);
}

static void vtd_nested_look_begin(VTDNestedLook *look, VTDNestedDevice *vdev)
{
    *look = (VTDNestedLook) { .n = vdev->n, .vdev = vdev };
    if (vdev->dirty) {
        vdev->dirty = false;
        QTAILQ_REMOVE(&vdev->n->dirty, vdev, dirty_next);
    }
    vtd_nested_context(vdev, &look->ctx);
    look->ok = true;
    look->rid = true;
    iommufd_nested_foreach_pasid(vdev->dev, vtd_nested_look_known, look);
    if (!look->ctx.scalable || !look->ctx.pasid_enable ||
        !vtd_nested_pasid_enabled(vdev)) {
        look->next_table = VTD_NESTED_NO_TABLE;
    }
}

static void vtd_nested_look_end(VTDNestedLook *look)
{
    g_clear_pointer(&look->known, g_free);
    look->n = NULL;
    look->vdev = NULL;
}

/* One of the domains that are dirty */
static void vtd_nested_look_domain(VTDNestedLook *look, VTDNested *n)
{
    GHashTableIter iter;
    gpointer did;

    g_hash_table_iter_init(&iter, n->dirty_domains);
    if (g_hash_table_iter_next(&iter, &did, NULL)) {
        g_hash_table_iter_remove(&iter);
        *look = (VTDNestedLook) { .n = n, .domain = true, .ok = true };
        iommufd_nested_walk(n->core, GPOINTER_TO_UINT(did));
    }
}

static bool vtd_nested_look_knew(const VTDNestedLook *look, uint32_t pasid)
{
    return look->known && test_bit(pasid, look->known);
}

/*
 * The next PASID to look at, IOMMUFD_NESTED_RID after a step that found none.
 * Return: false: that was all.
 */
static bool vtd_nested_look_next(VTDNestedLook *look, uint32_t *pasid)
{
    VTDNested *n = look->vdev->n;
    uint32_t limit = 1u << n->pasid_bits;

    if (look->known && look->next_known < limit) {
        *pasid = find_next_bit(look->known, limit, look->next_known);
        look->next_known = *pasid + 1;
        if (*pasid < limit) {
            return true;
        }
    }
    *pasid = IOMMUFD_NESTED_RID;
    if (!look->present) {
        if (look->next_table != VTD_NESTED_NO_TABLE) {
            look->table = vtd_nested_next_table(n->s, &look->ctx,
                                                look->next_table, limit,
                                                &look->present);
            look->next_table = look->table == VTD_NESTED_NO_TABLE ?
                VTD_NESTED_NO_TABLE : look->table + VTD_NESTED_TABLE_PASIDS;
        }
        return look->next_table != VTD_NESTED_NO_TABLE;
    }
    *pasid = look->table + ctz64(look->present);
    look->present &= look->present - 1;
    /* PASID 0 of a host device is its RID (VFIO_DEVICE_ATTACH_PASID) */
    if (*pasid == 0 || vtd_nested_look_knew(look, *pasid)) {
        *pasid = IOMMUFD_NESTED_RID;
    }
    return true;
}

/* The next entry of a domain. Return: false: that was all */
static bool vtd_nested_look_walk(VTDNestedLook *look)
{
    IOMMUFDNestedDevice *dev = iommufd_nested_walk_next(look->n->core,
                                                        &look->pasid);

    if (!dev) {
        return false;
    }
    look->vdev = iommufd_nested_device_opaque(dev);
    vtd_nested_context(look->vdev, &look->ctx);
    return true;
}

/* The next entry, if this step finds one. Return: false: that was all */
static bool vtd_nested_look_find(VTDNestedLook *look)
{
    if (look->domain) {
        if (!vtd_nested_look_walk(look)) {
            return false;
        }
    } else if (look->rid) {
        look->rid = false;
        look->pasid = IOMMUFD_NESTED_RID;
    } else if (!vtd_nested_look_next(look, &look->pasid)) {
        return false;
    } else if (look->pasid == IOMMUFD_NESTED_RID) {
        return true;
    }
    vtd_nested_read(look->vdev, &look->ctx, look->pasid, &look->entry);
    look->found = true;
    return true;
}

/* Return: false: the turn is over */
static bool vtd_nested_look_on(VTDNestedLook *look, bool in_turns)
{
    for (;;) {
        if (in_turns && !iommufd_nested_turn(look->n->core)) {
            return false;
        }
        if (!look->found && !vtd_nested_look_find(look)) {
            return true;
        }
        if (!look->found) {
            continue;
        }
        if (!vtd_nested_prepare(look->vdev, &look->entry, in_turns)) {
            if (in_turns) {
                return false;
            }
            /* Blocked until then */
            vtd_nested_late(look->vdev);
            vtd_nested_fault(&look->entry, VTD_FR_NESTED_LATE, false);
        }
        look->found = false;
        if (vtd_nested_apply(look->vdev, look->pasid, &look->ctx,
                             &look->entry)) {
            continue;
        }
        look->ok = false;
        if (look->pasid != IOMMUFD_NESTED_RID &&
            !vtd_nested_look_knew(look, look->pasid)) {
            /*
             * What is new and not reached stays without translation. The guest
             * is told, and a table full of entries cannot make us fail a
             * million times.
             */
            look->present = 0;
            look->next_table = VTD_NESTED_NO_TABLE;
        }
    }
}

bool vtd_nested_is_dirty(const VTDNested *n)
{
    return !QTAILQ_EMPTY(&n->dirty) || g_hash_table_size(n->dirty_domains);
}

bool vtd_nested_look(VTDNested *n)
{
    VTDNestedLook *look = &n->look;

    while (look->n || vtd_nested_is_dirty(n)) {
        if (!look->n) {
            if (!iommufd_nested_turn(n->core)) {
                return false;
            }
            if (!QTAILQ_EMPTY(&n->dirty)) {
                vtd_nested_look_begin(look, QTAILQ_FIRST(&n->dirty));
            } else {
                vtd_nested_look_domain(look, n);
            }
        }
        if (!vtd_nested_look_on(look, true)) {
            return false;
        }
        n->bad |= !look->ok;
        vtd_nested_look_end(look);
    }
    return true;
}

void vtd_nested_look_no_more(VTDNested *n, VTDNestedDevice *vdev)
{
    VTDNestedDevice *other, *next;

    if (!vdev) {
        g_hash_table_remove_all(n->dirty_domains);
    }
    if (vdev && n->look.domain && n->look.vdev == vdev) {
        /* The others of the domain are still to be looked at */
        n->look.found = false;
        n->look.vdev = NULL;
    } else if (!vdev || n->look.vdev == vdev) {
        vtd_nested_look_end(&n->look);
    }
    QTAILQ_FOREACH_SAFE(other, &n->dirty, dirty_next, next) {
        if (!vdev || other == vdev) {
            other->dirty = false;
            QTAILQ_REMOVE(&n->dirty, other, dirty_next);
        }
    }
}

bool vtd_nested_sync_device(VTDNestedDevice *vdev)
{
    VTDNestedLook look;

    vtd_nested_look_no_more(vdev->n, vdev);
    vtd_nested_look_begin(&look, vdev);
    vtd_nested_look_on(&look, false);
    vtd_nested_look_end(&look);
    return look.ok;
}

/* A shadow can take long: it is made in turns, by a look at all */
static bool vtd_nested_sync_one(VTDNestedDevice *vdev,
                                const VTDNestedContext *ctx, uint32_t pasid)
{
    VTDNestedEntry entry;

    vtd_nested_read(vdev, ctx, pasid, &entry);
    if (entry.state == IOMMUFD_NESTED_SHADOW) {
        vtd_nested_dirty(vdev);
        return true;
    }
    return vtd_nested_apply(vdev, pasid, ctx, &entry);
}

/*
 * A PASID-table entry, in whichever devices' tables it is: the command that
 * leads here does not name the device. Those that are dirty come later.
 */
bool vtd_nested_sync_pasid_value(VTDNested *n, uint32_t pasid)
{
    VTDNestedDevice *vdev;
    GHashTableIter iter;
    bool ok = true;

    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&vdev)) {
        VTDNestedContext ctx;

        if (vdev->dirty) {
            continue;
        }
        vtd_nested_context(vdev, &ctx);
        /* The guest may have changed RID_PASID, and not told of that yet */
        if ((ctx.scalable && ctx.rid_pasid == pasid) ||
            vdev->rid_pasid == pasid) {
            ok &= vtd_nested_sync_one(vdev, &ctx, IOMMUFD_NESTED_RID);
        }
        if (pasid && pasid < 1u << n->pasid_bits) {
            ok &= vtd_nested_sync_one(vdev, &ctx, pasid);
        }
    }
    return ok;
}

bool vtd_nested_sync_all(VTDNested *n)
{
    VTDNestedDevice *vdev;
    GHashTableIter iter;
    bool ok = true;

    vtd_nested_relabel(n);
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&vdev)) {
        ok &= vtd_nested_sync_device(vdev);
    }
    return ok;
}

void vtd_nested_sync_claims(VTDNested *n, PCIBus *bus, int devfn)
{
    VTDNestedDevice *vdev;
    GHashTableIter iter;

    vtd_nested_relabel(n);
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&vdev)) {
        if (vdev->devfn == devfn &&
            pci_bus_num(vdev->bus) == pci_bus_num(bus)) {
            vtd_nested_sync_device(vdev);
        }
    }
}

void vtd_nested_dirty_all(VTDNested *n)
{
    VTDNestedDevice *vdev;
    GHashTableIter iter;

    vtd_nested_relabel(n);
    g_hash_table_remove_all(n->dirty_domains);
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&vdev)) {
        vtd_nested_dirty(vdev);
    }
}

/*
 * In caching mode what is not present is cached with domain-id 0, so that
 * others are for what was read. What leads to an entry that is new in a domain
 * by the domain-id that it has now can be seen only if nothing else has it.
 */
void vtd_nested_dirty_domain(VTDNested *n, uint16_t did)
{
    if (!did || !iommufd_nested_in_domain(n->core, did)) {
        vtd_nested_dirty_all(n);
    } else {
        g_hash_table_add(n->dirty_domains, GUINT_TO_POINTER(did));
    }
}

/* Function bits only: at most eight to look at (6.5.2.1, FM) */
static VTDNestedDevice *vtd_nested_function(VTDNested *n, uint16_t sid,
                                            uint16_t mask, uint16_t function)
{
    return function & ~mask ? NULL :
                              vtd_nested_find(n, (sid & ~mask) | function);
}

void vtd_nested_dirty_sid(VTDNested *n, uint16_t sid, uint16_t mask)
{
    vtd_nested_relabel(n);
    for (uint16_t i = 0; i < 8; i++) {
        VTDNestedDevice *vdev = vtd_nested_function(n, sid, mask, i);

        if (vdev) {
            vtd_nested_dirty(vdev);
        }
    }
}
