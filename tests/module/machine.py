# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine the module is tested on: users, configuration, PAM stacks, and the driver in sshd's place."""
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import host

HERE = Path(__file__).resolve().parent
DIR = Path(tempfile.mkdtemp(prefix='sbmodule'))
DRIVER = DIR / 'driver'
SSHD = Path('/usr/sbin/sshd')
CONFIG = Path('/etc/security/sessbox.conf')
HELPER = host.HELPER
REAL_HELPER = DIR / 'real-helper'  # for stand-ins that go on as the helper
NUMBER = itertools.count()
RUNNING = []

ALICE, BOB, CAROL, SVC = 3001, 3002, 3100, 950
GROUP = 2000
UIDS = {'root': 0, 'alice': ALICE, 'bob': BOB, 'carol': CAROL, 'svc': SVC}
TENANT, PLAIN, SYSTEM = 'alice', 'carol', 'svc'  # svc is a tenant with a uid below 1000

CLASSES = '''[Defaults]
Contain=no
[tenants]
MatchUsers=alice bob svc
Contain=yes
Hostname=%u-box
TimeoutStopSec=1
'''

# what libpam returns; the stacks below end in pam_debug, which says ABORT if our module ignored the call
SUCCESS, SYSTEM_ERR, DENIED, UNKNOWN_USER, IGNORE = 0, 4, 6, 10, 26


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def put_over(path, program):
    run('mount', '--bind', str(program), str(path))


def take_off(path):
    run('umount', '-l', str(path))  # what still runs of it keeps its file


def build_driver():
    run('cc', '-std=gnu11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', '-o', str(DRIVER),
        str(HERE / 'driver.c'), str(HERE / 'state.c'), '-lpam')


def set_up():
    host.open_log()
    DIR.chmod(0o755)
    run('groupadd', '-f', '-g', str(GROUP), 'tenants')
    for name, uid in UIDS.items():
        if uid:
            run('useradd', '-m', '-s', '/bin/bash', '-u', str(uid), '-g', str(GROUP), name)
    run('usermod', '-a', '-G', 'disk,users', TENANT)
    CONFIG.write_text(CLASSES)
    REAL_HELPER.write_bytes(HELPER.read_bytes())
    REAL_HELPER.chmod(0o755)
    build_driver()
    put_over(SSHD, DRIVER)


def tear_down():
    take_off(SSHD)
    CONFIG.unlink()


# PAM stacks

LINES = {'account': '', 'auth': 'join=cred', 'close': 'close', 'open': 'open join=cred'}
CONTROLS = {'account': ('account', 'success=done'), 'auth': ('auth', 'success=done'),
            'close': ('session', 'success=ok'), 'open': ('session', 'success=done')}
TAIL = '''account required pam_debug.so acct=abort
auth required pam_debug.so auth=success cred=abort
session required pam_debug.so open_session=abort close_session=abort
'''


def stack(service='sshd', **changes):
    """A PAM directory with our lines, changed or (None) left out; its path."""
    directory = DIR / f'pam{next(NUMBER)}'
    directory.mkdir()
    text = ''
    for kind, arguments in {**LINES, **changes}.items():
        facility, success = CONTROLS[kind]
        if arguments is not None:
            text += f'{facility} [{success} ignore=ignore default=die] pam_sessbox.so {arguments}\n'
    (directory / service).write_text(text + TAIL)
    (directory / 'other').write_text(TAIL)
    return directory


# the driver

class Driver:
    """A run of the driver. What it tells comes as (word, rest) pairs."""

    def __init__(self, words, program=SSHD, prepare=None, **options):
        self.told = []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(40)
        with theirs:
            options.setdefault('stdin', subprocess.DEVNULL)
            self.errors = options.setdefault('stderr', tempfile.TemporaryFile())
            self.process = subprocess.Popen(
                [str(program), str(theirs.fileno()), *map(str, words)], pass_fds=[theirs.fileno()],
                env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'SESSBOX_TEST': 'kept'},
                preexec_fn=prepare, **options)
        self.pid = self.process.pid
        self.lines = self.socket.makefile('r', errors='replace')
        RUNNING.append(self)

    def read(self):
        line = self.lines.readline()
        if line:
            word, _, rest = line.rstrip('\n').partition(' ')
            self.told.append((word, rest))
        return line

    def until(self, name):
        """Go on to the word sync=NAME; the pid that stands there."""
        while self.read():
            word, rest = self.told[-1]
            if word == 'sync' and rest.split()[0] == name:
                return int(rest.split()[1])
        raise AssertionError(f'ended before sync={name}: {self.told[-20:]}')

    def go_on(self):
        self.socket.send(b'x')

    def end(self):
        """To the end of all that have the socket; the status of the driver itself."""
        while self.read():
            pass
        self.stop()
        return self.process.returncode

    def stop(self):
        if self in RUNNING:
            RUNNING.remove(self)
        self.socket.close()
        self.process.wait(30)

    def all(self, word):
        return [rest for told, rest in self.told if told == word]

    def codes(self, word):
        return [int(rest) for rest in self.all(word)]

    def code(self, word):
        codes = self.codes(word)
        assert len(codes) == 1, (word, self.told)
        return codes[0]

    @property
    def said(self):
        """The module's words to the user, by libpam and then by children that it ends; pam_debug
        repeats its arguments."""
        words = [rest.split(' ', 1)[1] for rest in self.all('say')]
        self.errors.seek(0)
        words += self.errors.read().decode().splitlines()
        return [word for word in words if '=abort' not in word and '=success' not in word]

    @property
    def children(self):
        return self.all('child')

    def state(self, label):
        found = {}
        for rest in self.all('state'):
            at, key, value = (rest + ' ').split(' ', 2)
            if at == label:
                found[key] = value.strip()
        assert found, f'no state {label}: {self.told[-20:]}'
        return found


def begin(user, *words, directory=None, service='sshd', **options):
    return Driver([f'start={service}:{user}:{directory or stack()}', *words], **options)


def drive(user, *words, **options):
    """The words, carried out to the end."""
    driver = begin(user, *words, **options)
    driver.status = driver.end()
    return driver


def end_drivers():
    while RUNNING:
        driver = RUNNING[0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGKILL)
        driver.stop()


def changed(before, after, ignore=()):
    """The keys that differ, with both values."""
    return {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key) and not key.startswith(tuple(ignore))}


def child(user, *words):
    """The words of a child that comes through the hook."""
    return ['fork', f'initgroups={user}', 'setcred', *words, 'done']


def named(name):
    """The pids of the processes that are called so."""
    return [pid for pid, (_, known, _) in host.processes().items() if known == name]


def wait_for_end():
    """Of every container: what a caller that never closed leaves to its init."""
    host.wait_for('the containers end', lambda: not named('sessbox-init'))


# the helper's place

@contextlib.contextmanager
def helper_is(path):
    """Another file in the helper's place; None: nothing."""
    if path is None:
        HELPER.rename(HELPER.with_suffix('.away'))
    else:
        put_over(HELPER, path)
    try:
        yield
    finally:
        if path is None:
            HELPER.with_suffix('.away').rename(HELPER)
        else:
            take_off(HELPER)


@contextlib.contextmanager
def helper_does(text, mode=0o755):
    path = DIR / f'helper{next(NUMBER)}'
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    with helper_is(path):
        yield
