/*
 * What DMA must do: stage 2 and the choice of architecture
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "oracle.h"

void oracle_s2_init(OracleS2 *s2, uint64_t size)
{
    s2->pages = size / ORACLE_PAGE;
    s2->rights = g_malloc0(s2->pages);
}

void oracle_s2_set(OracleS2 *s2, uint64_t gpa, uint64_t len, uint8_t rights)
{
    memset(s2->rights + gpa / ORACLE_PAGE, rights, len / ORACLE_PAGE);
}

void oracle_s2_free(OracleS2 *s2)
{
    g_free(s2->rights);
}

OracleResult oracle_fault(int stage, const char *reason)
{
    return (OracleResult) { .fault = true, .stage = stage, .reason = reason };
}

const uint8_t *oracle_stage2(const TvVm *vm, const OracleS2 *s2, uint64_t gpa,
                             bool write, OracleResult *res)
{
    uint64_t page = gpa / ORACLE_PAGE;

    if (page >= s2->pages || !s2->rights[page]) {
        *res = oracle_fault(2, "not-present");
        return NULL;
    }
    if (write && !(s2->rights[page] & ORACLE_W)) {
        *res = oracle_fault(2, "permission");
        return NULL;
    }
    return vm->ram + gpa;
}

OracleResult oracle_dma(const TvVm *vm, const OracleS2 *s2,
                        const OracleReq *req)
{
    OracleResult res = vm->cfg.arch == TV_VTD ? oracle_vtd(vm, s2, req) :
                                                oracle_smmuv3(vm, s2, req);

    if (!res.fault) {
        oracle_stage2(vm, s2, res.gpa, req->write, &res);
    }
    return res;
}
