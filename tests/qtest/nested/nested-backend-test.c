/*
 * Nested vIOMMUs: what the guest's memory is made of on the host
 *
 * Without tables of the guest a device sees its memory as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "nested-rig.h"

#define SIZE    (128 * MiB)
#define MACHINE "-machine memory-backend=ram -object "
#define RAM     "memory-backend-ram,id=ram,size=128M "

typedef struct Rig {
    IommufdModel *m;
    QTestState *qts;
    uint64_t data;              /* in the guest's memory */
} Rig;

static bool arm(void)
{
    return !strcmp(qtest_get_arch(), "aarch64");
}

static char *rig_args(const char *backend)
{
    g_autofree char *devices = nested_rig_devices(1, "pcie.0");

    return g_strdup_printf("%s -m 128M -nodefaults "
                           "-object iommufd,id=iommufd0 " MACHINE "%s %s",
                           arm() ? "-machine virt,iommu=smmuv3 -cpu max "
                           "-global arm-smmuv3.nested=on" :
                           "-machine q35 -device intel-iommu,nested=on",
                           backend, devices);
}

static char *rig_host(const char *iommu)
{
    return nested_rig_host(arm() ? "smmuv3" : "vtd", 1, iommu, "");
}

static void rig_start(Rig *r, const char *backend)
{
    g_autofree char *host = rig_host("");
    g_autofree char *args = rig_args(backend);

    *r = (Rig) {
        .m = iommufd_model_new(host),
        .data = 96 * MiB + (arm() ? 1 * GiB : 0),
    };
    r->qts = iommufd_model_start(r->m, "%s", args);
}

static void rig_stop(Rig *r)
{
    iommufd_model_free(r->m);
}

/* Guest and device have the same memory, both ways */
static void expect_same(Rig *r)
{
    uint8_t out[64], in[64];

    qtest_memset(r->qts, r->data, 0x5a, 64);
    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, r->data, 0x5a, 64);
    memset(out, 0xa5, sizeof(out));
    iommufd_model_dma_write(r->m, HOST_DEV0, NULL, r->data, out, sizeof(out));
    qtest_memread(r->qts, r->data, in, sizeof(in));
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
}

/* Those of the guest's memory; its firmware is no file */
static void expect_maps(Rig *r, bool files)
{
    uint64_t maps = iommufd_model_counter(r->m, "IOAS_MAP_FILE", "calls");

    g_test_message("%" PRIu64 " calls of IOAS_MAP_FILE, %" PRIu64
                   " of IOAS_MAP", maps,
                   iommufd_model_counter(r->m, "IOAS_MAP", "calls"));
    if (files) {
        g_assert_cmpuint(maps, >, 0);
    } else {
        g_assert_cmpuint(maps, ==, 0);
    }
    g_assert_cmpuint(iommufd_model_pinned(r->m), >=, SIZE - 1 * MiB);
}

static void same(const char *backend, bool files)
{
    Rig r;

    g_test_message("%s", backend);
    rig_start(&r, backend);
    expect_same(&r);
    expect_maps(&r, files);
    rig_stop(&r);
}

static void test_memfd(void)
{
    same("memory-backend-memfd,id=ram,size=128M", true);
}

/* The guest's pages are copies of the file's: they are not the same */
static void test_memfd_private(void)
{
    same("memory-backend-memfd,id=ram,size=128M,share=off", false);
}

static void expect_refused(QDict *answer, const char *text)
{
    const char *why = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");

    g_test_message("%s", why);
    g_assert_nonnull(strstr(why, text));
    qobject_unref(answer);
}

/* A kernel that maps no files: that the memory is one does no harm */
static void test_memfd_old(void)
{
    g_autofree char *one = rig_host("");
    g_autofree char *host = g_strdup_printf("%s[host]\nkernel=no-map-file\n",
                                            one);
    g_autofree char *args =
        rig_args("memory-backend-memfd,id=ram,size=128M");
    Rig r = { .data = 96 * MiB + (arm() ? 1 * GiB : 0) };

    r.m = iommufd_model_new(host);
    r.qts = iommufd_model_start(r.m, "%s", args);
    expect_same(&r);
    g_assert_cmpuint(iommufd_model_counter(r.m, "IOAS_MAP", "calls"), >, 0);
    rig_stop(&r);
}

static bool shmem(const char *dir)
{
    struct statfs fs;

    return !statfs(dir, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* @share: of a file in @dir, which is a folder of tmpfs, or of a disk */
static void file(const char *dir, bool tmpfs, bool share, bool files)
{
    g_autofree char *path = g_strdup_printf("%s/nested-backend-%d", dir,
                                            getpid());
    g_autofree char *backend = g_strdup_printf(
        "memory-backend-file,id=ram,size=128M,mem-path=%s,share=%s", path,
        share ? "on" : "off");

    if (shmem(dir) != tmpfs) {
        g_test_skip(tmpfs ? "no tmpfs there" : "the build tree is a tmpfs");
        return;
    }
    same(backend, files);
    unlink(path);
}

static void test_tmpfs(void)
{
    file("/dev/shm", true, true, true);
}

static void test_tmpfs_private(void)
{
    file("/dev/shm", true, false, false);
}

static void test_disk_private(void)
{
    file(".", false, false, false);
}

/* The host would write to the disk behind the back of its file system */
static void test_disk(void)
{
    g_autofree char *path = g_strdup_printf("./nested-backend-%d", getpid());
    g_autofree char *backend = g_strdup_printf("memory-backend-file,id=ram,"
        "size=128M,share=on,mem-path=%s", path);
    g_autofree char *args = rig_args(backend);
    g_autofree char *host = rig_host("");

    if (shmem(".")) {
        g_test_skip("the build tree is a tmpfs");
        return;
    }
    nested_rig_expect_refusal(host, args, "(ram) cannot be mapped",
                              "share=off",
                              "memory-backend-memfd", NULL);
    unlink(path);
}

/* Memory that comes later: there is no way back once the guest has it */
static void test_plug(void)
{
    g_autofree char *path = g_strdup_printf("./nested-backend-%d", getpid());
    QDict *answer;
    Rig r;

    if (shmem(".")) {
        g_test_skip("the build tree is a tmpfs");
        return;
    }
    rig_start(&r, RAM "-m 128M,slots=1,maxmem=1G");
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'object-add', 'arguments': "
        "{ 'qom-type': 'memory-backend-file', 'id': 'more', 'share': true, "
        "'size': %u, 'mem-path': %s } }", (unsigned)SIZE, path);
    answer = qtest_qmp(r.qts, "{ 'execute': 'device_add', 'arguments': "
                       "{ 'driver': 'pc-dimm', 'memdev': 'more' } }");
    expect_refused(answer, "share=off");
    expect_same(&r);
    rig_stop(&r);
    unlink(path);
}

static char *limited_host(unsigned mib)
{
    g_autofree char *host = rig_host("");

    return g_strdup_printf("%s[host]\nmemlock=%u\n", host,
                           (unsigned)(mib * MiB));
}

/* What is in the way, and how much it takes */
static void test_limit(void)
{
    g_autofree char *host = limited_host(64);
    g_autofree char *args = rig_args(RAM);
    struct rlimit was, lim;

    g_assert_cmpint(getrlimit(RLIMIT_MEMLOCK, &was), ==, 0);
    lim = was;
    lim.rlim_cur = MIN(64 * MiB, was.rlim_max);
    g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &lim), ==, 0);
    nested_rig_expect_refusal(host, args, "ulimit -l", "131072 KiB",
                              lim.rlim_cur == 64 * MiB ? " 65536 KiB" :
                              "KiB", NULL);
    g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &was), ==, 0);
}

/*
 * What QEMU locks itself counts with the process, what iommufd locks with the
 * user: the limit is needed once
 */
static void test_mem_lock(void)
{
    g_autofree char *host = limited_host(136);
    g_autofree char *args = rig_args(RAM "-overcommit mem-lock=on");
    Rig r = { .data = 96 * MiB + (arm() ? 1 * GiB : 0) };

    if (getuid()) {
        g_test_skip("not root");
        return;
    }
    r.m = iommufd_model_new(host);
    r.qts = iommufd_model_start(r.m, "%s", args);
    expect_same(&r);
    expect_maps(&r, false);
    rig_stop(&r);
}

static uint64_t huge_pages_free(void)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL)) {
        return 0;
    }
    at = strstr(text, "HugePages_Free:");
    return at ? g_ascii_strtoull(at + 15, NULL, 10) : 0;
}

static void huge(bool share)
{
    g_autofree char *backend = g_strdup_printf("memory-backend-memfd,id=ram,"
        "size=128M,hugetlb=on,hugetlbsize=2M,share=%s", share ? "on" : "off");

    if (huge_pages_free() < SIZE / (2 * MiB)) {
        g_test_skip("the host has no 64 huge pages (vm.nr_hugepages)");
        return;
    }
    same(backend, share);
}

static void test_huge(void)
{
    huge(true);
}

static void test_huge_private(void)
{
    huge(false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/nested/backend/memfd", test_memfd);
    qtest_add_func("/nested/backend/memfd-private", test_memfd_private);
    qtest_add_func("/nested/backend/memfd-old", test_memfd_old);
    qtest_add_func("/nested/backend/tmpfs", test_tmpfs);
    qtest_add_func("/nested/backend/tmpfs-private", test_tmpfs_private);
    qtest_add_func("/nested/backend/disk", test_disk);
    qtest_add_func("/nested/backend/disk-private", test_disk_private);
    if (!arm()) {
        /* Without firmware the other machine takes no memory later */
        qtest_add_func("/nested/backend/plug", test_plug);
    }
    qtest_add_func("/nested/backend/limit", test_limit);
    qtest_add_func("/nested/backend/mem-lock", test_mem_lock);
    qtest_add_func("/nested/backend/huge", test_huge);
    qtest_add_func("/nested/backend/huge-private", test_huge_private);
    return g_test_run();
}
