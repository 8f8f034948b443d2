/*
 * Conformance of /dev/iommu: choosing and running scenarios
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Output is TAP.  A scenario that the machine cannot run is skipped with the
 * reason; --require turns the absence of something into a failure, so that a
 * test which counts on it cannot turn into a row of skips.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "conformance.h"

static const CtGroup *const groups[] = {
    &ct_group_abi, &ct_group_ioas, &ct_group_copy, &ct_group_iova,
    &ct_group_option, &ct_group_file, &ct_group_pagetable, &ct_group_hwinfo,
    &ct_group_attachment, &ct_group_pasid, &ct_group_ids, &ct_group_nest_vtd,
    &ct_group_nest_smmu, &ct_group_inval_vtd, &ct_group_inval_smmu,
    &ct_group_dirty, &ct_group_fault, &ct_group_pageresp, &ct_group_viommu,
    &ct_group_veventq, &ct_group_vfio, &ct_group_irq, &ct_group_bar,
    &ct_group_dmabuf, &ct_group_pin, &ct_group_container, &ct_group_reset,
    &ct_group_migration, &ct_group_lifetime, &ct_group_dma, &ct_group_dma_reset,
    &ct_group_cmdqv,
    &ct_group_vf,
};

static const struct {
    uint64_t bit;
    const char *name;
    const char *reason;
} needs[] = {
    { CT_DEV, "device", "no vfio device" },
    { CT_DEV2, "device2", "no second device in another group" },
    { CT_MATE, "mate", "no two devices in one group" },
    { CT_IOMMU2, "iommu2", "no devices behind two IOMMUs" },
    { CT_VTD, "vtd", "the host IOMMU is not VT-d" },
    { CT_SMMUV3, "smmuv3", "the host IOMMU is not an SMMUv3" },
    { CT_NEST, "nest", "the host IOMMU cannot nest" },
    { CT_VIOMMU, "viommu", "the host IOMMU offers no vIOMMU" },
    { CT_PASID, "pasid", "no device with PASIDs" },
    { CT_PRI, "pri", "no device with page requests" },
    { CT_DIRTY, "dirty", "the host IOMMU does not track dirty pages" },
    { CT_MODEL, "model", "needs a stimulus only the model can give" },
    { CT_RESET, "reset", "no device that can be reset" },
    { CT_MSIX, "msix", "no device with two MSI-X vectors" },
    { CT_RAWIO, "rawio", "needs CAP_SYS_RAWIO" },
    { CT_NO_PASID, "no-pasid", "every device has PASIDs" },
    { CT_NO_PRI, "no-pri", "every device has page requests" },
    { CT_VF_PRI, "vf-pri", "no VF of a device with page requests" },
    { CT_MIG, "migration", "no device that can be migrated" },
    { CT_NO_NEST, "no-nest", "the host IOMMU can nest" },
    { CT_INTX, "intx", "no device with INTx and MSI-X" },
    { CT_BAR, "bar", "no device with a BAR to map" },
    { CT_DMABUF, "dma-buf", "no device with a BAR as dma-buf" },
    { CT_PEER, "peer", "no device to be told to reach memory of another" },
    { CT_PM, "pm", "no device with a BAR to map and D3hot" },
    { CT_MEMLOCK, "memlock", "locked memory does not count" },
    { CT_MSI, "msi", "no device with MSI" },
    { CT_ROM, "rom", "no device with a ROM" },
    { CT_RESOURCE, "resource", "needs CAP_SYS_RESOURCE" },
    { CT_CONTAINER, "container", "no iommufd at /dev/vfio/vfio, or no group" },
    { CT_ATS, "ats", "no device with ATS" },
    { CT_NO_ATS, "no-ats", "every device has ATS" },
    { CT_CMDQV, "cmdqv", "the host SMMUv3 has no Tegra241 CMDQV" },
    { CT_VF, "vf", "no VF of a device that vfio has, too" },
    { CT_STALLS, "stalls", "the host SMMUv3 cannot stall" },
    { CT_FEW_IDS, "few-ids", "the host IOMMU has more ids than a test uses" },
};

static const char *missing(uint64_t want)
{
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++) {
        if (want & needs[i].bit && !(ct.have & needs[i].bit)) {
            return needs[i].reason;
        }
    }
    /* Each of several needs may be met by a different device only */
    if (want & ~(CT_VTD | CT_SMMUV3 | CT_MODEL | CT_RAWIO | CT_MEMLOCK |
                 CT_RESOURCE | CT_PEER) &&
        !ct_device(want & ~CT_DEV)) {
        return "no one device has all that it needs";
    }
    return NULL;
}

static uint64_t need_bit(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++) {
        if (!strcmp(needs[i].name, name)) {
            return needs[i].bit;
        }
    }
    fprintf(stderr, "conformance: --require: unknown word '%s'\n", name);
    exit(2);
}

static uint64_t parse_require(char *list)
{
    uint64_t bits = 0;

    for (char *w = strtok(list, ","); w; w = strtok(NULL, ",")) {
        bits |= need_bit(w);
    }
    return bits;
}

static unsigned count_scenarios(void)
{
    unsigned n = 0;

    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        n += groups[g]->nr;
    }
    return n;
}

/* @word: a number, a group, or "GROUP: NAME" as --list has it */
static bool named(const char *word, unsigned n, const CtGroup *group,
                  const CtScenario *s)
{
    size_t len = strlen(group->name);
    unsigned number;
    char rest;

    if (sscanf(word, "%u%c", &number, &rest) == 1) {
        return number == n;
    }
    return !strncmp(word, group->name, len) &&
           (!word[len] || (!strncmp(word + len, ": ", 2) &&
                           !strcmp(word + len + 2, s->name)));
}

static bool *parse_only(char *list)
{
    bool *only = calloc(count_scenarios() + 1, sizeof(*only));

    for (char *w = strtok(list, ","); w; w = strtok(NULL, ",")) {
        unsigned n = 1, found = 0;

        for (unsigned g = 0; only && g < ARRAY_LEN(groups); g++) {
            for (unsigned i = 0; i < groups[g]->nr; i++, n++) {
                if (named(w, n, groups[g], &groups[g]->scenario[i])) {
                    only[n] = true;
                    found++;
                }
            }
        }
        if (!found) {
            fprintf(stderr, "conformance: --only: no scenario '%s' (see "
                    "--list)\n", w);
            exit(2);
        }
    }
    return only;
}

static void list_scenarios(void)
{
    unsigned n = 1;

    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        for (unsigned i = 0; i < groups[g]->nr; i++, n++) {
            printf("%u %s: %s\n", n, groups[g]->name,
                   groups[g]->scenario[i].name);
        }
    }
}

static void run_all(const bool *only)
{
    unsigned n = 1, run = 0, bad = 0, skipped = 0;

    printf("1..%u\n", count_scenarios());
    for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
        for (unsigned i = 0; i < groups[g]->nr; i++, n++) {
            const CtScenario *s = &groups[g]->scenario[i];
            const char *why = only && !only[n] ? "not chosen by --only" :
                              missing(s->needs);
            bool good = true;

            if (!why) {
                unsigned before = ct_checks();

                ct_scenario_begin();
                s->run();
                good = ct_scenario_end();
                if (ct_checks() == before) {
                    ct_note("the scenario made no check");
                    good = false;
                }
                run++;
                bad += !good;
            } else {
                skipped++;
            }
            printf("%sok %u - %s: %s%s%s\n", good ? "" : "not ", n,
                   groups[g]->name, s->name, why ? " # SKIP " : "",
                   why ? why : "");
            fflush(stdout);
        }
    }
    ct_note("%u scenarios run, %u failed, %u skipped; %u checks, %u failed",
            run, bad, skipped, ct_checks(), ct_failures());
}

static bool set_flavour(const char *flavour)
{
    unsigned type = ct.nr_dev ? ct.dev[0].info_type : 0;
    bool any = !strcmp(flavour, "auto");

    if (any && !ct.nr_dev) {
        return true;
    }
    if (type == IOMMU_HW_INFO_TYPE_INTEL_VTD &&
        (any || !strcmp(flavour, "vtd"))) {
        ct.have |= CT_VTD;
    } else if (type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3 &&
               (any || !strcmp(flavour, "smmuv3"))) {
        ct.have |= CT_SMMUV3;
    } else {
        printf("Bail out! flavour '%s' wanted, but the host reports hardware "
               "of type %u\n", flavour, type);
        return false;
    }
    return true;
}

static void usage(FILE *out)
{
    fprintf(out,
            "usage: iommufd-conformance [--list] [--model]\n"
            "       [--only N|GROUP|'GROUP: NAME',...]\n"
            "         [--device BDF|/dev/vfio/devices/vfioN]...\n"
            "         [--flavour vtd|smmuv3|auto] [--require WORD,...]\n"
            "words of --require:");
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++) {
        fprintf(out, " %s", needs[i].name);
    }
    fprintf(out, "\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "list", no_argument, NULL, 'l' },
        { "only", required_argument, NULL, 'o' },
        { "device", required_argument, NULL, 'd' },
        { "flavour", required_argument, NULL, 'f' },
        { "require", required_argument, NULL, 'r' },
        { "model", no_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *names[CT_MAX_DEVICES], *flavour = "auto";
    unsigned nr_names = 0;
    uint64_t required = 0;
    bool *only = NULL;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'l':
            list_scenarios();
            return 0;
        case 'o':
            only = parse_only(optarg);
            break;
        case 'd':
            if (nr_names < CT_MAX_DEVICES) {
                names[nr_names++] = optarg;
            }
            break;
        case 'f':
            flavour = optarg;
            break;
        case 'r':
            required = parse_require(optarg);
            break;
        case 'm':
            ct.model = true;
            break;
        default:
            usage(opt == 'h' ? stdout : stderr);
            return opt == 'h' ? 0 : 2;
        }
    }

    printf("TAP version 13\n");
    if (ct.model && !ct_model_present()) {
        printf("Bail out! --model given, but no model is preloaded\n");
        return 1;
    }
    if (access("/dev/iommu", R_OK | W_OK)) {
        printf("Bail out! /dev/iommu: %s\n", strerror(errno));
        return 1;
    }
    if (!ct_discover(names, nr_names)) {
        printf("Bail out! a device cannot be probed\n");
        return 1;
    }
    ct.have |= ct.model ? CT_MODEL : 0;
    ct.have |= ct_capable(CT_CAP_SYS_RAWIO) ? CT_RAWIO : 0;
    ct.have |= ct_capable(CT_CAP_SYS_RESOURCE) ? CT_RESOURCE : 0;
    ct.have |= ct_memlock() ? CT_MEMLOCK : 0;
    if (!set_flavour(flavour)) {
        return 1;
    }
    if (missing(required & ~ct.have)) {
        printf("Bail out! required: %s\n", missing(required & ~ct.have));
        return 1;
    }
    run_all(only);
    free(only);
    return ct_failures() ? 1 : 0;
}
