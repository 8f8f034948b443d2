/*
 * VT-d nesting: QEMU has no privileges, and opens no paths
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "confined.h"
#include "saved-state.h"
#include "vtd-rig.h"

#define IOVA    0x4000000000ULL

static void expect(VtdRig *r, const char *dev, unsigned page)
{
    iommufd_model_expect_data(r->m, dev, NULL, IOVA, 0x10 + page, 64);
}

/*
 * What a guest does, with a device of a descriptor; a second one comes when no
 * path can be opened any more
 */
static void life(VtdRig *r)
{
    g_autofree char *file = nested_rig_scratch("state");

    confined_send_all(r->m, 2);
    vtd_rig_number_slot(r, 0, 1);
    vtd_rig_number_slot(r, 1, 2);
    vtd_rig_enable(r);
    vtd_rig_fill(r, 1, 0x11);
    vtd_rig_fill(r, 2, 0x12);
    confined_plug(r->qts, 0, "rp0", "dev0");
    vtd_rig_power_slot(r, 0);
    confined_no_paths(r->qts);

    vtd_rig_first_stage(r, BEHIND(1), 5, vtd_rig_s1(r, IOVA, 1));
    expect(r, HOST_DEV0, 1);
    iommufd_model_expect_fault(r->m, HOST_DEV0, NULL, 2 * IOVA, false, 1,
                               NULL);
    confined_plug(r->qts, 1, "rp1", "dev1");
    vtd_rig_power_slot(r, 1);
    vtd_rig_first_stage(r, BEHIND(2), 6, vtd_rig_s1(r, IOVA, 2));
    expect(r, HOST_DEV1, 2);
    vtd_rig_inv_pasid(r, 6, 0);
    vtd_rig_translation(r, false);
    vtd_rig_translation(r, true);
    expect(r, HOST_DEV0, 1);
    vtd_rig_unplug(r, 1, "dev1");
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'x-query-nested-iommu' }");
    g_assert_true(confined_save(r->qts, file));
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    qtest_system_reset(r->qts);
    nested_rig_scratch_remove(file);
}

static void confined(const char *how, const char *more)
{
    g_autofree char *host = vtd_rig_host(2, "", "migration=on\n");
    g_autofree char *sandbox = confined_begin(how);
    g_autofree char *bios = nested_rig_scratch("bios");
    g_autofree char *extra = g_strdup_printf(VTD_RIG_SLOTS "-bios '%s'%s%s",
                                             bios, sandbox, more);
    VtdRig r;

    saved_state_no_firmware(bios);
    vtd_rig_start(&r, host, "nested=on", 0, extra);
    confined_end();
    nested_rig_scratch_remove(bios);
    life(&r);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    confined_add_tests("vtd-nested", confined);
    return g_test_run();
}
