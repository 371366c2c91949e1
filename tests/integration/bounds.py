# SPDX-License-Identifier: LGPL-2.1-or-later
"""11. CPUs, disks, memory that slows down: the limits that are more than a number."""
import contextlib
import functools
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import box
import host
from cases import case
from limits import MIB, SLACK, limit, share, spinning

DISK = Path('/srv/sessbox-disk')  # where a disk of its own is mounted
NODES = [('/dev/loop-control', 'c', 10, 237), *((f'/dev/loop{n}', 'b', 7, n) for n in range(8))]


def group_file(user, controller, v1, v2):
    return host.group(user, controller) / (v2 if host.unified() else v1)


def rows(user='alice'):
    return {row['limit']: row for row in box.answer('limit', user)['limits']}


# CPUs

def cpus(run):
    return run('nproc').out.strip()


@case(11)
def cpus_are_those_allowed():
    assert os.cpu_count() >= 2
    box.config(tenants={'AllowedCPUs': '1'})
    with box.session('alice') as alice:
        assert cpus(alice) == '1'
        assert 'Cpus_allowed_list:\t1\n' in alice('grep Cpus_allowed_list /proc/self/status').out
        assert rows()['AllowedCPUs']['value'] == '1'
        held = box.held('alice', 'read -r _; nproc; exec cat')
        limit('alice', 'AllowedCPUs=0-1', '--runtime')
        assert cpus(alice) == '2' and rows()['AllowedCPUs']['value'] in ('0-1', None)
        held.stdin.write('\n')
        held.stdin.flush()
        assert box.line(held) == '2\n'  # of a process that runs already
        limit('alice', 'AllowedCPUs=0', '--runtime')
        assert cpus(alice) == '1'
        limit('alice', 'AllowedCPUs=', '--runtime')
        assert cpus(alice) == '1' and rows()['AllowedCPUs']['value'] == '1'
    with box.session('bob') as bob:
        assert cpus(bob) == '1'
    box.config()
    with box.session('bob') as bob:
        assert cpus(bob) == str(os.cpu_count()) and rows('bob')['AllowedCPUs']['value'] is None


@case(11)
def cpus_that_are_not_there_are_said_and_refuse_nobody():
    box.config(tenants={'AllowedCPUs': '8000'})
    mark = host.log_mark()
    with box.session('alice') as alice:
        assert cpus(alice) == str(os.cpu_count())
        host.log_has(mark, 'sessbox.*AllowedCPUs')
        assert rows()['AllowedCPUs']['value'] is None
        said = box.sessctl('limit', 'alice', 'AllowedCPUs=0,8000', '--runtime')
        assert said.rc == 0 and said.out.endswith('8000  in force\n') and cpus(alice) == '1', said
        said = box.sessctl('limit', 'alice', 'AllowedCPUs=8000', '--runtime')
        assert said.rc == 0 and said.out.endswith('8000  not in force, this machine cannot do it\n'), said


# memory

@case(11)
def memory_from_which_on_it_gets_slow():
    box.config(tenants={'MemoryHigh': '48M', 'MemorySwapMax': '0'})
    mark = host.log_mark()
    with box.session('alice'):
        if not host.unified():
            assert rows()['MemoryHigh']['supported'] is False
            assert re.search(r'MemoryHigh +unsupported', box.sessctl('show', 'alice').out)
            host.log_has(mark, 'sessbox.*MemoryHigh')
            found = [f for f in box.answer_of('check')['findings'] if 'MemoryHigh=48M' in f['what']]
            assert [f['severity'] for f in found] == ['error'], found
            return
        events = host.group('alice', 'memory') / 'memory.events'
        assert rows()['MemoryHigh']['value'] == 48 * MIB
        hungry = box.client(box.argv('alice', box.script('eat.py', 192, 60)))
        host.wait_for('it is slowed down', lambda: host.first_number(events, 'high ') > 0)
        assert host.oom_kills('alice') == 0 and hungry.poll() is None
        limit('alice', 'MemoryHigh=infinity', '--runtime')
        assert box.line(hungry, timeout=60) == 'ate 192\n'
        limit('alice', 'MemoryHigh=10%', '--runtime', '--force')
        ram = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        assert abs(rows()['MemoryHigh']['value'] - ram / 10) < MIB


@contextlib.contextmanager
def some_swap():
    file = Path('/sessbox-swap')
    box.run('fallocate', '-l', '256M', str(file))
    file.chmod(0o600)
    box.run('mkswap', '-q', str(file))
    box.run('swapon', str(file))
    try:
        yield
    finally:
        box.run('swapoff', str(file))
        file.unlink()


@case(11)
def swap_has_a_limit():
    """Where there is some, and cgroups that count it for itself: elsewhere what is refused is said."""
    if not host.unified():
        box.config(tenants={'MemorySwapMax': '32M'})
        mark = host.log_mark()
        with box.session('alice'):
            assert rows()['MemorySwapMax']['value'] is None  # without MemoryMax v1 has none
            host.log_has(mark, 'sessbox.*not in force.*MemorySwapMax')
        return

    def eats(mib):
        return box.ssh('alice', box.script('eat.py', mib)).rc == 0

    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '64M'})
    with some_swap(), box.session('alice'):
        assert rows()['MemorySwapMax']['value'] == 64 * MIB
        assert eats(90) and not eats(160)
        limit('alice', 'MemorySwapMax=infinity', '--runtime')
        assert eats(160)
        limit('alice', 'MemorySwapMax=0', '--runtime')
        assert not eats(90)


# disks

@contextlib.contextmanager
def a_disk(*options):
    """A file system on a block device of its own: a loop device, which goes when the mount does, or the
    machine's second disk."""
    for path, kind, major, minor in NODES:
        if not os.path.exists(path):
            box.run('mknod', path, kind, str(major), str(minor))
    image = box.DIR / 'disk'
    with image.open('wb') as file:
        file.truncate(48 * MIB)
    place = Path('/dev/vdb') if host.IN_VM else image
    host.wait_for('nobody has the disk', lambda: box.run('mkfs.ext4', '-qF', *options, str(place), check=False).rc == 0)
    DISK.mkdir(exist_ok=True)
    box.run('mount', *([] if host.IN_VM else ['-o', 'loop']), str(place), str(DISK))
    try:
        DISK.chmod(0o1777)
        yield box.run('findmnt', '-no', 'SOURCE', str(DISK)).out.strip()
    finally:
        for _ in range(100):  # a container that ends may still hold it
            if box.run('umount', str(DISK), check=False).rc == 0:
                break
            time.sleep(0.1 * host.SLOW)
        image.unlink()


def seconds(run, command):
    begin = time.monotonic()
    done = run(f'{command} 2>&1', timeout=60)
    assert done.rc == 0, done
    return time.monotonic() - begin


# limit: (its value, what moves three seconds of it and nothing through a cache)
MOVES = {
    'IOReadBandwidthMax': ('1M', f'dd if={DISK}/full of=/dev/null bs=256k count=12 iflag=direct'),
    'IOWriteBandwidthMax': ('1M', f'dd if=/dev/zero of={DISK}/alice bs=256k count=12 oflag=direct'),
    'IOReadIOPSMax': ('20', f'dd if={DISK}/full of=/dev/null bs=4k count=60 iflag=direct'),
    'IOWriteIOPSMax': ('20', f'dd if=/dev/zero of={DISK}/alice bs=4k count=60 oflag=direct conv=notrunc'),
}


def rate_of_a_disk_holds(key):
    value, move = MOVES[key]
    number = {'1M': '1000000', '20': '20'}[value]
    box.config(tenants={'BindPaths': str(DISK), key: f'{DISK} {value}'})
    with a_disk() as device:
        (DISK / 'full').write_bytes(os.urandom(4 * MIB))
        (DISK / 'alice').write_bytes(os.urandom(4 * MIB))
        (DISK / 'alice').chmod(0o666)
        os.sync()
        with box.session('alice') as alice:
            assert rows()[key]['value'] == f'{device} {value}', rows()[key]
            assert number in rate_file('alice', key).read_text()
            slow = seconds(alice, move)
            assert slow > 2, slow
            limit('alice', f'{key}={device} infinity', '--runtime')
            assert rows()[key]['value'] is None and number not in rate_file('alice', key).read_text()
            fast = seconds(alice, move)
            assert fast < slow / 2, (slow, fast)
            limit('alice', f'{key}={device} {value}', '--runtime')
            assert seconds(alice, move) > 2
            for word in (key, device, value):
                assert word in box.sessctl('show', 'alice').out


def rate_file(user, key):
    v1 = re.sub(r'IO(Read|Write)(Bandwidth|IOPS)Max', lambda m: f'{m[1].lower()}_' +
                {'Bandwidth': 'bps', 'IOPS': 'iops'}[m[2]], key)
    return group_file(user, 'blkio', f'blkio.throttle.{v1}_device', 'io.max')


for name in MOVES:
    case(11, name='a-disk-has-' + re.sub('([a-z])([A-Z])', r'\1-\2', name).lower())(
        functools.partial(rate_of_a_disk_holds, name))


@case(11)
def a_disk_that_is_not_there_is_said_and_refuses_nobody():
    box.config(tenants={'IOReadBandwidthMax': '/dev/no-such-disk 1M', 'IOWriteIOPSMax': '/proc 7'})
    mark = host.log_mark()
    with box.session('alice'):
        host.log_has(mark, 'sessbox.*not in force.*IOReadBandwidthMax.*IOWriteIOPSMax')


@case(11)
def weight_of_io():
    box.config(tenants={'IOWeight': '50'}, heavy={'MatchUsers': 'bob', 'IOWeight': '100'})
    with box.session('alice'), box.session('bob'):
        path = group_file('alice', 'blkio', 'blkio.bfq.weight', 'io.weight')
        if not path.exists():
            assert not host.unified()
            assert rows()['IOWeight']['supported'] is False
            return
        assert host.first_number(path, '(?:default )?') == 50 and rows()['IOWeight']['value'] == 50
        assert rows('bob')['IOWeight']['value'] == 100
        limit('alice', 'IOWeight=80', '--runtime')
        assert host.first_number(path, '(?:default )?') == 80 and rows()['IOWeight']['value'] == 80


def scheduler(device, name):
    path = Path('/sys/block', Path(device).name, 'queue/scheduler')
    path.write_text(name)  # the kernel loads its module
    assert f'[{name}]' in path.read_text()


def reads(*users):
    """Blocks that each of them gets from one busy disk at the same time."""
    begin = time.time() + 2 * host.SLOW
    command = box.script('readers.py', DISK / 'full', begin, 4 * host.SLOW)
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda user: box.ssh(user, command), users))
    assert all(run.rc == 0 for run in done), done
    return [int(run.out) for run in done]


@case(11)
def weights_divide_a_busy_disk():
    """Each time new groups: BFQ may take its time to follow a change."""
    for light, heavy in ('alice', 'bob'), ('bob', 'alice'):
        box.config(tenants={'BindPaths': str(DISK), 'IOWeight': '10'}, heavy={'MatchUsers': heavy, 'IOWeight': '10000'})
        with a_disk() as device:
            scheduler(device, 'bfq')
            (DISK / 'full').write_bytes(os.urandom(24 * MIB))
            os.sync()
            with box.session(light), box.session(heavy):
                few, many = reads(light, heavy)
                assert many > 2 * few, (light, few, heavy, many)


# the budget of a class

def classes():
    return sorted({path.name for base in host.bases() for path in base.glob('c-*')})


def place(user):
    """Below the base."""
    path = host.group(user, 'pids')
    return str(path.relative_to(next(b for b in host.bases() if path.is_relative_to(b))))


def two_classes(**settings):
    box.config(tenants=settings, other={'MatchUsers': 'ivan t00', 'ClassTasksMax': '200'})


@case(11)
def a_class_has_a_cgroup_and_it_goes_with_the_last():
    two_classes(ClassMemoryMax='512M')
    with box.session('alice'), box.session('t00'):
        with box.session('bob'):
            assert classes() == ['c-other', 'c-tenants']
            assert (place('alice'), place('bob')) == ('c-tenants/u3001', 'c-tenants/u3002')
            assert place('t00').startswith('c-other/')
            assert box.out_of('alice', 'cut -d: -f3 /proc/self/cgroup | sort -u') == '/'
        host.wait_for('bob is gone', lambda: not list(host.group('alice', 'pids').parent.glob('u3002')))
        assert classes() == ['c-other', 'c-tenants']
    host.wait_for('no class', lambda: not classes())


@case(11)
def memory_of_a_class_as_a_whole():
    """Each could have it alone, both together cannot."""
    box.config(tenants={'ClassMemoryMax': '160M', 'MemorySwapMax': '0'}, rich={'MatchUsers': 'ivan'})
    with box.session('bob') as bob, box.session('alice') as alice:
        shown = rows()
        assert 'ClassMemoryMax' in shown
        assert shown['ClassMemoryMax']['value'] == 160 * MIB and shown['ClassCPUQuota']['value'] is None
        assert alice(box.script('eat.py', 100)).out == 'ate 100\n'
        held = box.client(box.argv('alice', box.script('eat.py', 100, 600)))
        assert box.line(held) == 'ate 100\n'
        assert (rows('bob')['ClassMemoryMax']['usage'] or 0) > 100 * MIB
        kills = host.oom_kills('alice') + host.oom_kills('bob')
        bob(box.script('eat.py', 100))
        assert host.oom_kills('alice') + host.oom_kills('bob') > kills
        assert bob('echo fine').out == 'fine\n'


@case(11)
def tasks_of_a_class_as_a_whole():
    box.config(tenants={'ClassTasksMax': '60'})
    with box.session('bob') as bob, box.session('alice') as alice:
        assert int(alice(box.script('forks.py', 40)).out) == 40
        host.wait_for('the children are gone', lambda: host.tasks('alice') < 10)
        held = box.held('alice', 'for n in $(seq 40); do sleep 600 & done; exec cat')
        host.wait_for('they run', lambda: host.tasks('alice') > 40)
        assert int(bob(box.script('forks.py', 40)).out) < 20
        assert 'ClassTasksMax' in box.sessctl('show', 'bob').out
        box.stop(held)


@case(11)
def processor_time_of_a_class_as_a_whole():
    box.config(tenants={'ClassCPUQuota': '30%', 'CPUQuota': '80%'})
    spinners = spinning('alice'), spinning('bob')
    assert sum(share('alice', 'bob')) <= 0.3 * SLACK
    assert rows()['ClassCPUQuota']['value'] == 300000
    # A change is in force with the next login into the class, whoever's.
    box.config(tenants={'ClassCPUQuota': '10%', 'CPUQuota': '80%'})
    with box.session('alice'):
        assert sum(share('alice', 'bob')) <= 0.1 * SLACK
    box.config(tenants={'ClassCPUQuota': 'infinity', 'CPUQuota': '80%'})
    with box.session('alice'):
        assert 'ClassCPUQuota' in rows() and rows()['ClassCPUQuota']['value'] is None and rows()['CPUQuota']['value'] == 800000
    assert all(s.poll() is None for s in spinners)


@case(11)
def nobody_moves_between_classes_while_he_is_in():
    box.config(tenants={'ClassTasksMax': '100'})
    with box.session('alice') as alice:
        assert place('alice') == 'c-tenants/u3001'
        box.config(tenants={'ClassTasksMax': '100'}, other={'MatchUsers': 'alice', 'ClassTasksMax': '50'})
        mark = host.log_mark()
        assert box.out_of('alice', 'echo in') == 'in'
        host.log_has(mark, 'sessbox.*alice.*stays in the class budget')
        assert place('alice') == 'c-tenants/u3001' and classes() == ['c-tenants']
        assert box.the_container('alice')['stale'] is True
        assert alice('echo still').out == 'still\n'
        with box.session('bob'):
            assert place('bob') == 'c-tenants/u3002'
        box.config()  # out of all classes with a budget
        assert box.out_of('alice', 'echo in') == 'in' and place('alice') == 'c-tenants/u3001'
        box.config(tenants={'ClassTasksMax': '100'}, other={'MatchUsers': 'alice', 'ClassTasksMax': '50'})
    host.wait_for('alice is out', lambda: not box.containers('alice') and not classes())
    with box.session('alice'):
        assert place('alice') == 'c-other/u3001' and not box.the_container('alice')['stale']


@case(11)
def who_lost_his_container_moves_at_once():
    box.config(tenants={'ClassTasksMax': '100'})
    client = box.held('alice')
    init = box.the_container('alice')['init']
    box.config(other={'MatchUsers': 'alice', 'ClassTasksMax': '50'})
    os.kill(init, 9)
    assert box.closed_by_peer(client)
    with box.session('alice'):
        assert place('alice') == 'c-other/u3001'
    host.wait_for('no class', lambda: not classes())


@case(11)
def verbs_find_a_tenant_below_his_class():
    two_classes(ClassTasksMax='100')
    with box.session('alice') as alice:
        client = box.held('alice', 'sleep 601 & exec cat')
        limit('alice', 'TasksMax=77', '--runtime')
        assert host.tasks_max('alice') == 77 and rows()['TasksMax']['usage'] >= 2
        assert 'is no limit' in box.sessctl('limit', 'alice', 'ClassTasksMax=5').err
        assert alice('sessctl limit alice | grep -c TasksMax').out.strip() >= '1'
        session = max(s['id'] for s in box.sessions('alice'))
        assert box.sessctl('freeze', 'alice').rc == 0
        refused = box.ssh('alice', 'echo in', timeout=15)
        assert refused.rc != 0 and 'in' not in refused.out.split()
        assert box.sessctl('thaw', 'alice').rc == 0
        assert box.sessctl('kill', str(session), '--signal', 'TERM').rc == 0
        assert box.sessctl('terminate', 'alice').rc == 0
        box.finish(client)
    host.wait_for('no class', lambda: not classes())


@case(11)
def a_class_that_was_left_behind_goes():
    """Helpers killed in the midst of it, and records that are gone: gc finds them."""
    two_classes(ClassTasksMax='100')
    with box.session('alice'):
        pass
    host.wait_for('alice is out', lambda: not classes())
    for base in host.bases():
        for name in ('c-tenants/u3001', 'c-ghost/u3002', 'c-empty'):
            (base / name).mkdir(parents=True)
    assert box.sessctl('gc').rc == 0
    with box.session('alice'):
        assert place('alice') == 'c-tenants/u3001'
    host.wait_for('nothing is left', lambda: not classes())


@case(11)
def many_come_and_go_in_a_class():
    """The last one out takes the class along while the next one makes it."""
    two_classes(ClassTasksMax='400')
    names = [f't{n:02}' for n in range(1, 9)]
    with box.session('t01'):
        assert place('t01').startswith('c-tenants/')

    def once(name):
        return [box.ssh(name, 'echo in', timeout=120).out for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(once, names)) == [['in\n'] * 4] * len(names)
    host.wait_for('nothing is left', lambda: not classes(), 20)
