/*
 * qemu-nested-check: what of a host nests, and what to do about what does not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <getopt.h>
#include <stdio.h>
#include "check.h"

/* Exit status */
enum {
    NESTS = 0,
    NESTS_NOT = 1,
    USAGE = 2,
    NOT_TRIED = 3,
};

static void usage(FILE *to)
{
    fprintf(to,
"usage: qemu-nested-check [OPTION]... [DEVICE]...\n"
"\n"
"Says whether guests' page tables can be nested on this host, for each DEVICE\n"
"(like 0000:01:00.0) or for all that could be assigned, and what to do about\n"
"each \"no\".\n"
"\n"
"  --json        for programs\n"
"  --no-try      look at files only: a device that is bound to vfio-pci and\n"
"                that nobody uses is reset by trying\n"
"  --proc=DIR    where the kernel's release and command line are (/proc)\n"
"  --help\n"
"\n"
"Exit status: 0 if each DEVICE, or without any at least one, nests; 1 if not;\n"
"2 for a mistake in the arguments; 3 if nothing speaks against it but not all\n"
"could be tried.\n");
}

static int status(Result result)
{
    return result == RESULT_OK ? NESTS :
           result == RESULT_NO ? NESTS_NOT : NOT_TRIED;
}

static bool is_address(const char *text)
{
    unsigned domain, bus, slot, function;
    int end = 0;

    return sscanf(text, "%x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function,
                  &end) == 4 && !text[end];
}

/* All of the ones that are named: the worst of them */
static Result check_named(char **names, int num, bool try)
{
    Result result, worst = RESULT_OK;

    for (int i = 0; i < num; i++) {
        result = check_device(names[i], try);
        worst = result > worst ? result : worst;
    }
    return worst;
}

/* All that are there: the best of them */
static Result check_all(bool try)
{
    Names devices = list_dir("/sys/bus/pci/devices");
    Result result, best = RESULT_NO;

    for (size_t i = 0; i < devices.num; i++) {
        if (is_candidate(devices.name[i])) {
            result = check_device(devices.name[i], try);
            best = result < best ? result : best;
        }
    }
    return best;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "no-try", no_argument, NULL, 'n' },
        { "proc", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        {}
    };
    Names iommus;
    const char *proc = "/proc";
    bool json = false, try = true;
    Result result;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            json = true;
            break;
        case 'n':
            try = false;
            break;
        case 'p':
            proc = optarg;
            break;
        case 'h':
            usage(stdout);
            return NESTS;
        default:
            usage(stderr);
            return USAGE;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (!is_address(argv[i])) {
            fprintf(stderr, "qemu-nested-check: '%s' is no PCI address like "
                    "0000:01:00.0\n", argv[i]);
            return USAGE;
        }
    }

    check_host(proc);
    result = optind < argc ? check_named(argv + optind, argc - optind, try) :
                             check_all(try);
    if (optind == argc) {
        /* Those with no device that could be assigned as well */
        iommus = list_dir("/sys/class/iommu");
        for (size_t i = 0; i < iommus.num; i++) {
            check_iommu(iommus.name[i]);
        }
    }
    json ? report_print_json() : report_print_text();
    return status(result);
}
