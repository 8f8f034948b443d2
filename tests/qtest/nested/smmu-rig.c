/*
 * SMMUv3 nesting under test: a machine with a nested vSMMU on a modelled host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define ECAM            0x4010000000ULL
/* The machine's own SMMU, and the first device of the platform bus */
#define SMMU_BASE       0x09050000
#define SMMU_DEV_BASE   0x0c000000

#define TABLES          (RAM + 16 * MiB)
#define TABLES_SIZE     (64 * MiB)

#define CMDQ_BITS       11

static const char *const host_devices[] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};

char *smmu_rig_host(unsigned num, const char *iommu, const char *device)
{
    GString *text = g_string_new("[host]\narch=smmuv3\n[iommu 0]\n");

    g_assert_cmpuint(num, <=, ARRAY_SIZE(host_devices));
    g_string_append(text, iommu);
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(text, "[device %s]\niommu=0\ngroup=%u\n%s",
                               host_devices[i], i + 1, device);
    }
    return g_string_free(text, false);
}

static char *rig_args(const char *props, unsigned num, const char *extra)
{
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
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(args, "-device vfio-pci,id=dev%u,host=%s,"
                               "iommufd=iommufd0,bus=pcie.0,addr=%u ", i,
                               host_devices[i], i + 4);
    }
    g_string_append(args, extra);
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
    IommufdModel *m = iommufd_model_new(host);
    g_autofree char *args = rig_args(props, num, "");
    /* One that is not refused would run for ever */
    g_autofree char *command = g_strdup_printf(
        "exec timeout 60 env LD_PRELOAD='%s' IOMMUFD_MODEL='%s/config' %s "
        "-display none -accel qtest %s", m->library, m->dir, qtest_qemu_binary(NULL), args);
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", command, NULL };
    g_autofree char *said = NULL;
    g_autoptr(GError) err = NULL;
    int status;

    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &said,
                 &status, &err);
    g_assert_no_error(err);
    g_test_message("%s", said);
    g_assert_cmpint(status, !=, 0);
    g_assert_nonnull(strstr(said, text));
    iommufd_model_free(m);
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

uint64_t smmu_rig_ioctls(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
}

uint64_t smmu_rig_entries(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "entries");
}

static uint64_t config_addr(uint16_t rid, unsigned reg)
{
    return ECAM + ((uint64_t)rid << 12) + reg;
}

uint32_t smmu_rig_config_read(SmmuRig *r, uint16_t rid, unsigned reg)
{
    return qtest_readl(r->qts, config_addr(rid, reg));
}

void smmu_rig_config_write(SmmuRig *r, uint16_t rid, unsigned reg,
                           uint32_t value)
{
    qtest_writel(r->qts, config_addr(rid, reg), value);
}

void smmu_rig_number_at(SmmuRig *r, uint16_t rid, uint8_t bus)
{
    smmu_rig_config_write(r, rid, PCI_PRIMARY_BUS,
                          rid >> 8 | bus << 8 | bus << 16);
}

void smmu_rig_number(SmmuRig *r, unsigned slot, uint8_t bus)
{
    smmu_rig_number_at(r, slot << 3, bus);
}

/* Offset of the PCI Express capability */
static unsigned express_cap(SmmuRig *r, uint16_t rid)
{
    unsigned pos = smmu_rig_config_read(r, rid, PCI_CAPABILITY_LIST) & 0xfc;

    while (pos) {
        uint32_t head = smmu_rig_config_read(r, rid, pos);

        if ((head & 0xff) == PCI_CAP_ID_EXP) {
            return pos;
        }
        pos = (head >> 8) & 0xfc;
    }
    g_assert_not_reached();
}

static void slot_control(SmmuRig *r, unsigned slot, uint32_t value)
{
    smmu_rig_config_write(r, slot << 3, express_cap(r, slot << 3) +
                          PCI_EXP_SLTCTL, value);
}

void smmu_rig_power(SmmuRig *r, unsigned slot)
{
    slot_control(r, slot, PCI_EXP_SLTCTL_PWR_IND_ON);
}

void smmu_rig_plug(SmmuRig *r, unsigned n, unsigned slot, const char *id,
                   const char *dev)
{
    g_autofree char *bus = g_strdup_printf("rp%u", n);

    qtest_qmp_assert_success(r->qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': %s, 'host': %s, "
        "'bus': %s, 'iommufd': 'iommufd0' } }", id, dev, bus);
    smmu_rig_power(r, slot);
}

void smmu_rig_unplug(SmmuRig *r, unsigned slot, const char *id)
{
    qtest_qmp_device_del_send(r->qts, id);
    slot_control(r, slot, PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC);
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(r->qts, "DEVICE_DELETED");
        const char *name = qdict_get_try_str(qdict_get_qdict(event, "data"),
                                             "device");
        bool done = name && !strcmp(name, id);

        qobject_unref(event);
        if (done) {
            return;
        }
    }
}

int smmu_rig_peek(SmmuRig *r, const char *dev, const IommufdDma *how,
                  uint64_t addr)
{
    g_autofree char *pasid = how && how->with_pasid ?
        g_strdup_printf(",\"pasid\":%u", how->pasid) : g_strdup("");
    QDict *answer = iommufd_model_command(r->m, "{\"cmd\":\"dma\","
                                          "\"dev\":\"%s\",\"op\":\"read\","
                                          "\"addr\":%" PRIu64 ",\"len\":1,"
                                          "\"ats\":%s%s}", dev, addr,
                                          how && how->ats ? "true" : "false",
                                          pasid);
    const char *data = qdict_get_try_str(answer, "data");
    int value = data ? g_ascii_xdigit_value(data[0]) << 4 |
                       g_ascii_xdigit_value(data[1]) : -1;

    g_assert_true(qdict_get_try_bool(answer, "ok", false));
    qobject_unref(answer);
    return value;
}
