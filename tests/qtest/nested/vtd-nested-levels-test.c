/*
 * VT-d nesting: tables of five levels, and what the guest may be given less
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "sva-engine-rig.h"
#include "vtd-migration-rig.h"
#include "vtd-shadow-rig.h"

/* CAP_REG (11.4.2) */
#define CAP_FS5LP       (1ULL << 60)
#define CAP_SAGAW_OF(c) ((c) >> 8 & 0x1f)
#define CAP_SSLPS_OF(c) ((c) >> 34 & 0xf)

/* An emulated endpoint at 00:0a.0 */
#define ENGINE          "-device sva-engine,bus=pcie.0,addr=0xa "
#define ENGINE_RID      (0x0a << 3)
#define ENGINE_BAR      0xe0000000

/* A device that cannot be nested, and follows what the guest announces */
#define FOLLOWER        "-device pcie-pci-bridge,id=br,bus=pcie.0,addr=0x12 " \
                        "-device vfio-pci,host=" HOST_DEV1 \
                        ",iommufd=iommufd0,bus=br,addr=1"

/* Addresses that four levels do not have, of either half */
#define FAR             0x00a5000040000000ULL
#define TOP             0xff5a000040000000ULL
/* Of the second stage, which has no sign */
#define FAR2            0x01a5000040000000ULL

#define FR_PASID_ENTRY_INV  0x5b

static uint64_t cap(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_CAP);
}

static char *wide_host(unsigned num)
{
    return vtd_rig_host(num, "aw=57\n", "");
}

static void start(VtdRig *r, const char *iommu, unsigned num,
                  const char *extra)
{
    g_autofree char *host = wide_host(num ? num : 1);

    vtd_rig_start(r, host, iommu, num, extra);
}

/* What host and properties make of CAP */
static void test_caps(void)
{
    g_autofree char *wide = wide_host(1);
    g_autofree char *narrow = vtd_rig_host(1, "", "");
    const struct {
        const char *host, *iommu;
        unsigned num, width, sagaw;
        bool fs5lp;
    } cases[] = {
        { wide, "nested=on", 1, 57, 0x6, true },
        { wide, "nested=auto", 1, 57, 0x6, true },
        { narrow, "nested=on", 1, 48, 0x6, false },
        { wide, "nested=on", 0, 48, 0x6, false },
        { wide, "nested=on,fs5lp=off", 1, 48, 0x6, false },
        { wide, "nested=on,aw-bits=48", 1, 48, 0x6, false },
        { wide, "nested=on,fs5lp=on", 1, 57, 0x6, true },
        { wide, "nested=on,aw-bits=57", 1, 57, 0x6, true },
        { wide, "nested=on,aw-bits=57", 0, 57, 0x6, true },
        { wide, "nested=on,ss-aw-bits=57", 1, 57, 0xe, true },
        { wide, "nested=on,ss-aw-bits=57,fs5lp=off", 1, 57, 0xe, false },
        { wide, "nested=on,ss-aw-bits=57", 0, 57, 0xe, false },
        { narrow, "nested=on,ss-aw-bits=57,ssts=off,aw-bits=57,fs5lp=off", 0,
          57, 0xe, false },
        { wide, "x-scalable-mode=on,x-flts=on,caching-mode=on", 1, 48, 0x6,
          false },
        { wide, "x-scalable-mode=on,x-flts=on,caching-mode=on,fs5lp=on", 1, 57,
          0x6, true },
        { wide, "nested=on,sslps=off,aw-bits=48", 1, 48, 0x6, false },
        { wide, "nested=on,sslps=auto,aw-bits=48", 1, 48, 0x6, false },
        { wide, "x-scalable-mode=on,x-flts=on,caching-mode=on,sslps=off", 1,
          48, 0x6, false },
        { wide, "x-scalable-mode=on,x-flts=on,caching-mode=on,sslps=auto", 1,
          48, 0x6, false },
        { wide, "caching-mode=on,sslps=auto", 1, 48, 0x6, false },
        /* Machine types that have 39, which nobody gave */
        { wide, "nested=on -machine pc-q35-9.1", 1, 57, 0x6, true },
        { wide, "nested=auto -machine pc-q35-9.1", 0, 39, 0x2, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        VtdRig r;

        vtd_rig_start(&r, cases[i].host, cases[i].iommu, cases[i].num, "");
        g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, cases[i].width);
        g_assert_cmpint(!!(cap(&r) & CAP_FS5LP), ==, cases[i].fs5lp);
        g_assert_cmphex(CAP_SAGAW_OF(cap(&r)), ==, cases[i].sagaw);
        g_assert_cmpint(!CAP_SSLPS_OF(cap(&r)), ==,
                        !!strstr(cases[i].iommu, "sslps=off"));
        vtd_rig_stop(&r);
    }
}

/* Hosts that differ: what both have, and nothing that comes later changes it */
static void test_two_hosts(gconstpointer opaque)
{
    bool wide_first = opaque != NULL;
    g_autofree char *host = g_strdup_printf("[host]\narch=vtd\n[iommu 0]\n"
        "aw=%u\n[iommu 1]\naw=%u\n[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=1\ngroup=2\n", wide_first ? 57 : 48,
        wide_first ? 48 : 57);
    g_autofree char *why = NULL;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 2, "");
    g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, 48);
    g_assert_cmphex(cap(&r) & CAP_FS5LP, ==, 0);
    vtd_rig_stop(&r);

    vtd_rig_start(&r, host, "nested=on", 1, VTD_RIG_SLOTS);
    g_assert_cmpint(!!(cap(&r) & CAP_FS5LP), ==, wide_first);
    if (wide_first) {
        why = nested_rig_plug_refusal(r.qts, 0, "dev1", HOST_DEV1);
        g_assert_nonnull(strstr(why, "'fs5lp' is on"));
        g_assert_nonnull(strstr(why, HOST_DEV1));
    } else {
        nested_rig_plug(r.qts, 0, "dev1", HOST_DEV1);
        g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, 48);
    }
    vtd_rig_stop(&r);
}

static void test_refusals(void)
{
    g_autofree char *wide = wide_host(1);
    g_autofree char *narrow = vtd_rig_host(1, "", "");
    /* Five levels, and no use for them: MGAW is 48 */
    g_autofree char *odd = vtd_rig_host(1, "cap=0x111200c6f0f0406\n", "");
    /* The kernel takes a first stage for what shadows a second one */
    g_autofree char *first = vtd_rig_host(1, "aw=57\nerrata-772415=on\n"
                                          "dirty-tracking=off\n", "");
    const struct {
        const char *host, *iommu, *words[3];
    } cases[] = {
        { narrow, "nested=on,fs5lp=on",
          { "'fs5lp' is on", HOST_DEV0, "fs5lp=off" } },
        { narrow, "nested=on,aw-bits=57",
          { "'fs5lp' is on", HOST_DEV0, "aw-bits=48" } },
        { narrow, "nested=on,aw-bits=57,fs5lp=off",
          { "'aw-bits' is 57", "48", HOST_DEV0 } },
        { odd, "nested=on,fs5lp=on", { "'fs5lp' is on", HOST_DEV0 } },
        { wide, "nested=on,fs5lp=on,aw-bits=48",
          { "fs5lp=on needs aw-bits=57" } },
        { wide, "nested=on,aw-bits=52", { "aw-bits" } },
        { wide, "nested=auto,aw-bits=57", { "aw-bits=57 needs nested=on" } },
        { wide, "nested=auto,fs5lp=on", { "fs5lp=on needs nested=on" } },
        { narrow, "nested=on,ss-aw-bits=57,fs5lp=off",
          { "'aw-bits' is 57", "48", HOST_DEV0 } },
        { first, "nested=on,ss-aw-bits=57",
          { "'ss-aw-bits' is 57", "has 56", "ss-aw-bits=48" } },
        { wide, "nested=on,ss-aw-bits=57,aw-bits=48",
          { "ss-aw-bits=57 needs aw-bits=57" } },
        { wide, "nested=on,ss-aw-bits=39", { "ss-aw-bits=39", "48", "57" } },
        { wide, "nested=auto,ss-aw-bits=57",
          { "ss-aw-bits=57 needs nested=on" } },
        { wide, "caching-mode=on,ss-aw-bits=57",
          { "ss-aw-bits", "nested=on" } },
        { wide, "caching-mode=on,sslps=off", { "sslps", "nested=on" } },
        { wide, "caching-mode=on,aw-bits=57", { "aw-bits" } },
        { wide, "caching-mode=on,fs5lp=on", { "fs5lp", "nested=on" } },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = vtd_rig_args(cases[i].iommu, 1, "");
        const char *const *words = cases[i].words;

        nested_rig_expect_refusal(cases[i].host, args, words[0], words[1],
                                  words[2], NULL);
    }
}

/* By DMA, see docs/specs/fw_cfg */
static void fw_cfg_read(VtdRig *r, uint16_t key, void *to, uint32_t len)
{
    const uint64_t at = DATA, buf = DATA + 16;
    const uint8_t select = 0x08, read = 0x02;

    qtest_writel(r->qts, at, bswap32((uint32_t)key << 16 | select | read));
    qtest_writel(r->qts, at + 4, bswap32(len));
    qtest_writeq(r->qts, at + 8, bswap64(buf));
    qtest_outl(r->qts, 0x514, 0);
    qtest_outl(r->qts, 0x518, bswap32(at));
    g_assert_cmphex(qtest_readl(r->qts, at), ==, 0);
    qtest_memread(r->qts, buf, to, len);
}

/* Of physical addresses there are 52 bits at most, in DMAR as well */
static void test_dmar(void)
{
    static const struct {
        const char *iommu;
        unsigned width;
    } cases[] = {
        { "nested=on", 52 }, { "nested=on,aw-bits=48", 48 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree uint8_t *all = NULL;
        const uint8_t *dmar;
        struct {
            uint32_t size;
            uint16_t key;
            uint16_t unused;
            char name[56];
        } file;
        unsigned n = 0;
        VtdRig r;

        start(&r, cases[i].iommu, 1, "");
        do {
            uint8_t dir[64 * sizeof(file)];

            g_assert_cmpuint(n, <, 63);
            fw_cfg_read(&r, 0x19, dir, 4 + (n + 1) * sizeof(file));
            memcpy(&file, &dir[4 + n++ * sizeof(file)], sizeof(file));
        } while (strcmp(file.name, "etc/acpi/tables"));
        file.size = bswap32(file.size);
        all = g_malloc(file.size);
        fw_cfg_read(&r, bswap16(file.key), all, file.size);
        dmar = memmem(all, file.size, "DMAR", 4);
        g_assert_nonnull(dmar);
        /* Behind the common header: the width less one (8.1) */
        g_assert_cmpuint(dmar[36] + 1, ==, cases[i].width);
        vtd_rig_stop(&r);
    }
}

/* ------------------------------------------------------------ first stage */

static void map(VtdRig *r, uint64_t s1, unsigned levels, uint64_t iova,
                unsigned page)
{
    vtd_s1_map(&r->mem, s1, levels, iova, DATA + page * PAGE, PAGE, 12,
               VTD_S1_USER_RW);
}

static void set_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint64_t s1,
                      unsigned levels)
{
    vtd_pasid_set(&r->t, rid, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = s1, .s1_levels = levels,
    });
    vtd_rig_inv_pasid(r, DID, pasid);
}

/* A device, and a table of five levels that its RID has */
static uint64_t first_stage(VtdRig *r)
{
    uint64_t s1 = vtd_s1_new(&r->mem);

    shadow_fill(r, 8);
    vtd_context_scalable(&r->t, RID0, 7, VTD_CTX_PASIDE, 0);
    vtd_rig_inv_context(r, RID0);
    set_pasid(r, RID0, 0, s1, 5);
    return s1;
}

/* Of either half, beside one of four levels */
static void test_first_stage(void)
{
    const IommufdDma pasid = { .with_pasid = true, .pasid = 3 };
    uint64_t s1, four;
    VtdRig r;

    start(&r, "nested=on", 1, "");
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    s1 = first_stage(&r);
    map(&r, s1, 5, FAR, 1);
    map(&r, s1, 5, TOP, 2);
    map(&r, s1, 5, IOVA, 3);
    shadow_expect(&r, HOST_DEV0, FAR, 1);
    shadow_expect(&r, HOST_DEV0, TOP, 2);
    shadow_expect(&r, HOST_DEV0, IOVA, 3);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, FAR + PAGE, false, 1,
                               "not-present");
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, FAR | 1ULL << 57, false,
                               1, "non-canonical");

    four = vtd_rig_s1(&r, IOVA, 4);
    set_pasid(&r, RID0, 3, four, 4);
    iommufd_model_expect_data(r.m, HOST_DEV0, &pasid, IOVA, 0x14, 64);
    iommufd_model_expect_fault(r.m, HOST_DEV0, &pasid, FAR, false, 1,
                               "non-canonical");

    /* What was four levels is five, and the other way round */
    set_pasid(&r, RID0, 3, s1, 5);
    iommufd_model_expect_data(r.m, HOST_DEV0, &pasid, FAR, 0x11, 64);
    set_pasid(&r, RID0, 3, four, 4);
    iommufd_model_expect_data(r.m, HOST_DEV0, &pasid, IOVA, 0x14, 64);
    vtd_rig_stop(&r);
}

/* FSPM beyond what is offered: none of six levels, and none of five without */
static void test_not_offered(gconstpointer opaque)
{
    const char *iommu = opaque;
    bool five = g_str_equal(iommu, "nested=on");
    uint64_t slot, s1;
    uint16_t sid;
    VtdRig r;

    start(&r, iommu, 1, "");
    vtd_rig_enable(&r);
    s1 = first_stage(&r);
    map(&r, s1, 5, FAR, 1);
    if (five) {
        shadow_expect(&r, HOST_DEV0, FAR, 1);
        slot = vtd_pasid_entry(&r.t, RID0, 0) + 16;
        iommu_mem_write64(&r.mem, slot, s1 | 2ULL << 2);
        vtd_rig_inv_pasid(&r, DID, 0);
    }
    g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, FR_PASID_ENTRY_INV);
    g_assert_cmphex(sid, ==, RID0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, FAR, false, 0, "blocked");
    vtd_rig_stop(&r);
}

static void inv_pages(VtdRig *r, uint64_t iova, unsigned order)
{
    vtd_queue_push(&r->q, vtd_inv_piotlb(DID, 0, iova, order, false));
    vtd_rig_sync(r);
}

/*
 * Pages that four levels do not have are invalidated, and no others: the host's
 * caches have the rest. So are sizes that four levels do not have; of those
 * Linux makes everything, being more than the hardware's MAMV.
 */
static void test_invalidate(void)
{
    static const uint64_t base[] = { FAR, TOP };
    static const unsigned order[] = { 36, 44, 45, 63 };
    uint64_t s1;
    VtdRig r;

    start(&r, "nested=on", 1, "");
    vtd_rig_enable(&r);
    s1 = first_stage(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(base); i++) {
        map(&r, s1, 5, base[i], 1);
        map(&r, s1, 5, IOVA, 2);
        inv_pages(&r, 0, 63);
        shadow_expect(&r, HOST_DEV0, base[i], 1);
        shadow_expect(&r, HOST_DEV0, IOVA, 2);

        map(&r, s1, 5, base[i], 3);
        map(&r, s1, 5, IOVA, 4);
        inv_pages(&r, base[i], 0);
        shadow_expect(&r, HOST_DEV0, base[i], 3);
        shadow_expect(&r, HOST_DEV0, IOVA, 2);
        for (unsigned j = 0; j < ARRAY_SIZE(order); j++) {
            map(&r, s1, 5, base[i], 4 + j);
            inv_pages(&r, base[i], order[j]);
            shadow_expect(&r, HOST_DEV0, base[i], 4 + j);
        }
    }
    g_assert_cmphex(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

/* -------------------------------------------------------- emulated devices */

static Rig engine(VtdRig *r)
{
    vtd_rig_config_write(r, ENGINE_RID, PCI_BASE_ADDRESS_0, ENGINE_BAR);
    vtd_rig_config_write(r, ENGINE_RID, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return (Rig) { .qts = r->qts, .bar0 = ENGINE_BAR };
}

/* An emulated endpoint goes by the tables that an assigned device has */
static void test_emulated(void)
{
    const uint64_t pkey = 0xfULL << 59 | 0x7fULL << 52;
    unsigned level;
    uint64_t s1, slot;
    VtdRig r;
    Rig e;

    start(&r, "nested=on", 1, ENGINE);
    e = engine(&r);
    vtd_rig_enable(&r);
    s1 = first_stage(&r);
    map(&r, s1, 5, FAR, 1);
    map(&r, s1, 5, TOP, 2);
    vtd_context_scalable(&r.t, ENGINE_RID, 7, 0, 0);
    vtd_rig_inv_context(&r, ENGINE_RID);
    set_pasid(&r, ENGINE_RID, 0, s1, 5);

    g_assert_cmphex(rig_simple(&e, FAR, true), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_simple(&e, TOP, false), ==, SVA_CODE_OK);
    shadow_expect(&r, HOST_DEV0, TOP, 1);
    g_assert_cmphex(rig_simple(&e, FAR | 1ULL << 57, true), !=, SVA_CODE_OK);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0x80);
    g_assert_cmphex(rig_simple(&e, FAR + PAGE, true), !=, SVA_CODE_OK);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0x71);

    /* What hardware ignores is no part of an address (9.9) */
    slot = vtd_s1_entry(&r.mem, s1, 5, FAR, 1, &level);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) | pkey);
    inv_pages(&r, FAR, 0);
    shadow_expect(&r, HOST_DEV0, FAR, 1);
    g_assert_cmphex(rig_simple(&e, FAR, true), ==, SVA_CODE_OK);

    /* PS is reserved at the top */
    slot = vtd_s1_entry(&r.mem, s1, 5, FAR, 5, &level);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) |
                                    VTD_S1_PS);
    inv_pages(&r, FAR, 0);
    g_assert_cmphex(rig_simple(&e, FAR, true), !=, SVA_CODE_OK);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0x72);
    vtd_rig_stop(&r);
}

/* Pages of 1 GiB that are not offered are reserved for emulated ones as well */
static void test_fs1gp(void)
{
    uint64_t s1;
    VtdRig r;
    Rig e;

    start(&r, "nested=on,fs1gp=off", 1, ENGINE);
    e = engine(&r);
    vtd_rig_enable(&r);
    s1 = vtd_s1_new(&r.mem);
    vtd_s1_map(&r.mem, s1, 4, IOVA, 0, 1ULL << 30, 30, VTD_S1_USER_RW);
    vtd_context_scalable(&r.t, ENGINE_RID, 7, 0, 0);
    vtd_rig_inv_context(&r, ENGINE_RID);
    set_pasid(&r, ENGINE_RID, 0, s1, 4);
    g_assert_cmphex(rig_simple(&e, IOVA + DATA, true), !=, SVA_CODE_OK);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0x72);
    vtd_rig_stop(&r);
}

/* The follower has one page of a second stage */
static uint64_t follow(VtdRig *r, unsigned levels, uint64_t iova)
{
    uint64_t ss;

    shadow_fill(r, 4);
    vtd_rig_config_write(r, 0x90, PCI_PRIMARY_BUS, 0x010100);
    vtd_rig_enable_legacy(r);
    ss = vtd_s2_new(&r->mem);
    shadow_map(r, ss, levels, iova, 1, 1, VTD_S2_RW);
    shadow_legacy(r, BEHIND(1), ss, levels);
    shadow_expect(r, HOST_DEV1, iova, 1);
    return ss;
}

/*
 * A device that follows what the guest announces needs the width of
 * second-stage tables: where the host has less than 57 bits for it (of a first
 * stage, 56) five levels of the guest's first stage are nothing to it
 */
static void test_follower(void)
{
    g_autofree char *host = vtd_rig_host(2, "aw=57\ndirty-tracking=off\n",
                                         "");
    g_autofree char *args = vtd_rig_args("nested=on,ss-aw-bits=57", 0,
                                         FOLLOWER);
    VtdRig r;

    nested_rig_expect_refusal(host, args, "'ss-aw-bits' is 57", "has 56",
                              HOST_DEV1, "ss-aw-bits=48", NULL);
    vtd_rig_start(&r, host, "nested=on", 1, FOLLOWER);
    g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, 57);
    follow(&r, 4, IOVA);
    vtd_rig_stop(&r);
}

/* ----------------------------------------------------------- second stage */

/* Of five levels: what is mapped, moved, unmapped, and beyond four levels */
static void test_second_stage(gconstpointer opaque)
{
    bool legacy = opaque == NULL;
    uint64_t ss;
    VtdRig r;
    Rig e;

    start(&r, "nested=on,ss-aw-bits=57", 1, ENGINE);
    e = engine(&r);
    shadow_fill(&r, 8);
    if (legacy) {
        vtd_rig_enable_legacy(&r);
        ss = vtd_s2_new(&r.mem);
        shadow_legacy(&r, RID0, ss, 5);
        shadow_legacy(&r, ENGINE_RID, ss, 5);
    } else {
        vtd_rig_enable(&r);
        ss = vtd_s2_new(&r.mem);
        for (unsigned i = 0; i < 2; i++) {
            uint16_t rid = i ? ENGINE_RID : RID0;

            vtd_context_scalable(&r.t, rid, 7, 0, 0);
            vtd_rig_inv_context(&r, rid);
            vtd_pasid_set(&r.t, rid, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_SECOND, .did = DID, .s2 = ss, .s2_levels = 5,
            });
            vtd_rig_inv_pasid(&r, DID, 0);
        }
    }
    shadow_map(&r, ss, 5, FAR2, 1, 2, VTD_S2_RW);
    shadow_map(&r, ss, 5, IOVA, 3, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, FAR2, 1);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 0);
    shadow_expect(&r, HOST_DEV0, FAR2, 1);
    shadow_expect(&r, HOST_DEV0, FAR2 + PAGE, 2);
    shadow_expect(&r, HOST_DEV0, IOVA, 3);
    shadow_expect_none(&r, HOST_DEV0, FAR2 + 2 * PAGE);
    g_assert_cmphex(rig_simple(&e, FAR2, true), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_simple(&e, IOVA, false), ==, SVA_CODE_OK);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    g_assert_cmphex(rig_simple(&e, FAR2 | 1ULL << 57, true), !=, SVA_CODE_OK);

    shadow_unmap(&r, ss, 5, FAR2, PAGE);
    shadow_inv(&r, VTD_INV_NARROW, FAR2, 0);
    shadow_expect_none(&r, HOST_DEV0, FAR2);
    shadow_expect(&r, HOST_DEV0, FAR2 + PAGE, 2);
    g_assert_cmphex(rig_simple(&e, FAR2, true), !=, SVA_CODE_OK);
    vtd_rig_stop(&r);
}

/* The IOMMU of an emulated host has no other walk in legacy mode */
static void test_host_legacy(void)
{
    uint64_t ss;
    VtdRig r;
    Rig e;

    start(&r, "host-nesting=on,x-scalable-mode=on,aw-bits=57", 0, ENGINE);
    e = engine(&r);
    shadow_fill(&r, 4);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 5, FAR2, 1, 1, VTD_S2_RW);
    shadow_map(&r, ss, 5, IOVA, 2, 1, VTD_S2_RW);
    shadow_legacy(&r, ENGINE_RID, ss, 5);
    g_assert_cmphex(rig_simple(&e, FAR2, true), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_simple(&e, IOVA, false), ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readb(r.qts, DATA + 2 * PAGE), ==, 0x11);
    g_assert_cmphex(rig_simple(&e, FAR2 | 1ULL << 57, true), !=, SVA_CODE_OK);
    vtd_rig_stop(&r);
}

/* A device that follows is told of mappings by a walk of the emulation */
static void test_wide_follower(void)
{
    g_autofree char *host = wide_host(2);
    uint64_t ss;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,ss-aw-bits=57", 1, FOLLOWER);
    ss = follow(&r, 5, FAR2);
    shadow_map(&r, ss, 5, FAR2 + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, FAR2 + PAGE, 0);
    shadow_expect(&r, HOST_DEV1, FAR2 + PAGE, 2);
    shadow_unmap(&r, ss, 5, FAR2, PAGE);
    shadow_inv(&r, VTD_INV_NARROW, FAR2, 0);
    shadow_expect_none(&r, HOST_DEV1, FAR2);
    vtd_rig_stop(&r);
}

/* AW that SAGAW does not have */
static void test_second_not_offered(void)
{
    uint16_t sid;
    VtdRig r;

    start(&r, "nested=on", 1, "");
    vtd_rig_enable_legacy(&r);
    shadow_legacy(&r, RID0, vtd_s2_new(&r.mem), 5);
    g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, 0x3);
    g_assert_cmphex(sid, ==, RID0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0, "blocked");
    vtd_rig_stop(&r);
}

/*
 * The guest's tables may have more than the host has room for: what maps that
 * is blocked, and told with the limit, once; without it all goes on
 */
static void test_host_width(gconstpointer opaque)
{
    bool wide = opaque != NULL;
    const uint64_t beyond = 1ULL << 47;
    g_autofree char *lines = g_strdup_printf("aw=%u\nerrata-772415=on\n"
                                             "dirty-tracking=off\n",
                                             wide ? 57 : 48);
    g_autofree char *host = vtd_rig_host(1, lines, "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    uint64_t ss, calls;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, extra);
    shadow_fill(&r, 4);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_map(&r, ss, 4, beyond - PAGE, 1, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    shadow_expect(&r, HOST_DEV0, beyond - PAGE, 1);

    calls = iommufd_model_counter(r.m, "IOAS_COPY", "errors");
    shadow_map(&r, ss, 4, beyond, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, beyond, 0);
    if (wide) {
        shadow_expect(&r, HOST_DEV0, beyond, 2);
    } else {
        iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, beyond - PAGE, false,
                                   0, "blocked");
        g_assert_cmphex(vtd_rig_take_fault(&r, NULL), !=, 0);
        shadow_inv(&r, VTD_INV_NARROW, beyond, 0);
        g_assert_cmpuint(nested_rig_said(said, "none beyond 0x7fffffffffff"),
                         ==, 1);
    }
    g_assert_cmpuint(iommufd_model_counter(r.m, "IOAS_COPY", "errors"), ==,
                     calls);
    shadow_unmap(&r, ss, 4, beyond, PAGE);
    shadow_inv(&r, VTD_INV_NARROW, beyond, 0);
    vtd_rig_inv_context(&r, RID0);
    shadow_expect(&r, HOST_DEV0, beyond - PAGE, 1);
    vtd_rig_stop(&r);
}

/* Large pages that are not offered are reserved, for whoever meets them */
static void test_sslps(gconstpointer opaque)
{
    const char *iommu = opaque;
    bool on = g_str_equal(iommu, "nested=on");
    uint64_t ss;
    VtdRig r;
    Rig e;

    start(&r, iommu, 1, ENGINE);
    e = engine(&r);
    shadow_fill(&r, 4);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 3, 1, VTD_S2_RW);
    for (unsigned shift = 21; shift <= 30; shift += 9) {
        vtd_s2_map(&r.mem, ss, 4, (uint64_t)shift << 33, 0, 1ULL << shift,
                   shift, VTD_S2_RW);
    }
    shadow_legacy(&r, RID0, ss, 4);
    shadow_legacy(&r, ENGINE_RID, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 3);
    g_assert_cmphex(rig_simple(&e, IOVA, true), ==, SVA_CODE_OK);
    for (unsigned shift = 21; shift <= 30; shift += 9) {
        uint64_t iova = (uint64_t)shift << 33;

        g_assert_cmpint(rig_simple(&e, iova, true) == SVA_CODE_OK, ==, on);
        g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, on ? 0 : 0xc);
        if (on) {
            g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, iova), !=, -1);
        } else {
            shadow_expect_none(&r, HOST_DEV0, iova);
        }
    }
    vtd_rig_stop(&r);
}

/* --------------------------------------------------------------- migration */

/* The rest is the same on both sides */
#define FEATURES    "fs1gp=on,snoop-control=on,smpwc=on,x-pasid-mode=on," \
                    "pasid-bits=12,device-iotlb=on,svm=on"

/* To the other side: DMA goes by the tables, or all reasons are told */
static void test_migration(void)
{
    static const struct {
        const char *from, *to, *why[2];
    } cases[] = {
        { "aw-bits=57", "aw-bits=57" },
        { "aw-bits=48", "aw-bits=48" },
        { "aw-bits=57", "aw-bits=48",
          { "'fs5lp' was on for the guest", "'aw-bits' was 57" } },
        { "aw-bits=48", "aw-bits=57",
          { "'fs5lp' was off for the guest", "'aw-bits' was 48" } },
        { "aw-bits=57", "aw-bits=57,fs5lp=off",
          { "'fs5lp' was on for the guest" } },
        { "aw-bits=57,ss-aw-bits=57", "aw-bits=57",
          { "'ss-aw-bits' was 57 for the guest, but is 48 here" } },
        { "aw-bits=57", "aw-bits=57,sslps=off",
          { "'sslps' was on for the guest" } },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        bool five = g_str_equal(cases[i].from, "aw-bits=57");
        g_autofree char *file = nested_rig_scratch("state");
        g_autofree char *said = nested_rig_scratch("stderr");
        g_autofree char *extra = g_strdup_printf("-incoming defer 2>'%s'",
                                                 said);
        g_autofree char *from = g_strdup_printf("nested=on," FEATURES ",%s",
                                                cases[i].from);
        g_autofree char *to = g_strdup_printf("nested=on," FEATURES ",%s",
                                              cases[i].to);
        g_autofree char *why = NULL;
        VtdRig a, b;
        uint64_t s1;

        start(&a, from, 0, "");
        vtd_rig_enable(&a);
        s1 = first_stage(&a);
        map(&a, s1, 5, FAR, 1);
        vtd_migration_save(&a, file);
        start(&b, to, 1, extra);
        vtd_rig_take_over(&b, &a);
        why = vtd_migration_load(&b, file);
        g_assert_cmpint(!why, ==, !cases[i].why[0]);
        if (!why) {
            qtest_qmp_assert_success(b.qts, "{ 'execute': 'cont' }");
            if (five) {
                shadow_expect(&b, HOST_DEV0, FAR, 1);
            } else {
                iommufd_model_expect_fault(b.m, HOST_DEV0, NULL, FAR, false, 0,
                                           "blocked");
            }
        }
        for (unsigned w = 0; w < 2 && cases[i].why[w]; w++) {
            g_assert_cmpuint(nested_rig_said(said, cases[i].why[w]), ==, 1);
        }
        vtd_rig_stop(&a);
        vtd_rig_stop(&b);
        nested_rig_scratch_remove(file);
        nested_rig_scratch_remove(said);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/levels/caps", test_caps);
    qtest_add_data_func("/vtd-nested/levels/two-hosts/wide", "",
                        test_two_hosts);
    qtest_add_data_func("/vtd-nested/levels/two-hosts/narrow", NULL,
                        test_two_hosts);
    qtest_add_func("/vtd-nested/levels/refusals", test_refusals);
    qtest_add_func("/vtd-nested/levels/dmar", test_dmar);
    qtest_add_func("/vtd-nested/levels/first-stage", test_first_stage);
    qtest_add_data_func("/vtd-nested/levels/not-offered/six", "nested=on",
                        test_not_offered);
    qtest_add_data_func("/vtd-nested/levels/not-offered/five",
                        "nested=on,fs5lp=off", test_not_offered);
    qtest_add_func("/vtd-nested/levels/invalidate", test_invalidate);
    qtest_add_func("/vtd-nested/levels/emulated", test_emulated);
    qtest_add_func("/vtd-nested/levels/fs1gp", test_fs1gp);
    qtest_add_func("/vtd-nested/levels/follower", test_follower);
    qtest_add_data_func("/vtd-nested/levels/second-stage/legacy", NULL,
                        test_second_stage);
    qtest_add_data_func("/vtd-nested/levels/second-stage/scalable", "",
                        test_second_stage);
    qtest_add_func("/vtd-nested/levels/second-stage/host", test_host_legacy);
    qtest_add_func("/vtd-nested/levels/second-stage/follower",
                   test_wide_follower);
    qtest_add_func("/vtd-nested/levels/second-stage/not-offered",
                   test_second_not_offered);
    qtest_add_data_func("/vtd-nested/levels/host-width/47", NULL,
                        test_host_width);
    qtest_add_data_func("/vtd-nested/levels/host-width/56", "",
                        test_host_width);
    qtest_add_data_func("/vtd-nested/levels/sslps/off", "nested=on,sslps=off",
                        test_sslps);
    qtest_add_data_func("/vtd-nested/levels/sslps/on", "nested=on",
                        test_sslps);
    qtest_add_func("/vtd-nested/levels/migration", test_migration);
    return g_test_run();
}
