/*
 * qemu-nested-check: a PCI device: its place, its driver, its capabilities
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <string.h>
#include <linux/pci_regs.h>
#include "check.h"

#define DEVICES "/sys/bus/pci/devices"

typedef struct Config {
    uint8_t data[4096];
    ssize_t size;
} Config;

static uint32_t get32(const Config *c, unsigned pos)
{
    return pos + 4 > c->size ? 0 : c->data[pos] | c->data[pos + 1] << 8 |
           c->data[pos + 2] << 16 | (uint32_t)c->data[pos + 3] << 24;
}

static unsigned find_cap(const Config *c, uint8_t id)
{
    unsigned pos = get32(c, PCI_CAPABILITY_LIST) & 0xfc;

    for (unsigned i = 0; pos && i < 48; i++) {
        if ((get32(c, pos) & 0xff) == id) {
            return pos;
        }
        pos = get32(c, pos) >> 8 & 0xfc;
    }
    return 0;
}

static unsigned find_ext_cap(const Config *c, uint16_t id)
{
    unsigned pos = PCI_CFG_SPACE_SIZE;

    for (unsigned i = 0; pos && i < 480; i++) {
        uint32_t header = get32(c, pos);

        if (header && PCI_EXT_CAP_ID(header) == id) {
            return pos;
        }
        pos = PCI_EXT_CAP_NEXT(header);
    }
    return 0;
}

static bool is_class(const char *address, const char *prefix)
{
    char *class = read_text(DEVICES "/%s/class", address);

    return class && has_prefix(class, prefix);
}

static bool is_bridge(const char *address)
{
    return is_class(address, "0x06");
}

/* Of PCI to PCI, which vfio-pci takes none of */
static bool is_port(const char *address)
{
    return is_class(address, "0x0604");
}

bool is_candidate(const char *address)
{
    return !is_bridge(address) && exists(DEVICES "/%s/iommu", address);
}

static void check_group(const char *address, bool smmuv3)
{
    Names mates = list_dir(DEVICES "/%s/iommu_group/devices", address);
    char *group = link_name(DEVICES "/%s/iommu_group", address);
    char *others = format("%s", ""), *port = NULL;

    if (!group) {
        report(address, "group", RESULT_NO, NULL, "no IOMMU group");
        return;
    }
    for (size_t i = 0; i < mates.num; i++) {
        if (is_port(mates.name[i])) {
            port = mates.name[i];
        } else if (strcmp(mates.name[i], address) &&
                   !is_bridge(mates.name[i])) {
            others = append(others, " %s", mates.name[i]);
        }
    }
    if (port && smmuv3) {
        report(address, "group", RESULT_NO, "another slot, whose ports have "
               "ACS", "%s, with the port %s: SMMUv3 wants to know all of it, "
               "and no VM can have a port", group, port);
    } else if (others[0]) {
        report(address, "group", RESULT_WARN, "another slot, or ACS of the "
               "ports above; else give the guest all of them",
               "%s, with%s: these have one translation", group, others);
    } else {
        report(address, "group", RESULT_OK, NULL, "%s, alone", group);
    }
}

static void check_reserved(const char *address)
{
    char *text = read_text(DEVICES
                                      "/%s/iommu_group/reserved_regions",
                                      address);

    if (text && strstr(text, "direct")) {
        report(address, "reserved-regions", RESULT_WARN,
               "firmware without RMRRs for it, or a guest without memory there",
               "the host maps some for it (direct)");
    }
}

static void check_width(const char *address, const Config *c)
{
    unsigned pos = find_ext_cap(c, PCI_EXT_CAP_ID_PASID);

    if (exists(DEVICES "/%s/physfn", address)) {
        report(address, "pasid", RESULT_OK, NULL,
               "a virtual function: as its physical function");
    } else if (pos) {
        report(address, "pasid", RESULT_OK, NULL, "%u bits",
               get32(c, pos + PCI_PASID_CAP) >> 8 & 0x1f);
    } else {
        report(address, "pasid", RESULT_WARN, NULL, "no capability");
    }
}

static bool has_flr(const Config *c)
{
    unsigned exp = find_cap(c, PCI_CAP_ID_EXP);
    unsigned af = find_cap(c, PCI_CAP_ID_AF);

    return (exp && get32(c, exp + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR) ||
           (af && get32(c, af) >> 24 & PCI_AF_CAP_FLR);
}

/* Return: false: it has no ATS */
static bool check_config(const char *address, Arch arch)
{
    bool ats, pri;
    Config c;

    c.size = read_bytes(c.data, sizeof(c.data), DEVICES "/%s/config", address);
    if (c.size <= 64) {
        report(address, "capabilities", RESULT_UNKNOWN, "as root",
               "its configuration space cannot be read");
        return true;
    }
    ats = find_ext_cap(&c, PCI_EXT_CAP_ID_ATS);
    pri = find_ext_cap(&c, PCI_EXT_CAP_ID_PRI);
    report(address, "ats", ats ? RESULT_OK : RESULT_WARN, NULL, "%s",
           ats ? "capability" : "no capability");
    if (exists(DEVICES "/%s/physfn", address)) {
        report(address, "page-requests", RESULT_WARN, NULL,
               "a virtual function: the kernel serves none of it");
    } else if (arch == ARCH_SMMUV3) {
        report(address, "page-requests", RESULT_WARN, NULL,
               "the kernel serves none behind SMMUv3");
    } else {
        report(address, "page-requests", pri ? RESULT_OK : RESULT_WARN, NULL,
               "%s", pri ? "capability" : "no capability");
    }
    check_width(address, &c);
    report(address, "reset", has_flr(&c) ? RESULT_OK : RESULT_WARN, NULL,
           "%s", has_flr(&c) ? "function level reset" :
           "no function level reset");
    return ats;
}

/* Return: name of its character device, or NULL */
static char *check_driver(const char *address)
{
    char *driver = link_name(DEVICES "/%s/driver", address);
    char *remedy = format("driverctl set-override %s vfio-pci", address);
    Names cdevs = list_dir(DEVICES "/%s/vfio-dev", address);

    if (cdevs.num) {
        report(address, "driver", RESULT_OK, NULL, "%s, /dev/vfio/devices/%s",
               driver ? driver : "?", cdevs.name[0]);
        return cdevs.name[0];
    }
    if (driver && !strcmp(driver, "vfio-pci")) {
        report(address, "driver", RESULT_NO,
               "a kernel with CONFIG_VFIO_DEVICE_CDEV",
               "vfio-pci, but no character device");
    } else {
        report(address, "driver", RESULT_UNKNOWN, remedy,
               "%s: bound to vfio-pci, it could be tried",
               driver ? driver : "none");
    }
    return NULL;
}

static Result judge(const char *address, const char *iommu,
                    const char **obstacle)
{
    /* What the IOMMU lacks is why the kernel refuses */
    *obstacle = report_obstacle(iommu) ?: report_obstacle(address);
    if (*obstacle) {
        return RESULT_NO;
    }
    if (reported(address, "nesting-parent")) {
        /* Whatever the host's options may be taken to mean */
        return RESULT_OK;
    }
    *obstacle = report_obstacle("host");
    return *obstacle ? RESULT_NO : RESULT_UNKNOWN;
}

Result check_device(const char *address, bool try)
{
    char *iommu = link_name(DEVICES "/%s/iommu", address);
    char *cdev;
    const char *obstacle;
    bool has_ats;
    Result nests;

    if (!exists(DEVICES "/%s", address)) {
        report(address, "device", RESULT_NO, NULL, "there is none");
    } else if (!iommu) {
        report(address, "iommu", RESULT_NO, NULL, "it is behind no IOMMU");
    } else {
        if (iommu_arch(iommu) != ARCH_SMMUV3) {
            check_iommu(iommu);
        }
        report(address, "iommu", RESULT_OK, NULL, "%s", iommu);
        check_group(address, iommu_arch(iommu) == ARCH_SMMUV3);
        check_reserved(address);
        has_ats = check_config(address, iommu_arch(iommu));
        cdev = check_driver(address);
        if (cdev && try) {
            try_device(address, cdev, iommu, has_ats);
        }
        check_iommu(iommu);
    }
    nests = judge(address, iommu ? iommu : address, &obstacle);
    report_device(address, nests, obstacle);
    return nests;
}
