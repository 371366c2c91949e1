# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nothing that is restarted in the middle of a session loses anybody, or a limit; stopping the holder of the
cgroups ends all tenants at once, and nobody else."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import box
import host
from hostview import last, leave, lines_of
from sharing import STUBBORN
from units import HOLDER, MONITOR, is_active, outside, sessions, systemctl, took, uid

SPACE = 'readlink /proc/self/ns/pid'
CONTROLLERS = {'cpu', 'cpuset', 'io', 'memory', 'pids'}


@contextlib.contextmanager
def stock_sshd():
    """The machine's own, which a unit of the stock runs."""
    port, place = box.STATE['port'], box.home('alice') / '.ssh'
    place.mkdir(exist_ok=True)
    (place / 'authorized_keys').write_text((box.DIR / 'key.pub').read_text())
    box.run('chown', '-R', 'alice', str(place))
    key = Path('/etc/ssh/ssh_host_ed25519_key.pub').read_text()
    known = box.DIR / 'known_hosts'
    before = known.read_text()
    known.write_text(f'{before}127.0.0.1 {key}')
    box.STATE['port'] = 22
    try:
        yield
    finally:
        box.STATE['port'] = port
        known.write_text(before)
        shutil.rmtree(place)


LIMITS = {'MemoryMax': '64M', 'MemoryHigh': '63M', 'MemorySwapMax': '0', 'TasksMax': '80', 'CPUQuota': '90%', 'CPUWeight': '50',
          'AllowedCPUs': '0', 'IOWeight': '50', 'IOReadBandwidthMax': '/dev/vdb 5M'}
FILES = ('memory.max', 'memory.high', 'memory.swap.max', 'pids.max', 'cpu.max', 'cpu.weight', 'cpuset.cpus', 'io.weight',
         'io.max')


def limits():
    group = host.group('alice', 'memory')
    found = {name: (group / name).read_text().strip() for name in FILES}
    return {**found, 'controllers': set((group.parent / 'cgroup.subtree_control').read_text().split()) >= CONTROLLERS}


ACTIONS = {
    'ssh': ['restart', 'ssh'],
    'logind': ['restart', 'systemd-logind'],
    'journald': ['restart', 'systemd-journald'],
    'daemon-reload': ['daemon-reload'],
    'daemon-reexec': ['daemon-reexec'],
    'monitor': ['restart', MONITOR],
}


def test_restarts_lose_nobody_and_no_limit():
    box.config(tenants=LIMITS)
    with stock_sshd(), box.session('alice') as alice:
        space = alice(SPACE).out
        before = limits()
        assert space.strip() != outside('pid')
        assert not [name for name, value in before.items() if value in ('max', 'max 100000', '', 'default 100', '100')], before
        assert (before['memory.max'], before['pids.max'], before['controllers']) == (str(64 << 20), '80', True), before
        for name, arguments in ACTIONS.items():
            systemctl(*arguments)
            assert alice(SPACE).out == space, name
            assert limits() == before, name
            assert host.wait_for(f'a second login after {name}', lambda: box.ssh('alice', SPACE).out) == space
            assert box.the_container('alice')['state'] == 'running', name
            assert alice('head -c 90M /dev/zero | tail -c 80M | wc -c').out.strip() != str(80 << 20), name
        assert is_active(HOLDER) and is_active(MONITOR) and is_active('ssh')


def test_stopping_the_holder_ends_all_tenants_and_nobody_else():
    stubborn = 'trap : TERM HUP; echo ready; while :; do sleep 1; done'
    alice = box.client(box.argv('alice', stubborn), stdin=subprocess.PIPE)
    assert box.line(alice) == 'ready\n'
    with box.session('carol') as carol:
        bob = box.held('bob', 'setsid sleep 610 >/dev/null 2>&1 & exec cat')
        assert took(lambda: systemctl('stop', HOLDER)) < 5 * host.SLOW
        try:
            assert box.closed_by_peer(alice) and box.closed_by_peer(bob)
            assert not host.of_user('alice') and not host.of_user('bob')
            host.wait_for('the cgroup is gone', lambda: not host.bases()[0].exists())
            refused()
            mark = host.log_mark()
            systemctl('restart', MONITOR)
            host.log_has(mark, 'sessctl.*: tenants are not told what goes wrong: no cgroup of sessbox-tenants')
            assert carol('echo on').out == 'on\n' and box.ssh('carol', 'exit 3').rc == 3
            assert box.ssh('root', 'exit 4').rc == 4
        finally:
            systemctl('start', HOLDER)
        assert box.out_of('alice', SPACE) != outside('pid')
        assert carol('echo on').out == 'on\n'


def refused():
    """By one sentence for the user; the log and `check` say which unit it is."""
    mark = host.log_mark()
    done = box.ssh('alice', 'echo got-in')
    assert done.rc in (254, 255) and 'got-in' not in done.out, done
    host.log_has(mark, f'sessbox.*alice.*{HOLDER}')
    found = [row for row in box.answer_of('check')['findings'] if HOLDER in row['what'] + (row['fix'] or '')]
    assert 'error' in [row['severity'] for row in found], found


def test_a_holder_that_was_killed_is_named():
    """systemd removes the cgroup that nothing is in; the unit stays active."""
    pid, = (host.bases()[0] / 'init/cgroup.procs').read_text().split()
    box.run('kill', '-9', pid)
    host.wait_for('the cgroup is gone', lambda: not host.bases()[0].exists())
    try:
        refused()
    finally:
        systemctl('restart', HOLDER)
    assert box.ssh('alice', 'exit 3').rc == 3


# logind

TALKS = re.compile(r'connect\(.*"/run/(dbus|systemd/(private|io\.|userdb))|execve\("[^"]*/(busctl|loginctl|systemctl|dbus-send)"')


@contextlib.contextmanager
def traced(path):
    """What sshd and all that comes of it asks the kernel for."""
    strace = subprocess.Popen(['strace', '-f', '-q', '-e', 'trace=connect,execve', '-o', path, '-p', str(box.STATE['sshd'].pid)],
                              stderr=subprocess.DEVNULL)
    host.wait_for('strace is at work', lambda: f'TracerPid:\t{strace.pid}\n' in
                  Path(f'/proc/{box.STATE["sshd"].pid}/status').read_text())
    try:
        yield
    finally:
        strace.terminate()
        strace.wait()


def talk_of_a_login(path):
    with traced(path):
        assert box.ssh('alice', 'exit 3', timeout=120).rc == 3
        host.wait_for('she is out', lambda: not box.sessions('alice'), 30)
    lines = Path(path).read_text().splitlines()
    assert any('sessbox-helper' in line for line in lines), lines[:20]
    return [line for line in lines if TALKS.search(line)]


def test_no_call_by_dbus_is_ours():
    """What sshd's stack without pam_systemd, and without what asks systemd for users, has none of."""
    path, switch = str(box.DIR / 'trace'), Path('/etc/nsswitch.conf')
    names = switch.read_text()
    try:
        assert talk_of_a_login(path), 'pam_systemd calls logind'
        box.replace(box.PAM, '\n'.join(line for line in box.PAM.read_text().replace(
            '@include common-session', 'session required pam_unix.so').splitlines() if 'pam_systemd' not in line) + '\n')
        box.replace(switch, re.sub(r'\bsystemd\b', '', names))
        assert not talk_of_a_login(path)
    finally:
        box.replace(switch, names)


@contextlib.contextmanager
def nobody_elses_lines_change():
    """In who and last, of one on the host and of another tenant, both on terminals as the one who ends."""
    others = [box.terminal(user) for user in ('carol', 'bob')]

    def lines():
        return {user: (lines_of(('who',), user), last(user)) for user in ('carol', 'bob')}
    before = lines()
    assert [len(in_who) for in_who, _ in before.values()] == [1, 1], before
    assert 'still logged in' in before['carol'][1][0], before
    yield
    assert lines() == before
    leave(*others)  # a tenant's lines in last come with his end
    host.wait_for('bob stands in last', lambda: len(last('bob')) == len(before['bob'][1]) + 1)
    host.wait_for('carol is out', lambda: 'still logged in' not in last('carol')[0])
    assert last('carol')[1:] == before['carol'][1][1:]


def test_logind_lists_a_tenant_and_its_verbs_work():
    with nobody_elses_lines_change():
        held = box.held('alice', 'setsid sleep 611 >/dev/null 2>&1 & exec cat', tty=True)
        number, = sessions('alice')
        shown = box.run('loginctl', 'show-session', number).out.splitlines()
        monitor = host.monitor_of(box.the_session('alice')['leader'])
        for line in ('Name=alice', 'State=active', 'Class=user', 'Service=sshd', 'Remote=yes', f'Leader={monitor}'):
            assert line in shown, (line, shown)
        scope = f'session-{number}.scope'
        assert scope in Path(f'/proc/{monitor}/cgroup').read_text()
        status = box.run('loginctl', '--no-pager', 'session-status', number).out
        assert 'alice' in status and scope in status, status
        box.run('loginctl', 'terminate-session', number)
        assert box.finish(held).rc != 0
        host.wait_for('her container is gone', lambda: not box.containers('alice') and not host.of_user('alice'))
        assert sessions('bob') and sessions('carol')


def test_loginctl_terminate_user_ends_all_of_him():
    """His runtime directory, which nothing tells systemd to stop where a user has no manager, may stay until
    he has been in once more."""
    held = box.held('alice', 'exec cat')
    box.run('loginctl', 'terminate-user', 'alice')
    assert box.finish(held).rc != 0
    host.wait_for('she is out', lambda: not box.containers('alice') and not host.of_user('alice'))
    host.wait_for('her session is closed', lambda: not sessions('alice'))
    assert box.ssh('alice', 'exit 3').rc == 3
    runtime = Path(f'/run/user/{uid("alice")}')
    host.wait_for('her runtime directory is gone', lambda: not runtime.exists(), 20)


def test_a_tenant_who_kills_his_parent_ends_nobody_else():
    with nobody_elses_lines_change():
        alice = box.terminal('alice')
        alice.send('kill -9 $PPID\n')
        assert alice.closed() != 0
        host.wait_for('her container is gone', lambda: not box.containers('alice') and not host.of_user('alice'))
        host.wait_for('she is out', lambda: not sessions('alice') and not lines_of(('who',), 'alice'))


def test_a_session_is_closed_at_once_for_logind():
    """No process of ours keeps it closing for as long as the container takes to end."""
    box.config(tenants={'TimeoutStopSec': '60'})
    box.out_of('alice', STUBBORN)
    host.wait_for('it retires', lambda: box.the_container('alice')['state'] == 'retiring')
    host.wait_for('it is closed', lambda: not sessions('alice'), 3)
    assert box.the_container('alice')['state'] == 'retiring'
    for pid in host.of_user('alice'):
        os.kill(pid, signal.SIGKILL)
