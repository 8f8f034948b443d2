/*
 * A guest that does anything: what the random tests have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "nested-random.h"

/* ------------------------------------------------------- tables with a copy */

typedef struct Piece {
    uint64_t gpa, size;
} Piece;

static uint8_t *copy_at(const NestedMirror *m, uint64_t gpa, size_t len)
{
    g_assert_cmphex(gpa, >=, m->first);
    g_assert_cmphex(gpa + len, <=, m->first + m->size);
    return m->copy + (gpa - m->first);
}

static void mem_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    memcpy(buf, copy_at(opaque, gpa, len), len);
}

static void mem_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    NestedMirror *m = opaque;

    memcpy(copy_at(m, gpa, len), buf, len);
    if (len > 64 && buffer_is_zero(buf, len)) {
        qtest_memset(m->qts, gpa, 0, len);
    } else {
        qtest_memwrite(m->qts, gpa, buf, len);
    }
}

uint64_t nested_mirror_word(const NestedMirror *m, uint64_t gpa)
{
    return ldq_le_p(copy_at(m, gpa, 8));
}

bool nested_mirror_intact(const NestedMirror *m, uint64_t ignored)
{
    g_autofree uint64_t *page = g_malloc(PAGE);

    ignored = cpu_to_le64(ignored);
    for (uint64_t gpa = m->first; gpa < m->mem.next; gpa += PAGE) {
        const uint64_t *copy = (uint64_t *)copy_at(m, gpa, PAGE);

        qtest_memread(m->qts, gpa, page, PAGE);
        for (unsigned i = 0; i < PAGE / sizeof(*page); i++) {
            if ((page[i] ^ copy[i]) & ~ignored) {
                return false;
            }
        }
    }
    return true;
}

void nested_mirror_forget(NestedMirror *m)
{
    m->mem = (IommuMem) {
        .read = mem_read,
        .write = mem_write,
        .opaque = m,
        .next = m->first,
        .end = m->first + m->size,
    };
    g_array_set_size(m->late, 0);
    g_array_set_size(m->spare, 0);
}

void nested_mirror_init(NestedMirror *m, QTestState *qts, uint64_t first,
                        uint64_t size)
{
    *m = (NestedMirror) {
        .qts = qts,
        .first = first,
        .size = size,
        .copy = g_malloc0(size),
        .late = g_array_new(false, false, sizeof(Piece)),
        .spare = g_array_new(false, false, sizeof(Piece)),
    };
    nested_mirror_forget(m);
}

void nested_mirror_free(NestedMirror *m)
{
    g_array_free(m->late, true);
    g_array_free(m->spare, true);
    g_free(m->copy);
}

void nested_mirror_free_later(NestedMirror *m, uint64_t gpa, uint64_t size)
{
    Piece piece = { .gpa = gpa, .size = size };

    g_array_append_val(m->late, piece);
}

void nested_mirror_release(NestedMirror *m)
{
    if (m->late->len) {
        g_array_append_vals(m->spare, m->late->data, m->late->len);
        g_array_set_size(m->late, 0);
    }
    while (m->spare->len && m->mem.n_free < IOMMU_MEM_FREE) {
        Piece *piece = &g_array_index(m->spare, Piece, 0);

        iommu_mem_free(&m->mem, piece->gpa, piece->size);
        g_array_remove_index_fast(m->spare, 0);
    }
}

/* ----------------------------------------------------------------- the run */

/* Also when it is an assertion of somebody else that fails */
static void say_where(void *opaque)
{
    const NestedRandom *r = opaque;
    unsigned first = r->notes > NESTED_NOTES ? r->notes - NESTED_NOTES : 0;

    for (unsigned i = first; i < r->notes; i++) {
        fprintf(stderr, "%s\n", r->note[i % NESTED_NOTES]);
    }
    fprintf(stderr, "%s_RANDOM_SEED=%u: failed in step %u\n", r->name,
            r->seed, r->step);
}

static unsigned number_from(const char *name, const char *what,
                            unsigned otherwise)
{
    g_autofree char *variable = g_strdup_printf("%s_RANDOM_%s", name, what);
    const char *text = getenv(variable);
    unsigned value;

    if (!text) {
        return otherwise;
    }
    if (qemu_strtoui(text, NULL, 0, &value)) {
        g_error("%s: '%s' is not a number", variable, text);
    }
    return value;
}

void nested_random_begin(NestedRandom *r, const char *name, uint32_t seed,
                         unsigned steps)
{
    *r = (NestedRandom) {
        .name = name,
        .seed = number_from(name, "SEED", seed),
        .steps = number_from(name, "STEPS", steps),
    };
    while (!r->seed) {
        r->seed = g_random_int();
    }
    r->rng = g_rand_new_with_seed(r->seed);
    g_test_message("%s_RANDOM_SEED=%u, %u steps", name, r->seed, r->steps);
    qtest_add_abrt_handler(say_where, r);
}

void nested_random_end(NestedRandom *r)
{
    qtest_remove_abrt_handler(r);
    for (unsigned i = 0; i < NESTED_NOTES; i++) {
        g_free(r->note[i]);
    }
    g_rand_free(r->rng);
    g_free(r->data);
}

void nested_random_fill(NestedRandom *r, QTestState *qts, uint64_t first,
                        unsigned pages)
{
    r->qts = qts;
    r->first = first;
    r->pages = pages;
    r->data = g_new(uint64_t, pages * WORDS);
    for (unsigned page = 0; page < pages; page++) {
        uint64_t *data = &r->data[page * WORDS], le[WORDS];

        for (unsigned i = 0; i < WORDS; i++) {
            data[i] = ++r->next_value;
            le[i] = cpu_to_le64(data[i]);
        }
        qtest_bufwrite(qts, first + page * PAGE, le, sizeof(le));
    }
}

void nested_random_note(NestedRandom *r, const char *fmt, ...)
{
    char **note = &r->note[r->notes++ % NESTED_NOTES];
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_free(*note);
    *note = g_strdup_printf("step %u: %s", r->step, text);
}

void nested_random_host_reset(NestedRandom *r, IommufdModel *m,
                              const char *dev)
{
    nested_random_note(r, "host reset of %s", dev);
    iommufd_model_do(m, "{\"cmd\":\"reset-begin\",\"dev\":\"%s\"}", dev);
    iommufd_model_do(m, "{\"cmd\":\"reset-end\",\"dev\":\"%s\"}", dev);
}

unsigned nested_random_upto(NestedRandom *r, unsigned num)
{
    return g_rand_int_range(r->rng, 0, num);
}

bool nested_random_chance(NestedRandom *r, unsigned percent)
{
    return nested_random_upto(r, 100) < percent;
}

static uint64_t *data_at(NestedRandom *r, uint64_t gpa)
{
    g_assert_cmphex(gpa, >=, r->first);
    g_assert_cmphex(gpa, <, r->first + r->pages * PAGE);
    return &r->data[(gpa - r->first) / sizeof(uint64_t)];
}

static G_NORETURN void wrong(const IommufdDmaOp *op, const uint64_t *to,
                             unsigned num)
{
    fprintf(stderr, "device %s, ", op->bdf);
    if (op->how.with_pasid) {
        fprintf(stderr, "PASID %u, ", op->how.pasid);
    }
    fprintf(stderr, "%s%s of 0x%" PRIx64 ": ", op->how.ats ? "ATS " : "",
            op->write ? "write" : "read", op->addr);
    if (op->fault) {
        fprintf(stderr, "fault");
    } else {
        fprintf(stderr, "data 0x%" PRIx64, op->data);
    }
    for (unsigned i = 0; i < num; i++) {
        fprintf(stderr, to[i] == NESTED_FAULT ? "%s a fault" :
                "%s 0x%" PRIx64, i ? " or" : ", where there should be",
                to[i]);
    }
    fprintf(stderr, "\n");
    abort();
}

static void check_read(NestedRandom *r, const IommufdDmaOp *op,
                       const uint64_t *to, unsigned num, unsigned offset)
{
    r->reads++;
    r->unsure += num > 1;
    for (unsigned i = 0; i < num; i++) {
        if (to[i] == NESTED_FAULT ? op->fault :
            !op->fault && *data_at(r, to[i] + offset) == op->data) {
            return;
        }
    }
    wrong(op, to, num);
}

static void check_write(NestedRandom *r, const IommufdDmaOp *op, uint64_t to,
                        unsigned offset)
{
    r->writes++;
    if (op->fault != (to == NESTED_FAULT)) {
        wrong(op, &to, 1);
    }
    if (!op->fault) {
        *data_at(r, to + offset) = op->data;
        /* It may have gone elsewhere */
        if (qtest_readq(r->qts, to + offset) != op->data) {
            wrong(op, &to, 1);
        }
    }
}

void nested_random_check(NestedRandom *r, const IommufdDmaOp *op,
                         const uint64_t *to, unsigned num, unsigned offset)
{
    r->faults += op->fault;
    if (op->write) {
        g_assert_cmpuint(num, ==, 1);
        check_write(r, op, to[0], offset);
    } else {
        check_read(r, op, to, num, offset);
    }
}
