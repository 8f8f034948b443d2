/*
 * Conformance of /dev/iommu: fault queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <fcntl.h>
#include <poll.h>
#include "conformance.h"

#define FAULT_SIZE sizeof(struct iommu_hwpt_pgfault)
#define RESP_SIZE sizeof(struct iommu_hwpt_page_response)

/* iommufd_fault_alloc() */
static void arguments(void)
{
    int fd = ct_open_iommufd(), qfd;
    uint32_t id;
    struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = 1 };

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
    RET(0, ct_fault_queue(fd, &id, &qfd));
    OK(id != 0 && qfd >= 0);
    /* get_unused_fd_flags(O_CLOEXEC) */
    OK(fcntl(qfd, F_GETFD) & FD_CLOEXEC);
}

/* iommufd_fault_fops_read() on an empty queue */
static void reading(void)
{
    int fd = ct_open_iommufd(), qfd;
    uint8_t buf[4 * FAULT_SIZE];
    uint32_t id;

    RET(0, ct_fault_queue(fd, &id, &qfd));
    EQ(40, FAULT_SIZE);
    RET(0, ct_read(qfd, buf, FAULT_SIZE));
    RET(0, ct_read(qfd, buf, sizeof(buf)));
    RET(0, ct_read(qfd, buf, 0));
    RET(-ESPIPE, ct_read(qfd, buf, FAULT_SIZE - 1));
    RET(-ESPIPE, ct_read(qfd, buf, FAULT_SIZE + 8));
    RET(-ESPIPE, ct_read(qfd, buf, 1));
}

/* iommufd_fault_fops_write() without anything to answer */
static void writing(void)
{
    int fd = ct_open_iommufd(), qfd;
    struct iommu_hwpt_page_response r[2] = { { .cookie = 1 } };
    uint32_t id;

    RET(0, ct_fault_queue(fd, &id, &qfd));
    EQ(8, RESP_SIZE);
    RET(0, ct_write(qfd, r, 0));
    RET(-ESPIPE, ct_write(qfd, r, RESP_SIZE - 1));
    RET(-ESPIPE, ct_write(qfd, r, RESP_SIZE + 4));
    RET(-EINVAL, ct_write(qfd, r, RESP_SIZE));
    r[0].code = 2;
    RET(-EINVAL, ct_write(qfd, r, RESP_SIZE));
    r[0].code = IOMMUFD_PAGE_RESP_INVALID;
    r[0].cookie = 0;
    RET(-EINVAL, ct_write(qfd, r, sizeof(r)));
    RET(-EFAULT, ct_write(qfd, (void *)8, RESP_SIZE));
}

/* iommufd_eventq_fops_poll() */
static void polling(void)
{
    int fd = ct_open_iommufd(), qfd;
    uint32_t id;

    RET(0, ct_fault_queue(fd, &id, &qfd));
    EQ(0, ct_poll(qfd, POLLIN, 0));
    EQ(POLLOUT, ct_poll(qfd, POLLIN | POLLOUT, 0));
}

/* The queue's file has neither ioctl nor mmap */
static void ioctls(void)
{
    int fd = ct_open_iommufd(), qfd;
    uint32_t id, word[8] = { sizeof(word) };

    RET(0, ct_fault_queue(fd, &id, &qfd));
    RET(-ENOTTY, ct_ioctl(qfd, IOMMU_DESTROY, word));
    RET(-ENOTTY, ct_ioctl(qfd, IOMMU_IOAS_ALLOC, word));
}

/* iommufd_eventq_init(): the open file is a user of the object */
static void references(void)
{
    int fd = ct_open_iommufd(), qfd, copy;
    uint32_t id;

    RET(0, ct_fault_queue(fd, &id, &qfd));
    RET(-EBUSY, ct_destroy(fd, id));
    copy = ct_keep_fd(fcntl(qfd, F_DUPFD_CLOEXEC, 0));
    ct_close(qfd);
    RET(-EBUSY, ct_destroy(fd, id));
    ct_close(copy);
    RET(0, ct_destroy(fd, id));
    RET(-ENOENT, ct_destroy(fd, id));
}

/* iommufd_ctx_get(): the queue keeps the iommufd behind it */
static void outlives_iommufd(void)
{
    int fd = ct_open_iommufd(), qfd;
    uint8_t buf[FAULT_SIZE];
    uint32_t id;

    RET(0, ct_fault_queue(fd, &id, &qfd));
    ct_close(fd);
    RET(0, ct_read(qfd, buf, sizeof(buf)));
    EQ(POLLOUT, ct_poll(qfd, POLLIN | POLLOUT, 0));
}

static bool fault_hwpt(const CtBound *b, uint32_t *hwpt)
{
    uint32_t ioas = ct_ioas(b->iommufd), fault;
    int qfd;

    return RET(0, ct_fault_queue(b->iommufd, &fault, &qfd)) &&
           RET(0, ct_hwpt_data(b->iommufd, b->id, ioas,
                               IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0, fault,
                               hwpt));
}

/* iopf_for_domain_set(): intel_iommu_enable_iopf() without PRI */
static void no_pri(void)
{
    CtBound b;
    uint32_t hwpt, plain;

    if (!ct_bound_new(&b, CT_NO_PRI) || !fault_hwpt(&b, &hwpt)) {
        return;
    }
    RET(-ENODEV, ct_attach(&b, hwpt));
    RET(0, ct_hwpt(b.iommufd, b.id, ct_ioas(b.iommufd), 0, &plain));
    RET(0, ct_attach(&b, plain));
    RET(-ENODEV, ct_attach(&b, hwpt));
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(-EBUSY, ct_destroy(b.iommufd, plain));
}

/* iommufd_hwpt_compatible_device(): a VF shares its PF's page requests */
static void vf_pri(void)
{
    CtBound b;
    uint32_t hwpt, plain;

    if (!ct_bound_new(&b, CT_VF_PRI) || !fault_hwpt(&b, &hwpt)) {
        return;
    }
    RET(-EINVAL, ct_attach(&b, hwpt));
    RET(0, ct_hwpt(b.iommufd, b.id, ct_ioas(b.iommufd), 0, &plain));
    RET(0, ct_attach(&b, plain));
}

/* With page requests it attaches, replaces and detaches as any other */
static void pri(void)
{
    CtBound b;
    uint32_t hwpt, plain;

    if (!ct_bound_new(&b, CT_PRI) || !fault_hwpt(&b, &hwpt)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ct_ioas(b.iommufd), 0, &plain));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_attach(&b, plain));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

static const CtScenario scenarios[] = {
    { "alloc", arguments, 0 },
    { "read", reading, 0 },
    { "write", writing, 0 },
    { "poll", polling, 0 },
    { "ioctl", ioctls, 0 },
    { "references", references, 0 },
    { "a queue outlives its iommufd", outlives_iommufd, 0 },
    { "a device without page requests", no_pri,
      CT_DEV | CT_VTD | CT_NO_PRI },
    { "a VF of a device with page requests", vf_pri, CT_DEV | CT_VF_PRI },
    { "a device with page requests", pri, CT_DEV | CT_VTD | CT_PRI },
};

CT_GROUP(ct_group_fault, "fault");
