/*
 * Model of /dev/iommu: pages that are pinned, and what they count
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device goes to the page that was there when it was mapped, whatever the
 * process has there since.  Pages cannot be held from here, so their contents
 * are: when the process gives a pinned page up, its contents become a ghost,
 * and the device's.  A fork() changes nothing: the child has the copy, see
 * copy_present_page().  Rules of Linux 7.3: drivers/iommu/iommufd/pages.c.
 */

#include "preload.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>
#include "iova.h"

#define PAGE        (mdl_host.page_size)
#define PAGE_MASK   (~(PAGE - 1))

/* Contents of pages that the process has no more */
struct MdlGhost {
    unsigned refs;
    char *base;
    size_t len;
};

static MdlPages *pinned;                /* those with pinned pages */
static uint64_t user_locked, mm_locked; /* pages that count, by mode */
/* All that is pinned lies between these; read without the lock */
static uint64_t lowest = UINT64_MAX, highest;

static uint64_t pages_in(uint64_t len)
{
    return (len + PAGE - 1) / PAGE;
}

/* ---------------------------------------------------------------- ghosts */

static MdlGhost *ghost_new(char *base, size_t len)
{
    MdlGhost *g = calloc(1, sizeof(*g));

    if (!g || base == MAP_FAILED) {
        abort();
    }
    *g = (MdlGhost) { .refs = 1, .base = base, .len = len };
    return g;
}

static MdlGhost *ghost_empty(size_t len)
{
    return ghost_new(mmap(NULL, len, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                     len);
}

static void ghost_put(MdlGhost *g)
{
    if (g && !--g->refs) {
        munmap(g->base, g->len);
        free(g);
    }
}

/* -------------------------------------------------------------- segments */

static void widen(uint64_t host, uint64_t length)
{
    if (host < lowest) {
        lowest = host;
    }
    if (host + length > highest) {
        highest = host + length;
    }
}

/* First address of the first page: mappings need not begin with one */
static uint64_t base_of(const MdlPages *p)
{
    return p->va & PAGE_MASK;
}

/* A boundary at @at, which is within @p or its end */
static void split(MdlPages *p, uint64_t at)
{
    unsigned i;

    for (i = 0; i < p->nr_segs; i++) {
        MdlSegment *s = &p->seg[i], *t;
        uint64_t head = at - s->start;

        if (at <= s->start || head >= s->length) {
            continue;
        }
        p->seg = realloc(p->seg, (p->nr_segs + 1) * sizeof(*p->seg));
        if (!p->seg) {
            abort();
        }
        s = &p->seg[i];
        t = s + 1;
        memmove(t, s, (p->nr_segs - i) * sizeof(*s));
        p->nr_segs++;
        t->start = at;
        t->length = s->length - head;
        t->host = s->host + head;
        s->length = head;
        if (t->ghost) {
            t->ghost->refs++;
        }
        return;
    }
}

/* [@start, @start + @len) of @p is at @host from now on */
static void move(MdlPages *p, uint64_t start, uint64_t len, uint64_t host,
                 MdlGhost *ghost)
{
    unsigned i;

    split(p, start);
    split(p, start + len);
    for (i = 0; i < p->nr_segs; i++) {
        MdlSegment *s = &p->seg[i];

        if (s->start < start || s->start >= start + len) {
            continue;
        }
        if (ghost) {
            ghost->refs++;
        }
        ghost_put(s->ghost);
        s->ghost = ghost;
        s->host = host + (s->start - start);
    }
    widen(host, len);
}

void *mdl_pages_host(const MdlPages *p, uint64_t va, uint64_t *length)
{
    uint64_t at = va - base_of(p);
    unsigned i;

    for (i = 0; i < p->nr_segs; i++) {
        const MdlSegment *s = &p->seg[i];

        if (at >= s->start && at - s->start < s->length) {
            if (*length > s->length - (at - s->start)) {
                *length = s->length - (at - s->start);
            }
            return (void *)(uintptr_t)(s->host + (at - s->start));
        }
    }
    return (void *)(uintptr_t)va;
}

/* ------------------------------------------------------------ accounting */

static bool may_lock_memory(void)
{
    struct __user_cap_header_struct hdr = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2] = { 0 };

    return !syscall(SYS_capget, &hdr, data) &&
           (data[0].effective & 1u << CAP_IPC_LOCK);
}

MdlAccount mdl_pin_account(bool mm)
{
    if (mdl_host.memlock == MDL_MEMLOCK_OFF ||
        (mdl_host.memlock == MDL_MEMLOCK_RLIMIT && may_lock_memory())) {
        return MDL_ACCOUNT_NONE;
    }
    return mm ? MDL_ACCOUNT_MM : MDL_ACCOUNT_USER;
}

static uint64_t limit(void)
{
    struct rlimit lim;

    if (mdl_host.memlock != MDL_MEMLOCK_RLIMIT) {
        return mdl_host.memlock / PAGE;
    }
    return getrlimit(RLIMIT_MEMLOCK, &lim) ? 0 : lim.rlim_cur / PAGE;
}

/* What mlock() has locked counts with the process, not with the user */
static uint64_t mlocked(void)
{
    unsigned long long kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof(line), f) &&
           sscanf(line, "VmLck: %llu", &kib) != 1) {
        /* on to the next */
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024 / PAGE;
}

static int charge(const MdlPages *p, uint64_t num)
{
    uint64_t *locked = p->account == MDL_ACCOUNT_MM ? &mm_locked :
                                                      &user_locked;

    if (p->account == MDL_ACCOUNT_NONE || !num) {
        return 0;
    }
    if (*locked + num + (locked == &mm_locked ? mlocked() : 0) > limit()) {
        return -ENOMEM;
    }
    *locked += num;
    return 0;
}

static void uncharge(const MdlPages *p, uint64_t num)
{
    if (p->account == MDL_ACCOUNT_MM) {
        mm_locked -= num;
    } else if (p->account == MDL_ACCOUNT_USER) {
        user_locked -= num;
    }
}

/* --------------------------------------------------------------- pinning */

static void begin(MdlPages *p)
{
    uint64_t num = pages_in(p->va - base_of(p) + p->length);

    p->pins = calloc(num, sizeof(*p->pins));
    p->seg = calloc(1, sizeof(*p->seg));
    if (!p->pins || !p->seg) {
        abort();
    }
    p->seg[0] = (MdlSegment) { 0, num * PAGE, base_of(p), NULL };
    p->nr_segs = 1;
    widen(base_of(p), num * PAGE);
    p->next = pinned;
    pinned = p;
}

static void end(MdlPages *p)
{
    MdlPages **link = &pinned;
    unsigned i;

    while (*link != p) {
        link = &(*link)->next;
    }
    *link = p->next;
    for (i = 0; i < p->nr_segs; i++) {
        ghost_put(p->seg[i].ghost);
    }
    free(p->seg);
    free(p->pins);
    p->seg = NULL;
    p->pins = NULL;
    p->nr_segs = 0;
    if (!pinned) {
        lowest = UINT64_MAX;
        highest = 0;
    }
}

/* Pages of @p that [@va, @va + @len) is in */
static void page_range(const MdlPages *p, uint64_t va, uint64_t len,
                       uint64_t *first, uint64_t *num)
{
    *first = (va - base_of(p)) / PAGE;
    *num = pages_in((va & (PAGE - 1)) + len);
}

/* Can those be pinned that are not? */
static int check(const MdlPages *p, uint64_t first, uint64_t num,
                 uint64_t *fresh)
{
    uint64_t i, run = 0;

    *fresh = 0;
    for (i = 0; i <= num; i++) {
        if (i < num && !(p->pins && p->pins[first + i])) {
            run++;
            continue;
        }
        if (run && mdl_check_pin(base_of(p) + (first + i - run) * PAGE,
                                 run * PAGE, p->writable)) {
            return -EFAULT;
        }
        *fresh += run;
        run = 0;
    }
    return 0;
}

/* What is pinned is what the process has there, whatever has been before */
static void home(MdlPages *p, uint64_t page)
{
    uint64_t va = base_of(p) + page * PAGE, len = PAGE;

    if (mdl_pages_host(p, va, &len) != (void *)(uintptr_t)va) {
        move(p, page * PAGE, PAGE, va, NULL);
    }
}

int mdl_pages_pin(MdlPages *p, uint64_t va, uint64_t len)
{
    uint64_t first, num, fresh, i;
    int ret;

    if (p->dmabuf) {
        return 0;
    }
    if (p->file && !p->file_map) {
        return -EINVAL;
    }
    page_range(p, va, len, &first, &num);
    ret = check(p, first, num, &fresh);
    if (!ret) {
        ret = charge(p, fresh);
    }
    if (ret) {
        return ret;
    }
    if (!p->pins) {
        begin(p);
    }
    for (i = 0; i < num; i++) {
        if (!p->pins[first + i]++) {
            home(p, first + i);
        }
    }
    p->npinned += fresh;
    return 0;
}

void mdl_pages_unpin(MdlPages *p, uint64_t va, uint64_t len)
{
    uint64_t first, num, i, gone = 0;

    if (p->dmabuf) {
        return;
    }
    page_range(p, va, len, &first, &num);
    for (i = 0; i < num; i++) {
        gone += !--p->pins[first + i];
    }
    uncharge(p, gone);
    p->npinned -= gone;
    if (!p->npinned) {
        end(p);
    }
}

static bool touches(uint64_t addr, uint64_t len)
{
    return addr < __atomic_load_n(&highest, __ATOMIC_RELAXED) &&
           addr + len > __atomic_load_n(&lowest, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------ what goes, stays */

/* What of segment @s lies in [@from, @to): addresses of the process */
static bool overlap(const MdlSegment *s, uint64_t from, uint64_t to,
                    uint64_t *first, uint64_t *len)
{
    uint64_t a = s->host > from ? s->host : from;
    uint64_t b = s->host + s->length < to ? s->host + s->length : to;

    *first = a;
    *len = b - a;
    return a < b;
}

/*
 * What is pinned of [@from, @to) goes to @ghost, where it is from @at on;
 * @copy unless it is there already
 */
static void haunt(uint64_t from, uint64_t to, MdlGhost *ghost, uint64_t at,
                  bool copy)
{
    MdlPages *p;
    unsigned i;

    for (p = pinned; p; p = p->next) {
        for (i = 0; i < p->nr_segs; i++) {
            MdlSegment s = p->seg[i];
            uint64_t first, len, off;
            char *to_host;

            if (!overlap(&s, from, to, &first, &len)) {
                continue;
            }
            to_host = ghost->base + at + (first - from);
            for (off = 0; copy && off < len; off += PAGE) {
                if (p->pins[(s.start + first - s.host + off) / PAGE]) {
                    mdl_copy_from(to_host + off,
                                  (void *)(uintptr_t)(first + off), PAGE);
                }
            }
            move(p, s.start + (first - s.host), len, (uintptr_t)to_host,
                 ghost);
            /* Those that are new are not in the way: they are elsewhere */
        }
    }
}

static bool any(uint64_t from, uint64_t to)
{
    uint64_t first, len;
    MdlPages *p;
    unsigned i;

    for (p = pinned; p; p = p->next) {
        for (i = 0; i < p->nr_segs; i++) {
            if (overlap(&p->seg[i], from, to, &first, &len)) {
                return true;
            }
        }
    }
    return false;
}

/* One mapping of the process */
typedef struct Vma {
    uint64_t from, to;
    bool shared;
    uint64_t offset;                    /* in its file */
    dev_t dev;
    ino_t ino;
} Vma;

typedef struct Vmas {
    Vma *vma;
    unsigned num;
    uint64_t from, to;                  /* beside those with pinned pages */
} Vmas;

static bool one_vma(const char *line, void *opaque)
{
    unsigned long long from, to, offset, ino;
    unsigned maj, min;
    Vmas *all = opaque;
    char perm[5];

    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &from, &to, perm,
               &offset, &maj, &min, &ino) == 7 &&
        (any(from, to) || (from < all->to && to > all->from))) {
        all->vma = realloc(all->vma, (all->num + 1) * sizeof(*all->vma));
        if (!all->vma) {
            abort();
        }
        all->vma[all->num++] = (Vma) {
            from, to, perm[3] == 's', offset, makedev(maj, min), ino
        };
    }
    return true;
}

/* Mappings with something pinned in them, and what [@from, @to) is in */
static Vmas vmas(uint64_t from, uint64_t to)
{
    Vmas all = { .from = from, .to = to };

    if (pinned) {
        mdl_maps_walk(one_vma, &all);
    }
    return all;
}

/* The page is the file's: another mapping of it is as good as this one */
static MdlGhost *alias(uint64_t from, uint64_t to)
{
    void *base = mremap((void *)(uintptr_t)from, 0, to - from,
                        MREMAP_MAYMOVE);

    return base == MAP_FAILED ? NULL : ghost_new(base, to - from);
}

static void drop(uint64_t addr, uint64_t len, bool unmapped)
{
    uint64_t end = (addr + len + PAGE - 1) & PAGE_MASK;
    Vmas all = vmas(0, 0);
    unsigned i;

    for (i = 0; i < all.num; i++) {
        uint64_t from = all.vma[i].from > addr ? all.vma[i].from : addr;
        uint64_t to = all.vma[i].to < end ? all.vma[i].to : end;
        MdlGhost *g = NULL;

        if (from >= to || !any(from, to) ||
            (all.vma[i].shared && !unmapped)) {
            continue;
        }
        if (all.vma[i].shared) {
            g = alias(from, to);
        }
        if (g) {
            haunt(from, to, g, 0, false);
        } else {
            g = ghost_empty(to - from);
            haunt(from, to, g, 0, true);
        }
        ghost_put(g);
    }
    free(all.vma);
}

static void moved(uint64_t from, uint64_t len, uint64_t to)
{
    uint64_t first, part;
    MdlPages *p;
    unsigned i;

    for (p = pinned; p; p = p->next) {
        for (i = 0; i < p->nr_segs; i++) {
            MdlSegment s = p->seg[i];

            if (!s.ghost && overlap(&s, from, from + len, &first, &part)) {
                move(p, s.start + (first - s.host), part,
                     to + (first - from), NULL);
            }
        }
    }
}

/* The file loses [@offset, @end): its pages that are pinned live on */
static void punch(dev_t dev, ino_t ino, uint64_t offset, uint64_t end)
{
    Vmas all = vmas(0, 0);
    MdlGhost *g = NULL;
    uint64_t base = 0;
    unsigned i;

    for (i = 0; i < all.num; i++) {
        const Vma *v = &all.vma[i];
        uint64_t first = v->offset > offset ? v->offset : offset;
        uint64_t last = v->offset + (v->to - v->from);

        last = last < end ? last : end;
        if (!v->shared || v->dev != dev || v->ino != ino || first >= last) {
            continue;
        }
        if (g && (first < base || last > base + g->len)) {
            ghost_put(g);
            g = NULL;
        }
        /* One for all mappings of it: they have the same pages */
        if (!g) {
            base = end == UINT64_MAX ? first : offset;
            g = ghost_empty((end == UINT64_MAX ? last : end) - base);
        }
        haunt(v->from + (first - v->offset), v->from + (last - v->offset), g,
              first - base, true);
    }
    ghost_put(g);
    free(all.vma);
}

static void punch_fd(int fd, uint64_t offset, uint64_t end)
{
    struct stat st;

    /* Of pages that go in part, that part becomes zero */
    offset = (offset + PAGE - 1) & PAGE_MASK;
    end = end == UINT64_MAX ? end : end & PAGE_MASK;
    if (pinned && offset < end && !fstat(fd, &st)) {
        punch(st.st_dev, st.st_ino, offset, end);
    }
}

static void remove_range(uint64_t addr, uint64_t len)
{
    Vmas all = vmas(addr, addr + len);
    unsigned i;

    for (i = 0; i < all.num; i++) {
        const Vma *v = &all.vma[i];
        uint64_t from = v->from > addr ? v->from : addr;
        uint64_t to = v->to < addr + len ? v->to : addr + len;

        if (v->shared && from < to) {
            punch(v->dev, v->ino, v->offset + (from - v->from),
                  v->offset + (to - v->from));
        }
    }
    free(all.vma);
}

/* ------------------------------------------------------- what libc is asked */

static bool ours(const void *addr, size_t len)
{
    return !mdl_inside() && touches((uintptr_t)addr, len) &&
           getpid() == mdl_pid;
}

static void dropped(const void *addr, size_t len, bool unmapped)
{
    mdl_enter();
    drop((uintptr_t)addr, len, unmapped);
    mdl_leave();
}

void mdl_pin_mapping_over(const void *addr, size_t len, int flags)
{
    if (flags & MAP_FIXED) {
        if (ours(addr, len)) {
            dropped(addr, len, true);
        }
        mdl_cmdqv_unmap(addr, len);
    }
}

MDL_EXPORT int munmap(void *addr, size_t len)
{
    if (ours(addr, len)) {
        dropped(addr, len, true);
    }
    mdl_cmdqv_unmap(addr, len);
    return REAL(munmap)(addr, len);
}

MDL_EXPORT int madvise(void *addr, size_t len, int advice)
{
    if ((advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED) &&
        ours(addr, len)) {
        dropped(addr, len, false);
    } else if (advice == MADV_REMOVE && ours(NULL, UINTPTR_MAX)) {
        mdl_enter();
        remove_range((uintptr_t)addr, len);
        mdl_leave();
    }
    return REAL(madvise)(addr, len, advice);
}

MDL_EXPORT void *mremap(void *addr, size_t old, size_t len, int flags, ...)
{
    va_list ap;
    void *to, *ret;

    va_start(ap, flags);
    to = va_arg(ap, void *);
    va_end(ap);
    if (!mdl_inside() && (flags & MREMAP_FIXED)) {
        mdl_pin_mapping_over(to, len, MAP_FIXED);
    }
    if (!ours(addr, old)) {
        return REAL(mremap)(addr, old, len, flags, to);
    }
    if (len < old) {
        dropped((char *)addr + len, old - len, true);
    }
    mdl_enter();
    ret = REAL(mremap)(addr, old, len, flags, to);
    if (ret != MAP_FAILED && ret != addr) {
        moved((uintptr_t)addr, old < len ? old : len, (uintptr_t)ret);
    }
    mdl_leave();
    return ret;
}

static void hole(int fd, uint64_t offset, uint64_t end)
{
    if (ours(NULL, UINTPTR_MAX)) {
        mdl_enter();
        punch_fd(fd, offset, end);
        mdl_leave();
    }
}

#define FALLOCATE(name, off)                                            \
MDL_EXPORT int name(int fd, int mode, off offset, off len)              \
{                                                                       \
    if (mode & FALLOC_FL_PUNCH_HOLE) {                                  \
        hole(fd, offset, (uint64_t)offset + len);                       \
    }                                                                   \
    return REAL(name)(fd, mode, offset, len);                           \
}

FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define FTRUNCATE(name, off)                                            \
MDL_EXPORT int name(int fd, off len)                                    \
{                                                                       \
    hole(fd, len, UINT64_MAX);                                          \
    return REAL(name)(fd, len);                                         \
}

FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)
