/*
 * SMMUv3 nesting: devices of one IOMMU group of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"
#include "nested-group.h"

#define IOVA    0x4000000000ULL
#define ASID    5

static void start(SmmuRig *r, unsigned num, const char *extra)
{
    g_autofree char *host = nested_group_host("smmuv3", "");

    smmu_rig_start(r, host, "nested=on", num, extra);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
}

static void expect(SmmuRig *r, uint64_t addr, int value)
{
    nested_group_expect(r->m, NULL, addr, value);
}

static SmmuCdTable table(SmmuRig *r, uint16_t asid, unsigned page)
{
    SmmuS1 s1 = smmu_rig_s1(r, IOVA, page);
    SmmuCdTable cds;

    smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, asid);
    return cds;
}

static void stage1(SmmuRig *r, uint32_t sid, SmmuCdTable *cds)
{
    smmu_rig_ste(r, sid, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = cds });
}

static void test_cold(void)
{
    SmmuCdTable one, two;
    SmmuRig r;

    start(&r, 2, "");
    expect(&r, DATA + 4096, 0x11);
    smmu_rig_enable(&r, 4);
    expect(&r, IOVA, -1);
    one = table(&r, ASID, 1);
    two = table(&r, ASID + 1, 2);
    stage1(&r, SID0, &one);
    expect(&r, IOVA, -1);
    stage1(&r, SID1, &one);
    expect(&r, IOVA, 0x11);
    stage1(&r, SID1, &two);
    expect(&r, IOVA, -1);
    nested_group_expect_reason(r.qts, HOST_DEV0, true);
    nested_group_expect_reason(r.qts, HOST_DEV1, true);
    stage1(&r, SID0, &two);
    expect(&r, IOVA, 0x22);
    nested_group_expect_reason(r.qts, HOST_DEV0, false);
    nested_group_expect_reason(r.qts, HOST_DEV1, false);
    /* One aborts, then both bypass */
    smmu_rig_ste(&r, SID0, NULL);
    expect(&r, IOVA, -1);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    expect(&r, DATA + 4096, -1);
    smmu_rig_ste(&r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    expect(&r, DATA + 4096, 0x11);
    qtest_system_reset(r.qts);
    expect(&r, DATA + 4096, 0x11);
    smmu_rig_stop(&r);
}

/*
 * The second one comes and goes again. The first can be in stage 1 only when
 * both are there, as the host wants a vDEVICE of each; then it stays there.
 */
static void test_hot(void)
{
    SmmuCdTable one, two;
    SmmuRig r;

    start(&r, 1, "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 ");
    smmu_rig_number(&r, 0x10, 1);
    smmu_rig_enable(&r, 4);
    one = table(&r, ASID, 1);
    two = table(&r, ASID + 1, 2);
    for (int i = 0; i < 2; i++) {
        smmu_rig_plug(&r, 0, 0x10, "dev1", HOST_DEV1);
        /* It has no STE */
        expect(&r, IOVA, -1);
        stage1(&r, SID0, &one);
        expect(&r, IOVA, -1);
        stage1(&r, 0x100, &one);
        expect(&r, IOVA, 0x11);
        if (i) {
            stage1(&r, 0x100, &two);
            expect(&r, IOVA, -1);
        }
        smmu_rig_unplug(&r, 0x10, "dev1");
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
        g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS + 1);
        smmu_rig_ste(&r, 0x100, NULL);
    }
    smmu_rig_stop(&r);
}

static void test_refused(void)
{
    g_autofree char *host = nested_group_host("smmuv3", "");
    g_autofree char *args = g_strdup_printf(
        "-machine virt,gic-version=3 -cpu max -m 128M -nodefaults "
        "-object iommufd,id=iommufd0 "
        "-device arm-smmuv3,primary-bus=pcie.0,id=smmu0,nested=on "
        "-device pxb-pcie,id=pxb1,bus=pcie.0,addr=0x11,bus_nr=96 "
        "-device arm-smmuv3,primary-bus=pxb1,id=smmu1,nested=on "
        "-device pcie-root-port,id=rp0,bus=pxb1,addr=1,chassis=1 "
        "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,"
        "bus=pcie.0 "
        "-device vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=iommufd0,"
        "bus=rp0");

    nested_rig_expect_refusal(host, args, "IOMMU group", "7", HOST_DEV0,
                              HOST_DEV1, "leave one", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/group/cold", test_cold);
    qtest_add_func("/smmu-nested/group/hot", test_hot);
    qtest_add_func("/smmu-nested/group/refused", test_refused);
    return g_test_run();
}
