/*
 * Model of /dev/iommu: migration of a device
 *
 * The states and arcs of enum vfio_device_mig_state without PRE_COPY, as a
 * driver makes them with vfio_mig_get_next_state() of Linux 7.3
 * (drivers/vfio/vfio_main.c), and the file that the device's state flows
 * through.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>
#include "objects.h"

/*
 * What flows through one file: from a device, or to one. Drivers hold the file
 * as well (get_file() in mlx5vf_pci_resume_device_data() and its like): what
 * was written before it was closed is there when the session ends.
 */
struct MdlMigStream {
    MdlDevice *dev;                     /* NULL: the session has ended */
    bool closed;
    bool load;
    size_t len, pos;
    uint8_t bytes[MDL_DEVICE_STATE_MAX];
};

static const char *const state_names[] = {
    [VFIO_DEVICE_STATE_STOP] = "stop",
    [VFIO_DEVICE_STATE_RUNNING] = "running",
    [VFIO_DEVICE_STATE_STOP_COPY] = "stop-copy",
    [VFIO_DEVICE_STATE_RESUMING] = "resuming",
    [VFIO_DEVICE_STATE_RUNNING_P2P] = "running-p2p",
};

const char *mdl_migration_name(const MdlDevice *dev)
{
    return state_names[dev->mig_state];
}

static void session_end(MdlDevice *dev)
{
    MdlMigStream *stream = dev->mig_stream;

    if (stream) {
        dev->mig_stream = NULL;
        stream->dev = NULL;
        if (stream->closed) {
            free(stream);
        }
    }
}

void mdl_migration_init(MdlDevice *dev)
{
    dev->mig_state = VFIO_DEVICE_STATE_RUNNING;
}

void mdl_migration_reset(MdlDevice *dev)
{
    session_end(dev);
    mdl_dma_log_stop(dev);
    dev->mig_state = VFIO_DEVICE_STATE_RUNNING;
}

bool mdl_migration_stopped(const MdlDevice *dev)
{
    return dev->mig_state != VFIO_DEVICE_STATE_RUNNING &&
           dev->mig_state != VFIO_DEVICE_STATE_RUNNING_P2P;
}

/* ------------------------------------------------------------------ states */

static bool state_valid(uint32_t state)
{
    return state < MDL_ARRAY_SIZE(state_names) && state_names[state];
}

/* RUNNING - RUNNING_P2P - STOP, from where STOP_COPY and RESUMING go off */
static uint32_t next_state(uint32_t from, uint32_t to)
{
    switch (from) {
    case VFIO_DEVICE_STATE_RUNNING:
        return VFIO_DEVICE_STATE_RUNNING_P2P;
    case VFIO_DEVICE_STATE_RUNNING_P2P:
        return to == VFIO_DEVICE_STATE_RUNNING ? to : VFIO_DEVICE_STATE_STOP;
    case VFIO_DEVICE_STATE_STOP:
        return to == VFIO_DEVICE_STATE_STOP_COPY ||
               to == VFIO_DEVICE_STATE_RESUMING ?
               to : VFIO_DEVICE_STATE_RUNNING_P2P;
    default:
        return VFIO_DEVICE_STATE_STOP;
    }
}

/* A session's file; the caller gives it to the user, or closes it */
static int session_begin(MdlDevice *dev, bool load)
{
    MdlMigStream *stream = calloc(1, sizeof(*stream));
    MdlFile *file = calloc(1, sizeof(*file));
    int fd = memfd_create("iommufd-model-migration", MFD_CLOEXEC);

    if (!stream || !file) {
        abort();
    }
    if (fd < 0) {
        free(stream);
        free(file);
        return -errno;
    }
    stream->dev = dev;
    stream->load = load;
    if (!load) {
        stream->len = hw_device_save(dev, stream->bytes);
    }
    dev->mig_stream = stream;
    file->kind = MDL_FILE_MIGRATION;
    file->migration = stream;
    mdl_fd_install(fd, file);
    return fd;
}

static int make_arc(MdlDevice *dev, uint32_t to, int *fd)
{
    uint32_t from = dev->mig_state;
    MdlMigStream *stream = dev->mig_stream;
    int ret = 0;

    if (to == VFIO_DEVICE_STATE_STOP && hw_device_waits(dev)) {
        /* It cannot take back what it has asked, and nobody will answer */
        return -EBUSY;
    }
    if (from == VFIO_DEVICE_STATE_RESUMING) {
        ret = hw_device_load(dev, stream->bytes, stream->len);
        if (ret) {
            return ret;
        }
    }
    if (from == VFIO_DEVICE_STATE_RESUMING ||
        from == VFIO_DEVICE_STATE_STOP_COPY) {
        session_end(dev);
    }
    if (to == VFIO_DEVICE_STATE_RESUMING || to == VFIO_DEVICE_STATE_STOP_COPY) {
        *fd = session_begin(dev, to == VFIO_DEVICE_STATE_RESUMING);
        if (*fd < 0) {
            return *fd;
        }
    }
    dev->mig_state = to;
    mdl_journal("migration", "\"dev\":\"%s\",\"old\":\"%s\",\"new\":\"%s\"",
                dev->bdf, state_names[from], state_names[to]);
    return 0;
}

static int set_state(MdlDevice *dev, uint32_t to, int *fd)
{
    int ret = 0;

    *fd = -1;
    if (!state_valid(to)) {
        return -EINVAL;
    }
    while (!ret && dev->mig_state != to) {
        ret = make_arc(dev, next_state(dev->mig_state, to), fd);
    }
    return ret;
}

/* ---------------------------------------------------------------- features */

int mdl_migration_flags(MdlDevice *dev, void *uptr)
{
    struct vfio_device_feature_migration arg = {
        .flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
    };

    return mdl_copy_to(uptr, &arg, sizeof(arg));
}

int mdl_migration_data_size(MdlDevice *dev, void *uptr)
{
    uint8_t bytes[MDL_DEVICE_STATE_MAX];
    struct vfio_device_feature_mig_data_size arg = {
        .stop_copy_length = hw_device_save(dev, bytes),
    };

    return mdl_copy_to(uptr, &arg, sizeof(arg));
}

int mdl_migration_state(MdlDevice *dev, void *uptr, bool set)
{
    struct vfio_device_feature_mig_state arg;
    int ret = 0, fd = -1;

    if (mdl_copy_from(&arg, uptr, sizeof(arg))) {
        return -EFAULT;
    }
    if (set) {
        ret = set_state(dev, arg.device_state, &fd);
    } else {
        arg.device_state = dev->mig_state;
    }
    arg.data_fd = ret ? -1 : fd;
    if (mdl_copy_to(uptr, &arg, sizeof(arg))) {
        if (fd >= 0) {
            mdl_fd_drop(fd);
            close(fd);
        }
        return -EFAULT;
    }
    return ret;
}

/* ---------------------------------------------------------------- the file */

ssize_t mdl_migration_read(MdlMigStream *stream, void *buf, size_t len)
{
    size_t left = stream->len - stream->pos;

    if (stream->load) {
        return -EBADF;
    }
    if (!stream->dev) {
        return -ENODEV;
    }
    len = len < left ? len : left;
    if (mdl_copy_to(buf, stream->bytes + stream->pos, len)) {
        return -EFAULT;
    }
    stream->pos += len;
    return len;
}

ssize_t mdl_migration_write(MdlMigStream *stream, const void *buf, size_t len)
{
    if (!stream->load) {
        return -EBADF;
    }
    if (!stream->dev) {
        return -ENODEV;
    }
    if (len > sizeof(stream->bytes) - stream->len) {
        return -ENOMEM;
    }
    if (mdl_copy_from(stream->bytes + stream->len, buf, len)) {
        return -EFAULT;
    }
    stream->len += len;
    return len;
}

/* The last descriptor of a session's file went away */
void mdl_migration_release(MdlMigStream *stream)
{
    stream->closed = true;
    if (!stream->dev) {
        free(stream);
    }
}
