/*
 * Nested IOMMU core: its own structures
 *
 * Who holds whom (and is destroyed first):
 *
 *   IOMMUFDAtt -> IOMMUFDHwpt -> IOMMUFDHost (parent, vIOMMU, queues)
 *   IOMMUFDNestedDevice (vDEVICE) -> IOMMUFDHost
 *   HW queue -> the one with the next lower index -> vIOMMU of IOMMUFDHost
 *   mapped page -> vIOMMU of IOMMUFDHost
 *
 * The kernel keeps the same references: IOMMU_DESTROY of a vIOMMU, fault
 * queue or parent fails with EBUSY while one of them is there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_CORE_H
#define HW_IOMMUFD_CORE_H

#include "hw/iommufd-queue.h"
#include "hw/iommufd-shadow.h"
#include "hw/iommufd-turn.h"
#include "qemu/host-utils.h"
#include "qemu/interval-tree.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

typedef struct IOMMUFDHost IOMMUFDHost;
typedef struct IOMMUFDHwpt IOMMUFDHwpt;
typedef struct IOMMUFDAtt IOMMUFDAtt;
typedef struct IOMMUFDBucket IOMMUFDBucket;
typedef struct IOMMUFDBucketHwpt IOMMUFDBucketHwpt;

/* Errors of the host (or its bounds), as counted and shown in queries */
typedef enum IOMMUFDErr {
    IOMMUFD_ERR_HWPT,
    IOMMUFD_ERR_ATTACH,
    IOMMUFD_ERR_DETACH,
    IOMMUFD_ERR_INVALIDATE,
    IOMMUFD_ERR_VDEVICE,
    IOMMUFD_ERR_QUEUE,
    IOMMUFD_ERR_RESPONSE,
    IOMMUFD_ERR_DESTROY,
    IOMMUFD_ERR_BOUND,
    IOMMUFD_ERR_SHADOW,
    IOMMUFD_ERR__MAX,
} IOMMUFDErr;

/* Longest of the histograms; the last one also has what is more */
#define IOMMUFD_BATCH_LOG2 17
#define IOMMUFD_LATENCY_LOG2 27

typedef struct IOMMUFDCounters {
    uint64_t inv_queued;        /* (target, entry) pairs */
    uint64_t inv_redundant;     /* of these, dropped as covered by others */
    uint64_t inv_entries;       /* done by the host */
    uint64_t inv_ioctls;
    uint64_t inv_flushes;       /* synchronisation points with something */
    uint64_t inv_early;         /* flushes because of max_batch */
    uint64_t inv_largest;       /* entries in the largest ioctl */
    uint64_t hwpt_made;
    uint64_t hwpt_shared;       /* found instead of made */
    uint64_t attaches;
    uint64_t detaches;
    uint64_t busy;              /* attaches put off by a reset */
    uint64_t groups_in;
    uint64_t groups_answered;   /* by the guest */
    uint64_t groups_refused;    /* by the front end or at the bound */
    uint64_t groups_expired;
    uint64_t groups_dropped;    /* by detach, reset, unplug, save */
    uint64_t responses_unknown; /* of the guest, for nothing */
    uint64_t requests_unserved; /* attached without the queue asked for */
    uint64_t events_in;
    uint64_t events_lost;
    uint64_t reads;             /* table entries that the front end read */
    uint64_t put_off;           /* turns that ended before the queue did */
    uint64_t shadow_maps;       /* calls, done or refused */
    uint64_t shadow_unmaps;
    uint64_t errors[IOMMUFD_ERR__MAX];
    /* [i]: how often it was at least 2^i, and less than twice that */
    uint64_t batches[IOMMUFD_BATCH_LOG2];   /* entries of an ioctl */
    uint64_t latency[IOMMUFD_LATENCY_LOG2]; /* us until a guest's answer */
} IOMMUFDCounters;

/* Something that takes invalidations: a HWPT or a host's vIOMMU */
typedef struct IOMMUFDTarget {
    IOMMUFDHost *host;
    IOMMUFDHwpt *hwpt;          /* NULL: the vIOMMU of @host */
    bool owes;                  /* may have cached what the guest took back */
    uint32_t num;
    uint32_t cap;
    uint8_t *entries;           /* num * inv_len bytes */
    struct IOMMUFDInvTag {
        uint64_t seq;           /* which came first, over all targets */
        uint64_t cookie;
    } *tags;
    uint32_t compares;          /* left for this batch, see COMPARE_BATCH */
    QTAILQ_ENTRY(IOMMUFDTarget) next;   /* in IOMMUFDNested.dirty if num */
} IOMMUFDTarget;

/*
 * What makes two HWPTs of a host instance the same: compared as bytes. The
 * domain is part of it because the host tags what it caches by HWPT: users in
 * two domains of the guest would see what only the other has to invalidate.
 */
typedef struct IOMMUFDHwptKey {
    uint32_t domain;
    uint32_t data_type;
    uint32_t data_len;
    uint16_t page_requests;
    uint16_t pasid_flag;
    /* Front ends get it back as what it is to them */
    uint8_t QEMU_ALIGNED(8) data[IOMMUFD_NESTED_DATA_MAX];
} IOMMUFDHwptKey;

/* A range of a shadow that may not be what the guest's table says */
typedef struct IOMMUFDStale {
    uint64_t first;
    uint64_t last;
    bool joined;                /* see IOMMUFDNestedShadowNext */
} IOMMUFDStale;

/* Ranges that are kept apart; what is more is looked at together */
#define IOMMUFD_STALE_MAX 64

/* Answers to page requests that are written together, at most */
#define IOMMUFD_ANSWERS_MAX 64

/* What makes a HWPT a shadow; see shadow.c */
typedef struct IOMMUFDShadow {
    uint32_t ioas_id;
    bool failed;                /* not complete, and nobody is to be let in */
    uint64_t last;              /* last address that its table can have */
    uint64_t host_last;         /* ... that the host can map; 0: not known */
    IntervalTreeRoot areas;     /* IOMMUFDArea: what the IOAS has */
    uint32_t num_stale;
    IOMMUFDStale stale[IOMMUFD_STALE_MAX];
} IOMMUFDShadow;

struct IOMMUFDHwpt {
    IOMMUFDHwptKey key;
    IOMMUFDHost *host;
    uint32_t id;
    uint32_t users;             /* attached, to be attached, or in use now */
    uint64_t stamp;             /* see IOMMUFDNested.stamp */
    IOMMUFDTarget target;
    QLIST_HEAD(, IOMMUFDAtt) atts;
    QTAILQ_ENTRY(IOMMUFDHwpt) next;     /* in IOMMUFDNested.hwpts */
    IOMMUFDShadow *shadow;      /* NULL: a stage-1 HWPT */
    QTAILQ_ENTRY(IOMMUFDHwpt) stale_next;   /* in IOMMUFDNested.stale if any */
};

/* Reads of a queue that failed, and are tried again */
typedef struct IOMMUFDRetry {
    QEMUTimer *timer;
    int64_t pause;              /* the last one, in ms; 0: reads work */
    int64_t give_up;            /* ms of host time */
} IOMMUFDRetry;

/* A vEVENTQ, and who hears of its events; the rest is valid while fd >= 0 */
typedef struct IOMMUFDEventQueue {
    IOMMUFDHost *host;
    uint32_t type;
    uint32_t depth;
    uint32_t event_len;
    void (*event)(void *opaque, const void *data, size_t len);
    void (*lost)(void *opaque, uint32_t count);
    int fd;
    uint32_t id;
    uint32_t seq;               /* of the last event; before all: INT_MAX */
    IOMMUFDRetry retry;
} IOMMUFDEventQueue;

/* A command queue of the guest's own */
typedef struct IOMMUFDHwQueue {
    uint32_t id;
    uint64_t first, last;       /* guest-physical */
} IOMMUFDHwQueue;

/*
 * A host instance: one physical IOMMU as one iommufd sees it. vfio finds out
 * which devices share one (attach to the parent of another is EINVAL), so the
 * parent's id names it.
 */
struct IOMMUFDHost {
    IOMMUFDNested *n;
    IOMMUFDBackend *iommufd;
    uint32_t parent_id;
    uint32_t parent_flags;
    uint32_t ioas_id;           /* that the parent is of */
    uint32_t viommu_id;         /* 0: none */
    uint32_t abort_id;          /* HWPT that lets nothing through; 0: none */
    bool repeat;
    uint32_t fault_id;          /* valid while fault_fd >= 0 */
    int fault_fd;
    IOMMUFDRetry fault_retry;   /* valid while fault_fd >= 0 */
    struct iommu_hwpt_pgfault *fault_buf;
    size_t fault_cap;           /* elements of fault_buf */
    struct iommu_hwpt_page_response answers[IOMMUFD_ANSWERS_MAX];
    unsigned num_answers;       /* that are to be written together */
    IOMMUFDEventQueue events;   /* of IOMMUFDNestedConfig.veventq_type */
    IOMMUFDEventQueue queue_events;     /* of IOMMUFDNestedQueues, if any */
    GArray *hw_queues;          /* IOMMUFDHwQueue; NULL: not with this vIOMMU */
    bool page;                  /* of the vIOMMU, is mapped */
    GHashTable *hwpts;          /* IOMMUFDHwptKey -> IOMMUFDHwpt */
    GHashTable *devices;        /* dev_id -> IOMMUFDNestedDevice */
    QLIST_HEAD(, IOMMUFDHostGroup) groups;
    IOMMUFDTarget target;
    QLIST_ENTRY(IOMMUFDHost) next;
};

/* Devices that the kernel of the host attaches together; see group.c */
typedef struct IOMMUFDHostGroup {
    uint32_t id;
    char *reason;               /* why its members are blocked, if they are */
    bool told;                  /* the user, that they differ */
    bool told_requests;         /* the user, that page requests are refused */
    bool telling;               /* @timer is set */
    QEMUTimer *timer;
    QLIST_HEAD(, IOMMUFDNestedDevice) members;
    QLIST_ENTRY(IOMMUFDHostGroup) next;
} IOMMUFDHostGroup;

/* A page request group the guest has and has not answered */
typedef struct IOMMUFDGroup {
    IOMMUFDAtt *att;
    uint32_t index;
    uint32_t cookie;
    int64_t deadline;           /* ms of guest time */
    int64_t since;              /* ns of host time */
    QTAILQ_ENTRY(IOMMUFDGroup) att_next;
    QTAILQ_ENTRY(IOMMUFDGroup) next;    /* oldest first */
} IOMMUFDGroup;

/* What the kernel has attached */
typedef enum IOMMUFDAttached {
    IOMMUFD_ATTACHED_NONE,
    IOMMUFD_ATTACHED_ABORT,
    IOMMUFD_ATTACHED_PARENT,
    IOMMUFD_ATTACHED_HWPT,
} IOMMUFDAttached;

/*
 * The translation of a RID or PASID. @state is what the guest shall see (or
 * BLOCKED when that could not be had), @attached what the kernel was last
 * told successfully. The two disagree only where a detach failed.
 */
struct IOMMUFDAtt {
    IOMMUFDNestedDevice *dev;
    uint32_t pasid;             /* or IOMMUFD_NESTED_RID */
    IOMMUFDNestedState state;
    const char *reason;
    IOMMUFDAttached attached;
    IOMMUFDHwpt *hwpt;          /* holds a user, if attached is HWPT */
    bool page_requests;         /* are wanted; @hwpt may have the queue still */
    bool waiting;               /* wish comes into force later */
    bool parted;                /* not by itself: when its group agrees */
    bool refused;               /* blocked, and not as the guest wants it */
    IOMMUFDNestedState wish;
    IOMMUFDHwpt *wish_hwpt;     /* holds a user; NULL: the parent */
    int64_t give_up;            /* ms of host time */
    IOMMUFDBucket *bucket;      /* NULL: not indexed */
    IOMMUFDHwpt *indexed_hwpt;  /* counted in @bucket; no user of its own */
    QTAILQ_HEAD(, IOMMUFDGroup) groups;
    QLIST_ENTRY(IOMMUFDAtt) hwpt_next;
    QTAILQ_ENTRY(IOMMUFDAtt) bucket_next;
    QTAILQ_ENTRY(IOMMUFDAtt) waiting_next;
    QTAILQ_ENTRY(IOMMUFDAtt) refused_next;
};

struct IOMMUFDNestedDevice {
    IOMMUFDNested *n;
    IOMMUFDHost *host;
    HostIOMMUDeviceIOMMUFD *idev;
    void *opaque;
    uint32_t seen;              /* label the front end last gave */
    uint32_t label;             /* the same, unless somebody else has it too */
    uint32_t next_label;        /* within iommufd_nested_relabel() */
    bool suspended;             /* the same: something waits for a vDEVICE */
    uint32_t vdevice_id;        /* 0: none */
    bool vdevice_stale;         /* could not be destroyed; no label of ours */
    bool no_page_requests;      /* the host attaches no fault queue to it */
    bool tlb_owes;              /* as IOMMUFDTarget.owes, of its own TLB */
    bool leaving;               /* its group goes on without it */
    bool group_pasids;          /* it can send PASIDs */
    IOMMUFDHostGroup *group;    /* NULL: not known */
    QLIST_ENTRY(IOMMUFDNestedDevice) group_next;
    IOMMUFDAtt rid;
    GHashTable *pasids;         /* PASID -> IOMMUFDAtt */
    uint32_t num_asking;        /* of them and @rid: attached to fault queues */
    QTAILQ_HEAD(, IOMMUFDAtt) refused;  /* of them and @rid: newest first */
    uint32_t num_refused;
    bool told_refused;          /* the last event was that it is blocked */
    bool notify;                /* @notify_next is in use */
    QTAILQ_ENTRY(IOMMUFDNestedDevice) notify_next;
    uint32_t num_groups;        /* page request groups, without an answer */
    uint64_t groups_in;         /* all of them since it came */
    uint64_t attaches;          /* the same */
    QTAILQ_ENTRY(IOMMUFDNestedDevice) next;
};

struct IOMMUFDNested {
    IOMMUFDNestedConfig config;
    const IOMMUFDNestedOps *ops;
    void *opaque;
    const IOMMUFDNestedQueues *queues;  /* NULL: guests have none */
    uint8_t everything[IOMMUFD_NESTED_ENTRY_MAX];   /* config.inv_everything */
    QTAILQ_HEAD(, IOMMUFDNestedDevice) devices;
    QLIST_HEAD(, IOMMUFDHost) hosts;
    QTAILQ_HEAD(, IOMMUFDHwpt) hwpts;
    uint32_t num_hwpts;
    uint32_t num_shadows;       /* of these */
    uint32_t num_areas;         /* mappings of all shadows */
    QTAILQ_HEAD(, IOMMUFDHwpt) stale;   /* shadows with stale ranges */
    IOMMUFDHwpt *prepared;      /* holds a user; NULL: none */
    Error *unprepared;          /* why it could not be */
    IOMMUFDNestedTold told_shadow;
    uint32_t num_pasids;
    GHashTable *labels;         /* label -> IOMMUFDNestedDevice */
    bool labels_stale;          /* to be assigned anew, changed or not */
    GHashTable *buckets;        /* (domain, PASID) -> IOMMUFDBucket */
    IOMMUFDBucket *recent;      /* one of them, found last; NULL: none */
    IOMMUFDAtt *walk;           /* who comes next; NULL: nobody */
    GHashTable *domains;        /* domain -> IOMMUFDDomain */
    /*
     * A HWPT whose stamp is this has been visited in the current walk. So a
     * HWPT found by several ways is told once, without a set to build.
     */
    uint64_t stamp;
    QTAILQ_HEAD(, IOMMUFDTarget) dirty;
    uint32_t num_dirty;         /* entries over all of them */
    uint64_t inv_seq;
    QTAILQ_HEAD(, IOMMUFDAtt) waiting;
    QEMUTimer *waiting_timer;
    int64_t retry_ms;           /* until the next retry, doubles each time */
    QTAILQ_HEAD(, IOMMUFDGroup) groups;
    uint32_t num_groups;
    QEMUTimer *group_timer;
    QTAILQ_HEAD(, IOMMUFDNestedDevice) notify;  /* events are due for them */
    QEMUTimer *notify_timer;
    int64_t notify_next;        /* ms of host time: no event before */
    struct {
        bool on;                /* one is being taken */
        bool put_off;           /* the rest waits for the bottom half */
        uint64_t steps;         /* of all turns */
        uint64_t start;         /* iommufd_turn_work() when it began */
        QEMUBH *bh;
    } turn;
    bool flushing;              /* the flush under way has been counted */
    bool running;
    bool refuse_all;            /* being quiesced: page requests, and events */
    const IOMMUFDAtt *refuse;   /* page requests: being drained */
    const IOMMUFDNestedDevice *refuse_device;   /* the same, all of them */
    IOMMUFDCounters count;
    uint64_t *commands;
    QLIST_ENTRY(IOMMUFDNested) next;
};

/* All emulated vIOMMUs, for queries and for vfio's resets */
typedef QLIST_HEAD(IOMMUFDNestedList, IOMMUFDNested) IOMMUFDNestedList;
extern IOMMUFDNestedList iommufd_nested_list;

/* @value into a histogram of @num */
static inline void iommufd_histogram_add(uint64_t *histogram, unsigned num,
                                         uint64_t value)
{
    histogram[MIN(63 - clz64(value | 1), num - 1)]++;
}

/* NULL: not one of ours, and without a fault queue */
static inline bool iommufd_hwpt_asks(const IOMMUFDHwpt *hwpt)
{
    return hwpt && hwpt->key.page_requests;
}

static inline int iommufd_host_fd(const IOMMUFDHost *host)
{
    return host->iommufd->fd;
}

/* viommu.c */
IOMMUFDHost *iommufd_host_get(IOMMUFDNested *n, HostIOMMUDeviceIOMMUFD *idev,
                              Error **errp);
void iommufd_host_put(IOMMUFDHost *host);
bool iommufd_nested_try_destroy(IOMMUFDHost *host, uint32_t id,
                                const char *what, Error **errp);
/* The same, when there is nobody to be told but the user */
bool iommufd_nested_destroy(IOMMUFDHost *host, uint32_t id, const char *what);

/* hwpt.c: get returns a user, to be put */
IOMMUFDHwpt *iommufd_hwpt_get(const IOMMUFDAtt *att,
                              const IOMMUFDNestedTranslation *t,
                              bool pasid_flag, Error **errp);
/* The same translation as @hwpt, without a fault queue */
IOMMUFDHwpt *iommufd_hwpt_get_plain(const IOMMUFDAtt *att,
                                    const IOMMUFDHwpt *hwpt, Error **errp);
/* One that mirrors the tables that @t names */
IOMMUFDHwpt *iommufd_hwpt_get_shadow(IOMMUFDNestedDevice *dev,
                                     const IOMMUFDNestedTranslation *t,
                                     Error **errp);
void iommufd_hwpt_put(IOMMUFDHwpt *hwpt);
GHashTable *iommufd_hwpt_table_new(void);
void iommufd_hwpt_block(IOMMUFDHwpt *hwpt, const char *reason);
void iommufd_host_block(IOMMUFDHost *host, bool page_requests,
                        const char *reason);
bool iommufd_host_has_page_requests(const IOMMUFDHost *host);

/* attach.c */
void iommufd_att_init(IOMMUFDAtt *att, IOMMUFDNestedDevice *dev,
                      uint32_t pasid);
IOMMUFDAtt *iommufd_att_find(const IOMMUFDNestedDevice *dev, uint32_t pasid);
void iommufd_att_block_and_tell(IOMMUFDAtt *att, const char *reason);
void iommufd_att_suspend(IOMMUFDAtt *att);
void iommufd_att_clear(IOMMUFDAtt *att);
/* One of @dev's group has left: the others may agree now */
void iommufd_att_rejoin(IOMMUFDNestedDevice *dev);
void iommufd_att_retry(void *opaque);

/* device.c */
bool iommufd_device_want_vdevice(IOMMUFDNestedDevice *dev, Error **errp);
void iommufd_device_foreach_att(IOMMUFDNestedDevice *dev,
                                void (*fn)(IOMMUFDAtt *att, void *arg),
                                void *arg);

/* group.c */
void iommufd_group_join(IOMMUFDNestedDevice *dev);
void iommufd_group_leave(IOMMUFDNestedDevice *dev);
/* Whether all others of @dev's group are where vfio attaches a device to */
bool iommufd_group_on_parent(const IOMMUFDNestedDevice *dev);
/*
 * Who is against @att being in @state with @hwpt. If that is nobody (NULL):
 * *@hwpt becomes the one that all of them can be attached to.
 */
IOMMUFDNestedDevice *iommufd_group_dissent(const IOMMUFDAtt *att,
                                           IOMMUFDNestedState state,
                                           IOMMUFDHwpt **hwpt);
/* Whether what comes under the name of @att's device may be of another one */
bool iommufd_group_may_ask(const IOMMUFDAtt *att);
/*
 * Who is in @dev's group, but no device of ours, a bridge (@is_bridge) first;
 * NULL: nobody, or not known
 */
char *iommufd_group_stranger(const IOMMUFDNestedDevice *dev, bool *is_bridge);
/* @dev's group is blocked for that: the user is told if it stays so */
void iommufd_group_differs(IOMMUFDNestedDevice *dev);

/* index.c */
struct IOMMUFDBucketHwpt {
    IOMMUFDHwpt *hwpt;
    uint32_t count;             /* attachments under that pair */
    QLIST_ENTRY(IOMMUFDBucketHwpt) next;
};

void iommufd_index_init(IOMMUFDNested *n);
void iommufd_index_free(IOMMUFDNested *n);
void iommufd_index_set(IOMMUFDAtt *att, uint32_t domain, uint32_t pasid);
void iommufd_index_hwpt(IOMMUFDAtt *att, IOMMUFDHwpt *hwpt);
void iommufd_index_clear(IOMMUFDAtt *att);
uint32_t iommufd_index_domain(const IOMMUFDAtt *att);
uint32_t iommufd_index_pasid(const IOMMUFDAtt *att);
/* The first of the HWPTs there, each once; NULL: none */
const IOMMUFDBucketHwpt *iommufd_index_bound_hwpts(IOMMUFDNested *n,
                                                   uint32_t domain,
                                                   uint32_t pasid);
void iommufd_index_domain_hwpts(IOMMUFDNested *n, uint32_t domain,
                                GPtrArray *hwpts);

/* turn.c */
uint64_t iommufd_turn_work(const IOMMUFDNested *n);

/* shadow.c */
#define IOMMUFD_REASON_SHADOW "the host refused to mirror its tables"
bool iommufd_shadow_new(IOMMUFDHwpt *hwpt, IOMMUFDNestedDevice *dev,
                        const IOMMUFDNestedTranslation *t, Error **errp);
void iommufd_shadow_free(IOMMUFDHwpt *hwpt);
bool iommufd_shadow_settle(IOMMUFDHwpt *hwpt, Error **errp);
void iommufd_shadow_unprepare(IOMMUFDNested *n);
/* Memory of the guest has gone; then, once, that there is other memory */
void iommufd_shadow_ram_gone(uint64_t first, uint64_t last);
void iommufd_shadow_ram_changed(void);
/* Migration wants to know what devices may have written since the last time */
void iommufd_shadow_log_sync(void);

/* invalidate.c */
void iommufd_target_init(IOMMUFDTarget *t, IOMMUFDHost *host,
                         IOMMUFDHwpt *hwpt);
void iommufd_target_drop(IOMMUFDTarget *t);
int iommufd_target_send(IOMMUFDTarget *t, uint32_t first, uint32_t *done);
bool iommufd_target_settle(IOMMUFDTarget *t, Error **errp);

/* device-tlb.c */
#define IOMMUFD_REASON_DEVICE_TLB "its device TLB was not emptied in time"
/*
 * @t from @first on was not done in time. Do it without device
 * TLBs, then these, and put devices that do not answer into @late: they are to
 * be blocked when @t is empty. Return: as for iommufd_target_send().
 */
int iommufd_device_tlb_retry(IOMMUFDTarget *t, uint32_t first, uint32_t *done,
                             GPtrArray *late);
void iommufd_device_tlb_block(IOMMUFDNestedDevice *dev);
/* Nothing lets @dev through before that; it needs a vDEVICE for it */
bool iommufd_device_tlb_settle(IOMMUFDNestedDevice *dev, Error **errp);

/* notify.c */
void iommufd_notify_init(IOMMUFDNested *n);
void iommufd_notify_free(IOMMUFDNested *n);
void iommufd_notify(void *opaque);
/* @att is blocked, @refused: for another reason than the guest's wish */
void iommufd_notify_refused(IOMMUFDAtt *att, bool refused);
/* @dev goes: nothing of it is refused any more, and no event is due */
void iommufd_notify_forget(IOMMUFDNestedDevice *dev);

/* fault.c */
bool iommufd_fault_queue_get(IOMMUFDHost *host, Error **errp);
void iommufd_fault_queue_free(IOMMUFDHost *host);
void iommufd_fault_watch(IOMMUFDHost *host, bool on);
void iommufd_fault_drain(IOMMUFDHost *host);
void iommufd_fault_answer(IOMMUFDAtt *att);
void iommufd_fault_leave(IOMMUFDAtt *att, const IOMMUFDHwpt *hwpt);
void iommufd_fault_forget(IOMMUFDAtt *att);
void iommufd_fault_expire(void *opaque);

/* retry.c: @read is called again, until iommufd_retry_stop() */
void iommufd_retry_init(IOMMUFDRetry *r, QEMUTimerCB *read, void *opaque);
void iommufd_retry_free(IOMMUFDRetry *r);
void iommufd_retry_stop(IOMMUFDRetry *r);
/* Return: false: that has been done long enough */
bool iommufd_retry_later(IOMMUFDRetry *r);

/* turn.c */
void iommufd_turn_bh(void *opaque);

/* event.c: of both queues of @host */
bool iommufd_event_queues_get(IOMMUFDHost *host, Error **errp);
void iommufd_event_queues_free(IOMMUFDHost *host);
void iommufd_event_watch(IOMMUFDHost *host, bool on);
/* Everything that was reported before this call */
void iommufd_event_drain(IOMMUFDHost *host);

/* hw-queue.c: @data is what the kernel has said when it made the vIOMMU */
bool iommufd_hw_queues_get(IOMMUFDHost *host, const void *data, Error **errp);
void iommufd_hw_queues_free(IOMMUFDHost *host);
/* Memory is about to be unmapped, which no queue may hold */
void iommufd_hw_queues_unmap(const IOMMUFDBackend *iommufd, uint32_t ioas,
                             uint64_t first, uint64_t last);
/* Whether @host, which is new, may have a vIOMMU: there can be one */
bool iommufd_hw_queues_alone(const IOMMUFDHost *host, const char *name,
                             Error **errp);

#endif
