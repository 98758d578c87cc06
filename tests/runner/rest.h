/* tests/runner/rest.h - one case of the REST interface: its statements and queries go to a server of this process over
 * HTTP, and what the server sent is what is reported. */
#ifndef WEIR_TESTS_RUNNER_REST_H
#define WEIR_TESTS_RUNNER_REST_H

#include "tests/runner/run.h"

run *run_rest_case(const node *data);

#endif
