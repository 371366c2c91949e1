# SPDX-License-Identifier: LGPL-2.1-or-later
"""7. Fail closed: in time, with one clear sentence for the user and the reason in the log; root is
still in, and nothing is left."""
import functools
import os
import re
import shutil
import signal
import time
from pathlib import Path

import box
import host
from cases import case
from records import last, who

GOT_IN = 'echo got-in'
OF_SSH = re.compile(r'Connection (to .* )?closed|client_loop: |channel \d|Shared connection|\s*$')
MOTD = Path('/etc/motd'), Path('/run/motd.dynamic')
HANGING = '#!/usr/bin/python3\nimport signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n' \
          'while True: signal.pause()\n'


def sentence(done):
    """What the user reads that does not come from ssh itself, nor is the message of the day."""
    motd = [line for file in MOTD if file.exists() for line in file.read_text().splitlines()]
    return [line for line in (done.out + done.err).splitlines() if line not in motd and not OF_SSH.match(line)]


def refused(user='alice', seconds=10):
    """No command of the user's runs, he is told so in one sentence, the admin is told why."""
    mark, start = host.log_mark(), time.monotonic()
    done = box.ssh(user, GOT_IN, timeout=seconds)
    assert done.rc in (254, 255) and 'got-in' not in done.out, done
    assert time.monotonic() - start < seconds * host.SLOW
    said = sentence(done)
    assert len(said) == 1, said
    assert all(20 < len(line) < 160 and line.endswith('.') for line in said), said
    host.log_has(mark, 'sessbox')


def enters(*users):
    for user in users:
        done = box.ssh(user, GOT_IN)
        assert done == (0, 'got-in\n', ''), (user, done)


def forwarding_is_closed(user='alice', seconds=20):
    """With -N no command is ever asked for, so it is the connection that has to end."""
    port = box.free_port()
    client = box.client(box.argv(user, opts=['-N', '-L', f'127.0.0.1:{port}:127.0.0.1:{box.STATE["port"]}']))
    assert box.finish(client, timeout=seconds).rc == 255
    host.wait_for(f'no process of {user}', lambda: not host.of_user(user))


def nothing_runs(seconds=20):
    """A shell, sftp inside sshd's own child, and a connection that is there only to forward."""
    done = box.ssh('alice', GOT_IN, timeout=seconds)
    assert done.rc in (254, 255) and 'got-in' not in done.out, done
    with box.host_file('/tmp/sessbox-marker'):
        asked = box.finish(box.client(['sftp', *sftp_options(), 'ivan@127.0.0.1'], stdin=-1),
                           'ls /tmp\n', seconds)
    assert asked.rc == 255 and 'marker' not in asked.out, asked
    forwarding_is_closed(seconds=seconds)


def sftp_options():
    words = box.argv('x')
    port = words.index('-p')
    return [*words[1:port], '-P', words[port + 1], *words[port + 2:-1], '-b', '-']


# the helper

@case(7)
def helper_is_missing():
    away = box.HELPER.with_name('away')
    before = host.snapshot()
    box.HELPER.rename(away)
    try:
        refused('alice'), refused('carol'), forwarding_is_closed()
        enters('root', 'svc')
    finally:
        away.rename(box.HELPER)
    host.settle(before)
    enters('alice', 'carol')


@case(7)
def helper_is_not_executable():
    before = host.snapshot()
    with box.helper_does('', mode=0o644):
        refused('alice'), refused('carol'), forwarding_is_closed()
        enters('root', 'svc')
    host.settle(before)


@case(7)
def helper_is_no_program():
    before = host.snapshot()
    with box.helper_does('nonsense\n'):
        refused('alice'), refused('carol')
        enters('root', 'svc')
    host.settle(before)


@case(7)
def helper_fails_silently():
    before = host.snapshot()
    with box.helper_does('#!/bin/sh\nexit 1\n'):
        refused('alice'), refused('carol')
        enters('root', 'svc')
    host.settle(before)


@case(7)
def helper_says_yes_and_no_more():
    with box.helper_does('#!/bin/sh\nexit 0\n'):
        refused('alice'), refused('carol')
        enters('root')


@case(7)
def helper_hangs():
    before = host.snapshot()
    with box.helper_does(HANGING):
        refused('alice', 60)
        enters('root')
        host.settle(before)


@case(7)
def helper_kills_itself():
    before = host.snapshot()
    with box.helper_does('#!/bin/sh\nkill -9 $$\n'):
        refused('alice')
        enters('root')
    host.settle(before)


@case(7)
def helper_hangs_when_the_session_closes():
    before = host.snapshot()
    client = box.held('alice')
    monitor = host.monitor_of(box.the_session('alice')['leader'])
    with box.helper_does(HANGING):
        box.leave(client)
        enters('root')
        host.wait_for('sshd gives up', lambda: monitor not in host.processes(), 60)
    host.wait_for('gc finds it dead', lambda: box.sessctl('gc').rc == 0 and not host.leftovers(before))


# each step of building a container, by the test build of the helper

def steps():
    lines = box.run(str(box.FAULT_HELPER), '--steps').out.splitlines()
    assert len(lines) > 3, lines
    return [line.split()[:2] for line in lines]


def every_step(kind, mend):
    """What is left of a login that goes wrong there is nothing, once `mend` has been called."""
    before, wrong = host.snapshot(), []
    with box.helper_is(box.FAULT_HELPER):
        with box.session('alice'):
            box.the_container('alice')
        for table, index in steps():
            box.FAULT.write_text(f'{kind}:{table}:{index}\n')
            try:
                refused('alice')
                box.FAULT.unlink()
                mend()
                host.settle(before, 5)
            except AssertionError as error:
                wrong.append(f'{kind}:{table}:{index}: {error}'.splitlines()[0])
                box.FAULT.unlink(missing_ok=True)
                box.sessctl('gc')
        enters('root', 'alice')
    assert not wrong, '\n'.join(wrong)


def collected():
    """The first gc may come while init is still on its way out."""
    host.wait_for('gc leaves nothing', lambda: box.sessctl('gc').rc == 0 and not host.run_tree())


@case(7)
def every_step_fails():
    every_step('fail', lambda: None)


@case(7)
def helper_is_killed_in_every_step_and_gc_cleans_up():
    every_step('kill', collected)


@case(7)
def helper_hangs_in_every_step_and_the_next_login_cleans_up():
    box.config(tenants={'TimeoutSec': '1'})
    every_step('hang', lambda: enters('alice'))


@case(7)
def a_refused_open_leaves_no_process():
    """Account says yes, open says no: sshd would go on with the connection."""
    before = host.snapshot()
    with box.helper_is(box.FAULT_HELPER):
        table, index = steps()[0]
        box.FAULT.write_text(f'fail:{table}:{index}\n')
        nothing_runs()
        host.settle(before)


@case(7)
def a_tenant_below_uid_1000_is_refused_as_well():
    """Without an answer the system's accounts go on; not one of whom the account line has said what he is."""
    box.config(system={'MatchUsers': box.SYSTEM, 'Contain': 'yes', 'AllowServices': 'sshd'})
    before = host.snapshot()
    with box.helper_is(box.FAULT_HELPER):
        box.FAULT.write_text('kill:open:0\n')
        refused(box.SYSTEM)
        enters('root')
    enters(box.SYSTEM)
    host.settle(before)


@case(7)
def a_refused_login_after_a_crash_leaves_no_record():
    """Wherever it fails: it may have removed what the other one left, or left it to gc."""
    with box.helper_is(box.FAULT_HELPER):
        for table, index in steps():
            held = box.held('alice')
            before = {record for record in host.login_records() if record[0] == 'alice'}
            monitor, init = host.monitor_of(box.the_session('alice')['leader']), box.the_container('alice')['init']
            os.kill(monitor, signal.SIGKILL)
            os.kill(init, signal.SIGKILL)
            assert box.closed_by_peer(held)
            box.FAULT.write_text(f'fail:{table}:{index}\n')
            refused('alice')
            box.FAULT.unlink()
            collected()
            assert before or not host.HAS_UTMP
            assert not before & host.login_records(), (table, index)


@case(7)
def gc_removes_what_a_killed_removal_has_left():
    left = host.RUN / 'gone.3001.1'
    with box.session('bob'):
        (left / 'sessions').mkdir(parents=True)
        (left / 'sessions/1').write_text('half')
        assert box.sessctl('gc').rc == 0
        assert not left.exists() and box.the_session('bob')


@case(7)
def on_failure_allow_lets_the_login_go_on_loudly():
    box.config(tenants={'OnFailure': 'allow'})
    mark = host.log_mark()
    with box.helper_is(box.FAULT_HELPER):
        table, index = steps()[0]
        box.FAULT.write_text(f'fail:{table}:{index}\n')
        done = box.ssh('alice', 'readlink /proc/self/ns/pid')
    assert done.rc == 0 and done.out.strip() == host.namespace('self', 'pid'), done
    host.log_has(mark, "'alice' NOT CONTAINED")


# the configuration

LAST_GOOD = Path('/var/lib/sessbox/last-good')
BROKEN = {
    'unknown-key': '[tenants]\nMatchGroups=tenants\nContain=yes\nMemoryMaximum=64M\n',
    'misspelt-match': '[tenants]\nMatchGroup=tenants\nContain=yes\n',
    'duplicate-key': '[tenants]\nMatchGroups=tenants\nContain=yes\nContain=no\n',
    'duplicate-class': '[tenants]\nMatchGroups=tenants\nContain=yes\n[tenants]\nContain=no\n',
    'bad-size': '[tenants]\nMatchGroups=tenants\nContain=yes\nMemoryMax=lots\n',
    'bad-unit': '[tenants]\nMatchGroups=tenants\nContain=yes\nMemoryMax=64Q\n',
    'bad-boolean': '[tenants]\nMatchGroups=tenants\nContain=maybe\n',
    'bad-number': '[tenants]\nMatchGroups=tenants\nContain=yes\nTasksMax=12abc\n',
    'negative-number': '[tenants]\nMatchGroups=tenants\nContain=yes\nTasksMax=-1\n',
    'bad-path': '[tenants]\nMatchGroups=tenants\nContain=yes\nBindPaths=../etc\n',
    'no-class': 'Contain=no\n[tenants]\nMatchGroups=tenants\nContain=yes\n',
    'open-bracket': '[tenants\nMatchGroups=tenants\nContain=yes\n',
    'no-value': '[tenants]\nMatchGroups=tenants\nContain\n',
    'text-after-quote': '[tenants]\nMatchGroups="domain users" tenants\nContain=yes\n',
    'long-line': '[tenants]\nMatchGroups=tenants\nContain=yes\nBindPaths=/' + 'x' * 3000 + '\n',
    'colon-in-class': '[ten:ants]\nMatchGroups=tenants\nContain=yes\n',
    'binary': '[tenants]\nMatchGroups=tenants\nContain=yes\n\0\1\2\n',
}


def was_good():
    """Every login that reads a configuration keeps it."""
    forget()
    enters('carol')
    assert LAST_GOOD.exists() and LAST_GOOD.stat().st_mode & 0o7777 == 0o600


def forget():
    """No configuration has ever been good."""
    LAST_GOOD.unlink(missing_ok=True)


def tenants_alone_are_refused():
    """By the last good configuration; without one, everybody from uid 1000 on."""
    refused('alice'), forwarding_is_closed()
    enters('root', 'svc', 'carol')
    forget()
    refused('alice'), refused('carol'), forwarding_is_closed('carol')
    enters('root', 'svc')


def broken_text(text):
    was_good()
    box.replace(box.CONFIG, text)
    before = host.snapshot()
    refused('alice')
    enters('root', 'carol')
    host.settle(before)
    assert box.sessctl('check').rc == 1


for title, broken in BROKEN.items():
    case(7, name=f'configuration-has-{title}')(functools.partial(broken_text, broken))


@case(7)
def configuration_is_writable_by_others():
    was_good()
    box.CONFIG.chmod(0o646)
    tenants_alone_are_refused()


@case(7)
def configuration_belongs_to_a_tenant():
    was_good()
    shutil.chown(box.CONFIG, 'alice')
    tenants_alone_are_refused()


@case(7)
def configuration_is_a_link():
    was_good()
    real = box.CONFIG.with_name('elsewhere.conf')
    box.CONFIG.rename(real)
    box.CONFIG.symlink_to(real)
    try:
        tenants_alone_are_refused()
    finally:
        real.unlink()


@case(7)
def configuration_is_a_pipe():
    was_good()
    box.CONFIG.unlink()
    os.mkfifo(box.CONFIG)
    try:
        tenants_alone_are_refused()
    finally:
        box.CONFIG.unlink()


@case(7)
def a_drop_in_is_broken():
    was_good()
    box.DROP_INS.mkdir(exist_ok=True)
    with box.host_file(box.DROP_INS / '50-broken.conf', '[tenants]\nTasksMax=many\n'):
        tenants_alone_are_refused()


@case(7)
def the_last_good_configuration_says_what_on_failure_is():
    box.config(tenants={'OnFailure': 'allow'}, closed={'MatchUsers': 'bob', 'OnFailure': 'deny'},
               elsewhere={'MatchUsers': 'ivan', 'AllowServices': 'su'})
    was_good()
    box.replace(box.CONFIG, '[tenants]\nContain=maybe\n')
    mark = host.log_mark()
    done = box.ssh('alice', 'readlink /proc/self/ns/pid')
    assert done.rc == 0 and done.out.strip() == host.namespace('self', 'pid'), done
    host.log_has(mark, 'sessbox.*alice.*NOT CONTAINED.*Contain')
    refused('bob'), refused('ivan')
    enters('carol')
    host.log_has(mark, 'sessbox.*carol.*last good.*Contain')


@case(7)
def check_tells_of_the_last_good_configuration():
    def found():
        return [f['what'] for f in box.answer_of('check')['findings'] if f['check'] == 'configuration']

    was_good()
    with box.session('alice') as alice:
        good = box.CONFIG.read_text()
        box.replace(box.CONFIG, '[tenants]\nTasksMaximum=7\n')
        assert alice(GOT_IN).out == 'got-in\n'
        refused('alice')
        said = '\n'.join(found())
        assert 'TasksMaximum' in said and 'last good' in said and '/var/lib/sessbox' in said, said
        forget()
        assert 'no last good' in '\n'.join(found())
        box.replace(box.CONFIG, good)
        assert not [text for text in found() if 'last good' in text]
        assert LAST_GOOD.exists()  # a check that finds it good keeps it, too
        enters('alice')


@case(7)
def a_last_good_configuration_that_others_could_write_is_none():
    was_good()
    box.replace(box.CONFIG, 'x\n')
    LAST_GOOD.chmod(0o666)
    refused('carol')
    LAST_GOOD.chmod(0o600)
    enters('carol')
    LAST_GOOD.write_bytes(LAST_GOOD.read_bytes()[:-5])
    refused('carol')
    enters('root', 'svc')


@case(7)
def service_is_not_allowed():
    box.config(tenants={'AllowServices': 'su'})
    refused('alice'), forwarding_is_closed()
    enters('root', 'carol')


# the container

@case(7)
def init_is_killed():
    before = host.snapshot()
    client = box.held('alice')
    old = box.the_container('alice')['init']
    os.kill(old, signal.SIGKILL)
    assert box.closed_by_peer(client)
    with box.session('alice') as alice:
        assert alice(GOT_IN).out == 'got-in\n' and box.the_container('alice')['init'] != old
    enters('root')
    host.settle(before)


@case(7)
def init_is_stopped():
    box.config(tenants={'TimeoutSec': f'{3 * host.SLOW:.0f}'})
    with box.session('alice') as alice:
        init = box.the_container('alice')['init']
        os.kill(init, signal.SIGSTOP)
        try:
            refused('alice')
            enters('root', 'bob')
            assert box.the_container('alice')['state'] == 'silent'
        finally:
            os.kill(init, signal.SIGCONT)
        assert alice(GOT_IN).out == 'got-in\n'
        enters('alice')


@case(7)
def on_failure_allow_is_not_for_one_who_is_in():
    """From inside he could bring failures about, and be on the host at his next login."""
    box.config(tenants={'TimeoutSec': f'{3 * host.SLOW:.0f}', 'OnFailure': 'allow'})
    with box.session('alice'):
        init = box.the_container('alice')['init']
        os.kill(init, signal.SIGSTOP)
        try:
            refused('alice')
        finally:
            os.kill(init, signal.SIGCONT)
        enters('alice')


@case(7)
def cgroup_is_frozen():
    box.config(tenants={'TimeoutSec': f'{3 * host.SLOW:.0f}'})
    before = host.snapshot()
    with box.session('alice') as alice:
        host.freeze('alice', True)
        try:
            refused('alice')
            enters('root', 'bob')
        finally:
            host.freeze('alice', False)
        assert alice(GOT_IN).out == 'got-in\n'
        enters('alice')
    host.settle(before)


@case(7)
def a_class_is_frozen():
    """The new container's first process gets no turn in there; that is no failure to let him in for."""
    box.config(tenants={'TimeoutSec': f'{3 * host.SLOW:.0f}', 'ClassTasksMax': '300', 'OnFailure': 'allow'})
    before = host.snapshot()
    with box.session('bob') as bob:
        group = host.group('bob', 'freezer').parent
        host.freeze_group(group, True)
        try:
            refused('alice')
            enters('root', 'carol')
        finally:
            host.freeze_group(group, False)
        assert bob(GOT_IN).out == 'got-in\n'
        enters('alice')
    host.settle(before)


# lines left out of the stack, or wrong ones

@case(7)
def auth_line_is_left_out():
    before = host.snapshot()
    box.stack(without=('auth',))
    nothing_runs()
    enters('root', 'carol')
    host.settle(before)


@case(7)
def an_unknown_argument_refuses_tenants():
    for kind in ('account', 'auth', 'open'):
        mark = host.log_mark()
        box.stack(lines_of_ours={**box.LINES, kind: box.LINES[kind] + ' bogus'})
        nothing_runs()
        enters('root')
        host.log_has(mark, 'sessbox.*unknown argument')


@case(7)
def join_is_not_said():
    box.stack(lines_of_ours={**box.LINES, 'open': 'session required pam_sessbox.so open'})
    nothing_runs()
    enters('root', 'carol')


# nobody calls close

def kill_monitor():
    client = box.held('alice', 'sleep 606 >/dev/null & exec cat')
    os.kill(host.monitor_of(box.the_session('alice')['leader']), signal.SIGKILL)
    assert box.closed_by_peer(client)
    host.wait_for('init ends all of alice', lambda: not host.of_user('alice'))
    host.wait_for('init itself ends', lambda: 'sessbox-init' not in
                  [name for _, name, _ in host.processes().values()])


@case(7)
def monitor_is_killed_and_the_next_login_cleans_up():
    before = host.snapshot()
    kill_monitor()
    enters('alice')
    host.settle(before)


@case(7)
def monitor_is_killed_and_gc_cleans_up():
    before = host.snapshot()
    kill_monitor()
    assert box.sessctl('gc').rc == 0
    host.settle(before)
    enters('root')


@case(7)
def one_of_two_monitors_is_killed():
    with box.session('alice') as alice:
        first = box.the_session('alice')['leader']
        other = box.held('alice')
        second = box.only([s['leader'] for s in box.sessions('alice') if s['leader'] != first])
        os.kill(host.monitor_of(second), signal.SIGKILL)
        assert alice(GOT_IN).out == 'got-in\n'
        enters('alice')
        host.wait_for('its session is no more', lambda: len(box.sessions('alice')) == 1)
        box.leave(other)


@case(7, same_by_design=True)
def killing_ones_sshd_leaves_records_of_others_alone():
    count = len(last('carol'))
    carol = box.client(box.argv('carol', 'tty; exec cat', tty=True), stdin=-1)
    number = int(box.line(carol).strip().rpartition('/')[2])
    with box.session('alice') as run:
        channel = {'opts': run.keywords['opts'], 'tty': True}
        held = [box.client(box.argv('alice', 'tty; exec cat', **channel), stdin=-1) for _ in range(number + 1)]
        for client in held:
            assert '/dev/pts/' in box.line(client)
        run('kill -9 $PPID')
        host.wait_for('alice is out', lambda: not host.of_user('alice'))
    assert 'carol' in who() and carol.poll() is None
    lines = last('carol')
    assert len(lines) == count + 1 and 'still logged in' in lines[0], lines
