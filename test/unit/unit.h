/* unit.h - the end of every unit test's main. Owner: the test. Thread: one. */
#ifndef COIN_UNIT_UNIT_H
#define COIN_UNIT_UNIT_H

#include <check.h>
#include <stdlib.h>

/* Runs the suite and frees it; what main returns. */
static inline int unit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
