/*
 * The guest of the tiny VMM: an IOMMU driver that maps, binds, invalidates
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nothing here reaches the VMM before guest_sync() (or tv_kick()): until then
 * descriptors or commands only wait in the queue.
 */

#ifndef CHECK_GUEST_H
#define CHECK_GUEST_H

#include "tinyvmm.h"

#define GUEST_MAX_BINDINGS  64

/* An I/O address space of the guest */
typedef struct GuestSpace {
    uint16_t tag;               /* domain id or ASID */
    uint64_t root;              /* VT-d */
    unsigned levels;
    bool sre, wpe;
    SmmuS1 s1;                  /* SMMUv3 */
} GuestSpace;

typedef struct GuestBinding {
    TvDevice *dev;
    uint32_t pasid;             /* TV_NO_PASID: requests without one */
    GuestSpace *space;
} GuestBinding;

typedef struct Guest Guest;

/* Leaf rights */
enum { GUEST_WRITE = 1, GUEST_USER = 2 };

typedef struct GuestOps {
    void (*device)(Guest *g, TvDevice *dev, unsigned variant);
    void (*space)(Guest *g, GuestSpace *space, unsigned variant);
    void (*map)(Guest *g, GuestSpace *space, uint64_t iova, uint64_t gpa,
                uint64_t len, unsigned shift, unsigned rights);
    void (*unmap)(Guest *g, GuestSpace *space, uint64_t iova, uint64_t len);
    void (*protect)(Guest *g, GuestSpace *space, uint64_t iova,
                    unsigned rights);
    uint64_t (*entry)(Guest *g, GuestSpace *space, uint64_t iova,
                      unsigned up, unsigned *shift);
    void (*bind)(Guest *g, TvDevice *dev, uint32_t pasid, GuestSpace *space);
    void (*config)(Guest *g, TvDevice *dev, uint32_t pasid);
    void (*inval)(Guest *g, GuestSpace *space, uint64_t iova, unsigned shift,
                  bool leaf);
    void (*inval_all)(Guest *g, GuestSpace *space);
    void (*inval_device)(Guest *g, TvDevice *dev, uint32_t pasid);
    /*
     * Same contents at another place; the old place and its size, or 0.
     * NULL: of no concern to the host.
     */
    uint64_t (*move_config)(Guest *g, TvDevice *dev, uint32_t pasid,
                            uint64_t *size);
    bool (*sync)(Guest *g);
} GuestOps;

struct Guest {
    const GuestOps *ops;
    TvVm *vm;
    GuestBinding binding[GUEST_MAX_BINDINGS];
    SmmuCdTable cds[TV_MAX_DEVICES];
};

extern const GuestOps guest_vtd_ops, guest_smmuv3_ops;

void guest_init(Guest *g, TvVm *vm);

/* Translation of a device through tables on; nothing is bound yet */
void guest_device(Guest *g, TvDevice *dev, unsigned variant);

/*
 * @variant: VT-d: bit 0 five levels, 1 SRE, 2 WPE;
 * SMMUv3: bits 1:0 granule, 2 small address space
 */
void guest_space(Guest *g, GuestSpace *space, uint16_t tag, unsigned variant);

void guest_map(Guest *g, GuestSpace *space, uint64_t iova, uint64_t gpa,
               uint64_t len, unsigned shift, unsigned rights);
void guest_unmap(Guest *g, GuestSpace *space, uint64_t iova, uint64_t len);
void guest_protect(Guest *g, GuestSpace *space, uint64_t iova,
                   unsigned rights);

/**
 * guest_entry: the table entry that decides about @iova, @up levels above
 * that of the smallest pages, or higher where the walk ends.
 * @shift: set to log2 of what the entry covers
 */
uint64_t guest_entry(Guest *g, GuestSpace *space, uint64_t iova, unsigned up,
                     unsigned *shift);

/**
 * guest_bind: write the PASID entry or CD (cleared when @space is NULL) and
 * queue what makes the hardware take notice of it.
 */
void guest_bind(Guest *g, TvDevice *dev, uint32_t pasid, GuestSpace *space);

/* Queue the invalidation of 2^@shift bytes, for all bindings of @space */
void guest_inval(Guest *g, GuestSpace *space, uint64_t iova, unsigned shift,
                 bool leaf);
void guest_inval_all(Guest *g, GuestSpace *space);

/* Run the queue; false when the guest does not see completion */
bool guest_sync(Guest *g);

/* Is some binding of @space to this device and PASID there? */
GuestBinding *guest_bound(Guest *g, const TvDevice *dev, uint32_t pasid);

#endif
