/*
 * qemu-nested-check: what of a host nests, and what to do about what does not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_NESTED_CHECK_H
#define TOOLS_NESTED_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Plain C and libc: it also runs where there is nothing else, in the lab. It
 * runs once, and frees nothing.
 */

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FORMAT(n, m) __attribute__((format(printf, n, m)))

/* Worse ones have greater numbers */
typedef enum Result {
    RESULT_OK,
    RESULT_UNKNOWN,             /* nobody could look */
    RESULT_WARN,                /* it nests, but not with everything */
    RESULT_NO,                  /* it does not nest */
} Result;

/* ---------------------------------------------------------------- report.c */

/**
 * report() - what has been found out; strings but for @fmt's have to stay
 * @subject: "host", an IOMMU or a device
 * @check: what has been looked at
 * @remedy: what to do about it; NULL: nothing
 * @fmt: what it looks like
 */
void report(const char *subject, const char *check, Result result,
            const char *remedy, const char *fmt, ...) FORMAT(5, 6);

/* Has @subject been reported on by @check already? */
bool reported(const char *subject, const char *check);

/* The first check of @subject that says no, or NULL */
const char *report_obstacle(const char *subject);

/**
 * report_device() - the last word about a device
 * @nests: RESULT_OK, RESULT_NO or RESULT_UNKNOWN
 */
void report_device(const char *address, Result nests, const char *obstacle);

void report_print_text(void);
void report_print_json(void);

/* ----------------------------------------------------------------- files.c */

/* An allocated string */
char *format(const char *fmt, ...) FORMAT(1, 2);
/* @text with more behind it */
char *append(char *text, const char *fmt, ...) FORMAT(2, 3);
bool has_prefix(const char *text, const char *prefix);
/* The number that @text starts with, or 0 */
uint64_t parse_hex(const char *text);

typedef struct Names {
    char **name;
    size_t num;
} Names;

/* Contents of a file without the newline at its end, or NULL */
char *read_text(const char *fmt, ...) FORMAT(1, 2);
/* Up to @size bytes. Return: how many, or -1 */
ssize_t read_bytes(void *buf, size_t size, const char *fmt, ...)
    FORMAT(3, 4);
/* The last component of what a link points at, or NULL */
char *link_name(const char *fmt, ...) FORMAT(1, 2);
bool exists(const char *fmt, ...) FORMAT(1, 2);
/* Names in a directory, sorted; none if there is no such directory */
Names list_dir(const char *fmt, ...) FORMAT(1, 2);

/* ------------------------------------------------------------------ host.c */

typedef enum Arch {
    ARCH_NONE,
    ARCH_VTD,
    ARCH_SMMUV3,
    ARCH_OTHER,
} Arch;

/* @proc: where /proc is */
void check_host(const char *proc);

/* ----------------------------------------------------------------- iommu.c */

#define VTD_ECAP_NEEDED (1ULL << 26 | 1ULL << 43 | 1ULL << 47)

/* By the name that Linux gives an IOMMU in /sys/class/iommu */
Arch iommu_arch(const char *name);
/* The one that most of the host's are of */
Arch iommu_arch_of_host(void);
/* As far as /sys shows its registers, and unless that has been done */
void check_iommu(const char *name);
/* Registers that only the kernel's iommufd tells */
void check_smmuv3(const char *name, const uint32_t idr[6]);

/* ---------------------------------------------------------------- device.c */

/*
 * @try: have the kernel make a nesting parent for it. Return: does it nest?
 */
Result check_device(const char *address, bool try);

/* A function that a guest may have: no bridge, and behind an IOMMU */
bool is_candidate(const char *address);

/* ------------------------------------------------------------------- try.c */

/*
 * Binds the device to an iommufd of our own, and lets go of it again: the
 * kernel resets an idle device for that.
 *
 * @cdev: name of its character device
 * @has_ats: it has a capability that could be used, as far as is known
 */
void try_device(const char *address, const char *cdev, const char *iommu,
                bool has_ats);

#endif
