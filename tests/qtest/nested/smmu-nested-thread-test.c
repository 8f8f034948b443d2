/*
 * SMMUv3 nesting: an emulated endpoint that translates in a thread of its own
 *
 * Its faults are events in the queue that the front end writes to as well. They
 * have to be recorded by who holds the lock of that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqos/generic-pcihost.h"
#include "smmu-rig.h"
#include "thread-rig.h"

#define BARS            0x10000000ULL
#define MEM             (RAM + 82 * MiB)
#define EVT_C_BAD_STREAMID 0x02
#define EVENTS_LOG      "smmuv3_event_late"

static void test_thread(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree char *log = nested_rig_scratch("log"), *extra = NULL;
    QGenericPCIBus bus;
    ThreadRig disk;
    unsigned type;
    uint64_t dw[4];
    SmmuRig r;

    extra = g_strdup_printf(THREAD_DISK " -trace " EVENTS_LOG " -D %s", log);
    smmu_rig_start(&r, host, "nested=on", 1, extra);
    smmu_rig_enable(&r, 6);
    qpci_init_generic(&bus, r.qts, NULL, false);
    thread_rig_start(&disk, r.qts, &bus.bus, BARS, MEM);
    while (smmu_rig_event(&r, NULL)) {
        continue;
    }
    thread_rig_kick(&disk);
    type = smmu_rig_wait_event(&r, dw);
    g_assert_cmphex(type, ==, EVT_C_BAD_STREAMID);
    g_assert_cmphex(dw[0] >> 32, ==, THREAD_RID);
    g_assert_cmpuint(nested_rig_said(log, EVENTS_LOG), >=, 1);

    thread_rig_stop(&disk);
    smmu_rig_stop(&r);
    nested_rig_scratch_remove(log);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/thread/fault", test_thread);
    return g_test_run();
}
