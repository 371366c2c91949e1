# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stock machine: its users and logins, its packages, and all that an installation may leave."""
import contextlib
import hashlib
import os
import pwd
import re
import subprocess
import threading
import time
from collections import namedtuple
from pathlib import Path

import host

TREE = Path(__file__).resolve().parents[2]
RELEASE, NEXT = TREE / 'build/deb', TREE / 'build/deb-next'
KEY = Path('/root/key')
TENANT, PLAIN = 'alice', 'carol'
USERS = ('root', TENANT, PLAIN)
# What a machine writes by itself. Of /var/lib: what apt, dpkg and timers keep.
BY_ITSELF = re.compile(r'/(proc|sys|run|dev|tmp|var/(tmp|log|cache|backups|lib/(apt|dpkg|systemd/(timers|random-seed)))'
                       r'|root|home|usr/local)(/|$)')

Result = namedtuple('Result', 'rc out')


def run(*argv, timeout=300):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', timeout=timeout, check=False,
                          env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'})
    return Result(done.returncode, done.stdout)


def check(*argv):
    done = run(*argv)
    assert done.rc == 0, f'{argv}: {done}'
    return done.out


# users and logins

def make_users():
    check('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', KEY)
    for name in USERS:
        if name != 'root':
            check('useradd', '-m', '-s', '/bin/bash', name)
        user = pwd.getpwnam(name)
        directory = Path(user.pw_dir, '.ssh')
        directory.mkdir(mode=0o700, exist_ok=True)
        with (directory / 'authorized_keys').open('a') as keys:
            keys.write(KEY.with_suffix('.pub').read_text())
        check('chown', '-R', f'{name}:', directory)


def ssh(user, *command, terminal=False):
    return ['ssh', '-F', 'none', '-i', str(KEY), '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no',
            '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', *(['-tt'] if terminal else []),
            f'{user}@127.0.0.1', *command]


def where(user):
    """Who somebody is after a login, and what process 1 is to him."""
    return run(*ssh(user, 'echo "$(id -un) $(cat /proc/1/comm)"')).out.strip()


def everybody_gets_in(contained):
    inside = {TENANT} if contained else set()
    assert {user: where(user) for user in USERS} == {
        user: f'{user} {"sessbox-init" if user in inside else "systemd"}' for user in USERS}


@contextlib.contextmanager
def others_log_in():
    """All the while who is no tenant logs in, again and again; yields what came of it."""
    seen, stop = {'root': [], PLAIN: []}, threading.Event()

    def go_on(user):
        while not stop.is_set():
            seen[user].append(where(user))

    threads = [threading.Thread(target=go_on, args=(user,)) for user in seen]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join()
    for user, answers in seen.items():
        assert answers and set(answers) == {f'{user} systemd'}, seen


class Login:
    """A login that stays, and tells that it goes on."""

    def __init__(self, user, name, terminal=False):
        self.ticks = f'ticks-{name}'
        loop = f'readlink /proc/self/ns/pid; while :; do date +%s >>{self.ticks}; sleep 0.3; done'
        self.user = user
        self.process = subprocess.Popen(ssh(user, loop, terminal=terminal), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.namespace = self.process.stdout.readline().strip()

    def count(self, directory):
        path = Path(directory, self.ticks)
        return len(path.read_text().splitlines()) if path.exists() else 0

    def goes_on(self):
        return self.process.poll() is None

    def end(self):
        self.process.terminate()
        self.process.communicate(timeout=60)


# packages

def debs(directory):
    return sorted(path for path in directory.glob('*.deb') if 'dbgsym' not in path.name)


def apt(*words):
    return run('apt-get', '-y', '-q', '-o', 'Dpkg::Use-Pty=0', *words)


def install(directory):
    done = apt('install', *debs(directory))
    assert done.rc == 0, done.out
    return done.out


def state(package):
    """As dpkg says it, 'ii' say; None: it knows nothing of it."""
    done = run('dpkg-query', '-W', '-f', '${db:Status-Abbrev}', package)
    return done.out.strip() or None if done.rc == 0 else None


def version(package):
    return run('dpkg-query', '-W', '-f', '${Version}', package).out


# what there is

def files():
    """Path -> what is in it, for /etc; of the others the names alone."""
    found, device = {}, os.stat('/').st_dev
    for directory, names, contents in os.walk('/'):
        names[:] = [name for name in names
                    if not BY_ITSELF.match(os.path.join(directory, name).replace('//', '/'))
                    and os.lstat(os.path.join(directory, name)).st_dev == device]
        for name in names + contents:
            path = Path(directory, name)
            deep = path.is_relative_to('/etc') and path.is_file() and not path.is_symlink()
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if deep else ''
    return found


def changes(before, after):
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def traces():
    """Of sessbox, anywhere but in files."""
    cgroups = [path for path, _, _ in os.walk('/sys/fs/cgroup') if 'sessbox' in path]
    mounts = [line for line in Path('/proc/1/mountinfo').read_text().splitlines() if 'sessbox' in line]
    processes = [line for line in check('ps', '-eo', 'comm,args').splitlines() if line.startswith(('sessbox', 'sessctl'))]
    # A unit not found is one that another wants: Debian keeps the link of an enabled unit to the purge.
    units = [line for line in check('systemctl', 'list-units', '--all', '--no-legend').splitlines()
             + check('systemctl', 'list-unit-files', '--no-legend').splitlines()
             if 'sessbox' in line and 'not-found' not in line]
    run_directory = [str(path) for path in Path('/run').glob('sessbox*')]
    return cgroups + mounts + processes + units + run_directory


def unit(prop):
    return check('systemctl', 'show', '-P', prop, 'sessbox-tenants.service').strip()


def holder():
    """The process that keeps the cgroup, and when its unit was started."""
    return check('pgrep', '-x', 'sessbox-hold').strip(), unit('ActiveEnterTimestampMonotonic')


def wait_for_nobody():
    """Until the tenants' logins are over."""
    host.wait_for('nobody is in', lambda: not check('sessctl', 'list', '--containers', '--no-headings'))
