/*
 * VT-d nesting: the guest's memory in the parents: mapped and locked once
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vtd-rig.h"

/* PAM registers of the host bridge: who answers at 768 KiB to 1 MiB */
#define PAM0    0x90

/* @num devices in turn behind @iommus IOMMUs of the host */
static char *many_host(unsigned num, unsigned iommus, const char *first)
{
    g_autoptr(GString) host = g_string_new("[host]\narch=vtd\n");

    for (unsigned i = 0; i < iommus; i++) {
        g_string_append_printf(host, "[iommu %u]\n%s", i, i ? "" : first);
    }
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(host, "[device 0000:%02x:00.0]\niommu=%u\n"
                               "group=%u\n", i + 1, i % iommus, i + 1);
    }
    return g_string_free(g_steal_pointer(&host), false);
}

/* Eight functions to a slot, from slot 4 on; @iommufds of them in turn */
static void many_start(VtdRig *r, const char *host, unsigned num,
                       unsigned iommufds)
{
    g_autoptr(GString) args = g_string_new("");

    for (unsigned i = 1; i < iommufds; i++) {
        g_string_append_printf(args, "-object iommufd,id=iommufd%u ", i);
    }
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(args, "-device vfio-pci,id=dev%u,host="
                               "0000:%02x:00.0,iommufd=iommufd%u,"
                               "multifunction=on,addr=%u.%u ", i, i + 1,
                               i % iommufds, 4 + i / 8, i % 8);
    }
    vtd_rig_start(r, host, "nested=on", 0, args->str);
}

typedef struct Sums {
    unsigned ioases;
    uint64_t locked, shared, large, maps, map_bytes, map_ns, copies, unmaps;
} Sums;

static uint64_t cost(QDict *region, const char *kind, const char *what)
{
    return qdict_get_int(qdict_get_qdict(region, kind), what);
}

static Sums memory_sums(QTestState *qts)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'x-query-nested-iommu' }");
    QDict *info = qobject_to(QDict, qlist_peek(qdict_get_qlist(answer,
                                                               "return")));
    QListEntry *e;
    Sums s = {};
    int64_t key = -1;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "memory"), e) {
        QDict *region = qobject_to(QDict, qlist_entry_obj(e));
        int64_t ioas = qdict_get_int(region, "iommufd") << 32 |
                       qdict_get_int(region, "ioas");

        s.ioases += ioas != key;
        key = ioas;
        s.locked += qdict_get_int(region, "locked");
        s.shared += qdict_get_int(region, "shared");
        s.large += qdict_get_int(region, "large");
        s.maps += cost(region, "map", "calls");
        s.map_bytes += cost(region, "map", "bytes");
        s.map_ns += cost(region, "map", "ns");
        s.copies += cost(region, "copy", "calls");
        s.unmaps += cost(region, "unmap", "calls");
    }
    qobject_unref(answer);
    return s;
}

static uint64_t calls(VtdRig *r, const char *name)
{
    return iommufd_model_counter(r->m, name, "calls") -
           iommufd_model_counter(r->m, name, "errors");
}

/* What is told is what the host has done */
static void expect_told(VtdRig *r, const Sums *s)
{
    g_assert_cmpuint(s->maps, ==, calls(r, "IOAS_MAP"));
    g_assert_cmpuint(s->copies, ==, calls(r, "IOAS_COPY"));
    g_assert_cmpuint(s->unmaps, ==, calls(r, "IOAS_UNMAP"));
    g_assert_cmpuint(s->locked, ==, iommufd_model_pinned(r->m));
}

/* However many devices and IOMMUs there are */
static void test_once(void)
{
    static const struct {
        unsigned devices, iommus;
    } cases[] = {
        { 1, 1 }, { 8, 1 }, { 64, 1 }, { 4, 4 }, { 8, 4 }, { 64, 4 },
    };
    Sums first = {};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *host = many_host(cases[i].devices, cases[i].iommus,
                                          "");
        VtdRig r;
        Sums s;

        many_start(&r, host, cases[i].devices, 1);
        s = memory_sums(r.qts);
        g_test_message("%u devices, %u IOMMUs: %u IOAS, %" PRIu64
                       " calls of IOAS_MAP, %" PRIu64 " bytes, %" PRIu64
                       " ns; %" PRIu64 " locked, %" PRIu64 " unmaps",
                       cases[i].devices, cases[i].iommus, s.ioases, s.maps,
                       s.map_bytes, s.map_ns, s.locked, s.unmaps);
        expect_told(&r, &s);
        g_assert_cmpuint(s.ioases, ==, 1);
        g_assert_cmpuint(s.copies, ==, 0);
        if (!i) {
            first = s;
        }
        g_assert_cmpuint(s.maps, ==, first.maps);
        g_assert_cmpuint(s.locked, ==, first.locked);
        g_assert_cmpuint(s.locked, <, 129 * MiB);
        g_assert_cmpuint(s.large, >=, 124 * MiB);
        vtd_rig_stop(&r);
    }
}

/* A parent that must not have read-only memory, and one that may */
static void test_two_ioases(void)
{
    g_autofree char *host = many_host(8, 4, "errata-772415=off\n");
    VtdRig r;
    Sums s;

    many_start(&r, host, 8, 1);
    s = memory_sums(r.qts);
    g_test_message("8 devices, 4 IOMMUs: %u IOASes, %" PRIu64 " calls of "
                   "IOAS_MAP, %" PRIu64 " of IOAS_COPY; %" PRIu64 " locked, %"
                   PRIu64 " shared", s.ioases, s.maps, s.copies, s.locked,
                   s.shared);
    expect_told(&r, &s);
    g_assert_cmpuint(s.ioases, ==, 2);
    g_assert_cmpuint(s.locked, <, 129 * MiB);
    g_assert_cmpuint(s.shared, >, 127 * MiB);

    /* And what changes is still shared, of whichever has it first */
    vtd_rig_config_write(&r, 0, PAM0, 0x33333330);
    s = memory_sums(r.qts);
    expect_told(&r, &s);
    vtd_rig_config_write(&r, 0, PAM0, 0);
    s = memory_sums(r.qts);
    expect_told(&r, &s);
    g_assert_cmpuint(s.locked, <, 129 * MiB);
    qtest_memset(r.qts, DATA, 0x5a, 16);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x5a, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA, 0x5a, 16);
    vtd_rig_stop(&r);
}

/* A copy that the host refuses is a map */
static void test_no_copy(void)
{
    g_autofree char *host = many_host(2, 2, "errata-772415=off\n");
    g_autofree char *faulty = g_strdup_printf(
        "%s[fault]\non=IOAS_COPY:1:errno=ENOMEM:every\n", host);
    VtdRig r;
    Sums s;

    many_start(&r, faulty, 2, 1);
    s = memory_sums(r.qts);
    g_assert_cmpuint(s.copies, ==, 0);
    g_assert_cmpuint(s.locked, >, 255 * MiB);
    qtest_memset(r.qts, DATA, 0x5a, 16);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x5a, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA, 0x5a, 16);
    vtd_rig_stop(&r);
}

/* Files are mapped as files: what another process can take over */
static void test_memfd(void)
{
    g_autofree char *host = many_host(1, 1, "");
    VtdRig r;
    Sums s;

    vtd_rig_start(&r, host, "nested=on", 1, "-machine memory-backend=ram "
                  "-object memory-backend-memfd,id=ram,size=128M");
    s = memory_sums(r.qts);
    g_assert_cmpuint(calls(&r, "IOAS_MAP"), ==, 0);
    g_assert_cmpuint(s.maps, ==, calls(&r, "IOAS_MAP_FILE"));
    g_assert_cmpuint(s.locked, ==, iommufd_model_pinned(r.m));
    g_assert_cmpuint(s.large, >=, 124 * MiB);
    qtest_memset(r.qts, DATA, 0x5a, 16);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0x5a, 16);
    vtd_rig_stop(&r);
}

/* Registers of ACPI memory hot-plug (docs/specs/acpi_mem_hotplug) */
#define MEMHP           0xa00
#define MEMHP_FLAGS     0x14
#define MEMHP_EJECT     8

static void backend_add(VtdRig *r, const char *id)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'object-add', 'arguments': "
        "{ 'qom-type': 'memory-backend-ram', 'id': %s, 'size': %u } }", id,
        (unsigned)(128 * MiB));
}

/*
 * Memory that comes and goes is a device's to use meanwhile; where the host
 * does not map any, it does not come
 */
static void test_dimm(void)
{
    g_autofree char *host = many_host(2, 2, "aw=39\n");
    g_autofree char *why = NULL;
    uint64_t dimm = 4 * GiB;
    QDict *answer;
    VtdRig r;
    Sums s;

    vtd_rig_start(&r, host, "nested=on", 1,
                  "-m 128M,slots=2,maxmem=600G");
    backend_add(&r, "ram1");
    answer = qtest_qmp(r.qts, "{ 'execute': 'device_add', 'arguments': "
                       "{ 'driver': 'pc-dimm', 'id': 'far', 'memdev': 'ram1', "
                       "'addr': %" PRIu64 " } }", 512 * GiB);
    why = g_strdup(qdict_get_str(qdict_get_qdict(answer, "error"), "desc"));
    qobject_unref(answer);
    g_test_message("%s", why);
    g_assert_nonnull(strstr(why, "0x8000000000-0x8007ffffff cannot be "
                            "plugged: the host's IOMMU of " HOST_DEV0
                            " has addresses up to 0x7fffffffff"));
    qtest_qmp_device_add(r.qts, "pc-dimm", "near", "{ 'memdev': 'ram1' }");
    qtest_memset(r.qts, dimm, 0x77, 64);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, dimm, 0x77, 64);
    s = memory_sums(r.qts);
    expect_told(&r, &s);
    g_assert_cmpuint(s.locked, >, 255 * MiB);

    qtest_qmp_device_del_send(r.qts, "near");
    qtest_outl(r.qts, MEMHP, 0);
    qtest_outb(r.qts, MEMHP + MEMHP_FLAGS, MEMHP_EJECT);
    qtest_qmp_eventwait(r.qts, "DEVICE_DELETED");
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, dimm, false, 2, NULL);
    s = memory_sums(r.qts);
    expect_told(&r, &s);
    g_assert_cmpuint(s.locked, <, 129 * MiB);
    vtd_rig_stop(&r);
}

/* Every iommufd locks it again, and says so */
static void test_iommufds(void)
{
    g_autofree char *host = many_host(4, 1, "");
    VtdRig r;
    Sums s;

    many_start(&r, host, 4, 2);
    s = memory_sums(r.qts);
    expect_told(&r, &s);
    g_assert_cmpuint(s.ioases, ==, 2);
    g_assert_cmpuint(s.locked, >, 255 * MiB);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/memory/once", test_once);
    qtest_add_func("/vtd-nested/memory/two-ioases", test_two_ioases);
    qtest_add_func("/vtd-nested/memory/no-copy", test_no_copy);
    qtest_add_func("/vtd-nested/memory/iommufds", test_iommufds);
    qtest_add_func("/vtd-nested/memory/memfd", test_memfd);
    qtest_add_func("/vtd-nested/memory/dimm", test_dimm);
    return g_test_run();
}
