# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measuring itself, inside the sandbox: every series in turn, round by round, so that what else
the machine does hits all of them alike. Everything measured goes to standard output as JSON."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict

import scene
from scene import DIR, FIRST, PROGRAMS, SECOND

FEW, MANY = 20, 2000
BLOCK = 10  # rounds between changes of the number of host mounts
TRACED = 60
CROWD = 4  # processes that log another user in without a pause, or only compute
SETTLE = 0.01  # seconds for the kernel to clean up after one process before the next is measured
SSH = ['ssh', '-F', 'none', '-i', str(DIR / 'key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR',
       '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null']
BWRAP = ['bwrap', '--unshare-all', '--ro-bind', '/', '/', 'true']
CRUN = ['crun', '--cgroup-manager=disabled', 'run', '--bundle', str(scene.BUNDLE), 'bench']
UNSHARE = ['unshare', '--fork', '--pid', '--mount', '--uts', '--ipc', '--cgroup', 'true']


def run(*cmd):
    """What one run of a program of ours says: names and nanoseconds."""
    done = subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f'bench: {" ".join(map(str, cmd))}: exit {done.returncode}')
    time.sleep(SETTLE)
    words = done.stdout.split()
    return dict(zip(words[::2], map(int, words[1::2])))


class Series:
    def __init__(self):
        self.samples = defaultdict(list)
        self.init, self.flags = scene.container_of(SECOND)

    def add(self, name, value):
        self.samples[name].append(value)

    def login(self, name, user, way='once'):
        """One login of the driver; its excluded parts are series of their own."""
        t = run(scene.SSHD, way, user, scene.PAM_DIR)
        if user == FIRST:
            scene.gone(user)
        counted = t['open'] - t['tree'] + t['child'] - t['migrate']
        self.add(name, counted)
        self.add(f'{name} all', counted + t['account'])
        for part in ('account', 'close', 'tree', 'migrate', 'fork'):
            self.add(f'{name} {part}', t[part])

    def ours(self, suffix):
        self.login('a' + suffix, FIRST)
        self.login('b' + suffix, SECOND)

    def service(self, service, program):
        """Where the child is reached by fork, that and the join are one."""
        for name, user in (('a', FIRST), ('b', SECOND)):
            t = run(program, 'once', user, scene.PAM_DIR, service)
            if user == FIRST:
                scene.gone(user)
            child = t['child'] if service in scene.JOIN else t['fork']
            self.add(f'{name} {service}', t['open'] - t['tree'] + child - t['migrate'])

    def round(self):
        self.ours('')
        for service, program in scene.SERVICES.items():
            self.service(service, program)
        self.login('a alone', FIRST, 'open')
        self.login('b alone', SECOND, 'open')
        nothing = PROGRAMS / 'nothing'
        self.add('c', run(PROGRAMS / 'bare', 'create', SECOND, DIR / 'spec', nothing)['total'])
        self.add('c2', run(PROGRAMS / 'bare', 'join', self.init, self.flags, nothing)['total'])
        self.add('d', run(PROGRAMS / 'launch', *BWRAP)['total'])
        self.add('e', run(PROGRAMS / 'launch', *UNSHARE)['total'])
        self.add('crun', run(PROGRAMS / 'launch', *CRUN)['total'])
        self.add('pam_namespace', run(scene.SSHD, 'once', FIRST, scene.NAMESPACE_DIR)['open'])

    def whole(self):
        for name, port in scene.PORTS.items():
            t = run(PROGRAMS / 'launch', *SSH, '-p', port, f'{FIRST}@127.0.0.1', 'true')
            self.add(f'ssh {name}', t['total'])
            scene.gone(FIRST)
            time.sleep(0.03)  # the rest of the server's work, with and without


def progress(what, i, n):
    if sys.stderr.isatty():
        print(f'\rbench: {what} {i + 1}/{n}', end='\n' if i == n - 1 else '', file=sys.stderr)


def measure_logins(series, rounds):
    mounts = {}
    for first in range(0, rounds, BLOCK):
        block = range(first, min(first + BLOCK, rounds))
        with scene.host_mounts(FEW):
            mounts['few'] = scene.count_mounts()
            for i in block:
                series.round()
                progress('logins', i, rounds)
        with scene.host_mounts(MANY):
            mounts['many'] = scene.count_mounts()
            for i in block:
                series.ours(' many')
    return mounts


@contextlib.contextmanager
def crowd(command):
    """Some processes that do this over and over."""
    loop = ['sh', '-c', f'while :; do {command}; done']
    busy = [subprocess.Popen(loop, stdout=subprocess.DEVNULL) for _ in range(CROWD)]
    try:
        yield
    finally:
        for process in busy:
            process.terminate()  # not the login it waits for
            process.wait()


def measure_storm(series, rounds):
    """A user's second login while another's come in all the time, and while the processors are as
    busy with something that has nothing to do with logins."""
    commands = {'b storm': f'{scene.SSHD} once {FIRST} {scene.PAM_DIR}', 'b busy': ':'}
    for first in range(0, rounds, BLOCK):
        for name, command in commands.items():
            with crowd(command):
                for i in range(first, min(first + BLOCK, rounds)):
                    series.login(name, SECOND)
                    progress(name, i, rounds)
            scene.gone(FIRST)


def measure_ssh(series, rounds):
    for i in range(rounds):
        series.whole()
        progress('ssh', i, rounds)


# ---- where the time goes ----

HEAD, EVENT = struct.Struct('=Q'), struct.Struct('=qc47s')


def read_timeline(file):
    data = file.read_bytes()
    n = min(HEAD.unpack_from(data)[0], (len(data) - HEAD.size) // EVENT.size)
    events = []
    for i in range(n):
        ns, strand, name = EVENT.unpack_from(data, HEAD.size + i * EVENT.size)
        events.append((ns, strand.decode(), name.split(b'\0')[0].decode()))
    return sorted(events)


@contextlib.contextmanager
def probed_helper():
    """The benchmark's build of the helper in the place of the real one."""
    real = scene.HELPER.with_suffix('.real')
    new = scene.HELPER.with_suffix('.new')
    os.rename(scene.HELPER, real)
    new.write_bytes((PROGRAMS / 'sessbox-helper').read_bytes())
    new.chmod(0o755)
    os.rename(new, scene.HELPER)
    try:
        yield
    finally:
        os.rename(real, scene.HELPER)


def trace(rounds):
    file = DIR / 'timeline'
    lines = {'a': [], 'b': []}
    with probed_helper():
        for _ in range(rounds):
            for name, user in (('a', FIRST), ('b', SECOND)):
                file.write_bytes(bytes(HEAD.size + 256 * EVENT.size))
                run(scene.SSHD, 'once', user, scene.PAM_DIR)
                if user == FIRST:
                    scene.gone(user)
                lines[name].append(read_timeline(file))
    file.unlink()
    return lines


# ---- memory ----

KINDS = {'Slab': 'kernel objects', 'KernelStack': 'kernel stacks', 'Shmem': 'tmpfs'}
OWN = ('Private_Clean', 'Private_Dirty', 'VmPTE')


def kib_of(file, names):
    """The named lines "Name: N kB" of a file of /proc."""
    found = {}
    with open(file, encoding='ascii') as f:
        for line in f:
            name, _, rest = line.partition(':')
            if name in names:
                found[name] = int(rest.split()[0])
    return found


def inits_in_use(inits):
    """What these processes have for themselves alone, page tables included."""
    total = 0
    for pid in inits:
        total += sum(kib_of(f'/proc/{pid}/smaps_rollup', OWN).values())
        total += sum(kib_of(f'/proc/{pid}/status', OWN).values())
    return total


def memory_in_use(inits):
    """KiB. The first kinds are the whole machine's, so what else runs on it shows."""
    used = {KINDS[k]: v for k, v in kib_of('/proc/meminfo', KINDS).items()}
    used['init itself'] = inits_in_use(inits)
    charged = 0
    for base in scene.hierarchies():
        for pattern in '*/memory.usage_in_bytes', '*/memory.current':
            charged += sum(int(f.read_text()) for f in base.glob(pattern))
    used['(charged to the cgroups)'] = charged // 1024
    return used


def with_sessions(users):
    with scene.session_of(users):
        time.sleep(0.5)
        return memory_in_use({scene.container_of(user)[0] for user in users})


def with_bare(way):
    with scene.bare_containers(way, SECOND, len(scene.IDLE)) as inits:
        time.sleep(0.5)
        return memory_in_use(inits)


def measure_memory(repeats):
    """KiB for each container. Ours: as many sessions in one container as in one each; the difference
    is those containers. Bare ones: with them and without."""
    found = {name: defaultdict(list) for name in ('ours', 'hold', 'hold-empty')}

    def add(name, many, one):
        for kind, kib in many.items():
            found[name][kind].append((kib - one[kind]) / len(scene.IDLE))

    for _ in range(repeats):
        one = with_sessions([SECOND] * (len(scene.IDLE) + 1))
        add('ours', with_sessions([SECOND, *scene.IDLE]), one)
        with scene.session_of([SECOND]):  # whose directories a bare container shows
            none = memory_in_use([])
            for way in 'hold', 'hold-empty':
                add(way, with_bare(way), none)
    return found


def measure(rounds):
    scene.take_precedence()
    scene.make_users()
    scene.make_files()
    log = scene.drain_log()
    try:
        with scene.driver_as_sshd():
            with scene.session_of([SECOND]):
                scene.write_spec(SECOND)
                series = Series()
                for _ in range(3):
                    series.round()
                series.samples.clear()
                mounts = measure_logins(series, rounds)
                measure_storm(series, rounds)
                timelines = trace(min(rounds, TRACED))
            memory = measure_memory(min(rounds, 2))  # leaves hundreds of old login records
        with scene.both_sshd():
            measure_ssh(series, rounds)
    except SystemExit:
        print((DIR / 'syslog').read_text(errors='replace')[-2000:], file=sys.stderr)
        raise
    finally:
        os.kill(log, signal.SIGTERM)
    json.dump({'samples': series.samples, 'mounts': mounts, 'memory': memory,
               'timelines': timelines, 'mode': scene.cgroup_mode(),
               'hierarchies': len(scene.hierarchies()), 'kernel': os.uname().release}, sys.stdout)
