/*
 * What DMA must do: VT-d in scalable mode, first stage
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Steps are those of VT-d 3.4.3 (scalable-mode address translation) and 3.6.
 */

#include "qemu/osdep.h"
#include "oracle.h"

static uint64_t word(const uint8_t *p)
{
    return ldq_le_p(p);
}

/* 9.1 to 9.6: root, context, PASID directory, PASID table */
static const uint8_t *pasid_entry(const TvVm *vm, const OracleReq *req)
{
    uint32_t pasid = req->pasid == TV_NO_PASID ? 0 : req->pasid;
    const uint8_t *root = vm->ram + vm->vtd.root + (req->rid >> 8) * 16;
    uint64_t half = word(root + (req->rid & 0x80 ? 8 : 0));
    uint64_t context, directory;

    if (!(half & 1)) {
        return NULL;
    }
    context = word(vm->ram + (half & ~0xfffULL) + (req->rid & 0x7f) * 32);
    if (!(context & 1)) {
        return NULL;
    }
    directory = word(vm->ram + (context & ~0xfffULL) + (pasid >> 6) * 8);
    if (!(directory & 1)) {
        return NULL;
    }
    return vm->ram + (directory & ~0xfffULL) + (pasid & 0x3f) * 64;
}

/* 3.6: both halves of the address space, the middle is nobody's */
static bool canonical(uint64_t addr, unsigned levels)
{
    unsigned unused = 64 - (levels == 5 ? 57 : 48);

    return (uint64_t)((int64_t)(addr << unused) >> unused) == addr;
}

OracleResult oracle_vtd(const TvVm *vm, const OracleS2 *s2,
                        const OracleReq *req)
{
    const uint8_t *pe = pasid_entry(vm, req);
    bool writable = true, user = true, wpe;
    uint64_t table;
    unsigned levels, shift;
    OracleResult res;

    if (!pe || !(word(pe) & 1)) {
        return oracle_fault(0, "blocked");
    }
    if (req->priv && !(word(pe + 16) & 1)) {
        return oracle_fault(1, "privilege");        /* SRE */
    }
    wpe = word(pe + 16) & (1 << 4);
    levels = word(pe + 16) & 4 ? 5 : 4;
    table = word(pe + 16) & ~0xfffULL;
    if (!canonical(req->addr, levels)) {
        return oracle_fault(1, "non-canonical");
    }
    for (shift = levels == 5 ? 48 : 39; ; shift -= 9) {
        const uint8_t *p = oracle_stage2(vm, s2, table +
                                         (req->addr >> shift) % 512 * 8,
                                         false, &res);
        uint64_t e;

        if (!p) {
            return res;
        }
        e = word(p);
        if (!(e & VTD_S1_P)) {
            return oracle_fault(1, "not-present");
        }
        if ((e & VTD_S1_PS) && shift > 30) {
            return oracle_fault(1, "reserved-bits");
        }
        writable &= !!(e & VTD_S1_RW);
        user &= !!(e & VTD_S1_US);
        table = e & VTD_S1_ADDR;
        if (shift == 12 || (e & VTD_S1_PS)) {
            break;
        }
    }
    if (!user && !req->priv) {
        return oracle_fault(1, "privilege");
    }
    if (req->write && !writable && (!req->priv || wpe)) {
        return oracle_fault(1, "permission");
    }
    return (OracleResult) {
        .gpa = (table >> shift << shift) + req->addr % (1ULL << shift),
    };
}
