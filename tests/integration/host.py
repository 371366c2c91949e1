# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the host knows: cgroups, processes, mounts, records, the log. Only reads, but for freezing."""
import contextlib
import os
import pwd
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

SLOW = float(os.environ.get('SESSBOX_TEST_SLOW', '1'))
IN_VM = os.environ['SESSBOX_TEST_WHERE'] == 'vm'  # or 'sandbox', which tests/sandbox sets
CGROUPS = Path('/sys/fs/cgroup')
RUN = Path('/run/sessbox')
HELPER = Path('/usr/libexec/sessbox/sessbox-helper')  # stand-ins are mounted over it
HAS_UTMP = Path('/run/utmp').exists()  # Debian 13 has none: who asks logind, last reads wtmp.db
UTMP = struct.Struct('=hxxi32s4s32s256shhiii16s20s')
USER_PROCESS = 7
KEPT = ('ns', 'etc', 'empty', 'lock', 'next', 'proxy', 'sessbox.d', 'timers', 'notices', 'monitor', 'turns')  # below RUN: what stays
TEST_UIDS = range(3001, 3200)  # users.py gives these to the tenants and their neighbours


def wait_for(what, look, seconds=10):
    """Look until it is true; the sentence `what` names the thing that did not happen."""
    until = time.monotonic() + seconds * SLOW
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < until, f'not within {seconds * SLOW:.0f} s: {what}'
        time.sleep(0.03)


# cgroups

def unified():
    return (CGROUPS / 'cgroup.controllers').exists()


def hierarchies():
    return [CGROUPS] if unified() else [h for h in CGROUPS.iterdir() if h.is_dir() and not h.is_symlink()]


def bases():
    inside = 'system.slice/sessbox-tenants.service' if Path('/run/systemd/system').exists() else 'sessbox'
    return [h / inside for h in hierarchies()]


def group(user, controller):
    """The tenant's cgroup in the hierarchy that has the controller."""
    base = next(b for b in bases() if unified() or controller in b.parent.name.split(','))
    name = f'u{pwd.getpwnam(user).pw_uid}'
    found = [path for path in (base / name, *base.glob(f'c-*/{name}')) if path.is_dir()]
    assert len(found) == 1, f'{name} has the cgroups {found}'
    return found[0]


def first_number(path, key=''):
    found = re.search(rf'^{key}\s*(\d+|max)', path.read_text(), re.M)
    assert found, f'no {key!r} in {path}'
    return found[1] if found[1] == 'max' else int(found[1])


def memory_max(user):
    return first_number(group(user, 'memory') / ('memory.max' if unified() else 'memory.limit_in_bytes'))


def tasks_max(user):
    return first_number(group(user, 'pids') / 'pids.max')


def tasks(user):
    return first_number(group(user, 'pids') / 'pids.current')


def oom_kills(user):
    return first_number(group(user, 'memory') / ('memory.events' if unified() else 'memory.oom_control'), 'oom_kill ')


def cpu_seconds(user):
    if unified():
        return first_number(group(user, 'cpu') / 'cpu.stat', 'usage_usec') / 1e6
    return first_number(group(user, 'cpuacct') / 'cpuacct.usage') / 1e9


def freeze_group(path, frozen):
    if unified():
        (path / 'cgroup.freeze').write_text(str(int(frozen)))
    else:
        (path / 'freezer.state').write_text('FROZEN' if frozen else 'THAWED')


def freeze(user, frozen):
    freeze_group(group(user, 'freezer'), frozen)


# processes

def processes():
    """pid -> (uid, name, parent) of everything that is not a zombie."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            status = Path('/proc', pid, 'status').read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        field = dict(line.split(':\t', 1) for line in status.splitlines() if ':\t' in line)
        if not field['State'].startswith('Z'):
            found[int(pid)] = (int(field['Uid'].split()[0]), field['Name'], int(field['PPid']))
    return found


def of_manager(pid):
    """Does it belong to systemd's manager for the user, which has a life of its own?"""
    try:
        return '/user@' in Path('/proc', str(pid), 'cgroup').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def of_users(uids):
    return sorted(pid for pid, (uid, _, _) in processes().items() if uid in uids and not of_manager(pid))


def of_user(user):
    return of_users([pwd.getpwnam(user).pw_uid])


def in_front(user, name):
    """Has one of his processes of this name the terminal? A shell tells of fg before it gives it away."""
    for pid in of_user(user):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            command, _, fields = Path('/proc', str(pid), 'stat').read_text().rpartition(') ')
            _, _, group, _, tty, foreground, *_ = fields.split()
            if command.endswith(f'({name}') and int(tty) and group == foreground:
                return True
    return False


def namespace(pid, name):
    return os.readlink(f'/proc/{pid}/ns/{name}')


def monitor_of(pid):
    """sshd's monitor above a process of a user."""
    known = processes()
    while known[pid][0] != 0:
        pid = known[pid][2]
    return pid


# what must be back to what it was

def login_records():
    """utmp's, as (user, line, pid)."""
    data = Path('/run/utmp').read_bytes() if Path('/run/utmp').exists() else b''
    records = (UTMP.unpack_from(data, at) for at in range(0, len(data) - UTMP.size + 1, UTMP.size))
    return {(r[4].split(b'\0')[0].decode(), r[2].split(b'\0')[0].decode(), r[1])
            for r in records if r[0] == USER_PROCESS}


def live_records():
    return {record for record in login_records() if os.path.exists(f'/proc/{record[2]}')}


def cgroup_directories():
    found = set()
    for base in bases():
        found |= {d for d, _, _ in os.walk(base) if Path(d) not in (base, base / 'init')}
    return found


def run_tree():
    found = set()
    for directory, names, files in os.walk(RUN):
        if Path(directory) == RUN:
            names[:] = [n for n in names if not n.startswith(KEPT)]
            files = [n for n in files if not n.startswith(KEPT)]
        found |= {os.path.join(directory, n) for n in names + files}
    return found


def mounts():
    # not the first fields, which are numbers of the moment; nor what systemd mounts and takes away by its own clock
    lines = (line.split() for line in Path('/proc/self/mountinfo').read_text().splitlines())
    return {' '.join(line[3:6]) for line in lines
            if not line[4].startswith((str(RUN / 'ns'), '/run/user/', '/run/credentials/'))
            and line[4] != str(HELPER)}


def our_processes():
    known, users = processes(), of_users(TEST_UIDS)
    return {(pid, name) for pid, (_, name, _) in known.items() if pid in users or name.startswith('sessbox')}


def snapshot():
    return {'cgroups': cgroup_directories(), 'mounts': mounts(), 'processes': our_processes(),
            'records': run_tree(), 'utmp': live_records()}


def leftovers(before):
    now = snapshot()
    return {key: sorted(now[key] - before[key]) for key in now if now[key] - before[key]}


def settle(before, seconds=20):
    """Wait until nothing is there that was not there before."""
    until = time.monotonic() + seconds * SLOW
    while leftovers(before) and time.monotonic() < until:
        time.sleep(0.05)
    assert not leftovers(before), f'left behind: {leftovers(before)}'


# the log

class Sink:
    """/dev/log where no syslog daemon and no journal has it."""

    def __init__(self):
        self.lines = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind('/dev/log')
        os.chmod('/dev/log', 0o666)
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        while True:
            self.lines.append(self.socket.recv(65536).decode(errors='replace').rstrip('\n\0'))


SINK = []


def open_log():
    if not IN_VM and not SINK:
        SINK.append(Sink())


def journal(*arguments):
    return subprocess.run(('journalctl', '--no-pager', '-q', *arguments),
                          stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def log_mark():
    if SINK:
        return len(SINK[0].lines)
    return journal('-n1', '--show-cursor')[-1].removeprefix('-- cursor: ')


def log_since(mark):
    return SINK[0].lines[mark:] if SINK else journal('--after-cursor', mark)


def log_has(mark, pattern, seconds=5):
    """Wait for a line in the log; the line."""
    def look():
        return next((line for line in log_since(mark) if re.search(pattern, line)), None)
    try:
        return wait_for(pattern, look, seconds)
    except AssertionError:
        raise AssertionError(f'no {pattern!r} in the log: {log_since(mark)}') from None
