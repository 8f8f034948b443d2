/*
 * SVA engine under test: a host whose VT-d gives it processes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqtest.h"
#include "sva-engine-host.h"

#define VTD_BASE    0xfed90000ULL

#define HOST_IOMMU \
    "-device intel-iommu,x-scalable-mode=on,host-nesting=on," \
    "x-pasid-mode=on,device-iotlb=on,intremap=off"

#define PRQ         0x0100000
#define TABLES      0x1000000
#define TABLES_END  0x2000000

#define WAIT_US     100
#define WAIT_TRIES  50000

/* ----------------------------------------------------------- the machine */

static void mem_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    qtest_memread(opaque, gpa, buf, len);
}

static void mem_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    qtest_memwrite(opaque, gpa, buf, len);
}

static uint32_t reg_read32(void *opaque, uint64_t offset)
{
    return qtest_readl(opaque, VTD_BASE + offset);
}

static uint64_t reg_read64(void *opaque, uint64_t offset)
{
    return qtest_readq(opaque, VTD_BASE + offset);
}

static void reg_write32(void *opaque, uint64_t offset, uint32_t value)
{
    qtest_writel(opaque, VTD_BASE + offset, value);
}

static void reg_write64(void *opaque, uint64_t offset, uint64_t value)
{
    qtest_writeq(opaque, VTD_BASE + offset, value);
}

uint32_t host_read32(Host *h, uint64_t reg)
{
    return reg_read32(h->rig.qts, reg);
}

uint64_t host_read64(Host *h, uint64_t reg)
{
    return reg_read64(h->rig.qts, reg);
}

void host_write32(Host *h, uint64_t reg, uint32_t value)
{
    reg_write32(h->rig.qts, reg, value);
}

void host_write64(Host *h, uint64_t reg, uint64_t value)
{
    reg_write64(h->rig.qts, reg, value);
}

void host_map(Host *h, uint64_t va, uint64_t gpa, uint64_t len)
{
    vtd_s1_map(&h->mem, h->s1, 4, va, gpa, len, 12, VTD_S1_USER_RW);
}

void host_push(Host *h, VtdDesc desc)
{
    vtd_queue_push(&h->queue, desc);
}

void host_sync(Host *h)
{
    g_assert_true(vtd_queue_sync(&h->queue, &h->regs));
}

void host_unmap(Host *h, uint64_t va, uint64_t len)
{
    vtd_s1_unmap(&h->mem, h->s1, 4, va, len);
    host_push(h, vtd_inv_piotlb_all(DID, h->pasid));
    host_sync(h);
}

void host_device_tlb(Host *h, uint32_t pasid, uint64_t va,
                            unsigned order)
{
    host_push(h, vtd_inv_pasid_dev_tlb(RIG_DEVFN, pasid, va, order));
    host_sync(h);
}

static void host_pasid_entry(Host *h, uint32_t pasid)
{
    vtd_pasid_set(&h->tables, RIG_DEVFN, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = h->s1, .s1_levels = 4,
    });
}

void host_pasid(Host *h, uint32_t pasid)
{
    h->pasid = pasid;
    h->s1 = vtd_s1_new(&h->mem);
    host_map(h, VA_RING, RING, 0x10000);
    host_map(h, VA_DONE, DONE, 0x1000);
    host_pasid_entry(h, pasid);
}

void host_rid(Host *h)
{
    host_pasid_entry(h, 0);
}

void host_device_features(Rig *r, unsigned credits)
{
    rig_config_writew(r, RIG_PASID + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    if (credits) {
        rig_config_writel(r, RIG_PRI + PCI_PRI_ALLOC_REQ, credits);
        rig_config_writew(r, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    }
    rig_config_writew(r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
}

void host_start(Host *h, const char *props, unsigned credits)
{
    *h = (Host) { };
    rig_start_q35(&h->rig, HOST_IOMMU, props);
    h->mem = (IommuMem) { mem_read, mem_write, h->rig.qts, TABLES,
                          TABLES_END };
    h->regs = (IommuRegs) { reg_read32, reg_read64, reg_write32, reg_write64,
                            h->rig.qts };
    vtd_tables_init(&h->tables, &h->mem, true);
    vtd_queue_init(&h->queue, &h->mem, 0, true);
    vtd_context_scalable(&h->tables, RIG_DEVFN, 20,
                         VTD_CTX_DTE | VTD_CTX_PASIDE | VTD_CTX_PRE, 0);
    host_pasid(h, 7);
    vtd_enable(&h->regs, &h->tables, &h->queue);
    host_write64(h, PQA, PRQ);
    host_device_features(&h->rig, credits);
}

void host_stop(Host *h)
{
    rig_stop(&h->rig);
}

void host_queue(Host *h, RigQueue *q, unsigned n)
{
    rig_queue_init(q, &h->rig, n, SVA_Q_PASID_VALID | h->pasid,
                   VA_RING + n * 0x1000, RING + n * 0x1000, 4);
}

/* -------------------------------------------------------- page requests */

static bool host_prq_pop(Host *h, PageRequest *pr)
{
    uint64_t head = host_read64(h, PQH);
    uint64_t qw0, qw1;

    if (head == host_read64(h, PQT)) {
        return false;
    }
    qw0 = iommu_mem_read64(&h->mem, PRQ + head);
    qw1 = iommu_mem_read64(&h->mem, PRQ + head + 8);
    g_assert_cmphex(qw0 & 0xff, ==, 1);
    *pr = (PageRequest) {
        .with_pasid = qw0 >> 8 & 1,
        .rid = qw0 >> 16,
        .pasid = qw0 >> 32 & 0xfffff,
        .read = qw1 & 1,
        .write = qw1 >> 1 & 1,
        .last = qw1 >> 2 & 1,
        .group = qw1 >> 3 & 0x1ff,
        .addr = qw1 & ~0xfffULL,
    };
    host_write64(h, PQH, (head + PRQ_ENTRY) % 0x1000);
    host_write32(h, PRS, PRS_PPR);
    return true;
}

PageRequest host_prq_wait(Host *h)
{
    PageRequest pr;

    for (unsigned i = 0; i < WAIT_TRIES; i++) {
        if (host_prq_pop(h, &pr)) {
            return pr;
        }
        g_usleep(WAIT_US);
    }
    g_assert_not_reached();
}

void host_prq_expect(Host *h, uint64_t addr, bool write, bool last,
                       PageRequest *pr)
{
    *pr = host_prq_wait(h);
    g_assert_cmphex(pr->addr, ==, addr);
    g_assert_cmpint(pr->write, ==, write);
    g_assert_cmpint(pr->read, ==, !write);
    g_assert_cmpint(pr->last, ==, last);
    g_assert_cmphex(pr->rid, ==, RIG_DEVFN);
    g_assert_true(pr->with_pasid);
    g_assert_cmpuint(pr->pasid, ==, h->pasid);
}

void host_prq_none(Host *h)
{
    g_assert_cmphex(host_read64(h, PQH), ==,
                    host_read64(h, PQT));
}

void host_prq_respond(Host *h, const PageRequest *pr, unsigned code)
{
    host_push(h, vtd_page_response(pr->rid, pr->with_pasid, pr->pasid,
                                   pr->group, code));
    host_sync(h);
}

uint16_t host_pri_status(Host *h)
{
    return rig_config_readw(&h->rig, RIG_PRI + PCI_PRI_STATUS);
}
