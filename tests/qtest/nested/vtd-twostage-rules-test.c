/*
 * intel-iommu as the IOMMU of an emulated host: rules of the VT-d
 * specification that are easily missed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table in docs/nested/host-vtd.rst says which rule is tested where.
 * Fault conditions are those of section 7.1.3.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "vtd-host.h"

#define OTHER_HPA       (DATA_HPA + 0x1000)
#define PASID           5
#define RING_VA         (8 * GIB + RING_HPA)
#define DONE_VA         (RING_VA + 2048)
#define DONE_HPA        (RING_HPA + 2048)

#define SVA_CONTEXT     (VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE)
#define CTX_RID_PRIV    (1ULL << 20)

#define FAULT_CTX_P         0x41
#define FAULT_CTX_RSVD      0x42
#define FAULT_DTE           0x44
#define FAULT_PASID_RANGE   0x46
#define FAULT_PE_RSVD       0x5a
#define FAULT_SRE           0x5d
#define FAULT_NO_PAGE       0x71
#define FAULT_S1_RSVD       0x72
#define FAULT_S2_RSVD       0x7a
#define FAULT_PRIVILEGE     0x81
#define FAULT_WRITE         0x85

#define REG_FRCD        0x220
#define FRCD_F          (1u << 31)
#define FSTS_PFO        1
#define REG_PQH         0xc0
#define REG_PQT         0xc8
#define REG_PRS         0xdc
#define PRS_PRO         2

#define ECAM            0xb0000000ULL
/* Another endpoint, of which the IOMMU has no context entry */
#define STRANGER_RID    0x30
#define STRANGER_BAR    0xe1000000ULL

static Setup nested(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s1_shift = 12,
        .s2_levels = 4, .s2_shift = 12,
        .s1_flags = VTD_S1_USER_RW, .s2_flags = VTD_S2_RW,
    };
}

static Host *start(const char *iommu, Setup *s)
{
    Host *h = host_new(iommu, "");

    host_start(h, SVA_CONTEXT);
    host_setup(h, 0, s);
    return h;
}

/* Requests with PASID: queue 0 works on an entry with data page and ring */
static Host *start_sva(const char *iommu, Setup *s, uint32_t pasid)
{
    Host *h = host_new(iommu, "");

    host_start(h, SVA_CONTEXT);
    host_build(h, s);
    vtd_s1_map(&h->s1_mem, s->s1_root, 4, RING_VA, RING_VA, 4096, 12,
               VTD_S1_USER_RW);
    vtd_s2_map(&h->mem, s->s2_root, 4, RING_VA, RING_HPA, 4096, 12, VTD_S2_RW);
    host_set_pasid(h, pasid, s);
    host_invalidate_all(h);
    host_enable_sva(h);
    engine_start(h, pasid, RING_VA);
    return h;
}

static void submit(Host *h, uint64_t va, uint64_t pattern)
{
    host_write64(h, DONE_HPA, 0);
    engine_fill(h, RING_HPA, va, 4096, pattern, DONE_VA);
}

/* ---------------------------------------------------------- table entries */

/* 9.6: fields that are reserved, or stand for what ECAP does not offer */
static void test_pasid_entry_reserved(void)
{
    static const struct {
        unsigned word, bit;
        bool reserved;
    } bits[] = {
        { 0, 10, true }, { 0, 11, true },
        { 1, 16, true }, { 1, 22, true },
        { 1, 23, false }, { 1, 24, false }, { 1, 25, false },
        { 2, 1, true },         /* ERE: no ECAP.ERS */
        { 2, 8, true }, { 2, 11, true },
        { 3, 0, true }, { 4, 63, true }, { 5, 1, true }, { 7, 63, true },
    };
    Setup s = nested();
    Host *h = start("", &s);
    uint64_t entry = vtd_pasid_entry(&h->tables, HOST_RID, 0), slot, old;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(bits); i++) {
        slot = entry + bits[i].word * 8;
        old = host_read64(h, slot);
        host_write64(h, slot, old | 1ULL << bits[i].bit);
        host_invalidate_all(h);
        if (bits[i].reserved) {
            host_check_fault(h, DATA_IOVA, true, FAULT_PE_RSVD);
        } else {
            host_check_dma(h, DATA_IOVA, DATA_HPA);
        }
        host_write64(h, slot, old);
    }
    host_free(h);
}

static void set_rid_priv(Host *h, bool on)
{
    host_write64(h, vtd_context_entry(&h->tables, HOST_RID) + 8,
                 on ? CTX_RID_PRIV : 0);
    host_invalidate_all(h);
}

/* 9.4: RID_PRIV makes requests without PASID privileged ones */
static void test_rid_privilege(void)
{
    Setup s = nested();
    Host *h;

    s.s1_flags = VTD_S1_P | VTD_S1_RW;
    s.sre = true;
    h = start("", &s);
    host_check_fault(h, DATA_IOVA, true, FAULT_PRIVILEGE);
    set_rid_priv(h, true);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    set_rid_priv(h, false);
    host_check_fault(h, DATA_IOVA, true, FAULT_PRIVILEGE);

    s.sre = false;
    host_set_pasid(h, 0, &s);
    set_rid_priv(h, true);
    host_check_fault(h, DATA_IOVA, true, FAULT_SRE);
    host_free(h);

    /* Without ECAP.SRS it is reserved */
    s.s1_flags = VTD_S1_USER_RW;
    h = start(",host-srs=off", &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    set_rid_priv(h, true);
    host_check_fault(h, DATA_IOVA, true, FAULT_CTX_RSVD);
    host_free(h);
}

/* 9.6: a supervisor's writes heed R/W if WPE is set */
static void test_write_protect(void)
{
    Setup s = nested();
    Host *h;
    uint64_t word, slot;

    s.s1_flags = VTD_S1_P;
    s.sre = true;
    h = start("", &s);
    set_rid_priv(h, true);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    slot = vtd_pasid_entry(&h->tables, HOST_RID, 0) + 16;
    word = host_read64(h, slot);
    host_write64(h, slot, word | 1 << 4);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, FAULT_WRITE);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
    host_free(h);
}

typedef struct EntryBit {
    unsigned stage, shift, stop, bit;
    bool reserved;
} EntryBit;

static void check_entry_bits(Host *h, const EntryBit *bits, unsigned n)
{
    const IommuMem *mem;
    uint64_t slot, entry;
    unsigned i, level;

    for (i = 0; i < n; i++) {
        Setup s = nested();

        host_recycle(h);
        s.s1_shift = s.s2_shift = bits[i].shift;
        host_setup(h, 0, &s);
        host_check_dma(h, DATA_IOVA, DATA_HPA);
        mem = bits[i].stage == 1 ? &h->s1_mem : &h->mem;
        slot = bits[i].stage == 1 ?
               vtd_s1_entry(mem, s.s1_root, 4, DATA_IOVA, bits[i].stop,
                            &level) :
               vtd_s2_entry(mem, s.s2_root, 4, DATA_GPA, bits[i].stop);
        entry = iommu_mem_read64(mem, slot);
        iommu_mem_write64((IommuMem *)mem, slot, entry | 1ULL << bits[i].bit);
        host_invalidate_all(h);
        if (bits[i].reserved) {
            host_check_fault(h, DATA_IOVA, true, bits[i].stage == 1 ?
                             FAULT_S1_RSVD : FAULT_S2_RSVD);
        } else {
            host_check_dma(h, DATA_IOVA, DATA_HPA);
        }
    }
}

/* 9.7 to 9.9: bits of paging entries; addresses have 48 bits */
static void test_entry_bits(void)
{
    static const EntryBit bits[] = {
        { 1, 12, 1, 48, true }, { 1, 12, 1, 51, true }, { 1, 12, 2, 48, true },
        { 1, 12, 1, 52, false }, { 1, 12, 1, 63, false },
        { 1, 12, 1, 7, false }, { 1, 12, 4, 7, true },
        { 1, 21, 2, 12, false }, { 1, 21, 2, 13, true }, { 1, 21, 2, 20, true },
        { 1, 30, 3, 29, true },
        { 2, 12, 1, 48, true }, { 2, 12, 1, 51, true }, { 2, 12, 3, 51, true },
        { 2, 12, 1, 11, false }, { 2, 12, 2, 11, true },
        { 2, 12, 1, 62, true }, { 2, 12, 1, 63, false },
        { 2, 12, 4, 7, true }, { 2, 21, 2, 12, true }, { 2, 30, 3, 29, true },
        { 2, 30, 3, 11, false },
    };
    static const EntryBit no_snoop[] = {
        { 2, 12, 1, 11, true }, { 2, 21, 2, 11, true },
    };
    Setup s = nested();
    Host *h = start("", &s);

    check_entry_bits(h, bits, ARRAY_SIZE(bits));
    host_free(h);
    h = start(",host-sc=off", &s);
    check_entry_bits(h, no_snoop, ARRAY_SIZE(no_snoop));
    host_free(h);
}

/* 10.4.3: a PASID that ECAP.PSS has no room for, directory or not */
static void test_pasid_size(void)
{
    Setup s = nested();
    Host *h = start_sva(",host-pasid-bits=6", &s, 63);
    uint64_t lo, hi;

    submit(h, DATA_IOVA, 1);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_free(h);

    h = start_sva(",host-pasid-bits=6", &s, 64);
    submit(h, DATA_IOVA, 1);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, FAULT_PASID_RANGE);
    g_assert_cmphex(hi >> 40 & 0xfffff, ==, 64);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 0);
    host_free(h);
}

/* ---------------------------------------------------------- fault records */

static void stranger_dma(Host *h)
{
    qtest_writeq(h->qts, STRANGER_BAR + SVA_SIMPLE_ADDRESS, DATA_IOVA);
    qtest_writel(h->qts, STRANGER_BAR + SVA_SIMPLE_COMMAND, SVA_COMMAND_RUN);
    qtest_clock_step(h->qts, 1000000);
}

static void check_record(Host *h, uint16_t rid, unsigned reason)
{
    uint64_t hi = h->regs.read64(h, REG_FRCD + 8);

    g_assert_cmphex(hi & 0xffff, ==, rid);
    g_assert_cmphex(hi >> 32 & 0xff, ==, reason);
    g_assert_cmphex(hi >> 63, ==, 1);
}

/*
 * 7.2.1, 7.3: there is one record (CAP.NFR). Another fault of the same source
 * may go with it; one of another source is lost, and so is what comes until
 * software has cleared the overflow flag.
 */
static void test_record_overflow(void)
{
    Setup s = nested();
    Host *h = host_new("", " -device sva-engine,addr=6");
    uint64_t config = ECAM + STRANGER_RID * 4096;

    qtest_writel(h->qts, config + PCI_BASE_ADDRESS_0, STRANGER_BAR);
    qtest_writew(h->qts, config + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    host_start(h, SVA_CONTEXT);
    s.s1_flags = 0;
    host_setup(h, 0, &s);

    g_assert_cmphex(host_dma(h, DATA_IOVA, true), !=, SVA_CODE_OK);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), !=, SVA_CODE_OK);
    check_record(h, HOST_RID, FAULT_NO_PAGE);
    g_assert_cmphex(h->regs.read32(h, VTD_REG_FSTS) & FSTS_PFO, ==, 0);

    stranger_dma(h);
    check_record(h, HOST_RID, FAULT_NO_PAGE);
    g_assert_cmphex(h->regs.read32(h, VTD_REG_FSTS) & FSTS_PFO, ==, FSTS_PFO);

    h->regs.write32(h, REG_FRCD + 12, FRCD_F);
    stranger_dma(h);
    g_assert_cmphex(h->regs.read64(h, REG_FRCD + 8) >> 63, ==, 0);
    h->regs.write32(h, VTD_REG_FSTS, FSTS_PFO);
    stranger_dma(h);
    check_record(h, STRANGER_RID, FAULT_CTX_P);
    host_free(h);
}

/* ---------------------------------------------------------- invalidations */

/*
 * 6.5.2.3: a page-selective invalidation of a domain is about stage 2. What
 * the first stage alone translates is none of its business.
 */
static void test_first_stage_pages(void)
{
    Setup s = nested();
    Host *h;
    uint64_t seen;

    s.pgtt = VTD_PGTT_FIRST;
    s.s2_levels = 0;
    h = start("", &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    vtd_s1_map(&h->mem, s.s1_root, 4, DATA_IOVA, OTHER_HPA, 4096, 12,
               VTD_S1_USER_RW | VTD_S1_A | VTD_S1_D);

    host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_IOVA, 0,
                                     false));
    g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
    seen = host_read64(h, OTHER_HPA + 8);
    g_assert_cmphex(seen, ==, 0);
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID, 0, 0, false));
    g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
    seen = host_read64(h, OTHER_HPA + 8);
    g_assert_cmphex(seen, !=, 0);
    host_free(h);
}

/* --------------------------------------------------------------------- ATS */

/* With translation disabled there is nobody who answers translation requests */
static void test_disabled(void)
{
    Setup s = nested();
    Host *h = start_sva("", &s, PASID);

    submit(h, DATA_IOVA, 1);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE);
    engine_start(h, UINT32_MAX, RING_HPA);
    host_write64(h, DONE_HPA, 0);
    engine_fill(h, RING_HPA, DATA_HPA, 4096, 2, DONE_HPA);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_read32(h, DONE_HPA), ==, 0);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 1);
    host_free(h);
}

/*
 * 3.10: what the device TLB has kept is worth nothing once the context entry
 * does not allow one, or is gone
 */
static void test_translated(void)
{
    Setup s = nested();
    Host *h = start_sva("", &s, PASID);
    uint64_t entry = vtd_context_entry(&h->tables, HOST_RID);
    uint64_t old = host_read64(h, entry), lo, hi;
    const uint64_t changed[] = { old & ~(uint64_t)VTD_CTX_DTE,
                                 old & ~(uint64_t)VTD_CTX_P };
    const unsigned reason[] = { FAULT_DTE, FAULT_CTX_P };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(changed); i++) {
        engine_start(h, PASID, RING_VA);
        submit(h, DATA_IOVA, 1);
        g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
        host_write64(h, entry, changed[i]);
        submit(h, DATA_IOVA, 2);
        g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
        host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
        submit(h, DATA_IOVA, 3);
        qtest_clock_step(h->qts, 1000000);
        g_assert_cmphex(host_read64(h, DATA_HPA), ==, 2);
        g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, reason[i]);
        g_assert_cmphex(hi >> 60 & 3, ==, 2);   /* translated request */
        g_assert_cmphex(hi >> 62 & 1, ==, 1);   /* of the descriptor: a read */
        g_assert_cmphex(lo, ==, RING_HPA);
        host_write64(h, entry, old);
        host_invalidate_all(h);
    }
    host_free(h);
}

/* ------------------------------------------- page requests and responses */

/*
 * 7.4.1: what finds the queue full is dropped. The endpoint is told to try
 * again, as it is until software has cleared the overflow flag.
 */
static void test_request_overflow(void)
{
    Setup s = nested();
    Host *h = start_sva("", &s, PASID);
    uint64_t va = DATA_IOVA + 0x3000, answers;
    unsigned i;

    h->regs.write64(h, REG_PQH, 32);
    submit(h, va, 9);
    qtest_clock_step(h->qts, 200000);
    g_assert_cmphex(h->regs.read32(h, REG_PRS) & PRS_PRO, ==, PRS_PRO);
    g_assert_cmphex(h->regs.read64(h, REG_PQT), ==, 0);
    answers = engine_counter(h, SVA_CNT_RESP_SUCCESS);
    g_assert_cmpuint(answers, >, 0);

    /* Room alone does not do */
    h->regs.write64(h, REG_PQH, 0);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(h->regs.read64(h, REG_PQT), ==, 0);
    g_assert_cmpuint(engine_counter(h, SVA_CNT_RESP_SUCCESS), >, answers);

    h->regs.write32(h, REG_PRS, PRS_PRO);
    for (i = 0; i < 1000 && !h->regs.read64(h, REG_PQT); i++) {
        qtest_clock_step(h->qts, 1000000);
    }
    vtd_s1_map(&h->s1_mem, s.s1_root, 4, va, DATA_GPA, 4096, 12,
               VTD_S1_USER_RW);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID,
                                         host_read64(h, PRQ_BASE + 8) >> 3 &
                                         0x1ff, VTD_PRG_SUCCESS));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_free(h);
}


static unsigned pri_status(Host *h)
{
    uint64_t base = ECAM + (uint64_t)HOST_RID * 4096;
    unsigned pos = 0x100;
    uint32_t header;

    while (pos) {
        header = qtest_readl(h->qts, base + pos);
        if ((header & 0xffff) == PCI_EXT_CAP_ID_PRI) {
            return qtest_readw(h->qts, base + pos + PCI_PRI_STATUS);
        }
        pos = header >> 20;
    }
    g_assert_not_reached();
}

/*
 * Responses that nobody waits for: without such a device, group or PASID. The
 * queue goes on, the endpoint says what it got (PCIe 10.5.2.3, UPRGI), and the
 * request that is out stays out.
 */
static void test_response_for_nobody(void)
{
    Setup s = nested();
    Host *h = start_sva("", &s, PASID);
    uint64_t va = DATA_IOVA + 0x3000, head = 0;
    unsigned group, tries;

    submit(h, va, 7);
    for (tries = 0; tries < 1000 && !h->regs.read64(h, REG_PQT); tries++) {
        qtest_clock_step(h->qts, 1000000);
    }
    g_assert_cmphex(h->regs.read64(h, REG_PQT), ==, 32);
    group = host_read64(h, PRQ_BASE + head + 8) >> 3 & 0x1ff;

    host_invalidate(h, vtd_page_response(0x4321, true, PASID, group,
                                         VTD_PRG_SUCCESS));
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID + 1, group,
                                         VTD_PRG_SUCCESS));
    g_assert_cmphex(pri_status(h) & PCI_PRI_STATUS_UPRGI, ==, 0);
    g_assert_cmphex(engine_counter(h, SVA_CNT_RESP_SUCCESS), ==, 0);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, group ^ 1,
                                         VTD_PRG_SUCCESS));
    g_assert_cmphex(pri_status(h) & PCI_PRI_STATUS_UPRGI, ==,
                    PCI_PRI_STATUS_UPRGI);
    g_assert_cmphex(engine_counter(h, SVA_CNT_RESP_SUCCESS), ==, 0);

    vtd_s1_map(&h->s1_mem, s.s1_root, 4, va, DATA_GPA, 4096, 12,
               VTD_S1_USER_RW);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, group,
                                         VTD_PRG_SUCCESS));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 7);
    /* The group is over: an answer to it is one for nobody */
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, group,
                                         VTD_PRG_FAILURE));
    submit(h, DATA_IOVA, 8);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-twostage/rules/pasid-entry-reserved",
                   test_pasid_entry_reserved);
    qtest_add_func("/vtd-twostage/rules/rid-privilege", test_rid_privilege);
    qtest_add_func("/vtd-twostage/rules/write-protect", test_write_protect);
    qtest_add_func("/vtd-twostage/rules/entry-bits", test_entry_bits);
    qtest_add_func("/vtd-twostage/rules/pasid-size", test_pasid_size);
    qtest_add_func("/vtd-twostage/rules/first-stage-pages",
                   test_first_stage_pages);
    qtest_add_func("/vtd-twostage/rules/disabled", test_disabled);
    qtest_add_func("/vtd-twostage/rules/translated", test_translated);
    qtest_add_func("/vtd-twostage/rules/record-overflow",
                   test_record_overflow);
    qtest_add_func("/vtd-twostage/rules/request-overflow",
                   test_request_overflow);
    qtest_add_func("/vtd-twostage/rules/response-for-nobody",
                   test_response_for_nobody);
    return g_test_run();
}
