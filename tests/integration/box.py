# SPDX-License-Identifier: LGPL-2.1-or-later
"""The box the cases run in: users, keys, Debian's sshd on a port of its own, PAM stack, configuration,
and the ways in. A case gets from here everything it does to the machine; what it sees there is host's."""
import base64
import contextlib
import functools
import grp
import json
import os
import pwd
import select
import shlex
import socket
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import host
from term import Term

TREE = Path(__file__).resolve().parents[2]
LIB = TREE / 'tests/lib'
DIR = Path('/var/lib/sessbox-test')
PAM = Path('/etc/pam.d/sshd')
CONFIG = Path('/etc/security/sessbox.conf')
DROP_INS = Path('/etc/security/sessbox.d')
OVERRIDES = host.RUN / 'sessbox.d'  # what `limit --runtime` writes
NOTICES = host.RUN / 'notices'  # what waits to be told at somebody's next login
HELPER = host.HELPER
FAULT_HELPER = TREE / 'build/test/sessbox-helper'
FAULT = Path('/run/sessbox-fault')

GROUPS = {'tenants': 2000, 'docker': 2100, 'project': 2200}
CROWD = [f't{n:02}' for n in range(20)]
TENANTS = ['alice', 'bob', 'ivan', *CROWD]  # ivan gets internal-sftp and nothing else
PLAIN = ['carol']  # no class matches her
SYSTEM = 'svc'  # a login below uid 1000

LINES = {
    'account': 'account required pam_sessbox.so',
    'auth': 'auth required pam_sessbox.so join=cred',
    'close': 'session required pam_sessbox.so close',
    'open': 'session required pam_sessbox.so open join=cred',
}
CLASSES = {
    'Defaults': {'Contain': 'no'},
    'tenants': {'MatchGroups': 'tenants', 'Contain': 'yes', 'Hostname': '%u-box', 'TimeoutStopSec': '2',
                'TimeoutSec': f'{10 * host.SLOW:.0f}'},
}
STATE = {'port': 0, 'sshd': None, 'stack': '', 'contained': True}
CLIENTS = []  # running ssh clients and terminals of this case

Result = namedtuple('Result', 'rc out err')


# the box itself

def run(*argv, **options):
    options.setdefault('check', True)
    done = subprocess.run(argv, capture_output=True, text=True, **options)
    return Result(done.returncode, done.stdout, done.stderr)


def make_user(name, *options):
    try:
        pwd.getpwnam(name)
    except KeyError:
        run('useradd', '-m', '-s', '/bin/bash', *options, name)
    (DIR / 'keys' / name).write_text((DIR / 'key.pub').read_text())


def make_users():
    for name, gid in GROUPS.items():
        run('groupadd', '-f', '-g', str(gid), name)
    (DIR / 'keys').mkdir(parents=True, exist_ok=True)
    for key in ('key', 'hostkey'):
        if not (DIR / key).exists():
            run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', str(DIR / key))
    more = {'alice': ',docker,disk,adm,users,project'}
    for uid, name in enumerate(TENANTS, 3001):
        make_user(name, '-u', str(uid), '-G', 'tenants' + more.get(name, ''))
    for uid, name in enumerate(PLAIN, 3100):
        make_user(name, '-u', str(uid), '-G', 'project,users')
    make_user(SYSTEM, '-r')
    make_user('root')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@functools.cache
def patience():
    """From 9.8 on sshd turns an address away for a time that failed to log in, as some cases do."""
    line = 'PerSourcePenalties no\n'
    known = run('/usr/sbin/sshd', '-T', '-f', '/dev/null', '-h', str(DIR / 'hostkey'), '-o', line.strip(), check=False)
    return line if known.rc == 0 else ''


def write_sshd_config(more='', without=()):
    text = f'''
Port {STATE['port']}
ListenAddress 127.0.0.1
HostKey {DIR}/hostkey
AuthorizedKeysFile {DIR}/keys/%u
PidFile none
UsePAM yes
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
AcceptEnv SESSBOX_*
LoginGraceTime 600
MaxStartups 200
MaxSessions 20
PrintMotd no
Subsystem sftp /usr/lib/openssh/sftp-server
{patience()}{more}Match User ivan
    ForceCommand internal-sftp
'''
    kept = [line for line in text.splitlines() if not line or line.split()[0] not in without]
    replace(DIR / 'sshd_config', '\n'.join(kept) + '\n')
    key = (DIR / 'hostkey.pub').read_text()
    (DIR / 'known_hosts').write_text(f'[127.0.0.1]:{STATE["port"]} {key}')


def into_own_group():
    """sshd stands in a group of its own, or 'my cgroup is /' would be true on the host, too."""
    for hierarchy in host.hierarchies():
        group = hierarchy / 'sshd'
        group.mkdir(exist_ok=True)
        for name in ('cpuset.cpus', 'cpuset.mems'):
            if not host.unified() and (group / name).exists():
                (group / name).write_text((hierarchy / name).read_text())
        (group / 'cgroup.procs').write_text('0')


def answers(port=None):
    """Does something listen there? By default: does sshd?"""
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port or STATE['port'])):
        return True
    return False


def start_sshd():
    STATE['sshd'] = subprocess.Popen(
        ['/usr/sbin/sshd', '-D', '-f', DIR / 'sshd_config'],
        preexec_fn=None if host.IN_VM else into_own_group)
    host.wait_for('sshd answers', answers)


def stop_sshd():
    """The one that listens; who is in stays."""
    STATE['sshd'].terminate()
    STATE['sshd'].wait()


def restart_sshd():
    stop_sshd()
    start_sshd()


@contextlib.contextmanager
def sshd_says(more, without=()):
    """sshd with these lines in its configuration, and without those of the keywords given."""
    write_sshd_config(more, without)
    restart_sshd()
    try:
        yield
    finally:
        write_sshd_config()
        restart_sshd()


def hold_back_user_managers():
    """Starting and stopping them is most of a login's time in an emulated machine; logind's sessions
    are there all the same."""
    drop_in = Path('/run/systemd/system/user@.service.d/50-sessbox-test.conf')
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text('[Unit]\nConditionPathExists=!/\n')
    run('systemctl', 'daemon-reload')


def set_up():
    host.open_log()
    if host.IN_VM:
        hold_back_user_managers()
    DIR.mkdir(exist_ok=True)
    make_users()
    Path('/run/sshd').mkdir(exist_ok=True)
    STATE['port'] = free_port()
    STATE['stack'] = PAM.read_text()
    write_sshd_config()
    start_sshd()
    root = ssh('root')  # sshd's own first time
    assert root.rc == 0, root


def tear_down():
    PAM.write_text(STATE['stack'])
    stop_sshd()
    CONFIG.unlink(missing_ok=True)


def begin(contained):
    """Before a case: the usual stack and configuration, or the same case with our lines left out."""
    STATE['contained'] = contained
    stack()
    config()


def end():
    """After a case: no client, no fault, nothing of the case's in the configuration."""
    while CLIENTS:
        CLIENTS.pop().stop()
    FAULT.unlink(missing_ok=True)
    for file in [*DROP_INS.glob('*'), *OVERRIDES.glob('*'), *NOTICES.glob('*')]:
        file.unlink()
    begin(STATE['contained'])
    if not STATE['contained']:
        kill_users()


def kill_users():
    """Nobody but us ends what a case started on the host; some of it may be forking."""
    def gone():
        for pid in host.of_users(host.TEST_UIDS):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        return not host.of_users(host.TEST_UIDS)
    host.wait_for('the end of what the case started', gone)


# PAM stack and configuration

def replace(path, text, mode=0o644):
    fresh = path.with_name(path.name + '.new')
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.rename(path)


def of_kind(line, kind):
    return line.startswith((kind, f'@include common-{kind}'))


def stack(without=(), lines_of_ours=LINES):
    """Our lines in the machine's own stack for sshd, at the places the design gives them."""
    lines = STATE['stack'].splitlines()
    ours = {kind: [] if kind in without or not STATE['contained'] else [line]
            for kind, line in lines_of_ours.items()}
    account = next(n for n, line in enumerate(lines) if of_kind(line, 'account'))
    lines[account:account] = ours['account']
    session = next(n for n, line in enumerate(lines) if of_kind(line, 'session'))
    lines[session:session] = ours['close']
    auth = max(n for n, line in enumerate(lines) if of_kind(line, 'auth'))
    lines[auth + 1:auth + 1] = ours['auth']
    replace(PAM, '\n'.join(lines + ours['open']) + '\n')


def config(**classes):
    """Write the configuration; the arguments add to the classes of CLASSES or are new ones."""
    merged = {name: {**CLASSES.get(name, {}), **classes.get(name, {})} for name in {**CLASSES, **classes}}
    text = ''.join(f'[{name}]\n' + ''.join(f'{key}={value}\n' for key, value in keys.items()) + '\n'
                   for name, keys in merged.items())
    replace(CONFIG, text)
    return text


# the ways in

def argv(user, command=(), tty=False, opts=()):
    options = ['IdentitiesOnly=yes', f'UserKnownHostsFile={DIR}/known_hosts', 'GlobalKnownHostsFile=none',
               'StrictHostKeyChecking=yes', 'NumberOfPasswordPrompts=1', 'UpdateHostKeys=no',
               # an emulated machine is slow at the others
               'KexAlgorithms=curve25519-sha256', 'Ciphers=chacha20-poly1305@openssh.com']
    options = [word for option in options for word in ('-o', option)]
    command = [command] if isinstance(command, str) else list(command)
    return ['ssh', '-F', 'none', '-i', str(DIR / 'key'), '-p', str(STATE['port']), *options, *opts,
            *(['-tt'] if tty else []), f'{user}@127.0.0.1', *command]


def client(arguments, **options):
    """Start a client that ends with the case at the latest."""
    process = subprocess.Popen(arguments, **{'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE,
                                             'stderr': subprocess.PIPE, 'text': True, **options})
    process.stop = lambda: stop(process)
    CLIENTS.append(process)
    return process


def stop(process):
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


def finish(process, stdin=None, timeout=30):
    """Wait for a client's end, which has to come in time; its stdin stays open without text for it."""
    if stdin is None:
        process.kept, process.stdin = process.stdin, None
    try:
        out, err = process.communicate(stdin, timeout * host.SLOW)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f'{process.args[-2:]} still runs after {timeout * host.SLOW:.0f} s: '
                             f'{out!r} {err!r}') from None
    finally:
        CLIENTS.remove(process)
    return Result(process.returncode, out, err)


def ssh(user, command='true', tty=False, stdin='', timeout=30, opts=(), **options):
    started = client(argv(user, command, tty, opts), stdin=subprocess.PIPE, **options)
    return finish(started, stdin, timeout)


def out_of(user, command, **options):
    """What a command prints that has to succeed."""
    done = ssh(user, command, **options)
    assert done.rc == 0, f'{command!r}: {done}'
    return done.out.strip()


def script(name, *arguments):
    """A program of tests/lib as a command line, which needs no file inside."""
    code = base64.b64encode((LIB / name).read_bytes()).decode()
    return shlex.join(['python3', '-c', f'import base64; exec(base64.b64decode("{code}"))',
                       *map(str, arguments)])


def probe(user, **options):
    text = out_of(user, script('probe.py'), **options)
    return json.loads(text[text.index('{'):])


def line(process, stream='stdout', timeout=30):
    """The next line a client prints, '' at its end; read by bytes, so that nothing is read ahead."""
    fd, until, read = getattr(process, stream).fileno(), time.monotonic() + timeout * host.SLOW, b''
    while not read.endswith(b'\n'):
        ready, _, _ = select.select([fd], [], [], max(0, until - time.monotonic()))
        assert ready, f'{process.args[-2:]} printed no line in {timeout * host.SLOW:.0f} s: {read!r}'
        byte = os.read(fd, 1)
        if not byte:
            break
        read += byte
    return read.decode()


def held(user, command='exec cat', tty=False, opts=()):
    """A login that has come in and stays until its stdin is closed or the case ends."""
    process = client(argv(user, f'echo ready; {command}', tty, opts), stdin=subprocess.PIPE)
    first = line(process)
    assert first.strip() == 'ready', f'{user} did not come in: {first!r} {finish(process)}'
    return process


def leave(process, timeout=20):
    """End a held login; its exit status."""
    return finish(process, '', timeout).rc


def closed_by_peer(process):
    """A client whose other end went away, not one that came to its own end."""
    return finish(process).rc == 255


@contextlib.contextmanager
def session(user, *opts):
    """One login, in which each call of what is yielded runs a command through a channel of its own."""
    control = ['-S', str(DIR / f'control-{user}-{time.monotonic_ns()}')]
    master = client(argv(user, opts=[*control, '-M', '-N', *opts]))

    def up():
        assert master.poll() is None, f'{user} did not come in: {finish(master)}'
        return run(*argv(user, opts=[*control, '-O', 'check']), check=False).rc == 0

    host.wait_for(f'{user} came in', up, 20)
    inside = functools.partial(ssh, user, opts=control)
    try:
        assert inside('true').rc == 0, finish(master)
        yield inside
    finally:
        run(*argv(user, opts=[*control, '-O', 'exit']), check=False)
        if master in CLIENTS:
            finish(master)


def terminal(user, rows=24, cols=80, command=()):
    """An interactive login with a shell that reads no files of the user's."""
    shell = command or 'exec env PS1="READY " bash --norc --noprofile -i'
    term = Term(argv(user, shell, tty=True), 20 * host.SLOW, rows, cols)
    CLIENTS.append(term)
    if not command:
        term.expect('READY ')
    return term


# sessctl

def sessctl(*arguments, **options):
    return run('sessctl', *arguments, check=False, **options)


def answer(*arguments):
    """A verb that has to succeed, as data."""
    done = sessctl(*arguments, '--json')
    assert done.rc == 0, done
    return json.loads(done.out)


def answer_of(*arguments):
    """What a verb says as data, whatever its status."""
    return json.loads(sessctl(*arguments, '--json').out)


def sessions(user=None):
    return [s for s in answer('list')['sessions'] if user in (None, s['user'])]


def containers(user=None):
    return [c for c in answer('list', '--containers')['containers'] if user in (None, c['user'])]


def only(rows):
    assert len(rows) == 1, rows
    return rows[0]


def the_session(user):
    return only(sessions(user))


def the_container(user):
    return only(containers(user))


# breaking things

@contextlib.contextmanager
def helper_is(path):
    """Another program in the helper's place."""
    run('mount', '--bind', str(path), str(HELPER))
    try:
        yield
    finally:
        run('umount', '-l', str(HELPER))  # what still runs of it keeps its file


@contextlib.contextmanager
def helper_does(text, mode=0o755):
    stub = DIR / 'stub'
    replace(stub, text, mode)
    with helper_is(stub):
        yield


@contextlib.contextmanager
def host_file(path, text='marker\n', mode=0o644):
    """A file on the host for as long as the case needs it."""
    path = Path(path)
    path.write_text(text)
    path.chmod(mode)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def home(user):
    return Path(pwd.getpwnam(user).pw_dir)


def group_names(gids):
    return {grp.getgrgid(gid).gr_name for gid in gids}
