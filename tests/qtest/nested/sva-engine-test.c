/*
 * SVA engine: registers, operations, errors, interrupts and resets, without an
 * IOMMU; and behind an SMMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqtest.h"
#include "sva-engine-rig.h"
#include "../libqos/smmuv3-tables.h"

/* Guest memory, as offsets into RAM */
#define RING        0x0200000
#define DONE        0x0210000       /* completion records */
#define SRC         0x0400000
#define DST         0x0800000
#define NOTHING     0xc0000000ULL   /* no memory, on both machines */

static uint32_t crc32c_bitwise(Rig *r, uint64_t gpa, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);
    uint32_t crc = UINT32_MAX;

    qtest_memread(r->qts, gpa, buf, len);
    for (size_t i = 0; i < len; i++) {
        crc ^= buf[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static void start(Rig *r, RigQueue *q)
{
    rig_start_q35(r, "", "");
    rig_queue_init(q, r, 0, 0, RING, RING, 4);
}

/* ------------------------------------------------------------ registers */

static void test_identity(void)
{
    Rig r;

    rig_start_q35(&r, "", "queues=3,pasid-bits=9,page-requests=17");
    g_assert_cmphex(rig_config_readl(&r, PCI_VENDOR_ID), ==, 0x11e91234);
    /* 32-bit memory, not prefetchable: what uio_pci_generic_sva maps */
    g_assert_cmphex(rig_config_readl(&r, PCI_BASE_ADDRESS_0) & 0xf, ==, 0);
    g_assert_cmphex(rig_config_readl(&r, PCI_BASE_ADDRESS_2) & 0xf, ==, 0xc);

    g_assert_cmphex(rig_readl(&r, SVA_ID), ==, SVA_ID_VALUE);
    g_assert_cmphex(rig_readl(&r, SVA_VERSION), ==, SVA_VERSION_VALUE);
    g_assert_cmphex(rig_readl(&r, SVA_FEATURES), ==, 0x707);
    g_assert_cmphex(rig_readl(&r, SVA_PARAMS), ==, 0x03100903);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS), ==, 0);
    g_assert_cmpuint(rig_readl(&r, SVA_GROUP), ==, SVA_GROUP_DEFAULT);
    rig_writel(&r, SVA_GROUP, SVA_GROUP_MAX + 1);
    g_assert_cmpuint(rig_readl(&r, SVA_GROUP), ==, SVA_GROUP_DEFAULT);

    /* Extended capabilities: ATS, PRI, PASID, in this order */
    g_assert_cmphex(rig_config_readw(&r, RIG_ATS), ==, PCI_EXT_CAP_ID_ATS);
    g_assert_cmphex(rig_config_readw(&r, RIG_PRI), ==, PCI_EXT_CAP_ID_PRI);
    g_assert_cmpuint(rig_config_readl(&r, RIG_PRI + PCI_PRI_MAX_REQ), ==, 17);
    g_assert_cmphex(rig_config_readw(&r, RIG_PRI + PCI_PRI_STATUS), ==,
                    PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED);
    g_assert_cmphex(rig_config_readw(&r, RIG_PASID), ==,
                    PCI_EXT_CAP_ID_PASID);
    g_assert_cmphex(rig_config_readw(&r, RIG_PASID + PCI_PASID_CAP), ==,
                    9 << 8);
    rig_stop(&r);

    rig_start_q35(&r, "", "ats=off,pri=off,pasid=off,queues=15");
    g_assert_cmphex(rig_config_readl(&r, RIG_ATS), ==, 0);
    g_assert_cmphex(rig_readl(&r, SVA_FEATURES), ==, 0x7);
    g_assert_cmphex(rig_readl(&r, SVA_PARAMS), ==, 0x0f10000f);
    rig_stop(&r);
}

static void test_simple(void)
{
    Rig r;

    rig_start_q35(&r, "", "");
    rig_scribble(&r, SRC + 0x123, SVA_SIMPLE_SIZE, 1);
    g_assert_cmphex(rig_simple(&r, SRC + 0x123, true), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_readl(&r, SVA_SIMPLE_COMMAND), ==,
                    SVA_COMMAND_TO_DEVICE);
    g_assert_cmphex(rig_simple(&r, DST + 0xffe, false), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_readl(&r, SVA_SIMPLE_COMMAND), ==, 0);
    g_assert_true(rig_scribbled(&r, DST + 0xffe, SVA_SIMPLE_SIZE, 1));
    g_assert_cmphex(qtest_readb(r.qts, DST + 0xffd), ==, 0);
    g_assert_cmphex(qtest_readb(r.qts, DST + 0x1ffe), ==, 0);

    g_assert_cmphex(rig_simple(&r, NOTHING, true), ==, SVA_CODE_BUS);
    g_assert_cmphex(rig_simple(&r, -0xfffULL, true), ==, SVA_CODE_RANGE);
    rig_stop(&r);
}

/* ----------------------------------------------------------- operations */

static void copy_one(RigQueue *q, uint64_t src, uint64_t dst, size_t len,
                     uint32_t seed)
{
    Rig *r = q->rig;
    RigCompletion c;

    rig_scribble(r, src, len, seed);
    qtest_memset(r->qts, dst - 1, 0xa5, len + 2);
    qtest_memset(r->qts, DONE, 0, SVA_COMP_SIZE);
    rig_do(q, &(RigDesc) { .op = SVA_OP_COPY, .tag = seed, .src = src,
                           .dst = dst, .len = len, .completion = DONE });
    c = rig_completion(r, DONE);
    g_assert_cmphex(c.code, ==, SVA_CODE_OK);
    g_assert_cmpuint(c.tag, ==, seed);
    g_assert_cmpuint(c.done, ==, len);
    g_assert_cmpuint(c.result, ==, 0);
    g_assert_true(rig_scribbled(r, dst, len, seed));
    g_assert_cmphex(qtest_readb(r->qts, dst - 1), ==, 0xa5);
    g_assert_cmphex(qtest_readb(r->qts, dst + len), ==, 0xa5);
}

static void test_copy(void)
{
    Rig r;
    RigQueue q;

    start(&r, &q);
    copy_one(&q, SRC, DST + 64, 1, 1);
    copy_one(&q, SRC, DST + 0x1000, 0x1000, 2);
    copy_one(&q, SRC + 0xfff, DST + 0x1ffe, 3, 3);
    copy_one(&q, SRC + 0x801, DST + 0x7f3, 0x2345, 4);
    copy_one(&q, SRC + 1, DST + 0xffd, 1 << 20, 5);
    copy_one(&q, SRC, DST + 1, 0, 6);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_COMPLETED), ==, 6);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_DESCRIPTORS), ==, 6);
    /* Without ATS nothing is translated */
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_ATS_REQUESTS), ==, 0);
    rig_stop(&r);
}

static void test_fill(void)
{
    static const uint8_t pattern[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    const size_t len = 0x3007;
    const uint64_t dst = DST + 0xffb;
    g_autofree uint8_t *buf = g_malloc(len + 1);
    Rig r;
    RigQueue q;

    start(&r, &q);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_FILL, .dst = dst, .len = len,
                            .pattern = 0x0807060504030201ULL });
    qtest_memread(r.qts, dst, buf, len + 1);
    for (size_t i = 0; i < len; i++) {
        g_assert_cmphex(buf[i], ==, pattern[i % 8]);
    }
    g_assert_cmphex(buf[len], ==, 0);
    rig_stop(&r);
}

static void test_checksum(void)
{
    const size_t len = 0x5432;
    Rig r;
    RigQueue q;
    RigDesc d = { .op = SVA_OP_CHECKSUM, .src = SRC + 0xffc, .len = 9,
                  .completion = DONE };

    start(&r, &q);
    /* The check value that catalogues of CRCs give for CRC-32C */
    qtest_memwrite(r.qts, d.src, "123456789", 9);
    rig_do(&q, &d);
    g_assert_cmphex(rig_completion(&r, DONE).result, ==, 0xe3069283);

    rig_scribble(&r, d.src, len, 7);
    d.len = len;
    rig_do(&q, &d);
    g_assert_cmphex(rig_completion(&r, DONE).result, ==,
                    crc32c_bitwise(&r, d.src, len));
    rig_stop(&r);
}

static void test_ring(void)
{
    Rig r;
    RigQueue q, big;

    start(&r, &q);
    rig_queue_init(&q, &r, 1, 0, RING, RING, 2);
    for (unsigned round = 0; round < 7; round++) {
        for (unsigned i = 0; i < 3; i++) {
            unsigned n = round * 3 + i;

            rig_push(&q, &(RigDesc) {
                .op = SVA_OP_FILL, .tag = n, .dst = DST + n * 8, .len = 8,
                .pattern = n + 1, .completion = DONE + n * SVA_COMP_SIZE });
        }
        rig_doorbell(&q);
        rig_wait_state(&q, SVA_STATE_IDLE);
        g_assert_cmpuint(rig_queue_readl(&q, SVA_Q_HEAD), ==, q.tail);
    }
    for (unsigned n = 0; n < 21; n++) {
        g_assert_cmphex(qtest_readq(r.qts, DST + n * 8), ==, n + 1);
        g_assert_cmpuint(rig_completion(&r, DONE + n * SVA_COMP_SIZE).tag,
                         ==, n);
    }

    /* More than a slice, in a ring of several pages; two queues at once */
    rig_queue_init(&q, &r, 1, 0, RING, RING, 9);
    rig_queue_init(&big, &r, 2, 0, RING + 0x20000, RING + 0x20000, 1);
    for (unsigned n = 0; n < 500; n++) {
        rig_push(&q, &(RigDesc) { .op = SVA_OP_FILL, .dst = DST + n * 8,
                                  .len = 8, .pattern = ~(uint64_t)n });
    }
    rig_push(&big, &(RigDesc) { .op = SVA_OP_FILL, .dst = SRC,
                                .len = 4 << 20, .pattern = -1 });
    rig_doorbell(&big);
    rig_doorbell(&q);
    rig_wait_state(&q, SVA_STATE_IDLE);
    rig_wait_state(&big, SVA_STATE_IDLE);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_COMPLETED), ==, 521);
    g_assert_cmphex(qtest_readq(r.qts, DST + 499 * 8), ==, ~499ULL);
    g_assert_cmphex(qtest_readq(r.qts, SRC + (4 << 20) - 8), ==, UINT64_MAX);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS) & SVA_STATUS_BUSY, ==, 0);
    rig_stop(&r);
}

/* --------------------------------------------------------------- errors */

static void expect_code(RigQueue *q, RigDesc d, uint32_t code, uint64_t done,
                        uint64_t address)
{
    Rig *r = q->rig;
    RigCompletion c;

    d.completion = DONE;
    qtest_memset(r->qts, DONE, 0, SVA_COMP_SIZE);
    rig_do(q, &d);
    c = rig_completion(r, DONE);
    g_assert_cmphex(c.code, ==, code);
    g_assert_cmpuint(c.done, ==, done);
    g_assert_cmphex(c.address, ==, address);
}

static void test_errors(void)
{
    Rig r;
    RigQueue q;
    RigDesc ok = { .op = SVA_OP_COPY, .src = SRC, .dst = DST, .len = 8 };
    RigDesc d;

    start(&r, &q);
    expect_code(&q, (RigDesc) { .op = 4 }, SVA_CODE_OPCODE, 0, 0);
    expect_code(&q, (RigDesc) { .op = 0x80 }, SVA_CODE_OPCODE, 0, 0);
    expect_code(&q, (RigDesc) { .op = 1 << 9 }, SVA_CODE_RESERVED, 0, 0);
    expect_code(&q, (RigDesc) { .reserved = 1 }, SVA_CODE_RESERVED, 0, 0);
    expect_code(&q, (RigDesc) { .op = SVA_OP_FILL, .dst = -8ULL, .len = 9 },
                SVA_CODE_RANGE, 0, 0);
    expect_code(&q, (RigDesc) { .op = SVA_OP_CHECKSUM, .src = -1ULL,
                                .len = -1ULL }, SVA_CODE_RANGE, 0, 0);
    /* A range that ends with the last address is none of these */
    expect_code(&q, (RigDesc) { .op = SVA_OP_FILL, .dst = -8ULL, .len = 8 },
                SVA_CODE_BUS, 0, -8ULL);
    expect_code(&q, ok, SVA_CODE_OK, 8, 0);

    /* Which operand it was, and how far it came */
    d = ok;
    d.src = NOTHING;
    expect_code(&q, d, SVA_CODE_BUS, 0, NOTHING);
    d = ok;
    d.dst = NOTHING + 5;
    expect_code(&q, d, SVA_CODE_BUS, 0, NOTHING + 5);
    d = (RigDesc) { .op = SVA_OP_CHECKSUM, .src = 0x0ffff800,
                    .len = 0x1000 };
    expect_code(&q, d, SVA_CODE_BUS, 0x800, 0x10000000);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_FAILED), ==, 10);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_ERRORS), ==, 10);

    /* No record at all when there is no good place for it */
    rig_do(&q, &(RigDesc) { .completion = DONE + 8 });
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_FAILED), ==, 11);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_LOST), ==, 0);
    rig_do(&q, &(RigDesc) { .completion = NOTHING });
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_LOST), ==, 1);
    expect_code(&q, ok, SVA_CODE_OK, 8, 0);
    rig_stop(&r);
}

static void expect_halt(RigQueue *q, uint32_t code)
{
    rig_wait_state(q, SVA_STATE_HALTED);
    g_assert_cmphex(SVA_Q_HALT_CODE(rig_queue_readl(q, SVA_Q_STATUS)), ==,
                    code);
}

static void test_halt(void)
{
    Rig r;
    RigQueue q;

    start(&r, &q);
    rig_queue_init(&q, &r, 0, 0, RING, RING, 0);
    expect_halt(&q, SVA_CODE_CONFIG);
    rig_queue_init(&q, &r, 0, 0, RING, RING, SVA_RING_ORDER_MAX + 1);
    expect_halt(&q, SVA_CODE_CONFIG);
    rig_queue_init(&q, &r, 0, 0, RING + 32, RING, 4);
    expect_halt(&q, SVA_CODE_CONFIG);
    rig_queue_init(&q, &r, 0, 0, -64ULL, 0, 1);
    expect_halt(&q, SVA_CODE_CONFIG);
    rig_queue_init(&q, &r, 0, SVA_Q_PASID_VALID | 1 << 12, RING, RING, 4);
    expect_halt(&q, SVA_CODE_CONFIG);

    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    rig_wait_state(&q, SVA_STATE_IDLE);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_TAIL, 16);
    expect_halt(&q, SVA_CODE_CONFIG);

    /* A ring that is not there, then one under a PASID nobody enabled */
    rig_queue_init(&q, &r, 0, 0, NOTHING, RING, 4);
    q.tail = 1;
    rig_doorbell(&q);
    expect_halt(&q, SVA_CODE_BUS);
    rig_queue_init(&q, &r, 0, SVA_Q_PASID_VALID | 7, RING, RING, 4);
    q.tail = 1;
    rig_doorbell(&q);
    expect_halt(&q, SVA_CODE_DISABLED);

    /* Registers are fixed while the queue is enabled; it works again */
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_RING_ORDER, 5);
    g_assert_cmpuint(rig_queue_readl(&q, SVA_Q_RING_ORDER), ==, 4);
    expect_code(&q, (RigDesc) { }, SVA_CODE_OK, 0, 0);

    rig_config_writew(&r, PCI_COMMAND, PCI_COMMAND_MEMORY);
    q.tail++;
    rig_doorbell(&q);
    expect_halt(&q, SVA_CODE_BUS);
    rig_stop(&r);
}

/* The device's own registers, and the configuration space it is reset by */
static void test_not_memory(void)
{
    Rig r;
    RigQueue q;
    RigDesc d = { .op = SVA_OP_FILL, .dst = 0xe0000000 + SVA_CTRL, .len = 4,
                  .pattern = SVA_CTRL_RESET };

    start(&r, &q);
    g_assert_cmphex(r.bar0, ==, 0xe0000000);
    expect_code(&q, d, SVA_CODE_BUS, 0, d.dst);
    d.dst = r.ecam + (RIG_DEVFN << 12) + PCI_COMMAND;
    expect_code(&q, d, SVA_CODE_BUS, 0, d.dst);
    d.op = SVA_OP_CHECKSUM;
    d.src = r.bar0 + SVA_ID;
    expect_code(&q, d, SVA_CODE_BUS, 0, d.src);
    rig_stop(&r);
}

/* Unless it may reach those of others */
static void test_peer(void)
{
    const uint64_t other = 0xe2000000, pattern = 0x1122334455667788;
    RigDesc d = { .op = SVA_OP_FILL, .dst = other + SVA_SIMPLE_ADDRESS,
                  .len = 8, .pattern = pattern };
    uint64_t config;
    Rig r;
    RigQueue q;

    rig_start_q35(&r, "-device sva-engine,id=other,bus=pcie.0,addr=5",
                  "peer-to-peer=on");
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    config = r.ecam + (5 << 15);
    qtest_writel(r.qts, config + PCI_BASE_ADDRESS_0, other);
    expect_code(&q, d, SVA_CODE_BUS, 0, other);
    qtest_writew(r.qts, config + PCI_COMMAND, PCI_COMMAND_MEMORY);
    rig_do(&q, &d);
    g_assert_cmphex(qtest_readq(r.qts, other), ==, pattern);
    d = (RigDesc) { .op = SVA_OP_COPY, .src = other + SVA_ID, .dst = DST,
                    .len = 4 };
    rig_do(&q, &d);
    g_assert_cmphex(qtest_readl(r.qts, DST), ==, SVA_ID_VALUE);
    d.src = r.bar0 + SVA_ID;
    expect_code(&q, d, SVA_CODE_BUS, 0, d.src);
    rig_stop(&r);
}

/* --------------------------------------------------- interrupts, resets */

static void msix_enable(Rig *r, unsigned vector, uint64_t addr, uint32_t data)
{
    uint64_t entry = r->bar2 + vector * PCI_MSIX_ENTRY_SIZE;
    unsigned offset = rig_config_readw(r, PCI_CAPABILITY_LIST) & 0xff;

    while ((rig_config_readw(r, offset) & 0xff) != PCI_CAP_ID_MSIX) {
        offset = rig_config_readw(r, offset) >> 8;
        g_assert_cmpuint(offset, !=, 0);
    }
    qtest_writel(r->qts, entry + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qtest_writel(r->qts, entry + PCI_MSIX_ENTRY_UPPER_ADDR, addr >> 32);
    qtest_writel(r->qts, entry + PCI_MSIX_ENTRY_DATA, data);
    qtest_writel(r->qts, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    rig_config_writew(r, offset + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
}

static void test_msix(void)
{
    const uint64_t message = DST;
    Rig r;
    RigQueue q;
    RigDesc d = { .op = SVA_OP_NOP | SVA_OP_INTERRUPT };

    start(&r, &q);
    msix_enable(&r, 2, message, 0x1234);

    /* No vector, then one that does not exist, then ours, unasked */
    rig_do(&q, &d);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_VECTOR, 4);
    rig_do(&q, &d);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_VECTOR, 2);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_NOP });
    g_assert_cmphex(qtest_readl(r.qts, message), ==, 0);
    rig_do(&q, &d);
    g_assert_cmphex(qtest_readl(r.qts, message), ==, 0x1234);

    /* For errors just as well */
    qtest_writel(r.qts, message, 0);
    d.op = 0x7f | SVA_OP_INTERRUPT;
    rig_do(&q, &d);
    g_assert_cmphex(qtest_readl(r.qts, message), ==, 0x1234);
    rig_stop(&r);
}

/*
 * An interrupt aimed at this very function: its registers are out of reach, a
 * function-level reset in the middle of its work is not.
 */
static void test_msix_self(void)
{
    Rig r;
    RigQueue q;
    RigDesc d = { .op = SVA_OP_NOP | SVA_OP_INTERRUPT };

    start(&r, &q);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_VECTOR, 0);
    msix_enable(&r, 0, r.bar0 + SVA_CTRL, SVA_CTRL_RESET);
    rig_do(&q, &d);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_COMPLETED), ==, 1);

    msix_enable(&r, 0, r.ecam + (RIG_DEVFN << 12) + rig_express(&r) +
                PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    for (unsigned i = 0; i < 3; i++) {
        rig_push(&q, &d);
    }
    rig_doorbell(&q);
    for (unsigned i = 0; i < 50000 &&
         rig_config_readl(&r, PCI_BASE_ADDRESS_0); i++) {
        g_usleep(100);
    }
    g_assert_cmphex(rig_config_readl(&r, PCI_BASE_ADDRESS_0), ==, 0);
    rig_enable(&r);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_COMPLETED), ==, 0);
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    expect_code(&q, (RigDesc) { }, SVA_CODE_OK, 0, 0);
    rig_stop(&r);
}

/* A descriptor that will keep the queue busy for as long as it may */
static void start_endless(RigQueue *q)
{
    rig_push(q, &(RigDesc) { .op = SVA_OP_FILL, .dst = DST,
                             .len = 0x4000000, .completion = DONE });
    rig_doorbell(q);
}

static void test_reset(void)
{
    Rig r;
    RigQueue q, other;

    start(&r, &q);
    rig_queue_init(&other, &r, 1, 0, RING + 0x1000, RING + 0x1000, 1);

    /* One queue: stops in the middle, and does not touch another one */
    start_endless(&q);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_CTRL, SVA_Q_CTRL_RESET);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    g_assert_cmphex(rig_queue_readq(&q, SVA_Q_RING_BASE), ==, 0);
    g_assert_cmphex(rig_queue_readl(&q, SVA_Q_VECTOR), ==, SVA_Q_VECTOR_NONE);
    g_assert_cmpuint(rig_queue_state(&other), ==, SVA_STATE_IDLE);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS) & SVA_STATUS_BUSY, ==, 0);
    rig_do(&other, &(RigDesc) { });
    g_assert_cmphex(rig_completion(&r, DONE).code, ==, 0);

    /* Disabling keeps the registers */
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    start_endless(&q);
    rig_writel(&r, SVA_QUEUE(0) + SVA_Q_CTRL, 0);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    g_assert_cmphex(rig_queue_readq(&q, SVA_Q_RING_BASE), ==, RING);
    rig_doorbell(&q);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);

    /* The engine */
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    start_endless(&q);
    rig_writel(&r, SVA_GROUP, 1);
    rig_writel(&r, SVA_CTRL, SVA_CTRL_RESET);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    g_assert_cmpuint(rig_queue_state(&other), ==, SVA_STATE_DISABLED);
    g_assert_cmpuint(rig_readl(&r, SVA_GROUP), ==, SVA_GROUP_DEFAULT);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_DESCRIPTORS), ==, 0);
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    expect_code(&q, (RigDesc) { }, SVA_CODE_OK, 0, 0);
    rig_stop(&r);
}

static void test_flr(void)
{
    Rig r;
    RigQueue q;

    start(&r, &q);
    rig_config_writew(&r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    rig_config_writew(&r, RIG_PASID + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    rig_config_writel(&r, RIG_PRI + PCI_PRI_ALLOC_REQ, 5);
    rig_config_writew(&r, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS), ==, SVA_STATUS_ATS |
                    SVA_STATUS_PRI | SVA_STATUS_PASID);
    g_assert_cmphex(rig_config_readw(&r, RIG_PRI + PCI_PRI_STATUS), ==,
                    PCI_PRI_STATUS_PASID);

    start_endless(&q);
    rig_flr(&r);
    g_assert_cmphex(rig_config_readw(&r, RIG_ATS + PCI_ATS_CTRL), ==, 0);
    g_assert_cmphex(rig_config_readw(&r, RIG_PASID + PCI_PASID_CTRL), ==, 0);
    g_assert_cmphex(rig_config_readw(&r, RIG_PRI + PCI_PRI_CTRL), ==, 0);
    g_assert_cmphex(rig_config_readl(&r, RIG_PRI + PCI_PRI_ALLOC_REQ), ==, 0);
    g_assert_cmphex(rig_config_readw(&r, RIG_PRI + PCI_PRI_STATUS), ==,
                    PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED);

    rig_enable(&r);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS), ==, 0);
    g_assert_cmphex(rig_queue_readq(&q, SVA_Q_RING_BASE), ==, 0);
    g_assert_cmphex(rig_completion(&r, DONE).code, ==, 0);

    /* What Linux restores is taken again (pci_restore_pri_state() etc.) */
    rig_config_writew(&r, RIG_PASID + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    rig_config_writew(&r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    rig_config_writel(&r, RIG_PRI + PCI_PRI_ALLOC_REQ, 5);
    rig_config_writew(&r, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmphex(rig_readl(&r, SVA_STATUS), ==, SVA_STATUS_ATS |
                    SVA_STATUS_PRI | SVA_STATUS_PASID);
    rig_queue_init(&q, &r, 0, 0, RING, RING, 4);
    expect_code(&q, (RigDesc) { }, SVA_CODE_OK, 0, 0);

    /* The machine's reset, in the middle of work as well */
    start_endless(&q);
    qtest_system_reset(r.qts);
    rig_stop(&r);
}

/* -------------------------------------------------------------- SMMUv3 */

#define SMMU_BASE 0x09050000ULL

static void mem_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    qtest_memread(opaque, gpa, buf, len);
}

static void mem_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    qtest_memwrite(opaque, gpa, buf, len);
}

static uint32_t smmu_read32(void *opaque, uint64_t offset)
{
    return qtest_readl(opaque, SMMU_BASE + offset);
}

static uint64_t smmu_read64(void *opaque, uint64_t offset)
{
    return qtest_readq(opaque, SMMU_BASE + offset);
}

static void smmu_write32(void *opaque, uint64_t offset, uint32_t value)
{
    qtest_writel(opaque, SMMU_BASE + offset, value);
}

static void smmu_write64(void *opaque, uint64_t offset, uint64_t value)
{
    qtest_writeq(opaque, SMMU_BASE + offset, value);
}

static void test_smmu(void)
{
    const uint64_t va = 0x12345000;
    Rig r;
    RigQueue q;
    IommuMem mem;
    IommuRegs regs;
    SmmuS1 s1;
    SmmuCdTable cds;
    SmmuTables tables;
    SmmuQueue cmdq, evtq;
    uint64_t src, dst, done, dw[4];

    rig_start_virt(&r, true, "");
    src = r.ram + SRC;
    dst = r.ram + DST;
    done = r.ram + DONE;
    mem = (IommuMem) { mem_read, mem_write, r.qts, r.ram + 0x1000000,
                       r.ram + 0x2000000 };
    regs = (IommuRegs) { smmu_read32, smmu_read64, smmu_write32, smmu_write64,
                         r.qts };

    /* Two pages, the wrong way round in memory, and one to be read only */
    smmu_s1_init(&s1, &mem, 12, 39);
    smmu_s1_map(&s1, RING, r.ram + RING, 0x1000, 12, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, DONE, done, 0x1000, 12, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, va, src + 0x1000, 0x1000, 12, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, va + 0x1000, src, 0x1000, 12, SMMU_PTE_USER_RO);
    smmu_s1_map(&s1, DST, dst, 0x2000, 12, SMMU_PTE_USER_RW);
    smmu_cdtab_init(&cds, &mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, 1);
    smmu_tables_init(&tables, &mem, 8, 0);
    smmu_ste_set(&tables, RIG_DEVFN, &(SmmuSte) { .cfg = SMMU_STE_S1,
                                                  .cds = &cds });
    smmu_queue_init(&cmdq, &mem, 4, 16);
    smmu_queue_init(&evtq, &mem, 4, 32);
    smmu_enable(&regs, &tables, &cmdq, &evtq);

    /* That ATS is on makes no difference: this IOMMU does not offer it */
    rig_config_writew(&r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);

    rig_scribble(&r, src + 0x1800, 0x800, 8);
    rig_queue_init(&q, &r, 3, 0, RING, r.ram + RING, 4);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_COPY, .src = va + 0x800, .dst = DST,
                            .len = 0x1800, .completion = DONE });
    g_assert_cmphex(rig_completion(&r, done).code, ==, SVA_CODE_OK);
    g_assert_true(rig_scribbled(&r, dst, 0x800, 8));

    rig_do(&q, &(RigDesc) { .op = SVA_OP_FILL, .dst = va, .len = 0x2000,
                            .completion = DONE });
    g_assert_cmphex(rig_completion(&r, done).code, ==, SVA_CODE_BUS);
    g_assert_cmphex(rig_completion(&r, done).done, ==, 0x1000);
    g_assert_cmphex(rig_completion(&r, done).address, ==, va + 0x1000);
    g_assert_true(smmu_evtq_read(&evtq, &regs, dw));
    g_assert_cmphex(dw[0] & 0xff, ==, 0x13);    /* F_PERMISSION */
    g_assert_cmphex(dw[0] >> 32, ==, RIG_DEVFN);

    /* Unmapped and invalidated */
    smmu_s1_unmap(&s1, va, 0x1000);
    smmu_queue_push(&cmdq, smmu_tlbi_va(1, va, true));
    g_assert_cmpint(smmu_cmdq_sync(&cmdq, &regs), ==, 0);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_FILL, .dst = va, .len = 1,
                            .completion = DONE });
    g_assert_cmphex(rig_completion(&r, done).code, ==, SVA_CODE_BUS);

    g_assert_cmphex(rig_simple(&r, DST, true), ==, SVA_CODE_OK);
    g_assert_cmphex(rig_simple(&r, va, true), ==, SVA_CODE_BUS);

    /* Nothing carries a PASID here */
    rig_queue_init(&q, &r, 3, SVA_Q_PASID_VALID | 1, RING, r.ram + RING, 4);
    q.tail = 1;
    rig_doorbell(&q);
    expect_halt(&q, SVA_CODE_DISABLED);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_ATS_REQUESTS), ==, 0);
    rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!strcmp(qtest_get_arch(), "aarch64")) {
        qtest_add_func("/sva-engine/smmuv3", test_smmu);
        return g_test_run();
    }
    qtest_add_func("/sva-engine/identity", test_identity);
    qtest_add_func("/sva-engine/simple", test_simple);
    qtest_add_func("/sva-engine/copy", test_copy);
    qtest_add_func("/sva-engine/fill", test_fill);
    qtest_add_func("/sva-engine/checksum", test_checksum);
    qtest_add_func("/sva-engine/ring", test_ring);
    qtest_add_func("/sva-engine/errors", test_errors);
    qtest_add_func("/sva-engine/halt", test_halt);
    qtest_add_func("/sva-engine/not-memory", test_not_memory);
    qtest_add_func("/sva-engine/peer", test_peer);
    qtest_add_func("/sva-engine/msix", test_msix);
    qtest_add_func("/sva-engine/msix-self", test_msix_self);
    qtest_add_func("/sva-engine/reset", test_reset);
    qtest_add_func("/sva-engine/flr", test_flr);
    return g_test_run();
}
