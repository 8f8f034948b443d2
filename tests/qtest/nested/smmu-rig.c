/*
 * SMMUv3 nesting under test: a machine with a nested vSMMU on a modelled host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "smmu-rig.h"

#define ECAM            0x4010000000ULL
/* The machine's own SMMU, and the first device of the platform bus */
#define SMMU_BASE       0x09050000
#define SMMU_DEV_BASE   0x0c000000

#define TABLES          (RAM + 16 * MiB)
#define TABLES_SIZE     (64 * MiB)

#define CMDQ_BITS       11

#define MSI_DATA        0x4d534931

char *smmu_rig_host(unsigned num, const char *iommu, const char *device)
{
    return nested_rig_host("smmuv3", num, iommu, device);
}

static char *rig_args(const char *props, unsigned num, const char *extra)
{
    g_autofree char *devices = nested_rig_devices(num, "pcie.0");
    GString *args = g_string_new("-machine virt,gic-version=3 -cpu max "
                                 "-m 128M -nodefaults "
                                 "-object iommufd,id=iommufd0 ");

    if (props) {
        g_string_append_printf(args, "-device arm-smmuv3,primary-bus=pcie.0,"
                               "id=smmu0,%s ", props);
    } else {
        g_string_append(args, "-machine iommu=smmuv3 "
                        "-global arm-smmuv3.nested=on ");
    }
    g_string_append_printf(args, "%s%s", devices, extra);
    return g_string_free(args, false);
}

void smmu_rig_start(SmmuRig *r, const char *host, const char *props,
                    unsigned num, const char *extra)
{
    g_autofree char *args = rig_args(props, num, extra);

    *r = (SmmuRig) { .m = iommufd_model_new(host) };
    r->qts = iommufd_model_start(r->m, "%s", args);
    iommu_mem_qtest(&r->mem, r->qts, TABLES, TABLES_SIZE);
    r->where = (QtestIommuRegs) {
        .qts = r->qts, .base = props ? SMMU_DEV_BASE : SMMU_BASE,
    };
    iommu_regs_qtest(&r->regs, &r->where);
}

void smmu_rig_start_simple(SmmuRig *r, unsigned num)
{
    g_autofree char *host = smmu_rig_host(num, "", "");

    smmu_rig_start(r, host, "nested=on", num, "");
}

void smmu_rig_expect_refusal(const char *host, const char *props,
                             unsigned num, const char *text)
{
    g_autofree char *args = rig_args(props, num, "");

    nested_rig_expect_refusal(host, args, text, NULL);
}

void smmu_rig_stop(SmmuRig *r)
{
    iommufd_model_free(r->m);
}

void smmu_rig_queues(SmmuRig *r, unsigned events)
{
    smmu_queue_init(&r->cmdq, &r->mem, CMDQ_BITS, 16);
    smmu_queue_init(&r->evtq, &r->mem, events, 32);
}

void smmu_rig_enable(SmmuRig *r, unsigned events)
{
    smmu_tables_init(&r->t, &r->mem, 16, 8);
    smmu_rig_queues(r, events);
    smmu_enable(&r->regs, &r->t, &r->cmdq, &r->evtq);
}

void smmu_rig_sync(SmmuRig *r)
{
    g_assert_cmpint(smmu_cmdq_sync(&r->cmdq, &r->regs), ==, 0);
}

void smmu_rig_ste(SmmuRig *r, uint32_t sid, const SmmuSte *ste)
{
    if (ste) {
        smmu_ste_set(&r->t, sid, ste);
    } else {
        smmu_ste_clear(&r->t, sid);
    }
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste(sid, true));
    smmu_rig_sync(r);
}

SmmuS1 smmu_rig_s1(SmmuRig *r, uint64_t iova, unsigned page)
{
    SmmuS1 s1;

    smmu_s1_init(&s1, &r->mem, 12, 48);
    smmu_s1_map(&s1, iova, DATA + page * 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, SMMU_RIG_WINDOW, SMMU_RIG_WINDOW, 4096, 12,
                SMMU_PTE_USER_RW);
    return s1;
}

SmmuS1 smmu_rig_stage1(SmmuRig *r, uint32_t sid, uint16_t asid, uint64_t iova,
                       unsigned page)
{
    SmmuS1 s1 = smmu_rig_s1(r, iova, page);
    SmmuCdTable cds;

    smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, asid);
    smmu_rig_ste(r, sid, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    return s1;
}

void smmu_rig_fill(SmmuRig *r, unsigned page, uint8_t value)
{
    qtest_memset(r->qts, DATA + page * 4096, value, 4096);
}

uint32_t smmu_rig_read(SmmuRig *r, uint64_t reg)
{
    return r->regs.read32(r->regs.opaque, reg);
}

void smmu_rig_write(SmmuRig *r, uint64_t reg, uint32_t value)
{
    r->regs.write32(r->regs.opaque, reg, value);
}

unsigned smmu_rig_cons(SmmuRig *r)
{
    return smmu_rig_read(r, SMMU_REG_CMDQ_CONS) & ((1u << CMDQ_BITS) - 1);
}

void smmu_rig_ack(SmmuRig *r)
{
    smmu_rig_write(r, SMMU_REG_GERRORN, smmu_rig_read(r, SMMU_REG_GERROR));
}

unsigned smmu_rig_event(SmmuRig *r, uint64_t *dw)
{
    uint64_t event[4];

    if (!smmu_evtq_read(&r->evtq, &r->regs, dw ? dw : event)) {
        return 0;
    }
    return (dw ? dw : event)[0] & 0xff;
}

unsigned smmu_rig_wait_event(SmmuRig *r, uint64_t *dw)
{
    for (unsigned i = 0; i < 5000; i++) {
        unsigned type = smmu_rig_event(r, dw);

        if (type) {
            return type;
        }
        g_usleep(1000);
    }
    return 0;
}

uint64_t smmu_rig_ioctls(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
}

uint64_t smmu_rig_entries(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "entries");
}

uint32_t smmu_rig_config_read(SmmuRig *r, uint16_t rid, unsigned reg)
{
    return nested_rig_config_read(r->qts, ECAM, rid, reg);
}

void smmu_rig_config_write(SmmuRig *r, uint16_t rid, unsigned reg,
                           uint32_t value)
{
    nested_rig_config_write(r->qts, ECAM, rid, reg, value);
}

void smmu_rig_number_at(SmmuRig *r, uint16_t rid, uint8_t bus)
{
    nested_rig_number(r->qts, ECAM, rid, bus);
}

void smmu_rig_number(SmmuRig *r, unsigned slot, uint8_t bus)
{
    smmu_rig_number_at(r, slot << 3, bus);
}

void smmu_rig_power(SmmuRig *r, unsigned slot)
{
    nested_rig_power(r->qts, ECAM, slot << 3);
}

void smmu_rig_plug(SmmuRig *r, unsigned n, unsigned slot, const char *id,
                   const char *dev)
{
    nested_rig_plug(r->qts, n, id, dev);
    smmu_rig_power(r, slot);
}

void smmu_rig_unplug(SmmuRig *r, unsigned slot, const char *id)
{
    nested_rig_unplug(r->qts, ECAM, slot << 3, id);
}

int smmu_rig_peek(SmmuRig *r, const char *dev, const IommufdDma *how,
                  uint64_t addr)
{
    return nested_rig_peek(r->m, dev, how, addr);
}

uint8_t smmu_rig_find_msix(SmmuRig *r, uint16_t rid)
{
    uint8_t pos = smmu_rig_config_read(r, rid, PCI_CAPABILITY_LIST);

    while ((smmu_rig_config_read(r, rid, pos) & 0xff) != PCI_CAP_ID_MSIX) {
        pos = smmu_rig_config_read(r, rid, pos) >> 8;
        g_assert_cmpuint(pos, !=, 0);
    }
    return pos;
}

void smmu_rig_msix(SmmuRig *r, uint16_t rid, uint64_t addr)
{
    const uint64_t bar = 0x10100000;
    uint8_t pos = smmu_rig_find_msix(r, rid);
    uint64_t table;

    smmu_rig_config_write(r, rid, PCI_BASE_ADDRESS_2, bar);
    smmu_rig_config_write(r, rid, PCI_COMMAND,
                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    table = bar + (smmu_rig_config_read(r, rid, pos + PCI_MSIX_TABLE) & ~7u);
    qtest_writel(r->qts, table, addr);
    qtest_writel(r->qts, table + 4, addr >> 32);
    qtest_writel(r->qts, table + 8, MSI_DATA);
    qtest_writel(r->qts, table + 12, 0);
    smmu_rig_config_write(r, rid, pos, PCI_MSIX_FLAGS_ENABLE << 16);
}

bool smmu_rig_interrupt(SmmuRig *r, const char *dev, unsigned page)
{
    qtest_writel(r->qts, DATA + page * 4096 + 0x40, 0);
    iommufd_model_do(r->m, "{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":2,"
                     "\"vector\":0}", dev);
    for (unsigned i = 0; i < 200; i++) {
        if (qtest_readl(r->qts, DATA + page * 4096 + 0x40) == MSI_DATA) {
            return true;
        }
        g_usleep(1000);
    }
    return false;
}
