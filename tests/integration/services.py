# SPDX-License-Identifier: LGPL-2.1-or-later
"""8. The other services: Debian's own su, runuser, login, cron and atd, each with the lines of its row."""
import contextlib
import functools
import itertools
import json
import os
import pwd
import quopri
import shutil
import signal
import subprocess
import time
from pathlib import Path

import box
import host
from cases import case
from term import Term

PAM_DIR = Path('/etc/pam.d')
OPEN = {'account': 'account required pam_sessbox.so', 'close': 'session required pam_sessbox.so close'}
FORK = {**OPEN, 'open': 'session required pam_sessbox.so open join=fork'}
CRED = {**OPEN, 'auth': 'auth required pam_sessbox.so join=cred',
        'open': 'session required pam_sessbox.so open join=cred'}
CLOSE = {'close': OPEN['close']}  # what su-l and runuser-l have besides what they include
PASSWORD = 'correct-horse'


# the lines

def in_place(text, lines):
    """The service's own file with our lines at the places that pam_sessbox(8) gives."""
    rows = text.splitlines()

    def of(kind):
        return [n for n, row in enumerate(rows) if box.of_kind(row, kind)]
    for kind, key in (('account', 'account'), ('session', 'close')):
        at = min(of(kind) or [len(rows)])
        rows[at:at] = [lines[key]] if key in lines else []
    if 'auth' in lines:
        rows[max(of('auth')) + 1:max(of('auth')) + 1] = [lines['auth']]
    return '\n'.join([*rows, *([lines['open']] if 'open' in lines else [])]) + '\n'


@contextlib.contextmanager
def lines_in(*services, lines=FORK):
    """Our lines in the services' files, unless this run is the one without."""
    before = {service: (PAM_DIR / service).read_text() for service in services}
    try:
        for service, text in before.items():
            if box.STATE['contained']:
                box.replace(PAM_DIR / service, in_place(text, lines))
        yield
    finally:
        for service, text in before.items():
            box.replace(PAM_DIR / service, text)


def contains(*services, lines=FORK):
    """For a case: with our lines in these files."""
    def wrap(run):
        @functools.wraps(run)
        def wrapped():
            with lines_in(*services, lines=lines):
                run()
        return wrapped
    return wrap


# ways in; the machine is root's in all of them but from_carol

WAYS = {
    'su': lambda command: ['su', 'alice', '-c', command],
    'su -': lambda command: ['su', '-', 'alice', '-c', command],
    'runuser': lambda command: ['runuser', '-u', 'alice', '--', 'sh', '-c', command],
    'runuser -': lambda command: ['runuser', '-', 'alice', '-c', command],
}
SERVICES = {'su': 'su', 'su -': 'su-l', 'runuser': 'runuser', 'runuser -': 'runuser-l'}


def start(way, command, **options):
    return box.client(WAYS[way](command), **options)


def through(way, command, stdin='', **options):
    return box.finish(start(way, command, stdin=subprocess.PIPE, **options), stdin)


def out_of(way, command):
    done = through(way, command)
    assert done.rc == 0, (way, done)
    return done.out.strip()


def held(way, command='exec cat'):
    """A session that has come in and stays until its stdin is closed or the case ends."""
    process = start(way, f'echo ready; {command}', stdin=subprocess.PIPE)
    first = box.line(process)
    assert first.strip() == 'ready', f'{way} did not come in: {first!r} {box.finish(process)}'
    return process


def shell(argv, rows=24, cols=80):
    """An interactive one on a terminal of the host's."""
    term = Term(argv, 20 * host.SLOW, rows, cols)
    box.CLIENTS.append(term)
    return term


def bash(*argv):
    """A program that starts bash for a user, which gets a prompt of the test's."""
    term = shell(argv)
    term.send('exec env PS1="READY " bash --norc --noprofile -i\n')
    term.expect('READY $')
    return term


def outside():
    return os.readlink('/proc/self/ns/pid')


@contextlib.contextmanager
def directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


# su and runuser

@case(8)
@contains('runuser')
def a_leader_in_namespaces_of_its_own_can_be_frozen():
    """It is the tenant's own program, and looks like one that has not arrived yet."""
    process = start('runuser', 'exec unshare -Urm sh -c "echo ready; exec sleep 60"')
    assert box.line(process) == 'ready\n', box.finish(process)
    for verb in ('freeze', 'thaw'):
        done = box.sessctl(verb, 'alice')
        assert done.rc == 0, done
    box.sessctl('terminate', 'alice')


@case(8)
@contains('runuser')
def a_close_after_the_end_leaves_nothing_behind():
    """Whoever ends the container removes all of the user; only then does the caller get to its close."""
    helper, records = box.DIR / 'helper', host.RUN / 'u3001'
    process = start('runuser', 'echo ready; exec sleep 60')
    assert box.line(process) == 'ready\n', box.finish(process)
    shutil.copy(box.HELPER, helper)
    gone = f'for i in $(seq 600); do [ -e {records} ] || exec {helper}; sleep 0.1; done'
    with box.helper_does(f'#!/bin/sh\n{gone}\n'):
        assert box.sessctl('terminate', 'alice').rc == 0
        host.wait_for('its caller ends', lambda: process.poll() is not None, 20)
    helper.unlink()
    assert not records.exists()


@case(8)
@contains('su', 'runuser')
def su_and_runuser_are_inside():
    with box.session('alice') as alice:
        there = alice('readlink /proc/self/ns/pid /proc/self/ns/mnt; hostname').out
        assert there.split()[0] != outside() and there.split()[2] == 'alice-box', there
        for way in WAYS:
            assert out_of(way, 'readlink /proc/self/ns/pid /proc/self/ns/mnt; hostname') + '\n' == there, way


@case(8)
@contains('su', 'runuser')
def su_and_runuser_get_what_a_login_gets():
    script = box.script('probe.py')
    login = box.probe('alice')
    for way in WAYS:
        text = out_of(way, script)
        seen = json.loads(text[text.index('{'):])
        for key in ('groups', 'securebits', 'hostname', 'cgroup', 'oom', 'ioprio', 'affinity'):
            assert seen[key] == login[key], (way, key, seen[key], login[key])
        for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Uid', 'Gid'):
            assert seen['status'][key] == login['status'][key], (way, key)
        assert sorted(seen['fds']) in (['0', '1', '2'], ['0', '1', '2', '3']), (way, seen['fds'])
        assert seen['env']['XDG_RUNTIME_DIR'] == f'/run/user/{pwd.getpwnam("alice").pw_uid}', way
        assert seen['ls']['/home'] == ['alice'], way


@case(8, same_by_design=True)
@contains('su', 'runuser')
def su_gives_exit_codes_back():
    for way in WAYS:
        for code in (0, 1, 7, 127, 255):
            assert through(way, f'exit {code}').rc == code, (way, code)
        assert through(way, 'kill -KILL $$').rc in (137, -9), way
        assert through(way, 'kill -TERM $$').rc in (143, -15), way


@case(8, same_by_design=True)
@contains('su')
def su_hands_streams_on():
    data = os.urandom(1 << 20)
    done = through('su', 'cat; echo done >&2', stdin=data, text=False)
    assert (done.rc, done.out, done.err) == (0, data, b'done\n')


@case(8, same_by_design=True)
@contains('su')
def su_ends_its_child_when_it_is_told_to():
    process = held('su', 'exec sleep 1000')
    process.send_signal(signal.SIGTERM)
    done = box.finish(process)
    assert done.rc in (143, -15) and 'Session terminated' in done.err, done
    host.wait_for('the child ended', lambda: not host.of_user('alice'))


@case(8, same_by_design=True)
@contains('su', 'runuser')
def roots_and_others_su_is_untouched():
    for argv in (['su', '-c'], ['su', 'carol', '-c'], ['runuser', '-u', 'carol', '--', 'sh', '-c']):
        seen = box.run(*argv, 'readlink /proc/self/ns/pid; exit 3', check=False)
        assert (seen.rc, seen.out.strip()) == (3, outside()), (argv, seen)
    assert not box.sessions() if box.STATE['contained'] else True


SLOW = 'echo 100000000000 >/proc/self/timerslack_ns; echo 900 >/proc/self/oom_score_adj'


@case(8)
@contains('su')
def su_by_another_user_is_inside():
    """Set-uid, with a password; its helper and init have nothing of the one who called."""
    box.run('chpasswd', input=f'alice:{PASSWORD}\n')
    carol = pwd.getpwnam('carol').pw_uid
    try:
        process = box.client(['setpriv', f'--reuid={carol}', f'--regid={carol}', '--clear-groups', 'nice', '-n',
                              '5', 'ionice', '-c', '3', 'sh', '-c', f'{SLOW}; exec su alice -c "$0"',
                              'echo ready; readlink /proc/self/ns/pid; exec cat'], stdin=subprocess.PIPE)
        process.stdin.write(PASSWORD + '\n')
        process.stdin.flush()
        lines = [box.line(process), box.line(process)]
        assert lines[0] == 'ready\n' and lines[1].strip() != outside(), lines
        for pid, (uid, name, _) in host.processes().items():
            if name == 'sessbox-init':
                status = Path(f'/proc/{pid}/status').read_text()
                assert 'Uid:\t0\t0\t0\t0\n' in status and 'Gid:\t0\t0\t0\t0\n' in status, status
                assert os.getpriority(os.PRIO_PROCESS, pid) == 0
                assert Path(f'/proc/{pid}/timerslack_ns').read_text() == '50000\n'
                assert Path(f'/proc/{pid}/oom_score_adj').read_text() == '0\n'
                assert 'idle' not in box.run('ionice', '-p', str(pid)).out
        assert box.leave(process) == 0
    finally:
        box.run('usermod', '-p', '!', 'alice')


@case(8)
@contains('su')
def su_refuses_a_directory_of_the_host():
    with directory('/var') as var:
        done = box.run(*WAYS['su']('cd /proc/self/fd/0 && pwd'), stdin=var, check=False)
    assert done.rc == 254 and not done.out, done


@case(8)
@contains('su')
def sus_own_descriptors_stay_outside():
    with directory('/root') as root:
        done = box.run(*WAYS['su'](f'cd /proc/self/fd/{root}/.. && ls'), pass_fds=[root], check=False)
    assert done.rc != 0 and not done.out, done


# terminals

@case(8, same_by_design=True)
@contains('su')
def su_has_job_control():
    term = bash('su', '-', 'alice')
    term.send('sleep 1000\n')
    host.wait_for('sleep runs', lambda: host.in_front('alice', 'sleep'))
    term.send('\x1a')
    term.expect('Stopped')
    term.expect('READY $')
    term.send('bg\n')
    term.expect('READY $')
    assert term.run('jobs')[1].count('Running') == 1
    term.send('fg\n')
    term.expect('sleep 1000')
    host.wait_for('sleep goes on', lambda: host.in_front('alice', 'sleep'))
    term.send('\x03')
    term.expect('READY $')
    assert term.run('true')[0] == 0
    term.send('exit 5\n')
    assert term.closed() == 5


@case(8, same_by_design=True)
@contains('su')
def su_is_suspended_and_resumed():
    term = bash('bash', '--norc', '--noprofile', '-i')
    term.send('su alice\n')
    term.expect(r'[$] $')
    term.send('exec env PS1="IN " bash --norc --noprofile -i\n')
    term.expect('IN $')
    term.send('suspend -f\n')
    term.expect('Stopped')
    term.expect('READY $')
    term.send('fg\n')
    term.expect('su alice')
    term.send('\n')
    term.expect('IN $')
    term.send('exit 6\n')
    term.expect('READY $')
    assert term.run('(exit $?)')[0] in (0, 6)
    term.send('exit\n')
    term.closed()


def stopped_su(user):
    """The shell of a terminal in which su stands still: it stops with its child."""
    term = bash('bash', '--norc', '--noprofile', '-i')
    term.send(f'su {user}\n')
    term.expect(r'[$] $')
    term.send('exec env PS1="IN " bash --norc --noprofile -i\n')
    term.expect('IN $')
    term.send('kill -STOP $$\n')
    term.expect('Stopped')
    term.expect('READY $')
    return term


@case(8)
@contains('su')
def a_su_that_stands_still_keeps_nobody_from_being_frozen():
    """It lives on when its child is killed by another session of the same user."""
    with box.session('alice') as alice:
        term = stopped_su('alice')
        assert alice('pkill -KILL -f "^bash --norc"').rc == 0
        assert box.sessctl('freeze', 'alice') == (0, '', '')
        assert box.the_container('alice')['state'] == 'frozen'
        assert box.sessctl('thaw', 'alice').rc == 0 and alice('exit 3').rc == 3
        term.send('fg\n')
        term.expect('READY $')
        term.send('exit\n')
        term.closed()


@case(8)
@contains('su')
def a_su_that_stands_still_does_not_keep_its_tenant_from_being_ended():
    for target in (lambda: 'alice', lambda: str(box.the_session('alice')['id'])):
        term = stopped_su('alice')
        assert box.sessctl('terminate', target()) == (0, '', '')
        host.wait_for('he is out', lambda: not box.sessions('alice') and not box.containers('alice'))
        term.send('exit\n')
        term.send('exit\n')
        term.closed()


@case(8)
@contains('su')
def su_has_its_terminal_inside():
    term = bash('su', '-', 'alice')
    status, name = term.run('tty')
    assert status == 0 and name.startswith('/dev/pts') and name.strip() != '/dev/pts', name
    assert not name.startswith('/dev/pts/'), 'a terminal of the host has no name in a devpts of its own'
    assert term.run(f'test -c {name.strip()}')[0] == 0
    listed = box.the_session('alice')
    assert listed['service'] == 'su-l' and listed['leader'] in host.of_user('alice'), listed
    term.send('exit\n')
    term.closed()


@case(8)
@contains('su')
def a_terminal_goes_with_its_session():
    with box.session('alice') as alice:
        before = alice('ls /dev').out
        first, second = bash('su', '-', 'alice'), bash('su', 'alice')
        names = [term.run('tty')[1].strip().removeprefix('/dev/') for term in (first, second)]
        assert set(alice('ls /dev').out.split()) - set(before.split()) == set(names), names
        for term in (first, second):
            term.send('exit\n')
            term.closed()
        host.wait_for('the terminals are gone', lambda: alice('ls /dev').out == before)


@case(8)
@contains('su')
def su_makes_a_terminal_with_pty():
    term = bash('su', '--pty', '-', 'alice')
    status, name = term.run('tty')
    assert status == 0 and name.strip() == '/dev/pts/0', name
    assert term.run('test -w "$(tty)"')[0] == 0
    assert term.run('ps -o tty= -p $$')[1].strip() in ('pts/0', 'pts0'), 'the same number is there twice'
    term.send('exit 4\n')
    assert term.closed() == 4


@case(8, same_by_design=True)
@contains('su')
def tmux_runs_under_su():
    for argv in (['su', '-', 'alice'], ['su', '--pty', '-', 'alice']):
        term = bash(*argv)
        term.send('tmux -f /dev/null -L test\n')
        term.expect(r'\[0\]|0:bash')
        term.send('echo in-$((40+2))\n')
        term.expect('in-42')
        term.send('tmux -L test kill-server\n')
        term.expect('READY $')
        term.send('exit\n')
        term.closed()


# records and the admin's view

@case(8)
@contains('su', 'runuser')
def su_is_listed_and_killed():
    for way, service in SERVICES.items():
        process = held(way, 'sleep 1000')
        session = box.the_session('alice')
        assert session['service'] == service and session['processes'] >= 1, session
        assert host.processes()[session['leader']][2] == process.pid, (way, session)
        done = box.sessctl('kill', str(session['id']), '-s', 'KILL')
        assert done.rc == 0, done
        assert box.finish(process).rc in (137, -9), way
        host.wait_for('the session is over', lambda: not box.sessions('alice'))


@case(8, same_by_design=True)
@contains('su')
def su_is_no_login_in_the_records():
    wtmp = Path('/var/log/wtmp')
    size = wtmp.stat().st_size if wtmp.exists() else 0
    before = host.live_records()
    process = held('su -')
    assert host.live_records() == before
    assert box.leave(process) == 0
    assert host.live_records() == before and (wtmp.stat().st_size if wtmp.exists() else 0) == size


@case(8, same_by_design=True)
@contains('su', 'runuser')
@contains('su-l', 'runuser-l', lines=CLOSE)
def other_modules_close_as_ever():
    """pam_keyinit of su-l takes the user's uid for it."""
    mark = host.log_mark()
    for way in ('su -', 'runuser -'):
        assert out_of(way, 'id -un') == 'alice'
    assert not [line for line in host.log_since(mark) if 'pam_keyinit' in line]


def findings_of(check):
    done = box.sessctl('check', '--json')
    return [row for row in json.loads(done.out)['findings'] if row['check'] == check]


@case(8)
@contains('su', 'runuser', 'login', 'atd')
@contains('su-l', 'runuser-l', lines=CLOSE)
@contains('cron', lines=CRED)
def check_finds_all_services_in_order():
    bad = [row['what'] for row in findings_of('services') if row['severity'] != 'note']
    assert not bad, bad
    (PAM_DIR / 'su').write_text((PAM_DIR / 'su').read_text().replace(FORK['open'], ''))
    assert {row['what'] for row in findings_of('services') if row['severity'] == 'error'} == \
        {f'{name} has no open line of pam_sessbox.so' for name in ('su', 'su-l')}


@case(8, same_by_design=True)
def check_asks_each_sshd_that_was_started_with_a_configuration_of_its_own():
    def found():
        return {row['what'] for row in findings_of('sshd') if row['severity'] == 'error'}

    before = found()  # the virtual machine's way in is one
    port = box.free_port()
    with box.host_file('/etc/ssh/another_config', f'Port {port}\nHostKey {box.DIR}/hostkey\nPidFile none\n'):
        sshd = box.client(['/usr/sbin/sshd', '-D', '-f', '/etc/ssh/another_config', '-oUsePAM=no', '-o', 'PrintMotd=no'])
        host.wait_for('it answers', lambda: box.answers(port))
        assert found() - before == {f'process {sshd.pid}: sshd does not use PAM: nobody is contained (usepam no)'}
        sshd.terminate()
        box.finish(sshd)
    assert found() == before


# refusals

@case(8)
@contains('su', 'runuser')
def other_services_are_denied():
    box.config(tenants={'AllowServices': 'sshd'})
    for way in WAYS:
        done = through(way, 'id -un')
        assert done.rc != 0 and not done.out, (way, done)
        assert 'This account may not use this service.' in done.err, (way, done)
    assert box.out_of('alice', 'id -un') == 'alice'


@case(8)
@contains('su', 'su-l')
def lines_in_both_files_are_refused():
    """su-l includes su: the second open refuses, and nothing stays."""
    mark = host.log_mark()
    done = through('su -', 'id -un')
    assert done.rc != 0 and not done.out, done
    host.log_has(mark, 'opened twice')
    assert out_of('su', 'id -un') == 'alice'


@case(8)
@contains('su', lines={**FORK, 'open': 'session required pam_sessbox.so open join=cred'})
def the_wrong_join_is_refused():
    mark = host.log_mark()
    done = through('su', 'id -un')
    assert done.rc != 0 and not done.out, done
    host.log_has(mark, 'no join=fork on the open line')


@case(8)
@contains('su')
def a_copy_of_su_is_refused():
    copy = box.DIR / 'su'
    box.run('cp', '/usr/bin/su', str(copy))
    done = box.run(str(copy), 'alice', '-c', 'id -un', check=False)
    assert done.rc != 0 and not done.out, done


@case(8)
@contains('su')
def su_needs_its_helper():
    with box.helper_does('#!/bin/sh\nexit 1\n'):
        done = through('su', 'id -un')
    assert done.rc != 0 and not done.out, done
    assert 'cannot be set up' in done.err, done


@case(8)
@contains('su')
def a_su_is_refused_whatever_step_goes_wrong():
    """Those of a terminal among them; nothing of it is left but what gc finds."""
    before, wrong = host.snapshot(), []
    steps = [line.split()[:2] for line in box.run(str(box.FAULT_HELPER), '--steps').out.splitlines()]
    master, slave = os.openpty()
    with box.helper_is(box.FAULT_HELPER):
        for kind, (table, index) in itertools.product(('fail', 'kill'), steps):
            box.FAULT.write_text(f'{kind}:{table}:{index}\n')
            done = box.run(*WAYS['su']('echo ran'), stdin=slave, check=False)
            box.FAULT.unlink()
            try:
                assert done.rc != 0 and 'ran' not in done.out, done
                # its init notices by itself that su is gone, and gc what is left then
                host.wait_for('nothing is left', lambda: box.sessctl('gc').rc == 0 and not host.leftovers(before))
            except AssertionError as error:
                wrong.append(f'{kind}:{table}:{index}: {error}'.splitlines()[0])
    os.close(master)
    os.close(slave)
    assert not wrong, '\n'.join(wrong)


@case(8)
@contains('su')
def a_killed_su_ends_its_container():
    process = held('su', 'exec </dev/null >/dev/null 2>&1; sleep 1000 & sleep 1000')
    process.kill()
    box.finish(process)
    host.wait_for('its processes are gone', lambda: not host.of_user('alice'))
    host.wait_for('gc finds it', lambda: box.sessctl('gc').rc == 0 and not box.containers())


# cron and at: daemons of the test's, and a mailer that puts what it gets into the user's box

SENDMAIL = Path('/usr/sbin/sendmail')
MAILER = '''#!/bin/sh
{ echo "-- $(id -un) $(readlink /proc/self/ns/pid) $(readlink /proc/self/ns/mnt) $*"
  grep -E '^(NoNewPrivs|CapEff|Groups)' /proc/self/status; env | sed 's/^/env /'; cat; } >>/var/mail/alice
'''


def readable(mail):
    """Debian 13's cron sends lines that are too long for some mailer in a form that is not."""
    encoded = b'Content-Transfer-Encoding: quoted-printable\n'
    head, found, rest = mail.read_bytes().partition(encoded)
    return (head + found + (quopri.decodestring(rest) if found else rest)).decode()


@contextlib.contextmanager
def mailbox():
    """A box for alice, and a mailer; what the box has by now."""
    mail = Path('/var/mail/alice')
    existed = SENDMAIL.read_bytes() if SENDMAIL.exists() else None
    box.replace(SENDMAIL, MAILER, 0o755)
    mail.write_text('')
    os.chown(mail, pwd.getpwnam('alice').pw_uid, -1)
    mail.chmod(0o660)
    try:
        yield lambda: readable(mail)
    finally:
        mail.unlink()
        SENDMAIL.unlink()
        if existed is not None:
            SENDMAIL.write_bytes(existed)


def stop_the_machines(unit):
    if host.IN_VM:
        box.run('systemctl', 'stop', unit)


@contextlib.contextmanager
def daemon(*argv):
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def cron(table):
    """Debian's cron with a table of alice's, whose lines begin with @reboot: they run at once."""
    stop_the_machines('cron')
    box.run('crontab', '-u', 'alice', '-', input=table)
    Path('/run/crond.reboot').unlink(missing_ok=True)
    try:
        with mailbox() as mail, daemon('/usr/sbin/cron', '-f') as process:
            yield process, mail
    finally:
        box.run('crontab', '-u', 'alice', '-r')
        Path('/run/crond.pid').unlink(missing_ok=True)


def mailed(mail, pattern, seconds=20):
    def look():
        text = mail()
        return text if pattern in text else None
    return host.wait_for(f'{pattern!r} in the mail', look, seconds)


@case(8, same_by_design=True)
def a_service_without_lines_leads_onto_the_host():
    """Though sshd contains: the holes that the other cases show shut."""
    contained = box.STATE['contained']
    assert (box.out_of('alice', 'readlink /proc/self/ns/pid') != outside()) == contained
    assert out_of('su', 'readlink /proc/self/ns/pid').strip() == outside()
    with cron('@reboot readlink /proc/self/ns/pid; id\n') as (_, mail):
        assert outside() in mailed(mail, 'uid=')
    with at('readlink /proc/self/ns/pid; id\n') as (_, mail):
        assert outside() in mailed(mail, 'uid=')


@case(8)
@contains('cron', lines=CRED)
def cron_jobs_are_inside():
    with box.session('alice') as alice:
        there = alice('readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; hostname; id').out
        with cron('@reboot readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; hostname; id\n') as (_, mail):
            text = mailed(mail, 'uid=')
            assert there in text, (there, text)
            assert outside() not in there


@case(8)
@contains('cron', lines=CRED)
def a_cron_job_has_what_a_login_has():
    script = box.home('alice') / 'probe.sh'
    with box.host_file(script, box.script('probe.py')), cron(f'@reboot sh {script}\n') as (_, mail):
        text = mailed(mail, '"ls"')
        seen = json.loads(text[text.rindex('\n{') + 1:])
    assert seen['status']['NoNewPrivs'] == '1' and int(seen['status']['CapBnd'], 16) == 0, seen['status']
    assert seen['ls']['/home'] == ['alice'] and seen['cwd'] == '/home/alice'
    assert sorted(seen['fds']) in (['0', '1', '2'], ['0', '1', '2', '3']), seen['fds']


@case(8, same_by_design=True)
@contains('cron', lines=CRED)
def crons_mail_is_sent_on_the_host():
    """By the mailer with its own privileges, as without us, and without the job's environment."""
    with cron('MAILTO=alice@example.org\nEVIL=1\nLD_LIBRARY_PATH=/home/alice\n@reboot echo job-$((40+2))\n') as (_, mail):
        text = mailed(mail, 'job-42')
    head = next(line for line in text.splitlines() if line.startswith('-- '))
    assert head.split()[1] == 'alice' and head.split()[2] == outside(), head
    assert head.endswith('alice@example.org'), head
    assert 'NoNewPrivs:\t0' in text, text
    environment = text[:text.index('From: ')]
    assert 'env EVIL' not in environment and 'env LD_' not in environment, environment


@case(8)
@contains('cron', lines=CRED)
def mail_of_a_job_reaches_its_box():
    with cron('@reboot hostname\n') as (_, mail):
        mailed(mail, 'alice-box')
        assert 'alice-box' in box.out_of('alice', 'cat /var/mail/alice')


@case(8, same_by_design=True)
@contains('cron', lines=CRED)
def cron_feeds_its_jobs():
    with cron('@reboot sleep 0.3; tr a-z A-Z%one%two\n') as (_, mail):
        assert 'ONE\nTWO' in mailed(mail, 'TWO')


@case(8)
@contains('cron', lines=CRED)
def a_cron_job_is_listed_and_killed():
    with cron('@reboot echo begun; sleep 1000; echo over\n') as (process, mail):
        session = host.wait_for('the job is listed', lambda: box.sessions('alice'))[0]
        assert session['service'] == 'cron', session
        host.wait_for('it has a leader', lambda: box.the_session('alice')['leader'] in host.of_user('alice'))
        assert not [row for row in host.live_records() if row[0] == 'alice'], 'a job is no login'
        assert box.sessctl('kill', str(session['id']), '-s', 'KILL').rc == 0
        host.wait_for('the session is over', lambda: not box.sessions('alice'))
        mailed(mail, 'begun')
        assert process.poll() is None


@contextlib.contextmanager
def nothing_ran():
    """Where it did, the next case is not to see it."""
    try:
        yield
    finally:
        (box.home('alice') / 'ran').unlink(missing_ok=True)


@case(8)
@contains('cron', lines=CRED)
def cron_is_denied_where_it_is_not_allowed():
    box.config(tenants={'AllowServices': 'sshd'})
    mark = host.log_mark()
    with nothing_ran(), cron('@reboot echo ran >/home/alice/ran\n'):
        host.log_has(mark, "service 'cron' is not in AllowServices", 20)
        time.sleep(1)
        assert not (box.home('alice') / 'ran').exists()


@case(8)
@contains('cron', lines={**CRED, 'auth': '# no auth line'})
def a_cron_job_that_misses_the_hook_dies():
    mark = host.log_mark()
    with cron('@reboot echo ran >/home/alice/ran\n'):
        host.wait_for('the session came and went', lambda: any('cron' in line and 'session closed' in line
                                                               for line in host.log_since(mark)) or
                      (box.home('alice') / 'ran').exists(), 20)
        ran = (box.home('alice') / 'ran').exists()
    (box.home('alice') / 'ran').unlink(missing_ok=True)
    assert not ran, 'it ran on the host'


@contextlib.contextmanager
def at(script, *options):
    """Debian's atd, with a job of alice's that is due."""
    alice = pwd.getpwnam('alice')
    stop_the_machines('atd')
    try:
        with mailbox() as mail:
            box.run('setpriv', f'--reuid={alice.pw_uid}', f'--regid={alice.pw_gid}', '--init-groups', 'env', '-i',
                    'LOGNAME=alice', 'HOME=/home/alice', 'PATH=/usr/bin:/bin', 'SHELL=/bin/sh', 'at', *options, 'now',
                    input=script, cwd='/home/alice')
            with daemon('/usr/sbin/atd', '-f') as process:
                yield process, mail
    finally:
        for job in box.run('atq', check=False).out.splitlines():
            box.run('atrm', job.split()[0], check=False)
        Path('/run/atd.pid').unlink(missing_ok=True)


@case(8)
@contains('atd')
def at_jobs_are_inside():
    with box.session('alice') as alice:
        there = alice('readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; hostname; id -un').out
        with at('readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; hostname; id -un\n') as (_, mail):
            text = mailed(mail, '\nalice\n')
            assert there in text, (there, text)
            assert outside() not in there


@case(8)
@contains('atd')
def an_at_job_has_what_a_login_has():
    login = box.probe('alice')
    with at(box.script('probe.py') + '\n') as (_, mail):
        text = mailed(mail, '"ls"')
        seen = json.loads(text[text.rindex('\n{') + 1:])
    for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Uid', 'Gid'):
        assert seen['status'][key] == login['status'][key], (key, seen['status'][key])
    assert seen['groups'] == login['groups'] and seen['securebits'] == 0
    assert seen['ls']['/home'] == ['alice'] and seen['cwd'] == '/home/alice'


@case(8, same_by_design=True)
@contains('atd')
def ats_mail_is_sent_on_the_host():
    with at('echo job-$((40+2))\n') as (_, mail):
        text = mailed(mail, 'job-42')
    head = next(line for line in text.splitlines() if line.startswith('-- '))
    assert head.split()[1] == 'alice' and head.split()[2] == outside(), head
    assert 'NoNewPrivs:\t0' in text, text


@case(8)
@contains('atd')
def on_failure_allow_is_for_at_as_well():
    """Its real uid is that of daemon, who is nobody's user."""
    box.config(tenants={'OnFailure': 'allow'})
    mark = host.log_mark()
    with box.helper_is(box.FAULT_HELPER):
        box.FAULT.write_text('fail:create:4\n')
        with at('readlink /proc/self/ns/pid; id\n') as (_, mail):
            assert outside() in mailed(mail, 'uid=')
    host.log_has(mark, "'alice' NOT CONTAINED")


@case(8)
@contains('atd')
def an_at_job_is_listed_and_killed():
    with at('sleep 1000\n') as (process, _):
        session = host.wait_for('the job is listed', lambda: box.sessions('alice'))[0]
        assert session['service'] == 'atd', session
        host.wait_for('it has a leader', lambda: box.the_session('alice')['leader'] in host.of_user('alice'))
        assert box.sessctl('kill', str(session['id']), '-s', 'KILL').rc == 0
        host.wait_for('the session is over', lambda: not box.sessions('alice'))
        assert process.poll() is None
