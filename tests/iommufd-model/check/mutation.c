/*
 * Does the model of /dev/iommu bring a VMM's mistakes to light?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One scenario is run by a correct tiny VMM, and once more for each mistake
 * it can make.  The first must see nothing wrong, the others must see wrong
 * data, a wrong fault, or a wrong label.
 *
 * Usage: mutation vtd|smmuv3
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "common.h"
#include "guest.h"

#define RAM_SIZE        (32 * MiB)
#define TABLES          (8 * MiB)
#define IOVA            0x40000000ULL
#define IOVA2           0x40010000ULL
#define PASID           5
/* TV_BUG_WRONG_PASID takes the neighbour */
#define PASID2          6

#define DEVICES \
    "[device 0000:01:00.0]\niommu=0\ngroup=1\npasid-bits=10\nats=on\n" \
    "pri=on\n" \
    "[device 0000:02:00.0]\niommu=1\ngroup=2\npasid-bits=10\nats=on\n"

static const char *const config[] = {
    [TV_VTD] = "[host]\narch=vtd\nrefetch=on\n[iommu 0]\n[iommu 1]\n" DEVICES,
    [TV_SMMUV3] = "[host]\narch=smmuv3\nrefetch=on\n"
                  "[iommu 0]\n[iommu 1]\n" DEVICES,
};

/* What a bug has to be recognised by */
enum { SAW_DATA = 1, SAW_FAULT = 2, SAW_LABEL = 4 };

static const struct {
    const char *name;
    unsigned expect;
} bugs[TV_BUG__MAX] = {
    [TV_BUG_NONE] = { "no bug", 0 },
    [TV_BUG_DROP] = { "one invalidation dropped", SAW_DATA },
    [TV_BUG_LEAF] = { "LEAF set wrongly", SAW_DATA },
    [TV_BUG_FORGET_DEVICE] = { "one of two devices forgotten", SAW_DATA },
    [TV_BUG_EARLY] = { "completion before the ioctl", SAW_DATA },
    [TV_BUG_SWAP] = { "two batches swapped", SAW_DATA },
    [TV_BUG_WRONG_PASID] = { "wrong PASID", SAW_DATA },
    [TV_BUG_NO_CONFIG] = { "CD or PASID entry not flushed", SAW_DATA },
    [TV_BUG_REORDER] = { "device TLB before the TLB it is filled from",
                         SAW_DATA },
    [TV_BUG_STALE_LABEL] = { "label stale after renumbering", SAW_LABEL },
};

typedef struct Scenario {
    TvVm *vm;
    Guest guest;
    GuestSpace one, two;
    TvDevice *a, *b;
    unsigned saw;
} Scenario;

/* Physical pages tell which they are */
static uint64_t page(unsigned n)
{
    return n * 4096ULL;
}

static void fill_pages(TvVm *vm)
{
    unsigned i;

    for (i = 0; i < 64; i++) {
        memset(vm->ram + page(i), 0x40 + i, 4096);
    }
}

static void expect_page(Scenario *s, const char *step, TvDevice *dev,
                        uint32_t pasid, uint64_t iova, unsigned n, bool ats)
{
    TvDma dma = { .addr = iova, .len = 16, .pasid = pasid, .ats = ats };

    tv_dma(s->vm, dev, &dma);
    if (dma.fault) {
        printf("#   %s: %s: fault '%s' of stage %d\n", step, dev->bdf,
               dma.reason, dma.stage);
        s->saw |= SAW_FAULT;
    } else if (dma.data[0] != 0x40 + n || dma.data[15] != 0x40 + n) {
        printf("#   %s: %s: page %d instead of %u\n", step, dev->bdf,
               dma.data[0] - 0x40, n);
        s->saw |= SAW_DATA;
    }
}

static void expect_fault(Scenario *s, const char *step, TvDevice *dev,
                         uint32_t pasid, uint64_t iova, const char *reason)
{
    TvDma dma = { .addr = iova, .len = 16, .pasid = pasid };

    tv_dma(s->vm, dev, &dma);
    if (!dma.fault) {
        printf("#   %s: %s: page %d instead of a fault\n", step, dev->bdf,
               dma.data[0] - 0x40);
        s->saw |= SAW_DATA;
    } else if (dma.stage != 1 || strcmp(dma.reason, reason)) {
        printf("#   %s: %s: fault '%s' of stage %d\n", step, dev->bdf,
               dma.reason, dma.stage);
        s->saw |= SAW_FAULT;
    }
}

static void sync_now(Scenario *s, const char *step)
{
    if (!guest_sync(&s->guest)) {
        printf("#   %s: the guest never sees completion\n", step);
        s->saw |= SAW_FAULT;
    }
}

static void map_page(Scenario *s, GuestSpace *space, uint64_t iova,
                     unsigned n)
{
    guest_map(&s->guest, space, iova, page(n), 4096, 12,
              GUEST_WRITE | GUEST_USER);
}

static void set_up(Scenario *s)
{
    Guest *g = &s->guest;

    guest_init(g, s->vm);
    s->a = &s->vm->device[0];
    s->b = &s->vm->device[1];
    guest_device(g, s->a, 1);
    guest_device(g, s->b, 2);
    guest_space(g, &s->one, 1, 0);
    guest_space(g, &s->two, 2, 0);
    map_page(s, &s->one, IOVA, 1);
    map_page(s, &s->one, IOVA2, 2);
    map_page(s, &s->two, IOVA, 3);
    guest_bind(g, s->a, PASID, &s->one);
    guest_bind(g, s->b, PASID, &s->one);
    guest_bind(g, s->a, PASID2, &s->two);
    sync_now(s, "set-up");
    /* Everything is in every cache before the bug may strike */
    expect_page(s, "set-up", s->a, PASID, IOVA, 1, false);
    expect_page(s, "set-up", s->a, PASID, IOVA, 1, true);
    expect_page(s, "set-up", s->b, PASID, IOVA, 1, false);
    expect_page(s, "set-up", s->a, PASID2, IOVA, 3, false);
    expect_page(s, "set-up", s->a, PASID2, IOVA, 3, true);
}

/* A page moves; both devices use the space */
static void step_page(Scenario *s)
{
    map_page(s, &s->one, IOVA, 4);
    guest_inval(&s->guest, &s->one, IOVA, 12, true);
    sync_now(s, "page");
    expect_page(s, "page", s->a, PASID, IOVA, 4, false);
    expect_page(s, "page", s->a, PASID, IOVA, 4, true);
    expect_page(s, "page", s->b, PASID, IOVA, 4, false);
}

/* A whole table moves: its entry one level up is the one that changes */
static void step_table(Scenario *s)
{
    IommuMem *mem = &s->vm->mem;
    unsigned shift;
    uint64_t slot = guest_entry(&s->guest, &s->one, IOVA, 1, &shift);
    uint64_t old = iommu_mem_read64(mem, slot);

    iommu_mem_write64(mem, slot, 0);
    map_page(s, &s->one, IOVA, 5);
    map_page(s, &s->one, IOVA2, 6);
    /* The old table is used for something else from now on */
    iommu_mem_zero(mem, old & VTD_S1_ADDR & SMMU_PTE_ADDR, 4096);
    iommu_mem_write64(mem, (old & VTD_S1_ADDR & SMMU_PTE_ADDR) +
                      ((IOVA2 >> 12) & 0x1ff) * 8,
                      page(7) | (s->vm->cfg.arch == TV_VTD ? VTD_S1_USER_RW :
                                 SMMU_PTE_USER_RW | 3));
    guest_inval(&s->guest, &s->one, IOVA, shift, false);
    sync_now(s, "table");
    expect_page(s, "table", s->a, PASID, IOVA2, 6, false);
    expect_page(s, "table", s->b, PASID, IOVA2, 6, true);
}

/* The PASID gets another space */
static void step_config(Scenario *s)
{
    guest_bind(&s->guest, s->a, PASID, &s->two);
    sync_now(s, "config");
    expect_page(s, "config", s->a, PASID, IOVA, 3, false);
    expect_page(s, "config", s->b, PASID, IOVA, 5, false);
    guest_bind(&s->guest, s->a, PASID, &s->one);
    sync_now(s, "config");
    expect_page(s, "config", s->a, PASID, IOVA, 5, false);
}

/* Two changes, each waited for, the device busy in between */
static void step_order(Scenario *s)
{
    expect_page(s, "order", s->a, PASID, IOVA, 5, false);
    expect_page(s, "order", s->a, PASID, IOVA2, 6, false);
    map_page(s, &s->one, IOVA, 8);
    guest_inval(&s->guest, &s->one, IOVA, 12, true);
    sync_now(s, "order 1");
    expect_page(s, "order 1", s->a, PASID, IOVA, 8, false);
    map_page(s, &s->one, IOVA2, 9);
    guest_inval(&s->guest, &s->one, IOVA2, 12, true);
    sync_now(s, "order 2");
    expect_page(s, "order 2", s->a, PASID, IOVA2, 9, false);
}

static void step_unmap(Scenario *s)
{
    guest_unmap(&s->guest, &s->one, IOVA, 4096);
    guest_inval(&s->guest, &s->one, IOVA, 12, true);
    sync_now(s, "unmap");
    expect_fault(s, "unmap", s->a, PASID, IOVA, "not-present");
    expect_fault(s, "unmap", s->b, PASID, IOVA, "not-present");
    expect_page(s, "unmap", s->a, PASID, IOVA2, 9, false);
}

/* Make the device tell the host something it can only tell under its name */
static void make_event(Scenario *s, TvDevice *dev)
{
    char reply[512];

    while (tv_event_rid(s->vm) >= 0) {
        /* What came before has the old label, rightly */
    }
    if (s->vm->cfg.arch == TV_SMMUV3) {
        expect_fault(s, "event", dev, PASID, IOVA, "not-present");
    } else if (!tv_command(reply, sizeof(reply), "{\"cmd\":\"page-request\","
                           "\"dev\":\"%s\",\"pasid\":%u,\"addrs\":[%llu],"
                           "\"perm\":\"r\",\"grpid\":1,\"last\":true}",
                           dev->bdf, PASID, IOVA)) {
        printf("#   page request: %s\n", reply);
        s->saw |= SAW_FAULT;
    }
}

/* The guest gives the bus another number */
static void step_label(Scenario *s)
{
    const uint16_t rid = 0x0700;
    int label;

    tv_renumber(s->vm, s->a, rid);
    guest_device(&s->guest, s->a, 1);
    guest_bind(&s->guest, s->a, PASID, &s->one);
    guest_bind(&s->guest, s->a, PASID2, &s->two);
    sync_now(s, "renumber");
    make_event(s, s->a);
    label = tv_event_rid(s->vm);
    if (label != rid) {
        printf("#   renumber: the guest hears of function 0x%04x\n",
               label & 0xffff);
        s->saw |= SAW_LABEL;
    }
}

static unsigned run(TvArch arch, TvBug bug)
{
    const TvConfig cfg = {
        .arch = arch,
        .bug = bug,
        .ram_size = RAM_SIZE,
        .tables = TABLES,
        .n_devices = 2,
        .device = {
            { "0000:01:00.0", 0, 0x0100 },
            { "0000:02:00.0", 1, 0x0200 },
        },
    };
    Scenario s = { .vm = tv_open(&cfg) };

    fill_pages(s.vm);
    set_up(&s);
    if (s.saw) {
        printf("#   not even the set-up works\n");
        s.saw = UINT_MAX;
    }
    if (bug != TV_BUG_SWAP) {
        tv_arm(s.vm);
    }
    step_page(&s);
    step_table(&s);
    step_config(&s);
    tv_arm(s.vm);
    step_order(&s);
    if (bug == TV_BUG_NONE || bug == TV_BUG_STALE_LABEL) {
        step_unmap(&s);
        step_label(&s);
    }
    tv_idle(s.vm);
    if (bug == TV_BUG_NONE && s.vm->errors) {
        s.saw = UINT_MAX;
    }
    tv_close(s.vm);
    return s.saw;
}

int main(int argc, char **argv)
{
    TvArch arch;
    unsigned bug;

    if (argc != 2 || (strcmp(argv[1], "vtd") && strcmp(argv[1], "smmuv3"))) {
        fprintf(stderr, "usage: %s vtd|smmuv3\n", argv[0]);
        return 2;
    }
    arch = strcmp(argv[1], "vtd") ? TV_SMMUV3 : TV_VTD;
    check_with_model(argv, config[arch]);

    for (bug = 0; bug < TV_BUG__MAX; bug++) {
        unsigned saw, live;

        if (bug == TV_BUG_REORDER && arch == TV_VTD) {
            /* One entry does for both, and the kernel has their order */
            continue;
        }
        printf("# %s\n", bugs[bug].name);
        saw = run(arch, bug);
        if (bug == TV_BUG_NONE) {
            check_result(!saw, "%s: nothing wrong is seen", argv[1]);
        } else {
            check_result(saw != UINT_MAX && (saw & bugs[bug].expect),
                         "%s: %s is caught", argv[1], bugs[bug].name);
        }
        live = tv_live_objects();
        check_result(!live, "%s: %s: no object is left (%u)", argv[1],
                     bugs[bug].name, live);
    }
    return check_done();
}
