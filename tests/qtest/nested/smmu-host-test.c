/*
 * arm-smmuv3 as the SMMU of an emulated host: what it offers, walks of one and
 * of two stages, events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Section numbers are those of IHI 0070.
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "qobject/qdict.h"
#include "nested-rig.h"
#include "smmu-fw.h"
#include "smmu-host-rig.h"

#define OTHER_IPA       0x500000000ULL
#define STE1_S2FWB      (1ULL << 25)
#define STE2_S2AA64     (1ULL << 51)
#define STE2_S2PS(x)    ((uint64_t)(x) << 48)
#define CD0_IPS(x)      ((uint64_t)(x) << 32)

#define EVENTQ_OVFLG    (1u << 31)

/* --------------------------------------------------------- what is offered */

static void check_idr(const char *props, uint32_t idr0, uint32_t ssidsize,
                      bool fwb, unsigned oas)
{
    Host *h = host_start(props, "", 4);
    uint32_t idr[6];

    for (unsigned i = 0; i < 6; i++) {
        idr[i] = host_reg(h, i * 4);
    }
    /* ATS, NS1ATS, CD2L */
    g_assert_cmphex(idr[0] & (1 << 10 | 1 << 11 | 1 << 19), ==, idr0);
    g_assert_cmpuint(idr[1] >> 6 & 0x1f, ==, ssidsize);
    g_assert_cmpuint(idr[3] >> 8 & 1, ==, fwb);
    g_assert_cmpuint(idr[5] & 7, ==, oas);
    /* The rest is the base's: both stages, AArch64, RIL, BBML 2, granules */
    g_assert_cmphex(idr[0] & ~(1 << 10 | 1 << 11 | 1 << 19), ==, 0x0d44101b);
    g_assert_cmphex(idr[3] & ~(1 << 8), ==, 0x1414);
    g_assert_cmphex(idr[5] & ~7, ==, 0x70);
    host_stop(h);
}

static void test_idr(void)
{
    check_idr("", 0, 0, false, 4);
    check_idr("host-fwb=on", 0, 0, true, 4);
    check_idr("host-ats=on", 1 << 10 | 1 << 11, 0, false, 4);
    check_idr("host-ssidsize=20", 1 << 19, 20, false, 4);
    check_idr("host-ssidsize=1,host-oas=48", 1 << 19, 1, false, 5);
}

static void check_refused(const char *device, const char *text)
{
    g_autofree char *command = g_strdup_printf(
        "exec %s -display none -accel qtest -M virt -nodefaults -S "
        "-device arm-smmuv3,primary-bus=pcie.0,%s", qtest_qemu_binary(NULL),
        device);
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", command, NULL };
    g_autofree char *said = NULL;
    g_autoptr(GError) err = NULL;
    int status;

    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &said,
                 &status, &err);
    g_assert_no_error(err);
    g_test_message("%s", said);
    g_assert_cmpint(status, !=, 0);
    g_assert_nonnull(strstr(said, text));
}

/* Linux looks for it before it enables ATS; it boots by either */
static void test_firmware(void)
{
    for (unsigned on = 0; on < 2; on++) {
        Host *h = host_start(on ? "host-ats=on" : "", "", 4);
        SmmuRig r = { .qts = h->rig.qts };
        g_autofree void *fdt = smmu_fw_fdt(&r);
        const IortNode *rc;
        Iort iort;
        int node;

        smmu_fw_iort(&r, &iort);
        rc = smmu_fw_node(&iort, IORT_RC, 0);
        g_assert_cmphex(rc->ats, ==, on);
        node = fdt_path_offset(fdt, "/pcie@10000000");
        g_assert_cmpint(node, >=, 0);
        g_assert_nonnull(fdt_getprop(fdt, node, "iommu-map", NULL));
        g_assert_cmpint(fdt_getprop(fdt, node, "ats-supported", NULL) != NULL,
                        ==, on);
        host_stop(h);
    }
}

static void test_refused(void)
{
    check_refused("host-fwb=on",
                  "host-fwb=on is a feature of stage 2, but stage=1 has none");
    check_refused("stage=2,host-ssidsize=8",
                  "host-ssidsize=8 is a feature of stage 1, but stage=2");
    check_refused("stage=nested,host-ssidsize=21",
                  "host-ssidsize is 21, supported are 0 to 20");
    check_refused("stage=nested,host-oas=40",
                  "host-oas is 40, supported are 44 and 48");
    check_refused("nested=on,host-ats=on", "which nested=on makes use of");
    check_refused("nested=auto,host-ssidsize=8",
                  "which nested=auto makes use of");
    check_refused("nested=on,stage=nested,host-fwb=on",
                  "which nested=on makes use of");
    /* A PASID can do without ATS, the engine's capabilities cannot */
    check_refused("host-ssidsize=8 -device sva-engine,ats=off,pri=off",
                  "pri=on and pasid=on need ats=on");
}

/* ------------------------------------------------------------------- walks */

static void check_dma(Host *h, uint64_t va, unsigned page)
{
    uint64_t where = HOST_PA(page);
    g_autofree uint8_t *buf = g_malloc(4096);

    rig_scribble(&h->rig, where, 4096, page + 1);
    g_assert_cmphex(host_read(h, va), ==, SVA_CODE_OK);
    qtest_memset(h->rig.qts, where, 0, 4096);
    g_assert_cmphex(host_write(h, va), ==, SVA_CODE_OK);
    g_assert_true(rig_scribbled(&h->rig, where, 4096, page + 1));
    host_no_event(h);
}

/* STE.S2FWB is taken, with and without stage 2, and changes nothing */
static void test_fwb(void)
{
    Host *h = host_start("host-fwb=on", "", 4);

    for (unsigned config = CONFIG_BYPASS; config <= CONFIG_NESTED; config++) {
        host_setup(h, &(HostSetup) { .config = config, .ste1 = STE1_S2FWB });
        if (config == CONFIG_BYPASS) {
            check_dma(h, HOST_PA(0), 0);
        } else if (config == CONFIG_S2) {
            host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RW);
            check_dma(h, OTHER_IPA, 0);
        } else {
            host_space(h, 0, 0);
            check_dma(h, HOST_VA + (host_ipa(h, HOST_PA(0)) & 0xfff), 0);
        }
    }
    host_stop(h);
}

/* Tables of stage 1 that are larger than the pages of stage 2 */
static void test_granules(void)
{
    static const unsigned granules[] = { 12, 14, 16 };
    Host *h = host_start("", "", 4);

    for (unsigned i = 0; i < 9; i++) {
        HostSetup setup = {
            .config = CONFIG_NESTED,
            .s1_granule = granules[i / 3], .s2_granule = granules[i % 3],
        };
        uint64_t mask;

        host_setup(h, &setup);
        host_space(h, 0, 1);
        mask = (1ULL << setup.s1_granule) - 1;
        check_dma(h, HOST_VA + (host_ipa(h, HOST_PA(1)) & mask), 1);
    }
    host_stop(h);
}

static void check_fault(Host *h, unsigned type, bool rnw, bool s2,
                        unsigned class, uint64_t ipa)
{
    HostEvent e = host_event(h);

    g_assert_cmphex(e.type, ==, type);
    g_assert_cmphex(e.sid, ==, HOST_SID);
    g_assert_false(e.ssv);
    g_assert_cmphex(e.addr, ==, HOST_VA);
    g_assert_cmpint(e.rnw, ==, rnw);
    g_assert_cmpint(e.s2, ==, s2);
    g_assert_cmpuint(e.class, ==, class);
    if (s2) {
        g_assert_cmphex(e.ipa, ==, ipa);
    }
    host_no_event(h);
}

/* A block of stage 1 in pages of stage 2 is invalidated by one command */
static void test_block(void)
{
    const uint64_t va = HOST_VA & ~0x1fffffULL, far = 0x1f0000;
    Host *h = host_start("", "", 4);
    SmmuS1 s1;

    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED });
    s1 = host_space(h, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t ipa = OTHER_IPA + i * 0x200000;
        SmmuCmd cmd = smmu_tlbi_va(h->asid, va, true);

        smmu_s1_map(&s1, va, ipa, 0x200000, 21, SMMU_PTE_USER_RW);
        cmd.dw[0] |= (uint64_t)HOST_VMID << 32;
        host_command(h, cmd);
        host_map_s2(h, ipa, HOST_PA(2 * i), HOST_S2_RW);
        host_map_s2(h, ipa + far, HOST_PA(2 * i + 1), HOST_S2_RW);
        check_dma(h, va, 2 * i);
        check_dma(h, va + far, 2 * i + 1);
    }
    host_stop(h);
}

/* Which stage, and what for, a fault of a nested walk is */
static void test_nested_faults(void)
{
    Host *h = host_start("", "", 4);
    uint64_t slot, cd;
    unsigned level;
    SmmuS1 s1;

    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED });
    s1 = host_space(h, 0, 0);

    /* The page itself, at either stage */
    smmu_s1_map(&s1, HOST_VA, OTHER_IPA, 4096, 12, SMMU_PTE_USER_RW);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_TRANSLATION, false, true, CLASS_IN, OTHER_IPA);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RW & ~SMMU_PTE_AF);
    g_assert_cmphex(host_read(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_ACCESS, true, true, CLASS_IN, OTHER_IPA);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RW);
    check_dma(h, HOST_VA, 0);
    smmu_s1_unmap(&s1, HOST_VA, 4096);
    host_flush(h);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_TRANSLATION, false, false, CLASS_IN, 0);

    /* A table of stage 1: the address is that of the descriptor */
    smmu_s1_map(&s1, HOST_VA, OTHER_IPA, 4096, 12, SMMU_PTE_USER_RW);
    slot = smmu_s1_entry(&s1, HOST_VA, 2, &level);
    g_assert_cmpuint(level, ==, 2);
    iommu_mem_write64(&h->s1_mem, slot, (OTHER_IPA + 0x10000) | 3);
    host_flush(h);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_TRANSLATION, false, true, CLASS_TT,
                OTHER_IPA + 0x10000 + ((HOST_VA >> 12) & 0x1ff) * 8);
    /* The first one: TTB0, which is in the CD */
    cd = smmu_cd_entry(&h->cds, 0);
    iommu_mem_write64(&h->s1_mem, cd + 8, OTHER_IPA + 0x10000);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_TRANSLATION, true, true, CLASS_TT,
                OTHER_IPA + 0x10000 + ((HOST_VA >> 39) & 0x1ff) * 8);

    /* The CD */
    host_map_s2(h, cd, HOST_PA(2), 0);
    host_flush(h);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_ACCESS, false, true, CLASS_CD, cd);
    host_stop(h);
}

/* What is cached from reading does not allow a write, nor the reverse */
static void test_permissions(void)
{
    Host *h = host_start("", "", 4);
    uint64_t slot;
    unsigned level;
    SmmuS1 s1;

    host_setup(h, &(HostSetup) { .config = CONFIG_S1 });
    s1 = host_space(h, 0, 0);
    check_dma(h, HOST_VA, 0);
    slot = smmu_s1_entry(&s1, HOST_VA, 1, &level);
    iommu_mem_write64(&h->s1_mem, slot, iommu_mem_read64(&h->s1_mem, slot) |
                      SMMU_TABLE_RO);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_PERMISSION, false, false, CLASS_IN, 0);

    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED });
    s1 = host_space(h, 0, 0);
    smmu_s1_map(&s1, HOST_VA, OTHER_IPA, 4096, 12, SMMU_PTE_USER_RW);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RO);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_write(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_PERMISSION, false, true, CLASS_IN, OTHER_IPA);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_WO);
    host_flush(h);
    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read(h, HOST_VA), !=, SVA_CODE_OK);
    check_fault(h, EVT_F_PERMISSION, true, true, CLASS_IN, OTHER_IPA);
    host_stop(h);
}

/* ---------------------------------------------------------- hostile guests */

static void test_hostile(void)
{
    Host *h = host_start("", "", 4);
    uint64_t cd, word;

    /* An intermediate address size that is larger than the SMMU's, or none */
    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED });
    host_space(h, 0, 0);
    cd = smmu_cd_entry(&h->cds, 0);
    word = iommu_mem_read64(&h->s1_mem, cd) & ~CD0_IPS(7);
    for (uint64_t ips = 5; ips <= 7; ips++) {
        iommu_mem_write64(&h->s1_mem, cd, word | CD0_IPS(ips));
        host_flush(h);
        check_dma(h, HOST_VA + (host_ipa(h, HOST_PA(0)) & 0xfff), 0);
    }

    /* AArch32 tables of stage 2 */
    host_setup(h, &(HostSetup) { .config = CONFIG_S2 });
    cd = smmu_ste_entry(&h->tables, HOST_SID) + 16;
    word = iommu_mem_read64(&h->mem, cd);
    iommu_mem_write64(&h->mem, cd, word & ~STE2_S2AA64);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_PA(0)), !=, SVA_CODE_OK);
    g_assert_cmphex(host_event(h).type, ==, EVT_C_BAD_STE);

    /* A physical address size that does not exist */
    iommu_mem_write64(&h->mem, cd, word | STE2_S2PS(7));
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RW);
    host_flush(h);
    check_dma(h, OTHER_IPA, 0);
    host_stop(h);
}

/* A guest that changes to a linear stream table, and one too large by far */
#define SMMU_REGISTERS  0x09050000ULL

/*
 * Nothing that the SMMU reads to find its way may be in registers: here its
 * own.
 */
static void test_registers(void)
{
    Host *h = host_start("", "", 4);
    uint64_t va = HOST_VA & ~0x1fffffULL, entry, ste;
    unsigned level;
    SmmuS1 s1;

    host_setup(h, &(HostSetup) { .config = CONFIG_S1 });
    s1 = host_space(h, 0, 0);
    check_dma(h, HOST_VA, 0);
    /* The leaf table is the SMMU's first page */
    entry = smmu_s1_entry(&s1, va, 2, &level);
    g_assert_cmpuint(level, ==, 2);
    iommu_mem_write64(&h->mem, entry, SMMU_REGISTERS | 3);
    host_flush(h);
    g_assert_cmphex(host_read(h, va), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_WALK_EABT);

    /* And so is the CD, the STE, and a table of these */
    ste = smmu_ste_entry(&h->tables, HOST_SID);
    iommu_mem_write64(&h->mem, ste, (iommu_mem_read64(&h->mem, ste) & 0xf) |
                      SMMU_REGISTERS);
    host_flush(h);
    g_assert_cmphex(host_read(h, va), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_CD_FETCH);
    for (unsigned levels = 1; levels <= 2; levels++) {
        uint32_t cr0 = host_reg(h, SMMU_REG_CR0);

        host_set_reg(h, SMMU_REG_CR0, cr0 & ~1u);
        h->regs.write64(h->regs.opaque, SMMU_REG_STRTAB_BASE, SMMU_REGISTERS);
        host_set_reg(h, SMMU_REG_STRTAB_BASE_CFG,
                     (levels - 1) << 16 | 6 << 6 | 8);
        host_set_reg(h, SMMU_REG_CR0, cr0);
        host_flush(h);
        g_assert_cmphex(host_read(h, va), ==, SVA_CODE_BUS);
        g_assert_cmphex(host_event(h).type, ==, EVT_F_STE_FETCH);
    }
    host_no_event(h);
    host_stop(h);
}

/* Every register of both pages, in every width, with queues in registers */
static void test_register_sweep(void)
{
    static const uint64_t values[] = { 0, UINT64_MAX, SMMU_REGISTERS | 31 };
    Host *h = host_start(HOST_ALL ",host-keep=on", "", 4);

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        for (unsigned n = 0; n < 2 * 0x1000; n += 4) {
            uint64_t reg = SMMU_REGISTERS + n / 0x1000 * 0x10000 + n % 0x1000;

            qtest_writel(h->rig.qts, reg, values[i]);
            qtest_readl(h->rig.qts, reg);
            if (n % 8 == 0) {
                qtest_writeq(h->rig.qts, reg, values[i]);
                qtest_readq(h->rig.qts, reg);
            }
        }
        host_read(h, HOST_VA);
    }
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(host_reg(h, SMMU_REG_CR0), ==, 0);
    host_stop(h);
}

/* A long queue does not keep the main loop from its work */
static void test_long_queue(void)
{
    const unsigned bits = 13, n = 8000;
    Host *h = host_start("host-fwb=on", "", 4);
    unsigned first;

    smmu_queue_init(&h->cmdq, &h->mem, bits, 16);
    smmu_enable(&h->regs, &h->tables, &h->cmdq, &h->evtq);
    for (unsigned i = 0; i < n; i++) {
        host_push(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    }
    /* While the VM is stopped, one turn is all that is done */
    qtest_qmp_assert_success(h->rig.qts, "{ 'execute': 'stop' }");
    host_set_reg(h, SMMU_REG_CMDQ_PROD, h->cmdq.index);
    first = host_reg(h, SMMU_REG_CMDQ_CONS);
    g_assert_cmpuint(first, <, n / 4);
    g_usleep(20000);
    g_assert_cmpuint(host_reg(h, SMMU_REG_CMDQ_CONS), ==, first);
    qtest_qmp_assert_success(h->rig.qts, "{ 'execute': 'cont' }");
    host_sync(h);

    /* And may be turned off, or be reset, meanwhile */
    for (unsigned i = 0; i < n; i++) {
        host_push(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    }
    host_set_reg(h, SMMU_REG_CMDQ_PROD, h->cmdq.index);
    host_set_reg(h, SMMU_REG_CR0, 0);
    host_reg(h, SMMU_REG_CMDQ_CONS);
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(host_reg(h, SMMU_REG_CMDQ_CONS), ==, 0);
    host_stop(h);
}

static void test_stream_table(void)
{
    Host *h = host_start("", "", 4);

    host_setup(h, &(HostSetup) { .config = CONFIG_BYPASS });
    check_dma(h, HOST_PA(0), 0);
    smmu_tables_init(&h->tables, &h->mem, 6, 0);
    smmu_enable(&h->regs, &h->tables, &h->cmdq, &h->evtq);
    host_setup(h, &(HostSetup) { .config = CONFIG_S1 });
    host_space(h, 0, 1);
    check_dma(h, HOST_VA, 1);
    for (unsigned levels = 1; levels <= 2; levels++) {
        host_set_reg(h, SMMU_REG_STRTAB_BASE_CFG, (levels - 1) << 16 | 63);
        host_flush(h);
        host_read(h, HOST_VA);
    }
    g_assert_cmphex(host_reg(h, SMMU_REG_GERROR), ==, 0);
    host_stop(h);
}

static void number_bus(Host *h, unsigned slot, uint8_t bus)
{
    qtest_writel(h->rig.qts, h->rig.ecam + (slot << 15) + PCI_PRIMARY_BUS,
                 bus << 8 | bus << 16);
}

/*
 * Two bridges change their buses' numbers: commands are about the StreamIDs
 * that are.
 */
static void test_bus_numbers(void)
{
    Host *h = host_start("", "pasid=off -device pcie-root-port,bus=pcie.0,"
                         "addr=5,chassis=1,id=a -device pcie-root-port,"
                         "bus=pcie.0,addr=6,chassis=2,id=b "
                         "-device sva-engine,bus=a,addr=0,pri=off "
                         "-device sva-engine,bus=b,addr=0,pri=off", 4);
    Rig *r = &h->rig;
    uint64_t ecam = r->ecam;
    const uint64_t abort[8] = { 1 | CONFIG_ABORT << 1 };
    const uint64_t bypass[8] = { 1 | CONFIG_BYPASS << 1 };

    number_bus(h, 5, 1);
    number_bus(h, 6, 2);
    /* Both numbers are known to the SMMU after this */
    host_push(h, smmu_cfgi_ste(0x100, true));
    host_command(h, smmu_cfgi_ste(0x200, true));
    number_bus(h, 5, 2);
    number_bus(h, 6, 1);

    /* From here on the engine is that behind port b: 01:00.0 */
    qtest_writel(r->qts, ecam + (6 << 15) + PCI_MEMORY_BASE, 0x10301030);
    qtest_writew(r->qts, ecam + (6 << 15) + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    r->ecam += (1ULL << 20) - (RIG_DEVFN << 12);
    r->bar0 = 0x10300000;
    r->bar2 = 0x10310000;
    rig_enable(r);

    iommu_mem_write_qwords(&h->mem, smmu_ste_entry(&h->tables, 0x100), bypass,
                           8);
    host_command(h, smmu_cfgi_ste(0x100, true));
    g_assert_cmphex(host_read(h, HOST_PA(0)), ==, SVA_CODE_OK);
    iommu_mem_write_qwords(&h->mem, smmu_ste_entry(&h->tables, 0x100), abort,
                           8);
    host_command(h, smmu_cfgi_ste(0x100, true));
    g_assert_cmphex(host_read(h, HOST_PA(0)), !=, SVA_CODE_OK);
    host_no_event(h);
    host_stop(h);
}

/* ------------------------------------------------------------- event queue */

static bool overflown(Host *h)
{
    return (host_reg(h, SMMU_REG_EVENTQ_PROD) ^
            host_reg(h, SMMU_REG_EVENTQ_CONS)) & EVENTQ_OVFLG;
}

/* 7.4: OVFLG toggles once until it is acknowledged */
static void test_overflow(void)
{
    Host *h = host_start("", "", 2);
    uint32_t flag = 0, prod;
    uint64_t dw[4];

    host_setup(h, &(HostSetup) { .config = CONFIG_S1 });
    host_space(h, 0, 0);
    for (unsigned round = 0; round < 3; round++) {
        g_assert_false(overflown(h));
        for (unsigned i = 0; i < 4; i++) {
            host_read(h, HOST_VA + 0x1000 * (i + 1));
            g_assert_false(overflown(h));
        }
        prod = host_reg(h, SMMU_REG_EVENTQ_PROD);
        g_assert_cmphex(prod & EVENTQ_OVFLG, ==, flag);
        flag ^= EVENTQ_OVFLG;
        for (unsigned i = 0; i < 3; i++) {
            host_read(h, HOST_VA + 0x10000);
            g_assert_true(overflown(h));
            g_assert_cmphex(host_reg(h, SMMU_REG_EVENTQ_PROD), ==,
                            prod ^ EVENTQ_OVFLG);
        }
        /* Room, but nothing acknowledged: events go in, the flag stays */
        smmu_queue_pop(&h->evtq, &h->evtq.index, dw);
        g_assert_cmphex(dw[2], ==, HOST_VA + 0x1000);
        host_set_reg(h, SMMU_REG_EVENTQ_CONS, h->evtq.index |
                     (flag ^ EVENTQ_OVFLG));
        host_read(h, HOST_VA + 0x9000);
        host_read(h, HOST_VA + 0xa000);
        g_assert_cmphex(host_reg(h, SMMU_REG_EVENTQ_PROD) & EVENTQ_OVFLG, ==,
                        flag);
        /* The oldest are kept, the new ones are lost; reading acknowledges */
        for (unsigned i = 1; i < 4; i++) {
            g_assert_cmphex(host_event(h).addr, ==,
                            HOST_VA + 0x1000 * (i + 1));
        }
        g_assert_cmphex(host_event(h).addr, ==, HOST_VA + 0x9000);
        host_no_event(h);
        /* No error: nothing was aborted */
        g_assert_cmphex(host_reg(h, SMMU_REG_GERROR), ==, 0);
    }
    host_stop(h);
}

/* --------------------------------------------------------------- migration */

#define MACHINE "-M virt,iommu=smmuv3 -cpu max -m 128M -nodefaults "

static void check_migration(const char *from, const char *to, bool section,
                            bool works)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-host-%u.state",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *state = NULL;
    g_autoptr(GError) err = NULL;
    QTestState *qts;
    gsize len;

    qts = qtest_initf(MACHINE "%s", from);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': %s } }", uri);
    g_assert_true(nested_rig_migrated(qts));
    qtest_quit(qts);
    g_file_get_contents(file, &state, &len, &err);
    g_assert_no_error(err);
    g_assert_cmpint(memmem(state, len, "smmuv3/host", 11) != NULL, ==,
                    section);

    qts = qtest_initf(MACHINE "%s -incoming defer", to);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-incoming', "
                             "'arguments': { 'uri': %s, "
                             "'exit-on-error': false } }", uri);
    g_assert_cmpint(nested_rig_migrated(qts), ==, works);
    qtest_quit(qts);
    unlink(file);
}

/* Without the properties the stream is the base's; with them, both agree */
static void test_migration(void)
{
    const char *fwb = "-global arm-smmuv3.host-fwb=on";
    const char *ssid = "-global arm-smmuv3.host-ssidsize=16 "
                       "-global arm-smmuv3.host-ats=on";

    check_migration("", "", false, true);
    check_migration(fwb, fwb, true, true);
    check_migration(fwb, "", true, false);
    check_migration(ssid, ssid, true, true);
    check_migration(ssid, fwb, true, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/idr", test_idr);
    qtest_add_func("/smmu-host/refused", test_refused);
    qtest_add_func("/smmu-host/firmware", test_firmware);
    qtest_add_func("/smmu-host/fwb", test_fwb);
    qtest_add_func("/smmu-host/walk/granules", test_granules);
    qtest_add_func("/smmu-host/walk/block", test_block);
    qtest_add_func("/smmu-host/walk/nested-faults", test_nested_faults);
    qtest_add_func("/smmu-host/walk/permissions", test_permissions);
    qtest_add_func("/smmu-host/hostile/sizes", test_hostile);
    qtest_add_func("/smmu-host/hostile/stream-table", test_stream_table);
    qtest_add_func("/smmu-host/hostile/bus-numbers", test_bus_numbers);
    qtest_add_func("/smmu-host/hostile/registers", test_registers);
    qtest_add_func("/smmu-host/hostile/register-sweep", test_register_sweep);
    qtest_add_func("/smmu-host/hostile/long-queue", test_long_queue);
    qtest_add_func("/smmu-host/events/overflow", test_overflow);
    qtest_add_func("/smmu-host/migration", test_migration);
    return g_test_run();
}
