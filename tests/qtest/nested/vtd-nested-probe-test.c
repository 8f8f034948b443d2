/*
 * VT-d nesting: what the host's kernel does is found out by trying
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vtd-migration-rig.h"
#include "vtd-pri-rig.h"

/* What QEMU has said on @file is all of @words, each once */
static void expect_said(const char *file, const char *const *words)
{
    for (; *words; words++) {
        g_assert_cmpuint(nested_rig_said(file, *words), ==, 1);
    }
}

/* ------------------------------------------------------- can it be nested? */

/*
 * The registers can, the kernel does not. nested=on says so and what to do;
 * nested=auto shadows.
 */
static void test_no_parent(gconstpointer words)
{
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=vtd\n%s\n[iommu 0]\n[device " HOST_DEV0 "]\n",
        (const char *)words);
    g_autofree char *args = vtd_rig_args("nested=on", 1, "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    VtdRig r;

    nested_rig_expect_refusal(host, args, "nested=on: " HOST_DEV0 " cannot be "
                              "nested", "no nesting parent", "sm_on", NULL);

    vtd_rig_start(&r, host, "nested=auto", 1, extra);
    g_assert_cmphex(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_SMTS_BIT, ==, 0);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
    vtd_rig_stop(&r);
    expect_said(said, (const char *const[]) {
        "nested=auto falls back to shadowed tables: " HOST_DEV0, "sm_on", NULL
    });
    nested_rig_scratch_remove(said);
}

/* Neither a host without interrupt remapping nor a group with a driver */
static void test_not_safe(gconstpointer words)
{
    g_autofree char *host = g_strdup_printf("[host]\narch=vtd\n%s",
                                            (const char *)words);
    g_autofree char *args = vtd_rig_args("nested=on", 1, "");

    nested_rig_expect_refusal(host, args, HOST_DEV0, "error bind device",
                              "Operation not permitted", NULL);
}

/* What was tried is gone again, whether it is a first device or a later one */
static void test_leaves_nothing(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, VTD_RIG_SLOTS);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "fault"), ==, 0);
    vtd_rig_plug(&r, 0, "dev1", HOST_DEV1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "fault"), ==, 0);
    vtd_rig_stop(&r);
}

/*
 * A member of a group that is in use is tried without a change for the others.
 * Then the group is blocked until the guest gives it what the others have.
 */
static void test_group(gconstpointer off)
{
    static const char host[] = "[host]\narch=vtd\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=7\n[device " HOST_DEV1 "]\ngroup=7\n";
    uint64_t addr = off ? DATA + 4096 : 0x4000000000ULL, s1 = 0;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,x-pasid-mode=on,svm=on", 1,
                  VTD_RIG_SLOTS);
    vtd_rig_fill(&r, 1, 0x66);
    vtd_rig_number_slot(&r, 0, 1);
    if (!off) {
        vtd_rig_enable(&r);
        s1 = vtd_rig_s1(&r, addr, 1);
        vtd_rig_first_stage(&r, RID0, 5, s1);
    }
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, addr), ==, 0x66);
    qobject_unref(qtest_qmp(r.qts, "{ 'execute': 'device_add', 'arguments': "
                            "{ 'driver': 'vfio-pci', 'id': 'dev1', 'host': "
                            "%s, 'bus': 'rp0', 'iommufd': 'iommufd0' } }",
                            HOST_DEV1));
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    if (!off) {
        g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, addr), ==, -1);
        vtd_rig_first_stage(&r, BEHIND(1), 5, s1);
    }
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, addr), ==, 0x66);
    vtd_rig_stop(&r);
}

/* -------------------------------------------------------------- PASIDs */

/*
 * A vfio driver of the host that attaches no PASIDs: the guest sees none of
 * the device's, while that of another driver has them
 */
static void test_no_pasid_attach(gconstpointer hot)
{
    static const char host[] = "[host]\narch=vtd\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=1\n"
        "[device " HOST_DEV1 "]\ngroup=2\npasid-attach=off\n";
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf(VTD_RIG_SLOTS "2>'%s'", said);
    const IommufdDma pasid = { .with_pasid = true, .pasid = 5 };
    uint16_t rid = hot ? BEHIND(1) : RID1;
    uint64_t s1;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,x-pasid-mode=on", hot ? 1 : 2, extra);
    vtd_rig_number_slot(&r, 0, 1);
    if (hot) {
        vtd_rig_plug(&r, 0, "dev1", HOST_DEV1);
    }
    g_assert_cmpuint(vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID), !=, 0);
    g_assert_cmpuint(vtd_rig_ext_cap(&r, rid, PCI_EXT_CAP_ID_PASID), ==, 0);

    /* A guest that does not care about the capability */
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    vtd_rig_enable_sva(&r, rid);
    vtd_rig_fill(&r, 1, 0x31);
    s1 = vtd_rig_s1(&r, 0x4000000000ULL, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t to = i ? rid : RID0;

        vtd_context_scalable(&r.t, to, 7, VTD_CTX_PASIDE, 0);
        vtd_pasid_set(&r.t, to, 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = 6, .s1 = s1, .s1_levels = 4,
        });
        vtd_pasid_set(&r.t, to, 5, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = 5, .s1 = s1, .s1_levels = 4,
        });
        vtd_rig_inv_context(&r, to);
    }
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &pasid, 0x4000000000ULL), ==,
                    0x31);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, &pasid, 0x4000000000ULL), ==,
                    -1);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, 0x4000000000ULL), ==,
                    0x31);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0);
    vtd_rig_stop(&r);
    expect_said(said, (const char *const[]) {
        HOST_DEV1 ": the guest sees no PASIDs of it", NULL
    });
    nested_rig_scratch_remove(said);
}

/* ------------------------------------------------------- page requests */

typedef struct Unserved {
    const char *path, *device;
    bool pri_cap;               /* the device has the capability itself */
    bool ats;                   /* the guest has its ATS */
} Unserved;

static const Unserved unserved[] = {
    { "noats", "host-ats=off\n", true, false },
    { "no-pri", "host-pri=off\n", true, true },
    { "none", "pri=off\n", false, true },
    { "vf", "vf=on\npf-pri=on\n", true, true },
};

/*
 * A device whose page requests the host does not serve: the guest sees none,
 * its tables are attached without a fault queue, for RID and PASID
 */
static void check_unserved(PriRig *p, const Unserved *u)
{
    const IommufdDma pasid = { .with_pasid = true, .pasid = PRI_PASID };

    g_assert_cmpuint(vtd_rig_ext_cap(&p->v, p->rid, PCI_EXT_CAP_ID_PRI), ==,
                     0);
    g_assert_cmpint(!!vtd_rig_ext_cap(&p->v, p->rid, PCI_EXT_CAP_ID_ATS), ==,
                    u->ats);
    g_assert_cmpuint(vtd_rig_ext_cap(&p->v, p->rid, PCI_EXT_CAP_ID_PASID), !=,
                     0);
    vtd_rig_enable_sva(&p->v, p->rid);
    pri_context(p, VTD_CTX_DTE | VTD_CTX_PRE | VTD_CTX_PASIDE);
    pri_map(p, 0x4000000000ULL, 0x41);
    iommufd_model_expect_data(p->v.m, p->dev, NULL, 0x4000000000ULL, 0x41, 16);
    iommufd_model_expect_data(p->v.m, p->dev, &pasid, 0x4000000000ULL, 0x41,
                              16);
    g_assert_cmphex(vtd_rig_take_fault(&p->v, NULL), ==, 0);
    g_assert_cmpuint(iommufd_model_live(p->v.m, "fault"), ==, 0);
}

static void test_unserved(gconstpointer opaque)
{
    const Unserved *u = opaque;
    g_autofree char *host = vtd_rig_host(1, "", u->device);
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    PriRig p;

    pri_start_with(&p, host, "nested=on", 1, extra, 0);
    check_unserved(&p, u);
    pri_stop(&p);
    g_assert_cmpint(!!nested_rig_said(said, HOST_DEV0 ": the guest sees no "
                                      "page requests of it"), ==, u->pri_cap);
    nested_rig_scratch_remove(said);
}

/* The same for a device that is passed by fd: its sysfs path is not known */
static void test_vf_by_fd(void)
{
    static const Unserved vf = { .pri_cap = true, .ats = true };
    g_autofree char *host = vtd_rig_host(1, "", "vf=on\npf-pri=on\n");
    PriRig p;
    int fd;

    pri_start_with(&p, host, "nested=on,x-pasid-mode=on,svm=on,pasid-bits=20",
                   0, VTD_RIG_SLOTS, 0);
    p.dev = HOST_DEV0;
    p.rid = BEHIND(1);
    vtd_rig_number_slot(&p.v, 0, 1);
    fd = iommufd_model_open(p.v.m, "/dev/vfio/devices/vfio0");
    qtest_qmp_fds_assert_success(p.v.qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': 'vf' } }");
    close(fd);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': 'dev0', 'fd': 'vf', "
        "'bus': 'rp0', 'iommufd': 'iommufd0' } }");
    vtd_rig_power_slot(&p.v, 0);
    check_unserved(&p, &vf);
    pri_stop(&p);
}

/* ------------------------------------------- what trying did not show */

static void inject(PriRig *p, const char *order)
{
    iommufd_model_do(p->v.m, "{\"cmd\":\"fault\",\"on\":\"%s\"}", order);
}

/* The device's and the vIOMMU's books: attaches that went without a queue */
static void expect_unserved(PriRig *p, bool is_so, unsigned count)
{
    QDict *answer = qtest_qmp(p->v.qts,
                              "{ 'execute': 'x-query-nested-iommu' }");
    QDict *v = qobject_to(QDict, qlist_peek(qdict_get_qlist(answer,
                                                            "return")));
    QDict *dev = qobject_to(QDict, qlist_peek(qdict_get_qlist(v, "devices")));
    QListEntry *entry;
    bool found = false;

    g_assert_true(qdict_get_bool(dev, "no-page-requests") == is_so);
    QLIST_FOREACH_ENTRY(qdict_get_qlist(v, "counters"), entry) {
        QDict *counter = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(counter, "name"),
                    "page-requests-unserved")) {
            g_assert_cmpint(qdict_get_int(counter, "value"), ==, count);
            found = true;
        }
    }
    g_assert_true(found);
    qobject_unref(answer);
}

static const IommufdDma with_pasid = {
    .with_pasid = true, .pasid = PRI_PASID,
};

/*
 * The kernel refuses the queue when the guest's tables come, and not before:
 * for the RID (the first attach) or for the PASID. What asked for it goes
 * without, whatever comes later does not ask, and the user is told once.
 */
static void test_late(gconstpointer order)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    unsigned queues;
    PriRig p;

    pri_start_with(&p, host, "nested=on", 1, extra, 0);
    inject(&p, order);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    pri_map(&p, 0x4000000000ULL, 0x52);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, 0x4000000000ULL, 0x52,
                              16);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &with_pasid, 0x4000000000ULL,
                              0x52, 16);
    g_assert_cmphex(vtd_rig_take_fault(&p.v, NULL), ==, 0);
    expect_unserved(&p, true, 1);

    queues = iommufd_model_journal(p.v.m, "\"fault\":");
    p.s1 = vtd_s1_new(&p.v.mem);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    pri_map(&p, 0x4000000000ULL, 0x53);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, 0x4000000000ULL, 0x53,
                              16);
    expect_unserved(&p, true, 1);
    g_assert_cmpuint(iommufd_model_journal(p.v.m, "\"fault\":"), ==, queues);
    pri_stop(&p);
    expect_said(said, (const char *const[]) {
        HOST_DEV0 ": the host serves no page requests of it", NULL
    });
    nested_rig_scratch_remove(said);
}

/* Refused with and without a queue: blocked, and not because of the queue */
static void test_refused(void)
{
    PriRig p;
    g_autofree char *host = vtd_rig_host(1, "", "");

    pri_start_with(&p, host, "nested=on", 1, "", 0);
    inject(&p, "ATTACH_IOMMUFD_PT:1:every:errno=EINVAL");
    vtd_context_scalable(&p.v.t, RID0, 12, VTD_CTX_DTE | VTD_CTX_PRE, 0);
    vtd_pasid_set(&p.v.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = PRI_DID, .s1 = p.s1, .s1_levels = 4,
    });
    vtd_queue_push(&p.v.q, vtd_inv_context(VTD_INV_NARROW, 0, RID0));
    g_assert_false(vtd_queue_sync(&p.v.q, &p.v.regs));
    g_assert_cmphex(vtd_rig_take_fault(&p.v, NULL), !=, 0);
    iommufd_model_expect_fault(p.v.m, HOST_DEV0, NULL, 0x4000000000ULL, false,
                               0, NULL);
    expect_unserved(&p, false, 0);
    iommufd_model_do(p.v.m, "{\"cmd\":\"fault-clear\"}");
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/probe/no-parent/sm-off",
                        "scalable-mode=off", test_no_parent);
    qtest_add_data_func("/vtd-nested/probe/no-parent/kernel",
                        "kernel=no-nesting", test_no_parent);
    qtest_add_func("/vtd-nested/probe/leaves-nothing", test_leaves_nothing);
    qtest_add_data_func("/vtd-nested/probe/group/off", "", test_group);
    qtest_add_data_func("/vtd-nested/probe/group/on", NULL, test_group);
    qtest_add_data_func("/vtd-nested/probe/no-pasid-attach/cold", NULL,
                        test_no_pasid_attach);
    qtest_add_data_func("/vtd-nested/probe/no-pasid-attach/hot", "",
                        test_no_pasid_attach);
    for (unsigned i = 0; i < ARRAY_SIZE(unserved); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/probe/unserved/%s",
                                                unserved[i].path);

        qtest_add_data_func(path, &unserved[i], test_unserved);
    }
    qtest_add_func("/vtd-nested/probe/vf-by-fd", test_vf_by_fd);
    qtest_add_data_func("/vtd-nested/probe/late/rid",
                        "ATTACH_IOMMUFD_PT:1:errno=ENODEV", test_late);
    qtest_add_data_func("/vtd-nested/probe/late/rid-vf",
                        "ATTACH_IOMMUFD_PT:1:errno=EINVAL", test_late);
    qtest_add_data_func("/vtd-nested/probe/late/pasid",
                        "ATTACH_IOMMUFD_PT:2:errno=ENODEV", test_late);
    qtest_add_func("/vtd-nested/probe/late/refused", test_refused);
    qtest_add_data_func("/vtd-nested/probe/not-safe/interrupts",
                        "isolated-msi=off\n[iommu 0]\n[device " HOST_DEV0
                        "]\n", test_not_safe);
    qtest_add_data_func("/vtd-nested/probe/not-safe/group",
                        "[iommu 0]\n[device " HOST_DEV0 "]\nviable=off\n",
                        test_not_safe);
    return g_test_run();
}
