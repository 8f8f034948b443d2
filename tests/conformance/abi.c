/*
 * Conformance of /dev/iommu: rules common to all its ioctls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * iommufd_fops_ioctl() in drivers/iommu/iommufd/main.c looks at the number,
 * the size word and the bytes past the structure it knows, in that order,
 * before any handler runs.
 */

#include <sys/mman.h>
#include "conformance.h"

typedef struct Call {
    const char *name;
    unsigned long req;
    unsigned size;              /* of the structure of Linux 7.3 */
    unsigned min;               /* of its first version */
} Call;

#define CALL(req, type, last) \
    { #req, req, sizeof(struct type), \
      offsetof(struct type, last) + sizeof(((struct type *)0)->last) }

/* iommufd_ioctl_ops[] */
static const Call calls[] = {
    CALL(IOMMU_DESTROY, iommu_destroy, id),
    CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
    CALL(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
    CALL(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova),
    CALL(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment),
    CALL(IOMMU_IOAS_MAP, iommu_ioas_map, iova),
    CALL(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length),
    CALL(IOMMU_OPTION, iommu_option, val64),
    CALL(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved),
    CALL(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
    CALL(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved),
    CALL(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking,
         __reserved),
    CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
    CALL(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
    CALL(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd),
    CALL(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova),
    CALL(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id),
    CALL(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id),
    CALL(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
    CALL(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd),
    CALL(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length),
    CALL(CT_IOAS_NOIOMMU_GET_PA, ct_ioas_noiommu_get_pa, out_phys),
};

/* Runs @req on a zeroed buffer that says it is @size long */
static int call_sized(int fd, unsigned long req, uint32_t size, int dirty_at)
{
    uint8_t buf[512] = { 0 };

    memcpy(buf, &size, sizeof(size));
    if (dirty_at >= 0) {
        buf[dirty_at] = 1;
    }
    return ct_ioctl(fd, req, buf);
}

static void check_call(const char *what, const Call *c, int want, int got)
{
    if (!RET(want, got)) {
        ct_note("%s: %s", c->name, what);
    }
}

/* iommufd_fops_ioctl(): a structure older than the first version */
static void size_short(void)
{
    int fd = ct_open_iommufd();

    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        const Call *c = &calls[i];

        check_call("one byte short", c, -EINVAL,
                   call_sized(fd, c->req, c->min - 1, -1));
        check_call("no size", c, -EINVAL, call_sized(fd, c->req, 0, -1));
    }
}

/* copy_struct_from_user(): a newer structure that uses its new part */
static void size_long_used(void)
{
    int fd = ct_open_iommufd();

    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        const Call *c = &calls[i];

        check_call("bytes past the end in use", c, -E2BIG,
                   call_sized(fd, c->req, c->size + 8, c->size + 7));
    }
}

/* copy_struct_from_user(): a newer structure with its new part all zero */
static void size_long_zero(void)
{
    int fd = ct_open_iommufd();
    struct {
        struct iommu_ioas_alloc cmd;
        uint8_t more[64];
    } big = { .cmd.size = sizeof(big) };

    RET(0, ct_ioctl(fd, IOMMU_IOAS_ALLOC, &big));
    OK(big.cmd.out_ioas_id != 0);
    /* The size must not be what stops these: nothing is called 0 */
    RET(-ENOENT, call_sized(fd, IOMMU_DESTROY, 400, -1));
    RET(-ENOENT, call_sized(fd, IOMMU_IOAS_UNMAP, 400, -1));
    RET(-ENOENT, call_sized(fd, IOMMU_GET_HW_INFO, 400, -1));
}

/* iommufd_ucmd_respond(): never writes past what the caller said it has */
static void size_respond(void)
{
    int fd = ct_open_iommufd();
    struct iommu_ioas_iova_ranges cmd = {
        .size = sizeof(cmd),
        .ioas_id = ct_ioas(fd),
    };
    uint8_t raw[sizeof(cmd) + 16];

    memset(raw, 0, sizeof(raw));
    cmd.size = sizeof(raw);
    memcpy(raw, &cmd, sizeof(cmd));
    RET(-EMSGSIZE, ct_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, raw));
    for (unsigned i = sizeof(cmd); i < sizeof(raw); i++) {
        EQ(0, raw[i]);
    }
    memcpy(&cmd, raw, sizeof(cmd));
    EQ(1, cmd.num_iovas);
    EQ(1, cmd.out_iova_alignment);
}

/* get_user() of the size word is the first access to the structure */
static void bad_pointer(void)
{
    int fd = ct_open_iommufd();
    uint8_t *page = ct_mem(ct_page());

    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        check_call("NULL", &calls[i], -EFAULT,
                   ct_ioctl(fd, calls[i].req, NULL));
    }
    OK(!mprotect(page, ct_page(), PROT_NONE));
    RET(-EFAULT, ct_ioctl(fd, IOMMU_IOAS_ALLOC, page));
    OK(!mprotect(page, ct_page(), PROT_READ));
    RET(-EINVAL, ct_ioctl(fd, IOMMU_IOAS_ALLOC, page));
}

/* op->ioctl_num must match in full, not only its number */
static void encoding(void)
{
    int fd = ct_open_iommufd();
    uint32_t id = ct_ioas(fd);
    struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

    RET(-ENOTTY, ct_ioctl(fd, _IOW(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY,
                                   struct iommu_destroy), &cmd));
    RET(-ENOTTY, ct_ioctl(fd, _IO('!', IOMMUFD_CMD_DESTROY), &cmd));
    RET(0, ct_ioctl(fd, IOMMU_DESTROY, &cmd));
}

/* Numbers outside the table go to iommufd_vfio_ioctl() */
static void unknown_number(void)
{
    int fd = ct_open_iommufd();
    uint32_t word[16] = { sizeof(word) };

    RET(-ENOTTY, ct_ioctl(fd, _IO(IOMMUFD_TYPE, 0x7f), word));
    RET(-ENOTTY, ct_ioctl(fd, _IO(IOMMUFD_TYPE, 0x9f), word));
    RET(-ENOTTY, ct_ioctl(fd, _IO(IOMMUFD_TYPE, 0xff), word));
}

/* iommufd_vfio_ioctl(): the group interface's version is answered */
static void vfio_version(void)
{
    int fd = ct_open_iommufd();

    RET(VFIO_API_VERSION, ct_ioctl(fd, VFIO_GET_API_VERSION, NULL));
}

/* iommufd_object_remove() */
static void destroy_unknown(void)
{
    int fd = ct_open_iommufd();
    uint32_t id = ct_ioas(fd);

    RET(-ENOENT, ct_destroy(fd, 0));
    RET(-ENOENT, ct_destroy(fd, CT_NO_ID));
    RET(-ENOENT, ct_destroy(fd, UINT32_MAX));
    RET(0, ct_destroy(fd, id));
    RET(-ENOENT, ct_destroy(fd, id));
}

/* _iommufd_object_alloc(): xa_alloc() from 1, the lowest that is free */
static void id_reuse(void)
{
    int fd = ct_open_iommufd();
    uint32_t a = ct_ioas(fd), b = ct_ioas(fd), c = ct_ioas(fd), again;

    EQ(1, a);
    EQ(2, b);
    EQ(3, c);
    RET(0, ct_destroy(fd, b));
    RET(0, ct_ioas_alloc(fd, &again));
    EQ(b, again);
}

/* iommufd_fops_open(): each open has its own objects */
static void contexts(void)
{
    int one = ct_open_iommufd(), two = ct_open_iommufd();
    uint32_t a = ct_ioas(one), b = ct_ioas(one);

    EQ(1, a);
    EQ(2, b);
    RET(-ENOENT, ct_destroy(two, b));
    EQ(1, ct_ioas(two));
    RET(0, ct_destroy(two, 1));
    RET(0, ct_destroy(one, 1));
}

/* A failing handler leaves no object behind: iommufd_ioas_alloc_ioctl() */
static void failed_respond(void)
{
    int fd = ct_open_iommufd();
    struct iommu_ioas_alloc *cmd = ct_mem(ct_page());
    uint32_t id;

    cmd->size = sizeof(*cmd);
    OK(!mprotect(cmd, ct_page(), PROT_READ));
    RET(-EFAULT, ct_ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
    RET(0, ct_ioas_alloc(fd, &id));
    EQ(1, id);
}

/* iommufd_fops_mmap(): nothing was handed out that could be mapped */
static void mmap_iommufd(void)
{
    int fd = ct_open_iommufd();
    size_t page = ct_page();
    void *p;

    p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    RET(-ENXIO, p == MAP_FAILED ? -errno : 0);
    p = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
    p = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    RET(-EPERM, p == MAP_FAILED ? -errno : 0);
}

/* iommufd_fops has neither read nor write */
static void read_iommufd(void)
{
    int fd = ct_open_iommufd();
    char c = 0;

    RET(-EINVAL, ct_read(fd, &c, 1));
    RET(-EINVAL, ct_write(fd, &c, 1));
}

static const CtScenario scenarios[] = {
    { "a structure that is too short", size_short, 0 },
    { "a longer structure with bytes in use", size_long_used, 0 },
    { "a longer structure with zero bytes", size_long_zero, 0 },
    { "the answer stays inside the structure", size_respond, 0 },
    { "a bad pointer", bad_pointer, 0 },
    { "the whole ioctl number counts", encoding, 0 },
    { "unknown ioctl numbers", unknown_number, 0 },
    { "the version of the group interface", vfio_version, 0 },
    { "destroying what does not exist", destroy_unknown, 0 },
    { "ids are the lowest free ones", id_reuse, 0 },
    { "each open has objects of its own", contexts, 0 },
    { "an answer that cannot be stored undoes the call", failed_respond, 0 },
    { "mmap of /dev/iommu", mmap_iommufd, 0 },
    { "read and write of /dev/iommu", read_iommufd, 0 },
};

CT_GROUP(ct_group_abi, "abi");
