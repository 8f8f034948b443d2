/*
 * qemu-nested-top: what nested vIOMMUs of a running QEMU do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NESTED_TOP_H
#define NESTED_TOP_H

#include "qapi/qapi-types-nested-iommu.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/* ------------------------------------------------------------------ qmp.c */

/* A QMP connection. One thread, and it may block for QMP_WAIT_MS */
typedef struct Qmp Qmp;

#define QMP_WAIT_MS 5000

/* @address: a path, or what "-qmp" takes: unix:PATH, HOST:PORT */
Qmp *qmp_open(const char *address, Error **errp);
void qmp_close(Qmp *q);
int qmp_fd(const Qmp *q);

/* What there is to read, without waiting; false: the connection has ended */
bool qmp_read(Qmp *q, Error **errp);

/* To be unreferenced: the oldest event that was read; NULL: none */
QDict *qmp_event(Qmp *q);

/* To be freed: the answer to x-query-nested-iommu, without PASIDs */
bool qmp_query(Qmp *q, NestedIommuInfoList **list, Error **errp);

/* --------------------------------------------------------------- report.c */

/* A query's answer, and when it was read */
typedef struct Sample {
    NestedIommuInfoList *list;
    int64_t ns;                 /* of a clock that never steps back */
} Sample;

void sample_clear(Sample *s);

/*
 * What has happened between two samples; @before may be empty. To be
 * unreferenced. A list with an object for each vIOMMU: those that the manual
 * page names.
 */
QList *report_new(const Sample *before, const Sample *now);

/* --------------------------------------------------------------- screen.c */

/* What is to be seen besides the reports */
typedef struct View {
    const char *address;
    const char *problem;        /* NULL: connected */
    double interval;
    QList *report;              /* NULL: none yet */
    const char *event;          /* the last one; NULL: none */
} View;

/* The terminal is as it was after screen_end() */
bool screen_start(Error **errp);
void screen_draw(const View *view);
/* A key, or -1: none. Does not wait */
int screen_key(void);
void screen_end(void);

#endif
