/*
 * Model of /dev/iommu: SMMUv3 event records on their way to vEVENTQs
 *
 * Record layout: SMMUv3 specification, 7.3.  Which records reach user space,
 * and under which StreamID: arm_smmu_handle_event(),
 * arm_vmaster_report_event().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>

#include "hw-priv.h"
#include "json.h"

#define EVT0_SSV        (1ULL << 11)
#define EVT1_PNU        (1ULL << 33)
#define EVT1_IND        (1ULL << 34)
#define EVT1_RNW        (1ULL << 35)

#define EVT_BYTES       32

/* The header of 7.3.13 and the like: config events have no address */
static void smmu_event_build(const HwReq *req, unsigned id, unsigned class,
                             uint32_t sid, uint64_t evt[4])
{
    memset(evt, 0, EVT_BYTES);
    evt[0] = id | (uint64_t)sid << 32;
    if (req->pasid != MDL_NO_PASID) {
        evt[0] |= EVT0_SSV | (uint64_t)req->pasid << 12;
    }
    if (id < SMMU_EVT_TRANSLATION) {
        return;
    }
    evt[1] = (uint64_t)class << 40;
    evt[1] |= req->priv ? EVT1_PNU : 0;
    evt[1] |= req->exec ? EVT1_IND : 0;
    evt[1] |= req->write ? 0 : EVT1_RNW;
    evt[2] = req->addr;
}

static void smmu_deliver(MdlViommu *viommu, const uint64_t evt[4])
{
    uint64_t le[4];
    MdlVeventq *q;
    unsigned i;

    for (i = 0; i < 4; i++) {
        le[i] = htole64(evt[i]);
    }
    for (q = viommu->veventqs; q; q = q->next) {
        if (q->type == IOMMU_VEVENTQ_TYPE_ARM_SMMUV3) {
            mdl_veventq_push(q, le, sizeof(le));
        }
    }
}

void smmu_event(const HwReq *req, unsigned id, unsigned class)
{
    const MdlEndpoint *ep = req->dev->ep;
    uint32_t sid = ep->label_viommu ? ep->label_sid : req->dev->host_sid;
    uint64_t evt[4];

    smmu_event_build(req, id, class, sid, evt);
    mdl_journal("event", "\"dev\":\"%s\",\"id\":\"0x%02x\",\"sid\":%u,"
                "\"label\":%s,\"addr\":%llu", req->dev->bdf, id, sid,
                ep->label_viommu ? "true" : "false",
                (unsigned long long)evt[2]);
    if (ep->label_viommu) {
        smmu_deliver(ep->label_viommu, evt);
    }
}

/* --------------------------------------------------------- control socket */

/* The vDEVICE behind @iommu that is called @sid */
static MdlVdevice *smmu_find_label(unsigned iommu, uint64_t sid)
{
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];

        if (dev->vdevice && dev->vdevice->virt_id == sid &&
            dev->iommu->index == iommu) {
            return dev->vdevice;
        }
    }
    return NULL;
}

int smmu_command_event(const MdlJson *req, char *reply, size_t reply_len)
{
    MdlVdevice *vdev = smmu_find_label(json_u64(req, "iommu", 0),
                                       json_u64(req, "sid", UINT64_MAX));
    uint64_t evt[4];
    uint8_t raw[EVT_BYTES];
    unsigned i;

    if (!vdev) {
        return hw_command_error(reply, reply_len, -ENOENT,
                                "no vDEVICE with this sid");
    }
    if (!hw_parse_hex(json_str(req, "event", ""), raw, sizeof(raw))) {
        return hw_command_error(reply, reply_len, -EINVAL,
                                "event: 32 bytes of hex wanted");
    }
    memcpy(evt, raw, sizeof(evt));
    for (i = 0; i < 4; i++) {
        evt[i] = le64toh(evt[i]);
    }
    evt[0] = (evt[0] & UINT32_MAX) | vdev->virt_id << 32;
    smmu_deliver(vdev->viommu, evt);
    snprintf(reply, reply_len, "\"sid\":%llu",
             (unsigned long long)vdev->virt_id);
    return 0;
}

int smmu_command_event_lost(const MdlJson *req, char *reply,
                            size_t reply_len)
{
    unsigned iommu = json_u64(req, "iommu", 0), i, n = 0;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlVdevice *vdev = mdl_host.device[i]->vdevice;
        MdlVeventq *q;

        if (!vdev || mdl_host.device[i]->iommu->index != iommu) {
            continue;
        }
        for (q = vdev->viommu->veventqs; q; q = q->next) {
            mdl_veventq_lose(q);
            n++;
        }
    }
    snprintf(reply, reply_len, "\"queues\":%u", n);
    return 0;
}
