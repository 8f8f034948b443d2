/*
 * Model of /dev/iommu: the hardware's part of the control socket
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hw-priv.h"
#include "json.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hw_parse_hex(const char *hex, uint8_t *out, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        int hi = hex_digit(hex[2 * i]), lo;

        if (hi < 0) {
            return false;
        }
        lo = hex_digit(hex[2 * i + 1]);
        if (lo < 0) {
            return false;
        }
        out[i] = hi << 4 | lo;
    }
    return hex[2 * len] == '\0';
}

int hw_command_error(char *reply, size_t reply_len, int err,
                     const char *text)
{
    snprintf(reply, reply_len, "%s", text);
    return err;
}

MdlDevice *hw_command_device(const MdlJson *req)
{
    const char *bdf = json_str(req, "dev", "");
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        if (!strcmp(mdl_host.device[i]->bdf, bdf)) {
            return mdl_host.device[i];
        }
    }
    return NULL;
}

bool hw_command_pasid(const MdlJson *req, const MdlDevice *dev,
                      uint32_t *pasid)
{
    uint64_t value;

    *pasid = MDL_NO_PASID;
    if (!json_has(req, "pasid")) {
        return true;
    }
    value = json_u64(req, "pasid", 0);
    if (!dev->pasid_bits || value >> dev->pasid_bits) {
        return false;
    }
    *pasid = value;
    return true;
}

static int irq_command(const MdlJson *req, char *reply, size_t reply_len)
{
    MdlDevice *dev = hw_command_device(req);
    unsigned index = json_u64(req, "index", 2);
    int ret = index ? ep_trigger(dev, index, json_u64(req, "vector", 0)) :
                      ep_intx_level(dev, json_bool(req, "level", true));

    if (ret) {
        return hw_command_error(reply, reply_len, ret,
                                "interrupt not enabled");
    }
    *reply = '\0';
    return 0;
}

static int atc_hang_command(const MdlJson *req, char *reply, size_t reply_len)
{
    hw_command_device(req)->atc_hang = json_bool(req, "on", true);
    *reply = '\0';
    return 0;
}

static int viable_command(const MdlJson *req, char *reply, size_t reply_len)
{
    hw_command_device(req)->viable = json_bool(req, "on", true);
    *reply = '\0';
    return 0;
}

static int isolated_msi_command(const MdlJson *req, char *reply,
                                size_t reply_len)
{
    mdl_host.isolated_msi = json_bool(req, "on", true);
    *reply = '\0';
    return 0;
}

/* ------------------------------------------------------------------ caches */

typedef struct CacheDump {
    char *at, *end;
    const char *name;
    uint32_t space;
    bool any_space, truncated, first;
} CacheDump;

static const char *entry_kind(uint8_t kind)
{
    switch (kind) {
    case HW_LEAF:
        return "page";
    case HW_TABLE:
        return "table";
    case HW_CD:
        return "cd";
    default:
        return "cd-table";
    }
}

static bool cache_dump_entry(const HwEntry *e, void *opaque)
{
    CacheDump *d = opaque;
    char text[256];
    int n;

    if (!d->any_space && e->space != d->space) {
        return true;
    }
    n = snprintf(text, sizeof(text),
                 "%s{\"cache\":\"%s\",\"kind\":\"%s\",\"tag\":%u,"
                 "\"ctx\":%lld,\"global\":%s,\"addr\":%llu,\"shift\":%u,"
                 "\"out\":%llu,\"perm\":%u}", d->first ? "" : ",", d->name,
                 entry_kind(e->kind), e->space,
                 e->ctx >= HW_CTX_GLOBAL ? -1LL : (long long)e->ctx,
                 e->ctx == HW_CTX_GLOBAL ? "true" : "false",
                 (unsigned long long)e->addr, e->shift,
                 (unsigned long long)e->out, e->perm);
    if (n >= d->end - d->at) {
        d->truncated = true;
        return false;
    }
    memcpy(d->at, text, n + 1);
    d->at += n;
    d->first = false;
    return true;
}

static void cache_dump_tlb(CacheDump *d, MdlDevice *dev, const MdlHwpt *hwpt)
{
    d->name = "tlb";
    d->any_space = false;
    d->space = mdl_host.arch == MDL_ARCH_SMMUV3 ? hw_s2_id(hwpt) :
                                                  hwpt->domain_id;
    cache_foreach(&dev->iommu->hw->tlb, cache_dump_entry, d);
}

/* Everything the device's requests may hit */
static int caches_command(const MdlJson *req, char *reply, size_t reply_len)
{
    static const char tail[] = "],\"truncated\":false";
    MdlDevice *dev = hw_command_device(req);
    CacheDump d = { .first = true };
    const MdlPasidAttach *p;
    int n;

    if (reply_len < 64) {
        return hw_command_error(reply, reply_len, -ENOSPC, "no room");
    }
    n = snprintf(reply, reply_len, "\"caches\":[");
    d.at = reply + n;
    d.end = reply + reply_len - sizeof(tail);
    if (dev->hwpt && dev->hwpt->nested) {
        cache_dump_tlb(&d, dev, dev->hwpt);
    }
    for (p = dev->pasids; p; p = p->next) {
        if (p->hwpt->nested && p->hwpt != dev->hwpt) {
            cache_dump_tlb(&d, dev, p->hwpt);
        }
    }
    d.name = "config";
    d.space = dev->host_sid;
    cache_foreach(&dev->iommu->hw->cfg, cache_dump_entry, &d);
    d.name = "atc";
    d.any_space = true;
    cache_foreach(&dev->ep->atc, cache_dump_entry, &d);
    sprintf(d.at, "],\"truncated\":%s", d.truncated ? "true" : "false");
    return 0;
}

typedef int HwCommandFn(const MdlJson *req, char *reply, size_t reply_len);

int hw_command(const char *cmd, const MdlJson *req, char *reply,
               size_t reply_len)
{
    static const struct {
        const char *name;
        HwCommandFn *fn;
        bool device;
    } commands[] = {
        { "dma", dma_command, true },
        { "dma-wait", pri_command_wait, true },
        { "page-request", pri_command, true },
        { "event", smmu_command_event, false },
        { "event-lost", smmu_command_event_lost, false },
        { "irq", irq_command, true },
        { "atc-hang", atc_hang_command, true },
        { "viable", viable_command, true },
        { "isolated-msi", isolated_msi_command, false },
        { "caches", caches_command, true },
        { "cmdqv-kick", cmdqv_command_kick, false },
    };
    size_t i;

    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, cmd)) {
            continue;
        }
        if (commands[i].device && !hw_command_device(req)) {
            return hw_command_error(reply, reply_len, -ENODEV,
                                    "dev: no such device");
        }
        return commands[i].fn(req, reply, reply_len);
    }
    return -ENOSYS;
}
