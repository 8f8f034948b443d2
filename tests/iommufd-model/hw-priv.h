/*
 * Model of /dev/iommu: what the parts of the hardware share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything here runs with mdl_lock held.
 */

#ifndef IOMMUFD_MODEL_HW_PRIV_H
#define IOMMUFD_MODEL_HW_PRIV_H

#include "hw.h"
#include "cache.h"

#define HW_MAX_IDS      65536           /* domain ids, VMIDs */
#define HW_PAGE_SHIFT   12
#define HW_MAX_ONCE     1024            /* commands waiting for a repeat */

/* Fields of registers that decide something here */
#define VTD_CAP_FS1GP           (1ULL << 56)
#define VTD_ECAP_DT             (1ULL << 2)
#define VTD_ECAP_PRS            (1ULL << 29)
#define VTD_ECAP_ERS            (1ULL << 30)
#define VTD_ECAP_PDS            (1ULL << 42)

#define SMMU_IDR0_ATS           (1u << 10)
#define SMMU_IDR0_ASID16        (1u << 12)
#define SMMU_IDR0_VMID16        (1u << 18)
#define SMMU_IDR0_CD2L          (1u << 19)
#define SMMU_IDR0_TERM_MODEL    (1u << 26)
#define SMMU_IDR3_HAD           (1u << 2)
#define SMMU_IDR3_RIL           (1u << 10)
#define SMMU_IDR5_GRAN4K        (1u << 4)
#define SMMU_IDR5_GRAN16K       (1u << 5)
#define SMMU_IDR5_GRAN64K       (1u << 6)
#define SMMU_IDR5_DS            (1u << 7)

static inline uint64_t hw_bits(uint64_t value, unsigned hi, unsigned lo)
{
    return (value >> lo) & (UINT64_MAX >> (63 - (hi - lo)));
}

/* Bits 0 .. @n-1 */
static inline uint64_t hw_mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (1ULL << n) - 1;
}

struct MdlHw {
    MdlIommu *iommu;
    HwCache tlb;                        /* leaves and tables */
    HwCache cfg;                        /* SMMUv3: CDs */
    uint64_t ids[HW_MAX_IDS / 64];      /* domain ids or VMIDs in use */
    /* SMMUv3 errata: commands seen once, which had no effect yet */
    struct {
        uint64_t cmd[2];
        uint64_t sync;                  /* which SYNC it was issued before */
    } once[HW_MAX_ONCE];
    size_t nr_once;
    uint64_t nr_syncs;
};

/* One access, or one translation request */
typedef struct HwReq {
    MdlDevice *dev;
    uint32_t pasid;                     /* MDL_NO_PASID */
    uint64_t addr;
    bool write, exec, priv;
    bool ats;                           /* translation request */
    bool prefetch;                      /* of nobody: leaves no record */
} HwReq;

enum { HW_PERM_R = 1, HW_PERM_W = 2, HW_PERM_X = 4 };

typedef struct HwXlate {
    uint64_t out;                       /* of HwReq.addr, in @s2 */
    MdlHwpt *s2;                        /* paging HWPT */
    unsigned shift;
    uint32_t perm;                      /* HW_PERM_* */
} HwXlate;

/**
 * Why an access failed.
 * @stage: 1 guest tables, 2 the IOAS, 0 neither (nothing attached, ...)
 * @recoverable: a translation request was answered "no right" rather than
 *               refused, so the device may ask for the page
 */
typedef struct HwFault {
    int stage;
    HwReason reason;
    uint64_t addr;
    uint32_t pasid;
    bool recoverable;
} HwFault;

typedef struct DmaOp DmaOp;

/* A page request group between its last request and its answer's reader */
typedef struct HwGroup {
    struct HwGroup *next;
    unsigned refs;              /* the device's list, the host, a waiter */
    uint32_t grpid, pasid;
    bool answered, success;
    DmaOp *op;                  /* to be tried again, or NULL */
} HwGroup;

#define EP_CONFIG_SIZE  4096
#define EP_REGS_SIZE    0x800
#define EP_BUF_SIZE     0x800

/* Registers of BAR0, little endian */
enum {
    EP_REG_ID           = 0x00,
    EP_REG_CTRL         = 0x04,
    EP_REG_ADDR         = 0x08,
    EP_REG_LEN          = 0x10,
    EP_REG_PASID        = 0x14,
    EP_REG_STATUS       = 0x18,
    EP_REG_REASON       = 0x1c,
    EP_REG_FAULT_ADDR   = 0x20,
    EP_REG_VECTOR       = 0x28,
    EP_REG_END          = 0x2c,
};

typedef struct MdlNvme MdlNvme;

#define EP_NR_BARS 2

/* A BAR that is memory: of 2, which has MSI-X's table, and 4 */
typedef struct EpBar {
    uint64_t size;                      /* 0: there is none */
    uint8_t *mem;                       /* what is in it unless @live */
    int fd;                             /* what is mapped, empty unless @live */
    uint8_t *view;                      /* NULL: nobody has mapped it yet */
    bool live;                          /* and may be accessed */
} EpBar;

struct MdlEndpoint {
    MdlDevice *dev;
    MdlNvme *nvme;                      /* BAR0 is its; NULL: the engine's */
    uint8_t config[EP_CONFIG_SIZE];
    uint8_t config_wmask[EP_CONFIG_SIZE];
    EpBar bar[EP_NR_BARS];
    bool bars_on;                       /* those that are mapped are there */
    uint8_t regs[EP_REGS_SIZE];
    uint8_t buf[EP_BUF_SIZE];
    /* Interrupts: eventfds of the one enabled index, and of ERR and REQ */
    int irq_index;                      /* -1: none */
    int *irq_fd;
    unsigned nr_irq_fd;
    unsigned nr_prepared;               /* vectors whose doorbell is mapped */
    int intx_fd;
    bool intx_level, intx_masked;
    int single_fd[2];
    int wake_fd;                        /* while in low power, or -1 */
    /* Device TLB; ctx is the PASID or MDL_NO_PASID */
    HwCache atc;
    bool ats_on;
    /*
     * SMMUv3: the label events carry.  Fixed when a nested HWPT is attached,
     * as arm_smmu_attach_prepare_vmaster() does.
     */
    MdlViommu *label_viommu;
    uint32_t label_sid;
    /* Page requests */
    HwGroup *groups;                    /* oldest first */
    unsigned nr_groups;
    MdlPageRequest *partial;            /* host: groups not complete yet */
    unsigned nr_partial;
    uint32_t next_grpid;
    pthread_cond_t answered;            /* with mdl_lock */
};

/* hw.c */
bool hw_fault(HwFault *fault, const HwReq *req, int stage,
              HwReason reason, bool recoverable);         /* false */
bool hw_translate(const HwReq *req, HwXlate *xlate, HwFault *fault);
/* Stage-2 reads and writes of the walkers; 0 or errno as mdl_ioas_rw() */
int hw_s2_read64(MdlHwpt *s2, uint64_t gpa, uint64_t *value);
int hw_s2_set_bits(MdlHwpt *s2, uint64_t gpa, uint64_t *value, uint64_t set);
bool hw_s2_fault(HwFault *fault, const HwReq *req, int err);
void hw_dirty_mark(MdlHwpt *s2, uint64_t gpa, uint64_t len);
/* The HWPT a request of @pasid meets, or NULL */
MdlHwpt *hw_hwpt_of(const MdlDevice *dev, uint32_t pasid);
uint32_t hw_s2_id(const MdlHwpt *hwpt); /* domain id of the parent or own */
/* Host invalidates the device TLB; MDL_NO_PASID hits every PASID */
size_t hw_atc_drop(MdlDevice *dev, uint32_t pasid, uint64_t first,
                   uint64_t last);

/* walk-vtd.c, walk-smmuv3.c */
bool vtd_translate(MdlHw *hw, MdlHwpt *hwpt, const HwReq *req,
                   HwXlate *xlate, HwFault *fault);
bool smmu_translate(MdlHw *hw, MdlHwpt *hwpt, const HwReq *req,
                    HwXlate *xlate, HwFault *fault);
/* An SSID on a stream that only has stage 2 */
bool smmu_no_substreams(const HwReq *req, HwFault *fault);
bool smmu_wants_ats(const MdlHwpt *hwpt);
bool smmu_aborts(const MdlHwpt *hwpt);

/* inv-vtd.c, inv-smmuv3.c: effects of the host driver's own flushes */
void vtd_drop_domain(MdlIommu *iommu, uint32_t did);
void smmu_drop_stream(MdlIommu *iommu, uint32_t sid);
void smmu_drop_vmid(MdlIommu *iommu, uint32_t vmid);

/* refetch.c: around the effect of one command */
void hw_refetch_begin(void);
void hw_refetch_end(void);

/* event-smmuv3.c */
enum {
    SMMU_EVT_BAD_STE            = 0x04,
    SMMU_EVT_STREAM_DISABLED    = 0x06,
    SMMU_EVT_BAD_SUBSTREAMID    = 0x08,
    SMMU_EVT_BAD_CD             = 0x0a,
    SMMU_EVT_TRANSLATION        = 0x10,
    SMMU_EVT_ADDR_SIZE          = 0x11,
    SMMU_EVT_ACCESS             = 0x12,
    SMMU_EVT_PERMISSION         = 0x13,
};
enum { SMMU_CLASS_CD, SMMU_CLASS_TT, SMMU_CLASS_IN };
void smmu_event(const HwReq *req, unsigned id, unsigned class);
int smmu_command_event(const MdlJson *req, char *reply, size_t reply_len);
int smmu_command_event_lost(const MdlJson *req, char *reply,
                            size_t reply_len);

/* cmdqv.c */
int cmdqv_command_kick(const MdlJson *req, char *reply, size_t reply_len);

/* dma.c */
struct DmaOp {
    MdlDevice *dev;
    uint64_t addr;
    uint32_t len, pasid;
    bool write, exec, priv, ats, pri;
    bool engine;                        /* of BAR0, else of the socket */
    enum { DMA_DONE, DMA_FAULT, DMA_PENDING } state;
    HwFault fault;
    uint32_t grpid;                     /* while DMA_PENDING */
    uint8_t data[];                     /* @len bytes */
};
DmaOp *dma_new(MdlDevice *dev, uint32_t len);
/* Runs @op; when it stays DMA_PENDING it belongs to its group */
void dma_run(DmaOp *op);
void dma_reply(const DmaOp *op, char *reply, size_t reply_len);
int dma_command(const MdlJson *req, char *reply, size_t reply_len);

/* pri.c */
#define PRI_MAX_GROUPS  512             /* the index has nine bits */
#define PRI_MAX_PARTIAL 512
bool pri_enabled(const MdlDevice *dev);
/* Sends one group for @op; false: refused at once */
bool pri_request_op(DmaOp *op, MdlPageRequest *req, unsigned nr);
void pri_reset(MdlDevice *dev);         /* device no longer cares */
void pri_fini(MdlDevice *dev);
int pri_command(const MdlJson *req, char *reply, size_t reply_len);
int pri_command_wait(const MdlJson *req, char *reply, size_t reply_len);

/* The device asks again for a translation it has lost */
void dma_prefetch(const HwReq *as);

/* endpoint.c */
void ep_engine_done(MdlDevice *dev, DmaOp *op);
/* Bytes of configuration space */
unsigned ep_config_size(const MdlDevice *dev);
int64_t ep_config_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf,
                     size_t len, bool write);
void ep_bar0_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf, size_t len,
                bool write);
bool ep_in_d3hot(const MdlDevice *dev);
void ep_msi_enabled(MdlDevice *dev, unsigned vectors);

/* ep-bar.c */
void ep_bars_init(MdlDevice *dev);
void ep_bars_reset(MdlDevice *dev);
void ep_bars_fini(MdlDevice *dev);
uint64_t ep_bar_size(const MdlDevice *dev, unsigned region);
uint64_t ep_msix_table_size(const MdlDevice *dev);
/* Does the device answer to accesses of memory? */
bool ep_memory_on(const MdlDevice *dev);
/* And may they be mapped, or be reached by other devices? */
bool ep_bars_on(const MdlDevice *dev);
/* An access of another device; 0 or -EFAULT */
int ep_bar_dma(MdlDevice *dev, unsigned region, uint64_t offset, void *buf,
               size_t len, bool write);
/* The host's entry of MSI-X's table, and whether it is still that */
void ep_msix_write(MdlDevice *dev, unsigned vector, bool on);
bool ep_msix_intact(MdlDevice *dev, unsigned vector);

/* nvme.c */
/* Word of 8 bytes w on a fresh disk is w times this */
#define NVME_DISK_WORD  0x9e3779b97f4a7c15ULL
void nvme_init(MdlDevice *dev);
void nvme_fini(MdlDevice *dev);
void nvme_reset(MdlDevice *dev);
void nvme_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf, size_t len,
             bool write);

/* ep-irq.c */
void ep_irqs_off(MdlDevice *dev);
/* By MSI-X or MSI, whichever is enabled */
void ep_interrupt(MdlDevice *dev, unsigned vector);
/* Has @vector an eventfd? */
bool ep_msix_wired(const MdlDevice *dev, unsigned vector);

/* ep-watch.c: INTx is unmasked when @fd is signalled; -1: no more */
int ep_intx_unmask_by(MdlDevice *dev, int fd);
void ep_watches_off(MdlDevice *dev);

/* hw-command.c */
MdlDevice *hw_command_device(const MdlJson *req);
int hw_command_error(char *reply, size_t reply_len, int err,
                     const char *text);
bool hw_parse_hex(const char *hex, uint8_t *out, size_t len);
/* PASID of a request: MDL_NO_PASID when absent; false: out of range */
bool hw_command_pasid(const MdlJson *req, const MdlDevice *dev,
                      uint32_t *pasid);

#endif
