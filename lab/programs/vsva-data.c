/*
 * vsva: patterns, random numbers, CRC-32C, memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "vsva.h"

#define CRC32C_REFLECTED        0x82f63b78u

static uint64_t mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint64_t random64(Test *t)
{
    return mix(&t->random);
}

uint32_t random_below(Test *t, uint32_t limit)
{
    return (random64(t) >> 32) * limit >> 32;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

/* Table n: what a byte does to the checksum with n more bytes behind it */
static uint32_t crc_table[8][256];

static void crc_prepare(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++) {
            c = (c >> 1) ^ (c & 1 ? CRC32C_REFLECTED : 0);
        }
        crc_table[0][i] = c;
    }
    for (unsigned n = 1; n < 8; n++) {
        for (unsigned i = 0; i < 256; i++) {
            uint32_t c = crc_table[n - 1][i];

            crc_table[n][i] = crc_table[0][c & 0xff] ^ (c >> 8);
        }
    }
}

uint32_t crc32c(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = ~0u;

    if (!crc_table[0][1]) {
        crc_prepare();
    }
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word = load64(p) ^ crc;

        crc = 0;
        for (int i = 0; i < 8; i++) {
            crc ^= crc_table[7 - i][word >> (8 * i) & 0xff];
        }
    }
    while (len--) {
        crc = crc_table[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
    }
    return ~crc;
}

/*
 * The word at a byte offset that is a multiple of 8: words are made from
 * their place, so that any part can be checked alone
 */
static uint64_t word_at(size_t offset, uint64_t seed)
{
    return (offset + seed) * 0x9e3779b97f4a7c15ULL;
}

void scribble(void *data, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = word_at(i, seed);

        memcpy((uint8_t *)data + i, &word, len - i < 8 ? len - i : 8);
    }
}

bool scribbled(const void *data, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = word_at(i, seed);

        if (memcmp((const uint8_t *)data + i, &word, len - i < 8 ? len - i :
                                                                   8)) {
            return false;
        }
    }
    return true;
}

bool filled(const void *data, size_t len, uint64_t pattern)
{
    const uint8_t *p = data;
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        if (load64(p + i) != pattern) {
            return false;
        }
    }
    for (; i < len; i++) {
        if (p[i] != (uint8_t)(pattern >> (8 * (i % 8)))) {
            return false;
        }
    }
    return true;
}

void *untouched(Test *t, size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        fail(t, "mmap of %zu bytes: %s", len, strerror(errno));
        return NULL;
    }
    /* Page by page; EINVAL where the kernel has no huge ones */
    madvise(p, len, MADV_NOHUGEPAGE);
    settle(t, p, len);
    return p;
}

void settle(const Test *t, void *p, size_t len)
{
    uintptr_t end = (uintptr_t)p + len;

    if (t->e->faults) {
        return;
    }
    for (uintptr_t at = (uintptr_t)p; at < end; at = (at | (PAGE - 1)) + 1) {
        uint8_t *byte = (uint8_t *)at;

        /* Atomic: the compiler leaves it where it is */
        __atomic_store_n(byte, __atomic_load_n(byte, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
}

bool needs_faults(Test *t)
{
    if (!t->e->faults) {
        snprintf(t->skip, sizeof(t->skip), "the device cannot ask for pages");
    }
    return !t->e->faults;
}
