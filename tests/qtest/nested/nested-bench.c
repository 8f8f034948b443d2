/*
 * What guest commands cost: one workload, repeated
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "../libqtest.h"
#include "nested-bench.h"

static unsigned parse_number(const char *what, const char *text, unsigned max)
{
    unsigned num;

    if (qemu_strtoui(text, NULL, 10, &num) || !num || num > max) {
        fprintf(stderr, "%s is 1 to %u, not %s\n", what, max, text);
        exit(2);
    }
    return num;
}

void bench_parse(Bench *b, int argc, char **argv, const char *const *workloads)
{
    if (argc != 5 || !g_strv_contains(workloads, argv[1])) {
        g_autofree char *names = g_strjoinv(" ", (char **)workloads);

        fprintf(stderr, "usage: %s WORKLOAD DEVICES COMMANDS TIMES\n"
                "workloads: %s\n", argv[0], names);
        exit(2);
    }
    b->workload = argv[1];
    b->devices = parse_number("DEVICES", argv[2], BENCH_DEVICES_MAX);
    b->commands = parse_number("COMMANDS", argv[3], 4096);
    b->times = parse_number("TIMES", argv[4], 100000);
    b->props = getenv("BENCH_IOMMU") ? getenv("BENCH_IOMMU") : "nested=on";
}

void bench_devices(const Bench *b, const char *arch, GString *host,
                   GString *args)
{
    g_string_printf(host, "[host]\narch=%s\n[iommu 0]\n", arch);
    g_string_truncate(args, 0);
    for (unsigned i = 0; i < b->devices; i++) {
        g_autofree char *bdf = g_strdup_printf("0000:%02x:00.0", i + 1);

        g_string_append_printf(host, "[device %s]\ngroup=%u\n", bdf, i + 1);
        g_string_append_printf(args, "-device vfio-pci,host=%s,"
                               "iommufd=iommufd0,bus=pcie.0,addr=%x.%u%s ",
                               bdf, 4 + i / 8, i % 8,
                               i % 8 ? "" : ",multifunction=on");
    }
}

uint16_t bench_rid(unsigned device)
{
    return (4 << 3) + device;
}

void bench_begin(IommufdModel *m, BenchCount *now)
{
    now->calls = iommufd_model_calls(m);
    now->invalidates = iommufd_model_counter(m, "HWPT_INVALIDATE", "calls");
    now->entries = iommufd_model_counter(m, "HWPT_INVALIDATE", "entries");
}

void bench_end(IommufdModel *m, const BenchCount *before)
{
    BenchCount now;

    bench_begin(m, &now);
    g_test_message("bench: calls %" PRIu64 " invalidates %" PRIu64
                   " entries %" PRIu64, now.calls - before->calls,
                   now.invalidates - before->invalidates,
                   now.entries - before->entries);
}
