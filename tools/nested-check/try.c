/*
 * qemu-nested-check: what the kernel says when it is asked to nest a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include "check.h"

/* Linux 7.1; not in the headers yet */
#define HW_CAP_NO_ATS (1ULL << 3)

typedef struct Trial {
    const char *address;
    const char *iommu;
    int fd;                     /* the iommufd */
    bool has_ats;
    uint32_t dev_id;
    struct iommu_hw_info info;
    union {
        struct iommu_hw_info_vtd vtd;
        struct iommu_hw_info_arm_smmuv3 smmuv3;
    } data;
} Trial;

static bool bind_device(Trial *t, int device)
{
    struct vfio_device_bind_iommufd bind = {
        .argsz = sizeof(bind), .iommufd = t->fd,
    };

    if (!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
        t->dev_id = bind.out_devid;
        return true;
    }
    if (errno == EPERM) {
        report(t->address, "bind", RESULT_NO, "interrupt remapping of the "
               "host; no driver of the host for the rest of its IOMMU group",
               "VFIO_DEVICE_BIND_IOMMUFD: %s", strerror(errno));
    } else {
        report(t->address, "bind", RESULT_UNKNOWN,
               "once no guest has the device",
               "VFIO_DEVICE_BIND_IOMMUFD: %s", strerror(errno));
    }
    return false;
}

static bool hardware_info(Trial *t)
{
    t->info = (struct iommu_hw_info) {
        .size = sizeof(t->info), .dev_id = t->dev_id,
        .data_len = sizeof(t->data), .data_uptr = (uintptr_t)&t->data,
    };
    if (ioctl(t->fd, IOMMU_GET_HW_INFO, &t->info)) {
        report(t->address, "hardware-info", RESULT_NO,
               "Linux 6.7 or later, on VT-d or SMMUv3",
               "IOMMU_GET_HW_INFO: %s", strerror(errno));
        return false;
    }
    if (t->info.out_data_type == IOMMU_HW_INFO_TYPE_NONE) {
        report(t->address, "hardware-info", RESULT_NO, NULL,
               "the kernel tells nothing of its IOMMU");
        return false;
    }
    if (t->info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
        check_smmuv3(t->iommu, t->data.smmuv3.idr);
    } else if (t->info.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        report(t->address, "hardware-info", RESULT_NO, NULL,
               "neither VT-d nor SMMUv3 (type %u)", t->info.out_data_type);
        return false;
    } else if (t->data.vtd.flags & IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 &&
               !reported(t->iommu, "erratum-772415")) {
        report(t->iommu, "erratum-772415", RESULT_OK, NULL,
               "devices cannot read ROM of the guest");
    }
    if (t->has_ats && t->info.out_capabilities & HW_CAP_NO_ATS) {
        report(t->address, "ats-in-use", RESULT_WARN,
               "without pci=noats, and not on an external port",
               "the kernel does not use its ATS");
    }
    return true;
}

/* Return: id of the HWPT, or 0 */
static uint32_t alloc_parent(Trial *t, uint32_t ioas, uint32_t flags)
{
    struct iommu_hwpt_alloc alloc = {
        .size = sizeof(alloc), .dev_id = t->dev_id, .pt_id = ioas,
        .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | flags,
        .data_type = IOMMU_HWPT_DATA_NONE,
    };

    return ioctl(t->fd, IOMMU_HWPT_ALLOC, &alloc) ? 0 : alloc.out_hwpt_id;
}

static void try_viommu(Trial *t, uint32_t parent)
{
    struct iommu_viommu_alloc alloc = {
        .size = sizeof(alloc), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
        .dev_id = t->dev_id, .hwpt_id = parent,
    };

    if (!ioctl(t->fd, IOMMU_VIOMMU_ALLOC, &alloc)) {
        report(t->address, "viommu", RESULT_OK, NULL, "the kernel makes one");
        return;
    }
    report(t->address, "viommu", RESULT_NO, errno == EOPNOTSUPP ?
           "an SMMU with IDR3.FWB, or firmware that tells CANWBS" :
           "Linux 6.13 or later with CONFIG_ARM_SMMU_V3_IOMMUFD",
           "IOMMU_VIOMMU_ALLOC: %s", strerror(errno));
}

static void try_parent(Trial *t)
{
    bool vtd = t->info.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD;
    struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
    uint32_t parent;

    if (ioctl(t->fd, IOMMU_IOAS_ALLOC, &ioas)) {
        report(t->address, "nesting-parent", RESULT_NO, NULL,
               "IOMMU_IOAS_ALLOC: %s", strerror(errno));
        return;
    }
    parent = alloc_parent(t, ioas.out_ioas_id, 0);
    if (!parent) {
        report(t->address, "nesting-parent", RESULT_NO, vtd ?
               "Linux 6.7 or later, with intel_iommu=on,sm_on" :
               "Linux 6.13 or later, with CONFIG_ARM_SMMU_V3_IOMMUFD",
               "IOMMU_HWPT_ALLOC: %s", strerror(errno));
        return;
    }
    report(t->address, "nesting-parent", RESULT_OK, NULL,
           "the kernel makes one");
    if (!vtd) {
        try_viommu(t, parent);
    }
    if (!t->info.out_max_pasid_log2) {
        report(t->address, "pasid-in-use", RESULT_WARN, NULL,
               "the kernel has no PASIDs for it");
    } else if (vtd && !alloc_parent(t, ioas.out_ioas_id,
                                    IOMMU_HWPT_ALLOC_PASID)) {
        report(t->address, "pasid-in-use", RESULT_WARN, "Linux 6.15 or later",
               "no nesting parent for PASIDs: %s", strerror(errno));
    } else {
        report(t->address, "pasid-in-use", RESULT_OK, NULL, "%u bits",
               t->info.out_max_pasid_log2);
    }
}

void try_device(const char *address, const char *cdev, const char *iommu,
                bool has_ats)
{
    char *path = format("/dev/vfio/devices/%s", cdev);
    Trial t = { .address = address, .iommu = iommu, .has_ats = has_ats };
    int device = open(path, O_RDWR | O_CLOEXEC);

    if (device < 0) {
        report(address, "permission", RESULT_NO, errno == EACCES ?
               "a udev rule, or as root" : NULL, "%s: %s", path,
               strerror(errno));
        return;
    }
    t.fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    /* That there is none has been said of the host */
    if (t.fd >= 0) {
        if (bind_device(&t, device) && hardware_info(&t)) {
            try_parent(&t);
        }
        close(t.fd);
    }
    close(device);
}
