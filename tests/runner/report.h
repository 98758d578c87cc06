/* tests/runner/report.h - what happened in a case, as one line of JSON. */
#ifndef WEIR_TESTS_RUNNER_REPORT_H
#define WEIR_TESTS_RUNNER_REPORT_H

#include "tests/runner/run.h"

void report_case(text *out, run *r);

#endif
