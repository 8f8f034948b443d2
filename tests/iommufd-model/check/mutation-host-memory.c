/*
 * Mistakes about memory: BARs that are mapped, pages that are pinned
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <sys/mman.h>
#include "mutation-host.h"

#define RAM_FLAGS   (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
                     IOMMU_IOAS_MAP_WRITEABLE)

static sigjmp_buf on_bus_error;

static void bus_error(int sig)
{
    siglongjmp(on_bus_error, sig);
}

/* Does an access end the VM? */
static bool kills(volatile uint32_t *word, uint32_t value)
{
    struct sigaction act = { .sa_handler = bus_error }, old;
    volatile bool dead = false; /* over siglongjmp() */

    sigaction(SIGBUS, &act, &old);
    if (sigsetjmp(on_bus_error, 1)) {
        dead = true;
    } else {
        *word = value;
    }
    sigaction(SIGBUS, &old, NULL);
    return dead;
}

static uint32_t *map_bar(HmCase *c)
{
    uint32_t *bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                         c->dev->fd,
                         (off_t)VFIO_PCI_BAR4_REGION_INDEX << 40);

    g_assert(bar != MAP_FAILED);
    return bar;
}

static void config_write16(HmCase *c, unsigned reg, uint16_t value)
{
    uint16_t le = cpu_to_le16(value);

    g_assert(pwrite(c->dev->fd, &le, sizeof(le),
                    ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + reg) ==
             sizeof(le));
}

/* The guest sees the BAR where it was, although memory is off */
bool hm_bar_off(HmCase *c)
{
    uint32_t *bar = map_bar(c);
    bool dead = kills(bar, 1);

    config_write16(c, PCI_COMMAND, 0);
    if (c->bug) {
        dead |= kills(bar, 2);
    }
    config_write16(c, PCI_COMMAND, PCI_COMMAND_MEMORY);
    dead |= kills(bar, 3);
    munmap(bar, 4096);
    return dead;
}

/* Device to device: the BAR is given to the IOAS, and what comes is ignored */
bool hm_bar_as_ram(HmCase *c)
{
    const uint64_t at = 0x10000000;
    uint32_t *bar = map_bar(c);
    struct iommu_ioas_map cmd = {
        .size = sizeof(cmd),
        .flags = RAM_FLAGS,
        .ioas_id = c->vm->ioas,
        .user_va = (uintptr_t)bar,
        .length = 4096,
        .iova = at,
    };
    TvDma dma = { .addr = at, .len = 16, .pasid = TV_NO_PASID };
    bool there;

    g_assert(!tv_attach(c->vm, c->dev, TV_NO_PASID, c->vm->ioas));
    there = !tv_ioctl(c->vm, c->vm->iommufd, IOMMU_IOAS_MAP, &cmd,
                      "IOAS_MAP") || c->bug;
    if (there) {
        tv_dma(c->vm, c->dev, &dma);
    }
    tv_detach(c->vm, c->dev, TV_NO_PASID);
    munmap(bar, 4096);
    return dma.fault;
}

static int map_ram(HmCase *c, uint32_t ioas)
{
    struct iommu_ioas_map cmd = {
        .size = sizeof(cmd),
        .flags = RAM_FLAGS,
        .ioas_id = ioas,
        .user_va = (uintptr_t)c->vm->ram,
        .length = c->vm->cfg.ram_size,
    };

    return tv_ioctl(c->vm, c->vm->iommufd, IOMMU_IOAS_MAP, &cmd, "IOAS_MAP");
}

static void discard(HmCase *c, unsigned page)
{
    g_assert(!madvise(c->vm->ram + page * 4096, 4096, MADV_DONTNEED));
}

/* A balloon: what is mapped is pinned, and not what the guest has after it */
bool hm_balloon(HmCase *c)
{
    const uint64_t at = 20 * 4096, size = c->vm->cfg.ram_size;

    /* Mappings go as a whole */
    if (!c->bug) {
        g_assert(!tv_unmap(c->vm, 0, size));
    }
    discard(c, 20);
    if (!c->bug) {
        g_assert(!map_ram(c, c->vm->ioas));
    }
    memset(c->vm->ram + at, 0x40 + 21, 4096);
    hm_fill(c, &c->one, HM_IOVA, 20);
    hm_bind(c, HM_PASID, &c->one);
    return hm_page(c, c->dev, HM_PASID, HM_IOVA, false) != 21;
}

/* An address space for each device: the RAM counts once for each of them */
bool hm_locked_twice(HmCase *c)
{
    struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
    struct iommu_hwpt_alloc hwpt = {
        .size = sizeof(hwpt),
        .dev_id = c->dev->dev_id,
    };
    struct iommu_ioas_copy copy = {
        .size = sizeof(copy),
        .flags = RAM_FLAGS,
        .src_ioas_id = c->vm->ioas,
        .length = c->vm->cfg.ram_size,
    };
    int ret;

    g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_IOAS_ALLOC, &alloc,
                       "IOAS_ALLOC"));
    hwpt.pt_id = alloc.out_ioas_id;
    g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_ALLOC, &hwpt,
                       "HWPT_ALLOC"));
    copy.dst_ioas_id = alloc.out_ioas_id;
    ret = c->bug ? map_ram(c, alloc.out_ioas_id) :
                   tv_ioctl(c->vm, c->vm->iommufd, IOMMU_IOAS_COPY, &copy,
                            "IOAS_COPY");
    tv_destroy(c->vm, &hwpt.out_hwpt_id);
    tv_destroy(c->vm, &alloc.out_ioas_id);
    return ret;
}
