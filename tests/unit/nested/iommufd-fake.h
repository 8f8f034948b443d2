/*
 * A kernel for unit tests of the nested IOMMU core
 *
 * Implements hw/iommufd/sys.h with the kernel's rules on references: an
 * object that something refers to cannot be destroyed, and what is attached
 * is referred to. Any call can be made to fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IOMMUFD_FAKE_H
#define IOMMUFD_FAKE_H

#include "hw/iommufd/sys.h"
#include "hw/iommufd/core.h"
#include <linux/iommufd.h>

typedef enum FakeCall {
    FAKE_HWPT_ALLOC,
    FAKE_VIOMMU_ALLOC,
    FAKE_VDEVICE_ALLOC,
    FAKE_FAULT_ALLOC,
    FAKE_VEVENTQ_ALLOC,
    FAKE_DESTROY,
    FAKE_ATTACH,
    FAKE_DETACH,
    FAKE_INVALIDATE,
    FAKE_READ,
    FAKE_WRITE,
    FAKE_IOAS_ALLOC,
    FAKE_IOAS_COPY,
    FAKE_IOAS_UNMAP,
    FAKE_HW_QUEUE_ALLOC,
    FAKE_MAP_PAGE,
    FAKE_UNMAP_PAGE,
    FAKE_CALL__MAX,
} FakeCall;

#define FAKE_ENTRY_LEN 8
#define FAKE_SENT_MAX 4096

typedef struct Fake {
    unsigned calls[FAKE_CALL__MAX];
    unsigned total;             /* calls that can fail, of all kinds */

    /* The fail_at-th of all calls from now on fails; 0: none */
    unsigned fail_at;
    int fail_errno;
    FakeCall failed;            /* which one it was */
    bool has_failed;
    unsigned stuck;             /* not destroyed, because of a failure */

    /* Attaches fail with EBUSY while this is not 0; counts down */
    unsigned busy;

    /* An HWPT with a fault queue is attached to nothing: ENODEV */
    bool no_page_requests;
    /* By the kernel itself: no write takes it any more. 0: none */
    uint32_t answered;

    /* Page requests that the kernel freed while iommufd had them */
    unsigned freed;

    /* Invalidations: what was done, in order */
    struct {
        uint32_t id;
        uint64_t entry;
    } sent[FAKE_SENT_MAX];
    unsigned num_sent;
    /* Results of the next invalidation calls: do @done entries, then @ret */
    struct {
        uint32_t done;
        int ret;
    } script[16];
    unsigned num_script;

    uint32_t read_limit;        /* bytes a group may have at most; 0: any */
    int64_t now[2];             /* host, guest */
    GString *told;              /* to management, one line for each event */
} Fake;

extern Fake fake;

/* Count a call. Return: 0, or what it is to fail with */
int fake_call(FakeCall kind);

/* All state anew; asserts that nothing is left of before */
void fake_reset(void);

/* Objects that the core has made and not destroyed */
unsigned fake_objects(void);

/* A parent HWPT of a physical IOMMU; *not* counted in fake_objects() */
uint32_t fake_parent(uint32_t flags);

/* A device that vfio has bound and attached to @parent */
HostIOMMUDeviceIOMMUFD *fake_device(const char *name, uint32_t parent);
void fake_device_free(HostIOMMUDeviceIOMMUFD *idev);

/* The host's IOMMU group of a device: all of it is attached alike */
void fake_group(HostIOMMUDeviceIOMMUFD *idev, uint32_t group);

/* The IOAS that all parents are of */
#define FAKE_PARENT_IOAS 1

/*
 * Where an IOAS leads, FAKE_NOWHERE if it does not. @write: for writes.
 * Guest memory ends at FAKE_RAM; above half of it, it is read-only.
 */
#define FAKE_NOWHERE    UINT64_MAX
#define FAKE_RAM        (128 * 4096ULL)
#define FAKE_PAGES      128
/* How often a page has been told to be dirty */
extern unsigned fake_dirty[FAKE_PAGES];
uint64_t fake_ioas_lookup(uint32_t id, uint64_t iova, bool write);
/* The IOAS of a HWPT */
uint32_t fake_ioas_of(uint32_t hwpt);
/* Forget all mappings, or those of one IOAS */
void fake_ioas_reset(void);
void fake_ioas_drop(uint32_t id);

/* What is attached; 0: nothing */
uint32_t fake_attached(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid);

/* The label of a device's vDEVICE; UINT32_MAX: it has none */
uint32_t fake_label(HostIOMMUDeviceIOMMUFD *idev);

/* What comes next from the fault queue or vEVENTQ with this fd */
void fake_push(int fd, const void *data, size_t len);
void fake_push_group(int fd, HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                     uint32_t index, uint32_t cookie, unsigned count);

/*
 * Who has asked, and is not answered. fake_asked_leave(): @pasid leaves a HWPT
 * that has a fault queue, and @last: no other of the device has one.
 */
void fake_asked_reset(void);
void fake_asked_end(uint32_t cookie);
void fake_asked_leave(uint32_t dev_id, uint32_t pasid, bool last);

/* Call the handler of @fd, if it has one. Return: whether it had one */
bool fake_readable(int fd);

/*
 * vIOMMUs with data have a page of FAKE_PAGE_LEN bytes, at an offset that is
 * theirs alone, and HW queues. fake_page: who it is mapped from; 0: nobody.
 */
#define FAKE_PAGE_LEN   0x10000
extern uint32_t fake_page;
/* What the next one says of the length of its page; 0: the truth */
extern uint64_t fake_page_len;
/* Its HW queues */
unsigned fake_hw_queues(void);
/* A vIOMMU was made, a HW queue behind @before (0: the first), or has gone */
void fake_vintf(uint32_t viommu_id, void *data, uint32_t data_len);
uint32_t fake_hw_queue(uint32_t viommu_id, uint32_t before);
void fake_hw_queue_gone(uint32_t id);
/* Something that is no object uses one, or does not any more */
void fake_hold(uint32_t id, int by);

/* The only queue's fd of either kind; -1: none */
int fake_fault_fd(void);
int fake_veventq_fd(void);

/* The code @cookie was answered with; -1: not answered. Forgets it. */
int fake_answer(uint32_t cookie);

/* Run what has been scheduled for the main loop. Return: whether there was */
bool fake_main_loop(void);

/* Let time pass, running timers */
void fake_advance(bool guest, int64_t ms);

#endif
