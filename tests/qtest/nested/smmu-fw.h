/*
 * What firmware and guest read about SMMUs: ACPI tables and device tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_SMMU_FW_H
#define TESTS_QTEST_SMMU_FW_H

#include "smmu-rig.h"

/* IORT node types (DEN 0049) */
enum { IORT_ITS = 0, IORT_RC = 2, IORT_SMMUV3 = 4, IORT_RMR = 6 };

typedef struct IortMapping {
    uint32_t in, num, out, ref, flags;
} IortMapping;

typedef struct IortNode {
    uint8_t type, revision;
    uint32_t offset;            /* from the start of the table */
    uint32_t id;
    uint32_t num_mappings;
    IortMapping mapping[8];
    /* SMMUv3 */
    uint64_t base;
    /* Root complex */
    uint32_t ats;
    /* RMR */
    uint32_t flags, num_ranges;
    uint64_t range_base, range_size;
} IortNode;

typedef struct Iort {
    unsigned revision, num_nodes;
    IortNode node[24];
} Iort;

/* An ACPI table as it lies in fw_cfg, to be freed */
uint8_t *smmu_fw_table(SmmuRig *r, const char *signature, size_t *len);

/* All of the IORT; asserts that lengths and offsets in it are sound */
void smmu_fw_iort(SmmuRig *r, Iort *iort);
/* Node number @index of a type; NULL if there are not so many */
const IortNode *smmu_fw_node(const Iort *iort, unsigned type, unsigned index);

/**
 * smmu_fw_dsm: _DSM of a host bridge in the DSDT
 * @name: of the host bridge, e.g. "PCI0"
 * @functions: what function 0 says there are, as bits
 *
 * Return: whether function 5 returns 0: boot configuration is to be kept.
 */
bool smmu_fw_dsm(SmmuRig *r, const char *name, uint8_t *functions);

/* The device tree, to be freed */
void *smmu_fw_fdt(SmmuRig *r);

/**
 * smmu_fw_fdt_function: the node of a PCI function, as Linux finds it
 * @fdt: the device tree
 * @parent: node of the host bridge or of a bridge
 *
 * Return: the node, negative if it has none.
 */
int smmu_fw_fdt_function(const void *fdt, int parent, unsigned devfn);

/**
 * smmu_fw_fdt_window: reserved memory that the device has to map to itself
 * @node: of the device
 *
 * Return: false if there is none.
 */
bool smmu_fw_fdt_window(const void *fdt, int node, uint64_t *base,
                        uint64_t *size);

/* The SPI that pin @pin (1: INTA) of slot @slot behind the bridge raises */
int smmu_fw_fdt_irq(const void *fdt, int bridge, unsigned slot, unsigned pin);

#endif
