# SPDX-License-Identifier: LGPL-2.1-or-later
"""systemd and logind, as far as the tests ask them."""
import contextlib
import json
import os
import pwd
import time
from pathlib import Path

import box
import host

RUNTIME = Path('/run/systemd/system')
HOLDER = 'sessbox-tenants'
MONITOR = 'sessbox-monitor'
DROP_IN = Path('/etc/systemd/system/user@.service.d/50-sessbox.conf')


def systemctl(*arguments, check=True):
    return box.run('systemctl', *arguments, check=check)


def is_active(unit):
    return systemctl('is-active', unit, check=False).out.strip() == 'active'


def uid(user):
    return pwd.getpwnam(user).pw_uid


def manager_of(user):
    return f'user@{uid(user)}.service'


@contextlib.contextmanager
def without_our_condition():
    """The drop-in of user@.service is masked, as an administrator would."""
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.symlink_to('/dev/null')
    systemctl('daemon-reload')
    try:
        yield
    finally:
        DROP_IN.unlink()
        systemctl('daemon-reload')


def out(*users):
    """All of these users log out, and what systemd runs for them ends."""
    for user in users:
        box.run('loginctl', 'disable-linger', user, check=False)
        box.run('loginctl', 'terminate-user', user, check=False)
        # Of a manager that was left out logind knows nothing, and Debian 13's systemd keeps the directory.
        systemctl('stop', manager_of(user), f'user-runtime-dir@{uid(user)}', check=False)
    host.wait_for('all of them are out', lambda: not any(
        is_active(manager_of(user)) or is_active(f'user-runtime-dir@{uid(user)}') for user in users), 20)
    # Until it has forgotten them a new manager is stopped with the old one.
    host.wait_for('logind has forgotten them', lambda: not {row[1] for row in listed('Users')} & set(users), 20)


def listed(what):
    """logind's list: of Sessions (id, uid, user, ...), or of Users (uid, user, ...)."""
    answer = box.run('busctl', '--json=short', 'call', 'org.freedesktop.login1', '/org/freedesktop/login1',
                     'org.freedesktop.login1.Manager', f'List{what}').out
    return json.loads(answer)['data'][0]


def sessions(user):
    return [row[0] for row in listed('Sessions') if row[2] == user]


def scopes():
    lines = systemctl('list-units', '--plain', '--no-legend', '--all', 'session-*.scope').out.splitlines()
    return {line.split()[0] for line in lines}


def snapshot():
    return {'scopes': scopes()}


def settle(before, seconds=20):
    """As host.settle, with systemd's part. The one that holds the cgroup may be another one by now."""
    holder = {process for process in host.our_processes() if process[1] == 'sessbox-hold'}
    assert len(holder) == 1, holder
    mine = {key: before[key] for key in host.snapshot()}
    host.settle({**mine, 'processes': mine['processes'] | holder}, seconds)
    host.wait_for('the scopes are gone', lambda: not scopes() - before['scopes'], seconds)


def outside(name='mnt'):
    return os.readlink(f'/proc/1/ns/{name}')


def took(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start
