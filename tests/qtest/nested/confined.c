/*
 * A QEMU under test without privileges: no user, no spawning, no paths
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "confined.h"

#define SANDBOX " -sandbox on,obsolete=deny,spawn=deny,resourcecontrol=deny"

static bool has_sandbox(void)
{
    const char *argv[] = {
        qtest_qemu_binary(NULL), "-sandbox", "on", "-version", NULL
    };
    int status = 1;

    return g_spawn_sync(NULL, (char **)argv, NULL,
                        G_SPAWN_STDOUT_TO_DEV_NULL |
                        G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                        &status, NULL) && !status;
}

bool confined_can_drop(void)
{
    g_autofree char *path = realpath(".", NULL);

    if (geteuid()) {
        return false;
    }
    while (strcmp(path, "/")) {
        char *parent = g_path_get_dirname(path);
        struct stat st;

        if (stat(path, &st) || !(st.st_mode & S_IXOTH)) {
            g_free(parent);
            return false;
        }
        g_free(path);
        path = parent;
    }
    return true;
}

char *confined_begin(const char *how)
{
    bool keep = !strcmp(how, "keep-user");
    g_autofree char *library = realpath("tests/qtest/nested/libconfine.so",
                                        NULL);

    g_assert_nonnull(library);
    g_setenv("IOMMUFD_MODEL_PRELOAD", library, true);
    g_setenv("CONFINE", how, true);
    /* Sockets that QEMU connects to */
    umask(0);
    if (!has_sandbox()) {
        return g_strdup("");
    }
    return g_strdup_printf("%s,elevateprivileges=%s ", SANDBOX,
                           keep ? "allow" : "deny");
}

void confined_end(void)
{
    g_unsetenv("IOMMUFD_MODEL_PRELOAD");
    g_unsetenv("CONFINE");
    umask(022);
}

void confined_no_paths(QTestState *qts)
{
    g_assert_cmpint(kill(qtest_pid(qts), SIGUSR2), ==, 0);
    /* The main loop is interrupted, and answers after that */
    qtest_qmp_assert_success(qts, "{ 'execute': 'query-status' }");
}

void confined_send(IommufdModel *m, const char *path, const char *name)
{
    int fd = iommufd_model_open(m, path);

    g_assert_cmpint(fd, >=, 0);
    qtest_qmp_fds_assert_success(m->qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': %s } }", name);
    close(fd);
}

void confined_send_all(IommufdModel *m, unsigned num)
{
    confined_send(m, "/dev/iommu", "iommu");
    qtest_qmp_assert_success(m->qts, "{ 'execute': 'object-add', "
                             "'arguments': { 'qom-type': 'iommufd', "
                             "'id': 'passed', 'fd': 'iommu' } }");
    for (unsigned i = 0; i < num; i++) {
        g_autofree char *name = g_strdup_printf("fd%u", i);
        g_autofree char *path = g_strdup_printf("/dev/vfio/devices/vfio%u", i);

        confined_send(m, path, name);
    }
}

void confined_plug(QTestState *qts, unsigned n, const char *bus,
                   const char *id)
{
    g_autofree char *name = g_strdup_printf("fd%u", n);

    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', "
                             "'arguments': { 'driver': 'vfio-pci', 'id': %s, "
                             "'fd': %s, 'bus': %s, 'enable-migration': 'on', "
                             "'iommufd': 'passed' } }", id, name, bus);
}

bool confined_save(QTestState *qts, const char *file)
{
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);

    g_assert_cmpint(fd, >=, 0);
    qtest_qmp_fds_assert_success(qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': 'state' } }");
    close(fd);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate', "
                             "'arguments': { 'uri': 'fd:state' } }");
    return nested_rig_migrated(qts);
}

static void (*confined_run)(const char *how, const char *more);

/* As libvirt has it: another user starts QEMU */
static void test_started(void)
{
    confined_run(confined_can_drop() ? "drop" : "keep", "");
}

/* QEMU itself becomes another user */
static void test_run_with(void)
{
    if (!confined_can_drop()) {
        g_test_skip("needs root, and a build tree that others can read");
        return;
    }
    confined_run("keep-user", " -run-with user=65534:65534");
}

void confined_add_tests(const char *prefix,
                        void (*run)(const char *how, const char *more))
{
    g_autofree char *started = g_strdup_printf("/%s/confined/started", prefix);
    g_autofree char *with = g_strdup_printf("/%s/confined/run-with", prefix);

    confined_run = run;
    qtest_add_func(started, test_started);
    qtest_add_func(with, test_run_with);
}
