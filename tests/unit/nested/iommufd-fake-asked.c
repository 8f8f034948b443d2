/*
 * A kernel for unit tests of the nested IOMMU core: whose page requests are
 * not answered
 *
 * What Linux 7.3 does to them: detaching answers those of that attachment
 * (iommufd_auto_response_faults()), but with the last HWPT of a device that
 * has a fault queue all of the device's are freed before, under iommufd
 * (iopf_queue_remove_device()).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "iommufd-fake.h"

static GHashTable *asked;       /* cookie -> dev_id << 32 | pasid */

void fake_asked_reset(void)
{
    g_clear_pointer(&asked, g_hash_table_destroy);
    asked = g_hash_table_new_full(NULL, NULL, NULL, g_free);
}

static void asked_add(uint32_t dev_id, uint32_t pasid, uint32_t cookie)
{
    uint64_t who = (uint64_t)dev_id << 32 | pasid;

    g_hash_table_insert(asked, GUINT_TO_POINTER(cookie),
                        g_memdup2(&who, sizeof(who)));
}

void fake_asked_end(uint32_t cookie)
{
    g_hash_table_remove(asked, GUINT_TO_POINTER(cookie));
}

void fake_asked_leave(uint32_t dev_id, uint32_t pasid, bool last)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, asked);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        uint64_t who = *(uint64_t *)value;

        if (who >> 32 == dev_id && (last || (uint32_t)who == pasid)) {
            fake.freed += last;
            g_hash_table_iter_remove(&iter);
        }
    }
}

void fake_push_group(int fd, HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                     uint32_t index, uint32_t cookie, unsigned count)
{
    g_autofree struct iommu_hwpt_pgfault *pf =
        g_new0(struct iommu_hwpt_pgfault, count);

    for (unsigned i = 0; i < count; i++) {
        pf[i].dev_id = idev->devid;
        if (pasid != IOMMUFD_NESTED_RID) {
            pf[i].flags = IOMMU_PGFAULT_FLAGS_PASID_VALID;
            pf[i].pasid = pasid;
        }
        pf[i].grpid = index;
        pf[i].perm = IOMMU_PGFAULT_PERM_READ;
        pf[i].addr = 0x1000 * (i + 1);
        pf[i].cookie = cookie;
    }
    pf[count - 1].flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
    fake_push(fd, pf, count * sizeof(pf[0]));
    asked_add(idev->devid, pasid, cookie);
}
