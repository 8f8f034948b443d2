/*
 * Nested IOMMU core: shadows of second-stage tables
 *
 * Tables of a guest that the host's IOMMU cannot walk behind its own (VT-d:
 * second-stage tables) are mirrored: an IOAS whose mappings are copies of the
 * parent's, so that nothing is pinned or accounted twice. All RIDs and PASIDs
 * with one table in one domain share it. The front end tells which ranges may
 * have changed and reads the tables; the core compares, and maps and unmaps
 * what differs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_SHADOW_H
#define HW_IOMMUFD_SHADOW_H

#include "hw/iommufd.h"

/* Mappings of all shadows of an IOMMUFDNested: what needs more is blocked */
#define IOMMUFD_NESTED_AREAS (1u << 20)

/* Bytes: what addresses and sizes are multiples of */
#define IOMMUFD_NESTED_PAGE 4096u

/**
 * struct IOMMUFDNestedRun - what a table makes of a range of addresses
 *
 * @iova: first address; what was asked for below it is not mapped
 * @gpa: where that leads
 * @size: bytes; 0: nothing is known of @iova and beyond, go on there
 * @read: device reads are allowed
 * @write: device writes are allowed
 */
struct IOMMUFDNestedRun {
    uint64_t iova;
    uint64_t gpa;
    uint64_t size;
    bool read;
    bool write;
};

/**
 * typedef IOMMUFDNestedShadowNext - the first mapping of a table in a range
 * @data: what the table was named by in IOMMUFDNestedTranslation
 * @first: first address
 * @last: last one; not before @first
 * @joined: neighbours that lead to neighbours may be one run: the guest has
 *          named the range as one
 * @run: set; ends behind @first. A large page is told as a whole, though it
 *       begin before @first or end behind @last
 *
 * Does a bounded amount of work, counted by iommufd_nested_count_read(). Must
 * not call into the core otherwise.
 */
typedef void IOMMUFDNestedShadowNext(void *opaque, const void *data,
                                     uint64_t first, uint64_t last,
                                     bool joined, IOMMUFDNestedRun *run);

/**
 * iommufd_nested_shadow_prepare() - have a shadow ready for a set
 * @dev: the device that is to go through it
 * @t: IOMMUFD_NESTED_SHADOW
 * @in_turns: as much of it as the turn has room for; else as much as can be
 *            done at once (64 turns)
 *
 * iommufd_nested_set() fails for a table that is new and takes more than that.
 * Kept until the next call, set or reset. A failure is told by
 * iommufd_nested_set().
 *
 * Return: false: to be continued, in a turn.
 */
bool iommufd_nested_shadow_prepare(IOMMUFDNestedDevice *dev,
                                   const IOMMUFDNestedTranslation *t,
                                   bool in_turns);

/**
 * iommufd_nested_shadow_stale() - a range of a domain's tables may have changed
 * @first: first address
 * @last: last address
 *
 * Comes into force with iommufd_nested_shadow_sync().
 */
void iommufd_nested_shadow_stale(IOMMUFDNested *n, uint32_t domain,
                                 uint64_t first, uint64_t last);
/* All of the tables of @domain, or of all domains */
void iommufd_nested_shadow_stale_domain(IOMMUFDNested *n, uint32_t domain);
void iommufd_nested_shadow_stale_all(IOMMUFDNested *n);

/**
 * iommufd_nested_shadow_sync() - shadows are what the tables say
 * @in_turns: as much of it as the turn has room for; else as much as can be
 *            done at once (64 turns, for all of them together), and what goes
 *            through the others is blocked, see IOMMUFDNestedOps.shadow_late
 *
 * What the host refuses blocks all that goes through the shadow, and
 * IOMMUFDNestedOps.blocked tells.
 *
 * Return: false: the turn is over, to be continued.
 */
bool iommufd_nested_shadow_sync(IOMMUFDNested *n, bool in_turns);

#endif
