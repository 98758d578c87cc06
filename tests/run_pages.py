#!/usr/bin/env python3
"""Pages that can be copied and pasted: run_pages.py WEIR PAGE.md... Each page has an empty directory, in which its ```sh blocks
run in order, weir on the PATH; where a ```text block follows one, that is what it must have printed."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from patience import patience

SLOW = patience(120)


def blocks(page):
    """(what runs, what it prints or None), in order."""
    found = []
    for kind, text in re.findall(r'^```(\w*)\n(.*?)^```$', page, re.M | re.S):
        if kind == 'sh':
            found.append([text, None])
        elif kind == 'text' and found:
            found[-1][1] = text
    return found


def run_page(path, weir):
    directory = tempfile.mkdtemp(prefix='weir-page-')
    environment = dict(os.environ, PATH=os.path.dirname(weir) + ':' + os.environ['PATH'], HOME=directory)
    try:
        for script, wanted in blocks(open(path, encoding='utf-8').read()):
            # What a block leaves running in the background has another group, and is ended with the page.
            out = open(directory + '.out', 'w+')
            p = subprocess.Popen(['bash', '-e', '-c', script], cwd=directory, env=environment, stdout=out, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
            status = p.wait(timeout=SLOW)
            groups.append(p.pid)
            out.seek(0)
            got = out.read()
            if status != 0:
                return 'status %d from\n%s\nwhich printed\n%s' % (status, script, got)
            if wanted is not None and got != wanted:
                return 'printed\n%s\nnot\n%s' % (got, wanted)
        return None
    except subprocess.TimeoutExpired:
        return 'not done in %d s:\n%s' % (SLOW, script)
    finally:
        for group in groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass
        groups.clear()
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.exists(directory + '.out'):
            os.remove(directory + '.out')


groups = []
weir, pages = os.path.abspath(sys.argv[1]), sys.argv[2:]
failed = 0
for page in pages:
    assert blocks(open(page, encoding='utf-8').read()), '%s has nothing to run' % page
    fault = run_page(page, weir)
    if fault is not None:
        failed += 1
        print('%s: %s' % (page, fault))
print('%d passed, %d failed' % (len(pages) - failed, failed))
sys.exit(1 if failed else 0)
