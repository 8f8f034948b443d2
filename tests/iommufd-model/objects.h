/*
 * Model of /dev/iommu: what the object side shares within itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Functions expect mdl_lock to be held unless they say otherwise.
 */

#ifndef IOMMUFD_MODEL_OBJECTS_H
#define IOMMUFD_MODEL_OBJECTS_H

#include <sys/types.h>
#include <errno.h>
#include "model.h"
#include "hw.h"

#define MDL_SIZEOF_TO(type, last) \
    (offsetof(type, last) + sizeof(((type *)0)->last))
#define MDL_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MDL_EXPORT __attribute__((visibility("default")))

/* ------------------------------------------------------ configuration */

typedef struct MdlConfig {
    bool active;                        /* false: no configuration, inert */
    char *journal;
    char *socket;
    char *run_dir;                      /* NULL: a private one is made */
    uint64_t seed;
} MdlConfig;

extern MdlConfig mdl_config;

/* Reads the environment; a bad configuration ends the process */
void mdl_config_load(void);

/* vhost.c: is it a call of a vhost device that is modelled? */
bool mdl_vhost_knows(unsigned long req);
int mdl_vhost_ioctl(unsigned long req, void *arg);

/* ------------------------------------------------- entry into the model */

/*
 * Between the two, libc calls of this thread go straight to libc, and
 * mdl_lock is held.  Not recursive.
 */
void mdl_enter(void);
void mdl_leave(void);
bool mdl_inside(void);

/* The process that uses the model; others keep out of its files */
extern pid_t mdl_pid;

/*
 * Before the first iommufd or device is opened: a child of fork() becomes
 * the owner of journal, socket and tree; who had lent the socket to a
 * helper takes it back.
 */
void mdl_take_over(void);

/* -------------------------------------------------------- user memory */

/* 0 or -EFAULT; no lock needed */
int mdl_copy_from(void *dst, const void *src, size_t len);
int mdl_copy_to(void *dst, const void *src, size_t len);
/* Sets bits; those of pages that cannot be written are lost */
void mdl_or_to(void *dst, const uint8_t *bits, size_t len);
int mdl_clear_user(void *dst, size_t len);

/**
 * mdl_copy_struct: the kernel's copy_struct_from_user().
 * Short input is padded with zeroes; bytes beyond @ksize must be zero
 * (-E2BIG).
 */
int mdl_copy_struct(void *dst, size_t ksize, const void *src, size_t usize);

/* Where to map, with MAP_FIXED if it is not for the kernel to choose */
void *mdl_page_place(void *addr, size_t len, int *flags);
/* Lines of /proc/self/maps in order, until @line returns false */
void mdl_maps_walk(bool (*line)(const char *text, void *opaque),
                   void *opaque);
/* Could the host pin this?  -EFAULT when not mapped or not writeable */
int mdl_check_pin(uint64_t va, uint64_t len, bool write);

/* ------------------------------------------------------ files and fds */

typedef enum MdlFileKind {
    MDL_FILE_CTX,
    MDL_FILE_DEVICE,
    MDL_FILE_FAULT,
    MDL_FILE_VEVENTQ,
    MDL_FILE_MIGRATION,
    MDL_FILE_DMABUF,
    MDL_FILE_GROUP,
} MdlFileKind;

typedef struct MdlDmabuf MdlDmabuf;

/* What a descriptor (and its duplicates) stands for */
typedef struct MdlFile {
    MdlFileKind kind;
    unsigned fds;                       /* descriptors that name it */
    dev_t st_dev;
    ino_t st_ino;
    int64_t pos;                        /* device: for read() and write() */
    bool rid, pasid0;                   /* device: vfio attached these */
    MdlCtx *ctx;                        /* device: while bound */
    MdlDevice *dev;                     /* group: its first one */
    MdlFaultQueue *fault;
    MdlVeventq *veventq;
    MdlMigStream *migration;
    MdlDmabuf *dmabuf;
} MdlFile;

#define MDL_MAX_FDS (1 << 20)

/* Cheap and lock-free: may be true for a descriptor of another file */
bool mdl_fd_maybe(int fd);
bool mdl_fd_any(void);
bool mdl_fd_is_open(int fd);
MdlFile *mdl_fd_file(int fd);
void mdl_fd_install(int fd, MdlFile *file);
void mdl_fd_dup(int old_fd, int new_fd);
/* Forgets @fd; the last one releases the file */
void mdl_fd_drop(int fd);
/* Forgets everything without releasing: the other side of a fork() */
void mdl_fd_forget_all(void);
/* A descriptor another process opened in the run directory, or NULL */
MdlFile *mdl_fd_adopt(int fd);
/* Moves a descriptor of the library out of the program's way */
int mdl_fd_private(int fd);
bool mdl_fd_is_private(int fd);
void mdl_fd_close_private(int fd);

/* New descriptors; -errno on failure.  @flags: O_CLOEXEC, O_NONBLOCK */
int mdl_open_iommu(int flags);
int mdl_open_device(MdlDevice *dev, int flags);
int mdl_open_group(MdlDevice *dev, int flags);

/* Mark at a fixed offset of a file that stands for an iommufd or device */
int mdl_mark_file(int fd, MdlDevice *dev);

/* ------------------------------------------------------- sysfs and /dev */

/* Major number of vfio-dev; the minor is MdlDevice.vfio_index */
#define MDL_VFIO_MAJOR 511
/* Of groups; the minor is the group */
#define MDL_GROUP_MAJOR 510
#define MDL_IOMMU_MAJOR 10
#define MDL_IOMMU_MINOR 124

/*
 * The path to use instead of @path: @path itself when it is none of ours,
 * or @buf.  @node tells what an iommufd's or a device's path stands for;
 * for @opening that is all there is to know.
 */
typedef struct MdlNode {
    enum { MDL_NODE_NONE, MDL_NODE_IOMMU, MDL_NODE_DEVICE,
           MDL_NODE_GROUP } kind;
    MdlDevice *dev;
} MdlNode;

const char *mdl_path(const char *path, char *buf, size_t len, MdlNode *node,
                     bool opening);
const char *mdl_run_dir(void);          /* makes the tree when needed */
void mdl_tree_forget(void);
void mdl_tree_remove(void);

/* ------------------------------------------------------------- objects */

struct MdlCtx {
    unsigned index;
    unsigned refs;                      /* open files, bound devices, queues */
    MdlObj **objs;                      /* by id; see MDL_TOMBSTONE */
    uint32_t nr_objs;
    MdlIoas *vfio_ioas;
    bool account_mm;
    MdlCtx *next;
};

/* An id that stays lost until its context closes */
#define MDL_TOMBSTONE ((MdlObj *)1)

extern MdlCtx *mdl_ctxs;

MdlCtx *mdl_ctx_new(void);
void mdl_ctx_get(MdlCtx *ctx);
void mdl_ctx_put(MdlCtx *ctx);

int mdl_obj_add(MdlCtx *ctx, MdlObj *obj, MdlObjType type);
/* The id becomes free again, or lost when @tombstone */
void mdl_obj_remove(MdlObj *obj, bool tombstone);
/* NULL: no such id, or another type (MDL_OBJ_NONE takes any) */
MdlObj *mdl_obj_get(MdlCtx *ctx, uint32_t id, MdlObjType type);
/* Ends a live object that nobody uses and frees it */
void mdl_obj_destroy(MdlObj *obj);
const char *mdl_obj_type_name(MdlObjType type);

/* One ioctl under way */
typedef struct MdlCmd {
    MdlCtx *ctx;
    int fd;
    void *uptr;
    uint32_t user_size;
    void *arg;                          /* kernel-side copy */
    size_t size;
    int limit;                          /* entries before @limit_err, or -1 */
    int limit_err;
    uint64_t entries;                   /* for counters */
    char note[512];                     /* JSON members for the journal */
    size_t note_len;
} MdlCmd;

int mdl_cmd_respond(MdlCmd *cmd);
void mdl_cmd_note(MdlCmd *cmd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Entry points of ioctl(2) and of read/write; take the lock themselves */
int mdl_ioctl(int fd, unsigned long req, void *arg);
ssize_t mdl_rw(int fd, void *buf, size_t len, int64_t offset, bool positioned,
               bool write);
/*
 * mmap(2): 0 when the kernel may do it, of @fd and @offset as they are then.
 * @page0: set to whose page 0 it is; mdl_cmdqv_mapped() has to follow
 */
int mdl_mmap_check(int *fd, size_t len, int prot, int flags, int64_t *offset,
                   MdlViommu **page0);

int mdl_iommufd_ioctl(MdlCmd *cmd, unsigned long req);
const char *mdl_iommufd_name(unsigned long req);
int mdl_vfio_ioctl(MdlFile *file, MdlCmd *cmd, unsigned long req);
const char *mdl_vfio_name(unsigned long req);
/* Copies the part of the argument a call cannot do without */
int mdl_vfio_copy_arg(const MdlCmd *cmd, void *arg, size_t minsz);
int mdl_vfio_feature(MdlFile *file, MdlCmd *cmd);
ssize_t mdl_vfio_rw(MdlFile *file, void *buf, size_t len, int64_t offset,
                    bool write);
int mdl_vfio_mmap(MdlFile *file, size_t len, bool shared, int *fd,
                  int64_t *offset);
void mdl_vfio_release(MdlFile *file);
int mdl_group_ioctl(MdlFile *file, MdlCmd *cmd, unsigned long req);
const char *mdl_group_name(unsigned long req);
int mdl_group_open(MdlDevice *first);
void mdl_group_release(MdlFile *file);
/* What an iommufd is asked as a container of VFIO */
int mdl_container_ioctl(MdlCmd *cmd, unsigned long req);

/*
 * Features of a device that can be migrated; @uptr is behind the header. Return
 * 0 or -errno.
 */
int mdl_migration_flags(MdlDevice *dev, void *uptr);
int mdl_migration_data_size(MdlDevice *dev, void *uptr);
int mdl_migration_state(MdlDevice *dev, void *uptr, bool set);
int mdl_dma_log_start(MdlDevice *dev, const void *uptr);
int mdl_dma_log_report(MdlDevice *dev, const void *uptr);
const char *mdl_migration_name(const MdlDevice *dev);   /* of the state */
ssize_t mdl_migration_read(MdlMigStream *stream, void *buf, size_t len);
ssize_t mdl_migration_write(MdlMigStream *stream, const void *buf, size_t len);
void mdl_migration_release(MdlMigStream *stream);

/* -------------------------------------------------- host (host.c) */

bool mdl_host_nested(const MdlIommu *iommu);
bool mdl_host_dirty(const MdlIommu *iommu);
uint32_t mdl_host_max_pasids(const MdlDevice *dev);
/* Registers when the configuration gave none; fills aw and the caps */
void mdl_host_defaults(MdlIommu *iommu, bool cap_given);
/* Is @hwpt, made for one IOMMU, good behind that of @dev?  0 or -EINVAL */
int mdl_host_compatible(const MdlHwpt *hwpt, const MdlDevice *dev);
/* VT-d: is there an id for @hwpt behind the IOMMU of @dev?  0 or -ENOSPC */
int mdl_host_domain_id(const MdlHwpt *hwpt, const MdlDevice *dev,
                       uint32_t pasid);
void mdl_host_paging(MdlHwpt *hwpt, MdlIommu *iommu, uint32_t flags,
                     int *err);
int mdl_cmd_hw_info(MdlCmd *cmd);

/* -------------------------------------------------- I/O address spaces */

struct MdlIova *mdl_iova_new(void);
void mdl_iova_free(struct MdlIova *iova);
int mdl_iova_add_domain(MdlIoas *ioas, MdlHwpt *hwpt);
void mdl_iova_remove_domain(MdlIoas *ioas, MdlHwpt *hwpt);
int mdl_iova_reserve_device(MdlIoas *ioas, MdlDevice *dev);
void mdl_iova_unreserve(MdlIoas *ioas, const void *owner);
uint64_t mdl_iova_alignment(MdlIoas *ioas);
unsigned mdl_iova_areas(MdlIoas *ioas);
/* Bytes that are pinned for domains; copies of a mapping share them */
uint64_t mdl_iova_pinned(void);
const MdlArea *mdl_iova_area(MdlIoas *ioas, unsigned i);

int mdl_cmd_ioas_alloc(MdlCmd *cmd);
int mdl_cmd_ioas_iova_ranges(MdlCmd *cmd);
int mdl_cmd_ioas_allow_iovas(MdlCmd *cmd);
int mdl_cmd_ioas_map(MdlCmd *cmd);
int mdl_cmd_ioas_map_file(MdlCmd *cmd);
int mdl_cmd_ioas_copy(MdlCmd *cmd);
int mdl_cmd_ioas_unmap(MdlCmd *cmd);
int mdl_cmd_ioas_change_process(MdlCmd *cmd);
int mdl_ioas_option(MdlIoas *ioas, uint16_t op, uint64_t *val);
void mdl_ioas_destroy(MdlIoas *ioas);

/* ------------------------------------------------------- BARs as dma-bufs */

/* A new descriptor, or -errno; @uptr is behind the header of the feature */
int mdl_dmabuf_get(MdlDevice *dev, const void *uptr);
/* What a descriptor stands for, or NULL */
MdlDmabuf *mdl_dmabuf_of(int fd);
/* 0: there is a reference more, for mdl_dmabuf_put() */
int mdl_dmabuf_map(MdlDmabuf *d, uint64_t start, uint64_t length);
void mdl_dmabuf_put(MdlDmabuf *d);
/* As mdl_ioas_rw() */
int mdl_dmabuf_rw(MdlDmabuf *d, uint64_t offset, void *buf, size_t len,
                  bool write);
/* Those of @dev are revoked, or may be mapped again */
void mdl_dmabuf_move(MdlDevice *dev, bool revoked);
/* @dev is closed: they are revoked for good */
void mdl_dmabuf_cleanup(MdlDevice *dev);
/* What is mapped of @d is unmapped, and stays so */
void mdl_iova_revoke(MdlDmabuf *d);

/* ---------------------------------------------------------------- HWPTs */

MdlHwpt *mdl_hwpt_paging_new(MdlCtx *ctx, MdlIoas *ioas, MdlDevice *dev,
                             uint32_t flags, int *err);
void mdl_hwpt_destroy(MdlHwpt *hwpt);
/*
 * What the driver checks when an HWPT meets a device; 0 or -errno
 * @late: set if it has torn down what there was before it finds that
 */
int mdl_hwpt_check_attach(MdlHwpt *hwpt, MdlDevice *dev, uint32_t pasid,
                          bool *late);
int mdl_cmd_hwpt_alloc(MdlCmd *cmd);
int mdl_cmd_hwpt_invalidate(MdlCmd *cmd);
int mdl_cmd_hwpt_set_dirty(MdlCmd *cmd);
int mdl_cmd_hwpt_get_dirty(MdlCmd *cmd);

/* Binding and attaching; @pasid as in the kernel: 0 is the RID */
int mdl_bind(MdlCtx *ctx, MdlDevice *dev);
void mdl_unbind(MdlDevice *dev);
/* Whose dev_id page requests of @dev's group have */
MdlDevice *mdl_attach_named(MdlDevice *dev, uint32_t pasid);
int mdl_attach(MdlDevice *dev, uint32_t pasid, uint32_t *pt_id);
int mdl_replace(MdlDevice *dev, uint32_t pasid, uint32_t *pt_id);
void mdl_detach(MdlDevice *dev, uint32_t pasid);
/* The driver answers @err from now on, as late as it can; 0: no more */
void mdl_attach_fail(int err);
bool mdl_is_attached(MdlDevice *dev, uint32_t pasid);
/* The two ends of mdl_device_reset() */
void mdl_reset_begin(MdlDevice *dev);
void mdl_reset_end(MdlDevice *dev);
bool mdl_group_in_ctx(unsigned group, MdlCtx *ctx);

/* -------------------------------------------- vIOMMUs, queues (events) */

int mdl_cmd_viommu_alloc(MdlCmd *cmd);
int mdl_cmd_vdevice_alloc(MdlCmd *cmd);
int mdl_cmd_hw_queue_alloc(MdlCmd *cmd);
void mdl_hw_queue_destroy(MdlHwQueue *q);
void mdl_viommu_destroy(MdlViommu *viommu);
void mdl_vdevice_destroy(MdlVdevice *vdev, bool tombstone);

int mdl_cmd_fault_alloc(MdlCmd *cmd);
int mdl_cmd_veventq_alloc(MdlCmd *cmd);
ssize_t mdl_fault_read(MdlFaultQueue *q, void *buf, size_t len);
ssize_t mdl_fault_write(MdlFaultQueue *q, const void *buf, size_t len);
ssize_t mdl_veventq_read(MdlVeventq *q, void *buf, size_t len);
void mdl_fault_destroy(MdlFaultQueue *q);
void mdl_veventq_destroy(MdlVeventq *q);
/* The last descriptor of a queue went away */
void mdl_queue_release(MdlFile *file);
/* The driver has freed what @dev has asked and nobody answered */
void mdl_fault_freed(MdlDevice *dev);
/* The kernel closes what the process has left open: devices first */
void mdl_queue_exit(void);
void mdl_queue_drop(unsigned n);
void mdl_queue_dup(unsigned n);

/* ------------------------------------------------ Tegra241 CMDQV (cmdqv.c) */

struct iommu_hw_info_tegra241_cmdqv;
int cmdqv_info(const MdlIommu *iommu,
               struct iommu_hw_info_tegra241_cmdqv *info);
/* Of a vIOMMU of its type: the VINTF; with the type's data in @cmd */
int mdl_cmdqv_viommu(MdlCmd *cmd, MdlViommu *viommu);
void mdl_cmdqv_fini(MdlViommu *viommu);
/* A StreamID for a vDEVICE, and back */
int mdl_cmdqv_vdevice(MdlViommu *viommu, const MdlDevice *dev,
                      uint64_t virt_id);
void mdl_cmdqv_vdevice_gone(MdlViommu *viommu);

/* Which vIOMMU's page 0 a mapping of an iommufd is about: a reference to it */
int mdl_cmdqv_mmap(MdlCtx *ctx, size_t len, int *fd, int64_t *offset,
                   MdlViommu **page0);
/*
 * It was mapped at @addr, or MAP_FAILED, which is returned; and something is
 * about to be unmapped, whatever is there. These take the lock themselves.
 */
void *mdl_cmdqv_mapped(MdlViommu *page0, void *addr);
void mdl_cmdqv_unmap(const void *addr, size_t len);

/* ---------------------------------------- faults on order, journal, socket */

typedef struct MdlFaultPlan {
    bool hit;
    int err;                            /* positive errno, or 0 */
    int partial;                        /* entries done before it, or -1 */
    bool late;                          /* mdl_attach_fail() */
    unsigned delay_ms;
} MdlFaultPlan;

/* Returns: NULL, or a static text that says what is wrong with @spec */
const char *mdl_inject_add(const char *spec);
void mdl_inject_clear(void);
MdlFaultPlan mdl_inject(const char *call);

void mdl_journal_take_over(void);
/* JSON members "CALL":{"calls":n,"errors":n,"entries":n},... */
size_t mdl_counters_format(char *out, size_t len);
/* Appends like snprintf and never past @len; returns the new offset */
size_t mdl_append(char *out, size_t len, size_t off, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

int iommufd_model_command(const char *json_in, char *out, size_t out_len);

void mdl_control_start(void);
void mdl_control_stop(void);
void mdl_control_forget(void);          /* the listener is the parent's */

MdlDevice *mdl_device_by_bdf(const char *bdf);

/* ------------------------------------------------- vf.c: who may have a VF */

/* 0, -EACCES, or -EINVAL: there is no need of one. @token: NULL: none given */
int mdl_vf_match(MdlDevice *dev, const uint8_t *token);
/* Whether it is a PF, with a token for its VFs */
bool mdl_vf_has_token(const MdlDevice *dev);
void mdl_vf_set_token(MdlDevice *pf, const uint8_t *token);
/* What stands behind the name of a device: a token, if @given, or -EINVAL */
int mdl_vf_options(const char *text, uint8_t *token, bool *given);

#endif
