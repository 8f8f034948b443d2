/*
 * VT-d nesting: state that is saved, loaded, or may not be
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vtd-migration-rig.h"
#include "vtd-pri-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5
#define PASID       7

/* What is auto otherwise: nobody is there to settle it on the source */
#define FEATURES    "nested=on,fs1gp=on,snoop-control=on,smpwc=on," \
                    "x-pasid-mode=on,pasid-bits=12,device-iotlb=on,svm=on"

/* enum iommufd_hwpt_alloc_flags */
#define NEST_PARENT     1
#define DIRTY_TRACKING  2

static void set_mode(VtdRig *r, const char *mode)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate-set-parameters',"
                             "'arguments': { 'mode': %s } }", mode);
}

/* ------------------------------------------------------------------ tests */

static void tables(VtdRig *r, uint16_t rid)
{
    vtd_rig_fill(r, 1, 0x11);
    vtd_rig_fill(r, 2, 0x22);
    vtd_context_scalable(&r->t, rid, 12, VTD_CTX_PASIDE, 0);
    vtd_pasid_set(&r->t, rid, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(r, IOVA, 1),
        .s1_levels = 4,
    });
    vtd_pasid_set(&r->t, rid, PASID, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(r, IOVA, 2),
        .s1_levels = 4,
    });
    vtd_rig_inv_context(r, rid);
}

static void expect_tables(VtdRig *r, uint16_t rid)
{
    IommufdDma how = { .with_pasid = true, .pasid = PASID };

    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    /* The device was not there, so nobody has switched its PASIDs on */
    vtd_rig_enable_sva(r, rid);
    iommufd_model_expect_data(r->m, HOST_DEV0, &how, IOVA, 0x22, 16);
    /* And the guest goes on with its queue where it was */
    vtd_pasid_clear(&r->t, rid, PASID);
    vtd_rig_inv_pasid(r, DID, PASID);
    g_assert_cmpint(vtd_rig_peek(r, HOST_DEV0, &how, IOVA), ==, -1);
}

/*
 * A VM cannot be migrated while it has a device that cannot be. It is
 * unplugged, the VM goes over, and the device plugged there finds the guest's
 * entries in force.
 */
static void test_hot_plug(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    g_autofree char *why = NULL, *listed = NULL;
    VtdRig src, dst;

    vtd_rig_start(&src, host, FEATURES, 0, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&src, 0, 1);
    vtd_rig_enable(&src);
    vtd_rig_plug(&src, 0, "hot", HOST_DEV0);
    tables(&src, BEHIND(1));
    expect_tables(&src, BEHIND(1));
    tables(&src, BEHIND(1));
    why = vtd_migration_refusal(&src);
    g_assert_nonnull(strstr(why, HOST_DEV0));
    g_assert_nonnull(strstr(why, "migration is not supported"));
    listed = vtd_migration_blockers(&src);
    g_assert_nonnull(strstr(listed, HOST_DEV0));

    vtd_rig_unplug(&src, 0, "hot");
    vtd_migration_save(&src, file);
    vtd_rig_start(&dst, host, FEATURES, 0, VTD_RIG_SLOTS "-incoming defer");
    vtd_rig_take_over(&dst, &src);
    g_assert_null(vtd_migration_load(&dst, file));
    vtd_rig_plug(&dst, 0, "hot", HOST_DEV0);
    expect_tables(&dst, BEHIND(1));
    vtd_rig_stop(&dst);
    vtd_rig_stop(&src);
    nested_rig_scratch_remove(file);
}

/* The device is on the destination's command line: there before the tables */
static void test_cold_plug(gconstpointer machine)
{
    g_autofree char *incoming = g_strdup_printf("-incoming defer %s",
                                                (const char *)machine);
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    VtdRig src, dst;

    vtd_rig_start(&src, host, FEATURES, 0, machine);
    vtd_rig_enable(&src);
    tables(&src, RID0);
    qtest_qmp_assert_success(src.qts, "{ 'execute': 'stop' }");
    vtd_migration_save(&src, file);
    vtd_rig_start(&dst, host, FEATURES, 1, incoming);
    vtd_rig_take_over(&dst, &src);
    g_assert_null(vtd_migration_load(&dst, file));
    /* Not before the VM runs: bus numbers may still be on their way */
    iommufd_model_expect_fault(dst.m, HOST_DEV0, NULL, IOVA, false, 2, NULL);
    qtest_qmp_assert_success(dst.qts, "{ 'execute': 'cont' }");
    expect_tables(&dst, RID0);
    vtd_rig_stop(&dst);
    vtd_rig_stop(&src);
    nested_rig_scratch_remove(file);
}

/* What was promised to the guest there is not what it is here */
static void test_differ(void)
{
    static const struct {
        const char *there, *here, *words;
    } pairs[] = {
        { "svm=on", "svm=off", "'svm' was on for the guest, but is off here" },
        { "fs1gp=off", "fs1gp=on",
          "'fs1gp' was off for the guest, but is on here" },
        { "x-pasid-mode=on,pasid-bits=12", "x-pasid-mode=on,pasid-bits=16",
          "'pasid-bits' was 12 for the guest, but is 16 here" },
        { "aw-bits=48", "aw-bits=48,eim=off,intremap=off", "ECAP 0x" },
    };
    g_autofree char *host = vtd_rig_host(1, "", "");

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        g_autofree char *file = nested_rig_scratch("state");
        g_autofree char *said = nested_rig_scratch("stderr");
        g_autofree char *there = g_strdup_printf("nested=on,%s",
                                                 pairs[i].there);
        g_autofree char *here = g_strdup_printf("nested=on,%s", pairs[i].here);
        g_autofree char *extra = g_strdup_printf("-incoming defer 2>'%s'",
                                                 said);
        g_autofree char *why = NULL, *text = NULL;
        VtdRig src, dst;

        vtd_rig_start(&src, host, there, 0, "");
        vtd_migration_save(&src, file);
        vtd_rig_stop(&src);
        vtd_rig_start(&dst, host, here, 0, extra);
        why = vtd_migration_load(&dst, file);
        g_assert_nonnull(why);
        g_assert_nonnull(strstr(why, "iommu"));
        vtd_rig_stop(&dst);
        g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
        g_test_message("%s", text);
        g_assert_nonnull(strstr(text, pairs[i].words));
        nested_rig_scratch_remove(file);
        nested_rig_scratch_remove(said);
    }
}

/* The parent can track dirty pages if the host can, and does */
static void test_dirty(gconstpointer opaque)
{
    bool able = opaque != NULL;
    g_autofree char *host = vtd_rig_host(1, able ? "" : "dirty-tracking=off\n",
                                         "");
    QDict *info;
    QDict *first;
    uint64_t flags;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    info = qtest_qmp(r.qts, "{ 'execute': 'x-query-nested-iommu' }");
    first = qobject_to(QDict, qlist_peek(qdict_get_qlist(info, "return")));
    first = qobject_to(QDict, qlist_peek(qdict_get_qlist(first, "hosts")));
    flags = qdict_get_int(first, "parent-flags");
    qobject_unref(info);
    g_assert_cmphex(flags & (NEST_PARENT | DIRTY_TRACKING), ==,
                    able ? NEST_PARENT | DIRTY_TRACKING : NEST_PARENT);

    /* The dirty log of the whole machine is on for a second */
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'calc-dirty-rate',"
                             "'arguments': { 'calc-time': 1, 'mode':"
                             "'dirty-bitmap' } }");
    for (unsigned i = 0; able; i++) {
        if (iommufd_model_counter(r.m, "HWPT_SET_DIRTY_TRACKING", "calls")
            == 2) {
            break;
        }
        g_assert_cmpuint(i, <, 1000);
        g_usleep(10000);
    }
    g_assert_cmpuint(iommufd_model_counter(r.m, "HWPT_SET_DIRTY_TRACKING",
                                           "errors"), ==, 0);
    vtd_rig_stop(&r);
}

/* ------------------------------------------------------------------- CPR */

/* Another process would not know what is attached */
static void test_cpr_process(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    static const char *const modes[] = { "cpr-transfer", "cpr-exec" };
    VtdRig r;

    /* Memory that could be handed over */
    vtd_rig_start(&r, host, FEATURES, 0, VTD_RIG_SLOTS
                  "-machine aux-ram-share=on,memory-backend=ram "
                  "-object memory-backend-memfd,id=ram,size=128M,share=on");
    vtd_rig_number_slot(&r, 0, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *before = NULL, *with = NULL, *after = NULL;

        set_mode(&r, modes[i]);
        before = vtd_migration_blockers(&r);
        g_assert_cmpstr(before, ==, "");
        vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
        with = vtd_migration_blockers(&r);
        g_assert_nonnull(strstr(with, HOST_DEV0 ": a device with nested "
                                "translation"));
        vtd_rig_unplug(&r, 0, "hot");
        after = vtd_migration_blockers(&r);
        g_assert_cmpstr(after, ==, "");
    }
    vtd_rig_stop(&r);
}

/* ICH9's power management: sleep type 1 is suspend-to-RAM */
static void suspend(VtdRig *r)
{
    qtest_outl(r->qts, 0xcf8, 0x8000f840);
    qtest_outl(r->qts, 0xcfc, 0x601);
    qtest_outl(r->qts, 0xcf8, 0x8000f844);
    qtest_outl(r->qts, 0xcfc, 0x80);
    qtest_outw(r->qts, 0x604, 1 << 13 | 1 << 10);
    qtest_qmp_eventwait(r->qts, "SUSPEND");
}

/*
 * A suspended VM can go into a file and come back in another QEMU, device
 * and all: waking up resets the IOMMU, as it does on real machines. Page
 * requests that wait for the guest are answered before.
 */
static void test_cpr_reboot(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    g_autofree char *why = NULL;
    PriRig src;
    VtdRig dst;
    int index;

    pri_start_with(&src, host, FEATURES, 1, "", 0);
    pri_context(&src, VTD_CTX_DTE | VTD_CTX_PRE);
    vtd_rig_fill(&src.v, 0, 0xa5);
    index = pri_miss(&src, true, IOVA);
    pri_next(&src);
    set_mode(&src.v, "cpr-reboot");
    vtd_migration_begin_file(&src.v, file);
    why = vtd_migration_end(&src.v);
    g_assert_nonnull(strstr(why, "suspended"));
    g_assert_cmpint(pri_outcome_now(&src, index), ==, -2);

    suspend(&src.v);
    vtd_migration_save(&src.v, file);
    g_assert_cmpint(pri_outcome(&src, index), ==, -1);

    vtd_rig_start(&dst, host, FEATURES, 1, "-incoming defer");
    set_mode(&dst, "cpr-reboot");
    g_assert_null(vtd_migration_load(&dst, file));
    qtest_qmp_assert_success(dst.qts, "{ 'execute': 'system_wakeup' }");
    qtest_qmp_eventwait(dst.qts, "WAKEUP");
    iommufd_model_expect_data(dst.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
    vtd_rig_stop(&dst);
    pri_stop(&src);
    nested_rig_scratch_remove(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/migration/hot-plug", test_hot_plug);
    qtest_add_data_func("/vtd-nested/migration/cold-plug/newest", "",
                        test_cold_plug);
    qtest_add_data_func("/vtd-nested/migration/cold-plug/9.1",
                        "-machine pc-q35-9.1", test_cold_plug);
    qtest_add_func("/vtd-nested/migration/differ", test_differ);
    qtest_add_data_func("/vtd-nested/migration/dirty/on", "", test_dirty);
    qtest_add_data_func("/vtd-nested/migration/dirty/off", NULL, test_dirty);
    qtest_add_func("/vtd-nested/migration/cpr-process", test_cpr_process);
    qtest_add_func("/vtd-nested/migration/cpr-reboot", test_cpr_reboot);
    return g_test_run();
}
