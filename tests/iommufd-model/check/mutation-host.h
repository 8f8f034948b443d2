/*
 * Mistakes about the host: a consumer that makes one, and one that does not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mistakes in tinyvmm.h lie in what a VMM does with the guest's commands.
 * Those here lie in what it believes of hardware and kernel: each has a small
 * scenario of its own.
 */

#ifndef CHECK_MUTATION_HOST_H
#define CHECK_MUTATION_HOST_H

#include "guest.h"

#define HM_IOVA     0x40000000ULL
#define HM_PASID    5
#define HM_PASID2   6

/* Devices of the configuration, see config[] */
enum {
    HM_PLAIN = 1 << 0,
    HM_LOGS = 1 << 1,           /* keeps a log of its writes, has BAR 4 */
    HM_GROUP = 1 << 2,          /* two of one group */
    HM_FEW_IDS = 1 << 3,        /* VT-d: few domain ids */
};

typedef struct HmCase {
    bool bug;
    TvVm *vm;
    Guest guest;
    TvDevice *dev;              /* the first */
    GuestSpace one, two;        /* HM_IOVA leads to page 1, and to page 3 */
} HmCase;

typedef struct HmMistake {
    const char *name;
    unsigned devices;
    uint32_t parent_flags;
    /* Returns: is something wrong for the guest? */
    bool (*run)(HmCase *c);
} HmMistake;

extern const HmMistake hm_vtd_mistakes[], hm_smmuv3_mistakes[];

/* Mistakes that can be made with either IOMMU */
bool hm_bar_off(HmCase *c);
bool hm_bar_as_ram(HmCase *c);
bool hm_balloon(HmCase *c);
bool hm_locked_twice(HmCase *c);

/* The page that a read ends at, or -1: it faults */
int hm_page(HmCase *c, TvDevice *dev, uint32_t pasid, uint64_t iova,
            bool ats);
void hm_fill(HmCase *c, GuestSpace *space, uint64_t iova, unsigned page);
void hm_write(HmCase *c, uint32_t pasid, uint64_t iova);
void hm_bind(HmCase *c, uint32_t pasid, GuestSpace *space);
void hm_bus_master_on(TvDevice *dev);
/* Does vector 0 of the device reach its eventfd? @ret: of SET_IRQS */
bool hm_msi(HmCase *c, int *ret);
void hm_reset(HmCase *c);
int hm_dirty_set(HmCase *c, uint32_t hwpt);
/* Is the page at @gpa dirty?  Not known if the bits go to @bitmap instead. */
bool hm_dirty(HmCase *c, uint32_t hwpt, uint64_t gpa, void *bitmap);
/* Feature @feature of the device, set or (@get) read */
int hm_feature(HmCase *c, uint32_t feature, bool get, void *arg, size_t len);
/* Uses of freed memory in the host's kernel up to now */
unsigned hm_uses_after_free(void);

#endif
