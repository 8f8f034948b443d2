/*
 * Conformance of /dev/iommu: invalidating VT-d stage 1
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * iommufd_hwpt_invalidate() and intel_nested_cache_invalidate_user(): in
 * every outcome entry_num is the number of entries done.
 */

#include <sys/mman.h>
#include "conformance.h"

#define NEEDS (CT_DEV | CT_VTD | CT_NEST)
#define TYPE IOMMU_HWPT_INVALIDATE_DATA_VTD_S1
#define LEN sizeof(struct iommu_hwpt_vtd_s1_invalidate)

static bool open_nested(CtBound *b, uint32_t *ioas, uint32_t *parent,
                        uint32_t *nested)
{
    return ct_bound_parent(b, CT_NEST, ioas, parent) &&
           RET(0, ct_vtd_s1(b->iommufd, b->id, *parent, 0, 0x10000, 0,
                            nested));
}

/* iommufd_hwpt_invalidate(): tests before the object is looked up */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr;
    struct iommu_hwpt_vtd_s1_invalidate e = { .npages = 1 };
    struct iommu_hwpt_invalidate cmd = {
        .size = sizeof(cmd),
        .data_uptr = (uintptr_t)&e,
        .entry_len = LEN,
        .entry_num = 1,
        .__reserved = 1,
    };
    const struct {
        const void *data;
        uint32_t len, nr;
    } bad[] = {
        { NULL, LEN, 1 },
        { &e, 0, 1 },
        { &e, ct_page() + 1, 1 },
        { &e, LEN, CT_INVALIDATE_MAX_ENTRIES + 1 },
    };

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    cmd.hwpt_id = nested;
    RET(-EOPNOTSUPP, ct_ioctl(b.iommufd, IOMMU_HWPT_INVALIDATE, &cmd));
    EQ(0, cmd.entry_num);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        nr = bad[i].nr;
        RET(-EINVAL, ct_invalidate(b.iommufd, CT_NO_ID, TYPE, bad[i].data,
                                   bad[i].len, &nr));
        EQ(0, nr);
    }
    nr = 1;
    RET(-ENOENT, ct_invalidate(b.iommufd, CT_NO_ID, TYPE, &e, LEN, &nr));
    EQ(0, nr);
}

/* Only nested tables and vIOMMUs can be invalidated */
static void wrong_object(void)
{
    CtBound b;
    uint32_t ioas, parent, nested;
    struct iommu_hwpt_vtd_s1_invalidate e = { .npages = 1 };

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        uint32_t ids[] = { ioas, parent, b.id }, nr = 1;

        RET(-EINVAL, ct_invalidate(b.iommufd, ids[i], TYPE, &e, LEN, &nr));
        EQ(0, nr);
    }
}

/* No entries: how user space asks whether a type is supported */
static void probing(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr = 0;

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    RET(0, ct_invalidate(b.iommufd, nested, TYPE, NULL, 0, &nr));
    EQ(0, nr);
    RET(-EINVAL, ct_invalidate(b.iommufd, nested, 1, NULL, 0, &nr));
    RET(-EINVAL, ct_invalidate(b.iommufd, nested, 99, NULL, 0, &nr));
}

/* Every form of a good entry */
static void good(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr;
    struct iommu_hwpt_vtd_s1_invalidate e[] = {
        { 0x1000, 1, 0, 0 },
        { 0x1000, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0 },
        { 0x200000, 512, IOMMU_VTD_INV_FLAGS_LEAF, 0 },
        { 0x7ffffffff000, 1, 0, 0 },
        { 0x3000, 7, 0, 0 },
        { 0, UINT64_MAX, 0, 0 },
        { 0, UINT64_MAX, IOMMU_VTD_INV_FLAGS_LEAF, 0 },
    };

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    /* Attached to nothing, to the RID, and detached again */
    for (unsigned i = 0; i < 3; i++) {
        nr = ARRAY_LEN(e);
        RET(0, ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
        EQ(ARRAY_LEN(e), nr);
        RET(0, i ? ct_detach(&b) : ct_attach(&b, nested));
    }
}

typedef struct BadEntry {
    struct iommu_hwpt_vtd_s1_invalidate e;
    int err;
} BadEntry;

/* The first bad entry ends it; entry_num says which one it was */
static void partial(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr;
    static const BadEntry bad[] = {
        { { 0x1000, 1, 1u << 1, 0 }, -EOPNOTSUPP },
        { { 0x1000, 1, 1u << 31, 0 }, -EOPNOTSUPP },
        { { 0x1000, 1, 0, 1 }, -EOPNOTSUPP },
        { { 0x1001, 1, 0, 0 }, -EINVAL },
        { { 0x1800, 1, 0, 0 }, -EINVAL },
        { { 0x1000, UINT64_MAX, 0, 0 }, -EINVAL },
        /* The flags come first */
        { { 0x1001, 1, 1u << 1, 0 }, -EOPNOTSUPP },
    };

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    RET(0, ct_attach(&b, nested));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct iommu_hwpt_vtd_s1_invalidate e[4] = {
            { 0x1000, 1, 0, 0 }, { 0x2000, 1, 0, 0 },
            { 0x3000, 1, 0, 0 }, { 0x4000, 1, 0, 0 },
        };

        for (unsigned at = 0; at < 4; at++) {
            struct iommu_hwpt_vtd_s1_invalidate keep = e[at];

            e[at] = bad[i].e;
            nr = 4;
            RET(bad[i].err,
                ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
            EQ(at, nr);
            e[at] = keep;
        }
    }
}

/* __iommu_copy_struct_from_user(): neither shorter nor longer */
static void entry_length(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr;
    uint64_t raw[32] = { 0 };
    static const uint32_t lens[] = { 1, 8, 16, 23, 25, 32, 64 };

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        nr = 2;
        RET(-EINVAL, ct_invalidate(b.iommufd, nested, TYPE, raw, lens[i],
                                   &nr));
        EQ(0, nr);
    }
}

/* An array that runs into memory which is not there */
static void unreadable(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr = 4;
    uint64_t page = ct_page();
    uint8_t *mem = ct_mem(2 * page);
    struct iommu_hwpt_vtd_s1_invalidate *e = (void *)(mem + page - 2 * LEN);

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    e[0].npages = e[1].npages = 1;
    OK(!mprotect(mem + page, page, PROT_NONE));
    RET(-EFAULT, ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
    EQ(2, nr);
    nr = 2;
    RET(0, ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
    EQ(2, nr);
}

/* Many at once */
static void many(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, nr = 1024;
    struct iommu_hwpt_vtd_s1_invalidate *e = ct_mem(1024 * LEN);

    if (!open_nested(&b, &ioas, &parent, &nested)) {
        return;
    }
    RET(0, ct_attach(&b, nested));
    for (unsigned i = 0; i < 1024; i++) {
        e[i].addr = i * 0x1000ull;
        e[i].npages = 1;
    }
    RET(0, ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
    EQ(1024, nr);
    e[1000].__reserved = 1;
    RET(-EOPNOTSUPP, ct_invalidate(b.iommufd, nested, TYPE, e, LEN, &nr));
    EQ(1000, nr);
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, NEEDS },
    { "objects that cannot be invalidated", wrong_object, NEEDS },
    { "no entries", probing, NEEDS },
    { "good entries", good, NEEDS },
    { "partial completion", partial, NEEDS },
    { "length of an entry", entry_length, NEEDS },
    { "an array that cannot be read to its end", unreadable, NEEDS },
    { "many entries", many, NEEDS },
};

CT_GROUP(ct_group_inval_vtd, "invalidate-vtd");
