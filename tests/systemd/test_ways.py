# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways onto the host that systemd opens. Each is first shown open without us, and then shut. cron, at, su
and runuser have theirs in tests/integration."""
import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import box
import host
from services import FORK, in_place, lines_in
from units import DROP_IN, RUNTIME, is_active, manager_of, out, outside, systemctl, uid, without_our_condition

HOLE = '''[Service]
ExecStart=/bin/sh -c 'readlink /proc/self/ns/mnt >%h/hole.new; mv %h/hole.new %h/hole; exec sleep 600'
'''


@contextlib.contextmanager
def planted(*users):
    """A unit in the home that the user's manager would start by itself."""
    try:
        for user in users:
            place = box.home(user) / '.config/systemd/user'
            wants = place / 'default.target.wants'
            wants.mkdir(parents=True)
            (place / 'hole.service').write_text(HOLE)
            (wants / 'hole.service').symlink_to('../hole.service')
            box.run('chown', '-R', user, str(box.home(user) / '.config'))
        yield
    finally:
        out(*users)
        for user in users:
            shutil.rmtree(box.home(user) / '.config')
            (box.home(user) / 'hole').unlink(missing_ok=True)


def ran(user):
    """On the host, by the user's manager."""
    file = box.home(user) / 'hole'
    return file.exists() and file.read_text().strip() == outside()


# the user manager

def test_a_unit_in_a_tenants_home_does_not_run():
    with planted('alice'), without_our_condition(), box.session('alice'):
        host.wait_for('the hole is open', lambda: ran('alice'))
        assert is_active(manager_of('alice'))
    with planted('alice', 'carol'):
        with box.session('alice') as alice, box.session('carol'):
            host.wait_for("carol's runs", lambda: ran('carol'))
            assert is_active(manager_of('carol'))
            assert not is_active(manager_of('alice')) and not ran('alice')
            assert alice('echo in').out == 'in\n'
            assert not systemctl('is-failed', manager_of('alice'), check=False).out.startswith('failed')


def test_lingering_starts_nothing():
    with planted('alice'), without_our_condition():
        box.run('loginctl', 'enable-linger', 'alice')
        host.wait_for('the hole is open', lambda: ran('alice'))
    with planted('alice', 'carol'):
        for user in ('alice', 'carol'):
            box.run('loginctl', 'enable-linger', user)
        host.wait_for("carol's runs", lambda: ran('carol'))
        systemctl('start', manager_of('alice'))  # succeeds, and starts nothing
        assert not is_active(manager_of('alice')) and not ran('alice')


def started(*users):
    """Who of them gets a manager."""
    for user in users:
        systemctl('start', manager_of(user), check=False)
    active = {user for user in users if is_active(manager_of(user))}
    out(*users)
    return active


def test_who_cannot_be_judged_gets_no_manager():
    everybody = ('root', 'svc', 'carol', 'alice')
    assert started(*everybody) == {'root', 'svc', 'carol'}
    # The last good configuration knows who is a tenant; without one nobody does.
    box.replace(box.CONFIG, '[tenants]\nTasksMaximum=7\n')
    assert started('carol', 'alice') == {'carol'}
    Path('/var/lib/sessbox/last-good').unlink()
    assert started(*everybody) == {'root', 'svc'}


def test_without_our_program_nobody_gets_a_manager():
    """A condition that cannot be asked is not met. So the drop-in goes before the program does."""
    away = host.HELPER.with_name('away')
    host.HELPER.rename(away)
    try:
        assert started('root', 'carol') == set()
    finally:
        away.rename(host.HELPER)
    assert started('root', 'carol') == {'root', 'carol'}


def test_check_knows_whether_managers_are_guarded():
    def said():
        return [row['what'] for row in box.answer_of('check')['findings'] if 'user@' in row['what'] or
                'systemd-user' in row['what']]
    assert not said()
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.symlink_to('/dev/null')
    try:
        assert len(said()) == 2, said()
    finally:
        DROP_IN.unlink()


# what a session talks to

ASK = {
    'systemd-run --user': 'systemd-run --user --quiet --pipe --wait readlink /proc/self/ns/mnt',
    'the system bus': 'busctl --system --no-pager list >/dev/null && readlink /proc/self/ns/mnt',
    'systemctl': 'systemctl --no-pager list-units >/dev/null && readlink /proc/self/ns/mnt',
    'loginctl': 'loginctl --no-pager list-sessions >/dev/null && readlink /proc/self/ns/mnt',
}


def test_no_manager_and_no_bus_answers_inside():
    box.begin(False)
    with without_our_condition(), box.session('alice') as alice:
        for way, command in ASK.items():
            assert alice(command).out.strip() == outside(), way
    out('alice')
    box.begin(True)
    with box.session('alice') as alice:
        for way, command in ASK.items():
            done = alice(command)
            assert done.rc != 0 and not done.out, (way, done)
        for path in ('/run/dbus', '/run/systemd', f'/run/user/{uid("alice")}/bus', '/var/run/dbus'):
            assert alice(f'test -e {path}').rc != 0, path
        assert alice('echo ${DBUS_SESSION_BUS_ADDRESS-unset}').out == 'unset\n'


SOCKET = '''[Socket]
ListenStream=/run/sessbox-hole.socket
SocketGroup=docker
SocketMode=0660
Accept=yes
'''
SERVICE = '[Service]\nExecStart=/bin/sh\nStandardInput=socket\nStandardOutput=socket\nStandardError=null\n'
CONNECT = '''python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/run/sessbox-hole.socket')
s.sendall(b'id -u\\n')
s.shutdown(1)
print(s.recv(10).decode().strip())"'''


@contextlib.contextmanager
def roots_shell_for_a_group():
    """What the socket of a container engine comes to; alice is in its group."""
    (RUNTIME / 'sessbox-hole.socket').write_text(SOCKET)
    (RUNTIME / 'sessbox-hole@.service').write_text(SERVICE)
    systemctl('daemon-reload')
    systemctl('start', 'sessbox-hole.socket')
    try:
        yield
    finally:
        systemctl('stop', 'sessbox-hole.socket')
        (RUNTIME / 'sessbox-hole.socket').unlink()
        (RUNTIME / 'sessbox-hole@.service').unlink()
        systemctl('daemon-reload')


def test_a_socket_for_a_powerful_group_is_out_of_reach():
    with roots_shell_for_a_group():
        box.begin(False)
        assert box.out_of('alice', CONNECT) == '0'
        out('alice')
        box.begin(True)
        assert box.ssh('alice', CONNECT).rc != 0
        # Shown to him, it is still the group's, in which he is not any more.
        box.config(tenants={'BindPaths': '/run/sessbox-hole.socket'})
        shown = box.ssh('alice', f'ls /run/sessbox-hole.socket && {CONNECT}')
        assert '/run/sessbox-hole.socket' in shown.out and 'PermissionError' in shown.err, shown


ABSTRACT = '''python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect(chr(0) + 'sessbox-abstract')
print('reached')"'''


def test_abstract_sockets_are_open_by_policy_and_shut_by_a_network_of_his_own():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind('\0sessbox-abstract')
        listener.listen()
        assert box.out_of('alice', ABSTRACT) == 'reached'
        said = [row['what'] for row in box.answer_of('check')['findings'] if 'abstract' in row['what']]
        assert len(said) == 1, said
        box.config(tenants={'PrivateNetwork': 'yes'})
        host.wait_for('alice is out', lambda: not box.containers('alice'))
        with box.session('alice') as alice:
            shut = alice(ABSTRACT)
            assert 'ConnectionRefusedError' in shut.err and alice('echo on').out == 'on\n', shut
        assert not [row for row in box.answer_of('check')['findings'] if 'abstract' in row['what']]


# root's ways to a tenant's process

def by_machinectl(user):
    """It wants a terminal, and says itself what goes on."""
    return box.run('script', '-qec', f'machinectl -q shell {user}@.host /usr/bin/readlink /proc/self/ns/mnt', '/dev/null',
                   stdin=subprocess.DEVNULL, check=False).out


def by_unit(user):
    """What that is, with its status."""
    return box.run('systemd-run', '--quiet', '--pipe', '--wait', f'--uid={user}', '-p', 'PAMName=login',
                   'readlink', '/proc/self/ns/mnt', check=False)


def test_a_shell_by_machinectl_is_refused():
    """It is a unit with login's PAM stack, run by systemd; only login's own program can be taken in."""
    assert outside() in by_machinectl('alice') and by_unit('alice').out.strip() == outside()
    out('alice')
    with lines_in('login', lines=FORK):
        mark = host.log_mark()
        assert 'mnt:' not in by_machinectl('alice')
        host.log_has(mark, "pam_sessbox.*the program is not this service's own")
        done = by_unit('alice')
        assert done.rc != 0 and not done.out, done
        assert outside() in by_machinectl('carol') and by_unit('carol').out.strip() == outside()
    out('alice', 'carol')


def with_his_environment(contained):
    """sshd's PAM file has pam_env read ~/.pam_environment, as Debian 12's does and Debian 13's does not."""
    box.begin(contained)
    text = box.PAM.read_text()
    if 'user_readenv=1' not in text:
        box.replace(box.PAM, text.replace('pam_env.so', 'pam_env.so user_readenv=1', 1))


def test_what_pam_environment_sets_stays_inside():
    """Read by pam_env on the host, as the user; what it sets runs his programs where he is."""
    home, found = box.home('alice'), box.home('alice') / 'found'
    (home / '.pam_environment').write_text('BASH_ENV DEFAULT=/home/alice/evil\nLD_LIBRARY_PATH DEFAULT=/home/alice\n'
                                           'XDG_RUNTIME_DIR DEFAULT=/run\nDBUS_SESSION_BUS_ADDRESS DEFAULT=x\n')
    (home / 'evil').write_text('readlink /proc/self/ns/mnt >>/home/alice/found\n')
    # Not the last command: in place of sshd's own shell bash would read .bashrc instead.
    told = 'bash -c "echo $XDG_RUNTIME_DIR ${DBUS_SESSION_BUS_ADDRESS-unset}"; true'
    try:
        with_his_environment(False)
        box.out_of('alice', told)
        assert outside() in found.read_text().split()
        found.unlink()
        with_his_environment(True)
        assert box.out_of('alice', told) == f'/run/user/{uid("alice")} unset'
        spaces = set(found.read_text().split())
        assert spaces and outside() not in spaces, spaces
    finally:
        out('alice')
        for name in ('.pam_environment', 'evil', 'found'):
            (home / name).unlink(missing_ok=True)


@pytest.mark.parametrize('service', ['systemd-user', 'other'])
def test_the_account_line_alone_refuses(service):
    """The second lock on the same door: a tenant's manager without our condition."""
    file = Path('/etc/pam.d') / service
    before = file.read_text() if file.exists() else Path('/usr/lib/pam.d', service).read_text()
    there = file.exists()
    argv = ['systemd-run', '--quiet', '--pipe', '--wait', '--uid=alice', '-p', f'PAMName={service}', 'echo', 'ran']
    assert box.run(*argv).out == 'ran\n'
    out('alice')
    try:
        box.replace(file, in_place(before, {'account': FORK['account']}))
        done = box.run(*argv, check=False)
        assert done.rc != 0 and not done.out, done
    finally:
        if there:
            box.replace(file, before)
        else:
            file.unlink()
    out('alice')
