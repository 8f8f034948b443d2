/*
 * qemu-nested-check: findings, as text and as JSON
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

typedef struct Finding {
    const char *subject;
    const char *check;
    const char *detail;
    const char *remedy;
    Result result;
} Finding;

typedef struct Verdict {
    const char *address;
    const char *obstacle;
    Result nests;
} Verdict;

static Finding *findings;
static Verdict *verdicts;
static size_t num_findings, num_verdicts;

static const char *const results[] = {
    [RESULT_OK] = "ok",
    [RESULT_UNKNOWN] = "unknown",
    [RESULT_WARN] = "warn",
    [RESULT_NO] = "no",
};

static const char *const answers[] = {
    [RESULT_OK] = "yes",
    [RESULT_UNKNOWN] = "unknown",
    [RESULT_NO] = "no",
};

/* One more element; all of @array's are @size bytes */
static void *grow(void *array, size_t num, size_t size)
{
    array = realloc(array, (num + 1) * size);
    if (!array) {
        abort();
    }
    return array;
}

void report(const char *subject, const char *check, Result result,
            const char *remedy, const char *fmt, ...)
{
    char *detail;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&detail, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    findings = grow(findings, num_findings, sizeof(*findings));
    findings[num_findings++] = (Finding) {
        .subject = subject, .check = check, .detail = detail,
        .remedy = remedy, .result = result,
    };
}

bool reported(const char *subject, const char *check)
{
    for (size_t i = 0; i < num_findings; i++) {
        if (!strcmp(findings[i].subject, subject) &&
            !strcmp(findings[i].check, check)) {
            return true;
        }
    }
    return false;
}

const char *report_obstacle(const char *subject)
{
    for (size_t i = 0; i < num_findings; i++) {
        if (!strcmp(findings[i].subject, subject) &&
            findings[i].result == RESULT_NO) {
            return findings[i].check;
        }
    }
    return NULL;
}

void report_device(const char *address, Result nests, const char *obstacle)
{
    verdicts = grow(verdicts, num_verdicts, sizeof(*verdicts));
    verdicts[num_verdicts++] = (Verdict) {
        .address = address, .obstacle = obstacle, .nests = nests,
    };
}

/* One subject after the other, in the order that they came up */
static bool comes_first(size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (!strcmp(findings[k].subject, findings[i].subject)) {
            return false;
        }
    }
    return true;
}

static void print_subject(const char *subject)
{
    printf("%s\n", subject);
    for (size_t i = 0; i < num_findings; i++) {
        const Finding *f = &findings[i];

        if (strcmp(f->subject, subject)) {
            continue;
        }
        printf("  %-20s %-8s %s\n", f->check, results[f->result], f->detail);
        if (f->remedy) {
            printf("  %-20s %-8s -> %s\n", "", "", f->remedy);
        }
    }
}

void report_print_text(void)
{
    for (size_t i = 0; i < num_findings; i++) {
        if (comes_first(i)) {
            print_subject(findings[i].subject);
        }
    }
    for (size_t i = 0; i < num_verdicts; i++) {
        const Verdict *v = &verdicts[i];

        switch (v->nests) {
        case RESULT_OK:
            printf("%s: nests\n", v->address);
            break;
        case RESULT_UNKNOWN:
            printf("%s: nothing speaks against it, but it has not been "
                   "tried\n", v->address);
            break;
        default:
            printf("%s: does not nest: %s\n", v->address, v->obstacle);
            break;
        }
    }
    if (!num_verdicts) {
        printf("no device that could be assigned\n");
    }
}

static void print_string(const char *key, const char *text, const char *end)
{
    printf("\"%s\": \"", key);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == '"' || *p == '\\') {
            printf("\\u%04x", *p);
        } else {
            putchar(*p);
        }
    }
    printf("\"%s", end);
}

void report_print_json(void)
{
    printf("{\"checks\": [");
    for (size_t i = 0; i < num_findings; i++) {
        const Finding *f = &findings[i];

        printf("%s\n  {", i ? "," : "");
        print_string("subject", f->subject, ", ");
        print_string("check", f->check, ", ");
        print_string("result", results[f->result], ", ");
        if (f->remedy) {
            print_string("remedy", f->remedy, ", ");
        }
        print_string("detail", f->detail, "}");
    }
    printf("],\n \"devices\": [");
    for (size_t i = 0; i < num_verdicts; i++) {
        const Verdict *v = &verdicts[i];

        printf("%s\n  {", i ? "," : "");
        print_string("address", v->address, ", ");
        if (v->obstacle) {
            print_string("obstacle", v->obstacle, ", ");
        }
        print_string("nests", answers[v->nests], "}");
    }
    printf("]}\n");
}
