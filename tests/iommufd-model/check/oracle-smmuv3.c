/*
 * What DMA must do: SMMUv3 stage 1
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SMMUv3 3.3.2 (from StreamID to CD) and the VMSAv8-64 walk.
 */

#include "qemu/osdep.h"
#include "oracle.h"

static uint64_t word(const uint8_t *p)
{
    return ldq_le_p(p);
}

static const uint8_t *find_ste(const TvVm *vm, uint32_t sid)
{
    uint64_t l1 = word(vm->ram + vm->smmu.base +
                       (sid >> vm->smmu.split) * 8);

    if (!(l1 & 0x1f)) {
        return NULL;
    }
    return vm->ram + (l1 & 0xfffffffffffc0ULL) +
           sid % (1u << vm->smmu.split) * 64;
}

/* Guest physical address of the CD; 0 with @res filled when there is none */
static uint64_t find_cd(const TvVm *vm, const OracleS2 *s2,
                        const uint8_t *ste, const OracleReq *req,
                        OracleResult *res)
{
    uint64_t dw0 = word(ste), base = dw0 & 0xfffffffffffc0ULL, l1;
    unsigned leaf = (dw0 >> 4 & 3) == 1 ? 64 : 1024;
    uint32_t ssid = req->pasid == TV_NO_PASID ? 0 : req->pasid;
    const uint8_t *p;

    /* S1DSS is 2: substream 0 is for requests without one */
    if (req->pasid == 0 || ssid >= 1u << (dw0 >> 59)) {
        *res = oracle_fault(0, "bad-substreamid");
        return 0;
    }
    if (!(dw0 >> 4 & 3)) {
        return base + ssid * 64;
    }
    p = oracle_stage2(vm, s2, base + ssid / leaf * 8, false, res);
    if (!p) {
        return 0;
    }
    l1 = word(p);
    if (!(l1 & 1)) {
        *res = oracle_fault(0, "bad-substreamid");
        return 0;
    }
    return (l1 & 0xffffffffff000ULL) + ssid % leaf * 64;
}

typedef struct Regime {
    uint64_t ttb;
    unsigned granule, va_bits;
} Regime;

static bool read_cd(const uint8_t *cd, Regime *r)
{
    static const uint8_t granule[] = { 12, 16, 14 };
    uint64_t dw0 = word(cd);

    if (!(dw0 >> 31 & 1)) {
        return false;
    }
    r->va_bits = 64 - (dw0 & 0x3f);
    r->granule = granule[dw0 >> 6 & 3];
    r->ttb = word(cd + 8) & 0xffffffffffff0ULL;
    return true;
}

static OracleResult walk(const TvVm *vm, const OracleS2 *s2, const Regime *r,
                         const OracleReq *req)
{
    unsigned stride = r->granule - 3, shift = r->granule;
    uint64_t table = r->ttb, offset, desc, span;
    bool page, user = true, writable = true;
    OracleResult res;

    while (shift + stride < r->va_bits) {
        shift += stride;
    }
    for (;; shift -= stride) {
        const uint8_t *p = oracle_stage2(vm, s2, table +
                            ((req->addr >> shift) % (1u << stride)) * 8,
                            false, &res);

        if (!p) {
            return res;
        }
        desc = word(p);
        page = shift == r->granule;
        if (!(desc & 1) || (page && !(desc & 2))) {
            return oracle_fault(1, "not-present");
        }
        table = desc & 0xffffffffffffULL & -(1ULL << r->granule);
        if (page || !(desc & 2)) {
            break;
        }
        user &= !(desc & SMMU_TABLE_NO_EL0);
        writable &= !(desc & SMMU_TABLE_RO);
    }
    if (!(desc & SMMU_PTE_AF)) {
        return oracle_fault(1, "access-flag");
    }
    user &= !!(desc & SMMU_PTE_EL0);
    writable &= !(desc & SMMU_PTE_RO);
    if ((!user && !req->priv) || (req->write && !writable)) {
        return oracle_fault(1, "permission");
    }
    span = 1ULL << shift;
    offset = req->addr % span;
    return (OracleResult) { .gpa = table / span * span + offset };
}

OracleResult oracle_smmuv3(const TvVm *vm, const OracleS2 *s2,
                           const OracleReq *req)
{
    const uint8_t *ste = find_ste(vm, req->rid), *cd;
    OracleResult res;
    Regime regime;
    uint64_t gpa;

    if (!ste || (word(ste) & 0xf) != (1 | SMMU_STE_S1 << 1)) {
        return oracle_fault(0, "blocked");
    }
    gpa = find_cd(vm, s2, ste, req, &res);
    if (!gpa) {
        return res;
    }
    cd = oracle_stage2(vm, s2, gpa, false, &res);
    if (!cd) {
        return res;
    }
    if (!read_cd(cd, &regime)) {
        return oracle_fault(0, "bad-cd");
    }
    if (req->addr >> regime.va_bits) {
        return oracle_fault(1, "not-present");
    }
    return walk(vm, s2, &regime, req);
}
