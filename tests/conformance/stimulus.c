/*
 * Conformance of /dev/iommu: events that only the model can be asked for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The preloaded model exports one function which takes a command of its
 * control socket.  On a real kernel there is no such symbol, and scenarios
 * that need it are skipped.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include "conformance.h"

typedef int (*ModelCommand)(const char *json, char *out, size_t len);

static ModelCommand model_command(void)
{
    return (ModelCommand)dlsym(RTLD_DEFAULT, "iommufd_model_command");
}

bool ct_model_present(void)
{
    return model_command() != NULL;
}

const char *ct_model(const char *fmt, ...)
{
    static char reply[65536];
    char json[8192];
    ModelCommand run = model_command();
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(json, sizeof(json), fmt, ap);
    va_end(ap);

    reply[0] = '\0';
    if (run) {
        run(json, reply, sizeof(reply));
    }
    if (!ct_json_true(reply, "ok")) {
        ct_note("%s -> %s", json, reply);
    }
    return reply;
}

/* The text after "key":, or NULL.  The replies repeat no key in strings. */
static const char *value_of(const char *json, const char *key)
{
    char quoted[64];
    const char *p;

    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    p = strstr(json, quoted);
    if (!p) {
        return NULL;
    }
    p += strlen(quoted);
    p += strspn(p, " ");
    if (*p != ':') {
        return NULL;
    }
    p++;
    return p + strspn(p, " ");
}

bool ct_json_has(const char *json, const char *key)
{
    return value_of(json, key) != NULL;
}

bool ct_json_true(const char *json, const char *key)
{
    const char *p = value_of(json, key);

    return p && !strncmp(p, "true", 4);
}

bool ct_json_is(const char *json, const char *key, const char *text)
{
    const char *p = value_of(json, key);
    size_t len = strlen(text);

    return p && *p == '"' && !strncmp(p + 1, text, len) &&
           p[len + 1] == '"';
}
