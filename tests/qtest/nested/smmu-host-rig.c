/*
 * An emulated host with an SMMUv3 that can nest, and an sva-engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-host-rig.h"

#define SMMU_BASE       0x09050000ULL
#define RAM             0x40000000ULL

#define TABLES          (RAM + 0x01000000ULL)
#define TABLES_SIZE     0x04000000ULL
/* Of stage 1: an IPA in nested streams, IPA_OFFSET higher */
#define S1_ARENA        (RAM + 0x06000000ULL)
#define S1_ARENA_SIZE   0x00400000ULL
#define IPA_OFFSET      0x400000000ULL

#define RING_PA         (RAM + 0x07000000ULL)
#define DONE_PA         (RAM + 0x07010000ULL)

#define CMDQ_BITS       8
#define IPA_BITS        44

/* ----------------------------------------------------------- the machine */

/*
 * Neighbouring pages of stage 2 change places, so that nothing that takes
 * more than one of them is found without a walk for each.
 */
static uint64_t host_pa(Host *h, uint64_t ipa)
{
    return h->setup.config == CONFIG_NESTED ?
           (ipa - IPA_OFFSET) ^ (1ULL << h->setup.s2_granule) : ipa;
}

uint64_t host_ipa(Host *h, uint64_t pa)
{
    return h->setup.config == CONFIG_NESTED ?
           (pa ^ (1ULL << h->setup.s2_granule)) + IPA_OFFSET : pa;
}

static void s1_mem_read(void *opaque, uint64_t ipa, void *buf, size_t len)
{
    Host *h = opaque;

    qtest_memread(h->rig.qts, host_pa(h, ipa), buf, len);
}

static void s1_mem_write(void *opaque, uint64_t ipa, const void *buf,
                         size_t len)
{
    Host *h = opaque;

    qtest_memwrite(h->rig.qts, host_pa(h, ipa), buf, len);
}

static char *host_globals(const char *smmu)
{
    g_auto(GStrv) props = g_strsplit(smmu, ",", -1);
    GString *args = g_string_new("");

    for (char **prop = props; *prop; prop++) {
        g_string_append_printf(args, "-global arm-smmuv3.%s ", *prop);
    }
    return g_string_free(args, false);
}

Host *host_start(const char *smmu, const char *engine, unsigned events)
{
    g_autofree char *globals = host_globals(smmu);
    Host *h = g_new0(Host, 1);

    h->rig = (Rig) {
        .ram = RAM,
        .ecam = 0x4010000000,
        .bar0 = 0x10000000,
        .bar2 = 0x10100000,
    };
    h->rig.qts = qtest_initf("-M virt,iommu=smmuv3 -cpu max -m 256M "
                             "-nodefaults %s -device sva-engine,bus=pcie.0,"
                             "addr=4,pri=off,pasid-bits=20%s%s", globals,
                             *engine ? "," : "", engine);
    rig_enable(&h->rig);
    iommu_mem_qtest(&h->mem, h->rig.qts, TABLES, TABLES_SIZE);
    h->where = (QtestIommuRegs) { .qts = h->rig.qts, .base = SMMU_BASE };
    iommu_regs_qtest(&h->regs, &h->where);
    smmu_tables_init(&h->tables, &h->mem, 16, 8);
    smmu_queue_init(&h->cmdq, &h->mem, CMDQ_BITS, 16);
    smmu_queue_init(&h->evtq, &h->mem, events, 32);
    smmu_enable(&h->regs, &h->tables, &h->cmdq, &h->evtq);
    return h;
}

void host_stop(Host *h)
{
    rig_stop(&h->rig);
    g_free(h);
}

void host_endpoint(Host *h, bool ats)
{
    memset(h->queue, 0, sizeof(h->queue));
    rig_config_writew(&h->rig, RIG_PASID + PCI_PASID_CTRL,
                      PCI_PASID_CTRL_ENABLE);
    rig_config_writew(&h->rig, RIG_ATS + PCI_ATS_CTRL,
                      ats ? PCI_ATS_CTRL_ENABLE : 0);
}

uint32_t host_reg(Host *h, uint64_t reg)
{
    return h->regs.read32(h->regs.opaque, reg);
}

void host_set_reg(Host *h, uint64_t reg, uint32_t value)
{
    h->regs.write32(h->regs.opaque, reg, value);
}

/* -------------------------------------------------------------- commands */

void host_push(Host *h, SmmuCmd cmd)
{
    smmu_queue_push(&h->cmdq, cmd);
}

void host_sync(Host *h)
{
    g_assert_cmpint(smmu_cmdq_sync(&h->cmdq, &h->regs), ==, 0);
}

void host_command(Host *h, SmmuCmd cmd)
{
    host_push(h, cmd);
    host_sync(h);
}

void host_flush(Host *h)
{
    host_push(h, smmu_cfgi_ste_all());
    host_push(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    host_push(h, smmu_atc_inv(HOST_SID, SMMU_NO_SSID, 0, 52));
    host_sync(h);
}

/* ---------------------------------------------------------------- tables */

void host_map_s2(Host *h, uint64_t ipa, uint64_t pa, uint64_t flags)
{
    smmu_s1_map(&h->s2, ipa, pa, 1ULL << h->s2.granule, h->s2.granule, flags);
}

/* @pa: of the page of stage 2 that has it */
static void host_map_page(Host *h, uint64_t pa)
{
    pa &= ~((1ULL << h->s2.granule) - 1);
    host_map_s2(h, host_ipa(h, pa), pa, HOST_S2_RW);
}

static void host_stage2(Host *h)
{
    uint64_t page = 1ULL << h->setup.s2_granule;

    smmu_s1_init(&h->s2, &h->mem, h->setup.s2_granule, IPA_BITS);
    for (uint64_t off = 0; off < S1_ARENA_SIZE; off += page) {
        host_map_page(h, S1_ARENA + off);
    }
    host_map_page(h, RING_PA);
    host_map_page(h, DONE_PA);
    for (unsigned i = 0; i < 4; i++) {
        host_map_page(h, HOST_PA(i));
    }
}

static uint64_t host_ste2(Host *h)
{
    /* S2TG: 4 KiB is 0, 64 KiB is 1, 16 KiB is 2 */
    unsigned g = h->setup.s2_granule;
    uint64_t s2tg = g == 12 ? 0 : g == 16 ? 1 : 2;
    /* S2SL0 of start levels */
    uint64_t sl0 = g == 12 ? 2 - smmu_s1_start(&h->s2) :
                             3 - smmu_s1_start(&h->s2);

    return HOST_VMID | (64ULL - IPA_BITS) << 32 | sl0 << 38 |
           1ULL << 40 | 1ULL << 42 | 3ULL << 44 |   /* IR0, OR0, SH0 */
           s2tg << 46 | 4ULL << 48 |                /* S2PS: 44 bits */
           1ULL << 51 | 1ULL << 58;                 /* S2AA64, S2R */
}

static void host_close(Host *h)
{
    for (unsigned i = 0; i < ARRAY_SIZE(h->queue); i++) {
        rig_writel(&h->rig, SVA_QUEUE(i) + SVA_Q_CTRL, 0);
        h->queue[i].open = false;
    }
}

void host_setup(Host *h, const HostSetup *setup)
{
    uint64_t dw[8] = { 1 | (uint64_t)setup->config << 1 };
    bool s1 = setup->config == CONFIG_S1 || setup->config == CONFIG_NESTED;
    bool s2 = setup->config == CONFIG_S2 || setup->config == CONFIG_NESTED;

    host_close(h);
    h->setup = *setup;
    h->setup.s1_granule = setup->s1_granule ?: 12;
    h->setup.s2_granule = setup->s2_granule ?: 12;
    h->s1_mem = (IommuMem) {
        s1_mem_read, s1_mem_write, h, host_ipa(h, S1_ARENA),
        host_ipa(h, S1_ARENA) + S1_ARENA_SIZE - 0x20000,
    };
    if (s2) {
        host_stage2(h);
        dw[2] = host_ste2(h);
        dw[3] = h->s2.root;
    }
    if (s1) {
        smmu_cdtab_init(&h->cds, &h->s1_mem, setup->fmt, setup->cdmax);
        dw[0] |= h->cds.base | (uint64_t)setup->fmt << 4 |
                 (uint64_t)setup->cdmax << 59;
        dw[1] = setup->s1dss | 1ULL << 2 | 1ULL << 4 | 3ULL << 6;
    }
    dw[0] |= setup->ste0;
    dw[1] |= (uint64_t)setup->eats << 28 | setup->ste1;
    dw[2] |= setup->ste2;
    iommu_mem_write_qwords(&h->mem, smmu_ste_entry(&h->tables, HOST_SID), dw,
                           8);
    host_flush(h);
}

SmmuS1 host_space(Host *h, uint32_t ssid, unsigned page)
{
    unsigned granule = h->setup.s1_granule;
    uint64_t size = 1ULL << granule;
    SmmuS1 s1;

    smmu_s1_init(&s1, &h->s1_mem, granule, 48);
    smmu_s1_map(&s1, HOST_VA_RING, host_ipa(h, RING_PA) & ~(size - 1), size,
                granule, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, HOST_VA_DONE, host_ipa(h, DONE_PA) & ~(size - 1), size,
                granule, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, HOST_VA, host_ipa(h, HOST_PA(page)) & ~(size - 1), size,
                granule, SMMU_PTE_USER_RW);
    smmu_cd_set(&h->cds, ssid, &s1, ++h->asid);
    host_push(h, smmu_cfgi_cd(HOST_SID, ssid, true));
    host_sync(h);
    return s1;
}

/* ------------------------------------------------------------------- DMA */

unsigned host_read(Host *h, uint64_t va)
{
    return rig_simple(&h->rig, va, true);
}

unsigned host_write(Host *h, uint64_t va)
{
    return rig_simple(&h->rig, va, false);
}

static uint64_t host_offset(Host *h, uint64_t pa)
{
    return host_ipa(h, pa) & ((1ULL << h->setup.s1_granule) - 1);
}

static RigQueue *host_open(Host *h, uint32_t pasid)
{
    unsigned n = pasid != HOST_RID;
    RigQueue *q = &h->queue[n].q;

    if (!h->queue[n].open || h->queue[n].pasid != pasid) {
        rig_queue_init(q, &h->rig, n, n ? SVA_Q_PASID_VALID | pasid : 0,
                       HOST_VA_RING + host_offset(h, RING_PA), RING_PA, 4);
        h->queue[n].open = true;
        h->queue[n].pasid = pasid;
    }
    return q;
}

unsigned host_fill(Host *h, uint32_t pasid, uint64_t va, uint64_t pattern)
{
    RigQueue *q = host_open(h, pasid);
    uint32_t state;

    qtest_memset(h->rig.qts, DONE_PA, 0, SVA_COMP_SIZE);
    rig_push(q, &(RigDesc) {
        .op = SVA_OP_FILL, .dst = va, .len = 4096, .pattern = pattern,
        .completion = HOST_VA_DONE + host_offset(h, DONE_PA),
    });
    rig_doorbell(q);
    do {
        state = rig_queue_state(q);
        g_usleep(50);
    } while (state == SVA_STATE_WORKING ||
             (state == SVA_STATE_IDLE &&
              rig_queue_readl(q, SVA_Q_HEAD) != q->tail));
    if (state == SVA_STATE_IDLE) {
        return rig_completion(&h->rig, DONE_PA).code;
    }
    g_assert_cmpuint(state, ==, SVA_STATE_HALTED);
    state = rig_queue_readl(q, SVA_Q_STATUS);
    host_close(h);
    return SVA_Q_HALT_CODE(state);
}

void host_check_fill(Host *h, uint32_t pasid, unsigned page, uint64_t pattern)
{
    uint64_t where = HOST_PA(page);

    qtest_memset(h->rig.qts, where, 0, 4096);
    g_assert_cmphex(host_fill(h, pasid, HOST_VA + host_offset(h, where),
                              pattern), ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readq(h->rig.qts, where), ==, pattern);
    g_assert_cmphex(qtest_readq(h->rig.qts, where + 4088), ==, pattern);
    host_no_event(h);
}

/* ---------------------------------------------------------------- events */

HostEvent host_event(Host *h)
{
    uint64_t dw[4];

    g_assert_true(smmu_evtq_read(&h->evtq, &h->regs, dw));
    return (HostEvent) {
        .type = dw[0] & 0xff,
        .ssv = dw[0] >> 11 & 1,
        .ssid = dw[0] >> 12 & 0xfffff,
        .sid = dw[0] >> 32,
        .rnw = dw[1] >> 35 & 1,
        .s2 = dw[1] >> 39 & 1,
        .class = dw[1] >> 40 & 3,
        .addr = dw[2],
        .ipa = dw[3],
    };
}

void host_no_event(Host *h)
{
    uint64_t dw[4];

    g_assert_false(smmu_evtq_read(&h->evtq, &h->regs, dw));
}

unsigned host_filled_page(Host *h, uint32_t pasid, uint64_t va)
{
    static uint64_t pattern = 0x1234567800000000;
    unsigned i;

    pattern++;
    g_assert_cmphex(host_fill(h, pasid, va, pattern), ==, SVA_CODE_OK);
    host_no_event(h);
    for (i = 0; i < 4; i++) {
        if (qtest_readq(h->rig.qts, HOST_PA(i)) == pattern) {
            return i;
        }
    }
    g_assert_not_reached();
}
