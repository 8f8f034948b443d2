/*
 * Random steps against an oracle: chance, and where to look
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "random.h"

uint64_t rnd64(Run *r)
{
    /* splitmix64: public domain generator by Sebastiano Vigna */
    uint64_t z = (r->rng += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

unsigned rnd(Run *r, unsigned n)
{
    return rnd64(r) % n;
}

bool chance(Run *r, unsigned percent)
{
    return rnd(r, 100) < percent;
}

void note(Run *r, const char *fmt, ...)
{
    char *line = r->history[r->nr_history++ % N_HISTORY];
    int n = snprintf(line, sizeof(r->history[0]), "%u: ", r->step);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + n, sizeof(r->history[0]) - n, fmt, ap);
    va_end(ap);
}

void fail(Run *r, const char *fmt, ...)
{
    unsigned i = r->nr_history > N_HISTORY ? r->nr_history - N_HISTORY : 0;
    va_list ap;

    r->failed = true;
    printf("# step %u: ", r->step);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n# what was done last:\n");
    for (; i < r->nr_history; i++) {
        printf("#   %s\n", r->history[i % N_HISTORY]);
    }
}

bool is_vtd(const Run *r)
{
    return r->vm->cfg.arch == TV_VTD;
}

void set_hot(Run *r, GuestSpace *space, uint64_t iova)
{
    r->hot = space;
    r->hot_iova = iova & -4096ULL;
}

GuestSpace *any_space(Run *r)
{
    return r->hot && chance(r, 30) ? r->hot : &r->space[rnd(r, N_SPACES)];
}

TvDevice *any_device(Run *r)
{
    return &r->vm->device[rnd(r, N_DEVICES)];
}

uint32_t any_pasid(Run *r)
{
    unsigned n = rnd(r, N_PASIDS + 1);

    return n ? n : TV_NO_PASID;
}

/* Windows of 4 MiB in which things are mapped */
static uint64_t any_window(Run *r, bool small)
{
    static const uint64_t vtd[] = {
        0, 1 * GiB, 0x7f8000000000ULL, 0xffffff8000000000ULL,
    };
    static const uint64_t smmu[] = { 0, 0x40000000, 0x7fc0000000, 3ULL << 39 };

    return is_vtd(r) ? vtd[rnd(r, 4)] : smmu[rnd(r, small ? 3 : 4)];
}

uint64_t any_iova(Run *r, bool small)
{
    uint64_t page = chance(r, 80) ? rnd(r, 32) : rnd(r, DATA_SIZE / 4096);

    return any_window(r, small) + page * 4096;
}

uint64_t space_iova(Run *r, const GuestSpace *space)
{
    bool small = space->s1.va_bits && space->s1.va_bits < 48;
    unsigned tries;

    if (r->hot == space && chance(r, 40)) {
        return r->hot_iova;
    }
    for (tries = chance(r, 80) ? 8 : 0; tries; tries--) {
        unsigned i = rnd(r, N_RECENT);

        if (r->recent[i].space == space) {
            return r->recent[i].iova;
        }
    }
    return any_iova(r, small);
}

GuestBinding *any_binding(Run *r)
{
    unsigned i = rnd(r, GUEST_MAX_BINDINGS);
    unsigned tries = r->hot && chance(r, 50) ? GUEST_MAX_BINDINGS : 0;

    while (!r->guest.binding[i].space ||
           (tries && r->guest.binding[i].space != r->hot)) {
        i = (i + 1) % GUEST_MAX_BINDINGS;
        tries -= !!tries;
    }
    return &r->guest.binding[i];
}
