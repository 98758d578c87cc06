/* tests/unit/run_tests.h - how each of these programs runs its tests, and what it ends with. */
#ifndef WEIR_TESTS_RUN_TESTS_H
#define WEIR_TESTS_RUN_TESTS_H

#include <check.h>
#include <stdlib.h>

#define TEST_S_MAX 120

/* add() adds the tests; before() and after() run around each, where they are not NULL. -> the program's status */
static inline int run_tests(const char *name, void (*add)(TCase *), void (*before)(void), void (*after)(void))
{
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);

    tcase_set_timeout(all, TEST_S_MAX);
    tcase_add_checked_fixture(all, before, after);
    add(all);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
