/*
 * VT-d nested translation: what intel_iommu.c calls
 *
 * With nesting the guest's first-stage page tables are walked by the host's
 * IOMMU for assigned devices. The emulation in intel_iommu.c keeps the
 * registers, the queues and the emulated endpoints; the calls below tell the
 * nested side about what the guest did. All are made with the BQL held.
 *
 * Without nesting IntelIOMMUState.nested is NULL and every call that does
 * not say otherwise returns at once, with success.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_NESTED_H
#define HW_I386_INTEL_IOMMU_NESTED_H

#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci.h"
#include "hw/pci/nested.h"
#include "migration/vmstate.h"
#include "intel_iommu_internal.h"

/* CAP_REG (11.4.2) */
#define VTD_CAP_FS5LP   (1ULL << 60)

typedef struct VTDNested VTDNested;
struct IOMMUFDNestedHostInfo;
struct IOMMUFDNestedParent;

/*
 * In place of the type of an invalidation descriptor: nothing is left to do
 * for it. No descriptor has this type: types have 7 bits.
 */
#define VTD_INV_DESC_NESTED_DONE 0xff

/* ------------------------------------------------------------------ life */

/*
 * Called with nested=off too: neither defaults nor what the machine type says
 * count as given. -global does.
 */
void vtd_nested_post_init(Object *obj);

/*
 * Called with nested=off too. Before anything else at realize: settles what
 * nesting needs of the other properties.
 */
bool vtd_nested_realize(IntelIOMMUState *s, Error **errp);

/* Nesting is on, or is going to be with the first device (nested=auto) */
bool vtd_nested_active(IntelIOMMUState *s);

/* May there be device TLBs with PASIDs, as in QEMU 11.1? */
bool vtd_nested_ptlb(IntelIOMMUState *s);

/*
 * Does the guest announce the mappings of any tables that it may have, for
 * notifiers that want to know? With nesting it does of second-stage ones.
 */
bool vtd_nested_announces(IntelIOMMUState *s);

/*
 * For an address space with such notifiers. @ret: what the base makes of the
 * context entry. Return: 0 if there are tables whose mappings are announced, or
 * as if there were no context entry: what was mapped has gone. First-stage
 * tables are no such tables; the user is told.
 */
int vtd_nested_announced(VTDAddressSpace *vtd_as, int ret);

/* At the end of vtd_cap_init(): amends s->cap and s->ecap */
void vtd_nested_cap_init(IntelIOMMUState *s);

/* aw-bits: can a vIOMMU with these properties have that width? */
bool vtd_nested_is_width(IntelIOMMUState *s);

/* Bits of the widest addresses that second-stage tables translate */
uint8_t vtd_nested_ss_width(const IntelIOMMUState *s);

/* First-stage tables of five levels, when there are such */
static inline bool vtd_nested_five_levels(const IntelIOMMUState *s,
                                          uint32_t level)
{
    return level == 5 && s->cap & VTD_CAP_FS5LP;
}

/*
 * In vtd_init(): bits that are reserved in paging entries, by level from 0 on,
 * for the emulation's walks. Amends what four levels have.
 */
#define VTD_RSVD_LEN 6
void vtd_nested_rsvd_init(IntelIOMMUState *s, uint64_t *ss,
                          uint64_t *ss_large, uint64_t *fs,
                          uint64_t *fs_large);

/* At the end of vtd_init(): registers that only nesting has */
void vtd_nested_reset(IntelIOMMUState *s);

int vtd_nested_pre_save(void *opaque);
int vtd_nested_post_load(IntelIOMMUState *s);
/* Empty: that it is there is what it says */
extern const VMStateDescription vmstate_vtd_nested;

/* ---------------------------------------------------------- host devices */

/* PCIIOMMUOps.get_nesting, see include/hw/iommufd.h */
bool vtd_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                            const char *name,
                            const struct IOMMUFDNestedHostInfo *info,
                            struct IOMMUFDNestedParent *parent, Error **errp);

/*
 * For PCIIOMMUOps.(un)set_iommu_device. @handled: nesting takes care of the
 * device, the base is to leave it alone.
 */
bool vtd_nested_set_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 HostIOMMUDevice *hiod, bool *handled,
                                 Error **errp);
bool vtd_nested_unset_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn);

/* PCIIOMMUOps.get_nested_features and .nested_changed */
bool vtd_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                             PCINestedFeatures *features);
void vtd_nested_changed(PCIBus *bus, void *opaque, int devfn);

/* -------------------------------------------------------- guest commands */

/* After translation was switched on or off, or SRTP: all caches are empty */
void vtd_nested_root_changed(IntelIOMMUState *s, uint32_t gsts);

/* After a register-based invalidation */
void vtd_nested_ccmd(IntelIOMMUState *s, uint64_t ccmd);
void vtd_nested_iotlb_reg(IntelIOMMUState *s, uint64_t iotlb);

/*
 * Before the base handles a descriptor of the invalidation queue. Sets @type
 * to VTD_INV_DESC_NESTED_DONE if the base is to skip it, and takes bits from
 * @desc that the base does not know.
 *
 * Return: false: the descriptor is not done. Unless vtd_nested_inv_put_off(),
 * there is an invalidation queue error at s->iq_head, which may have been set
 * back to the first descriptor that no wait descriptor has confirmed.
 */
bool vtd_nested_inv_before(IntelIOMMUState *s, VTDInvDesc *desc,
                           uint8_t *type);

/* The queue goes on at s->iq_head in a bottom half, vtd_fetch_inv_desc() */
bool vtd_nested_inv_put_off(IntelIOMMUState *s);

/* After the base has handled it. Return: false: invalidation queue error */
bool vtd_nested_inv_after(IntelIOMMUState *s, const VTDInvDesc *desc,
                          uint8_t type);

/* At the end of the queue: nothing stays behind, or all is put off */
bool vtd_nested_inv_flush(IntelIOMMUState *s);

/*
 * After a write to FSTS. If an error was cleared, what was blocked for it gets
 * its translation back.
 *
 * Return: whether there are descriptors to go on with.
 */
bool vtd_nested_inv_resume(IntelIOMMUState *s);

#endif
