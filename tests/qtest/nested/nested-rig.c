/*
 * Nested vIOMMUs under test: what the rigs of all architectures share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "nested-rig.h"

static const char *const host_devices[] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};

char *nested_rig_host(const char *arch, unsigned num, const char *iommu,
                      const char *device)
{
    GString *text = g_string_new(NULL);

    g_assert_cmpuint(num, <=, ARRAY_SIZE(host_devices));
    g_string_printf(text, "[host]\narch=%s\nrefetch=on\n[iommu 0]\n%s", arch,
                    iommu);
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(text, "[device %s]\niommu=0\ngroup=%u\n%s",
                               host_devices[i], i + 1, device);
    }
    return g_string_free(text, false);
}

char *nested_rig_devices(unsigned num, const char *bus)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(text, "-device vfio-pci,id=dev%u,host=%s,"
                               "iommufd=iommufd0,bus=%s,addr=%u ", i,
                               host_devices[i], bus, i + 4);
    }
    return g_string_free(text, false);
}

void nested_rig_expect_refusal(const char *host, const char *args, ...)
{
    IommufdModel *m = iommufd_model_new(host);
    /* One that is not refused would run for ever */
    g_autofree char *command = g_strdup_printf(
        "exec timeout 60 env LD_PRELOAD='%s' IOMMUFD_MODEL='%s/config' %s "
        "-display none -accel qtest %s", m->library, m->dir,
        qtest_qemu_binary(NULL), args);
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", command, NULL };
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    const char *word;
    int status;
    va_list ap;

    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &text,
                 &status, &err);
    g_assert_no_error(err);
    g_test_message("%s", text);
    /* Neither that nor a crash is a refusal */
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, EXIT_FAILURE);
    va_start(ap, args);
    while ((word = va_arg(ap, const char *))) {
        if (word[0] == '!') {
            g_assert_null(strstr(text, word + 1));
        } else {
            g_assert_nonnull(strstr(text, word));
        }
    }
    va_end(ap);
    iommufd_model_free(m);
}

char *nested_rig_scratch(const char *name)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *dir = g_dir_make_tmp("nested-XXXXXX", &err);

    g_assert_no_error(err);
    return g_build_filename(dir, name, NULL);
}

void nested_rig_scratch_remove(const char *file)
{
    g_autofree char *dir = g_path_get_dirname(file);

    unlink(file);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

unsigned nested_rig_said(const char *file, const char *words)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    unsigned num = 0;

    g_file_get_contents(file, &text, NULL, &err);
    g_assert_no_error(err);
    for (const char *p = text; (p = strstr(p, words)); p++) {
        num++;
    }
    return num;
}

int nested_rig_peek(IommufdModel *m, const char *dev, const IommufdDma *how,
                    uint64_t addr)
{
    g_autofree char *pasid = how && how->with_pasid ?
        g_strdup_printf(",\"pasid\":%u", how->pasid) : g_strdup("");
    QDict *answer = iommufd_model_command(m, "{\"cmd\":\"dma\",\"dev\":\"%s\","
                                          "\"op\":\"read\",\"addr\":%" PRIu64
                                          ",\"len\":1,\"ats\":%s%s}", dev,
                                          addr,
                                          how && how->ats ? "true" : "false",
                                          pasid);
    const char *data = qdict_get_try_str(answer, "data");
    int value = data ? g_ascii_xdigit_value(data[0]) << 4 |
                       g_ascii_xdigit_value(data[1]) : -1;

    g_assert_true(qdict_get_try_bool(answer, "ok", false));
    qobject_unref(answer);
    return value;
}

uint64_t nested_rig_config_addr(uint64_t ecam, uint16_t rid, unsigned reg)
{
    return ecam + ((uint64_t)rid << 12) + reg;
}

uint32_t nested_rig_config_read(QTestState *qts, uint64_t ecam, uint16_t rid,
                                unsigned reg)
{
    return qtest_readl(qts, nested_rig_config_addr(ecam, rid, reg));
}

void nested_rig_config_write(QTestState *qts, uint64_t ecam, uint16_t rid,
                             unsigned reg, uint32_t value)
{
    qtest_writel(qts, nested_rig_config_addr(ecam, rid, reg), value);
}

void nested_rig_number(QTestState *qts, uint64_t ecam, uint16_t rid,
                       uint8_t bus)
{
    nested_rig_config_write(qts, ecam, rid, PCI_PRIMARY_BUS,
                            bus << 16 | bus << 8 | rid >> 8);
}

unsigned nested_rig_cap(QTestState *qts, uint64_t ecam, uint16_t rid,
                        uint8_t id)
{
    unsigned pos = nested_rig_config_read(qts, ecam, rid,
                                          PCI_CAPABILITY_LIST) & 0xfc;

    while (pos) {
        uint32_t head = nested_rig_config_read(qts, ecam, rid, pos);

        if ((head & 0xff) == id) {
            return pos;
        }
        pos = (head >> 8) & 0xfc;
    }
    g_assert_not_reached();
}

unsigned nested_rig_pcie_cap(QTestState *qts, uint64_t ecam, uint16_t rid)
{
    return nested_rig_cap(qts, ecam, rid, PCI_CAP_ID_EXP);
}

static void slot_control(QTestState *qts, uint64_t ecam, uint16_t port,
                         uint32_t value)
{
    nested_rig_config_write(qts, ecam, port,
                            nested_rig_pcie_cap(qts, ecam, port) +
                            PCI_EXP_SLTCTL, value);
}

void nested_rig_power(QTestState *qts, uint64_t ecam, uint16_t port)
{
    slot_control(qts, ecam, port, PCI_EXP_SLTCTL_PWR_IND_ON);
}

void nested_rig_plug(QTestState *qts, unsigned n, const char *id,
                     const char *dev)
{
    g_autofree char *bus = g_strdup_printf("rp%u", n);

    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': %s, 'host': %s, "
        "'bus': %s, 'iommufd': 'iommufd0' } }", id, dev, bus);
}

char *nested_rig_plug_refusal(QTestState *qts, unsigned n, const char *id,
                              const char *dev)
{
    g_autofree char *bus = g_strdup_printf("rp%u", n);
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': %s, 'host': %s, "
        "'bus': %s, 'iommufd': 'iommufd0' } }", id, dev, bus);
    char *why = g_strdup(qdict_get_str(qdict_get_qdict(answer, "error"),
                                       "desc"));

    g_test_message("%s", why);
    qobject_unref(answer);
    return why;
}

void nested_rig_unplug(QTestState *qts, uint64_t ecam, uint16_t port,
                       const char *id)
{
    qtest_qmp_device_del_send(qts, id);
    slot_control(qts, ecam, port, PCI_EXP_SLTCTL_PWR_IND_OFF |
                                  PCI_EXP_SLTCTL_PCC);
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "DEVICE_DELETED");
        const char *name = qdict_get_try_str(qdict_get_qdict(event, "data"),
                                             "device");
        bool done = name && !strcmp(name, id);

        qobject_unref(event);
        if (done) {
            return;
        }
    }
}

/* Until job "job" is over; it must have gone well */
static void end_job(QTestState *qts)
{
    for (bool over = false; !over; g_usleep(1000)) {
        QDict *answer = qtest_qmp(qts, "{ 'execute': 'query-jobs' }");
        QListEntry *e;

        QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), e) {
            QDict *job = qobject_to(QDict, qlist_entry_obj(e));

            if (g_str_equal(qdict_get_str(job, "id"), "job")) {
                g_assert_cmpstr(qdict_get_try_str(job, "error"), ==, NULL);
                over = g_str_equal(qdict_get_str(job, "status"), "concluded");
            }
        }
        qobject_unref(answer);
    }
    qtest_qmp_assert_success(qts, "{ 'execute': 'job-dismiss',"
                             "'arguments': { 'id': 'job' } }");
}

static void set_parameters(QTestState *qts, uint64_t bandwidth,
                           uint64_t downtime)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-set-parameters',"
                             "'arguments': { 'max-bandwidth': %" PRIu64 ","
                             "'avail-switchover-bandwidth': 1000000,"
                             "'downtime-limit': %" PRIu64 " } }", bandwidth,
                             downtime);
}

void nested_rig_endless(QTestState *qts)
{
    set_parameters(qts, 500000, 1);
}

void nested_rig_let_it_end(QTestState *qts)
{
    set_parameters(qts, 1 << 30, 10000);
}

static uint64_t passes(QTestState *qts)
{
    QDict *info = qtest_qmp_assert_success_ref(qts,
                                               "{ 'execute':'query-migrate'}");
    QDict *ram = qdict_get_qdict(info, "ram");
    uint64_t count = ram ? qdict_get_int(ram, "dirty-sync-count") : 0;

    g_assert_cmpstr(qdict_get_str(info, "status"), !=, "failed");
    g_assert_cmpstr(qdict_get_str(info, "status"), !=, "completed");
    qobject_unref(info);
    return count;
}

void nested_rig_wait_pass(QTestState *qts)
{
    uint64_t until = MAX(passes(qts), 1) + 2;

    for (unsigned i = 0; passes(qts) < until; i++) {
        g_assert_cmpuint(i, <, 6000);
        g_usleep(10000);
    }
}

void nested_rig_snapshots(QTestState *qts)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("nested-snapshots-XXXXXX", &file, &err);

    g_assert_no_error(err);
    close(fd);
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-add', 'arguments': {"
                             "'driver': 'file', 'node-name': 'file',"
                             "'filename': %s } }", file);
    /* The node keeps it open, and nobody else needs it */
    unlink(file);
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-create',"
                             "'arguments': { 'job-id': 'job', 'options': {"
                             "'driver': 'qcow2', 'file': 'file',"
                             "'size': 1048576 } } }");
    end_job(qts);
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-add', 'arguments': {"
                             "'driver': 'qcow2', 'node-name': 'snapshots',"
                             "'file': 'file' } }");
}

void nested_rig_snapshot(QTestState *qts, const char *what)
{
    qtest_qmp_assert_success(qts, "{ 'execute': %s, 'arguments': {"
                             "'job-id': 'job', 'tag': 'tag',"
                             "'vmstate': 'snapshots',"
                             "'devices': [ 'snapshots' ] } }", what);
    end_job(qts);
}

uint64_t nested_rig_counter(QTestState *qts, const char *kind,
                            const char *name)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'x-query-nested-iommu' }");
    QDict *viommu = qobject_to(QDict,
                               qlist_peek(qdict_get_qlist(answer, "return")));
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(viommu, kind), entry) {
        QDict *c = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(c, "name"), name)) {
            uint64_t value = qdict_get_int(c, "value");

            qobject_unref(answer);
            return value;
        }
    }
    g_error("no '%s' among the %s", name, kind);
}

bool nested_rig_migrated(QTestState *qts)
{
    for (;;) {
        QDict *info = qtest_qmp_assert_success_ref(qts,
            "{ 'execute': 'query-migrate' }");
        g_autofree char *status = g_strdup(qdict_get_try_str(info, "status"));

        qobject_unref(info);
        if (!g_strcmp0(status, "completed") || !g_strcmp0(status, "failed")) {
            return !g_strcmp0(status, "completed");
        }
        g_usleep(10000);
    }
}
