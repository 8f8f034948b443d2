/*
 * SMMUv3 nested translation: what the tables for firmware and guest say of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "smmuv3-nested-fw.h"
#include "smmuv3-nested-internal.h"

SMMUv3NestedFirmware smmuv3_nested_firmware(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    SMMUv3NestedFirmware fw = { .ats = s->host.ats };

    if (!n) {
        return fw;
    }
    smmuv3_nested_caps_freeze(n, &error_fatal);
    if (n->active) {
        fw.ats = n->feature[SMMUV3_NESTED_ATS];
        if (!range_is_empty(&n->window)) {
            fw.msi_base = range_lob(&n->window);
            fw.msi_size = range_size(&n->window);
        }
    }
    return fw;
}

bool smmuv3_nested_assigned(SMMUv3State *s, PCIBus *bus, int devfn)
{
    return smmuv3_nested_device(s->nested, bus, devfn);
}
