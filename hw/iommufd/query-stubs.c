/*
 * Nested IOMMU core: its queries in a machine without it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "qapi/qapi-commands-nested-iommu.h"

NestedIommuInfoList *qmp_x_query_nested_iommu(Error **errp)
{
    return NULL;
}

void hmp_info_nested_iommu(Monitor *mon, const QDict *qdict)
{
}
