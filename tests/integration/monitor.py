# SPDX-License-Identifier: LGPL-2.1-or-later
"""20. The monitor: here started by the case, in the virtual machine it is its unit."""
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import box
import host
from bounds import two_classes
from cases import case
from devices import DENIED, FUSE, opening, plant
from life import BROKEN, FOR, edit, kill_timer, limited, overdue, timers, timers_end
from services import contains, bash

UNIT = 'sessbox-monitor'
SAID = box.DIR / 'monitor-said'
HELPER = str(host.HELPER)
KILLED = r'A process of yours was killed: MemoryMax=64M was used up\. See: sessctl limit alice\r+\n'
REFUSED = r'New processes of yours were refused: TasksMax=30 was used up\. See: sessctl limit alice\r+\n'
EAT = f'{box.script("eat.py", 128)}; echo status $?'


def config(**keys):
    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '0', 'TasksMax': '30', **keys})


def locked():
    with contextlib.suppress(FileNotFoundError), open(host.RUN / 'monitor', 'rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def started():
    if host.IN_VM:
        box.run('systemctl', 'start', UNIT)
        return None
    with SAID.open('ab') as out:  # with what its unit gives it
        return subprocess.Popen(['setpriv', '--bounding-set=-all,+sys_ptrace,+dac_override', '--', 'sessctl',
                                 'monitor'], stdin=subprocess.DEVNULL, stdout=out)


def ends_said():
    text = box.run('journalctl', '-b', '-u', UNIT, '--no-pager').out if host.IN_VM else SAID.read_text()
    return text.count('the limits that uid 3001 had until 20')


def stopped(process):
    if host.IN_VM:
        box.run('systemctl', 'stop', UNIT)
        return
    process.terminate()
    assert process.wait(10 * host.SLOW) == 0
    box.run(HELPER, 'wait')  # as the unit does


@contextlib.contextmanager
def monitor():
    """Yields its pid."""
    process = started()
    try:
        host.wait_for('the monitor runs', locked)
        yield process.pid if process else int(box.run('systemctl', 'show', '-P', 'MainPID', UNIT).out)
    finally:
        stopped(process)
        assert not locked()


@contextlib.contextmanager
def as_under_systemd():
    """For those who look whether it runs."""
    made = Path('/run/systemd/system')
    there = made.exists()
    made.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not there:
            made.rmdir()


@case(20, same_by_design=True)
def a_stopped_monitor_is_named_by_check():
    def named():
        return [f['severity'] for f in box.answer_of('check')['findings'] if 'monitor does not run' in f['what']]

    config()
    with as_under_systemd():
        assert named() == ['note']
        with monitor():
            assert not named()


def eats_too_much():
    done = box.ssh('alice', EAT)
    assert done.out == 'status 137\n', done


@contextlib.contextmanager
def shell(user='alice'):
    """sshd's own way to a shell, at which it says what the modules have said."""
    term = box.Term(box.argv(user, tty=True), 20 * host.SLOW)
    box.CLIENTS.append(term)
    try:
        yield term
    finally:
        if term in box.CLIENTS:
            box.CLIENTS.remove(term)
            term.stop()


def greeting():
    """What a shell is greeted with before its first command."""
    with shell() as term:
        term.send('echo in-$((40+2)); exit\n')
        text = term.text + str(term.expect('(?s).*in-42')[0])
        term.closed()
    host.wait_for('the logout', lambda: not box.sessions('alice'))
    return text


# why

@case(20)
def a_tenant_reads_why_a_process_was_killed():
    config()
    with monitor():
        term = box.terminal('alice')
        eats_too_much()
        term.expect(KILLED)
        status, shown = term.run('sessctl limit alice')
        assert status == 0 and 'MemoryMax' in shown, shown


@case(20)
def a_tenant_reads_why_he_cannot_fork():
    config()
    with monitor():
        term = box.terminal('alice')
        bystander = box.terminal('bob')
        assert int(box.out_of('alice', box.script('forks.py', 60))) < 30
        term.expect(REFUSED)
        assert bystander.run('true')[0] == 0 and 'refused' not in bystander.text


@case(20)
def a_budget_is_named_when_it_is_to_blame():
    two_classes(ClassMemoryMax='64M', MemorySwapMax='0')
    with monitor():
        term = box.terminal('alice')
        eats_too_much()
        term.expect(r'A process of yours was killed: ClassMemoryMax=64M was used up\.')


def is_counted_at_limit():
    """Whose limit refused a fork, and no longer who forked."""
    return host.unified() and tuple(map(int, re.findall(r'\d+', os.uname().release)[:2])) >= (6, 11)


@case(20)
def a_budget_of_processes_is_named_when_it_is_to_blame():
    """To who forked, or if the kernel does not tell to all of the class."""
    two_classes(ClassTasksMax='40')
    whose = 'in your class were refused, perhaps yours' if is_counted_at_limit() else 'of yours were refused'
    said = rf'New processes {whose}: ClassTasksMax=40 was used up\.'
    with monitor():
        term, member, stranger = [box.terminal(user) for user in ('alice', 'bob', 't00')]
        assert int(box.out_of('alice', box.script('forks.py', 60))) < 40
        term.expect(said)
        if is_counted_at_limit():
            member.expect(said)
        for other in (member, stranger):
            assert other.run('true')[0] == 0 and 'refused' not in other.text, other.text


@case(20)
@contains('su')
def one_who_came_by_su_reads_it_on_the_terminal_he_brought():
    config()
    with monitor():
        term = bash('su', '-', 'alice')
        eats_too_much()
        term.expect(KILLED)
        term.send('exit\n')
        term.closed()


@case(20)
def he_is_told_once_a_minute_at_most():
    config()
    with monitor():
        term = box.terminal('alice')
        eats_too_much()
        term.expect(KILLED)
        start = time.monotonic()
        for _ in range(3):
            eats_too_much()
        with contextlib.suppress(AssertionError):
            while time.monotonic() - start < 20:
                term.more(start + 20)
        assert 'killed' not in term.text, term.text
        term.seconds = 100
        term.expect(r'3 processes of yours were killed: MemoryMax=64M was used up\.')
        assert time.monotonic() - start > 45


@case(20)
def a_terminal_that_stands_still_keeps_nobody_waiting():
    config()
    with monitor() as pid:
        stuck = box.terminal('alice')
        stuck.send('\x13yes\n')  # Ctrl-S; nobody reads either
        stuck.send('yes | head -c 4000000\n')
        term = box.terminal('bob')
        for user in ('alice', 'bob'):
            assert box.ssh(user, EAT).out == 'status 137\n'
        term.expect(KILLED.replace('alice', 'bob'))
        assert host.processes()[pid]
        stuck.send('\x11\x03')


@contextlib.contextmanager
def no_login_records():
    """As on Debian 13, which has no utmp."""
    away = Path('/run/utmp.away')
    if host.HAS_UTMP:
        Path('/run/utmp').rename(away)
    try:
        yield
    finally:
        if host.HAS_UTMP:
            away.rename('/run/utmp')


@case(20)
def without_login_records_he_is_told_all_the_same():
    config()
    with no_login_records(), monitor():
        term, another = box.terminal('alice'), box.terminal('alice')
        eats_too_much()
        for each in (term, another):
            each.expect(KILLED)
            each.send('echo o""ver\n')
            assert not re.search(KILLED, each.expect('(?s)^(.*)over')[1]), 'once, however many sessions he has'


# at his next login

@case(20)
def the_next_login_is_told_once():
    config()
    with monitor():
        eats_too_much()
        host.wait_for('the logout', lambda: not box.sessions('alice'))
        assert box.ssh('alice', 'echo in') == (0, 'in\n', '')  # sshd says nothing to a command
        said = greeting()
        assert re.search(r'\d\d \w\w\w \d\d:\d\d: A process of yours was killed: MemoryMax=64M was used up\. '
                         r'See: sessctl limit alice', said), said
        assert 'killed' not in greeting()


@case(20)
def a_command_takes_no_shells_notice_where_there_is_no_utmp():
    """sshd's own process shows whether a login has had a terminal, and its child while it is one."""
    config()
    with no_login_records():
        eats_too_much()
        host.wait_for('the logout', lambda: not box.sessions('alice'))
        assert box.ssh('alice', 'echo in') == (0, 'in\n', '')
        host.wait_for('the logout', lambda: not box.sessions('alice'))
        with shell() as term:
            term.send('echo in-$((40+2))\n')
            assert 'MemoryMax=64M was used up' in term.expect('(?s).*in-42')[0]
            assert 'was used up' not in greeting_beside()
        host.wait_for('the logout', lambda: not box.sessions('alice'))
        eats_too_much()
        host.wait_for('the logout', lambda: not box.sessions('alice'))
        assert 'MemoryMax=64M was used up' in greeting()
        assert 'killed' not in greeting()


@case(20)
def the_next_login_is_told_without_a_monitor_too():
    """Who collects the cgroup reads the counters once more."""
    config()
    eats_too_much()
    assert 'MemoryMax=64M was used up' in greeting()
    assert 'killed' not in greeting()


@case(20)
def a_second_shell_beside_the_first_is_not_told_again():
    config()
    eats_too_much()
    host.wait_for('the logout', lambda: not box.sessions('alice'))
    with shell() as term, shell() as other:
        told = 0
        for each in (term, other):
            each.send('echo in-$((40+2))\n')
            told += 'was used up' in each.expect('(?s).*in-42')[0]
        assert told >= 1
        assert 'was used up' not in greeting_beside()


def greeting_beside():
    with shell() as term:
        term.send('echo in-$((40+2)); exit\n')
        text = term.expect('(?s).*in-42')[0]
        term.closed()
    return text


@case(20)
@contains('su')
def su_tells_what_waits():
    config()
    eats_too_much()
    host.wait_for('the logout', lambda: not box.sessions('alice'))
    term = box.Term(['su', '-', 'alice', '-c', 'echo in'], 20 * host.SLOW)
    box.CLIENTS.append(term)
    term.expect(r'MemoryMax=64M was used up(?s:.*)in\r\n')
    term.closed()
    assert 'killed' not in greeting()


# it may come and go

@case(20)
def a_restart_changes_nothing():
    config()
    with box.session('alice') as alice:
        with monitor():
            term = box.terminal('alice')
            eats_too_much()
            term.expect(KILLED)
        space = alice('readlink /proc/self/ns/pid').out
        with monitor():
            time.sleep(4)
            assert term.run('true')[0] == 0 and 'killed' not in term.text
            assert host.memory_max('alice') == 64 << 20
        assert alice('readlink /proc/self/ns/pid').out == space
        assert host.tasks_max('alice') == 30


@case(20)
def what_changed_in_the_configuration_waits_for_a_login():
    """An edit may be half done: only what ends by itself is brought about."""
    config()
    with box.session('alice'), monitor():
        config(TasksMax='40')
        time.sleep(3)
        assert host.tasks_max('alice') == 30
    with box.session('alice'):
        assert host.tasks_max('alice') == 40


@case(20)
def there_is_one_monitor():
    config()
    with box.session('alice'), monitor():
        assert box.the_session('alice')
        second = box.sessctl('monitor', timeout=20)
        assert second.rc == 1 and 'already' in second.err, second


@case(20)
def killed_it_leaves_nobody_worse_off():
    if host.IN_VM:
        box.run('systemctl', 'start', UNIT)
    config()
    with box.session('alice') as alice:
        process = started()
        host.wait_for('the monitor runs', locked)
        pid = process.pid if process else int(box.run('systemctl', 'show', '-P', 'MainPID', UNIT).out)
        os.kill(pid, signal.SIGSTOP)
        assert box.ssh('alice', 'exit 3').rc == 3 and alice('echo on').out == 'on\n'
        os.kill(pid, signal.SIGKILL)
        if process:
            process.wait()
        assert box.ssh('alice', 'exit 4').rc == 4 and alice('echo on').out == 'on\n'
        host.wait_for('those who came have left', lambda: len(box.sessions('alice')) == 1)
    if host.IN_VM:
        host.wait_for('it is started again', locked, 20)
        box.run('systemctl', 'stop', UNIT)


def switches(pid):
    text = Path(f'/proc/{pid}/status').read_text()
    return sum(map(int, re.findall(r'ctxt_switches:\t(\d+)', text)))


@case(20)
def it_sleeps_while_nobody_is_in():
    with monitor() as pid:
        with box.session('alice'):
            assert box.the_session('alice')
        host.wait_for('all is gone', lambda: not box.containers('alice') and not (host.RUN / 'u3001').exists())
        time.sleep(2)
        before = switches(pid)
        time.sleep(10)
        assert switches(pid) == before


# limits that end

@case(20)
def a_limit_ends_by_the_monitor_alone():
    config()
    with box.session('alice'), monitor():
        before = ends_said()
        limited('TasksMax=70', '--for', f'{4 * host.SLOW:.0f}s')
        assert host.tasks_max('alice') == 70 and not timers()
        host.wait_for('the end', lambda: host.tasks_max('alice') == 30, 12)
        host.wait_for('the file is gone', lambda: not FOR.exists())
        host.wait_for('it says so', lambda: ends_said() == before + 1)


@case(20)
def a_limit_ends_though_the_configuration_is_broken():
    """Also by a monitor that comes when it is."""
    config()
    with box.session('alice'):
        limited('TasksMax=70', '--for', f'{5 * host.SLOW:.0f}s')
        kill_timer()
        with edit(BROKEN), monitor():
            assert host.tasks_max('alice') == 70
            host.wait_for('the end', lambda: host.tasks_max('alice') == 30, 12)
            host.wait_for('the file is gone', lambda: not FOR.exists())


@case(20)
def what_it_may_not_set_is_left_to_the_next_login():
    """Which devices can be opened."""
    config()
    with box.session('alice') as alice, monitor():
        plant(FUSE)
        limited('TasksMax=70', '--for', f'{4 * host.SLOW:.0f}s')
        config(DeviceAllow='/dev/fuse')
        box.out_of('bob', 'true')  # from here on it is the last good configuration
        host.wait_for('the end', lambda: host.tasks_max('alice') == 30, 12)
        host.wait_for('the file is gone', lambda: not FOR.exists())
        assert box.the_container('alice')['stale'] and opening(alice, FUSE) == DENIED
        box.out_of('alice', 'true')
        assert opening(alice, FUSE) == 'open'


@case(20)
def when_it_ends_a_process_waits_in_its_place():
    config()
    with timers_end(), box.session('alice'):
        with monitor():
            limited('TasksMax=70', '--for', f'{10 * host.SLOW:.0f}s')
            assert not timers()
        host.wait_for('a process waits', lambda: len(timers()) == 1)
        host.wait_for('the end', lambda: host.tasks_max('alice') == 30, 30)


@case(20)
def what_ended_while_it_was_away_ends_when_it_comes():
    config()
    with box.session('alice'):
        overdue()
        assert host.tasks_max('alice') == 70
        with monitor():
            host.wait_for('the end', lambda: host.tasks_max('alice') == 30)
            host.wait_for('the file is gone', lambda: not FOR.exists())


# what is left behind

@case(20)
def it_collects_what_nobody_closed():
    before = host.snapshot()
    held = box.held('alice', 'sleep 615 >/dev/null & exec cat')
    with monitor():
        os.kill(host.monitor_of(box.the_session('alice')['leader']), signal.SIGKILL)
        assert box.closed_by_peer(held)
        host.wait_for('nothing is left', lambda: not host.leftovers(before), 50)


@case(20)
def it_collects_a_session_of_one_who_stays():
    with monitor(), box.session('alice'):
        first = box.the_session('alice')['id']
        held = box.held('alice')
        second = box.only([s for s in box.sessions('alice') if s['id'] != first])
        records = host.RUN / 'u3001/sessions'
        assert (records / str(second['id'])).exists()
        os.kill(host.monitor_of(second['leader']), signal.SIGKILL)
        host.wait_for('its record is gone', lambda: not (records / str(second['id'])).exists(), 50)
        assert len(box.sessions('alice')) == 1
        box.leave(held)
