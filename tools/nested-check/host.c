/*
 * qemu-nested-check: kernel, its command line, and what we may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "check.h"

#define CAP_IPC_LOCK_BIT 14

/* Distributions take features back to older versions: none of it is a no */
static void check_kernel(const char *proc, Arch arch)
{
    char *release = read_text("%s/sys/kernel/osrelease", proc);
    unsigned major = 0, minor = 0, has;
    /* HWPTs that nest, and with everything that we can make use of */
    unsigned first = arch == ARCH_SMMUV3 ? 613 : 607;

    if (!release || sscanf(release, "%u.%u", &major, &minor) != 2) {
        report("host", "kernel", RESULT_UNKNOWN, NULL, "%s has no version",
               proc);
        return;
    }
    has = major * 100 + (minor < 99 ? minor : 99);
    if (has < first) {
        report("host", "kernel", RESULT_WARN, "Linux 6.15 or later",
               "%s: nesting came with 6.%u", release, first % 100);
    } else if (has < 615) {
        report("host", "kernel", RESULT_WARN, "Linux 6.15 or later",
               "%s: %s", release, arch == ARCH_SMMUV3 ?
               "events of nested SMMUs came with 6.15" :
               "nested PASIDs came with 6.15");
    } else {
        report("host", "kernel", RESULT_OK, NULL, "%s", release);
    }
}

/* Whether a list like "on,sm_on" of any @option in @line has @word */
static bool has_word(const char *line, const char *option, const char *word)
{
    char *copy = format("%s", line), *outer, *inner;

    for (char *o = strtok_r(copy, " ", &outer); o;
         o = strtok_r(NULL, " ", &outer)) {
        if (!has_prefix(o, option) || o[strlen(option)] != '=') {
            continue;
        }
        for (char *w = strtok_r(o + strlen(option) + 1, ",", &inner); w;
             w = strtok_r(NULL, ",", &inner)) {
            if (!strcmp(w, word)) {
                return true;
            }
        }
    }
    return false;
}

static void check_options(const char *proc, Arch arch)
{
    static const struct {
        Arch arch;              /* NONE: any */
        const char *option, *word;
        Result result;
        const char *remedy;
    } bad[] = {
        { ARCH_VTD, "intel_iommu", "off", RESULT_NO, "intel_iommu=on,sm_on" },
        { ARCH_VTD, "intel_iommu", "sm_off", RESULT_NO,
          "intel_iommu=on,sm_on" },
        { ARCH_NONE, "iommu", "off", RESULT_NO, "without iommu=off" },
        { ARCH_NONE, "intremap", "off", RESULT_NO, "without intremap=off" },
        { ARCH_NONE, "pci", "noats", RESULT_WARN,
          "without pci=noats, for ATS and page requests" },
    };
    char *line = read_text("%s/cmdline", proc);
    bool found = false;

    if (!line) {
        report("host", "kernel-options", RESULT_UNKNOWN, NULL,
               "%s/cmdline cannot be read", proc);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if ((bad[i].arch == ARCH_NONE || bad[i].arch == arch ||
             arch == ARCH_NONE) &&
            has_word(line, bad[i].option, bad[i].word)) {
            report("host", "kernel-options", bad[i].result, bad[i].remedy,
                   "%s=%s", bad[i].option, bad[i].word);
            found = true;
        }
    }
    if (found) {
        return;
    }
    if (arch == ARCH_VTD && !has_word(line, "intel_iommu", "sm_on")) {
        report("host", "kernel-options", RESULT_OK, NULL,
               "no intel_iommu=sm_on: what the kernel has been configured to");
    } else {
        report("host", "kernel-options", RESULT_OK, NULL, "%s",
               arch == ARCH_VTD ? "intel_iommu=sm_on" : "nothing against it");
    }
}

static void check_iommus(Arch arch)
{
    switch (arch) {
    case ARCH_NONE:
        report("host", "iommu", RESULT_NO, "switch it on in the firmware "
               "(VT-d, SMMU); on Intel, intel_iommu=on for the kernel",
               "the kernel uses none");
        break;
    case ARCH_OTHER:
        report("host", "iommu", RESULT_NO, NULL,
               "QEMU nests behind VT-d and SMMUv3 only");
        break;
    default:
        report("host", "iommu", RESULT_OK, NULL, "%s",
               arch == ARCH_VTD ? "VT-d" : "SMMUv3");
        break;
    }
}

static void check_iommufd(void)
{
    int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        report("host", "iommufd", RESULT_OK, NULL, "/dev/iommu");
    } else if (errno == EACCES || errno == EPERM) {
        report("host", "iommufd", RESULT_NO, "a udev rule, or as root",
               "/dev/iommu: %s", strerror(errno));
    } else {
        report("host", "iommufd", RESULT_NO, "modprobe iommufd; a kernel with "
               "CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV",
               "/dev/iommu: %s", strerror(errno));
    }
    if (exists("/sys/bus/pci/drivers/vfio-pci")) {
        report("host", "vfio-pci", RESULT_OK, NULL, "the driver is there");
    } else {
        report("host", "vfio-pci", RESULT_WARN, "modprobe vfio-pci",
               "the driver is not loaded");
    }
}

static bool may_lock(const char *proc)
{
    char *status = read_text("%s/self/status", proc);
    const char *caps = status ? strstr(status, "CapEff:") : NULL;

    return caps ? parse_hex(caps + 7) & 1 << CAP_IPC_LOCK_BIT :
                  geteuid() == 0;
}

static void check_memlock(const char *proc)
{
    struct rlimit limit;

    if (may_lock(proc)) {
        report("host", "locked-memory", RESULT_OK, NULL,
               "no limit with CAP_IPC_LOCK");
    } else if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
               limit.rlim_cur == RLIM_INFINITY) {
        report("host", "locked-memory", RESULT_OK, NULL, "no limit");
    } else {
        report("host", "locked-memory", RESULT_WARN, "ulimit -l, "
               "LimitMEMLOCK= of a systemd unit, <memtune> of libvirt",
               "%llu KiB, and all memory of a guest has to fit",
               (unsigned long long)limit.rlim_cur / 1024);
    }
}

void check_host(const char *proc)
{
    Arch arch = iommu_arch_of_host();

    check_kernel(proc, arch);
    check_options(proc, arch);
    check_iommus(arch);
    check_iommufd();
    check_memlock(proc);
}
