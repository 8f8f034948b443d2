/*
 * SMMUv3 nesting under test: a machine with a nested vSMMU on a modelled host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_SMMU_RIG_H
#define TESTS_QTEST_SMMU_RIG_H

#include "qemu/units.h"
#include "../libqos/smmuv3-tables.h"
#include "nested-rig.h"

/* StreamIDs of the first devices, and of nobody's */
#define SID0        0x20
#define SID1        0x28
#define SID2        0x30
#define SID3        0x38
#define SID_NONE    0x80

/* Guest memory for the test's data; tables are below */
#define RAM         (1 * GiB)
#define DATA        (RAM + 96 * MiB)

/* The host's doorbell: what guests map one to one for assigned devices */
#define SMMU_RIG_WINDOW 0x8000000

#define CERROR_ILL  1

/* HWPTs behind a host SMMU with nothing in stage 1: parent, and what blocks */
#define IDLE_HWPTS  2

/* Registers that smmuv3-tables.h has no use for */
enum { SMMU_REG_GBPA = 0x44 };
#define SMMU_GBPA_UPDATE    (1u << 31)
#define SMMU_GBPA_ABORT     (1u << 20)

typedef struct SmmuRig {
    IommufdModel *m;
    QTestState *qts;
    IommuMem mem;
    QtestIommuRegs where;
    IommuRegs regs;
    SmmuTables t;
    SmmuQueue cmdq, evtq;
} SmmuRig;

/* Sections of the model's configuration for a host with @num devices */
char *smmu_rig_host(unsigned num, const char *iommu, const char *device);

/**
 * smmu_rig_start: a machine on the host @host.
 * @props: properties of arm-smmuv3, e.g. "nested=on"; NULL: the machine's own
 *         SMMU (iommu=smmuv3), with -global arm-smmuv3.nested=on
 * @num: host devices the machine has
 * @extra: more arguments
 */
void smmu_rig_start(SmmuRig *r, const char *host, const char *props,
                    unsigned num, const char *extra);

/* The same with a default host, the default properties, nothing extra */
void smmu_rig_start_simple(SmmuRig *r, unsigned num);

/* End QEMU; the host must be left with nothing */
void smmu_rig_stop(SmmuRig *r);

/* The arguments do not work: the message has @text in it */
void smmu_rig_expect_refusal(const char *host, const char *props,
                             unsigned num, const char *text);

/* Queues of 2^11 commands and 2^@events events */
void smmu_rig_queues(SmmuRig *r, unsigned events);

/* Fresh tables and queues of 2^11 commands and 2^@events events; SMMU on */
void smmu_rig_enable(SmmuRig *r, unsigned events);

/* All of these end with a CMD_SYNC, which has to complete */
void smmu_rig_sync(SmmuRig *r);
void smmu_rig_ste(SmmuRig *r, uint32_t sid, const SmmuSte *ste);
/* STE with one CD; returns the table, which maps @iova to page @page of DATA */
SmmuS1 smmu_rig_stage1(SmmuRig *r, uint32_t sid, uint16_t asid, uint64_t iova,
                       unsigned page);

/* A table that maps @iova to DATA + @page * 4096 */
SmmuS1 smmu_rig_s1(SmmuRig *r, uint64_t iova, unsigned page);
/* Fill that page of data */
void smmu_rig_fill(SmmuRig *r, unsigned page, uint8_t value);

uint32_t smmu_rig_read(SmmuRig *r, uint64_t reg);
void smmu_rig_write(SmmuRig *r, uint64_t reg, uint32_t value);
/* Position, without wrap bit, of the command that the queue stopped at */
unsigned smmu_rig_cons(SmmuRig *r);
/* Acknowledge CMDQ_ERR; the queue goes on */
void smmu_rig_ack(SmmuRig *r);
/* One event record; its type, 0 if there is none */
unsigned smmu_rig_event(SmmuRig *r, uint64_t *dw);
/* The same for one of the host: the main loop gets to it in its own time */
unsigned smmu_rig_wait_event(SmmuRig *r, uint64_t *dw);

/* IOMMU_HWPT_INVALIDATE so far */
uint64_t smmu_rig_ioctls(SmmuRig *r);
uint64_t smmu_rig_entries(SmmuRig *r);

/* Configuration space of a function */
uint32_t smmu_rig_config_read(SmmuRig *r, uint16_t rid, unsigned reg);
void smmu_rig_config_write(SmmuRig *r, uint16_t rid, unsigned reg,
                           uint32_t value);
/* Number the bus behind the root port at 00:@slot.0, or at any other place */
void smmu_rig_number(SmmuRig *r, unsigned slot, uint8_t bus);
void smmu_rig_number_at(SmmuRig *r, uint16_t rid, uint8_t bus);

/* The guest turns the slot of the port at 00:@slot.0 on */
void smmu_rig_power(SmmuRig *r, unsigned slot);

/* Hot-plug and its reverse; the port "rp@n" is at 00:@slot.0 */
void smmu_rig_plug(SmmuRig *r, unsigned n, unsigned slot, const char *id,
                   const char *dev);
void smmu_rig_unplug(SmmuRig *r, unsigned slot, const char *id);

/* The first byte that the device reads there, or -1 if it faults */
int smmu_rig_peek(SmmuRig *r, const char *dev, const IommufdDma *how,
                  uint64_t addr);

/* Offset of the MSI-X capability */
uint8_t smmu_rig_find_msix(SmmuRig *r, uint16_t rid);
/* MSI-X vector 0 of the device at @rid goes to @addr; BAR 2 holds the table */
void smmu_rig_msix(SmmuRig *r, uint16_t rid, uint64_t addr);
/* Whether that interrupt arrives in page @page of DATA, 0x40 bytes into it */
bool smmu_rig_interrupt(SmmuRig *r, const char *dev, unsigned page);

#endif
