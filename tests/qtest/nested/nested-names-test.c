/*
 * The properties that QEMU 11.1 has, as ours take them
 *
 * NESTED_PEER_QEMU may be a directory with QEMU 11.1's qemu-system-x86_64 and
 * -aarch64 (scripts/nested/distro-qemu.sh makes one): the list is compared
 * with what these say then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "nested-rig.h"

/* Without a word about it: ours has the same */
typedef struct PeerProperty {
    const char *type;
    const char *name;
    const char *value_type;
    const char *alias;          /* of ours that it is another name of */
    const char *refused;        /* a value that ours refuses, with a reason */
    const char *ours;           /* type, where ours takes it as text */
    bool absent;                /* of ours: links that a machine sets */
} PeerProperty;

static const PeerProperty peer_properties[] = {
    { "intel-iommu", "aw-bits", "uint8" },
    { "intel-iommu", "caching-mode", "bool" },
    { "intel-iommu", "device-iotlb", "bool" },
    { "intel-iommu", "dma-translation", "bool" },
    { "intel-iommu", "eim", "OnOffAuto" },
    { "intel-iommu", "fs1gp", "bool" },
    { "intel-iommu", "fsts", "bool", .alias = "x-flts" },
    { "intel-iommu", "intremap", "OnOffAuto" },
    { "intel-iommu", "pasid-bits", "uint8" },
    { "intel-iommu", "scalable-mode", "bool", .alias = "x-scalable-mode" },
    { "intel-iommu", "snoop-control", "bool" },
    { "intel-iommu", "stale-tm", "bool" },
    { "intel-iommu", "svm", "bool" },
    { "intel-iommu", "version", "uint32" },
    { "arm-smmuv3", "accel", "bool" },
    { "arm-smmuv3", "ats", "OnOffAuto" },
    { "arm-smmuv3", "bus_num", "uint8" },
    { "arm-smmuv3", "cmdqv", "OnOffAuto" },
    { "arm-smmuv3", "identifier", "uint8", .refused = "identifier=1" },
    { "arm-smmuv3", "memory", "link<memory-region>", .absent = true },
    { "arm-smmuv3", "msi-gpa", "uint64", .refused = "msi-gpa=4096" },
    { "arm-smmuv3", "oas", "OasMode", .ours = "str" },
    { "arm-smmuv3", "primary-bus", "link<PCI>" },
    { "arm-smmuv3", "ril", "OnOffAuto" },
    { "arm-smmuv3", "secure-memory", "link<memory-region>", .absent = true },
    { "arm-smmuv3", "smmu_per_bus", "bool" },
    { "arm-smmuv3", "ssidsize", "SsidSizeMode", .ours = "str" },
    { "arm-smmuv3", "stage", "str" },
    { "vfio-pci", "acpi-index", "uint32" },
    { "vfio-pci", "addr", "str" },
    { "vfio-pci", "ats", "OnOffAuto" },
    { "vfio-pci", "bootindex", "int32" },
    { "vfio-pci", "busnr", "busnr" },
    { "vfio-pci", "display", "OnOffAuto" },
    { "vfio-pci", "enable-migration", "OnOffAuto" },
    { "vfio-pci", "failover_pair_id", "str" },
    { "vfio-pci", "fd", "string" },
    { "vfio-pci", "host", "str" },
    { "vfio-pci", "iommufd", "link<iommufd>" },
    { "vfio-pci", "migration-events", "bool" },
    { "vfio-pci", "multifunction", "bool" },
    { "vfio-pci", "rombar", "int32" },
    { "vfio-pci", "romfile", "str" },
    { "vfio-pci", "romsize", "uint32" },
    { "vfio-pci", "skip-vsc-check", "bool" },
    { "vfio-pci", "sriov-pf", "str" },
    { "vfio-pci", "sysfsdev", "str" },
    { "vfio-pci", "vf-token", "str" },
    { "vfio-pci", "x-balloon-allowed", "bool" },
    { "vfio-pci", "x-device-dirty-page-tracking", "OnOffAuto" },
    { "vfio-pci", "x-igd-gms", "uint32" },
    { "vfio-pci", "x-igd-legacy-mode", "OnOffAuto" },
    { "vfio-pci", "x-igd-lpc", "bool" },
    { "vfio-pci", "x-igd-opregion", "bool" },
    { "vfio-pci", "x-intx-mmap-timeout-ms", "uint32" },
    { "vfio-pci", "x-max-bounce-buffer-size", "size" },
    { "vfio-pci", "x-migration-load-config-after-iter", "OnOffAuto" },
    { "vfio-pci", "x-migration-max-queued-buffers-size", "size" },
    { "vfio-pci", "x-migration-multifd-transfer", "OnOffAuto" },
    { "vfio-pci", "x-msix-relocation", "OffAutoPCIBAR" },
    { "vfio-pci", "x-no-geforce-quirks", "bool" },
    { "vfio-pci", "x-no-kvm-intx", "bool" },
    { "vfio-pci", "x-no-kvm-ioeventfd", "bool" },
    { "vfio-pci", "x-no-kvm-msi", "bool" },
    { "vfio-pci", "x-no-kvm-msix", "bool" },
    { "vfio-pci", "x-no-mmap", "bool" },
    { "vfio-pci", "x-no-vfio-ioeventfd", "bool" },
    { "vfio-pci", "x-nv-gpudirect-clique", "uint8" },
    { "vfio-pci", "x-pci-class-code", "uint32" },
    { "vfio-pci", "x-pci-device-id", "uint32" },
    { "vfio-pci", "x-pci-sub-device-id", "uint32" },
    { "vfio-pci", "x-pci-sub-vendor-id", "uint32" },
    { "vfio-pci", "x-pci-vendor-id", "uint32" },
    { "vfio-pci", "x-pcie-ari-nextfn-1", "bool" },
    { "vfio-pci", "x-pcie-err-unc-mask", "bool" },
    { "vfio-pci", "x-pcie-ext-tag", "bool" },
    { "vfio-pci", "x-pcie-lnksta-dllla", "bool" },
    { "vfio-pci", "x-pre-copy-dirty-page-tracking", "OnOffAuto" },
    { "vfio-pci", "x-req", "bool" },
    { "vfio-pci", "x-vga", "bool" },
    { "vfio-pci", "x-vpasid-cap-offset", "uint16" },
    { "vfio-pci", "xres", "uint32" },
    { "vfio-pci", "yres", "uint32" },
    { "iommufd", "fd", "string" },
};

static QDict *find(QList *list, const char *name)
{
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(list, e) {
        QDict *prop = qobject_to(QDict, qlist_entry_obj(e));

        if (!strcmp(qdict_get_str(prop, "name"), name)) {
            return prop;
        }
    }
    return NULL;
}

static QDict *properties(QTestState *qts, const char *type)
{
    if (!strcmp(type, "iommufd")) {
        return qtest_qmp(qts, "{'execute': 'qom-list-properties',"
                         " 'arguments': {'typename': %s}}", type);
    }
    return qtest_qmp(qts, "{'execute': 'device-list-properties',"
                     " 'arguments': {'typename': %s}}", type);
}

static void check(QTestState *qts, const PeerProperty *p)
{
    QDict *answer = properties(qts, p->type);
    QList *list = qdict_get_qlist(answer, "return");
    QDict *prop;

    /* Another architecture's */
    if (!list) {
        g_assert_true(qdict_haskey(answer, "error"));
        qobject_unref(answer);
        return;
    }
    prop = find(list, p->name);
    g_test_message("%s.%s: %s", p->type, p->name,
                   p->absent ? "absent" : p->alias ? "alias" :
                   p->refused ? "refused with a reason" : "same");
    g_assert_cmpint(prop != NULL, ==, !p->absent);
    if (prop) {
        g_assert_cmpstr(qdict_get_str(prop, "type"), ==,
                        p->ours ?: p->value_type);
    }
    g_assert_true(!p->alias || find(list, p->alias));
    qobject_unref(answer);
}

static void test_table(void)
{
    QTestState *qts = qtest_init("-machine none");

    for (size_t i = 0; i < ARRAY_SIZE(peer_properties); i++) {
        check(qts, &peer_properties[i]);
    }
    qtest_quit(qts);
}

/* What ours adds is described */
static void test_help(void)
{
    static const char *const names[][2] = {
        { "intel-iommu", "nested" }, { "intel-iommu", "pasid-bits" },
        { "intel-iommu", "max-hwpts" }, { "intel-iommu", "svm" },
        { "intel-iommu", "ssts" }, { "intel-iommu", "host-nesting" },
        { "intel-iommu", "scalable-mode" }, { "intel-iommu", "fsts" },
        { "arm-smmuv3", "nested" }, { "arm-smmuv3", "accel" },
        { "arm-smmuv3", "ats" }, { "arm-smmuv3", "ril" },
        { "arm-smmuv3", "cmdqv" }, { "arm-smmuv3", "msi-window" },
        { "arm-smmuv3", "oas" }, { "arm-smmuv3", "host-fwb" },
        { "vfio-pci", "ats" }, { "vfio-pci", "x-vpasid-cap-offset" },
    };
    QTestState *qts = qtest_init("-machine none");

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        QDict *answer = properties(qts, names[i][0]);
        QList *list = qdict_get_qlist(answer, "return");
        const char *text;

        if (list) {
            text = qdict_get_try_str(find(list, names[i][1]), "description");
            g_assert_nonnull(text);
            g_assert_cmpstr(text, !=, "on/off");
            g_assert_cmpstr(text, !=, "on/off/auto");
            g_assert_true(!g_str_has_prefix(names[i][1], "host-") ||
                          strstr(text, "emulated hosts"));
        }
        qobject_unref(answer);
    }
    qtest_quit(qts);
}

/* Two names with two values, in either order; and what ours refuses */
static void test_refusals(void)
{
    static const struct {
        const char *arch, *args, *words[3];
    } cases[] = {
        { "x86_64", "-device intel-iommu,x-flts=on,fsts=off",
          { "x-flts=on and fsts=off are two values", "one of the names" } },
        { "x86_64", "-device intel-iommu,fsts=off,x-flts=on",
          { "x-flts=on and fsts=off are two values", "one of the names" } },
        { "x86_64", "-device intel-iommu,scalable-mode=off,x-scalable-mode=on",
          { "x-scalable-mode=on and scalable-mode=off" } },
        { "x86_64", "-device intel-iommu,caching-mode=auto",
          { "caching-mode", "'on' or 'off'" } },
        { "x86_64", "-device intel-iommu,nested=on,ssts=maybe",
          { "ssts", "maybe" } },
        { "x86_64", "-device '{\"driver\":\"intel-iommu\","
          "\"x-scalable-mode\":false,\"scalable-mode\":true}'",
          { "x-scalable-mode=off and scalable-mode=on" } },
        { "x86_64", "-device intel-iommu,fsts=maybe", { "fsts", "maybe" } },
        { "x86_64", "-device intel-iommu,nested=on,fsts=off",
          { "nested=on needs x-flts=on" } },
        { "x86_64", "-global intel-iommu.fsts=off "
          "-device intel-iommu,nested=on",
          { "nested=on needs x-flts=on" } },
        { "x86_64", "-device intel-iommu,scalable-mode=on,fsts=on,"
          "caching-mode=on,nested=off -object iommufd,id=iommufd0 "
          "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0",
          { "fsts=on", HOST_DEV0, "nested=off" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,ats=on",
          { "ats=on", "nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,ril=off",
          { "ril=off", "nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,ssidsize=8",
          { "ssidsize=8", "nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,oas=48",
          { "oas=48", "nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,host-ats=on,"
          "ats=off", { "ats=off", "nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,cmdqv=on",
          { "cmdqv=on", "needs nested=on" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,identifier=1",
          { "identifier=0x1", "leave it out" } },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,msi-gpa=4096",
          { "msi-gpa=0x1000", "msi-window" } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool x86 = !strcmp(cases[i].arch, "x86_64");
        g_autofree char *args = g_strdup_printf("-machine %s %s",
                                                x86 ? "q35" : "virt",
                                                cases[i].args);
        g_autofree char *host = nested_rig_host("vtd", 1, "", "");
        const char *const *words = cases[i].words;

        if (!strcmp(qtest_get_arch(), cases[i].arch)) {
            nested_rig_expect_refusal(host, args, words[0], words[1],
                                      words[2], NULL);
        }
    }
}

/* Command lines that start */
static void test_accepted(void)
{
    static const char *const lines[][2] = {
        { "x86_64", "-device intel-iommu,scalable-mode=on,fsts=on" },
        { "x86_64", "-device intel-iommu,fsts=on,x-flts=on,scalable-mode=on" },
        { "x86_64", "-device '{\"driver\":\"intel-iommu\","
          "\"scalable-mode\":true,\"fsts\":true}'" },
        /* What is given for a device comes before what is given for all */
        { "x86_64", "-global intel-iommu.x-flts=off "
          "-global intel-iommu.scalable-mode=on -device intel-iommu,fsts=on" },
        { "x86_64", "-global intel-iommu.fsts=on "
          "-device intel-iommu,x-flts=on,x-scalable-mode=on" },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,accel=off,"
          "cmdqv=off,ats=auto,ril=auto,ssidsize=auto,oas=auto,identifier=0,"
          "msi-gpa=0" },
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,cmdqv=auto" },
        /* What the emulation has, QEMU 11.1 takes without nesting as well */
        { "aarch64", "-device arm-smmuv3,primary-bus=pcie.0,accel=off,"
          "ats=off,ril=on,ssidsize=0,oas=44" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        bool x86 = !strcmp(lines[i][0], "x86_64");
        QTestState *qts;

        if (strcmp(qtest_get_arch(), lines[i][0])) {
            continue;
        }
        qts = qtest_initf("-machine %s %s", x86 ? "q35" : "virt",
                          lines[i][1]);
        if (x86) {
            /* ECAP: SMTS and FSTS */
            uint64_t bits = 1ULL << 43 | 1ULL << 47;

            g_assert_cmphex(qtest_readq(qts, 0xfed90010) & bits, ==, bits);
        }
        qtest_quit(qts);
    }
}

/* The list above is all that the peer has, if the peer is there */
static void test_peer(void)
{
    const char *dir = g_getenv("NESTED_PEER_QEMU");
    static const char *const types[] = {
        "-device intel-iommu", "-device arm-smmuv3", "-device vfio-pci",
        "-object iommufd",
    };

    if (!dir) {
        g_test_skip("NESTED_PEER_QEMU is not set");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        g_autofree char *command = g_strdup_printf("%s/qemu-system-%s %s,help",
            dir, qtest_get_arch(), types[i]);
        const char *type = strchr(types[i], ' ') + 1;
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        g_assert_true(g_spawn_command_line_sync(command, &text, NULL, NULL,
                                                NULL));
        lines = g_strsplit(text, "\n", -1);
        for (char **line = lines; *line; line++) {
            char *end = strstr(*line, "=<");
            bool known = false;

            if (!g_str_has_prefix(*line, "  ") || !end) {
                continue;
            }
            *end = 0;
            for (size_t k = 0; k < ARRAY_SIZE(peer_properties); k++) {
                const PeerProperty *p = &peer_properties[k];

                known |= !strcmp(p->type, type) &&
                         !strcmp(p->name, *line + 2) &&
                         g_str_has_prefix(end + 2, p->value_type);
            }
            if (!known) {
                g_test_message("%s%s is not in the list", type, *line);
            }
            g_assert_true(known);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/nested/names/table", test_table);
    qtest_add_func("/nested/names/help", test_help);
    qtest_add_func("/nested/names/refusals", test_refusals);
    qtest_add_func("/nested/names/accepted", test_accepted);
    qtest_add_func("/nested/names/peer", test_peer);
    return g_test_run();
}
