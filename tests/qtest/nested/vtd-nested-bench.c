/*
 * VT-d nesting: workloads whose cost is measured; see nested-bench.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nested-bench.h"
#include "vtd-rig.h"

#define IOVA    0x4000000000ULL
/* First of the domains */
#define DID     16
/* The PASID that is bound and unbound, and the first of those that stay */
#define PASID   1
#define OTHERS  16

static Bench bench;

static void start(VtdRig *r)
{
    g_autoptr(GString) host = g_string_new("");
    g_autoptr(GString) args = g_string_new("");

    bench_devices(&bench, "vtd", host, args);
    vtd_rig_start(r, host->str, bench.props, 0, args->str);
    vtd_tables_init(&r->t, &r->mem, true);
    vtd_queue_init(&r->q, &r->mem, 5, true);
    vtd_enable(&r->regs, &r->t, &r->q);
}

/* Every device has a table and a domain of its own */
static void bind_rids(VtdRig *r)
{
    for (unsigned i = 0; i < bench.devices; i++) {
        vtd_rig_first_stage(r, bench_rid(i), DID + i, vtd_s1_new(&r->mem));
    }
}

/* --------------------------------------------------------- invalidations */

/* Pages by turns of all devices; @tlb: and of their device TLBs */
static void push_pages(VtdRig *r, bool tlb)
{
    for (unsigned i = 0; i < bench.commands; i++) {
        unsigned dev = i % bench.devices;

        if (tlb && i % 2) {
            dev = i / 2 % bench.devices;
            vtd_queue_push(&r->q, vtd_inv_dev_tlb(bench_rid(dev),
                                                  IOVA + i * 0x1000, 0));
        } else {
            dev = tlb ? i / 2 % bench.devices : dev;
            vtd_queue_push(&r->q, vtd_inv_piotlb(DID + dev, 0,
                                                 IOVA + i * 0x2000, 0, true));
        }
    }
}

static void run_pages(VtdRig *r)
{
    bind_rids(r);
    for (unsigned i = 0; i < bench.times; i++) {
        push_pages(r, g_str_equal(bench.workload, "pages-tlb"));
        vtd_rig_sync(r);
    }
}

/* ----------------------------------------------------------------- PASIDs */

static void set_pasid(VtdRig *r, unsigned dev, uint32_t pasid, uint16_t did,
                      uint64_t s1)
{
    vtd_pasid_set(&r->t, bench_rid(dev), pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

/* COMMANDS other PASIDs of each device are bound to one table, in domain 1 */
static void bind_pasids(VtdRig *r)
{
    uint64_t s1 = vtd_s1_new(&r->mem);

    for (unsigned i = 0; i < bench.devices; i++) {
        vtd_rig_enable_sva(r, bench_rid(i));
        vtd_context_scalable(&r->t, bench_rid(i), 17, VTD_CTX_PASIDE, 0);
        for (unsigned j = 0; j < bench.commands; j++) {
            set_pasid(r, i, OTHERS + j, 1, s1);
        }
    }
    vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(r);
}

/* As Linux does it: one PASID comes, and goes again */
static void run_bind(VtdRig *r)
{
    uint64_t s1;

    bind_pasids(r);
    s1 = vtd_s1_new(&r->mem);
    for (unsigned i = 0; i < bench.times; i++) {
        set_pasid(r, 0, PASID, 2, s1);
        vtd_rig_inv_pasid(r, 2, PASID);
        vtd_pasid_clear(&r->t, bench_rid(0), PASID);
        vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, 2, PASID));
        vtd_queue_push(&r->q, vtd_inv_piotlb_all(2, PASID));
        vtd_queue_push(&r->q, vtd_inv_pasid_dev_tlb(bench_rid(0), PASID, 0,
                                                    51));
        vtd_rig_sync(r);
    }
}

/* Nothing changed: of one domain with one PASID, or of all */
static void run_cache(VtdRig *r)
{
    bool all = g_str_equal(bench.workload, "pasid-cache-global");

    bind_pasids(r);
    set_pasid(r, 0, PASID, 2, vtd_s1_new(&r->mem));
    vtd_rig_inv_pasid(r, 2, PASID);
    for (unsigned i = 0; i < bench.times; i++) {
        vtd_queue_push(&r->q, vtd_inv_pasid_cache(all ? VTD_PC_GLOBAL :
                                                  VTD_PC_DOMAIN, 2, 0));
        vtd_rig_sync(r);
    }
}

/* ---------------------------------------------------------- page requests */

#define REG_PQH     0xc0
#define REG_PQT     0xc8
#define REG_PQA     0xd0
#define REG_PRS     0xdc
#define PRQ_ORDER   5           /* 4,096 entries of 32 bytes */
#define PRQ_BYTES   (4096u << PRQ_ORDER)

static void start_requests(VtdRig *r)
{
    uint64_t queue = iommu_mem_alloc(&r->mem, PRQ_BYTES, PRQ_BYTES);

    for (unsigned i = 0; i < bench.devices; i++) {
        vtd_rig_enable_sva(r, bench_rid(i));
        vtd_context_scalable(&r->t, bench_rid(i), 12,
                             VTD_CTX_DTE | VTD_CTX_PRE, 0);
        set_pasid(r, i, 0, DID + i, vtd_s1_new(&r->mem));
    }
    vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(r);
    r->regs.write64(r->regs.opaque, REG_PQH, 0);
    r->regs.write64(r->regs.opaque, REG_PQT, 0);
    r->regs.write64(r->regs.opaque, REG_PQA, queue | PRQ_ORDER);
}

/* Groups of one request by turns of all devices, all at the same time */
static void ask(VtdRig *r, uint64_t tail)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
    for (unsigned i = 0; i < bench.commands; i++) {
        iommufd_model_do(r->m, "{\"cmd\":\"page-request\",\"dev\":"
                         "\"0000:%02x:00.0\",\"addrs\":[%llu],\"grpid\":%u}",
                         i % bench.devices + 1, IOVA + i * 4096ULL,
                         i / bench.devices);
    }
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    while (r->regs.read64(r->regs.opaque, REG_PQT) != tail) {
        g_usleep(1000);
    }
}

/* They come, and the guest answers them together */
static void run_requests(VtdRig *r)
{
    uint64_t tail = 0;

    start_requests(r);
    for (unsigned i = 0; i < bench.times; i++) {
        tail = (tail + bench.commands * 32) % PRQ_BYTES;
        ask(r, tail);
        r->regs.write64(r->regs.opaque, REG_PQH, tail);
        r->regs.write32(r->regs.opaque, REG_PRS, 1);
        for (unsigned j = 0; j < bench.commands; j++) {
            vtd_queue_push(&r->q, vtd_page_response(
                bench_rid(j % bench.devices), false, 0, j / bench.devices,
                VTD_PRG_SUCCESS));
        }
        vtd_rig_sync(r);
    }
}

static void run(void)
{
    BenchCount before;
    VtdRig r;

    start(&r);
    bench_begin(r.m, &before);
    if (g_str_has_prefix(bench.workload, "pages")) {
        run_pages(&r);
    } else if (g_str_equal(bench.workload, "page-requests")) {
        run_requests(&r);
    } else if (g_str_equal(bench.workload, "bind")) {
        run_bind(&r);
    } else {
        run_cache(&r);
    }
    bench_end(r.m, &before);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    static const char *const workloads[] = {
        "pages", "pages-tlb", "bind", "pasid-cache-domain",
        "pasid-cache-global", "page-requests", NULL,
    };

    g_test_init(&argc, &argv, NULL);
    bench_parse(&bench, argc, argv, workloads);
    qtest_add_func("/vtd-nested-bench", run);
    return g_test_run();
}
