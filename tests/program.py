"""What the programs of tests share: the list of their tests, what these assert with, and the loop that runs them. Each is
called with the binary, and the names of the tests that are to run, or none for all."""
import os
import shutil
import sys
import tempfile
import time
import traceback

WEIR = os.path.abspath(sys.argv[1])
TESTS = []
SHOWN = 4000  # of what differs


def test(f):
    TESTS.append(f)
    return f


def equal(got, wanted):
    assert got == wanted, 'got\n%s\nwanted\n%s' % (str(got)[:SHOWN], str(wanted)[:SHOWN])


def contains(text, *parts):
    for part in parts:
        assert part in text, '%r is not in\n%s' % (part, text[:SHOWN])


class Folder:
    """A folder of a test's own, gone with the test."""

    def __init__(self, prefix):
        self.path = tempfile.mkdtemp(prefix=prefix)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        shutil.rmtree(self.path, ignore_errors=True)


def run_tests(make, is_wanted=lambda test: True):
    """make(test): what holds while the test runs, and with which it is called. Exits with 1 where one fails."""
    names = [x for x in sys.argv[2:] if not x.startswith('--')]
    passed = failed = 0
    for t in TESTS:
        if names and t.__name__ not in names or not is_wanted(t):
            continue
        began = time.time()
        try:
            with make(t) as given:
                t(given)
            passed += 1
            print('%s: %.1f s' % (t.__name__, time.time() - began), flush=True)
        except Exception:
            failed += 1
            print('%s failed\n%s' % (t.__name__, traceback.format_exc()), flush=True)
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)
