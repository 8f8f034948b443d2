/*
 * VT-d nesting under test: a machine with a nested vIOMMU on a modelled host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VTD_RIG_H
#define TESTS_QTEST_VTD_RIG_H

#include "qemu/units.h"
#include "../libqos/vtd-tables.h"
#include "nested-rig.h"

/* The model's ECAP of a host that can do everything */
#define HOST_ECAP_ALL   0x1cd9ca4f000dfULL

/* Guest requester ids of the first devices */
#define RID0        0x20
#define RID1        0x28
#define RID2        0x30
#define RID3        0x38

/*
 * Two root ports with native hot-plug, for vtd_rig_start()'s @extra. Their
 * secondary buses have no numbers until the test gives them some.
 */
#define VTD_RIG_SLOTS \
    "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off " \
    "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 " \
    "-device pcie-root-port,id=rp1,chassis=2,addr=0x11 "
/* Requester id of the device in a slot whose bus has the number @bus */
#define BEHIND(bus) ((bus) << 8)

/* Guest memory for the test's data; tables are below */
#define DATA        (96 * MiB)

/* CAP and ECAP bits that tests ask for (11.4.2, 11.4.3) */
#define VTD_CAP_CM_BIT      (1ULL << 7)
#define VTD_CAP_WIDTH_OF(c) (((c) >> 16 & 0x3f) + 1)
#define VTD_CAP_FS1GP_BIT   (1ULL << 56)
#define VTD_ECAP_DT_BIT     (1ULL << 2)
#define VTD_ECAP_SC_BIT     (1ULL << 7)
#define VTD_ECAP_PRS_BIT    (1ULL << 29)
#define VTD_ECAP_NWFS_BIT   (1ULL << 33)
#define VTD_ECAP_PSS_OF(e)  (((e) >> 35) & 0x1f)
#define VTD_ECAP_PASID_BIT  (1ULL << 40)
#define VTD_ECAP_PDS_BIT    (1ULL << 42)
#define VTD_ECAP_SMTS_BIT   (1ULL << 43)
#define VTD_ECAP_SSTS_BIT   (1ULL << 46)
#define VTD_ECAP_FSTS_BIT   (1ULL << 47)
#define VTD_ECAP_SMPWC_BIT  (1ULL << 48)

#define VTD_FSTS_PPF_BIT    (1u << 1)
#define VTD_FSTS_IQE_BIT    (1u << 4)
#define VTD_REG_FRCD        0x220

typedef struct VtdRig {
    IommufdModel *m;
    QTestState *qts;
    IommuMem mem;
    QtestIommuRegs where;
    IommuRegs regs;
    VtdTables t;
    VtdQueue q;
} VtdRig;

/* Sections of the model's configuration for a host with @num devices */
char *vtd_rig_host(unsigned num, const char *iommu, const char *device);

/* The arguments of vtd_rig_start() */
char *vtd_rig_args(const char *iommu, unsigned num, const char *extra);

/**
 * vtd_rig_start: a machine on the host @host.
 * @iommu: properties of intel-iommu, e.g. "nested=on"
 * @num: host devices the machine has
 * @extra: more arguments
 */
void vtd_rig_start(VtdRig *r, const char *host, const char *iommu,
                   unsigned num, const char *extra);

/* The same with a default host, the default properties, nothing extra */
void vtd_rig_start_simple(VtdRig *r, unsigned num);

/* End QEMU; the host must be left with nothing */
void vtd_rig_stop(VtdRig *r);

/* Fresh scalable-mode tables and a queue; translation on */
void vtd_rig_enable(VtdRig *r);
/* The same in legacy mode */
void vtd_rig_enable_legacy(VtdRig *r);
void vtd_rig_translation(VtdRig *r, bool on);
/* Wait until @bit of a register is @set, as it is when a write is over */
void vtd_rig_wait(VtdRig *r, uint64_t reg, uint32_t bit, bool set);

/* Context entry and RID_PASID entry (PASID 0) of a device, and tell of both */
void vtd_rig_first_stage(VtdRig *r, uint16_t rid, uint16_t did, uint64_t s1);
void vtd_rig_pass_through(VtdRig *r, uint16_t rid, uint16_t did);

/* All of these end with a wait descriptor, which has to complete */
void vtd_rig_sync(VtdRig *r);
void vtd_rig_inv_context(VtdRig *r, uint16_t rid);
void vtd_rig_inv_pasid(VtdRig *r, uint16_t did, uint32_t pasid);

/* A stage-1 table that maps @iova to DATA + @page * 4096 */
uint64_t vtd_rig_s1(VtdRig *r, uint64_t iova, unsigned page);
/* Fill that page of data */
void vtd_rig_fill(VtdRig *r, unsigned page, uint8_t value);

uint32_t vtd_rig_fsts(VtdRig *r);
/* Index of the descriptor that the queue's head stands at */
unsigned vtd_rig_head(VtdRig *r);
/* The recorded fault: its reason, 0 if there is none; forgotten after that */
unsigned vtd_rig_take_fault(VtdRig *r, uint16_t *sid);

/* Make configuration space accessible; again after a system reset */
void vtd_rig_open_config(VtdRig *r);
/* Configuration space; @rid on bus 0 or on one that has been numbered */
uint64_t vtd_rig_config_addr(uint16_t rid, unsigned reg);
uint32_t vtd_rig_config_read(VtdRig *r, uint16_t rid, unsigned reg);
void vtd_rig_config_write(VtdRig *r, uint16_t rid, unsigned reg,
                          uint32_t value);
/*
 * Enable PASIDs, ATS and page requests of the device at @rid, as far as it has
 * them
 */
void vtd_rig_enable_sva(VtdRig *r, uint16_t rid);
/* Offset of a capability, and of the PCI Express one */
unsigned vtd_rig_cap(VtdRig *r, uint16_t rid, uint8_t id);
unsigned vtd_rig_pcie_cap(VtdRig *r, uint16_t rid);

/* Slots: @slot is 0 or 1 */
void vtd_rig_number_slot(VtdRig *r, unsigned slot, unsigned bus);
/* What the guest does about a device that is new in a slot */
void vtd_rig_power_slot(VtdRig *r, unsigned slot);
/* The guest then powers the slot */
void vtd_rig_plug(VtdRig *r, unsigned slot, const char *id, const char *dev);
/* The guest takes the power away: the device is gone when this returns */
void vtd_rig_unplug(VtdRig *r, unsigned slot, const char *id);

/* The first byte that the device reads there, or -1 if it faults */
int vtd_rig_peek(VtdRig *r, const char *dev, const IommufdDma *how,
                 uint64_t addr);
/* Offset of an extended capability, or 0 */
unsigned vtd_rig_ext_cap(VtdRig *r, uint16_t rid, unsigned id);

#endif
