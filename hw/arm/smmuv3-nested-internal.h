/*
 * SMMUv3 nested translation: what its parts share
 *
 *   smmuv3-nested.c        vSMMU and assigned devices: life, reset, save
 *   smmuv3-nested-caps.c   properties against the host, then frozen
 *   smmuv3-nested-ste.c    stream table to translations of the core
 *   smmuv3-nested-cmdq.c   commands to invalidation entries
 *   smmuv3-nested-cmdqv.c  command queues of the guest's own
 *   smmuv3-nested-event.c  events of the host to the guest's event queue
 *   smmuv3-nested-window.c the window that interrupts go to
 *   smmuv3-nested-fw.c     what firmware tables have to say
 *
 * Section numbers are those of the Arm SMMU architecture specification,
 * version 3 (IHI 0070).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_NESTED_INTERNAL_H
#define HW_ARM_SMMUV3_NESTED_INTERNAL_H

#include <linux/iommufd.h>

#include "smmuv3-nested.h"
#include "hw/iommufd-queue.h"
#include "hw/iommufd-turn.h"
#include "qemu/notify.h"
#include "qemu/range.h"

/*
 * Of <linux/iommufd.h> in Linux 7.3: the device cannot do ATS; TLBI and CFGI
 * commands take effect only when they are issued twice.
 */
#define SMMUV3_NESTED_INFO_REPEAT   (1U << 0)

/* STE fields that the base has no name for (5.2) */
#define STE_S1DSS(x)        extract32((x)->word[2], 0, 2)
#define STE_EATS_FULL       1
#define STE_EATS_SPLIT      2

/* Guest commands that are counted, in the order of smmuv3_nested_commands[] */
typedef enum SMMUv3NestedCommand {
    SMMUV3_NESTED_CMD_CFGI_STE,
    SMMUV3_NESTED_CMD_CFGI_CD,
    SMMUV3_NESTED_CMD_TLBI,
    SMMUV3_NESTED_CMD_ATC_INV,
    SMMUV3_NESTED_CMD_SYNC,
    SMMUV3_NESTED_CMD_TRAPPED,  /* of these: from queues of the guest's own */
    SMMUV3_NESTED_CMD__MAX,
} SMMUv3NestedCommand;

/* Fields of the guest's IDRs that depend on the host */
typedef enum SMMUv3NestedFeatureId {
    SMMUV3_NESTED_ATS,
    SMMUV3_NESTED_RIL,
    SMMUV3_NESTED_ASID16,
    SMMUV3_NESTED_CD2L,
    SMMUV3_NESTED_GRAN4K,
    SMMUV3_NESTED_GRAN16K,
    SMMUV3_NESTED_GRAN64K,
    SMMUV3_NESTED_BBML,
    SMMUV3_NESTED_SSIDSIZE,
    SMMUV3_NESTED_FEATURE__MAX,
} SMMUv3NestedFeatureId;

/* Queues that a guest may be promised */
#define SMMUV3_NESTED_VCMDQS 8

/* Command queues of the guest's own; the rest is in SMMUv3Host.cmdqv */
typedef struct SMMUv3NestedCMDQV {
    IOMMUFDNestedQueues queues;
    MemoryRegion page0;         /* what is at queues.page, in the guest */
    bool taken;                 /* an assigned device has had a VINTF */
    /* What the guest is promised */
    uint8_t version;
    uint8_t vcmdqs_log2;
    unsigned sids;              /* devices that the host's VINTF can have */
    uint64_t base[SMMUV3_NESTED_VCMDQS];    /* VCMDQ_BASE of the host's */
    Error *blocker;             /* of migration */
    IOMMUFDNestedTold told;
} SMMUv3NestedCMDQV;

struct SMMUv3Nested {
    SMMUv3State *s;
    IOMMUFDNested *core;
    SMMUv3NestedCMDQV cmdqv;
    /* Whose commands are being carried out; from smmuv3_nested_command() on */
    SMMUQueue *q;
    /* SMMUv3NestedDevice by PCIBus and devfn, which the guest cannot change */
    GHashTable *devices;
    /* nested=auto: set by the first assigned device */
    bool decided;
    /* Nesting is on; may only be false while !frozen, or for good after */
    bool active;
    /* What the guest sees is constant from here on */
    bool frozen;
    /* Some assigned device has told what the host can do */
    bool host_seen;
    uint8_t feature[SMMUV3_NESTED_FEATURE__MAX];
    bool given[SMMUV3_NESTED_FEATURE__MAX];
    uint8_t oas;                /* encoded as in IDR5 */
    bool oas_auto;
    Range window;               /* empty: none */
    bool window_chosen;         /* it was given, or a host has told it */
    /* What was last made of CR0.SMMUEN and GBPA.ABORT */
    bool enabled;
    bool abort;
    /* The host refused something, and what that concerns is blocked */
    bool blocked;
    IOMMUFDNestedTold told_inv;
    IOMMUFDNestedTold told_label;
    /* It could not be given back: the queue stops before it goes on */
    bool stuck;
    /* A device TLB was not emptied in time, which a CMD_SYNC is to tell */
    bool atc_late;
    /* A CFGI_STE_RANGE that has been put off */
    struct {
        bool on;
        bool bad;               /* the host has refused an STE of it */
        Cmd cmd;
        uint32_t cons;          /* where it stands */
    } range;
    /* Loaded state: tables are read when bus numbers are loaded as well */
    bool stale;
    Notifier machine_done;
    VMChangeStateEntry *vm_state;
};

/* An assigned device */
typedef struct SMMUv3NestedDevice {
    SMMUv3Nested *n;
    PCIBus *bus;
    uint8_t devfn;
    IOMMUFDNestedDevice *dev;
    IOMMUFDNestedHostInfo info;
    uint16_t sid;               /* StreamID that its STE was read under */
    bool ats;                   /* the STE in force has ATS on */
    bool stage1;                /* the STE that was last read has stage 1 */
    struct iommu_hwpt_arm_smmuv3 own;   /* that STE, for the host */
    /*
     * What the core was given for it: the same, or the STE of one in its group
     * that means the same. The host has it if that is what the core says.
     * And whether it was in force before the STE was read.
     */
    struct iommu_hwpt_arm_smmuv3 s1;
    bool same;
    bool moved;                 /* it has got another stream */
    bool in_range;              /* of SMMUv3Nested.range: to be read */
    IOMMUFDNestedTold told;     /* what the host has refused it */
    IOMMUFDNestedTold told_atc;
} SMMUv3NestedDevice;

/* smmuv3-nested.c */
uint16_t smmuv3_nested_sid(const SMMUv3NestedDevice *ndev);
/* NULL: there is none, or @n is NULL */
SMMUv3NestedDevice *smmuv3_nested_device(SMMUv3Nested *n, PCIBus *bus,
                                         int devfn);

/* smmuv3-nested-caps.c */
bool smmuv3_nested_caps_realize(SMMUv3Nested *n, Error **errp);
bool smmuv3_nested_caps_freeze(SMMUv3Nested *n, Error **errp);
/* Amends the IDRs that the emulation has set up */
void smmuv3_nested_caps_idr(SMMUv3Nested *n);
/* A device that nothing is known about but that it cannot nest, and why */
bool smmuv3_nested_caps_refuse(SMMUv3Nested *n, const char *name,
                               const char *why, Error **errp);
/* Why the host cannot nest; NULL: it can */
const char *smmuv3_nested_caps_unfit(const IOMMUFDNestedHostInfo *info);
bool smmuv3_nested_caps_check(SMMUv3Nested *n, const char *name,
                              const IOMMUFDNestedHostInfo *info, Error **errp);
bool smmuv3_nested_host_ats(const IOMMUFDNestedHostInfo *info);
/* Transactions may stall on the host, where CD.S asks for it */
bool smmuv3_nested_host_stalls(const IOMMUFDNestedHostInfo *info);

/*
 * smmuv3-nested-ste.c: make the core's translations what the guest's stream
 * table says now. Return false if the host refused something; what it refused
 * is blocked, and C_BAD_STE is recorded for the guest.
 */
bool smmuv3_nested_sync_device(SMMUv3NestedDevice *ndev);
bool smmuv3_nested_sync_all(SMMUv3Nested *n);
/*
 * CDs of the device may have changed: does its group of the host still agree?
 * Return: as above.
 */
bool smmuv3_nested_sync_cds(SMMUv3NestedDevice *ndev);
/* The device goes: its group does without its CDs */
void smmuv3_nested_part(SMMUv3NestedDevice *ndev);
/* The next in the device's group of the host; NULL: there is none */
SMMUv3NestedDevice *smmuv3_nested_mate(const SMMUv3NestedDevice *ndev,
                                       const SMMUv3NestedDevice *after);
/* The device behind a StreamID; NULL: not one of ours */
SMMUv3NestedDevice *smmuv3_nested_find(SMMUv3Nested *n, uint32_t sid);
/* Tell the core what numbers devices have, and leave translations alone */
void smmuv3_nested_relabel(SMMUv3Nested *n);
/*
 * The guest has renumbered its buses, or a device has come or gone: those
 * whose StreamID is another one now, or is theirs alone only now, or no
 * longer, have the stream that they have now.
 */
void smmuv3_nested_renumbered(SMMUv3Nested *n);

/* smmuv3-nested-window.c */
bool smmuv3_nested_window_realize(SMMUv3Nested *n, Error **errp);
/* Whether the host keeps the window for itself, as the guest will have to */
bool smmuv3_nested_window_check(SMMUv3Nested *n, HostIOMMUDevice *hiod,
                                Error **errp);
bool smmuv3_nested_window_freeze(SMMUv3Nested *n, Error **errp);

/* smmuv3-nested-cmdqv.c; without cmdqv all of these do nothing else */
bool smmuv3_nested_cmdqv_realize(SMMUv3Nested *n, Error **errp);
bool smmuv3_nested_cmdqv_freeze(SMMUv3Nested *n, Error **errp);
void smmuv3_nested_cmdqv_idr(SMMUv3Nested *n);
/* iommufd_nested_device_add() */
IOMMUFDNestedDevice *smmuv3_nested_cmdqv_add(SMMUv3Nested *n,
                                             HostIOMMUDeviceIOMMUFD *idev,
                                             void *opaque, Error **errp);
/* A device is about to go, and is not among @n->devices any more */
void smmuv3_nested_cmdqv_part(SMMUv3Nested *n);

/* smmuv3-nested-cmdq.c */
/* What device TLBs hold is forgotten, without the guest asking for it */
void smmuv3_nested_forget_atcs(SMMUv3Nested *n);
void smmuv3_nested_go_on(void *opaque);
/* What the queue has put off is forgotten, see iommufd_nested_turn() */
void smmuv3_nested_cmdq_forget(SMMUv3Nested *n);
/* A loaded queue, when the VM runs: was the state saved half-way? */
void smmuv3_nested_cmdq_loaded(SMMUv3Nested *n);
extern const char *const smmuv3_nested_commands[SMMUV3_NESTED_CMD__MAX];
bool smmuv3_nested_device_tlb(const void *entry, uint32_t *label);
void smmuv3_nested_device_tlb_all(void *entry, uint32_t label);
void smmuv3_nested_device_tlb_late(void *opaque, IOMMUFDNestedDevice *dev,
                                   Error *err);

/* smmuv3-nested-event.c */
void smmuv3_nested_event(void *opaque, const void *data, size_t len);
void smmuv3_nested_events_lost(void *opaque, uint32_t count);

#endif
