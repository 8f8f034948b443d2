/*
 * Random steps against an oracle: the guest and stage 2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "random.h"

/* A table no longer used, once the guest has synchronised */
typedef struct Freed {
    uint64_t gpa, bytes, entry;
} Freed;

static unsigned space_index(const Run *r, const GuestSpace *space)
{
    return space - r->space;
}

/* Levels above the smallest page a leaf may have, and its size */
static unsigned leaf_shift(const Run *r, const GuestSpace *space, unsigned up)
{
    return is_vtd(r) ? 12 + 9 * up :
                       space->s1.granule + (space->s1.granule - 3) * up;
}

static bool is_present(const Run *r, uint64_t entry)
{
    return entry & 1;
}

static bool is_table(const Run *r, uint64_t entry, unsigned up)
{
    if (!is_present(r, entry) || !up) {
        return false;
    }
    return is_vtd(r) ? !(entry & VTD_S1_PS) : (entry & 3) == 3;
}

/* Level of an entry from what it covers */
static unsigned up_of(const Run *r, const GuestSpace *space, unsigned shift)
{
    unsigned up;

    for (up = 0; leaf_shift(r, space, up) < shift; up++) {
        continue;
    }
    return up;
}

/* ------------------------------------------------------------------ changes */

/* Call before the first write of a change to the guest's structures */
static void change_begin(Run *r)
{
    r->pending++;
    memcpy(r->before + TABLES, r->vm->ram + TABLES,
           r->vm->mem.next - TABLES);
}

/* The table an entry at level @up points to goes back to the guest's pool */
static void free_table(Run *r, const GuestSpace *space, uint64_t entry,
                       unsigned up)
{
    Freed *f = g_new(Freed, 1);
    unsigned granule = is_vtd(r) ? 12 : space->s1.granule;
    unsigned shift = leaf_shift(r, space, up - 1);
    uint64_t target = POISON & -(1ULL << shift);

    f->gpa = entry & 0xfffffffff000ULL & -(1ULL << granule);
    f->bytes = 1ULL << granule;
    if (is_vtd(r)) {
        f->entry = target | VTD_S1_USER_RW | (up > 1 ? VTD_S1_PS : 0);
    } else {
        f->entry = target | SMMU_PTE_USER_RW | (up > 1 ? 1 : 3);
    }
    g_ptr_array_add(r->freed, f);
}

void do_sync(Run *r)
{
    unsigned i;
    uint64_t off;

    note(r, "sync");
    if (!guest_sync(&r->guest)) {
        fail(r, "the guest does not see completion");
    }
    if (r->vm->errors) {
        fail(r, "the kernel refused something");
    }
    for (i = 0; i < r->freed->len; i++) {
        Freed *f = g_ptr_array_index(r->freed, i);

        for (off = 0; off < f->bytes; off += 8) {
            iommu_mem_write64(&r->vm->mem, f->gpa + off, f->entry);
        }
        /* Some keep their poison for long, some become other tables */
        if (chance(r, 80)) {
            iommu_mem_free(&r->vm->mem, f->gpa, f->bytes);
        }
    }
    g_ptr_array_set_size(r->freed, 0);
    r->pending = 0;
}

/* Queue what the replacement of one entry needs */
static void entry_changed(Run *r, GuestSpace *space, uint64_t iova,
                          uint64_t old, unsigned old_shift, unsigned shift)
{
    unsigned up = up_of(r, space, old_shift);
    bool table = is_table(r, old, up);

    if (!is_present(r, old)) {
        return;         /* nothing can be cached */
    }
    guest_inval(&r->guest, space, iova, MAX(old_shift, shift),
                old_shift == shift && !table && chance(r, 70));
    if (table) {
        free_table(r, space, old, up);
    }
}

void do_map(Run *r)
{
    GuestSpace *space = any_space(r);
    unsigned up = chance(r, 80) ? 0 : chance(r, 80) ? 1 : 2;
    unsigned rights, shift, old_shift, n = 1, i;
    uint64_t iova, gpa, size;

    if (!is_vtd(r) && space->s1.granule != 12 && up == 2) {
        up = 1;         /* no blocks at level 1 */
    }
    shift = leaf_shift(r, space, up);
    size = 1ULL << shift;
    iova = space_iova(r, space) & -size;
    if (size < DATA_SIZE) {
        n = up ? 1 : 1 + rnd(r, 8);
        gpa = rnd(r, DATA_SIZE / size) * size;
        n = MIN(n, (DATA_SIZE - gpa) / size);
    } else {
        gpa = 0;
    }
    if (chance(r, 3)) {
        gpa = 4 * GiB;  /* no memory there */
    }
    rights = (chance(r, 75) ? GUEST_WRITE : 0) |
             (chance(r, 90) ? GUEST_USER : 0);
    note(r, "map space %u iova 0x%" PRIx64 " gpa 0x%" PRIx64
         " %u x 2^%u rights %u", space_index(r, space), iova, gpa, n, shift,
         rights);
    change_begin(r);
    for (i = 0; i < n; i++) {
        uint64_t slot = guest_entry(&r->guest, space, iova + i * size, up,
                                    &old_shift);
        uint64_t old = iommu_mem_read64(&r->vm->mem, slot);

        guest_map(&r->guest, space, iova + i * size, gpa + i * size, size,
                  shift, rights);
        set_hot(r, space, iova + i * size);
        r->recent[r->nr_recent % N_RECENT].space = space;
        r->recent[r->nr_recent++ % N_RECENT].iova = iova + i * size;
        entry_changed(r, space, iova + i * size, old, old_shift, shift);
    }
}

void do_unmap(Run *r)
{
    GuestSpace *space = any_space(r);
    uint64_t iova = space_iova(r, space), slot, old;
    unsigned shift;

    slot = guest_entry(&r->guest, space, iova, 0, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (!is_present(r, old)) {
        return;
    }
    note(r, "unmap space %u iova 0x%" PRIx64 " (2^%u)",
         space_index(r, space), iova, shift);
    change_begin(r);
    set_hot(r, space, iova);
    guest_unmap(&r->guest, space, iova, 1);
    entry_changed(r, space, iova, old, shift, shift);
}

void do_drop_table(Run *r)
{
    GuestSpace *space = any_space(r);
    unsigned up = 1 + chance(r, 20), shift;
    uint64_t iova = space_iova(r, space), slot, old;

    slot = guest_entry(&r->guest, space, iova, up, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (shift != leaf_shift(r, space, up) || !is_table(r, old, up)) {
        return;
    }
    note(r, "drop table space %u iova 0x%" PRIx64 " (2^%u)",
         space_index(r, space), iova, shift);
    change_begin(r);
    iommu_mem_write64(&r->vm->mem, slot, 0);
    entry_changed(r, space, iova, old, shift, shift);
}

void do_protect(Run *r)
{
    GuestSpace *space = any_space(r);
    uint64_t iova = space_iova(r, space), slot, old;
    unsigned rights = rnd(r, 4), shift;

    slot = guest_entry(&r->guest, space, iova, 0, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (!is_present(r, old)) {
        return;
    }
    note(r, "protect space %u iova 0x%" PRIx64 " (2^%u) rights %u",
         space_index(r, space), iova, shift, rights);
    change_begin(r);
    set_hot(r, space, iova);
    guest_protect(&r->guest, space, iova, rights);
    entry_changed(r, space, iova, old, shift, shift);
}

/*
 * More rights need no invalidation (VT-d 6.5.1): what hardware finds missing
 * in a cache it looks up again.
 */
void do_upgrade(Run *r)
{
    const GuestBinding *b = any_binding(r);
    uint64_t iova = space_iova(r, b->space) & -4096ULL, slot, old;
    unsigned shift;

    slot = guest_entry(&r->guest, b->space, iova, 0, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (!is_vtd(r) || !is_present(r, old)) {
        return;
    }
    do_sync(r);
    note(r, "upgrade space %u iova 0x%" PRIx64 " (2^%u)",
         space_index(r, b->space), iova, shift);
    change_begin(r);
    guest_protect(&r->guest, b->space, iova, GUEST_USER);
    guest_inval(&r->guest, b->space, iova, shift, true);
    do_sync(r);
    dma_at(r, b, iova, false);
    change_begin(r);
    guest_protect(&r->guest, b->space, iova, GUEST_USER | GUEST_WRITE);
    do_sync(r);
    dma_at(r, b, iova, true);
}

/* Rights of a table entry limit those of everything below it */
void do_protect_table(Run *r)
{
    const uint64_t bits = is_vtd(r) ? VTD_S1_RW | VTD_S1_US :
                                      SMMU_TABLE_RO | SMMU_TABLE_NO_EL0;
    GuestSpace *space = any_space(r);
    uint64_t iova = space_iova(r, space), slot, old, new;
    unsigned up = 1 + rnd(r, 2), shift;

    slot = guest_entry(&r->guest, space, iova, up, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (shift != leaf_shift(r, space, up) || !is_table(r, old, up)) {
        return;
    }
    new = (old & ~bits) | (rnd64(r) & bits);
    if (chance(r, 60)) {
        new = is_vtd(r) ? old | bits : old & ~bits;     /* all again */
    }
    note(r, "protect table space %u iova 0x%" PRIx64 " (2^%u): 0x%" PRIx64,
         space_index(r, space), iova, shift, new);
    change_begin(r);
    iommu_mem_write64(&r->vm->mem, slot, new);
    guest_inval(&r->guest, space, iova, shift, false);
}

void do_move_config(Run *r)
{
    TvDevice *dev = any_device(r);
    Freed old = { 0 };

    if (r->guest.ops->move_config) {
        note(r, "move the configuration tables of 0x%04x", dev->rid);
        change_begin(r);
        old.gpa = r->guest.ops->move_config(&r->guest, dev, any_pasid(r),
                                            &old.bytes);
        if (old.gpa) {
            g_ptr_array_add(r->freed, g_memdup2(&old, sizeof(old)));
        }
    }
}

void do_bind(Run *r)
{
    TvDevice *dev = any_device(r);
    uint32_t pasid = any_pasid(r);
    GuestSpace *space = chance(r, 80) ? any_space(r) : NULL;

    note(r, "bind 0x%04x pasid %d space %d", dev->rid, (int)pasid,
         space ? (int)space_index(r, space) : -1);
    change_begin(r);
    guest_bind(&r->guest, dev, pasid, space);
}

void do_inval(Run *r)
{
    GuestSpace *space = any_space(r);

    note(r, "invalidate space %u", space_index(r, space));
    guest_inval_all(&r->guest, space);
}

void do_stage2(Run *r)
{
    uint64_t gpa = rnd(r, DATA_SIZE / CHUNK) * CHUNK;
    uint8_t now = r->s2.rights[gpa / ORACLE_PAGE];
    uint8_t rights = chance(r, 30) ? ORACLE_R : ORACLE_R | ORACLE_W;
    int ret;

    if (now && chance(r, 80)) {
        return;         /* most of it is there, most of the time */
    }
    rights = now ? 0 : rights;
    note(r, "stage 2: 0x%" PRIx64 " rights %u", gpa, rights);
    ret = now ? tv_unmap(r->vm, gpa, CHUNK) :
                tv_map(r->vm, gpa, CHUNK, rights & ORACLE_W);
    if (ret) {
        fail(r, "stage 2 cannot be changed");
    }
    oracle_s2_set(&r->s2, gpa, CHUNK, rights);
}

void do_renumber(Run *r)
{
    TvDevice *dev = any_device(r);
    uint16_t rid = 0x100 * (1 + rnd(r, 200)) + (dev - r->vm->device) * 0x40;
    unsigned i;

    do_sync(r);
    note(r, "renumber 0x%04x to 0x%04x", dev->rid, rid);
    change_begin(r);
    if (is_vtd(r)) {
        vtd_context_clear(&r->vm->vtd, dev->rid);
    } else {
        smmu_ste_clear(&r->vm->smmu, dev->rid);
    }
    tv_renumber(r->vm, dev, rid);
    guest_device(&r->guest, dev, 0);
    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &r->guest.binding[i];

        if (b->space && b->dev == dev) {
            guest_bind(&r->guest, dev, b->pasid, b->space);
        }
    }
    do_sync(r);
}
