/*
 * Tegra241 CMDQV beside the SMMUv3 of an emulated host: command queues that a
 * host can give to its guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VCMDQ is a command queue of the SMMU. The host allocates it to a VINTF, in
 * which it is an LVCMDQ and has its registers a second time, in a window that
 * can be mapped into a guest. Commands of a VINTF that the hypervisor does not
 * own are held against what a guest may say, and get the VINTF's VMID and the
 * StreamID that the VINTF has for the guest's.
 *
 * What is known of the hardware is what Linux' driver does with it, which goes
 * for the names as well. All with the BQL held.
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/irq.h"
#include "migration/vmstate.h"
#include "smmuv3-nested.h"
#include "tegra241-cmdqv.h"
#include "trace.h"

#define VERSION             1

static bool cmdqv_enabled(const Tegra241CMDQV *c)
{
    return FIELD_EX32(c->config, CONFIG, CMDQV_EN);
}

bool tegra241_cmdqv_vintf_enabled(const Tegra241CMDQV *c, unsigned vintf)
{
    return cmdqv_enabled(c) &&
           FIELD_EX32(c->vintf[vintf].config, VINTF_CONFIG, EN);
}

/* Of one that is allocated */
static unsigned vcmdq_vintf(const Tegra241VCMDQ *v)
{
    return FIELD_EX32(v->alloc, CMDQ_ALLOC, VINTF);
}

static bool vcmdq_enabled(const Tegra241CMDQV *c, const Tegra241VCMDQ *v)
{
    return vcmdq_allocated(v) &&
           tegra241_cmdqv_vintf_enabled(c, vcmdq_vintf(v)) &&
           FIELD_EX32(v->config, VCMDQ_CONFIG, EN);
}

static const Tegra241VCMDQ *vcmdq_of(const SMMUQueue *q)
{
    return container_of(q, Tegra241VCMDQ, q);
}

Tegra241VCMDQ *tegra241_cmdqv_lvcmdq(Tegra241CMDQV *c, unsigned vintf,
                                     unsigned lvcmdq)
{
    uint32_t alloc = FIELD_DP32(R_CMDQ_ALLOC_ALLOCATED_MASK, CMDQ_ALLOC,
                                LVCMDQ, lvcmdq);

    alloc = FIELD_DP32(alloc, CMDQ_ALLOC, VINTF, vintf);
    for (unsigned i = 0; i < VCMDQS; i++) {
        if (c->vcmdq[i].alloc == alloc) {
            return &c->vcmdq[i];
        }
    }
    return NULL;
}

/* Whether its registers are the host's, which carries its commands out */
static bool vcmdq_direct(const Tegra241CMDQV *c, const Tegra241VCMDQ *v)
{
    return vcmdq_allocated(v) &&
           FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ) < c->direct;
}

void tegra241_cmdqv_pull(Tegra241CMDQV *c)
{
    for (unsigned i = 0; i < c->direct; i++) {
        Tegra241VCMDQ *v = tegra241_cmdqv_lvcmdq(c, 0, i);

        if (v) {
            v->config = tegra241_cmdqv_page0_read(c, i, A_VCMDQ_CONFIG) &
                        R_VCMDQ_CONFIG_EN_MASK;
            v->q.prod = tegra241_cmdqv_page0_read(c, i, A_VCMDQ_PROD) &
                        R_VCMDQ_PROD_WR_MASK;
            v->q.cons = tegra241_cmdqv_page0_read(c, i, A_VCMDQ_CONS) &
                        (R_VCMDQ_CONS_RD_MASK | R_VCMDQ_CONS_ERR_MASK);
            v->gerror = tegra241_cmdqv_page0_read(c, i, A_VCMDQ_GERROR) &
                        R_VCMDQ_GERROR_CMDQ_ERR_MASK;
            v->gerrorn = tegra241_cmdqv_page0_read(c, i, A_VCMDQ_GERRORN) &
                         R_VCMDQ_GERROR_CMDQ_ERR_MASK;
        }
    }
}

bool tegra241_cmdqv_host_enabled(SMMUv3State *s, const SMMUQueue *q)
{
    return vcmdq_enabled(s->host.cmdqv, vcmdq_of(q)) &&
           !vcmdq_direct(s->host.cmdqv, vcmdq_of(q));
}

uint32_t tegra241_cmdqv_host_pending(const SMMUQueue *q)
{
    return vcmdq_pending(vcmdq_of(q));
}

/* -------------------------------------------------------------- commands */

/* Which of the host's StreamIDs a guest means */
static bool vintf_replace_sid(const Tegra241VINTF *vintf, Cmd *cmd)
{
    for (unsigned i = 0; i < SIDS; i++) {
        if (FIELD_EX32(vintf->sid_match[i], SID_MATCH, ENABLE) &&
            FIELD_EX32(vintf->sid_match[i], SID_MATCH, VIRT_SID) ==
            CMD_SID(cmd)) {
            cmd->word[1] = vintf->sid_replace[i];
            return true;
        }
    }
    return false;
}

bool tegra241_cmdqv_guest_may(const Cmd *cmd)
{
    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_SYNC:
        return CMD_SYNC_CS(cmd) == CMD_SYNC_SIG_NONE;
    case SMMU_CMD_TLBI_NH_ASID:
    case SMMU_CMD_TLBI_NH_VA:
        return true;
    case SMMU_CMD_ATC_INV:
        return !CMD_SSEC(cmd);
    default:
        return false;
    }
}

bool tegra241_cmdqv_host_command(SMMUv3State *s, const SMMUQueue *q, Cmd *cmd)
{
    const Tegra241VCMDQ *v = vcmdq_of(q);
    const Tegra241VINTF *vintf = &s->host.cmdqv->vintf[vcmdq_vintf(v)];
    bool hyp_own = FIELD_EX32(vintf->config, VINTF_CONFIG, HYP_OWN);

    trace_tegra241_cmdqv_command(v - s->host.cmdqv->vcmdq, vcmdq_vintf(v),
                                 hyp_own, cmd->word[0], cmd->word[1]);
    if (hyp_own && CMD_TYPE(cmd) != SMMU_CMD_SYNC) {
        return true;
    }
    if (!tegra241_cmdqv_guest_may(cmd)) {
        return false;
    }
    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_SYNC:
        return true;
    case SMMU_CMD_ATC_INV:
        /* To whom its own guests' StreamIDs belong, the guest cannot say */
        return s->host.cmdqv->guest || vintf_replace_sid(vintf, cmd);
    default:
        cmd->word[1] = deposit32(cmd->word[1], 0, 16,
                                 FIELD_EX32(vintf->config, VINTF_CONFIG,
                                            VMID));
        return true;
    }
}

/* Errors are told at an edge, each of them */
void tegra241_cmdqv_irq(Tegra241CMDQV *c, unsigned vintf)
{
    if (!extract64(c->int_mask, vintf, 1)) {
        qemu_irq_pulse(c->irq);
    }
}

bool tegra241_cmdqv_host_error(SMMUv3State *s, SMMUQueue *q,
                               SMMUCmdError error)
{
    Tegra241CMDQV *c = s->host.cmdqv;
    Tegra241VCMDQ *v = container_of(q, Tegra241VCMDQ, q);

    if (q == &s->cmdq) {
        return false;
    }
    trace_tegra241_cmdqv_error(v - c->vcmdq, vcmdq_vintf(v), error);
    q->cons = FIELD_DP32(q->cons, VCMDQ_CONS, ERR, error);
    v->gerror ^= ~vcmdq_pending(v) & R_VCMDQ_GERROR_CMDQ_ERR_MASK;
    tegra241_cmdqv_irq(c, vcmdq_vintf(v));
    return true;
}

void tegra241_cmdqv_host_go_on(SMMUv3State *s)
{
    Tegra241CMDQV *c = s->host.cmdqv;

    if (c) {
        c->first++;
        for (unsigned i = 0; i < VCMDQS; i++) {
            smmuv3_queue_consume(s, &c->vcmdq[(c->first + i) % VCMDQS].q);
        }
    }
}

/* ---------------------------------------------------------------- VCMDQs */

static void vcmdq_reset(Tegra241VCMDQ *v)
{
    *v = (Tegra241VCMDQ) { .q.entry_size = sizeof(Cmd), .alloc = v->alloc };
}

static void vcmdq_set_base(const Tegra241CMDQV *c, Tegra241VCMDQ *v,
                           uint64_t base)
{
    v->q.base = base & VCMDQ_BASE_MASK;
    v->q.log2size = MIN(FIELD_EX32(base, VCMDQ_BASE_L, LOG2SIZE), c->cmdqs);
}

static uint32_t vcmdq_read_page0(Tegra241CMDQV *c, Tegra241VCMDQ *v,
                                 hwaddr reg)
{
    if (vcmdq_direct(c, v)) {
        return tegra241_cmdqv_page0_read(
            c, FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ), reg & ~3);
    }
    switch (reg) {
    case A_VCMDQ_CONS:
        return v->q.cons;
    case A_VCMDQ_PROD:
        return v->q.prod;
    case A_VCMDQ_CONFIG:
        return v->config;
    case A_VCMDQ_STATUS:
        return vcmdq_enabled(c, v);
    case A_VCMDQ_GERROR:
        return v->gerror;
    case A_VCMDQ_GERRORN:
        return v->gerrorn;
    default:
        return 0;
    }
}

static uint32_t vcmdq_read_page1(Tegra241VCMDQ *v, hwaddr reg)
{
    switch (reg) {
    case A_VCMDQ_BASE_L:
        return v->q.base;
    case A_VCMDQ_BASE_H:
        return v->q.base >> 32;
    case A_VCMDQ_CONS_INDX_BASE_L:
        return v->cons_base;
    case A_VCMDQ_CONS_INDX_BASE_H:
        return v->cons_base >> 32;
    default:
        return 0;
    }
}

static void vcmdq_write_page0(SMMUv3State *s, Tegra241VCMDQ *v, hwaddr reg,
                              uint32_t value)
{
    if (vcmdq_direct(s->host.cmdqv, v)) {
        tegra241_cmdqv_page0_write(
            s->host.cmdqv, FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ),
            reg & ~3, value);
        return;
    }
    switch (reg) {
    case A_VCMDQ_CONS:
        if (!vcmdq_enabled(s->host.cmdqv, v)) {
            v->q.cons = value & (R_VCMDQ_CONS_RD_MASK | R_VCMDQ_CONS_ERR_MASK);
        }
        return;
    case A_VCMDQ_PROD:
        v->q.prod = value & R_VCMDQ_PROD_WR_MASK;
        break;
    case A_VCMDQ_CONFIG:
        v->config = value & R_VCMDQ_CONFIG_EN_MASK;
        break;
    case A_VCMDQ_GERRORN:
        v->gerrorn = value & R_VCMDQ_GERROR_CMDQ_ERR_MASK;
        break;
    default:
        return;
    }
    smmuv3_queue_consume(s, &v->q);
}

static void vcmdq_write_page1(SMMUv3State *s, Tegra241VCMDQ *v, hwaddr reg,
                              uint32_t value)
{
    const Tegra241CMDQV *c = s->host.cmdqv;

    if (vcmdq_enabled(c, v)) {
        return;
    }
    switch (reg) {
    case A_VCMDQ_BASE_L:
        vcmdq_set_base(c, v, deposit64(v->q.base, 0, 32, value));
        break;
    case A_VCMDQ_BASE_H:
        vcmdq_set_base(c, v, deposit64(v->q.base, 32, 32, value));
        break;
    case A_VCMDQ_CONS_INDX_BASE_L:
        v->cons_base = deposit64(v->cons_base, 0, 32, value);
        break;
    case A_VCMDQ_CONS_INDX_BASE_H:
        v->cons_base = deposit64(v->cons_base, 32, 32, value) &
                       VCMDQ_BASE_MASK;
        break;
    default:
        break;
    }
}

/* ---------------------------------------------------------------- VINTFs */

static uint64_t vintf_err_map(Tegra241CMDQV *c, unsigned vintf)
{
    uint64_t map = 0;

    tegra241_cmdqv_pull(c);
    for (unsigned i = 0; i < VCMDQS; i++) {
        const Tegra241VCMDQ *v = &c->vcmdq[i];

        if (vcmdq_allocated(v) && vcmdq_vintf(v) == vintf &&
            vcmdq_pending(v)) {
            map |= 1ULL << FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ);
        }
    }
    return map;
}

static uint32_t vintf_read(Tegra241CMDQV *c, unsigned n, hwaddr reg)
{
    const Tegra241VINTF *vintf = &c->vintf[n];

    switch (reg) {
    case A_VINTF_CONFIG:
        return vintf->config;
    case A_VINTF_STATUS:
        return tegra241_cmdqv_vintf_enabled(c, n);
    case A_SID_MATCH ... A_SID_MATCH + 4 * SIDS - 1:
        return vintf->sid_match[(reg - A_SID_MATCH) / 4];
    case A_SID_REPLACE ... A_SID_REPLACE + 4 * SIDS - 1:
        return vintf->sid_replace[(reg - A_SID_REPLACE) / 4];
    case A_LVCMDQ_ERR_MAP:
        return vintf_err_map(c, n);
    case A_LVCMDQ_ERR_MAP + 4:
        return vintf_err_map(c, n) >> 32;
    default:
        return 0;
    }
}

static void vintf_write(SMMUv3State *s, unsigned n, hwaddr reg, uint32_t value)
{
    Tegra241CMDQV *c = s->host.cmdqv;
    Tegra241VINTF *vintf = &c->vintf[n];

    switch (reg) {
    case A_VINTF_CONFIG:
        vintf->config = value & (R_VINTF_CONFIG_EN_MASK |
                                 R_VINTF_CONFIG_VMID_MASK |
                                 (c->guest ? 0 : R_VINTF_CONFIG_HYP_OWN_MASK));
        /* Not from here: its queues may be long */
        qemu_bh_schedule(s->host.cmdq_bh);
        break;
    case A_SID_MATCH ... A_SID_MATCH + 4 * SIDS - 1:
        vintf->sid_match[(reg - A_SID_MATCH) / 4] =
            value & (R_SID_MATCH_ENABLE_MASK | R_SID_MATCH_VIRT_SID_MASK);
        break;
    case A_SID_REPLACE ... A_SID_REPLACE + 4 * SIDS - 1:
        vintf->sid_replace[(reg - A_SID_REPLACE) / 4] = value;
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------- global registers */

/*
 * LVCMDQs of a VINTF are allocated in ascending order, without gaps, and freed
 * in descending order: anything else leaves the register what it was, but for
 * which LVCMDQ is meant by one that is free.
 */
static void cmdqv_write_alloc(Tegra241CMDQV *c, Tegra241VCMDQ *v,
                              uint32_t value)
{
    uint32_t allocated = R_CMDQ_ALLOC_ALLOCATED_MASK;
    unsigned vintf, lvcmdq;

    value &= allocated | R_CMDQ_ALLOC_LVCMDQ_MASK | R_CMDQ_ALLOC_VINTF_MASK;
    if (vcmdq_allocated(v)) {
        vintf = vcmdq_vintf(v);
        lvcmdq = FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ);
        if (value == v->alloc) {
            return;
        }
        if (value & allocated || tegra241_cmdqv_lvcmdq(c, vintf, lvcmdq + 1)) {
            qemu_log_mask(LOG_GUEST_ERROR, "tegra241-cmdqv: VCMDQ%td is the "
                          "last LVCMDQ of no VINTF, and stays allocated\n",
                          v - c->vcmdq);
            return;
        }
        vcmdq_reset(v);
    } else if (value & allocated) {
        vintf = FIELD_EX32(value, CMDQ_ALLOC, VINTF);
        lvcmdq = FIELD_EX32(value, CMDQ_ALLOC, LVCMDQ);
        if (vintf >= c->vintfs || lvcmdq >= c->vcmdqs ||
            tegra241_cmdqv_lvcmdq(c, vintf, lvcmdq) ||
            (lvcmdq && !tegra241_cmdqv_lvcmdq(c, vintf, lvcmdq - 1))) {
            qemu_log_mask(LOG_GUEST_ERROR, "tegra241-cmdqv: VCMDQ%td cannot "
                          "be LVCMDQ%u of VINTF%u\n", v - c->vcmdq, lvcmdq,
                          vintf);
            value &= ~allocated;
        }
    }
    v->alloc = value;
}

/* Disabling it resets all but the registers of its own */
static void cmdqv_write_config(Tegra241CMDQV *c, uint32_t value)
{
    c->config = value & R_CONFIG_CMDQV_EN_MASK;
    if (!cmdqv_enabled(c)) {
        memset(c->vintf, 0, sizeof(c->vintf));
        for (unsigned i = 0; i < VCMDQS; i++) {
            c->vcmdq[i].alloc = 0;
            vcmdq_reset(&c->vcmdq[i]);
        }
    }
}

static uint32_t cmdqv_read(Tegra241CMDQV *c, hwaddr reg)
{
    uint32_t value = 0;
    unsigned i;

    switch (reg) {
    case A_CONFIG:
        return c->config;
    case A_PARAM:
        return c->param;
    case A_STATUS:
        return cmdqv_enabled(c);
    case A_VINTF_ERR_MAP:
        for (i = 0; i < VINTFS; i++) {
            value |= !!vintf_err_map(c, i) << i;
        }
        return value;
    case A_VINTF_INT_MASK:
        return c->int_mask;
    case A_VINTF_INT_MASK + 4:
        return c->int_mask >> 32;
    case A_CMDQ_ERR_MAP:
        tegra241_cmdqv_pull(c);
        for (i = 0; i < VCMDQS; i++) {
            value |= !!vcmdq_pending(&c->vcmdq[i]) << i;
        }
        return value;
    case A_CMDQ_ALLOC ... A_CMDQ_ALLOC + 4 * VCMDQS - 1:
        return c->vcmdq[(reg - A_CMDQ_ALLOC) / 4].alloc;
    default:
        return 0;
    }
}

static void cmdqv_write(Tegra241CMDQV *c, hwaddr reg, uint32_t value)
{
    switch (reg) {
    case A_CONFIG:
        cmdqv_write_config(c, value);
        break;
    case A_VINTF_INT_MASK:
        c->int_mask = deposit64(c->int_mask, 0, 32, value);
        break;
    case A_VINTF_INT_MASK + 4:
        c->int_mask = deposit64(c->int_mask, 32, 32, value);
        break;
    case A_CMDQ_ALLOC ... A_CMDQ_ALLOC + 4 * VCMDQS - 1:
        if ((reg - A_CMDQ_ALLOC) / 4 < c->vcmdqs) {
            cmdqv_write_alloc(c, &c->vcmdq[(reg - A_CMDQ_ALLOC) / 4], value);
        }
        break;
    default:
        break;
    }
}

/* --------------------------------------------------------------- the region */

/* What an address in pages of VCMDQs, or in windows, is about */
typedef struct Tegra241Where {
    Tegra241VCMDQ *vcmdq;       /* NULL: none, reads as 0 */
    unsigned page;
    hwaddr reg;
} Tegra241Where;

static Tegra241Where cmdqv_where(Tegra241CMDQV *c, hwaddr offset)
{
    unsigned n = offset % PAGE_SIZE_64K / VCMDQ_STRIDE;
    Tegra241Where where = { .reg = offset % VCMDQ_STRIDE };

    if (offset >= WINDOWS) {
        offset -= WINDOWS;
        where.page = offset % WINDOW_SIZE / PAGE_SIZE_64K;
        if (n < VCMDQS) {
            where.vcmdq = tegra241_cmdqv_lvcmdq(c, offset / WINDOW_SIZE, n);
        }
    } else {
        where.page = offset >= VCMDQ_PAGE1;
        if (n < VCMDQS && vcmdq_allocated(&c->vcmdq[n])) {
            where.vcmdq = &c->vcmdq[n];
        }
    }
    return where;
}

static uint32_t cmdqv_read_any(Tegra241CMDQV *c, hwaddr offset)
{
    Tegra241Where where;

    if (offset < VINTF_BASE) {
        return cmdqv_read(c, offset);
    }
    if (offset < VCMDQ_PAGE0) {
        offset -= VINTF_BASE;
        return offset < c->vintfs * VINTF_STRIDE ?
               vintf_read(c, offset / VINTF_STRIDE, offset % VINTF_STRIDE) : 0;
    }
    where = cmdqv_where(c, offset);
    if (!where.vcmdq) {
        return 0;
    }
    return where.page ? vcmdq_read_page1(where.vcmdq, where.reg) :
                        vcmdq_read_page0(c, where.vcmdq, where.reg);
}

static uint64_t tegra241_cmdqv_read(void *opaque, hwaddr offset, unsigned size)
{
    SMMUv3State *s = opaque;
    uint64_t value = cmdqv_read_any(s->host.cmdqv, offset);

    return size < 8 ? value :
           value | (uint64_t)cmdqv_read_any(s->host.cmdqv, offset + 4) << 32;
}

static void cmdqv_write_vcmdq(SMMUv3State *s, hwaddr offset, uint64_t value,
                              unsigned size)
{
    Tegra241CMDQV *c = s->host.cmdqv;
    Tegra241Where where = cmdqv_where(c, offset);
    Tegra241VCMDQ *v = where.vcmdq;

    if (!v) {
        return;
    }
    if (!where.page) {
        vcmdq_write_page0(s, v, where.reg, value);
    } else if (size == 8 && where.reg == A_VCMDQ_BASE_L) {
        /* As one: half of it is another address */
        if (!vcmdq_enabled(c, v)) {
            vcmdq_set_base(c, v, value);
        }
        return;
    } else {
        vcmdq_write_page1(s, v, where.reg, value);
    }
    if (size == 8) {
        cmdqv_write_vcmdq(s, offset + 4, value >> 32, 4);
    }
}

static void tegra241_cmdqv_write(void *opaque, hwaddr offset, uint64_t value,
                                 unsigned size)
{
    SMMUv3State *s = opaque;
    Tegra241CMDQV *c = s->host.cmdqv;
    /* PROD and CONS say nothing of who has the queue */
    bool is_index = offset >= VCMDQ_PAGE0 && !cmdqv_where(c, offset).page &&
                    offset % VCMDQ_STRIDE < A_VCMDQ_CONFIG;
    unsigned half = size / 4;

    trace_tegra241_cmdqv_write(offset, value);
    tegra241_cmdqv_pull(c);
    if (offset >= VCMDQ_PAGE0) {
        cmdqv_write_vcmdq(s, offset, value, size);
        half = 0;
    }
    for (; half; half--, offset += 4, value >>= 32) {
        if (offset < VINTF_BASE) {
            cmdqv_write(c, offset, value);
        } else if (offset - VINTF_BASE < c->vintfs * VINTF_STRIDE) {
            vintf_write(s, (offset - VINTF_BASE) / VINTF_STRIDE,
                        (offset - VINTF_BASE) % VINTF_STRIDE, value);
        }
    }
    if (c->changed && !is_index) {
        c->changed(s);
    }
}

static const MemoryRegionOps tegra241_cmdqv_ops = {
    .read = tegra241_cmdqv_read,
    .write = tegra241_cmdqv_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
};

void tegra241_cmdqv_host_init(SMMUv3State *s)
{
    bool guest = s->nested && s->nested_props.cmdqv != ON_OFF_AUTO_OFF;
    Tegra241CMDQV *c;

    if (!s->host.has_cmdqv && !guest) {
        return;
    }
    c = g_new0(Tegra241CMDQV, 1);
    c->guest = guest;
    c->vintfs = guest ? 1 : VINTFS;
    c->vcmdqs = VCMDQS;
    c->cmdqs = SMMU_CMDQS;
    c->param = tegra241_cmdqv_param(VERSION, VCMDQS_LOG2, VINTFS_LOG2,
                                    SIDS_LOG2);
    s->host.cmdqv = c;
    memory_region_init_io(&c->mmio, OBJECT(s), &tegra241_cmdqv_ops, s,
                          "tegra241-cmdqv", WINDOWS + c->vintfs * WINDOW_SIZE);
    sysbus_init_mmio(SYS_BUS_DEVICE(s), &c->mmio);
    sysbus_init_irq(SYS_BUS_DEVICE(s), &c->irq);
    if (guest) {
        smmuv3_nested_cmdqv_init(s);
    }
}

void tegra241_cmdqv_host_reset(SMMUv3State *s)
{
    Tegra241CMDQV *c = s->host.cmdqv;

    if (c) {
        c->int_mask = 0;
        cmdqv_write_config(c, 0);
        if (c->changed) {
            c->changed(s);
        }
    }
}

/* ------------------------------------------------------------- migration */

static bool tegra241_cmdqv_host_needed(void *opaque)
{
    SMMUv3State *s = opaque;

    return s->host.has_cmdqv;
}

static int vcmdq_post_load(void *opaque, int version_id)
{
    Tegra241VCMDQ *v = opaque;

    if (vcmdq_allocated(v) &&
        (vcmdq_vintf(v) >= VINTFS ||
         FIELD_EX32(v->alloc, CMDQ_ALLOC, LVCMDQ) >= VCMDQS)) {
        return -EINVAL;
    }
    v->q.log2size = MIN(FIELD_EX32(v->q.base, VCMDQ_BASE_L, LOG2SIZE),
                        SMMU_CMDQS);
    v->q.base &= VCMDQ_BASE_MASK;
    return 0;
}

static const VMStateDescription vmstate_vcmdq = {
    .name = "tegra241-cmdqv/vcmdq",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = vcmdq_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(q.base, Tegra241VCMDQ),
        VMSTATE_UINT32(q.prod, Tegra241VCMDQ),
        VMSTATE_UINT32(q.cons, Tegra241VCMDQ),
        VMSTATE_UINT32(alloc, Tegra241VCMDQ),
        VMSTATE_UINT32(config, Tegra241VCMDQ),
        VMSTATE_UINT32(gerror, Tegra241VCMDQ),
        VMSTATE_UINT32(gerrorn, Tegra241VCMDQ),
        VMSTATE_UINT64(cons_base, Tegra241VCMDQ),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_vintf = {
    .name = "tegra241-cmdqv/vintf",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(config, Tegra241VINTF),
        VMSTATE_UINT32_ARRAY(sid_match, Tegra241VINTF, SIDS),
        VMSTATE_UINT32_ARRAY(sid_replace, Tegra241VINTF, SIDS),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_cmdqv = {
    .name = "tegra241-cmdqv",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(config, Tegra241CMDQV),
        VMSTATE_UINT64(int_mask, Tegra241CMDQV),
        VMSTATE_STRUCT_ARRAY(vintf, Tegra241CMDQV, VINTFS, 1, vmstate_vintf,
                             Tegra241VINTF),
        VMSTATE_STRUCT_ARRAY(vcmdq, Tegra241CMDQV, VCMDQS, 1, vmstate_vcmdq,
                             Tegra241VCMDQ),
        VMSTATE_END_OF_LIST()
    }
};

/* A subsection of vmstate_smmuv3_host, which goes on with all queues */
const VMStateDescription vmstate_tegra241_cmdqv_host = {
    .name = "smmuv3/host/cmdqv",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = tegra241_cmdqv_host_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT_POINTER(host.cmdqv, SMMUv3State, vmstate_cmdqv,
                               Tegra241CMDQV),
        VMSTATE_END_OF_LIST()
    }
};
