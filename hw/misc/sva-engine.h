/*
 * SVA engine: what its parts share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *   sva-engine.c        PCI function: capabilities, resets, configuration
 *   sva-engine-mmio.c   registers
 *   sva-engine-queue.c  queues: descriptors and the order they are done in
 *   sva-engine-dma.c    one page of one operand: reach it, move the bytes
 *   sva-engine-atc.c    contexts (one per PASID) and the device TLB
 *   sva-engine-pri.c    page request groups
 *
 * Everything runs under the BQL. The guest decides where interrupts are
 * written to, and it may be the configuration space of this very function:
 * whatever can raise one, any call into the IOMMU included, may reset the
 * device under the caller's feet. Such calls are followed by a look at
 * SvaEngineState.epoch; when it has moved, the caller returns SVA_GONE at once
 * and touches nothing.
 */

#ifndef HW_MISC_SVA_ENGINE_H
#define HW_MISC_SVA_ENGINE_H

#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/misc/sva-engine-regs.h"
#include "qemu/queue.h"

#define TYPE_SVA_ENGINE "sva-engine"
OBJECT_DECLARE_SIMPLE_TYPE(SvaEngineState, SVA_ENGINE)

#define SVA_PAGE_SHIFT          12
#define SVA_PAGE_SIZE           (1u << SVA_PAGE_SHIFT)
#define SVA_PAGE_MASK           (~(uint64_t)(SVA_PAGE_SIZE - 1))

#define SVA_ATC_SETS            256
#define SVA_ATC_WAYS            4
#define SVA_ATC_WAYS_KEEP       16      /* with keep-translations */
#define SVA_AHEAD_PAGES         8       /* as well; aligned */
#define SVA_PRG_MAX             512     /* a PRG index has 9 bits */
#define SVA_CONTEXTS_IDLE       64      /* with keep-translations */
#define SVA_RETRIES_MAX         16
#define SVA_BACKOFFS_MAX        64
#define SVA_BACKOFF_MIN_NS      50000
#define SVA_BACKOFF_MAX_NS      100000000

/*
 * What a step towards some memory can come to. Values from SVA_CODE_OPCODE
 * on are error codes of the register contract.
 */
enum {
    SVA_DONE = SVA_CODE_OK,
    SVA_MISS,                   /* no translation; only inside dma.c */
    SVA_UNTRANSLATED,           /* no ATS for this context */
    SVA_LATER,                  /* the channel waits, try again when woken */
    SVA_GONE,                   /* reset meanwhile, touch nothing */
};
QEMU_BUILD_BUG_ON((int)SVA_GONE >= (int)SVA_CODE_OPCODE);

/*
 * One PASID, or the requests that carry none. Kept while a channel works with
 * it or one of its page request groups is out; with keep-translations longer,
 * until the function or its capabilities are reset.
 */
typedef struct SvaContext {
    SvaEngineState *engine;
    uint32_t pasid;             /* PCI_NO_PASID for requests without */
    unsigned channels;
    unsigned groups;
    bool iotlb_registered;
    bool pri_registered;
    IOMMUNotifier iotlb;
    IOMMUPRINotifier pri;
    QLIST_ENTRY(SvaContext) next;
} SvaContext;

typedef struct SvaAtcEntry {
    bool valid;
    bool write;
    uint8_t shift;
    uint32_t pasid;
    uint64_t va;
    hwaddr pa;
    AddressSpace *as;
} SvaAtcEntry;

/* Where an access goes to; @as is NULL for an untranslated request */
typedef struct SvaTarget {
    AddressSpace *as;
    hwaddr addr;
} SvaTarget;

typedef enum SvaPhase {
    SVA_PHASE_OFF,
    SVA_PHASE_IDLE,
    SVA_PHASE_FETCH,
    SVA_PHASE_EXECUTE,
    SVA_PHASE_COMPLETE,
    SVA_PHASE_HALTED,
} SvaPhase;

typedef enum SvaWait {
    SVA_WAIT_NOTHING,
    SVA_WAIT_RESPONSE,
    SVA_WAIT_CREDIT,
    SVA_WAIT_TIMER,
} SvaWait;

/* What became of the page request group a channel waited for */
typedef enum SvaAnswer {
    SVA_ANSWER_NONE,
    SVA_ANSWER_SUCCESS,
    SVA_ANSWER_INVALID,
    SVA_ANSWER_FAILURE,
    SVA_ANSWER_DROPPED,
} SvaAnswer;

/* One descriptor, decoded; the simple block's run takes the same form */
typedef struct SvaWork {
    uint8_t op;
    bool interrupt;
    uint32_t tag;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint64_t pattern;
    uint64_t completion;
    uint64_t done;
    uint32_t crc;
    uint8_t code;
    uint64_t fault_va;
} SvaWork;

/* Operations of the simple block, beyond what a descriptor can ask for */
enum {
    SVA_OP_LOAD = 0x80,
    SVA_OP_STORE,
};

/* A queue, or the simple block */
typedef struct SvaChannel {
    SvaEngineState *engine;
    unsigned index;
    SvaContext *ctx;            /* NULL in phase OFF */
    SvaPhase phase;
    SvaWork work;

    /* Registers */
    uint32_t pasid;
    uint32_t order;
    uint64_t ring;
    uint32_t head;
    uint32_t tail;
    uint32_t vector;
    uint8_t halt_code;
    uint64_t completed;
    uint64_t failed;
    uint64_t lost;

    /* Faults since the channel last moved some bytes */
    SvaWait wait;
    SvaAnswer answer;
    int group;                  /* of mine that is out, or being sent; or -1 */
    bool alone;                 /* ask for a single page from now on */
    bool asked_write;
    uint64_t asked_va;          /* the page that could not be done without */
    unsigned retries;
    unsigned backoffs;
    int64_t wake_ns;
} SvaChannel;

/* A page request group; its index is the PRG index */
typedef struct SvaGroup {
    SvaContext *ctx;            /* NULL: free */
    SvaChannel *channel;        /* NULL: nobody waits for it any more */
    bool write;
    uint8_t pages;
    uint8_t sent;
    uint64_t va[SVA_GROUP_MAX];
    int64_t start_ns;
} SvaGroup;

struct SvaEngineState {
    PCIDevice parent_obj;

    bool ats;
    bool pri;
    bool pasid;
    bool prg_response_pasid;
    bool keep;
    bool peer;
    uint8_t pasid_bits;
    uint16_t page_requests;
    uint8_t queues;

    MemoryRegion mmio;
    MemoryRegion msix;
    QEMUBH *bh;
    QEMUTimer *timer;
    uint64_t epoch;

    uint64_t simple_addr;
    uint32_t simple_command;
    uint8_t simple_buffer[SVA_SIMPLE_SIZE];

    uint32_t group_pages;
    uint64_t counter[SVA_CNT__NUM];

    /* The queues, and behind them the simple block */
    SvaChannel channel[SVA_QUEUES_MAX + 1];
    unsigned next_channel;
    uint8_t bounce[SVA_PAGE_SIZE];

    QLIST_HEAD(, SvaContext) contexts;
    SvaContext *rid;            /* requests without PASID; always there */
    SvaAtcEntry *atc;           /* SVA_ATC_SETS sets of so many ways: */
    unsigned atc_ways;
    unsigned atc_victim;

    SvaGroup group[SVA_PRG_MAX];
    unsigned next_group;
    unsigned pages_out;
    bool pri_failed;
};

static inline SvaChannel *sva_simple_channel(SvaEngineState *s)
{
    return &s->channel[s->queues];
}

/* sva-engine-mmio.c */
extern const MemoryRegionOps sva_mmio_ops;
/* All that a write to CTRL resets */
void sva_engine_reset(SvaEngineState *s);

/* sva-engine-queue.c */

/* Look for work as soon as the main loop gets to it */
void sva_kick(SvaEngineState *s);
void sva_run(void *opaque);
bool sva_busy(const SvaEngineState *s);
void sva_queue_enable(SvaChannel *c);
/* Stop at once; registers stay as they are */
void sva_channel_stop(SvaChannel *c);
/* Stop and go back to what it is after power-on */
void sva_channel_reset(SvaChannel *c);
void sva_queue_doorbell(SvaChannel *c, uint32_t tail);
void sva_simple_start(SvaEngineState *s, bool to_device);

/* sva-engine-dma.c */

/*
 * Move @len bytes between @buf and @va in the channel's context. The range
 * must not cross a page. @ahead: bytes from @va on that the operation will
 * want in the same way, at least @len.
 *
 * Returns: SVA_DONE, SVA_LATER, SVA_GONE or an error code.
 */
int sva_read(SvaChannel *c, uint64_t va, void *buf, size_t len, uint64_t ahead);
int sva_write(SvaChannel *c, uint64_t va, const void *buf, size_t len,
              uint64_t ahead);

/*
 * Go on with the work of the channel by at most one page. Work that is done,
 * or over because of an error, has a code other than SVA_CODE_NONE.
 *
 * Returns: SVA_DONE, SVA_LATER or SVA_GONE.
 */
int sva_execute(SvaChannel *c);

/* sva-engine-atc.c */
void sva_atc_init(SvaEngineState *s);

/* Each get is undone by one put; a context nobody needs is freed */
SvaContext *sva_context_get(SvaEngineState *s, uint32_t pasid);
void sva_context_put(SvaContext *ctx);
void sva_context_release(SvaContext *ctx);

/*
 * Have the IOMMU tell of invalidations and responses, if it was not told to
 * already.
 *
 * Returns: false when the function or its IOMMU does not do ATS.
 */
bool sva_context_connect(SvaContext *ctx);
/* The opposite, for all contexts, and forget what came of it */
void sva_context_disconnect_all(SvaEngineState *s);

/*
 * Translate one page.
 *
 * Returns: SVA_DONE, SVA_MISS, SVA_UNTRANSLATED or SVA_GONE.
 */
int sva_translate(SvaContext *ctx, uint64_t va, bool write, SvaTarget *target);
void sva_atc_flush(SvaEngineState *s);

/* sva-engine-pri.c */

/* Can page requests be sent? */
bool sva_pri_usable(const SvaEngineState *s);

/*
 * Act upon a missing page: judge the answer the channel has got, and ask
 * (again) for [@va, @va + @ahead) as far as it is missing.
 *
 * Returns: SVA_LATER, SVA_GONE or an error code.
 */
int sva_pri_fault(SvaChannel *c, uint64_t va, uint64_t ahead, bool write);
void sva_pri_notify(IOMMUPRINotifier *n, IOMMUPRIResponse *response);
/* The channel has moved on, or stopped: forget its faults */
void sva_pri_forget(SvaChannel *c);
/* None of the groups that are out will be answered */
void sva_pri_drop(SvaEngineState *s);
void sva_pri_config_written(SvaEngineState *s, bool was_enabled);
void sva_pri_reset(SvaEngineState *s);
void sva_pri_timer(void *opaque);

#endif
