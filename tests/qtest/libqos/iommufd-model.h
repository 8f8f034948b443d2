/*
 * qtest under the model of /dev/iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Starts the QEMU of QTEST_QEMU_BINARY, any QEMU, with the model preloaded,
 * and speaks with the model's control socket.  The library is found through
 * IOMMUFD_MODEL_LIBRARY, else in the build directory.
 */

#ifndef LIBQOS_IOMMUFD_MODEL_H
#define LIBQOS_IOMMUFD_MODEL_H

#include "../libqtest.h"
#include "qobject/qdict.h"
#include "iommu-mem.h"

typedef struct IommufdModel {
    char *dir;                  /* private: configuration, journal, tree */
    char *library;
    QTestState *qts;
    int sock;
    char in[4096];              /* private: what has come from the socket */
    size_t in_at, in_len;
} IommufdModel;

/**
 * iommufd_model_new: prepare a host.
 * @config: sections [host], [iommu N] and [device BDF] of the model's
 *          configuration; [model] is added here
 */
IommufdModel *iommufd_model_new(const char *config);

/* Start QEMU on that host; machine and devices are in the arguments */
QTestState *iommufd_model_start(IommufdModel *m, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* End QEMU if it runs, and forget the host with all its files */
void iommufd_model_free(IommufdModel *m);

/**
 * iommufd_model_open: open a file of the modelled host here, to hand it to
 * QEMU, which knows it again.
 * @path: "/dev/iommu" or "/dev/vfio/devices/vfioN"
 */
int iommufd_model_open(IommufdModel *m, const char *path);

/* Number N of the vfioN of a device */
unsigned iommufd_model_vfio_index(IommufdModel *m, const char *bdf);

/**
 * iommufd_model_command: one command of the control socket.
 *
 * Returns: the answer; the caller looks at "ok".
 */
QDict *iommufd_model_command(IommufdModel *m, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* The same for commands that have to succeed */
void iommufd_model_do(IommufdModel *m, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* How a request of the device looks; zeroed: plain, without PASID */
typedef struct IommufdDma {
    bool with_pasid;
    uint32_t pasid;
    bool ats, priv, exec;
} IommufdDma;

/* DMA that has to succeed; at most 2048 bytes */
void iommufd_model_dma_read(IommufdModel *m, const char *bdf,
                            const IommufdDma *how, uint64_t addr,
                            void *buf, size_t len);
void iommufd_model_dma_write(IommufdModel *m, const char *bdf,
                             const IommufdDma *how, uint64_t addr,
                             const void *buf, size_t len);

/* One of several transfers of eight bytes; @data is little endian in memory */
typedef struct IommufdDmaOp {
    const char *bdf;
    IommufdDma how;
    uint64_t addr;
    bool write;
    uint64_t data;              /* to write, or what a read has brought */
    bool fault;                 /* how it ended */
} IommufdDmaOp;

/* At most this many at once: the model answers each before it reads on */
#define IOMMUFD_MODEL_BATCH 64

/* All of @op, in this order, for the time that one takes */
void iommufd_model_dma_batch(IommufdModel *m, IommufdDmaOp *op, unsigned num);

/* A read that has to bring @len bytes of @value */
void iommufd_model_expect_data(IommufdModel *m, const char *bdf,
                               const IommufdDma *how, uint64_t addr,
                               uint8_t value, size_t len);

/**
 * iommufd_model_expect_fault: an access that has to fault.
 * @stage: 1 guest tables, 2 the host's mappings, 0 neither
 * @reason: as the model names it ("not-present"), or NULL: any
 */
void iommufd_model_expect_fault(IommufdModel *m, const char *bdf,
                                const IommufdDma *how, uint64_t addr,
                                bool write, int stage, const char *reason);

/* @field: "calls", "errors" or "entries"; 0 when there was no such call */
uint64_t iommufd_model_counter(IommufdModel *m, const char *call,
                               const char *field);

/* Calls of QEMU on the host so far, of whatever kind, failed ones as well */
uint64_t iommufd_model_calls(IommufdModel *m);

/* Live objects of one kind ("ioas", "hwpt", "devices", ...); NULL: of all */
uint64_t iommufd_model_live(IommufdModel *m, const char *kind);

/* Bytes of memory that are pinned for DMA */
uint64_t iommufd_model_pinned(IommufdModel *m);

/* Number of lines of the journal that contain @text */
unsigned iommufd_model_journal(IommufdModel *m, const char *text);

/* Builders of tables on the memory of a machine under qtest */
void iommu_mem_qtest(IommuMem *mem, QTestState *qts, uint64_t first,
                     uint64_t size);

typedef struct QtestIommuRegs {
    QTestState *qts;
    uint64_t base;
} QtestIommuRegs;

/* Registers of the machine's IOMMU at @where->base */
void iommu_regs_qtest(IommuRegs *regs, QtestIommuRegs *where);

#endif
