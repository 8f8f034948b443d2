/*
 * VT-d nesting: page requests of a device, and the guest's answers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-pri-rig.h"

#define IOVA    0x4000000000ULL

/* Asked, mapped, answered, done */
static void check_success(PriRig *p, bool with_pasid)
{
    int index = pri_miss(p, with_pasid, IOVA);
    PageRequest req;

    g_assert_cmpint(index, >=, 0);
    req = pri_next(p);
    g_assert_cmphex(req.rid, ==, RID0);
    g_assert_cmpint(req.has_pasid, ==, with_pasid);
    g_assert_cmphex(req.pasid, ==, with_pasid ? PRI_PASID : 0);
    g_assert_cmpuint(req.index, ==, index);
    g_assert_cmphex(req.addr, ==, IOVA);
    g_assert_true(req.read);
    g_assert_true(req.last);
    g_assert_cmphex(pri_status(p), ==, PRS_PPR);
    pri_consume(p);
    g_assert_cmphex(pri_status(p), ==, 0);
    pri_map(p, IOVA, 0x44);
    pri_respond(p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(p, index), ==, 0x44);
}

static void test_success(gconstpointer opaque)
{
    PriRig p;

    pri_start(&p);
    check_success(&p, opaque != NULL);
    pri_stop(&p);
}

/* Requests without PASID need no PASIDs: svm=on is not at odds with that */
static void test_no_pasids(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    PriRig p;

    pri_start_with(&p, host, "nested=on,svm=on,x-pasid-mode=off", 1, "", 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    check_success(&p, false);
    pri_stop(&p);
}

static void test_invalid(gconstpointer opaque)
{
    PageRequest req;
    PriRig p;
    int index;

    pri_start(&p);
    index = pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    pri_respond(&p, &req, GPOINTER_TO_UINT(opaque));
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);
    pri_stop(&p);
}

/* A group of several pages is one thing, and its end is marked */
static void test_group(void)
{
    PageRequest req;
    PriRig p;

    pri_start(&p);
    iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":7,\"addrs\":[%llu,%llu,%llu],\"perm\":"
                     "\"rw\",\"grpid\":17}", IOVA, IOVA + 0x1000,
                     IOVA + 0x5000);
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned offset[] = { 0, 0x1000, 0x5000 };

        req = pri_next(&p);
        g_assert_cmphex(req.addr, ==, IOVA + offset[i]);
        g_assert_cmpuint(req.index, ==, 17);
        g_assert_true(req.write);
        g_assert_cmpint(req.last, ==, i == 2);
    }
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    pri_stop(&p);
}

static void request(PriRig *p, const char *pasid, uint64_t addr, bool last)
{
    iommufd_model_do(p->v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",%s\"addrs\":[%llu],\"grpid\":3,\"last\":%s}", pasid,
                     (unsigned long long)addr, last ? "true" : "false");
}

static void expect_answered(PriRig *p)
{
    QDict *answer = iommufd_model_command(p->v.m, "{\"cmd\":\"dma-wait\","
        "\"dev\":\"" HOST_DEV0 "\",\"grpid\":3}");

    g_assert_cmpstr(qdict_get_str(answer, "response"), ==, "success");
    qobject_unref(answer);
}

/*
 * The kernel keeps what was not the last of a group until there is a last one
 * with the same index, whoever that is of: who it is of counts, and what went
 * before it is of nobody.
 */
static void test_left_over(gconstpointer opaque)
{
    static const char seven[] = "\"pasid\":7,";
    bool gone = opaque;
    PageRequest req;
    PriRig p;

    pri_start(&p);
    request(&p, seven, IOVA, false);
    if (gone) {
        vtd_pasid_clear(&p.v.t, RID0, PRI_PASID);
        vtd_rig_inv_pasid(&p.v, PRI_DID, PRI_PASID);
    }
    request(&p, "", IOVA + 0x1000, true);
    req = pri_next(&p);
    g_assert_false(req.has_pasid);
    g_assert_true(req.last);
    g_assert_cmphex(req.addr, ==, IOVA + 0x1000);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    expect_answered(&p);
    if (!gone) {
        request(&p, "", IOVA, false);
        request(&p, seven, IOVA + 0x2000, false);
        request(&p, seven, IOVA + 0x3000, true);
        for (unsigned i = 2; i <= 3; i++) {
            req = pri_next(&p);
            g_assert_true(req.has_pasid);
            g_assert_cmpint(req.last, ==, i == 3);
            g_assert_cmphex(req.addr, ==, IOVA + i * 0x1000);
        }
        pri_respond(&p, &req, VTD_PRG_SUCCESS);
        expect_answered(&p);
    }
    pri_stop(&p);
}

/*
 * The host's CPU says what is an address, not the guest's tables: in front of a
 * CPU with four levels Linux answers by itself
 */
static void test_canonical(gconstpointer opaque)
{
    const uint64_t far = 1ULL << 50;
    g_autofree char *devices = vtd_rig_host(1, "", "");
    g_autofree char *host = g_strdup_printf("%s[host]\nla57=%s\n", devices,
                                            (const char *)opaque);
    PageRequest req;
    PriRig p;

    pri_start_with(&p, host, "nested=on", 1, "", 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    request(&p, "\"pasid\":7,", far, true);
    if (!strcmp(opaque, "on")) {
        g_assert_cmphex(pri_next(&p).addr, ==, far);
    }
    request(&p, "\"pasid\":7,", IOVA, true);
    req = pri_next(&p);
    g_assert_cmphex(req.addr, ==, IOVA);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    pri_stop(&p);
}

/*
 * What the device asks to do is said, as far as Linux hands it on: not to read
 * and execute, and nothing privileged (prq_event_thread())
 */
static void test_permissions(void)
{
    static const char *const perms[] = { "r", "w", "rw", "wx" };
    PageRequest req;
    PriRig p;

    pri_start(&p);
    for (unsigned i = 0; i < ARRAY_SIZE(perms); i++) {
        iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\""
                         HOST_DEV0 "\",\"pasid\":7,\"addrs\":[%llu],"
                         "\"perm\":\"%s\",\"grpid\":%u}", IOVA, perms[i], i);
        req = pri_next(&p);
        g_assert_cmpint(req.read, ==, !!strchr(perms[i], 'r'));
        g_assert_cmpint(req.write, ==, !!strchr(perms[i], 'w'));
        g_assert_cmpint(req.exec, ==, !!strchr(perms[i], 'x'));
        g_assert_false(req.priv);
        pri_respond(&p, &req, VTD_PRG_SUCCESS);
    }
    pri_stop(&p);
}

/* Answers to nothing are nothing, and the right one still counts */
static void test_strange_responses(void)
{
    PageRequest req, other;
    PriRig p;
    int index;

    pri_start(&p);
    index = pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    other = req;
    other.index ^= 1;
    pri_respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.pasid++;
    pri_respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.has_pasid = false;
    pri_respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.rid = 0x1234;
    pri_respond(&p, &other, VTD_PRG_SUCCESS);
    pri_map(&p, IOVA, 0x45);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    pri_respond(&p, &req, VTD_PRG_INVALID);
    g_assert_cmpint(pri_outcome(&p, index), ==, 0x45);
    g_assert_cmphex(vtd_rig_fsts(&p.v), ==, 0);
    pri_stop(&p);
}

/*
 * The host refuses an invalidation behind a response: the queue goes back no
 * further than to the response, which must not be given twice
 */
static void test_refused_behind(void)
{
    PageRequest req;
    uint32_t ticket;
    unsigned first;
    PriRig p;
    int index;

    pri_start(&p);
    index = pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    pri_map(&p, IOVA, 0x45);

    vtd_queue_push(&p.v.q, vtd_inv_piotlb(PRI_DID, PRI_PASID, IOVA, 0, true));
    vtd_queue_push(&p.v.q, vtd_page_response(req.rid, req.has_pasid, req.pasid,
                                             req.index, VTD_PRG_SUCCESS));
    first = p.v.q.tail / 32;
    for (unsigned i = 1; i < 3; i++) {
        vtd_queue_push(&p.v.q, vtd_inv_piotlb(PRI_DID, PRI_PASID,
                                              IOVA + i * 4096, 0, true));
    }
    ticket = vtd_queue_push_wait(&p.v.q);
    iommufd_model_do(p.v.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:2:errno=EIO:partial=1\"}");
    vtd_queue_kick(&p.v.q, &p.v.regs);
    g_assert_cmpint(pri_outcome(&p, index), ==, 0x45);
    g_assert_false(vtd_queue_done(&p.v.q, ticket));
    g_assert_cmphex(vtd_rig_fsts(&p.v) & VTD_FSTS_IQE_BIT, !=, 0);
    g_assert_cmpuint(vtd_rig_head(&p.v), ==, first);

    p.v.regs.write32(p.v.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    g_assert_true(vtd_queue_done(&p.v.q, ticket));
    g_assert_cmpuint(iommufd_model_journal(p.v.m, "\"ev\":\"prg-response\""),
                     ==, 1);
    pri_stop(&p);
}

/* A queue without room: overflow, and the device is told to try again */
static void test_overflow(void)
{
    PageRequest req;
    PriRig p;
    int index;

    pri_start(&p);
    /* Head just in front of the tail: full */
    p.v.regs.write64(p.v.regs.opaque, REG_PQH, 32);
    iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":7,\"addrs\":[%llu],\"grpid\":3}", IOVA);
    for (unsigned i = 0; !(pri_status(&p) & PRS_PRO); i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(1000);
    }
    g_assert_cmphex(pri_tail(&p), ==, 0);

    /* Software makes room: as long as it says no more, nothing changes */
    p.v.regs.write64(p.v.regs.opaque, REG_PQH, 0);
    iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":7,\"addrs\":[%llu],\"grpid\":4}", IOVA);
    for (unsigned i = 0;
         !iommufd_model_journal(p.v.m, "\"ev\":\"prg-response\","
                                "\"dev\":\"" HOST_DEV0 "\",\"grpid\":4,"
                                "\"success\":true"); i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(1000);
    }
    g_assert_cmphex(pri_tail(&p), ==, 0);
    g_assert_cmphex(pri_status(&p), ==, PRS_PRO);

    /* It clears the overflow */
    p.v.regs.write32(p.v.regs.opaque, REG_PRS, PRS_PRO);
    index = pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    pri_map(&p, IOVA, 0x46);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index), ==, 0x46);
    pri_stop(&p);
}

/* A group that takes more than the whole queue is refused, not put off */
static void test_too_large(void)
{
    GString *addrs = g_string_new(NULL);
    uint64_t tail;
    PriRig p;

    pri_start(&p);
    tail = pri_tail(&p);
    /* The model takes 64 at once, and builds groups of several commands */
    for (unsigned i = 0; i < p.entries; i++) {
        bool last = i == p.entries - 1;

        g_string_append_printf(addrs, "%s%llu", addrs->len ? "," : "",
                               IOVA + i * 4096ULL);
        if (i % 64 == 63 || last) {
            iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\""
                             HOST_DEV0 "\",\"pasid\":7,\"addrs\":[%s],"
                             "\"grpid\":3,\"last\":%s}", addrs->str,
                             last ? "true" : "false");
            g_string_truncate(addrs, 0);
        }
    }
    g_string_free(addrs, true);
    iommufd_model_do(p.v.m, "{\"cmd\":\"dma-wait\",\"dev\":\"" HOST_DEV0
                     "\",\"grpid\":3,\"timeout-ms\":20000}");
    g_assert_cmpuint(iommufd_model_journal(p.v.m, "\"ev\":\"prg-response\","
                                           "\"dev\":\"" HOST_DEV0 "\","
                                           "\"grpid\":3,\"success\":false"),
                     ==, 1);
    g_assert_cmphex(pri_tail(&p), ==, tail);
    g_assert_cmphex(pri_status(&p), ==, 0);
    pri_stop(&p);
}

/* The queue wraps */
static void test_wrap(void)
{
    PageRequest req;
    PriRig p;

    pri_start(&p);
    for (unsigned i = 0; i < p.entries + 10; i++) {
        iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\""
                         HOST_DEV0 "\",\"pasid\":7,\"addrs\":[%llu],"
                         "\"grpid\":%u}", IOVA + i * 4096ULL, i);
        req = pri_next(&p);
        g_assert_cmphex(req.addr, ==, IOVA + i * 4096ULL);
        g_assert_cmpuint(req.index, ==, i);
        pri_consume(&p);
        pri_respond(&p, &req, VTD_PRG_SUCCESS);
    }
    pri_stop(&p);
}

/* A miss comes to nothing, and the guest hears nothing of it */
static void expect_silence(PriRig *p, uint64_t addr)
{
    uint64_t tail = pri_tail(p);
    int index = pri_miss(p, true, addr);

    if (index >= 0) {
        g_assert_cmpint(pri_outcome(p, index), ==, -1);
    }
    g_assert_cmphex(pri_tail(p), ==, tail);
}

/* The guest says no to page requests, each in its place */
static void test_not_enabled(void)
{
    unsigned pri;
    PriRig p;

    pri_start(&p);
    pri_context(&p, VTD_CTX_DTE);
    expect_silence(&p, IOVA);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmpint(pri_miss(&p, true, IOVA), >=, 0);
    pri_next(&p);
    pri = vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI);
    vtd_rig_config_write(&p.v, RID0, pri + PCI_PRI_CTRL, 0);
    expect_silence(&p, IOVA);
    pri_stop(&p);
}

static void control(PriRig *p, unsigned cap, unsigned reg, uint16_t value)
{
    unsigned at = vtd_rig_ext_cap(&p->v, RID0, cap) + reg;

    /* ATS: the capability register in the lower half is read-only */
    vtd_rig_config_write(&p->v, RID0, at & ~3u,
                         (uint32_t)value << 8 * (at & 3));
}

/*
 * ATS and page requests are switched off and on, in the device and in the
 * context entry: nothing is attached anew, as that stops DMA. What was asked
 * before is answered, and what is asked while they are off.
 */
static void test_toggle(gconstpointer opaque)
{
    unsigned what = GPOINTER_TO_UINT(opaque);
    uint64_t attaches, detaches;
    int before, after;
    PageRequest req;
    PriRig p;

    pri_start(&p);
    pri_map(&p, IOVA, 0x44);
    attaches = iommufd_model_counter(p.v.m, "ATTACH_IOMMUFD_PT", "calls");
    detaches = iommufd_model_counter(p.v.m, "DETACH_IOMMUFD_PT", "calls");
    for (unsigned i = 1; i <= 3; i++) {
        uint64_t missing = IOVA + i * 0x10000;

        before = pri_miss(&p, true, missing);
        req = pri_next(&p);
        switch (what) {
        case 0:
            control(&p, PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, 0);
            break;
        case 1:
            control(&p, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL, 0);
            break;
        case 2:
            pri_context(&p, VTD_CTX_DTE);
            break;
        case 3:
            pri_context(&p, VTD_CTX_PRE);
            break;
        }
        g_assert_cmpint(pri_outcome(&p, before), ==, -1);
        expect_silence(&p, missing + 0x1000);
        iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, IOVA, 0x44, 16);

        pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
        vtd_rig_enable_sva(&p.v, RID0);
        pri_respond(&p, &req, VTD_PRG_SUCCESS);
        after = pri_miss(&p, true, missing);
        req = pri_next(&p);
        pri_map(&p, missing, 0x44);
        pri_respond(&p, &req, VTD_PRG_SUCCESS);
        g_assert_cmpint(pri_outcome(&p, after), ==, 0x44);
    }
    g_assert_cmpuint(iommufd_model_counter(p.v.m, "ATTACH_IOMMUFD_PT",
                                           "calls"), ==, attaches);
    g_assert_cmpuint(iommufd_model_counter(p.v.m, "DETACH_IOMMUFD_PT",
                                           "calls"), ==, detaches);
    pri_stop(&p);
}

/* Whatever takes the translation away answers what waits for it */
static void test_taken_away(gconstpointer opaque)
{
    unsigned how = GPOINTER_TO_UINT(opaque);
    PriRig p;
    int index;

    pri_start(&p);
    if (how == 5) {
        qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    }
    index = pri_miss(&p, true, IOVA);
    if (how != 5) {
        pri_next(&p);
    }
    switch (how) {
    case 0:
        vtd_pasid_clear(&p.v.t, RID0, PRI_PASID);
        vtd_rig_inv_pasid(&p.v, PRI_DID, PRI_PASID);
        break;
    case 1:
        vtd_context_clear(&p.v.t, RID0);
        vtd_rig_inv_context(&p.v, RID0);
        break;
    case 2:
        vtd_rig_translation(&p.v, false);
        break;
    case 3:
    case 5:
        qtest_system_reset(p.v.qts);
        break;
    case 4:
        vtd_rig_config_write(&p.v, RID0, vtd_rig_pcie_cap(&p.v, RID0) +
                             PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
        break;
    }
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);
    pri_stop(&p);
}

/* svm=off: no capability bits, no queue, control bits that stay clear */
static void test_off(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    unsigned pri;
    PriRig p;

    pri_start_with(&p, host, "nested=on,svm=off", 1, "", 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmphex(p.v.regs.read64(p.v.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_PRS_BIT, ==, 0);
    g_assert_cmpuint(iommufd_model_live(p.v.m, "fault"), ==, 0);
    pri = vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI);
    g_assert_cmphex(vtd_rig_config_read(&p.v, RID0, pri + 4) & 0xffff, ==, 0);
    pri_stop(&p);
}

/* QEMU ends with one that the guest has not answered, and one not read */
static void test_quit(void)
{
    PriRig p;

    pri_start(&p);
    pri_miss(&p, true, IOVA);
    pri_next(&p);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    pri_miss(&p, true, IOVA + 0x1000);
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {
        "pasid", "context", "translation", "reset", "flr", "reset-stopped",
    };
    static const char *const toggles[] = { "pri", "ats", "pre", "dte" };

    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/pri/success/rid", NULL, test_success);
    qtest_add_data_func("/vtd-nested/pri/success/pasid", "", test_success);
    qtest_add_func("/vtd-nested/pri/success/no-pasids", test_no_pasids);
    qtest_add_data_func("/vtd-nested/pri/invalid",
                        GUINT_TO_POINTER(VTD_PRG_INVALID), test_invalid);
    qtest_add_data_func("/vtd-nested/pri/failure",
                        GUINT_TO_POINTER(VTD_PRG_FAILURE), test_invalid);
    qtest_add_func("/vtd-nested/pri/group", test_group);
    qtest_add_data_func("/vtd-nested/pri/left-over", NULL, test_left_over);
    qtest_add_data_func("/vtd-nested/pri/left-over/gone", "", test_left_over);
    qtest_add_data_func("/vtd-nested/pri/canonical/four", "off",
                        test_canonical);
    qtest_add_data_func("/vtd-nested/pri/canonical/five", "on",
                        test_canonical);
    qtest_add_func("/vtd-nested/pri/permissions", test_permissions);
    qtest_add_func("/vtd-nested/pri/strange-responses",
                   test_strange_responses);
    qtest_add_func("/vtd-nested/pri/refused-behind", test_refused_behind);
    qtest_add_func("/vtd-nested/pri/overflow", test_overflow);
    qtest_add_func("/vtd-nested/pri/too-large", test_too_large);
    qtest_add_func("/vtd-nested/pri/wrap", test_wrap);
    qtest_add_func("/vtd-nested/pri/not-enabled", test_not_enabled);
    for (unsigned i = 0; i < ARRAY_SIZE(toggles); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/pri/toggle/%s",
                                                toggles[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_toggle);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/pri/taken-away/%s",
                                                ways[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_taken_away);
    }
    qtest_add_func("/vtd-nested/pri/off", test_off);
    qtest_add_func("/vtd-nested/pri/quit", test_quit);
    return g_test_run();
}
