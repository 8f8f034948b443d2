/*
 * SMMUv3 as the SMMU of an emulated host that can nest
 *
 * The features that a Linux host wants of its SMMU before it nests a guest or
 * shares address spaces of processes with devices, and that the emulation in
 * smmuv3.c lacks. All of them are off by default. This is the other end of
 * smmuv3-nested.h, where the vSMMU of a guest makes use of a host that has
 * them.
 *
 *   smmuv3-host.c        properties, IDRs, commands
 *   smmuv3-substream.c   CD tables and cached configurations of substreams
 *   smmuv3-ats.c         translation requests, translated transactions, ATCs
 *   smmuv3-keep.c        caches of host-keep=on
 *   smmuv3-walks.c       walk caches of host-keep=on
 *   tegra241-cmdqv-host.c  command queues of host-cmdqv=on
 *
 * Section numbers are those of the Arm SMMU architecture specification,
 * version 3 (IHI 0070).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_HOST_H
#define HW_ARM_SMMUV3_HOST_H

#include "hw/arm/smmuv3.h"
#include "hw/pci/pci.h"
#include "smmuv3-internal.h"

/*
 * Tables and configuration are in memory: nothing else is read for them. With
 * or without the properties.
 */
#define SMMUV3_TABLE_ATTRS ((MemTxAttrs) { .memory = 1 })

/* ------------------------------------------------- provided by smmuv3.c */

int decode_ste(SMMUv3State *s, SMMUTransCfg *cfg, STE *ste,
               SMMUEventInfo *event);
int smmu_get_cd(SMMUv3State *s, STE *ste, SMMUTransCfg *cfg, CD *buf,
                SMMUEventInfo *event);
SMMUTransCfg *smmuv3_get_config(SMMUDevice *sdev, SMMUEventInfo *event);
SMMUTranslationStatus smmuv3_do_translate(SMMUv3State *s, hwaddr addr,
                                          SMMUTransCfg *cfg,
                                          SMMUEventInfo *event,
                                          IOMMUAccessFlags flag,
                                          SMMUTLBEntry **out_entry,
                                          SMMUTranslationClass class);

/* What a cached translation permits */
static inline IOMMUAccessFlags smmu_tlbe_perm(const SMMUTransCfg *cfg,
                                              const SMMUTLBEntry *tlbe)
{
    return tlbe->entry.perm & tlbe->parent_perm &
           (cfg->unprivileged ? tlbe->el0_perm : IOMMU_RW);
}

/* -------------------------------------------------------- smmuv3-spec.c */

bool smmuv3_event_elsewhere(SMMUv3State *s, const Evt *evt);
bool smmuv3_write_guarded(SMMUv3State *s, hwaddr offset);

/* -------------------------------------------------------- smmuv3-host.c */

/**
 * smmuv3_host_realize: check the properties host-* against each other, and
 * against those of nested translation.
 */
bool smmuv3_host_realize(SMMUv3State *s, Error **errp);

/* At the end of smmuv3_init_regs(): adds to the IDRs, forgets the rest */
void smmuv3_host_reset(SMMUv3State *s);

/* The IDRs, which the other side must have as well */
extern const VMStateDescription vmstate_smmuv3_host;

/* The endpoint that an operation of PCIIOMMUOps is about; NULL: none */
SMMUDevice *smmuv3_host_sdev(PCIBus *bus, void *opaque, int devfn);

/* Whether an STE with a stage of translation is ILLEGAL for what is here */
bool smmuv3_host_ste_illegal(SMMUv3State *s, const STE *ste);

/* Adds to an event record what is known of the request's substream */
void smmuv3_host_event(const SMMUEventInfo *info, Evt *evt);

/*
 * Before the emulation carries out a command; with the BQL, without mutex. May
 * return SMMUV3_NESTED_PUT_OFF: the queue goes on from a bottom half. @cmd is
 * changed to what a queue of a guest makes of it.
 */
SMMUCmdError smmuv3_host_command(SMMUv3State *s, SMMUQueue *q, Cmd *cmd);

/* smmuv3_queue_consume() of the SMMU's own queue */
int smmuv3_cmdq_consume(SMMUv3State *s);

/* Of a command queue, the SMMU's own or one of the CMDQV; GERROR ^ GERRORN */
bool smmuv3_queue_enabled(SMMUv3State *s, const SMMUQueue *q);
uint32_t smmuv3_queue_pending(SMMUv3State *s, const SMMUQueue *q);

/* CMD_CFGI_CD and _ALL, as far as requests without a SubstreamID go */
void smmuv3_host_flush_cd(SMMUDevice *sdev, const Cmd *cmd);

/* --------------------------------------------------- smmuv3-substream.c */

/*
 * Those that take an @event: it says whose request it is (sid, ssv, ssid) and
 * is given its type when they return false. Called with the mutex held.
 */

/**
 * smmuv3_substream_select: which stages a request uses, with a SubstreamID or
 * without one where there are some (STE.S1DSS). Amends @cfg.
 */
bool smmuv3_substream_select(SMMUv3State *s, const STE *ste, SMMUTransCfg *cfg,
                             SMMUEventInfo *event);

/**
 * smmuv3_substream_cd: find the context descriptor of a request.
 * @addr: its address; an IPA where stage 2 is used as well
 */
bool smmuv3_substream_cd(SMMUv3State *s, const STE *ste, SMMUTransCfg *cfg,
                         SMMUEventInfo *event, dma_addr_t *addr);

/* Of PCIIOMMUOps; takes the mutex itself */
bool smmuv3_substream_translate(PCIBus *bus, void *opaque, int devfn,
                                uint32_t pasid, hwaddr addr, bool is_write,
                                IOMMUTLBEntry *entry);

/* The cached configuration of a substream; NULL: none */
SMMUTransCfg *smmuv3_substream_find(SMMUDevice *sdev, uint32_t ssid);

/* Take @cfg over, which is valid until the next call or invalidation */
void smmuv3_substream_keep(SMMUDevice *sdev, uint32_t ssid, SMMUTransCfg *cfg);

/* Substreams of the StreamIDs from @first to @last */
#define SMMUV3_SUBSTREAM_ALL    UINT32_MAX
void smmuv3_substream_drop(SMMUv3State *s, uint32_t first, uint32_t last,
                           uint32_t ssid);

/* -------------------------------------------------------- smmuv3-keep.c */

/* All with the mutex held, but for the first */
void smmuv3_keep_init(SMMUv3State *s);

typedef enum SMMUv3Kept {
    SMMUV3_KEPT_L1STD,          /* by first StreamID and their bits */
    SMMUV3_KEPT_STE,
    SMMUV3_KEPT_CD,             /* by SubstreamID */
    SMMUV3_KEPT_L1CD_4K,        /* by index in their table */
    SMMUV3_KEPT_L1CD_64K,
} SMMUv3Kept;
#define SMMUV3_KEPT_MAX         64

/* A structure in guest memory as it was when it was read last */
bool smmuv3_keep_find(SMMUv3State *s, SMMUv3Kept kind, uint32_t sid,
                      uint32_t index, void *data, size_t len);
/* Does nothing without host-keep */
void smmuv3_keep_add(SMMUv3State *s, SMMUv3Kept kind, uint32_t sid,
                     uint32_t index, const void *data, size_t len);

typedef enum SMMUv3KeepDrop {
    SMMUV3_KEEP_DROP_L1STDS = 1,
    SMMUV3_KEEP_DROP_STES = 2,
    SMMUV3_KEEP_DROP_L1CDS = 4,
} SMMUv3KeepDrop;

/* CDs of a range of StreamIDs, and @more; @ssid may be SMMUV3_SUBSTREAM_ALL */
void smmuv3_keep_drop(SMMUv3State *s, uint32_t first, uint32_t last,
                      uint32_t ssid, SMMUv3KeepDrop more);

/* Descriptor of a leaf stream table, smmu_find_ste(), smmu_get_cd(): cached */
MemTxResult smmuv3_keep_l1std(SMMUv3State *s, uint32_t sid, hwaddr addr,
                              STEDesc *desc);
int smmuv3_keep_ste(SMMUv3State *s, uint32_t sid, STE *ste,
                    SMMUEventInfo *event);
int smmuv3_keep_cd(SMMUv3State *s, STE *ste, SMMUTransCfg *cfg, CD *cd,
                   SMMUEventInfo *event);

/* The TLB is as full as it gets without host-keep */
void smmuv3_keep_make_room(SMMUState *bs);

/* smmuv3_do_translate(), and on a TLB miss pages around @addr as well */
SMMUTranslationStatus smmuv3_keep_request(SMMUv3State *s, hwaddr addr,
                                          SMMUTransCfg *cfg,
                                          SMMUEventInfo *event,
                                          IOMMUAccessFlags flag,
                                          SMMUTLBEntry **entry,
                                          SMMUTranslationClass class);

/*
 * The same for an untranslated request; @entry: iova, and no permission, is
 * amended on success
 */
SMMUTranslationStatus smmuv3_keep_translate(IOMMUMemoryRegion *mr, hwaddr addr,
                                            SMMUTransCfg *cfg,
                                            SMMUEventInfo *event,
                                            IOMMUAccessFlags flag,
                                            IOMMUTLBEntry *entry);

/* Some entry of a cache that is full */
void smmuv3_keep_drop_one(GHashTable *cache);

/*
 * With the BQL, without mutex. Is there a record of such an event at the end of
 * the queue, which does for @evt as well?
 */
bool smmuv3_keep_merged(SMMUv3State *s, const Evt *evt);

/* ------------------------------------------------------- smmuv3-walks.c */

/* All with the mutex held, but for the first */
void smmuv3_walks_init(SMMUv3State *s);

/**
 * smmuv3_walk_start: where a walk starts.
 * @start: first level of the tables
 * @base: set to the table's address, if it is one of another level
 * @no_write, @no_el0: what APTable on the way to it has taken; NULL for stage 2
 *
 * Returns: the level of the table.
 */
int smmuv3_walk_start(SMMUState *bs, const SMMUTransCfg *cfg, bool s2,
                      uint64_t addr, unsigned granule, int start,
                      uint64_t *base, bool *no_write, bool *no_el0);
/* A walk for @addr has found a table of @level at @base */
void smmuv3_walk_table(SMMUState *bs, const SMMUTransCfg *cfg, bool s2,
                       uint64_t addr, unsigned granule, int level,
                       uint64_t base, bool no_write, bool no_el0);
/* smmu_ptw() by stage 2 of a nested stream, which the TLB may know */
int smmuv3_walk_ipa(SMMUState *bs, SMMUTransCfg *cfg, dma_addr_t ipa,
                    IOMMUAccessFlags perm, SMMUTLBEntry *tlbe,
                    SMMUPTWEventInfo *info);
/* TLBI commands; others do nothing */
void smmuv3_walks_command(SMMUv3State *s, const Cmd *cmd);

/* --------------------------------------------------------- smmuv3-ats.c */

/* Of PCIIOMMUOps; @opaque is the SMMUState. All with the BQL held. */
void smmuv3_ats_get_info(void *opaque, uint8_t *addr_width,
                         uint32_t *min_page_size);
void smmuv3_ats_init_notifier(PCIBus *bus, void *opaque, int devfn,
                              IOMMUNotifier *n, IOMMUNotify fn,
                              void *user_opaque);
/* Without host-ats @n stays out of any list */
void smmuv3_ats_register_notifier(PCIBus *bus, void *opaque, int devfn,
                                  uint32_t pasid, IOMMUNotifier *n);
void smmuv3_ats_unregister_notifier(PCIBus *bus, void *opaque, int devfn,
                                    uint32_t pasid, IOMMUNotifier *n);
ssize_t smmuv3_ats_request(PCIBus *bus, void *opaque, int devfn,
                           uint32_t pasid, bool priv_req, bool exec_req,
                           hwaddr addr, size_t length, bool no_write,
                           IOMMUTLBEntry *result, size_t result_length,
                           uint32_t *err_count);

/* CMD_ATC_INV */
SMMUCmdError smmuv3_ats_invalidate(SMMUv3State *s, const Cmd *cmd);

/* ------------------------------------------------ tegra241-cmdqv-host.c */

/* Which of the SysBusDevice's its registers and its interrupt are */
#define TEGRA241_CMDQV_HOST_MMIO    1
#define TEGRA241_CMDQV_HOST_IRQ     4

extern const VMStateDescription vmstate_tegra241_cmdqv_host;

/*
 * At the end of realize. Without host-cmdqv, or cmdqv with nesting, this and
 * the next do nothing.
 */
void tegra241_cmdqv_host_init(SMMUv3State *s);
void tegra241_cmdqv_host_reset(SMMUv3State *s);

/* Of a queue of the CMDQV: whether it runs, GERROR ^ GERRORN */
bool tegra241_cmdqv_host_enabled(SMMUv3State *s, const SMMUQueue *q);
uint32_t tegra241_cmdqv_host_pending(const SMMUQueue *q);

/**
 * tegra241_cmdqv_host_command: what a command of a queue of the CMDQV is
 * @cmd: gets VMID and StreamID of the queue's owner
 *
 * Returns: whether its owner may give it
 */
bool tegra241_cmdqv_host_command(SMMUv3State *s, const SMMUQueue *q, Cmd *cmd);

/* Whether a queue that the hypervisor does not own may hold that */
bool tegra241_cmdqv_guest_may(const Cmd *cmd);

/* Whether @q is a queue of the CMDQV: it stops, and tells of @error */
bool tegra241_cmdqv_host_error(SMMUv3State *s, SMMUQueue *q,
                               SMMUCmdError error);

/* Go on with all of them as far as the turn goes, each once the first */
void tegra241_cmdqv_host_go_on(SMMUv3State *s);

#endif
