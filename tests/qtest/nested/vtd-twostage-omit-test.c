/*
 * intel-iommu as the IOMMU of an emulated host, host-keep=on: every kind of
 * invalidation that a nested VMM has its host do counts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a VMM and its host kernel do when a guest changes something is done
 * here: once as it has to be, and once for each kind of invalidation without
 * it. Then DMA has to end up where it did before, which is wrong.
 */

#include "qemu/osdep.h"
#include "host-omit.h"
#include "vtd-host.h"

#define OTHER_HPA       (DATA_HPA + 0x1000)
#define OTHER_GPA       (DATA_GPA + 0x1000)
#define PASID           5
#define RING_VA         (8 * GIB + RING_HPA)
#define DONE_VA         (RING_VA + 2048)
#define DONE_HPA        (RING_HPA + 2048)

/* Kinds of invalidations; with them a step is told what to do */
typedef enum Kind {
    PAGES,                      /* IOTLB, pages of a PASID */
    ALL_PAGES,                  /* IOTLB, all of a PASID */
    STAGE2,                     /* IOTLB, pages of a domain */
    ENTRY,                      /* PASID cache */
    CONTEXT,                    /* context cache */
    DEVICE,                     /* device TLB */
    KINDS,
    NONE = KINDS,
} Kind;

static const char *const kind_name[] = {
    "pages", "all-pages", "stage2", "entry", "context", "device",
};

typedef struct Case {
    HostOmitCase base;
    bool ats;                   /* with PASID, else without */
    void (*change)(Host *h, Setup *s);
} Case;

static Setup nested(uint64_t hpa)
{
    return (Setup) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s1_shift = 12,
        .s2_levels = 4, .s2_shift = 12, .hpa = hpa,
        .s1_flags = VTD_S1_USER_RW, .s2_flags = VTD_S2_RW,
    };
}

static void build(Host *h, Setup *s)
{
    host_build(h, s);
    vtd_s1_map(&h->s1_mem, s->s1_root, 4, RING_VA, RING_VA, 4096, 12,
               VTD_S1_USER_RW);
    vtd_s2_map(&h->mem, s->s2_root, 4, RING_VA, RING_HPA, 4096, 12, VTD_S2_RW);
    vtd_s2_map(&h->mem, s->s2_root, 4, OTHER_GPA, OTHER_HPA, 4096, 12,
               VTD_S2_RW);
}

/* The guest maps another page */
static void change_page(Host *h, Setup *s)
{
    vtd_s1_map(&h->s1_mem, s->s1_root, 4, DATA_IOVA, OTHER_GPA, 4096, 12,
               VTD_S1_USER_RW | VTD_S1_A | VTD_S1_D);
}

/* The VMM gives a page of the guest's memory another place */
static void change_memory(Host *h, Setup *s)
{
    vtd_s2_map(&h->mem, s->s2_root, 4, DATA_GPA, OTHER_HPA, 4096, 12,
               VTD_S2_RW);
}

/* The guest gives the PASID, or the device, another table */
static void change_entry(Host *h, Setup *s)
{
    Setup other = *s;

    other.s1_root = vtd_s1_new(&h->s1_mem);
    vtd_s1_map(&h->s1_mem, other.s1_root, 4, DATA_IOVA, OTHER_GPA, 4096, 12,
               VTD_S1_USER_RW);
    vtd_s1_map(&h->s1_mem, other.s1_root, 4, RING_VA, RING_VA, 4096, 12,
               VTD_S1_USER_RW);
    host_set_pasid(h, PASID, &other);
    host_set_pasid(h, 0, &other);
}

/* The device gets another PASID entry for requests without PASID */
static void change_context(Host *h, Setup *s)
{
    Setup other = nested(OTHER_HPA);

    build(h, &other);
    other.did = HOST_DID + 1;
    host_set_pasid(h, 9, &other);
    host_write64(h, vtd_context_entry(&h->tables, HOST_RID) + 8, 9);
}

static const Case cases[] = {
    { { "page", 1 << PAGES }, false, change_page },
    { { "page-ats", 1 << PAGES | 1 << DEVICE }, true, change_page },
    { { "memory", 1 << STAGE2 }, false, change_memory },
    { { "memory-ats", 1 << STAGE2 | 1 << DEVICE }, true, change_memory },
    { { "table", 1 << ENTRY | 1 << ALL_PAGES }, false, change_entry },
    { { "table-ats", 1 << ENTRY | 1 << ALL_PAGES | 1 << DEVICE },
      true, change_entry },
    { { "context", 1 << CONTEXT }, false, change_context },
};

static void invalidate(Host *h, Kind kind, uint32_t pasid)
{
    switch (kind) {
    case PAGES:
        host_invalidate(h, vtd_inv_piotlb(HOST_DID, pasid, DATA_IOVA, 0,
                                          false));
        break;
    case ALL_PAGES:
        host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, pasid));
        break;
    case STAGE2:
        host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_GPA, 0,
                                         false));
        break;
    case ENTRY:
        host_invalidate(h, vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, pasid));
        break;
    case CONTEXT:
        host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
        break;
    case DEVICE:
        host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, pasid, 0, 52));
        break;
    case KINDS:
        g_assert_not_reached();
    }
}

/* Which page DMA to DATA_IOVA ends up in */
static uint64_t written_page(Host *h, bool ats)
{
    static uint64_t pattern = 0x3456789000000000;
    uint64_t pages[] = { DATA_HPA, OTHER_HPA };
    unsigned i;

    qtest_memset(h->qts, DATA_HPA, 0, 8192);
    if (ats) {
        host_write64(h, DONE_HPA, 0);
        engine_fill(h, RING_HPA, DATA_IOVA, 4096, ++pattern, DONE_VA);
        g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    } else {
        g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
    }
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    for (i = 0; i < ARRAY_SIZE(pages); i++) {
        if (host_read64(h, pages[i] + 8)) {
            return pages[i];
        }
    }
    g_assert_not_reached();
}

static void check(const HostOmitCase *base, unsigned omitted)
{
    const Case *c = container_of(base, Case, base);
    Host *h = host_new(",host-keep=on", ",keep-translations=on");
    uint32_t pasid = c->ats ? PASID : 0;
    Setup s = nested(DATA_HPA);
    Kind kind;

    host_start(h, VTD_CTX_DTE | VTD_CTX_PASIDE | VTD_CTX_PRE);
    build(h, &s);
    host_set_pasid(h, PASID, &s);
    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    /* Something to write: the simple block's buffer is not zero from here on */
    qtest_memset(h->qts, DATA_HPA, 0x5a, 4096);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
    if (c->ats) {
        host_enable_sva(h);
        engine_start(h, PASID, RING_VA);
    }
    g_assert_cmphex(written_page(h, c->ats), ==, DATA_HPA);

    c->change(h, &s);
    g_assert_cmphex(written_page(h, c->ats), ==, DATA_HPA);
    for (kind = 0; kind < KINDS; kind++) {
        if (base->kinds & 1 << kind && kind != omitted) {
            invalidate(h, kind, pasid);
        }
    }
    g_assert_cmphex(written_page(h, c->ats), ==,
                    omitted == NONE ? OTHER_HPA : DATA_HPA);
    host_free(h);
}

static const HostOmit omit = {
    .path = "/vtd-twostage/omit",
    .kind_name = kind_name,
    .kinds = KINDS,
    .check = check,
};

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        host_omit_add(&omit, &cases[i].base);
    }
    return g_test_run();
}
