/*
 * VT-d nesting under test: a machine with a nested vIOMMU on a modelled host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-rig.h"

#define IOMMU_BASE      0xfed90000
#define ECAM            0xb0000000

#define TABLES          (16 * MiB)
#define TABLES_SIZE     (64 * MiB)

#define GCMD_KEEP       0x96ffffffu     /* GSTS bits that are not one-shot */

char *vtd_rig_host(unsigned num, const char *iommu, const char *device)
{
    return nested_rig_host("vtd", num, iommu, device);
}

void vtd_rig_open_config(VtdRig *r)
{
    /* PCIEXBAR of the host bridge: enabled, 256 MiB */
    qtest_outl(r->qts, 0xcf8, 0x80000064);
    qtest_outl(r->qts, 0xcfc, 0);
    qtest_outl(r->qts, 0xcf8, 0x80000060);
    qtest_outl(r->qts, 0xcfc, ECAM | 1);
}

char *vtd_rig_args(const char *iommu, unsigned num, const char *extra)
{
    g_autofree char *devices = nested_rig_devices(num, "pcie.0");

    return g_strdup_printf("-machine q35 -m 128M -nodefaults "
                           "-device intel-iommu,%s "
                           "-object iommufd,id=iommufd0 %s%s", iommu, devices,
                           extra);
}

void vtd_rig_start(VtdRig *r, const char *host, const char *iommu,
                   unsigned num, const char *extra)
{
    g_autofree char *args = vtd_rig_args(iommu, num, extra);

    *r = (VtdRig) { .m = iommufd_model_new(host) };
    r->qts = iommufd_model_start(r->m, "%s", args);
    iommu_mem_qtest(&r->mem, r->qts, TABLES, TABLES_SIZE);
    r->where = (QtestIommuRegs) { .qts = r->qts, .base = IOMMU_BASE };
    iommu_regs_qtest(&r->regs, &r->where);
    vtd_rig_open_config(r);
}

void vtd_rig_start_simple(VtdRig *r, unsigned num)
{
    g_autofree char *host = vtd_rig_host(num, "", "");

    vtd_rig_start(r, host, "nested=on", num, "");
}

void vtd_rig_stop(VtdRig *r)
{
    iommufd_model_free(r->m);
}

void vtd_rig_enable(VtdRig *r)
{
    vtd_tables_init(&r->t, &r->mem, true);
    vtd_queue_init(&r->q, &r->mem, 2, true);
    vtd_enable(&r->regs, &r->t, &r->q);
}

void vtd_rig_enable_legacy(VtdRig *r)
{
    vtd_tables_init(&r->t, &r->mem, false);
    vtd_queue_init(&r->q, &r->mem, 2, false);
    vtd_enable(&r->regs, &r->t, &r->q);
}

void vtd_rig_wait(VtdRig *r, uint64_t reg, uint32_t bit, bool set)
{
    for (unsigned i = 0; !(r->regs.read32(r->regs.opaque, reg) & bit) == set;
         i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
}

void vtd_rig_translation(VtdRig *r, bool on)
{
    uint32_t gcmd = r->regs.read32(r->regs.opaque, VTD_REG_GSTS) & GCMD_KEEP;

    gcmd = on ? gcmd | VTD_GCMD_TE : gcmd & ~VTD_GCMD_TE;
    r->regs.write32(r->regs.opaque, VTD_REG_GCMD, gcmd);
    vtd_rig_wait(r, VTD_REG_GSTS, VTD_GCMD_TE, on);
}

void vtd_rig_sync(VtdRig *r)
{
    g_assert_true(vtd_queue_sync(&r->q, &r->regs));
}

void vtd_rig_inv_context(VtdRig *r, uint16_t rid)
{
    vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_NARROW, 0, rid));
    vtd_rig_sync(r);
}

void vtd_rig_inv_pasid(VtdRig *r, uint16_t did, uint32_t pasid)
{
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, did, pasid));
    vtd_rig_sync(r);
}

static void rid_entry(VtdRig *r, uint16_t rid, const VtdPasidEntry *pe)
{
    vtd_context_scalable(&r->t, rid, 7, 0, 0);
    vtd_pasid_set(&r->t, rid, 0, pe);
    vtd_rig_inv_context(r, rid);
}

void vtd_rig_first_stage(VtdRig *r, uint16_t rid, uint16_t did, uint64_t s1)
{
    rid_entry(r, rid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

void vtd_rig_pass_through(VtdRig *r, uint16_t rid, uint16_t did)
{
    rid_entry(r, rid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_PASSTHROUGH, .did = did,
    });
}

uint64_t vtd_rig_s1(VtdRig *r, uint64_t iova, unsigned page)
{
    uint64_t s1 = vtd_s1_new(&r->mem);

    vtd_s1_map(&r->mem, s1, 4, iova, DATA + page * 4096, 4096, 12,
               VTD_S1_USER_RW);
    return s1;
}

void vtd_rig_fill(VtdRig *r, unsigned page, uint8_t value)
{
    qtest_memset(r->qts, DATA + page * 4096, value, 4096);
}

uint32_t vtd_rig_fsts(VtdRig *r)
{
    return r->regs.read32(r->regs.opaque, VTD_REG_FSTS);
}

unsigned vtd_rig_head(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_IQH) >> (r->q.wide ? 5 : 4);
}

unsigned vtd_rig_take_fault(VtdRig *r, uint16_t *sid)
{
    uint64_t hi = r->regs.read64(r->regs.opaque, VTD_REG_FRCD + 8);

    if (!(hi >> 63)) {
        return 0;
    }
    if (sid) {
        *sid = hi;
    }
    r->regs.write64(r->regs.opaque, VTD_REG_FRCD + 8, 1ULL << 63);
    return (hi >> 32) & 0xff;
}

uint64_t vtd_rig_config_addr(uint16_t rid, unsigned reg)
{
    return nested_rig_config_addr(ECAM, rid, reg);
}

uint32_t vtd_rig_config_read(VtdRig *r, uint16_t rid, unsigned reg)
{
    return nested_rig_config_read(r->qts, ECAM, rid, reg);
}

void vtd_rig_config_write(VtdRig *r, uint16_t rid, unsigned reg,
                          uint32_t value)
{
    nested_rig_config_write(r->qts, ECAM, rid, reg, value);
}

unsigned vtd_rig_ext_cap(VtdRig *r, uint16_t rid, unsigned id)
{
    unsigned pos = PCI_CFG_SPACE_SIZE;

    while (pos) {
        uint32_t header = vtd_rig_config_read(r, rid, pos);

        /* Nobody there? */
        g_assert_cmphex(header, !=, UINT32_MAX);
        if (PCI_EXT_CAP_ID(header) == id) {
            return pos;
        }
        pos = PCI_EXT_CAP_NEXT(header);
    }
    return 0;
}

static void enable_cap(VtdRig *r, uint16_t rid, unsigned id, unsigned reg,
                       uint16_t bits)
{
    unsigned pos = vtd_rig_ext_cap(r, rid, id);

    /* A word of its own: the other half may be a capability or status */
    if (pos) {
        qtest_writew(r->qts, vtd_rig_config_addr(rid, pos + reg),
                     bits);
    }
}

void vtd_rig_enable_sva(VtdRig *r, uint16_t rid)
{
    enable_cap(r, rid, PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL,
               PCI_PASID_CTRL_ENABLE);
    enable_cap(r, rid, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    enable_cap(r, rid, PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

int vtd_rig_peek(VtdRig *r, const char *dev, const IommufdDma *how,
                 uint64_t addr)
{
    return nested_rig_peek(r->m, dev, how, addr);
}

unsigned vtd_rig_cap(VtdRig *r, uint16_t rid, uint8_t id)
{
    return nested_rig_cap(r->qts, ECAM, rid, id);
}

unsigned vtd_rig_pcie_cap(VtdRig *r, uint16_t rid)
{
    return vtd_rig_cap(r, rid, PCI_CAP_ID_EXP);
}

static uint16_t slot_rid(unsigned slot)
{
    return (0x10 + slot) << 3;
}

void vtd_rig_number_slot(VtdRig *r, unsigned slot, unsigned bus)
{
    nested_rig_number(r->qts, ECAM, slot_rid(slot), bus);
}

void vtd_rig_power_slot(VtdRig *r, unsigned slot)
{
    nested_rig_power(r->qts, ECAM, slot_rid(slot));
}

void vtd_rig_plug(VtdRig *r, unsigned slot, const char *id, const char *dev)
{
    nested_rig_plug(r->qts, slot, id, dev);
    vtd_rig_power_slot(r, slot);
}

void vtd_rig_unplug(VtdRig *r, unsigned slot, const char *id)
{
    nested_rig_unplug(r->qts, ECAM, slot_rid(slot), id);
}
