/*
 * qemu-nested-top: the terminal
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <curses.h>
#include "qapi/error.h"
#include "qemu/units.h"
#include "qobject/qnum.h"
#include "top.h"

#define BAR_WIDTH 24

enum { PLAIN, BAD };

static SCREEN *screen;

bool screen_start(Error **errp)
{
    screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        error_setg(errp, "cannot use this terminal: --batch needs none");
        return false;
    }
    cbreak();
    noecho();
    curs_set(0);
    nodelay(stdscr, true);
    keypad(stdscr, true);
    if (has_colors()) {
        start_color();
        use_default_colors();
        init_pair(BAD, COLOR_RED, -1);
    }
    return true;
}

void screen_end(void)
{
    if (screen) {
        endwin();
        delscreen(screen);
        screen = NULL;
    }
}

int screen_key(void)
{
    int key = getch();

    return key == ERR ? -1 : key;
}

/* One line, as long as the terminal is wide; below it there is nothing */
static void G_GNUC_PRINTF(2, 3) line(int how, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;
    int y = getcury(stdscr);

    if (y >= LINES - 1) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    /* What QEMU says may come from the guest or the command line */
    for (char *c = text; *c; c++) {
        *c = g_ascii_isprint(*c) ? *c : '?';
    }
    attrset(how == BAD ? COLOR_PAIR(BAD) | A_BOLD : how);
    addnstr(text, COLS);
    attrset(PLAIN);
    move(y + 1, 0);
}

static double rate(const QDict *dict, const char *key)
{
    QNum *num = qobject_to(QNum, qdict_get(dict, key));

    return num ? qnum_get_double(num) : 0;
}

static double sum(const QDict *dict)
{
    double all = 0;

    for (const QDictEntry *e = qdict_first(dict); e; e = qdict_next(dict, e)) {
        all += rate(dict, e->key);
    }
    return all;
}

static int64_t bucket(const QListEntry *e)
{
    return qnum_get_int(qobject_to(QNum, qlist_entry_obj(e)));
}

/* Buckets of powers of two that have something, and their share */
static void draw_histogram(const char *what, const QList *list)
{
    uint64_t from = 1, all = 0;
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(list, e) {
        all += bucket(e);
    }
    QLIST_FOREACH_ENTRY(list, e) {
        unsigned width = all ? bucket(e) * BAR_WIDTH / all : 0;
        g_autofree char *bar = g_strnfill(width, '#');

        if (bucket(e)) {
            line(PLAIN, "  %-18s %8" PRIu64 "+ %10" PRId64 " %s", what, from,
                 bucket(e), bar);
            what = "";
        }
        from *= 2;
    }
}

static void draw_device(const QDict *d)
{
    int64_t refused = qdict_get_int(d, "refused");
    const char *why = qdict_get_try_str(d, "refused-reason") ?:
                      qdict_get_try_str(d, "reason") ?: "";
    g_autofree char *pasid = qdict_haskey(d, "refused-pasid") ?
        g_strdup_printf("PASID %" PRId64 ": ",
                        qdict_get_int(d, "refused-pasid")) : g_strdup("");

    line(refused ? BAD : PLAIN, "  %-16s %-8s %8" PRId64 " %10.0f %10.0f  %s%s",
         qdict_get_str(d, "name"), qdict_get_str(d, "state"), refused,
         rate(d, "attaches"), rate(d, "page-groups-in"), pasid, why);
}

static void draw_errors(const QDict *errors)
{
    for (const QDictEntry *e = qdict_first(errors); e;
         e = qdict_next(errors, e)) {
        if (qdict_get_int(errors, e->key)) {
            line(BAD, "  refused, %s: %" PRId64 " times", e->key,
                 qdict_get_int(errors, e->key));
        }
    }
}

static void draw_memory(const QDict *m)
{
    const QDict *map = qdict_get_qdict(m, "map");
    const QDict *copy = qdict_get_qdict(m, "copy");
    int64_t calls = qdict_get_int(map, "calls") + qdict_get_int(copy, "calls");
    int64_t ns = qdict_get_int(map, "ns") + qdict_get_int(copy, "ns");

    line(PLAIN, "  %-24s %10" PRId64 " %10" PRId64 " %10" PRId64 " %12.3f",
         qdict_get_str(m, "region"), qdict_get_int(m, "locked") / MiB,
         qdict_get_int(m, "shared") / MiB, calls, ns / 1e6);
}

static void draw_iommu(const QDict *i)
{
    const QDict *c = qdict_get_qdict(i, "counters");
    double entries = rate(c, "inv-entries"), ioctls = rate(c, "inv-ioctls");
    const QListEntry *e;

    line(A_BOLD, "%s%s", qdict_get_str(i, "name"),
         qdict_get_bool(i, "running") ? "" : " (stopped)");
    line(PLAIN, "  HWPTs %" PRId64 "/%" PRId64 "  PASIDs %" PRId64 "/%" PRId64
         "  shadows %" PRId64 "  queued %" PRId64 "  page groups %" PRId64
         "/%" PRId64, qdict_get_int(i, "hwpts"),
         qdict_get_int(i, "max-hwpts"), qdict_get_int(i, "pasids"),
         qdict_get_int(i, "max-pasids"), qdict_get_int(i, "shadows"),
         qdict_get_int(i, "inv-queued"), qdict_get_int(i, "page-groups"),
         qdict_get_int(i, "max-page-groups"));
    line(PLAIN, "  in a second: %.0f commands, %.0f entries in %.0f ioctls "
         "(%.1f each), %.0f attaches", sum(qdict_get_qdict(i, "commands")),
         entries, ioctls, ioctls ? entries / ioctls : 0, rate(c, "attaches"));
    line(PLAIN, "  page groups:  %.0f asked, %.0f answered, %.0f refused, "
         "%.0f expired; events %.0f, lost %.0f", rate(c, "page-groups-in"),
         rate(c, "page-groups-answered"), rate(c, "page-groups-refused"),
         rate(c, "page-groups-expired"), rate(c, "events-in"),
         rate(c, "events-lost"));
    draw_errors(qdict_get_qdict(i, "errors"));
    draw_histogram("entries of an ioctl", qdict_get_qlist(i, "batches"));
    draw_histogram("us until answered", qdict_get_qlist(i, "latency"));
    line(A_UNDERLINE, "  %-16s %-8s %8s %10s %10s  %s", "device", "state",
         "refused", "attaches/s", "groups/s", "why");
    QLIST_FOREACH_ENTRY(qdict_get_qlist(i, "devices"), e) {
        draw_device(qobject_to(QDict, qlist_entry_obj(e)));
    }
    line(A_UNDERLINE, "  %-24s %10s %10s %10s %12s", "memory", "locked MiB",
         "shared MiB", "map calls", "ms in them");
    QLIST_FOREACH_ENTRY(qdict_get_qlist(i, "memory"), e) {
        draw_memory(qobject_to(QDict, qlist_entry_obj(e)));
    }
}

void screen_draw(const View *view)
{
    const QListEntry *e;

    erase();
    move(0, 0);
    line(A_REVERSE, "qemu-nested-top  %s  every %g s  (q: quit)",
         view->address, view->interval);
    if (view->problem) {
        line(BAD, "%s; trying again", view->problem);
    }
    if (view->event) {
        line(BAD, "%s", view->event);
    }
    if (view->report && qlist_empty(view->report)) {
        line(PLAIN, "no vIOMMU that nests");
    }
    if (view->report) {
        QLIST_FOREACH_ENTRY(view->report, e) {
            draw_iommu(qobject_to(QDict, qlist_entry_obj(e)));
        }
    }
    refresh();
}
