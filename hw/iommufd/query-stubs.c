/*
 * Nested IOMMU core: what others ask it, in a machine without it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/iommufd-memory.h"
#include "monitor/hmp.h"
#include "qapi/qapi-commands-nested-iommu.h"
#include "system/memory.h"

NestedIommuInfoList *qmp_x_query_nested_iommu(bool has_pasids, bool pasids,
                                              Error **errp)
{
    return NULL;
}

void hmp_info_nested_iommu(Monitor *mon, const QDict *qdict)
{
}

bool iommufd_nested_check_plug(const MemoryRegion *mr, hwaddr addr,
                               Error **errp)
{
    return true;
}

bool iommufd_nested_no_discard(void)
{
    return ram_block_discard_is_disabled();
}
