# SPDX-License-Identifier: LGPL-2.1-or-later
"""21. sessctl enable and disable: what they make of Debian's own files, the proof before, and what is
left when it fails or is killed."""
import contextlib
import functools
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import box
import host
from cases import case

PAM_DIR = Path('/etc/pam.d')
KEPT = Path('/var/lib/sessbox/pam.d')
SSHD_CONFIG = Path('/etc/ssh/sshd_config')
MODULE = next(Path('/lib').glob('*/security/pam_sessbox.so'))
SERVICES = ['sshd', 'su', 'su-l', 'runuser', 'runuser-l', 'login', 'cron', 'atd']
FAILED, USAGE, REFUSED = 1, 2, 4


@contextlib.contextmanager
def stock_files():
    """The machine's own files, without our lines, which are back afterwards."""
    box.replace(box.PAM, box.STATE['stack'])
    before = {name: (PAM_DIR / name).read_bytes() for name in SERVICES}
    try:
        yield before
    finally:
        for name, text in before.items():
            (PAM_DIR / name).unlink(missing_ok=True)
            (PAM_DIR / name).write_bytes(text)
        shutil.rmtree(KEPT, ignore_errors=True)


def with_stock(run):
    @functools.wraps(run)
    def wrapped():
        with stock_files() as before:
            run(before)
    return wrapped


def state_of(*services):
    """What changes when a file is written."""
    def of(path):
        seen = path.stat()
        return (seen.st_mode, seen.st_ino, seen.st_uid, seen.st_gid, seen.st_mtime_ns, seen.st_ctime_ns,
                path.read_bytes())
    return [of(PAM_DIR / name) for name in services]


def enable(*arguments, **options):
    return box.sessctl('enable', *arguments, **options)


def enabled(*services):
    """Unless this run is the one without our lines."""
    if box.STATE['contained']:
        done = enable(*services)
        assert done.rc == 0, done


def outside():
    return os.readlink('/proc/self/ns/pid')


def pid_namespace(user):
    return box.out_of(user, 'readlink /proc/self/ns/pid')


@contextlib.contextmanager
def mounted(source, target):
    box.run('mount', '--bind', str(source), str(target))
    try:
        yield
    finally:
        box.run('umount', '-l', str(target))


@contextlib.contextmanager
def sshd_config(change):
    """The host's own file, which the box's sshd does not read."""
    before = SSHD_CONFIG.read_text()
    try:
        SSHD_CONFIG.write_text(change(before))
        yield
    finally:
        SSHD_CONFIG.write_text(before)


# what comes of it

@case(21)
@with_stock
def enable_contains_sshd(before):
    enabled('sshd')
    assert pid_namespace('alice') != outside()
    assert pid_namespace('carol') == pid_namespace('root') == outside()
    assert (KEPT / 'sshd.before-enable').read_bytes() == before['sshd']
    bad = [row for row in box.answer_of('check')['findings']
           if row['check'] == 'services' and 'sshd' in row['what'] and row['severity'] != 'note']
    assert not bad, bad


@case(21, same_by_design=True)
@with_stock
def disable_gives_the_stock_session_back(before):
    if box.STATE['contained']:
        enabled('sshd')
        assert pid_namespace('alice') != outside()
        done = box.sessctl('disable', 'sshd')
        assert done.rc == 0, done
    assert (PAM_DIR / 'sshd').read_bytes() == before['sshd']
    assert pid_namespace('alice') == pid_namespace('root') == outside()


@case(21)
@with_stock
def enable_contains_su_and_runuser(before):
    enabled('su', 'runuser-l')
    for way in (['su'], ['su', '-'], ['runuser'], ['runuser', '-']):
        for user, inside in (('alice', True), ('carol', False), ('root', False)):
            seen = box.run(*way, user, '-c', 'readlink /proc/self/ns/pid').out.strip()
            assert (seen != outside()) == inside, (way, user, seen)


def services_here():
    """util-linux's login cannot be tried on a pts."""
    util_linux = b'util-linux' in Path('/usr/bin/login').read_bytes()
    return [name for name in SERVICES if not (util_linux and name == 'login')]


@case(21, same_by_design=True)
@with_stock
def all_services_come_and_go(before):
    """Each is proved by a login, and check is content; afterwards the files are what they were."""
    done = enable(*services_here())
    assert done.rc == 0 and done.out.count('enabled; in a copy') == len(services_here()), done
    bad = [row for row in box.answer_of('check')['findings']
           if row['check'] == 'services' and row['severity'] != 'note' and "'login'" not in row['what']]
    assert not bad, bad
    state = state_of(*SERVICES)
    again = enable(*services_here())
    assert again.rc == 0 and 'su: enabled already' in again.out and state_of(*SERVICES) == state, again
    done = box.sessctl('disable', '--all')
    assert done.rc == 0, done
    assert {name: (PAM_DIR / name).read_bytes() for name in SERVICES} == before


@case(21, same_by_design=True)
@with_stock
def a_files_mode_and_owner_stay(before):
    path = PAM_DIR / 'sshd'
    path.chmod(0o640)
    os.chown(path, 0, pwd.getpwnam('carol').pw_gid)
    try:
        assert enable('sshd', '--no-proof').rc == 0
        mode, _, _, _, uid, gid = path.stat()[:6]
        assert (mode & 0o7777, uid, gid) == (0o640, 0, pwd.getpwnam('carol').pw_gid)
    finally:
        path.chmod(0o644)
        os.chown(path, 0, 0)


@case(21, same_by_design=True)
@with_stock
def a_dry_run_shows_and_writes_nothing(before):
    state = state_of('su', 'su-l')
    done = enable('su', '--dry-run')
    assert done.rc == 0 and state_of('su', 'su-l') == state and not KEPT.exists(), done
    added = re.findall(r'^\+([^+].*)$', done.out, re.M)
    assert sorted(added) == sorted(['account required pam_sessbox.so', 'session required pam_sessbox.so close',
                                    'session required pam_sessbox.so open join=fork',
                                    'session required pam_sessbox.so close']), done
    assert enable('su', '--no-proof').rc == 0
    assert done.out == ''.join(
        box.run('diff', '-u', '--label', str(path), '--label', str(path), str(KEPT / f'{path.name}.before-enable'),
                str(path), check=False).out for path in (PAM_DIR / 'su', PAM_DIR / 'su-l'))
    state = state_of('su', 'su-l')
    assert enable('su').out == enable('su', '--dry-run').out == 'su: enabled already\n'
    shown = box.sessctl('disable', 'su', '--dry-run')
    assert shown.rc == 0 and state_of('su', 'su-l') == state, shown
    assert sorted(re.findall(r'^-([^-].*)$', shown.out, re.M)) == sorted(added)


# the proof

def assert_unchanged(done, state, status, *words):
    assert done.rc == status and state_of('sshd') == state, done
    assert all(word in done.err for word in words) and not KEPT.exists(), done


@case(21, same_by_design=True)
@with_stock
def a_broken_module_is_found_out(before):
    state = state_of('sshd')
    garbage = box.DIR / 'garbage'
    garbage.write_text('no module')
    with mounted(garbage, MODULE):
        done = enable('sshd')
    assert_unchanged(done, state, FAILED, 'sshd does not let root in')
    garbage.unlink()
    assert box.ssh('root').rc == 0


@case(21, same_by_design=True)
@with_stock
def a_helper_that_fails_is_found_out(before):
    state = state_of('sshd')
    with box.helper_does('#!/bin/sh\nexit 7\n'):
        done = enable('sshd')
    assert_unchanged(done, state, FAILED, 'sshd does not let a tenant in', 'helper')


@case(21, same_by_design=True)
@with_stock
def an_sshd_that_uses_no_pam_is_found_out(before):
    state = state_of('sshd')
    with sshd_config(lambda text: 'UsePAM no\n' + text):
        done = enable('sshd')
    assert_unchanged(done, state, FAILED, 'does not contain him')


@case(21, same_by_design=True)
@with_stock
def what_does_not_work_before_proves_nothing(before):
    state = state_of('sshd')
    with sshd_config(lambda text: text + '\nNonsense yes\n'):
        assert_unchanged(enable('sshd'), state, REFUSED, 'cannot be tried', 'Nonsense', '--no-proof')
    box.replace(PAM_DIR / 'sshd', 'account requisite pam_deny.so\n' + before['sshd'].decode())
    state = state_of('sshd')
    assert_unchanged(enable('sshd'), state, REFUSED, 'does not let root in here, with /etc/pam.d as it is')


@case(21, same_by_design=True)
@with_stock
def a_strict_sshd_is_proved_all_the_same(before):
    strict = '''
Port 22
ListenAddress 192.0.2.1
PermitRootLogin no
PubkeyAuthentication no
AllowUsers nobody
AllowGroups wheel
DenyUsers root
ForceCommand /bin/false
ChrootDirectory /srv
AuthenticationMethods publickey,password
'''
    with sshd_config(lambda text: strict + text):
        done = enable('sshd')
    assert done.rc == 0 and 'in a copy of this host a tenant was contained' in done.out, done


@case(21, same_by_design=True)
@with_stock
def where_no_namespace_can_be_made_it_has_to_be_asked_for(before):
    state = state_of('sshd')
    limited = ['capsh', '--drop=cap_sys_admin', '--', '-c']
    done = box.run(*limited, 'sessctl enable sshd', check=False)
    assert_unchanged(done, state, REFUSED, 'cannot be tried', 'Operation not permitted', '--no-proof')
    done = box.run(*limited, 'sessctl enable sshd --no-proof', check=False)
    assert done.rc == 0 and 'not proved' in done.out, done
    assert b'pam_sessbox.so open join=cred' in (PAM_DIR / 'sshd').read_bytes()


@case(21, same_by_design=True)
@with_stock
def the_proof_touches_nothing_of_the_hosts(before):
    """No user stays, no login is recorded, and jobs that wait for cron are not run."""
    watched = [Path(path) for path in ('/etc/passwd', '/etc/shadow', '/etc/group', '/var/log/wtmp',
                                       '/var/log/lastlog', '/etc/crontab') if Path(path).exists()]
    stamps = [path.stat().st_mtime_ns for path in watched]
    box.run('crontab', '-u', 'carol', '-', input='@reboot sleep 1000\n')
    try:
        process = subprocess.Popen(['sessctl', 'enable', 'sshd', 'cron'], stdout=subprocess.PIPE, text=True)
        seen = set()
        while process.poll() is None:
            seen |= set(host.of_user('carol'))
            time.sleep(0.01)
        assert process.returncode == 0 and not seen, (process.stdout.read(), seen)
        process.stdout.close()
    finally:
        box.run('crontab', '-u', 'carol', '-r')
    assert [path.stat().st_mtime_ns for path in watched] == stamps
    assert box.run('getent', 'passwd', 'sessbox-proof', check=False).rc != 0
    assert not box.sessions() and not Path('/home/sessbox-proof').exists()


# the middle of it

def processes(*names):
    return [pid for pid, (_, name, _) in host.processes().items() if name in names]


def copies():
    """What there is of a copy of the machine, while there is one."""
    return [d for d in host.cgroup_directories() if 'c-:replica' in d] + processes('sessbox-prove')


def kill_after(seconds, number):
    process = subprocess.Popen(['sessctl', 'enable', 'sshd'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(number)
    return process.wait()


@case(21, same_by_design=True)
@with_stock
def killed_in_the_middle_the_file_is_whole(before):
    others = set(processes('sessctl'))  # the monitor
    begin = time.monotonic()
    assert enable('sshd').rc == 0
    took = time.monotonic() - begin
    new = (PAM_DIR / 'sshd').read_bytes()
    for part in (0.02, 0.1, 0.3, 0.6, 0.9, 0.97, 1.0):
        assert box.sessctl('disable', 'sshd').rc == 0
        kill_after(part * took, signal.SIGKILL)
        assert (PAM_DIR / 'sshd').read_bytes() in (before['sshd'], new), part
        # Its first process has not become the script yet, or is among the last to go.
        host.wait_for('the copy is gone', lambda: set(processes('sessctl', 'sessbox-prove')) <= others)
    left = copies()
    done = box.sessctl('gc')
    assert done.rc == 0 and not copies() and ('a proof that was killed' in done.out) == bool(left), (done, left)


@case(21, same_by_design=True)
@with_stock
def interrupted_it_takes_the_copy_down(before):
    for number in (signal.SIGINT, signal.SIGTERM):
        state = state_of('sshd')
        process = subprocess.Popen(['sessctl', 'enable', 'sshd'])
        host.wait_for('the copy is there', lambda: processes('sessbox-prove'))
        process.send_signal(number)
        assert process.wait(20 * host.SLOW) == -number
        assert not copies() and state_of('sshd') == state and not KEPT.exists()


@case(21, same_by_design=True)
@with_stock
def a_proof_that_is_killed_proves_nothing(before):
    state = state_of('sshd')
    process = subprocess.Popen(['sessctl', 'enable', 'sshd'], stderr=subprocess.PIPE, text=True)
    for pid in host.wait_for('the copy is there', lambda: processes('sessbox-prove')):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, error = process.communicate(timeout=20 * host.SLOW)
    assert_unchanged(box.Result(process.returncode, '', error), state, REFUSED, 'cannot be tried')
    assert not copies()


@contextlib.contextmanager
def full(directory):
    """The same files, on a disk that has no room for another."""
    copy = box.DIR / 'full'
    copy.mkdir()
    box.run('mount', '-t', 'tmpfs', '-o', 'nr_inodes=200,mode=700', 'full', str(copy))
    try:
        box.run('cp', '-a', f'{directory}/.', str(copy))
        with contextlib.suppress(OSError):
            for number in range(200):
                (copy / f'filler-{number}').touch()
        copy.chmod(directory.stat().st_mode & 0o7777)
        with mounted(copy, directory):
            yield
    finally:
        box.run('umount', str(copy))
        copy.rmdir()


@case(21, same_by_design=True)
@with_stock
def on_a_full_disk_the_file_stays(before):
    KEPT.mkdir(0o700, parents=True)
    for directory in (KEPT, PAM_DIR):
        with full(directory):
            state, names = state_of('sshd'), sorted(os.listdir(PAM_DIR))
            done = enable('sshd', '--no-proof')
            assert done.rc == FAILED and 'No space left' in done.err, done
            assert state_of('sshd') == state and sorted(os.listdir(PAM_DIR)) == names
    assert enable('sshd', '--no-proof').rc == 0


@case(21, same_by_design=True)
@with_stock
def one_at_a_time(before):
    process = subprocess.Popen(['sessctl', 'enable', 'sshd'], stdout=subprocess.DEVNULL)
    host.wait_for('the copy is there', copies)
    done = enable('su', '--no-proof')
    assert done.rc == FAILED and 'another sessctl' in done.err, done
    assert process.wait() == 0


# what is refused

@case(21, same_by_design=True)
@with_stock
def what_is_not_understood_is_refused(before):
    sshd = before['sshd'].decode()
    path = PAM_DIR / 'sshd'
    for text, why in ((sshd.replace('@include common-auth', 'auth sufficient pam_x.so\n@include common-auth'),
                       'can go round the auth line'),
                      (sshd + '\nsession required pam_sessbox.so open join=cred\n', 'others are not'),
                      (sshd + '\n@include sshd\n', 'deep'),
                      (sshd + '\nsession requird pam_x.so\n', 'is no control')):
        box.replace(path, text)
        done = enable('sshd')
        assert done.rc == FAILED and why in done.err and path.read_text() == text, done
    path.unlink()
    (PAM_DIR / 'sshd.real').write_text(sshd)
    path.symlink_to('sshd.real')
    try:
        done = enable('sshd')
        assert done.rc == FAILED and 'symbolic link' in done.err and path.is_symlink(), done
    finally:
        path.unlink()
        (PAM_DIR / 'sshd.real').unlink()
    done = enable('sshd')
    assert done.rc == FAILED and 'there is no /etc/pam.d/sshd' in done.err, done


@case(21, same_by_design=True)
@with_stock
def sudo_and_unknown_services_are_refused(before):
    sudo = (PAM_DIR / 'sudo').read_bytes()
    for name, status, why in (('sudo', FAILED, 'never contained'), ('sudo-i', FAILED, 'never contained'),
                              ('vsftpd', USAGE, 'there are: sshd su'), ('../sshd', USAGE, 'there are: ')):
        done = enable('sshd', name)
        assert done.rc == status and why in done.err, done
    assert (PAM_DIR / 'sudo').read_bytes() == sudo and (PAM_DIR / 'sshd').read_bytes() == before['sshd']
    assert enable().rc == USAGE


@case(21, same_by_design=True)
@with_stock
def a_broken_host_is_not_enabled(before):
    """Lines would keep people out there, administrators among them."""
    state = state_of('sshd')
    box.replace(box.CONFIG, '[tenants]\nNonsense=yes\n')
    assert_unchanged(enable('sshd', '--no-proof'), state, FAILED, 'nothing is enabled', 'Nonsense')
    box.config()
    moved = box.DIR / 'module'
    shutil.move(MODULE, moved)
    try:
        assert_unchanged(enable('sshd', '--no-proof'), state, FAILED, 'nothing is enabled', 'refuses everybody')
    finally:
        shutil.move(moved, MODULE)


@case(21, same_by_design=True)
@with_stock
def disable_works_when_the_module_is_gone(before):
    assert enable('sshd', '--no-proof').rc == 0
    moved = box.DIR / 'module'
    shutil.move(MODULE, moved)
    try:
        assert box.ssh('root').rc != 0, 'a line without its module refuses everybody'
        done = box.sessctl('disable', 'sshd')
        assert done.rc == 0, done
        assert box.ssh('root').rc == 0
    finally:
        shutil.move(moved, MODULE)
    assert (PAM_DIR / 'sshd').read_bytes() == before['sshd']


@case(21, same_by_design=True)
@with_stock
def a_service_left_out_is_named(before):
    box.config(tenants={'AllowServices': 'sshd'})
    done = enable('su', '--no-proof')
    assert done.rc == 0 and "AllowServices= leaves 'su' out" in done.err, done
