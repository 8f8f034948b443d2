/*
 * Nested IOMMU core: what a guest can repeat, the user is told now and then
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "core.h"
#include "sys.h"

bool iommufd_nested_tell(IOMMUFDNestedTold *told, Error *err)
{
    int64_t now = iommufd_sys_now(false);

    if (told->untold_until > now) {
        told->untold++;
        error_free(err);
        return false;
    }
    if (told->untold) {
        error_append_hint(&err, "(%" PRIu64 " of this kind have not been told "
                          "since the last one that was)\n", told->untold);
    }
    *told = (IOMMUFDNestedTold) {
        .untold_until = now + IOMMUFD_NESTED_TELL_MS,
    };
    error_report_err(err);
    return true;
}
