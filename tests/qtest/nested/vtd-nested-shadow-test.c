/*
 * VT-d nesting: second-stage tables of the guest, beside first-stage ones
 *
 * They are mirrored into an IOAS of their own. What the mirror has is seen by
 * DMA of the modelled device, and what it took by the calls that were made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "vtd-shadow-rig.h"

/* Register-based invalidation (11.4.6) */
#define REG_CCMD        0x28
#define REG_IVA         0xf0
#define REG_IOTLB       0xf8
#define CCMD_GLOBAL     (1ULL << 63 | 1ULL << 61)
#define IOTLB_GLOBAL    (1ULL << 63 | 1ULL << 60)
#define IOTLB_DOMAIN    (1ULL << 63 | 2ULL << 60 | (uint64_t)DID << 32)
#define IOTLB_PAGE      (1ULL << 63 | 3ULL << 60 | (uint64_t)DID << 32)

/* Fault reasons (7.1.3) */
#define FR_CONTEXT_INVALID      0x03
#define FR_PASID_RSVD           0x5a
#define FR_PASID_INVALID        0x5b

typedef struct Calls {
    uint64_t copy, unmap, attach;
} Calls;

static Calls calls(VtdRig *r)
{
    return (Calls) {
        .copy = iommufd_model_counter(r->m, "IOAS_COPY", "calls"),
        .unmap = iommufd_model_counter(r->m, "IOAS_UNMAP", "calls"),
        .attach = iommufd_model_counter(r->m, "ATTACH_IOMMUFD_PT", "calls"),
    };
}

static void expect_calls(VtdRig *r, const Calls *since, unsigned copy,
                         unsigned unmap)
{
    Calls now = calls(r);

    g_assert_cmpuint(now.copy - since->copy, ==, copy);
    g_assert_cmpuint(now.unmap - since->unmap, ==, unmap);
}

static void fail_next(VtdRig *r, const char *call, const char *name)
{
    iommufd_model_do(r->m, "{\"cmd\":\"fault\",\"on\":\"%s:1:errno=%s\"}",
                     call, name);
}

/* The life of a mapping, in tables of both widths */
static void test_legacy(const void *arg)
{
    unsigned levels = GPOINTER_TO_UINT(arg);
    uint64_t ss, ioas;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    shadow_fill(&r, 4);
    ioas = iommufd_model_live(r.m, "ioas");
    vtd_rig_enable_legacy(&r);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, levels, IOVA, 1, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, levels);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
    /* Not guest-physical memory */
    shadow_expect_none(&r, HOST_DEV0, DATA);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, ioas + 1);

    /* Mapped, and told */
    shadow_map(&r, ss, levels, IOVA + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 2);
    /* Changed, and told: of the domain, of all */
    shadow_map(&r, ss, levels, IOVA + PAGE, 3, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 3);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_map(&r, ss, levels, IOVA + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_GLOBAL, 0, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 2);
    /* Taken away; untold, it may stay */
    shadow_unmap(&r, ss, levels, IOVA, PAGE);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 0);
    shadow_expect_none(&r, HOST_DEV0, IOVA);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 2);

    vtd_context_clear(&r.t, RID0);
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + PAGE, false, 0,
                               "blocked");
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, ioas);
    g_assert_cmpuint(vtd_rig_take_fault(&r, NULL), ==, 0);
    vtd_rig_stop(&r);
}

/* The last address, and what is beyond, of tables of both widths */
static void test_ends(const void *arg)
{
    unsigned levels = GPOINTER_TO_UINT(arg);
    uint64_t last = (1ULL << (12 + 9 * levels)) - PAGE, ss;
    VtdRig r;

    ss = shadow_start(&r, 3);
    shadow_map(&r, ss, levels, 0, 1, 1, VTD_S2_RW);
    shadow_map(&r, ss, levels, last, 2, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, levels);
    shadow_expect(&r, HOST_DEV0, 0, 1);
    shadow_expect(&r, HOST_DEV0, last, 2);
    shadow_expect_none(&r, HOST_DEV0, last + PAGE);
    shadow_unmap(&r, ss, levels, last, PAGE);
    shadow_inv(&r, VTD_INV_NARROW, last, 18);
    shadow_expect_none(&r, HOST_DEV0, last);
    shadow_inv(&r, VTD_INV_NARROW, ~0ULL << 12, 18);
    shadow_expect(&r, HOST_DEV0, 0, 1);
    vtd_rig_stop(&r);
}

/* Permissions are those of the page and of every table above it */
static void test_permissions(void)
{
    uint64_t ss, slot;
    VtdRig r;

    ss = shadow_start(&r, 3);
    shadow_map(&r, ss, 4, IOVA, 0, 1, VTD_S2_R);
    shadow_map(&r, ss, 4, IOVA + PAGE, 1, 1, VTD_S2_W);
    shadow_map(&r, ss, 4, IOVA + 2 * PAGE, 2, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, true, 2, NULL);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA + PAGE, "x", 1);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA + 2 * PAGE, "x", 1);
    /* Neighbours in both address spaces, told as one */
    shadow_map(&r, ss, 4, IOVA + PAGE, 1, 1, VTD_S2_R);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 2);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + PAGE, true, 2,
                               NULL);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA + 2 * PAGE, "x", 1);
    shadow_map(&r, ss, 4, IOVA + PAGE, 1, 1, VTD_S2_W);
    slot = vtd_s2_entry(&r.mem, ss, 4, IOVA, 3);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) & ~VTD_S2_W);
    shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    shadow_expect(&r, HOST_DEV0, IOVA, 0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + PAGE, true, 2,
                               NULL);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + 2 * PAGE, true, 2,
                               NULL);
    vtd_rig_stop(&r);
}

/* As few calls as the ranges allow, and none for what stays */
static void test_calls(void)
{
    uint64_t ss;
    Calls since;
    VtdRig r;

    ss = shadow_start(&r, 64);
    shadow_legacy(&r, RID0, ss, 4);

    /* A buffer of 128 KiB */
    since = calls(&r);
    shadow_map(&r, ss, 4, IOVA, 0, 32, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 5);
    expect_calls(&r, &since, 1, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + 31 * PAGE, 31);
    /* The same again */
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 5);
    shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    shadow_inv(&r, VTD_INV_GLOBAL, 0, 0);
    expect_calls(&r, &since, 1, 0);
    /* One beside it */
    since = calls(&r);
    shadow_map(&r, ss, 4, IOVA + 32 * PAGE, 32, 32, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 6);
    expect_calls(&r, &since, 1, 0);
    /* Both go */
    since = calls(&r);
    shadow_unmap(&r, ss, 4, IOVA, 64 * PAGE);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 6);
    expect_calls(&r, &since, 0, 1);
    shadow_expect_none(&r, HOST_DEV0, IOVA);
    /* Pages that are no neighbours in memory are four mappings, one unmap */
    since = calls(&r);
    for (unsigned i = 0; i < 4; i++) {
        shadow_map(&r, ss, 4, IOVA + i * PAGE, 10 - 2 * i, 1, VTD_S2_RW);
    }
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 2);
    expect_calls(&r, &since, 4, 0);
    shadow_unmap(&r, ss, 4, IOVA, 4 * PAGE);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 2);
    expect_calls(&r, &since, 4, 1);
    /* A large page */
    since = calls(&r);
    vtd_s2_map(&r.mem, ss, 4, IOVA, DATA, 2 * MiB, 21, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 9);
    expect_calls(&r, &since, 1, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + 7 * PAGE, 7);
    vtd_rig_stop(&r);
}

typedef struct Cost {
    uint64_t maps, unmaps;
} Cost;

/* What a guest's life with @num pages at a time costs */
static Cost cost(const char *props, unsigned order, unsigned shift)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    uint64_t ss, size = PAGE << order;
    Cost c;
    VtdRig r;

    vtd_rig_start(&r, host, props, 1, "");
    shadow_fill(&r, 64);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    /* The tables are there, and a mapping beside ours */
    vtd_s2_map(&r.mem, ss, 3, IOVA + 64 * MiB, DATA, PAGE, 12, VTD_S2_RW);
    vtd_s2_map(&r.mem, ss, 3, IOVA, DATA, PAGE, 12, 0);
    shadow_legacy(&r, RID0, ss, 3);
    shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    c.maps = iommufd_model_counter(r.m, "IOAS_MAP", "calls") +
             iommufd_model_counter(r.m, "IOAS_COPY", "calls");
    c.unmaps = iommufd_model_counter(r.m, "IOAS_UNMAP", "calls");
    for (unsigned i = 0; i < 4; i++) {
        vtd_s2_map(&r.mem, ss, 3, IOVA, DATA, size, shift, VTD_S2_RW);
        shadow_inv(&r, VTD_INV_NARROW, IOVA, order);
        shadow_expect(&r, HOST_DEV0, IOVA, 0);
        vtd_s2_map(&r.mem, ss, 3, IOVA, 0, size, shift, 0);
        shadow_inv(&r, VTD_INV_NARROW, IOVA, order);
    }
    c.maps = iommufd_model_counter(r.m, "IOAS_MAP", "calls") +
             iommufd_model_counter(r.m, "IOAS_COPY", "calls") - c.maps;
    c.unmaps = iommufd_model_counter(r.m, "IOAS_UNMAP", "calls") - c.unmaps;
    vtd_rig_stop(&r);
    g_test_message("%s: 4 times %u pages of 2^%u bytes: %" PRIu64 " maps, %"
                   PRIu64 " unmaps", props, 1u << (order + 12 - shift), shift,
                   c.maps, c.unmaps);
    return c;
}

/* Not more than shadowing without nesting takes for the same */
static void test_cost(void)
{
    static const struct {
        unsigned order, shift;
    } sizes[] = { { 0, 12 }, { 2, 12 }, { 5, 12 }, { 9, 21 }, { 10, 21 } };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        Cost base = cost("caching-mode=on,aw-bits=39", sizes[i].order,
                         sizes[i].shift);
        Cost ours = cost("nested=on", sizes[i].order, sizes[i].shift);

        g_assert_cmpuint(ours.maps, <=, base.maps);
        g_assert_cmpuint(ours.unmaps, <=, base.unmaps);
        /* One call for what the guest does at once */
        g_assert_cmpuint(ours.maps, ==, 4);
        g_assert_cmpuint(ours.unmaps, ==, 4);
    }
}

/* Of a mapping that was made at once, a part goes */
static void test_part(void)
{
    uint64_t ss;
    VtdRig r;

    ss = shadow_start(&r, 16);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_map(&r, ss, 4, IOVA, 0, 16, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA, 4);
    shadow_unmap(&r, ss, 4, IOVA + 5 * PAGE, PAGE);
    shadow_map(&r, ss, 4, IOVA + 7 * PAGE, 1, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA + 4 * PAGE, 2);
    for (unsigned i = 0; i < 16; i++) {
        if (i == 5) {
            shadow_expect_none(&r, HOST_DEV0, IOVA + i * PAGE);
        } else {
            shadow_expect(&r, HOST_DEV0, IOVA + i * PAGE, i == 7 ? 1 : i);
        }
    }
    /* What has not been told of stays as it is */
    vtd_rig_stop(&r);
}

/* A domain is one shadow, for requests with PASID and without */
static void test_scalable(void)
{
    const IommufdDma pasid7 = { .with_pasid = true, .pasid = 7 };
    uint64_t ss, ioas, hwpts;
    VtdRig r;

    vtd_rig_start_simple(&r, 2);
    shadow_fill(&r, 4);
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    ioas = iommufd_model_live(r.m, "ioas");
    hwpts = iommufd_model_live(r.m, "hwpt");
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t rid = i ? RID1 : RID0;

        vtd_context_scalable(&r.t, rid, 10, VTD_CTX_PASIDE, 0);
        vtd_rig_inv_context(&r, rid);
        shadow_pasid(&r, rid, 0, DID, ss);
    }
    shadow_pasid(&r, RID0, 7, DID, ss);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_expect(&r, HOST_DEV1, IOVA, 1);
    iommufd_model_expect_data(r.m, HOST_DEV0, &pasid7, IOVA, 0x11, 64);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, ioas + 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, hwpts + 1);
    shadow_map(&r, ss, 4, IOVA + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect(&r, HOST_DEV1, IOVA + PAGE, 2);
    iommufd_model_expect_data(r.m, HOST_DEV0, &pasid7, IOVA + PAGE, 0x12, 64);

    /* Another domain with the same table is another one */
    shadow_pasid(&r, RID1, 0, DID + 1, ss);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, ioas + 2);
    shadow_unmap(&r, ss, 4, IOVA + PAGE, PAGE);
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
    shadow_expect(&r, HOST_DEV1, IOVA + PAGE, 2);
    vtd_rig_stop(&r);
}

/* First stage, second stage, pass-through and off, in any order */
static void test_transitions(void)
{
    uint64_t ss, s1, detaches;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    shadow_fill(&r, 4);
    vtd_rig_enable(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    s1 = vtd_rig_s1(&r, IOVA, 2);
    vtd_rig_first_stage(&r, RID0, 5, s1);
    shadow_expect(&r, HOST_DEV0, IOVA, 2);
    detaches = iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls");
    for (unsigned i = 0; i < 2; i++) {
        shadow_pasid(&r, RID0, 0, DID, ss);
        shadow_expect(&r, HOST_DEV0, IOVA, 1);
        vtd_rig_pass_through(&r, RID0, 6);
        shadow_expect(&r, HOST_DEV0, DATA + 3 * PAGE, 3);
        shadow_pasid(&r, RID0, 0, DID, ss);
        shadow_expect(&r, HOST_DEV0, IOVA, 1);
        vtd_rig_first_stage(&r, RID0, 5, s1);
        shadow_expect(&r, HOST_DEV0, IOVA, 2);
        /* Off, and on again with a table that has changed meanwhile */
        shadow_pasid(&r, RID0, 0, DID, ss);
        vtd_rig_translation(&r, false);
        shadow_expect(&r, HOST_DEV0, DATA, 0);
        shadow_map(&r, ss, 4, IOVA, 3 - 2 * i, 1, VTD_S2_RW);
        vtd_rig_translation(&r, true);
        shadow_expect(&r, HOST_DEV0, IOVA, 3 - 2 * i);
        shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
        shadow_inv(&r, VTD_INV_DOMAIN, 0, 0);
    }
    g_assert_cmpuint(iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls"),
                     ==, detaches);
    g_assert_cmpuint(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

/* A new table for a domain, named by the same context entry */
static void test_new_root(void)
{
    uint64_t ss, other, ioas;
    VtdRig r;

    ss = shadow_start(&r, 3);
    other = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    shadow_map(&r, other, 4, IOVA, 2, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, 4);
    ioas = iommufd_model_live(r.m, "ioas");
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_legacy(&r, RID0, other, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 2);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, ioas);
    vtd_rig_stop(&r);
}

/* Firmware and Xen without a queue */
static void test_registers(void)
{
    void (*write)(void *opaque, uint64_t offset, uint64_t value);
    uint64_t ss;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    write = r.regs.write64;
    shadow_fill(&r, 4);
    vtd_tables_init(&r.t, &r.mem, false);
    write(r.regs.opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(&r.t));
    r.regs.write32(r.regs.opaque, VTD_REG_GCMD, VTD_GCMD_SRTP);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    vtd_rig_translation(&r, true);
    vtd_context_legacy(&r.t, RID0, 0, ss, 4, DID);
    write(r.regs.opaque, REG_CCMD, CCMD_GLOBAL);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_map(&r, ss, 4, IOVA, 2, 1, VTD_S2_RW);
    write(r.regs.opaque, REG_IOTLB, IOTLB_GLOBAL);
    shadow_expect(&r, HOST_DEV0, IOVA, 2);
    shadow_map(&r, ss, 4, IOVA, 3, 1, VTD_S2_RW);
    write(r.regs.opaque, REG_IOTLB, IOTLB_DOMAIN);
    shadow_expect(&r, HOST_DEV0, IOVA, 3);
    shadow_map(&r, ss, 4, IOVA + PAGE, 1, 1, VTD_S2_RW);
    write(r.regs.opaque, REG_IVA, IOVA | 1);
    write(r.regs.opaque, REG_IOTLB, IOTLB_PAGE);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 1);
    vtd_rig_stop(&r);
}

/* Where tables lead nowhere, devices do not get; nothing of it is an error */
static void test_nowhere(void)
{
    uint64_t ss, slot;
    VtdRig r;

    ss = shadow_start(&r, 3);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    /* A hole of the memory map, a register block, beyond all */
    vtd_s2_map(&r.mem, ss, 4, IOVA + PAGE, 0xa0000000, PAGE, 12, VTD_S2_RW);
    vtd_s2_map(&r.mem, ss, 4, IOVA + 2 * PAGE, 0xfed90000, PAGE, 12, VTD_S2_RW);
    vtd_s2_map(&r.mem, ss, 4, IOVA + 3 * PAGE, 1ULL << 40, PAGE, 12, VTD_S2_RW);
    /* A page of 1 GiB, of which 128 MiB are memory */
    vtd_s2_map(&r.mem, ss, 4, 16 * GiB, 0, 1 * GiB, 30, VTD_S2_RW);
    /* A table that cannot be read, one that is its own, a reserved bit */
    iommu_mem_write64(&r.mem, ss + 8 * 8, 0xa0000000 | VTD_S2_RW);
    iommu_mem_write64(&r.mem, ss + 9 * 8, ss | VTD_S2_RW);
    iommu_mem_write64(&r.mem, ss + 10 * 8,
                      iommu_mem_read64(&r.mem, ss) | VTD_S2_PS);
    shadow_map(&r, ss, 4, IOVA + 5 * PAGE, 2, 1, VTD_S2_RW);
    slot = vtd_s2_entry(&r.mem, ss, 4, IOVA + 5 * PAGE, 1);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) |
                      1ULL << 50);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    for (unsigned i = 1; i < 6; i++) {
        shadow_expect_none(&r, HOST_DEV0, IOVA + i * PAGE);
    }
    shadow_expect(&r, HOST_DEV0, 16 * GiB + DATA, 0);
    shadow_expect_none(&r, HOST_DEV0, 16 * GiB + 128 * MiB);
    shadow_expect_none(&r, HOST_DEV0, 8ULL << 39);
    shadow_expect_none(&r, HOST_DEV0, (10ULL << 39) + IOVA);
    g_assert_cmpuint(vtd_rig_take_fault(&r, NULL), ==, 0);
    vtd_rig_stop(&r);
}

/* What the host refuses, the device does not get, and the guest is told */
static void test_refused(void)
{
    static const char *const refuse[] = {
        "IOAS_ALLOC", "HWPT_ALLOC", "IOAS_COPY", "ATTACH_IOMMUFD_PT",
    };
    uint64_t ss;
    VtdRig r;

    ss = shadow_start(&r, 3);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    for (unsigned i = 0; i < ARRAY_SIZE(refuse); i++) {
        uint64_t objects = iommufd_model_live(r.m, NULL);

        fail_next(&r, refuse[i], "ENOMEM");
        vtd_context_legacy(&r.t, RID0, 0, ss, 4, DID);
        vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_NARROW, 0, RID0));
        vtd_queue_sync(&r.q, &r.regs);
        g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_CONTEXT_INVALID);
        g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, objects);
        iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                                   "blocked");
        /* Once more */
        r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
        vtd_rig_sync(&r);
        shadow_legacy(&r, RID0, ss, 4);
        shadow_expect(&r, HOST_DEV0, IOVA, 1);
        vtd_context_clear(&r.t, RID0);
        vtd_rig_inv_context(&r, RID0);
    }

    shadow_legacy(&r, RID0, ss, 4);
    shadow_map(&r, ss, 4, IOVA + PAGE, 2, 1, VTD_S2_RW);
    fail_next(&r, "IOAS_COPY", "ENOMEM");
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_CONTEXT_INVALID);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 2);
    shadow_unmap(&r, ss, 4, IOVA + PAGE, PAGE);
    fail_next(&r, "IOAS_UNMAP", "EBUSY");
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
    vtd_rig_stop(&r);
}

/* ssts=off: first-stage tables only, and the guest is told so */
static void test_off(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,ssts=off", 1, "");
    g_assert_cmphex(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_SSTS_BIT, ==, 0);
    vtd_rig_enable(&r);
    vtd_context_scalable(&r.t, RID0, 10, 0, 0);
    vtd_rig_inv_context(&r, RID0);
    shadow_pasid(&r, RID0, 0, DID, vtd_s2_new(&r.mem));
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_PASID_INVALID);
    vtd_rig_stop(&r);

    vtd_rig_start(&r, host, "nested=on,ssts=off", 1, "");
    vtd_rig_enable_legacy(&r);
    shadow_legacy(&r, RID0, vtd_s2_new(&r.mem), 4);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_CONTEXT_INVALID);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    vtd_rig_stop(&r);
}

/* Widths and bits that are not offered */
static void test_bad_entry(void)
{
    uint64_t entry;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_context_scalable(&r.t, RID0, 10, 0, 0);
    vtd_rig_inv_context(&r, RID0);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_SECOND, .s2_levels = 5, .did = DID,
    });
    vtd_rig_inv_pasid(&r, DID, 0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_PASID_INVALID);
    shadow_pasid(&r, RID0, 0, DID, vtd_s2_new(&r.mem));
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0);
    entry = vtd_pasid_entry(&r.t, RID0, 0);
    iommu_mem_write64(&r.mem, entry, iommu_mem_read64(&r.mem, entry) |
                      1 << 9);
    vtd_rig_inv_pasid(&r, DID, 0);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_PASID_RSVD);

    vtd_rig_stop(&r);

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable_legacy(&r);
    shadow_legacy(&r, RID0, vtd_s2_new(&r.mem), 5);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, FR_CONTEXT_INVALID);
    vtd_context_legacy(&r.t, RID0, 3, vtd_s2_new(&r.mem), 4, DID);
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    vtd_rig_stop(&r);
}

/* Nothing is left of shadows after a reset, with and without devices */
static void test_reset(void)
{
    uint64_t ss, objects;
    VtdRig r;

    vtd_rig_start_simple(&r, 2);
    shadow_fill(&r, 2);
    objects = iommufd_model_live(r.m, NULL);
    for (unsigned i = 0; i < 2; i++) {
        vtd_rig_enable_legacy(&r);
        ss = vtd_s2_new(&r.mem);
        shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
        shadow_legacy(&r, RID0, ss, 4);
        shadow_legacy(&r, RID1, ss, 4);
        shadow_expect(&r, HOST_DEV1, IOVA, 1);
        /* What was to be looked at is so no more */
        vtd_queue_push(&r.q, vtd_inv_iotlb(VTD_INV_DOMAIN, DID, 0, 0, false));
        vtd_queue_kick(&r.q, &r.regs);
        qtest_system_reset(r.qts);
        g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, objects);
        shadow_expect(&r, HOST_DEV0, DATA, 0);
        vtd_rig_open_config(&r);
    }
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/shadow/legacy-39", GUINT_TO_POINTER(3),
                        test_legacy);
    qtest_add_data_func("/vtd-nested/shadow/legacy-48", GUINT_TO_POINTER(4),
                        test_legacy);
    qtest_add_data_func("/vtd-nested/shadow/ends-39", GUINT_TO_POINTER(3),
                        test_ends);
    qtest_add_data_func("/vtd-nested/shadow/ends-48", GUINT_TO_POINTER(4),
                        test_ends);
    qtest_add_func("/vtd-nested/shadow/permissions", test_permissions);
    qtest_add_func("/vtd-nested/shadow/calls", test_calls);
    qtest_add_func("/vtd-nested/shadow/cost", test_cost);
    qtest_add_func("/vtd-nested/shadow/part", test_part);
    qtest_add_func("/vtd-nested/shadow/scalable", test_scalable);
    qtest_add_func("/vtd-nested/shadow/transitions", test_transitions);
    qtest_add_func("/vtd-nested/shadow/new-root", test_new_root);
    qtest_add_func("/vtd-nested/shadow/registers", test_registers);
    qtest_add_func("/vtd-nested/shadow/nowhere", test_nowhere);
    qtest_add_func("/vtd-nested/shadow/refused", test_refused);
    qtest_add_func("/vtd-nested/shadow/off", test_off);
    qtest_add_func("/vtd-nested/shadow/bad-entry", test_bad_entry);
    qtest_add_func("/vtd-nested/shadow/reset", test_reset);
    return g_test_run();
}
