/*
 * VT-d nested translation: reading the guest's second-stage tables
 *
 * The host walks its own second stage below the guest's first one, and has no
 * room for a second stage of the guest: its tables are mirrored by the core,
 * see <hw/iommufd-shadow.h>. Caching mode makes the guest tell of mappings that
 * become present, too. Everything read is hostile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/dma.h"
#include "intel_iommu_nested_internal.h"

/* Tables of 512 entries of 8 bytes (3.7) */
#define SS_BITS         9
#define SS_SHIFT(level) (VTD_PAGE_SHIFT + ((level) - 1) * SS_BITS)
#define SS_SIZE(level)  (1ULL << SS_SHIFT(level))

/* Second-stage paging entries (9.8); bits that are not named are ignored */
#define SS_READ         (1ULL << 0)
#define SS_WRITE        (1ULL << 1)
#define SS_PAGE         (1ULL << 7)
#define SS_SNP          (1ULL << 11)

/* Entries that are read at once, and tables that are read in one call */
#define SS_ENTRIES      64
#define SS_TABLES       16

bool vtd_nested_ss(IntelIOMMUState *s, uint64_t root, unsigned aw,
                   VTDNestedSecondStage *ss)
{
    /* 1: 39 bits, 2: 48 bits, 3: 57 bits; CAP.SAGAW has the same order */
    if (!(s->cap & VTD_CAP_SAGAW_MASK & (1ULL << (VTD_CAP_SAGAW_SHIFT + aw)))) {
        return false;
    }
    ss->root = root;
    ss->levels = aw + 2;
    return true;
}

uint64_t vtd_nested_ss_last(const VTDNestedSecondStage *ss)
{
    return SS_SIZE(ss->levels + 1) - 1;
}

/*
 * An HWPT that could be a parent has second-stage tables on the host: without
 * a reason the kernel takes first-stage ones, which lack the upper half of what
 * second-stage tables translate. Where a parent has no read-only mappings
 * (erratum 772415), a log of dirty pages is a reason as well.
 */
uint32_t vtd_nested_shadow_flags(const IOMMUFDNestedHostInfo *info)
{
    if (!(info->vendor.vtd.flags & IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17)) {
        return IOMMU_HWPT_ALLOC_NEST_PARENT;
    }
    return info->vendor.vtd.ecap_reg & VTD_ECAP_SSADS ?
           IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0;
}

/*
 * What Linux makes of CAP (compute_vasz_lg2_ss() and _fs()). Of a first stage
 * it uses the lower half.
 */
unsigned vtd_nested_shadow_width(const IOMMUFDNestedHostInfo *info)
{
    uint64_t cap = info->vendor.vtd.cap_reg;
    unsigned mgaw = VTD_MGAW_FROM_CAP(cap) + 1;
    bool second = vtd_nested_shadow_flags(info);
    unsigned width = VTD_HOST_AW_39BIT;

    if (mgaw > VTD_HOST_AW_48BIT &&
        cap & (second ? VTD_CAP_SAGAW_57BIT : VTD_CAP_FS5LP)) {
        width = VTD_HOST_AW_57BIT;
    } else if (!second || cap & (VTD_CAP_SAGAW_48bit | VTD_CAP_SAGAW_57BIT)) {
        width = VTD_HOST_AW_48BIT;
    }
    return MIN(width, mgaw) - !second;
}

static bool ss_present(uint64_t entry)
{
    return entry & (SS_READ | SS_WRITE);
}

static bool ss_is_page(uint64_t entry, unsigned level)
{
    return level == 1 || (level <= 3 && entry & SS_PAGE);
}

/* A request that meets such an entry gets a fault: as good as not present */
static bool ss_reserved(IntelIOMMUState *s, uint64_t entry, unsigned level)
{
    uint64_t rsvd = ~VTD_HAW_MASK(s->aw_bits) & MAKE_64BIT_MASK(0, 52);

    if (level > 3 || (level > 1 && !s->levels.sslps)) {
        rsvd |= SS_PAGE;
    }
    if (ss_is_page(entry, level)) {
        rsvd |= SS_SIZE(level) - VTD_PAGE_SIZE;
        rsvd |= s->snoop_control ? 0 : SS_SNP;
    }
    return entry & rsvd;
}

static uint64_t ss_addr(uint64_t entry)
{
    return entry & MAKE_64BIT_MASK(VTD_PAGE_SHIFT, 52 - VTD_PAGE_SHIFT);
}

/* Some entries of one table */
typedef struct SSPart {
    uint64_t entry[SS_ENTRIES];
    unsigned num;
    unsigned level;
} SSPart;

static void ss_read(uint64_t table, uint64_t iova, uint64_t last,
                    unsigned level, SSPart *part)
{
    unsigned index = extract64(iova, SS_SHIFT(level), SS_BITS);
    unsigned end = (iova ^ last) >> SS_SHIFT(level + 1) ?
                   (1u << SS_BITS) - 1 :
                   extract64(last, SS_SHIFT(level), SS_BITS);

    part->level = level;
    part->num = MIN(end - index + 1, SS_ENTRIES);
    if (dma_memory_read(&address_space_memory,
                        table + index * sizeof(part->entry[0]), part->entry,
                        part->num * sizeof(part->entry[0]),
                        MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        memset(part->entry, 0, sizeof(part->entry));
    }
    for (unsigned i = 0; i < part->num; i++) {
        le64_to_cpus(&part->entry[i]);
    }
}

/* The first one of @part that leads anywhere, or @part->num */
static unsigned ss_find(IntelIOMMUState *s, const SSPart *part)
{
    unsigned i = 0;

    while (i < part->num && (!ss_present(part->entry[i]) ||
                             ss_reserved(s, part->entry[i], part->level))) {
        i++;
    }
    return i;
}

/* Pages behind the first one, @i, that go on where it ends */
static void ss_join(const SSPart *part, unsigned i, uint64_t perm,
                    IOMMUFDNestedRun *run)
{
    uint64_t size = run->size;

    while (++i < part->num &&
           ss_is_page(part->entry[i], part->level) &&
           (part->entry[i] & (SS_READ | SS_WRITE)) == perm &&
           ss_addr(part->entry[i]) == run->gpa + run->size) {
        run->size += size;
    }
}

void vtd_nested_ss_next(void *opaque, const void *data, uint64_t first,
                        uint64_t last, bool joined, IOMMUFDNestedRun *run)
{
    VTDNested *n = opaque;
    const VTDNestedSecondStage *ss = data;
    uint64_t table = ss->root, perm = SS_READ | SS_WRITE;
    unsigned level = ss->levels;
    SSPart part;

    *run = (IOMMUFDNestedRun) { .iova = first };
    for (unsigned tables = 0; tables < SS_TABLES && run->iova <= last;
         tables++) {
        uint64_t entry;
        unsigned i;

        iommufd_nested_count_read(n->core);
        ss_read(table, run->iova, last, level, &part);
        i = ss_find(n->s, &part);
        if (i) {
            run->iova = ROUND_DOWN(run->iova, SS_SIZE(level)) +
                        i * SS_SIZE(level);
        }
        if (i == part.num) {
            /* Nothing up to here; what comes next may have other tables */
            table = ss->root;
            level = ss->levels;
            perm = SS_READ | SS_WRITE;
            continue;
        }
        entry = part.entry[i];
        if (ss_is_page(entry, level)) {
            run->iova = ROUND_DOWN(run->iova, SS_SIZE(level));
            run->gpa = ss_addr(entry);
            run->size = SS_SIZE(level);
            run->read = entry & perm & SS_READ;
            run->write = entry & perm & SS_WRITE;
            if (joined) {
                ss_join(&part, i, entry & (SS_READ | SS_WRITE), run);
            }
            return;
        }
        table = ss_addr(entry);
        perm &= entry;
        level--;
    }
}
