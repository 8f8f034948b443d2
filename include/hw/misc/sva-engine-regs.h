/*
 * SVA engine: registers, descriptors, codes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The contract is docs/specs/sva-engine.rst. Nothing here depends on QEMU:
 * programs that drive the device include this file too.
 */

#ifndef HW_MISC_SVA_ENGINE_REGS_H
#define HW_MISC_SVA_ENGINE_REGS_H

#define SVA_PCI_VENDOR_ID       0x1234
#define SVA_PCI_DEVICE_ID       0x11e9

#define SVA_BAR0_SIZE           0x10000

/* Simple block */
#define SVA_SIMPLE_ADDRESS      0x000
#define SVA_SIMPLE_COMMAND      0x008
#define   SVA_COMMAND_RUN         (1u << 0)
#define   SVA_COMMAND_TO_DEVICE   (1u << 1)
#define SVA_SIMPLE_RESULT       0x00c
#define SVA_SIMPLE_SIZE         4096

/* Engine */
#define SVA_ID                  0x100
#define   SVA_ID_VALUE            0x45415653
#define SVA_VERSION             0x104
#define   SVA_VERSION_VALUE       0x00010000
#define SVA_FEATURES            0x108
#define   SVA_FEATURE_COPY        (1u << 0)
#define   SVA_FEATURE_FILL        (1u << 1)
#define   SVA_FEATURE_CHECKSUM    (1u << 2)
#define   SVA_FEATURE_ATS         (1u << 8)
#define   SVA_FEATURE_PRI         (1u << 9)
#define   SVA_FEATURE_PASID       (1u << 10)
#define SVA_PARAMS              0x10c
#define   SVA_PARAMS_QUEUES(p)      ((p) & 0xff)
#define   SVA_PARAMS_PASID_BITS(p)  (((p) >> 8) & 0x1f)
#define   SVA_PARAMS_MAX_ORDER(p)   (((p) >> 16) & 0x1f)
#define   SVA_PARAMS_VECTORS(p)     (((p) >> 24) & 0xff)
#define SVA_CTRL                0x110
#define   SVA_CTRL_RESET          (1u << 0)
#define SVA_STATUS              0x114
#define   SVA_STATUS_ATS          (1u << 0)
#define   SVA_STATUS_PRI          (1u << 1)
#define   SVA_STATUS_PASID        (1u << 2)
#define   SVA_STATUS_BUSY         (1u << 8)
#define SVA_GROUP               0x118
#define   SVA_GROUP_MAX           32
#define   SVA_GROUP_DEFAULT       8

/* Counters, 64 bit each, in this order */
#define SVA_COUNTERS            0x200
enum {
    SVA_CNT_ATS_REQUESTS,
    SVA_CNT_ATC_HITS,
    SVA_CNT_INVALIDATIONS,
    SVA_CNT_ATC_DROPPED,
    SVA_CNT_PAGE_REQUESTS,
    SVA_CNT_PAGE_GROUPS,
    SVA_CNT_RESP_SUCCESS,
    SVA_CNT_RESP_INVALID,
    SVA_CNT_RESP_FAILURE,
    SVA_CNT_RESP_UNEXPECTED,
    SVA_CNT_BACKOFFS,
    SVA_CNT_WAIT_NS,
    SVA_CNT_WAIT_MAX_NS,
    SVA_CNT_BYTES_READ,
    SVA_CNT_BYTES_WRITTEN,
    SVA_CNT_DESCRIPTORS,
    SVA_CNT_ERRORS,
    SVA_CNT__NUM
};

/* Queues: offsets in the page of a queue */
#define SVA_QUEUE(n)            (0x1000u * ((n) + 1))
#define SVA_QUEUES_MAX          15
#define SVA_Q_CTRL              0x00
#define   SVA_Q_CTRL_ENABLE       (1u << 0)
#define   SVA_Q_CTRL_RESET        (1u << 1)
#define SVA_Q_STATUS            0x04
#define   SVA_Q_STATE(s)            ((s) & 0xf)
#define   SVA_Q_HALT_CODE(s)        (((s) >> 8) & 0xff)
#define SVA_Q_PASID             0x08
#define   SVA_Q_PASID_VALID       (1u << 31)
#define   SVA_Q_PASID_MASK        0xfffffu
#define SVA_Q_RING_ORDER        0x0c
#define   SVA_RING_ORDER_MAX      16
#define SVA_Q_RING_BASE         0x10
#define SVA_Q_TAIL              0x18
#define SVA_Q_HEAD              0x1c
#define SVA_Q_VECTOR            0x20
#define   SVA_Q_VECTOR_NONE       0xffffffffu
#define SVA_Q_COMPLETED         0x28
#define SVA_Q_FAILED            0x30
#define SVA_Q_LOST              0x38

enum {
    SVA_STATE_DISABLED = 0,
    SVA_STATE_IDLE = 1,
    SVA_STATE_WORKING = 2,
    SVA_STATE_WAITING = 3,
    SVA_STATE_HALTED = 4,
};

/* Descriptors: offsets; everything is little endian */
#define SVA_DESC_SIZE           64
#define SVA_DESC_OP             0x00
#define   SVA_OP_NOP              0
#define   SVA_OP_COPY             1
#define   SVA_OP_FILL             2
#define   SVA_OP_CHECKSUM         3
#define   SVA_OP_MASK             0xffu
#define   SVA_OP_INTERRUPT        (1u << 8)
#define SVA_DESC_TAG            0x04
#define SVA_DESC_SRC            0x08
#define SVA_DESC_DST            0x10
#define SVA_DESC_LEN            0x18
#define SVA_DESC_PATTERN        0x20
#define SVA_DESC_COMPLETION     0x28
#define SVA_DESC_RESERVED       0x30

/* Completion records: offsets */
#define SVA_COMP_SIZE           32
#define SVA_COMP_CODE           0x00
#define SVA_COMP_TAG            0x04
#define SVA_COMP_DONE           0x08
#define SVA_COMP_RESULT         0x10
#define SVA_COMP_ADDRESS        0x18

/* Codes */
enum {
    SVA_CODE_NONE = 0x00,
    SVA_CODE_OK = 0x01,
    SVA_CODE_OPCODE = 0x10,
    SVA_CODE_RESERVED = 0x11,
    SVA_CODE_RANGE = 0x12,
    SVA_CODE_CONFIG = 0x13,
    SVA_CODE_ABSENT = 0x20,
    SVA_CODE_INVALID = 0x21,
    SVA_CODE_FAILURE = 0x22,
    SVA_CODE_RETRIES = 0x23,
    SVA_CODE_OVERFLOW = 0x24,
    SVA_CODE_BUS = 0x25,
    SVA_CODE_DISABLED = 0x26,
};

#endif
