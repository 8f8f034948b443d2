/*
 * Model of /dev/iommu: objects shared by all parts of the library
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything declared here is protected by mdl_lock.  Functions that take or
 * drop it say so; all others expect it to be held.  Functions that stand for
 * a kernel entry point return 0 or a negative errno.
 */

#ifndef IOMMUFD_MODEL_H
#define IOMMUFD_MODEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MDL_MAX_IOMMUS      8
#define MDL_MAX_DEVICES     128
#define MDL_NO_PASID        UINT32_MAX
#define MDL_PAGE_SIZE       4096        /* the smallest of an IOMMU */
#define MDL_CMDQV_QUEUES    128         /* LVCMDQs of a VINTF, at most */

typedef struct MdlCtx MdlCtx;           /* one open of /dev/iommu */
typedef struct MdlIommu MdlIommu;       /* one physical IOMMU */
typedef struct MdlDevice MdlDevice;     /* one modelled PCI function */
typedef struct MdlHw MdlHw;             /* hw.c: caches of one MdlIommu */
typedef struct MdlDmaLog MdlDmaLog;
typedef struct MdlMigStream MdlMigStream;
typedef struct MdlEndpoint MdlEndpoint; /* endpoint.c: registers, ATC, IRQs */
typedef struct MdlVintf MdlVintf;       /* cmdqv.c: what a guest has of it */
typedef struct MdlHwQueue MdlHwQueue;   /* cmdqv.c */
typedef struct MdlJson MdlJson;         /* json.c */

typedef enum MdlArch {
    MDL_ARCH_VTD,
    MDL_ARCH_SMMUV3,
    MDL_ARCH_AMD,
} MdlArch;

/* Bits of MdlHost.absent: what an older kernel does not have */
enum {
    MDL_NO_VIOMMU       = 1 << 0,
    MDL_NO_PASID_ATTACH = 1 << 1,
    MDL_NO_VEVENTQ      = 1 << 2,
    MDL_NO_NESTING      = 1 << 3,
    MDL_NO_FAULT_QUEUE  = 1 << 4,
    MDL_NO_MAP_FILE     = 1 << 5,
    MDL_NO_CHANGE_PROCESS = 1 << 6,
    MDL_NO_DMA_BUF      = 1 << 7,       /* vfio-pci makes none */
    MDL_NO_DMA_BUF_MAP  = 1 << 8,       /* iommufd maps none */
    MDL_NO_BIND_TOKEN   = 1 << 9,
};

struct MdlIommu {
    unsigned index;
    bool present;
    /* Registers as IOMMU_GET_HW_INFO reports them */
    uint64_t cap, ecap;                 /* VT-d */
    uint32_t idr[6], iidr, aidr;        /* SMMUv3 */
    uint64_t efr, efr2;                 /* AMD */
    bool fwb;                           /* SMMUv3: IDR3.FWB of the hardware */
    bool errata;                        /* 772415 (VT-d), repeat (SMMUv3) */
    struct {                            /* SMMUv3: Tegra241 CMDQV */
        bool on;
        unsigned vintfs, queues, sids;  /* queues, StreamIDs of a VINTF */
        uint64_t used;                  /* VINTFs, but for the host's own */
    } cmdqv;
    bool dirty_tracking;
    unsigned aw;                        /* bits of IOVA of a stage-2 domain */
    MdlHw *hw;
};

#define MDL_MEMLOCK_OFF     UINT64_MAX          /* as with CAP_IPC_LOCK */
#define MDL_MEMLOCK_RLIMIT  (UINT64_MAX - 1)    /* as the process may */

typedef struct MdlHost {
    MdlArch arch;
    uint32_t absent;
    bool amd_nested;                    /* newer than 7.3, see config.c */
    bool scalable_mode;                 /* VT-d: not booted with sm_off */
    bool isolated_msi;                  /* devices cannot forge interrupts */
    bool la57;                          /* five levels of the CPU's tables */
    bool superpages;                    /* memory is of huge pages */
    bool refetch;                       /* caches fill again by themselves */
    bool vhost;                         /* any descriptor is one of vhost */
    bool container;                     /* /dev/vfio/vfio is there */
    bool privileged;                    /* everybody has CAP_SYS_RESOURCE */
    uint64_t max_kmalloc;               /* bytes it can allocate in one piece */
    uint64_t page_size;                 /* of the CPU */
    uint64_t memlock;                   /* bytes that may be pinned, or below */
    MdlIommu iommu[MDL_MAX_IOMMUS];
    MdlDevice *device[MDL_MAX_DEVICES];
    unsigned nr_devices;
} MdlHost;

extern MdlHost mdl_host;
extern pthread_mutex_t mdl_lock;

/* ------------------------------------------------------------- objects */

typedef enum MdlObjType {
    MDL_OBJ_NONE,
    MDL_OBJ_IOAS,
    MDL_OBJ_HWPT,
    MDL_OBJ_DEVICE,                     /* a bound vfio device: the dev_id */
    MDL_OBJ_ACCESS,
    MDL_OBJ_VIOMMU,
    MDL_OBJ_VDEVICE,
    MDL_OBJ_FAULT,
    MDL_OBJ_VEVENTQ,
    MDL_OBJ_HW_QUEUE,
    MDL_OBJ__MAX,
} MdlObjType;

/* First member of every object an id names */
typedef struct MdlObj {
    MdlObjType type;
    uint32_t id;
    unsigned refs;                      /* users; destroy is EBUSY if > 0 */
    MdlCtx *ctx;
} MdlObj;

typedef struct MdlArea {                /* one mapping of an IOAS */
    uint64_t iova, length;
    uint64_t va;                        /* in this process */
    bool readable, writeable;
    unsigned locks;                     /* hardware queues in it */
    struct MdlPages *pages;             /* private to iova.c */
} MdlArea;

typedef struct MdlIoas {
    MdlObj obj;
    struct MdlIova *iova;               /* private to iova.c */
} MdlIoas;

typedef struct MdlHwpt {
    MdlObj obj;
    MdlIommu *iommu;
    bool nested;
    bool nest_parent;
    bool first_stage;                   /* paging: format the host picked */
    bool pasid;                         /* allocated with HWPT_ALLOC_PASID */
    bool dirty_tracking;                /* enforced at attach */
    bool dirty_enabled;
    bool auto_domain;                   /* made by attaching an IOAS */
    MdlIoas *ioas;                      /* paging: own; nested: of parent */
    struct MdlHwpt *parent;             /* nested only */
    struct MdlViommu *viommu;           /* nested through a vIOMMU only */
    struct MdlFaultQueue *fault;        /* NULL: page requests are refused */
    uint32_t data_type;                 /* IOMMU_HWPT_DATA_* */
    uint64_t last_iova;                 /* paging: end of the aperture */
    union {
        struct {
            uint64_t flags, pgtbl_addr;
            uint32_t addr_width;
        } vtd;
        uint64_t ste[2];                /* host endian, 0 when V is 0 */
        uint64_t dte[4];
    } s1;
    unsigned attachments;               /* RIDs and PASIDs */
    /* hw.c: VT-d domain id; paging parents and nested HWPTs each have one */
    uint32_t domain_id;
    void *hw_priv;
} MdlHwpt;

typedef struct MdlViommu {
    MdlObj obj;
    MdlIommu *iommu;
    MdlHwpt *parent;
    uint32_t type;                      /* IOMMU_VIOMMU_TYPE_* */
    uint32_t vmid;                      /* SMMUv3: tag of its TLB entries */
    MdlVintf *vintf;                    /* NULL: no CMDQV */
    struct MdlVdevice *vdevices;        /* list by next */
    struct MdlVeventq *veventqs;        /* list by next */
} MdlViommu;

typedef struct MdlVdevice {
    MdlObj obj;
    MdlViommu *viommu;
    MdlDevice *dev;
    uint64_t virt_id;                   /* SMMUv3: guest StreamID */
    struct MdlVdevice *next;
} MdlVdevice;

typedef struct MdlFaultQueue {
    MdlObj obj;
    void *priv;                         /* private to queue.c */
} MdlFaultQueue;

typedef struct MdlVeventq {
    MdlObj obj;
    MdlViommu *viommu;
    uint32_t type;
    struct MdlVeventq *next;
    void *priv;                         /* private to queue.c */
} MdlVeventq;

typedef struct MdlResv {
    uint64_t first, last;
    bool msi;
    struct MdlResv *next;
} MdlResv;

typedef struct MdlPasidAttach {
    uint32_t pasid;
    MdlHwpt *hwpt;
    bool blocked;                       /* all the same */
    struct MdlPasidAttach *next;
} MdlPasidAttach;

struct MdlDevice {
    MdlObj obj;                         /* id valid while bound */
    /* Configuration */
    char bdf[16];
    uint32_t segment;                   /* from bdf */
    uint32_t host_sid;                  /* from bdf */
    MdlIommu *iommu;
    unsigned group;
    uint16_t vendor, device_id;
    uint32_t class_code;                /* 24 bits */
    uint8_t revision;
    unsigned pasid_bits;
    bool pri, ats, vf, pf_pri, can_reset, migration, mdev;
    bool dma_logging;                   /* logs its writes itself */
    bool atc_hang;                      /* does not answer ATC_INV */
    bool host_ats, host_pri;            /* the host's kernel uses them */
    bool pasid_attach;                  /* its vfio driver attaches PASIDs */
    bool pasid_exec, pasid_priv;        /* of its PASID capability */
    bool intx;                          /* has pin A */
    bool viable;                        /* no host driver in its group */
    bool group_open;                    /* /dev/vfio/GROUP */
    struct MdlDevice *pf;               /* of a VF, if vfio drives that */
    bool vfio_driver;                   /* it is bound to vfio-pci */
    unsigned streams;                   /* SMMUv3: StreamIDs it has */
    bool express;                       /* else conventional PCI */
    bool af, pm, no_soft_reset;
    uint64_t bar0_size, bar4_size;      /* of 4: 0 is none */
    bool bar_mmap;                      /* BARs of memory can be mapped */
    unsigned msix_vectors, msi_vectors;
    uint64_t rom_size;                  /* 0: none */
    unsigned disk_mib;                  /* an NVMe controller; 0: an engine */
    MdlResv *reserved;
    /* State */
    unsigned vfio_index;                /* N of vfioN */
    bool bound;
    bool low_power;                     /* it may be put to sleep */
    bool resetting;                     /* attach is -EBUSY if it has ATS */
    unsigned iopf_users;                /* iopf_refcount of VT-d */
    MdlHwpt *hwpt;                      /* of the RID; NULL: DMA blocked */
    MdlPasidAttach *pasids;
    MdlVdevice *vdevice;
    uint32_t mig_state;                 /* enum vfio_device_mig_state */
    MdlMigStream *mig_stream;           /* of the session that is open */
    MdlDmaLog *dma_log;                 /* NULL: off */
    uint8_t token[16];                  /* private to vf.c */
    bool has_token;
    MdlEndpoint *ep;
};

/* -------------------------------------------- offered to the hardware side */

/**
 * mdl_ioas_lookup: stage-2 translation of one address.
 * @ioas: the I/O address space
 * @iova: address to look up
 * @area: set to the mapping that holds @iova
 *
 * Returns: true when mapped.  No permission check.
 */
bool mdl_ioas_lookup(MdlIoas *ioas, uint64_t iova, const MdlArea **area);

/* Is it another device's memory, not this process's? */
bool mdl_area_is_bar(const MdlArea *area);

/* Where in this process the byte at @iova of @area is; @length: to its end */
void *mdl_area_host(const MdlArea *area, uint64_t iova, uint64_t *length);

/**
 * mdl_ioas_rw: access memory through an IOAS as a device behind it would.
 * May cross mappings.  Nothing is moved past the first failing byte.
 *
 * Returns: 0, or -EFAULT (not mapped), -EPERM (mapped without the right).
 */
int mdl_ioas_rw(MdlIoas *ioas, uint64_t iova, void *buf, size_t len,
                bool write);

/* One page request, as the device sends it */
typedef struct MdlPageRequest {
    uint32_t pasid;                     /* MDL_NO_PASID: none */
    uint32_t grpid;
    uint64_t addr;
    bool read, write, exec, priv, last;
} MdlPageRequest;

/**
 * mdl_fault_push: hand a complete page request group to a fault queue.
 * The queue calls hw_group_response() once it is answered (by write(2), by
 * detaching, by destruction).
 * @cookie_priv: passed back to hw_group_response()
 *
 * Returns: 0, or -ENOMEM/-ENOSPC.
 */
int mdl_fault_push(MdlFaultQueue *q, MdlDevice *dev, const MdlPageRequest *req,
                   unsigned nr, void *cookie_priv);

/**
 * mdl_fault_cancel: drop or refuse everything of @hwpt for @dev that waits
 * for an answer (all PASIDs when @pasid is MDL_NO_PASID and @all is true).
 */
void mdl_fault_cancel(MdlHwpt *hwpt, MdlDevice *dev, uint32_t pasid, bool all);

/**
 * mdl_veventq_push: append one event record.
 * A queue that is full counts a lost event instead.
 */
void mdl_veventq_push(MdlVeventq *q, const void *event, size_t len);

/* mdl_veventq_lose: one event got lost as though the queue had been full */
void mdl_veventq_lose(MdlVeventq *q);

/* A function reset: for the IOMMU one as well, pci_dev_reset_iommu_prepare() */
void mdl_device_reset(MdlDevice *dev);

/* Smallest page of @hwpt */
uint64_t mdl_host_io_page(const MdlHwpt *hwpt);

/* Has the host's kernel switched it on? Page requests: VT-d only */
bool mdl_host_ats(const MdlDevice *dev);
bool mdl_host_pri(const MdlDevice *dev);

void mdl_migration_init(MdlDevice *dev);
/* dma-log.c; these two have to do with a log only if it is on */
void mdl_dma_log(MdlDevice *dev, uint64_t addr, uint64_t len);
void mdl_dma_log_stop(MdlDevice *dev);
/* A reset ends a migration session, and the device runs again */
void mdl_migration_reset(MdlDevice *dev);
/* A stopped device does no DMA and asks for no pages */
bool mdl_migration_stopped(const MdlDevice *dev);

/* Accounting; @call as in the counters reply ("HWPT_INVALIDATE", "dma") */
void mdl_count(const char *call, uint64_t entries, bool error);

/**
 * mdl_journal: write one line.
 * @fmt gives the JSON members after "t", "n" and "ev", without braces.
 */
void mdl_journal(const char *ev, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
