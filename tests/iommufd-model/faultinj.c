/*
 * Model of /dev/iommu: faults on order
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * <call>:<n>[:errno=E][:partial=k][:late][:delay-ms=m][:eintr][:every]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "objects.h"
#include "json.h"

typedef struct Order {
    char call[40];
    uint64_t nth;
    uint64_t seen;
    int err;
    int partial;
    unsigned delay_ms;
    bool every, late;
    struct Order *next;
} Order;

static Order *orders;

static const struct {
    const char *name;
    int value;
} errnos[] = {
    { "EPERM", EPERM }, { "ENOENT", ENOENT }, { "EINTR", EINTR },
    { "EIO", EIO }, { "ENXIO", ENXIO }, { "E2BIG", E2BIG },
    { "EBADF", EBADF }, { "EAGAIN", EAGAIN }, { "ENOMEM", ENOMEM },
    { "EACCES", EACCES }, { "EFAULT", EFAULT }, { "EBUSY", EBUSY },
    { "EEXIST", EEXIST }, { "ENODEV", ENODEV }, { "EINVAL", EINVAL },
    { "EMFILE", EMFILE }, { "ENOTTY", ENOTTY }, { "ENOSPC", ENOSPC },
    { "ERANGE", ERANGE }, { "EDEADLK", EDEADLK }, { "ENOSYS", ENOSYS },
    { "EMSGSIZE", EMSGSIZE }, { "EOVERFLOW", EOVERFLOW },
    { "EOPNOTSUPP", EOPNOTSUPP }, { "EADDRINUSE", EADDRINUSE },
    { "ETIMEDOUT", ETIMEDOUT }, { "EBADFD", EBADFD },
};

static bool parse_num(const char *text, uint64_t max, uint64_t *num)
{
    const char *end;

    return mdl_parse_u64(text, &end, num) && !*end && *num <= max;
}

static bool parse_errno(const char *text, int *err)
{
    uint64_t num;
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(errnos); i++) {
        if (!strcmp(text, errnos[i].name)) {
            *err = errnos[i].value;
            return true;
        }
    }
    if (!parse_num(text, 4095, &num) || !num) {
        return false;
    }
    *err = num;
    return true;
}

static const char *parse_option(Order *o, const char *opt)
{
    uint64_t num;

    if (!strncmp(opt, "errno=", 6)) {
        return parse_errno(opt + 6, &o->err) ? NULL : "unknown errno";
    }
    if (!strncmp(opt, "partial=", 8)) {
        if (!parse_num(opt + 8, INT32_MAX, &num)) {
            return "partial= wants a number of entries";
        }
        o->partial = num;
        return NULL;
    }
    if (!strncmp(opt, "delay-ms=", 9)) {
        if (!parse_num(opt + 9, 600000, &num)) {
            return "delay-ms= wants a number up to 600000";
        }
        o->delay_ms = num;
        return NULL;
    }
    if (!strcmp(opt, "eintr")) {
        o->err = EINTR;
        return NULL;
    }
    if (!strcmp(opt, "every")) {
        o->every = true;
        return NULL;
    }
    if (!strcmp(opt, "late")) {
        if (strcmp(o->call, "ATTACH_IOMMUFD_PT")) {
            return "late is for ATTACH_IOMMUFD_PT";
        }
        o->late = true;
        return NULL;
    }
    return "unknown option";
}

static const char *parse_order(Order *o, char *spec)
{
    const char *err = NULL;
    char *save, *word;

    word = strtok_r(spec, ":", &save);
    if (!word || strlen(word) >= sizeof(o->call)) {
        return "no call named";
    }
    strcpy(o->call, word);
    word = strtok_r(NULL, ":", &save);
    if (!word || !parse_num(word, UINT64_MAX, &o->nth) || !o->nth) {
        return "no count (1 is the first call)";
    }
    while (!err && (word = strtok_r(NULL, ":", &save))) {
        err = parse_option(o, word);
    }
    if (!err && !o->err && (!o->delay_ms || o->partial >= 0)) {
        o->err = EIO;
    }
    return err;
}

const char *mdl_inject_add(const char *spec)
{
    Order *o = calloc(1, sizeof(*o)), **tail = &orders;
    char *copy = strdup(spec);
    const char *err;

    if (!o || !copy) {
        abort();
    }
    o->partial = -1;
    err = parse_order(o, copy);
    free(copy);
    if (err) {
        free(o);
        return err;
    }
    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = o;
    return NULL;
}

void mdl_inject_clear(void)
{
    Order *o;

    while ((o = orders)) {
        orders = o->next;
        free(o);
    }
}

/* Every order counts the call; the first one that is due wins */
MdlFaultPlan mdl_inject(const char *call)
{
    MdlFaultPlan plan = { .partial = -1 };
    Order *o;

    for (o = orders; o; o = o->next) {
        if (strcmp(o->call, call)) {
            continue;
        }
        o->seen++;
        if (o->every ? o->seen % o->nth : o->seen != o->nth) {
            continue;
        }
        if (!plan.hit) {
            plan.hit = true;
            plan.err = o->err;
            plan.partial = o->partial;
            plan.late = o->late;
            plan.delay_ms = o->delay_ms;
        }
    }
    if (plan.hit) {
        mdl_journal("injected", "\"call\":\"%s\",\"errno\":%d,"
                    "\"partial\":%d,\"delay_ms\":%u", call, plan.err,
                    plan.partial, plan.delay_ms);
    }
    return plan;
}
