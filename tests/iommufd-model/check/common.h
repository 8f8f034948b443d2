/*
 * What the check programs share: preloading themselves, TAP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CHECK_COMMON_H
#define CHECK_COMMON_H

/**
 * check_with_model: run this program again with the configuration @config
 * for the model, unless that is how it runs already.  The library itself has
 * to be in LD_PRELOAD.
 */
void check_with_model(char **argv, const char *config);

/* One line of TAP; counts */
void check_result(bool ok, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The plan; exit status of the program */
int check_done(void);

#endif
