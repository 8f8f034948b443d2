/*
 * Nested vIOMMUs under test: what the rigs of all architectures share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_RIG_H
#define TESTS_QTEST_NESTED_RIG_H

#include "../libqtest.h"
#include "../libqos/iommufd-model.h"

/* Host devices; the guest has them at 00:04.0, 00:05.0, ... */
#define HOST_DEV0   "0000:01:00.0"
#define HOST_DEV1   "0000:02:00.0"
#define HOST_DEV2   "0000:03:00.0"
#define HOST_DEV3   "0000:04:00.0"

/* Sections of the model's configuration for a host with @num devices */
char *nested_rig_host(const char *arch, unsigned num, const char *iommu,
                      const char *device);

/*
 * Of x-query-nested-iommu's first vIOMMU; @kind: "commands", "counters" or
 * "errors"
 */
uint64_t nested_rig_counter(QTestState *qts, const char *kind,
                            const char *name);

/* Arguments that give the machine @num of them in root bus @bus */
char *nested_rig_devices(unsigned num, const char *bus);

/*
 * QEMU has to end with a message that has all of the words, up to a NULL, but
 * none that is behind a "!": @args are those of the machine and its devices
 */
void nested_rig_expect_refusal(const char *host, const char *args, ...)
    G_GNUC_NULL_TERMINATED;

/*
 * A file of that name, which is not there yet, in a folder of its own; both are
 * removed by the other call
 */
char *nested_rig_scratch(const char *name);
void nested_rig_scratch_remove(const char *file);

/* How often the file has @words */
unsigned nested_rig_said(const char *file, const char *words);

/* The first byte that the device reads there, or -1 if it faults */
int nested_rig_peek(IommufdModel *m, const char *dev, const IommufdDma *how,
                    uint64_t addr);

/*
 * Configuration space by way of the ECAM window at @ecam; @rid on bus 0 or on
 * a bus that has been numbered
 */
uint64_t nested_rig_config_addr(uint64_t ecam, uint16_t rid, unsigned reg);
uint32_t nested_rig_config_read(QTestState *qts, uint64_t ecam, uint16_t rid,
                                unsigned reg);
void nested_rig_config_write(QTestState *qts, uint64_t ecam, uint16_t rid,
                             unsigned reg, uint32_t value);
/* Number the bus behind the root port @rid */
void nested_rig_number(QTestState *qts, uint64_t ecam, uint16_t rid,
                       uint8_t bus);
/* Offset of a capability, and of the PCI Express one */
unsigned nested_rig_cap(QTestState *qts, uint64_t ecam, uint16_t rid,
                        uint8_t id);
unsigned nested_rig_pcie_cap(QTestState *qts, uint64_t ecam, uint16_t rid);

/*
 * Native hot-plug into the root port "rp@n": the device appears, the guest
 * powers the slot of the port with requester id @port, takes the power away
 */
void nested_rig_plug(QTestState *qts, unsigned n, const char *id,
                     const char *dev);
void nested_rig_power(QTestState *qts, uint64_t ecam, uint16_t port);
/* Why it cannot be plugged */
char *nested_rig_plug_refusal(QTestState *qts, unsigned n, const char *id,
                              const char *dev);
/* The device is gone when this returns */
void nested_rig_unplug(QTestState *qts, uint64_t ecam, uint16_t port,
                       const char *id);

/*
 * A migration of the VM does not end, as the state of its devices is more than
 * is allowed for; then it may
 */
void nested_rig_endless(QTestState *qts);
void nested_rig_let_it_end(QTestState *qts);
/* Everything that is dirty now has been sent when this returns */
void nested_rig_wait_pass(QTestState *qts);

/*
 * The VM gets a place for its state; then "snapshot-save" and "snapshot-load",
 * after which it runs again
 */
void nested_rig_snapshots(QTestState *qts);
void nested_rig_snapshot(QTestState *qts, const char *what);

/* Waits for the end of an outgoing migration. Returns: is it complete? */
bool nested_rig_migrated(QTestState *qts);

#endif
