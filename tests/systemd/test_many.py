# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of logins, with logind keeping count: nothing stays."""
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import box
import host
from units import outside, sessions, settle, snapshot, systemctl, uid

LOGINS = 200
SAYS = 'readlink /proc/self/ns/pid; cat /proc/self/loginuid; exit 7'


def of_logind(mark, word):
    """How many sessions the journal says are new, or removed."""
    return sum(bool(re.search(rf'systemd-logind.*{word} session', line)) for line in host.log_since(mark))


def left_of(users):
    """What logind and systemd keep of somebody for a while after his last session."""
    slices = [f'user-{uid(user)}.slice' for user in users]
    units = systemctl('list-units', '--all', '--plain', '--no-legend', *slices).out.split()
    return [unit for unit in units if unit in slices] + [
        path for user in users for path in (f'/run/user/{uid(user)}', f'/sys/fs/cgroup/user.slice/user-{uid(user)}.slice')
        if Path(path).exists()]


def test_two_hundred_logins_leave_nothing():
    """Of five tenants, two at once, each a session of logind's (of su logind keeps none)."""
    users = ['alice', 'bob', *box.CROWD[:3]]
    before, mark = {**host.snapshot(), **snapshot()}, host.log_mark()

    def log_in(n):
        return users[n % len(users)], box.ssh(users[n % len(users)], SAYS, timeout=60)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(log_in, range(LOGINS)))
    assert [login.rc for _, login in done] == [7] * LOGINS, [login for _, login in done if login.rc != 7][:3]
    for user, login in done:
        space, login_uid = login.out.split()
        assert space != outside('pid') and login_uid == str(uid(user)), (user, login)
    settle(before, 30)
    assert not [s for user in users for s in sessions(user)]
    assert not box.sessions() and not box.containers()
    host.wait_for('each was a session, and is none', lambda: (
        of_logind(mark, 'New') == of_logind(mark, 'Removed') >= LOGINS), 20)
    host.wait_for('nothing is left of the users', lambda: not left_of(users), 30)
