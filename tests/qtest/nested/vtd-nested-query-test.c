/*
 * VT-d nesting: x-query-nested-iommu and "info nested-iommu"
 *
 * What they show is held against what the test did, what the model counted,
 * and against each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "vtd-pri-rig.h"

#define IOVA    0x4000000000ULL
#define DID     PRI_DID
#define DID_RID 4

/* ------------------------------------------------------------ the answers */

/* To be unreferenced */
static QDict *query(QTestState *qts)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'x-query-nested-iommu' }");

    g_assert_true(qdict_haskey(answer, "return"));
    return answer;
}

static unsigned num_viommus(const QDict *answer)
{
    return qlist_size(qdict_get_qlist(answer, "return"));
}

static QDict *element(const QList *list, unsigned i)
{
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(list, e) {
        if (!i--) {
            return qobject_to(QDict, qlist_entry_obj(e));
        }
    }
    g_assert_not_reached();
}

static int64_t list_int(const QList *list, unsigned i)
{
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(list, e) {
        if (!i--) {
            return qnum_get_int(qobject_to(QNum, qlist_entry_obj(e)));
        }
    }
    return 0;
}

static QDict *viommu(const QDict *answer)
{
    g_assert_cmpuint(num_viommus(answer), ==, 1);
    return element(qdict_get_qlist(answer, "return"), 0);
}

static QDict *host_of(const QDict *answer)
{
    QList *hosts = qdict_get_qlist(viommu(answer), "hosts");

    g_assert_cmpuint(qlist_size(hosts), ==, 1);
    return element(hosts, 0);
}

static QDict *device(const QDict *answer, const char *name)
{
    const QList *list = qdict_get_qlist(viommu(answer), "devices");

    for (unsigned i = 0; i < qlist_size(list); i++) {
        QDict *dev = element(list, i);

        if (!strcmp(qdict_get_str(dev, "name"), name)) {
            return dev;
        }
    }
    g_assert_not_reached();
}

static QDict *rid(const QDict *answer, const char *name)
{
    return qdict_get_qdict(device(answer, name), "rid");
}

/* The @i-th PASID's, which has to be @pasid */
static QDict *pasid(const QDict *answer, const char *name, unsigned i,
                    uint32_t value)
{
    QDict *tr = element(qdict_get_qlist(device(answer, name), "pasids"), i);

    g_assert_cmpuint(qdict_get_int(tr, "pasid"), ==, value);
    return tr;
}

/* Of "commands", "counters" or "errors" */
static uint64_t counter(const QDict *answer, const char *kind,
                        const char *name)
{
    const QList *list = qdict_get_qlist(viommu(answer), kind);

    for (unsigned i = 0; i < qlist_size(list); i++) {
        QDict *c = element(list, i);

        if (!strcmp(qdict_get_str(c, "name"), name)) {
            return qdict_get_int(c, "value");
        }
    }
    g_error("no '%s' among the %s", name, kind);
}

static void expect_state(const QDict *tr, const char *state,
                         const char *reason)
{
    const char *given = qdict_get_try_str(tr, "reason");

    g_assert_cmpstr(qdict_get_str(tr, "state"), ==, state);
    if (reason) {
        g_assert_nonnull(given);
        g_assert_nonnull(strstr(given, reason));
    } else {
        g_assert_null(given);
    }
    g_assert_false(qdict_get_bool(tr, "waiting"));
    g_assert_cmpint(qdict_haskey(tr, "hwpt"), ==, !strcmp(state, "stage1"));
}

static void expect_hwpt(const QDict *tr, unsigned users, unsigned did,
                        unsigned index)
{
    expect_state(tr, "stage1", NULL);
    g_assert_cmpuint(qdict_get_int(tr, "hwpt-users"), ==, users);
    g_assert_cmpuint(qdict_get_int(tr, "domain"), ==, did);
    g_assert_cmpuint(qdict_get_int(tr, "index-pasid"), ==, index);
}

/* -------------------------------------------------- the same, for a person */

static void text_translation(GString *text, const QDict *tr)
{
    const char *reason = qdict_get_try_str(tr, "reason");
    int64_t groups = qdict_get_int(tr, "page-groups");

    if (qdict_haskey(tr, "pasid")) {
        g_string_append_printf(text, "    PASID %" PRId64 ": ",
                               qdict_get_int(tr, "pasid"));
    } else {
        g_string_append(text, "    RID: ");
    }
    g_string_append(text, qdict_get_str(tr, "state"));
    if (reason) {
        g_string_append_printf(text, " (%s)", reason);
    }
    if (qdict_haskey(tr, "hwpt")) {
        g_string_append_printf(text, ", HWPT %" PRId64 " of %" PRId64 " users",
                               qdict_get_int(tr, "hwpt"),
                               qdict_get_int(tr, "hwpt-users"));
    }
    if (qdict_haskey(tr, "domain")) {
        g_string_append_printf(text, ", domain %" PRId64 " index %" PRId64,
                               qdict_get_int(tr, "domain"),
                               qdict_get_int(tr, "index-pasid"));
    }
    if (groups) {
        g_string_append_printf(text, ", %" PRId64 " page groups", groups);
    }
    g_string_append(text, qdict_get_bool(tr, "waiting") ? ", waiting\n" :
                    "\n");
}

static void text_device(GString *text, const QDict *dev)
{
    const QList *pasids = qdict_get_qlist(dev, "pasids");

    g_string_append_printf(text, "  device %s: dev_id %" PRId64 " iommufd %"
                           PRId64 " parent %" PRId64,
                           qdict_get_str(dev, "name"),
                           qdict_get_int(dev, "dev-id"),
                           qdict_get_int(dev, "iommufd"),
                           qdict_get_int(dev, "parent"));
    if (qdict_haskey(dev, "label")) {
        g_string_append_printf(text, " label 0x%" PRIx64,
                               qdict_get_int(dev, "label"));
    }
    if (qdict_haskey(dev, "group")) {
        g_string_append_printf(text, " group %" PRId64,
                               qdict_get_int(dev, "group"));
    }
    g_string_append(text, "\n");
    text_translation(text, qdict_get_qdict(dev, "rid"));
    for (unsigned i = 0; i < qlist_size(pasids); i++) {
        text_translation(text, element(pasids, i));
    }
}

static void text_host(GString *text, const QDict *h)
{
    g_string_append_printf(text, "  host: iommufd %" PRId64 " parent %" PRId64
                           " (flags 0x%" PRIx64 ") of IOAS %" PRId64
                           ", %" PRId64 " HWPTs, %" PRId64 " devices",
                           qdict_get_int(h, "iommufd"),
                           qdict_get_int(h, "parent"),
                           qdict_get_int(h, "parent-flags"),
                           qdict_get_int(h, "ioas"),
                           qdict_get_int(h, "hwpts"),
                           qdict_get_int(h, "devices"));
    if (qdict_haskey(h, "fault-queue")) {
        g_string_append_printf(text, ", fault queue %" PRId64,
                               qdict_get_int(h, "fault-queue"));
    }
    g_string_append(text, "\n");
}

static void text_cost(GString *text, const char *what, const QDict *c)
{
    int64_t calls = qdict_get_int(c, "calls");

    if (calls) {
        g_string_append_printf(text, ", %s %" PRId64 " times (0x%" PRIx64
                               " bytes, %" PRId64 " ns each)", what, calls,
                               qdict_get_int(c, "bytes"),
                               qdict_get_int(c, "ns") / calls);
    }
}

static void text_memory(GString *text, const QDict *m)
{
    g_string_append_printf(text, "  memory %s: iommufd %" PRId64 " IOAS %"
                           PRId64 " locked 0x%" PRIx64 " shared 0x%" PRIx64
                           " large 0x%" PRIx64 " page 0x%" PRIx64,
                           qdict_get_str(m, "region"),
                           qdict_get_int(m, "iommufd"),
                           qdict_get_int(m, "ioas"),
                           qdict_get_int(m, "locked"),
                           qdict_get_int(m, "shared"),
                           qdict_get_int(m, "large"),
                           qdict_get_int(m, "page-size"));
    text_cost(text, "mapped", qdict_get_qdict(m, "map"));
    text_cost(text, "copied", qdict_get_qdict(m, "copy"));
    text_cost(text, "unmapped", qdict_get_qdict(m, "unmap"));
    g_string_append(text, "\n");
}

static void text_counters(GString *text, const char *what, const QList *list)
{
    for (unsigned i = 0; i < qlist_size(list); i++) {
        QDict *c = element(list, i);

        if (qdict_get_int(c, "value")) {
            g_string_append_printf(text, "  %s %s: %" PRId64 "\n", what,
                                   qdict_get_str(c, "name"),
                                   qdict_get_int(c, "value"));
        }
    }
}

static void text_histogram(GString *text, const char *what, const char *unit,
                           const QList *list)
{
    for (unsigned i = 0; i < qlist_size(list); i++) {
        int64_t value = list_int(list, i);

        if (value) {
            g_string_append_printf(text, "  %s %u %s and more: %" PRId64 "\n",
                                   what, 1u << i, unit, value);
        }
    }
}

static void text_viommu(GString *text, const QDict *v)
{
    const QList *hosts = qdict_get_qlist(v, "hosts");
    const QList *devices = qdict_get_qlist(v, "devices");
    const QList *memory = qdict_get_qlist(v, "memory");

    g_string_append_printf(text, "%s%s: HWPTs %" PRId64 "/%" PRId64
                           " PASIDs %" PRId64 "/%" PRId64 " queued %" PRId64
                           " page groups %" PRId64 "/%" PRId64 "\n",
                           qdict_get_str(v, "name"),
                           qdict_get_bool(v, "running") ? "" : " (stopped)",
                           qdict_get_int(v, "hwpts"),
                           qdict_get_int(v, "max-hwpts"),
                           qdict_get_int(v, "pasids"),
                           qdict_get_int(v, "max-pasids"),
                           qdict_get_int(v, "inv-queued"),
                           qdict_get_int(v, "page-groups"),
                           qdict_get_int(v, "max-page-groups"));
    for (unsigned i = 0; i < qlist_size(hosts); i++) {
        text_host(text, element(hosts, i));
    }
    for (unsigned i = 0; i < qlist_size(devices); i++) {
        text_device(text, element(devices, i));
    }
    for (unsigned i = 0; i < qlist_size(memory); i++) {
        text_memory(text, element(memory, i));
    }
    text_counters(text, "command", qdict_get_qlist(v, "commands"));
    text_counters(text, "count", qdict_get_qlist(v, "counters"));
    text_counters(text, "error", qdict_get_qlist(v, "errors"));
    text_histogram(text, "batches of", "entries",
                   qdict_get_qlist(v, "batches"));
    text_histogram(text, "answers after", "us", qdict_get_qlist(v, "latency"));
}

/* "info nested-iommu" says the same, word for word */
static QDict *query_both(QTestState *qts)
{
    QDict *answer = query(qts);
    g_autofree char *hmp = qtest_hmp(qts, "info nested-iommu");
    g_autofree char *unix_text = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(hmp, "\r\n", -1);

    for (unsigned i = 0; i < num_viommus(answer); i++) {
        text_viommu(text, element(qdict_get_qlist(answer, "return"), i));
    }
    unix_text = g_strjoinv("\n", lines);
    g_assert_cmpstr(unix_text, ==, text->str);
    return answer;
}

/* ------------------------------------------------------------- no devices */

static void test_none(gconstpointer opaque)
{
    QTestState *qts = qtest_initf("-machine q35 -nodefaults %s",
                                  (const char *)opaque);
    QDict *answer = query_both(qts);

    g_assert_cmpuint(num_viommus(answer), ==, 0);
    qobject_unref(answer);
    qtest_quit(qts);
}

static void test_no_devices(gconstpointer opaque)
{
    QTestState *qts = qtest_initf("-machine q35 -nodefaults "
                                  "-device intel-iommu,nested=%s",
                                  (const char *)opaque);
    QDict *answer = query_both(qts), *v = viommu(answer);

    g_assert_cmpstr(qdict_get_str(v, "name"), ==, "intel-iommu");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(v, "hosts")), ==, 0);
    g_assert_cmpuint(qlist_size(qdict_get_qlist(v, "devices")), ==, 0);
    g_assert_cmpuint(qdict_get_int(v, "hwpts"), ==, 0);
    g_assert_cmpuint(qdict_get_int(v, "max-hwpts"), >, 0);
    qobject_unref(answer);
    qtest_quit(qts);
}

/* ----------------------------------------------------------------- states */

static void set_entry(VtdRig *r, uint16_t dev, uint32_t value, VtdPgtt pgtt,
                      uint16_t did, uint64_t s1)
{
    vtd_pasid_set(&r->t, dev, value, &(VtdPasidEntry) {
        .pgtt = pgtt, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

static void start(PriRig *p, unsigned num)
{
    g_autofree char *host = vtd_rig_host(num, "", "");

    pri_start_with(p, host, "nested=on", num, "", 0);
    for (unsigned i = 1; i < num; i++) {
        vtd_rig_enable_sva(&p->v, RID0 + i * 8);
    }
}

/*
 * In each state there is; @s1 is what RID 0 has, and what PASIDs of 0 and 1
 * share in a domain of their own
 */
static void start_states(PriRig *p)
{
    static const VtdPgtt pgtt[] = {
        VTD_PGTT_FIRST, VTD_PGTT_PASSTHROUGH, VTD_PGTT_NESTED,
    };
    VtdRig *r = &p->v;

    start(p, 4);
    for (unsigned i = 0; i < ARRAY_SIZE(pgtt); i++) {
        vtd_context_scalable(&r->t, RID0 + i * 8, 12, VTD_CTX_PASIDE |
                             VTD_CTX_DTE | VTD_CTX_PRE, 0);
        set_entry(r, RID0 + i * 8, 0, pgtt[i], DID_RID, p->s1);
    }
    set_entry(r, RID0, PRI_PASID, VTD_PGTT_FIRST, DID, p->s1);
    set_entry(r, RID1, PRI_PASID, VTD_PGTT_FIRST, DID, p->s1);
    set_entry(r, RID1, 3, VTD_PGTT_FIRST, DID, vtd_s1_new(&r->mem));
    vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(r);
}

/* Everything that has an id has the one that the model knows */
static void expect_ids(PriRig *p, const QDict *answer)
{
    static const char *const devs[] = {
        HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
    };
    int64_t parent = qdict_get_int(host_of(answer), "parent");

    for (unsigned i = 0; i < ARRAY_SIZE(devs); i++) {
        QDict *state = iommufd_model_command(p->v.m, "{\"cmd\":\"state\","
                                             "\"dev\":\"%s\"}", devs[i]);
        QDict *dev = device(answer, devs[i]);
        QDict *tr = qdict_get_qdict(dev, "rid");
        const char *name = qdict_get_str(tr, "state");
        int64_t id = !strcmp(name, "blocked") ? 0 :
                     qdict_get_try_int(tr, "hwpt", parent);

        g_assert_cmpint(qdict_get_int(state, "rid"), ==, id);
        g_assert_cmpint(qdict_get_int(state, "dev_id"), ==,
                        qdict_get_int(dev, "dev-id"));
        g_assert_cmpint(qdict_get_int(dev, "label"), ==, RID0 + i * 8);
        g_assert_cmpint(qdict_get_int(dev, "parent"), ==, parent);
        qobject_unref(state);
    }
}

static void test_stage2(void)
{
    QDict *answer;
    PriRig p;

    start(&p, 4);
    vtd_rig_translation(&p.v, false);
    answer = query_both(p.v.qts);
    expect_ids(&p, answer);
    expect_state(rid(answer, HOST_DEV0), "stage2", NULL);
    expect_state(rid(answer, HOST_DEV3), "stage2", NULL);
    g_assert_cmpint(qdict_get_int(host_of(answer), "devices"), ==, 4);
    g_assert_cmpint(qdict_get_int(host_of(answer), "hwpts"), ==, 0);
    g_assert_false(qdict_haskey(host_of(answer), "fault-queue"));
    qobject_unref(answer);
    pri_stop(&p);
}

static void test_states(void)
{
    QDict *answer, *v;
    PriRig p;

    start_states(&p);
    answer = query_both(p.v.qts);
    v = viommu(answer);
    expect_ids(&p, answer);
    expect_hwpt(rid(answer, HOST_DEV0), 1, DID_RID, 0);
    expect_hwpt(pasid(answer, HOST_DEV0, 0, PRI_PASID), 2, DID, PRI_PASID);
    expect_state(rid(answer, HOST_DEV1), "bypass", NULL);
    expect_hwpt(pasid(answer, HOST_DEV1, 0, 3), 1, DID, 3);
    expect_hwpt(pasid(answer, HOST_DEV1, 1, PRI_PASID), 2, DID, PRI_PASID);
    g_assert_cmpint(qdict_get_int(pasid(answer, HOST_DEV0, 0, PRI_PASID),
                                  "hwpt"), ==,
                    qdict_get_int(pasid(answer, HOST_DEV1, 1, PRI_PASID),
                                  "hwpt"));
    /* An entry that is refused, and none */
    expect_state(rid(answer, HOST_DEV2), "blocked", "PASID entry asks for");
    expect_state(rid(answer, HOST_DEV3), "blocked",
                 "context entry not present");

    g_assert_cmpint(qdict_get_int(v, "hwpts"), ==, 3);
    g_assert_cmpint(qdict_get_int(v, "pasids"), ==, 3);
    g_assert_cmpint(qdict_get_int(host_of(answer), "hwpts"), ==, 3);
    g_assert_true(qdict_haskey(host_of(answer), "fault-queue"));
    qobject_unref(answer);
    pri_stop(&p);
}

/* -------------------------------------------------------------- counters */

static uint64_t model(PriRig *p, const char *call, const char *field)
{
    return iommufd_model_counter(p->v.m, call, field);
}

static void test_counters(void)
{
    /* What was tried before: a PASID and the RID */
    const uint64_t detaches = 2;
    uint64_t attaches, allocs;
    const QList *batches;
    QDict *answer;
    PriRig p;

    start(&p, 1);
    /* vfio's own (the parent), and what was tried before */
    attaches = model(&p, "ATTACH_IOMMUFD_PT", "calls");
    allocs = model(&p, "HWPT_ALLOC", "calls");
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    for (unsigned i = 0; i < 20; i++) {
        vtd_queue_push(&p.v.q, vtd_inv_piotlb(DID, PRI_PASID,
                                              IOVA + i % 10 * 0x2000, 0,
                                              true));
    }
    vtd_queue_push(&p.v.q, vtd_inv_pasid_dev_tlb(RID0, PRI_PASID, 0, 51));
    vtd_rig_sync(&p.v);
    vtd_queue_push(&p.v.q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
    vtd_rig_sync(&p.v);
    vtd_rig_inv_pasid(&p.v, DID, PRI_PASID);

    answer = query_both(p.v.qts);
    g_assert_cmpint(counter(answer, "commands", "context-cache"), ==, 1);
    g_assert_cmpint(counter(answer, "commands", "pasid-cache"), ==, 1);
    g_assert_cmpint(counter(answer, "commands", "iotlb"), ==, 1);
    g_assert_cmpint(counter(answer, "commands", "piotlb"), ==, 20);
    g_assert_cmpint(counter(answer, "commands", "device-tlb"), ==, 1);
    g_assert_cmpint(counter(answer, "commands", "wait"), ==, 4);
    g_assert_cmpint(counter(answer, "counters", "inv-queued"), ==, 21);
    g_assert_cmpint(counter(answer, "counters", "inv-redundant"), ==, 10);
    g_assert_cmpint(counter(answer, "counters", "inv-flushes"), ==, 2);
    g_assert_cmpint(counter(answer, "counters", "inv-largest-batch"), ==, 10);
    /* Ten of pages with one of the device's TLB, and the one of everything */
    batches = qdict_get_qlist(viommu(answer), "batches");
    g_assert_cmpint(qlist_size(batches), ==, 4);
    g_assert_cmpint(list_int(batches, 0), ==,
                    model(&p, "HWPT_INVALIDATE", "calls") - 1);
    g_assert_cmpint(list_int(batches, 3), ==, 1);
    g_assert_cmpint(counter(answer, "counters", "hwpt-shared"), ==, 1);
    g_assert_cmpint(counter(answer, "counters", "inv-ioctls"), ==,
                    model(&p, "HWPT_INVALIDATE", "calls"));
    g_assert_cmpint(counter(answer, "counters", "inv-entries"), ==,
                    model(&p, "HWPT_INVALIDATE", "entries"));
    g_assert_cmpint(counter(answer, "counters", "attaches"), ==,
                    model(&p, "ATTACH_IOMMUFD_PT", "calls") - attaches);
    g_assert_cmpint(counter(answer, "counters", "detaches"), ==,
                    model(&p, "DETACH_IOMMUFD_PT", "calls") - detaches);
    g_assert_cmpint(counter(answer, "counters", "hwpt-made"), ==,
                    model(&p, "HWPT_ALLOC", "calls") - allocs);
    qobject_unref(answer);
    pri_stop(&p);
}

/* Asked, answered, refused, taken away, and answers to nothing */
static void test_page_requests(void)
{
    const QList *latency;
    int64_t answered = 0;
    PageRequest req;
    QDict *answer;
    PriRig p;
    int index;

    pri_start(&p);
    index = pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    answer = query_both(p.v.qts);
    g_assert_cmpint(qdict_get_int(pasid(answer, HOST_DEV0, 0, PRI_PASID),
                                  "page-groups"), ==, 1);
    g_assert_cmpint(qdict_get_int(rid(answer, HOST_DEV0), "page-groups"), ==,
                    0);
    g_assert_cmpint(qdict_get_int(viommu(answer), "page-groups"), ==, 1);
    qobject_unref(answer);

    pri_respond(&p, &req, VTD_PRG_INVALID);
    pri_respond(&p, &req, VTD_PRG_INVALID);
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);
    index = pri_miss(&p, true, IOVA);
    pri_next(&p);
    vtd_pasid_clear(&p.v.t, RID0, PRI_PASID);
    vtd_rig_inv_pasid(&p.v, DID, PRI_PASID);
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);

    answer = query_both(p.v.qts);
    g_assert_cmpint(qdict_get_int(viommu(answer), "page-groups"), ==, 0);
    g_assert_cmpint(counter(answer, "counters", "page-groups-in"), ==, 2);
    g_assert_cmpint(counter(answer, "counters", "page-groups-answered"), ==,
                    1);
    g_assert_cmpint(counter(answer, "counters", "page-groups-dropped"), ==, 1);
    g_assert_cmpint(counter(answer, "counters", "page-responses-unknown"), ==,
                    1);
    g_assert_cmpint(counter(answer, "commands", "page-group-response"), ==,
                    2);
    latency = qdict_get_qlist(viommu(answer), "latency");
    for (unsigned i = 0; i < qlist_size(latency); i++) {
        answered += list_int(latency, i);
    }
    g_assert_cmpint(answered, ==, 1);
    g_assert_cmpint(qdict_get_int(device(answer, HOST_DEV0), "page-groups-in"),
                    ==, 2);
    qobject_unref(answer);
    pri_stop(&p);
}

/* What the host refuses is counted by kind, and says why it is blocked */
static void test_errors(void)
{
    static const struct {
        const char *call, *kind, *reason;
    } cases[] = {
        { "HWPT_ALLOC", "hwpt", "no stage-1 page table" },
        { "ATTACH_IOMMUFD_PT", "attach", "refused to attach" },
        { "HWPT_INVALIDATE", "invalidate", "refused an invalidation" },
        { "FAULT_QUEUE_ALLOC", "viommu-or-queue", "no stage-1 page table" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        QDict *answer;
        PriRig p;

        start(&p, 1);
        iommufd_model_do(p.v.m, "{\"cmd\":\"fault\",\"on\":\"%s:1\"}",
                         cases[i].call);
        vtd_context_scalable(&p.v.t, RID0, 12, VTD_CTX_DTE | VTD_CTX_PRE, 0);
        set_entry(&p.v, RID0, 0, VTD_PGTT_FIRST, DID, p.s1);
        vtd_queue_push(&p.v.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        vtd_queue_push(&p.v.q, vtd_inv_piotlb_all(DID, 0));
        g_assert_false(vtd_queue_sync(&p.v.q, &p.v.regs));

        answer = query_both(p.v.qts);
        expect_state(rid(answer, HOST_DEV0), "blocked", cases[i].reason);
        g_assert_cmpint(counter(answer, "errors", cases[i].kind), ==, 1);
        qobject_unref(answer);
        pri_stop(&p);
    }
}

/* ----------------------------------------------------------------- events */

static void expect_blocked(QTestState *qts, int refused, int value,
                           const char *reason)
{
    QDict *event = qtest_qmp_eventwait_ref(qts, "NESTED_IOMMU_BLOCKED");
    QDict *data = qdict_get_qdict(event, "data");

    g_assert_cmpstr(qdict_get_str(data, "iommu"), ==, "intel-iommu");
    g_assert_cmpstr(qdict_get_str(data, "device"), ==, HOST_DEV0);
    g_assert_cmpint(qdict_get_int(data, "refused"), ==, refused);
    g_assert_cmpint(qdict_get_try_int(data, "pasid", -1), ==, value);
    g_assert_nonnull(strstr(qdict_get_str(data, "reason"), reason));
    qobject_unref(event);
}

/* The guest's mistakes and their end, told without being asked for */
static void test_events(void)
{
    QDict *answer, *dev;
    PriRig p;

    start(&p, 1);
    vtd_context_scalable(&p.v.t, RID0, 12, VTD_CTX_PASIDE, 0);
    set_entry(&p.v, RID0, 0, VTD_PGTT_FIRST, DID_RID, p.s1);
    vtd_queue_push(&p.v.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&p.v);

    set_entry(&p.v, RID0, 0, VTD_PGTT_NESTED, DID_RID, p.s1);
    vtd_rig_inv_pasid(&p.v, DID_RID, 0);
    expect_blocked(p.v.qts, 1, -1, "PASID entry asks for");

    set_entry(&p.v, RID0, 7, VTD_PGTT_NESTED, DID, p.s1);
    vtd_rig_inv_pasid(&p.v, DID, 7);
    expect_blocked(p.v.qts, 2, 7, "PASID entry asks for");

    /* What does not list PASIDs says as much of them */
    answer = qtest_qmp(p.v.qts, "{ 'execute': 'x-query-nested-iommu', "
                       "'arguments': { 'pasids': false } }");
    dev = device(answer, HOST_DEV0);
    g_assert_false(qdict_haskey(dev, "pasids"));
    g_assert_cmpint(qdict_get_int(dev, "refused"), ==, 2);
    g_assert_cmpint(qdict_get_int(dev, "refused-pasid"), ==, 7);
    g_assert_nonnull(strstr(qdict_get_str(dev, "refused-reason"),
                            "PASID entry asks for"));
    qobject_unref(answer);

    vtd_pasid_clear(&p.v.t, RID0, 7);
    vtd_rig_inv_pasid(&p.v, DID, 7);
    expect_blocked(p.v.qts, 1, -1, "PASID entry asks for");
    vtd_pasid_clear(&p.v.t, RID0, 0);
    vtd_rig_inv_pasid(&p.v, DID_RID, 0);
    qtest_qmp_eventwait(p.v.qts, "NESTED_IOMMU_UNBLOCKED");
    pri_stop(&p);
}

static void test_stopped(void)
{
    QDict *answer;
    PriRig p;

    pri_start(&p);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    answer = query_both(p.v.qts);
    g_assert_false(qdict_get_bool(viommu(answer), "running"));
    qobject_unref(answer);
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/query/no-viommu", "", test_none);
    qtest_add_data_func("/vtd-nested/query/not-nested",
                        "-device intel-iommu,nested=off", test_none);
    qtest_add_data_func("/vtd-nested/query/no-devices/on", "on",
                        test_no_devices);
    qtest_add_data_func("/vtd-nested/query/no-devices/auto", "auto",
                        test_no_devices);
    qtest_add_func("/vtd-nested/query/stage2", test_stage2);
    qtest_add_func("/vtd-nested/query/states", test_states);
    qtest_add_func("/vtd-nested/query/counters", test_counters);
    qtest_add_func("/vtd-nested/query/page-requests", test_page_requests);
    qtest_add_func("/vtd-nested/query/errors", test_errors);
    qtest_add_func("/vtd-nested/query/events", test_events);
    qtest_add_func("/vtd-nested/query/stopped", test_stopped);
    return g_test_run();
}
