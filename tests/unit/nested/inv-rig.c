/*
 * Invalidations of the nested IOMMU core under test: a few devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "inv-rig.h"

static bool covers(uint64_t a, uint64_t b)
{
    return a >> 32 <= b >> 32 && (uint32_t)a >= (uint32_t)b;
}

unsigned rig_compared;

static IOMMUFDNestedRelation relation(const void *first, const void *second)
{
    uint64_t a, b;

    rig_compared++;
    memcpy(&a, first, sizeof(a));
    memcpy(&b, second, sizeof(b));
    if (a == BARRIER || b == BARRIER || (a | b) & DEVICE_TLB) {
        return IOMMUFD_NESTED_ORDERED;
    }
    return covers(a, b) ? IOMMUFD_NESTED_COVERED :
           covers(b, a) ? IOMMUFD_NESTED_COVERS : IOMMUFD_NESTED_COMMUTE;
}

unsigned rig_blocked;
IOMMUFDNestedDevice *rig_late[DEVICES];
unsigned rig_num_late;

static void front_blocked(void *opaque, IOMMUFDNestedDevice *dev,
                          uint32_t pasid, const char *why)
{
    rig_blocked++;
}

static uint32_t front_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return GPOINTER_TO_UINT(iommufd_nested_device_opaque(dev));
}

static bool front_device_tlb(const void *entry, uint32_t *label)
{
    uint64_t e;

    memcpy(&e, entry, sizeof(e));
    *label = (e & ~DEVICE_TLB) >> 32;
    return e & DEVICE_TLB;
}

static void front_device_tlb_all(void *entry, uint32_t label)
{
    memcpy(entry, &(uint64_t) { TLB(label, UINT32_MAX) }, sizeof(uint64_t));
}

static void front_device_tlb_late(void *opaque, IOMMUFDNestedDevice *dev,
                                  Error *err)
{
    g_assert_nonnull(strstr(error_get_pretty(err),
                            iommufd_nested_device_name(dev)));
    error_free(err);
    rig_late[rig_num_late++] = dev;
}

static const IOMMUFDNestedOps rig_ops = {
    .device_tlb = front_device_tlb,
    .device_tlb_all = front_device_tlb_all,
    .device_tlb_late = front_device_tlb_late,
    .relation = relation,
    .blocked = front_blocked,
    .label = front_label,
};

uint32_t rig_piece;

void rig_setup(InvRig *t, uint32_t viommu_type, uint32_t max_batch,
               bool hosts)
{
    const uint64_t everything = ALL;
    IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
        .inv_piece = rig_piece,
        .inv_everything = &everything,
        .viommu_type = viommu_type,
        .max_batch = max_batch,
    };
    uint32_t parent = 0;

    fake_reset();
    rig_blocked = 0;
    rig_num_late = 0;
    t->n = iommufd_nested_new(&config, &rig_ops, NULL);
    for (int i = 0; i < DEVICES; i++) {
        g_autofree char *name = g_strdup_printf("d%d", i);

        if (!parent || hosts) {
            parent = fake_parent(NEST);
        }
        t->idev[i] = fake_device(name, parent);
        t->dev[i] = iommufd_nested_device_add(t->n, t->idev[i],
                                              GUINT_TO_POINTER(i + 1),
                                              &error_abort);
    }
}

void rig_teardown(InvRig *t)
{
    for (int i = 0; i < DEVICES; i++) {
        iommufd_nested_device_remove(t->dev[i]);
        fake_device_free(t->idev[i]);
    }
    g_assert_cmpuint(fake_objects(), ==, 0);
    iommufd_nested_free(t->n);
}

uint32_t rig_bind(InvRig *t, int i, uint32_t pasid, uint64_t root,
                  uint32_t domain, uint32_t index_pasid)
{
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
        .domain = domain,
        .index_pasid = index_pasid,
    };

    g_assert_true(iommufd_nested_set(t->dev[i], pasid, &tr, &error_abort));
    return fake_attached(t->idev[i], pasid);
}

bool rig_inv(InvRig *t, uint32_t domain, uint32_t pasid, uint64_t entry,
             uint64_t cookie, IOMMUFDNestedInvError *fail)
{
    return iommufd_nested_inv_bound(t->n, domain, pasid, &entry, cookie, fail,
                                    NULL);
}

void rig_flush(InvRig *t)
{
    g_assert_true(iommufd_nested_inv_flush(t->n, NULL, &error_abort));
    g_assert_false(iommufd_nested_inv_pending(t->n));
}

void rig_expect(uint32_t id, const uint64_t *entries, unsigned num)
{
    g_assert_cmpuint(fake.num_sent, ==, num);
    for (unsigned i = 0; i < num; i++) {
        g_assert_cmpuint(fake.sent[i].id, ==, id);
        g_assert_cmphex(fake.sent[i].entry, ==, entries[i]);
    }
    fake.num_sent = 0;
}

unsigned rig_ioctls(void)
{
    unsigned num = fake.calls[FAKE_INVALIDATE];

    fake.calls[FAKE_INVALIDATE] = 0;
    return num;
}

void rig_script(uint32_t done, int ret)
{
    fake.script[fake.num_script].done = done;
    fake.script[fake.num_script].ret = ret;
    fake.num_script++;
}
