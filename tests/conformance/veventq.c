/*
 * Conformance of /dev/iommu: virtual event queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include "smmu.h"

#define NEEDS (CT_DEV | CT_SMMUV3 | CT_VIOMMU)
#define QTYPE IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define HDR ((ssize_t)sizeof(struct iommufd_vevent_header))

typedef struct Event {
    struct iommufd_vevent_header hdr;
    uint64_t evt[4];
} Event;

#define EVENT ((ssize_t)sizeof(Event))

/* iommufd_veventq_alloc(): the order of its tests */
static void arguments(void)
{
    SmmuVm vm;
    uint32_t id;
    int fd, qfd;
    struct iommu_veventq_alloc cmd = {
        .size = sizeof(cmd),
        .flags = 1,
        .type = QTYPE,
        .veventq_depth = 4,
    };

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    cmd.viommu_id = vm.viommu;
    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
    cmd.flags = 0;
    cmd.__reserved = 1;
    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
    RET(-EOPNOTSUPP, ct_veventq_new(fd, vm.viommu,
                                    IOMMU_VEVENTQ_TYPE_DEFAULT, 4, &id,
                                    &qfd));
    RET(-EINVAL, ct_veventq_new(fd, CT_NO_ID, QTYPE, 0, &id, &qfd));
    RET(-EINVAL, ct_veventq_new(fd, CT_NO_ID, QTYPE,
                                CT_VEVENTQ_MAX_DEPTH + 1, &id, &qfd));
    RET(-ENOENT, ct_veventq_new(fd, CT_NO_ID, QTYPE, 4, &id, &qfd));
    RET(-ENOENT, ct_veventq_new(fd, vm.parent, QTYPE, 4, &id, &qfd));
    RET(0, ct_veventq_new(fd, vm.viommu, QTYPE, CT_VEVENTQ_MAX_DEPTH, &id,
                          &qfd));
    OK(id != 0 && qfd >= 0);
    OK(fcntl(qfd, F_GETFD) & FD_CLOEXEC);
}

/* iommufd_viommu_find_veventq(): one of each type */
static void one_per_type(void)
{
    SmmuVm vm;
    uint32_t one, two, other;
    int fd, q1, q2;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_veventq_new(fd, vm.viommu, QTYPE, 4, &one, &q1));
    RET(-EEXIST, ct_veventq_new(fd, vm.viommu, QTYPE, 4, &two, &q2));
    /* The core does not ask the driver which types it reports */
    RET(0, ct_veventq_new(fd, vm.viommu, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 4,
                          &two, &q2));
    RET(0, ct_viommu_new(fd, vm.b.id, vm.parent,
                         IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &other));
    RET(0, ct_veventq_new(fd, other, QTYPE, 4, &two, &q2));
    ct_close(q1);
    RET(-EEXIST, ct_veventq_new(fd, vm.viommu, QTYPE, 4, &two, &q2));
    RET(0, ct_destroy(fd, one));
    RET(0, ct_veventq_new(fd, vm.viommu, QTYPE, 4, &one, &q1));
}

/* References: open file -> vEVENTQ -> vIOMMU */
static void references(void)
{
    SmmuVm vm;
    uint32_t id;
    int fd, qfd;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_veventq_new(fd, vm.viommu, QTYPE, 4, &id, &qfd));
    RET(-EBUSY, ct_destroy(fd, id));
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    ct_close(qfd);
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, id));
    RET(0, ct_destroy(fd, vm.viommu));
}

/* iommufd_veventq_fops_read(), iommufd_eventq_fops_poll() when empty */
static void empty(void)
{
    SmmuVm vm;
    uint32_t id;
    uint8_t buf[256];
    int qfd;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    RET(0, ct_veventq_new(vm.b.iommufd, vm.viommu, QTYPE, 4, &id, &qfd));
    /* Unlike a fault queue it is never ready for output */
    EQ(0, ct_poll(qfd, POLLIN | POLLOUT, 0));
    RET(0, ct_read(qfd, buf, sizeof(buf)));
    RET(0, ct_read(qfd, buf, HDR));
    RET(-EINVAL, ct_read(qfd, buf, HDR - 1));
    RET(-EINVAL, ct_read(qfd, buf, 0));
    /* There is no write */
    RET(-EINVAL, ct_write(qfd, buf, 8));
    RET(-ENOTTY, ct_ioctl(qfd, IOMMU_DESTROY, buf));
}

/* A device whose guest translates, and the queue of its events */
typedef struct EventVm {
    SmmuVm vm;
    uint32_t s1, id;
    int qfd;
} EventVm;

static bool event_vm(EventVm *e, uint32_t depth)
{
    return smmu_vm_vdevice(&e->vm, CT_NEST) &&
           RET(0, ct_ste(e->vm.b.iommufd, e->vm.b.id, e->vm.viommu, STE0_S1,
                         0, &e->s1)) &&
           RET(0, ct_attach(&e->vm.b, e->s1)) &&
           RET(0, ct_veventq_new(e->vm.b.iommufd, e->vm.viommu, QTYPE, depth,
                                 &e->id, &e->qfd));
}

/* C_BAD_STE with a number of its own in the third word */
static void send(uint32_t n)
{
    uint64_t evt[4] = { htole64(0x04), 0, htole64(n), 0 };
    char hex[65];

    for (unsigned i = 0; i < sizeof(evt); i++) {
        snprintf(hex + 2 * i, 3, "%02x", ((uint8_t *)evt)[i]);
    }
    OK(ct_json_true(ct_model("{\"cmd\":\"event\",\"iommu\":0,\"sid\":%u,"
                             "\"event\":\"%s\"}", SMMU_VSID, hex), "ok"));
}

static void check_event(const Event *e, uint32_t seq, uint32_t n)
{
    EQ(0, e->hdr.flags);
    EQ(seq, e->hdr.sequence);
    EQ(0x04 | (uint64_t)SMMU_VSID << 32, le64toh(e->evt[0]));
    EQ(n, le64toh(e->evt[2]));
}

/* arm_vmaster_report_event(), iommufd_viommu_report_event() */
static void one_event(void)
{
    EventVm e;
    Event ev[2];

    if (!event_vm(&e, 4)) {
        return;
    }
    send(0x77);
    EQ(POLLIN, ct_poll(e.qfd, POLLIN, 1000));
    EQ(40, EVENT);
    RET(EVENT, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 0, 0x77);
    EQ(0, ct_poll(e.qfd, POLLIN, 0));
    RET(0, ct_read(e.qfd, ev, sizeof(ev)));
    send(0x78);
    RET(EVENT, ct_read(e.qfd, ev, EVENT));
    check_event(&ev[0], 1, 0x78);
}

/* iommufd_veventq_fops_read(): room for the header, or for the whole event */
static void buffers(void)
{
    EventVm e;
    Event ev[4];

    if (!event_vm(&e, 8)) {
        return;
    }
    for (uint32_t i = 0; i < 5; i++) {
        send(i);
    }
    RET(-EINVAL, ct_read(e.qfd, ev, HDR));
    RET(-EINVAL, ct_read(e.qfd, ev, EVENT - 1));
    RET(-EINVAL, ct_read(e.qfd, ev, HDR - 1));
    RET(EVENT, ct_read(e.qfd, ev, EVENT));
    check_event(&ev[0], 0, 0);
    /* What is left over is too little for the next one */
    RET(EVENT, ct_read(e.qfd, ev, 2 * EVENT - 1));
    check_event(&ev[0], 1, 1);
    RET(EVENT, ct_read(e.qfd, ev, EVENT + HDR));
    check_event(&ev[0], 2, 2);
    EQ(POLLIN, ct_poll(e.qfd, POLLIN, 0));
    RET(2 * EVENT, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 3, 3);
    check_event(&ev[1], 4, 4);
    EQ(0, ct_poll(e.qfd, POLLIN, 0));
}

/* iommufd_vevent_handler(): the header of loss is last, and alone */
static void overflow(void)
{
    EventVm e;
    Event ev[4];
    struct iommufd_vevent_header lost;

    if (!event_vm(&e, 2)) {
        return;
    }
    for (uint32_t i = 0; i < 5; i++) {
        send(i);
    }
    /* Sequence 0 and 1 as events, 4 is the last that was lost */
    memset(ev, 0xaa, sizeof(ev));
    RET(2 * EVENT + HDR, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 0, 0);
    check_event(&ev[1], 1, 1);
    EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, ev[2].hdr.flags);
    EQ(4, ev[2].hdr.sequence);
    EQ(0, ct_poll(e.qfd, POLLIN, 0));
    RET(0, ct_read(e.qfd, ev, sizeof(ev)));
    /* The header fits where an event does not */
    for (uint32_t i = 5; i < 8; i++) {
        send(i);
    }
    RET(2 * EVENT, ct_read(e.qfd, ev, 2 * EVENT));
    check_event(&ev[0], 5, 5);
    check_event(&ev[1], 6, 6);
    EQ(POLLIN, ct_poll(e.qfd, POLLIN, 0));
    RET(HDR, ct_read(e.qfd, &lost, HDR));
    EQ(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, lost.flags);
    EQ(7, lost.sequence);
}

/* An event that fits again takes the header away: the gap tells */
static void overflow_gap(void)
{
    EventVm e;
    Event ev[4];

    if (!event_vm(&e, 2)) {
        return;
    }
    for (uint32_t i = 0; i < 4; i++) {
        send(i);
    }
    RET(EVENT, ct_read(e.qfd, ev, EVENT));
    check_event(&ev[0], 0, 0);
    send(4);
    RET(2 * EVENT, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 1, 1);
    check_event(&ev[1], 4, 4);
}

/* A queue allocated late starts at 0 and knows nothing of before */
static void late_queue(void)
{
    EventVm e;
    Event ev[2];

    if (!event_vm(&e, 4)) {
        return;
    }
    send(1);
    ct_close(e.qfd);
    RET(0, ct_destroy(e.vm.b.iommufd, e.id));
    send(2);
    RET(0, ct_veventq_new(e.vm.b.iommufd, e.vm.viommu, QTYPE, 4, &e.id,
                          &e.qfd));
    RET(0, ct_read(e.qfd, ev, sizeof(ev)));
    send(3);
    RET(EVENT, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 0, 3);
}

/* The queue's file holds the queue, and that the vIOMMU */
static void outlives_iommufd(void)
{
    EventVm e;
    Event ev[2];

    if (!event_vm(&e, 4)) {
        return;
    }
    send(9);
    ct_close(e.vm.b.fd);
    ct_close(e.vm.b.iommufd);
    RET(EVENT, ct_read(e.qfd, ev, sizeof(ev)));
    check_event(&ev[0], 0, 9);
    RET(0, ct_read(e.qfd, ev, sizeof(ev)));
}

/* A DMA that meets the guest's all-zero context descriptor: C_BAD_CD */
static void dma_event(void)
{
    EventVm e;
    Event ev;
    size_t page = ct_page();
    const char *reply;
    uint32_t s1;

    if (!event_vm(&e, 4)) {
        return;
    }
    RET(0, ct_map(e.vm.b.iommufd, e.vm.ioas, ct_mem(page), page, 0x40000,
                  CT_RW));
    RET(0, ct_ste(e.vm.b.iommufd, e.vm.b.id, e.vm.viommu,
                  STE0_S1 | 0x40000, 0, &s1));
    RET(0, ct_attach(&e.vm.b, s1));
    reply = ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"read\","
                     "\"addr\":4096,\"len\":4}", e.vm.b.dev->bdf);
    OK(ct_json_has(reply, "fault"));
    EQ(POLLIN, ct_poll(e.qfd, POLLIN, 1000));
    RET(EVENT, ct_read(e.qfd, &ev, sizeof(ev)));
    EQ(0x0a, le64toh(ev.evt[0]) & 0xff);
    EQ(SMMU_VSID, le64toh(ev.evt[0]) >> 32);
}

/* master->vmaster: gone with the nested table, and the events with it */
static void detached(void)
{
    EventVm e;
    Event ev;

    if (!event_vm(&e, 4)) {
        return;
    }
    RET(0, ct_attach(&e.vm.b, e.vm.parent));
    ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"read\","
             "\"addr\":4096,\"len\":4}", e.vm.b.dev->bdf);
    EQ(0, ct_poll(e.qfd, POLLIN, 20));
    RET(0, ct_read(e.qfd, &ev, sizeof(ev)));
}

static const CtScenario scenarios[] = {
    { "alloc: arguments", arguments, NEEDS },
    { "one queue of each type", one_per_type, NEEDS },
    { "references", references, NEEDS },
    { "an empty queue", empty, NEEDS },
    { "one event", one_event, NEEDS | CT_MODEL },
    { "buffers of all sizes", buffers, NEEDS | CT_MODEL },
    { "overflow", overflow, NEEDS | CT_MODEL },
    { "overflow seen by the gap", overflow_gap, NEEDS | CT_MODEL },
    { "a queue that comes late", late_queue, NEEDS | CT_MODEL },
    { "a queue outlives its iommufd", outlives_iommufd, NEEDS | CT_MODEL },
    { "an event caused by DMA", dma_event, NEEDS | CT_MODEL },
    { "no events while the host translates", detached, NEEDS | CT_MODEL },
};

CT_GROUP(ct_group_veventq, "veventq");
