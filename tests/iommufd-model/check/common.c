/*
 * What the check programs share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "common.h"

static unsigned nr_results, nr_failed;

void check_with_model(char **argv, const char *config)
{
    const char *now = getenv("IOMMUFD_MODEL_CONFIG");

    if (now && !strcmp(now, config)) {
        return;
    }
    setenv("IOMMUFD_MODEL_CONFIG", config, 1);
    unsetenv("IOMMUFD_MODEL");
    fflush(NULL);
    execv("/proc/self/exe", argv);
    perror("cannot run this program again");
    exit(1);
}

void check_result(bool ok, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("%sok %u - ", ok ? "" : "not ", ++nr_results);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    fflush(stdout);
    nr_failed += !ok;
}

int check_done(void)
{
    printf("1..%u\n", nr_results);
    return nr_failed ? 1 : 0;
}
