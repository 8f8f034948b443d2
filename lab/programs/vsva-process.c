/*
 * vsva: fork, a second process, one that is killed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Linux 7.3's uio_pci_sva keeps one handle for the device, the one of the
 * last open, and every release undoes that one. Two processes work as long as
 * the second closes first and the first opens once more before it closes:
 * reopen() is there for that.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vsva.h"

#define PAGES           32
#define LEN             (PAGES * PAGE)
#define PARENT          0x7072656e74317070ULL
#define CHILD           0x6368696c64326363ULL

/* Exit status of a child that could not, or saw other bytes */
enum { CHILD_OK, CHILD_DEVICE, CHILD_CODE, CHILD_BYTES };

static Completion fill(Queue *q, void *p, size_t len, uint64_t pattern)
{
    return queue_do(q, &(Desc) {
        .op = SVA_OP_FILL, .dst = p, .len = len, .pattern = pattern,
    });
}

static void pass(int fd)
{
    if (write(fd, "", 1) != 1) {
        _exit(CHILD_DEVICE);
    }
}

static bool await(int fd)
{
    char c;

    return read(fd, &c, 1) == 1;
}

static void check_child(Test *t, pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid || status) {
        fail(t, "the child: wait status 0x%x", status);
    }
}

/* The driver's handle is ours again; see above */
static void reopen(Test *t, Engine *again)
{
    *again = *t->e;
    if (!engine_open(again)) {
        fail(t, "%s", again->why);
    } else if (again->pasid != t->e->pasid) {
        fail(t, "PASID %u of this process has become %u", t->e->pasid,
             again->pasid);
    }
}

/* ------------------------------------------------------------------ fork */

static int fork_child(uint8_t *p, int from_parent)
{
    /* The parent's device has written meanwhile */
    if (!await(from_parent) || !filled(p, LEN, PARENT)) {
        return CHILD_BYTES;
    }
    scribble(p, LEN, 1);
    return CHILD_OK;
}

static void forked(Test *t)
{
    uint8_t *p = untouched(t, LEN);
    int pipes[2];
    pid_t pid;

    if (!p || pipe(pipes)) {
        fail(t, "pipe: %s", strerror(errno));
        return;
    }
    /* The device has translations for writing when the pages become shared */
    expect(t, "fill", fill(&t->q, p, LEN, PARENT), SVA_CODE_OK, LEN);
    pid = fork();
    if (!pid) {
        close(pipes[1]);
        _exit(fork_child(p, pipes[0]));
    }
    if (!t->e->faults) {
        /* Not the device's to write until the CPU has copied it */
        expect(t, "fill of what is shared", fill(&t->q, p, LEN, CHILD),
               t->e->absent, 0);
        settle(t, p, LEN);
    }
    expect(t, "fill after fork", fill(&t->q, p, LEN, CHILD), SVA_CODE_OK, LEN);
    if (write(pipes[1], "", 1) != 1) {
        fail(t, "pipe: %s", strerror(errno));
    }
    close(pipes[0]);
    close(pipes[1]);
    check_child(t, pid);
    if (!failed(t) && !filled(p, LEN, CHILD)) {
        fail(t, "what the device wrote after fork is not there");
    }
    munmap(p, LEN);
}

/* --------------------------------------------------------- two processes */

/* The same pointer as the parent's, in another address space */
static int second(Test *t, uint8_t *p, int to_parent, int from_parent)
{
    Engine e = *t->e;
    Queue q;
    int status = CHILD_OK;

    e.regs = NULL;
    e.fd = -1;
    if (!engine_open(&e) || e.pasid == t->e->pasid ||
        !queue_open(&q, &e, 1, 4)) {
        return CHILD_DEVICE;
    }
    settle(t, p, LEN);
    pass(to_parent);
    for (int i = 0; i < 20 && !status; i++) {
        if (fill(&q, p, LEN, CHILD + i).code != SVA_CODE_OK) {
            status = CHILD_CODE;
        } else if (!filled(p, LEN, CHILD + i)) {
            status = CHILD_BYTES;
        }
    }
    pass(to_parent);
    await(from_parent);
    if (!status && !filled(p, LEN, CHILD + 19)) {
        status = CHILD_BYTES;
    }
    queue_close(&q);
    engine_close(&e);
    return status;
}

static void two(Test *t)
{
    uint8_t *p = untouched(t, LEN);
    int up[2], down[2];
    Engine again;
    pid_t pid;

    if (!p || pipe(up) || pipe(down)) {
        fail(t, "pipe: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (!pid) {
        close(up[0]);
        close(down[1]);
        _exit(second(t, p, up[1], down[0]));
    }
    close(up[1]);
    close(down[0]);
    if (!await(up[0])) {
        fail(t, "the second process could not use the device");
    }
    settle(t, p, LEN);
    for (int i = 0; i < 20 && !failed(t); i++) {
        expect(t, "fill", fill(&t->q, p, LEN, PARENT + i), SVA_CODE_OK, LEN);
        if (!failed(t) && !filled(p, LEN, PARENT + i)) {
            fail(t, "fill %d: other bytes than this process asked for", i);
        }
    }
    await(up[0]);
    close(up[0]);
    close(down[1]);
    check_child(t, pid);
    reopen(t, &again);
    engine_close(&again);
    expect(t, "fill after the second process", fill(&t->q, p, LEN, 1),
           SVA_CODE_OK, LEN);
    munmap(p, LEN);
}

/* ---------------------------------------------------------------- killed */

static void victim(Test *t, int to_parent)
{
    Engine e = *t->e;
    Queue q;
    uint8_t *p;

    e.regs = NULL;
    e.fd = -1;
    if (!engine_open(&e) || !queue_open(&q, &e, 2, 8)) {
        _exit(CHILD_DEVICE);
    }
    p = untouched(t, 4096 * PAGE);
    for (int i = 0; i < 200; i++) {
        queue_push(&q, &(Desc) {
            .op = SVA_OP_FILL, .dst = p, .len = 4096 * PAGE,
        });
    }
    queue_kick(&q);
    pass(to_parent);
    pause();
}

/* Open files of the whole machine, 0 if nobody says how many */
static unsigned long open_files(void)
{
    FILE *file = fopen("/proc/sys/fs/file-nr", "re");
    unsigned long n = 0;

    if (file) {
        if (fscanf(file, "%lu", &n) != 1) {
            n = 0;
        }
        fclose(file);
    }
    return n;
}

/*
 * A page fault that is being served holds the address space of a process that
 * is dead, and its mapping of the device: the driver would close that later,
 * and give up the handle that is ours by then.
 */
static void await_closed(unsigned long files)
{
    uint64_t limit = now_ns() + 10000000000ULL;

    while (open_files() > files && now_ns() < limit) {
        usleep(1000);
    }
}

/* Queue 2 runs for an address space that is gone: it has to come to an end */
static void killed(Test *t)
{
    uint8_t *p = untouched(t, LEN);
    uint64_t limit = now_ns() + 20000000000ULL;
    unsigned long files = open_files();
    Queue q = { .e = t->e, .n = 2 };
    int pipes[2], status;
    Engine again;
    pid_t pid;

    if (!p || pipe(pipes)) {
        fail(t, "pipe: %s", strerror(errno));
        return;
    }
    pid = fork();
    if (!pid) {
        close(pipes[0]);
        victim(t, pipes[1]);
    }
    close(pipes[1]);
    if (!await(pipes[0])) {
        fail(t, "the process that is to be killed could not use the device");
    }
    close(pipes[0]);
    usleep(20000);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    await_closed(files);
    while (queue_state(&q) != SVA_STATE_HALTED && now_ns() < limit) {
        usleep(1000);
    }
    if (queue_state(&q) != SVA_STATE_HALTED) {
        fail(t, "the queue of a killed process is in state %u after 20 s",
             queue_state(&q));
    }
    fact(t, "halt", "\"%s\"", code_name(SVA_Q_HALT_CODE(engine_readl(
         t->e, SVA_QUEUE(2) + SVA_Q_STATUS))));
    engine_writel(t->e, SVA_QUEUE(2) + SVA_Q_CTRL, SVA_Q_CTRL_RESET);
    reopen(t, &again);
    engine_close(&again);
    settle(t, p, LEN);
    expect(t, "fill after that", fill(&t->q, p, LEN, PARENT), SVA_CODE_OK,
           LEN);
    if (!failed(t) && !filled(p, LEN, PARENT)) {
        fail(t, "fill after that: other bytes");
    }
    munmap(p, LEN);
}

const TestCase process_tests[] = {
    { "fork", "copy on write holds for what the device writes", forked },
    { "processes", "two at once, the same pointer, two memories", two },
    { "killed", "a process dies while DMA runs; the others go on", killed },
    { },
};
