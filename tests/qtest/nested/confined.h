/*
 * A QEMU under test without privileges: no user, no spawning, no paths
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_CONFINED_H
#define TESTS_QTEST_CONFINED_H

#include "nested-rig.h"

/*
 * QEMUs that are started up to the next call of confined_end() are confined as
 * confine.c has it; @how: its CONFINE. Returns: more arguments for QEMU, which
 * has -sandbox on as well if it was built with it.
 */
char *confined_begin(const char *how);
void confined_end(void);

/* Root runs the test, and another user can get at what QEMU reads */
bool confined_can_drop(void);

/* From now on a path that QEMU opens kills it */
void confined_no_paths(QTestState *qts);

/* Opened here, QEMU knows it as @name */
void confined_send(IommufdModel *m, const char *path, const char *name);

/*
 * An iommufd "passed", and host device number @n as "fd@n" for later
 */
void confined_send_all(IommufdModel *m, unsigned num);
void confined_plug(QTestState *qts, unsigned n, const char *bus,
                   const char *id);

/*
 * Tests "/@prefix/confined/...": @run is called with what confined_begin() is
 * to be told, and with more arguments for QEMU
 */
void confined_add_tests(const char *prefix,
                        void (*run)(const char *how, const char *more));

/* "snapshot" of its state into a descriptor; returns: it is complete */
bool confined_save(QTestState *qts, const char *file);

#endif
