/*
 * arm-smmuv3 as the SMMU of an emulated host, host-keep=on: every kind of
 * command that a nested VMM has its host issue counts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a VMM and its host kernel do when a guest changes something is done
 * here: once as it has to be, and once for each kind of command without it.
 * Then DMA has to end up where it did before, which is wrong.
 */

#include "qemu/osdep.h"
#include "host-omit.h"
#include "smmu-host-rig.h"

#define PROPS       "host-keep=on,host-ssidsize=20,host-fwb=on,host-ats=on"
#define PASID       5
#define OP_S2_IPA   0x2a

typedef enum Kind {
    PAGE,                       /* TLBI_NH_VA */
    ASID,                       /* TLBI_NH_ASID */
    VMID,                       /* TLBI_NH_ALL */
    STAGE2,                     /* TLBI_S2_IPA */
    CD,                         /* CFGI_CD */
    STE,                        /* CFGI_STE */
    DEVICE,                     /* ATC_INV */
    KINDS,
    NONE = KINDS,
} Kind;

static const char *const kind_name[] = {
    "NH_VA", "NH_ASID", "NH_ALL", "S2_IPA", "CFGI_CD", "CFGI_STE", "ATC_INV",
};

typedef struct Case {
    HostOmitCase base;
    bool ats;
    void (*change)(Host *h, SmmuS1 *s1);
} Case;

/* The guest maps another page */
static void change_page(Host *h, SmmuS1 *s1)
{
    smmu_s1_map(s1, HOST_VA, host_ipa(h, HOST_PA(1)), 4096, 12,
                SMMU_PTE_USER_RW);
}

/* The VMM gives a page of the guest's memory another place */
static void change_memory(Host *h, SmmuS1 *s1)
{
    host_map_s2(h, host_ipa(h, HOST_PA(0)), HOST_PA(1), HOST_S2_RW);
}

/* The CD is changed to one for data page 1, with the same ASID */
static void change_cd(Host *h, SmmuS1 *s1)
{
    const uint32_t spare = 0xfff;
    uint64_t cd[8], from, to;
    unsigned i;

    h->asid--;
    host_space(h, spare, 1);
    from = smmu_cd_entry(&h->cds, spare);
    to = smmu_cd_entry(&h->cds, PASID);
    for (i = 0; i < ARRAY_SIZE(cd); i++) {
        cd[i] = iommu_mem_read64(&h->s1_mem, from + i * 8);
    }
    iommu_mem_write_qwords(&h->s1_mem, to, cd, ARRAY_SIZE(cd));
}

/* The guest gives the stream another table of CDs */
static void change_ste(Host *h, SmmuS1 *s1)
{
    uint64_t slot = smmu_ste_entry(&h->tables, HOST_SID);
    uint64_t word = iommu_mem_read64(&h->mem, slot), old = h->cds.base;

    smmu_cdtab_init(&h->cds, &h->s1_mem, h->setup.fmt, h->setup.cdmax);
    change_cd(h, s1);
    iommu_mem_write64(&h->mem, slot, word ^ old ^ h->cds.base);
}

static const Case cases[] = {
    { { "page", 1 << PAGE }, false, change_page },
    { { "page-ats", 1 << PAGE | 1 << DEVICE }, true, change_page },
    { { "memory", 1 << STAGE2 | 1 << VMID }, false, change_memory },
    { { "memory-ats", 1 << STAGE2 | 1 << VMID | 1 << DEVICE },
      true, change_memory },
    { { "cd", 1 << CD | 1 << ASID }, false, change_cd },
    { { "cd-ats", 1 << CD | 1 << ASID | 1 << DEVICE }, true, change_cd },
    { { "ste", 1 << STE | 1 << ASID }, false, change_ste },
    { { "ste-ats", 1 << STE | 1 << ASID | 1 << DEVICE }, true, change_ste },
};

static void command(Host *h, Kind kind, uint16_t asid)
{
    uint64_t tags = (uint64_t)HOST_VMID << 32 | (uint64_t)asid << 48;
    SmmuCmd cmd = { };

    switch (kind) {
    case PAGE:
        cmd = (SmmuCmd) { { SMMU_OP_TLBI_NH_VA | tags, HOST_VA | 1 } };
        break;
    case ASID:
        cmd = (SmmuCmd) { { SMMU_OP_TLBI_NH_ASID | tags } };
        break;
    case VMID:
        cmd = (SmmuCmd) { { SMMU_OP_TLBI_NH_ALL | (uint64_t)HOST_VMID << 32 } };
        break;
    case STAGE2:
        cmd = (SmmuCmd) { { OP_S2_IPA | (uint64_t)HOST_VMID << 32,
                            host_ipa(h, HOST_PA(0)) | 1 } };
        break;
    case CD:
        cmd = smmu_cfgi_cd(HOST_SID, PASID, true);
        break;
    case STE:
        cmd = smmu_cfgi_ste(HOST_SID, true);
        break;
    case DEVICE:
        cmd = smmu_atc_inv(HOST_SID, PASID, 0, 52);
        break;
    case KINDS:
        g_assert_not_reached();
    }
    host_command(h, cmd);
}

/* Which data page a fill ends up in */
static unsigned filled_page(Host *h)
{
    static uint64_t pattern = 0x4567890100000000;
    unsigned i;

    pattern++;
    g_assert_cmphex(host_fill(h, PASID, HOST_VA, pattern), ==, SVA_CODE_OK);
    host_no_event(h);
    for (i = 0; i < 2; i++) {
        if (qtest_readq(h->rig.qts, HOST_PA(i)) == pattern) {
            return i;
        }
    }
    g_assert_not_reached();
}

static void check(const HostOmitCase *base, unsigned omitted)
{
    const Case *c = container_of(base, Case, base);
    const HostSetup setup = {
        .config = CONFIG_NESTED, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 12,
        .s1dss = SMMU_S1DSS_SSID0, .eats = c->ats,
    };
    Host *h = host_start(PROPS, "keep-translations=on", 6);
    uint16_t asid;
    SmmuS1 s1;
    Kind kind;

    host_endpoint(h, c->ats);
    host_setup(h, &setup);
    s1 = host_space(h, PASID, 0);
    asid = h->asid;
    g_assert_cmpuint(filled_page(h), ==, 0);

    c->change(h, &s1);
    g_assert_cmpuint(filled_page(h), ==, 0);
    for (kind = 0; kind < KINDS; kind++) {
        if (base->kinds & 1 << kind && kind != omitted) {
            command(h, kind, asid);
        }
    }
    g_assert_cmpuint(filled_page(h), ==, omitted == NONE);
    host_stop(h);
}

static const HostOmit omit = {
    .path = "/smmu-host/omit",
    .kind_name = kind_name,
    .kinds = KINDS,
    .check = check,
};

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        host_omit_add(&omit, &cases[i].base);
    }
    return g_test_run();
}
