/*
 * What firmware and guest read about SMMUs: ACPI tables and device tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "qemu/bswap.h"
#include "standard-headers/linux/qemu_fw_cfg.h"
#include "smmu-fw.h"

/* fw_cfg of the virt machine, and a place for the transfers */
#define FW_CFG_DMA_REG      0x09020010
#define TRANSFER            (RAM + 8 * MiB)
#define TRANSFER_DATA       (TRANSFER + 4096)

static void fw_cfg_read(SmmuRig *r, uint16_t key, void *buf, uint32_t len)
{
    const struct fw_cfg_dma_access access = {
        .control = cpu_to_be32((uint32_t)key << 16 | FW_CFG_DMA_CTL_SELECT |
                               FW_CFG_DMA_CTL_READ),
        .length = cpu_to_be32(len),
        .address = cpu_to_be64(TRANSFER_DATA),
    };

    qtest_memwrite(r->qts, TRANSFER, &access, sizeof(access));
    /* A big-endian register of a little-endian machine */
    qtest_writeq(r->qts, FW_CFG_DMA_REG, bswap64(TRANSFER));
    g_assert_cmpuint(qtest_readl(r->qts, TRANSFER), ==, 0);
    qtest_memread(r->qts, TRANSFER_DATA, buf, len);
}

static uint8_t *fw_cfg_file(SmmuRig *r, const char *name, size_t *len)
{
    g_autofree uint8_t *dir = NULL;
    uint32_t count;

    /* The number of files, then an entry for each */
    fw_cfg_read(r, FW_CFG_FILE_DIR, &count, sizeof(count));
    count = be32_to_cpu(count);
    dir = g_malloc(sizeof(count) + count * sizeof(struct fw_cfg_file));
    fw_cfg_read(r, FW_CFG_FILE_DIR, dir,
                sizeof(count) + count * sizeof(struct fw_cfg_file));
    for (uint32_t i = 0; i < count; i++) {
        const struct fw_cfg_file *file =
            (void *)(dir + sizeof(count) + i * sizeof(*file));

        if (!strcmp(file->name, name)) {
            uint8_t *buf;

            *len = be32_to_cpu(file->size);
            buf = g_malloc(*len);
            fw_cfg_read(r, be16_to_cpu(file->select), buf, *len);
            return buf;
        }
    }
    g_assert_not_reached();
}

uint8_t *smmu_fw_table(SmmuRig *r, const char *signature, size_t *len)
{
    size_t total, at = 0;
    g_autofree uint8_t *all = fw_cfg_file(r, "etc/acpi/tables", &total);

    while (at + 36 <= total) {
        *len = ldl_le_p(all + at + 4);
        g_assert_cmpuint(*len, >=, 36);
        g_assert_cmpuint(*len, <=, total - at);
        if (!memcmp(all + at, signature, 4)) {
            return g_memdup2(all + at, *len);
        }
        at += *len;
    }
    g_assert_not_reached();
}

static void iort_mapping(const uint8_t *p, IortMapping *m)
{
    m->in = ldl_le_p(p);
    m->num = ldl_le_p(p + 4) + 1;
    m->out = ldl_le_p(p + 8);
    m->ref = ldl_le_p(p + 12);
    m->flags = ldl_le_p(p + 16);
}

static void iort_rmr(const uint8_t *p, unsigned len, IortNode *node)
{
    uint32_t ranges = ldl_le_p(p + 24);

    node->flags = ldl_le_p(p + 16);
    node->num_ranges = ldl_le_p(p + 20);
    g_assert_cmpuint(node->num_ranges, ==, 1);
    g_assert_cmpuint(ranges + 20, <=, len);
    node->range_base = ldq_le_p(p + ranges);
    node->range_size = ldq_le_p(p + ranges + 8);
    g_assert_cmpuint(ldl_le_p(p + ranges + 16), ==, 0);
}

static unsigned iort_node(const uint8_t *p, unsigned room, IortNode *node)
{
    unsigned len = lduw_le_p(p + 1), mappings = ldl_le_p(p + 12);

    g_assert_cmpuint(len, <=, room);
    node->type = p[0];
    node->revision = p[3];
    node->id = ldl_le_p(p + 4);
    node->num_mappings = ldl_le_p(p + 8);
    g_assert_cmpuint(node->num_mappings, <=, ARRAY_SIZE(node->mapping));
    if (node->num_mappings) {
        g_assert_cmpuint(mappings + node->num_mappings * 20, <=, len);
    }
    for (unsigned i = 0; i < node->num_mappings; i++) {
        iort_mapping(p + mappings + i * 20, &node->mapping[i]);
    }
    switch (node->type) {
    case IORT_SMMUV3:
        node->base = ldq_le_p(p + 16);
        break;
    case IORT_RC:
        node->ats = ldl_le_p(p + 24);
        break;
    case IORT_RMR:
        iort_rmr(p, len, node);
        break;
    }
    return len;
}

void smmu_fw_iort(SmmuRig *r, Iort *iort)
{
    size_t len, at;
    g_autofree uint8_t *table = smmu_fw_table(r, "IORT", &len);

    memset(iort, 0, sizeof(*iort));
    iort->revision = table[8];
    iort->num_nodes = ldl_le_p(table + 36);
    g_assert_cmpuint(iort->num_nodes, <=, ARRAY_SIZE(iort->node));
    at = ldl_le_p(table + 40);
    for (unsigned i = 0; i < iort->num_nodes; i++) {
        g_assert_cmpuint(at + 16, <=, len);
        iort->node[i].offset = at;
        at += iort_node(table + at, len - at, &iort->node[i]);
        for (unsigned j = 0; j < i; j++) {
            g_assert_cmpuint(iort->node[i].id, !=, iort->node[j].id);
        }
    }
    g_assert_cmpuint(at, ==, len);
}

const IortNode *smmu_fw_node(const Iort *iort, unsigned type, unsigned index)
{
    for (unsigned i = 0; i < iort->num_nodes; i++) {
        if (iort->node[i].type == type && !index--) {
            return &iort->node[i];
        }
    }
    return NULL;
}

static const uint8_t *find(const uint8_t *p, const uint8_t *end,
                           const void *what, size_t len)
{
    while (p + len <= end && memcmp(p, what, len)) {
        p++;
    }
    return p + len <= end ? p : NULL;
}

/* Device (@name): its operation code, a length of 1 to 4 bytes, the name */
static const uint8_t *aml_device(const uint8_t *p, const uint8_t *end,
                                 const char *name)
{
    while ((p = find(p, end, "\x5b\x82", 2))) {
        const uint8_t *at = p + 3 + (p[2] >> 6);

        if (at + 4 <= end && !memcmp(at, name, 4)) {
            return at;
        }
        p += 2;
    }
    g_assert_not_reached();
}

bool smmu_fw_dsm(SmmuRig *r, const char *name, uint8_t *functions)
{
    /* E5C937D0-3553-4D7A-9117-EA4D19C3434D: PCI Express slots and bridges */
    static const uint8_t uuid[] = {
        0xd0, 0x37, 0xc9, 0xe5, 0x53, 0x35, 0x7a, 0x4d,
        0x91, 0x17, 0xea, 0x4d, 0x19, 0xc3, 0x43, 0x4d,
    };
    /* If (Arg2 == 0) { Return (Buffer (1) {...; If (Arg2 == 5) { Return (0) */
    static const uint8_t functions_of[] = {
        0x93, 0x6a, 0x00, 0xa4, 0x11, 0x03, 0x01,
    };
    static const uint8_t keep[] = { 0x93, 0x6a, 0x0a, 0x05, 0xa4, 0x00 };
    size_t len;
    g_autofree uint8_t *table = smmu_fw_table(r, "DSDT", &len);
    const uint8_t *end = table + len, *p;

    p = find(aml_device(table, end, name), end, uuid, sizeof(uuid));
    g_assert_nonnull(p);
    end = MIN(end, p + sizeof(uuid) + 32);
    p = find(p, end, functions_of, sizeof(functions_of));
    g_assert_nonnull(p);
    *functions = p[sizeof(functions_of)];
    return find(p, end, keep, sizeof(keep));
}

/* Where there is a device tree compiler: whether it takes the tree */
static void check_fdt(const char *file)
{
    g_autofree char *dtc = g_find_program_in_path("dtc");
    const char *argv[] = { dtc, "-q", "-I", "dtb", "-O", "dtb", "-o",
                           "/dev/null", file, NULL };
    g_autoptr(GError) err = NULL;
    int status;

    if (!dtc) {
        g_test_message("no dtc here to check the device tree");
        return;
    }
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL,
                 NULL, &status, &err);
    g_assert_no_error(err);
    g_assert_cmpint(status, ==, 0);
}

void *smmu_fw_fdt(SmmuRig *r)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-fdt-%d", g_get_tmp_dir(),
                                            getpid());
    g_autoptr(GError) err = NULL;
    char *fdt;
    gsize len;

    qtest_qmp_assert_success(r->qts, "{ 'execute': 'dumpdtb', "
                             "'arguments': { 'filename': %s } }", file);
    g_file_get_contents(file, &fdt, &len, &err);
    g_assert_no_error(err);
    check_fdt(file);
    unlink(file);
    g_assert_cmpint(fdt_check_full(fdt, len), ==, 0);
    return fdt;
}

/* Linux: of_pci_find_child_device() looks at device and function only */
int smmu_fw_fdt_function(const void *fdt, int parent, unsigned devfn)
{
    int node, len;

    fdt_for_each_subnode(node, fdt, parent) {
        const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

        if (reg && len == 20 && (fdt32_ld(reg) >> 8 & 0xff) == devfn) {
            return node;
        }
    }
    return -FDT_ERR_NOTFOUND;
}

/* Linux: of_iommu_get_resv_regions(), for a device on a PCI bus */
bool smmu_fw_fdt_window(const void *fdt, int node, uint64_t *base,
                        uint64_t *size)
{
    const fdt32_t *cell = fdt_getprop(fdt, node, "memory-region", NULL);
    uint32_t self = fdt_get_phandle(fdt, node);
    bool found = false;
    int region, len;

    if (!cell) {
        return false;
    }
    region = fdt_node_offset_by_phandle(fdt, fdt32_ld(cell));
    g_assert_cmpint(region, >=, 0);
    cell = fdt_getprop(fdt, region, "reg", &len);
    g_assert_cmpint(len, ==, 16);
    *base = fdt64_ld((const fdt64_t *)cell);
    *size = fdt64_ld((const fdt64_t *)cell + 1);
    cell = fdt_getprop(fdt, region, "iommu-addresses", &len);
    g_assert_nonnull(cell);
    g_assert_cmpint(len % 24, ==, 0);
    for (; len; len -= 24, cell += 6) {
        /* Every entry has a device, and addresses are no phandles */
        g_assert_cmpint(fdt_node_offset_by_phandle(fdt, fdt32_ld(cell)),
                        >=, 0);
        for (unsigned i = 1; i < 6; i++) {
            g_assert_cmpint(fdt_node_offset_by_phandle(fdt,
                                                       fdt32_ld(cell + i)),
                            <, 0);
        }
        if (fdt32_ld(cell) == self) {
            g_assert_false(found);
            found = true;
            /* One to one; anything else Linux would not map */
            g_assert_cmphex(fdt64_ld((const fdt64_t *)(cell + 2)), ==, *base);
            g_assert_cmphex(fdt64_ld((const fdt64_t *)(cell + 4)), ==, *size);
        }
    }
    g_assert_true(found);
    return true;
}

int smmu_fw_fdt_irq(const void *fdt, int bridge, unsigned slot, unsigned pin)
{
    const fdt32_t *mask = fdt_getprop(fdt, bridge, "interrupt-map-mask", NULL);
    int len;
    const fdt32_t *map = fdt_getprop(fdt, bridge, "interrupt-map", &len);

    g_assert_nonnull(mask);
    g_assert_nonnull(map);
    g_assert_cmpint(len % 40, ==, 0);
    for (; len; len -= 40, map += 10) {
        if (fdt32_ld(map) == ((slot << 11) & fdt32_ld(mask)) &&
            fdt32_ld(map + 3) == (pin & fdt32_ld(mask + 3))) {
            return fdt32_ld(map + 8);
        }
    }
    return -1;
}
