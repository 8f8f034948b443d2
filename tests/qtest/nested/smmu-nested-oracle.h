/*
 * What DMA behind a nested vSMMU may see, from the guest's tables alone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tables are walked afresh, in a copy of the guest's memory, for every
 * question: nothing is shared with the model of the host, or with the vSMMU.
 *
 * A change is remembered, with what was there before, until the guest has
 * invalidated all that the specification asks for and a CMD_SYNC has
 * completed. Till then the hardware may use the old or the new; after that
 * only the new. What an endpoint keeps in its own TLB may be old for longer:
 * until an ATC_INV that comes after that CMD_SYNC, and another CMD_SYNC.
 */

#ifndef TESTS_QTEST_SMMU_NESTED_ORACLE_H
#define TESTS_QTEST_SMMU_NESTED_ORACLE_H

#include "nested-random.h"
#include "../libqos/smmuv3-tables.h"

#define ORACLE_DEVICES  4
/* Requests without substream, then with each of smmu_oracle_ssids[] */
#define ORACLE_KEYS     7
#define ORACLE_PLAIN    0
#define ORACLE_ALL_KEYS ((1u << ORACLE_KEYS) - 1)
/* Pages that are looked at in each address space */
#define ORACLE_PROBES   128
/* ASIDs that mean the same tables */
#define ORACLE_ASIDS    2

/* Substream of a key; that of ORACLE_PLAIN means nothing */
extern const uint32_t smmu_oracle_ssids[ORACLE_KEYS];

typedef enum SmmuOracleKind {
    ORACLE_BLOCKED, ORACLE_IDENTITY, ORACLE_TABLES,
} SmmuOracleKind;

/* What STE and CD make of a request */
typedef struct SmmuOracleEntry {
    SmmuOracleKind kind;
    uint64_t cds;               /* the CD table, 0: none */
    uint16_t asid;
    uint64_t s1;
    bool ats;                   /* translation requests are answered */
    bool maybe_ats;             /* or not: that is the host's */
} SmmuOracleEntry;

/* How far an invalidation has come */
typedef struct SmmuOracleDue {
    bool told, done;
} SmmuOracleDue;

/* Device TLBs: (device, key) bits that an ATC_INV is due for */
typedef struct SmmuOracleAtc {
    uint32_t due[ORACLE_DEVICES], told[ORACLE_DEVICES];
} SmmuOracleAtc;

/* An edit of stage-1 tables: an invalidation for each ASID is due */
typedef struct SmmuOracleEdit {
    uint64_t s1;
    uint64_t first, last;
    unsigned level;             /* of the descriptor that was there */
    bool tables;                /* it was a table, not a leaf */
    uint64_t old[ORACLE_PROBES];
    uint16_t asid[ORACLE_ASIDS];
    SmmuOracleDue tlb[ORACLE_ASIDS];
    SmmuOracleAtc atc;
} SmmuOracleEdit;

typedef enum SmmuOracleWhat {
    ORACLE_STE,                 /* the STE, or the StreamID that leads to it */
    ORACLE_CD,                  /* one CD */
    ORACLE_CD_NEW_LEAF,         /* one CD, in a leaf table that was not there */
    ORACLE_CD_LEAF,             /* a leaf table of CDs */
} SmmuOracleWhat;

/* A change of configuration of one device */
typedef struct SmmuOracleChange {
    unsigned dev;
    SmmuOracleWhat what;
    uint32_t ssid;
    SmmuOracleEntry old[ORACLE_KEYS];
    uint32_t keys;              /* bits: those that may be old */
    SmmuOracleDue cfg;
    SmmuOracleAtc atc;
} SmmuOracleChange;

/* A command, not yet encoded */
typedef struct SmmuOracleCommand {
    SmmuOp op;
    uint32_t sid, ssid;         /* ATC_INV: may be SMMU_NO_SSID */
    uint16_t asid;
    uint64_t addr;
    bool leaf;
    bool ranged;                /* TLBI by VA with TG, NUM, SCALE, TTL */
    unsigned num, scale, ttl;
    unsigned order;             /* ATC_INV; CFGI_STE_RANGE: Range */
} SmmuOracleCommand;

typedef struct SmmuOracle {
    NestedMirror m;
    /* The state that is no table */
    const SmmuTables *streams;
    bool enabled, abort;
    struct {
        uint32_t sid;
        bool plugged;
    } dev[ORACLE_DEVICES];
    uint64_t ram, ram_size;     /* what is mapped on the host */
    GPtrArray *edits;           /* SmmuOracleEdit */
    GPtrArray *changes;         /* SmmuOracleChange */
} SmmuOracle;

void smmu_oracle_init(SmmuOracle *o, QTestState *qts, uint64_t first,
                      uint64_t size);
void smmu_oracle_free(SmmuOracle *o);

/* All memory is free again, no change is remembered */
void smmu_oracle_forget(SmmuOracle *o);

uint64_t smmu_oracle_probe(unsigned probe);

/* As the tables are now, with the SMMU on */
SmmuOracleEntry smmu_oracle_entry(const SmmuOracle *o, unsigned dev,
                                  unsigned key);

/* Device and key that use the tables @s1; tried from *@from on, all if full */
bool smmu_oracle_user(const SmmuOracle *o, uint64_t s1, unsigned *from);

/* Around an edit of stage-1 tables; @first..@last is what may be cached */
SmmuOracleEdit *smmu_oracle_edit(SmmuOracle *o, uint64_t s1);
void smmu_oracle_edited(SmmuOracle *o, SmmuOracleEdit *edit,
                        const uint16_t *asids);
/* Nothing that was there before can be cached */
void smmu_oracle_not_edited(SmmuOracleEdit *edit);

/* Around a change of STEs, StreamIDs or CDs: one for each device */
SmmuOracleChange *smmu_oracle_change(SmmuOracle *o, unsigned dev,
                                     SmmuOracleWhat what);
/* Forgotten at once if it cannot matter to anybody */
void smmu_oracle_changed(SmmuOracle *o, SmmuOracleChange *change,
                         uint32_t ssid, uint32_t keys);

/* No STE of any device is in doubt: CDs may be changed */
bool smmu_oracle_settled(const SmmuOracle *o);

/* A command was appended to the queue */
void smmu_oracle_told(SmmuOracle *o, const SmmuOracleCommand *cmd);

/* A CMD_SYNC behind all of them has completed */
void smmu_oracle_synced(SmmuOracle *o);

/* Anything that is not yet invalidated? */
bool smmu_oracle_pending(const SmmuOracle *o);

/* Is it the turn of ATC_INV? */
bool smmu_oracle_edit_done(const SmmuOracleEdit *edit);

/**
 * smmu_oracle_read: where a read of a probe may end.
 * @to: gpas or NESTED_FAULT, each once; the first by what the tables say now
 *
 * Returns: their number.
 */
unsigned smmu_oracle_read(const SmmuOracle *o, unsigned dev, unsigned key,
                          bool ats, unsigned probe, uint64_t *to,
                          unsigned max);

/**
 * smmu_oracle_certain: nothing old plays a part in an access to a probe.
 * Of others it is not known whether they may write: rights of an old table
 * and a new leaf are combined, and that was never in the tables.
 */
bool smmu_oracle_certain(const SmmuOracle *o, unsigned dev, unsigned key,
                         bool ats, unsigned probe);

/* A write faults in stage 1, for certain: the guest has to be told */
bool smmu_oracle_event_due(const SmmuOracle *o, unsigned dev, unsigned key,
                           unsigned probe);

/* Where a write goes that is certain: gpa or NESTED_FAULT */
uint64_t smmu_oracle_write(const SmmuOracle *o, unsigned dev, unsigned key,
                           unsigned probe);

#endif
