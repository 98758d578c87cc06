#!/usr/bin/env python3
"""The interactive shell, at a terminal of 80 columns: terminal.py WEIR [--remote] [TEST...]. Keys go in, and what appears is
looked at; nothing sleeps for longer than it takes to appear. --remote: the same shell, speaking to a server."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from patience import patience
from program import WEIR, contains, run_tests, test

REMOTE = '--remote' in sys.argv
SERVER = []  # what tells the shell of it
UP, DOWN, CTRL_C, CTRL_D = '\x1b[A', '\x1b[B', '\x03', '\x04'
PROMPT = 'weir> '


class Screen:
    """What a terminal shows, as far as libedit's ways of moving the cursor go; lines are never scrolled away."""
    SEQUENCE = re.compile(r'\x1b\[([0-9;]*)([A-Za-z@])|\x1b[=>]|\x1b\[\?[0-9]+[hl]')

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column, self.rest = columns, [''], 0, 0, ''

    def put(self, c):
        if c == '\r':
            self.column = 0
        elif c == '\n':
            self.row += 1
        elif c == '\b':
            self.column = max(self.column - 1, 0)
        elif c >= ' ':
            if self.column == self.columns:
                self.row, self.column = self.row + 1, 0
            self.line(lambda line: line[:self.column].ljust(self.column) + c + line[self.column + 1:])
            self.column += 1

    def line(self, change):
        while len(self.lines) <= self.row:
            self.lines.append('')
        self.lines[self.row] = change(self.lines[self.row])

    def move(self, count, what):
        n, at = int(count or 1) if count.isdigit() or not count else 1, self.column
        if what == 'A':
            self.row = max(self.row - n, 0)
        elif what == 'B':
            self.row += n
        elif what == 'C':
            self.column = min(at + n, self.columns - 1)
        elif what == 'D':
            self.column = max(at - n, 0)
        elif what == 'G':
            self.column = n - 1
        elif what == 'K':
            self.line(lambda line: line[:at])
        elif what == 'J':
            self.line(lambda line: line[:at])
            del self.lines[self.row + 1:]
        elif what == 'P':
            self.line(lambda line: line[:at] + line[at + n:])
        elif what == '@':
            self.line(lambda line: line[:at].ljust(at) + ' ' * n + line[at:])

    def show(self, output):
        output, self.rest = self.rest + output, ''
        while output:
            found = self.SEQUENCE.match(output)
            if found:
                if found.group(2):
                    self.move(found.group(1), found.group(2))
                output = output[found.end():]
            elif output[0] == '\x1b' and len(output) < 8:
                self.rest, output = output, ''
            else:
                self.put(output[0])
                output = output[1:]


class Shell:
    """A shell at a terminal of its own, its home and data in one directory."""

    def __init__(self, home, columns=80, **environment):
        self.raw, self.screen, self.mark = '', Screen(columns), 0
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.environ.pop('NO_COLOR', None)
            os.environ.update(HOME=home, TERM='xterm', **environment)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 40, columns, 0, 0))
            os.execv(WEIR, [WEIR] + SERVER)
        self.wait_for_prompt()

    def read(self, seconds):
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.terminal, 65536).decode(errors='replace')
        except OSError:
            return False
        self.raw += got
        self.screen.show(got)
        return True

    def shown(self):
        """From the line where the cursor was when something was last waited for."""
        return '\n'.join(self.screen.lines[self.mark:])

    def wait_until(self, holds, wanted, seconds):
        end = time.time() + patience(seconds)
        while not holds():
            assert time.time() < end and self.read(0.1), '%s not shown within %d s:\n%s' % (wanted, seconds, self.shown())

    def wait_for(self, *parts, seconds=30):
        self.wait_until(lambda: all(part in self.shown() for part in parts), parts, seconds)

    def wait_for_prompt(self, *parts, seconds=30):
        """Until the parts are shown, and the prompt stands empty on the last line; what was shown."""
        self.wait_until(lambda: all(part in self.shown() for part in parts) and
                        '\n' in self.shown() and self.shown().endswith('\n' + PROMPT), parts, seconds)
        shown, self.mark = self.shown(), len(self.screen.lines) - 1
        return shown

    def type_in(self, keys):
        os.write(self.terminal, keys.encode())

    def do(self, statement, *parts):
        self.raw = ''
        self.type_in(statement + '\n')
        return self.wait_for_prompt(*parts)

    def leave(self):
        self.type_in(CTRL_D)
        end = time.time() + patience(30)
        done, status = os.waitpid(self.pid, os.WNOHANG)
        while done == 0 and time.time() < end:
            self.read(0.1)
            done, status = os.waitpid(self.pid, os.WNOHANG)
        if done == 0:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError('Ctrl-D did not end the shell')
        os.close(self.terminal)
        assert os.waitstatus_to_exitcode(status) == 0, status


STREAM = "CREATE STREAM clicks (usr STRING KEY, url STRING) WITH (kafka_topic='clicks', value_format='JSON', partitions=1);"
ROW = "INSERT INTO clicks VALUES ('ann', '/index');"


def shell_with_clicks(home, **how):
    shell = Shell(home, **how)
    shell.do(STREAM, 'created')
    shell.do(ROW, 'inserted')
    return shell


@test
def help_and_short_commands(home):
    shell = shell_with_clicks(home)
    shell.do('\\?', 'Ctrl-C', 'Tab completes')
    shell.do('\\d', 'CLICKS')
    shell.do('\\d clicks', 'USR', 'URL', '-- topic')
    shell.do('\\nothing', '\\?')
    shell.do('.tables', 'SHOW STREAMS')
    shell.leave()


@test
def completion(home):
    shell = shell_with_clicks(home)
    shell.type_in('SELECT us\t')            # a column, in the case that is typed
    shell.wait_for('usr ')
    shell.type_in('FROM cl\t')              # after FROM only streams and tables
    shell.wait_for('clicks ')
    shell.type_in('LIM\t')                  # a keyword
    shell.wait_for('LIMIT ')
    shell.do('1;', 'ann')
    shell.type_in('SELECT SUBST\t')         # a function, with its bracket
    shell.wait_for('SUBSTRING(')
    shell.type_in(CTRL_C)
    shell.wait_for_prompt()
    shell.type_in('SELECT regexp\t')
    shell.wait_for('regexp_')
    shell.type_in('\t')                     # several: a list, and the statement again
    shell.wait_for('REGEXP_EXTRACT_ALL', 'REGEXP_REPLACE', PROMPT + 'SELECT regexp_')
    shell.type_in(CTRL_C)
    shell.wait_for_prompt()
    shell.type_in("SET 'auto.o\t")          # a setting
    shell.wait_for("auto.offset.reset'")
    shell.type_in(CTRL_C)
    shell.wait_for_prompt()
    shell.leave()


@test
def an_error_has_a_caret_and_a_colour(home):
    shell = shell_with_clicks(home)
    shown = shell.do('SELECT usr, urll FROM clicks;', 'semantic', 'URLL')
    contains(shown, '1:13: semantic: ', 'SELECT usr, urll FROM clicks;\n' + ' ' * 12 + '^\n')
    contains(shell.raw, '1:13: \x1b[1;31msemantic\x1b[0m: ', '\x1b[1;31m^\x1b[0m')
    shell.leave()
    shell = Shell(home, NO_COLOR='1')
    shown = shell.do('SELECT usr, urll FROM clicks;', 'semantic', 'URLL')
    contains(shown, '1:13: semantic: ', 'SELECT usr, urll FROM clicks;\n' + ' ' * 12 + '^\n')
    assert '\x1b[1;31m' not in shell.raw, shell.raw
    shell.leave()


@test
def a_live_query_until_ctrl_c(home):
    shell = shell_with_clicks(home)
    shell.do("SET 'auto.offset.reset'='earliest';", 'set')
    shell.type_in('SELECT * FROM clicks EMIT CHANGES;\n')
    shell.wait_for('Ctrl-C ends the query', ' ann')
    for name in ('bob', 'cid'):             # each appears as it comes
        subprocess.run([WEIR, 'produce', 'clicks', '--key-separator', '='], cwd=home, input=b'%s={"url":"/"}\n' % name.encode(),
                       check=True, timeout=patience(60))
        shell.wait_for(' ' + name)
    shell.type_in(CTRL_C)                   # ends the query, not the shell
    shell.wait_for_prompt('(3 rows)')
    shell.do('SELECT COUNT(*) AS n FROM clicks;', ' 3')
    shell.type_in('SELECT half')
    shell.wait_for('half')
    shell.type_in(CTRL_C)                   # forgets what was typed
    shell.wait_for_prompt()
    shell.do('SELECT 1 + 1 AS two FROM clicks LIMIT 1;', ' 2')
    shell.leave()


@test
def ctrl_c_at_any_moment(home):
    """Whether it comes as a signal or as a key, while a statement runs or just before or behind it."""
    shell = shell_with_clicks(home)
    for i in range(40):
        shell.type_in('SELECT usr FROM clicks;\n')
        time.sleep(0.001 * (i % 20))
        shell.type_in(CTRL_C)
    shell.type_in('SELECT 40 + 2 AS done FROM clicks LIMIT 1;\n')
    shell.wait_for_prompt(' 42')
    os.kill(shell.pid, signal.SIGTERM)      # ends the shell, though nothing runs
    end = time.time() + patience(30)
    while os.waitpid(shell.pid, os.WNOHANG)[0] == 0:
        assert time.time() < end
        shell.read(0.1)


@test
def statements_of_several_lines(home):
    shell = shell_with_clicks(home)
    shell.type_in('SELECT usr, urll\n')
    shell.type_in('FROM clicks')
    shell.wait_for('FROM clicks')
    shell.type_in(UP + '\x05\x7f' + DOWN + '\x05;\n')  # a line up, its end, one letter less; the line below, its end
    shell.wait_for_prompt('/index', '(1 row)')
    shell.leave()


@test
def history_across_uses(home):
    shell = shell_with_clicks(home)
    shell.do('SELECT usr\nFROM clicks;', 'ann')
    shell.do('SHOW TOPICS;', 'clicks')
    shell.leave()
    shell = Shell(home)
    shell.type_in(UP)
    shell.wait_for('SHOW TOPICS;')
    shell.type_in(UP)
    shell.wait_for('SELECT usr', 'FROM clicks;')  # both lines, as they were
    shell.do('', 'ann', '(1 row)')
    shell.type_in('half' + UP + DOWN)       # what was begun comes back
    shell.wait_for(PROMPT + 'half')
    shell.type_in(CTRL_C)
    shell.wait_for_prompt()
    shell.leave()
    assert os.stat(os.path.join(home, '.weir_history')).st_mode & 0o077 == 0, 'others may read the history'


@test
def tables_fit_or_are_vertical(home):
    shell = shell_with_clicks(home)
    columns = ', '.join("'%s' AS column_%d" % ('x' * 25, i) for i in range(6))
    shown = shell.do('SELECT %s FROM clicks;' % columns, '(1 row)')
    contains(shown, '-[ row 1 ]-', ' COLUMN_0 | ' + 'x' * 25 + '\n', ' COLUMN_5 | ' + 'x' * 25)
    shown = shell.do("SELECT usr, '%s' AS wide FROM clicks;" % ('y' * 90), '(1 row)')
    contains(shown, ' USR | WIDE', ' ann | ' + 'y' * 72 + '\n', '     | ' + 'y' * 18 + '\n')
    shell.leave()
    shell = Shell(home, columns=200)
    shown = shell.do('SELECT %s FROM clicks;' % columns, '(1 row)')
    contains(shown, ' COLUMN_0                  | COLUMN_1')
    shell.leave()


@test
def running_queries_are_told_about(home):
    shell = shell_with_clicks(home, columns=200)
    shell.do("SET 'auto.offset.reset'='earliest';", 'set')
    shown = shell.do('CREATE TABLE hits AS SELECT usr, COUNT(*) AS n FROM clicks GROUP BY usr;', 'created')
    query = re.search(r'query (CTAS_HITS_\d+)', shown).group(1)
    end = time.time() + patience(30)
    while 'rows in 1, out 1, late 0; time' not in shell.do('EXPLAIN ANALYZE %s;' % query, 'Aggregate'):
        assert time.time() < end, 'EXPLAIN ANALYZE does not tell of the row'
        time.sleep(0.1)
    shown = shell.do('\\dq', 'Rows/s', 'Lag', query)
    shown = shell.do('DESCRIBE hits EXTENDED;', '-- written by', '--   lag', '--   state bytes')
    contains(shown, query + ': RUNNING')
    shown = shell.do('EXPLAIN ANALYZE SELECT * FROM clicks;', 'Source CLICKS')
    contains(shown, '-> rows out 1; time', '-> rows in 1; time')
    shell.do('EXPLAIN ANALYZE SELECT * FROM clicks EMIT CHANGES;', 'semantic', 'that ends')
    shell.leave()


@test
def a_long_query_tells_how_far_it_is(home):
    shell = shell_with_clicks(home)
    lines = b''.join(b'k%d={"url":"/%d"}\n' % (i, i) for i in range(200000))
    subprocess.run([WEIR, 'produce', 'clicks', '--key-separator', '='], cwd=home, input=lines, check=True, timeout=patience(120))
    shell.type_in("SELECT COUNT(*) AS n FROM clicks WHERE LEN(REPLACE(LPAD(url, 2000, 'x'), 'x', 'yy')) = 1;\n")
    shell.wait_for(' rows/s', ' to go', seconds=60)
    shell.type_in(CTRL_C)
    shell.wait_for_prompt(seconds=60)
    shell.leave()


def start_server(home):
    process = subprocess.Popen([WEIR, 'server', '--listen', '127.0.0.1:0', '--announce-ready'], cwd=home, stdout=subprocess.PIPE)
    SERVER[:] = ['--server', 'http://' + process.stdout.readline().decode().split()[1]]
    return process


@contextlib.contextmanager
def home_of(t):
    with tempfile.TemporaryDirectory(prefix='weir-terminal-', ignore_cleanup_errors=True) as home:
        server = start_server(home) if REMOTE else None
        try:
            yield home
        finally:
            if server is not None:
                server.kill()
                server.communicate()


run_tests(home_of)
