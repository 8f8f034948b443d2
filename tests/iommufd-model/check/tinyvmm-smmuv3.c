/*
 * A tiny VMM: the SMMUv3 half
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Guest STEs become nested HWPTs of the vIOMMU, commands become entries with
 * the guest's own StreamIDs in them.
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <linux/iommufd.h>

#include "tinyvmm.h"

#define CMD1_LEAF       1ULL
#define CMD0_SSID_ONE   (1ULL << 12)

/* What the host accepts of a guest's STE, see struct iommu_hwpt_arm_smmuv3 */
#define STE0_GUEST      0xf80fffffffffffffULL
#define STE1_GUEST      0x00000000380000ffULL

static void open_viommu(TvVm *vm, TvIommu *iommu, const TvDevice *dev)
{
    struct iommu_viommu_alloc viommu = {
        .size = sizeof(viommu),
        .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
        .dev_id = dev->dev_id,
        .hwpt_id = iommu->parent,
    };
    struct iommu_veventq_alloc queue = {
        .size = sizeof(queue),
        .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
        .veventq_depth = 64,
    };

    iommu->event_fd = -1;
    if (tv_ioctl(vm, vm->iommufd, IOMMU_VIOMMU_ALLOC, &viommu,
                 "VIOMMU_ALLOC")) {
        return;
    }
    iommu->viommu = viommu.out_viommu_id;
    queue.viommu_id = iommu->viommu;
    if (tv_ioctl(vm, vm->iommufd, IOMMU_VEVENTQ_ALLOC, &queue,
                 "VEVENTQ_ALLOC")) {
        return;
    }
    iommu->veventq = queue.out_veventq_id;
    iommu->event_fd = queue.out_veventq_fd;
}

static void open_vdevice(TvVm *vm, TvDevice *dev)
{
    struct iommu_vdevice_alloc cmd = {
        .size = sizeof(cmd),
        .viommu_id = vm->iommu[dev->iommu].viommu,
        .dev_id = dev->dev_id,
        .virt_id = dev->rid,
    };

    if (!tv_ioctl(vm, vm->iommufd, IOMMU_VDEVICE_ALLOC, &cmd,
                  "VDEVICE_ALLOC")) {
        dev->vdevice = cmd.out_vdevice_id;
    }
}

void tv_smmu_open(TvVm *vm)
{
    unsigned i;

    smmu_tables_init(&vm->smmu, &vm->mem, 16, 8);
    smmu_queue_init(&vm->cmdq, &vm->mem, 10, 16);
    for (i = 0; i < vm->cfg.n_devices; i++) {
        TvDevice *dev = &vm->device[i];

        if (!vm->iommu[dev->iommu].viommu) {
            open_viommu(vm, &vm->iommu[dev->iommu], dev);
        }
        open_vdevice(vm, dev);
    }
}

static void update_ste(TvVm *vm, TvDevice *dev)
{
    uint64_t gpa = smmu_ste_entry(&vm->smmu, dev->rid);
    struct iommu_hwpt_arm_smmuv3 ste = {
        .ste = {
            cpu_to_le64(iommu_mem_read64(&vm->mem, gpa) & STE0_GUEST),
            cpu_to_le64(iommu_mem_read64(&vm->mem, gpa + 8) & STE1_GUEST),
        },
    };
    struct iommu_hwpt_alloc cmd = {
        .size = sizeof(cmd),
        .dev_id = dev->dev_id,
        .pt_id = vm->iommu[dev->iommu].viommu,
        .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
        .data_len = sizeof(ste),
        .data_uptr = (uintptr_t)&ste,
    };
    uint32_t old = dev->ste_hwpt;

    if (tv_ioctl(vm, vm->iommufd, IOMMU_HWPT_ALLOC, &cmd, "HWPT_ALLOC")) {
        return;
    }
    dev->ste_hwpt = cmd.out_hwpt_id;
    tv_attach(vm, dev, TV_NO_PASID, dev->ste_hwpt);
    tv_destroy(vm, &old);
}

static void detach_ste(TvVm *vm, TvDevice *dev)
{
    if (dev->ste_hwpt) {
        tv_attach(vm, dev, TV_NO_PASID, vm->iommu[dev->iommu].parent);
        tv_destroy(vm, &dev->ste_hwpt);
    }
}

void tv_smmu_renumber(TvVm *vm, TvDevice *dev)
{
    if (tv_bug(vm, TV_BUG_STALE_LABEL)) {
        return;
    }
    detach_ste(vm, dev);
    tv_destroy(vm, &dev->vdevice);
    open_vdevice(vm, dev);
}

/* ---------------------------------------------------------------- commands */

static void append(TvVm *vm, uint32_t viommu, const SmmuCmd *cmd)
{
    const struct iommu_viommu_arm_smmuv3_invalidate entry = {
        .cmd = { cpu_to_le64(cmd->dw[0]), cpu_to_le64(cmd->dw[1]) },
    };

    tv_append(vm, viommu, &entry);
}

/* A command that names a stream goes where the device is */
static void stream_command(TvVm *vm, SmmuCmd *cmd)
{
    TvDevice *dev = tv_by_rid(vm, cmd->dw[0] >> 32);

    if (!dev) {
        return;
    }
    if (tv_bug(vm, TV_BUG_WRONG_PASID)) {
        cmd->dw[0] += CMD0_SSID_ONE;
    }
    append(vm, vm->iommu[dev->iommu].viommu, cmd);
}

/* TLBs do not know streams: every SMMU of the VM hears of it */
static void tlb_command(TvVm *vm, SmmuCmd *cmd)
{
    SmmuOp op = cmd->dw[0] & 0xff;
    unsigned i;

    if ((op == SMMU_OP_TLBI_NH_VA || op == SMMU_OP_TLBI_NH_VAA) &&
        tv_bug(vm, TV_BUG_LEAF)) {
        cmd->dw[1] |= CMD1_LEAF;
    }
    for (i = 0; i < TV_MAX_IOMMUS; i++) {
        if (vm->iommu[i].viommu) {
            append(vm, vm->iommu[i].viommu, cmd);
            if (tv_bug(vm, TV_BUG_FORGET_DEVICE)) {
                break;
            }
        }
    }
}

static void all_stes(TvVm *vm)
{
    unsigned i;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        update_ste(vm, &vm->device[i]);
    }
}

static void one_ste(TvVm *vm, uint32_t sid)
{
    TvDevice *dev = tv_by_rid(vm, sid);

    if (dev) {
        update_ste(vm, dev);
    }
}

static void run_one(TvVm *vm, SmmuCmd *cmd)
{
    switch (cmd->dw[0] & 0xff) {
    case SMMU_OP_CFGI_STE:
        one_ste(vm, cmd->dw[0] >> 32);
        break;
    case SMMU_OP_CFGI_STE_RANGE:
        all_stes(vm);
        break;
    case SMMU_OP_CFGI_CD:
    case SMMU_OP_CFGI_CD_ALL:
        if (!tv_bug(vm, TV_BUG_NO_CONFIG)) {
            stream_command(vm, cmd);
        }
        break;
    case SMMU_OP_ATC_INV:
        stream_command(vm, cmd);
        break;
    case SMMU_OP_TLBI_NH_ALL:
    case SMMU_OP_TLBI_NH_ASID:
    case SMMU_OP_TLBI_NH_VA:
    case SMMU_OP_TLBI_NH_VAA:
    case SMMU_OP_TLBI_NSNH_ALL:
        tlb_command(vm, cmd);
        break;
    case SMMU_OP_SYNC:
        tv_flush(vm);
        break;
    default:
        vm->errors++;
        printf("# tinyvmm: command 0x%02x\n", (unsigned)(cmd->dw[0] & 0xff));
        break;
    }
}

void tv_smmu_run(TvVm *vm)
{
    uint32_t index = vm->head;

    while (index != vm->cmdq.index) {
        SmmuCmd cmd;

        smmu_queue_pop(&vm->cmdq, &index, cmd.dw);
        run_one(vm, &cmd);
    }
    vm->head = index;
}

/* ------------------------------------------------------------------ events */

int tv_smmu_event_rid(TvVm *vm)
{
    struct {
        struct iommufd_vevent_header header;
        struct iommu_vevent_arm_smmuv3 event;
    } rec;
    struct pollfd pfd = { .events = POLLIN };
    unsigned i;

    for (i = 0; i < TV_MAX_IOMMUS; i++) {
        if (!vm->iommu[i].viommu || vm->iommu[i].event_fd < 0) {
            continue;
        }
        pfd.fd = vm->iommu[i].event_fd;
        if (poll(&pfd, 1, 0) == 1 &&
            read(pfd.fd, &rec, sizeof(rec)) == sizeof(rec)) {
            return le64_to_cpu(rec.event.evt[0]) >> 32;
        }
    }
    return -1;
}

void tv_smmu_close(TvVm *vm)
{
    unsigned i;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        detach_ste(vm, &vm->device[i]);
        tv_destroy(vm, &vm->device[i].vdevice);
        tv_detach(vm, &vm->device[i], TV_NO_PASID);
    }
    for (i = 0; i < TV_MAX_IOMMUS; i++) {
        if (!vm->iommu[i].viommu) {
            continue;
        }
        if (vm->iommu[i].event_fd >= 0) {
            close(vm->iommu[i].event_fd);
        }
        tv_destroy(vm, &vm->iommu[i].veventq);
        tv_destroy(vm, &vm->iommu[i].viommu);
    }
}
