/*
 * Model of /dev/iommu: what takes a privilege that a test does not have
 *
 * With host privileged=on the limit of locked memory may be raised, as libvirt
 * does for the QEMU that it starts: nothing of the model's is locked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "preload.h"
#include <sys/resource.h>

static bool pretend(int resource, const void *limit)
{
    return mdl_config.active && mdl_host.privileged &&
           resource == RLIMIT_MEMLOCK && limit;
}

#define SETRLIMIT(name, type)                                           \
MDL_EXPORT int name(__rlimit_resource_t resource, const struct type *limit) \
{                                                                       \
    return pretend(resource, limit) ? 0 : REAL(name)(resource, limit);  \
}

SETRLIMIT(setrlimit, rlimit)
SETRLIMIT(setrlimit64, rlimit64)

#define PRLIMIT(name, type)                                             \
MDL_EXPORT int name(pid_t pid, __rlimit_resource_t resource,            \
                    const struct type *limit, struct type *old)         \
{                                                                       \
    return pretend(resource, limit) ? REAL(name)(pid, resource, NULL, old) : \
                                      REAL(name)(pid, resource, limit, old); \
}

PRLIMIT(prlimit, rlimit)
PRLIMIT(prlimit64, rlimit64)
