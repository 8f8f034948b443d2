/*
 * Conformance of /dev/iommu: migration of a vfio device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include <stdlib.h>
#include "conformance.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY

/* What is read of a device's state: hardware may have very much of it */
#define STREAM_MAX (64u << 20)

typedef struct Feature {
    struct vfio_device_feature f;
    union {
        struct vfio_device_feature_migration mig;
        struct vfio_device_feature_mig_state state;
        struct vfio_device_feature_mig_data_size size;
    };
} Feature;

static int feature(const CtBound *b, uint32_t flags, Feature *arg)
{
    arg->f.argsz = sizeof(*arg);
    arg->f.flags = flags;
    return ct_ioctl(b->fd, VFIO_DEVICE_FEATURE, &arg->f);
}

/* @fd: the session's file, or -1 if there is none; may be NULL */
static int set_state(const CtBound *b, uint32_t state, int *fd)
{
    Feature arg = { .state = { .device_state = state, .data_fd = 77 } };
    int ret = feature(b, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg);

    if (arg.state.data_fd >= 0) {
        ct_keep_fd(arg.state.data_fd);
    }
    if (fd) {
        *fd = arg.state.data_fd;
    } else {
        EQ((uint32_t)-1, (uint32_t)arg.state.data_fd);
    }
    return ret;
}

static uint32_t get_state(const CtBound *b)
{
    Feature arg = { .state.data_fd = 77 };

    RET(0, feature(b, GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg));
    EQ((uint32_t)-1, (uint32_t)arg.state.data_fd);
    return arg.state.device_state;
}

static uint64_t flags_of(const CtBound *b)
{
    Feature arg = { .mig.flags = 0 };

    RET(0, feature(b, GET | VFIO_DEVICE_FEATURE_MIGRATION, &arg));
    return arg.mig.flags;
}

/* vfio_check_feature(), with what each of the features allows */
static void arguments(void)
{
    static const struct {
        uint32_t feature, can;
    } all[] = {
        { VFIO_DEVICE_FEATURE_MIGRATION, GET },
        { VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET | SET },
        { VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, GET },
    };
    CtBound b;
    Feature arg = { .mig.flags = 0 };

    if (!ct_bound_new(&b, CT_MIG)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        RET(0, feature(&b, PROBE | all[i].can | all[i].feature, &arg));
        RET(0, feature(&b, PROBE | all[i].feature, &arg));
        RET(-EINVAL, feature(&b, all[i].feature, &arg));
        if (!(all[i].can & SET)) {
            RET(-EINVAL, feature(&b, SET | all[i].feature, &arg));
        }
        arg.f.argsz = sizeof(arg) - 1;
        arg.f.flags = GET | all[i].feature;
        RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &arg.f));
        RET(0, feature(&b, GET | all[i].feature, &arg));
    }
    OK(flags_of(&b) & VFIO_MIGRATION_STOP_COPY);
}

/* vfio_mig_get_next_state(): what there is, and the way there */
static void states(void)
{
    CtBound b;
    uint64_t flags;
    int fd;

    if (!ct_bound_new(&b, CT_MIG)) {
        return;
    }
    flags = flags_of(&b);
    EQ(RUNNING, get_state(&b));
    RET(-EINVAL, set_state(&b, VFIO_DEVICE_STATE_ERROR, NULL));
    RET(-EINVAL, set_state(&b, VFIO_DEVICE_STATE_NR, NULL));
    RET(-EINVAL, set_state(&b, UINT32_MAX, NULL));
    if (!(flags & VFIO_MIGRATION_PRE_COPY)) {
        RET(-EINVAL, set_state(&b, PRE_COPY, NULL));
        RET(-EINVAL, set_state(&b, VFIO_DEVICE_STATE_PRE_COPY_P2P, NULL));
    }
    EQ(RUNNING, get_state(&b));
    RET(0, set_state(&b, RUNNING, NULL));
    if (flags & VFIO_MIGRATION_P2P) {
        RET(0, set_state(&b, RUNNING_P2P, NULL));
        EQ(RUNNING_P2P, get_state(&b));
        RET(0, set_state(&b, RUNNING, NULL));
        RET(0, set_state(&b, RUNNING_P2P, NULL));
    } else {
        RET(-EINVAL, set_state(&b, RUNNING_P2P, NULL));
    }
    RET(0, set_state(&b, STOP, NULL));
    EQ(STOP, get_state(&b));
    RET(0, set_state(&b, STOP, NULL));
    RET(0, set_state(&b, STOP_COPY, &fd));
    OK(fd >= 0);
    EQ(STOP_COPY, get_state(&b));
    RET(0, set_state(&b, STOP, NULL));
    RET(0, set_state(&b, RUNNING, NULL));
    /* By way of STOP, and P2P where there is that */
    RET(0, set_state(&b, STOP_COPY, &fd));
    OK(fd >= 0);
    RET(0, set_state(&b, RESUMING, &fd));
    OK(fd >= 0);
    EQ(RESUMING, get_state(&b));
}

/* All that a file has; its length is returned, negative on failure */
static ssize_t drain(int fd, uint8_t *buf)
{
    size_t done = 0;
    ssize_t n;

    do {
        n = ct_read(fd, buf + done, STREAM_MAX - done);
        done += n > 0 ? n : 0;
    } while (n > 0 && done < STREAM_MAX);
    return n < 0 ? n : (ssize_t)done;
}

static bool feed(int fd, const uint8_t *buf, size_t len)
{
    /* "not required to preserve buffer segmentation" */
    for (size_t done = 0, n; done < len; done += n) {
        n = len - done < 1000 ? len - done : 1000;
        if (!RET((long)n, ct_write(fd, buf + done, n))) {
            return false;
        }
    }
    return true;
}

/* Out of a device and into it again */
static void stream(void)
{
    CtBound b;
    Feature size = { .size.stop_copy_length = 0 };
    uint8_t *buf = malloc(STREAM_MAX);
    ssize_t len;
    int out, in;

    if (!buf || !ct_bound_new(&b, CT_MIG)) {
        free(buf);
        return;
    }
    RET(0, feature(&b, GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size));
    OK(size.size.stop_copy_length);
    RET(0, set_state(&b, STOP_COPY, &out));
    RET(-ESPIPE, ct_pread(out, buf, 4, 0));
    RET(-EBADF, ct_write(out, buf, 4));
    len = drain(out, buf);
    if (!OK(len > 0) || len == STREAM_MAX) {
        free(buf);
        return;
    }
    RET(0, ct_read(out, buf, 4));
    RET(0, set_state(&b, RESUMING, &in));
    OK(ct_read(out, buf, 4) < 0);
    RET(-EBADF, ct_read(in, buf, 4));
    if (feed(in, buf, len)) {
        RET(0, set_state(&b, STOP, NULL));
        EQ(STOP, get_state(&b));
        OK(ct_write(in, buf, 4) < 0);
        RET(0, set_state(&b, RUNNING, NULL));
    }
    free(buf);
}

/* "the migration driver must fail the SET_STATE ioctl"; a reset mends it */
static void bad_stream(void)
{
    CtBound b;
    uint8_t *buf = malloc(STREAM_MAX);
    ssize_t len;
    int fd;

    if (!buf || !ct_bound_new(&b, CT_MIG | CT_RESET)) {
        free(buf);
        return;
    }
    RET(0, set_state(&b, STOP_COPY, &fd));
    len = drain(fd, buf);
    RET(0, set_state(&b, RESUMING, &fd));
    if (len > 1 && feed(fd, buf, len - 1)) {
        OK(set_state(&b, STOP, NULL) < 0);
        RET(0, ct_ioctl(b.fd, VFIO_DEVICE_RESET, NULL));
        EQ(RUNNING, get_state(&b));
        OK(ct_write(fd, buf, 1) < 0);
    }
    free(buf);
}

static const char *dma(const CtBound *b, const char *more)
{
    return ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"read\","
                    "\"addr\":%u,\"len\":4%s}", b->dev->bdf, 1u << 30, more);
}

/* "must not generate interrupts, DMA" */
static void stopped(void)
{
    CtBound b;
    uint32_t ioas;

    if (!ct_bound_new(&b, CT_MIG)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_map(b.iommufd, ioas, ct_mem(ct_page()), ct_page(), 1u << 30,
                  CT_RW));
    RET(0, ct_attach(&b, ioas));
    OK(ct_json_has(dma(&b, ""), "data"));
    RET(0, set_state(&b, STOP, NULL));
    OK(ct_json_is(dma(&b, ""), "reason", "stopped"));
    RET(0, set_state(&b, RUNNING, NULL));
    OK(ct_json_has(dma(&b, ""), "data"));
}

/* What the device has asked must be answered before it can stop */
static void waiting(void)
{
    struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = 1u << 20, .addr_width = 48 };
    struct iommu_hwpt_page_response resp = {
        .code = IOMMUFD_PAGE_RESP_INVALID,
    };
    struct iommu_hwpt_pgfault req;
    uint32_t ioas, parent, fault, hwpt;
    CtBound b;
    int qfd;

    if (!ct_bound_parent(&b, CT_MIG | CT_PRI | CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(0, ct_map(b.iommufd, ioas, ct_mem(ct_page()), ct_page(), 1u << 20,
                  CT_RW));
    RET(0, ct_fault_queue(b.iommufd, &fault, &qfd));
    RET(0, ct_hwpt_data(b.iommufd, b.id, parent, IOMMU_HWPT_FAULT_ID_VALID,
                        IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), fault,
                        &hwpt));
    RET(0, ct_attach(&b, hwpt));
    OK(ct_json_true(dma(&b, ",\"pri\":true"), "pending"));
    RET(0, set_state(&b, RUNNING_P2P, NULL));
    RET(-EBUSY, set_state(&b, STOP, NULL));
    EQ(RUNNING_P2P, get_state(&b));
    RET(0, set_state(&b, RUNNING, NULL));
    RET(sizeof(req), ct_read(qfd, &req, sizeof(req)));
    resp.cookie = req.cookie;
    RET(sizeof(resp), ct_write(qfd, &resp, sizeof(resp)));
    RET(0, set_state(&b, STOP, NULL));
    RET(0, set_state(&b, RUNNING, NULL));
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, CT_DEV | CT_MIG },
    { "states", states, CT_DEV | CT_MIG },
    { "the state of a device", stream, CT_DEV | CT_MIG },
    { "a state that is cut off", bad_stream,
      CT_DEV | CT_MIG | CT_RESET },
    { "no DMA when stopped", stopped, CT_DEV | CT_MIG | CT_MODEL },
    { "page requests first", waiting,
      CT_DEV | CT_MIG | CT_PRI | CT_NEST | CT_MODEL },
};

CT_GROUP(ct_group_migration, "migration");
