/*
 * VT-d nesting under test: a guest with second-stage tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VTD_SHADOW_RIG_H
#define TESTS_QTEST_VTD_SHADOW_RIG_H

#include "../libqos/vtd-second-stage.h"
#include "vtd-rig.h"

#define IOVA    0x40000000ULL
#define PAGE    4096ULL
#define DID     9

/* Page @page of DATA has 0x10 + @page in it */
void shadow_expect(VtdRig *r, const char *dev, uint64_t iova, unsigned page);
void shadow_expect_none(VtdRig *r, const char *dev, uint64_t iova);
void shadow_fill(VtdRig *r, unsigned pages);
void shadow_map(VtdRig *r, uint64_t ss, unsigned levels, uint64_t iova,
                unsigned page, unsigned num, uint64_t flags);
void shadow_unmap(VtdRig *r, uint64_t ss, unsigned levels, uint64_t iova,
                  uint64_t len);
/*
 * A new table of @num pages, none beside its neighbour: of the 64 pages at @gpa
 * over and over, each two of them exchanged. @num is a multiple of 512
 */
uint64_t shadow_scattered(VtdRig *r, uint64_t iova, unsigned num, uint64_t gpa);
void shadow_inv(VtdRig *r, unsigned what, uint64_t iova, unsigned order);
/*
 * One device, legacy mode, so many pages of data; returns a table that is not
 * in use
 */
uint64_t shadow_start(VtdRig *r, unsigned pages);
void shadow_legacy(VtdRig *r, uint16_t rid, uint64_t ss, unsigned levels);
/* The same in scalable mode: a PASID entry, which is told of */
void shadow_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint16_t did,
                  uint64_t ss);

#endif
