/*
 * SMMUv3 of an emulated host: guests that mean harm
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU must live, and go on without delay. More of it, about values of
 * registers and tables, is in smmu-host-test.c.
 */

#include "qemu/osdep.h"
#include "nested-rig.h"
#include "nvme-rig.h"
#include "smmu-host-rig.h"

#define ECAM            0x4010000000ULL
#define SMMU_BASE       0x09050000ULL
#define ENGINE_BAR      0x10000000ULL
#define NVME_BAR        0x20000000ULL
#define NVME_SID        0x38
#define NVME_MEM        0x49000000ULL
#define ASID            77

/* A port with an engine, or a switch with one, that can be pulled */
#define PORT_RID        0x0030
#define HOT_BAR         0x21000000ULL
#define PORT            "keep-translations=on -device pcie-root-port,id=rp0," \
                        "addr=6,chassis=1,slot=1 "
#define ENGINE_IN_PORT  PORT "-device sva-engine,bus=rp0,id=hot,pri=off"
#define ENGINE_SID      0x0100
#define SWITCH_IN_PORT  PORT "-device x3130-upstream,bus=rp0,id=hot " \
                        "-device xio3130-downstream,bus=hot,id=down," \
                        "chassis=2,slot=2 " \
                        "-device sva-engine,bus=down,pri=off"
#define BEHIND_SID      0x0300

/* The page of HOST_VA for a stream, and @more as it is */
static SmmuS1 stream(Host *h, uint32_t sid, uint64_t more, uint64_t len)
{
    SmmuCdTable cds;
    SmmuS1 s1;

    smmu_s1_init(&s1, &h->mem, 12, 48);
    smmu_s1_map(&s1, HOST_VA, HOST_PA(1), 4096, 12, SMMU_PTE_USER_RW);
    if (len) {
        smmu_s1_map(&s1, more, more, len, 12, SMMU_PTE_USER_RW);
    }
    smmu_cdtab_init(&cds, &h->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_ste_set(&h->tables, sid, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .ats = true,
    });
    host_flush(h);
    return s1;
}

/* ----------------------------------------------------- DMA to registers */

typedef enum Target {
    BY_DATA, BY_COMPLETIONS, BY_INTERRUPTS, TARGETS
} Target;

static void check_dma_to_registers(bool translating, Target by, uint64_t to)
{
    Host *h = host_start("host-fwb=on",
                         "keep-translations=off "
                         "-device nvme,serial=hostile,addr=7", 6);
    NvmeRig nvme = {
        .qts = h->rig.qts, .config = ECAM + NVME_SID * 4096ULL,
        .bar = NVME_BAR, .sq = NVME_MEM, .cq = NVME_MEM + 4096,
    };
    uint64_t page = to & ~4095ULL;
    SmmuS1 s1;

    if (translating) {
        s1 = stream(h, NVME_SID, NVME_MEM, 3 * 4096);
        smmu_s1_map(&s1, page, page, 4096, 12, SMMU_PTE_USER_RW);
    } else {
        smmu_ste_set(&h->tables, NVME_SID, &(SmmuSte) {
            .cfg = SMMU_STE_BYPASS,
        });
        host_flush(h);
    }
    nvme_rig_start(&nvme);
    nvme_rig_identify(&nvme, NVME_MEM + 8192, 1);
    g_assert_cmphex(qtest_readl(h->rig.qts, nvme.cq + 12) >> 16, ==, 1);
    if (by == BY_INTERRUPTS) {
        nvme_rig_interrupts(&nvme, to, 3);
    } else if (by == BY_COMPLETIONS) {
        nvme.cq = page;
        nvme_rig_start(&nvme);
    }
    nvme_rig_identify(&nvme, by == BY_DATA ? page : NVME_MEM + 8192,
                      NVME_QUEUE * 2);
    host_reg(h, SMMU_REG_CR0);
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(host_reg(h, SMMU_REG_CR0), ==, 0);
    host_stop(h);
}

/* The SMMU's, the engine's, and the controller's own */
static void test_dma_to_registers(void)
{
    static const uint64_t to[] = {
        SMMU_BASE + SMMU_REG_CMDQ_PROD, ENGINE_BAR + SVA_CTRL,
        NVME_BAR + 0x1000, ECAM + NVME_SID * 4096ULL + PCI_COMMAND,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(to) * TARGETS; i++) {
        check_dma_to_registers(false, i % TARGETS, to[i / TARGETS]);
        check_dma_to_registers(true, i % TARGETS, to[i / TARGETS]);
    }
}

/* The engine reaches memory only, itself included */
static void test_engine_to_registers(void)
{
    static const uint64_t to[] = { SMMU_BASE, ENGINE_BAR, 0x09000000 };
    Host *h = host_start("host-ats=on", "", 6);
    SmmuS1 s1 = stream(h, HOST_SID, 0, 0);

    for (unsigned ats = 0; ats < 2; ats++) {
        host_endpoint(h, ats);
        for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
            smmu_s1_map(&s1, to[i], to[i], 4096, 12, SMMU_PTE_USER_RW);
            g_assert_cmphex(host_write(h, to[i]), ==, SVA_CODE_BUS);
            g_assert_cmphex(host_read(h, to[i]), ==, SVA_CODE_BUS);
        }
        g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    }
    host_stop(h);
}

/* Of a fault of DMA, the SMMU knows nothing of being at work */
static void test_events_to_registers(void)
{
    static const uint64_t to[] = { SMMU_BASE, ENGINE_BAR, 0x09000000 };
    Host *h = host_start("host-fwb=on", "", 6);
    SmmuS1 s1 = stream(h, HOST_SID, 0, 0);

    smmu_s1_unmap(&s1, HOST_VA, 4096);
    for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
        host_set_reg(h, SMMU_REG_CR0, 1 << 3 | 1);
        h->regs.write64(h->regs.opaque, SMMU_REG_EVENTQ_BASE, to[i] | 6);
        host_set_reg(h, SMMU_REG_EVENTQ_PROD, 4);
        host_set_reg(h, SMMU_REG_EVENTQ_CONS, 4);
        host_set_reg(h, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
        g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
        /* EVENTQ_ABT_ERR */
        g_assert_cmphex((host_reg(h, SMMU_REG_GERROR) ^
                         host_reg(h, SMMU_REG_GERRORN)) & 4, ==, 4);
        host_set_reg(h, SMMU_REG_GERRORN, host_reg(h, SMMU_REG_GERROR));
    }
    host_stop(h);
}

/* ---------------------------------------------------- unplug and reset */

static void bridge_enable(Host *h, uint16_t rid, unsigned bus, unsigned last)
{
    uint64_t bridge = ECAM + rid * 4096ULL;

    qtest_writel(h->rig.qts, bridge + PCI_PRIMARY_BUS,
                 last << 16 | bus << 8 | rid >> 8);
    qtest_writel(h->rig.qts, bridge + PCI_MEMORY_BASE, 0x21002100);
    qtest_writew(h->rig.qts, bridge + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void engine_enable(Host *h, uint32_t sid)
{
    uint64_t dev = ECAM + sid * 4096ULL;

    qtest_writel(h->rig.qts, dev + PCI_BASE_ADDRESS_0, HOT_BAR);
    qtest_writew(h->rig.qts, dev + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    qtest_writew(h->rig.qts, dev + RIG_ATS + PCI_ATS_CTRL,
                 PCI_ATS_CTRL_ENABLE);
}

static void engine_start(Host *h, uint64_t va)
{
    qtest_writeq(h->rig.qts, HOT_BAR + SVA_SIMPLE_ADDRESS, va);
    qtest_writel(h->rig.qts, HOT_BAR + SVA_SIMPLE_COMMAND, SVA_COMMAND_RUN);
}

static unsigned engine_code(Host *h)
{
    unsigned tries;

    for (tries = 0; tries < 1000 &&
         qtest_readl(h->rig.qts, HOT_BAR + SVA_SIMPLE_COMMAND) &
         SVA_COMMAND_RUN; tries++) {
        g_usleep(1000);
    }
    return qtest_readl(h->rig.qts, HOT_BAR + SVA_SIMPLE_RESULT);
}

/* All that names the stream, or everything */
static void invalidate(Host *h, uint32_t sid)
{
    host_push(h, smmu_cfgi_ste(sid, true));
    host_push(h, smmu_cfgi_cd(sid, 0, false));
    host_push(h, smmu_cfgi_ste_all());
    host_push(h, smmu_tlbi_va(ASID, HOST_VA, true));
    host_push(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    host_push(h, smmu_atc_inv(sid, SMMU_NO_SSID, 0, 52));
    host_push(h, smmu_atc_inv(sid, 0, HOST_VA, 0));
    host_sync(h);
}

static void drain(Host *h)
{
    uint64_t dw[4];

    while (smmu_evtq_read(&h->evtq, &h->regs, dw)) {
        continue;
    }
}

static void check_unplug(const char *options, uint32_t sid)
{
    Host *h = host_start("host-ats=on,host-keep=on", options, 6);

    stream(h, sid, 0, 0);
    stream(h, HOST_SID, 0, 0);
    host_endpoint(h, true);
    bridge_enable(h, PORT_RID, 1, 3);
    nested_rig_power(h->rig.qts, ECAM, PORT_RID);
    if (sid == BEHIND_SID) {
        bridge_enable(h, 0x100, 2, 3);
        bridge_enable(h, 0x200, 3, 3);
    }
    engine_enable(h, sid);
    engine_start(h, HOST_VA);
    g_assert_cmphex(engine_code(h), ==, SVA_CODE_OK);
    /* One fault is on its way, with commands that are put off behind it */
    engine_start(h, HOST_VA + 4096);
    for (unsigned i = 0; i < 200; i++) {
        host_push(h, smmu_atc_inv(sid, SMMU_NO_SSID, 0, 52));
    }
    host_set_reg(h, SMMU_REG_CMDQ_PROD, h->cmdq.index);
    nested_rig_unplug(h->rig.qts, ECAM, PORT_RID, "hot");
    for (unsigned i = 0; i < 3; i++) {
        invalidate(h, sid);
        drain(h);
        g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    }

    if (sid == ENGINE_SID) {
        /* What was there before is no matter to the next one */
        qtest_qmp_device_add(h->rig.qts, "sva-engine", "again",
                             "{'bus': 'rp0', 'pri': false}");
        nested_rig_power(h->rig.qts, ECAM, PORT_RID);
        engine_enable(h, sid);
        engine_start(h, HOST_VA);
        g_assert_cmphex(engine_code(h), ==, SVA_CODE_OK);
    }
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(host_reg(h, SMMU_REG_CR0), ==, 0);
    host_stop(h);
}

static void test_unplug(void)
{
    check_unplug(ENGINE_IN_PORT, ENGINE_SID);
}

/* Its bus goes as well, and what the SMMU knows by that */
static void test_unplug_switch(void)
{
    check_unplug(SWITCH_IN_PORT, BEHIND_SID);
}

/* FLR, a bus reset and another bus number, with translations kept */
static void test_reset(void)
{
    uint64_t port = ECAM + PORT_RID * 4096ULL;
    Host *h = host_start("host-ats=on,host-keep=on", ENGINE_IN_PORT, 6);

    stream(h, ENGINE_SID, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        bridge_enable(h, PORT_RID, 1, 3);
        nested_rig_power(h->rig.qts, ECAM, PORT_RID);
        engine_enable(h, ENGINE_SID);
        engine_start(h, HOST_VA);
        g_assert_cmphex(engine_code(h), ==, SVA_CODE_OK);
        engine_start(h, HOST_VA + 4096);
        switch (i) {
        case 0:
            qtest_writew(h->rig.qts, port + PCI_BRIDGE_CONTROL,
                         PCI_BRIDGE_CTL_BUS_RESET);
            qtest_writew(h->rig.qts, port + PCI_BRIDGE_CONTROL, 0);
            break;
        case 1:
            qtest_writel(h->rig.qts, port + PCI_PRIMARY_BUS, 0x00050500);
            invalidate(h, 0x500);
            qtest_writel(h->rig.qts, port + PCI_PRIMARY_BUS, 0);
            break;
        default:
            /* ATS goes off under it */
            qtest_writew(h->rig.qts, ECAM + ENGINE_SID * 4096ULL + RIG_ATS +
                         PCI_ATS_CTRL, 0);
            break;
        }
        invalidate(h, ENGINE_SID);
        drain(h);
    }
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(host_reg(h, SMMU_REG_CR0), ==, 0);
    host_stop(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/hostile/dma-to-registers",
                   test_dma_to_registers);
    qtest_add_func("/smmu-host/hostile/engine-to-registers",
                   test_engine_to_registers);
    qtest_add_func("/smmu-host/hostile/events-to-registers",
                   test_events_to_registers);
    qtest_add_func("/smmu-host/hostile/unplug", test_unplug);
    qtest_add_func("/smmu-host/hostile/unplug-switch", test_unplug_switch);
    qtest_add_func("/smmu-host/hostile/reset", test_reset);
    return g_test_run();
}
