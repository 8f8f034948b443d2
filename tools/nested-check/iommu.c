/*
 * qemu-nested-check: registers of IOMMUs, by their names
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <inttypes.h>
#include "check.h"

typedef struct Bits {
    const char *check;
    const char *name;
    uint64_t mask;
    bool needed;
    const char *lacking;        /* what is not there without */
} Bits;

static const Bits vtd_ecap[] = {
    { "scalable-mode", "ECAP.SMTS", 1ULL << 43, true },
    { "nesting", "ECAP.NEST", 1ULL << 26, true },
    { "first-stage", "ECAP.FSTS", 1ULL << 47, true },
    { "pasid", "ECAP.PASID", 1ULL << 40, false, "PASIDs" },
    { "ats", "ECAP.DT", 1ULL << 2, false, "ATS" },
    { "page-requests", "ECAP.PRS and PDS", 1ULL << 29 | 1ULL << 42, false,
      "page requests" },
    { "coherent-walks", "ECAP.SMPWC", 1ULL << 48, false,
      "shared virtual addressing in a Linux guest" },
    { "snoop-control", "ECAP.SC", 1ULL << 7, false, "snoop control" },
    { "dirty-tracking", "ECAP.SSADS", 1ULL << 45, false,
      "log of dirty pages, for migration" },
};

static const Bits vtd_cap[] = {
    { "1-gib-pages", "CAP.FS1GP", 1ULL << 56, false,
      "first-stage pages of 1 GiB" },
    { "five-levels", "CAP.FS5LP", 1ULL << 60, false,
      "shared virtual addressing in a Linux guest whose CPU has la57" },
};

static const Bits smmuv3_idr0[] = {
    { "stage-1", "IDR0.S1P", 1 << 1, true },
    { "stage-2", "IDR0.S2P", 1 << 0, true },
    { "aarch64-tables", "IDR0.TTF", 1 << 3, true },
    { "ats", "IDR0.ATS", 1 << 10, false, "ATS" },
    { "coherent-walks", "IDR0.COHACC", 1 << 4, false,
      "table walks that snoop the CPU caches" },
    { "asid16", "IDR0.ASID16", 1 << 12, false, "ASIDs of 16 bits" },
    { "cd2l", "IDR0.CD2L", 1 << 19, false, "two-level CD tables" },
};

/* The kernel makes no vIOMMU without one of FWB and CANWBS */
static const Bits smmuv3_idr3[] = {
    { "fwb", "IDR3.FWB", 1 << 8, false,
      "nesting, unless firmware says that a device is coherent (CANWBS)" },
    { "range-invalidation", "IDR3.RIL", 1 << 10, false,
      "invalidation of ranges" },
};

Arch iommu_arch(const char *name)
{
    if (has_prefix(name, "dmar")) {
        return ARCH_VTD;
    }
    return has_prefix(name, "smmu3.") ? ARCH_SMMUV3 : ARCH_OTHER;
}

Arch iommu_arch_of_host(void)
{
    Names iommus = list_dir("/sys/class/iommu");
    Arch arch = iommus.num ? ARCH_OTHER : ARCH_NONE;

    for (size_t i = 0; i < iommus.num && arch == ARCH_OTHER; i++) {
        arch = iommu_arch(iommus.name[i]);
    }
    return arch;
}

static void check_bits(const char *iommu, const Bits *bits, size_t num,
                       uint64_t value)
{
    for (size_t i = 0; i < num; i++) {
        const Bits *b = &bits[i];

        if ((value & b->mask) == b->mask) {
            report(iommu, b->check, RESULT_OK, NULL, "%s", b->name);
        } else if (b->needed) {
            report(iommu, b->check, RESULT_NO, NULL, "%s not set: this IOMMU "
                   "cannot nest", b->name);
        } else {
            report(iommu, b->check, RESULT_WARN, NULL, "%s not %sset: no %s",
                   b->name, !(b->mask & (b->mask - 1)) ? "" : "both ",
                   b->lacking);
        }
    }
}

static void check_vtd(const char *iommu)
{
    char *cap_text = read_text("/sys/class/iommu/%s/intel-iommu/cap",
                                          iommu);
    char *ecap_text =
        read_text("/sys/class/iommu/%s/intel-iommu/ecap", iommu);
    uint64_t cap, ecap;
    unsigned width;

    if (!cap_text || !ecap_text) {
        report(iommu, "registers", RESULT_UNKNOWN, NULL,
               "the kernel does not show them");
        return;
    }
    cap = parse_hex(cap_text);
    ecap = parse_hex(ecap_text);
    report(iommu, "registers", RESULT_OK, NULL, "CAP 0x%" PRIx64 ", ECAP 0x%"
           PRIx64 ", addresses of %u bits", cap, ecap,
           (unsigned)(cap >> 16 & 0x3f) + 1);
    check_bits(iommu, vtd_ecap, ARRAY_LEN(vtd_ecap), ecap);
    width = (ecap >> 35 & 0x1f) + 1;
    if (ecap & 1ULL << 40) {
        report(iommu, "pasid-width", RESULT_OK, NULL, "ECAP.PSS: %u bits",
               width < 20 ? width : 20);
    }
    check_bits(iommu, vtd_cap, ARRAY_LEN(vtd_cap), cap);
}

void check_smmuv3(const char *iommu, const uint32_t idr[6])
{
    static const unsigned oas[] = { 32, 36, 40, 42, 44, 48, 52, 56 };
    char *pages = format("%s", "");

    if (reported(iommu, "registers")) {
        return;
    }
    report(iommu, "registers", RESULT_OK, NULL, "IDR0 0x%x, IDR1 0x%x, IDR3 "
           "0x%x, IDR5 0x%x, addresses of %u bits", idr[0], idr[1], idr[3],
           idr[5], oas[idr[5] & 7]);
    check_bits(iommu, smmuv3_idr0, ARRAY_LEN(smmuv3_idr0), idr[0]);
    check_bits(iommu, smmuv3_idr3, ARRAY_LEN(smmuv3_idr3), idr[3]);
    if (idr[1] >> 6 & 0x1f) {
        report(iommu, "pasid-width", RESULT_OK, NULL,
               "IDR1.SSIDSIZE: %u bits", idr[1] >> 6 & 0x1f);
    } else {
        report(iommu, "pasid-width", RESULT_WARN, NULL,
               "IDR1.SSIDSIZE is 0: no PASIDs");
    }
    for (unsigned i = 0; i < 3; i++) {
        if (idr[5] & 1 << (4 + i)) {
            pages = append(pages, " %uK", 4 << (2 * i));
        }
    }
    report(iommu, "pages", RESULT_OK, NULL, "IDR5:%s", pages);
}

void check_iommu(const char *iommu)
{
    if (reported(iommu, "registers")) {
        return;
    }
    switch (iommu_arch(iommu)) {
    case ARCH_VTD:
        check_vtd(iommu);
        break;
    case ARCH_SMMUV3:
        report(iommu, "registers", RESULT_UNKNOWN, "bind a device behind it "
               "to vfio-pci: the kernel tells them through iommufd only",
               "not shown in /sys");
        break;
    default:
        report(iommu, "registers", RESULT_NO, NULL, "neither VT-d nor SMMUv3: "
               "QEMU does not nest behind it");
        break;
    }
}
