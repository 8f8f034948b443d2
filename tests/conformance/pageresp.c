/*
 * Conformance of /dev/iommu: page requests and their responses
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From intel_prq_report() over iommu_report_device_fault() into
 * iommufd_fault_iopf_handler(), and back by iommufd_fault_fops_write().
 */

#include <poll.h>
#include <stdio.h>
#include "conformance.h"

#define NEEDS (CT_DEV | CT_VTD | CT_PRI | CT_MODEL)
#define FAULT_SIZE ((ssize_t)sizeof(struct iommu_hwpt_pgfault))
#define RESP_SIZE ((ssize_t)sizeof(struct iommu_hwpt_page_response))
#define NO_PASID UINT32_MAX

/* A device with a fault queue behind its RID (and PASID 1 if it has any) */
typedef struct Prq {
    CtBound b;
    uint32_t ioas, hwpt, fault;
    int qfd;
} Prq;

static bool prq_open(Prq *p, uint64_t needs)
{
    uint32_t flags = IOMMU_HWPT_FAULT_ID_VALID;

    if (!ct_bound_new(&p->b, CT_PRI | needs)) {
        return false;
    }
    if (needs & CT_PASID) {
        flags |= IOMMU_HWPT_ALLOC_PASID;
    }
    p->ioas = ct_ioas(p->b.iommufd);
    return RET(0, ct_fault_queue(p->b.iommufd, &p->fault, &p->qfd)) &&
           RET(0, ct_hwpt_data(p->b.iommufd, p->b.id, p->ioas, flags, 0, NULL,
                               0, p->fault, &p->hwpt)) &&
           RET(0, ct_attach(&p->b, p->hwpt)) &&
           (!(needs & CT_PASID) ||
            RET(0, ct_attach_pasid(&p->b, p->hwpt, 1)));
}

/* One group: @addrs is the inside of a JSON array */
static bool request(const Prq *p, uint32_t pasid, uint32_t grpid,
                    const char *perm, const char *addrs, bool last)
{
    char word[32] = "";

    if (pasid != NO_PASID) {
        snprintf(word, sizeof(word), "\"pasid\":%u,", pasid);
    }
    return ct_json_true(ct_model("{\"cmd\":\"page-request\",\"dev\":\"%s\","
                                 "%s\"grpid\":%u,\"perm\":\"%s\","
                                 "\"addrs\":[%s],\"last\":%s}",
                                 p->b.dev->bdf, word, grpid, perm, addrs,
                                 last ? "true" : "false"), "ok");
}

static ssize_t respond(const Prq *p, uint32_t cookie, uint32_t code)
{
    struct iommu_hwpt_page_response r = { .cookie = cookie, .code = code };

    return ct_write(p->qfd, &r, sizeof(r));
}

/* iommufd_compose_fault_message() */
static void one_request(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[2];

    if (!prq_open(&p, 0)) {
        return;
    }
    EQ(0, ct_poll(p.qfd, POLLIN, 0));
    OK(request(&p, NO_PASID, 7, "rw", "4198400", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    memset(f, 0xaa, sizeof(f));
    RET(FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, f[0].flags);
    EQ(p.b.id, f[0].dev_id);
    EQ(0, f[0].pasid);
    EQ(7, f[0].grpid);
    EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE, f[0].perm);
    EQ(0, f[0].__reserved);
    EQ(4198400, f[0].addr);
    EQ(0, f[0].length);
    OK(f[0].cookie != 0);
    /* Read means gone, not answered */
    EQ(0, ct_poll(p.qfd, POLLIN, 0));
    RET(0, ct_read(p.qfd, f, sizeof(f)));
    RET(RESP_SIZE, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* intel_prq_report(): with a PASID, the internal bit 2 goes along */
static void with_pasid(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f;

    if (!prq_open(&p, CT_PASID)) {
        return;
    }
    OK(request(&p, 1, 3, "r", "8192", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
    EQ(IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE |
       1u << 2, f.flags);
    EQ(1, f.pasid);
    EQ(3, f.grpid);
    EQ(IOMMU_PGFAULT_PERM_READ, f.perm);
    EQ(8192, f.addr);
    RET(RESP_SIZE, respond(&p, f.cookie, IOMMUFD_PAGE_RESP_INVALID));
}

/* iopf_group_alloc(): a group comes as a whole and in order */
static void group_order(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[4];

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096,8192,12288", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(3 * FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    for (unsigned i = 0; i < 3; i++) {
        EQ(4096 * (i + 1), f[i].addr);
        EQ(f[2].cookie, f[i].cookie);
        EQ(i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0, f[i].flags);
    }
    RET(RESP_SIZE, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* report_partial_fault(): nothing shows before the last request */
static void incomplete_group(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[4];

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 4, "r", "4096", false));
    EQ(0, ct_poll(p.qfd, POLLIN, 20));
    RET(0, ct_read(p.qfd, f, sizeof(f)));
    /* Another group in between is not held up */
    OK(request(&p, NO_PASID, 5, "w", "65536", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    EQ(5, f[0].grpid);
    RET(RESP_SIZE, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    OK(request(&p, NO_PASID, 4, "r", "8192", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(2 * FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    EQ(4096, f[0].addr);
    EQ(8192, f[1].addr);
    RET(RESP_SIZE, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* iommufd_fault_fops_read(): whole groups, or EINVAL for the first one */
static void small_buffer(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[8];

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096,8192", true));
    OK(request(&p, NO_PASID, 2, "r", "12288", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(-EINVAL, ct_read(p.qfd, f, FAULT_SIZE));
    RET(-EINVAL, ct_read(p.qfd, f, 0));
    RET(-ESPIPE, ct_read(p.qfd, f, FAULT_SIZE + 1));
    /* Room for one group: the other stays, and stays readable */
    RET(2 * FAULT_SIZE, ct_read(p.qfd, f, 2 * FAULT_SIZE));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 0));
    RET(FAULT_SIZE, ct_read(p.qfd, f + 2, 2 * FAULT_SIZE));
    EQ(2, f[2].grpid);
    OK(f[0].cookie != f[2].cookie);
    EQ(0, ct_poll(p.qfd, POLLIN, 0));
    RET(RESP_SIZE, respond(&p, f[2].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(RESP_SIZE, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* Several groups in one read */
static void several_groups(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[8];

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096,8192", true));
    OK(request(&p, NO_PASID, 2, "r", "12288", true));
    OK(request(&p, NO_PASID, 3, "w", "16384,20480", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(3 * FAULT_SIZE, ct_read(p.qfd, f, 4 * FAULT_SIZE));
    EQ(1, f[0].grpid);
    EQ(1, f[1].grpid);
    EQ(2, f[2].grpid);
    RET(2 * FAULT_SIZE, ct_read(p.qfd, f + 3, 4 * FAULT_SIZE));
    EQ(3, f[3].grpid);
    for (unsigned i = 0; i < 4; i++) {
        if (i != 1) {
            RET(RESP_SIZE, respond(&p, f[i].cookie,
                                   IOMMUFD_PAGE_RESP_SUCCESS));
        }
    }
}

/* iommufd_fault_fops_write(): each group once, and what came before stands */
static void responses(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[2];
    struct iommu_hwpt_page_response r[3];

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096", true));
    OK(request(&p, NO_PASID, 2, "r", "8192", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    /* Not read yet, so without a cookie that could be known */
    RET(-EINVAL, respond(&p, 1, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(2 * FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    RET(-EINVAL, respond(&p, f[0].cookie, 2));
    RET(-EINVAL, respond(&p, f[0].cookie + f[1].cookie + 1, 0));
    r[0] = (struct iommu_hwpt_page_response) {
        f[1].cookie, IOMMUFD_PAGE_RESP_INVALID,
    };
    r[1] = r[0];
    r[2] = (struct iommu_hwpt_page_response) {
        f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS,
    };
    RET(RESP_SIZE, ct_write(p.qfd, r, sizeof(r)));
    RET(-EINVAL, ct_write(p.qfd, r, RESP_SIZE));
    RET(RESP_SIZE, ct_write(p.qfd, r + 2, RESP_SIZE));
    RET(-EINVAL, ct_write(p.qfd, r + 2, RESP_SIZE));
}

/* iommufd_auto_response_faults(): detaching answers by itself */
static void detaching(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f;

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
    OK(request(&p, NO_PASID, 2, "r", "8192", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(0, ct_detach(&p.b));
    EQ(0, ct_poll(p.qfd, POLLIN, 0));
    RET(-EINVAL, respond(&p, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(0, ct_read(p.qfd, &f, sizeof(f)));
}

/* iommufd_hwpt_replace_device(): the same, for the old attachment only */
static void replacing(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f[2];
    uint32_t other, fault;
    int qfd;

    if (!prq_open(&p, CT_PASID)) {
        return;
    }
    RET(0, ct_fault_queue(p.b.iommufd, &fault, &qfd));
    RET(0, ct_hwpt_data(p.b.iommufd, p.b.id, p.ioas,
                        IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
                        0, NULL, 0, fault, &other));
    OK(request(&p, NO_PASID, 1, "r", "4096", true));
    OK(request(&p, 1, 2, "r", "8192", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(2 * FAULT_SIZE, ct_read(p.qfd, f, sizeof(f)));
    RET(0, ct_attach(&p.b, other));
    RET(-EINVAL, respond(&p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(RESP_SIZE, respond(&p, f[1].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    /* From now on they arrive in the new queue */
    OK(request(&p, NO_PASID, 1, "r", "4096", true));
    EQ(POLLIN, ct_poll(qfd, POLLIN, 1000));
    EQ(0, ct_poll(p.qfd, POLLIN, 0));
    RET(FAULT_SIZE, ct_read(qfd, f, sizeof(f)));
    RET(RESP_SIZE, ct_write(qfd, &(struct iommu_hwpt_page_response) {
        f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS }, RESP_SIZE));
}

/*
 * iommufd_compose_fault_message(): the handle is the group's, and names who
 * was attached first or replaced last
 */
static void group_mates(void)
{
    Prq p, c;
    struct iommu_hwpt_pgfault f;
    uint32_t other;

    if (!prq_open(&p, CT_MATE)) {
        return;
    }
    c = p;
    if (!ct_bound(&c.b, p.b.iommufd,
                  ct_device_other(p.b.dev, CT_PRI | CT_MATE))) {
        return;
    }
    RET(0, ct_attach(&c.b, p.hwpt));
    OK(request(&c, NO_PASID, 1, "r", "4096", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
    EQ(p.b.id, f.dev_id);
    RET(RESP_SIZE, respond(&p, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(0, ct_hwpt_data(p.b.iommufd, p.b.id, p.ioas,
                        IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0, p.fault,
                        &other));
    RET(0, ct_attach(&c.b, other));
    OK(request(&p, NO_PASID, 2, "r", "4096", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
    EQ(c.b.id, f.dev_id);
    RET(RESP_SIZE, respond(&p, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* find_fault_handler(): nobody listens, the host answers INVALID itself */
static void unhandled(void)
{
    Prq p;
    uint32_t plain;
    struct iommu_hwpt_pgfault f;

    if (!prq_open(&p, 0)) {
        return;
    }
    RET(0, ct_hwpt(p.b.iommufd, p.b.id, p.ioas, 0, &plain));
    RET(0, ct_attach(&p.b, plain));
    request(&p, NO_PASID, 1, "r", "4096", true);
    EQ(0, ct_poll(p.qfd, POLLIN, 20));
    RET(0, ct_read(p.qfd, &f, sizeof(f)));
}

/* prq_event_thread(): a request the driver itself refuses */
static void refused(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f;

    if (!prq_open(&p, CT_PASID)) {
        return;
    }
    request(&p, 1, 1, "rx", "4096", true);
    request(&p, 1, 2, "rp", "4096", true);
    EQ(0, ct_poll(p.qfd, POLLIN, 20));
    RET(0, ct_read(p.qfd, &f, sizeof(f)));
}

/* Closing the device answers, closing the queue does not forget the fault */
static void closing_device(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f;

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 1, "r", "4096", true));
    EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
    RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
    ct_close(p.b.fd);
    RET(-EINVAL, respond(&p, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
    RET(0, ct_destroy(p.b.iommufd, p.hwpt));
    ct_close(p.qfd);
    RET(0, ct_destroy(p.b.iommufd, p.fault));
}

/* iopf_group_response(): the device sees what was written */
static void device_sees(void)
{
    Prq p;
    struct iommu_hwpt_pgfault f;
    static const char *const names[] = { "success", "invalid" };

    if (!prq_open(&p, 0)) {
        return;
    }
    for (unsigned code = 0; code < 2; code++) {
        OK(request(&p, NO_PASID, 10 + code, "r", "4096", true));
        EQ(POLLIN, ct_poll(p.qfd, POLLIN, 1000));
        RET(FAULT_SIZE, ct_read(p.qfd, &f, sizeof(f)));
        RET(RESP_SIZE, respond(&p, f.cookie, code));
        OK(ct_json_is(ct_model("{\"cmd\":\"dma-wait\",\"dev\":\"%s\","
                               "\"grpid\":%u,\"timeout-ms\":1000}",
                               p.b.dev->bdf, 10 + code), "response",
                      names[code]));
    }
}

/* The last request of group 4 is there: are those before it as well? */
static void end_group(const Prq *p, bool whole)
{
    struct iommu_hwpt_pgfault f[4];

    OK(request(p, NO_PASID, 4, "r", "8192", true));
    EQ(POLLIN, ct_poll(p->qfd, POLLIN, 1000));
    RET((1 + whole) * FAULT_SIZE, ct_read(p->qfd, f, sizeof(f)));
    EQ(whole ? 4096 : 8192, f[0].addr);
    RET(RESP_SIZE, respond(p, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* The same with the detach that the VMM asks for; a replace is none */
static void incomplete_detach(void)
{
    Prq p;
    uint32_t other;

    if (!prq_open(&p, 0)) {
        return;
    }
    OK(request(&p, NO_PASID, 4, "r", "4096", false));
    RET(0, ct_hwpt_data(p.b.iommufd, p.b.id, p.ioas, IOMMU_HWPT_FAULT_ID_VALID,
                        0, NULL, 0, p.fault, &other));
    RET(0, ct_attach(&p.b, other));
    end_group(&p, true);
    OK(request(&p, NO_PASID, 4, "r", "4096", false));
    RET(0, ct_detach(&p.b));
    RET(0, ct_attach(&p.b, other));
    end_group(&p, false);
}

/*
 * Model only. A RID that goes from one stage 1 to another counts the new one,
 * but not the old one off: intel_nested_attach_dev() (intel/nested.c line 53)
 * against blocking_domain_attach_dev() (intel/iommu.c line 2802). From then on
 * the device's count is never 0, and what is not whole outlives a detach.
 */
static void incomplete_stays(void)
{
    uint32_t parent, one, two;
    Prq p;

    if (!prq_open(&p, CT_NEST)) {
        return;
    }
    RET(0, ct_detach(&p.b));
    RET(0, ct_hwpt(p.b.iommufd, p.b.id, p.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
                   &parent));
    RET(0, ct_vtd_s1(p.b.iommufd, p.b.id, parent, IOMMU_HWPT_FAULT_ID_VALID, 0,
                     p.fault, &one));
    RET(0, ct_vtd_s1(p.b.iommufd, p.b.id, parent, IOMMU_HWPT_FAULT_ID_VALID, 0,
                     p.fault, &two));
    RET(0, ct_attach(&p.b, one));
    RET(0, ct_attach(&p.b, two));
    OK(request(&p, NO_PASID, 4, "r", "4096", false));
    RET(0, ct_detach(&p.b));
    RET(0, ct_attach(&p.b, two));
    end_group(&p, true);
}

/*
 * Model only. pci_dev_reset_iommu_prepare() (iommu.c line 4034) detaches, and
 * intel_iommu_disable_iopf() (intel/iommu.c line 3517) then calls
 * iopf_queue_remove_device(), which frees what is not whole.
 */
static void incomplete_reset(void)
{
    Prq p;

    if (!prq_open(&p, CT_RESET)) {
        return;
    }
    OK(request(&p, NO_PASID, 4, "r", "4096", false));
    RET(0, ct_ioctl(p.b.fd, VFIO_DEVICE_RESET, NULL));
    end_group(&p, false);
}

static const CtScenario scenarios[] = {
    { "one request", one_request, NEEDS },
    { "a request with a PASID", with_pasid, NEEDS | CT_PASID },
    { "a group is whole and in order", group_order, NEEDS },
    { "an incomplete group waits", incomplete_group, NEEDS },
    { "a reset drops an incomplete group", incomplete_reset,
      NEEDS | CT_RESET },
    { "a detach drops an incomplete group", incomplete_detach, NEEDS },
    { "a buffer too small", small_buffer, NEEDS },
    { "several groups in one read", several_groups, NEEDS },
    { "responses", responses, NEEDS },
    { "detaching answers", detaching, NEEDS },
    { "replacing answers", replacing, NEEDS | CT_PASID },
    { "devices of one group", group_mates, NEEDS | CT_MATE },
    { "no fault queue attached", unhandled, NEEDS },
    { "requests the host refuses", refused, NEEDS | CT_PASID },
    { "closing the device answers", closing_device, NEEDS },
    { "the device sees the response", device_sees, NEEDS },
    /* The last one: the host never counts down again what it counts here */
    { "an incomplete group after a change of stage 1", incomplete_stays,
      NEEDS | CT_NEST },
};

CT_GROUP(ct_group_pageresp, "page-response");
