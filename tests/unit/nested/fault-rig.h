/*
 * Page requests and events of the nested IOMMU core under test: one device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef FAULT_RIG_H
#define FAULT_RIG_H

#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

/* fake_answer() */
enum { NO_ANSWER = -1, SUCCESS, INVALID };

/* What the front end was told, and what it says */
typedef struct Front {
    IOMMUFDNestedPageVerdict verdict;
    unsigned groups;
    IOMMUFDNestedPageGroup last;
    IOMMUFDNestedPageRequest last_req;
    unsigned events;
    uint8_t last_event[32];
    uint32_t lost;
    unsigned blocked;
} Front;

extern Front front;

typedef struct FaultRig {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
    int fd;
} FaultRig;

/* One device; nothing is attached yet */
void rig_setup_config(FaultRig *t, const IOMMUFDNestedConfig *config);
/* Its RID and PASID 5 are in stage 1 with page requests; @fd is their queue */
void rig_setup(FaultRig *t, uint32_t max_groups);
/* All goes; nothing may be left, and no memory was used that was freed */
void rig_teardown(FaultRig *t);

void rig_bind(FaultRig *t, uint32_t pasid, uint64_t root, bool page_requests);
/* An answer by itself */
bool rig_respond(FaultRig *t, uint32_t pasid, uint32_t index, bool success);

#endif
