/*
 * VT-d nesting under test: state that goes from one QEMU to another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VTD_MIGRATION_RIG_H
#define TESTS_QTEST_VTD_MIGRATION_RIG_H

#include "vtd-rig.h"

/* Wait for the end. Returns the reason of a failure, or NULL */
char *vtd_migration_end(VtdRig *r);

/* To @uri, or into @file: begun, or over as well */
void vtd_migration_begin(VtdRig *r, const char *uri);
void vtd_migration_begin_file(VtdRig *r, const char *file);
void vtd_migration_save(VtdRig *r, const char *file);

/* From @uri, begun; from @file, over: returns the reason of a failure */
void vtd_migration_incoming(VtdRig *r, const char *uri);
char *vtd_migration_load(VtdRig *r, const char *file);

/* Why 'migrate' is refused right away */
char *vtd_migration_refusal(VtdRig *r);
/* What stands against a migration in the current mode; "" if nothing */
char *vtd_migration_blockers(VtdRig *r);

/* The builders of @from, on the memory of @to */
void vtd_rig_take_over(VtdRig *to, const VtdRig *from);

#endif
