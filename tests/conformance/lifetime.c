/*
 * Conformance of /dev/iommu: what lives how long
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "smmu.h"

#define GIB (1ull << 30)

/* iommufd_device_bind(): the driver is a user until unbind */
static void destroy_device(void)
{
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EBUSY, ct_destroy(b.iommufd, b.id));
    ct_close(b.fd);
    RET(-ENOENT, ct_destroy(b.iommufd, b.id));
}

/* vfio_df_unbind_iommufd(): closing detaches and releases */
static void close_device(void)
{
    CtBound b;
    uint32_t ioas, hwpt, pt;
    struct iommu_hw_info info = { 0 };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    pt = ioas;
    RET(0, ct_attach_out(&b, &pt));
    ct_close(b.fd);
    RET(-ENOENT, ct_hw_info(b.iommufd, b.id, &info));
    RET(-ENOENT, ct_destroy(b.iommufd, pt));
    RET(0, ct_destroy(b.iommufd, ioas));
    /* And it can be had again */
    if (!ct_bound(&b, b.iommufd, b.dev)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    ct_close(b.fd);
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/* The last descriptor counts, not the first */
static void duplicated_device(void)
{
    CtBound b;
    int copy;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    copy = ct_keep_fd(fcntl(b.fd, F_DUPFD_CLOEXEC, 0));
    ct_close(b.fd);
    RET(-EBUSY, ct_destroy(b.iommufd, b.id));
    b.fd = copy;
    RET(0, ct_attach(&b, ct_ioas(b.iommufd)));
    ct_close(copy);
    RET(-ENOENT, ct_destroy(b.iommufd, b.id));
}

/* A descriptor and its copy are one iommufd */
static void duplicated_iommufd(void)
{
    int fd = ct_open_iommufd(), copy, third;
    uint32_t a = ct_ioas(fd), b;

    copy = ct_keep_fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    third = ct_keep_fd(dup(copy));
    b = ct_ioas(copy);
    OK(a != b);
    RET(0, ct_destroy(copy, a));
    ct_close(fd);
    RET(0, ct_destroy(third, b));
    ct_close(copy);
    RET(0, ct_ioas_alloc(third, &a));
    EQ(1, a);
}

/* iommufd_ctx_get() in iommufd_device_bind(): the device keeps it */
static void close_iommufd_first(void)
{
    CtBound b, c;
    uint32_t ioas, hwpt;
    int fd;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    ct_close(b.iommufd);
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_detach(&b));
    RET(-ENOENT, ct_attach(&b, CT_NO_ID));
    /* Still owned, so not to be had elsewhere */
    fd = ct_open_iommufd();
    RET(-EINVAL, ct_bind(ct_open_cdev(b.dev), fd, &c.id));
    ct_close(b.fd);
    OK(ct_bound(&c, fd, b.dev));
}

/* iommufd_fops_release(): everything goes, in the order of its references */
static void close_all(void)
{
    CtBound b;
    uint32_t ioas, hwpt, fault;
    int qfd;

    for (unsigned round = 0; round < 4; round++) {
        if (!ct_bound_new(&b, CT_DEV)) {
            return;
        }
        ioas = ct_ioas(b.iommufd);
        RET(0, ct_map(b.iommufd, ioas, ct_mem(ct_page()), ct_page(), GIB,
                      CT_RW));
        RET(0, ct_fault_queue(b.iommufd, &fault, &qfd));
        RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
        RET(0, ct_attach(&b, hwpt));
        if (round & 1) {
            ct_close(b.iommufd);
        }
        if (round & 2) {
            ct_close(qfd);
        }
        ct_close(b.fd);
        if (!(round & 1)) {
            ct_close(b.iommufd);
        }
        if (!(round & 2)) {
            ct_close(qfd);
        }
    }
}

/* The documented order takes everything down without EBUSY */
static void tear_down_smmu(void)
{
    SmmuVm vm;
    uint32_t s1, q;
    int fd, qfd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_ste(fd, vm.b.id, vm.viommu, STE0_S1, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    RET(0, ct_veventq_new(fd, vm.viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 4, &q,
                          &qfd));
    ct_close(qfd);
    RET(0, ct_destroy(fd, q));
    RET(0, ct_detach(&vm.b));
    RET(0, ct_destroy(fd, s1));
    RET(0, ct_destroy(fd, vm.vdevice));
    RET(0, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, vm.ioas));
    ct_close(vm.b.fd);
    RET(-ENOENT, ct_destroy(fd, vm.b.id));
}

static void tear_down_vtd(void)
{
    CtBound b;
    uint32_t ioas, parent, fault, nested;
    int fd, qfd;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    fd = b.iommufd;
    RET(0, ct_fault_queue(fd, &fault, &qfd));
    RET(0, ct_vtd_s1(fd, b.id, parent, IOMMU_HWPT_FAULT_ID_VALID, 0x1000,
                     fault, &nested));
    ct_close(qfd);
    RET(-EBUSY, ct_destroy(fd, fault));
    RET(0, ct_destroy(fd, nested));
    RET(0, ct_destroy(fd, fault));
    RET(0, ct_destroy(fd, parent));
    RET(0, ct_destroy(fd, ioas));
}

/* A device closed under its nested table and vDEVICE */
static void close_nested_smmu(void)
{
    SmmuVm vm;
    uint32_t s1;
    int fd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_ste(fd, vm.b.id, vm.viommu, STE0_S1, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    ct_close(vm.b.fd);
    RET(-ENOENT, ct_destroy(fd, vm.vdevice));
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, s1));
    RET(0, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, vm.parent));
}

static void close_nested_vtd(void)
{
    CtBound b;
    uint32_t ioas, parent, nested;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent) ||
        !RET(0, ct_vtd_s1(b.iommufd, b.id, parent, 0, 0x1000, 0, &nested))) {
        return;
    }
    RET(0, ct_attach(&b, nested));
    ct_close(b.fd);
    RET(-EBUSY, ct_destroy(b.iommufd, parent));
    RET(0, ct_destroy(b.iommufd, nested));
    RET(0, ct_destroy(b.iommufd, parent));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* A child's copies of the descriptors are released with it */
static void child(void)
{
    CtBound b;
    uint32_t ioas;
    pid_t pid;
    int status = -1;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    pid = fork();
    if (!pid) {
        _exit(0);
    }
    OK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* Nothing is used up by going round */
static void round_and_round(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page();
    void *va = ct_mem(page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    for (unsigned i = 0; i < 200; i++) {
        if (!RET(0, ct_ioas_alloc(b.iommufd, &ioas)) ||
            !RET(0, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW)) ||
            !RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt)) ||
            !RET(0, ct_attach(&b, hwpt)) || !RET(0, ct_detach(&b)) ||
            !RET(0, ct_destroy(b.iommufd, hwpt)) ||
            !RET(0, ct_destroy(b.iommufd, ioas))) {
            return;
        }
    }
    /* Ids would have grown otherwise */
    OK(ioas < 8 && hwpt < 8);
}

static const CtScenario scenarios[] = {
    { "destroying a device id", destroy_device, CT_DEV },
    { "closing the device", close_device, CT_DEV },
    { "copies of the device's descriptor", duplicated_device, CT_DEV },
    { "copies of the iommufd's descriptor", duplicated_iommufd, 0 },
    { "closing the iommufd first", close_iommufd_first, CT_DEV },
    { "closing in every order", close_all, CT_DEV },
    { "tear-down in order, SMMUv3", tear_down_smmu,
      CT_DEV | CT_SMMUV3 | CT_VIOMMU },
    { "tear-down in order, VT-d", tear_down_vtd,
      CT_DEV | CT_VTD | CT_NEST },
    { "closing a nested device, SMMUv3", close_nested_smmu,
      CT_DEV | CT_SMMUV3 | CT_VIOMMU },
    { "closing a nested device, VT-d", close_nested_vtd,
      CT_DEV | CT_VTD | CT_NEST },
    { "a child process ends", child, CT_DEV },
    { "two hundred rounds", round_and_round, CT_DEV },
};

CT_GROUP(ct_group_lifetime, "lifetime");
