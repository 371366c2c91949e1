# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of logins, with logind keeping count: nothing stays."""
from concurrent.futures import ThreadPoolExecutor

import box
import host
from services import CLOSE, lines_in
from units import sessions, settle, snapshot

LOGINS = 200


def test_two_hundred_logins_leave_nothing():
    """Of five tenants, two at once; every fifth by ssh, the others by su, each a session of logind's."""
    users = ['alice', 'bob', *box.CROWD[:3]]
    with lines_in('su'), lines_in('su-l', lines=CLOSE):
        before = {**host.snapshot(), **snapshot()}

        def log_in(n):
            user = users[n % len(users)]
            if n % 5 == 0:
                return box.ssh(user, 'cat /proc/self/loginuid; exit 7', timeout=60)
            return box.finish(box.client(['su', '-', user, '-c', 'cat /proc/self/loginuid; exit 7']), timeout=60)

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(log_in, range(LOGINS)))
        assert [d.rc for d in done] == [7] * LOGINS, [d for d in done if d.rc != 7][:3]
        settle(before, 30)
        assert not [s for user in users for s in sessions(user)]
        assert not box.sessions() and not box.containers()
