/*
 * Intel VT-d, emulated host: the walks of both stages
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/rcu.h"
#include "exec/memattrs.h"
#include "system/address-spaces.h"
#include "system/memory.h"
#include "intel_iommu_twostage.h"

#define PTE_PS              (1ULL << 7)
/* Bits 52 and up are ignored or protection keys, XD included (no NXE) */
#define PTE_ADDR            0x000ffffffffff000ULL

#define S1_P                (1ULL << 0)
#define S1_RW               (1ULL << 1)
#define S1_US               (1ULL << 2)
#define S1_A                (1ULL << 5)
#define S1_D                (1ULL << 6)
#define S1_EA               (1ULL << 10)

#define S2_R                (1ULL << 0)
#define S2_W                (1ULL << 1)
#define S2_A                (1ULL << 8)
#define S2_D                (1ULL << 9)
#define S2_SNP              (1ULL << 11)
#define S2_TM               (1ULL << 62)

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static hwaddr slot_of(uint64_t table, uint64_t addr, unsigned level)
{
    return table + extract64(addr, level_shift(level), 9) * 8;
}

static uint64_t offset_mask(unsigned shift)
{
    return (1ULL << shift) - 1;
}

bool vtd_read_table(hwaddr addr, uint64_t *val)
{
    hwaddr len = sizeof(*val), xlat;
    MemTxResult res;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &xlat, &len,
                                 false, MEMTXATTRS_UNSPECIFIED);
    if (!(memory_region_is_ram(mr) || memory_region_is_romd(mr)) ||
        memory_region_is_ram_device(mr) || len < sizeof(*val)) {
        return false;
    }
    *val = address_space_ldq_le(&address_space_memory, addr,
                                MEMTXATTRS_UNSPECIFIED, &res);
    return res == MEMTX_OK;
}

/*
 * A walk that loses so many races against changes of its entries is none that
 * software waits for: it could be kept from ending.
 */
#define RACES_MAX           64

typedef enum UpdateResult {
    UPDATE_DONE,
    UPDATE_RACED,               /* somebody changed the entry: look again */
    UPDATE_FAILED,
} UpdateResult;

/*
 * Set flags in an entry.  Vcpus change tables while they are walked, so this
 * must not write anything back that they have just taken away (3.6.2).
 */
static UpdateResult set_pte_flags(hwaddr addr, uint64_t pte, uint64_t flags,
                                  bool ahead)
{
    hwaddr len = sizeof(pte), xlat;
    uint64_t seen, old = cpu_to_le64(pte);
    MemoryRegion *mr;
    void *host;

    if ((pte & flags) == flags) {
        return UPDATE_DONE;
    }
    if (ahead) {
        return UPDATE_FAILED;
    }

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &xlat, &len,
                                 true, MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_is_ram(mr) || mr->readonly || len < sizeof(pte)) {
        return UPDATE_FAILED;
    }
    host = address_space_map(&address_space_memory, addr, &len, true,
                             MEMTXATTRS_UNSPECIFIED);
    if (!host) {
        return UPDATE_FAILED;
    }
    seen = qatomic_cmpxchg__nocheck((uint64_t *)host, old,
                                    cpu_to_le64(pte | flags));
    address_space_unmap(&address_space_memory, host, len, true,
                        seen == old ? len : 0);
    return seen == old ? UPDATE_DONE : UPDATE_RACED;
}

/* ---------------------------------------------------------------- stage 2 */

static bool s2_reserved(IntelIOMMUState *s, uint64_t pte, unsigned level)
{
    uint64_t rsvd = PTE_ADDR & ~VTD_HAW_MASK(s->aw_bits);
    bool leaf = level == 1 || (level <= 3 && pte & PTE_PS);

    if (!s->stale_tm || !leaf) {
        rsvd |= S2_TM;
    }
    if (!s->twostage.sc || !leaf) {
        rsvd |= S2_SNP;
    }
    if (level > 3) {
        rsvd |= PTE_PS;
    }
    if (leaf) {
        rsvd |= offset_mask(level_shift(level)) & PTE_ADDR;
    }
    return pte & rsvd;
}

/* Section 3.7: the second-stage walk */
static int walk_s2(IntelIOMMUState *s, const VTDRequester *req, uint64_t gpa,
                   VTDAccess acc, VTDXlate *out)
{
    unsigned level = req->s2_levels, races = 0;
    uint64_t table = req->s2_root, pte, flags;
    hwaddr slot;
    bool leaf, cached;

    if (gpa & ~offset_mask(MIN(level_shift(level + 1), s->aw_bits))) {
        return VTD_TS_BEYOND_MGAW;
    }
    *out = (VTDXlate) { .read = true, .write = true };

    for (;;) {
        slot = slot_of(table, gpa, level);
        cached = vtd_tlb_find_table(s, req, true, gpa, level_shift(level),
                                    &pte);
        if (!cached && !vtd_read_table(slot, &pte)) {
            return level == req->s2_levels ? VTD_TS_S2_ROOT_ACCESS :
                                             VTD_TS_S2_ACCESS;
        }
        if (!(pte & (S2_R | S2_W))) {
            return VTD_TS_S2_P;
        }
        if (s2_reserved(s, pte, level)) {
            return VTD_TS_S2_RSVD;
        }
        if (acc.write && !(pte & S2_W)) {
            return VTD_TS_WRITE;
        }
        if (acc.read && !(pte & S2_R)) {
            return VTD_TS_READ;
        }
        leaf = level == 1 || pte & PTE_PS;

        if (req->ssade && !cached) {
            flags = S2_A;
            if (leaf && (acc.write || (acc.want_write && out->write &&
                                       pte & S2_W))) {
                flags |= S2_D;
            }
            switch (set_pte_flags(slot, pte, flags, acc.ahead)) {
            case UPDATE_RACED:
                if (races++ < RACES_MAX) {
                    continue;
                }
                /* fall through */
            case UPDATE_FAILED:
                return VTD_TS_S2_ACCESS;
            case UPDATE_DONE:
                break;
            }
        }

        out->read = out->read && pte & S2_R;
        out->write = out->write && pte & S2_W;
        if (leaf) {
            break;
        }
        if (!cached) {
            vtd_tlb_add_table(s, req, true, gpa, level_shift(level), pte);
        }
        table = pte & PTE_ADDR;
        level--;
    }

    /* Without a dirty bit set, a later write must come here again */
    out->may_write = out->write;
    out->write = out->write && (acc.write || acc.want_write || !req->ssade);
    out->shift = level_shift(level);
    out->addr = (pte & PTE_ADDR & ~offset_mask(out->shift)) |
                (gpa & offset_mask(out->shift));
    return 0;
}

/* ---------------------------------------------------------------- stage 1 */

/*
 * Where an entry of a stage-1 table is: with nesting, its address takes a walk
 * of stage 2 like any other access (3.8).  @write: the entry is to be changed.
 */
static int locate_s1_entry(IntelIOMMUState *s, const VTDRequester *req,
                           uint64_t addr, bool root, bool write, bool ahead,
                           hwaddr *slot)
{
    VTDAccess acc = { .read = true, .write = write, .ahead = ahead };
    VTDXlate xlate;
    int ret;

    if (req->pgtt != VTD_TS_NESTED) {
        *slot = addr;
        return 0;
    }
    ret = walk_s2(s, req, addr, acc, &xlate);
    switch (ret) {
    case 0:
        *slot = xlate.addr;
        return 0;
    case VTD_TS_BEYOND_MGAW:
        return VTD_TS_S1_TABLE_BEYOND;
    case VTD_TS_S2_P:
    case VTD_TS_READ:
        return root ? VTD_TS_S1_ROOT_READ : VTD_TS_S1_TABLE_READ;
    case VTD_TS_WRITE:
        return VTD_TS_S1_TABLE_WRITE;
    default:
        return ret;
    }
}

/* Returns: 0 when done or raced, which *@raced tells, or a fault condition */
static int update_s1_entry(IntelIOMMUState *s, const VTDRequester *req,
                           uint64_t addr, bool root, uint64_t pte,
                           uint64_t flags, bool ahead, bool *raced)
{
    hwaddr slot;
    int ret;

    *raced = false;
    if ((pte & flags) == flags) {
        return 0;
    }
    if (ahead) {
        return VTD_TS_AD_UPDATE;
    }
    ret = locate_s1_entry(s, req, addr, root, true, false, &slot);
    if (ret) {
        return ret;
    }
    switch (set_pte_flags(slot, pte, flags, false)) {
    case UPDATE_RACED:
        *raced = true;
        return 0;
    case UPDATE_FAILED:
        return VTD_TS_AD_UPDATE;
    case UPDATE_DONE:
        break;
    }
    return 0;
}

static bool s1_reserved(IntelIOMMUState *s, uint64_t pte, unsigned level)
{
    uint64_t rsvd = PTE_ADDR & ~VTD_HAW_MASK(s->aw_bits);

    if (level > 3 || (level == 3 && !s->fs1gp)) {
        rsvd |= PTE_PS;
    }
    if ((level == 2 || level == 3) && pte & PTE_PS) {
        /* Bit 12 is PAT in a large page */
        rsvd |= offset_mask(level_shift(level)) & ~offset_mask(13);
    }
    return pte & rsvd;
}

static bool canonical(uint64_t iova, unsigned levels)
{
    unsigned bits = level_shift(levels + 1);

    return sextract64(iova, 0, bits) == (int64_t)iova;
}

static int check_s1_entry(IntelIOMMUState *s, const VTDRequester *req,
                          uint64_t pte, unsigned level, VTDAccess acc)
{
    if (!(pte & S1_P)) {
        return VTD_TS_S1_P;
    }
    if (s1_reserved(s, pte, level)) {
        return VTD_TS_S1_RSVD;
    }
    if (!acc.priv && !(pte & S1_US)) {
        return VTD_TS_PRIVILEGE;
    }
    /* A supervisor writes where it likes unless WPE is set (9.6) */
    if (acc.write && !(pte & S1_RW) && !(acc.priv && !req->wpe)) {
        return VTD_TS_WRITE;
    }
    return 0;
}

/* The last step: through stage 2 when nested, permissions of both combined */
static int finish_s1(IntelIOMMUState *s, const VTDRequester *req,
                     uint64_t addr, unsigned shift, bool write, VTDAccess acc,
                     VTDXlate *out)
{
    int ret;

    *out = (VTDXlate) {
        .addr = addr, .shift = shift, .read = true, .write = write,
        .may_write = write,
    };
    if (req->pgtt == VTD_TS_NESTED) {
        acc.want_write = acc.want_write && write;
        ret = walk_s2(s, req, addr, acc, out);
        if (ret) {
            return ret == VTD_TS_BEYOND_MGAW ? VTD_TS_NESTED_BEYOND : ret;
        }
        out->shift = MIN(out->shift, shift);
        out->write = out->write && write;
        out->may_write = out->may_write && write;
    }
    /* Only what gets a dirty bit may be written by way of the cache */
    out->write = out->write && (acc.write || acc.want_write);
    return 0;
}

/* Section 3.6, and 3.8 when nested */
static int walk_s1(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
                   VTDAccess acc, VTDXlate *out)
{
    uint64_t accessed = S1_A | (req->eafe ? S1_EA : 0);
    unsigned level = req->s1_levels, shift, races = 0;
    uint64_t table = req->s1_root, pte, addr, flags;
    bool write = true, root, leaf, raced, cached;
    hwaddr slot;
    int ret;

    if (!canonical(iova, req->s1_levels)) {
        return VTD_TS_NON_CANONICAL;
    }

    for (;;) {
        root = level == req->s1_levels;
        addr = slot_of(table, iova, level);
        cached = vtd_tlb_find_table(s, req, false, iova, level_shift(level),
                                    &pte);
        if (!cached) {
            ret = locate_s1_entry(s, req, addr, root, false, acc.ahead, &slot);
            if (ret) {
                return ret;
            }
            if (!vtd_read_table(slot, &pte)) {
                return root ? VTD_TS_S1_ROOT_ACCESS : VTD_TS_S1_ACCESS;
            }
        }
        ret = check_s1_entry(s, req, pte, level, acc);
        if (ret) {
            return ret;
        }

        flags = accessed;
        leaf = level == 1 || pte & PTE_PS;
        if (leaf) {
            bool may_write = write && (pte & S1_RW || (acc.priv && !req->wpe));

            shift = level_shift(level);
            ret = finish_s1(s, req, (pte & PTE_ADDR & ~offset_mask(shift)) |
                            (iova & offset_mask(shift)), shift, may_write,
                            acc, out);
            if (ret) {
                return ret;
            }
            flags |= out->write ? S1_D : 0;
        }

        /*
         * The dirty bit comes after the final address has passed stage 2:
         * it never tells of a write that did not get through.
         */
        if (!cached) {
            ret = update_s1_entry(s, req, addr, root, pte, flags, acc.ahead,
                                  &raced);
            if (ret) {
                return ret;
            }
            if (raced && races++ < RACES_MAX) {
                continue;
            }
            if (raced) {
                return VTD_TS_AD_UPDATE;
            }
        }
        if (leaf) {
            return 0;
        }
        if (!cached) {
            vtd_tlb_add_table(s, req, false, iova, level_shift(level), pte);
        }
        write = write && (pte & S1_RW || (acc.priv && !req->wpe));
        table = pte & PTE_ADDR;
        level--;
    }
}

static bool touches_interrupts(uint64_t addr, uint64_t size)
{
    return addr <= VTD_INTERRUPT_ADDR_LAST &&
           addr + size - 1 >= VTD_INTERRUPT_ADDR_FIRST;
}

int vtd_walk(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
             VTDAccess acc, VTDXlate *out)
{
    int ret;

    if (req->pgtt == VTD_TS_SECOND) {
        ret = walk_s2(s, req, iova, acc, out);
    } else {
        ret = walk_s1(s, req, iova, acc, out);
    }
    if (ret) {
        return ret;
    }

    /*
     * Section 3.14: no translation may end in the interrupt range.  A page
     * around it stays usable, but not as a whole.
     */
    if (touches_interrupts(out->addr, 1)) {
        return VTD_TS_INTERRUPT;
    }
    if (touches_interrupts(out->addr & ~offset_mask(out->shift),
                           1ULL << out->shift)) {
        out->shift = 12;
    }
    return 0;
}
