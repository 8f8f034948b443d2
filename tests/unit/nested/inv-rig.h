/*
 * Invalidations of the nested IOMMU core under test: a few devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef INV_RIG_H
#define INV_RIG_H

#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

/*
 * Entries for these tests: bits 63:32 a first page, bits 31:0 a last one.
 * BARRIER commutes with nothing. TLB() is for the TLB of the device with that
 * label; labels are one more than the number of the device.
 */
#define RANGE(first, last) ((uint64_t)(first) << 32 | (last))
#define ALL RANGE(0, UINT32_MAX)
#define BARRIER RANGE(2, 1)
#define DEVICE_TLB (1ULL << 63)
#define TLB(label, what) (DEVICE_TLB | RANGE(label, what))

#define DEVICES 4

typedef struct InvRig {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev[DEVICES];
    IOMMUFDNestedDevice *dev[DEVICES];
} InvRig;

/* IOMMUFDNestedOps.blocked has been called that often since rig_setup() */
extern unsigned rig_blocked;

/* IOMMUFDNestedOps.relation since it was set to 0 */
extern unsigned rig_compared;

/* IOMMUFDNestedOps.device_tlb_late as well, and with whom */
extern IOMMUFDNestedDevice *rig_late[DEVICES];
extern unsigned rig_num_late;

/* IOMMUFDNestedConfig.inv_piece of the next rig_setup() */
extern uint32_t rig_piece;

/* All devices behind one host instance, or with @hosts each behind its own */
void rig_setup(InvRig *t, uint32_t viommu_type, uint32_t max_batch,
               bool hosts);
/* All devices go; nothing may be left */
void rig_teardown(InvRig *t);

/* Stage 1 with the tables at @root; returns the HWPT, 0: none is attached */
uint32_t rig_bind(InvRig *t, int i, uint32_t pasid, uint64_t root,
                  uint32_t domain, uint32_t index_pasid);
bool rig_inv(InvRig *t, uint32_t domain, uint32_t pasid, uint64_t entry,
             uint64_t cookie, IOMMUFDNestedInvError *fail);
/* Has to work */
void rig_flush(InvRig *t);

/* What was sent since the last call is exactly @num entries for one target */
void rig_expect(uint32_t id, const uint64_t *entries, unsigned num);
/* Invalidation calls since the last time */
unsigned rig_ioctls(void);
/* The next invalidation call does that many entries, with that result */
void rig_script(uint32_t done, int ret);

#endif
