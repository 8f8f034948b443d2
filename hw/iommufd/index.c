/*
 * Nested IOMMU core: who is bound under a domain and a PASID
 *
 * Guest commands name a domain and a PASID. A bucket has all attachments
 * under one such pair, and the distinct HWPTs among them with a count, so
 * that four devices with the same tables cost an invalidation as much as one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "core.h"

typedef struct IOMMUFDDomain {
    uint64_t key;
    QLIST_HEAD(, IOMMUFDBucket) buckets;
} IOMMUFDDomain;

struct IOMMUFDBucket {
    uint64_t key;               /* domain in the upper half, PASID */
    IOMMUFDNested *n;
    IOMMUFDDomain *domain;
    QTAILQ_HEAD(, IOMMUFDAtt) atts;
    QLIST_HEAD(, IOMMUFDBucketHwpt) hwpts;
    QLIST_ENTRY(IOMMUFDBucket) next;
};

static uint64_t bucket_key(uint32_t domain, uint32_t pasid)
{
    return (uint64_t)domain << 32 | pasid;
}

/*
 * g_int64_hash() folds both halves by XOR, and guests tend to number domains
 * and PASIDs in step: mix them instead.
 */
static guint bucket_hash(gconstpointer p)
{
    return (*(const uint64_t *)p * 0x9e3779b97f4a7c15ull) >> 32;
}

void iommufd_index_init(IOMMUFDNested *n)
{
    n->buckets = g_hash_table_new(bucket_hash, g_int64_equal);
    n->domains = g_hash_table_new(bucket_hash, g_int64_equal);
}

void iommufd_index_free(IOMMUFDNested *n)
{
    assert(!g_hash_table_size(n->buckets) && !g_hash_table_size(n->domains));
    g_hash_table_destroy(n->buckets);
    g_hash_table_destroy(n->domains);
}

static IOMMUFDBucket *bucket_find(IOMMUFDNested *n, uint32_t domain,
                                  uint32_t pasid)
{
    uint64_t key = bucket_key(domain, pasid);

    /* Commands come in series for one pair */
    if (!n->recent || n->recent->key != key) {
        n->recent = g_hash_table_lookup(n->buckets, &key);
    }
    return n->recent;
}

static IOMMUFDDomain *domain_find(IOMMUFDNested *n, uint32_t domain)
{
    uint64_t key = domain;

    return g_hash_table_lookup(n->domains, &key);
}

static IOMMUFDBucket *bucket_get(IOMMUFDNested *n, uint32_t domain,
                                 uint32_t pasid)
{
    IOMMUFDBucket *bucket = bucket_find(n, domain, pasid);
    IOMMUFDDomain *d;

    if (bucket) {
        return bucket;
    }
    d = domain_find(n, domain);
    if (!d) {
        d = g_new0(IOMMUFDDomain, 1);
        d->key = domain;
        QLIST_INIT(&d->buckets);
        g_hash_table_insert(n->domains, &d->key, d);
    }
    bucket = g_new0(IOMMUFDBucket, 1);
    bucket->key = bucket_key(domain, pasid);
    bucket->n = n;
    bucket->domain = d;
    QTAILQ_INIT(&bucket->atts);
    QLIST_INIT(&bucket->hwpts);
    QLIST_INSERT_HEAD(&d->buckets, bucket, next);
    g_hash_table_insert(n->buckets, &bucket->key, bucket);
    return bucket;
}

static void bucket_put(IOMMUFDBucket *bucket)
{
    IOMMUFDDomain *d = bucket->domain;
    IOMMUFDNested *n = bucket->n;

    if (!QTAILQ_EMPTY(&bucket->atts)) {
        return;
    }
    assert(QLIST_EMPTY(&bucket->hwpts));
    if (n->recent == bucket) {
        n->recent = NULL;
    }
    g_hash_table_remove(n->buckets, &bucket->key);
    QLIST_REMOVE(bucket, next);
    if (QLIST_EMPTY(&d->buckets)) {
        g_hash_table_remove(n->domains, &d->key);
        g_free(d);
    }
    g_free(bucket);
}

static void bucket_count(IOMMUFDBucket *bucket, IOMMUFDHwpt *hwpt)
{
    IOMMUFDBucketHwpt *link;

    QLIST_FOREACH(link, &bucket->hwpts, next) {
        if (link->hwpt == hwpt) {
            link->count++;
            return;
        }
    }
    link = g_new0(IOMMUFDBucketHwpt, 1);
    link->hwpt = hwpt;
    link->count = 1;
    QLIST_INSERT_HEAD(&bucket->hwpts, link, next);
}

static void bucket_uncount(IOMMUFDBucket *bucket, IOMMUFDHwpt *hwpt)
{
    IOMMUFDBucketHwpt *link;

    QLIST_FOREACH(link, &bucket->hwpts, next) {
        if (link->hwpt == hwpt) {
            if (!--link->count) {
                QLIST_REMOVE(link, next);
                g_free(link);
            }
            return;
        }
    }
    g_assert_not_reached();
}

/* @att's HWPT as invalidations shall reach it; NULL: none */
void iommufd_index_hwpt(IOMMUFDAtt *att, IOMMUFDHwpt *hwpt)
{
    IOMMUFDHwpt *old = att->indexed_hwpt;

    if (old == hwpt) {
        return;
    }
    if (old && att->bucket) {
        bucket_uncount(att->bucket, old);
    }
    att->indexed_hwpt = hwpt;
    if (hwpt && att->bucket) {
        bucket_count(att->bucket, hwpt);
    }
}

/* Who comes after @att in its domain; NULL: nobody */
static IOMMUFDAtt *att_next(IOMMUFDAtt *att)
{
    IOMMUFDAtt *next = QTAILQ_NEXT(att, bucket_next);
    IOMMUFDBucket *bucket;

    if (!next) {
        bucket = QLIST_NEXT(att->bucket, next);
        next = bucket ? QTAILQ_FIRST(&bucket->atts) : NULL;
    }
    return next;
}

void iommufd_index_clear(IOMMUFDAtt *att)
{
    IOMMUFDBucket *bucket = att->bucket;

    if (!bucket) {
        return;
    }
    if (bucket->n->walk == att) {
        bucket->n->walk = att_next(att);
    }
    if (att->indexed_hwpt) {
        bucket_uncount(bucket, att->indexed_hwpt);
    }
    QTAILQ_REMOVE(&bucket->atts, att, bucket_next);
    att->bucket = NULL;
    bucket_put(bucket);
}

void iommufd_index_set(IOMMUFDAtt *att, uint32_t domain, uint32_t pasid)
{
    IOMMUFDBucket *bucket;

    if (att->bucket && att->bucket->key == bucket_key(domain, pasid)) {
        return;
    }
    iommufd_index_clear(att);
    bucket = bucket_get(att->dev->n, domain, pasid);
    att->bucket = bucket;
    /* In front: a walk of its bucket does not meet it again */
    QTAILQ_INSERT_HEAD(&bucket->atts, att, bucket_next);
    if (att->indexed_hwpt) {
        bucket_count(bucket, att->indexed_hwpt);
    }
}

uint32_t iommufd_index_domain(const IOMMUFDAtt *att)
{
    return att->bucket ? att->bucket->key >> 32 : 0;
}

uint32_t iommufd_index_pasid(const IOMMUFDAtt *att)
{
    return att->bucket ? (uint32_t)att->bucket->key : 0;
}

/* Add what is not yet stamped as added in this walk */
static void bucket_hwpts(IOMMUFDBucket *bucket, GPtrArray *hwpts)
{
    IOMMUFDBucketHwpt *link;

    QLIST_FOREACH(link, &bucket->hwpts, next) {
        if (link->hwpt->stamp != bucket->n->stamp) {
            link->hwpt->stamp = bucket->n->stamp;
            g_ptr_array_add(hwpts, link->hwpt);
        }
    }
}

const IOMMUFDBucketHwpt *iommufd_index_bound_hwpts(IOMMUFDNested *n,
                                                   uint32_t domain,
                                                   uint32_t pasid)
{
    IOMMUFDBucket *bucket = bucket_find(n, domain, pasid);

    return bucket ? QLIST_FIRST(&bucket->hwpts) : NULL;
}

void iommufd_index_domain_hwpts(IOMMUFDNested *n, uint32_t domain,
                                GPtrArray *hwpts)
{
    IOMMUFDDomain *d = domain_find(n, domain);
    IOMMUFDBucket *bucket;

    n->stamp++;
    if (d) {
        QLIST_FOREACH(bucket, &d->buckets, next) {
            bucket_hwpts(bucket, hwpts);
        }
    }
}

bool iommufd_nested_in_domain(IOMMUFDNested *n, uint32_t domain)
{
    return domain_find(n, domain);
}

void iommufd_nested_walk(IOMMUFDNested *n, uint32_t domain)
{
    IOMMUFDDomain *d = domain_find(n, domain);

    n->walk = d ? QTAILQ_FIRST(&QLIST_FIRST(&d->buckets)->atts) : NULL;
}

IOMMUFDNestedDevice *iommufd_nested_walk_next(IOMMUFDNested *n,
                                              uint32_t *pasid)
{
    IOMMUFDAtt *att = n->walk;

    if (!att) {
        return NULL;
    }
    n->walk = att_next(att);
    *pasid = att->pasid;
    return att->dev;
}
