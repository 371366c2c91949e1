# SPDX-License-Identifier: LGPL-2.1-or-later
"""6. The host's records: who, last, the log, and the other modules of the stack."""
import re
import time
from pathlib import Path

import box
import host
from cases import case

COMPLAINT = re.compile(r'error|fail|denied|unable|cannot|refus', re.I)
# of a machine that is no systemd host or has no utmp, or of the client's end; the same without us
ORDINARY = re.compile(r'pam_systemd|pam_lastlog|syslogin_perform_logout|Received disconnect|Disconnected from|Connection (closed|reset)')


def who():
    return [line.split()[0] for line in box.run('who').out.splitlines()]


def last(user):
    return [line for line in box.run('last', '-w', user).out.splitlines() if line.startswith(user)]


@case(6, same_by_design=True)
def two_users_at_once_stand_in_who():
    terms = [box.terminal(user) for user in ('alice', 'bob')]
    assert sorted(u for u in who() if u in ('alice', 'bob')) == ['alice', 'bob'], box.run('who').out
    for term in terms:
        term.send('exit\n')
        assert term.closed() == 0
    host.wait_for('both are out of who', lambda: not {'alice', 'bob'} & set(who()))


@case(6)
def a_login_that_has_no_terminal_stands_in_who():
    with box.session('alice'):
        assert who().count('alice') == 1
    host.wait_for('alice is out of who', lambda: 'alice' not in who())


@case(6)
def a_second_login_has_its_own_line_in_who():
    terms = [box.terminal('alice'), box.terminal('alice'), box.terminal('bob')]
    assert sorted(user for user in who() if user in ('alice', 'bob')) == ['alice', 'alice', 'bob']
    if host.HAS_UTMP:
        lines = [line for line in host.live_records() if line[0] in ('alice', 'bob')]
        assert len(lines) == 3 and len({line for _, line, _ in lines}) == 3, lines
        assert all(line.startswith(':sb-') for _, line, _ in lines), lines
        assert all(host.processes()[pid][:2] == (0, 'sshd') for _, _, pid in lines), lines
    else:
        assert len({(s['id'], s['leader']) for s in box.sessions()}) == 3, box.sessions()
    assert terms[0].run('true')[0] == 0


@case(6, same_by_design=True)
def terminal_sessions_stand_in_last():
    counts = {user: len(last(user)) for user in ('alice', 'bob')}
    terms = [box.terminal(user) for user in ('alice', 'bob')]
    for term in terms:
        term.send('exit\n')
        assert term.closed() == 0
    for user in ('alice', 'bob'):
        host.wait_for(f'{user} in last', lambda user=user: len(last(user)) == counts[user] + 1)
        host.wait_for(f'{user} is out', lambda user=user: re.search(r'\d\d:\d\d +\(\d', last(user)[0]))
        assert '127.0.0.1' in last(user)[0], last(user)


@case(6, same_by_design=True)
def a_login_that_has_no_terminal_stands_not_in_last():
    count = len(last('alice'))
    box.out_of('alice', 'true')
    box.out_of('bob', 'true')
    assert len(last('alice')) == count


@case(6, same_by_design=True)
def a_tenants_logout_ends_nobody_elses_login():
    """Each container's first terminal is pts/0; so may the host's be. Where there is no utmp, sshd finds
    the login that ends by the name of its terminal."""
    carol = box.terminal('carol')
    name = carol.run('tty')[1]
    assert 'still logged in' in last('carol')[0], last('carol')
    terms = [box.terminal('alice')]
    while box.STATE['contained'] and terms[-1].run('tty')[1] != name:
        assert len(terms) < 5, f'alice gets no {name}'
        terms.append(box.terminal('alice'))
    count = len(last('alice'))
    for term in terms:
        term.send('exit\n')
        assert term.closed() == 0
    host.wait_for('alice is out', lambda: not box.STATE['contained'] or len(last('alice')) > count)
    assert 'still logged in' in last('carol')[0], last('carol')
    carol.send('exit\n')
    assert carol.closed() == 0
    host.wait_for('carol is out', lambda: 'still logged in' not in last('carol')[0])


@case(6, same_by_design=True)
def utmp_does_not_grow():
    def size():  # False where there is none, and none shall be
        return Path('/run/utmp').exists() and Path('/run/utmp').stat().st_size

    box.out_of('alice', 'true', tty=True)
    first = size()
    for _ in range(3):
        box.out_of('alice', 'true', tty=True)
    assert size() == first


@case(6, same_by_design=True)
def syslog_works_inside():
    mark, word = host.log_mark(), f'word-{time.monotonic_ns()}'
    box.out_of('alice', f'logger -t sessbox-test {word}')
    host.log_has(mark, word)


@case(6, same_by_design=True)
def the_log_of_a_good_login_has_no_complaint():
    box.out_of('alice', 'true')  # the first one may have something to say about this machine
    mark = host.log_mark()
    box.out_of('alice', 'true', tty=True)
    host.log_has(mark, 'session closed for user alice')
    bad = [line for line in host.log_since(mark) if COMPLAINT.search(line) and not ORDINARY.search(line)]
    assert not bad, bad


HOOK = '''#!/bin/sh
{ echo "$PAM_TYPE $PAM_USER $PAM_SERVICE $(id -u)"
  readlink /proc/self/ns/pid /proc/self/ns/ipc /proc/self/ns/uts /proc/self/ns/net
  grep Cap /proc/self/status; pwd; id -G; cat /proc/self/cgroup; test -e /root && echo root
} >>%s
'''


@case(6, same_by_design=True)
def other_modules_run_on_the_host_at_open_and_close():
    log = box.DIR / 'hook.log'
    log.unlink(missing_ok=True)
    hook = box.DIR / 'hook'
    box.replace(hook, HOOK % log, 0o755)
    line = f'session required pam_exec.so quiet {hook}'
    text = box.PAM.read_text().splitlines()
    before_ours = len(text) - bool(box.STATE['contained'])
    box.replace(box.PAM, '\n'.join(text[:before_ours] + [line] + text[before_ours:]) + '\n')
    box.out_of('alice', 'true')
    host.wait_for('both calls', lambda: log.exists() and log.read_text().count('\nroot\n') == 2)
    opened, closed = re.split(r'^(?=close_session)', log.read_text(), flags=re.M)
    assert opened.startswith('open_session alice sshd 0\n') and closed.startswith('close_session alice sshd 0\n')
    assert opened.splitlines()[1:] == closed.splitlines()[1:], log.read_text()
    assert opened.splitlines()[1] == host.namespace('self', 'pid') and opened.endswith('root\n')
