/*
 * Arm SMMUv3 commands and queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmuv3-tables.h"

#define CMD_ADDR        0xfffffffffffff000ULL

SmmuCmd smmu_cfgi_ste(uint32_t sid, bool leaf)
{
    return (SmmuCmd) { { SMMU_OP_CFGI_STE | (uint64_t)sid << 32, leaf } };
}

SmmuCmd smmu_cfgi_ste_all(void)
{
    return (SmmuCmd) { { SMMU_OP_CFGI_STE_RANGE, 31 } };
}

SmmuCmd smmu_cfgi_cd(uint32_t sid, uint32_t ssid, bool leaf)
{
    return (SmmuCmd) { {
        SMMU_OP_CFGI_CD | (uint64_t)ssid << 12 | (uint64_t)sid << 32, leaf,
    } };
}

SmmuCmd smmu_cfgi_cd_all(uint32_t sid)
{
    return (SmmuCmd) { { SMMU_OP_CFGI_CD_ALL | (uint64_t)sid << 32 } };
}

SmmuCmd smmu_tlbi_all(SmmuOp op)
{
    return (SmmuCmd) { { op } };
}

SmmuCmd smmu_tlbi_asid(uint16_t asid)
{
    return (SmmuCmd) { { SMMU_OP_TLBI_NH_ASID | (uint64_t)asid << 48 } };
}

SmmuCmd smmu_tlbi_va(uint16_t asid, uint64_t addr, bool leaf)
{
    return (SmmuCmd) { {
        SMMU_OP_TLBI_NH_VA | (uint64_t)asid << 48, (addr & CMD_ADDR) | leaf,
    } };
}

SmmuCmd smmu_tlbi_vaa(uint64_t addr, bool leaf)
{
    return (SmmuCmd) { { SMMU_OP_TLBI_NH_VAA, (addr & CMD_ADDR) | leaf } };
}

SmmuCmd smmu_tlbi_range(uint16_t asid, uint64_t addr, bool leaf,
                        unsigned granule, unsigned num, unsigned scale,
                        unsigned ttl)
{
    SmmuCmd cmd = smmu_tlbi_va(asid, addr, leaf);

    cmd.dw[0] |= (uint64_t)num << 12 | (uint64_t)scale << 20;
    /* TG: 1 is 4 KiB, 2 is 16 KiB, 3 is 64 KiB */
    cmd.dw[1] |= (uint64_t)((granule - 10) / 2) << 10 | (uint64_t)ttl << 8;
    return cmd;
}

SmmuCmd smmu_atc_inv(uint32_t sid, uint32_t ssid, uint64_t addr,
                     unsigned order)
{
    SmmuCmd cmd = { {
        SMMU_OP_ATC_INV | (uint64_t)sid << 32, (addr & CMD_ADDR) | order,
    } };

    if (ssid != SMMU_NO_SSID) {
        cmd.dw[0] |= 1ULL << 11 | (uint64_t)ssid << 12;
    }
    return cmd;
}

SmmuCmd smmu_pri_resp(uint32_t sid, uint32_t ssid, uint16_t grpid,
                      unsigned resp)
{
    SmmuCmd cmd = { {
        SMMU_OP_PRI_RESP | (uint64_t)sid << 32, grpid | (uint64_t)resp << 12,
    } };

    if (ssid != SMMU_NO_SSID) {
        cmd.dw[0] |= 1ULL << 11 | (uint64_t)ssid << 12;
    }
    return cmd;
}

SmmuCmd smmu_resume(uint32_t sid, uint16_t stag, unsigned resp)
{
    return (SmmuCmd) { {
        SMMU_OP_RESUME | (uint64_t)resp << 12 | (uint64_t)sid << 32, stag,
    } };
}

SmmuCmd smmu_sync(void)
{
    return (SmmuCmd) { { SMMU_OP_SYNC } };
}

/* ------------------------------------------------------------------ queues */

/* Index registers hold the position and, above it, a wrap bit (3.5.1) */
static uint32_t index_next(const SmmuQueue *q, uint32_t index)
{
    return (index + 1) & ((2u << q->bits) - 1);
}

static uint64_t index_gpa(const SmmuQueue *q, uint32_t index)
{
    return q->base + (uint64_t)(index & ((1u << q->bits) - 1)) * q->entry;
}

void smmu_queue_init(SmmuQueue *q, IommuMem *mem, unsigned bits,
                     unsigned entry)
{
    uint64_t size = MAX((uint64_t)entry << bits, 32);

    *q = (SmmuQueue) {
        .mem = mem,
        .base = iommu_mem_alloc(mem, size, size),
        .bits = bits,
        .entry = entry,
    };
}

uint64_t smmu_queue_base(const SmmuQueue *q)
{
    return q->base | q->bits | 1ULL << 62;      /* RA or WA */
}

void smmu_queue_push(SmmuQueue *q, SmmuCmd cmd)
{
    iommu_mem_write_qwords(q->mem, index_gpa(q, q->index), cmd.dw, 2);
    q->index = index_next(q, q->index);
}

void smmu_queue_pop(const SmmuQueue *q, uint32_t *index, uint64_t *dw)
{
    unsigned i;

    for (i = 0; i < q->entry / 8; i++) {
        dw[i] = iommu_mem_read64(q->mem, index_gpa(q, *index) + i * 8);
    }
    *index = index_next(q, *index);
}

/* ------------------------------------------------------------- registers */

void smmu_setup(const IommuRegs *regs, const SmmuTables *t,
                const SmmuQueue *cmdq, const SmmuQueue *evtq)
{
    void *o = regs->opaque;

    regs->write32(o, SMMU_REG_CR0, 0);
    /* Inner shareable, write-back for tables and queues */
    regs->write32(o, SMMU_REG_CR1, 0xd75);
    regs->write32(o, SMMU_REG_CR2, 2);          /* RECINVSID */
    regs->write64(o, SMMU_REG_STRTAB_BASE, smmu_strtab_base(t));
    regs->write32(o, SMMU_REG_STRTAB_BASE_CFG, smmu_strtab_base_cfg(t));
    regs->write64(o, SMMU_REG_CMDQ_BASE, smmu_queue_base(cmdq));
    regs->write32(o, SMMU_REG_CMDQ_PROD, cmdq->index);
    regs->write32(o, SMMU_REG_CMDQ_CONS, cmdq->index);
    regs->write64(o, SMMU_REG_EVENTQ_BASE, smmu_queue_base(evtq));
    regs->write32(o, SMMU_REG_EVENTQ_PROD, evtq->index);
    regs->write32(o, SMMU_REG_EVENTQ_CONS, evtq->index);
    /* Queues before translation (SMMUv3 6.3.9) */
    regs->write32(o, SMMU_REG_CR0, 1 << 3 | 1 << 2);
}

void smmu_enable(const IommuRegs *regs, const SmmuTables *t,
                 const SmmuQueue *cmdq, const SmmuQueue *evtq)
{
    smmu_setup(regs, t, cmdq, evtq);
    regs->write32(regs->opaque, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1 << 0);
}

int smmu_cmdq_sync(SmmuQueue *q, const IommuRegs *regs)
{
    uint32_t mask = (2u << q->bits) - 1, cons;
    unsigned tries;

    smmu_queue_push(q, smmu_sync());
    regs->write32(regs->opaque, SMMU_REG_CMDQ_PROD, q->index);
    for (tries = 0; tries < 1000; tries++) {
        /* In this order: an error that is there has its code in CONS */
        bool error = (regs->read32(regs->opaque, SMMU_REG_GERROR) ^
                      regs->read32(regs->opaque, SMMU_REG_GERRORN)) & 1;

        cons = regs->read32(regs->opaque, SMMU_REG_CMDQ_CONS);
        if (error) {
            return (cons >> 24) & 0x7f;
        }
        if ((cons & mask) == q->index) {
            return 0;
        }
        g_usleep(1000);
    }
    return -1;
}

bool smmu_evtq_read(SmmuQueue *q, const IommuRegs *regs, uint64_t *dw)
{
    uint32_t mask = (2u << q->bits) - 1;
    uint32_t prod = regs->read32(regs->opaque, SMMU_REG_EVENTQ_PROD);

    if ((prod & mask) == q->index) {
        return false;
    }
    smmu_queue_pop(q, &q->index, dw);
    /* Acknowledges an overflow as well: the flag is bit 31 of both */
    regs->write32(regs->opaque, SMMU_REG_EVENTQ_CONS,
                  q->index | (prod & (1u << 31)));
    return true;
}
