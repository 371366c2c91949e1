# SPDX-License-Identifier: LGPL-2.1-or-later
"""25. Programs that run on the host for a tenant (ProxyCommands=): what they do, what they get, and who
may not have them."""
import contextlib
import fcntl
import functools
import os
import pwd
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import bounds
import box
import host
import roots
import services
from cases import case

SOCKET = host.RUN / 'proxy/socket'
HELPER_COMM = 'sessbox-helper'
AWAY = SOCKET.with_name('away')
COMMANDS = 'crontab at passwd quota'
QUOTA = Path('/usr/bin/quota')
ALONE = 'it runs for processes of a contained login alone'


# the broker

class Activation(threading.Thread):
    """What systemd does for sessbox-proxy.socket: listens, and starts the service when somebody comes."""

    def __init__(self):
        super().__init__(daemon=True)
        host.RUN.mkdir(exist_ok=True, mode=0o711)
        SOCKET.parent.mkdir(exist_ok=True, mode=0o711)
        SOCKET.unlink(missing_ok=True)
        AWAY.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(SOCKET))
        SOCKET.chmod(0o666)
        self.socket.listen(128)
        self.over = False
        self.process = None

    def run(self):
        while not self.over:
            if select.select([self.socket], [], [], 0.05)[0]:
                self.process = subprocess.Popen([str(host.HELPER), 'proxy'], stdin=self.socket)
                self.process.wait()

    def stop(self):
        self.over = True
        SOCKET.unlink(missing_ok=True)
        if self.process:
            self.process.terminate()
        self.join()
        self.socket.close()


@contextlib.contextmanager
def broker():
    if host.IN_VM:
        box.run('systemctl', 'start', 'sessbox-proxy.socket')
        try:
            yield
        finally:
            box.run('systemctl', 'stop', 'sessbox-proxy.socket', 'sessbox-proxy.service')
        return
    activation = Activation()
    activation.start()
    try:
        yield
    finally:
        activation.stop()


def brokers():
    """The pids of the one that listens, and of those that serve."""
    return sorted(pid for pid, (_, name, _) in host.processes().items() if name == HELPER_COMM and
                  b'\0proxy\0' in Path(f'/proc/{pid}/cmdline').read_bytes())


@contextlib.contextmanager
def nothing_left_behind():
    """No crontab and no job, whatever the case has done: without containment more of it succeeds."""
    try:
        yield
    finally:
        for user in ('alice', 'bob'):
            box.run('crontab', '-u', user, '-r', check=False)
        no_jobs()


def no_jobs():
    for job in box.run('atq', check=False).out.splitlines():
        box.run('atrm', job.split()[0], check=False)


def open_to(commands=COMMANDS):
    """For a case: tenants have these commands, cron and at contain, and the broker is there."""
    def wrap(run):
        @functools.wraps(run)
        def wrapped():
            box.config(tenants={'ProxyCommands': commands})
            with services.lines_in('cron', lines=services.CRED), services.lines_in('atd'), broker(), \
                    nothing_left_behind():
                return run()
        return wrapped
    return wrap


@contextlib.contextmanager
def quota_is(text):
    """A program of the test's in the place of a command, to see what a program is given."""
    before = QUOTA.read_bytes() if QUOTA.exists() else None
    box.replace(QUOTA, text, 0o755)
    try:
        yield
    finally:
        QUOTA.unlink()
        if before is not None:
            QUOTA.write_bytes(before)
            QUOTA.chmod(0o755)


def raw(*arguments):
    return box.script('rawproxy.py', *arguments)


def table_of(user):
    """The user's crontab as the host has it."""
    done = box.run('crontab', '-u', user, '-l', check=False)
    return done.out if done.rc == 0 else None


def group_of(user, controller='pids'):
    """The cgroup of what runs on the host for him."""
    base = next(b for b in host.bases() if host.unified() or controller in b.parent.name.split(','))
    return base / f'o{pwd.getpwnam(user).pw_uid}'


def running(user):
    """The pids of what runs on the host for him."""
    group = group_of(user)
    return [int(pid) for pid in (group / 'cgroup.procs').read_text().split()] if group.exists() else []


# crontab

@case(25, same_by_design=True)
@open_to()
def crontab_lists_installs_and_removes():
    mark = host.log_mark()
    with box.session('alice') as alice:
        assert alice('crontab -l').rc == 1
        assert 'no crontab for alice' in alice('crontab -l').err
        if box.STATE['contained']:
            host.log_has(mark, "'alice' runs crontab as process")
        done = alice('crontab -', stdin='# a table\n@yearly true\n')
        assert done.rc == 0, done
        assert '@yearly true' in table_of('alice')
        assert '@yearly true' in alice('crontab -l').out
        assert alice('crontab -r').rc == 0
        assert table_of('alice') is None


@case(25, same_by_design=True)
@open_to()
def crontab_installs_a_file():
    """One that only the container has, with a blank in its name."""
    with box.session('alice') as alice:
        done = alice('echo "@yearly echo from-a-file" >"/tmp/my table"; crontab "/tmp/my table"; rm "/tmp/my table"')
        assert done.rc == 0, done
        assert 'from-a-file' in table_of('alice')
        done = alice('crontab "/tmp/no such file"')
        assert done.rc != 0 and 'No such file' in done.err, done


@case(25, same_by_design=True)
@open_to()
def crontab_tells_of_a_bad_table():
    with box.session('alice') as alice:
        done = alice('crontab -', stdin='this is no line of a table\n')
        assert done.rc == 1 and 'bad minute' in done.err, done
        assert table_of('alice') is None


EDIT = 'printf "@yearly echo edited\\n# %s\\n" $(readlink /proc/self/ns/pid) >>"$1"; #'


@case(25)
@open_to()
def crontab_edits_inside():
    with box.session('alice') as alice:
        inside = alice('readlink /proc/self/ns/pid').out.strip()
        done = alice(f"VISUAL='sh -c '\\''{EDIT}'\\'' sh' crontab -e")
        assert done.rc == 0 and 'installing new crontab' in done.err, done
        assert f'@yearly echo edited\n# {inside}' in table_of('alice'), table_of('alice')
        assert inside != services.outside()
        done = alice('EDITOR=true crontab -e')
        assert done.rc == 0 and 'no changes' in done.err, done
        done = alice('EDITOR="echo nonsense >" crontab -e')
        kept = re.search(r'your text is in (\S+)', done.err)
        assert done.rc == 1 and kept, done
        assert 'nonsense' in alice(f'cat {kept[1]}; rm {kept[1]}').out
        assert alice('EDITOR=false crontab -e; rm /tmp/crontab.*').rc == 0
        assert 'edited' in table_of('alice') and 'nonsense' not in table_of('alice')


@case(25)
@open_to()
def jobs_that_are_installed_inside_run_inside():
    with box.session('alice') as alice:
        there = alice('readlink /proc/self/ns/pid; hostname').out
        alice('crontab -', stdin='@reboot readlink /proc/self/ns/pid; hostname; echo ran\n')
        services.stop_the_machines('cron')
        Path('/run/crond.reboot').unlink(missing_ok=True)
        with services.mailbox() as mail, services.daemon('/usr/sbin/cron', '-f'):
            text = services.mailed(mail, 'ran')
        Path('/run/crond.pid').unlink(missing_ok=True)
    assert there in text and services.outside() not in there, (there, text)


@contextlib.contextmanager
def crowded(user, places):
    """Somebody works on the user, as each login does for a moment, and so many of his 64 places to wait are taken."""
    uid = pwd.getpwnam(user).pw_uid
    taken = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, uid * 64, places, 0)
    with open(host.RUN / f'u{uid}/lock') as lock, open(host.RUN / 'turns', 'a') as turns:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.fcntl(turns, fcntl.F_OFD_SETLK, taken)
        yield


def lines_of(mark, pattern):
    return sum(bool(re.search(pattern, line)) for line in host.log_since(mark))


@case(25)
@open_to()
def a_long_table_does_not_fill_the_host():
    """Lines for the same moment: so many wait for their turn, the others are refused at once."""
    with box.session('alice') as alice:
        done = alice('crontab -', stdin='@yearly true\n' * 1000)
        assert done.rc == 1 and 'too large' in done.err, done
        assert alice('crontab -', stdin='@reboot true\n' * 10).rc == 0
        services.stop_the_machines('cron')
        Path('/run/crond.reboot').unlink(missing_ok=True)
        mark = host.log_mark()
        with services.mailbox(), services.daemon('/usr/sbin/cron', '-f'):
            with crowded('alice', 61):
                host.wait_for('a refusal', lambda: lines_of(mark, 'too many jobs of uid'), 9)
            host.wait_for('the others', lambda: lines_of(mark, 'cron.*session opened for user alice'))
        Path('/run/crond.pid').unlink(missing_ok=True)


CRONTABS = Path('/var/spool/cron/crontabs')


@case(25)
@open_to()
def crontab_leaves_so_many_files_and_no_more():
    """One that is killed leaves its half of a table."""
    try:
        with box.session('alice') as alice:
            assert alice('crontab -', stdin='@yearly true\n').rc == 0
            for n in range(19):
                box.replace(CRONTABS / f'tmp.{n}', '# half\n')
                os.chown(CRONTABS / f'tmp.{n}', pwd.getpwnam('alice').pw_uid, -1)
            done = alice('crontab -', stdin='@daily true\n')
            assert done.rc == 1 and 'too many' in done.err, done
            assert '@yearly' in alice('crontab -l').out
            # nobody removes them, and they are not to keep him out for good
            os.utime(CRONTABS / 'tmp.7', (0, 0))
            assert alice('crontab -', stdin='@daily true\n').rc == 0
            big = 'head -c 2000000 /dev/zero | tr "\\0" "#"'
            with box.session('bob') as bob:
                done = bob(f'{big} | crontab -')
                assert done.rc == 1 and 'too large' in done.err, done
            assert alice('crontab -r').rc == 0 and table_of('alice') is None
    finally:
        for file in CRONTABS.glob('tmp.*'):
            file.unlink()


@case(25, same_by_design=True)
@open_to()
def a_long_table_of_the_hosts_is_listed_in_full():
    """What may be installed is short, what root has installed need not be, nor the file it is appended to."""
    table = ''.join(f'@yearly echo line-{n:04}\n' for n in range(600))
    box.run('crontab', '-u', 'alice', '-', input=table)
    with box.session('alice') as alice:
        assert alice('crontab -l').out == table
        done = alice('f=$(mktemp); crontab -l >$f; crontab -l >>$f; cat $f; rm $f')
        assert done.out == table * 2, (len(done.out), done.err)


# at

@case(25, same_by_design=True)
@open_to()
def at_queues_lists_and_removes():
    services.stop_the_machines('atd')
    try:
        with box.session('alice') as alice:
            done = alice('echo "echo hello" | at -q b now + 1 hour')
            assert done.rc == 0, done
            number = re.search(r'job (\d+) at', done.err)[1]
            listed = alice('atq').out
            assert listed.startswith(f'{number}\t') and 'b alice' in listed, listed
            job = alice(f'at -c {number}').out
            assert 'echo hello' in job and 'HOME=/home/alice' in job and 'SHELL=' not in job, job
            done = alice('echo "echo from-a-file" >"a b"; at -f "a b" 23:59 2030-12-31; rm "a b"')
            assert done.rc == 0 and '2030' in done.err, done
            assert len(alice('at -l').out.splitlines()) == 2
            assert alice(f'atrm {number}').rc == 0
            assert number not in alice('atq').out.split()
            assert alice('echo true | batch').rc == 0
            assert ' b alice' in alice('atq').out
    finally:
        no_jobs()


@case(25)
@open_to()
def at_jobs_that_are_queued_inside_run_inside():
    services.stop_the_machines('atd')
    try:
        with box.session('alice') as alice:
            there = alice('readlink /proc/self/ns/pid; hostname').out
            script = 'readlink /proc/self/ns/pid; hostname; pwd; umask; echo over'
            assert alice('umask 027; at now', stdin=script + '\n').rc == 0
            with services.mailbox() as mail, services.daemon('/usr/sbin/atd', '-f'):
                text = services.mailed(mail, '\nover\n')
    finally:
        no_jobs()
        Path('/run/atd.pid').unlink(missing_ok=True)
    assert there in text and services.outside() not in there, (there, text)
    assert f'{there}/home/alice\n0027\n' in text, text


@case(25)
@open_to()
def at_has_room_for_a_hundred_jobs():
    try:
        with box.session('alice') as alice:
            done = alice('for n in $(seq 101); do echo true | at now + 1 day || break; done; echo $n', timeout=120)
            assert done.out.strip() == '101' and 'too many jobs' in done.err, (done.out, done.err[-200:])
            assert len(box.run('atq').out.splitlines()) == 100
            number = alice('at -l').out.split()[0]
            assert alice(f'at -r {number}; echo true | at now + 1 day').rc == 0
        big = 'head -c 2000000 /dev/zero | tr "\\0" "#"'
        with box.session('bob') as bob:
            done = bob(f'{big} | at now + 1 day')
            assert done.rc != 0, done
            assert ' bob' not in box.run('atq').out
    finally:
        no_jobs()


# passwd

OLD, NEW = 'correct-horse', 'battery-Staple7'


def hash_of(user):
    line = next(line for line in Path('/etc/shadow').read_text().splitlines() if line.startswith(user + ':'))
    return line.split(':')[1]


@contextlib.contextmanager
def password(user='alice'):
    box.run('chpasswd', input=f'{user}:{OLD}\n')
    before = hash_of(user)
    try:
        yield before
    finally:
        box.run('usermod', '-p', '*', user)
        box.run('chage', '-d', '2026-01-01', user)


def change(term, old=OLD, new=NEW):
    term.expect('Current password: ')
    term.send(old + '\n')
    term.expect('New password: ')
    term.send(new + '\n')
    term.expect('Retype new password: ')
    term.send(new + '\n')


@case(25, same_by_design=True)
@open_to()
def passwd_changes_the_password():
    with password() as before:
        term = box.terminal('alice')
        term.send('passwd\n')
        change(term)
        term.expect('updated successfully')
        assert status(term) == 0
        assert hash_of('alice') != before
        assert OLD not in term.text and NEW not in term.text, 'it was shown'


@case(25)
@open_to()
def passwd_is_for_ones_own():
    with password('alice'), box.session('alice') as alice:
        assert 'alice' in alice('passwd -S').out
        for line in ('passwd bob', 'passwd -l', 'passwd -d alice', 'passwd -S -a', 'passwd -R / alice', 'passwd root'):
            done = alice(line + ' </dev/null')
            assert done.rc == 1, (line, done)
            assert 'not passed on' in done.err or 'own account' in done.err, (line, done)


def status(term):
    """That of the command before."""
    term.expect('READY ')
    term.send('echo status $?\n')
    return int(term.expect(r'status (\d+)\r')[1])


WAITS = '#!/bin/sh\nstty -echo\necho waiting\nread line\n'


@case(25)
@open_to()
def an_interrupted_program_leaves_the_terminal_as_it_was():
    with quota_is(WAITS):
        term = box.terminal('alice')
        before = term.run('stty -g')[1]
        term.send('quota\n')
        term.expect('waiting')
        term.send('\x1a\x03')  # to suspend it does nothing
        assert status(term) == 130
        assert term.run('stty -g')[1] == before
        host.wait_for('its end', lambda: not running('alice'))


@case(25, same_by_design=True)
@open_to()
def signals_to_the_client_are_the_programs():
    with quota_is(WAITS), box.session('alice') as alice:
        for name, number in (('INT', 2), ('TERM', 15), ('HUP', 1), ('QUIT', 3)):
            term = box.terminal('alice')
            term.send('quota\n')
            term.expect('waiting')
            assert alice(f'pkill -{name} -x quota').rc == 0
            assert status(term) == 128 + number, name
            host.wait_for('its end', lambda: not running('alice'))
    with quota_is('#!/bin/sh\ntrap "echo trapped; exit 5" TERM\necho waiting\nread line\n'):
        term = box.terminal('alice')
        term.send('quota\n')
        term.expect('waiting')
        assert box.ssh('alice', 'pkill -TERM -x quota').rc == 0
        term.expect('trapped')
        assert status(term) == 5


@case(25)
@open_to()
def a_program_ends_with_its_client():
    """Killed without a word, while the program ignores all that it can: nobody waits at a prompt unseen."""
    with password(), box.session('alice') as alice:
        term = box.terminal('alice')
        term.send('passwd\n')
        term.expect('Current password: ')
        pids = running('alice')
        assert pids and all(os.readlink(f'/proc/{pid}/ns/pid') == services.outside() for pid in pids)
        assert alice('pkill -9 -x passwd').rc == 0
        term.expect('READY ')
        host.wait_for('the end of it', lambda: not running('alice'))


@contextlib.contextmanager
def asked_and_gone(words='quota'):
    """alice has a program running, whose connection and input somebody else has: who asked has ended. Her session."""
    with box.session('bob') as bob, box.session('alice') as alice:
        bob('true')
        keeper = box.client(box.argv('bob', raw('keep', 'sessbox-test')), stdin=subprocess.PIPE)
        assert box.line(keeper) == 'listening\n'
        assert alice(raw('give', 'sessbox-test', words)).out == 'given\n'
        assert box.line(keeper) == 'kept 2\n'
        try:
            yield alice
        finally:
            box.finish(keeper, '')


STUBBORN = '#!/bin/sh\ntrap "" HUP INT TERM\necho waiting\nread line\n'


@case(25)
@open_to()
def a_program_ends_with_who_asked_for_it():
    """Though the connection lives on with somebody else."""
    with quota_is(STUBBORN), asked_and_gone():
        host.wait_for('its end', lambda: not running('alice'), 4)


@case(25)
@open_to()
def termination_leaves_nothing_outside():
    """The broker is stopped, and cannot end it."""
    with quota_is(STUBBORN), box.session('alice') as alice:
        assert alice(raw('run', 'crontab', '-l')).out == 'exited 1\n'
        term = box.terminal('alice')
        term.send('quota\n')
        term.expect('waiting')
        children = brokers()[1:]
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert len(running('alice')) == 1 and len(children) == 1
            done = box.sessctl('terminate', 'alice')
            assert done.rc == 0, done
            assert not group_of('alice').exists()
        finally:
            for pid in children:
                os.kill(pid, signal.SIGCONT)


@case(25)
@open_to()
def a_frozen_tenant_does_not_freeze_what_runs_outside():
    """passwd may hold the lock of the accounts."""
    with password():
        term = box.terminal('alice')
        term.send('passwd\n')
        term.expect('Current password: ')
        pids = running('alice')
        assert len(pids) == 1
        assert box.sessctl('freeze', 'alice').rc == 0
        try:
            os.kill(pids[0], signal.SIGKILL)
            host.wait_for('its end', lambda: not running('alice'), 4)
        finally:
            assert box.sessctl('thaw', 'alice').rc == 0
        term.expect('READY ')


@case(25)
@open_to()
def a_signal_that_is_slow_to_close_keeps_nobody_waiting():
    """A message with a TCP socket that takes 60 s to close, where a signal is expected."""
    with quota_is(STUBBORN), socket.create_server(('127.0.0.1', 0)) as server, box.session('alice') as alice:
        assert alice(raw('signal_with_a_socket', server.getsockname()[1], 60, 'quota')).out == 'sent\n'
        host.wait_for('its end', lambda: not running('alice') and len(brokers()) == 1, 5)


@case(25)
@open_to()
def a_program_ends_with_the_broker():
    with password():
        term = box.terminal('alice')
        term.send('passwd\n')
        term.expect('Current password: ')
        for pid in brokers():
            os.kill(pid, signal.SIGTERM)
        term.expect('hung up|Killed')
        host.wait_for('the end of it', lambda: not running('alice'))


@case(25)
@open_to()
def a_program_ends_with_its_container():
    with password():
        term = box.terminal('alice')
        term.send('passwd\n')
        term.expect('Current password: ')
        assert running('alice')
        assert box.sessctl('terminate', 'alice').rc == 0
        host.wait_for('the end of all of it', lambda: not host.of_user('alice') and not running('alice'), 5)


@case(25, same_by_design=True)
@open_to()
def an_expired_password_is_changed_by_a_key_login():
    """sshd has the session's child execute passwd, which is inside by then."""
    with password() as before:
        box.run('chage', '-d', '0', 'alice')
        term = services.shell(box.argv('alice', tty=True))
        term.expect('must change your password now')
        change(term)
        term.expect('updated successfully')
        term.closed()
        assert hash_of('alice') != before
        assert box.out_of('alice', 'echo in') == 'in'


@case(25, same_by_design=True)
def an_expired_password_is_changed_by_keyboard_interactive():
    """By PAM's conversation, in sshd on the host, before there is a session: it needs no broker."""
    with password() as before, box.sshd_says('PubkeyAuthentication no\n', without=('PubkeyAuthentication',)):
        box.run('chage', '-d', '0', 'alice')
        opts = ['-o', 'PreferredAuthentications=keyboard-interactive', '-o', 'NumberOfPasswordPrompts=3']
        argv = [word for word in box.argv('alice', 'echo in-$((40+2))', tty=True, opts=opts)
                if word != 'NumberOfPasswordPrompts=1']
        argv = [word for n, word in enumerate(argv) if not (word == '-o' and argv[n + 1] == '-o')]
        term = services.shell(argv)
        term.expect('Password: ')
        term.send(OLD + '\n')
        change(term)
        term.expect('in-42')
        assert hash_of('alice') != before


# what a program gets

SEEN = '''#!/bin/sh
id
echo "arguments $*"
echo "cwd $(pwd) umask $(umask)"
env | sort | sed 's/^/env /'
grep -E '^(NoNewPrivs|CapEff|CapPrm|CapInh|CapAmb|CapBnd|SigIgn|SigBlk|Groups)' /proc/self/status
ls /proc/self/fd | tr '\\n' ' '; echo
readlink /proc/self/ns/pid /proc/self/ns/mnt
cat /proc/self/cgroup
ulimit -c; ulimit -f
exec python3 -c 'import signal; print("alarm", signal.getitimer(signal.ITIMER_REAL)[0])'
'''


@case(25)
@open_to()
def a_program_gets_what_it_needs_and_no_more():
    with quota_is(SEEN), box.session('alice') as alice:
        done = alice('umask 027; cd /tmp; EVIL=1 LD_PRELOAD=/home/alice/evil.so LC_ALL=C LANG=../../x TERM=vt100 '
                     'PATH=/home/alice:$PATH IFS=x BASH_ENV=/home/alice/x quota -sv alice')
        inside = alice('id').out
    assert done.rc == 0, done
    seen = done.out.splitlines()
    assert seen[0] == inside.strip(), 'the groups he has inside, and no others'
    assert 'arguments -s -v alice' in seen
    assert 'cwd /home/alice umask 0027' in seen
    environment = {line[4:] for line in seen if line.startswith('env ')} - {'env _=/usr/bin/env'[4:]}
    assert {line for line in environment if not line.startswith(('PWD=', '_=', 'OLDPWD=', 'SHLVL='))} == {
        'HOME=/home/alice', 'USER=alice', 'LOGNAME=alice', 'SHELL=/bin/false', 'PATH=/usr/bin:/bin', 'LC_ALL=C',
        'TERM=vt100'}, environment
    status = dict(line.split(':\t') for line in seen if ':\t' in line)
    assert status['NoNewPrivs'] == '0' and int(status['CapEff'], 16) == int(status['CapPrm'], 16) == 0, status
    assert int(status['CapInh'], 16) == int(status['CapAmb'], 16) == 0 and int(status['SigBlk'], 16) == 0, status
    # make(1) starts its children with 32 and 33 ignored: libc's own, which it lets nobody reset.
    assert int(status['SigIgn'], 16) & ~(3 << 31) == 0 and int(status['CapBnd'], 16) != 0, status
    assert '0 1 2 3 ' in seen, 'ls has one more than the program'
    assert services.outside() in seen, seen
    assert all(line.endswith(f'/o{pwd.getpwnam("alice").pw_uid}') for line in seen
               if re.match(r'\d+:(|.*(pids|memory).*):', line)), seen
    assert float(next(line for line in seen if line.startswith('alarm')).split()[1]) > 500


@case(25, same_by_design=True)
@open_to()
def quota_tells_a_tenant_his_own():
    """The real one, of a file system that keeps them; it is installed where the disk is."""
    if not host.IN_VM:
        with quota_is('#!/bin/sh\nexec id -un\n'):
            assert box.out_of('alice', 'quota') == 'alice'
        return
    with bounds.a_disk('-O', 'quota') as device:
        for user, blocks in ('alice', 5001), ('bob', 6001):
            box.run('setquota', '-u', user, '0', str(blocks), '0', '0', str(bounds.DISK))
        said = box.out_of('alice', 'quota -wv')
        assert said.split() == box.run('quota', '-wv', '-u', 'alice').out.split() and device in said, said
        assert '5001' in said and '6001' not in said, said
        assert '6001' not in box.ssh('alice', 'quota -wv bob').out


@case(25)
@open_to()
def a_signal_that_does_not_end_reaches_nothing_on_the_host():
    """passwd would stand still with a lock of everybody's."""
    with quota_is(WAITS):
        term = box.terminal('alice')
        term.send('quota\n')
        term.expect('waiting')
        assert box.sessctl('kill', 'alice', '--signal', 'STOP').rc == 0
        assert running('alice')
        for pid in running('alice'):
            assert re.search(r'\nState:\t[RS]', Path(f'/proc/{pid}/status').read_text())
        assert box.sessctl('kill', 'alice', '--signal', 'CONT').rc == 0
        assert box.sessctl('kill', 'alice', '--signal', 'KILL').rc == 0
        host.wait_for('they have ended', lambda: not running('alice'))
        term.closed()


@case(25)
@open_to()
def an_editor_goes_alone():
    with box.session('alice') as alice:
        for words in ('-e -i', '-ei', '-e /etc/passwd'):
            done = alice(f'EDITOR=true crontab {words}')
            assert done.rc == 1 and done.err == 'crontab: -e goes alone\n', (words, done)


@case(25, same_by_design=True)
@open_to()
def a_program_runs_though_the_tenant_is_full():
    """Else he could not take back the job that fills him."""
    box.config(tenants={'ProxyCommands': COMMANDS, 'TasksMax': '20'})
    with box.session('alice') as alice:
        alice('crontab -', stdin='@yearly true\n')
        done = alice(f'exec 3>&1; crontab -l >&3; {box.script("forks.py", 50)} & sleep 1; exec crontab -r')
        assert done.rc == 0, done
    assert table_of('alice') is None


@case(25)
@open_to()
def a_program_has_limits_of_its_own():
    with quota_is('#!/bin/sh\nexec python3 - <<X\nimport os, time\nn = 0\ntry:\n    while os.fork(): n += 1\n'
                  '    time.sleep(30)\nexcept BlockingIOError:\n    print("forks", n, flush=True)\nX\n'):
        with box.session('alice') as alice:
            done = alice('quota')
            assert 0 < int(done.out.split()[-1]) <= 32, done
    with quota_is(WAITS), box.session('alice'):
        box.config(tenants={'ProxyCommands': COMMANDS, 'CPUQuota': '5%', 'MemoryMax': '40M'})
        term = box.terminal('alice')
        term.send('quota\n')
        term.expect('waiting')
        files = ('cpu.max', 'memory.max') if host.unified() else ('cpu.cfs_quota_us', 'memory.limit_in_bytes')
        seen = [(group_of('alice', file.split('.')[0]) / file).read_text() for file in files]
        assert seen[0].split()[0] == '50000' and seen[1] == f'{64 << 20}\n', 'the same for everybody'
        term.send('\x03')
        with box.session('alice'):
            host.wait_for('its end', lambda: not running('alice'), 4)
            host.wait_for('the end of what it left', lambda: not running('alice'), 4)


@case(25, same_by_design=True)
@open_to()
def exit_statuses_and_signals_come_back():
    with quota_is('#!/bin/sh\n[ -z "$1" ] || kill -$1 $$\nexit 77\n'.replace('$1', '${1#-}')):
        with box.session('alice') as alice:
            assert alice('quota').rc == 77
    with quota_is('#!/bin/sh\nkill -9 $$\n'), box.session('alice') as alice:
        assert alice('sh -c "quota; echo status $?"; quota; echo status $?').out.endswith('status 137\n')


@case(25, same_by_design=True)
@open_to()
def streams_of_a_program_are_the_clients():
    with quota_is('#!/bin/sh\ncat; echo error >&2\n'), box.session('alice') as alice:
        done = alice('seq 100000 | quota 2>/tmp/e | tail -n 1; cat /tmp/e; quota <&- | wc -c; quota >&- </dev/null; rm /tmp/e')
        assert done.out == '100000\nerror\n0\n', done
        assert alice('yes | quota | head -n 1').out == 'y\n'


# who may not

@case(25)
@open_to('crontab')
def a_command_that_is_not_named_is_as_before():
    with box.session('alice') as alice:
        assert 'Authentication token manipulation' in alice('passwd </dev/null').err
        assert 'permission' in alice('at -l; echo true | at now').err
        for words in (['passwd'], ['at', '-l'], ['quota']):
            assert alice(raw('run', *words)).out.startswith('refused it is not open to you'), words


@case(25)
@open_to()
def the_policy_is_that_of_the_moment():
    with box.session('alice') as alice:
        assert 'no crontab' in alice('crontab -l').err
        box.config(tenants={'ProxyCommands': 'at'})
        done = alice('crontab -l')
        assert done.rc == 1 and 'not open to you' in done.err, done
        box.config(tenants={'ProxyCommands': COMMANDS, 'Contain': 'no'})
        assert 'not open to you' in alice('crontab -l').err
        box.replace(box.CONFIG, '[tenants]\nNonsense=yes\n')
        mark = host.log_mark()
        done = alice('atq')
        assert done.rc == 1 and 'tell the administrator' in done.err, done
        host.log_has(mark, 'Nonsense')


@case(25)
@open_to()
def options_outside_of_the_table_are_refused():
    lines = ['crontab -u bob -l', 'crontab -u root /etc/passwd', 'crontab -s', 'crontab --help', 'crontab -n x',
             'at -u root now', 'at -o x -l', 'at now -f', 'at -k', 'at -f', 'at -q', "at -q -f now", 'at ../x', 'atq -f x',
             'atrm all', 'quota bob', 'quota -f /home', 'quota --filesystem=/x', 'passwd --root=/']
    with quota_is(SEEN), box.session('alice') as alice:
        for line in lines:
            done = alice(line + ' </dev/null')
            assert done.rc == 1 and ('not passed on' in done.err or 'own account' in done.err), (line, done)
        # what the client does itself is nothing that the broker does
        for words in (['crontab', '-e'], ['crontab', '/etc/passwd'], ['crontab', '-u', 'root', '-l'],
                      ['at', '-f', '/etc/shadow', 'now'], ['at', '-qf', '-f', 'x'], ['/bin/sh'], ['sh', '-c', 'id'],
                      ['passwd', 'root'], ['passwd', '-R', '/home/alice'], ['crontab', ''], ['']):
            answer = alice(raw('run', *words)).out
            assert answer.startswith('refused '), (words, answer)
            assert 'no crontab' not in answer, words


@case(25)
@open_to()
def hostile_requests_are_refused():
    attempts = [('more_descriptors', 2, 'crontab', '-l'), ('more_descriptors', 0, 'crontab', '-l'),
                ('more_descriptors', 4, 'crontab', '-l'), ('more_descriptors', 40, 'crontab', '-l'),
                ('more_descriptors', 250, 'crontab', '-l'), ('wrong_nonce', 'crontab', '-l'),
                ('wrong_version', 'crontab', '-l'), ('by_a_child', 'crontab', '-l'), ('raw', 1), ('raw', 4000), ('raw', 100000),
                ('environment', 'LD_PRELOAD=/home/alice/x.so', 'crontab', '-l'),
                ('environment', 'LANG=/home/alice/x', 'crontab', '-l'), ('environment', 'EDITOR=sh', 'crontab', '-l'),
                ('environment', 'LC_X=y\n', 'crontab', '-l'), ('counts', 0, 0, 'crontab'), ('counts', 5000, 0, 'crontab'),
                ('counts', 4294967295, 0, 'crontab'), ('counts', 1, 4294967295, 'crontab'), ('counts', 97, 0, *['1'] * 97),
                ('run', 'atq', 'x' * 300), ('run', 'atq', *['1'] * 70), ('run', 'crontab', *['-l'] * 40)]
    with box.session('alice') as alice:
        for attempt in attempts:
            answer = alice(raw(*attempt)).out
            assert answer.startswith('refused '), (attempt[:5], answer)
        assert alice(raw('run', 'crontab', '-l')).out == 'exited 1\n'
        done = alice('crontab -l $(seq 5000)')
        assert done.rc == 1 and 'too long' in done.err, done
        assert 'too long' in alice(f'crontab {"-l " * 40}').err


@case(25)
@open_to()
def processes_of_the_host_are_refused():
    alice = pwd.getpwnam('alice')
    become = ['setpriv', f'--reuid={alice.pw_uid}', f'--regid={alice.pw_gid}', '--clear-groups']
    ask = ['python3', str(box.LIB / 'rawproxy.py'), 'run', 'crontab', '-l']
    with box.session('alice'), box.session('bob') as bob:
        assert box.run(*ask).out == f'refused {ALONE}\n', 'root'
        assert box.run(*become, *ask).out == f'refused {ALONE}\n', 'himself'
        # before they can make anybody wait
        assert box.run(*become, *ask[:2], 'hold', '2', '0').out == 'greeted 0 refused 2\n'
        # in another tenant's container
        bob('true')
        init = box.the_container('bob')['init']
        code = box.script('rawproxy.py', 'run', 'crontab', '-l')
        done = box.run('nsenter', '-t', str(init), '-m', '-p', *become, 'sh', '-c', code)
        assert done.out == f'refused {ALONE}\n', done
        done = box.run('nsenter', '-t', str(box.the_container('alice')['init']), '-m', '-p', *become, 'sh', '-c', code)
        assert done.out == 'exited 1\n', ('in his own', done)


@case(25, same_by_design=True)
@open_to()
def a_pid_namespace_further_down_is_refused():
    with box.session('alice') as alice:
        done = alice('unshare -Urpf --mount-proc ' + raw('run', 'crontab', '-l'))
        assert done.out in (f'refused {ALONE}\n', ''), done
        assert done.out or 'unshare' in done.err, done


def pid_outside(inside, init):
    """The host's number of a process of the container."""
    for pid in host.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f'/proc/{pid}/status').read_text()
            if host.namespace(pid, 'pid') == host.namespace(init, 'pid') and re.search(rf'NSpid:.*\t{inside}\n', status):
                return pid
    raise AssertionError(f'no process {inside} in the container')


def asked_by_its_successor(init):
    """A connection whose maker has ended, and a request over it by the process that got his pid, if one did:
    was it so, and the broker's answer."""
    process = box.client(box.argv('alice', raw('of_another', 'crontab', '-l')), stdin=subprocess.PIPE)
    number = pid_outside(int(box.line(process).split()[1]), init)
    process.stdin.write('die\n')
    process.stdin.flush()
    assert box.line(process) == 'dead\n'
    Path('/proc/sys/kernel/ns_last_pid').write_text(str(number - 1))
    process.stdin.write('go\n')
    process.stdin.flush()
    _, inside, answer = box.line(process).rstrip('\n').split(' ', 2)
    same = pid_outside(int(inside), init) == number
    box.finish(process, '')
    return same, answer


@case(25)
@open_to()
def a_pid_that_was_given_away_is_refused():
    with box.session('alice') as alice:
        assert alice(raw('run', 'crontab', '-l')).out == 'exited 1\n'
        init = box.the_container('alice')['init']
        answers = [asked_by_its_successor(init) for _ in range(4)]
        assert any(same for same, _ in answers), f'nobody got the pid: {answers}'
        assert {answer for _, answer in answers} == {f'refused {ALONE}'}, answers


@case(25)
@open_to()
def a_hundred_connections_are_four_at_once():
    with box.session('alice') as alice, box.session('bob') as bob:
        process = box.client(box.argv('alice', raw('hold', 100, 4)), stdin=subprocess.PIPE)
        assert box.line(process) == 'greeted 4 refused 96\n'
        done = alice('crontab -l')
        assert done.rc == 1 and 'too many' in done.err, done
        assert 'no crontab for bob' in bob('crontab -l').err
        box.finish(process, '')
        host.wait_for('room again', lambda: 'no crontab' in alice('crontab -l').err)


@case(25)
@open_to()
def what_is_slow_to_close_keeps_nobody_waiting():
    """What waits to be accepted has descriptors with it that take 20 s to close."""
    with box.session('bob') as bob:
        assert bob(raw('run', 'crontab', '-l')).out == 'exited 1\n'
        listener = brokers()[0]
        os.kill(listener, signal.SIGSTOP)
        try:
            process = box.client(box.argv('alice', raw('linger', 20, 20)), stdin=subprocess.PIPE)
            assert box.line(process) == 'sent\n'
        finally:
            os.kill(listener, signal.SIGCONT)
        begun = time.monotonic()
        assert 'no crontab for bob' in bob('crontab -l').err
        assert time.monotonic() - begun < 2 * host.SLOW
        box.stop(process)
        box.CLIENTS.remove(process)


@case(25)
@open_to()
def the_client_says_when_nobody_listens():
    with box.session('alice') as alice:
        assert 'no crontab' in alice('crontab -l').err
        if host.IN_VM:
            box.run('systemctl', 'stop', 'sessbox-proxy.socket', 'sessbox-proxy.service')
        else:
            SOCKET.rename(AWAY)
        done = alice('crontab -l')
        assert done.rc == 1 and 'ask the administrator' in done.err, done
        findings = [f['what'] for f in box.answer_of('check')['findings']]
        assert any('ProxyCommands' in what and 'nothing' in what for what in findings), findings
        if host.IN_VM:
            box.run('systemctl', 'start', 'sessbox-proxy.socket')
        else:
            AWAY.rename(SOCKET)
        assert 'no crontab' in alice('crontab -l').err
        findings = [f['what'] for f in box.answer_of('check')['findings']]
        assert not any('ProxyCommands' in what and 'nothing' in what for what in findings), findings


@case(25)
def what_nobody_contains_is_not_let_in():
    box.config(tenants={'ProxyCommands': COMMANDS})
    with broker(), nothing_left_behind(), box.session('alice') as alice:
        mark = host.log_mark()
        for line in ('crontab -', 'at now + 1 day'):
            done = alice(line, stdin='# nothing\n')
            assert done.rc == 1 and 'tell the administrator' in done.err, done
        host.log_has(mark, "'cron' does not contain what it runs for 'alice'")
        host.log_has(mark, "'atd' does not contain what it runs for 'alice'")
        assert table_of('alice') is None


@contextlib.contextmanager
def atd_has(lines):
    """These lines, behind its own."""
    file = services.PAM_DIR / 'atd'
    before = file.read_text()
    box.replace(file, before + lines + '\n')
    try:
        yield
    finally:
        box.replace(file, before)


OPEN = 'session required pam_sessbox.so open join=fork'


@case(25)
def a_line_that_does_not_contain_is_none():
    box.config(tenants={'ProxyCommands': COMMANDS})
    refused = ['# ' + OPEN, 'session optional pam_permit.so # pam_sessbox.so open', 'account required pam_sessbox.so',
               'session required pam_sessbox.so close', '-' + OPEN, 'session optional pam_sessbox.so open join=fork',
               'session required pam_sessbox.so # open', 'password required pam_sessbox.so open',
               'session [success=1 default=ignore] pam_permit.so\n' + OPEN, '-session sufficient pam_permit.so\n' + OPEN,
               'session \\\n [success=1 default=ignore] pam_permit.so\n' + OPEN,
               'session optional pam_permit.so \\\n' + OPEN, 'session optional pam_permit.so \\ \n' + OPEN,
               OPEN + ' conf=/etc/security/other', OPEN + ' \\\nconf=/etc/security/other',
               OPEN + ' [conf=/etc/security/other]', '# a comment \\\n' + OPEN, 'session include round\n' + OPEN,
               '@include round\n' + OPEN, '@include nowhere\n' + OPEN, 'sesion required pam_permit.so\n' + OPEN,
               'session [success=ok default=ignore] pam_permit.so\n' + OPEN]
    box.replace(services.PAM_DIR / 'round', 'session sufficient pam_permit.so\n')
    with broker(), nothing_left_behind(), box.session('alice') as alice:
        for lines in refused:
            with atd_has(lines):
                done = alice('at now + 1 day', stdin='true\n')
                assert done.rc == 1 and 'tell the administrator' in done.err, (lines, done)
        for lines in (OPEN, 'session optional pam_permit.so\n' + OPEN, 'session substack round\n' + OPEN):
            with atd_has(lines):
                assert alice('at now + 1 day', stdin='true\n').rc == 0, lines
    (services.PAM_DIR / 'round').unlink()


@case(25)
@open_to()
def a_class_that_does_not_contain_jobs_closes_them():
    """It is for cron and atd alone, and jobs would run on the host."""
    box.config(tenants={'ProxyCommands': COMMANDS},
               jobs={'MatchGroups': 'tenants', 'MatchServices': 'cron atd', 'Contain': 'no'})
    with box.session('alice') as alice:
        for line in ('at now + 1 day', 'crontab -'):
            done = alice(line, stdin='# nothing\n')
            assert done.rc == 1 and 'tell the administrator' in done.err, done
        assert 'alice' in alice('passwd -S').out
        box.config(tenants={'ProxyCommands': COMMANDS, 'AllowServices': 'sshd atd'})
        assert alice('at now + 1 day', stdin='true\n').rc == 0
        assert alice('crontab -', stdin='# nothing\n').rc == 1


@case(25)
@open_to()
def in_a_tree_it_lies_over_the_trees_programs():
    with roots.tree(ProxyCommands=COMMANDS) as tree:
        for name in ('crontab', 'at'):
            (tree / 'usr/bin' / name).write_text('#!/bin/sh\necho of-the-tree\n')
            (tree / 'usr/bin' / name).chmod(0o755)
        (tree / 'usr/bin/atq').symlink_to('at')
        (tree / 'usr/bin/passwd').symlink_to('/bin/true')
        seen = box.out_of('alice', 'crontab -l 2>&1; echo @yearly true | crontab -; crontab -l; atq; '
                                   'ls /usr/bin/quota /usr/bin/atrm 2>&1; passwd -S 2>&1; true')
        assert 'no crontab for alice\n@yearly true' in seen, seen
        assert 'of-the-tree' not in seen and seen.count('No such file') >= 2, seen
        assert table_of('alice') is not None


@case(25)
@open_to()
def a_program_that_is_replaced_on_the_host_is_the_real_one_until_the_next_container():
    """A rename drops the client that lies over it: what comes to light is what no_new_privs stops."""
    crontab = Path('/usr/bin/crontab')
    with box.session('alice') as alice:
        assert 'no crontab' in alice('crontab -l').err
        box.run('cp', '-p', str(crontab), str(crontab) + '.new')
        Path(str(crontab) + '.new').rename(crontab)
        done = alice('crontab -l')
        assert done.rc != 0 and 'no crontab' not in done.err, done
        assert 'no_new_privs' not in done.err
    host.wait_for('the end of the container', lambda: not host.of_user('alice'))
    with box.session('alice') as alice:
        assert 'no crontab' in alice('crontab -l').err
