# SPDX-License-Identifier: LGPL-2.1-or-later
"""19. Who gets what: matching over real logins, odd names, containers that are out of date, and a
directory that does not answer."""
import contextlib
import fcntl
import glob
import grp
import os
import pwd
import shutil
import time
from pathlib import Path

import box
import host
from cases import case
from closed import enters, refused

HALF_IS_DOWN = '/run/sessbox-half-is-down'


def contained(user):
    mine = box.out_of(user, 'readlink /proc/self/ns/pid')
    return mine != host.namespace('self', 'pid')


# matching

@case(19)
def users_groups_and_uids_match():
    box.config(tenants={'MatchGroups': 'docker', 'Contain': 'no'}, user={'MatchUsers': 'alice', 'Contain': 'yes'},
               numbers={'MatchUIDs': '3002 3004-3006', 'Contain': 'yes'},
               members={'MatchGroups': 'project', 'MatchUsers': '!alice', 'Contain': 'yes'})
    # alice by her name, though a group of hers says no; carol by her group
    assert [contained(u) for u in ('alice', 'bob', 't00', 't02', 't03', 'carol')] == [True] * 4 + [False, True]


@case(19)
def who_is_excluded_is_out_whatever_else_matches():
    box.config(tenants={'MatchUsers': '!bob', 'MatchUIDs': '!3005'})
    assert [contained(u) for u in ('alice', 'bob', 't01')] == [True, False, False]
    box.config(tenants={'MatchGroups': 'tenants !docker'})
    assert [contained(u) for u in ('alice', 'bob')] == [False, True]


@case(19)
def services_match():
    box.config(tenants={}, here={'MatchUsers': 'alice', 'MatchServices': 'sshd', 'NoNewPrivileges': 'no'},
               there={'MatchUsers': 'bob', 'MatchServices': 'su', 'NoNewPrivileges': 'no'},
               others={'MatchUsers': 't00', 'MatchServices': '!sshd', 'NoNewPrivileges': 'no'})
    flags = [box.out_of(u, 'grep NoNewPrivs /proc/self/status').split()[1] for u in ('alice', 'bob', 't00')]
    assert flags == ['0', '1', '1'], flags


@case(19)
def lists_are_replaced_or_appended_to():
    with box.host_file('/mnt/one'), box.host_file('/mnt/two'):
        box.config(tenants={'BindPaths': '/mnt/one'}, plus={'MatchUsers': 'alice', 'BindPaths+': '/mnt/two'},
                   instead={'MatchUsers': 'bob', 'BindPaths': '/mnt/two'})
        assert box.out_of('alice', 'ls /mnt').split() == ['one', 'two']
        assert box.out_of('bob', 'ls /mnt').split() == ['two']
        said = {v['key']: v for v in box.answer('policy', 'alice')['policy']}['BindPaths']
        assert said['value'] == '/mnt/one /mnt/two' and 'extended' in said['overrode'][0], said


# names

ODD = {'ann smith': 3150, 'joe@example.org': 3151}


@contextlib.contextmanager
def odd_users():
    """Names that useradd does not make, and directories do."""
    files = {name: Path('/etc', name).read_text() for name in ('passwd', 'group', 'shadow')}
    try:
        for name, uid in ODD.items():
            home = Path('/home', name)
            home.mkdir(exist_ok=True)
            os.chown(home, uid, uid)
            append('passwd', f'{name}:x:{uid}:{uid}::{home}:/bin/bash')
            append('group', f'{name}:x:{uid}:')
            append('shadow', f'{name}:*:19000:0:99999:7:::')
            (box.DIR / 'keys' / name).write_text((box.DIR / 'key.pub').read_text())
        yield
    finally:
        for name, text in files.items():
            Path('/etc', name).write_text(text)
        for name in ODD:
            shutil.rmtree(f'/home/{name}', ignore_errors=True)


def append(name, line):
    with Path('/etc', name).open('a') as file:
        file.write(line + '\n')


@case(19)
def names_with_a_blank_and_with_an_at_sign():
    box.config(tenants={'MatchUsers': r'ann\x20smith joe@example.org', 'TasksMax': '50'})
    with odd_users():
        for name, uid in ODD.items():
            with box.session(name) as run:
                assert run('id -un').out == f'{name}\n' and run('cat /proc/self/cgroup').out.endswith('/\n')
                assert box.the_session(name)['uid'] == uid and box.the_session(name)['class'] == 'tenants'
                assert box.sessctl('limit', name, 'TasksMax=60', '--runtime').rc == 0
                assert box.answer('show', name)['user'] == name
                shown = box.sessctl('list', '--no-headings', '-o', 'user,uid').out
                assert shown == f'{name} {uid}\n'.replace('ann smith', r'ann\x20smith'), shown
                assert run('sessctl list --no-headings -o uid').out == f'{uid}\n'
            box.config(tenants={'MatchUsers': r'ann\x20smith joe@example.org', 'TasksMax': '50'})
        with box.session('alice'):
            assert box.the_session('alice')['class'] == 'tenants'
        host.wait_for('they are out', lambda: not box.containers())


# out of date

@case(19)
def a_container_that_is_out_of_date_is_joined_and_gets_its_limits():
    box.config(tenants={'TasksMax': '50', 'Hostname': 'old'})
    with box.session('alice') as alice:
        before = box.the_container('alice')
        assert before['stale'] is False and host.tasks_max('alice') == 50
        box.config(tenants={'TasksMax': '70', 'Hostname': 'new'})
        assert box.the_container('alice')['stale'] is True and host.tasks_max('alice') == 50
        assert 'yes' in box.sessctl('list', '--containers', '--no-headings', '-o', 'stale').out
        assert box.out_of('alice', 'hostname') == 'old'  # the key of a container waits
        after = box.the_container('alice')
        assert after['init'] == before['init'] and after['stale'] is True
        assert host.tasks_max('alice') == 70  # that of a limit does not
        assert alice('hostname').out == 'old\n'
        box.config(tenants={'TasksMax': '70', 'Hostname': 'old'})
        assert box.the_container('alice')['stale'] is False
        box.config(tenants={'TasksMax': '70', 'Hostname': 'new'})
    host.wait_for('alice is out', lambda: not box.containers('alice'))
    with box.session('alice') as alice:
        assert alice('hostname').out == 'new\n' and box.the_container('alice')['stale'] is False


# a directory that does not answer

@contextlib.contextmanager
def directory(name, databases, colon=':'):
    """A source of accounts of tests/lib besides the files, and systemd's, which fails without systemd."""
    library = Path(glob.glob('/lib/*/libnss_files.so.2')[0]).with_name(f'libnss_{name}.so.2')
    switch = Path('/etc/nsswitch.conf')
    text = switch.read_text()
    lines = [line for line in text.splitlines() if line.split(':')[0] not in ('initgroups', *databases)]
    shutil.copy(box.TREE / f'build/test/libnss_{name}.so.2', library)
    box.replace(switch, '\n'.join([*lines, *(f'{base}{colon.format(base=base)} files systemd {name}' for base in databases)]) + '\n')
    try:
        yield
    finally:
        box.replace(switch, text)
        library.unlink()


def account(user):
    """The account phase of sshd's stack, in a program that asks for no groups itself."""
    begin = time.monotonic()
    done = box.run('pamtester', 'sshd', user, 'acct_mgmt', check=False, timeout=60 * host.SLOW)
    return done.rc, time.monotonic() - begin


@case(19)
def a_directory_that_hangs_refuses_no_local_admin():
    box.config(tenants={'TimeoutSec': '10'}, admins={'MatchUsers': 'carol', 'Contain': 'no'},
               more={'MatchGroups': 'students', 'Contain': 'yes'})
    with directory('hang', ['group']):
        for user in ('carol', 'root'):
            rc, seconds = account(user)
            assert rc == 0 and seconds < 8 * host.SLOW, (user, rc, seconds)
        # Who cannot be judged without it is refused before it answers: a minute for each question.
        rc, seconds = account('bob')
        assert rc != 0 and seconds < 12 + 8 * host.SLOW, (rc, seconds)
    assert account('carol')[0] == 0


@contextlib.contextmanager
def half(colon=':'):
    """Two users whom a directory knows and /etc does not. Their group's members are not listed with it."""
    for user, uid in (('dora', 3150), ('nora', 950)):
        home = Path('/home', user)
        home.mkdir(exist_ok=True)
        os.chown(home, uid, 100)
        (box.DIR / 'keys' / user).write_text((box.DIR / 'key.pub').read_text())
    with directory('half', ['passwd', 'group'], colon):
        yield


@case(19)
def a_source_of_groups_that_fails_says_no_no():
    """libc passes over it, and what it knows of the user's groups without it reads as all of them. But one
    that has neither user nor group may fail."""
    box.config(pupils={'MatchGroups': 'pupils', 'Contain': 'yes', 'Hostname': 'pupil'},
               others={'MatchGroups': 'project', 'TasksMax': '50'})
    with half():
        assert box.out_of('dora', 'hostname') == 'pupil'
        assert grp.getgrnam('pupils').gr_mem == []
        host.wait_for('dora is out', lambda: not box.containers('dora'))
        mark = host.log_mark()
        with box.host_file(HALF_IS_DOWN):
            assert os.getgrouplist('dora', 100) == [100]
            refused('dora')
            host.log_has(mark, "sessbox.*'dora' is in group 'pupils': Host is down")
            refused('nora')  # a low uid is the host's own account only in /etc/passwd
            enters('root', 'svc')
        assert box.out_of('dora', 'hostname') == 'pupil'
        host.wait_for('dora is out', lambda: not box.containers('dora'))
        with box.helper_does('', mode=0o644):
            refused('nora')
            enters('root', 'svc')
    # Nobody who has an account and all his groups here waits for it.
    box.config()
    with directory('half', ['group']), box.host_file(HALF_IS_DOWN):
        enters('root', 'carol')
        assert box.out_of('alice', 'hostname') == 'alice-box'


@case(19)
def a_source_is_found_as_libc_finds_it():
    """A blank is as good as the colon, and of two lines the last one counts."""
    box.config(pupils={'MatchGroups': 'pupils', 'Contain': 'yes'})
    for colon in (' :', ' ', ': files\n{base}:'):
        with half(colon), box.host_file(HALF_IS_DOWN):
            refused('dora')


def is_free(lock):
    with contextlib.suppress(BlockingIOError), open(lock, 'rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@case(19)
def who_sets_or_ends_limits_keeps_no_login_waiting_for_a_directory():
    """He asks first, and takes his lock afterwards."""
    with box.session('alice'):
        assert box.the_session('alice') and is_free(host.RUN / 'u3001/lock')
        box.config(more={'MatchGroups': 'students', 'Contain': 'yes'})
        for arguments in (['gc'], ['limit', 'alice', 'TasksMax=50']):
            with directory('hang', ['group']):
                asking = box.client(['sessctl', *arguments])
                maps = Path(f'/proc/{asking.pid}/maps')
                host.wait_for('it asks', lambda: 'libnss_hang' in maps.read_text())
                for _ in range(10):
                    time.sleep(0.1)
                    assert is_free(host.RUN / 'u3001/lock')
                assert asking.poll() is None  # it still asks
                box.stop(asking)


@case(19)
def a_local_group_decides_before_a_directory_is_asked():
    box.config(tenants={'TimeoutSec': '10'}, more={'MatchGroups': 'students', 'Contain': 'yes'},
               admins={'MatchGroups': 'students project', 'Contain': 'no'})
    with directory('hang', ['group']):
        rc, seconds = account('carol')
        assert rc == 0 and seconds < 8 * host.SLOW, (rc, seconds)
        mark = host.log_mark()
        rc, seconds = account('bob')
        assert rc != 0 and 10 <= seconds < 10 + 8 * host.SLOW, (rc, seconds)
        host.log_has(mark, "sessbox.*'bob'.*no source of groups answered .* within 10 s")


# the condition of user@.service

def manager(number):
    return box.run(str(host.HELPER), 'manager', str(number), check=False).rc == 0


def managers(*users):
    """Who of them may have a manager of systemd's."""
    return {user for user in users if manager(pwd.getpwnam(user).pw_uid)}


EVERYBODY = ('root', 'svc', 'carol', 'bob', 'alice')


@case(19, same_by_design=True)
def who_is_a_tenant_may_have_no_user_manager():
    assert managers(*EVERYBODY) == {'root', 'svc', 'carol'}
    box.config(tenants={'MatchUsers': '!bob', 'MatchUIDs': f'{pwd.getpwnam("svc").pw_uid}'})
    assert managers(*EVERYBODY) == {'root', 'carol', 'bob'}
    # A tenant of one service alone: what he leaves in his home there would run outside.
    box.config(tenants={'Contain': 'no'}, jobs={'MatchUsers': 'alice', 'MatchServices': 'cron', 'Contain': 'yes'})
    assert managers(*EVERYBODY) == {'root', 'svc', 'carol', 'bob'}
    for number in (4321, 321, '', 'alice', '-1', '4294967295', '3001x'):
        assert not manager(number), number


@case(19, same_by_design=True)
def who_cannot_be_judged_may_have_no_user_manager():
    assert managers('carol', 'alice') == {'carol'}
    box.replace(box.CONFIG, '[tenants]\nTasksMaximum=7\n')
    assert managers(*EVERYBODY) == {'root', 'svc', 'carol'}  # by the last good configuration
    Path('/var/lib/sessbox/last-good').unlink()
    assert managers(*EVERYBODY) == {'root', 'svc'}
    box.config(pupils={'MatchGroups': 'pupils', 'Contain': 'yes'}, admins={'MatchUsers': 'carol', 'Contain': 'no'})
    with half():
        assert managers('carol', 'dora', 'nora') == {'carol'}  # both are pupils
        with box.host_file(HALF_IS_DOWN):
            assert managers('root', 'svc', 'carol', 'dora', 'nora') == {'root', 'svc', 'carol'}
    box.config(tenants={'TimeoutSec': '10'}, more={'MatchGroups': 'students', 'Contain': 'yes'})
    with directory('hang', ['group']):
        for users, allowed in (('root', {'root'}), ('svc', {'svc'}), ('bob', set())):
            start = time.monotonic()
            assert managers(users) == allowed
            assert time.monotonic() - start < 12 + 8 * host.SLOW
