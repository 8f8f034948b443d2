/*
 * SMMUv3 nested translation: the guest's commands
 *
 * Commands that concern the stream table are carried out at once: they become
 * attaches. Those that concern context descriptors, page tables and device
 * TLBs are queued in the core, as they are, and reach the host in one piece
 * before a CMD_SYNC completes, and at the end of the queue.
 *
 * All of it goes in turns with the main loop, see iommufd_nested_turn(): CONS
 * stands at the command that is to be done next, or done further.
 *
 * If the host refuses something, the queue stops with CERROR_ILL at the
 * command the refused entry came from (7.1), the core has blocked what might
 * be stale, and the guest may issue it again or go on behind it. If a device
 * did not empty its TLB in time, the core has blocked that, and the queue stops
 * with CERROR_ATC_INV_SYNC at the CMD_SYNC.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "smmuv3-host.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

/* CMD_ATC_INV with this Size is for all addresses (4.5.1) */
#define ATC_SIZE_ALL 52

/* CMD_CFGI_STE_RANGE with this Range is CMD_CFGI_ALL (4.3.2) */
#define CFGI_RANGE_ALL 31

const char *const smmuv3_nested_commands[SMMUV3_NESTED_CMD__MAX] = {
    [SMMUV3_NESTED_CMD_CFGI_STE] = "cfgi-ste",
    [SMMUV3_NESTED_CMD_CFGI_CD] = "cfgi-cd",
    [SMMUV3_NESTED_CMD_TLBI] = "tlbi",
    [SMMUV3_NESTED_CMD_ATC_INV] = "atc-inv",
    [SMMUV3_NESTED_CMD_SYNC] = "sync",
    [SMMUV3_NESTED_CMD_TRAPPED] = "cmdqv-trapped",
};

/* Position and wrap bit of the command that is being looked at */
static uint32_t smmuv3_nested_cons(const SMMUv3Nested *n)
{
    return n->q->cons & WRAP_INDEX_MASK(n->q);
}

static SMMUCmdError smmuv3_nested_failed(SMMUv3Nested *n,
                                         const IOMMUFDNestedInvError *fail,
                                         Error *err)
{
    SMMUQueue *q = n->q;

    trace_smmuv3_nested_inv_failed(fail->cookie, smmuv3_nested_cons(n),
                                   fail->err);
    iommufd_nested_tell(&n->told_inv, err);
    /* Bits above are the error code, which the caller sets */
    q->cons = deposit32(q->cons, 0, q->log2size + 1, fail->cookie);
    return SMMU_CERROR_ILL;
}

static SMMUCmdError smmuv3_nested_send(SMMUv3Nested *n)
{
    IOMMUFDNestedInvError fail = {};
    Error *err = NULL;

    if (iommufd_nested_inv_flush(n->core, &fail, &err)) {
        return SMMU_CERROR_NONE;
    }
    return smmuv3_nested_failed(n, &fail, err);
}

SMMUCmdError smmuv3_nested_flush(SMMUv3State *s, SMMUQueue *q,
                                 SMMUCmdError error)
{
    SMMUCmdError earlier = SMMU_CERROR_NONE;

    if (s->nested) {
        s->nested->q = q;
        earlier = smmuv3_nested_send(s->nested);
        iommufd_nested_turn_end(s->nested->core);
    }
    if (error == SMMUV3_NESTED_PUT_OFF) {
        error = SMMU_CERROR_NONE;
    }
    return earlier ? earlier : error;
}

bool smmuv3_nested_device_tlb(const void *entry, uint32_t *label)
{
    const struct iommu_viommu_arm_smmuv3_invalidate *e = entry;
    uint64_t cmd = le64_to_cpu(e->cmd[0]);

    *label = cmd >> 32;
    return (cmd & 0xff) == SMMU_CMD_ATC_INV;
}

/* Any address, with and without SubstreamID (4.5.1) */
void smmuv3_nested_device_tlb_all(void *entry, uint32_t label)
{
    struct iommu_viommu_arm_smmuv3_invalidate *e = entry;

    e->cmd[0] = cpu_to_le64((uint64_t)label << 32 | SMMU_CMD_ATC_INV);
    e->cmd[1] = cpu_to_le64(ATC_SIZE_ALL);
}

/* The guest learns of it at the CMD_SYNC that waits for the ATC_INV */
void smmuv3_nested_device_tlb_late(void *opaque, IOMMUFDNestedDevice *dev,
                                   Error *err)
{
    SMMUv3NestedDevice *ndev = iommufd_nested_device_opaque(dev);

    ndev->n->atc_late = true;
    iommufd_nested_tell(&ndev->told_atc, err);
}

void smmuv3_nested_forget_atcs(SMMUv3Nested *n)
{
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;
    Error *err = NULL;

    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        struct iommu_viommu_arm_smmuv3_invalidate entry = {};

        if (ndev->ats && iommufd_nested_has_vdevice(ndev->dev)) {
            smmuv3_nested_device_tlb_all(&entry, ndev->sid);
            if (!iommufd_nested_inv_device(ndev->dev, &entry, 0, NULL, &err)) {
                iommufd_nested_tell(&n->told_inv, g_steal_pointer(&err));
            }
        }
    }
    if (!iommufd_nested_inv_flush(n->core, NULL, &err)) {
        iommufd_nested_tell(&n->told_inv, err);
    }
}

static SMMUCmdError smmuv3_nested_sync(SMMUv3Nested *n)
{
    SMMUCmdError error = smmuv3_nested_send(n);

    if (!error && n->atc_late) {
        n->atc_late = false;
        return SMMU_CERROR_ATC_INV_SYNC;
    }
    return error;
}

void smmuv3_nested_go_on(void *opaque)
{
    SMMUv3Nested *n = opaque;

    smmuv3_cmdq_consume(n->s);
    tegra241_cmdqv_host_go_on(n->s);
}

void smmuv3_nested_cmdq_forget(SMMUv3Nested *n)
{
    iommufd_nested_put_off_not(n->core);
    n->range.on = false;
}

void smmuv3_nested_cmdq_loaded(SMMUv3Nested *n)
{
    if (!smmuv3_q_empty(&n->s->cmdq)) {
        iommufd_nested_put_off(n->core);
    }
}

static void smmuv3_nested_entry(const Cmd *cmd,
                                struct iommu_viommu_arm_smmuv3_invalidate *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(e->cmd); i++) {
        e->cmd[i] = cpu_to_le64((uint64_t)cmd->word[2 * i + 1] << 32 |
                                cmd->word[2 * i]);
    }
}

/* A command for one stream; @ndev is NULL for those of emulated endpoints */
static SMMUCmdError smmuv3_nested_to_stream(SMMUv3Nested *n,
                                            SMMUv3NestedDevice *ndev,
                                            const Cmd *cmd)
{
    struct iommu_viommu_arm_smmuv3_invalidate entry;
    IOMMUFDNestedInvError fail = {};
    Error *err = NULL;

    /* Without a vDEVICE the host has never had anything of it to cache */
    if (!ndev || !iommufd_nested_has_vdevice(ndev->dev)) {
        return SMMU_CERROR_NONE;
    }
    smmuv3_nested_entry(cmd, &entry);
    if (!iommufd_nested_inv_device(ndev->dev, &entry, smmuv3_nested_cons(n),
                                   &fail, &err)) {
        return smmuv3_nested_failed(n, &fail, err);
    }
    return SMMU_CERROR_NONE;
}

/*
 * A command for CDs. Those of a group of the host may all have them from the
 * table of one, and then the host has cached them for each.
 */
static SMMUCmdError smmuv3_nested_to_group(SMMUv3NestedDevice *ndev,
                                           const Cmd *cmd)
{
    SMMUCmdError error = smmuv3_nested_to_stream(ndev->n, ndev, cmd);
    SMMUv3NestedDevice *o;

    for (o = smmuv3_nested_mate(ndev, NULL); o && !error;
         o = smmuv3_nested_mate(ndev, o)) {
        Cmd theirs = *cmd;

        theirs.word[1] = o->sid;
        error = smmuv3_nested_to_stream(ndev->n, o, &theirs);
    }
    return error;
}

static SMMUCmdError smmuv3_nested_cfgi_cd(SMMUv3Nested *n, const Cmd *cmd)
{
    SMMUv3NestedDevice *ndev = smmuv3_nested_find(n, CMD_SID(cmd));
    SMMUCmdError error;

    if (!ndev) {
        return SMMU_CERROR_NONE;
    }
    if (smmuv3_nested_mate(ndev, NULL)) {
        /* As for an STE: it may become an attach */
        error = smmuv3_nested_send(n);
        if (error) {
            return error;
        }
        if (!smmuv3_nested_sync_cds(ndev)) {
            return SMMU_CERROR_ILL;
        }
    }
    return smmuv3_nested_to_group(ndev, cmd);
}

/* A command for page tables, whoever uses them: they are known by ASID */
static SMMUCmdError smmuv3_nested_to_all(SMMUv3Nested *n, const Cmd *cmd)
{
    struct iommu_viommu_arm_smmuv3_invalidate entry;
    IOMMUFDNestedInvError fail = {};
    Error *err = NULL;

    smmuv3_nested_entry(cmd, &entry);
    if (!iommufd_nested_inv_viommus(n->core, &entry, smmuv3_nested_cons(n),
                                    &fail, &err)) {
        return smmuv3_nested_failed(n, &fail, err);
    }
    return SMMU_CERROR_NONE;
}

/*
 * An STE is invalidated with all CDs that were reached through it. Where the
 * STE is attached anew the host sees to that.
 */
static SMMUCmdError smmuv3_nested_forget_cds(SMMUv3NestedDevice *ndev)
{
    const Cmd cmd = { .word = { SMMU_CMD_CFGI_CD_ALL, ndev->sid } };

    return ndev->same ? smmuv3_nested_to_group(ndev, &cmd) : SMMU_CERROR_NONE;
}

static SMMUCmdError smmuv3_nested_cfgi_ste(SMMUv3Nested *n, uint32_t sid)
{
    /* An attach is not queued: what was said before has to be done before */
    SMMUCmdError error = smmuv3_nested_send(n);
    SMMUv3NestedDevice *ndev = smmuv3_nested_find(n, sid);

    if (error || !ndev) {
        return error;
    }
    return smmuv3_nested_sync_device(ndev) ? smmuv3_nested_forget_cds(ndev) :
                                             SMMU_CERROR_ILL;
}

/* The range that is under way, one device after the other */
static SMMUCmdError smmuv3_nested_range_on(SMMUv3Nested *n)
{
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        SMMUCmdError error;

        if (!ndev->in_range) {
            continue;
        }
        if (!iommufd_nested_turn(n->core)) {
            return SMMUV3_NESTED_PUT_OFF;
        }
        ndev->in_range = false;
        if (!smmuv3_nested_sync_device(ndev)) {
            n->range.bad = true;
            continue;
        }
        error = smmuv3_nested_forget_cds(ndev);
        if (error) {
            n->range.on = false;
            return error;
        }
    }
    n->range.on = false;
    return n->range.bad ? SMMU_CERROR_ILL : SMMU_CERROR_NONE;
}

static SMMUCmdError smmuv3_nested_cfgi_range(SMMUv3Nested *n, const Cmd *cmd)
{
    uint8_t range = CMD_STE_RANGE(cmd);
    uint32_t mask = range == CFGI_RANGE_ALL ? UINT32_MAX :
                                              (2u << range) - 1;
    uint32_t first = CMD_SID(cmd) & ~mask, last = CMD_SID(cmd) | mask;
    SMMUCmdError error = smmuv3_nested_send(n);
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;

    if (error) {
        return error;
    }
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        uint16_t sid = smmuv3_nested_sid(ndev);

        ndev->in_range = sid >= first && sid <= last;
    }
    n->range.on = true;
    n->range.bad = false;
    n->range.cmd = *cmd;
    n->range.cons = smmuv3_nested_cons(n);
    return smmuv3_nested_range_on(n);
}

/*
 * A range that was put off. Return: whether @cmd is, as it should be, what has
 * begun it and is not to be begun again; @error is then the outcome.
 */
static bool smmuv3_nested_range_was(SMMUv3Nested *n, const Cmd *cmd,
                                    SMMUCmdError *error)
{
    if (!n->range.on) {
        return false;
    }
    *error = smmuv3_nested_range_on(n);
    return *error || (n->range.cons == smmuv3_nested_cons(n) &&
                      !memcmp(&n->range.cmd, cmd, sizeof(*cmd)));
}

static void smmuv3_nested_count(SMMUv3Nested *n, SMMUv3NestedCommand command)
{
    iommufd_nested_count_command(n->core, command);
    if (n->q != &n->s->cmdq) {
        iommufd_nested_count_command(n->core, SMMUV3_NESTED_CMD_TRAPPED);
    }
}

static SMMUCmdError smmuv3_nested_tlbi(SMMUv3Nested *n, const Cmd *cmd)
{
    smmuv3_nested_count(n, SMMUV3_NESTED_CMD_TLBI);
    return smmuv3_nested_to_all(n, cmd);
}

/* Without ATS there is nothing in the device, and nobody listens */
static SMMUCmdError smmuv3_nested_atc_inv(SMMUv3Nested *n, const Cmd *cmd)
{
    SMMUv3NestedDevice *ndev = smmuv3_nested_find(n, CMD_SID(cmd));

    smmuv3_nested_count(n, SMMUV3_NESTED_CMD_ATC_INV);
    return smmuv3_nested_to_stream(n, ndev && ndev->ats ? ndev : NULL, cmd);
}

/* ------------------------------------------------------------------- runs */

/* Commands that are read at once */
#define RUN_MAX 32

/*
 * The base has nothing to forget: what it caches after this comes from tables
 * newer than PROD.
 */
static bool smmuv3_nested_run_may(SMMUv3Nested *n)
{
    SMMUState *bs = &n->s->smmu_state;

    if (!QLIST_EMPTY(&bs->devices_with_notifiers)) {
        return false;
    }
    QEMU_LOCK_GUARD(&n->s->mutex);
    return !g_hash_table_size(bs->iotlb);
}

/* Whether it concerns nobody but the core */
static bool smmuv3_nested_run_fits(SMMUv3Nested *n, const Cmd *cmd)
{
    if (n->q != &n->s->cmdq && !tegra241_cmdqv_guest_may(cmd)) {
        return false;
    }
    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_TLBI_NH_ASID:
    case SMMU_CMD_TLBI_NH_VA:
    case SMMU_CMD_TLBI_NH_VAA:
        return true;
    case SMMU_CMD_ATC_INV:
        return n->feature[SMMUV3_NESTED_ATS];
    default:
        return false;
    }
}

/* Commands behind CONS that can be read at once; 0: not worth it */
static uint32_t smmuv3_nested_run_num(const SMMUQueue *q)
{
    uint32_t next = (q->cons + 1) & INDEX_MASK(q);
    uint32_t num = ((q->prod - q->cons) & WRAP_INDEX_MASK(q)) - 1;

    num = MIN(num, MIN(RUN_MAX, INDEX_MASK(q) + 1 - next));
    return num < 2 ? 0 : num;
}

/* Read them. Return: how many */
static uint32_t smmuv3_nested_run_read(const SMMUQueue *q, Cmd *run)
{
    uint64_t next = (q->cons + 1) & INDEX_MASK(q);
    uint32_t num = smmuv3_nested_run_num(q);

    if (!num || dma_memory_read(&address_space_memory,
                                Q_BASE(q) + next * q->entry_size, run,
                                num * sizeof(*run), MEMTXATTRS_UNSPECIFIED)) {
        return 0;
    }
    for (uint32_t i = 0; i < num; i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(run[i].word); j++) {
            le32_to_cpus(&run[i].word[j]);
        }
    }
    return num;
}

/*
 * What follows such a command is most often another one, of which the base
 * knows nothing either: those are read together and done here. CONS is left at
 * the last that is done.
 */
static SMMUCmdError smmuv3_nested_run(SMMUv3Nested *n)
{
    QEMU_UNINITIALIZED Cmd run[RUN_MAX];
    uint32_t num;

    if (!smmuv3_nested_run_num(n->q) || !smmuv3_nested_run_may(n)) {
        return SMMU_CERROR_NONE;
    }
    while ((num = smmuv3_nested_run_read(n->q, run))) {
        for (uint32_t i = 0; i < num; i++) {
            SMMUCmdError error;

            if (!smmuv3_nested_run_fits(n, &run[i]) ||
                !iommufd_nested_turn(n->core)) {
                return SMMU_CERROR_NONE;
            }
            queue_cons_incr(n->q);
            trace_smmuv3_cmdq_opcode(smmu_cmd_string(CMD_TYPE(&run[i])));
            error = CMD_TYPE(&run[i]) == SMMU_CMD_ATC_INV ?
                    smmuv3_nested_atc_inv(n, &run[i]) :
                    smmuv3_nested_tlbi(n, &run[i]);
            if (error) {
                return error;
            }
        }
    }
    return SMMU_CERROR_NONE;
}

SMMUCmdError smmuv3_nested_command(SMMUv3State *s, SMMUQueue *q,
                                   const Cmd *cmd)
{
    SMMUv3Nested *n = s->nested;
    SMMUCmdError error;

    if (!n || !n->active) {
        return SMMU_CERROR_NONE;
    }
    if (q != &s->cmdq && !tegra241_cmdqv_guest_may(cmd)) {
        return SMMU_CERROR_ILL;
    }
    n->q = q;
    if (!iommufd_nested_turn(n->core)) {
        return SMMUV3_NESTED_PUT_OFF;
    }
    if (q == &s->cmdq && smmuv3_nested_range_was(n, cmd, &error)) {
        return error;
    }
    if (n->stuck) {
        n->stuck = false;
        return SMMU_CERROR_ILL;
    }
    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_SYNC:
        smmuv3_nested_count(n, SMMUV3_NESTED_CMD_SYNC);
        return smmuv3_nested_sync(n);
    case SMMU_CMD_CFGI_STE:
    case SMMU_CMD_CFGI_STE_RANGE:
        if (CMD_SSEC(cmd)) {
            return SMMU_CERROR_ILL;
        }
        smmuv3_nested_count(n, SMMUV3_NESTED_CMD_CFGI_STE);
        return CMD_TYPE(cmd) == SMMU_CMD_CFGI_STE ?
               smmuv3_nested_cfgi_ste(n, CMD_SID(cmd)) :
               smmuv3_nested_cfgi_range(n, cmd);
    case SMMU_CMD_CFGI_CD:
    case SMMU_CMD_CFGI_CD_ALL:
        if (CMD_SSEC(cmd)) {
            return SMMU_CERROR_ILL;
        }
        smmuv3_nested_count(n, SMMUV3_NESTED_CMD_CFGI_CD);
        return smmuv3_nested_cfgi_cd(n, cmd);
    case SMMU_CMD_TLBI_NH_ALL:
    case SMMU_CMD_TLBI_NSNH_ALL:
        return smmuv3_nested_tlbi(n, cmd);
    case SMMU_CMD_TLBI_NH_ASID:
    case SMMU_CMD_TLBI_NH_VA:
    case SMMU_CMD_TLBI_NH_VAA:
        error = smmuv3_nested_tlbi(n, cmd);
        return error ? error : smmuv3_nested_run(n);
    case SMMU_CMD_ATC_INV:
        if (!n->feature[SMMUV3_NESTED_ATS]) {
            return SMMU_CERROR_ILL;
        }
        error = smmuv3_nested_atc_inv(n, cmd);
        return error ? error : smmuv3_nested_run(n);
    case SMMU_CMD_PRI_RESP:
    case SMMU_CMD_RESUME:
    case SMMU_CMD_STALL_TERM:
        /* IDR0.PRI is 0, IDR0.STALL_MODEL says that there are none */
        return SMMU_CERROR_ILL;
    default:
        return SMMU_CERROR_NONE;
    }
}

/*
 * Attaching again does not make the host forget what it has cached under the
 * VM's ASIDs: the core has it forget that first.
 */
void smmuv3_nested_resume(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    uint32_t pending = s->gerror ^ s->gerrorn;
    Error *err = NULL;

    if (!n || !n->blocked || FIELD_EX32(pending, GERROR, CMDQ_ERR)) {
        return;
    }
    if (!iommufd_nested_inv_settle(n->core, &err)) {
        iommufd_nested_tell(&n->told_inv, err);
        n->stuck = true;
        return;
    }
    n->stuck = false;
    n->blocked = false;
    smmuv3_nested_sync_all(n);
}

void smmuv3_nested_enable_changed(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    bool enabled = smmu_enabled(s);
    bool abort = FIELD_EX32(s->gbpa, GBPA, ABORT);

    if (!n || !n->active || n->stale) {
        return;
    }
    if (!smmuv3_cmdq_enabled(s)) {
        /* What CONS stands at may be another command when it is on again */
        n->range.on = false;
    }
    if (n->enabled == enabled && (enabled || n->abort == abort)) {
        return;
    }
    n->enabled = enabled;
    n->abort = abort;
    smmuv3_nested_sync_all(n);
}
