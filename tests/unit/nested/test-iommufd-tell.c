/*
 * Nested IOMMU core: what a guest can repeat is not told each time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "iommufd-fake.h"

static bool tell(IOMMUFDNestedTold *told)
{
    Error *err = NULL;

    error_setg(&err, "a failure that is told on purpose");
    return iommufd_nested_tell(told, err);
}

/* Each kind by itself, and not for ever */
static void test_tell(void)
{
    IOMMUFDNestedTold one = {}, two = {};

    fake_reset();
    g_assert_true(tell(&one));
    for (unsigned i = 0; i < 1000; i++) {
        g_assert_false(tell(&one));
    }
    g_assert_true(tell(&two));
    g_assert_false(tell(&two));
    g_assert_cmpuint(one.untold, ==, 1000);
    fake_advance(false, IOMMUFD_NESTED_TELL_MS);
    g_assert_true(tell(&one));
    g_assert_cmpuint(one.untold, ==, 0);
    g_assert_false(tell(&one));
    g_assert_cmpuint(two.untold, ==, 1);
    one = (IOMMUFDNestedTold) {};
    g_assert_true(tell(&one));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iommufd/tell", test_tell);
    return g_test_run();
}
