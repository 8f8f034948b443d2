/*
 * Model of /dev/iommu: eventfds that do something to a device
 *
 * VFIO_DEVICE_IOEVENTFD, and INTx that is unmasked by eventfd: drivers/vfio/
 * virqfd.c, vfio_pci_ioeventfd() in drivers/vfio/pci/vfio_pci_rdwr.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hw-priv.h"
#include "le.h"
#include "objects.h"

#define MAX_IOEVENTFDS  1000            /* VFIO_PCI_IOEVENTFD_MAX */

typedef struct Watch {
    struct Watch *next;
    MdlDevice *dev;
    int fd;                             /* a duplicate */
    bool intx;                          /* unmasks it, else is a write: */
    unsigned bar, count;
    uint64_t at, data;
} Watch;

static Watch *watches;
/* Tells the thread that there are others */
static int changed = -1;

static void fire(const Watch *w)
{
    uint8_t data[8];

    if (w->intx) {
        ep_intx_mask(w->dev, false);
        return;
    }
    put64(data, w->data);
    ep_region_rw(w->dev, w->bar, w->at, data, w->count, true);
}

static Watch *watch_of(int fd)
{
    Watch *w;

    for (w = watches; w && w->fd != fd; w = w->next) {
        /* on */
    }
    return w;
}

/* An event is taken once, by the program or by us */
static bool take(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint64_t count;

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) &&
           read(fd, &count, sizeof(count)) == sizeof(count);
}

static struct pollfd *all_fds(nfds_t *num)
{
    struct pollfd *p;
    nfds_t n = 1;
    Watch *w;

    for (w = watches; w; w = w->next) {
        n++;
    }
    p = calloc(n, sizeof(*p));
    if (!p) {
        abort();
    }
    p[0] = (struct pollfd) { .fd = changed, .events = POLLIN };
    for (w = watches, n = 1; w; w = w->next) {
        p[n++] = (struct pollfd) { .fd = w->fd, .events = POLLIN };
    }
    *num = n;
    return p;
}

static void *watch_thread(void *opaque)
{
    for (;;) {
        struct pollfd *p;
        nfds_t n, i;

        mdl_enter();
        p = all_fds(&n);
        mdl_leave();
        poll(p, n, -1);
        mdl_enter();
        for (i = 0; i < n; i++) {
            Watch *w = i && p[i].revents ? watch_of(p[i].fd) : NULL;

            if ((!i && p[i].revents) || w) {
                if (take(p[i].fd) && w) {
                    fire(w);
                }
            }
        }
        mdl_leave();
        free(p);
    }
    return NULL;
}

/* The thread comes with the first; after a fork() there is none */
static void wake(void)
{
    static pid_t of;
    const uint64_t one = 1;
    pthread_t thread;

    if (of != getpid()) {
        of = getpid();
        changed = mdl_fd_private(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (changed < 0 || pthread_create(&thread, NULL, watch_thread, NULL)) {
            abort();
        }
        pthread_detach(thread);
    }
    if (write(changed, &one, sizeof(one)) < 0) {
        abort();
    }
}

static int add(const Watch *what, int fd)
{
    int ret = ep_check_eventfd(fd);
    Watch *w;

    if (ret) {
        return ret;
    }
    w = malloc(sizeof(*w));
    if (!w) {
        abort();
    }
    *w = *what;
    w->fd = mdl_fd_private(dup(fd));
    w->next = watches;
    watches = w;
    wake();
    return 0;
}

static void drop(Watch **link)
{
    Watch *w = *link;

    *link = w->next;
    mdl_fd_close_private(w->fd);
    free(w);
    wake();
}

static Watch **intx_of(const MdlDevice *dev)
{
    Watch **link = &watches;

    while (*link && !((*link)->intx && (*link)->dev == dev)) {
        link = &(*link)->next;
    }
    return link;
}

int ep_intx_unmask_by(MdlDevice *dev, int fd)
{
    Watch **old = intx_of(dev);

    if (fd < 0) {
        if (*old) {
            drop(old);
        }
        return 0;
    }
    if (*old) {
        int ret = ep_check_eventfd(fd);

        return ret ? ret : -EBUSY;
    }
    return add(&(Watch) { .dev = dev, .intx = true }, fd);
}

void ep_watches_off(MdlDevice *dev)
{
    Watch **link = &watches;

    while (*link) {
        if ((*link)->dev == dev) {
            drop(link);
        } else {
            link = &(*link)->next;
        }
    }
}

/* What vfio has for itself: nobody works around its trapping the table */
static bool touches_table(const MdlDevice *dev, const Watch *w)
{
    return w->bar == VFIO_PCI_BAR2_REGION_INDEX &&
           w->at < ep_msix_table_size(dev);
}

static bool same(const Watch *a, const Watch *b)
{
    return !a->intx && a->dev == b->dev && a->bar == b->bar &&
           a->at == b->at && a->data == b->data && a->count == b->count;
}

int ep_ioeventfd(MdlDevice *dev, unsigned region, uint64_t at, uint64_t data,
                 unsigned count, int fd)
{
    const Watch want = {
        .dev = dev, .bar = region, .at = at, .data = data, .count = count,
    };
    Watch **link, **found = NULL;
    unsigned num = 0;

    if (region > VFIO_PCI_BAR5_REGION_INDEX ||
        at + count > ep_bar_size(dev, region) || touches_table(dev, &want)) {
        return -EINVAL;
    }
    for (link = &watches; *link; link = &(*link)->next) {
        num += !(*link)->intx && (*link)->dev == dev;
        found = same(*link, &want) ? link : found;
    }
    if (found && fd != -1) {
        return -EEXIST;
    }
    if (found) {
        drop(found);
        return 0;
    }
    if (fd < 0) {
        return -ENODEV;
    }
    return num >= MAX_IOEVENTFDS ? -ENOSPC : add(&want, fd);
}
