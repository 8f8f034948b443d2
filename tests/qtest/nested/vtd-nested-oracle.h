/*
 * What DMA behind a nested vIOMMU may see, from the guest's tables alone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tables are built in memory that has a copy here, and are walked afresh in
 * the copy for every question: nothing is shared with the model of the host,
 * or with the vIOMMU.
 *
 * A change is remembered, with what was there before, until the guest has
 * invalidated all that the specification asks for and a wait descriptor has
 * completed.  Till then the hardware may use the old or the new; after that
 * only the new.
 */

#ifndef TESTS_QTEST_VTD_NESTED_ORACLE_H
#define TESTS_QTEST_VTD_NESTED_ORACLE_H

#include "nested-random.h"
#include "../libqos/vtd-tables.h"

#define ORACLE_DEVICES  4
/* Requests without PASID, then with each of vtd_oracle_pasids[] */
#define ORACLE_KEYS     7
#define ORACLE_RID      0
/* Pages that are looked at in each address space */
#define ORACLE_PROBES   192

/* PASID of a key; that of ORACLE_RID means nothing */
extern const uint32_t vtd_oracle_pasids[ORACLE_KEYS];

typedef enum VtdOracleKind {
    ORACLE_BLOCKED, ORACLE_IDENTITY, ORACLE_TABLES, ORACLE_SECOND,
} VtdOracleKind;

/* What the context and PASID entries make of a request */
typedef struct VtdOracleEntry {
    VtdOracleKind kind;
    bool present;               /* there is a PASID entry */
    uint16_t did;
    uint32_t pasid;
    uint64_t s1;                /* or the second-stage table */
    unsigned levels;            /* of it */
} VtdOracleEntry;

typedef struct VtdOracleTag {
    uint16_t did;
    uint32_t pasid;
    bool second;                /* of second-stage tables: no PASID */
    bool told;
} VtdOracleTag;

/* An edit of page tables: one invalidation for each tag is due */
typedef struct VtdOracleEdit {
    uint64_t s1;
    bool second;
    uint64_t first, last;
    bool tables;                /* not only leaves have changed */
    uint64_t old[ORACLE_PROBES];
    GArray *tags;               /* VtdOracleTag */
} VtdOracleEdit;

/* A change of entries: invalidate each cache in turn */
typedef struct VtdOracleChange {
    unsigned dev;
    VtdOracleEntry old[ORACLE_KEYS];
    uint32_t keys;              /* bits: those that may be old */
    bool context;               /* the context entry, or a PASID entry */
    bool context_told;
    uint16_t did;               /* under which the PASID entry is cached */
    bool fresh;                 /* if it is: it may be so as not present */
    uint32_t pasid;
    bool cache_told;
    GArray *tags;               /* VtdOracleTag; none: IOTLB, global */
    bool iotlb_told;
} VtdOracleChange;

/* An invalidation descriptor, not yet encoded */
typedef struct VtdOracleCommand {
    VtdDescType type;
    unsigned granularity;
    uint16_t did, rid;
    uint32_t pasid;
    uint64_t addr;
    unsigned order;
    bool leaf;
} VtdOracleCommand;

typedef struct VtdOracle {
    NestedMirror m;
    /* The state that is no table */
    uint64_t root;              /* value of RTADDR_REG */
    bool translation;
    struct {
        uint16_t rid;
        bool plugged;
    } dev[ORACLE_DEVICES];
    uint64_t ram;               /* that much is mapped on the host, from 0 */
    GPtrArray *edits;           /* VtdOracleEdit */
    GPtrArray *changes;         /* VtdOracleChange */
} VtdOracle;

/* Tables will be in [@first, @first + @size) of guest memory */
void vtd_oracle_init(VtdOracle *o, QTestState *qts, uint64_t ram,
                     uint64_t first, uint64_t size);
void vtd_oracle_free(VtdOracle *o);

/* All of that memory is free again, no change is remembered */
void vtd_oracle_forget(VtdOracle *o);

/* SRTP: the hardware has emptied its caches */
void vtd_oracle_set_root(VtdOracle *o, uint64_t root);

uint64_t vtd_oracle_probe(unsigned probe);

VtdOracleEntry vtd_oracle_entry(const VtdOracle *o, unsigned dev,
                                unsigned key);

/* Device and key that use the tables @s1; tried from *@from on, all if full */
bool vtd_oracle_user(const VtdOracle *o, uint64_t s1, unsigned *from);

/* Around an edit of page tables; @first..@last is what may be cached */
VtdOracleEdit *vtd_oracle_edit(VtdOracle *o, uint64_t s1, unsigned levels,
                               bool second);
void vtd_oracle_edited(VtdOracle *o, VtdOracleEdit *edit, uint64_t first,
                       uint64_t last, bool tables);
/* Nothing that was there before can be cached */
void vtd_oracle_not_edited(VtdOracleEdit *edit);

/* Around a change of a PASID entry, or of the context entry */
VtdOracleChange *vtd_oracle_change(VtdOracle *o, unsigned dev);
void vtd_oracle_changed_pasid(VtdOracle *o, VtdOracleChange *change,
                              uint32_t pasid);
void vtd_oracle_changed_context(VtdOracle *o, VtdOracleChange *change);

/* A descriptor was appended to the queue */
void vtd_oracle_told(VtdOracle *o, const VtdOracleCommand *cmd);

/* A wait descriptor behind all of them has completed */
void vtd_oracle_synced(VtdOracle *o);

/* Anything that is not yet invalidated? */
bool vtd_oracle_pending(const VtdOracle *o);

/**
 * vtd_oracle_read: where a read of a probe may end.
 * @to: gpas or NESTED_FAULT, each once; the first by what the tables say now
 * @max: room in @to
 *
 * Returns: their number.
 */
unsigned vtd_oracle_read(const VtdOracle *o, unsigned dev, unsigned key,
                         unsigned probe, uint64_t *to, unsigned max);

/**
 * vtd_oracle_certain: nothing old plays a part in an access to a probe.
 * Of others it is not known whether they may write: rights of an old table
 * and a new leaf are combined, and that was never in the tables.
 */
bool vtd_oracle_certain(const VtdOracle *o, unsigned dev, unsigned key,
                        unsigned probe);

/* Where a write goes that is certain: gpa or NESTED_FAULT */
uint64_t vtd_oracle_write(const VtdOracle *o, unsigned dev, unsigned key,
                          unsigned probe);

#endif
