/*
 * intel-iommu as the IOMMU of an emulated host: the walks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests without PASID of an endpoint without ATS; fault conditions are
 * those of the VT-d specification, section 7.1.3.
 */

#include "qemu/osdep.h"
#include "vtd-host.h"

/* ------------------------------------------------------- capabilities */

static uint64_t read_ecap(const char *properties, uint64_t *cap)
{
    QTestState *qts = qtest_initf("-M q35 -nodefaults -display none "
                                  "-device intel-iommu%s", properties);
    uint64_t ecap = qtest_readq(qts, 0xfed90000 + VTD_REG_ECAP);

    if (cap) {
        *cap = qtest_readq(qts, 0xfed90000 + VTD_REG_CAP);
    }
    qtest_quit(qts);
    return ecap;
}

#define HOST ",host-nesting=on,x-scalable-mode=on"

static void test_capabilities(void)
{
    const uint64_t nest = 1ULL << 26, prs = 1ULL << 29, srs = 1ULL << 31;
    const uint64_t eafs = 1ULL << 34, pasid = 1ULL << 40, pds = 1ULL << 42;
    const uint64_t smts = 1ULL << 43, ssads = 1ULL << 45, s2 = 1ULL << 46;
    const uint64_t s1 = 1ULL << 47, smpwc = 1ULL << 48;
    uint64_t ecap, cap;

    /* Nothing of it without the property: what the base has always said */
    g_assert_cmphex(read_ecap("", NULL), ==, 0xf00f4a);
    g_assert_cmphex(read_ecap(",x-scalable-mode=on", NULL) &
                    (nest | prs | pds | ssads | s1 | smpwc | eafs), ==, 0);

    ecap = read_ecap(HOST ",x-pasid-mode=on,device-iotlb=on", &cap);
    g_assert_cmphex(ecap & (nest | prs | pds | srs | eafs | pasid | smts |
                            ssads | s1 | s2 | smpwc), ==,
                    nest | prs | pds | srs | eafs | pasid | smts | ssads |
                    s1 | s2 | smpwc);
    g_assert_cmphex(ecap >> 35 & 0x1f, ==, 19);
    g_assert_cmphex(cap >> 56 & 1, ==, 1);
    g_assert_cmphex(cap >> 60 & 1, ==, 0);

    /* One at a time */
    g_assert_cmphex(read_ecap(HOST ",host-smpwc=off", NULL) & smpwc, ==, 0);
    g_assert_cmphex(read_ecap(HOST ",host-ssads=off", NULL) & ssads, ==, 0);
    g_assert_cmphex(read_ecap(HOST ",host-srs=off", NULL) & srs, ==, 0);
    g_assert_cmphex(read_ecap(HOST, NULL) & 1 << 7, ==, 1 << 7);
    g_assert_cmphex(read_ecap(HOST ",host-sc=off", NULL) & 1 << 7, ==, 0);
    g_assert_cmphex(read_ecap(HOST ",host-eafs=off", NULL) & eafs, ==, 0);
    g_assert_cmphex(read_ecap(HOST, NULL) & (prs | pds | pasid), ==, 0);
    g_assert_cmphex(read_ecap(HOST ",device-iotlb=on,host-pri=off", NULL) &
                    (prs | pds), ==, 0);
    ecap = read_ecap(HOST ",x-pasid-mode=on,host-pasid-bits=9,"
                     "host-fs5lp=on,fs1gp=off,aw-bits=57", &cap);
    g_assert_cmphex(ecap >> 35 & 0x1f, ==, 8);
    g_assert_cmphex(cap >> 56 & 1, ==, 0);
    g_assert_cmphex(cap >> 60 & 1, ==, 1);
    g_assert_cmphex(cap >> 8 & 0x1f, ==, 0xe);
}

/* --------------------------------------------------------- the machine */

static Host *host;

/* Every level that the tables can have, 1 GiB pages everywhere */
static Host *the_host(void)
{
    if (!host) {
        host = host_new(",aw-bits=57,host-fs5lp=on,pt=on", "");
        host_start(host, VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE);
    }
    host_recycle(host);
    return host;
}

static Setup nested(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s1_shift = 12,
        .s2_levels = 4, .s2_shift = 12,
        .s1_flags = VTD_S1_USER_RW, .s2_flags = VTD_S2_RW,
    };
}

/* --------------------------------------------------- sizes and levels */

static const unsigned page_shifts[] = { 12, 21, 30 };

static void test_sizes_nested(void)
{
    Host *h = the_host();
    unsigned s1, s2, i, j;

    for (s1 = 4; s1 <= 5; s1++) {
        for (s2 = 3; s2 <= 5; s2++) {
            for (i = 0; i < ARRAY_SIZE(page_shifts); i++) {
                for (j = 0; j < ARRAY_SIZE(page_shifts); j++) {
                    Setup s = nested();

                    host_recycle(h);
                    s.s1_levels = s1;
                    s.s2_levels = s2;
                    s.s1_shift = page_shifts[i];
                    s.s2_shift = page_shifts[j];
                    host_setup(h, 0, &s);
                    host_check_dma(h, DATA_IOVA, DATA_HPA);
                }
            }
        }
    }
}

static void test_sizes_single(void)
{
    Host *h = the_host();
    unsigned levels, i;

    for (i = 0; i < ARRAY_SIZE(page_shifts); i++) {
        for (levels = 4; levels <= 5; levels++) {
            Setup s = nested();

            s.pgtt = VTD_PGTT_FIRST;
            s.s1_levels = levels;
            s.s1_shift = page_shifts[i];
            s.s2_levels = 0;
            host_setup(h, 0, &s);
            host_check_dma(h, DATA_IOVA, DATA_HPA);
        }
        for (levels = 3; levels <= 5; levels++) {
            Setup s = nested();

            s.pgtt = VTD_PGTT_SECOND;
            s.s2_levels = levels;
            s.s2_shift = page_shifts[i];
            host_setup(h, 0, &s);
            host_check_dma(h, DATA_IOVA, DATA_HPA);
        }
    }
}

static void test_pass_through(void)
{
    Host *h = the_host();
    Setup s = { .pgtt = VTD_PGTT_PASSTHROUGH, .s2_levels = 4 };

    host_setup(h, 0, &s);
    host_check_dma(h, DATA_HPA, DATA_HPA);
    host_check_fault(h, 1ULL << 58, false, 0x83);
}

/* Each PASID entry has a type of its own; which one counts is RID_PASID's */
static void test_type_per_entry(void)
{
    Host *h = the_host();
    Setup s = nested(), pt = { .pgtt = VTD_PGTT_PASSTHROUGH, .s2_levels = 4 };
    uint64_t ctx;

    host_setup(h, 3, &pt);
    host_setup(h, 0, &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);

    ctx = vtd_context_entry(&h->tables, HOST_RID);
    host_write64(h, ctx + 8, 3);
    host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
    host_check_dma(h, DATA_HPA, DATA_HPA);

    host_write64(h, ctx + 8, 0);
    host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
    host_check_dma(h, DATA_IOVA, DATA_HPA);
}

/* -------------------------------------------------------- permissions */

static const struct {
    uint64_t s1, s2;
    unsigned read, write;       /* fault conditions, 0: allowed */
} permissions[] = {
    { VTD_S1_USER_RW, VTD_S2_RW, 0, 0 },
    { VTD_S1_USER_RO, VTD_S2_RW, 0, 0x85 },
    { VTD_S1_USER_RW, VTD_S2_R, 0, 0x85 },
    { VTD_S1_USER_RW, VTD_S2_W, 0x86, 0 },
    { VTD_S1_USER_RO, VTD_S2_W, 0x86, 0x85 },
    { VTD_S1_P | VTD_S1_RW, VTD_S2_RW, 0x81, 0x81 },
    { VTD_S1_USER_RW & ~VTD_S1_P, VTD_S2_RW, 0x71, 0x71 },
    { VTD_S1_USER_RW, 0, 0x79, 0x79 },
};

static void check_access(Host *h, bool write, unsigned reason)
{
    if (reason) {
        host_check_fault(h, DATA_IOVA, write, reason);
    } else {
        g_assert_cmphex(host_dma(h, DATA_IOVA, write), ==, SVA_CODE_OK);
        g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    }
}

static void test_permissions(void)
{
    Host *h = the_host();
    unsigned i, j, order;

    for (i = 0; i < ARRAY_SIZE(permissions); i++) {
        for (j = 0; j < ARRAY_SIZE(page_shifts); j++) {
            for (order = 0; order < 2; order++) {
                Setup s = nested();

                host_recycle(h);
                s.s1_flags = permissions[i].s1;
                s.s2_flags = permissions[i].s2;
                s.s1_shift = s.s2_shift = page_shifts[j];
                host_setup(h, 0, &s);
                /* What one leaves in the caches must not help the other */
                check_access(h, order, order ? permissions[i].write :
                                               permissions[i].read);
                check_access(h, !order, order ? permissions[i].read :
                                                permissions[i].write);
            }
        }
    }
}

/* Write permission is asked of every level, not of the leaf alone */
static void test_permissions_tables(void)
{
    Host *h = the_host();
    unsigned stop, level;

    for (stop = 2; stop <= 4; stop++) {
        Setup s = nested();
        uint64_t slot, entry;

        host_setup(h, 0, &s);
        slot = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, stop, &level);
        entry = iommu_mem_read64(&h->s1_mem, slot);
        iommu_mem_write64(&h->s1_mem, slot, entry & ~VTD_S1_RW);
        host_invalidate_all(h);
        check_access(h, true, 0x85);
        check_access(h, false, 0);
        iommu_mem_write64(&h->s1_mem, slot, entry & ~VTD_S1_US);
        host_invalidate_all(h);
        check_access(h, false, 0x81);

        iommu_mem_write64(&h->s1_mem, slot, entry);
        slot = vtd_s2_entry(&h->mem, s.s2_root, 4, DATA_GPA, stop);
        entry = host_read64(h, slot);
        host_write64(h, slot, entry & ~VTD_S2_W);
        host_invalidate_all(h);
        /* On the topmost one the tables of stage 1 hang as well */
        check_access(h, true, stop > 3 ? 0x77 : 0x85);
    }
}

/* ------------------------------------------------- what is not there */

static void test_not_present(void)
{
    Host *h = the_host();
    unsigned levels, stop, level;

    for (levels = 4; levels <= 5; levels++) {
        for (stop = 1; stop <= levels; stop++) {
            Setup s = nested();
            uint64_t slot, entry;

            s.s1_levels = s.s2_levels = levels;
            host_setup(h, 0, &s);
            host_check_dma(h, DATA_IOVA, DATA_HPA);

            slot = vtd_s1_entry(&h->s1_mem, s.s1_root, levels, DATA_IOVA,
                                stop, &level);
            entry = iommu_mem_read64(&h->s1_mem, slot);
            iommu_mem_write64(&h->s1_mem, slot, entry & ~VTD_S1_P);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, false, 0x71);
            host_check_fault(h, DATA_IOVA, true, 0x71);
            iommu_mem_write64(&h->s1_mem, slot, entry);

            /* Above 1 GiB the tables of stage 1 hang on the same entry */
            slot = vtd_s2_entry(&h->mem, s.s2_root, levels, DATA_GPA, stop);
            entry = host_read64(h, slot);
            host_write64(h, slot, entry & ~VTD_S2_RW);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, false, stop > 3 ? 0x75 : 0x79);
            host_write64(h, slot, entry);
            host_invalidate_all(h);
            host_check_dma(h, DATA_IOVA, DATA_HPA);
        }
    }
}

/* The pages of the stage-1 tables themselves, seen by stage 2 */
static void test_table_pages(void)
{
    Host *h = the_host();
    unsigned levels, stop, level;

    for (levels = 4; levels <= 5; levels++) {
        for (stop = 1; stop <= levels; stop++) {
            Setup s = nested();
            uint64_t slot, leaf, entry, s1_entry;

            s.s1_levels = levels;
            host_setup(h, 0, &s);
            slot = vtd_s1_entry(&h->s1_mem, s.s1_root, levels, DATA_IOVA,
                                stop, &level);
            leaf = vtd_s2_entry(&h->mem, s.s2_root, 4, slot, 1);
            entry = host_read64(h, leaf);

            /* Not there, and there but not to be read */
            host_write64(h, leaf, 0);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, false, stop == levels ? 0x75 : 0x76);
            host_write64(h, leaf, entry & ~VTD_S2_R);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, true, stop == levels ? 0x75 : 0x76);

            /* Read-only: no accessed bit can be set ... */
            host_write64(h, leaf, entry & ~VTD_S2_W);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, false, 0x77);

            /* ... which does not matter when it is there already */
            s1_entry = iommu_mem_read64(&h->s1_mem, slot);
            iommu_mem_write64(&h->s1_mem, slot, s1_entry | VTD_S1_A);
            host_invalidate_all(h);
            g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
            g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
            if (stop == 1) {
                host_check_fault(h, DATA_IOVA, true, 0x77);
            } else {
                g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
            }

            /* A reserved bit in stage 2 is stage 2's fault wherever it is */
            host_write64(h, leaf, entry | 1ULL << 62);
            host_invalidate_all(h);
            host_check_fault(h, DATA_IOVA, false, 0x7a);
        }
    }
}

/* ----------------------------------------------- ranges and reserved */

static void test_canonical(void)
{
    static const struct {
        unsigned levels;
        uint64_t iova;
        bool good;
    } cases[] = {
        { 4, 0x00007ffffffff000, true }, { 4, 0xffff800000000000, true },
        { 4, 0x0000800000000000, false }, { 4, 0xffff7ffffffff000, false },
        { 4, 0x8000000000000000, false },
        { 5, 0x00fffffffffff000, true }, { 5, 0xff00000000000000, true },
        { 5, 0x0000800000000000, true },
        { 5, 0x0100000000000000, false }, { 5, 0xfefffffffffff000, false },
    };
    Host *h = the_host();
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        Setup s = nested();

        s.s1_levels = cases[i].levels;
        s.iova = cases[i].iova;
        host_setup(h, 0, &s);
        if (cases[i].good) {
            host_check_dma(h, cases[i].iova, DATA_HPA);
        } else {
            host_check_fault(h, cases[i].iova, false, 0x80);
        }
    }
}

static void test_beyond(void)
{
    Host *h = the_host();
    Setup s = nested();
    uint64_t slot, entry;
    unsigned level;

    /* Stage 2 of 39 bits: the final address, then that of a table */
    s.s2_levels = 3;
    s.gpa = 1ULL << 40;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x84);

    s = nested();
    s.s2_levels = 3;
    host_setup(h, 0, &s);
    slot = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 3, &level);
    entry = iommu_mem_read64(&h->s1_mem, slot);
    iommu_mem_write64(&h->s1_mem, slot, entry | 1ULL << 40);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x74);

    s = nested();
    s.pgtt = VTD_PGTT_SECOND;
    s.s2_levels = 3;
    host_setup(h, 0, &s);
    host_check_fault(h, 1ULL << 39, false, 0x83);
}

static void test_reserved(void)
{
    Host *h = the_host();
    Setup s = nested();
    uint64_t slot, entry;
    unsigned level;

    /* Bits below the page number of a 2 MiB page, and PS where no page is */
    s.s1_shift = s.s2_shift = 21;
    host_setup(h, 0, &s);
    slot = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 1, &level);
    g_assert_cmpuint(level, ==, 2);
    entry = iommu_mem_read64(&h->s1_mem, slot);
    iommu_mem_write64(&h->s1_mem, slot, entry | 1 << 13);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x72);
    iommu_mem_write64(&h->s1_mem, slot, entry);

    slot = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 4, &level);
    entry = iommu_mem_read64(&h->s1_mem, slot);
    iommu_mem_write64(&h->s1_mem, slot, entry | VTD_S1_PS);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x72);
    iommu_mem_write64(&h->s1_mem, slot, entry);

    slot = vtd_s2_entry(&h->mem, s.s2_root, 4, DATA_GPA, 1);
    entry = host_read64(h, slot);
    host_write64(h, slot, entry | 1 << 13);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x7a);
}

/* No memory behind the tables */
static void test_table_access(void)
{
    const uint64_t hole = 0xc0000000;
    Host *h = the_host();
    Setup s = nested();
    uint64_t slot, leaf;
    unsigned level;

    host_setup(h, 0, &s);
    slot = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 1, &level);
    leaf = vtd_s2_entry(&h->mem, s.s2_root, 4, slot, 1);
    host_write64(h, leaf, hole | VTD_S2_RW);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x70);

    s = nested();
    host_setup(h, 0, &s);
    slot = vtd_s2_entry(&h->mem, s.s2_root, 4, DATA_GPA, 2);
    host_write64(h, slot, hole | VTD_S2_RW);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x78);

    s.s2_root = hole;
    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x7b);

    s = nested();
    s.pgtt = VTD_PGTT_FIRST;
    s.s2_levels = 0;
    s.s1_root = hole;
    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x73);
}

static void test_interrupt_range(void)
{
    static const VtdPgtt types[] = {
        VTD_PGTT_FIRST, VTD_PGTT_SECOND, VTD_PGTT_NESTED,
    };
    Host *h = the_host();
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        Setup s = nested();

        s.pgtt = types[i];
        s.hpa = 0xfee00000;
        host_setup(h, 0, &s);
        host_check_fault(h, DATA_IOVA, true, 0x87);
        host_check_fault(h, DATA_IOVA, false, 0x87);
    }
}

/* Memory in the same 1 GiB page as the interrupt range is still memory */
static void test_interrupt_neighbour(void)
{
    Host *h = the_host();
    Setup s = nested();
    uint64_t lo, hi;

    s.s1_shift = s.s2_shift = 30;
    s.iova = 5 * GIB;
    s.gpa = 2 * GIB;
    s.hpa = 3 * GIB;
    host_setup(h, 0, &s);
    /* 0xc0000000 is nobody's: the bus refuses it, the IOMMU does not */
    g_assert_cmphex(host_dma(h, 5 * GIB, false), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    g_assert_cmphex(host_dma(h, 5 * GIB + 0x3ee00000, false), !=, SVA_CODE_OK);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, 0x87);
}

/* ------------------------------------------------ accessed and dirty */

static uint64_t s1_flags_at(Host *h, const Setup *s, unsigned stop)
{
    const IommuMem *mem = host_s1_mem(h, s);
    unsigned level;
    uint64_t slot = vtd_s1_entry(mem, s->s1_root, s->s1_levels, DATA_IOVA,
                                 stop, &level);

    return iommu_mem_read64(mem, slot) & (VTD_S1_A | VTD_S1_D | 1 << 10);
}

static void check_s1_ad(Host *h, const Setup *s, bool written)
{
    unsigned leaf = (s->s1_shift - 12) / 9 + 1, level;
    uint64_t accessed = VTD_S1_A | (s->eafe ? 1 << 10 : 0);

    for (level = leaf; level <= s->s1_levels; level++) {
        g_assert_cmphex(s1_flags_at(h, s, level), ==,
                        accessed | (level == leaf && written ? VTD_S1_D : 0));
    }
}

static void test_dirty_stage1(void)
{
    Host *h = the_host();
    unsigned i, kind, eafe;

    for (kind = 0; kind < 2; kind++) {
        for (i = 0; i < ARRAY_SIZE(page_shifts); i++) {
            for (eafe = 0; eafe < 2; eafe++) {
                Setup s = nested();

                s.pgtt = kind ? VTD_PGTT_NESTED : VTD_PGTT_FIRST;
                s.s1_shift = page_shifts[i];
                s.eafe = eafe;
                host_setup(h, 0, &s);
                g_assert_cmphex(s1_flags_at(h, &s, 1), ==, 0);
                g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==,
                                SVA_CODE_OK);
                check_s1_ad(h, &s, false);
                /* From the cache it would not get its dirty bit */
                g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
                check_s1_ad(h, &s, true);
            }
        }
    }
}

/* A write that stage 2 refuses leaves no dirty bit in stage 1 */
static void test_dirty_refused(void)
{
    Host *h = the_host();
    Setup s = nested();

    s.s2_flags = VTD_S2_R;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, true, 0x85);
    g_assert_cmphex(s1_flags_at(h, &s, 1) & VTD_S1_D, ==, 0);
}

static uint64_t s2_flags_at(Host *h, const Setup *s, uint64_t gpa,
                            unsigned level)
{
    return host_read64(h, vtd_s2_entry(&h->mem, s->s2_root, s->s2_levels, gpa,
                                       level)) & (VTD_S2_A | VTD_S2_D);
}

static void test_dirty_stage2(void)
{
    Host *h = the_host();
    unsigned i, kind, level;
    Setup s;

    for (kind = 0; kind < 2; kind++) {
        for (i = 0; i < ARRAY_SIZE(page_shifts); i++) {
            unsigned leaf = (page_shifts[i] - 12) / 9 + 1;
            uint64_t gpa = kind ? DATA_GPA : DATA_IOVA;

            s = nested();
            s.pgtt = kind ? VTD_PGTT_NESTED : VTD_PGTT_SECOND;
            s.s2_shift = page_shifts[i];
            s.ssade = true;
            host_setup(h, 0, &s);
            g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
            for (level = leaf; level <= 4; level++) {
                g_assert_cmphex(s2_flags_at(h, &s, gpa, level), ==, VTD_S2_A);
            }
            g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
            g_assert_cmphex(s2_flags_at(h, &s, gpa, leaf), ==,
                            VTD_S2_A | VTD_S2_D);
            if (kind) {
                /* Setting bits in stage 1 is writing to its pages */
                g_assert_cmphex(s2_flags_at(h, &s, s.s1_root, 1), ==,
                                VTD_S2_A | VTD_S2_D);
            }
        }
    }
    /* Not asked for, not done */
    s = nested();
    host_setup(h, 0, &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    g_assert_cmphex(s2_flags_at(h, &s, DATA_GPA, 1), ==, 0);
}

/* ----------------------------- root, context and PASID table entries */

static void test_entries(void)
{
    Host *h = the_host();
    Setup s = nested();
    uint64_t ctx, pe, dir, word, root = h->tables.root;

    host_setup(h, 0, &s);
    ctx = vtd_context_entry(&h->tables, HOST_RID);
    pe = vtd_pasid_entry(&h->tables, HOST_RID, 0);
    dir = host_read64(h, ctx) & ~0xfffULL;

    const struct {
        uint64_t addr, clear, set;
        unsigned reason;
    } cases[] = {
        { root, 1, 0, 0x39 },
        { root, 0, 1 << 4, 0x3a },
        { root, ~0xfffULL, 0xc0000000, 0x40 },
        { ctx, 1, 0, 0x41 },
        { ctx, 0, 1 << 6, 0x42 },
        { ctx + 16, 0, 1, 0x42 },
        { ctx + 8, 0, 0xfffff, 0x51 },
        { ctx, ~0xfffULL, 0xc0000000, 0x50 },
        { dir, 1, 0, 0x51 },
        { dir, 0, 1 << 4, 0x52 },
        { dir, ~0xfffULL, 0xc0000000, 0x58 },
        { pe, 1, 0, 0x59 },
        { pe, 0, 1 << 10, 0x5a },
        { pe, 7 << 6, 0, 0x5b },
        { pe, 7 << 6, 5 << 6, 0x5b },
        { pe, 7 << 2, 4 << 2, 0x5b },
        { pe + 16, 3 << 2, 2 << 2, 0x5b },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        word = host_read64(h, cases[i].addr);
        host_write64(h, cases[i].addr,
                     (word & ~cases[i].clear) | cases[i].set);
        host_invalidate_all(h);
        host_check_fault(h, DATA_IOVA, false, cases[i].reason);
        host_write64(h, cases[i].addr, word);
        host_invalidate_all(h);
    }

    /* A directory of 128 entries does not reach PASID 8192 */
    word = host_read64(h, ctx);
    host_write64(h, ctx, word & ~(7ULL << 9));
    host_write64(h, ctx + 8, 8192);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, false, 0x48);
    host_write64(h, ctx, word);
    host_write64(h, ctx + 8, 0);
    host_invalidate_all(h);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
}

/* Fault processing disabled: in the context, directory and PASID entry */
static void test_fault_disable(void)
{
    Host *h = the_host();
    Setup s = nested();
    uint64_t where[3], word;
    unsigned i;

    s.s1_flags = 0;
    host_setup(h, 0, &s);
    where[0] = vtd_context_entry(&h->tables, HOST_RID);
    where[1] = host_read64(h, where[0]) & ~0xfffULL;
    where[2] = vtd_pasid_entry(&h->tables, HOST_RID, 0);

    for (i = 0; i < ARRAY_SIZE(where); i++) {
        word = host_read64(h, where[i]);
        host_write64(h, where[i], word | 1 << 1);
        host_invalidate_all(h);
        g_assert_cmphex(host_dma(h, DATA_IOVA, false), !=, SVA_CODE_OK);
        g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
        host_write64(h, where[i], word);
        host_invalidate_all(h);
        host_check_fault(h, DATA_IOVA, false, 0x71);
    }

    /* Linux parks a dying PASID like this: not present, faults off */
    word = host_read64(h, where[2]);
    host_write64(h, where[2], 1 << 1);
    host_invalidate_all(h);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), !=, SVA_CODE_OK);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    host_write64(h, where[2], word);
}

/* Without the properties their features are errors in a PASID entry */
static void test_features_off(void)
{
    Host *h = host_new(",host-ssads=off,host-eafs=off,host-srs=off,"
                       "fs1gp=off,pt=off", "");
    Setup s;

    host_start(h, VTD_CTX_PASIDE);
    s = nested();
    host_setup(h, 0, &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);

    s.ssade = true;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    s = nested();
    s.eafe = true;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    s = nested();
    s.sre = true;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    s = nested();
    s.s1_levels = 5;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    s = nested();
    s.s2_levels = 5;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    s = nested();
    s.s1_shift = 30;
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x72);
    s = (Setup) { .pgtt = VTD_PGTT_PASSTHROUGH, .s2_levels = 4 };
    host_setup(h, 0, &s);
    host_check_fault(h, DATA_IOVA, false, 0x5b);
    host_free(h);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = {
        { "capabilities", test_capabilities },
        { "sizes/nested", test_sizes_nested },
        { "sizes/single-stage", test_sizes_single },
        { "pass-through", test_pass_through },
        { "type-per-entry", test_type_per_entry },
        { "permissions/leaf", test_permissions },
        { "permissions/tables", test_permissions_tables },
        { "not-present", test_not_present },
        { "table-pages", test_table_pages },
        { "canonical", test_canonical },
        { "beyond", test_beyond },
        { "reserved", test_reserved },
        { "table-access", test_table_access },
        { "interrupt-range", test_interrupt_range },
        { "interrupt-neighbour", test_interrupt_neighbour },
        { "dirty/stage-1", test_dirty_stage1 },
        { "dirty/refused", test_dirty_refused },
        { "dirty/stage-2", test_dirty_stage2 },
        { "entries", test_entries },
        { "fault-disable", test_fault_disable },
        { "features-off", test_features_off },
    };
    unsigned i;
    int ret;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-twostage/%s",
                                                tests[i].name);

        qtest_add_func(path, tests[i].fn);
    }
    ret = g_test_run();
    g_clear_pointer(&host, host_free);
    return ret;
}
