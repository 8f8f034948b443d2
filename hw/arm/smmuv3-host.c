/*
 * SMMUv3 as the SMMU of an emulated host that can nest: what it advertises
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "smmuv3-host.h"

bool smmuv3_host_realize(SMMUv3State *s, Error **errp)
{
    const SMMUv3Host *host = &s->host;

    if (host->fwb && s->nested_props.mode != ON_OFF_AUTO_OFF) {
        error_setg(errp, "host-fwb plays the SMMU of a host, which nested=%s "
                   "makes use of: give one or the other",
                   OnOffAuto_str(s->nested_props.mode));
        return false;
    }
    if (host->fwb && g_strcmp0(s->stage, "2") &&
        g_strcmp0(s->stage, "nested")) {
        error_setg(errp, "host-fwb=on is a feature of stage 2, but stage=%s "
                   "has none: use stage=nested or stage=2",
                   s->stage ? s->stage : "1");
        return false;
    }
    return true;
}

void smmuv3_host_idr(SMMUv3State *s)
{
    /*
     * The emulation has no memory types, and nothing to do for STE.S2FWB:
     * with AArch64 tables the bit is never ILLEGAL (5.2).
     */
    s->idr[3] = FIELD_DP32(s->idr[3], IDR3, FWB, s->host.fwb);
}
