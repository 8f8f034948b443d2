/*
 * A kernel for unit tests of the nested IOMMU core
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

typedef enum ObjType {
    OBJ_PARENT,
    OBJ_HWPT,
    OBJ_VIOMMU,
    OBJ_VDEVICE,
    OBJ_FAULT,
    OBJ_VEVENTQ,
    OBJ_IOAS,
    OBJ_HW_QUEUE,
} ObjType;

typedef struct Obj {
    ObjType type;
    uint32_t flags;
    unsigned users;
    uint32_t refs[2];           /* objects this one holds */
    uint32_t dev_id;            /* vDEVICE */
    uint32_t label;             /* vDEVICE */
} Obj;

struct QEMUTimerFake {
    QEMUTimerCB *cb;
    void *opaque;
    bool guest;
    int64_t at;                 /* -1: not set */
};

#define FD_FIRST 1000

typedef struct Queue {
    uint32_t obj;
    IOHandler *handler;
    void *opaque;
    bool open;
    GQueue chunks;              /* of GBytes, one for each group or event */
} Queue;

Fake fake;

static GHashTable *objs;        /* id -> Obj */
static GHashTable *attached;    /* dev_id << 32 | pasid -> id */
static GHashTable *groups;      /* dev_id -> IOMMU group; not there: none */
static GHashTable *answers;     /* cookie -> code + 1 */
static GPtrArray *queues;       /* of Queue; fd is the index + FD_FIRST */
static GPtrArray *timers;
static GPtrArray *bottom_halves;
static uint32_t next_id, next_dev_id;
static IOMMUFDBackend backend = { .fd = 77 };

static Obj *obj_find(uint32_t id)
{
    return g_hash_table_lookup(objs, GUINT_TO_POINTER(id));
}

static uint32_t obj_new(ObjType type, uint32_t ref0, uint32_t ref1)
{
    Obj *obj = g_new0(Obj, 1);
    uint32_t refs[2] = { ref0, ref1 };

    obj->type = type;
    for (int i = 0; i < 2; i++) {
        if (refs[i]) {
            g_assert_nonnull(obj_find(refs[i]));
            obj_find(refs[i])->users++;
            obj->refs[i] = refs[i];
        }
    }
    g_hash_table_insert(objs, GUINT_TO_POINTER(next_id), obj);
    return next_id++;
}

int fake_call(FakeCall kind)
{
    fake.calls[kind]++;
    fake.total++;
    if (fake.fail_at && fake.fail_at == fake.total) {
        fake.has_failed = true;
        fake.failed = kind;
        return -fake.fail_errno;
    }
    return 0;
}

static uint64_t att_key(uint32_t dev_id, uint32_t pasid)
{
    return (uint64_t)dev_id << 32 | pasid;
}

static void att_put(uint64_t key)
{
    uint32_t id = GPOINTER_TO_UINT(g_hash_table_lookup(attached, &key));

    if (id) {
        obj_find(id)->users--;
        g_hash_table_remove(attached, &key);
    }
}

uint32_t fake_ioas_of(uint32_t hwpt)
{
    return obj_find(hwpt)->refs[0];
}

static bool hwpt_asks(gpointer id)
{
    return id && (obj_find(GPOINTER_TO_UINT(id))->flags &
                  IOMMU_HWPT_FAULT_ID_VALID);
}

/* Before what is attached there becomes @pt_id; 0: nothing */
static void att_leave(uint64_t key, uint32_t pt_id)
{
    bool last = !hwpt_asks(GUINT_TO_POINTER(pt_id));
    gpointer old = g_hash_table_lookup(attached, &key);
    GHashTableIter iter;
    gpointer other, id;

    if (!hwpt_asks(old) || GPOINTER_TO_UINT(old) == pt_id) {
        return;
    }
    g_hash_table_iter_init(&iter, attached);
    while (g_hash_table_iter_next(&iter, &other, &id)) {
        last &= *(uint64_t *)other == key ||
                *(uint64_t *)other >> 32 != key >> 32 || !hwpt_asks(id);
    }
    fake_asked_leave(key >> 32, key, last);
}

/* Drops the reference, too */
static gboolean att_is_of(gpointer key, gpointer id, gpointer dev_id)
{
    if (*(uint64_t *)key >> 32 != *(uint32_t *)dev_id) {
        return false;
    }
    obj_find(GPOINTER_TO_UINT(id))->users--;
    return true;
}

static void queue_free(gpointer p)
{
    Queue *q = p;

    g_queue_clear_full(&q->chunks, (GDestroyNotify)g_bytes_unref);
    g_free(q);
}

unsigned fake_objects(void)
{
    GHashTableIter iter;
    gpointer value;
    unsigned num = 0;

    g_hash_table_iter_init(&iter, objs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        num += ((Obj *)value)->type != OBJ_PARENT;
    }
    return num - fake.stuck;
}

void fake_reset(void)
{
    if (objs) {
        g_assert_cmpuint(fake_objects(), ==, 0);
        g_assert_cmpuint(fake.freed, ==, 0);
        for (guint i = 0; i < queues->len; i++) {
            g_assert_false(((Queue *)g_ptr_array_index(queues, i))->open);
        }
        g_assert_cmpuint(timers->len, ==, 0);
        g_assert_cmpuint(bottom_halves->len, ==, 0);
        g_hash_table_destroy(objs);
        g_hash_table_destroy(attached);
        g_hash_table_destroy(groups);
        g_hash_table_destroy(answers);
        g_ptr_array_free(queues, true);
        g_ptr_array_free(timers, true);
        g_ptr_array_free(bottom_halves, true);
        g_string_free(fake.told, true);
    }
    memset(&fake, 0, sizeof(fake));
    fake.told = g_string_new(NULL);
    fake_asked_reset();
    objs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    attached = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                     NULL);
    groups = g_hash_table_new(NULL, NULL);
    answers = g_hash_table_new(NULL, NULL);
    queues = g_ptr_array_new_with_free_func(queue_free);
    timers = g_ptr_array_new();
    bottom_halves = g_ptr_array_new();
    next_id = 1;
    next_dev_id = 500;
}

uint32_t fake_parent(uint32_t flags)
{
    uint32_t id = obj_new(OBJ_PARENT, 0, 0);

    obj_find(id)->flags = flags;
    return id;
}

HostIOMMUDeviceIOMMUFD *fake_device(const char *name, uint32_t parent)
{
    HostIOMMUDeviceIOMMUFD *idev = HOST_IOMMU_DEVICE_IOMMUFD(
        object_new(TYPE_HOST_IOMMU_DEVICE_IOMMUFD));

    HOST_IOMMU_DEVICE(idev)->name = g_strdup(name);
    idev->iommufd = &backend;
    idev->devid = next_dev_id++;
    idev->hwpt_id = parent;
    g_assert_cmpint(iommufd_sys_attach(idev, IOMMUFD_NESTED_RID, parent),
                    ==, 0);
    fake.calls[FAKE_ATTACH] = 0;
    fake.total = 0;
    return idev;
}

void fake_device_free(HostIOMMUDeviceIOMMUFD *idev)
{
    /* Closing the fd detaches all; a vDEVICE must be gone by then, if it can */
    if (fake_label(idev) != UINT32_MAX) {
        g_assert_true(fake.has_failed && fake.failed == FAKE_DESTROY);
        fake.stuck++;
    }
    g_hash_table_foreach_remove(attached, att_is_of, &idev->devid);
    object_unref(OBJECT(idev));
}

uint32_t fake_attached(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid)
{
    uint64_t key = att_key(idev->devid, pasid);

    return GPOINTER_TO_UINT(g_hash_table_lookup(attached, &key));
}

uint32_t fake_label(HostIOMMUDeviceIOMMUFD *idev)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, objs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Obj *obj = value;

        if (obj->type == OBJ_VDEVICE && obj->dev_id == idev->devid) {
            return obj->label;
        }
    }
    return UINT32_MAX;
}

/* ------------------------------------------------------------------------ */

int iommufd_sys_hw_info(int iommufd, uint32_t dev_id,
                        IOMMUFDNestedHostInfo *info)
{
    info->type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
    info->caps = IOMMU_HW_CAP_DIRTY_TRACKING;
    info->max_pasid_log2 = 20;
    info->vendor.vtd.cap_reg = 0x1234;
    return 0;
}

uint32_t iommufd_sys_lacks(HostIOMMUDeviceIOMMUFD *idev)
{
    return 0;
}

uint32_t iommufd_sys_parent_flags(HostIOMMUDeviceIOMMUFD *idev)
{
    return obj_find(idev->hwpt_id)->flags;
}

int iommufd_sys_ioas_alloc(int iommufd, uint32_t *id)
{
    int ret = fake_call(FAKE_IOAS_ALLOC);

    if (!ret) {
        *id = obj_new(OBJ_IOAS, 0, 0);
    }
    return ret;
}

int iommufd_sys_hwpt_alloc(int iommufd, uint32_t dev_id, uint32_t pt_id,
                           uint32_t flags, uint32_t fault_id,
                           uint32_t data_type, const void *data,
                           uint32_t data_len, uint32_t *id)
{
    bool fault = flags & IOMMU_HWPT_FAULT_ID_VALID;
    int ret = fake_call(FAKE_HWPT_ALLOC);

    g_assert_cmpint(iommufd, ==, backend.fd);
    if (!ret) {
        *id = obj_new(OBJ_HWPT, pt_id, fault ? fault_id : 0);
        obj_find(*id)->flags = flags;
    }
    return ret;
}

int iommufd_sys_viommu_alloc(int iommufd, uint32_t type, uint32_t dev_id,
                             uint32_t parent_id, void *data, uint32_t data_len,
                             uint32_t *id)
{
    int ret = fake_call(FAKE_VIOMMU_ALLOC);

    if (!ret) {
        *id = obj_new(OBJ_VIOMMU, parent_id, 0);
        fake_vintf(*id, data, data_len);
    }
    return ret;
}

uint32_t fake_hw_queue(uint32_t viommu_id, uint32_t before)
{
    return obj_new(OBJ_HW_QUEUE, viommu_id, before);
}

void fake_hold(uint32_t id, int by)
{
    obj_find(id)->users += by;
}

int iommufd_sys_vdevice_alloc(int iommufd, uint32_t viommu_id, uint32_t dev_id,
                              uint64_t label, uint32_t *id)
{
    GHashTableIter iter;
    gpointer value;
    int ret = fake_call(FAKE_VDEVICE_ALLOC);

    if (ret) {
        return ret;
    }
    g_hash_table_iter_init(&iter, objs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Obj *obj = value;

        if (obj->type == OBJ_VDEVICE &&
            (obj->dev_id == dev_id ||
             (obj->label == label && obj->refs[0] == viommu_id))) {
            return -EEXIST;
        }
    }
    *id = obj_new(OBJ_VDEVICE, viommu_id, 0);
    obj_find(*id)->dev_id = dev_id;
    obj_find(*id)->label = label;
    return 0;
}

static int queue_alloc(FakeCall kind, ObjType type, uint32_t ref, uint32_t *id,
                       int *fd)
{
    int ret = fake_call(kind);
    Queue *q;

    if (!ret) {
        q = g_new0(Queue, 1);
        *id = obj_new(type, ref, 0);
        obj_find(*id)->users++;     /* by the fd */
        q->obj = *id;
        q->open = true;
        g_queue_init(&q->chunks);
        g_ptr_array_add(queues, q);
        *fd = FD_FIRST + queues->len - 1;
    }
    return ret;
}

int iommufd_sys_fault_alloc(int iommufd, uint32_t *id, int *fd)
{
    return queue_alloc(FAKE_FAULT_ALLOC, OBJ_FAULT, 0, id, fd);
}

int iommufd_sys_veventq_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                              uint32_t depth, uint32_t *id, int *fd)
{
    return queue_alloc(FAKE_VEVENTQ_ALLOC, OBJ_VEVENTQ, viommu_id, id, fd);
}

int iommufd_sys_destroy(int iommufd, uint32_t id)
{
    Obj *obj = obj_find(id);
    int ret = fake_call(FAKE_DESTROY);

    g_assert_nonnull(obj);
    /* A wrong order is a defect of the core, unless the right one failed */
    if (obj->users) {
        g_assert_true(fake.has_failed && (fake.failed == FAKE_DETACH ||
                                          fake.failed == FAKE_DESTROY));
        fake.stuck++;
        return -EBUSY;
    }
    /* In stage 1 a device needs its label */
    if (obj->type == OBJ_VDEVICE) {
        uint64_t key = att_key(obj->dev_id, IOMMUFD_NESTED_RID);
        Obj *hwpt = obj_find(GPOINTER_TO_UINT(g_hash_table_lookup(attached,
                                                                  &key)));

        g_assert_true(!hwpt || hwpt->type == OBJ_PARENT ||
                      (fake.has_failed && fake.failed == FAKE_DETACH));
    }
    /* A vDEVICE is tried again */
    if (ret && obj->type == OBJ_VDEVICE) {
        return ret;
    }
    if (obj->type == OBJ_IOAS) {
        fake_ioas_drop(id);
    }
    if (obj->type == OBJ_HW_QUEUE) {
        fake_hw_queue_gone(id);
    }
    /* Nothing else is: what failed here is gone all the same */
    for (int i = 0; i < 2; i++) {
        if (obj->refs[i]) {
            obj_find(obj->refs[i])->users--;
        }
    }
    g_hash_table_remove(objs, GUINT_TO_POINTER(id));
    return ret;
}

int64_t iommufd_sys_group(HostIOMMUDeviceIOMMUFD *idev)
{
    gpointer group = g_hash_table_lookup(groups,
                                         GUINT_TO_POINTER(idev->devid));

    return group ? (int64_t)GPOINTER_TO_UINT(group) : -1;
}

void fake_group(HostIOMMUDeviceIOMMUFD *idev, uint32_t group)
{
    g_hash_table_insert(groups, GUINT_TO_POINTER(idev->devid),
                        GUINT_TO_POINTER(group));
}

static void att_get(uint64_t key, uint32_t pt_id)
{
    att_leave(key, pt_id);
    obj_find(pt_id)->users++;
    att_put(key);
    g_hash_table_insert(attached, g_memdup2(&key, sizeof(key)),
                        GUINT_TO_POINTER(pt_id));
}

/* As iommufd_hw_pagetable_attach() and iommufd_device_do_replace() */
static int group_attach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                        uint32_t pt_id)
{
    int64_t group = iommufd_sys_group(idev);
    bool replace = fake_attached(idev, pasid);
    GHashTableIter iter;
    gpointer dev_id, value;

    g_hash_table_iter_init(&iter, groups);
    while (g_hash_table_iter_next(&iter, &dev_id, &value)) {
        uint64_t key = att_key(GPOINTER_TO_UINT(dev_id), pasid);
        uint32_t id = GPOINTER_TO_UINT(g_hash_table_lookup(attached, &key));

        if (GPOINTER_TO_UINT(value) != group || !id || id == pt_id) {
            continue;
        }
        if (!replace) {
            return -EINVAL;
        }
        att_get(key, pt_id);
    }
    return 0;
}

int iommufd_sys_attach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                       uint32_t pt_id)
{
    int ret = fake_call(FAKE_ATTACH);

    if (ret) {
        return ret;
    }
    if (fake.busy) {
        fake.busy--;
        return -EBUSY;
    }
    g_assert_nonnull(obj_find(pt_id));
    if (pasid != IOMMUFD_NESTED_RID &&
        !(obj_find(pt_id)->flags & IOMMU_HWPT_ALLOC_PASID)) {
        return -EINVAL;
    }
    if (fake.no_page_requests &&
        (obj_find(pt_id)->flags & IOMMU_HWPT_FAULT_ID_VALID)) {
        return -ENODEV;
    }
    ret = group_attach(idev, pasid, pt_id);
    if (!ret) {
        att_get(att_key(idev->devid, pasid), pt_id);
    }
    return ret;
}

int iommufd_sys_detach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid)
{
    int ret = fake_call(FAKE_DETACH);

    if (!ret) {
        att_leave(att_key(idev->devid, pasid), 0);
        att_put(att_key(idev->devid, pasid));
    }
    return ret;
}

int iommufd_sys_invalidate(int iommufd, uint32_t id, uint32_t type,
                           uint32_t len, uint32_t *num, void *entries)
{
    uint32_t done = *num;
    int ret = fake_call(FAKE_INVALIDATE);

    g_assert_cmpuint(len, ==, FAKE_ENTRY_LEN);
    g_assert_nonnull(obj_find(id));
    if (ret) {
        return ret;             /* as early errors: *num as it was */
    }
    if (fake.num_script) {
        done = MIN(done, fake.script[0].done);
        ret = fake.script[0].ret;
        memmove(&fake.script[0], &fake.script[1],
                sizeof(fake.script) - sizeof(fake.script[0]));
        fake.num_script--;
    }
    for (uint32_t i = 0; i < done; i++) {
        g_assert_cmpuint(fake.num_sent, <, FAKE_SENT_MAX);
        fake.sent[fake.num_sent].id = id;
        memcpy(&fake.sent[fake.num_sent].entry,
               (uint8_t *)entries + i * len, len);
        fake.num_sent++;
    }
    *num = done;
    return ret;
}

/* ------------------------------------------------------------------------ */

static Queue *queue_of(int fd)
{
    Queue *q;

    g_assert_cmpint(fd, >=, FD_FIRST);
    g_assert_cmpint(fd - FD_FIRST, <, queues->len);
    q = g_ptr_array_index(queues, fd - FD_FIRST);
    g_assert_true(q->open);
    return q;
}

ssize_t iommufd_sys_read(int fd, void *buf, size_t len)
{
    Queue *q = queue_of(fd);
    ssize_t done = 0;
    int ret = fake_call(FAKE_READ);
    GBytes *chunk;

    if (ret) {
        return ret;
    }
    while ((chunk = g_queue_peek_head(&q->chunks))) {
        gsize size = g_bytes_get_size(chunk);

        if (size > len - done) {
            return done ? done : -EINVAL;
        }
        memcpy((uint8_t *)buf + done, g_bytes_get_data(chunk, NULL), size);
        done += size;
        g_bytes_unref(g_queue_pop_head(&q->chunks));
    }
    return done;
}

ssize_t iommufd_sys_write(int fd, const void *buf, size_t len)
{
    const struct iommu_hwpt_page_response *resp = buf;
    int ret = queue_of(fd) ? fake_call(FAKE_WRITE) : -EBADF;

    for (size_t i = 0; !ret && i < len / sizeof(*resp); i++) {
        if (resp[i].cookie == fake.answered) {
            return i ? i * sizeof(*resp) : -EINVAL;
        }
        fake_asked_end(resp[i].cookie);
        g_assert_true(g_hash_table_insert(answers,
                                          GUINT_TO_POINTER(resp[i].cookie),
                                          GUINT_TO_POINTER(resp[i].code + 1)));
    }
    return ret ? ret : len;
}

void iommufd_sys_close(int fd)
{
    Queue *q = queue_of(fd);

    g_assert_null(q->handler);
    q->open = false;
    obj_find(q->obj)->users--;
}

void iommufd_sys_watch(int fd, IOHandler *read, void *opaque)
{
    Queue *q = queue_of(fd);

    q->handler = read;
    q->opaque = opaque;
}

void fake_push(int fd, const void *data, size_t len)
{
    g_queue_push_tail(&queue_of(fd)->chunks, g_bytes_new(data, len));
}

bool fake_readable(int fd)
{
    Queue *q = queue_of(fd);
    IOHandler *handler = q->handler;

    if (handler) {
        handler(q->opaque);
    }
    return handler;
}

static int queue_fd(ObjType type)
{
    for (guint i = 0; i < queues->len; i++) {
        Queue *q = g_ptr_array_index(queues, i);

        if (q->open && obj_find(q->obj)->type == type) {
            return FD_FIRST + i;
        }
    }
    return -1;
}

int fake_fault_fd(void)
{
    return queue_fd(OBJ_FAULT);
}

int fake_veventq_fd(void)
{
    return queue_fd(OBJ_VEVENTQ);
}

int fake_answer(uint32_t cookie)
{
    gpointer key = GUINT_TO_POINTER(cookie);
    int code = GPOINTER_TO_INT(g_hash_table_lookup(answers, key)) - 1;

    g_hash_table_remove(answers, key);
    return code;
}

/* ------------------------------------------------------------------------ */

int64_t iommufd_sys_now(bool guest)
{
    return fake.now[guest];
}

int64_t iommufd_sys_ns(void)
{
    return fake.now[false] * SCALE_MS;
}

void iommufd_sys_tell_blocked(const char *iommu, const char *device,
                              uint32_t num, uint32_t pasid, const char *reason)
{
    g_string_append_printf(fake.told, "%s: %s: %" PRIu32 ", %d: %s\n", iommu,
                           device, num, (int)pasid, reason);
}

void iommufd_sys_tell_unblocked(const char *iommu, const char *device)
{
    g_string_append_printf(fake.told, "%s: %s\n", iommu, device);
}

/* The core never looks into a timer: ours are of another type */
QEMUTimer *iommufd_sys_timer_new(bool guest, QEMUTimerCB *cb, void *opaque)
{
    struct QEMUTimerFake *t = g_new0(struct QEMUTimerFake, 1);

    t->guest = guest;
    t->cb = cb;
    t->opaque = opaque;
    t->at = -1;
    g_ptr_array_add(timers, t);
    return (QEMUTimer *)t;
}

void iommufd_sys_timer_set(QEMUTimer *timer, int64_t ms)
{
    ((struct QEMUTimerFake *)timer)->at = ms;
}

void iommufd_sys_timer_stop(QEMUTimer *timer)
{
    ((struct QEMUTimerFake *)timer)->at = -1;
}

void iommufd_sys_timer_free(QEMUTimer *timer)
{
    g_ptr_array_remove(timers, timer);
    g_free(timer);
}

void fake_advance(bool guest, int64_t ms)
{
    int64_t end = fake.now[guest] + ms;

    for (;;) {
        struct QEMUTimerFake *next = NULL;

        for (guint i = 0; i < timers->len; i++) {
            struct QEMUTimerFake *t = g_ptr_array_index(timers, i);

            if (t->guest == guest && t->at >= 0 && t->at <= end &&
                (!next || t->at < next->at)) {
                next = t;
            }
        }
        if (!next) {
            break;
        }
        fake.now[guest] = MAX(fake.now[guest], next->at);
        next->at = -1;
        next->cb(next->opaque);
    }
    fake.now[guest] = end;
}

/* The core never looks into one of these either */
typedef struct BottomHalfFake {
    QEMUBHFunc *cb;
    void *opaque;
    bool scheduled;
} BottomHalfFake;

QEMUBH *iommufd_sys_bh_new(QEMUBHFunc *cb, void *opaque,
                           MemReentrancyGuard *guard)
{
    BottomHalfFake *bh = g_new0(BottomHalfFake, 1);

    bh->cb = cb;
    bh->opaque = opaque;
    g_ptr_array_add(bottom_halves, bh);
    return (QEMUBH *)bh;
}

void iommufd_sys_bh_schedule(QEMUBH *bh)
{
    ((BottomHalfFake *)bh)->scheduled = true;
}

void iommufd_sys_bh_free(QEMUBH *bh)
{
    g_ptr_array_remove(bottom_halves, bh);
    g_free(bh);
}

void iommufd_sys_at_exit(void (*fn)(void))
{
}

bool fake_main_loop(void)
{
    bool any = false;

    for (guint i = 0; i < bottom_halves->len; i++) {
        BottomHalfFake *bh = g_ptr_array_index(bottom_halves, i);

        if (bh->scheduled) {
            bh->scheduled = false;
            any = true;
            bh->cb(bh->opaque);
        }
    }
    return any;
}

static const TypeInfo fake_types[] = {
    {
        .name = TYPE_HOST_IOMMU_DEVICE_IOMMUFD,
        .parent = TYPE_HOST_IOMMU_DEVICE,
        .instance_size = sizeof(HostIOMMUDeviceIOMMUFD),
        .class_size = sizeof(HostIOMMUDeviceIOMMUFDClass),
    },
};

DEFINE_TYPES(fake_types)
