# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages on a stock Debian, from the installation to the purge. It is one story on one machine: each
test goes on where the one before it ended, and the first failure ends it."""
import os
import pwd
import re
from pathlib import Path

import pytest
import stock
from host import log_mark, log_since, tasks_max, wait_for
from stock import PLAIN, TENANT, USERS, apt, check, everybody_gets_in, install, run, ssh

MODULE = '/lib/x86_64-linux-gnu/security/pam_sessbox.so'
CONFIG, DROP_IN = Path('/etc/security/sessbox.conf'), Path('/etc/security/sessbox.d/tenants.conf')
SSHD = Path('/etc/pam.d/sshd')
ACCOUNT = Path('/etc/pam.d/common-account')
OTHER = Path('/etc/pam.d/other')
LINK, FAR = Path('/etc/pam.d/more'), Path('/srv/more')
BUSY = Path('/run/sessbox/busy')
HAND = 'account required pam_sessbox.so'
OURS = re.compile(r'.*\bpam_sessbox\.so')
WANTED = [f'/etc/systemd/system/multi-user.target.wants/sessbox-{unit}.service' for unit in ('monitor', 'tenants')]
TASKS = 40
CLASSES = f'''[tenants]
MatchUsers={TENANT}
Contain=yes
Home=private
AllowServices=sshd
TasksMax={TASKS}
'''
SEEN = {}


def home():
    return Path(f'/var/lib/sessbox/home/u{pwd.getpwnam(TENANT).pw_uid}')


def sessions():
    return check('sessctl', 'list', '--no-headings', '-o', 'user,id').split()[1::2]


def said(path):
    """The lines of a PAM file that say something; the examples are Debian 12's, whose sshd reads a file of the
    user's that Debian 13's does not."""
    return [' '.join(line.replace(' user_readenv=1', '').split()) for line in path.read_text().splitlines()
            if line.strip() and not line.startswith('#')]


def test_nothing_yet():
    stock.make_users()
    everybody_gets_in(contained=False)
    assert stock.traces() == []
    SEEN['before'] = stock.files()


def test_install():
    with stock.others_log_in():
        install(stock.RELEASE)
    assert [stock.state(package) for package in ('libpam-sessbox', 'sessctl')] == ['ii', 'ii']
    assert (unit_is('is-enabled'), unit_is('is-active')) == ('enabled', 'active')
    assert check('sessctl', '--version') == 'sessctl 0.1.0\n'
    assert Path(MODULE).exists()
    assert [path for path in stock.changes(SEEN['before'], stock.files()) if path.startswith('/etc/')] == [
        '/etc/security/sessbox.conf', str(DROP_IN.parent), *WANTED]
    assert check('systemctl', '--failed', '--no-legend') == ''


def unit_is(verb):
    return run('systemctl', verb, 'sessbox-tenants.service').out.strip()


def test_as_installed_nobody_is_contained():
    everybody_gets_in(contained=False)


def test_configure():
    """The example is Debian's file, with our lines."""
    example = stock.TREE / 'conf/pam.d/sshd.example'
    SEEN['sshd'] = SSHD.read_text()
    assert [line for line in said(example) if not OURS.match(line)] == said(SSHD)
    SSHD.write_text(example.read_text())
    DROP_IN.write_text(CLASSES)
    everybody_gets_in(contained=True)
    assert home().is_dir()
    stock.wait_for_nobody()


def process_one(user, *way):
    """What process 1 is to somebody who comes that way."""
    return run(*way, user, '-c', 'cat /proc/1/comm').out.strip()


def process_one_of_a_job():
    """The same, of jobs by the cron that runs."""
    files = {user: Path(home() if user == TENANT else pwd.getpwnam(user).pw_dir, 'from-cron') for user in USERS}
    for user in USERS:
        table = Path(f'/tmp/table-{user}')
        table.write_text('* * * * * cat /proc/1/comm >from-cron\n')
        check('crontab', '-u', user, table)
    try:
        wait_for('the jobs have run', lambda: all(path.exists() and path.read_text() for path in files.values()), 90)
        return {user: path.read_text().strip() for user, path in files.items()}
    finally:
        for user, path in files.items():
            check('crontab', '-u', user, '-r')
            path.unlink(missing_ok=True)


def test_enable_and_disable():
    """The files that Debian brings, by one command there and back; each line is where the examples have it."""
    SSHD.write_text(SEEN['sshd'])
    DROP_IN.write_text(CLASSES.replace('AllowServices=sshd\n', ''))
    paths = [Path('/etc/pam.d', name) for name in ('sshd', 'su', 'su-l', 'cron')]
    before = {path: path.read_bytes() for path in paths}
    inside = {user: 'sessbox-init' if user == TENANT else 'systemd' for user in USERS}

    out = check('sessctl', 'enable', 'sshd', 'su', 'cron')
    assert out.count('in a copy of this host a tenant was contained and root was not') == len(paths), out
    for path in paths:
        assert said(path) == said(stock.TREE / f'conf/pam.d/{path.name}.example')
    everybody_gets_in(contained=True)
    for way in (['su'], ['su', '-']):
        assert {user: process_one(user, *way) for user in USERS} == inside, way
    assert process_one_of_a_job() == inside
    stock.wait_for_nobody()

    check('sessctl', 'disable', 'sshd', 'su', 'cron')
    assert {path: path.read_bytes() for path in paths} == before
    everybody_gets_in(contained=False)
    check('sessctl', 'enable', 'sshd')
    DROP_IN.write_text(CLASSES)


def test_upgrade():
    """He who is in stays, and what he runs goes on; who comes joins him; his session is closed by the new
    programs, though its sshd has loaded the old module."""
    first = stock.Login(TENANT, 'first', terminal=True)
    second = stock.Login(TENANT, 'second')
    assert first.namespace == second.namespace
    monitors = monitors_with_module()
    assert len(monitors) == 2 and not any(monitors.values())
    before, holder, mark = sessions(), stock.holder(), log_mark()
    ticks = first.count(home())
    assert len(before) == 2

    with stock.others_log_in():
        install(stock.NEXT)
    assert stock.version('libpam-sessbox') == stock.version('sessctl') == '0.1.1-1'
    assert check('sessctl', '--version') == 'sessctl 0.1.1\n'

    assert stock.holder() == holder
    assert sessions() == before
    assert first.goes_on() and second.goes_on()
    wait_for('a command goes on', lambda: first.count(home()) > ticks + 2)
    assert {pid: gone for pid, gone in monitors_with_module().items() if pid in monitors} == dict.fromkeys(monitors, True)

    assert tasks_max(TENANT) == TASKS
    forks = run(*ssh(TENANT, f'for i in $(seq {TASKS}); do sleep 30 & done; readlink /proc/self/ns/pid'))
    assert 'Resource temporarily unavailable' in forks.out
    joined = run(*ssh(TENANT, 'readlink /proc/self/ns/pid; pkill -x sleep')).out.split()
    assert joined[:1] == [first.namespace]

    everybody_gets_in(contained=True)
    first.end()
    wait_for('the old session is closed', lambda: sessions() == before[1:])
    assert second.goes_on()
    second.end()
    wait_for('and the other', lambda: sessions() == [])
    told = f'refused: TasksMax={TASKS} was used up'  # by the monitor, as it should be
    complaints = re.compile('sessbox.*(version|not contained|refused)')
    assert [line for line in log_since(mark) if complaints.search(line) and told not in line] == []
    stock.wait_for_nobody()


def monitors_with_module():
    """root's processes that have our module loaded, and whether its file is gone."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            ours = [line for line in Path('/proc', pid, 'maps').read_text().splitlines() if OURS.match(line)]
            if ours and Path('/proc', pid).stat().st_uid == 0:
                found[pid] = ours[0].endswith('(deleted)')
        except OSError:
            continue
    return found


def test_account_line_for_all_services():
    """The profile's line comes first, and is asked whatever the others jump over."""
    SEEN['account'] = ACCOUNT.read_text()
    check('pam-auth-update', '--package')
    assert ACCOUNT.read_text() == SEEN['account'], 'not by itself'
    check('pam-auth-update', '--enable', 'sessbox')
    assert said(ACCOUNT) == [
        'account required pam_sessbox.so',
        'account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so',
        'account requisite pam_deny.so',
        'account required pam_permit.so']
    everybody_gets_in(contained=True)
    assert run('su', '-c', 'id -un', TENANT).rc != 0
    assert run('su', '-c', 'id -un', PLAIN).out == f'{PLAIN}\n'
    assert run('su', '-c', 'id -un', 'root').out == 'root\n'
    stock.wait_for_nobody()


def written_by_hand(path, line, before=None):
    """A line more: at the end, or before what begins like that."""
    text = path.read_text() if path.exists() else ''
    at = text.index(before) if before else len(text)
    path.write_text(f'{text[:at]}{line}\n{text[at:]}')
    return path


def behind_a_link():
    LINK.symlink_to(written_by_hand(FAR, HAND))
    return LINK


def included_by_its_name():
    written_by_hand(LINK, f'@include {written_by_hand(FAR, HAND)}')
    return FAR


@pytest.mark.parametrize('by_hand', [
    lambda: written_by_hand(OTHER, HAND),
    lambda: written_by_hand(ACCOUNT, HAND),
    lambda: written_by_hand(ACCOUNT, HAND, before='account\trequisite'),
    behind_a_link,
    included_by_its_name,
], ids=['other', 'common', 'common, among its own', 'link', 'included'])
def test_removal_is_refused(by_hand):
    """A line for a module that is not there lets nobody in. Those that could be taken out stay, too."""
    kept = {path: path.read_text() for path in (ACCOUNT, OTHER)}
    named = by_hand()
    before = {path: path.read_text() for path in (SSHD, ACCOUNT, OTHER)}
    done = apt('remove', 'libpam-sessbox')
    after = {path: path.read_text() for path in before}
    for path, text in kept.items():
        path.write_text(text)
    for path in (LINK, FAR):
        path.unlink(missing_ok=True)
    assert done.rc != 0
    assert re.search(rf'libpam-sessbox stays.*\n.*\n\s+{named}$', done.out, re.M), done.out
    assert stock.state('libpam-sessbox') in ('ii', 'ri')
    assert after == before
    assert unit_is('is-active') == 'active'
    everybody_gets_in(contained=True)


def test_a_removal_that_cannot_end_puts_the_lines_back():
    """By then all of them have been taken out."""
    SSHD.write_text(SEEN['sshd'])
    check('sessctl', 'enable', 'sshd', '--no-proof')
    files = [SSHD, ACCOUNT]
    before = [(path.read_text(), path.stat().st_mode) for path in files]
    BUSY.mkdir()
    check('mount', '-t', 'tmpfs', 'busy', BUSY)
    try:
        done = apt('remove', 'libpam-sessbox')
    finally:
        check('umount', BUSY)
    assert done.rc != 0 and 'libpam-sessbox stays: its mounts' in done.out, done.out
    assert [(path.read_text(), path.stat().st_mode) for path in files] == before
    assert unit_is('is-active') == 'active'
    everybody_gets_in(contained=True)


def test_remove():
    """Tenants' logins end, our lines go, everybody gets in, the users' data stays."""
    tenant = stock.Login(TENANT, 'last')
    wait_for('he is at work', lambda: tenant.count(home()) > 2)
    SSHD.write_text(SEEN['sshd'])
    check('sessctl', 'enable', 'sshd', '--no-proof')
    with stock.others_log_in():
        done = apt('remove', 'libpam-sessbox', 'sessctl')
    assert done.rc == 0, done.out
    assert "users' data stays in /var/lib/sessbox" in done.out
    assert tenant.process.wait(60) == 255
    assert ACCOUNT.read_text() == SEEN['account'] and SSHD.read_text() == SEEN['sshd']
    assert stock.traces() == []
    left = [path for path in stock.changes(SEEN['before'], stock.files()) if not path.startswith('/var/lib/sessbox')]
    assert left == ['/etc/security/sessbox.conf', '/etc/security/sessbox.d', str(DROP_IN),
                    *WANTED,
                    *[path for path in left if path.startswith('/var/lib/systemd/deb-systemd-helper-')]]
    assert tenant.count(home()) > 2
    everybody_gets_in(contained=False)


def test_again():
    """The configuration was kept, and counts."""
    with stock.others_log_in():
        install(stock.NEXT)
    assert (unit_is('is-enabled'), unit_is('is-active')) == ('enabled', 'active')
    assert re.search(r'Contain\s+yes', check('sessctl', 'policy', TENANT))
    everybody_gets_in(contained=False)


def test_purge():
    with stock.others_log_in():
        done = apt('purge', 'libpam-sessbox', 'sessctl')
    assert done.rc == 0, done.out
    assert [stock.state(package) for package in ('libpam-sessbox', 'sessctl')] == [None, None]


def test_nothing_is_left():
    assert stock.traces() == []
    assert stock.changes(SEEN['before'], stock.files()) == []
    assert check('systemctl', '--failed', '--no-legend') == ''
    everybody_gets_in(contained=False)
