/*
 * Model of /dev/iommu: the little JSON the control socket speaks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One flat object with strings, integers, booleans and arrays of integers.
 * Whatever else is JSON is refused, so a typo does not pass as a default.
 */

#include <stdlib.h>
#include <string.h>
#include "json.h"

#define JSON_MAX_MEMBERS    64

typedef enum JsonType {
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_ARRAY,
} JsonType;

typedef struct JsonMember {
    char *key;
    JsonType type;
    char *str;                          /* JSON_STRING */
    uint64_t num;                       /* JSON_NUMBER, JSON_BOOL */
    uint64_t *array;                    /* JSON_ARRAY */
    size_t nr;
} JsonMember;

struct MdlJson {
    JsonMember member[JSON_MAX_MEMBERS];
    size_t nr;
};

static void skip_space(const char **p)
{
    while (**p == ' ' || **p == '\t' || **p == '\n' || **p == '\r') {
        (*p)++;
    }
}

/* Only the escapes that can stand for one byte */
static int unescape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return -1;
    }
}

static char *parse_string(const char **p)
{
    const char *s = *p;
    size_t n = 0;
    char *out;

    if (*s != '"') {
        return NULL;
    }
    s++;
    out = malloc(strlen(s) + 1);
    if (!out) {
        abort();
    }
    while (*s && *s != '"') {
        int c = (unsigned char)*s++;

        if (c == '\\') {
            c = unescape(*s);
            if (c < 0) {
                free(out);
                return NULL;
            }
            s++;
        }
        out[n++] = c;
    }
    if (*s != '"') {
        free(out);
        return NULL;
    }
    out[n] = '\0';
    *p = s + 1;
    return out;
}

static int digit(char c, unsigned base)
{
    int d = c >= '0' && c <= '9' ? c - '0' :
            c >= 'a' && c <= 'f' ? c - 'a' + 10 :
            c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;

    return d < (int)base ? d : -1;
}

bool mdl_parse_u64(const char *text, const char **end, uint64_t *num)
{
    unsigned base = 10;
    uint64_t v = 0;
    int d;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (digit(*text, base) < 0) {
        return false;
    }
    while ((d = digit(*text, base)) >= 0) {
        if (v > (UINT64_MAX - d) / base) {
            return false;
        }
        v = v * base + d;
        text++;
    }
    *num = v;
    *end = text;
    return true;
}

static bool parse_number(const char **p, uint64_t *num)
{
    bool negative = **p == '-';

    if (!mdl_parse_u64(*p + negative, p, num)) {
        return false;
    }
    if (negative) {
        *num = -*num;
    }
    return true;
}

static bool parse_array(const char **p, JsonMember *m)
{
    size_t room = 0;

    (*p)++;
    skip_space(p);
    if (**p == ']') {
        (*p)++;
        return true;
    }
    for (;;) {
        uint64_t num;

        skip_space(p);
        if (!parse_number(p, &num)) {
            return false;
        }
        if (m->nr == room) {
            room = room ? 2 * room : 8;
            m->array = realloc(m->array, room * sizeof(*m->array));
            if (!m->array) {
                abort();
            }
        }
        m->array[m->nr++] = num;
        skip_space(p);
        if (**p == ']') {
            (*p)++;
            return true;
        }
        if (**p != ',') {
            return false;
        }
        (*p)++;
    }
}

static bool parse_literal(const char **p, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*p, word, len)) {
        return false;
    }
    *p += len;
    return true;
}

static bool parse_value(const char **p, JsonMember *m)
{
    skip_space(p);
    switch (**p) {
    case '"':
        m->type = JSON_STRING;
        m->str = parse_string(p);
        return m->str;
    case '[':
        m->type = JSON_ARRAY;
        return parse_array(p, m);
    case 't':
        m->type = JSON_BOOL;
        m->num = 1;
        return parse_literal(p, "true");
    case 'f':
        m->type = JSON_BOOL;
        return parse_literal(p, "false");
    default:
        m->type = JSON_NUMBER;
        return parse_number(p, &m->num);
    }
}

static const char *parse_object(MdlJson *json, const char *p)
{
    skip_space(&p);
    if (*p != '{') {
        return "not an object";
    }
    p++;
    skip_space(&p);
    if (*p == '}') {
        return NULL;
    }
    for (;;) {
        JsonMember *m = &json->member[json->nr];

        if (json->nr == JSON_MAX_MEMBERS) {
            return "too many members";
        }
        skip_space(&p);
        m->key = parse_string(&p);
        if (!m->key) {
            return "bad member name";
        }
        json->nr++;
        skip_space(&p);
        if (*p != ':') {
            return "no ':' after a member name";
        }
        p++;
        if (!parse_value(&p, m)) {
            return "bad value";
        }
        skip_space(&p);
        if (*p == '}') {
            p++;
            skip_space(&p);
            return *p ? "text after the object" : NULL;
        }
        if (*p != ',') {
            return "no ',' between members";
        }
        p++;
    }
}

MdlJson *json_parse(const char *text, const char **err)
{
    MdlJson *json = calloc(1, sizeof(*json));

    if (!json) {
        abort();
    }
    *err = parse_object(json, text);
    if (*err) {
        json_free(json);
        return NULL;
    }
    return json;
}

void json_free(MdlJson *json)
{
    size_t i;

    if (!json) {
        return;
    }
    for (i = 0; i < json->nr; i++) {
        free(json->member[i].key);
        free(json->member[i].str);
        free(json->member[i].array);
    }
    free(json);
}

static const JsonMember *find(const MdlJson *json, const char *key)
{
    size_t i;

    for (i = 0; i < json->nr; i++) {
        if (!strcmp(json->member[i].key, key)) {
            return &json->member[i];
        }
    }
    return NULL;
}

bool json_has(const MdlJson *json, const char *key)
{
    return find(json, key);
}

const char *json_str(const MdlJson *json, const char *key, const char *dflt)
{
    const JsonMember *m = find(json, key);

    return m && m->type == JSON_STRING ? m->str : dflt;
}

uint64_t json_u64(const MdlJson *json, const char *key, uint64_t dflt)
{
    const JsonMember *m = find(json, key);
    const char *end;
    uint64_t num;

    if (!m) {
        return dflt;
    }
    switch (m->type) {
    case JSON_NUMBER:
        return m->num;
    case JSON_STRING:
        return mdl_parse_u64(m->str, &end, &num) && !*end ? num : dflt;
    default:
        return dflt;
    }
}

bool json_bool(const MdlJson *json, const char *key, bool dflt)
{
    const JsonMember *m = find(json, key);

    return m && m->type == JSON_BOOL ? m->num : dflt;
}

size_t json_u64_array(const MdlJson *json, const char *key, uint64_t *out,
                      size_t max)
{
    const JsonMember *m = find(json, key);
    size_t nr;

    if (!m || m->type != JSON_ARRAY) {
        return 0;
    }
    nr = m->nr < max ? m->nr : max;
    if (nr) {
        memcpy(out, m->array, nr * sizeof(*out));
    }
    return nr;
}
