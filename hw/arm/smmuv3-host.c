/*
 * SMMUv3 as the SMMU of an emulated host that can nest: properties, IDRs,
 * commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "hw/pci/pci_bridge.h"
#include "migration/vmstate.h"
#include "system/runstate.h"
#include "smmuv3-host.h"
#include "smmuv3-nested.h"

#define SSIDSIZE_MAX        20

/* IDR5.OAS that the emulation can do */
#define OAS_44              44
#define OAS_48              48
#define IDR5_OAS_48         5

#define EATS_SPLIT          2
#define SYNC_CS_RSVD        3

/*
 * Work before the main loop gets its turn. A queue may have half a million
 * commands, and each may look at all that is cached. Units are entries looked
 * at, and COMMAND_UNITS for a command in any case.
 */
#define TURN_UNITS          (256 * 1024)
#define COMMAND_UNITS       1024

static bool smmuv3_host_stage2_only(const SMMUv3State *s)
{
    return !g_strcmp0(s->stage, "2");
}

static bool smmuv3_host_has_stage2(const SMMUv3State *s)
{
    return smmuv3_host_stage2_only(s) || !g_strcmp0(s->stage, "nested");
}

/* Whether anything differs from what the emulation is without these */
static bool smmuv3_host_used(const SMMUv3Host *host)
{
    return host->fwb || host->ats || host->ssidsize || host->keep ||
           host->has_cmdqv || host->oas != OAS_44;
}

bool smmuv3_queue_enabled(SMMUv3State *s, const SMMUQueue *q)
{
    return q == &s->cmdq ? smmuv3_cmdq_enabled(s) :
                           tegra241_cmdqv_host_enabled(s, q);
}

uint32_t smmuv3_queue_pending(SMMUv3State *s, const SMMUQueue *q)
{
    return q == &s->cmdq ? s->gerror ^ s->gerrorn :
                           tegra241_cmdqv_host_pending(q);
}

int smmuv3_cmdq_consume(SMMUv3State *s)
{
    return smmuv3_queue_consume(s, &s->cmdq);
}

static void smmuv3_host_cmdq_go_on(void *opaque)
{
    SMMUv3State *s = opaque;

    /* If the VM is stopped, this is called again when it runs */
    if (runstate_is_running()) {
        s->host.cmdq_turn = TURN_UNITS;
        smmuv3_cmdq_consume(s);
        tegra241_cmdqv_host_go_on(s);
    }
}

/* The other side of a migration may have been in the middle of it, too */
static void smmuv3_host_vm_state(void *opaque, bool running, RunState state)
{
    SMMUv3State *s = opaque;

    if (running) {
        qemu_bh_schedule(s->host.cmdq_bh);
    }
}

static bool smmuv3_host_turn(SMMUv3State *s)
{
    SMMUState *bs = ARM_SMMU(s);

    if (s->host.cmdq_turn <= 0) {
        qemu_bh_schedule(s->host.cmdq_bh);
        return false;
    }
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        s->host.cmdq_turn -= COMMAND_UNITS + g_hash_table_size(bs->iotlb) +
                             g_hash_table_size(bs->configs) +
                             g_hash_table_size(s->host.configs) +
                             g_hash_table_size(s->host.structs) +
                             g_hash_table_size(s->host.tables);
    }
    return true;
}

/*
 * A bridge is gone, and its bus with it: devices are looked for by the number
 * of their bus. Memory regions cannot be freed here: these are forgotten.
 */
static void smmuv3_host_device_gone(DeviceListener *listener, DeviceState *dev)
{
    SMMUv3State *s = container_of(listener, SMMUv3State, host.buses);
    SMMUState *bs = ARM_SMMU(s);
    SMMUPciBus *sbus;
    PCIBus *bus;

    if (!object_dynamic_cast(OBJECT(dev), TYPE_PCI_BRIDGE)) {
        return;
    }
    QEMU_LOCK_GUARD(&s->mutex);
    bus = pci_bridge_get_sec_bus(PCI_BRIDGE(dev));
    sbus = g_hash_table_lookup(bs->smmu_pcibus_by_busptr, bus);
    if (!sbus) {
        return;
    }
    for (unsigned i = 0; i < SMMU_PCI_DEVFN_MAX; i++) {
        if (sbus->pbdev[i]) {
            g_hash_table_remove(bs->configs, sbus->pbdev[i]);
        }
    }
    for (unsigned i = 0; i < SMMU_PCI_BUS_MAX; i++) {
        if (bs->smmu_pcibus_by_bus_num[i] == sbus) {
            bs->smmu_pcibus_by_bus_num[i] = NULL;
        }
    }
    g_hash_table_steal(bs->smmu_pcibus_by_busptr, bus);
}

bool smmuv3_host_realize(SMMUv3State *s, Error **errp)
{
    SMMUv3Host *host = &s->host;

    if (smmuv3_host_used(host) && s->nested_props.mode != ON_OFF_AUTO_OFF) {
        error_setg(errp, "host-fwb, host-ats, host-ssidsize, host-oas, "
                   "host-keep and host-cmdqv play the SMMU of a host, which "
                   "nested=%s makes use of: give one or the other",
                   OnOffAuto_str(s->nested_props.mode));
        return false;
    }
    if (host->fwb && !smmuv3_host_has_stage2(s)) {
        error_setg(errp, "host-fwb=on is a feature of stage 2, but stage=%s "
                   "has none: use stage=nested or stage=2",
                   s->stage ? s->stage : "1");
        return false;
    }
    if (host->ssidsize > SSIDSIZE_MAX) {
        error_setg(errp, "host-ssidsize is %u, supported are 0 to %u",
                   host->ssidsize, SSIDSIZE_MAX);
        return false;
    }
    if (host->ssidsize && smmuv3_host_stage2_only(s)) {
        error_setg(errp, "host-ssidsize=%u is a feature of stage 1, but "
                   "stage=2 has none: use stage=nested or stage=1",
                   host->ssidsize);
        return false;
    }
    if (host->oas != OAS_44 && host->oas != OAS_48) {
        error_setg(errp, "host-oas is %u, supported are %u and %u", host->oas,
                   OAS_44, OAS_48);
        return false;
    }
    host->configs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                          g_free);
    smmuv3_keep_init(s);
    host->cmdq_turn = TURN_UNITS;
    host->cmdq_bh = qemu_bh_new_guarded(smmuv3_host_cmdq_go_on, s,
                                        &DEVICE(s)->mem_reentrancy_guard);
    host->buses = (DeviceListener) { .unrealize = smmuv3_host_device_gone };
    device_listener_register(&host->buses);
    if (smmuv3_host_used(host)) {
        qdev_add_vm_change_state_handler(DEVICE(s), smmuv3_host_vm_state, NULL,
                                         s);
    }
    return true;
}

void smmuv3_host_reset(SMMUv3State *s)
{
    const SMMUv3Host *host = &s->host;

    /*
     * The emulation has no memory types, and nothing to do for STE.S2FWB:
     * with AArch64 tables the bit is never ILLEGAL (5.2).
     */
    s->idr[3] = FIELD_DP32(s->idr[3], IDR3, FWB, host->fwb);
    s->idr[1] = FIELD_DP32(s->idr[1], IDR1, SSIDSIZE, host->ssidsize);
    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, CD2L, host->ssidsize > 0);
    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, ATS, host->ats);
    /* No split-stage ATS */
    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, NS1ATS, host->ats);
    if (host->oas == OAS_48) {
        s->idr[5] = FIELD_DP32(s->idr[5], IDR5, OAS, IDR5_OAS_48);
    }
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        g_hash_table_remove_all(host->configs);
        g_hash_table_remove_all(host->structs);
        g_hash_table_remove_all(host->tables);
    }
    tegra241_cmdqv_host_reset(s);
}

static bool smmuv3_host_needed(void *opaque)
{
    SMMUv3State *s = opaque;

    return smmuv3_host_used(&s->host);
}

/* What is cached is read again from guest memory */
const VMStateDescription vmstate_smmuv3_host = {
    .name = "smmuv3/host",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_host_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_EQUAL(idr[0], SMMUv3State, "host-ats, host-ssidsize"),
        VMSTATE_UINT32_EQUAL(idr[1], SMMUv3State, "host-ssidsize"),
        VMSTATE_UINT32_EQUAL(idr[3], SMMUv3State, "host-fwb"),
        VMSTATE_UINT32_EQUAL(idr[5], SMMUv3State, "host-oas"),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vmstate_tegra241_cmdqv_host,
        NULL
    }
};

SMMUDevice *smmuv3_host_sdev(PCIBus *bus, void *opaque, int devfn)
{
    SMMUState *bs = opaque;
    SMMUPciBus *sbus = g_hash_table_lookup(bs->smmu_pcibus_by_busptr, bus);

    return sbus ? sbus->pbdev[devfn] : NULL;
}

bool smmuv3_host_ste_illegal(SMMUv3State *s, const STE *ste)
{
    const SMMUv3Host *host = &s->host;

    /* S1CDMax is IGNORED where there is no stage 1 */
    if (host->ssidsize && STE_CFG_S1_ENABLED(STE_CONFIG(ste)) &&
        STE_S1CDMAX(ste) > host->ssidsize) {
        return true;
    }
    return host->ats && STE_EATS(ste) == EATS_SPLIT;
}

void smmuv3_host_event(const SMMUEventInfo *info, Evt *evt)
{
    switch (info->type) {
    case SMMU_EVT_F_STREAM_DISABLED:
    case SMMU_EVT_F_TRANS_FORBIDDEN:
        break;
    case SMMU_EVT_C_BAD_SUBSTREAMID:
        /* Valid in any case, and without SSV (7.3.9) */
        EVT_SET_SSID(evt, info->ssid);
        break;
    default:
        EVT_SET_SSV(evt, info->ssv);
        EVT_SET_SSID(evt, info->ssid);
        break;
    }
}

SMMUCmdError smmuv3_host_command(SMMUv3State *s, SMMUQueue *q, Cmd *cmd)
{
    SMMUv3KeepDrop more = SMMUV3_KEEP_DROP_L1CDS;
    uint32_t sid, last;

    if (smmuv3_host_used(&s->host) && !smmuv3_host_turn(s)) {
        return SMMUV3_NESTED_PUT_OFF;
    }
    if (q != &s->cmdq && !tegra241_cmdqv_host_command(s, q, cmd)) {
        return SMMU_CERROR_ILL;
    }
    sid = CMD_SID(cmd);
    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_SYNC:
        if (smmuv3_host_used(&s->host) && CMD_SYNC_CS(cmd) == SYNC_CS_RSVD) {
            return SMMU_CERROR_ILL;
        }
        break;
    case SMMU_CMD_CFGI_STE:
        more |= SMMUV3_KEEP_DROP_STES;
        more |= CMD_LEAF(cmd) ? 0 : SMMUV3_KEEP_DROP_L1STDS;
        QEMU_FALLTHROUGH;
    case SMMU_CMD_CFGI_CD_ALL:
        WITH_QEMU_LOCK_GUARD(&s->mutex) {
            smmuv3_substream_drop(s, sid, sid, SMMUV3_SUBSTREAM_ALL);
            smmuv3_keep_drop(s, sid, sid, SMMUV3_SUBSTREAM_ALL, more);
        }
        break;
    case SMMU_CMD_CFGI_STE_RANGE:
        last = sid | MAKE_64BIT_MASK(0, CMD_STE_RANGE(cmd) + 1);
        sid &= ~MAKE_64BIT_MASK(0, CMD_STE_RANGE(cmd) + 1);
        WITH_QEMU_LOCK_GUARD(&s->mutex) {
            smmuv3_substream_drop(s, sid, last, SMMUV3_SUBSTREAM_ALL);
            smmuv3_keep_drop(s, sid, last, SMMUV3_SUBSTREAM_ALL,
                             more | SMMUV3_KEEP_DROP_STES |
                             SMMUV3_KEEP_DROP_L1STDS);
        }
        break;
    case SMMU_CMD_CFGI_CD:
        WITH_QEMU_LOCK_GUARD(&s->mutex) {
            smmuv3_substream_drop(s, sid, sid, CMD_SSID(cmd));
            smmuv3_keep_drop(s, sid, sid, CMD_SSID(cmd),
                             CMD_LEAF(cmd) ? 0 : more);
        }
        break;
    case SMMU_CMD_ATC_INV:
        return smmuv3_ats_invalidate(s, cmd);
    default:
        WITH_QEMU_LOCK_GUARD(&s->mutex) {
            smmuv3_walks_command(s, cmd);
        }
        break;
    }
    return SMMU_CERROR_NONE;
}

void smmuv3_host_flush_cd(SMMUDevice *sdev, const Cmd *cmd)
{
    SMMUv3State *s = sdev->smmu;

    if (s->host.ssidsize && CMD_TYPE(cmd) == SMMU_CMD_CFGI_CD &&
        CMD_SSID(cmd)) {
        return;
    }
    g_hash_table_remove(ARM_SMMU(s)->configs, sdev);
}
