/*
 * Preloaded under QEMU: no privileges, and a seccomp filter from the start
 *
 * Does by itself what a management layer and -sandbox do, so that a QEMU that
 * was built without libseccomp is confined too, and the start of it as well:
 * user and group 65534 instead of root, and of the system calls that -sandbox
 * with everything denied keeps from QEMU each one kills it. From SIGUSR2 on,
 * opening a path does. CONFINE is "drop"; "keep", which leaves the user alone;
 * or "keep-user", which lets QEMU change it (-run-with user=).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY          65534
#define MAX_CODE        128

#define KILL            SECCOMP_RET_KILL_PROCESS

typedef struct Program {
    struct sock_filter code[MAX_CODE];
    unsigned short len;
} Program;

static Program paths;

static const int denied[] = {
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_syslog, SYS_mount, SYS_umount2,
    SYS_kexec_load,
    /* spawn, beside clone */
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
    SYS_execve, SYS_execveat, SYS_setns, SYS_unshare,
    /* resourcecontrol */
    SYS_setpriority, SYS_sched_setparam, SYS_sched_setaffinity,
    SYS_sched_setscheduler,
    /* obsolete */
#ifdef SYS__sysctl
    SYS__sysctl, SYS_sysfs, SYS_uselib, SYS_ustat, SYS_create_module,
    SYS_get_kernel_syms, SYS_query_module,
#endif
};

/* elevateprivileges */
static const int privileged[] = {
    SYS_setuid, SYS_setgid, SYS_setpgid, SYS_setsid, SYS_setreuid,
    SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
};

static const int opening[] = {
#ifdef SYS_open
    SYS_open, SYS_creat,
#endif
    SYS_openat, SYS_openat2, SYS_open_by_handle_at,
};

static void add(Program *p, unsigned short code, unsigned char jt,
                unsigned char jf, unsigned k)
{
    p->code[p->len++] = (struct sock_filter) { code, jt, jf, k };
}

static void add_ret(Program *p, unsigned action)
{
    add(p, BPF_RET | BPF_K, 0, 0, action);
}

static void add_begin(Program *p)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
}

static void add_calls(Program *p, const int *calls, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[i]);
        add_ret(p, KILL);
    }
}

#define ADD_CALLS(p, calls) \
    add_calls(p, calls, sizeof(calls) / sizeof((calls)[0]))

/* Threads only. clone3() cannot be looked into; libc goes back to clone() */
static void add_threads(Program *p)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
    add_ret(p, SECCOMP_RET_ERRNO | ENOSYS);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone);
    add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0,
        offsetof(struct seccomp_data, args[0]));
    add(p, BPF_JMP | BPF_JSET | BPF_K, 1, 0, CLONE_THREAD);
    add_ret(p, KILL);
    add_ret(p, SECCOMP_RET_ALLOW);
}

static bool install(Program *p, unsigned flags)
{
    struct sock_fprog prog = { p->len, p->code };

    return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void no_more_paths(int sig)
{
    if (!install(&paths, SECCOMP_FILTER_FLAG_TSYNC)) {
        abort();
    }
}

/* What the model writes, before or after there is another user */
static void give_folder(void)
{
    const char *config = getenv("IOMMUFD_MODEL");

    if (config && !geteuid()) {
        char *copy = strdup(config);

        if (!copy || chown(dirname(copy), NOBODY, NOBODY)) {
            abort();
        }
        free(copy);
    }
}

static void become_nobody(void)
{
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY) || !setuid(0)) {
        abort();
    }
}

static void __attribute__((constructor)) confine(void)
{
    const struct sigaction action = {
        .sa_handler = no_more_paths, .sa_flags = SA_RESTART,
    };
    const char *how = getenv("CONFINE");
    Program p = { .len = 0 };

    if (!how) {
        return;
    }
    give_folder();
    if (!strcmp(how, "drop")) {
        become_nobody();
    }
    add_begin(&p);
    ADD_CALLS(&p, denied);
    if (strcmp(how, "keep-user")) {
        ADD_CALLS(&p, privileged);
    }
    add_threads(&p);
    add_ret(&p, SECCOMP_RET_ALLOW);
    add_begin(&paths);
    ADD_CALLS(&paths, opening);
    add_ret(&paths, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || !install(&p, 0) ||
        sigaction(SIGUSR2, &action, NULL)) {
        abort();
    }
}
