/*
 * VT-d nested translation: what its parts share
 *
 *   intel_iommu_nested.c       vIOMMU and assigned devices: life, reset, save
 *   intel_iommu_nested_caps.c  properties against the host, then frozen
 *   intel_iommu_nested_ctx.c   root, context and PASID tables, read
 *   intel_iommu_nested_ss.c    second-stage tables, read
 *   intel_iommu_nested_sync.c  tables to translations of the core
 *   intel_iommu_nested_inv.c   invalidation descriptors to entries
 *   intel_iommu_nested_pri.c   page requests and their responses
 *
 * Section numbers are those of the VT-d specification, revision 4.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_NESTED_INTERNAL_H
#define HW_I386_INTEL_IOMMU_NESTED_INTERNAL_H

#include "intel_iommu_nested.h"
#include "hw/iommufd-shadow.h"
#include "hw/iommufd-turn.h"
#include "qemu/notify.h"

/* ECAP_REG and CAP_REG bits that the base has no name for (11.4.2, 11.4.3) */
#define VTD_ECAP_NEST               (1ULL << 26)
#define VTD_ECAP_NWFS               (1ULL << 33)
#define VTD_ECAP_PSS_SHIFT          35
#define VTD_ECAP_PSS_MASK           (0x1fULL << VTD_ECAP_PSS_SHIFT)
#define VTD_ECAP_PDS                (1ULL << 42)
#define VTD_INV_DESC_WAIT_PD        (1ULL << 7)
#define VTD_ECAP_SSADS              (1ULL << 45)
#define VTD_ECAP_SMPWC              (1ULL << 48)
#define VTD_HOST_AW_57BIT           57
#define VTD_CAP_SAGAW_57BIT         (0x8ULL << VTD_CAP_SAGAW_SHIFT)

/* Fault reasons that the base has no name for (7.1.3) */
enum {
    VTD_FR_SM_ROOT_ACCESS = 0x38,
    VTD_FR_SM_ROOT_P = 0x39,
    VTD_FR_SM_ROOT_RSVD = 0x3a,
    VTD_FR_SM_CONTEXT_ACCESS = 0x40,
    VTD_FR_SM_CONTEXT_P = 0x41,
    VTD_FR_SM_CONTEXT_RSVD = 0x42,
    VTD_FR_SM_CONTEXT_PASIDE = 0x45,
    VTD_FR_SM_CONTEXT_PDTS = 0x46,
    VTD_FR_SM_CONTEXT_RID_PASID = 0x48,
    VTD_FR_SM_PASID_DIR_RSVD = 0x52,
    VTD_FR_SM_PASID_ENTRY_RSVD = 0x5a,
    /* Not ones that are ever recorded: a shadow is not ready yet, ... */
    VTD_FR_NESTED_LATE = 0xfe,
    /* ... two devices have one requester id */
    VTD_FR_NESTED_AMBIGUOUS = 0xff,
};

/* Guest commands that are counted, in the order of vtd_nested_commands[] */
typedef enum VTDNestedCommand {
    VTD_NESTED_CMD_CONTEXT,
    VTD_NESTED_CMD_PASID_CACHE,
    VTD_NESTED_CMD_IOTLB,
    VTD_NESTED_CMD_PIOTLB,
    VTD_NESTED_CMD_DEVICE_TLB,
    VTD_NESTED_CMD_WAIT,
    VTD_NESTED_CMD_PAGE_RESPONSE,
    VTD_NESTED_CMD__MAX,
} VTDNestedCommand;

/* A second-stage table; compared as bytes, so no padding */
typedef struct VTDNestedSecondStage {
    uint64_t root;
    uint64_t levels;
} VTDNestedSecondStage;

/* What a context or PASID-table entry makes of a request */
typedef struct VTDNestedEntry {
    IOMMUFDNestedState state;
    uint8_t fault;              /* BLOCKED: VTDFaultReason */
    bool present;               /* BLOCKED: there is an entry, but bad */
    bool fpd;                   /* its faults are not to be reported */
    uint16_t did;
    struct iommu_hwpt_vtd_s1 s1;    /* STAGE1 */
    VTDNestedSecondStage ss;        /* SHADOW */
} VTDNestedEntry;

/* A device's context entry */
typedef struct VTDNestedContext {
    bool scalable;              /* go on to the PASID table */
    VTDNestedEntry entry;       /* what it is if not */
    dma_addr_t pasid_dir;
    uint32_t pasids;            /* PASIDs that the directory has room for */
    uint32_t rid_pasid;
    bool pasid_enable;
    bool device_tlb;
    bool page_requests;
} VTDNestedContext;

/* An assigned device */
typedef struct VTDNestedDevice {
    VTDNested *n;
    PCIBus *bus;
    uint8_t devfn;
    IOMMUFDNestedDevice *dev;
    IOMMUFDNestedHostInfo info;
    uint16_t sid;               /* label that the tables were read under */
    uint32_t rid_pasid;         /* RID_PASID that the RID was last read under */
    IOMMUFDNestedTold told;     /* what the host has refused it */
    IOMMUFDNestedTold told_kind;    /* guest tables of other kinds */
    bool dirty;                 /* in VTDNested.dirty */
    QTAILQ_ENTRY(VTDNestedDevice) dirty_next;
} VTDNestedDevice;

/*
 * A look at all that the tables say of a device, each PASID once: those that
 * the core knows, which may have gone and make room, then those that are new.
 * Or at what was read with a domain-id, of whatever device.
 */
typedef struct VTDNestedLook {
    VTDNested *n;               /* NULL: none is under way */
    VTDNestedDevice *vdev;      /* NULL: of a domain, and none of it is found */
    bool domain;                /* see iommufd_nested_walk() */
    VTDNestedContext ctx;
    bool ok;                    /* so far the host has refused nothing */
    unsigned long *known;       /* by PASID; NULL: none */
    uint32_t next_known;        /* where to go on with these */
    uint32_t table;             /* first PASID of the table we are in */
    uint64_t present;           /* its entries that are to be looked at */
    uint32_t next_table;        /* where to look for the next one */
    bool rid;                   /* is to be looked at, first */
    bool found;                 /* @entry, of @pasid, is to be applied */
    uint32_t pasid;
    VTDNestedEntry entry;
} VTDNestedLook;

/*
 * What the guest asked for by registers, and is under way: bits of registers
 * that tell it so. Those of devices (@on alone) have none.
 */
typedef struct VTDNestedAsked {
    bool on;
    uint32_t gsts;
    uint64_t ccmd, iotlb;
} VTDNestedAsked;

struct VTDNested {
    IntelIOMMUState *s;
    IOMMUFDNested *core;
    /* VTDNestedDevice by PCIBus and devfn, which the guest cannot change */
    GHashTable *devices;
    /* nested=auto: set by the first assigned device */
    bool decided;
    /* Not given, and fsts=on: the base's until there is an assigned device */
    bool by_fsts;
    /* Nesting is on; only with @by_fsts does it come on once @frozen */
    bool active;
    /* svm=on of QEMU 11.1: no-write translation requests */
    bool nwfs;
    /* What the guest sees is constant from here on */
    bool frozen;
    /* What the machine type has without nesting */
    uint8_t base_aw_bits;
    /* Some assigned device has told what the host can do */
    bool host_seen;
    /* Width of PASIDs that ECAP.PSS tells, 0: none */
    uint8_t pasid_bits;
    /* Devices that the guest's commands want looked at, and where that is */
    QTAILQ_HEAD(, VTDNestedDevice) dirty;
    GHashTable *dirty_domains;  /* a set of domain-ids */
    VTDNestedLook look;
    /* What was put off comes first: entries from before */
    bool going_on;
    /* The host has refused something that the queue has to stop for */
    bool bad;
    /* It has done so; what that concerns is blocked */
    bool refused;
    /* The guest wants it to go on: everything is looked at before */
    bool recovering;
    IOMMUFDNestedTold told_inv;
    IOMMUFDNestedTold told_label;
    IOMMUFDNestedTold told_follower;
    /*
     * Of the queue: the first descriptor that has been looked at and that no
     * wait descriptor, page group response or end of the queue came behind
     */
    bool unconfirmed;
    uint16_t first_unconfirmed; /* valid if @unconfirmed */
    VTDNestedAsked asked;
    /* Loaded state: tables are read when bus numbers are loaded as well */
    bool stale;
    Notifier machine_done;
    VMChangeStateEntry *vm_state;
};

/* PASIDs for which one directory entry stands */
#define VTD_NESTED_TABLE_PASIDS     64
#define VTD_NESTED_NO_TABLE         UINT32_MAX

/* intel_iommu_nested_ctx.c: no state, no effect but on the results */
void vtd_nested_read_context(IntelIOMMUState *s, uint16_t sid,
                             VTDNestedContext *ctx);
void vtd_nested_read_pasid(IntelIOMMUState *s, const VTDNestedContext *ctx,
                           uint32_t pasid, VTDNestedEntry *entry);
/* The same for requests without PASID; @ctx is scalable */
void vtd_nested_read_rid(IntelIOMMUState *s, const VTDNestedContext *ctx,
                         VTDNestedEntry *entry);
/*
 * The next PASID table that is there, for PASIDs @from to @limit; @from is a
 * multiple of VTD_NESTED_TABLE_PASIDS. Sets bits in @present for entries that
 * are. Return: the first PASID of the table, or VTD_NESTED_NO_TABLE.
 */
uint32_t vtd_nested_next_table(IntelIOMMUState *s, const VTDNestedContext *ctx,
                               uint32_t from, uint32_t limit,
                               uint64_t *present);
const char *vtd_nested_reason(uint8_t fault);
/* Make @entry one that blocks; @present: there is an entry, but bad */
void vtd_nested_fault(VTDNestedEntry *entry, uint8_t fault, bool present);

/* intel_iommu_nested_ss.c */
/* @aw: field of an entry. Return: false: there is no such width */
bool vtd_nested_ss(IntelIOMMUState *s, uint64_t root, unsigned aw,
                   VTDNestedSecondStage *ss);
uint64_t vtd_nested_ss_last(const VTDNestedSecondStage *ss);
/*
 * How the host is to make what shadows them; bits of the addresses that it has
 * room for then
 */
uint32_t vtd_nested_shadow_flags(const IOMMUFDNestedHostInfo *info);
unsigned vtd_nested_shadow_width(const IOMMUFDNestedHostInfo *info);
IOMMUFDNestedShadowNext vtd_nested_ss_next;

/*
 * intel_iommu_nested_sync.c: make the core's translations what the guest's
 * tables say now. Return false if the host refused something; what it refused
 * is blocked, and the fault is recorded for the guest.
 */
bool vtd_nested_sync_device(VTDNestedDevice *vdev);
bool vtd_nested_sync_pasid_value(VTDNested *n, uint32_t pasid);
bool vtd_nested_sync_all(VTDNested *n);
/* After a device has come or gone: who has, or had, its requester id as well */
void vtd_nested_sync_claims(VTDNested *n, PCIBus *bus, int devfn);
/* A device is to be looked at by the next vtd_nested_look(), once */
void vtd_nested_dirty(VTDNestedDevice *vdev);
void vtd_nested_dirty_all(VTDNested *n);
/* Devices whose requester id equals @sid but for the bits of @mask */
void vtd_nested_dirty_sid(VTDNested *n, uint16_t sid, uint16_t mask);
/* All of them, for shadows that take longer than can be waited for */
void vtd_nested_shadow_late(void *opaque);
/* What was read with this domain-id; all, if that may be what is new */
void vtd_nested_dirty_domain(VTDNested *n, uint16_t did);
bool vtd_nested_is_dirty(const VTDNested *n);
/*
 * As much of that as a turn has room for; sets @n->bad if the host refused
 * something. Return: false: to be continued, iommufd_nested_turn().
 */
bool vtd_nested_look(VTDNested *n);
/* No look at @vdev (NULL: at anybody) is wanted or under way any more */
void vtd_nested_look_no_more(VTDNested *n, VTDNestedDevice *vdev);
/* The core has blocked a RID or PASID by itself: let a fault tell the guest */
void vtd_nested_record_blocked(VTDNestedDevice *vdev, uint32_t pasid);
/* The guest may have renumbered its buses */
void vtd_nested_relabel(VTDNested *n);
/* The device behind a guest requester id; NULL: not one of ours */
VTDNestedDevice *vtd_nested_find(VTDNested *n, uint16_t sid);

/* intel_iommu_nested.c */
VTDNestedDevice *vtd_nested_device(VTDNested *n, PCIBus *bus, int devfn);
/* State that guest software controls in the (emulated) capabilities */
bool vtd_nested_pasid_enabled(const VTDNestedDevice *vdev);
bool vtd_nested_pri_enabled(const VTDNestedDevice *vdev);

/* intel_iommu_nested_caps.c */
/* Is nesting what fsts=on asks for? */
bool vtd_nested_is_by_fsts(IntelIOMMUState *s);
/* What is neither nested nor by fsts=on, and has no VTDNested */
bool vtd_nested_caps_realize_off(IntelIOMMUState *s, Error **errp);
bool vtd_nested_caps_realize(VTDNested *n, Error **errp);
void vtd_nested_caps_freeze(VTDNested *n);
/* @by_fsts: @name is the first assigned device, or may be */
bool vtd_nested_caps_by_fsts(VTDNested *n, const char *name, Error **errp);
/* A device that nothing is known about but that it cannot nest, and why */
bool vtd_nested_caps_refuse(VTDNested *n, const char *name, const char *why,
                            Error **errp);
void vtd_nested_caps_shadow(VTDNested *n, HostIOMMUDevice *hiod);
bool vtd_nested_caps_check(VTDNested *n, const char *name,
                           const IOMMUFDNestedHostInfo *info, Error **errp);
/* Registers of a loaded state. Return: false: they are not ours; told */
bool vtd_nested_caps_loaded(VTDNested *n, uint64_t cap, uint64_t ecap);

/* intel_iommu_nested_inv.c */
/* Registers of @vdev (NULL: of a bridge) have changed: look at it in turns */
void vtd_nested_ask_device(VTDNested *n, VTDNestedDevice *vdev);
/* State is about to be saved, or has been (@saved) */
void vtd_nested_asked_save(VTDNested *n, bool saved);
/* What has been put off is forgotten, see iommufd_nested_turn() */
void vtd_nested_inv_forget(VTDNested *n);
void vtd_nested_inv_go_on(void *opaque);
/* A loaded queue, when the VM runs: was the state saved half-way? */
void vtd_nested_inv_loaded(VTDNested *n);
extern const char *const vtd_nested_commands[VTD_NESTED_CMD__MAX];
extern const struct iommu_hwpt_vtd_s1_invalidate vtd_nested_everything;
IOMMUFDNestedRelation vtd_nested_relation(const void *first,
                                          const void *second);

/* intel_iommu_nested_pri.c */
IOMMUFDNestedPageVerdict
vtd_nested_page_group(void *opaque, const IOMMUFDNestedPageGroup *group);
/* For an assigned device, and as it should be? */
bool vtd_nested_is_page_response(VTDNested *n, const VTDInvDesc *desc);
/* Such a one; iommufd_nested_page_flush() is to follow */
void vtd_nested_page_response(VTDNested *n, const VTDInvDesc *desc);

/* Registers */
static inline uint32_t vtd_nested_reg32(const IntelIOMMUState *s, hwaddr reg)
{
    return ldl_le_p(&s->csr[reg]);
}

static inline uint64_t vtd_nested_reg64(const IntelIOMMUState *s, hwaddr reg)
{
    return ldq_le_p(&s->csr[reg]);
}

#endif
