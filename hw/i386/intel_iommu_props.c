/*
 * VT-d: names that newer QEMUs have for properties, and what -device
 * intel-iommu,help says about ours
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/i386/x86-iommu-auto.h"
#include "intel_iommu_props.h"

/* Values and default are in the help when the property's type has them */
static const char *const vtd_descriptions[][2] = {
    { "nested", "The host walks the guest's first-stage tables for assigned "
      "devices. auto: if the host can. Not given: as off, but on for assigned "
      "devices if fsts=on" },
    { "pasid-bits", "Width of PASIDs, 1 to 20. 0: what the host has" },
    { "max-hwpts", "Page tables that the guest may have on the host, up to "
      "65535. 0: 1024" },
    { "x-scalable-mode", "Scalable mode; nested=on has it" },
    { "x-flts", "First-stage translation; nested=on has it" },
    { "caching-mode", "The guest invalidates what becomes present as well; "
      "nested=on has it" },
    { "fs1gp", "First-stage pages of 1 GiB. Not given, with nested=on: as the "
      "host" },
    { "snoop-control", "Snoop control. Not given, with nested=on: as the "
      "host" },
    { "smpwc", "Scalable-mode page-walk coherency, for nested=on. auto: as the "
      "host" },
    { "x-pasid-mode", "PASIDs. Not given, with nested=on: as the host" },
    { "svm", "Page requests, for nested=on; needs device-iotlb. Not given: as "
      "the host" },
    { "ssts", "Second-stage tables of the guest, mirrored, for nested=on. "
      "auto: on" },
    { "fs5lp", "First-stage tables of five levels, for nested=on. auto: as the "
      "host, unless aw-bits=48" },
    { "sslps", "Second-stage pages of 2 MiB and 1 GiB, for nested=on. auto: "
      "on" },
    { "ss-aw-bits", "Width of second-stage tables, 48 or 57, for nested=on" },
    { "aw-bits", "Address width: 39 or 48, with nested=on 48 or 57. Not given, "
      "with nested=on: 57 with fs5lp" },
    { "host-nesting", "For emulated hosts: guests may nest their tables in "
      "second-stage ones" },
    { "host-keep", "For emulated hosts: caches keep all that hardware may" },
    { "host-smpwc", "For emulated hosts: page-walk coherency" },
    { "host-ssads", "For emulated hosts: second-stage accessed and dirty "
      "bits" },
    { "host-sc", "For emulated hosts: snoop control" },
    { "host-srs", "For emulated hosts: supervisor requests" },
    { "host-eafs", "For emulated hosts: extended accessed flag" },
    { "host-fs5lp", "For emulated hosts: first-stage tables of five levels" },
    { "host-pri", "For emulated hosts: page requests. auto: with "
      "device-iotlb" },
    { "host-pasid-bits", "For emulated hosts: width of PASIDs, up to 20" },
};

void vtd_props_class_init(ObjectClass *klass)
{
    x86_iommu_add_aliases(klass);
    for (size_t i = 0; i < ARRAY_SIZE(vtd_descriptions); i++) {
        object_class_property_set_description(klass, vtd_descriptions[i][0],
                                              vtd_descriptions[i][1]);
    }
}
