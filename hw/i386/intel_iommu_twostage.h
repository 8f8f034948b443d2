/*
 * Intel VT-d with first-stage, second-stage, nested and pass-through
 * translation chosen by each PASID entry
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * intel_iommu_twostage.c        capabilities and the calls of intel_iommu.c
 * intel_iommu_twostage_table.c  root, context and PASID entries
 * intel_iommu_twostage_walk.c   the walks of both stages
 * intel_iommu_twostage_tlb.c    cached translations, invalidation descriptors
 * intel_iommu_twostage_fault.c  fault records and page requests
 * intel_iommu_twostage_atc.c    who uses PASIDs: device TLBs, page responses
 *
 * All of it works on a scalable-mode root table only; legacy mode stays with
 * intel_iommu.c.  Section numbers are those of the VT-d specification 4.1.
 */

#ifndef HW_I386_INTEL_IOMMU_TWOSTAGE_H
#define HW_I386_INTEL_IOMMU_TWOSTAGE_H

#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_internal.h"

/*
 * Fault conditions in scalable mode, section 7.1.3.  Linux names each of them
 * in dma_remap_sm_fault_reasons[].
 */
enum {
    VTD_TS_ROOT_ACCESS          = 0x38,
    VTD_TS_ROOT_P               = 0x39,
    VTD_TS_ROOT_RSVD            = 0x3a,
    VTD_TS_CTX_ACCESS           = 0x40,
    VTD_TS_CTX_P                = 0x41,
    VTD_TS_CTX_RSVD             = 0x42,
    VTD_TS_CTX_DTE              = 0x44,
    VTD_TS_CTX_PASIDE           = 0x45,
    VTD_TS_CTX_PASID_RANGE      = 0x46,
    VTD_TS_CTX_PRE              = 0x47,
    VTD_TS_CTX_RID_PASID        = 0x48,
    VTD_TS_DIR_ACCESS           = 0x50,
    VTD_TS_DIR_P                = 0x51,
    VTD_TS_DIR_RSVD             = 0x52,
    VTD_TS_PE_ACCESS            = 0x58,
    VTD_TS_PE_P                 = 0x59,
    VTD_TS_PE_RSVD              = 0x5a,
    VTD_TS_PE_INVALID           = 0x5b,
    VTD_TS_PE_SRE               = 0x5d,
    VTD_TS_S1_ACCESS            = 0x70,
    VTD_TS_S1_P                 = 0x71,
    VTD_TS_S1_RSVD              = 0x72,
    VTD_TS_S1_ROOT_ACCESS       = 0x73,
    VTD_TS_S1_TABLE_BEYOND      = 0x74, /* nested from here ... */
    VTD_TS_S1_ROOT_READ         = 0x75,
    VTD_TS_S1_TABLE_READ        = 0x76,
    VTD_TS_S1_TABLE_WRITE       = 0x77, /* ... to here */
    VTD_TS_S2_ACCESS            = 0x78,
    VTD_TS_S2_P                 = 0x79,
    VTD_TS_S2_RSVD              = 0x7a,
    VTD_TS_S2_ROOT_ACCESS       = 0x7b,
    VTD_TS_NON_CANONICAL        = 0x80,
    VTD_TS_PRIVILEGE            = 0x81,
    VTD_TS_BEYOND_MGAW          = 0x83,
    VTD_TS_NESTED_BEYOND        = 0x84,
    VTD_TS_WRITE                = 0x85,
    VTD_TS_READ                 = 0x86,
    VTD_TS_INTERRUPT            = 0x87,
    VTD_TS_AD_UPDATE            = 0x91,
};

/* PASID entry, PGTT field (9.6) */
typedef enum VTDPgtt {
    VTD_TS_FIRST = 1,
    VTD_TS_SECOND = 2,
    VTD_TS_NESTED = 3,
    VTD_TS_PASS_THROUGH = 4,
} VTDPgtt;

/* What root, context and PASID table say about one requester */
typedef struct VTDRequester {
    uint64_t key;               /* source id, and @pasid */
    uint32_t pasid;             /* the PASID entry used: RID_PASID included */
    uint16_t did;
    VTDPgtt pgtt;
    bool fpd;                   /* as far as known; valid on failure, too */
    bool rid_priv;              /* no PASID, and privileged all the same */
    bool sre;
    bool wpe;
    bool eafe;
    bool ssade;
    uint8_t s1_levels;
    uint8_t s2_levels;
    uint64_t s1_root;           /* guest physical when nested */
    uint64_t s2_root;
} VTDRequester;

/*
 * What is asked of a translation.  An untranslated request is either a read
 * or a write and fails without the permission; a translation request sets
 * neither and takes what there is, @want_write telling whether writes are
 * worth a dirty bit (no NW bit in the request).  @ahead: nobody asks, the
 * tables are left as they are.
 */
typedef struct VTDAccess {
    bool read;
    bool write;
    bool want_write;
    bool priv;
    bool ats;
    bool ahead;
} VTDAccess;

typedef struct VTDXlate {
    uint64_t addr;              /* of the byte asked for */
    unsigned shift;             /* log2 of the size this holds for */
    bool read;
    bool write;
    bool may_write;             /* @write, once there is a dirty bit */
} VTDXlate;

/* A request as fault records and page requests name it */
typedef struct VTDRequest {
    uint16_t sid;
    uint32_t pasid;             /* PCI_NO_PASID: none */
    uint64_t addr;
    bool write;
    bool priv;
    enum {
        VTD_TS_UNTRANSLATED = 0,
        VTD_TS_TRANSLATION = 1,
        VTD_TS_TRANSLATED = 2,
        VTD_TS_PAGE_REQUEST = 4,
    } kind;
} VTDRequest;

/* ------------------------------------------- called by intel_iommu.c */

/* Is this the IOMMU of an emulated host, with a scalable-mode root table? */
static inline bool vtd_twostage_active(IntelIOMMUState *s)
{
    return s->twostage.enabled && s->root_scalable;
}

/* Returns: false with @errp set when the properties contradict each other */
bool vtd_twostage_check_config(IntelIOMMUState *s, Error **errp);

/**
 * vtd_split_write: is this a write of two registers of 32 bits at once?
 *
 * Then it is done, by @write, half by half. With host-nesting or without.
 */
bool vtd_split_write(IntelIOMMUState *s, hwaddr addr, uint64_t val,
                     unsigned size,
                     void (*write)(void *, hwaddr, uint64_t, unsigned));

/* Once, at realize */
void vtd_twostage_init(IntelIOMMUState *s);

/* The operations for pci_setup_iommu(): @ops, or with host-nesting ours */
const PCIIOMMUOps *vtd_twostage_iommu_ops(IntelIOMMUState *s,
                                          const PCIIOMMUOps *ops);

/* Add to CAP and ECAP what the properties say */
void vtd_twostage_cap_init(IntelIOMMUState *s);

/* Forget everything cached; with iommu_lock held */
void vtd_twostage_reset_locked(IntelIOMMUState *s);

/* Translate an untranslated request; @entry like IOMMUMemoryRegionClass */
bool vtd_twostage_translate(VTDAddressSpace *as, hwaddr addr, bool is_write,
                            IOMMUTLBEntry *entry);

/* Are translation requests answered here?  None are, without remapping */
static inline bool vtd_twostage_answers_ats(IntelIOMMUState *s)
{
    return s->twostage.enabled && (s->root_scalable || !s->dmar_enabled);
}

/* PCIIOMMUOps::ats_request_translation, if vtd_twostage_answers_ats() */
ssize_t vtd_twostage_ats(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                         bool priv, hwaddr addr, size_t length, bool no_write,
                         IOMMUTLBEntry *result, size_t result_length,
                         uint32_t *err_count);

/* PCIIOMMUOps::pri_request_page */
int vtd_twostage_page_request(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                              bool priv, bool exec, hwaddr addr, bool last,
                              uint16_t prgi, bool is_read, bool is_write);

/**
 * vtd_twostage_inv_before: first look at an invalidation descriptor.
 * @desc: may lose bits that have been served
 * @type: set to VTD_INV_DESC_NESTED_DONE when nothing is left to do
 *
 * Returns: false when it is an error of the invalidation queue, or the rest of
 * the queue is done later (VTDTwoStage.put_off).
 */
bool vtd_twostage_inv_before(IntelIOMMUState *s, VTDInvDesc *desc,
                             uint8_t *type);

/*
 * Report a fault, with host-nesting or without. The thread of an emulated
 * endpoint (iothread=) translates without the BQL, which the registers and the
 * interrupt want, and must not wait for it: who holds it may wait for that
 * thread. Its faults are recorded by the main loop.
 */
void vtd_report_frcd_fault(IntelIOMMUState *s, uint64_t source_id,
                           uint64_t hi, uint64_t lo);

/*
 * Tables are in memory, those of legacy mode as well: nothing else is read for
 * them. See vtd_read_table().
 */
#define VTD_TABLE_ATTRS ((MemTxAttrs) { .memory = 1 })

/* ------------------------------------------- provided by intel_iommu.c */

/* With the BQL held */
void vtd_record_frcd_fault(IntelIOMMUState *s, uint64_t source_id,
                           uint64_t hi, uint64_t lo);
VTDAddressSpace *vtd_get_as_by_sid_and_pasid(IntelIOMMUState *s, uint16_t sid,
                                             uint32_t pasid);

/* ------------------------------------------- between the files above */

/**
 * vtd_requester_find: context and PASID entry of a requester, cached.
 * @pasid: of the request, PCI_NO_PASID for none
 * @ats: translation request: the context entry must allow device TLBs
 * @req: filled in on success; on failure only @req->fpd
 *
 * With iommu_lock held.  Returns: 0 or a fault condition.
 */
int vtd_requester_find(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                       bool ats, VTDRequester *req);

/**
 * vtd_requester_may_page: may this requester send page requests?
 *
 * Returns: 0 or a fault condition, with @fpd telling whether to keep quiet.
 */
int vtd_requester_may_page(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                           bool *fpd);
/* The same of requests with addresses that are translated already */
int vtd_requester_may_bypass(IntelIOMMUState *s, uint16_t sid, bool *fpd);

/*
 * Drop cached entries; with iommu_lock held.  @sid_mask selects bits.  Unless
 * host-keep is on, PASID entries go along with context entries and, when all
 * of them go, the other way round.
 */
void vtd_requester_drop_context(IntelIOMMUState *s, uint16_t sid,
                                uint16_t sid_mask);
void vtd_requester_drop_pasids(IntelIOMMUState *s);
void vtd_requester_drop_domain(IntelIOMMUState *s, uint16_t did);
void vtd_requester_drop_pasid(IntelIOMMUState *s, uint16_t did,
                              uint32_t pasid);

/**
 * vtd_walk: translate by the tables of @req, which is not pass-through.
 *
 * Sets accessed and dirty bits in the tables.  Returns: 0 or a fault condition.
 */
int vtd_walk(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
             VTDAccess acc, VTDXlate *out);

/**
 * vtd_read_table: eight bytes of a table, in one access.
 *
 * Tables are in memory: a read of registers may do anything, and wants a lock
 * that its holder cannot wait for iommu_lock with.
 */
bool vtd_read_table(hwaddr addr, uint64_t *val);

/* Make room for one more: of a full cache all goes, or one with host-keep */
void vtd_cache_make_room(IntelIOMMUState *s, GHashTable *cache);

/*
 * Device TLBs of an endpoint: what it has got with @pasid, or VTD_ATC_ALL of
 * them. What it has got without is not among them.
 */
#define VTD_ATC_ALL             UINT32_MAX
void vtd_atc_invalidate(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                        uint64_t first, uint64_t last);

/* A page response, with @pasid or without, for whoever waits for it */
void vtd_pri_respond(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                     IOMMUPRIResponse *response);

/* Once, at realize: the invalidation queue, in turns with the main loop */
void vtd_twostage_turn_init(IntelIOMMUState *s);

/* Cached translations; with iommu_lock held */
bool vtd_tlb_find(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
                  bool priv, VTDXlate *out);
void vtd_tlb_add(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
                 bool priv, const VTDXlate *xlate);
/*
 * Entries that point to tables, with host-keep only.  @second: of stage 2,
 * @addr being what that translates; @shift: log2 of what the entry covers
 */
bool vtd_tlb_find_table(IntelIOMMUState *s, const VTDRequester *req,
                        bool second, uint64_t addr, unsigned shift,
                        uint64_t *pte);
void vtd_tlb_add_table(IntelIOMMUState *s, const VTDRequester *req,
                       bool second, uint64_t addr, unsigned shift,
                       uint64_t pte);
/* One page of one PASID, first stage and nested */
void vtd_tlb_drop_page(IntelIOMMUState *s, uint16_t did, uint32_t pasid,
                       uint64_t iova);
guint vtd_tlb_hash(gconstpointer v);
gboolean vtd_tlb_equal(gconstpointer v1, gconstpointer v2);

/* Once, at realize */
void vtd_twostage_fault_init(IntelIOMMUState *s);

/* Record a fault unless the entries said not to (FPD, 7.2.1) */
void vtd_twostage_fault(IntelIOMMUState *s, int reason, bool fpd,
                        const VTDRequest *request);

#endif
