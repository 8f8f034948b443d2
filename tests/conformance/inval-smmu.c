/*
 * Conformance of /dev/iommu: invalidation commands of an SMMUv3 guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * arm_vsmmu_cache_invalidate() copies the whole array first and then checks
 * command after command; entry_num is the index of the one that stopped it.
 */

#include <endian.h>
#include <sys/mman.h>
#include "smmu.h"

#define NEEDS (CT_DEV | CT_SMMUV3 | CT_VIOMMU)
#define TYPE IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3

typedef struct Cmd {
    uint64_t w[2];
} Cmd;

#define SID_FIELD(sid)   ((uint64_t)(sid) << 32)
#define SSID_FIELD(ssid) ((uint64_t)(ssid) << 12)
#define ASID_FIELD(asid) ((uint64_t)(asid) << 48)

static int run(const SmmuVm *vm, const Cmd *cmds, uint32_t *nr)
{
    struct iommu_viommu_arm_smmuv3_invalidate raw[16];

    for (uint32_t i = 0; i < *nr; i++) {
        raw[i].cmd[0] = htole64(cmds[i].w[0]);
        raw[i].cmd[1] = htole64(cmds[i].w[1]);
    }
    return ct_invalidate(vm->b.iommufd, vm->viommu, TYPE, raw, sizeof(raw[0]),
                         nr);
}

static int run_one(const SmmuVm *vm, uint64_t w0, uint64_t w1)
{
    Cmd cmd = { { w0, w1 } };
    uint32_t nr = 1;
    int ret = run(vm, &cmd, &nr);

    EQ(ret ? 0 : 1, nr);
    return ret;
}

/* iommufd_hwpt_invalidate(), iommu_copy_struct_from_full_user_array() */
static void arguments(void)
{
    SmmuVm vm;
    uint64_t raw[8] = { htole64(CMD_TLBI_NSNH_ALL) };
    uint32_t nr, byp;
    int fd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    nr = 1;
    RET(-ENOENT, ct_invalidate(fd, CT_NO_ID, TYPE, raw, 16, &nr));
    EQ(0, nr);
    nr = 1;
    RET(-EINVAL, ct_invalidate(fd, vm.viommu, 0, raw, 16, &nr));
    EQ(0, nr);
    /* No entries is an error here, with any type */
    RET(-EINVAL, ct_invalidate(fd, vm.viommu, TYPE, NULL, 0, &nr));
    nr = 1;
    RET(-EINVAL, ct_invalidate(fd, vm.viommu, TYPE, raw, ct_page() + 1,
                               &nr));
    nr = CT_INVALIDATE_MAX_ENTRIES + 1;
    RET(-EINVAL, ct_invalidate(fd, vm.viommu, TYPE, raw, 16, &nr));
    EQ(0, nr);
    /* The parent cannot be, nor does the nested table have the operation */
    nr = 1;
    RET(-EINVAL, ct_invalidate(fd, vm.parent, TYPE, raw, 16, &nr));
    RET(0, ct_ste(fd, vm.b.id, vm.viommu, STE0_BYPASS, 0, &byp));
    nr = 1;
    RET(-EOPNOTSUPP, ct_invalidate(fd, byp, TYPE, raw, 16, &nr));
    EQ(0, nr);
}

/* copy_struct_from_user() of each entry when the length differs */
static void entry_length(void)
{
    SmmuVm vm;
    uint64_t raw[8] = { htole64(CMD_TLBI_NSNH_ALL) };
    uint32_t nr = 1;
    int fd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_invalidate(fd, vm.viommu, TYPE, raw, 8, &nr));
    EQ(1, nr);
    RET(0, ct_invalidate(fd, vm.viommu, TYPE, raw, 64, &nr));
    EQ(1, nr);
    raw[7] = 1;
    RET(-E2BIG, ct_invalidate(fd, vm.viommu, TYPE, raw, 64, &nr));
    EQ(0, nr);
}

/* arm_vsmmu_validate_user_cmd(): which commands there are */
static void opcodes(void)
{
    SmmuVm vm;
    bool ats;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    ats = vm.b.dev->info.smmu.idr[0] & 1u << 10;
    for (unsigned op = 0; op < 256; op++) {
        uint64_t sid = 0;
        int want = -EIO;

        switch (op) {
        case CMD_TLBI_NSNH_ALL:
        case CMD_TLBI_NH_ALL:
        case CMD_TLBI_NH_ASID:
        case CMD_TLBI_NH_VA:
        case CMD_TLBI_NH_VAA:
            want = 0;
            break;
        case CMD_ATC_INV:
            want = ats ? 0 : -EIO;
            sid = SID_FIELD(SMMU_VSID);
            break;
        case CMD_CFGI_CD:
        case CMD_CFGI_CD_ALL:
            want = 0;
            sid = SID_FIELD(SMMU_VSID);
            break;
        }
        if (!RET(want, run_one(&vm, op | sid, 0))) {
            ct_note("command 0x%x", op);
        }
    }
}

/* arm_vsmmu_vsid_to_sid(): the StreamID is a label of this vIOMMU */
static void labels(void)
{
    SmmuVm vm;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    RET(0, run_one(&vm, CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID), 0));
    RET(-EIO, run_one(&vm, CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID + 1), 0));
    RET(-EIO, run_one(&vm, CMD_CFGI_CD | SID_FIELD(0xffffffff), 0));
    RET(0, ct_destroy(vm.b.iommufd, vm.vdevice));
    RET(-EIO, run_one(&vm, CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID), 0));
    /* TLB commands need no device */
    RET(0, run_one(&vm, CMD_TLBI_NH_ALL, 0));
    RET(0, ct_vdevice(vm.b.iommufd, vm.viommu, vm.b.id, SMMU_VSID + 1,
                      NULL));
    RET(0, run_one(&vm, CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID + 1), 0));
}

/* The bits of a command, one by one, against what the driver lets pass */
static void check_bits(const SmmuVm *vm, uint64_t base, uint64_t allow0,
                       uint64_t allow1)
{
    for (unsigned bit = 8; bit < 64; bit++) {
        if (!RET(allow0 >> bit & 1 ? 0 : -EIO,
                 run_one(vm, base | 1ull << bit, 0))) {
            ct_note("command 0x%x, bit %u of word 0",
                    (unsigned)(base & 0xff), bit);
        }
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!RET(allow1 >> bit & 1 ? 0 : -EIO,
                 run_one(vm, base, 1ull << bit))) {
            ct_note("command 0x%x, bit %u of word 1",
                    (unsigned)(base & 0xff), bit);
        }
    }
}

#define VMID_BITS  (0xffffull << 32)
#define VA_BITS    (~0ull << 12)

static uint64_t asid_bits(const SmmuVm *vm)
{
    /* IDR0.ASID16 */
    return vm->b.dev->info.smmu.idr[0] & 1u << 12 ? 0xffffull << 48 :
                                                    0xffull << 48;
}

/* TLBI commands; range fields stay zero here, and so does what needs them */
static void tlbi_bits(void)
{
    SmmuVm vm;
    uint64_t asid;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    asid = asid_bits(&vm);
    check_bits(&vm, CMD_TLBI_NSNH_ALL, 0, 0);
    check_bits(&vm, CMD_TLBI_NH_ALL, VMID_BITS, 0);
    check_bits(&vm, CMD_TLBI_NH_ASID, VMID_BITS | asid, 0);
}

/* arm_vsmmu_validate_range(): NUM, SCALE, TTL want TG, TG wants one of them */
static void tlbi_va_bits(void)
{
    SmmuVm vm;
    uint64_t asid;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    asid = asid_bits(&vm);
    check_bits(&vm, CMD_TLBI_NH_VA, VMID_BITS | asid, 1ull | VA_BITS);
    check_bits(&vm, CMD_TLBI_NH_VAA, VMID_BITS, 1ull | VA_BITS);
}

/* ATS: SSID, SSV, Global only with substreams, Size up to 52 */
static void atc_bits(void)
{
    SmmuVm vm;
    const uint32_t *idr;
    uint64_t ssid = 0, base = CMD_ATC_INV | SID_FIELD(SMMU_VSID);

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    idr = vm.b.dev->info.smmu.idr;
    if (!(idr[0] & 1u << 10)) {
        RET(-EIO, run_one(&vm, base, 0));
        return;
    }
    if (idr[1] >> 6 & 0x1f) {
        ssid = 1ull << 11 | 1ull << 9 | 0xfffffull << 12;
    }
    for (unsigned bit = 8; bit < 32; bit++) {
        RET(ssid >> bit & 1 ? 0 : -EIO, run_one(&vm, base | 1ull << bit, 0));
    }
    for (unsigned size = 0; size < 64; size++) {
        RET(size <= 52 ? 0 : -EIO, run_one(&vm, base, size));
    }
    for (unsigned bit = 6; bit < 64; bit++) {
        RET(bit >= 12 ? 0 : -EIO, run_one(&vm, base, 1ull << bit));
    }
}

/* CFGI_CD takes an SSID without SSV, CFGI_CD_ALL nothing but the StreamID */
static void cfgi_bits(void)
{
    SmmuVm vm;
    uint64_t ssid = 0;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    if (vm.b.dev->info.smmu.idr[1] >> 6 & 0x1f) {
        ssid = 0xfffffull << 12;
    }
    for (unsigned bit = 8; bit < 32; bit++) {
        uint64_t sid = SID_FIELD(SMMU_VSID) | 1ull << bit;

        RET(ssid >> bit & 1 ? 0 : -EIO, run_one(&vm, CMD_CFGI_CD | sid, 0));
        RET(-EIO, run_one(&vm, CMD_CFGI_CD_ALL | sid, 0));
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        RET(bit ? -EIO : 0, run_one(&vm, CMD_CFGI_CD | SID_FIELD(SMMU_VSID),
                                    1ull << bit));
        RET(-EIO, run_one(&vm, CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID),
                          1ull << bit));
    }
}

#define NUM(n)   ((uint64_t)(n) << 12)
#define SCALE(n) ((uint64_t)(n) << 20)
#define TTL(n)   ((uint64_t)(n) << 8)
#define TG(n)    ((uint64_t)(n) << 10)

/* IDR3.RIL, IDR5.DS: arm_vsmmu_validate_range() */
static void range_fields(void)
{
    SmmuVm vm;
    bool ril, ds;
    static const uint32_t ops[] = { CMD_TLBI_NH_VA, CMD_TLBI_NH_VAA };

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    ril = vm.b.dev->info.smmu.idr[3] & 1u << 10;
    ds = vm.b.dev->info.smmu.idr[5] & 1u << 7;
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        uint64_t op = ops[i];
        int good = ril ? 0 : -EIO;

        RET(good, run_one(&vm, op | NUM(3), TG(1) | 0x10000));
        RET(good, run_one(&vm, op | NUM(31) | SCALE(2), TG(1)));
        RET(good, run_one(&vm, op | SCALE(31), TG(1) | TTL(3)));
        RET(good, run_one(&vm, op, TG(1) | TTL(3)));
        RET(good, run_one(&vm, op, TG(3) | TTL(1)));
        RET(ril && ds ? 0 : -EIO, run_one(&vm, op, TG(2) | TTL(1)));
        RET(ril && ds ? 0 : -EIO, run_one(&vm, op | SCALE(32), TG(1)));
        /* Reserved combinations */
        RET(-EIO, run_one(&vm, op, TG(1)));
        RET(-EIO, run_one(&vm, op | NUM(1), 0));
        RET(-EIO, run_one(&vm, op | SCALE(1), 0));
        RET(-EIO, run_one(&vm, op, TTL(1)));
        RET(0, run_one(&vm, op, 1));
    }
}

/* entry_num is the index of the guilty command */
static void partial(void)
{
    SmmuVm vm;
    static const Cmd bad[] = {
        { { CMD_SYNC, 0 } },
        { { CMD_TLBI_NH_ALL, 1 } },
        { { CMD_CFGI_CD_ALL | SID_FIELD(0x77), 0 } },
        { { CMD_TLBI_S12_VMALL, 0 } },
    };

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        for (unsigned at = 0; at < 5; at++) {
            Cmd cmds[5] = {
                { { CMD_TLBI_NH_ALL, 0 } },
                { { CMD_TLBI_NH_ASID | ASID_FIELD(7), 0 } },
                { { CMD_CFGI_CD_ALL | SID_FIELD(SMMU_VSID), 0 } },
                { { CMD_TLBI_NH_VA | ASID_FIELD(7), 0x5001 } },
                { { CMD_TLBI_NSNH_ALL, 0 } },
            };
            uint32_t nr = 5;

            cmds[at] = bad[i];
            RET(-EIO, run(&vm, cmds, &nr));
            EQ(at, nr);
        }
    }
}

/* More than one batch of the host's command queue: CMDQ_BATCH_ENTRIES */
static void many(void)
{
    SmmuVm vm;
    uint32_t nr = 200;
    struct iommu_viommu_arm_smmuv3_invalidate *raw =
        ct_mem(200 * sizeof(*raw));

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    for (unsigned i = 0; i < nr; i++) {
        raw[i].cmd[0] = htole64(CMD_TLBI_NH_VA);
        raw[i].cmd[1] = htole64(i * 0x1000ull);
    }
    RET(0, ct_invalidate(vm.b.iommufd, vm.viommu, TYPE, raw, sizeof(*raw),
                         &nr));
    EQ(200, nr);
    raw[150].cmd[0] = htole64(CMD_SYNC);
    RET(-EIO, ct_invalidate(vm.b.iommufd, vm.viommu, TYPE, raw, sizeof(*raw),
                            &nr));
    EQ(150, nr);
}

/* The array is copied as a whole before anything is done */
static void unreadable(void)
{
    SmmuVm vm;
    uint32_t nr = 4;
    uint64_t page = ct_page();
    uint8_t *mem = ct_mem(2 * page);
    struct iommu_viommu_arm_smmuv3_invalidate *raw =
        (void *)(mem + page - 2 * sizeof(*raw));

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    raw[0].cmd[0] = raw[1].cmd[0] = htole64(CMD_TLBI_NH_ALL);
    OK(!mprotect(mem + page, page, PROT_NONE));
    RET(-EFAULT, ct_invalidate(vm.b.iommufd, vm.viommu, TYPE, raw,
                               sizeof(*raw), &nr));
    EQ(0, nr);
}

/*
 * kzalloc_objs(): an array that the kernel has no memory for in one piece is
 * refused as a whole, and entry_num stays as it was. 8 MiB is too much for any
 * kernel with 4 KiB pages. Only for the model: the kernel warns as well.
 */
static void too_large(void)
{
    SmmuVm vm;
    uint32_t nr = CT_INVALIDATE_MAX_ENTRIES;
    struct iommu_viommu_arm_smmuv3_invalidate *raw =
        ct_mem((size_t)nr * sizeof(*raw));

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    for (unsigned i = 0; i < nr; i++) {
        raw[i].cmd[0] = htole64(CMD_TLBI_NH_ALL);
    }
    RET(-ENOMEM, ct_invalidate(vm.b.iommufd, vm.viommu, TYPE, raw,
                               sizeof(*raw), &nr));
    EQ(CT_INVALIDATE_MAX_ENTRIES, nr);
}

/*
 * A device that does not answer ATC_INV: the kernel gives up waiting for the
 * CMD_SYNC, and entry_num is one less than the end of that block. What is not
 * for that device goes on.
 */
static void atc_timeout(void)
{
    SmmuVm vm;
    uint32_t nr, s1;
    Cmd cmds[] = {
        { { CMD_TLBI_NH_ALL, 0 } },
        { { CMD_ATC_INV | SID_FIELD(SMMU_VSID), 52 } },
        { { CMD_TLBI_NSNH_ALL, 0 } },
    };

    if (!smmu_vm_vdevice(&vm, CT_NEST) ||
        !RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_S1,
                       STE1_EATS(1), &s1)) ||
        !RET(0, ct_attach(&vm.b, s1))) {
        return;
    }
    nr = ARRAY_LEN(cmds);
    RET(0, run(&vm, cmds, &nr));
    EQ(ARRAY_LEN(cmds), nr);
    ct_model("{\"cmd\":\"atc-hang\",\"dev\":\"%s\",\"on\":true}",
             vm.b.dev->bdf);
    nr = ARRAY_LEN(cmds);
    RET(-ETIMEDOUT, run(&vm, cmds, &nr));
    EQ(ARRAY_LEN(cmds) - 1, nr);
    nr = 1;
    RET(0, run(&vm, cmds, &nr));
    EQ(1, nr);
    nr = 1;
    RET(-ETIMEDOUT, run(&vm, &cmds[1], &nr));
    EQ(0, nr);
    /* What the kernel itself has to tell that device it does not wait for */
    RET(0, ct_detach(&vm.b));
    RET(0, ct_attach(&vm.b, s1));
    ct_model("{\"cmd\":\"atc-hang\",\"dev\":\"%s\",\"on\":false}",
             vm.b.dev->bdf);
}

/* The order of the model for an error before any entry is looked at */
static void early_error(void)
{
    SmmuVm vm;
    uint32_t nr = 3;
    Cmd cmds[3] = {
        { { CMD_TLBI_NH_ALL, 0 } }, { { CMD_TLBI_NH_ALL, 0 } },
        { { CMD_TLBI_NH_ALL, 0 } },
    };

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    ct_model("{\"cmd\":\"fault\",\"on\":\"HWPT_INVALIDATE:1:"
             "errno=ENOMEM\"}");
    RET(-ENOMEM, run(&vm, cmds, &nr));
    EQ(3, nr);
    ct_model("{\"cmd\":\"fault\",\"on\":\"HWPT_INVALIDATE:1:"
             "errno=ENOMEM:partial=0\"}");
    RET(-ENOMEM, run(&vm, cmds, &nr));
    EQ(0, nr);
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, NEEDS },
    { "length of an entry", entry_length, NEEDS },
    { "opcodes", opcodes, NEEDS },
    { "StreamIDs are labels", labels, NEEDS },
    { "bits of TLBI NH_ALL, NH_ASID, NSNH_ALL", tlbi_bits, NEEDS },
    { "bits of TLBI NH_VA and NH_VAA", tlbi_va_bits, NEEDS },
    { "range fields", range_fields, NEEDS },
    { "bits of ATC_INV", atc_bits, NEEDS },
    { "bits of CFGI_CD and CFGI_CD_ALL", cfgi_bits, NEEDS },
    { "partial completion", partial, NEEDS },
    { "many commands", many, NEEDS },
    { "an array that cannot be read to its end", unreadable, NEEDS },
    { "a device that does not answer ATC_INV", atc_timeout, NEEDS | CT_MODEL },
    { "an array too large to be copied", too_large, NEEDS | CT_MODEL },
    { "an error before any entry", early_error, NEEDS | CT_MODEL },
};

CT_GROUP(ct_group_inval_smmu, "invalidate-smmuv3");
