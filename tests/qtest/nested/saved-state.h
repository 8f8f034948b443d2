/*
 * Saved states of releases, as they are kept in the tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A state is what "migrate" writes. Most of that is the list of pages that are
 * zero, nine bytes each: of every byte the one nine before it is subtracted,
 * and then gzip leaves next to nothing. Firmware is left out, too.
 */

#ifndef TESTS_QTEST_SAVED_STATE_H
#define TESTS_QTEST_SAVED_STATE_H

#include "nested-rig.h"

/* The VM stops, and its state goes to @file */
void saved_state_save(QTestState *qts, const char *file);

/*
 * The state from @file; the VM was started with -incoming defer. Returns: false
 * if it is refused; what QEMU says of it is on its standard error
 */
bool saved_state_load(QTestState *qts, const char *file);

/*
 * The state @name of the tree, unpacked into @file. With NESTED_STATES=FOLDER
 * in the environment @file is packed into that folder instead; returns: false
 */
bool saved_state_get(const char *name, const char *file);

/*
 * What @save writes has to consist of the same as the state @name of the tree,
 * for every device of type @vmsd: names and versions of its fields and
 * subsections. Each of the QEMUs that wrote them can load what the other did
 * then. With NESTED_STATES it is packed as saved_state_get() has it.
 */
void saved_state_check_shape(const char *name, void (*save)(const char *file),
                             const char *vmsd);

/* Standard error, in @file, has @words */
void saved_state_check_said(const char *file, const char *words);

/* An empty firmware, for -bios, that every user can read */
void saved_state_no_firmware(const char *file);

#endif
