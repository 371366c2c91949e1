# SPDX-License-Identifier: LGPL-2.1-or-later
"""20. Devices: whichever node comes within a tenant's reach, he opens those alone that he may."""
import contextlib
import os
import shutil
import sys
from pathlib import Path

import box
import host
from cases import case
from life import MEMORY, eating, rescued
from logins import cable
from services import contains, outside

# By number, as their nodes are planted. Those that nobody has cannot be opened either, but otherwise.
FUSE, LOOP, NULL, RANDOM = 'c 10 229', 'b 7 0', 'c 1 3', 'c 1 9'
TERMINALS = ['c 4 250', 'c 136 999999', 'c 143 5', 'c 166 200', 'c 188 200', 'c 204 200', 'c 229 200']
STRANGERS = ['c 3 200', 'c 7 250', 'c 135 5', 'c 144 5', 'c 240 200', 'b 4 250', 'b 1 3', 'b 204 200']
DENIED = 'Operation not permitted'
NOBODYS = ('No such device or address', 'Input/output error')
PLACE = '/opt'  # inside; what root mounts there reaches the container alone


def plant(*nodes):
    """Nodes that anybody may open, by the file's mode and by the mount, in all containers of alice's."""
    makes = '; '.join(f'mknod {PLACE}/{node.replace(" ", "-")} {node}' for node in nodes)
    for container in box.containers('alice'):
        done = box.run('nsenter', '-t', str(container['init']), '-m', '--', '/bin/sh', '-ec',
                       f'umask 0; mount -t tmpfs -o mode=755 none {PLACE}; {makes}', check=False)
        assert done.rc == 0, done


def opening(run, node, how='<>'):
    """'open', or why not."""
    path = node if node.startswith('/') else f'{PLACE}/{node.replace(" ", "-")}'
    done = run(f'exec 3{how}{path} && echo open')
    return done.out.strip() or done.err.strip().rsplit(': ', 1)[1]


def openings(run, *nodes, how='<>'):
    return [opening(run, node, how) for node in nodes]


@contextlib.contextmanager
def nodes_for_all(*paths):
    """The host's nodes, which a container shows as they are, with a mode that keeps nobody out."""
    modes = {path: Path(path).stat().st_mode & 0o777 for path in paths}
    try:
        for path in paths:
            Path(path).chmod(0o666)
        yield
    finally:
        for path, mode in modes.items():
            Path(path).chmod(mode)


def loop_driver():
    """Where it is a module that nobody has needed yet, the node comes with it."""
    if not Path('/dev/loop0').exists():
        box.run('modprobe', 'loop')


def allowed_row():
    return next(row for row in box.answer('show', 'alice')['limits'] if row['limit'] == 'DeviceAllow')


def gone():
    host.wait_for('no container is left', lambda: not box.containers('alice'))


def only_the_usual_ones(run):
    plant(FUSE, LOOP, NULL, *TERMINALS, *STRANGERS)
    assert openings(run, FUSE, LOOP, NULL) == [DENIED, DENIED, 'open']
    said = openings(run, *TERMINALS)
    assert all(words in NOBODYS for words in said), said
    assert openings(run, *STRANGERS) == [DENIED] * len(STRANGERS)
    for node in ('null', 'zero', 'full', 'random', 'urandom', 'ptmx'):
        assert opening(run, f'/dev/{node}') == 'open', node


@case(20)
def a_node_within_reach_cannot_be_opened():
    with box.session('alice') as alice:
        only_the_usual_ones(alice)
        assert openings(alice, FUSE, LOOP, how='<') == [DENIED, DENIED]
        assert allowed_row()['supported'] and allowed_row()['value'] is None


@case(20)
def an_allowed_device_can_be_opened_as_far_as_it_is_allowed():
    loop_driver()
    box.config(tenants={'DeviceAllow': '/dev/fuse r -/dev/none w'})
    with nodes_for_all('/dev/fuse'), box.session('alice') as alice:
        plant(FUSE, LOOP)
        for node in (FUSE, '/dev/fuse'):
            assert [opening(alice, node, how) for how in ('<', '>', '<>')] == ['open', DENIED, DENIED], node
        assert opening(alice, LOOP) == DENIED
        assert allowed_row()['value'] == '/dev/fuse r'
    gone()
    box.config(tenants={'DeviceAllow': '/dev/fuse /dev/loop0 rwm'})
    with nodes_for_all('/dev/fuse', '/dev/loop0'), box.session('alice') as alice:
        plant(FUSE, LOOP)
        assert openings(alice, FUSE, LOOP, '/dev/fuse', '/dev/loop0') == ['open'] * 4
        assert allowed_row()['value'] == '/dev/fuse rw /dev/loop0 rwm'


@case(20)
def a_later_login_brings_the_new_policy():
    loop_driver()
    box.config(tenants={'DeviceAllow': '/dev/fuse'})
    with nodes_for_all('/dev/fuse'), box.session('alice') as alice:
        plant(FUSE, LOOP)
        held = box.held('alice', 'exec 3<>/dev/fuse 4<>/dev/null; read -r _; '
                                 'stat -Lc %t:%T /proc/self/fd/3; echo x >&4 && echo written; exec cat')
        assert openings(alice, FUSE, '/dev/fuse') == ['open', 'open']
        box.config(tenants={'DeviceAllow': '/dev/loop0 r'})
        assert opening(alice, FUSE) == 'open'  # nobody has come
        box.out_of('alice', 'true')
        assert openings(alice, FUSE, '/dev/fuse') == [DENIED, DENIED]
        assert [opening(alice, LOOP, how) for how in ('<', '>')] == ['open', DENIED]
        assert allowed_row()['value'] == '/dev/loop0 r' and box.the_container('alice')['stale']
        held.stdin.write('\n')  # what is open stays so
        held.stdin.flush()
        assert box.line(held) == 'a:e5\n' and box.line(held) == 'written\n'
        box.config(tenants={'DeviceAllow': '/dev/fuse'})
        limited = box.sessctl('limit', 'alice', 'TasksMax=50', '--runtime')
        assert limited.rc == 0 and openings(alice, FUSE, LOOP, how='<') == ['open', DENIED], limited


@case(20)
def terminals_stay():
    """The one a login came on, /dev/tty, and new ones, through a change of the filter."""
    reopen = ': </dev/tty && : >$(tty) && : </proc/self/fd/0 && script -qc tty /dev/null </dev/null'
    term = box.terminal('alice')
    status, seen = term.run(reopen)
    assert status == 0 and '/dev/pts/1' in seen, seen
    plant(FUSE)
    assert DENIED in term.run(f'exec 3<>{PLACE}/c-10-229')[1]
    box.config(tenants={'DeviceAllow': '/dev/fuse'})
    box.out_of('alice', 'true')
    assert term.run(f'exec 3<>{PLACE}/c-10-229; {reopen}')[0] == 0
    assert term.run('(setsid -c true) </dev/tty && test -t 0')[0] == 0


def console():
    """A virtual terminal, or where the machine's are not to be touched, an imitation with such a name."""
    return '/dev/tty5' if host.IN_VM else cable().near


@case(20)
@contains('login')
def a_login_on_a_console_can_open_it_again():
    seen = box.home('alice') / 'seen'
    text = 'exec >~/seen 2>&1\nreadlink /proc/self/ns/pid\ntty\nexec 3<>$(tty) && echo open\nexit\n'
    place = console()
    with box.host_file(box.home('alice') / '.bash_profile', text):
        with open(place, 'r+b', buffering=0) as tty:
            box.client(['setsid', '-c', 'login', '-f', 'alice'], stdin=tty, stdout=tty, stderr=tty).wait(20 * host.SLOW)
        lines = seen.read_text().split('\n')
        seen.unlink()
    assert lines[0] != outside() and lines[1:3] == [place, 'open'], lines


@case(20)
def sessions_of_their_own_have_the_filter():
    box.config(tenants={'Scope': 'session'})
    with nodes_for_all('/dev/fuse'), box.session('alice') as one, box.session('alice') as other:
        plant(FUSE, NULL)
        for run in (one, other):
            assert openings(run, FUSE, NULL) == [DENIED, 'open']
        box.config(tenants={'Scope': 'session', 'DeviceAllow': '/dev/fuse'})
        with box.session('alice') as third:
            assert opening(third, '/dev/fuse') == 'open'


@case(20)
def tenants_of_a_class_have_their_own_filters():
    box.config(tenants={'ClassTasksMax': '200', 'DeviceAllow': '/dev/fuse'},
               less={'MatchUsers': 'bob', 'DeviceAllow': ''})
    with box.session('alice') as alice, box.session('bob') as bob:
        assert host.group('alice', 'pids').parent.name == 'c-tenants'
        plant(FUSE, LOOP)
        assert openings(alice, FUSE, LOOP) == ['open', DENIED]
        assert opening(bob, '/dev/null') == 'open'
        assert 'No such file' in opening(bob, '/dev/fuse', '<')
        box.config(tenants={'ClassTasksMax': '200'})
        with box.session('alice'):
            only_the_usual_ones(alice)


@case(20)
def the_rescue_lane_has_the_filter():
    box.config(tenants={'MemoryMax': '64M', 'MemorySwapMax': '0'})
    eating(54)
    term = rescued(MEMORY)
    plant(FUSE, NULL)
    assert DENIED in term.run(f'exec 3<>{PLACE}/c-10-229')[1]
    assert term.run(f'exec 3<>{PLACE}/c-1-3 4<>/dev/tty')[0] == 0
    term.send('exit\n')
    term.closed()


# where the filter is not, or is another

@contextlib.contextmanager
def without_devices_of_v1():
    """The hierarchy is mounted elsewhere; on a machine of v2 alone there is none."""
    place, aside = host.CGROUPS / 'devices', Path('/run/devices-of-v1')
    there = place.is_mount()
    if there:
        aside.mkdir()
        box.run('mount', '--move', str(place), str(aside))
    try:
        yield
    finally:
        box.sessctl('terminate', '--all')  # of those who are in one hierarchy less
        if there:
            box.run('mount', '--move', str(aside), str(place))
            aside.rmdir()


@contextlib.contextmanager
def without_bpf():
    """A helper to which the kernel refuses bpf(2)."""
    real = box.DIR / 'helper'
    shutil.copy(box.HELPER, real)
    program = f'#!{sys.executable} -I\nimport sys\nsys.argv.insert(1, "{real}")\n'
    try:
        with box.helper_does(program + (box.LIB / 'without_bpf.py').read_text()):
            yield
    finally:
        real.unlink()


@case(20)
def the_program_of_v2_does_it_where_there_is_no_v1():
    with without_devices_of_v1():
        with box.session('alice') as alice:
            only_the_usual_ones(alice)
            box.config(tenants={'DeviceAllow': '/dev/fuse r'})
            box.out_of('alice', 'true')
            assert [opening(alice, FUSE, how) for how in ('<', '>')] == ['open', DENIED]
            assert allowed_row()['value'] == '/dev/fuse r'
        gone()


@case(20)
def a_machine_that_has_no_filter_says_so():
    """And lets him in all the same."""
    check = [sys.executable, '-I', str(box.LIB / 'without_bpf.py'), 'sessctl', 'check', '--json']
    with without_devices_of_v1(), without_bpf():
        mark = host.log_mark()
        with box.session('alice') as alice:
            host.log_has(mark, 'not in force.*DeviceAllow')
            plant(FUSE)
            assert opening(alice, FUSE) == 'open'
            show = box.run(*check[:3], 'sessctl', 'show', 'alice').out
            assert 'DeviceAllow' in show and 'unsupported' in show, show
            assert 'no filter on devices' in box.run(*check, check=False).out
        gone()
    assert 'no filter on devices' not in box.sessctl('check', '--json').out


@case(20)
def a_filter_that_somebody_took_off_is_seen():
    """By hand, with the means of the kernel: v1's file, or a cgroup without a program."""
    with box.session('alice') as alice:
        group = host.group('alice', 'devices')
        if host.unified():
            box.run(sys.executable, '-I', str(box.LIB / 'no_filter.py'), str(group))
        else:
            (group / 'devices.allow').write_text('a')
        assert allowed_row()['value'] == 'all'
        plant(FUSE)
        assert opening(alice, FUSE) == 'open'


@case(20)
def a_confined_host_gives_what_it_has():
    """v1 gives no group what the one above does not have; v2 asks them all at each opening."""
    base = next((base for base in host.bases() if base.parent.name == 'devices' and base.is_dir()), None)
    box.config(tenants={'DeviceAllow': '/dev/fuse'})
    mark = host.log_mark()
    with nodes_for_all('/dev/fuse'), contextlib.ExitStack() as stack:
        if base:
            for line in ('c 10:229 rwm', 'c 1:9 w'):
                (base / 'devices.deny').write_text(line)
                stack.callback((base / 'devices.allow').write_text, line)
        with box.session('alice') as alice:
            plant(RANDOM, NULL)
            assert openings(alice, NULL, RANDOM, how='<') == ['open', 'open']
            if base:
                host.log_has(mark, 'not in force.*DeviceAllow')
                assert [opening(alice, RANDOM, '>'), opening(alice, '/dev/fuse')] == [DENIED, DENIED]
            assert allowed_row()['value'] == (None if base else '/dev/fuse rw')
        gone()
