"""How long the tests wait: what a wait is on an idle machine in a release build, times WEIR_TEST_PATIENCE, which suites.cmake
sets where a sanitizer makes all slower, and which a slow machine may be given by hand."""
import os

SANITIZED = bool(os.environ.get('SANITIZED'))  # memory and times are not then what they are to be


def patience(seconds):
    return seconds * int(os.environ.get('WEIR_TEST_PATIENCE') or 1)
