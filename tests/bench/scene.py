# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmark needs of its throw-away machine: users, configuration, PAM stacks, a listener
on /dev/log, and, for whole logins, two sshd, one with our lines in its stack and one without."""
import contextlib
import ctypes
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
PROGRAMS = TREE / 'build/bench'
DIR = Path('/run/sessbox-bench')
PAM_DIR = DIR / 'pam.d'
RUN = Path('/run/sessbox')
SSHD = '/usr/sbin/sshd'
HELPER = Path('/usr/libexec/sessbox/sessbox-helper')
CGROUPS = Path('/sys/fs/cgroup')
MS_BIND = 4096
FIRST, SECOND = 'bench-first', 'bench-second'
IDLE = [f'bench-idle{i}' for i in range(500)]
PORTS = {'with': 2201, 'without': 2202}

CONFIG = '''\
[Defaults]
Contain=no

[tenants]
MatchGroups=tenants
MatchUIDs=1000-9999
Contain=yes
MemoryMax=256M
MemorySwapMax=0
TasksMax=100
CPUQuota=50%
Hostname=%u-box
'''

# The driver's stack: what sessbox needs of it, and nothing else that takes time.
STACK = '''\
auth required pam_permit.so
auth required pam_sessbox.so join=cred
account required pam_sessbox.so
session required pam_sessbox.so close
session required pam_permit.so
session required pam_sessbox.so open join=cred
'''

# The other services, by the programs that the driver stands in for.
SERVICES = {'su': '/usr/bin/su', 'runuser': '/usr/sbin/runuser', 'login': '/usr/bin/login',
            'cron': '/usr/sbin/cron', 'atd': '/usr/sbin/atd'}
JOIN = {'cron': 'cred'}  # fork for all others

# pam_namespace takes the caller itself into a mount namespace with a /tmp of the user's.
NAMESPACE_DIR = DIR / 'pam-namespace.d'
NAMESPACE_STACK = '''\
auth required pam_permit.so
account required pam_permit.so
session required pam_namespace.so
'''
INSTANCES = DIR / 'instances'
NAMESPACE_CONF = f'/tmp {INSTANCES}/ user root\n/var/tmp {INSTANCES}/var- user root\n'

BUNDLE = DIR / 'bundle'

SSHD_CONFIG = '''\
ListenAddress 127.0.0.1
HostKey {dir}/host_key
UsePAM yes
PidFile none
'''

# Limits as they stand in the tenant's group, in the order in which they can be written.
LIMIT_FILES = ('cpuset.cpus', 'cpuset.mems', 'memory.limit_in_bytes', 'memory.memsw.limit_in_bytes',
               'pids.max', 'cpu.cfs_quota_us', 'cpu.shares', 'memory.max', 'memory.swap.max',
               'cpu.max', 'cpu.weight')


def sh(*cmd):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)


def uid_of(user):
    return pwd.getpwnam(user).pw_uid


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f'bench: waited {seconds} s for {what}')
        time.sleep(0.002)


def gone(user):
    """Until nothing of the user's last container is left: the next login is a first one again."""
    directory = RUN / f'u{uid_of(user)}'
    wait_until(lambda: not directory.exists(), f'the end of {directory}')


def take_precedence():
    """The most of the CPUs for the sandbox: its neighbours' work is not what is measured."""
    for name, weight in (('cpu/cpu.shares', 262144), ('cpu.weight', 10000)):
        with contextlib.suppress(OSError):  # v2 delegates no weight
            (CGROUPS / name).write_text(str(weight))


def make_users():
    sh('groupadd', 'tenants')
    for user in (FIRST, SECOND):
        sh('useradd', '-m', '-s', '/bin/sh', '-G', 'tenants', user)
    make_idle_users()


def make_idle_users():
    """As useradd would, which takes too long for so many."""
    gid, first = pwd.getpwnam(SECOND).pw_gid, pwd.getpwnam(SECOND).pw_uid + 1
    with open('/etc/passwd', 'a', encoding='ascii') as users:
        for uid, user in enumerate(IDLE, first):
            home = Path('/home', user)
            home.mkdir(mode=0o700)
            os.chown(home, uid, gid)
            users.write(f'{user}:x:{uid}:{gid}::{home}:/bin/sh\n')


def make_files():
    PAM_DIR.mkdir(parents=True)
    (PAM_DIR / 'sshd').write_text(STACK)
    for service in SERVICES:
        (PAM_DIR / service).write_text(STACK.replace('join=cred', f'join={JOIN.get(service, "fork")}'))
    Path('/etc/security/sessbox.conf').write_text(CONFIG)
    sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(DIR / 'host_key'))
    sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(DIR / 'key'))
    home = Path(pwd.getpwnam(FIRST).pw_dir)
    (home / '.ssh').mkdir()
    shutil.copy(DIR / 'key.pub', home / '.ssh/authorized_keys')
    sh('chown', '-R', FIRST, str(home / '.ssh'))
    make_namespace_files()
    make_bundle()
    # A change of /etc within the last moments would be looked at again at each login.
    time.sleep(1.5)


def make_namespace_files():
    NAMESPACE_DIR.mkdir()
    (NAMESPACE_DIR / 'sshd').write_text(NAMESPACE_STACK)
    Path('/etc/security/namespace.conf').write_text(NAMESPACE_CONF)
    INSTANCES.mkdir(mode=0o000)


def make_bundle():
    """For `crun run`: its own default configuration, with the host's tree as root."""
    root = BUNDLE / 'rootfs'
    root.mkdir(parents=True)
    for part in '/', '/usr':  # not all: the host's mounts are counted
        sh('mount', '--bind', part, f'{root}{part}')
    sh('crun', 'spec', '--bundle', str(BUNDLE))
    spec = json.loads((BUNDLE / 'config.json').read_text())
    spec['process'].update(terminal=False, args=['true'])
    (BUNDLE / 'config.json').write_text(json.dumps(spec))


def drain_log():
    """A process that reads /dev/log, as on a host with a journal. Returns its pid."""
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind('/dev/log')
    os.chmod('/dev/log', 0o666)
    pid = os.fork()
    if pid:
        return pid
    with open(DIR / 'syslog', 'ab', buffering=0) as out:
        while True:
            out.write(log.recv(8192) + b'\n')


@contextlib.contextmanager
def driver_as_sshd():
    """And as the other services' programs."""
    places = [SSHD, *map(os.path.realpath, SERVICES.values())]
    for place in places:
        sh('mount', '--bind', str(PROGRAMS / 'driver'), place)
    try:
        yield
    finally:
        for place in places:
            sh('umount', place)


@contextlib.contextmanager
def session_of(users):
    """One open session for each name, held by a driver of its own."""
    held = [subprocess.Popen([SSHD, 'hold', user, str(PAM_DIR)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) for user in users]
    try:
        for process in held:
            if process.stdout.readline() != b'ready\n':
                raise SystemExit('bench: a session did not open')
        yield
    finally:
        for process in held:
            process.communicate()
        for user in set(users):
            gone(user)


def stack_with_module(text):
    lines = ['account required pam_sessbox.so']
    for line in text.splitlines():
        if line.startswith('session') and 'session required pam_sessbox.so close' not in lines:
            lines.append('session required pam_sessbox.so close')
        lines.append(line)
        if line.startswith('@include common-auth'):
            lines.append('auth required pam_sessbox.so join=cred')
    return '\n'.join([*lines, 'session required pam_sessbox.so open join=cred', ''])


@contextlib.contextmanager
def both_sshd():
    """The one without our lines has the distribution's stack, in its own mount namespace."""
    stack = Path('/etc/pam.d/sshd')
    plain, config = DIR / 'plain', DIR / 'sshd_config'
    plain.write_text(stack.read_text())
    stack.write_text(stack_with_module(plain.read_text()))
    config.write_text(SSHD_CONFIG.format(dir=DIR))
    run = f'{SSHD} -D -f {config} -E {DIR}/sshd.log -p'
    commands = {
        'with': f'exec {run} {PORTS["with"]}',
        'without': f'mount --bind {plain} {stack} && exec {run} {PORTS["without"]}'}
    servers = [subprocess.Popen(['unshare', '--mount', 'sh', '-c', commands['without']]),
               subprocess.Popen(['sh', '-c', commands['with']])]
    try:
        for port in PORTS.values():
            wait_until(lambda p=port: answers(p), f'sshd on port {port}')
        yield
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


def hierarchies():
    """The base of sessbox in each: one on v2, several on v1."""
    if (CGROUPS / 'cgroup.controllers').exists():
        return [CGROUPS / 'sessbox']
    return sorted(d / 'sessbox' for d in CGROUPS.iterdir()
                  if not d.is_symlink() and (d / 'sessbox').is_dir())


def cgroup_mode():
    if (CGROUPS / 'cgroup.controllers').exists():
        return 'v2'
    return 'hybrid' if (CGROUPS / 'unified/cgroup.procs').exists() else 'v1'


def write_spec(user):
    """For `bare`: the hierarchies, and the limits in force for a user who has a session."""
    lines = []
    for base in hierarchies():
        v1 = (base / 'tasks').exists()
        lines.append(f'group {base} {"tasks" if v1 else "cgroup.procs"}')
    for name in LIMIT_FILES:
        for base in hierarchies():
            file = base / f'u{uid_of(user)}' / name
            value = file.read_text().strip() if file.exists() else ''
            if value:
                lines.append(f'set {base} {name} {value}')
    (DIR / 'spec').write_text('\n'.join([*lines, '']))


def container_of(user):
    """Init's pid and the namespaces' flags of the user's one container."""
    text = (RUN / f'u{uid_of(user)}/c1/record').read_text()
    fields = dict(line.split('=', 1) for line in text.splitlines())
    return fields['Init'], fields['Namespaces']


@contextlib.contextmanager
def bare_containers(way, user, n):
    """Of `bare`, until the end of the block: the pids of their inits."""
    with subprocess.Popen([str(PROGRAMS / 'bare'), way, user, str(DIR / 'spec'), str(n)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout.readline() != b'ready\n':
            raise SystemExit('bench: no bare containers')
        yield Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    if process.returncode:
        raise SystemExit('bench: bare containers do not end')


def count_mounts():
    return len(Path('/proc/self/mountinfo').read_text().splitlines())


def add_mounts(top, n):
    """Binds of one tmpfs onto directories in it, until the host has n mounts."""
    libc = ctypes.CDLL(None, use_errno=True)
    sh('mount', '-t', 'tmpfs', 'bench', str(top))
    for i in range(n - count_mounts()):
        path = f'{top}/{i}'.encode()
        os.mkdir(path)
        if libc.mount(bytes(top), path, None, MS_BIND, None) < 0:
            raise OSError(ctypes.get_errno(), 'mount')


@contextlib.contextmanager
def host_mounts(n):
    """A host with n mounts, or with those that are there anyway: out of every container's way."""
    top = DIR / 'mounts'
    top.mkdir(exist_ok=True)
    more = n > count_mounts()
    if more:
        add_mounts(top, n)
    try:
        yield
    finally:
        if more:
            sh('umount', '-l', str(top))
            time.sleep(0.05)
