/*
 * Nested vIOMMUs under test: two devices of one IOMMU group of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_GROUP_H
#define TESTS_QTEST_NESTED_GROUP_H

#include "nested-rig.h"

/* HOST_DEV0 and HOST_DEV1 are in IOMMU group 7; @device: lines for each */
char *nested_group_host(const char *arch, const char *device);

/* Both read @value at @addr, or fault: -1 */
void nested_group_expect(IommufdModel *m, const IommufdDma *how,
                         uint64_t addr, int value);

/*
 * The query shows for the RID of the host device @host whether its group is
 * blocked because its devices differ
 */
void nested_group_expect_reason(QTestState *qts, const char *host,
                                bool differs);

#endif
