# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that takes part killed at random while logins come and go (7), and many at once (15)."""
import contextlib
import os
import random
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import box
import host
from cases import case

CHAOS_SEC = float(os.environ.get('SESSBOX_TEST_CHAOS_SEC', '15')) * host.SLOW
NAMESPACE = 'readlink /proc/self/ns/pid'


def outside():
    return os.readlink('/proc/self/ns/pid')


def logins(user, count):
    """One after the other; where each of them landed."""
    return [box.out_of(user, NAMESPACE, timeout=120) for _ in range(count)]


def in_time_and_inside(users, count, at_once):
    before = host.snapshot()
    with ThreadPoolExecutor(at_once) as pool:
        spaces = list(pool.map(lambda user: logins(user, count), users))
    assert all(space.startswith('pid:') and space != outside() for seen in spaces for space in seen), spaces
    host.settle(before, 30)


@case(15)
def a_hundred_logins_at_once_of_one_user():
    in_time_and_inside(['alice'] * 100, 1, 100)


@case(15)
def ten_logins_each_of_twenty_users():
    in_time_and_inside(box.CROWD, 10, 20)


# killed at random

USERS = ('alice', 'bob', *box.CROWD[:2])
COMMANDS = (f'{NAMESPACE}; sleep 0.3', f'(sleep 5 & setsid sleep 5 & ); {NAMESPACE}', f'{NAMESPACE}; kill -9 $PPID',
            f'{NAMESPACE}; exec cat /dev/zero | head -c 1000000 >/dev/null')


def below(root):
    """All processes that come from this one."""
    known, found = host.processes(), {root}
    for _ in range(8):
        found |= {pid for pid, (_, _, parent) in known.items() if parent in found}
    return found - {root}


def victims():
    """What takes part in logins of tenants: sshd's monitors, helpers, reapers, inits, all of the tenants'.
    The unit's holder does not: it is there for the machine."""
    tenants = {3001 + box.TENANTS.index(user) for user in USERS}
    mine = below(box.STATE['sshd'].pid)
    return [pid for pid, (uid, name, _) in host.processes().items()
            if uid in tenants or pid in mine or name.startswith('sessbox') and name != 'sessbox-hold']


def kill_at_random(stop, killed):
    draw = random.Random(7)
    while not stop.is_set():
        time.sleep(draw.uniform(0.02, 0.3))
        there = victims()
        if there:
            pid = draw.choice(there)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                killed.append(host.processes().get(pid, (0, 'gone', 0))[1])
                os.kill(pid, signal.SIGKILL)


def log_in_until(user, stop, landed):
    draw = random.Random(user)
    while not stop.is_set():
        done = box.ssh(user, draw.choice(COMMANDS), tty=draw.random() < 0.3, timeout=60)
        landed += re.findall(r'pid:\[\d+\]', done.out)


def namespaces():
    """Those that some process is in."""
    found = set()
    for pid in host.processes():
        for name in ('mnt', 'pid', 'ipc', 'uts', 'cgroup', 'net'):
            with contextlib.suppress(OSError):
                found.add(host.namespace(pid, name))
    return found


@case(7)
def killed_at_random_while_logins_go_on():
    assert box.out_of('alice', NAMESPACE) != outside()
    host.wait_for('alice is out', lambda: not host.of_user('alice'))
    before, spaces = host.snapshot(), namespaces()
    stop, killed, landed = threading.Event(), [], []
    threads = [threading.Thread(target=log_in_until, args=(user, stop, landed)) for user in USERS]
    threads.append(threading.Thread(target=kill_at_random, args=(stop, killed)))
    for thread in threads:
        thread.start()
    time.sleep(CHAOS_SEC)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(killed) >= 10 and landed, (killed, landed)
    assert outside() not in landed, 'a tenant ran on the host'
    print(f'{len(killed)} killed ({sorted(set(killed))}), {len(landed)} logins came in')
    for user in USERS:
        assert box.out_of(user, NAMESPACE) != outside()
    host.wait_for('gc finds nothing left', lambda: box.sessctl('gc').rc == 0 and not host.leftovers(before), 60)
    host.wait_for('no namespace is left', lambda: not namespaces() - spaces, 20)
