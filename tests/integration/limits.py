# SPDX-License-Identifier: LGPL-2.1-or-later
"""3. Limits bite, and only where they should."""
import time
from concurrent.futures import ThreadPoolExecutor

import box
import host
from cases import case

MIB = 1 << 20
WINDOW = 5  # seconds of measuring; wall and usage are both read, so it need not be exact
QUOTA = 0.2  # low, so that a busy machine leaves more than that
SLACK = 1.15


def limit(user, *settings):
    done = box.sessctl('limit', user, *settings)
    assert done.rc == 0, done


def share(*users):
    """Processors used by each over the window, from the kernel's own counters."""
    start = time.monotonic()
    before = [host.cpu_seconds(user) for user in users]
    time.sleep(WINDOW)
    after = [host.cpu_seconds(user) for user in users]
    wall = time.monotonic() - start
    return [(new - old) / wall for old, new in zip(before, after)]


def spinning(user, *cpu):
    process = box.client(box.argv(user, box.script('spin.py', 60 * host.SLOW, *cpu)))
    line = box.line(process)
    assert line == 'spinning\n', (line, box.finish(process))
    return process


@case(3)
def memory_kills_the_process_and_not_the_login():
    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '0'})
    with box.session('bob'), box.session('alice') as alice:
        for _ in range(2):
            eaten = alice(f'{box.script("eat.py", 128)}; echo status $?')
            assert 'ate' not in eaten.out and eaten.out.endswith('status 137\n'), eaten
        assert alice('echo still here').out == 'still here\n'
        usage = box.answer('show', 'alice')['usage']
        assert usage['oom-kills'] >= 2 and host.oom_kills('alice') >= 2, usage
        assert host.oom_kills('bob') == 0


@case(3)
def memory_of_one_leaves_the_other_alone():
    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '0'})

    def quick(_):
        return box.ssh('bob', 'echo in').out

    with box.session('bob'), box.session('alice') as alice, ThreadPoolExecutor(2) as pool:
        hungry = box.client(box.argv('alice', f'while :; do {box.script("eat.py", 128)}; done'))
        host.wait_for('memory kills', lambda: host.oom_kills('alice') >= 1)
        assert list(pool.map(quick, range(20))) == ['in\n'] * 20
        assert host.oom_kills('bob') == 0 and hungry.poll() is None
        box.stop(hungry)
        alice('pkill -f eat')


@case(3)
def enough_memory_is_enough():
    box.config(tenants={'MemoryMax': '256M', 'MemorySwapMax': '0'})
    with box.session('alice') as alice:
        assert alice(box.script('eat.py', 128)).out == 'ate 128\n'
        assert host.memory_max('alice') == 256 * MIB and host.oom_kills('alice') == 0


@case(3)
def a_fork_bomb_stops_at_its_limit():
    box.config(tenants={'TasksMax': '60'})
    with box.session('bob') as bob:
        bomb = box.client(box.argv('alice', box.script('bomb.py', 300, 120)))
        host.wait_for('the bomb is refused', lambda: refused('alice'))
        most = max(len(host.of_user('alice')) for _ in range(20))
        assert 30 < most <= 60 and host.tasks('alice') <= 60, most
        assert bob('echo fine').out == 'fine\n' and box.ssh('bob', 'exit 3').rc == 3
        assert box.ssh('root', 'exit 4').rc == 4
        assert box.sessctl('terminate', 'alice').rc == 0
        assert box.closed_by_peer(bomb)
        host.wait_for('nothing of alice', lambda: not host.of_user('alice'))
        assert box.ssh('alice', 'exit 5').rc == 5


def refused(user):
    """Has a fork been refused? Without a cgroup of his own: has the bomb gone far beyond the limit?"""
    if len(host.of_user(user)) > 150:
        raise AssertionError('far more processes than TasksMax')
    shown = box.sessctl('show', user, '--json')
    return shown.rc == 0 and box.answer('show', user)['usage']['tasks-refused'] > 0


@case(3)
def a_processor_quota_holds():
    box.config(tenants={'CPUQuota': f'{QUOTA:.0%}'})
    first, second = spinning('alice'), spinning('alice')
    used, = share('alice')
    assert QUOTA * 0.6 < used <= QUOTA * SLACK, used
    limit('alice', 'CPUQuota=infinity', '--runtime')
    free, = share('alice')
    assert free > QUOTA * SLACK, free
    limit('alice', 'CPUQuota=10%', '--runtime')
    again, = share('alice')
    assert again <= 0.1 * SLACK, again
    assert first.poll() is None and second.poll() is None


@case(3)
def weights_share_one_processor():
    box.config(tenants={'CPUWeight': '100'}, heavy={'MatchUsers': 'bob', 'CPUWeight': '300'})
    spinners = spinning('alice', 0), spinning('bob', 0)
    alice, bob = share('alice', 'bob')
    assert 2 < bob / alice < 4.5, (alice, bob)
    limit('bob', 'CPUWeight=100', '--runtime')
    limit('alice', 'CPUWeight=300', '--runtime')
    alice, bob = share('alice', 'bob')
    assert 2 < alice / bob < 4.5, (alice, bob)
    assert all(s.poll() is None for s in spinners)


@case(3)
def memory_can_be_changed_under_a_running_login():
    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '0'})
    with box.session('alice') as alice:
        eat = f'{box.script("eat.py", 128)}; echo status $?'
        assert 'status 137' in alice(eat).out
        limit('alice', 'MemoryMax=256M', '--runtime')
        assert host.memory_max('alice') == 256 * MIB and 'status 0' in alice(eat).out
        limit('alice', 'MemoryMax=64M', '--runtime')
        assert host.memory_max('alice') == 64 * MIB and 'status 137' in alice(eat).out


@case(3)
def lowering_memory_below_its_use_needs_force():
    box.config(tenants={'MemoryMax': '256M', 'MemorySwapMax': '0'})
    with box.session('alice') as alice:
        full = box.client(box.argv('alice', box.script('eat.py', 96, 600)))
        assert box.line(full) == 'ate 96\n' and alice('true').rc == 0
        warned = box.sessctl('limit', 'alice', 'MemoryMax=32M', '--runtime')
        assert warned.rc != 0 and '--force' in warned.err, warned
        assert host.memory_max('alice') == 256 * MIB
        forced = box.sessctl('limit', 'alice', 'MemoryMax=32M', '--runtime', '--force')
        if forced.rc == 0:
            assert host.memory_max('alice') == 32 * MIB
        else:  # v1 cannot, and does not kill for it
            assert not host.unified() and 'end processes first' in forced.err, forced
        assert alice('echo still here').out == 'still here\n'


@case(3)
def tasks_can_be_changed_under_a_running_login():
    box.config(tenants={'TasksMax': '30'})
    many = box.script('forks.py', 60)
    with box.session('alice') as alice:
        assert host.tasks_max('alice') == 30
        assert 10 < int(alice(many).out) < 30
        limit('alice', 'TasksMax=100', '--runtime')
        assert host.tasks_max('alice') == 100
        host.wait_for('the children are gone', lambda: host.tasks('alice') < 10)
        assert alice(many).out == '60\n'


@case(3)
def a_changed_limit_is_kept_unless_it_is_for_the_runtime():
    box.config(tenants={'TasksMax': '50'})
    with box.session('alice'):
        limit('alice', 'TasksMax=70')
        assert host.tasks_max('alice') == 70
    host.wait_for('the container is gone', lambda: not box.containers('alice'))
    with box.session('alice'):
        assert host.tasks_max('alice') == 70
        assert [row['value'] for row in box.answer('show', 'alice')['limits'] if row['limit'] == 'TasksMax'] == [70]
    with box.session('bob'):
        assert host.tasks_max('bob') == 50


@case(3)
def show_tells_limits_and_usage():
    box.config(tenants={'MemoryMax': '128M', 'TasksMax': '40', 'CPUQuota': '70%', 'CPUWeight': '150'})
    with box.session('alice'):
        shown = box.answer('show', 'alice')
        limits = {row['limit']: row['value'] for row in shown['limits'] if row['supported']}
        assert limits['MemoryMax'] == 128 * MIB and limits['TasksMax'] == 40, limits
        assert {'CPUQuota', 'CPUWeight'} <= set(limits), limits
        usage = shown['usage']
        assert 0 < usage['memory'] < 128 * MIB and 1 <= usage['tasks'] < 40 and usage['cpu-usec'] > 0
        assert (shown['user'], shown['uid'], shown['class']) == ('alice', 3001, 'tenants')
        for word in ('MemoryMax', 'TasksMax', '128'):
            assert word in box.sessctl('show', 'alice').out + box.sessctl('limit', 'alice').out
