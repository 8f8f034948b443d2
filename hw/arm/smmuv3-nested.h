/*
 * SMMUv3 nested translation: what smmuv3.c and smmu-common.c call
 *
 * With nesting the guest's stage-1 page tables are walked by the host's SMMU
 * for assigned devices. The emulation in smmuv3.c keeps the registers, the
 * queues and the emulated endpoints; the calls below tell the nested side
 * about what the guest did. All are made with the BQL held.
 *
 * Without nesting SMMUv3State.nested is NULL and every call that does not say
 * otherwise returns at once, with success.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_NESTED_H
#define HW_ARM_SMMUV3_NESTED_H

#include "hw/arm/smmuv3.h"
#include "hw/pci/nested.h"
#include "hw/pci/pci.h"
#include "smmuv3-internal.h"

typedef struct SMMUv3Nested SMMUv3Nested;
struct IOMMUFDNestedHostInfo;
struct IOMMUFDNestedParent;

/*
 * In place of an error: the queue stops for now, at CMDQ_CONS, and goes on in a
 * bottom half, smmuv3_cmdq_consume(). No error has this code: they have 7 bits.
 */
#define SMMUV3_NESTED_PUT_OFF ((SMMUCmdError)0x80)

/* ------------------------------------------------------------------ life */

/* Called with nested=off too: the property "accel" */
void smmuv3_nested_instance_init(Object *obj);

/* Called with nested=off too: properties that only nesting has are refused */
bool smmuv3_nested_realize(SMMUv3State *s, Error **errp);

/* At the end of smmuv3_init_regs(): amends the IDRs, resets the host's side */
void smmuv3_nested_reset(SMMUv3State *s);

int smmuv3_nested_pre_save(void *opaque);
int smmuv3_nested_post_load(void *opaque, int version_id);
/* The IDRs, which the other side must have as well */
extern const VMStateDescription vmstate_smmuv3_nested;
/* So is the window for interrupts, which is in the guest's tables */
extern const VMStateDescription vmstate_smmuv3_nested_window;

/* ---------------------------------------------------------- host devices */

/* Of PCIIOMMUOps; @opaque is the SMMUState */
bool smmuv3_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                               const char *name,
                               const struct IOMMUFDNestedHostInfo *info,
                               struct IOMMUFDNestedParent *parent,
                               Error **errp);
bool smmuv3_nested_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp);
void smmuv3_nested_unset_iommu_device(PCIBus *bus, void *opaque, int devfn);
bool smmuv3_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                                PCINestedFeatures *features);
/*
 * A bridge has another secondary bus number: whoever is behind it, emulated
 * or not, has another StreamID. Does its work with nested=off too.
 */
void smmuv3_nested_changed(PCIBus *bus, void *opaque, int devfn);

/* -------------------------------------------------------- guest commands */

/* After a write to CR0 or GBPA */
void smmuv3_nested_enable_changed(SMMUv3State *s);

/*
 * Before the emulation carries out a command.
 *
 * @q: the queue that it is from, the SMMU's own or one of the CMDQV
 *
 * Return: SMMU_CERROR_NONE to go on, SMMUV3_NESTED_PUT_OFF, or an error, which
 * stops the queue at its CONS. That may have been set back to an earlier
 * command that the host refused.
 */
SMMUCmdError smmuv3_nested_command(SMMUv3State *s, SMMUQueue *q,
                                   const Cmd *cmd);

/*
 * At the end of the queue, or where it stopped because of @error: nothing
 * stays behind. Return: @error, none for SMMUV3_NESTED_PUT_OFF, or that of an
 * earlier command.
 */
SMMUCmdError smmuv3_nested_flush(SMMUv3State *s, SMMUQueue *q,
                                 SMMUCmdError error);

/*
 * For the emulation's own walk, with nested=off too: the CD of a request
 * without SubstreamID. Return: false: C_BAD_SUBSTREAMID.
 */
bool smmuv3_nested_cd(const STE *ste, dma_addr_t *addr);

/*
 * Whether an STE may have substreams; says in @cfg what S1DSS makes of a
 * request without one.
 */
bool smmuv3_nested_substreams(SMMUv3State *s, const STE *ste,
                              SMMUTransCfg *cfg);

/*
 * After a write to GERRORN. If CMDQ_ERR was acknowledged, what was blocked
 * for it gets its translation back.
 */
void smmuv3_nested_resume(SMMUv3State *s);

/* ----------------------------------- queues of the guest's own (cmdqv=on) */

/* SMMUv3Host.cmdqv is one for a guest, and new */
void smmuv3_nested_cmdqv_init(SMMUv3State *s);

/* There are other notifiers of emulated endpoints than before */
void smmuv3_nested_cmdqv_changed(SMMUv3State *s);

/* Before a translation of an emulated endpoint; with the mutex held */
void smmuv3_nested_cmdqv_translate(SMMUv3State *s);

#endif
