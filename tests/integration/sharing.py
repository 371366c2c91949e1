# SPDX-License-Identifier: LGPL-2.1-or-later
"""2. Who is together with whom, and until when."""
import os
from concurrent.futures import ThreadPoolExecutor

import box
import host
from cases import case

NAMESPACES = 'for n in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$n; done'
SESSCTL = '/usr/bin/sessctl'
STUBBORN = 'rm -f /tmp/stubborn; setsid sh -c "trap : TERM HUP INT; touch /tmp/stubborn; ' \
           'while :; do sleep 600; done" >/dev/null 2>&1 </dev/null & ' \
           'until test -e /tmp/stubborn; do sleep 0.1; done;'


def here():
    return [os.readlink(f'/proc/self/ns/{n}') for n in ('mnt', 'pid', 'ipc', 'uts', 'cgroup')]


@case(2)
def logins_of_one_user_share_the_container():
    first = box.held('alice', 'sleep 601')
    with box.session('alice') as second:
        assert 'sleep 601' in second('ps -e -o args=').out
        one, two = second(NAMESPACES).out.split(), box.out_of('alice', NAMESPACES).split()
        assert one == two and not set(one) & set(here()), (one, two)
        host.wait_for('two sessions', lambda: len(box.sessions('alice')) == 2)
        assert box.the_container('alice')['sessions'] == 2
        assert second('pkill -TERM -x sleep').rc == 0
        assert box.closed_by_peer(first)


@case(2)
def files_in_tmp_are_shared_by_logins_of_one_user():
    with box.session('alice') as first, box.session('bob') as other:
        first('echo hello >/tmp/note; echo hello >/dev/shm/note')
        assert box.out_of('alice', 'cat /tmp/note /dev/shm/note') == 'hello\nhello'
        assert other('ls -A /tmp /dev/shm').out.split() == ['/dev/shm:', '/tmp:']


@case(2)
def users_do_not_see_one_another():
    with box.session('alice') as alice, box.session('bob') as bob:
        spaces = [set(run(NAMESPACES).out.split()) for run in (alice, bob)]
        assert not spaces[0] & spaces[1], spaces
        alice('sleep 602 >/dev/null 2>&1 &')
        assert 'sleep 602' in alice('ps -e -o args=').out
        assert 'sleep 602' not in bob('ps -e -o args=').out
        assert 'alice' not in bob('ps -e -o user=').out + bob('ls /home').out
        assert alice('hostname').out + bob('hostname').out == 'alice-box\nbob-box\n'


@case(2)
def users_cannot_signal_one_another_by_number():
    with box.session('alice') as alice, box.session('bob') as bob:
        number = alice('sleep 603 >/dev/null 2>&1 & echo $!').out.strip()
        outside = [pid for pid in host.of_user('alice') if host.processes()[pid][1] == 'sleep']
        for pid in (number, *outside):
            assert 'No such process' in bob(f'kill -9 {pid}').err
        assert alice(f'kill -0 {number}').rc == 0


@case(2, same_by_design=True)
def tmux_can_be_attached_by_a_second_login():
    first = box.terminal('alice')
    first.send('tmux new -s work\n')
    host.wait_for('tmux runs', lambda: box.ssh('alice', 'tmux has-session -t work').rc == 0)
    second = box.terminal('alice')
    second.send('tmux attach -t work\n')
    host.wait_for('two clients', lambda: box.out_of('alice', 'tmux list-clients -t work').count('\n') == 1)
    second.send('echo from-the-"second"\n')
    first.expect('from-the-second')
    second.send('exit\n')
    first.expect('exited')


@case(2)
def the_first_login_may_leave_before_the_second():
    first = box.held('alice')
    with box.session('alice') as second:
        init = box.the_container('alice')['init']
        assert box.leave(first) == 0
        host.wait_for('one session', lambda: len(box.sessions('alice')) == 1)
        assert second('echo still here').out == 'still here\n'
        assert box.the_container('alice')['init'] == init


@case(2)
def the_last_logout_leaves_nothing():
    before = host.snapshot()
    box.out_of('alice', f'{STUBBORN} sleep 604 >/dev/null 2>&1 </dev/null &')
    host.settle(before, 6)
    assert not host.of_user('alice') and not box.containers('alice')


@case(2)
def a_login_while_it_ends_gets_a_new_container():
    box.config(tenants={'TimeoutStopSec': f'{5 * host.SLOW:.0f}'})
    first = box.held('alice', f'{STUBBORN} readlink /proc/self/ns/pid; exec cat')
    old = box.line(first).strip()
    box.leave(first)
    host.wait_for('retiring', lambda: box.the_container('alice')['state'] == 'retiring', 3)
    with box.session('alice') as second:
        new = second('readlink /proc/self/ns/pid').out.strip()
        assert new != old and 'sleep' not in second('ps -e -o args=').out
        host.wait_for('the old one is gone', lambda: len(box.containers('alice')) == 1)
        assert second('echo still here').out == 'still here\n'


@case(2)
def logins_racing_with_the_end_all_succeed():
    outside = os.readlink('/proc/self/ns/pid')

    def loop(_):
        return [box.ssh('alice', 'readlink /proc/self/ns/pid') for _ in range(8)]

    assert box.out_of('alice', 'readlink /proc/self/ns/pid') != outside

    with ThreadPoolExecutor(3) as pool:
        done = [result for results in pool.map(loop, range(3)) for result in results]
    assert all(d.rc == 0 and d.out.startswith('pid:') and d.out.strip() != outside for d in done), done


@case(2)
def list_shows_what_there_is():
    term = box.terminal('alice')
    with box.session('bob'):
        alice, other = box.the_session('alice'), box.the_session('bob')
        assert (alice['tty'], other['tty']) == ('pts/0', None)
        for row in (alice, other):
            assert (row['class'], row['service'], row['from']) == ('tenants', 'sshd', '127.0.0.1')
            assert row['leader'] in host.of_user(row['user']) and row['processes'] >= 1
        table = box.sessctl('list').out.splitlines()
        assert len(table) == 3 and len(box.sessctl('list', '--no-headings').out.splitlines()) == 2
    assert term.run('true')[0] == 0


@case(2)
def a_tenant_asks_about_himself_only():
    with box.session('bob') as bob, box.session('alice') as alice:
        mine = alice(f'{SESSCTL} list --no-headings').out.splitlines()
        assert len(mine) == 1 and 'alice' in mine[0].split(), mine
        shown = alice(f'{SESSCTL} show alice')
        assert shown.rc == 0 and 'bob' not in shown.out, shown
        for asked in ('show bob', 'limit bob', 'terminate bob', 'kill bob', 'limit alice TasksMax=500'):
            refused = alice(f'{SESSCTL} {asked}')
            assert refused.rc != 0 and refused.err.strip(), (asked, refused)
        assert bob('echo still here').out == 'still here\n'


@case(2)
def terminate_ends_one_session_or_all_of_a_user():
    keep = box.held('alice')
    known = box.the_session('alice')['id']
    gone = box.held('alice', 'sleep 605')
    number = box.only([s['id'] for s in box.sessions('alice') if s['id'] != known])
    assert box.sessctl('terminate', str(number)).rc == 0
    assert box.closed_by_peer(gone)
    assert keep.poll() is None and len(box.sessions('alice')) == 1
    other = box.held('bob')
    assert box.sessctl('terminate', 'alice').rc == 0
    assert box.closed_by_peer(keep)
    assert not host.of_user('alice') and box.leave(other) == 0


@case(2)
def a_number_that_is_no_session_ends_nobody():
    """It was one's until a moment ago, and is somebody's uid."""
    with box.session('alice') as alice:
        assert box.the_session('alice')['id'] != 3001
        for verb in ('kill', 'terminate'):
            done = box.sessctl(verb, '3001')
            assert done.rc == 3 and "'alice'" in done.err, done
        assert alice('exit 3').rc == 3


@case(2)
def kill_signals_what_runs_inside():
    target = box.held('alice', 'trap "echo usr1; exit 5" USR1; while :; do sleep 0.1; done')
    other = box.held('bob', 'trap "echo usr1; exit 5" USR1; while :; do sleep 0.1; done')
    assert box.sessctl('kill', 'alice', '--signal', 'USR1').rc == 0
    done = box.finish(target)
    assert done.out == 'usr1\n' and done.rc == 5, done
    assert other.poll() is None
