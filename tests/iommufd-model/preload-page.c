/*
 * Model of /dev/iommu: a host with larger pages than this one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With host page-size= the program is told of such pages, and what it maps
 * begins with one, as far as libc is asked for it.
 */

#include "preload.h"
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

static bool larger(void)
{
    return mdl_config.active && mdl_host.page_size != MDL_PAGE_SIZE;
}

MDL_EXPORT int getpagesize(void)
{
    return larger() ? (int)mdl_host.page_size : REAL(getpagesize)();
}

MDL_EXPORT long sysconf(int name)
{
    return name == _SC_PAGESIZE && larger() ? (long)mdl_host.page_size :
                                              REAL(sysconf)(name);
}

MDL_EXPORT unsigned long getauxval(unsigned long type)
{
    return type == AT_PAGESZ && larger() ? mdl_host.page_size :
                                           REAL(getauxval)(type);
}

void *mdl_page_place(void *addr, size_t len, int *flags)
{
    size_t page = mdl_host.page_size;
    char *room, *at;

    if (addr || !larger() || !len) {
        return addr;
    }
    len = (len + page - 1) & ~(page - 1);
    room = REAL(mmap)(NULL, len + page, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        return addr;
    }
    at = (char *)(((uintptr_t)room + page - 1) & ~(page - 1));
    if (at > room) {
        REAL(munmap)(room, at - room);
    }
    REAL(munmap)(at + len, room + page - at);
    *flags |= MAP_FIXED;
    return at;
}
