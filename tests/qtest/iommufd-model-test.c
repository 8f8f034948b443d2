/*
 * QEMU under the model of /dev/iommu: what needs no nesting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs any QEMU that knows iommufd, so that the model is seen to answer as
 * Linux does before anything of ours relies on it: binding a device under
 * each of its names, guest memory as stage 2, mappings that come and go,
 * unplugging, and nothing left behind.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/iommufd-model.h"
#include "libqos/smmuv3-tables.h"
#include "libqos/vtd-tables.h"
#include "hw/pci/pci_regs.h"

#define DEV0            "0000:01:00.0"
#define DEV1            "0000:02:00.0"
#define DEV2            "0000:03:00.0"
#define RAM_SIZE        (128 * MiB)

#define DEVICES \
    "[device " DEV0 "]\niommu=0\ngroup=1\n" \
    "[device " DEV1 "]\niommu=0\ngroup=2\n" \
    "[device " DEV2 "]\niommu=1\ngroup=3\n"

typedef struct Machine {
    const char *args;
    const char *host;
    uint64_t ram;
    uint64_t window;            /* of 32-bit PCI memory */
    bool x86;
} Machine;

static const Machine machines[] = {
    {
        .args = "-machine q35 -m 128M -nodefaults",
        .host = "[host]\narch=vtd\n[iommu 0]\n[iommu 1]\n" DEVICES,
        .window = 0xc0000000,
        .x86 = true,
    }, {
        .args = "-machine virt,gic-version=3 -cpu max -m 128M -nodefaults",
        .host = "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n" DEVICES,
        .ram = 0x40000000,
        .window = 0x10000000,
    },
};

static const Machine *machine;

static uint64_t ram(uint64_t offset)
{
    return machine->ram + offset;
}

/* --------------------------------------------------------------------- PCI */

static uint64_t ecam(unsigned devfn, unsigned reg)
{
    return 0x4010000000ULL + (devfn << 12) + reg;
}

/* Functions of bus 0 only; @reg is a multiple of 4 */
static uint32_t config_read(QTestState *qts, unsigned devfn, unsigned reg)
{
    if (!machine->x86) {
        return qtest_readl(qts, ecam(devfn, reg));
    }
    qtest_outl(qts, 0xcf8, 0x80000000u | devfn << 8 | reg);
    return qtest_inl(qts, 0xcfc);
}

static void config_write(QTestState *qts, unsigned devfn, unsigned reg,
                         uint32_t value)
{
    if (!machine->x86) {
        qtest_writel(qts, ecam(devfn, reg), value);
        return;
    }
    qtest_outl(qts, 0xcf8, 0x80000000u | devfn << 8 | reg);
    qtest_outl(qts, 0xcfc, value);
}

static void place_bar0(QTestState *qts, unsigned devfn, uint32_t addr)
{
    config_write(qts, devfn, PCI_COMMAND, 0);
    config_write(qts, devfn, PCI_BASE_ADDRESS_0, addr);
    config_write(qts, devfn, PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static unsigned pcie_cap(QTestState *qts, unsigned devfn)
{
    unsigned pos = config_read(qts, devfn, PCI_CAPABILITY_LIST) & 0xfc;

    while (pos) {
        uint32_t head = config_read(qts, devfn, pos);

        if ((head & 0xff) == PCI_CAP_ID_EXP) {
            return pos;
        }
        pos = (head >> 8) & 0xfc;
    }
    g_assert_not_reached();
}

/* ------------------------------------------------------------------ devices */

#define PORT_DEVFN      (4 << 3)
#define PORT            "-device pcie-root-port,id=rp0,chassis=1,addr=0x4 "

static void wait_deleted(QTestState *qts, const char *id)
{
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "DEVICE_DELETED");
        QDict *data = qdict_get_qdict(event, "data");
        const char *device = qdict_get_try_str(data, "device");
        bool found = device && !strcmp(device, id);

        qobject_unref(event);
        if (found) {
            return;
        }
    }
}

/* The guest's part: q35 ejects through ACPI, virt switches the slot off */
static void unplug(QTestState *qts, const char *id)
{
    unsigned cap;
    uint32_t slot;

    qtest_qmp_device_del_send(qts, id);
    if (machine->x86) {
        qtest_system_reset_nowait(qts);
    } else {
        cap = pcie_cap(qts, PORT_DEVFN);
        slot = config_read(qts, PORT_DEVFN, cap + PCI_EXP_SLTCTL);
        slot |= PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC;
        config_write(qts, PORT_DEVFN, cap + PCI_EXP_SLTCTL, slot & 0xffff);
    }
    wait_deleted(qts, id);
}

/* Guest memory read by the device, and the other way */
static void check_dma(IommufdModel *m, const char *bdf, uint64_t offset,
                      uint8_t value)
{
    uint8_t buf[64];
    unsigned i;

    qtest_memset(m->qts, ram(offset), value, 256);
    iommufd_model_expect_data(m, bdf, NULL, ram(offset), value, 256);
    memset(buf, value ^ 0xff, sizeof(buf));
    iommufd_model_dma_write(m, bdf, NULL, ram(offset) + 64, buf,
                            sizeof(buf));
    memset(buf, 0, sizeof(buf));
    qtest_memread(m->qts, ram(offset) + 64, buf, sizeof(buf));
    for (i = 0; i < sizeof(buf); i++) {
        g_assert_cmphex(buf[i], ==, value ^ 0xff);
    }
    g_assert_cmphex(qtest_readb(m->qts, ram(offset) + 63), ==, value);
    g_assert_cmphex(qtest_readb(m->qts, ram(offset) + 128), ==, value);
}

static void check_all_of_ram(IommufdModel *m, const char *bdf)
{
    check_dma(m, bdf, 1 * MiB, 0x11);
    check_dma(m, bdf, 64 * MiB + 0xf80, 0x22);  /* crosses a page */
    check_dma(m, bdf, RAM_SIZE - 256, 0x33);
    iommufd_model_expect_fault(m, bdf, NULL, ram(RAM_SIZE), false, 2,
                               "not-present");
    iommufd_model_expect_fault(m, bdf, NULL, ram(RAM_SIZE), true, 2,
                               "not-present");
}

static void check_unplug(IommufdModel *m, const char *id)
{
    g_assert_cmpuint(iommufd_model_live(m, "devices"), >, 0);
    unplug(m->qts, id);
    g_assert_cmpuint(iommufd_model_live(m, NULL), ==, 0);
}

/* -------------------------------------------------------------------- names */

static void test_name(const void *opaque)
{
    IommufdModel *m = iommufd_model_new(machine->host);

    iommufd_model_start(m, "%s -object iommufd,id=iommufd0 " PORT
                        "-device vfio-pci,id=dev0,bus=rp0,iommufd=iommufd0,"
                        "%s", machine->args, (const char *)opaque);
    g_assert_cmpuint(iommufd_model_live(m, "devices"), ==, 1);
    check_all_of_ram(m, DEV0);
    iommufd_model_expect_fault(m, DEV1, NULL, ram(0), false, 0, "blocked");
    check_unplug(m, "dev0");
    iommufd_model_expect_fault(m, DEV0, NULL, ram(0), false, 0, "blocked");
    iommufd_model_free(m);
}

static void send_fd(IommufdModel *m, const char *path, const char *name)
{
    int fd = iommufd_model_open(m, path);

    qtest_qmp_fds_assert_success(m->qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': %s } }", name);
    close(fd);
}

static void plug_fd(IommufdModel *m)
{
    g_autofree char *path =
        g_strdup_printf("/dev/vfio/devices/vfio%u",
                        iommufd_model_vfio_index(m, DEV0));

    send_fd(m, path, "device");
    qtest_qmp_assert_success(m->qts, "{ 'execute': 'device_add', "
                             "'arguments': { 'driver': 'vfio-pci', "
                             "'id': 'dev0', 'bus': 'rp0', 'fd': 'device', "
                             "'iommufd': 'iommufd0' } }");
}

static void test_name_fd(void)
{
    IommufdModel *m = iommufd_model_new(machine->host);

    iommufd_model_start(m, "%s " PORT, machine->args);
    send_fd(m, "/dev/iommu", "iommu");
    qtest_qmp_assert_success(m->qts, "{ 'execute': 'object-add', "
                             "'arguments': { 'qom-type': 'iommufd', "
                             "'id': 'iommufd0', 'fd': 'iommu' } }");
    plug_fd(m);
    check_all_of_ram(m, DEV0);
    /* This iommufd stays open: what is gone has been given back */
    check_unplug(m, "dev0");
    /* And once more: nothing of the first time is in the way */
    plug_fd(m);
    check_all_of_ram(m, DEV0);
    check_unplug(m, "dev0");
    iommufd_model_free(m);
}

/* ------------------------------------------------------------------ several */

static void test_several(void)
{
    IommufdModel *m = iommufd_model_new(machine->host);

    iommufd_model_start(m, "%s "
                        "-object iommufd,id=iommufd0 "
                        "-object iommufd,id=iommufd1 "
                        PORT
                        "-device vfio-pci,id=dev0,bus=rp0,host=" DEV0
                        ",iommufd=iommufd0 "
                        "-device vfio-pci,id=dev1,host=" DEV1
                        ",iommufd=iommufd1 "
                        "-device vfio-pci,id=dev2,host=" DEV2
                        ",iommufd=iommufd0", machine->args);
    g_assert_cmpuint(iommufd_model_live(m, "devices"), ==, 3);
    check_all_of_ram(m, DEV0);
    check_all_of_ram(m, DEV1);
    check_all_of_ram(m, DEV2);
    unplug(m->qts, "dev0");
    g_assert_cmpuint(iommufd_model_live(m, "devices"), ==, 2);
    iommufd_model_expect_fault(m, DEV0, NULL, ram(0), false, 0, "blocked");
    check_all_of_ram(m, DEV1);
    check_all_of_ram(m, DEV2);
    iommufd_model_free(m);
}

/* ---------------------------------------------------------------- mappings */

/* Memory that moves: the BAR of a graphics card is memory to a device */
static void test_move(void)
{
    const unsigned vga = 6 << 3;
    const uint32_t first = machine->window, second = first + 32 * MiB;
    IommufdModel *m;
    QTestState *qts;

    if (!qtest_has_device("secondary-vga")) {
        g_test_skip("no secondary-vga in this QEMU");
        return;
    }
    m = iommufd_model_new(machine->host);
    qts = iommufd_model_start(m, "%s -object iommufd,id=iommufd0 "
                              "-device secondary-vga,addr=0x6 "
                              "-device vfio-pci,host=" DEV0
                              ",iommufd=iommufd0", machine->args);
    iommufd_model_expect_fault(m, DEV0, NULL, first, false, 2,
                               "not-present");
    place_bar0(qts, vga, first);
    qtest_memset(qts, first + 0x3000, 0x5a, 64);
    iommufd_model_expect_data(m, DEV0, NULL, first + 0x3000, 0x5a, 64);

    place_bar0(qts, vga, second);
    iommufd_model_expect_fault(m, DEV0, NULL, first + 0x3000, false, 2,
                               "not-present");
    iommufd_model_expect_data(m, DEV0, NULL, second + 0x3000, 0x5a, 64);

    config_write(qts, vga, PCI_COMMAND, 0);
    iommufd_model_expect_fault(m, DEV0, NULL, second + 0x3000, true, 2,
                               "not-present");
    check_all_of_ram(m, DEV0);
    iommufd_model_free(m);
}

/* An NVMe controller: its queues, a list of pages, and what is on the disk */
enum {
    DISK_ASQ = 0x200000, DISK_ACQ = 0x201000, DISK_SQ = 0x202000,
    DISK_CQ = 0x203000, DISK_LIST = 0x204000, DISK_DATA = 0x210000,
};

typedef struct Disk {
    QTestState *qts;
    uint64_t bar;
    unsigned tail[2];
} Disk;

/* Status of one command in queue pair @q */
static unsigned disk_command(Disk *d, unsigned q, unsigned opcode,
                             uint64_t prp1, uint64_t prp2, const uint32_t *dw)
{
    unsigned slot = d->tail[q]++, i;
    uint64_t sqe = ram(q ? DISK_SQ : DISK_ASQ) + slot * 64;
    uint64_t cqe = ram(q ? DISK_CQ : DISK_ACQ) + slot * 16;

    qtest_writel(d->qts, sqe, opcode | (0x100 + slot) << 16);
    qtest_writel(d->qts, sqe + 4, q);
    qtest_writeq(d->qts, sqe + 24, prp1);
    qtest_writeq(d->qts, sqe + 32, prp2);
    for (i = 0; i < 3; i++) {
        qtest_writel(d->qts, sqe + 40 + 4 * i, dw[i]);
    }
    qtest_writel(d->qts, d->bar + 0x1000 + 8 * q, d->tail[q]);
    g_assert_cmphex(qtest_readl(d->qts, cqe + 8), ==, d->tail[q] | q << 16);
    g_assert_cmphex(qtest_readl(d->qts, cqe + 12) & 0x1ffff, ==,
                    (0x100 + slot) | 1 << 16);
    qtest_writel(d->qts, d->bar + 0x1004 + 8 * q, d->tail[q]);
    return qtest_readl(d->qts, cqe + 12) >> 17;
}

static uint64_t disk_word(uint64_t word)
{
    return word * 0x9e3779b97f4a7c15ULL;
}

/* From reset to a pair of queues */
static void disk_start(Disk *d)
{
    QTestState *qts = d->qts;

    qtest_writel(qts, d->bar + 0x14, 0);
    g_assert_cmphex(qtest_readl(qts, d->bar + 0x1c), ==, 0);
    qtest_writel(qts, d->bar + 0x24, 15 << 16 | 15);
    qtest_writeq(qts, d->bar + 0x28, ram(DISK_ASQ));
    qtest_writeq(qts, d->bar + 0x30, ram(DISK_ACQ));
    qtest_writel(qts, d->bar + 0x14, 4 << 20 | 6 << 16 | 1);
    g_assert_cmphex(qtest_readl(qts, d->bar + 0x1c), ==, 1);
    qtest_memset(qts, ram(DISK_ACQ), 0, 4096);
    qtest_memset(qts, ram(DISK_CQ), 0, 4096);
    d->tail[0] = d->tail[1] = 0;
    g_assert_cmphex(disk_command(d, 0, 0x05, ram(DISK_CQ), 0,
                                 (uint32_t[]) { 15 << 16 | 1, 1, 0 }), ==, 0);
    g_assert_cmphex(disk_command(d, 0, 0x01, ram(DISK_SQ), 0,
                                 (uint32_t[]) { 15 << 16 | 1, 1 << 16 | 1,
                                                0 }), ==, 0);
}

/* Block @lba, to DISK_DATA or from there */
static unsigned disk_block(Disk *d, unsigned opcode, uint32_t lba)
{
    return disk_command(d, 1, opcode, ram(DISK_DATA), 0,
                        (uint32_t[]) { lba, 0, 0 });
}

static void test_disk(void)
{
    g_autofree char *host = g_strdup_printf("%sdisk=2\n", machine->host);
    IommufdModel *m = iommufd_model_new(host);
    Disk d = { .bar = machine->window };
    unsigned i;

    d.qts = iommufd_model_start(m, "%s -object iommufd,id=iommufd0 "
                                "-device vfio-pci,addr=0x5,host=" DEV2
                                ",iommufd=iommufd0", machine->args);
    place_bar0(d.qts, 5 << 3, d.bar);
    g_assert_cmphex(config_read(d.qts, 5 << 3, PCI_CLASS_REVISION) >> 8, ==,
                    0x010802);
    disk_start(&d);
    g_assert_cmphex(disk_command(&d, 0, 0x06, ram(DISK_DATA), 0,
                                 (uint32_t[]) { 1, 0, 0 }), ==, 0);
    g_assert_cmphex(qtest_readb(d.qts, ram(DISK_DATA) + 512), ==, 0x66);

    /* 16 KiB of the disk, from the middle of a page on */
    for (i = 0; i < 4; i++) {
        qtest_writeq(d.qts, ram(DISK_LIST) + 8 * i,
                     ram(DISK_DATA) + (i + 1) * 0x2000);
    }
    g_assert_cmphex(disk_command(&d, 1, 0x02, ram(DISK_DATA) + 0x800,
                                 ram(DISK_LIST),
                                 (uint32_t[]) { 8, 0, 31 }), ==, 0);
    g_assert_cmphex(qtest_readq(d.qts, ram(DISK_DATA) + 0x800), ==,
                    disk_word(8 * 64));
    g_assert_cmphex(qtest_readq(d.qts, ram(DISK_DATA) + 0x2000), ==,
                    disk_word(8 * 64 + 0x100));
    g_assert_cmphex(qtest_readq(d.qts, ram(DISK_DATA) + 0x8000 + 0x7f8), ==,
                    disk_word(8 * 64 + 2047));
    g_assert_cmphex(qtest_readq(d.qts, ram(DISK_DATA) + 0x8000 + 0x800), ==,
                    0);

    /* Beyond the disk; to where there is no memory; what is no command */
    g_assert_cmphex(disk_block(&d, 0x01, 4096), ==, 0x80);
    g_assert_cmphex(disk_command(&d, 1, 0x02, ram(RAM_SIZE), 0,
                                 (uint32_t[]) { 0, 0, 0 }), ==, 0x04);
    g_assert_cmphex(disk_command(&d, 0, 0x7f, 0, 0, (uint32_t[3]) { 0 }), ==,
                    0x01);

    /* What was written outlives a reset */
    qtest_writeq(d.qts, ram(DISK_DATA), 0x55);
    g_assert_cmphex(disk_block(&d, 0x01, 7), ==, 0);
    qtest_writeq(d.qts, ram(DISK_DATA), 0);
    disk_start(&d);
    g_assert_cmphex(disk_block(&d, 0x02, 7), ==, 0);
    g_assert_cmphex(qtest_readq(d.qts, ram(DISK_DATA)), ==, 0x55);

    /* Queues out of reach */
    qtest_writel(d.qts, d.bar + 0x14, 0);
    qtest_writeq(d.qts, d.bar + 0x28, ram(RAM_SIZE));
    qtest_writel(d.qts, d.bar + 0x14, 1);
    qtest_writel(d.qts, d.bar + 0x1000, 1);
    g_assert_cmphex(qtest_readl(d.qts, d.bar + 0x1c), ==, 3);
    iommufd_model_free(m);
}

/* The device's own registers, through QEMU */
static void test_registers(void)
{
    enum { CTRL = 0x04, ADDR = 0x08, LEN = 0x10, STATUS = 0x18, BUF = 0x800 };
    const uint64_t bar = machine->window;
    const unsigned endpoint = 5 << 3;
    IommufdModel *m = iommufd_model_new(machine->host);
    QTestState *qts =
        iommufd_model_start(m, "%s -object iommufd,id=iommufd0 "
                            "-device vfio-pci,addr=0x5,host=" DEV0
                            ",iommufd=iommufd0", machine->args);

    place_bar0(qts, endpoint, bar);
    g_assert_cmphex(qtest_readl(qts, bar), ==, 0x494f4550);
    qtest_writeq(qts, ram(0x200000), 0x1122334455667788ULL);
    qtest_writeq(qts, bar + ADDR, ram(0x200000));
    qtest_writel(qts, bar + LEN, 8);
    qtest_writel(qts, bar + CTRL, 1);
    g_assert_cmpuint(qtest_readl(qts, bar + STATUS), ==, 2);
    g_assert_cmphex(qtest_readq(qts, bar + BUF), ==, 0x1122334455667788ULL);

    qtest_writeq(qts, bar + BUF, 0xa5a5a5a500112233ULL);
    qtest_writel(qts, bar + CTRL, 1 | 1 << 1);
    g_assert_cmpuint(qtest_readl(qts, bar + STATUS), ==, 2);
    g_assert_cmphex(qtest_readq(qts, ram(0x200000)), ==,
                    0xa5a5a5a500112233ULL);

    qtest_writeq(qts, bar + ADDR, ram(RAM_SIZE));
    qtest_writel(qts, bar + CTRL, 1);
    g_assert_cmpuint(qtest_readl(qts, bar + STATUS), ==, 3);
    iommufd_model_free(m);
}

/*
 * Without nesting QEMU shadows the guest's tables: every page mapped and
 * unmapped by the guest is an ioctl.
 */
static void test_shadow(void)
{
    const uint16_t rid = 5 << 3;
    const uint64_t iova = 0x12345000, page = 0x400000;
    IommufdModel *m = iommufd_model_new(machine->host);
    QTestState *qts;
    QtestIommuRegs where;
    IommuRegs regs;
    IommuMem mem;
    VtdTables t;
    VtdQueue q;
    uint64_t stage2;

    qts = iommufd_model_start(m, "%s -object iommufd,id=iommufd0 "
                              "-device intel-iommu,caching-mode=on "
                              "-device vfio-pci,addr=0x5,host=" DEV0
                              ",iommufd=iommufd0", machine->args);
    where = (QtestIommuRegs) { .qts = qts, .base = 0xfed90000 };
    iommu_regs_qtest(&regs, &where);
    iommu_mem_qtest(&mem, qts, 16 * MiB, 16 * MiB);
    vtd_tables_init(&t, &mem, false);
    vtd_queue_init(&q, &mem, 0, false);
    /* R and W are bits 0 and 1 of a second-stage entry, as P and RW */
    stage2 = vtd_s1_new(&mem);
    vtd_context_legacy(&t, rid, 0, stage2, 3, 7);
    vtd_enable(&regs, &t, &q);
    vtd_queue_push(&q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_queue_push(&q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
    g_assert_true(vtd_queue_sync(&q, &regs));
    iommufd_model_expect_fault(m, DEV0, NULL, iova, false, 2, NULL);

    qtest_memset(qts, page, 0x77, 4096);
    vtd_s1_map(&mem, stage2, 3, iova, page, 4096, 12,
               VTD_S1_P | VTD_S1_RW);
    vtd_queue_push(&q, vtd_inv_iotlb(VTD_INV_NARROW, 7, iova, 0, true));
    g_assert_true(vtd_queue_sync(&q, &regs));
    iommufd_model_expect_data(m, DEV0, NULL, iova, 0x77, 256);
    iommufd_model_expect_fault(m, DEV0, NULL, page, false, 2, NULL);

    vtd_s1_unmap(&mem, stage2, 3, iova, 4096);
    vtd_queue_push(&q, vtd_inv_iotlb(VTD_INV_NARROW, 7, iova, 0, true));
    g_assert_true(vtd_queue_sync(&q, &regs));
    iommufd_model_expect_fault(m, DEV0, NULL, iova, false, 2, NULL);
    iommufd_model_free(m);
}

/*
 * The SMMUv3 of a machine cannot be shadowed; what drives its queues is tried
 * on it alone.
 */
static void test_smmuv3_queues(void)
{
    QTestState *qts = qtest_initf("%s -machine iommu=smmuv3", machine->args);
    QtestIommuRegs where = { .qts = qts, .base = 0x09050000 };
    SmmuQueue cmdq, evtq;
    SmmuTables t;
    IommuRegs regs;
    IommuMem mem;
    uint64_t event[4];
    unsigned i;

    iommu_regs_qtest(&regs, &where);
    iommu_mem_qtest(&mem, qts, ram(16 * MiB), 16 * MiB);
    smmu_tables_init(&t, &mem, 16, 8);
    smmu_queue_init(&cmdq, &mem, 3, 16);
    smmu_queue_init(&evtq, &mem, 3, 32);
    smmu_ste_set(&t, 0x28, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_enable(&regs, &t, &cmdq, &evtq);
    /* More commands than the queue has room for at once: it wraps */
    for (i = 0; i < 6; i++) {
        smmu_queue_push(&cmdq, smmu_cfgi_ste(0x28, true));
        smmu_queue_push(&cmdq, smmu_cfgi_cd(0x28, 0, true));
        smmu_queue_push(&cmdq, smmu_tlbi_va(1, 0x1000, true));
        g_assert_cmpint(smmu_cmdq_sync(&cmdq, &regs), ==, 0);
    }
    g_assert_false(smmu_evtq_read(&evtq, &regs, event));
    /* CERROR_ILL is 1 */
    smmu_queue_push(&cmdq, smmu_tlbi_all(0x7f));
    g_assert_cmpint(smmu_cmdq_sync(&cmdq, &regs), ==, 1);
    qtest_quit(qts);
}

/* ----------------------------------------------------------------- refusals */

/* What the host refuses is an error the user sees, and leaves nothing */
static void test_refused(void)
{
    IommufdModel *m = iommufd_model_new(machine->host);
    QDict *answer;

    iommufd_model_start(m, "%s -object iommufd,id=iommufd0 " PORT,
                        machine->args);
    iommufd_model_do(m, "{\"cmd\":\"fault\",\"on\":\"HWPT_ALLOC:1:every"
                     ":errno=ENOMEM\"}");
    iommufd_model_do(m, "{\"cmd\":\"fault\",\"on\":\"ATTACH_IOMMUFD_PT:1"
                     ":every:errno=ENOMEM\"}");
    answer = qtest_qmp(m->qts, "{ 'execute': 'device_add', 'arguments': { "
                       "'driver': 'vfio-pci', 'id': 'dev0', 'bus': 'rp0', "
                       "'host': " "%s" ", 'iommufd': 'iommufd0' } }", DEV0);
    g_assert_true(qdict_haskey(answer, "error"));
    qobject_unref(answer);
    g_assert_cmpuint(iommufd_model_live(m, NULL), ==, 0);

    iommufd_model_do(m, "{\"cmd\":\"fault-clear\"}");
    qtest_qmp_assert_success(m->qts, "{ 'execute': 'device_add', "
                             "'arguments': { 'driver': 'vfio-pci', "
                             "'id': 'dev0', 'bus': 'rp0', 'host': %s, "
                             "'iommufd': 'iommufd0' } }", DEV0);
    check_all_of_ram(m, DEV0);
    check_unplug(m, "dev0");
    iommufd_model_free(m);
}

/* The journal tells the story, in order, of what QEMU asked for */
static void test_journal(void)
{
    IommufdModel *m = iommufd_model_new(machine->host);

    iommufd_model_start(m, "%s -object iommufd,id=iommufd0 "
                        "-device vfio-pci,host=" DEV0 ",iommufd=iommufd0",
                        machine->args);
    g_assert_cmpuint(iommufd_model_counter(m, "IOAS_MAP", "calls"), >, 0);
    g_assert_cmpuint(iommufd_model_counter(m, "dma", "calls"), ==, 0);
    check_dma(m, DEV0, 1 * MiB, 0x44);
    iommufd_model_expect_fault(m, DEV0, NULL, ram(RAM_SIZE), false, 2, NULL);
    g_assert_cmpuint(iommufd_model_counter(m, "dma", "calls"), ==, 3);
    g_assert_cmpuint(iommufd_model_counter(m, "dma", "errors"), ==, 1);
    g_assert_cmpuint(iommufd_model_journal(m, "\"ev\":\"dma\""), ==, 3);
    g_assert_cmpuint(iommufd_model_journal(m, "\"call\":\"IOAS_MAP\""), ==,
                     iommufd_model_counter(m, "IOAS_MAP", "calls"));
    iommufd_model_free(m);
}

/*
 * libqtest gives every QEMU an option that came with 10.2, and an accelerator
 * that a distribution may leave out of its packages: a machine of TCG's whose
 * processors stay stopped is as good.  A shell in front of such a QEMU changes
 * that; the architecture is still found at the end of the name.
 */
static void accept_other_qemu(void)
{
    const char *qemu = qtest_qemu_binary(NULL);
    g_autofree char *option =
        g_strdup_printf("%s -run-with exit-with-parent=on -version "
                        ">/dev/null 2>&1", qemu);
    g_autofree char *accelerator =
        g_strdup_printf("%s -accel help | grep -qx qtest", qemu);
    g_autofree char *changed = NULL;
    g_autoptr(GString) cases = g_string_new(NULL);

    if (system(option)) {
        g_string_append(cases, "-run-with | exit-with-parent=on) ;; ");
    }
    if (system(accelerator)) {
        g_string_append(cases, "qtest) set -- \"$@\" tcg -S ;; ");
    }
    if (cases->len) {
        changed = g_strdup_printf("sh -c 'for a; do shift; case $a in %s"
                                  "*) set -- \"$@\" \"$a\" ;; esac; done; "
                                  "exec \"$@\"' sh %s", cases->str, qemu);
        g_setenv("QTEST_QEMU_BINARY", changed, true);
    }
}

/* Asked without libqtest, whose options a QEMU so old need not know */
static bool qemu_has_iommufd(void)
{
    g_autofree char *objects =
        g_strdup_printf("%s -object help | grep -qw iommufd",
                        qtest_qemu_binary(NULL));

    return !system(objects) && qtest_has_device("vfio-pci");
}

static void test_nothing(void)
{
    g_test_skip("this QEMU has no vfio-pci with iommufd");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    accept_other_qemu();
    machine = &machines[!strcmp(qtest_get_arch(), "aarch64")];

    if (!qemu_has_iommufd()) {
        qtest_add_func("/iommufd-model/nothing", test_nothing);
        return g_test_run();
    }
    qtest_add_data_func("/iommufd-model/name/host", "host=" DEV0, test_name);
    qtest_add_data_func("/iommufd-model/name/sysfsdev",
                        "sysfsdev=/sys/bus/pci/devices/" DEV0, test_name);
    qtest_add_func("/iommufd-model/name/fd", test_name_fd);
    qtest_add_func("/iommufd-model/several", test_several);
    qtest_add_func("/iommufd-model/map/move", test_move);
    if (machine->x86) {
        qtest_add_func("/iommufd-model/map/shadow", test_shadow);
    } else {
        qtest_add_func("/iommufd-model/smmuv3-queues", test_smmuv3_queues);
    }
    qtest_add_func("/iommufd-model/registers", test_registers);
    qtest_add_func("/iommufd-model/disk", test_disk);
    qtest_add_func("/iommufd-model/refused", test_refused);
    qtest_add_func("/iommufd-model/journal", test_journal);
    return g_test_run();
}
