/*
 * Nested IOMMU core: invalidations, queued until the guest synchronises
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/*
 * How many queued entries a new one is compared with. Entries it makes
 * redundant do not count: each can be dropped only once.
 */
#define COMPARE_MAX 16

/*
 * How many comparisons a batch has for all its entries: where unrelated
 * entries come by the hundred, each is compared with the last one only.
 * What is found redundant earns as many as it took at most.
 */
#define COMPARE_BATCH 64

/* Interruptions in a row without one entry done */
#define STALL_MAX 64

/* Entries a new target has room for, and those that an idle one keeps it for */
#define START_CAP 4
#define KEEP_CAP 64

#define REASON "the host refused an invalidation"

static uint32_t target_id(const IOMMUFDTarget *t)
{
    return t->hwpt ? t->hwpt->id : t->host->viommu_id;
}

static uint8_t *target_entry(const IOMMUFDTarget *t, uint32_t i)
{
    return t->entries + (size_t)i * t->host->n->config.inv_len;
}

static void target_resize(IOMMUFDTarget *t, uint32_t cap)
{
    t->cap = cap;
    t->entries = g_realloc_n(t->entries, cap, t->host->n->config.inv_len);
    t->tags = g_renew(struct IOMMUFDInvTag, t->tags, cap);
}

/* Room for a few entries from the start: an invalidation is no time for it */
void iommufd_target_init(IOMMUFDTarget *t, IOMMUFDHost *host,
                         IOMMUFDHwpt *hwpt)
{
    memset(t, 0, sizeof(*t));
    t->host = host;
    t->hwpt = hwpt;
    target_resize(t, START_CAP);
}

/* Out of the batch, empty */
static void target_empty(IOMMUFDTarget *t)
{
    IOMMUFDNested *n = t->host->n;

    if (t->num) {
        QTAILQ_REMOVE(&n->dirty, t, next);
        n->num_dirty -= t->num;
        t->num = 0;
    }
}

void iommufd_target_drop(IOMMUFDTarget *t)
{
    target_empty(t);
    g_clear_pointer(&t->entries, g_free);
    g_clear_pointer(&t->tags, g_free);
    t->cap = 0;
}

static void target_remove(IOMMUFDTarget *t, uint32_t i)
{
    uint32_t behind = t->num - i - 1;

    memmove(target_entry(t, i), target_entry(t, i + 1),
            (size_t)behind * t->host->n->config.inv_len);
    memmove(&t->tags[i], &t->tags[i + 1], behind * sizeof(t->tags[0]));
    t->num--;
    t->host->n->num_dirty--;
    t->host->n->count.inv_redundant++;
}

/*
 * Drop what @entry makes redundant. Only entries that commute lie between
 * @entry and those it is compared with: the walk stops at the first that does
 * not, so dropping one never moves another past something it must not pass.
 *
 * Return: true if @entry itself is redundant.
 */
static bool target_covered(IOMMUFDTarget *t, const void *entry)
{
    IOMMUFDNested *n = t->host->n;
    IOMMUFDNestedRelation (*relation)(const void *, const void *) =
        n->ops->relation;
    uint32_t most = MIN(COMPARE_MAX, MAX(t->compares, 1));
    const uint8_t *other = target_entry(t, t->num);
    uint32_t len = n->config.inv_len;
    uint32_t compared = 0;

    if (!relation) {
        return false;
    }
    for (uint32_t i = t->num; i-- > 0 && compared < most;) {
        other -= len;
        switch (relation(other, entry)) {
        case IOMMUFD_NESTED_COMMUTE:
            compared++;
            break;
        case IOMMUFD_NESTED_COVERED:
            n->count.inv_redundant++;
            t->compares += COMPARE_MAX;
            return true;
        case IOMMUFD_NESTED_COVERS:
            target_remove(t, i);
            t->compares += COMPARE_MAX;
            break;
        case IOMMUFD_NESTED_ORDERED:
            return false;
        }
    }
    t->compares -= MIN(t->compares, compared);
    return false;
}

static void target_append(IOMMUFDTarget *t, const void *entry, uint64_t seq,
                          uint64_t cookie)
{
    IOMMUFDNested *n = t->host->n;

    n->count.inv_queued++;
    if (!t->num) {
        t->compares = COMPARE_BATCH;
        QTAILQ_INSERT_TAIL(&n->dirty, t, next);
    } else if (target_covered(t, entry)) {
        return;
    }
    if (t->num == t->cap) {
        target_resize(t, t->cap ? t->cap * 2 : START_CAP);
    }
    memcpy(target_entry(t, t->num), entry, n->config.inv_len);
    t->tags[t->num++] = (struct IOMMUFDInvTag) { seq, cookie };
    n->num_dirty++;
}

/*
 * Entries of @t from @first on once, in one call unless it is interrupted.
 *
 * Return: 0, or a negative errno with *@done of the @total done.
 */
static int target_send_once(IOMMUFDTarget *t, uint32_t first, uint32_t total,
                            uint32_t *done)
{
    IOMMUFDNested *n = t->host->n;
    unsigned stalled = 0;

    *done = 0;
    while (*done < total) {
        uint32_t asked = total - *done;
        uint32_t num = asked;
        int ret = iommufd_sys_invalidate(iommufd_host_fd(t->host),
                                         target_id(t), n->config.inv_type,
                                         n->config.inv_len, &num,
                                         target_entry(t, first + *done));

        /*
         * An error that the kernel finds before it looks at the entries
         * leaves the number as it was: then none has been done.
         */
        if (ret && num >= asked) {
            num = 0;
        }
        trace_iommufd_nested_invalidate(n->config.name, target_id(t), asked,
                                        num, ret);
        n->count.inv_ioctls++;
        n->count.inv_largest = MAX(n->count.inv_largest, asked);
        iommufd_histogram_add(n->count.batches, IOMMUFD_BATCH_LOG2, asked);
        if (num > asked) {
            return -EPROTO;
        }
        n->count.inv_entries += num;
        *done += num;
        if (ret && ret != -EINTR && ret != -EAGAIN) {
            return ret;
        }
        stalled = num ? 0 : stalled + 1;
        if (stalled > STALL_MAX) {
            return ret ? ret : -EPROTO;
        }
    }
    return 0;
}

/* The same, as often as the host has to be told */
static int target_send_piece(IOMMUFDTarget *t, uint32_t first, uint32_t total,
                             uint32_t *done)
{
    int ret = target_send_once(t, first, total, done);

    if (!ret && t->host->repeat) {
        ret = target_send_once(t, first, total, done);
    }
    return ret;
}

/*
 * All of @t from @first on, in pieces.
 *
 * A vIOMMU's entries are checked one by one and issued in blocks. When the
 * kernel refuses one with EIO, those of its block before it count as done but
 * were not issued (arm_vsmmu_cache_invalidate()): what its piece has before
 * it goes again by itself. The pieces before that have been issued.
 *
 * Return: 0, or a negative errno with *@done entries done, those before @first
 * included.
 */
int iommufd_target_send(IOMMUFDTarget *t, uint32_t first, uint32_t *done)
{
    uint32_t some;
    int ret, err;

    do {
        uint32_t num = MIN(t->num - first, t->host->n->config.inv_piece);

        ret = target_send_piece(t, first, num, &some);
        if (ret == -EIO && !t->hwpt && some) {
            err = target_send_piece(t, first, some, &some);
            if (err) {
                /* Nothing is known any more of what has been issued */
                ret = err == -EIO ? -EPROTO : err;
            }
        }
        first += some;
    } while (!ret && first < t->num);
    *done = first;
    return ret;
}

/*
 * What has failed is not known, let alone what of it the guest issues again:
 * only everything makes up for it.
 */
bool iommufd_target_settle(IOMMUFDTarget *t, Error **errp)
{
    IOMMUFDNested *n = t->host->n;
    IOMMUFDTarget all = {
        .host = t->host,
        .hwpt = t->hwpt,
        .num = 1,
        .entries = n->everything,
    };
    int ret = -EOPNOTSUPP;
    uint32_t done;

    if (!t->owes) {
        return true;
    }
    if (n->config.inv_everything) {
        ret = iommufd_target_send(&all, 0, &done);
    }
    trace_iommufd_nested_settle(n->config.name, target_id(t), ret);
    if (ret) {
        n->count.errors[IOMMUFD_ERR_INVALIDATE]++;
        error_setg_errno(errp, -ret, "%s: %s %" PRIu32 " refused to forget "
                         "what it has cached, after an invalidation failed",
                         n->config.name,
                         t->hwpt ? "stage-1 HWPT" : "vIOMMU", target_id(t));
        return false;
    }
    t->owes = false;
    return true;
}

bool iommufd_nested_inv_settle(IOMMUFDNested *n, Error **errp)
{
    IOMMUFDHost *host;
    IOMMUFDHwpt *hwpt;
    bool ok = true;

    QLIST_FOREACH(host, &n->hosts, next) {
        ok &= iommufd_target_settle(&host->target, ok ? errp : NULL);
    }
    QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
        ok &= iommufd_target_settle(&hwpt->target, ok ? errp : NULL);
    }
    return ok;
}

/* Entries go to vIOMMUs where there are any, and to HWPTs elsewhere */
void iommufd_nested_inv_owe(IOMMUFDNested *n)
{
    IOMMUFDHost *host;
    IOMMUFDHwpt *hwpt;

    QLIST_FOREACH(host, &n->hosts, next) {
        host->target.owes |= host->viommu_id;
    }
    QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
        hwpt->target.owes |= !hwpt->host->viommu_id && !hwpt->shadow;
    }
    iommufd_nested_shadow_stale_all(n);
}

/* The earliest failure of the batch is told: there the guest's queue stops */
static void target_failed(IOMMUFDTarget *t, uint32_t done, int ret,
                          uint64_t *seq, IOMMUFDNestedInvError *fail,
                          Error **errp)
{
    IOMMUFDNested *n = t->host->n;
    struct IOMMUFDInvTag *tag = &t->tags[done];

    n->count.errors[IOMMUFD_ERR_INVALIDATE]++;
    if (tag->seq < *seq) {
        *seq = tag->seq;
        fail->cookie = tag->cookie;
        fail->err = -ret;
        fail->done = done;
        if (errp) {
            error_free(*errp);
            *errp = NULL;
        }
        error_setg_errno(errp, -ret,
                         "%s: %s %" PRIu32 " refused invalidation %" PRIu32
                         " of %" PRIu32, n->config.name,
                         t->hwpt ? "stage-1 HWPT" : "vIOMMU", target_id(t),
                         done + 1, t->num);
    }
}

static bool target_flush(IOMMUFDTarget *t, uint64_t *seq,
                         IOMMUFDNestedInvError *fail, Error **errp)
{
    g_autoptr(GPtrArray) late = NULL;
    IOMMUFDHost *host = t->host;
    IOMMUFDHwpt *hwpt = t->hwpt;
    uint32_t done;
    int ret = iommufd_target_send(t, 0, &done);

    if (ret == -ETIMEDOUT && !hwpt && host->n->ops->device_tlb) {
        /* Nothing is known of the piece it was in */
        uint32_t first = done - done % host->n->config.inv_piece;

        late = g_ptr_array_new();
        ret = iommufd_device_tlb_retry(t, first, &done, late);
    }
    if (ret) {
        target_failed(t, done, ret, seq, fail, errp);
        t->owes |= hwpt || ret != -EIO;
    }
    target_empty(t);
    if (t->cap > KEEP_CAP) {
        target_resize(t, KEEP_CAP);
    }
    if (ret && hwpt) {
        iommufd_hwpt_block(hwpt, REASON);
    } else if (ret && ret != -EIO) {
        iommufd_host_block(host, false, REASON);
    }
    for (guint i = 0; late && i < late->len; i++) {
        iommufd_device_tlb_block(g_ptr_array_index(late, i));
    }
    return !ret;
}

static bool batch_flush(IOMMUFDNested *n, bool in_turns,
                        IOMMUFDNestedInvError *fail, Error **errp)
{
    IOMMUFDNestedInvError first = {};
    uint64_t seq = UINT64_MAX;
    Error *err = NULL;
    IOMMUFDTarget *t;
    bool ok = true;

    if (QTAILQ_EMPTY(&n->dirty)) {
        n->flushing = false;
        return true;
    }
    if (!n->flushing) {
        n->count.inv_flushes++;
    }
    while ((t = QTAILQ_FIRST(&n->dirty)) &&
           (!in_turns || iommufd_nested_turn(n))) {
        ok &= target_flush(t, &seq, &first, &err);
    }
    n->flushing = t;
    if (fail) {
        *fail = first;
    }
    error_propagate(errp, err);
    return ok;
}

bool iommufd_nested_inv_flush(IOMMUFDNested *n, IOMMUFDNestedInvError *fail,
                              Error **errp)
{
    return batch_flush(n, false, fail, errp);
}

bool iommufd_nested_inv_flush_on(IOMMUFDNested *n, IOMMUFDNestedInvError *fail,
                                 Error **errp)
{
    return batch_flush(n, true, fail, errp);
}

bool iommufd_nested_inv_pending(const IOMMUFDNested *n)
{
    return !QTAILQ_EMPTY(&n->dirty);
}

static bool batch_room(IOMMUFDNested *n, IOMMUFDNestedInvError *fail,
                       Error **errp)
{
    if (n->num_dirty < n->config.max_batch) {
        return true;
    }
    n->count.inv_early++;
    trace_iommufd_nested_batch_full(n->config.name, n->num_dirty);
    return iommufd_nested_inv_flush(n, fail, errp);
}

static bool batch_append_hwpt(IOMMUFDHwpt *hwpt, const void *entry,
                              uint64_t seq, uint64_t cookie,
                              IOMMUFDNestedInvError *fail, Error **errp)
{
    /* What a shadow has cached is what it has mapped */
    if (hwpt->shadow) {
        return true;
    }
    if (!batch_room(hwpt->host->n, fail, errp)) {
        return false;
    }
    target_append(&hwpt->target, entry, seq, cookie);
    return true;
}

/*
 * HWPTs cannot go away meanwhile unless a flush fails, and then no more of
 * them is looked at.
 */
static bool batch_append_hwpts(IOMMUFDNested *n, GPtrArray *hwpts,
                               const void *entry, uint64_t cookie,
                               IOMMUFDNestedInvError *fail, Error **errp)
{
    uint64_t seq = n->inv_seq++;

    for (guint i = 0; i < hwpts->len; i++) {
        if (!batch_append_hwpt(g_ptr_array_index(hwpts, i), entry, seq, cookie,
                               fail, errp)) {
            return false;
        }
    }
    return true;
}

bool iommufd_nested_inv_bound(IOMMUFDNested *n, uint32_t domain,
                              uint32_t index_pasid, const void *entry,
                              uint64_t cookie, IOMMUFDNestedInvError *fail,
                              Error **errp)
{
    const IOMMUFDBucketHwpt *link = iommufd_index_bound_hwpts(n, domain,
                                                              index_pasid);
    uint64_t seq = n->inv_seq++;

    for (; link; link = QLIST_NEXT(link, next)) {
        if (!batch_append_hwpt(link->hwpt, entry, seq, cookie, fail, errp)) {
            return false;
        }
    }
    return true;
}

bool iommufd_nested_inv_domain(IOMMUFDNested *n, uint32_t domain,
                               const void *entry, uint64_t cookie,
                               IOMMUFDNestedInvError *fail, Error **errp)
{
    g_autoptr(GPtrArray) hwpts = g_ptr_array_new();

    iommufd_index_domain_hwpts(n, domain, hwpts);
    return batch_append_hwpts(n, hwpts, entry, cookie, fail, errp);
}

bool iommufd_nested_inv_all(IOMMUFDNested *n, const void *entry,
                            uint64_t cookie, IOMMUFDNestedInvError *fail,
                            Error **errp)
{
    g_autoptr(GPtrArray) hwpts = g_ptr_array_new();
    IOMMUFDHwpt *hwpt;

    QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
        g_ptr_array_add(hwpts, hwpt);
    }
    return batch_append_hwpts(n, hwpts, entry, cookie, fail, errp);
}

static bool batch_append_viommu(IOMMUFDHost *host, const void *entry,
                                uint64_t seq, uint64_t cookie,
                                IOMMUFDNestedInvError *fail, Error **errp)
{
    assert(host->viommu_id);
    if (!batch_room(host->n, fail, errp)) {
        return false;
    }
    target_append(&host->target, entry, seq, cookie);
    return true;
}

bool iommufd_nested_inv_device(IOMMUFDNestedDevice *dev, const void *entry,
                               uint64_t cookie, IOMMUFDNestedInvError *fail,
                               Error **errp)
{
    return batch_append_viommu(dev->host, entry, dev->n->inv_seq++, cookie,
                               fail, errp);
}

bool iommufd_nested_inv_viommus(IOMMUFDNested *n, const void *entry,
                                uint64_t cookie, IOMMUFDNestedInvError *fail,
                                Error **errp)
{
    uint64_t seq = n->inv_seq++;
    IOMMUFDHost *host;

    QLIST_FOREACH(host, &n->hosts, next) {
        if (!batch_append_viommu(host, entry, seq, cookie, fail, errp)) {
            return false;
        }
    }
    return true;
}

void iommufd_nested_inv_repeat(IOMMUFDNestedDevice *dev)
{
    dev->host->repeat = true;
}
