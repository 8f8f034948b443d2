/*
 * VT-d nesting: what requests without PASID see
 *
 * The guest's tables and commands are written here, DMA is made by the
 * modelled device, whose caches forget nothing by themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-rig.h"

#define IOVA 0x4000000000ULL

/* Fault reasons (7.1.3) */
#define FR_CONTEXT_INVALID      0x03
#define FR_ROOT_RSVD            0x0a
#define FR_SM_CONTEXT_RSVD      0x42
#define FR_SM_RID_PASID         0x48
#define FR_PASID_DIR_RSVD       0x52
#define FR_PASID_RSVD           0x5a
#define FR_PASID_INVALID        0x5b

/* PASID-table entry, third quadword */
#define PE_NXE                  (1ULL << 5)

static void expect_blocked(VtdRig *r, const char *dev)
{
    iommufd_model_expect_fault(r->m, dev, NULL, IOVA, false, 0, "blocked");
    iommufd_model_expect_fault(r->m, dev, NULL, DATA, true, 0, "blocked");
}

/* Without translation a device has guest-physical memory */
static void test_off(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 64);
    vtd_rig_enable(&r);
    expect_blocked(&r, HOST_DEV0);
    vtd_rig_translation(&r, false);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 64);
    vtd_rig_stop(&r);
}

static void test_first_stage(void)
{
    const uint8_t text[] = "written through both stages";
    char back[sizeof(text)];
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA, text, sizeof(text));
    qtest_memread(r.qts, DATA + 4096, back, sizeof(back));
    g_assert_cmpmem(back, sizeof(back), text, sizeof(text));
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + 4096, false, 1,
                               "not-present");
    g_assert_cmpuint(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

static void test_pass_through(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 0, 0x77);
    vtd_rig_pass_through(&r, RID0, 3);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x77, 64);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_stop(&r);
}

/* New tables for a device replace the old ones in one call */
static void test_replace(void)
{
    uint64_t detaches;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    detaches = iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls");

    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = 6, .s1 = vtd_rig_s1(&r, IOVA, 2),
        .s1_levels = 4,
    });
    /* Not told yet: the cache still has the old entry */
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    vtd_rig_inv_pasid(&r, 6, 0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 64);
    g_assert_cmpuint(iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls"),
                     ==, detaches);
    /* The old stage-1 HWPT is gone */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 2);
    vtd_rig_stop(&r);
}

/* Said again without a change: nothing is asked of the host */
static void test_unchanged(void)
{
    uint64_t attaches;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    attaches = iommufd_model_counter(r.m, "ATTACH_IOMMUFD_PT", "calls");
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_DOMAIN, 5, 0));
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_NARROW, 5, RID0));
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_DOMAIN, 5, 0));
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_PASID, 5, 0));
    vtd_rig_sync(&r);
    g_assert_cmpuint(iommufd_model_counter(r.m, "ATTACH_IOMMUFD_PT", "calls"),
                     ==, attaches);
    g_assert_cmpuint(iommufd_model_counter(r.m, "HWPT_INVALIDATE", "calls"),
                     ==, 0);
    vtd_rig_stop(&r);
}

/* Each kind of command leads to the new entry */
static void test_granularity(void)
{
    const VtdDesc command[] = {
        vtd_inv_context(VTD_INV_GLOBAL, 0, 0),
        vtd_inv_context(VTD_INV_DOMAIN, 5, 0),
        vtd_inv_context(VTD_INV_NARROW, 5, RID0),
        vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0),
        vtd_inv_pasid_cache(VTD_PC_DOMAIN, 5, 0),
        vtd_inv_pasid_cache(VTD_PC_PASID, 5, 0),
    };
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_context_scalable(&r.t, RID0, 7, 0, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(command); i++) {
        vtd_rig_fill(&r, i, 0x30 + i);
        vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = 5, .s1_levels = 4,
            .s1 = vtd_rig_s1(&r, IOVA, i),
        });
        vtd_queue_push(&r.q, command[i]);
        vtd_rig_sync(&r);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x30 + i, 64);
    }
    vtd_rig_stop(&r);
}

static void invalidate_function(VtdRig *r, bool by_queue, uint16_t sid,
                                unsigned fm)
{
    VtdDesc desc = vtd_inv_context(VTD_INV_NARROW, 5, sid);

    if (by_queue) {
        desc.qw[0] |= (uint64_t)fm << 48;
        vtd_queue_push(&r->q, desc);
        vtd_rig_sync(r);
    } else {
        /* ICC, device */
        r->regs.write64(r->regs.opaque, 0x28,
                        7ULL << 61 | (uint64_t)fm << 32 | sid << 16);
    }
}

/*
 * A command for one function reaches those whose number differs from it in the
 * bits that FM names (6.5.2.1), by the queue and by CCMD_REG, and no others
 */
static void test_function_mask(void)
{
    static const struct {
        uint16_t sid;
        unsigned fm;
        bool reached;
    } command[] = {
        { RID0, 0, true },
        { RID0 + 1, 0, false }, { RID0 + 4, 0, false },
        { RID0 + 4, 1, true },
        { RID0 + 1, 1, false }, { RID0 + 2, 1, false },
        { RID0 + 6, 2, true },
        { RID0 + 1, 2, false }, { RID0 + 7, 2, false },
        { RID0 + 7, 3, true },
        { RID0 + 1, 3, true },
        { RID0 + 8, 3, false }, { RID0 - 1, 3, false },
    };
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(command); i++) {
        unsigned j = i % ARRAY_SIZE(command);
        bool by_queue = i < ARRAY_SIZE(command);
        uint64_t at = vtd_context_entry(&r.t, RID0);
        uint64_t lo = iommu_mem_read64(&r.mem, at);

        if (i == ARRAY_SIZE(command)) {
            r.regs.write32(r.regs.opaque, VTD_REG_GCMD, VTD_GCMD_TE);
        }
        iommu_mem_write64(&r.mem, at, 0);
        invalidate_function(&r, by_queue, command[j].sid, command[j].fm);
        if (command[j].reached) {
            expect_blocked(&r, HOST_DEV0);
        } else {
            iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
        }
        iommu_mem_write64(&r.mem, at, lo);
        invalidate_function(&r, by_queue, RID0, 0);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    }
    vtd_rig_stop(&r);
}

/* An entry that is cleared takes the translation away */
static void test_clear(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_pasid_clear(&r.t, RID0, 0);
    vtd_rig_inv_pasid(&r, 5, 0);
    expect_blocked(&r, HOST_DEV0);

    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_context_clear(&r.t, RID0);
    vtd_rig_inv_context(&r, RID0);
    expect_blocked(&r, HOST_DEV0);
    /* Neither is a mistake of the guest */
    g_assert_cmpuint(vtd_rig_take_fault(&r, NULL), ==, 0);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_stop(&r);
}

/* What the guest was told not to use is refused with the right fault */
static void test_bad_entry(void)
{
    static const struct {
        VtdPasidEntry pe;
        unsigned reason;
    } bad[] = {
        { { .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s2_levels = 4 },
          FR_PASID_INVALID },
        { { .pgtt = 6 }, FR_PASID_INVALID },
        { { .pgtt = VTD_PGTT_FIRST, .s1_levels = 5 }, FR_PASID_INVALID },
        { { .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .sre = true },
          FR_PASID_RSVD },
        { { .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .eafe = true },
          FR_PASID_RSVD },
        { { .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .s1 = 1ULL << 50 },
          FR_PASID_RSVD },
    };
    uint64_t context;
    uint16_t sid;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
        vtd_pasid_set(&r.t, RID0, 0, &bad[i].pe);
        vtd_rig_inv_pasid(&r, 0, 0);
        g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, bad[i].reason);
        g_assert_cmphex(sid, ==, RID0);
        expect_blocked(&r, HOST_DEV0);
        /* The same again is not told again */
        vtd_rig_inv_pasid(&r, 0, 0);
        g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0);
    }

    for (unsigned i = 2; i < 4; i++) {
        vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
        context = vtd_context_entry(&r.t, RID0);
        iommu_mem_write64(&r.mem, context + i * 8, 1);
        vtd_rig_inv_context(&r, RID0);
        g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, FR_SM_CONTEXT_RSVD);
        expect_blocked(&r, HOST_DEV0);
    }
    vtd_rig_stop(&r);
}

/*
 * Linux before 6.11 sets NXE, and XD in what it maps; neither says anything any
 * more
 */
static void test_no_execute(void)
{
    uint64_t s1, pe;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    s1 = vtd_s1_new(&r.mem);
    vtd_s1_map(&r.mem, s1, 4, IOVA, DATA + 4096, 4096, 12,
               VTD_S1_USER_RW | VTD_S1_XD);
    vtd_rig_first_stage(&r, RID0, 5, s1);
    pe = vtd_pasid_entry(&r.t, RID0, 0);
    iommu_mem_write64(&r.mem, pe + 16, s1 | PE_NXE);
    vtd_rig_inv_pasid(&r, 5, 0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA, "x", 1);
    vtd_rig_stop(&r);
}

/* What is wrong in test_fpd(), and where FPD is then */
enum {
    BAD_TYPE, BAD_PASID_ENTRY, BAD_DIRECTORY, BAD_CONTEXT, BAD_RID_PASID,
    BAD_TYPE_FPD_IN_DIRECTORY, BAD_TYPE_FPD_IN_CONTEXT,
};

static void set_bits(VtdRig *r, uint64_t at, uint64_t bits)
{
    iommu_mem_write64(&r->mem, at, iommu_mem_read64(&r->mem, at) | bits);
}

/* A bad entry is told, and with fault processing disabled blocks in silence */
static void test_fpd(void)
{
    static const unsigned reason[] = {
        [BAD_TYPE] = FR_PASID_INVALID, [BAD_PASID_ENTRY] = FR_PASID_RSVD,
        [BAD_DIRECTORY] = FR_PASID_DIR_RSVD,
        [BAD_CONTEXT] = FR_SM_CONTEXT_RSVD,
        [BAD_RID_PASID] = FR_SM_RID_PASID,
        [BAD_TYPE_FPD_IN_DIRECTORY] = FR_PASID_INVALID,
        [BAD_TYPE_FPD_IN_CONTEXT] = FR_PASID_INVALID,
    };
    uint64_t context, dir;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(reason); i++) {
        unsigned what = i / 2;
        uint64_t fpd = i & 1 ? 1 << 1 : 0;

        vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
        context = vtd_context_entry(&r.t, RID0);
        dir = iommu_mem_read64(&r.mem, context) & ~0xfffULL;
        switch (what) {
        case BAD_TYPE:
            vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_NESTED, .s2_levels = 4, .fpd = fpd,
            });
            break;
        case BAD_PASID_ENTRY:
            vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .sre = true,
                .fpd = fpd,
            });
            break;
        case BAD_DIRECTORY:
            set_bits(&r, dir, 1 << 2 | fpd);
            break;
        case BAD_CONTEXT:
            set_bits(&r, context, fpd);
            set_bits(&r, context + 16, 1);
            break;
        case BAD_RID_PASID:
            /* As many as PDTS 0 has */
            vtd_context_scalable(&r.t, RID0, 7, fpd, 1 << 13);
            break;
        case BAD_TYPE_FPD_IN_DIRECTORY:
        case BAD_TYPE_FPD_IN_CONTEXT:
            vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_NESTED, .s2_levels = 4,
            });
            set_bits(&r, what == BAD_TYPE_FPD_IN_CONTEXT ? context : dir, fpd);
            break;
        }
        vtd_rig_inv_context(&r, RID0);
        g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==,
                        fpd ? 0 : reason[what]);
        expect_blocked(&r, HOST_DEV0);
        vtd_context_clear(&r.t, RID0);
        vtd_rig_inv_context(&r, RID0);
    }
    vtd_rig_stop(&r);
}

/*
 * RID_PASID is another one in memory, which has not been told: what is told of
 * the entry that was in use counts all the same
 */
static void test_rid_pasid_untold(void)
{
    uint64_t entry;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_context_scalable(&r.t, RID0, 12, 0, 63);
    vtd_pasid_set(&r.t, RID0, 63, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = 5, .s1 = vtd_rig_s1(&r, IOVA, 1),
        .s1_levels = 4,
    });
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    entry = vtd_context_entry(&r.t, RID0);
    iommu_mem_write64(&r.mem, entry + 8, 0);
    vtd_pasid_clear(&r.t, RID0, 63);
    vtd_rig_inv_pasid(&r, 5, 63);
    expect_blocked(&r, HOST_DEV0);
    vtd_rig_stop(&r);
}

/* Legacy root table: pass-through, and entries that are no good */
static void test_legacy(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_fill(&r, 0, 0x3c);
    vtd_tables_init(&r.t, &r.mem, false);
    vtd_queue_init(&r.q, &r.mem, 0, false);
    vtd_context_legacy(&r.t, RID0, 2, 0, 4, 9);
    vtd_enable(&r.regs, &r.t, &r.q);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x3c, 64);

    vtd_context_legacy(&r.t, RID0, 3, vtd_s1_new(&r.mem), 4, 9);
    vtd_rig_inv_context(&r, RID0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_CONTEXT_INVALID);
    expect_blocked(&r, HOST_DEV0);

    /* Half of a root entry is reserved in this mode */
    vtd_context_legacy(&r.t, RID0, 2, 0, 4, 9);
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x3c, 64);
    iommu_mem_write64(&r.mem, r.t.root + 8, 1);
    vtd_rig_inv_context(&r, RID0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_ROOT_RSVD);
    expect_blocked(&r, HOST_DEV0);
    vtd_rig_stop(&r);
}

/* Its context table is one for all 256 functions of a bus, not one of two */
static void test_legacy_upper(void)
{
    const uint16_t rid = 0x18 << 3;
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 0, "-device vfio-pci,host=" HOST_DEV0
                  ",iommufd=iommufd0,bus=pcie.0,addr=0x18 ");
    vtd_rig_fill(&r, 0, 0x3c);
    vtd_tables_init(&r.t, &r.mem, false);
    vtd_queue_init(&r.q, &r.mem, 0, false);
    vtd_context_legacy(&r.t, rid, 2, 0, 4, 9);
    vtd_enable(&r.regs, &r.t, &r.q);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x3c, 64);
    vtd_rig_stop(&r);
}

/* A new kernel finds translation on, and brings its own root table */
static void test_restart(void)
{
    VtdTables old;
    VtdRig r;

    vtd_rig_start_simple(&r, 2);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_rig_first_stage(&r, RID1, 5, vtd_rig_s1(&r, IOVA, 1));

    old = r.t;
    vtd_tables_init(&r.t, &r.mem, true);
    vtd_context_scalable(&r.t, RID0, 7, 0, 0);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = 1, .s1_levels = 4,
        .s1 = vtd_rig_s1(&r, IOVA, 2),
    });
    r.regs.write64(r.regs.opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(&r.t));
    r.regs.write32(r.regs.opaque, VTD_REG_GCMD,
                   VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_SRTP);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 64);
    expect_blocked(&r, HOST_DEV1);
    /* The old tables mean nothing any more */
    vtd_pasid_clear(&old, RID0, 0);
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 64);
    vtd_rig_stop(&r);
}

static void test_system_reset(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 2);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    qtest_system_reset(r.qts);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 64);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA, 0xa5, 64);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_enable(&r);
    expect_blocked(&r, HOST_DEV0);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_rig_fill(&r, 1, 0x12);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x12, 64);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/rid/off", test_off);
    qtest_add_func("/vtd-nested/rid/first-stage", test_first_stage);
    qtest_add_func("/vtd-nested/rid/pass-through", test_pass_through);
    qtest_add_func("/vtd-nested/rid/replace", test_replace);
    qtest_add_func("/vtd-nested/rid/unchanged", test_unchanged);
    qtest_add_func("/vtd-nested/rid/granularity", test_granularity);
    qtest_add_func("/vtd-nested/rid/function-mask", test_function_mask);
    qtest_add_func("/vtd-nested/rid/clear", test_clear);
    qtest_add_func("/vtd-nested/rid/bad-entry", test_bad_entry);
    qtest_add_func("/vtd-nested/rid/no-execute", test_no_execute);
    qtest_add_func("/vtd-nested/rid/fpd", test_fpd);
    qtest_add_func("/vtd-nested/rid/rid-pasid-untold", test_rid_pasid_untold);
    qtest_add_func("/vtd-nested/rid/legacy", test_legacy);
    qtest_add_func("/vtd-nested/rid/legacy-upper", test_legacy_upper);
    qtest_add_func("/vtd-nested/rid/restart", test_restart);
    qtest_add_func("/vtd-nested/rid/system-reset", test_system_reset);
    return g_test_run();
}
