/*
 * SMMUv3 nesting: QEMU has no privileges, and opens no paths
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "confined.h"
#include "smmu-rig.h"

#define IOVA    0x4000000000ULL
#define PORT(n) "-device pcie-root-port,id=rp" #n ",bus=pcie.0,addr=0x1" #n \
                ",chassis=1" #n " "
#define PORTS   PORT(0) PORT(1)
#define SID(bus) ((bus) << 8)

static void expect(SmmuRig *r, const char *dev, unsigned page)
{
    iommufd_model_expect_data(r->m, dev, NULL, IOVA, 0x10 + page, 64);
}

/* vtd-nested-confined-test has the same */
static void life(SmmuRig *r)
{
    g_autofree char *file = nested_rig_scratch("state");

    confined_send_all(r->m, 2);
    smmu_rig_number(r, 0x10, 1);
    smmu_rig_number(r, 0x11, 2);
    smmu_rig_enable(r, 4);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x12);
    confined_plug(r->qts, 0, "rp0", "dev0");
    smmu_rig_power(r, 0x10);
    confined_no_paths(r->qts);

    smmu_rig_stage1(r, SID(1), 5, IOVA, 1);
    expect(r, HOST_DEV0, 1);
    iommufd_model_expect_fault(r->m, HOST_DEV0, NULL, 2 * IOVA, false, 1,
                               NULL);
    g_assert_cmpuint(smmu_rig_wait_event(r, NULL), !=, 0);
    confined_plug(r->qts, 1, "rp1", "dev1");
    smmu_rig_power(r, 0x11);
    smmu_rig_stage1(r, SID(2), 6, IOVA, 2);
    expect(r, HOST_DEV1, 2);
    smmu_queue_push(&r->cmdq, smmu_tlbi_va(6, IOVA, true));
    smmu_rig_sync(r);
    expect(r, HOST_DEV0, 1);
    smmu_rig_unplug(r, 0x11, "dev1");
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'x-query-nested-iommu' }");
    g_assert_true(confined_save(r->qts, file));
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    qtest_system_reset(r->qts);
    nested_rig_scratch_remove(file);
}

static void confined(const char *how, const char *more)
{
    g_autofree char *host = smmu_rig_host(2, "", "migration=on\n");
    g_autofree char *sandbox = confined_begin(how);
    g_autofree char *extra = g_strconcat(PORTS, sandbox, more, NULL);
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ats=on,ssidsize=8,cd2l=on", 0, extra);
    confined_end();
    life(&r);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    confined_add_tests("smmu-nested", confined);
    return g_test_run();
}
