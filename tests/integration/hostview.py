# SPDX-License-Identifier: LGPL-2.1-or-later
"""17. What the host sees of tenants: who and w, last and lastlog, wall, the ids of login records, the
kernel's audit session, the processes of each session."""
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import box
import host
from cases import case
from records import last

UNSET = 4294967295  # no audit id


def lines_of(command, user):
    done = box.run(*command)
    assert not done.err, done
    return [line for line in done.out.splitlines() if line.split()[:1] == [user]]


def leave(*terms):
    for term in terms:
        term.send('exit\n')
        assert term.closed() == 0


@case(17, same_by_design=True)
def w_has_a_line_for_each_login():
    terms = [box.terminal('alice'), box.terminal('alice'), box.terminal('carol')]
    for user, number in (('alice', 2), ('carol', 1)):
        lines = lines_of(('w', '-h'), user)
        assert len(lines) == number and all('127.0.0.1' in line for line in lines), lines
    leave(*terms)
    host.wait_for('all are out of w', lambda: not lines_of(('w', '-h'), 'alice') + lines_of(('w', '-h'), 'carol'))


@case(17, same_by_design=True)
def a_tenant_does_not_replace_anothers_record():
    """Each container's first terminal is pts/0; so may the host's be."""
    carol = box.terminal('carol')
    for _ in range(2):
        box.out_of('alice', 'tty', tty=True)
    tenants = [box.terminal(user) for user in ('alice', 'bob')]
    tty = carol.run('tty')[1].strip().removeprefix('/dev/')
    assert [line.split()[1] for line in lines_of(('who',), 'carol')] == [tty]
    leave(*tenants)
    host.wait_for('the tenants are out of who', lambda: not lines_of(('who',), 'alice') + lines_of(('who',), 'bob'))
    assert [line.split()[1] for line in lines_of(('who',), 'carol')] == [tty]
    leave(carol)


@case(17)
def a_killed_login_takes_nobody_elses_record():
    carol = box.terminal('carol')
    alice = box.terminal('alice')
    before = len(last('carol'))
    os.kill(host.monitor_of(host.of_user('alice')[0]), 9)
    assert alice.closed() != 0
    host.wait_for('its end', lambda: not host.of_user('alice'))
    assert len(lines_of(('who',), 'carol')) == 1 and 'still logged in' in last('carol')[0]
    leave(carol)
    host.wait_for('carol is out', lambda: 'still logged in' not in last('carol')[0])
    assert len(last('carol')) == before
    inside = box.out_of('alice', 'readlink /proc/self/ns/pid')  # drops what the killed one left
    assert inside != host.namespace('self', 'pid')
    host.wait_for('alice is out of who', lambda: not lines_of(('who',), 'alice'))


@case(17, same_by_design=True)
def last_has_begin_and_end_of_each_login():
    begun, lost = int(time.time()), box.run('last', '-w').out.count('gone - no logout')
    term = box.terminal('alice')
    leave(term)
    host.wait_for('the end', lambda: re.search(r'\d\d:\d\d +\(00:0\d\)', last('alice')[0]))
    first = box.run('last', '-w', '--time-format', 'iso', 'alice').out.splitlines()[0]
    assert time.strftime('%Y-%m-%dT%H', time.localtime(begun)) in first, first
    assert box.run('last', '-w').out.count('gone - no logout') == lost


@case(17, same_by_design=True)
def lastlog_is_the_hosts():
    leave(box.terminal('alice'))
    line = box.run('lastlog', '-u', 'alice').out.splitlines()[1]
    assert 'Never' not in line and time.strftime('%b') in line, line


def wall(word):
    """What it complains about: terminals of killed logins that were not contained."""
    return box.run('wall', '-n', word).err


@case(17)
def wall_reaches_the_hosts_users_and_no_tenant():
    word = f'word-{time.monotonic_ns()}'
    carol = box.terminal('carol')
    complaints = wall('before')
    alice, idle = box.terminal('alice'), box.held('alice')
    assert wall(word) == complaints
    carol.expect(word)
    alice.send("echo d''one\n")
    seen = alice.expect(r'(?s)^(.*?)done')[1]
    assert word not in seen, seen
    leave(carol, alice)
    box.leave(idle)


@case(17, same_by_design=True)
def wall_of_a_tenant_reaches_nobody_else():
    carol, alice = box.terminal('carol'), box.terminal('alice')
    alice.run('wall heard-by-all 2>/dev/null')
    time.sleep(0.2 * host.SLOW)
    carol.send("echo d''one\n")
    seen = carol.expect(r'(?s)^(.*?)done')[1]
    assert 'heard-by-all' not in seen, seen
    leave(carol, alice)


def ids():
    data = Path('/run/utmp').read_bytes()
    records = [host.UTMP.unpack_from(data, at) for at in range(0, len(data) - host.UTMP.size + 1, host.UTMP.size)]
    return [r[3] for r in records if r[0] == host.USER_PROCESS]


@case(17)
def ids_in_utmp_are_unique():
    users = [*box.CROWD[:8], 'carol', 'alice', 'alice']
    with ThreadPoolExecutor(4) as pool:
        held = list(pool.map(lambda user: box.held(user, tty=True), users))
    now = ids()
    assert len(now) == len(set(now)) and len(now) >= len(users), now
    assert len([session for session in box.sessions() if session['user'] in users]) == len(users) - 1
    for client in held:
        client.stdin.write('\x04')
        client.stdin.flush()
    for client in held:
        box.finish(client)


# the kernel's audit session, and whose process is whose

def audit(pid):
    return int(Path(f'/proc/{pid}/sessionid').read_text())


def shown(number):
    return box.answer('show', str(number))


@case(17)
def a_session_keeps_the_audit_id_of_its_login():
    box.held('alice')
    session = box.the_session('alice')
    monitor = host.monitor_of(session['leader'])
    for process in shown(session['id'])['process-list']:
        assert audit(process['pid']) == audit(monitor), process
        uid = Path(f'/proc/{process["pid"]}/loginuid').read_text()
        assert int(uid) in (session['uid'], UNSET), uid


@case(17)
def each_session_has_its_own_processes():
    first = box.held('alice', '(setsid sleep 621 </dev/null >/dev/null 2>&1 &); sleep 622')
    second = box.held('alice', 'sleep 623', tty=True)
    by_id = sorted(box.sessions('alice'), key=lambda session: session['id'])
    assert len(by_id) == 2, by_id
    lists = [shown(session['id'])['process-list'] for session in by_id]
    has_ids = audit(by_id[0]['leader']) != UNSET
    arguments = [{Path(f'/proc/{p["pid"]}/cmdline').read_bytes() for p in rows} for rows in lists]
    assert [b'sleep\x00622\x00' in seen for seen in arguments] == [True, False]
    assert [b'sleep\x00623\x00' in seen for seen in arguments] == [False, True]
    # Whom nobody waits for any more belongs where the kernel's id says; without ids nobody can tell.
    assert [b'sleep\x00621\x00' in seen for seen in arguments] == [has_ids, False]
    for session, rows in zip(by_id, lists):
        assert session['processes'] == len(rows)
        for row in rows:
            assert row['inside'] < row['pid']
            assert Path(f'/proc/{row["pid"]}/comm').read_text() == row['command'] + '\n'
    terminals = [{row['tty'] for row in rows} for rows in lists]
    assert terminals == [{None}, {None, 'pts/0'}]
    text = box.sessctl('show', str(by_id[0]['id'])).out
    assert re.search(r'\nProcesses\n *PID INSIDE PARENT TTY STATE COMMAND\n', text), text
    box.stop(first), box.stop(second)


@case(17)
def a_name_that_a_process_chose_does_no_harm():
    name = r"""python3 -c 'import ctypes, time
ctypes.CDLL(None).prctl(15, b"\x1b[2J\n) R 1")
time.sleep(60)' """
    box.held('alice', name)
    session = box.the_session('alice')
    host.wait_for('the name', lambda: '\x1b[2J\n) R 1' in [p['command'] for p in shown(session['id'])['process-list']])
    text = box.sessctl('show', str(session['id'])).out
    assert '\x1b' not in text and '\\x1b[2J\\x0a) R 1' in text, text


@case(17)
def a_session_is_shown_to_its_user():
    with box.session('alice') as alice:
        number = box.the_session('alice')['id']
        told = alice(f'sessctl show {number}')
        assert told.rc == 0 and re.search(r'\n +\d+ +\d+ +\d+ +- +\w +sshd(-session)?\n', told.out), told
