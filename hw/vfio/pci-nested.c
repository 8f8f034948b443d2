/*
 * PASID, ATS and page request capabilities behind a nested vIOMMU
 *
 * The kernel hides the PASID capability of an assigned device and shows those
 * of ATS and page requests read-only, because it switches all three itself.
 * A guest that has them in its IOMMU needs capabilities whose control bits it
 * can set: the control registers are emulated, and the vIOMMU looks at them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "qapi/error.h"
#include "hw/iommufd-host.h"
#include "hw/pci/nested.h"
#include "hw/iommufd/vfio.h"
#include "pci-nested.h"

void vfio_pci_nested_class_init(ObjectClass *klass)
{
    object_class_property_set_description(klass, "ats",
        "Whether the guest sees the ATS capability. on: it has to be there "
        "and used by the host. auto: unless a vIOMMU nests the device, and "
        "the host does not use it");
    object_class_property_set_description(klass, "x-vpasid-cap-offset",
        "Where in configuration space the guest sees the PASID capability, "
        "behind a nested vIOMMU. 0: where there is room");
}

#define PASID_CAP_END (PCIE_CONFIG_SPACE_SIZE - PCI_EXT_CAP_PASID_SIZEOF)

/*
 * Bytes of an extended capability, as far as they are the same for all
 * devices; 0: not known, it may reach up to the next one
 */
static uint16_t ext_cap_size(uint16_t id)
{
    switch (id) {
    case PCI_EXT_CAP_ID_ERR:
        return PCI_ERR_SIZEOF;
    case PCI_EXT_CAP_ID_DSN:
        return PCI_EXT_CAP_DSN_SIZEOF;
    case PCI_EXT_CAP_ID_ATS:
        return PCI_EXT_CAP_ATS_SIZEOF;
    case PCI_EXT_CAP_ID_PRI:
        return PCI_EXT_CAP_PRI_SIZEOF;
    case PCI_EXT_CAP_ID_LTR:
        return PCI_EXT_CAP_LTR_SIZEOF;
    case PCI_EXT_CAP_ID_ARI:
        return PCI_EXT_CAP_ARI_SIZEOF;
    default:
        return 0;
    }
}

/*
 * Is there room for a PASID capability at @pos, going by the capabilities and
 * by what the device has there? The kernel passes reads of places that are in
 * no capability it shows through to the device, so a hidden capability reads
 * as something.
 */
static bool pasid_place_is_free(VFIOPCIDevice *vdev, uint16_t pos)
{
    static const uint8_t nothing[PCI_EXT_CAP_PASID_SIZEOF];
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t cap = PCI_CONFIG_SPACE_SIZE;

    while (cap) {
        uint32_t header = pci_get_long(pdev->config + cap);
        uint16_t next = PCI_EXT_CAP_NEXT(header);
        uint16_t size = ext_cap_size(PCI_EXT_CAP_ID(header));

        if (header && ranges_overlap(pos, sizeof(nothing), cap,
                                     size ? size : sizeof(header))) {
            return false;
        }
        cap = next;
    }
    return !memcmp(pdev->config + pos, nothing, sizeof(nothing));
}

static uint16_t pasid_place(VFIOPCIDevice *vdev, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t given = vdev->vpasid_offset;

    if (!pci_get_long(pdev->config + PCI_CONFIG_SPACE_SIZE)) {
        /* The chain is empty: it can start nowhere else */
        if (given && given != PCI_CONFIG_SPACE_SIZE) {
            error_setg(errp, "x-vpasid-cap-offset 0x%x: the first extended "
                       "capability has to be at 0x%x", given,
                       PCI_CONFIG_SPACE_SIZE);
            return 0;
        }
        return PCI_CONFIG_SPACE_SIZE;
    }
    if (given) {
        if (given < PCI_CONFIG_SPACE_SIZE || given > PASID_CAP_END ||
            given % 4 || !pasid_place_is_free(vdev, given)) {
            error_setg(errp, "x-vpasid-cap-offset 0x%x is not a free, aligned "
                       "place for %d bytes in 0x%x..0x%x", given,
                       PCI_EXT_CAP_PASID_SIZEOF, PCI_CONFIG_SPACE_SIZE,
                       PCIE_CONFIG_SPACE_SIZE - 1);
            return 0;
        }
        return given;
    }
    /* Devices fill their space from the bottom */
    for (uint16_t pos = PASID_CAP_END; pos >= PCI_CONFIG_SPACE_SIZE;
         pos -= PCI_EXT_CAP_PASID_SIZEOF) {
        if (pasid_place_is_free(vdev, pos)) {
            return pos;
        }
    }
    error_setg(errp, "no free place for a PASID capability");
    return 0;
}

static bool pasid_setup(VFIOPCIDevice *vdev, const PCINestedFeatures *features,
                        Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t pos;

    if (features->no_pasid) {
        info_report("%s: the guest sees no PASIDs of it, because %s",
                    vdev->vbasedev.name, features->no_pasid);
    }
    if (!features->pasid_bits) {
        return true;
    }
    pos = pasid_place(vdev, errp);
    if (!pos) {
        return false;
    }
    pcie_pasid_init(pdev, pos, features->pasid_bits, features->pasid_exec,
                    features->pasid_priv);
    memset(vdev->emulated_config_bits + pos, 0xff, PCI_EXT_CAP_PASID_SIZEOF);
    return true;
}

/* A register of ours, with @writable bits */
static void control_setup(VFIOPCIDevice *vdev, uint16_t pos, uint16_t writable)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);

    pci_set_word(pdev->config + pos, 0);
    pci_set_word(pdev->wmask + pos, writable);
    pci_set_word(vdev->emulated_config_bits + pos, 0xffff);
}

static void ats_setup(VFIOPCIDevice *vdev, bool writable)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t pos = pcie_find_capability(pdev, PCI_EXT_CAP_ID_ATS);

    if (pos) {
        pdev->exp.ats_cap = pos;
        control_setup(vdev, pos + PCI_ATS_CTRL,
                      writable ? PCI_ATS_CTRL_ENABLE | 0x1f : 0);
    }
}

static void pri_setup(VFIOPCIDevice *vdev, bool writable)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t pos = pcie_find_capability(pdev, PCI_EXT_CAP_ID_PRI);
    uint16_t status;

    if (!pos) {
        return;
    }
    pdev->exp.pri_cap = pos;
    status = pci_get_word(pdev->config + pos + PCI_PRI_STATUS);
    control_setup(vdev, pos + PCI_PRI_CTRL,
                  writable ? PCI_PRI_CTRL_ENABLE | PCI_PRI_CTRL_RESET : 0);
    control_setup(vdev, pos + PCI_PRI_STATUS, 0);
    pci_set_word(pdev->config + pos + PCI_PRI_STATUS,
                 (status & PCI_PRI_STATUS_PASID) | PCI_PRI_STATUS_STOPPED);
    /* Follows the enable bit: not what makes it another device (migration) */
    pci_word_test_and_clear_mask(pdev->cmask + pos + PCI_PRI_STATUS,
                                 PCI_PRI_STATUS_STOPPED);
    control_setup(vdev, pos + PCI_PRI_ALLOC_REQ, writable ? 0xffff : 0);
    control_setup(vdev, pos + PCI_PRI_ALLOC_REQ + 2, writable ? 0xffff : 0);
}

/*
 * The guest is not to see a capability that the device has. @why: for the
 * user; NULL: who wants it so
 */
static void ext_cap_hide(VFIOPCIDevice *vdev, uint16_t id, uint16_t size,
                         const char *what, const char *why)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t pos = pcie_find_capability(pdev, id);
    uint16_t at = PCI_CONFIG_SPACE_SIZE;
    uint32_t header, next;

    if (!pos) {
        return;
    }
    if (why) {
        info_report("%s: the guest sees no %s of it, because %s",
                    vdev->vbasedev.name, what, why);
    }
    header = pci_get_long(pdev->config + pos);
    next = PCI_EXT_CAP_NEXT(header);
    memset(pdev->config + pos, 0, size);
    memset(vdev->emulated_config_bits + pos, 0xff, size);
    if (pos == PCI_CONFIG_SPACE_SIZE) {
        /* The chain has to start here: with one that means nothing */
        pci_set_long(pdev->config + pos, next << 20);
        return;
    }
    while (PCI_EXT_CAP_NEXT(pci_get_long(pdev->config + at)) != pos) {
        at = PCI_EXT_CAP_NEXT(pci_get_long(pdev->config + at));
    }
    header = pci_get_long(pdev->config + at);
    pci_set_long(pdev->config + at, (header & 0xfffff) | next << 20);
    pci_set_long(vdev->emulated_config_bits + at, 0xffffffff);
}

/* Why ats=on cannot be, or NULL */
static const char *ats_impossible(VFIOPCIDevice *vdev, bool express)
{
    const HostIOMMUDevice *hiod = vdev->vbasedev.hiod;

    if (!express) {
        return "its bus in the guest, or the device, is not PCI Express";
    }
    if (!pcie_find_capability(PCI_DEVICE(vdev), PCI_EXT_CAP_ID_ATS)) {
        return "the device has no ATS capability";
    }
    if (hiod && hiod->caps.hw_caps & IOMMUFD_NESTED_CAP_NO_ATS) {
        return "the host does not use it (pci=noats, an untrusted device, or "
               "an IOMMU without)";
    }
    return NULL;
}

bool vfio_pci_nested_setup(VFIOPCIDevice *vdev, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    bool express = pci_is_express(pdev) &&
                   pci_bus_is_express(pci_get_bus(pdev)) &&
                   vdev->config_size >= PCIE_CONFIG_SPACE_SIZE;
    PCINestedFeatures features;

    if (vdev->ats == ON_OFF_AUTO_ON) {
        const char *why = ats_impossible(vdev, express);

        if (why) {
            error_setg(errp, "ats=on: the guest cannot have ATS of it: %s; "
                       "ats=auto goes without", why);
            return false;
        }
    }
    if (express && vdev->ats == ON_OFF_AUTO_OFF) {
        /* Nobody makes page requests without translation requests */
        ext_cap_hide(vdev, PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF,
                     "page requests", NULL);
        ext_cap_hide(vdev, PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF, "ATS",
                     NULL);
    }
    if (!express || !pci_device_nested_features(pdev, &features)) {
        return true;
    }
    if (features.no_pri) {
        ext_cap_hide(vdev, PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF,
                     "page requests", features.no_pri);
    }
    if (features.no_ats) {
        ext_cap_hide(vdev, PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF, "ATS",
                     features.no_ats);
    }
    ats_setup(vdev, features.ats);
    pri_setup(vdev, features.pri && features.ats);
    return pasid_setup(vdev, &features, errp);
}

void vfio_pci_nested_reset(VFIOPCIDevice *vdev)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    PCIExpressDevice *exp = &pdev->exp;

    iommufd_nested_vfio_reset(&vdev->vbasedev, false);
    if (exp->pasid_cap) {
        pci_set_word(pdev->config + exp->pasid_cap + PCI_PASID_CTRL, 0);
    }
    if (exp->ats_cap) {
        pci_set_word(pdev->config + exp->ats_cap + PCI_ATS_CTRL, 0);
    }
    if (exp->pri_cap) {
        pci_set_word(pdev->config + exp->pri_cap + PCI_PRI_CTRL, 0);
        pci_set_long(pdev->config + exp->pri_cap + PCI_PRI_ALLOC_REQ, 0);
        pci_word_test_and_set_mask(pdev->config + exp->pri_cap +
                                   PCI_PRI_STATUS, PCI_PRI_STATUS_STOPPED);
    }
    if (exp->pasid_cap || exp->ats_cap || exp->pri_cap) {
        pci_device_nested_changed(pdev);
    }
}

/* The guest has its device reset: what was asked before has no answer */
static void reset_by_guest(VFIOPCIDevice *vdev)
{
    iommufd_nested_vfio_reset(&vdev->vbasedev, true);
    vfio_pci_nested_reset(vdev);
}

/* The byte at @reg of what is written; @old if it is not */
static uint8_t written_byte(uint32_t addr, uint32_t val, int len, uint32_t reg,
                            uint8_t old)
{
    return range_covers_byte(addr, len, reg) ? val >> ((reg - addr) * 8) : old;
}

/* D3hot to D0 resets a device, unless it says that it does not */
static bool wakes_up_reset(PCIDevice *pdev, uint32_t addr, uint32_t val,
                           int len)
{
    uint32_t reg = pdev->pm_cap + PCI_PM_CTRL;
    uint8_t old = pdev->config[reg];

    return pdev->pm_cap && !(old & PCI_PM_CTRL_NO_SOFT_RESET) &&
           (old & PCI_PM_CTRL_STATE_MASK) == PCI_PM_CTRL_STATE_MASK &&
           !(written_byte(addr, val, len, reg, old) & PCI_PM_CTRL_STATE_MASK);
}

/* What the kernel makes a function-level reset of (vfio_pci_config.c) */
static bool is_flr(PCIDevice *pdev, uint32_t addr, uint32_t val, int len)
{
    uint16_t exp = pdev->exp.exp_cap;
    uint16_t af = pci_find_capability(pdev, PCI_CAP_ID_AF);
    const uint8_t needed = PCI_AF_CAP_FLR | PCI_AF_CAP_TP;
    const uint8_t exp_flr = PCI_EXP_DEVCTL_BCR_FLR >> 8;

    if (exp && (pci_get_long(pdev->config + exp + PCI_EXP_DEVCAP) &
                PCI_EXP_DEVCAP_FLR) &&
        written_byte(addr, val, len, exp + PCI_EXP_DEVCTL + 1, 0) & exp_flr) {
        return true;
    }
    return af && (pdev->config[af + PCI_AF_CAP] & needed) == needed &&
           written_byte(addr, val, len, af + PCI_AF_CTRL, 0) & PCI_AF_CTRL_FLR;
}

static bool is_in_cap(uint32_t addr, int len, uint16_t cap, uint16_t size)
{
    return cap && ranges_overlap(addr, len, cap, size);
}

bool vfio_pci_nested_write(VFIOPCIDevice *vdev, uint32_t addr, uint32_t val,
                           int len)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    uint16_t pri = pdev->exp.pri_cap;
    bool on;

    if (pci_is_express(pdev) && wakes_up_reset(pdev, addr, val, len)) {
        /* While it is still asleep */
        reset_by_guest(vdev);
        return false;
    }
    if (is_flr(pdev, addr, val, len)) {
        /* The kernel frees what is not answered when it resets the device */
        iommufd_nested_vfio_reset(&vdev->vbasedev, true);
    }
    if (!is_in_cap(addr, len, pdev->exp.pasid_cap, PCI_EXT_CAP_PASID_SIZEOF) &&
        !is_in_cap(addr, len, pdev->exp.ats_cap, PCI_EXT_CAP_ATS_SIZEOF) &&
        !is_in_cap(addr, len, pri, PCI_EXT_CAP_PRI_SIZEOF)) {
        return false;
    }

    pci_default_write_config(pdev, addr, val, len);
    if (pri) {
        /* Reset is an action; Stopped tells that nothing is outstanding */
        on = pcie_pri_enabled(pdev);
        pci_word_test_and_clear_mask(pdev->config + pri + PCI_PRI_CTRL,
                                     PCI_PRI_CTRL_RESET);
        if (on) {
            pci_word_test_and_clear_mask(pdev->config + pri + PCI_PRI_STATUS,
                                         PCI_PRI_STATUS_STOPPED);
        } else {
            pci_word_test_and_set_mask(pdev->config + pri + PCI_PRI_STATUS,
                                       PCI_PRI_STATUS_STOPPED);
        }
    }
    pci_device_nested_changed(pdev);
    return true;
}

/*
 * The kernel carries a function-level reset out within the write, and keeps
 * its own settings over it; the guest finds its control bits clear, as after
 * any reset, and sets them again.
 */
void vfio_pci_nested_written(VFIOPCIDevice *vdev, uint32_t addr, uint32_t val,
                             int len)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);

    if (is_flr(pdev, addr, val, len)) {
        reset_by_guest(vdev);
        iommufd_nested_vfio_bars_again(&vdev->vbasedev);
    }
}
