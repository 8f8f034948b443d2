/*
 * Nested vIOMMUs: virtual functions, and functions that are reset together
 *
 * Without tables of the guest a device sees its memory as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "standard-headers/linux/pci_regs.h"
#include "nested-rig.h"

#define PF      "0000:01:00.0"
#define VF      "0000:01:10.0"
#define ALONE   "0000:02:00.0"

#define TOKEN   "5f0c2d1e-93b4-4d0a-8c55-0123456789ab"
#define OTHER   "5f0c2d1e-93b4-4d0a-8c55-0123456789ac"

#define DEVICE(bdf, more) "-device vfio-pci,host=" bdf ",iommufd=iommufd0" more

typedef struct Rig {
    IommufdModel *m;
    QTestState *qts;
    uint64_t data;
} Rig;

static bool arm(void)
{
    return !strcmp(qtest_get_arch(), "aarch64");
}

static char *rig_args(const char *devices)
{
    return g_strdup_printf("%s -m 128M -nodefaults "
                           "-object iommufd,id=iommufd0 %s",
                           arm() ? "-machine virt,iommu=smmuv3 -cpu max "
                           "-global arm-smmuv3.nested=on" :
                           "-machine q35 -device intel-iommu,nested=on",
                           devices);
}

static char *rig_host(const char *devices)
{
    return g_strdup_printf("[host]\narch=%s\n[iommu 0]\n%s",
                           arm() ? "smmuv3" : "vtd", devices);
}

static void rig_start(Rig *r, const char *host, const char *devices)
{
    g_autofree char *args = rig_args(devices);

    *r = (Rig) {
        .m = iommufd_model_new(host),
        .data = 96 * MiB + (arm() ? 1 * GiB : 0),
    };
    r->qts = iommufd_model_start(r->m, "%s", args);
}

static void expect_data(Rig *r, const char *dev, uint8_t value)
{
    qtest_memset(r->qts, r->data, value, 64);
    iommufd_model_expect_data(r->m, dev, NULL, r->data, value, 64);
}

/* ----------------------------------------------------------------- tokens */

#define VF_HOST "[device " PF "]\n[device " VF "]\npf=" PF "\n" \
                "[device " ALONE "]\n"

/* PF and VF in one guest, in both orders */
static void test_token(void)
{
    g_autofree char *host = rig_host(VF_HOST);
    static const char *const devices[] = {
        DEVICE(PF, ",vf-token=" TOKEN " ") DEVICE(VF, ",vf-token=" TOKEN),
        DEVICE(PF, ",vf-token=" TOKEN " ") DEVICE(VF, ",vf-token=" TOKEN " ")
            DEVICE(ALONE, ""),
    };

    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        Rig r;

        rig_start(&r, host, devices[i]);
        expect_data(&r, PF, 0x41);
        expect_data(&r, VF, 0x42);
        iommufd_model_free(r.m);
    }
}

static void refused(const char *host, const char *devices, const char *why)
{
    g_autofree char *args = rig_args(devices);

    nested_rig_expect_refusal(host, args, "error bind device", why, NULL);
}

static void test_token_refused(void)
{
    g_autofree char *host = rig_host(VF_HOST);
    g_autofree char *old = g_strdup_printf("%s[host]\nkernel=no-bind-token\n",
                                           host);

    refused(host, DEVICE(VF, ""), "give all of them the same vf-token=");
    refused(host, DEVICE(VF, ",vf-token=" TOKEN), "is not that of the PF");
    refused(host, DEVICE(PF, ",vf-token=" OTHER " ")
            DEVICE(VF, ",vf-token=" TOKEN), "is not that of the PF");
    refused(host, DEVICE(ALONE, ",vf-token=" TOKEN), "for a VF whose PF");
    refused(old, DEVICE(PF, ",vf-token=" TOKEN), "takes Linux 6.17");
}

/* -------------------------------------------------------- many of them */

#define NUM_VFS     16
#define ECAM        (arm() ? 0x4010000000ULL : 0xb0000000ULL)
#define PORT(n)     ((0xc + (n)) << 3)

static char *vf_name(unsigned n)
{
    return g_strdup_printf("0000:01:%02x.%u", 0x10 + n / 8, n % 8);
}

/* Every other one has PASIDs, as its PF does */
static char *vfs_host(void)
{
    GString *text = g_string_new("[device " PF "]\n");

    for (unsigned n = 0; n < NUM_VFS; n++) {
        g_autofree char *vf = vf_name(n);

        g_string_append_printf(text, "[device %s]\npf=" PF "\npri=off\n"
                               "pasid-bits=%u\n", vf, n % 2 ? 16 : 0);
    }
    g_autofree char *devices = g_string_free(text, false);

    return rig_host(devices);
}

static char *vfs_args(void)
{
    GString *text = g_string_new(DEVICE(PF, ",addr=4,vf-token=" TOKEN " "));

    if (!arm()) {
        g_string_append(text, "-global "
            "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off ");
    }
    for (unsigned n = 0; n < NUM_VFS; n++) {
        g_string_append_printf(text, "-device pcie-root-port,id=rp%u,"
                               "chassis=%u,addr=0x%x ", n, n + 1, 0xc + n);
    }
    return g_string_free(text, false);
}

static bool has_pasids(Rig *r, uint16_t rid)
{
    unsigned pos = PCI_CFG_SPACE_SIZE;

    while (pos) {
        uint32_t header = nested_rig_config_read(r->qts, ECAM, rid, pos);

        g_assert_cmphex(header, !=, UINT32_MAX);
        if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_PASID) {
            return true;
        }
        pos = PCI_EXT_CAP_NEXT(header);
    }
    return false;
}

/* Plugged one after the other beside their PF, which has been given a token */
static void test_vfs(void)
{
    g_autofree char *host = vfs_host(), *args = vfs_args();
    Rig r;

    rig_start(&r, host, args);
    if (!arm()) {
        qtest_outl(r.qts, 0xcf8, 0x80000060);
        qtest_outl(r.qts, 0xcfc, ECAM | 1);
    }
    for (unsigned n = 0; n < NUM_VFS; n++) {
        g_autofree char *vf = vf_name(n);
        g_autofree char *id = g_strdup_printf("vf%u", n);
        g_autofree char *bus = g_strdup_printf("rp%u", n);

        nested_rig_number(r.qts, ECAM, PORT(n), n + 1);
        qtest_qmp_device_add(r.qts, "vfio-pci", id, "{ 'host': %s, 'bus': %s, "
                             "'iommufd': 'iommufd0', 'vf-token': %s }", vf,
                             bus, TOKEN);
        nested_rig_power(r.qts, ECAM, PORT(n));
        g_assert_cmpint(has_pasids(&r, (n + 1) << 8), ==, n % 2);
    }
    for (unsigned n = 0; n < NUM_VFS; n++) {
        g_autofree char *vf = vf_name(n);

        expect_data(&r, vf, 0x80 + n);
    }
    expect_data(&r, PF, 0x70);
    iommufd_model_free(r.m);
}

/* ------------------------------------------------------------- resets */

/* Three and two functions, which only a reset of their bus resets */
static char *bus_host(void)
{
    GString *text = g_string_new("");

    for (unsigned bus = 1; bus < 3; bus++) {
        for (unsigned fn = 0; fn < 4 - bus; fn++) {
            g_string_append_printf(text, "[device 0000:%02x:00.%u]\n"
                                   "reset=off\n", bus, fn);
        }
    }
    g_autofree char *devices = g_string_free(text, false);

    return rig_host(devices);
}

static void expect_reset(Rig *r, unsigned calls)
{
    uint64_t before = iommufd_model_counter(r->m, "PCI_HOT_RESET", "calls");

    qtest_system_reset(r->qts);
    g_assert_cmpuint(iommufd_model_counter(r->m, "PCI_HOT_RESET", "calls") -
                     before, ==, calls);
    g_assert_cmpuint(iommufd_model_counter(r->m, "PCI_HOT_RESET", "errors"),
                     ==, 0);
}

/* Siblings go along, and are where they were */
static void test_hot_reset(void)
{
    g_autofree char *host = bus_host();
    Rig r;

    rig_start(&r, host, DEVICE("0000:01:00.0", " ")
              DEVICE("0000:01:00.1", " ") DEVICE("0000:01:00.2", " "));
    expect_reset(&r, 1);
    expect_data(&r, "0000:01:00.0", 0x51);
    expect_data(&r, "0000:01:00.1", 0x52);
    expect_reset(&r, 1);
    iommufd_model_free(r.m);
}

/* One that is not the VM's is in the way, and goes on */
static void test_hot_reset_foreign(void)
{
    g_autofree char *host = bus_host();
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *args = g_strdup_printf(DEVICE("0000:01:00.0", " ")
        DEVICE("0000:01:00.1", " 2>'%s'"), said);
    Rig r;

    rig_start(&r, host, args);
    expect_reset(&r, 0);
    g_assert_cmpuint(nested_rig_said(said, "depends on device 0000:01:00.2 "
                                     "which is not owned"), >, 0);
    expect_data(&r, "0000:01:00.0", 0x55);
    iommufd_model_free(r.m);
    nested_rig_scratch_remove(said);
}

/*
 * A device is known by its number and its iommufd. The third function of the
 * first bus, which is reset first, has siblings whose numbers others have.
 */
static void test_hot_reset_iommufds(void)
{
    g_autofree char *host = bus_host();
    Rig r;

    rig_start(&r, host, "-object iommufd,id=iommufd1 "
              DEVICE("0000:01:00.0", " ") DEVICE("0000:01:00.1", " ")
              "-device vfio-pci,host=0000:02:00.0,iommufd=iommufd1 "
              "-device vfio-pci,host=0000:02:00.1,iommufd=iommufd1 "
              DEVICE("0000:01:00.2", " "));
    expect_reset(&r, 2);
    for (unsigned bus = 1; bus < 3; bus++) {
        for (unsigned fn = 0; fn < 2; fn++) {
            g_autofree char *dev = g_strdup_printf("0000:%02x:00.%u", bus, fn);

            expect_data(&r, dev, 0x60 + 2 * bus + fn);
        }
    }
    iommufd_model_free(r.m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/nested/function/token", test_token);
    qtest_add_func("/nested/function/token-refused", test_token_refused);
    qtest_add_func("/nested/function/vfs", test_vfs);
    qtest_add_func("/nested/function/hot-reset", test_hot_reset);
    qtest_add_func("/nested/function/hot-reset-foreign",
                   test_hot_reset_foreign);
    qtest_add_func("/nested/function/hot-reset-iommufds",
                   test_hot_reset_iommufds);
    return g_test_run();
}
