/*
 * Conformance of /dev/iommu: frame of the scenarios
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A scenario is a function.  It opens what it needs through the ct_open_*()
 * and ct_mem() calls, makes checks, and returns; everything it opened is
 * released behind it.  A failed check is reported and counted, and the
 * scenario goes on unless it returns itself.
 *
 * Wrappers of system calls return 0 (or a count) or a negative errno.
 */

#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include "uapi73.h"

#define CT_MAX_DEVICES  16
#define CT_NO_ID        0x7ffffff0u     /* an id nothing can have here */

#define ARRAY_LEN(a)    (sizeof(a) / sizeof((a)[0]))

/* What a scenario cannot do without */
enum {
    CT_DEV      = 1 << 0,       /* a vfio device */
    CT_DEV2     = 1 << 1,       /* a second one, in another group */
    CT_MATE     = 1 << 2,       /* two devices in one group */
    CT_IOMMU2   = 1 << 3,       /* two devices behind two IOMMUs */
    CT_VTD      = 1 << 4,
    CT_SMMUV3   = 1 << 5,
    CT_NEST     = 1 << 6,       /* NEST_PARENT can be allocated */
    CT_VIOMMU   = 1 << 7,       /* a vIOMMU can be allocated */
    CT_PASID    = 1 << 8,       /* a device with PASIDs */
    CT_PRI      = 1 << 9,       /* page requests can be enabled */
    CT_DIRTY    = 1 << 10,      /* dirty tracking */
    CT_MODEL    = 1 << 11,      /* the model's control commands */
    CT_RESET    = 1 << 12,      /* a device that can be reset */
    CT_MSIX     = 1 << 13,      /* a device with MSI-X */
    CT_RAWIO    = 1 << 14,      /* CAP_SYS_RAWIO */
    CT_NO_PASID = 1 << 15,      /* a device without PASIDs */
    CT_NO_PRI   = 1 << 16,      /* a device without page requests */
    CT_VF_PRI   = 1 << 17,      /* a VF whose PF has page requests */
    CT_MIG      = 1 << 18,      /* a device that can be migrated */
    CT_NO_NEST  = 1 << 19,      /* NEST_PARENT cannot be allocated */
    CT_FEW_IDS  = 1 << 20,      /* at most 256 domain ids or VMIDs */
    CT_INTX     = 1 << 21,      /* a device with INTx and MSI-X */
    CT_ATS      = 1 << 22,      /* a device with the ATS capability */
    CT_NO_ATS   = 1 << 23,      /* a device without it */
    CT_STALLS   = 1 << 24,      /* an SMMUv3 that can stall, and need not */
    CT_BAR      = 1 << 25,      /* a device with a BAR that can be mapped */
    CT_PM       = 1 << 26,      /* one that has D3hot as well */
    CT_MEMLOCK  = 1 << 27,      /* what is pinned counts as locked memory */
    CT_RESOURCE = 1 << 28,      /* CAP_SYS_RESOURCE */
    CT_MSI      = 1 << 29,      /* a device with MSI */
    CT_ROM      = 1 << 30,      /* a device with a ROM */
    CT_DMABUF   = 1u << 31,     /* a device whose BARs can be dma-bufs */
    CT_CONTAINER = 1ull << 32,  /* /dev/vfio/vfio, an iommufd, and its group */
    CT_CMDQV    = 1ull << 33,   /* an SMMUv3 with a Tegra241 CMDQV */
    CT_VF       = 1ull << 34,   /* a VF whose PF vfio has, too */
    CT_PEER     = 1ull << 35,   /* a device that reaches memory of another */
};

typedef struct CtScenario {
    const char *name;
    void (*run)(void);
    uint64_t needs;
} CtScenario;

typedef struct CtGroup {
    const char *name;
    const CtScenario *scenario;
    unsigned nr;
} CtGroup;

#define CT_GROUP(ident, title) \
    const CtGroup ident = { title, scenarios, ARRAY_LEN(scenarios) }

extern const CtGroup ct_group_abi, ct_group_ioas, ct_group_copy,
    ct_group_iova, ct_group_option, ct_group_file, ct_group_pagetable,
    ct_group_hwinfo, ct_group_attachment, ct_group_pasid, ct_group_ids,
    ct_group_nest_vtd, ct_group_nest_smmu, ct_group_inval_vtd,
    ct_group_inval_smmu, ct_group_dirty, ct_group_fault, ct_group_pageresp,
    ct_group_viommu, ct_group_veventq, ct_group_vfio, ct_group_irq,
    ct_group_bar, ct_group_dmabuf, ct_group_pin, ct_group_container,
    ct_group_reset, ct_group_migration, ct_group_lifetime, ct_group_dma,
    ct_group_dma_reset, ct_group_cmdqv, ct_group_vf;

/* What is known about a device before any scenario runs */
typedef struct CtDevice {
    char bdf[32];               /* "" when given by its cdev path */
    char cdev[64];
    char group[32];             /* name of its iommu_group, "" unknown */
    char iommu[64];             /* name of its IOMMU in sysfs, "" unknown */
    bool virtfn;
    unsigned info_type;         /* IOMMU_HW_INFO_TYPE_* */
    unsigned pasid_bits;
    uint64_t caps;
    union {
        struct iommu_hw_info_vtd vtd;
        struct iommu_hw_info_arm_smmuv3 smmu;
    } info;
    bool pasid_table;           /* tables for PASIDs can be allocated */
    bool nest, viommu, ats, pri, pf_pri, reset, msix, intx, mig, pm;
    bool msi, rom, dmabuf, cmdqv, engine;
    unsigned log2vcmdqs, log2vsids;     /* of a VINTF */
    int bar;                    /* the first that can be mapped, or -1 */
    int memory;                 /* the first of these that keeps data, or -1 */
} CtDevice;

typedef struct CtConfig {
    CtDevice dev[CT_MAX_DEVICES];
    unsigned nr_dev;
    CtDevice vf, pf;            /* a VF that takes a token: not in @dev */
    uint64_t have;              /* CT_* the machine offers */
    bool model;
} CtConfig;

extern CtConfig ct;

/* ------------------------------------------------------ check.c: checks */

bool ct_ret(const char *file, int line, const char *what, long want, long got);
bool ct_eq(const char *file, int line, const char *what, uint64_t want,
           uint64_t got);
bool ct_true(const char *file, int line, const char *what, bool ok);
void ct_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* @want is 0, a count or a negative errno */
#define RET(want, expr) ct_ret(__FILE__, __LINE__, #expr, (want), (expr))
#define EQ(want, expr) ct_eq(__FILE__, __LINE__, #expr, (want), (expr))
#define OK(expr) ct_true(__FILE__, __LINE__, #expr, (expr))

void ct_scenario_begin(void);
/* Returns: true when no check failed since ct_scenario_begin() */
bool ct_scenario_end(void);
unsigned ct_checks(void);
unsigned ct_failures(void);
const char *ct_errno_name(int err);

/* -------------------------------- check.c: things released automatically */

int ct_keep_fd(int fd);                 /* returns fd */
void ct_close(int fd);
/* Zeroed private memory, page aligned, written once so that it is there */
void *ct_mem(size_t len);
size_t ct_page(void);

/* Numbers of linux/capability.h */
#define CT_CAP_SYS_RAWIO    17
#define CT_CAP_SYS_RESOURCE 24
bool ct_capable(unsigned cap);
/* Does a limit of locked memory count?  A model need not have one */
bool ct_memlock(void);

/* -------------------------------------------------- calls.c: /dev/iommu */

int ct_ioctl(int fd, unsigned long req, void *arg);
int ct_open_iommufd(void);
int ct_destroy(int fd, uint32_t id);
int ct_ioas_alloc(int fd, uint32_t *id);
uint32_t ct_ioas(int fd);               /* checked; 0 when it failed */
#define CT_RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define CT_FIXED IOMMU_IOAS_MAP_FIXED_IOVA
int ct_map(int fd, uint32_t ioas, const void *va, uint64_t len, uint64_t iova,
           uint32_t flags);
int ct_map_out(int fd, uint32_t ioas, const void *va, uint64_t len,
               uint64_t *iova, uint32_t flags);
int ct_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t len,
             uint64_t *unmapped);
int ct_copy_map(int fd, uint32_t dst, uint32_t src, uint64_t len,
                uint64_t *dst_iova, uint64_t src_iova, uint32_t flags);
/* @nr: room in @ranges on entry, number there are on return */
int ct_ranges(int fd, uint32_t ioas, struct iommu_iova_range *ranges,
              uint32_t *nr, uint64_t *align);
bool ct_range_covers(int fd, uint32_t ioas, uint64_t first, uint64_t last);
int ct_allow(int fd, uint32_t ioas, const struct iommu_iova_range *ranges,
             uint32_t nr);
int ct_option(int fd, uint32_t option, uint16_t op, uint32_t object,
              uint64_t *val);
int ct_hwpt(int fd, uint32_t dev, uint32_t pt, uint32_t flags, uint32_t *id);
int ct_hwpt_data(int fd, uint32_t dev, uint32_t pt, uint32_t flags,
                 uint32_t type, const void *data, uint32_t len,
                 uint32_t fault, uint32_t *id);
int ct_vtd_s1(int fd, uint32_t dev, uint32_t parent, uint32_t flags,
              uint64_t pgtbl, uint32_t fault, uint32_t *id);
int ct_ste(int fd, uint32_t dev, uint32_t viommu, uint64_t ste0,
           uint64_t ste1, uint32_t *id);
int ct_hw_info(int fd, uint32_t dev, struct iommu_hw_info *info);
/* @nr: entries on entry, entries done on return */
int ct_invalidate(int fd, uint32_t id, uint32_t type, const void *entries,
                  uint32_t entry_len, uint32_t *nr);
int ct_dirty_set(int fd, uint32_t hwpt, uint32_t flags);
int ct_dirty_get(int fd, uint32_t hwpt, uint32_t flags, uint64_t iova,
                 uint64_t len, uint64_t page, void *bitmap);
int ct_fault_queue(int fd, uint32_t *id, int *qfd);
int ct_viommu_new(int fd, uint32_t dev, uint32_t parent, uint32_t type,
                  uint32_t *id);
int ct_viommu_data(int fd, uint32_t dev, uint32_t parent, uint32_t type,
                   void *data, uint32_t len, uint32_t *id);
int ct_hw_queue(int fd, uint32_t viommu, uint32_t type, uint32_t index,
                uint64_t iova, uint64_t len, uint32_t *id);
int ct_vdevice(int fd, uint32_t viommu, uint32_t dev, uint64_t virt_id,
               uint32_t *id);
int ct_veventq_new(int fd, uint32_t viommu, uint32_t type, uint32_t depth,
                   uint32_t *id, int *qfd);
ssize_t ct_read(int fd, void *buf, size_t len);
ssize_t ct_write(int fd, const void *buf, size_t len);
ssize_t ct_pread(int fd, void *buf, size_t len, uint64_t off);
ssize_t ct_pwrite(int fd, const void *buf, size_t len, uint64_t off);
/* Returns: the events of @want that are there within @timeout_ms */
int ct_poll(int fd, short want, int timeout_ms);

/* --------------------------------------------------- device.c: vfio */

/* A device bound to an iommufd */
typedef struct CtBound {
    const CtDevice *dev;
    int iommufd;
    int fd;
    uint32_t id;                /* dev_id */
} CtBound;

/* VT-d: some device shows that the kernel was not booted with sm_off */
bool ct_scalable_mode(void);

/* Domain ids (VT-d) or VMIDs (SMMUv3) that the IOMMU of @dev has, 0 unknown */
unsigned ct_domain_ids(const CtDevice *dev);

/* First device that offers all of @needs (CT_PASID, CT_PRI, ...) */
const CtDevice *ct_device(uint64_t needs);
/* One that can be told what to access, and one with memory to be reached */
bool ct_peers(const CtDevice **dev, const CtDevice **other);
/* Another than @dev: same group, other group, other IOMMU (CT_MATE, ...) */
const CtDevice *ct_device_other(const CtDevice *dev, uint64_t how);
int ct_open_cdev(const CtDevice *dev);
int ct_bind(int fd, int iommufd, uint32_t *id);
/* Opens and binds; checked */
bool ct_bound(CtBound *b, int iommufd, const CtDevice *dev);
/* The same with a fresh iommufd */
bool ct_bound_new(CtBound *b, uint64_t needs);
/* A fresh iommufd, a bound device, an IOAS and a nesting parent over it */
bool ct_bound_parent(CtBound *b, uint64_t needs, uint32_t *ioas,
                     uint32_t *parent);
int ct_attach(const CtBound *b, uint32_t pt);
int ct_attach_out(const CtBound *b, uint32_t *pt);
int ct_attach_pasid(const CtBound *b, uint32_t pt, uint32_t pasid);
int ct_detach(const CtBound *b);
int ct_detach_pasid(const CtBound *b, uint32_t pasid);
uint64_t ct_region_offset(const CtBound *b, uint32_t index);
/* Offset in config space of a capability, 0 when it is not there */
unsigned ct_pci_cap(const CtBound *b, uint8_t id);
unsigned ct_pci_ext_cap(const CtBound *b, uint16_t id);
bool ct_discover(const char *const *names, unsigned nr);

/* --------------------------------------------- stimulus.c: model commands */

bool ct_model_present(void);
/* Formats and runs one command; returns the reply, valid until the next */
const char *ct_model(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
bool ct_json_true(const char *json, const char *key);
bool ct_json_has(const char *json, const char *key);
bool ct_json_is(const char *json, const char *key, const char *text);

#endif
