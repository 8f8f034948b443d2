/*
 * Does the model of /dev/iommu bring mistakes about the host to light?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each scenario is run by a consumer that makes the mistake, and by one that
 * does not.  The first must see something wrong, the other nothing.
 *
 * Usage: mutation-host vtd|smmuv3
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "common.h"
#include "mutation-host.h"

#define RAM_SIZE        (32 * MiB)
#define TABLES          (8 * MiB)
/* More entries than the configured host has memory for, at once */
#define ENTRIES         300

#define DEVICES \
    "[device 0000:01:00.0]\niommu=0\ngroup=1\npasid-bits=10\n" \
    "[device 0000:02:00.0]\niommu=0\ngroup=2\npasid-bits=10\n" \
    "dma-logging=on\nmigration=on\nbar4-size=4096\n" \
    "[device 0000:03:00.0]\niommu=0\ngroup=3\npasid-bits=10\n" \
    "[device 0000:03:00.1]\niommu=0\ngroup=3\npasid-bits=10\n" \
    "[device 0000:04:00.0]\niommu=1\ngroup=4\npasid-bits=10\n"

/*
 * Five levels but in the CPU, and ND = 0; no stalls, and little memory. All of
 * the RAM may be locked, and not twice.
 */
static const char *const config[] = {
    [TV_VTD] = "[host]\narch=vtd\nrefetch=on\nla57=off\nmemlock=0x3000000\n"
               "[iommu 0]\naw=57\n[iommu 1]\ncap=0x112008c006f0400\n" DEVICES,
    [TV_SMMUV3] = "[host]\narch=smmuv3\nrefetch=on\nmax-kmalloc=4096\n"
                  "memlock=0x3000000\n"
                  "[iommu 0]\nidr0=0xc4c149b\n[iommu 1]\n" DEVICES,
};

static char *journal;

/* ----------------------------------------------------------------- helpers */

static uint64_t page(unsigned n)
{
    return n * 4096ULL;
}

int hm_page(HmCase *c, TvDevice *dev, uint32_t pasid, uint64_t iova, bool ats)
{
    TvDma dma = { .addr = iova, .len = 16, .pasid = pasid, .ats = ats };

    tv_dma(c->vm, dev, &dma);
    if (dma.fault) {
        printf("#   fault '%s' of stage %d\n", dma.reason, dma.stage);
        return -1;
    }
    return dma.data[0] - 0x40;
}

void hm_fill(HmCase *c, GuestSpace *space, uint64_t iova, unsigned n)
{
    guest_map(&c->guest, space, iova, page(n), 4096, 12,
              GUEST_WRITE | GUEST_USER);
}

void hm_write(HmCase *c, uint32_t pasid, uint64_t iova)
{
    TvDma dma = { .addr = iova, .len = 16, .pasid = pasid, .write = true };

    tv_dma(c->vm, c->dev, &dma);
    g_assert(!dma.fault);
}

void hm_bind(HmCase *c, uint32_t pasid, GuestSpace *space)
{
    guest_bind(&c->guest, c->dev, pasid, space);
    g_assert(guest_sync(&c->guest));
}

void hm_bus_master_on(TvDevice *dev)
{
    uint16_t command = cpu_to_le16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

    g_assert(pwrite(dev->fd, &command, sizeof(command),
                    ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) +
                    PCI_COMMAND) == sizeof(command));
}

bool hm_msi(HmCase *c, int *ret)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    char reply[512];
    uint64_t count = 0;
    struct {
        struct vfio_irq_set set;
        int32_t fd;
    } irqs = {
        .set = {
            .argsz = sizeof(irqs),
            .flags = VFIO_IRQ_SET_DATA_EVENTFD |
                     VFIO_IRQ_SET_ACTION_TRIGGER,
            .index = VFIO_PCI_MSIX_IRQ_INDEX,
            .count = 1,
        },
        .fd = fd,
    };

    *ret = tv_ioctl(c->vm, c->dev->fd, VFIO_DEVICE_SET_IRQS, &irqs,
                    "SET_IRQS");
    if (!*ret) {
        g_assert(tv_command(reply, sizeof(reply), "{\"cmd\":\"irq\","
                            "\"dev\":\"%s\",\"index\":%d,\"vector\":0}",
                            c->dev->bdf, VFIO_PCI_MSIX_IRQ_INDEX));
        if (read(fd, &count, sizeof(count)) != sizeof(count)) {
            count = 0;
        }
    }
    close(fd);
    return count;
}

void hm_reset(HmCase *c)
{
    g_assert(!tv_ioctl(c->vm, c->dev->fd, VFIO_DEVICE_RESET, NULL, "RESET"));
}

int hm_dirty_set(HmCase *c, uint32_t hwpt)
{
    struct iommu_hwpt_set_dirty_tracking cmd = {
        .size = sizeof(cmd),
        .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
        .hwpt_id = hwpt,
    };

    return tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING,
                    &cmd, "SET_DIRTY_TRACKING");
}

bool hm_dirty(HmCase *c, uint32_t hwpt, uint64_t gpa, void *bitmap)
{
    /* Of its own page: the kernel may write to the end of one */
    static uint64_t own[512] QEMU_ALIGNED(4096);
    unsigned n = gpa / 4096;
    struct iommu_hwpt_get_dirty_bitmap cmd = {
        .size = sizeof(cmd),
        .hwpt_id = hwpt,
        .length = RAM_SIZE,
        .page_size = 4096,
        .data = (uintptr_t)(bitmap ?: own),
    };

    memset(own, 0, sizeof(own));
    g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP,
                       &cmd, "GET_DIRTY_BITMAP"));
    return le64_to_cpu(own[n / 64]) >> n % 64 & 1;
}

int hm_feature(HmCase *c, uint32_t feature, bool get, void *arg, size_t len)
{
    size_t size = sizeof(struct vfio_device_feature) + len;
    g_autofree struct vfio_device_feature *cmd = g_malloc0(size);

    cmd->argsz = size;
    cmd->flags = feature | (get ? VFIO_DEVICE_FEATURE_GET :
                                  VFIO_DEVICE_FEATURE_SET);
    if (len) {
        memcpy(cmd->data, arg, len);
    }
    return tv_ioctl(c->vm, c->dev->fd, VFIO_DEVICE_FEATURE, cmd, "FEATURE");
}

unsigned hm_uses_after_free(void)
{
    static const char what[] = "\"ev\":\"use-after-free\"";
    g_autofree char *text = NULL;
    const char *at;
    unsigned n = 0;

    g_assert(g_file_get_contents(journal, &text, NULL, NULL));
    for (at = text; (at = strstr(at, what)); at += strlen(what)) {
        n++;
    }
    return n;
}

/* ---------------------------------------------------- of both architectures */

/* vfio clears Bus Master Enable at open; messages are writes of the device */
static bool bus_master(HmCase *c)
{
    int ret;

    if (!c->bug) {
        hm_bus_master_on(c->dev);
    }
    return !hm_msi(c, &ret);
}

static uint32_t fill_entries(HmCase *c, void *entries, unsigned *size)
{
    struct iommu_hwpt_vtd_s1_invalidate *vtd = entries;
    struct iommu_viommu_arm_smmuv3_invalidate *smmu = entries;
    unsigned i;

    for (i = 0; i < ENTRIES; i++) {
        /* The page that has moved comes last */
        uint64_t iova = HM_IOVA + page(ENTRIES - 1 - i);
        SmmuCmd cmd = smmu_tlbi_va(c->one.tag, iova, true);

        if (c->vm->cfg.arch == TV_VTD) {
            vtd[i].addr = iova;
            vtd[i].npages = 1;
        } else {
            smmu[i].cmd[0] = cpu_to_le64(cmd.dw[0]);
            smmu[i].cmd[1] = cpu_to_le64(cmd.dw[1]);
        }
    }
    *size = c->vm->cfg.arch == TV_VTD ? sizeof(*vtd) : sizeof(*smmu);
    return c->vm->cfg.arch == TV_VTD ? c->vm->hwpts->id :
                                       c->vm->iommu[0].viommu;
}

/* An error before any entry leaves entry_num as it was: "all done" */
static bool entry_num(HmCase *c)
{
    g_autofree void *entries =
        g_new0(struct iommu_hwpt_vtd_s1_invalidate, ENTRIES);
    bool vtd = c->vm->cfg.arch == TV_VTD;
    unsigned size, done = 0, piece = ENTRIES;
    uint32_t target;
    char reply[512];

    hm_bind(c, HM_PASID, &c->one);
    hm_page(c, c->dev, HM_PASID, HM_IOVA, false);
    hm_fill(c, &c->one, HM_IOVA, 4);
    target = fill_entries(c, entries, &size);
    if (vtd) {
        g_assert(tv_command(reply, sizeof(reply), "{\"cmd\":\"fault\",\"on\":"
                            "\"HWPT_INVALIDATE:1:errno=ENOMEM\"}"));
    }
    while (done < ENTRIES) {
        struct iommu_hwpt_invalidate cmd = {
            .size = sizeof(cmd),
            .hwpt_id = target,
            .data_uptr = (uintptr_t)entries + (size_t)done * size,
            .data_type = vtd ? IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 :
                               IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
            .entry_len = size,
            .entry_num = MIN(piece, ENTRIES - done),
        };

        if (tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_INVALIDATE, &cmd,
                     "HWPT_INVALIDATE") && !c->bug) {
            piece /= 2;
            continue;
        }
        done += cmd.entry_num;
    }
    return hm_page(c, c->dev, HM_PASID, HM_IOVA, false) != 4;
}

/* All of the RAM through a table of its own that tracks what is written */
static uint32_t attach_tracking(HmCase *c)
{
    struct iommu_hwpt_alloc cmd = {
        .size = sizeof(cmd),
        .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
        .dev_id = c->dev->dev_id,
        .pt_id = c->vm->ioas,
    };

    g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_ALLOC, &cmd,
                       "HWPT_ALLOC"));
    g_assert(!tv_attach(c->vm, c->dev, TV_NO_PASID, cmd.out_hwpt_id));
    g_assert(!hm_dirty_set(c, cmd.out_hwpt_id));
    hm_write(c, TV_NO_PASID, page(20));
    return cmd.out_hwpt_id;
}

static void detach_tracking(HmCase *c, uint32_t hwpt)
{
    tv_detach(c->vm, c->dev, TV_NO_PASID);
    tv_destroy(c->vm, &hwpt);
}

/* The bits go with the mapping */
static bool dirty_after_unmap(HmCase *c)
{
    uint32_t hwpt = attach_tracking(c);
    bool dirty = false;

    if (!c->bug) {
        dirty = hm_dirty(c, hwpt, page(20), NULL);
    }
    g_assert(!tv_unmap(c->vm, 0, RAM_SIZE));
    if (c->bug) {
        dirty = hm_dirty(c, hwpt, page(20), NULL);
    }
    detach_tracking(c, hwpt);
    return !dirty;
}

/* No error, and the bits are gone: read again is read too late */
static bool dirty_to_nowhere(HmCase *c)
{
    uint32_t hwpt = attach_tracking(c);
    void *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    bool dirty;

    g_assert(gone != MAP_FAILED);
    if (c->bug) {
        hm_dirty(c, hwpt, page(20), gone);
    }
    dirty = hm_dirty(c, hwpt, page(20), NULL);
    munmap(gone, 4096);
    detach_tracking(c, hwpt);
    return !dirty;
}

/* The guest writes D3hot twice */
static bool low_power_twice(HmCase *c)
{
    bool low = false;
    int ret = 0;

    for (unsigned i = 0; i < 2 && !ret; i++) {
        if (!low || c->bug) {
            ret = hm_feature(c, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, false,
                             NULL, 0);
            low = true;
        }
    }
    hm_feature(c, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, false, NULL, 0);
    return ret;
}

/* With either IOMMU */
static const HmMistake mistakes[] = {
    { "Bus Master Enable forgotten", HM_PLAIN, 0, bus_master },
    { "entry_num believed after an early error", HM_PLAIN, 0, entry_num },
    { "dirty bits read after the unmapping", HM_PLAIN, 0, dirty_after_unmap },
    { "dirty bits read into memory that is gone", HM_PLAIN, 0,
      dirty_to_nowhere },
    { "low power entered twice", HM_PLAIN, 0, low_power_twice },
    { "a BAR used while memory is off", HM_LOGS, 0, hm_bar_off },
    { "a BAR taken for memory", HM_LOGS, 0, hm_bar_as_ram },
    { "memory discarded that is mapped", HM_PLAIN, 0, hm_balloon },
    { "memory mapped anew for each device", HM_PLAIN, 0, hm_locked_twice },
    { }
};

/* ----------------------------------------------------------------- running */

static void choose_devices(TvConfig *cfg, unsigned devices)
{
    static const struct {
        unsigned of;
        const char *bdf;
        unsigned iommu;
        uint16_t rid;
    } all[] = {
        { HM_PLAIN, "0000:01:00.0", 0, 0x0100 },
        { HM_LOGS, "0000:02:00.0", 0, 0x0200 },
        { HM_GROUP, "0000:03:00.0", 0, 0x0300 },
        { HM_GROUP, "0000:03:00.1", 0, 0x0301 },
        { HM_FEW_IDS, "0000:04:00.0", 1, 0x0400 },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i].of & devices) {
            cfg->device[cfg->n_devices].bdf = all[i].bdf;
            cfg->device[cfg->n_devices].iommu = all[i].iommu;
            cfg->device[cfg->n_devices++].rid = all[i].rid;
        }
    }
}

static bool run(TvArch arch, const HmMistake *m, bool bug)
{
    TvConfig cfg = {
        .arch = arch,
        .ram_size = RAM_SIZE,
        .tables = TABLES,
        .parent_flags = m->parent_flags,
    };
    HmCase c = { .bug = bug };
    unsigned i;
    bool wrong;

    choose_devices(&cfg, m->devices);
    c.vm = tv_open(&cfg);
    c.dev = &c.vm->device[0];
    for (i = 0; i < 64; i++) {
        memset(c.vm->ram + page(i), 0x40 + i, 4096);
    }
    guest_init(&c.guest, c.vm);
    guest_device(&c.guest, c.dev, 1);
    guest_space(&c.guest, &c.one, 1, 0);
    guest_space(&c.guest, &c.two, 2, 0);
    hm_fill(&c, &c.one, HM_IOVA, 1);
    hm_fill(&c, &c.two, HM_IOVA, 3);
    wrong = m->run(&c);
    tv_close(c.vm);
    return wrong;
}

static void check(TvArch arch, const char *name, const HmMistake *m)
{
    unsigned bug, live;

    for (; m->name; m++) {
        for (bug = 0; bug < 2; bug++) {
            printf("# %s%s\n", bug ? "" : "not: ", m->name);
            check_result(run(arch, m, bug) == bug, "%s: %s: %s", name, m->name,
                         bug ? "is caught" : "nothing wrong is seen without");
            live = tv_live_objects();
            check_result(!live, "%s: %s: no object is left (%u)", name,
                         m->name, live);
        }
    }
}

int main(int argc, char **argv)
{
    g_autofree char *text = NULL;
    TvArch arch;

    if (argc != 2 || (strcmp(argv[1], "vtd") && strcmp(argv[1], "smmuv3"))) {
        fprintf(stderr, "usage: %s vtd|smmuv3\n", argv[0]);
        return 2;
    }
    arch = strcmp(argv[1], "vtd") ? TV_SMMUV3 : TV_VTD;
    journal = g_strdup_printf("%s/mutation-host.%d", g_get_tmp_dir(),
                              getpid());
    text = g_strdup_printf("[model]\njournal=%s\n%s", journal, config[arch]);
    check_with_model(argv, text);
    check(arch, argv[1], mistakes);
    check(arch, argv[1], arch == TV_VTD ? hm_vtd_mistakes :
                                          hm_smmuv3_mistakes);
    unlink(journal);
    g_free(journal);
    return check_done();
}
