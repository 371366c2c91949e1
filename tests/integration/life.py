# SPDX-License-Identifier: LGPL-2.1-or-later
"""10. What outlives a logout, and what ends a session or keeps it out."""
import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor

import box
import host
from cases import case
from closed import sentence

NAMESPACE = 'readlink /proc/self/ns/pid'
SLEEPER = 'setsid sleep 610 >/dev/null 2>&1 </dev/null &'


def config(**keys):
    box.config(tenants=keys)


def ended(before, seconds=20):
    """Nobody has to collect anything: all of it goes by itself."""
    host.settle(before, seconds)
    assert not box.containers('alice')


def init_of(user='alice'):
    return box.the_container(user)['init']


# KillUserProcesses=no

@case(10)
def processes_outlive_the_last_logout():
    config(KillUserProcesses='no')
    before = host.snapshot()
    first = box.out_of('alice', f'{SLEEPER} {NAMESPACE}')
    assert first != os.readlink('/proc/self/ns/pid')
    host.wait_for('lingering', lambda: box.the_container('alice')['state'] == 'lingering')
    assert box.the_container('alice')['sessions'] == 0
    with box.session('alice') as alice:
        assert alice(NAMESPACE).out.strip() == first
        assert 'sleep 610' in alice('ps -e -o args=').out
        assert box.the_container('alice')['state'] == 'running'
    time.sleep(1)
    assert [name for _, name, _ in map(host.processes().get, host.of_user('alice'))] == ['sleep']
    box.sessctl('kill', 'alice')
    ended(before)


@case(10)
def tmux_is_attached_after_a_logout():
    config(KillUserProcesses='no')
    before = host.snapshot()
    term = box.terminal('alice')
    term.send('tmux new -s work\n')
    host.wait_for('tmux runs', lambda: box.ssh('alice', 'tmux has-session -t work').rc == 0)
    term.send(f'echo in-$(({20}+3)) $({NAMESPACE})\n')
    inside = term.expect(r'in-23 (pid:\[\d+\])')[1]
    assert inside != os.readlink('/proc/self/ns/pid')
    term.stop()
    box.CLIENTS.remove(term)
    host.wait_for('nobody is logged in', lambda: not box.sessions('alice'))
    term = box.terminal('alice')
    term.send('tmux attach -t work\n')
    term.expect('in-23')
    term.send('exit\n')
    term.expect('exited')
    term.send('exit\n')
    term.closed()
    ended(before)


@case(10)
def one_reaper_waits_for_a_container_that_stays():
    config(KillUserProcesses='no')
    before = host.snapshot()
    for _ in range(3):
        box.out_of('alice', SLEEPER)
    host.wait_for('nobody is logged in', lambda: not box.sessions('alice'))
    reapers = [pid for pid, name in host.our_processes() if name == 'sessbox-reaper']
    assert len(reapers) == 1, reapers
    os.kill(reapers[0], signal.SIGKILL)
    box.out_of('alice', 'pkill sleep')
    ended(before)


@case(10)
def a_reaper_killed_is_made_up_for_by_the_next_login():
    config(KillUserProcesses='no')
    before = host.snapshot()
    box.out_of('alice', SLEEPER)
    reaper = host.wait_for('the reaper', lambda: [
        pid for pid, name in host.our_processes() if name == 'sessbox-reaper'])
    os.kill(reaper[0], signal.SIGKILL)
    os.kill(init_of(), signal.SIGKILL)
    host.wait_for('nothing runs', lambda: not host.of_user('alice'))
    assert box.containers('alice')
    assert box.out_of('alice', 'echo in') == 'in'
    ended(before)


@case(10)
def terminate_ends_what_has_outlived_its_session():
    config(KillUserProcesses='no')
    before = host.snapshot()
    box.out_of('alice', f'setsid sh -c "trap : TERM HUP; while :; do sleep 611; done" >/dev/null 2>&1 </dev/null &')
    host.wait_for('lingering', lambda: box.the_container('alice')['state'] == 'lingering')
    assert box.sessctl('terminate', 'alice').rc == 0
    ended(before, 2)


@case(10)
def a_container_of_processes_that_fork_for_ever_is_not_empty():
    config(KillUserProcesses='no', TasksMax='60')
    before = host.snapshot()
    box.out_of('alice', f'setsid {box.script("hop.py")} >/dev/null 2>&1 </dev/null & sleep 0.3')
    host.wait_for('lingering', lambda: box.the_container('alice')['state'] == 'lingering')
    time.sleep(3)
    # None lives as long as it takes to go through the host's processes.
    host.wait_for('it forks', lambda: host.tasks('alice'))
    assert box.the_container('alice')['state'] == 'lingering'
    assert box.sessctl('terminate', 'alice').rc == 0
    ended(before, 5)


# LingerSec

@case(10)
def an_empty_container_lingers():
    config(LingerSec=f'{4 * host.SLOW:.0f}')
    before = host.snapshot()
    first = box.out_of('alice', f'{SLEEPER} echo kept >/tmp/note; {NAMESPACE}')
    assert first != os.readlink('/proc/self/ns/pid')
    host.wait_for('lingering', lambda: box.the_container('alice')['state'] == 'lingering')
    assert box.out_of('alice', f'cat /tmp/note; pgrep -c sleep; {NAMESPACE}') == f'kept\n1\n{first}'
    ended(before)


@case(10)
def lingering_begins_with_the_last_process():
    config(KillUserProcesses='no', LingerSec=f'{4 * host.SLOW:.0f}')
    before = host.snapshot()
    first = box.out_of('alice', f'setsid sleep {2 * host.SLOW} >/dev/null 2>&1 </dev/null & {NAMESPACE}')
    host.wait_for('no process', lambda: not host.of_user('alice'))
    assert box.the_container('alice')['state'] == 'lingering'
    assert box.out_of('alice', NAMESPACE) == first
    ended(before)


@case(10)
def nobody_lingers_unasked():
    before = host.snapshot()
    assert box.out_of('alice', f'{SLEEPER} {NAMESPACE}') != os.readlink('/proc/self/ns/pid')
    ended(before, 4)


# SessionsMax

def is_refused(words, user='alice', seconds=10):
    """In time, by one sentence, with the reason in the log and nothing of his left running."""
    mark, start = host.log_mark(), time.monotonic()
    done = box.ssh(user, 'echo got-in', timeout=seconds)
    assert done.rc in (254, 255) and 'got-in' not in done.out, done
    assert time.monotonic() - start < seconds * host.SLOW
    said, = sentence(done)
    assert words in said and said.endswith('.'), said
    host.log_has(mark, f"sessbox.*'{user}' denied")


@case(10)
def one_session_too_many_is_refused():
    config(SessionsMax='2')
    before = host.snapshot()
    first, second = box.held('alice'), box.held('alice')
    is_refused('as many sessions open as you may have')
    assert box.ssh('bob', 'exit 3').rc == 3
    assert len(box.sessions('alice')) == 2
    box.leave(first)
    host.wait_for('one session', lambda: len(box.sessions('alice')) == 1)
    assert box.ssh('alice', 'exit 4').rc == 4
    host.wait_for('one session', lambda: len(box.sessions('alice')) == 1)
    monitor = host.monitor_of(box.the_session('alice')['leader'])
    third = box.held('alice')
    os.kill(monitor, signal.SIGKILL)  # nobody closes that one
    assert box.ssh('alice', 'exit 5').rc == 5
    box.leave(third)
    box.finish(second)
    ended(before)


@case(10)
def a_session_that_is_closing_keeps_nobody_out():
    config(SessionsMax='1')
    spaces = {box.out_of('alice', NAMESPACE) for _ in range(6)}
    assert os.readlink('/proc/self/ns/pid') not in spaces
    with box.session('alice'):
        is_refused('as many')


@case(10)
def too_many_sessions_are_no_failure_to_contain():
    config(SessionsMax='1', OnFailure='allow')
    with box.session('alice'):
        is_refused('as many sessions open as you may have')


@case(10)
def of_many_logins_at_once_as_many_enter_as_may():
    config(SessionsMax='3')
    clients = [box.client(box.argv('alice', 'echo ready; exec cat'), stdin=-1) for _ in range(8)]
    words = [box.line(client).strip() for client in clients]
    assert words.count('ready') == 3, words
    assert len(box.sessions('alice')) == 3
    codes = sorted(box.leave(client) for client in clients)
    assert codes[:3] == [0] * 3 and set(codes[3:]) <= {254, 255}, codes


# freeze and thaw

def ticks():
    path = box.home('alice') / 'ticks'
    return len(path.read_text()) if path.exists() else 0


@contextlib.contextmanager
def ticking():
    """alice is in, and something of hers counts."""
    try:
        held = box.held('alice', 'while :; do echo -n . >>ticks; sleep 0.05; done')
        host.wait_for('ticks', ticks)
        yield held
    finally:
        (box.home('alice') / 'ticks').unlink(missing_ok=True)


def stands_still():
    before = ticks()
    time.sleep(1)
    return ticks() == before


def frozen(user='alice'):
    done = box.sessctl('freeze', user)
    assert done == (0, '', ''), done


@case(10)
def a_frozen_user_stands_still_and_is_kept_out():
    before = host.snapshot()
    with ticking() as held:
        assert not stands_still()
        frozen()
        assert stands_still() and box.the_container('alice')['state'] == 'frozen'
        is_refused('frozen')
        assert box.ssh('bob', 'exit 3').rc == 3
        assert box.sessctl('thaw', 'alice').rc == 0
        assert not stands_still() and box.the_container('alice')['state'] == 'running'
        assert box.ssh('alice', 'exit 4').rc == 4
        box.stop(held)
    ended(before)


@case(10)
def who_is_not_in_cannot_be_frozen():
    assert box.sessctl('freeze', 'alice').rc == 3 and box.sessctl('thaw', 'alice').rc == 3
    assert box.sessctl('freeze', 'nobody-at-all').rc == 3
    with box.session('alice'):
        frozen()
        box.sessctl('thaw', 'alice')


@case(10)
def freezing_waits_for_logins_on_their_way_in():
    with box.session('alice'):
        sessions = host.RUN / 'u3001/sessions'
        assert sessions.is_dir()
        only, = [f for f in sessions.iterdir() if f.name.isdigit()]
        caller = subprocess.Popen(['sleep', '600'])
        start = open(f'/proc/{caller.pid}/stat').read().rsplit(')', 1)[1].split()[19]
        fields = dict(line.split('=', 1) for line in only.read_text().splitlines())
        fields.update(Session='99999', Caller=str(caller.pid), CallerStart=start)
        box.replace(sessions / '99999', ''.join(f'{k}={v}\n' for k, v in fields.items()), 0o600)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(box.sessctl, 'freeze', 'alice')
            time.sleep(1)
            assert not done.done() and box.the_container('alice')['state'] == 'running'
            caller.kill()
            caller.wait()
            assert done.result().rc == 0
        assert box.the_container('alice')['state'] == 'frozen'
        assert box.sessctl('thaw', 'alice').rc == 0


@case(10)
def logins_while_somebody_freezes_and_thaws_enter_or_are_refused():
    before = host.snapshot()
    with box.session('alice'):
        with ThreadPoolExecutor(4) as pool:
            logins = [pool.submit(box.ssh, 'alice', 'echo got-in', timeout=60) for _ in range(24)]
            changes = []
            while not all(login.done() for login in logins):
                changes += [box.sessctl('freeze', 'alice').rc, box.sessctl('thaw', 'alice').rc]
            outcomes = [login.result() for login in logins]
        assert set(changes) == {0}, changes
        # Frozen between account and open, sshd may not get to say why.
        assert all((done.rc == 0) == (done.out == 'got-in\n') for done in outcomes), outcomes
        assert any('frozen' in done.err for done in outcomes), outcomes
    ended(before)


LAST_WORDS = 'trap "echo spoken >last-words; exit" TERM HUP CONT; echo ready; while :; do sleep 0.1; done'


def dies_without_a_word(freeze, end, seconds=10):
    before = host.snapshot()
    words = box.home('alice') / 'last-words'
    held = box.client(box.argv('alice', LAST_WORDS))
    assert box.line(held) == 'ready\n'
    box.the_session('alice')
    try:
        freeze()
        end()
        host.settle(before, seconds)
        assert not words.exists() and not host.of_user('alice')
        assert box.ssh('alice', 'exit 3').rc == 3
    finally:
        words.unlink(missing_ok=True)
        box.stop(held)


def terminate():
    assert box.sessctl('terminate', 'alice').rc == 0


def kill_monitor_and_collect():
    os.kill(host.monitor_of(box.the_session('alice')['leader']), signal.SIGKILL)
    host.wait_for('gc', lambda: box.sessctl('gc').rc == 0 and not host.of_user('alice'))
    box.sessctl('gc')


@case(10)
def a_frozen_user_can_be_terminated():
    dies_without_a_word(frozen, terminate)


@case(10)
def one_frozen_by_hand_can_be_terminated():
    dies_without_a_word(lambda: host.freeze('alice', True), terminate)


@case(10)
def a_frozen_user_whose_monitor_dies_is_collected():
    dies_without_a_word(frozen, kill_monitor_and_collect)


@case(10)
def one_frozen_by_hand_whose_monitor_dies_is_collected():
    dies_without_a_word(lambda: host.freeze('alice', True), kill_monitor_and_collect, 20)


@case(10)
def thaw_thaws_what_was_frozen_by_hand():
    with box.session('alice') as alice:
        host.freeze('alice', True)
        is_refused('frozen')
        assert box.sessctl('thaw', 'alice').rc == 0
        assert alice('echo on').out == 'on\n'


# the rescue lane

PROCESSES = 'There is no room for more processes'
MEMORY = 'There is no memory left'


def lanes():
    return [p for p in host.cgroup_directories() if p.endswith('/r3001')]


def rescued(words):
    """A terminal in the lane: told so in one sentence, and every process of the tenant's in sight."""
    term = box.Term(box.argv('alice', tty=True), 30 * host.SLOW)
    box.CLIENTS.append(term)
    term.expect(rf'{words}[^\r\n]*\.\r\n')
    term.send('exec env PS1="REA""DY " bash --norc --noprofile -i\n')
    term.expect('READY ')
    assert lanes()
    return term


BOMB = f'exec setsid {box.script("forever.py", 150, 60 * host.SLOW)}'


@case(10)
def a_login_beside_a_fork_bomb_is_rescued():
    config(TasksMax='40')
    before = host.snapshot()
    with box.session('bob'):
        held = box.client(box.argv('alice', BOMB))
        host.wait_for('alice is in', lambda: box.sessions('alice'))
        host.wait_for('no more room', lambda: host.tasks('alice') >= 39)
        assert not lanes()
        mark = host.log_mark()
        term = rescued(PROCESSES)
        host.log_has(mark, 'rescue')
        assert host.tasks('alice') <= 40
        status, listed = term.run('ps -e -o args= | grep -c python3')
        assert status == 0 and int(listed) > 10, listed
        assert len(box.sessions('alice')) == 2
        term.run('while pkill -KILL python3; do :; done')  # it forks meanwhile
        host.wait_for('the bomb is gone', lambda: host.tasks('alice') < 10)
        assert box.ssh('alice', 'exit 3') == (3, '', '')
        box.finish(held)
        term.send('exit\n')
        term.closed()
    ended(before)


@case(10)
def a_login_into_a_full_class_is_rescued():
    """For one who has processes in it. Another has none that he could end: him the bomb may keep out."""
    config(ClassTasksMax='40')
    before = host.snapshot()
    held = box.client(box.argv('alice', BOMB))
    host.wait_for('alice is in', lambda: box.sessions('alice'))
    host.wait_for('no more room', lambda: host.tasks('alice') >= 39)
    term = rescued(PROCESSES)
    term.run('while pkill -KILL python3; do :; done')
    host.wait_for('the bomb is gone', lambda: host.tasks('alice') < 10)
    assert box.ssh('alice', 'exit 3') == (3, '', '') and box.ssh('bob', 'exit 3') == (3, '', '')
    box.finish(held)
    term.send('exit\n')
    term.closed()
    ended(before)


def eating(mib):
    held = box.client(box.argv('alice', box.script('eat.py', mib, 600)))
    assert box.line(held) == f'ate {mib}\n', box.finish(held)
    return held


@case(10)
def a_login_into_full_memory_is_rescued():
    config(MemoryMax='64M', MemorySwapMax='0')
    before = host.snapshot()
    eating(54)
    term = rescued(MEMORY)
    assert host.oom_kills('alice') == 0
    status, listed = term.run('ps -e -o args= | grep -c "python3 -c"')
    assert status == 0 and int(listed) >= 1, listed
    assert term.run('pkill -KILL -f "^python3 -c"')[0] == 0
    assert box.ssh('alice', 'exit 3') == (3, '', '')
    term.send('exit\n')
    term.closed()
    ended(before)


@case(10)
def files_in_memory_fill_it_too():
    config(MemoryMax='64M', MemorySwapMax='0', TmpSize='80M')
    with box.session('alice') as alice:
        alice('head -c 57M /dev/zero >/dev/shm/big')
        term = rescued(MEMORY)
        assert term.run('rm /dev/shm/big')[0] == 0
        term.send('exit\n')
        term.closed()


def quota_of_lane():
    """In processors."""
    paths = map(Path, lanes())
    if host.unified():
        quota, period = next(lane / 'cpu.max' for lane in paths).read_text().split()
    else:
        lane = next(lane for lane in paths if (lane / 'cpu.cfs_quota_us').exists())
        quota, period = ((lane / name).read_text() for name in ('cpu.cfs_quota_us', 'cpu.cfs_period_us'))
    return int(quota) / int(period)


@case(10)
def the_lane_is_small_and_ends_with_the_rest():
    config(TasksMax='12', MemoryMax='256M', MemorySwapMax='0')
    before = host.snapshot()
    with box.session('alice') as alice:
        alice('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do setsid sleep 612 & done >/dev/null 2>&1 </dev/null')
        with box.session('alice') as lane:
            assert lanes() and quota_of_lane() == 0.2
            most = int(lane(box.script('forks.py', 100)).out)
            assert 10 < most < 32, most
            eaten = lane(f'{box.script("eat.py", 80)}; echo status $?')
            assert eaten.out.endswith('status 137\n'), eaten
            assert box.sessctl('limit', 'alice', 'CPUQuota=10%', '--runtime').rc == 0 and quota_of_lane() == 0.1
            frozen()
            is_refused('frozen')
            box.sessctl('thaw', 'alice')
            assert lane('setsid sleep 613 >/dev/null 2>&1 </dev/null & echo on').out == 'on\n'
            assert box.sessctl('kill', 'alice', '--signal', 'KILL').rc == 0
    ended(before, 5)


@case(10)
def a_full_container_that_ends_lets_the_next_one_begin():
    config(TasksMax='12', TimeoutStopSec='3')
    before = host.snapshot()
    # A shell that cannot fork waits and tries again, and in the end gives up with a status of its own.
    # None of the others forks: one that may not would end, and with all of them the container.
    box.ssh('alice', 'for i in $(seq 14); do setsid sh -c "trap \'\' TERM HUP; exec sleep 614" & '
                     'done >/dev/null 2>&1 </dev/null; sleep 1')
    host.wait_for('retiring', lambda: box.the_container('alice')['state'] == 'retiring')
    assert box.ssh('alice', 'echo in', timeout=20) == (0, 'in\n', '')
    ended(before, 10)


# limit

@case(10)
def a_number_is_a_session_whatever_is_asked():
    """Also where it is somebody else's uid."""
    config(TasksMax='50')
    with box.session('bob') as bob:
        assert bob('true').rc == 0
        (host.RUN / 'next').write_text(f'{3002 - 1:10}\n')  # bob's uid
        with box.session('alice'):
            assert box.the_session('alice')['id'] == 3002
            done = box.sessctl('limit', '3002', 'TasksMax=40', '--runtime', '--json')
            told = [{row['limit']: row['value'] for row in json.loads(out)['limits']}['TasksMax']
                    for out in (done.out, box.sessctl('limit', '3002', '--json').out)]
            assert done.rc == 0 and told == [40, 40], done
            assert (host.tasks_max('alice'), host.tasks_max('bob')) == (40, 50)


@case(10)
def an_interrupted_change_of_limits_is_whole_or_none():
    config(TasksMax='50')
    with box.session('alice'):
        for n in range(24):
            process = subprocess.Popen(['sessctl', 'limit', 'alice', 'TasksMax=70', 'MemoryMax=900M', '--runtime'],
                                       stdout=subprocess.DEVNULL)
            time.sleep(n * 0.0005 * host.SLOW)
            process.send_signal(signal.SIGINT)
            process.wait(20 * host.SLOW)
            files = [*box.OVERRIDES.glob('*')]
            assert (host.tasks_max('alice'), len(files)) in ((50, 0), (70, 1)), (n, files)
            if files:
                assert 'MemoryMax=900M' in files[0].read_text() and host.memory_max('alice') == 900 << 20
                assert box.sessctl('limit', 'alice', 'TasksMax=', 'MemoryMax=', '--runtime').rc == 0


# limit --for

FOR = box.DROP_INS / '95-limit-3001-for.conf'


def limited(*arguments):
    done = box.sessctl('limit', 'alice', *arguments, '--reason', 'a "due" date; #7')
    assert done.rc == 0 and re.search(r'^until \d{4}-\d\d-\d\d \d\d:\d\d$', done.out, re.M), done


@case(10)
def a_limit_for_a_while_ends_by_itself():
    config(TasksMax='50')
    before = host.snapshot()
    seconds = 4 * host.SLOW
    mark = host.log_mark()
    with box.session('alice'):
        limited('TasksMax=70', '--for', f'{seconds:.0f}s')
        assert host.tasks_max('alice') == 70
        shown = {row['key']: row['value'] for row in box.answer('policy', 'alice')['policy']}
        assert 'due' in shown['Reason'] and '7' in shown['Reason'], shown
        assert box.the_container('alice')['until'] and box.the_session('alice')['until']
        host.wait_for('the end', lambda: host.tasks_max('alice') == 50, 3 * seconds)
        host.wait_for('the file is gone', lambda: not FOR.exists())
        host.log_has(mark, r'the limits that uid 3001 had until 20\d\d-.*Z have ended')
        assert box.the_container('alice')['until'] is None
    ended(before)


def timers():
    return [pid for pid, name in host.our_processes() if name == 'sessbox-timer']


@contextlib.contextmanager
def timers_end():
    """Those of limits that have been taken back wait for an hour."""
    try:
        yield
    finally:
        kill(timers())


def kill(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def kill_timer():
    """One that has just been made has no name yet."""
    kill(host.wait_for('its timer', timers))


@case(10)
def without_its_timer_the_next_login_ends_it():
    config(TasksMax='50')
    before = host.snapshot()
    with box.session('alice'):
        limited('TasksMax=70', '--for', f'{3 * host.SLOW:.0f}s')
        kill_timer()
        time.sleep(4 * host.SLOW)
        assert host.tasks_max('alice') == 70 and FOR.exists()
        assert box.ssh('alice', 'exit 3').rc == 3
        assert host.tasks_max('alice') == 50
        assert box.sessctl('gc').rc == 0 and not FOR.exists()
    ended(before)


@case(10)
def an_end_that_could_not_be_is_tried_again():
    """By a timer, in a minute: his records were locked."""
    config(TasksMax='50')
    with timers_end(), box.session('alice'):
        assert box.the_session('alice')
        limited('TasksMax=70', '--for', f'{3 * host.SLOW:.0f}s')
        first = host.wait_for('its timer', timers)
        with open(host.RUN / 'u3001/lock', 'rb') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            host.wait_for('another timer', lambda: timers() and timers() != first, 20)
        assert host.tasks_max('alice') == 70 and FOR.exists()


@case(10)
def without_its_timer_gc_ends_it():
    config(TasksMax='50')
    with box.session('alice'):
        overdue()
        assert re.fullmatch('the limits that uid 3001 had until .*Z have ended\n', box.sessctl('gc').out)
        assert host.tasks_max('alice') == 50 and not FOR.exists()


def overdue():
    """A limit whose time is up, and nobody has noticed."""
    limited('TasksMax=70', '--for', '2s')
    kill_timer()
    time.sleep(3)


BROKEN = '[half]\nTasksMax=some\n'


@contextlib.contextmanager
def edit(rest='', **keys):
    text = box.CONFIG.read_text()
    config(**keys)
    box.replace(box.CONFIG, box.CONFIG.read_text() + rest)
    try:
        yield
    finally:
        box.replace(box.CONFIG, text)


@case(10)
def a_limit_ends_in_the_midst_of_an_edit():
    """By the last good configuration, whether the edit loads or not."""
    config(TasksMax='50')
    with box.session('alice'):
        for rest in ('', BROKEN):
            limited('TasksMax=70', '--for', f'{4 * host.SLOW:.0f}s')
            with edit(rest, TasksMax='90'):
                assert host.tasks_max('alice') == 70
                host.wait_for('the end', lambda: host.tasks_max('alice') != 70, 12)
                assert host.tasks_max('alice') == 50
                host.wait_for('the file is gone', lambda: not FOR.exists())
        assert box.ssh('alice', 'exit 3').rc == 3 and host.tasks_max('alice') == 50


@case(10)
def gc_ends_a_limit_though_the_configuration_is_broken():
    """It says so, too: of what is meant besides nobody knows."""
    config(TasksMax='50')
    with box.session('alice'):
        overdue()
        with edit(BROKEN):
            done = box.sessctl('gc')
            assert done.rc == 1 and 'TasksMax' in done.err, done
            assert 'the limits that uid 3001 had until' in done.out and not FOR.exists(), done
            assert host.tasks_max('alice') == 50
        with edit(TasksMax='90'):  # and what it sets counts from then on
            assert box.sessctl('gc').rc == 0 and host.tasks_max('alice') == 90
            limited('TasksMax=70', '--for', f'{4 * host.SLOW:.0f}s')
        host.wait_for('the end', lambda: host.tasks_max('alice') == 90, 12)


@case(10)
def a_login_after_a_boot_has_the_limit_and_its_end():
    config(TasksMax='50')
    before = host.snapshot()
    limited('TasksMax=70', '--for', f'{10 * host.SLOW:.0f}s')
    kill_timer()
    with box.session('alice'):
        assert host.tasks_max('alice') == 70 and len(timers()) == 1
        assert box.ssh('alice', 'exit 3').rc == 3 and len(timers()) == 1
        host.wait_for('the end', lambda: host.tasks_max('alice') == 50, 20 * host.SLOW)
    ended(before)


@case(10)
def what_ends_gives_back_what_was_set_before():
    config(TasksMax='50')
    with timers_end(), box.session('alice'):
        assert box.sessctl('limit', 'alice', 'TasksMax=60').rc == 0
        limited('TasksMax=70', '--for', '1h')
        limited('MemoryMax=1G', '--for', '2h')
        assert host.tasks_max('alice') == 60 and host.memory_max('alice') == 1 << 30
        assert box.sessctl('limit', 'alice', '--for', '0').rc == 0
        assert host.tasks_max('alice') == 60 and host.memory_max('alice') != 1 << 30 and not FOR.exists()
        wrong = [('TasksMax=9', '--for', '1h'), ('TasksMax=9', '--for', 'soon', '--reason', 'x'),
                 ('--for', '1h', '--reason', 'x'), ('TasksMax=', '--for', '1h', '--reason', 'x'),
                 ('TasksMax=9', '--reason', 'x'), ('TasksMax=9', '--for', '400d', '--reason', 'x'),
                 ('TasksMax=9', '--for', '1h', '--reason', 'x', '--runtime')]
        for arguments in wrong:
            assert box.sessctl('limit', 'alice', *arguments).rc == 2, arguments


# Scope=session

@case(10)
def each_session_has_a_container():
    config(Scope='session', TasksMax='50')
    before = host.snapshot()
    with box.session('alice') as one, box.session('alice') as other:
        spaces = {run(NAMESPACE).out for run in (one, other)}
        assert len(spaces) == 2 and os.readlink('/proc/self/ns/pid') + '\n' not in spaces, spaces
        one('echo mine >/tmp/note; setsid sleep 615 >/dev/null 2>&1 </dev/null &')
        assert other('ls /tmp; ps -e -o args= | grep -c "[s]leep 615"').out == '0\n'
        assert len(box.containers('alice')) == 2 and host.tasks_max('alice') == 50
        assert [c['sessions'] for c in box.containers('alice')] == [1, 1]
        rows = {s['processes'] for s in box.sessions('alice')}
        assert len(rows) == 2, rows
    ended(before)


def half_are_stopped(user):
    states = [Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] for pid in host.of_user(user)]
    return states.count('T') == len(states) / 2


@case(10)
def a_session_of_its_own_ends_alone():
    config(Scope='session')
    before = host.snapshot()
    first, second = box.held('alice', f'{SLEEPER} exec cat'), box.held('alice', f'{SLEEPER} exec cat')
    ids = [s['id'] for s in box.sessions('alice')]
    assert len(ids) == 2
    assert box.sessctl('kill', str(ids[0]), '--signal', 'STOP').rc == 0
    # A process takes its stop when it next runs.
    host.wait_for('one of the two is stopped', lambda: half_are_stopped('alice'))
    box.sessctl('kill', str(ids[0]), '--signal', 'CONT')
    assert box.sessctl('terminate', str(ids[0])).rc == 0
    assert box.closed_by_peer(first) and second.poll() is None
    sleepers = [pid for pid in host.of_user('alice') if host.processes()[pid][1] == 'sleep']
    assert len(sleepers) == 1
    host.wait_for('its container is gone', lambda: len(box.containers('alice')) == 1)
    assert box.leave(second) == 0
    ended(before)


@case(10)
def many_sessions_have_many_containers():
    config(Scope='session')
    before = host.snapshot()
    clients = [box.held('alice', f'{NAMESPACE}; exec cat') for _ in range(10)]
    spaces = {box.line(client) for client in clients}
    assert len(spaces) == 10 == len(box.containers('alice'))
    assert all(box.leave(client) == 0 for client in clients)
    ended(before)


@case(10)
def scopes_do_not_mix():
    with box.session('alice') as shared:
        config(Scope='session')
        with box.session('alice') as own:
            spaces = [run(NAMESPACE).out for run in (shared, own)]
            assert spaces[0] != spaces[1]
            config()
            assert box.out_of('alice', NAMESPACE) + '\n' == spaces[0]
        assert len({*spaces, os.readlink('/proc/self/ns/pid') + '\n'}) == 3


# RuntimeMaxSec

@case(10)
def a_container_ends_after_its_time_and_says_so_before():
    runtime = 8 * host.SLOW
    config(RuntimeMaxSec=f'{runtime:.0f}', KillUserProcesses='no')
    before = host.snapshot()
    start = time.monotonic()
    term = box.terminal('alice')
    mute = box.held('alice', f'{SLEEPER} exec cat')
    told = term.expect(r'This session ends in (\d+) seconds, with everything that runs in it\.\r+\n')
    assert 0 < int(told[1]) <= runtime / 2 + 1 and time.monotonic() - start > runtime / 4
    assert term.run('true')[0] == 0
    assert box.closed_by_peer(mute)
    assert runtime / 2 < time.monotonic() - start
    term.closed()
    ended(before)
    assert box.ssh('alice', 'exit 3').rc == 3
    box.sessctl('terminate', 'alice')


@case(10)
def without_its_keeper_it_ends_in_time_all_the_same():
    config(RuntimeMaxSec=f'{4 * host.SLOW:.0f}')
    before = host.snapshot()
    held = box.held('alice')
    keepers = [pid for pid, name in host.our_processes() if name == 'sessbox-reaper']
    assert len(keepers) == 1, keepers
    os.kill(keepers[0], signal.SIGKILL)
    assert box.closed_by_peer(held)
    ended(before)


@case(10)
def a_logout_before_its_time_ends_it_as_usual():
    config(RuntimeMaxSec='600')
    before = host.snapshot()
    assert box.out_of('alice', NAMESPACE) != os.readlink('/proc/self/ns/pid')
    assert [name for _, name in host.our_processes()].count('sessbox-reaper') <= 1
    ended(before, 5)
