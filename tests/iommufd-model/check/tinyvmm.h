/*
 * A tiny VMM: the least that nests guest translation through /dev/iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It has guest memory but no CPU: the program that uses it plays the guest
 * (with the table builders of libqos) and rings the doorbell.  It can be told
 * to contain one of the mistakes VMMs make; the programs here then see
 * whether the model of /dev/iommu brings it to light.
 */

#ifndef TINYVMM_H
#define TINYVMM_H

#include <linux/iommufd.h>

#include "../../qtest/libqos/vtd-tables.h"
#include "../../qtest/libqos/smmuv3-tables.h"

#define TV_NO_PASID         UINT32_MAX
#define TV_MAX_DEVICES      4
#define TV_MAX_IOMMUS       2
#define TV_MAX_PASIDS       32
#define TV_MAX_DMA          0x800
#define TV_BATCH            256

typedef enum TvArch { TV_VTD, TV_SMMUV3 } TvArch;

typedef enum TvBug {
    TV_BUG_NONE,
    TV_BUG_DROP,            /* the first invalidation entry is lost */
    TV_BUG_LEAF,            /* LEAF is set although tables changed */
    TV_BUG_FORGET_DEVICE,   /* only the first of two devices is served */
    TV_BUG_EARLY,           /* the guest sees completion before the ioctl */
    TV_BUG_SWAP,            /* two batches reach the host in wrong order */
    TV_BUG_WRONG_PASID,     /* invalidation of another PASID */
    TV_BUG_NO_CONFIG,       /* CD or PASID entry changes are not handed on */
    TV_BUG_REORDER,         /* SMMUv3: the last of a batch comes first */
    TV_BUG_STALE_LABEL,     /* old label after the guest renumbered buses */
    TV_BUG__MAX,
} TvBug;

/* Stage 1 of VT-d, shared by all who have the same guest tables */
typedef struct TvHwpt {
    uint32_t id;
    unsigned iommu, refs;
    uint16_t did;
    VtdPasidEntry pe;
    struct TvHwpt *next;
} TvHwpt;

typedef struct TvPasid {
    bool used;
    uint32_t pasid;             /* TV_NO_PASID: requests without one */
    uint32_t guest_pasid;       /* entry of the PASID table it comes from */
    TvHwpt *hwpt;
} TvPasid;

typedef struct TvDevice {
    const char *bdf;            /* of the host */
    unsigned iommu;             /* physical IOMMU, as in the configuration */
    uint16_t rid;               /* of the guest: the label */
    int fd;
    uint32_t dev_id;
    /* VT-d; slot 0 is the RID */
    TvPasid pasid[TV_MAX_PASIDS];
    /* SMMUv3 */
    uint32_t vdevice, ste_hwpt;
    uint32_t old_rid;
} TvDevice;

typedef struct TvIommu {
    uint32_t parent;            /* nesting parent, 0: no device yet */
    uint32_t viommu, veventq;
    int event_fd;
} TvIommu;

/* One run of entries for one HWPT or vIOMMU */
typedef struct TvBatch {
    uint32_t target;
    unsigned n;
    union {
        struct iommu_hwpt_vtd_s1_invalidate vtd[TV_BATCH];
        struct iommu_viommu_arm_smmuv3_invalidate smmu[TV_BATCH];
    };
    struct TvBatch *next;
} TvBatch;

typedef struct TvConfig {
    TvArch arch;
    TvBug bug;
    uint64_t ram_size;
    uint64_t tables;            /* tables lie in [tables, ram_size) */
    uint32_t parent_flags;      /* of HWPT_ALLOC, besides the usual */
    unsigned n_devices;
    struct {
        const char *bdf;
        unsigned iommu;
        uint16_t rid;
    } device[TV_MAX_DEVICES];
} TvConfig;

typedef struct TvVm {
    TvConfig cfg;
    uint8_t *ram;
    int iommufd;
    uint32_t ioas, fault_queue;
    int fault_fd;
    TvIommu iommu[TV_MAX_IOMMUS];
    TvDevice device[TV_MAX_DEVICES];
    TvHwpt *hwpts;
    /* The guest's side */
    IommuMem mem;
    VtdTables vtd;
    VtdQueue qi;
    SmmuTables smmu;
    SmmuQueue cmdq;
    uint64_t head;              /* of the queue, what the VMM has read */
    /* Batches of the current synchronisation, and those held back */
    TvBatch *batches, *held;
    bool armed;                 /* the bug may strike */
    bool struck;
    unsigned errors;            /* ioctls that failed unexpectedly */
} TvVm;

/* Also opens and binds the devices.  Aborts with a message on failure. */
TvVm *tv_open(const TvConfig *cfg);
void tv_close(TvVm *vm);

/* From here on the bug of the configuration may strike */
void tv_arm(TvVm *vm);
/* Is @bug the one to show, now? */
bool tv_bug(const TvVm *vm, TvBug bug);

/* The doorbell: run the guest's invalidation or command queue */
void tv_kick(TvVm *vm);
/* Nothing to do for the VMM: it does what it has put off */
void tv_idle(TvVm *vm);

/* The guest gives the function another requester id (bus renumbering) */
void tv_renumber(TvVm *vm, TvDevice *dev, uint16_t rid);

/* Stage 2 */
int tv_map(TvVm *vm, uint64_t gpa, uint64_t len, bool writable);
int tv_unmap(TvVm *vm, uint64_t gpa, uint64_t len);

/**
 * tv_event_rid: take the oldest event (SMMUv3) or page request (VT-d) and say
 * under which label the guest is told of it.
 *
 * Returns: the requester id, or -1 when there is none.
 */
int tv_event_rid(TvVm *vm);

typedef struct TvDma {
    uint64_t addr;
    uint32_t len;
    uint32_t pasid;             /* TV_NO_PASID */
    bool write, ats, priv;
    uint8_t data[TV_MAX_DMA];   /* in or out */
    /* Result */
    bool fault;
    int stage;
    char reason[32];
} TvDma;

void tv_dma(TvVm *vm, const TvDevice *dev, TvDma *dma);

/**
 * tv_command: the control socket's commands, without the socket.
 *
 * Returns: false when the answer is not "ok".
 */
bool tv_command(char *reply, size_t reply_len, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Number of live kernel objects the model knows of, of all kinds */
unsigned tv_live_objects(void);

/* ------------------------------------------ between the parts of tinyvmm */

int tv_ioctl(TvVm *vm, int fd, unsigned long cmd, void *arg,
             const char *name);
int tv_attach(TvVm *vm, TvDevice *dev, uint32_t pasid, uint32_t pt_id);
int tv_detach(TvVm *vm, TvDevice *dev, uint32_t pasid);
void tv_destroy(TvVm *vm, uint32_t *id);
TvDevice *tv_by_rid(TvVm *vm, uint16_t rid);
TvDevice *tv_by_dev_id(TvVm *vm, uint32_t dev_id);
void tv_append(TvVm *vm, uint32_t target, const void *entry);
void tv_flush(TvVm *vm);

void tv_vtd_open(TvVm *vm);
void tv_vtd_run(TvVm *vm);
void tv_vtd_close(TvVm *vm);
int tv_vtd_event_rid(TvVm *vm);

void tv_smmu_open(TvVm *vm);
void tv_smmu_run(TvVm *vm);
void tv_smmu_renumber(TvVm *vm, TvDevice *dev);
void tv_smmu_close(TvVm *vm);
int tv_smmu_event_rid(TvVm *vm);

#endif
