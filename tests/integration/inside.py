# SPDX-License-Identifier: LGPL-2.1-or-later
"""1. What a tenant sees from inside."""
import contextlib
import functools
import os
import shutil
import struct
from pathlib import Path

import box
import host
from cases import case

READ_ONLY = ('/usr', '/etc', '/sys', '/dev', '/proc/sys', '/proc/irq', '/proc/bus', '/proc/fs', '/run/host')
DEVICES = {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'fd', 'stdin', 'stdout', 'stderr',
           'ptmx', 'pts', 'shm', 'mqueue', 'log'}
CAP_NET_RAW = 13


@functools.lru_cache
def seen(contained):
    return box.probe('alice')


def view():
    """One look around for all cases that need no more."""
    return seen(box.STATE['contained'])


def mount_options(entry, target):
    """The options of the topmost mount there."""
    return [line.split()[5].split(',') for line in entry['mounts'] if line.split()[4] == target][-1]


@case(1)
def ps_shows_init_sshd_and_mine():
    lines = box.out_of('alice', 'ps -e -o pid=,user=,args=').splitlines()
    rows = [line.split(None, 2) for line in lines]
    assert rows[0][0] == '1' and rows[0][1] == 'root' and 'sessbox-init' in rows[0][2], lines
    rest = [args.split()[0] for _, user, args in rows[1:] if user == 'alice']
    assert sorted(rest) in (['ps', 'sshd:'], ['ps', 'sshd-session:']) and len(rows) == 3, lines


@case(1)
def host_processes_are_absent():
    numbers = box.out_of('alice', 'ls -d /proc/[0-9]*').split()
    assert len(numbers) <= 5, numbers
    assert box.ssh('alice', f'test -e /proc/{os.getpid()}').rc == 1


@case(1)
def namespaces_are_own():
    ours = {name: os.readlink(f'/proc/self/ns/{name}') for name in os.listdir('/proc/self/ns')}
    theirs = view()['ns']
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {'mnt', 'pid', 'pid_for_children', 'ipc', 'uts', 'cgroup'}


@case(1)
def tmp_and_shm_are_own():
    for directory in ('/tmp', '/var/tmp', '/dev/shm'):
        path = Path(directory, 'sessbox-marker')
        with box.host_file(path):
            inside = box.ssh('alice', f'ls -A {directory}; touch {directory}/mine; stat -c %a {directory}')
        try:
            assert inside.out.split() == ['1777'], (directory, inside)
            assert not Path(directory, 'mine').exists(), directory
        finally:
            Path(directory, 'mine').unlink(missing_ok=True)


@case(1)
def hostname_is_own():
    assert view()['hostname'] == 'alice-box'
    assert os.uname().nodename != 'alice-box'


@case(1)
def ipc_is_own():
    made = box.run('ipcmk', '-Q').out.split()[-1]
    try:
        queues = box.out_of('alice', 'ipcs -q')
        assert not any(line.split()[1:2] == [made] for line in queues.splitlines()), queues
    finally:
        box.run('ipcrm', '-q', made)


@case(1)
def message_queues_are_own():
    with box.host_file('/dev/mqueue/sessbox-marker', text=''):
        assert box.out_of('alice', 'ls -A /dev/mqueue') == ''


@case(1)
def other_homes_are_absent():
    assert view()['ls']['/home'] == ['alice']
    mine = box.home('alice') / 'from-inside'
    box.out_of('alice', 'echo mine >from-inside; test ! -e /home/bob')
    assert mine.read_text() == 'mine\n' and mine.owner() == 'alice'
    mine.unlink()


@case(1)
def root_has_the_listed_names_only():
    assert not {'boot', 'root', 'mnt', 'media', 'lost+found'} & set(view()['ls']['/'])
    assert {'usr', 'bin', 'etc', 'home', 'proc', 'sys', 'dev', 'tmp', 'run'} <= set(view()['ls']['/'])


@case(1)
def host_mounts_are_absent():
    target = Path('/mnt/sessbox-marker')
    target.mkdir()
    box.run('mount', '-t', 'tmpfs', 'sessbox-marker', str(target))
    try:
        inside = box.out_of('alice', f'cat /proc/self/mountinfo; test ! -e {target} || echo there')
        assert 'sessbox-marker' not in inside and 'there' not in inside.splitlines()
    finally:
        box.run('umount', str(target))
        target.rmdir()


@case(1)
def mounts_have_their_flags():
    mounts = [line.split() for line in view()['mounts']]
    for fields in mounts:
        assert 'nosuid' in fields[5].split(','), fields
        assert not fields[4].startswith(('/usr', '/etc', '/sys')) or 'ro' in fields[5].split(','), fields
    assert {'ro', 'noexec', 'nodev'} <= set(mount_options(view(), '/sys'))
    assert {'noexec', 'nodev'} <= set(mount_options(view(), '/proc'))
    assert 'nodev' in mount_options(view(), '/tmp') and 'ro' in mount_options(view(), '/proc/sys')
    # the host's own line for a group of a tenant in every hierarchy is the tenant's root
    groups = [fields for fields in mounts if 'cgroup' in fields[fields.index('-') + 1]]
    assert groups and all(fields[3] == '/' and 'ro' in fields[5].split(',') for fields in groups), groups


@case(1)
def system_trees_cannot_be_written():
    made = box.home('alice') / 'root-owned'
    made.write_text('')
    tried = box.ssh('alice', f'for d in {" ".join(READ_ONLY)} /; do test -w $d && echo $d; done; '
                             'echo x >root-owned')
    made.unlink()
    assert tried.rc != 0 and tried.out == '', tried
    lines = box.out_of('alice', 'grep -c . /proc/self/mountinfo; for d in /usr /etc /sys /run/host/etc; do '
                                'findmnt -no OPTIONS -T $d; done').splitlines()
    assert all(line.split(',')[0] == 'ro' for line in lines[1:]), lines


@case(1)
def devices_are_the_harmless_ones():
    assert set(view()['ls']['/dev']) <= DEVICES, view()['ls']['/dev']
    box.out_of('alice', 'echo x >/dev/null; head -c 4 /dev/urandom | wc -c | grep -qx 4; test -c /dev/tty')


@case(1)
def kernel_files_are_masked():
    masked = '/proc/kcore /proc/keys /proc/kmsg /proc/kallsyms /proc/timer_list /sys/kernel/debug ' \
             '/sys/firmware /sys/kernel/security'
    seen_inside = box.out_of('alice', f'for f in {masked}; do test -s $f && test -f $f && echo $f; '
                                      'test -d $f && ls -A $f; done; head -c1 /proc/kallsyms; true')
    assert seen_inside == '', seen_inside


@case(1)
def run_is_own():
    inside = set(view()['ls']['/run'])
    assert not {'utmp', 'sshd', 'systemd', 'dbus', 'docker.sock', 'lock'} & inside - {'lock'}, inside
    directory = view()['env']['XDG_RUNTIME_DIR'] if 'XDG_RUNTIME_DIR' in view()['env'] else '/run/user/3001'
    kept = box.out_of('alice', f'stat -c "%a %U" {directory}; touch {directory}/mine')
    assert kept == '700 alice', kept
    assert not Path(directory, 'mine').exists()
    assert 'DBUS_SESSION_BUS_ADDRESS' not in view()['env']


@case(1)
def terminal_is_a_real_one_of_my_own():
    keep = os.openpty()
    term = box.terminal('alice')
    assert term.run('tty')[1] == '/dev/pts/0\n'
    assert term.run('stat -c "%U %G %a" $(tty)') == (0, 'alice tty 620\n')
    assert term.run('ls /dev/pts')[1].split() == ['0', 'ptmx']
    assert term.run('ps -o tty= -p $$')[1] == 'pts/0\n'
    for fd in keep:
        os.close(fd)


@case(1, same_by_design=True)
def terminal_of_a_program_inside_works():
    term = box.terminal('alice')
    status, shown = term.run('script -qec tty /dev/null')
    assert status == 0 and shown.strip().startswith('/dev/pts/'), shown


@case(1, same_by_design=True)
def job_control_works():
    term = box.terminal('alice')
    term.send('sleep 600\n')
    host.wait_for('sleep runs', lambda: host.in_front('alice', 'sleep'))
    term.send('\x1a')
    term.expect('Stopped')
    term.expect('READY ')
    assert 'sleep 600' in term.run('jobs')[1]
    assert term.run('bg')[0] == 0 and 'Running' in term.run('jobs')[1]
    term.send('fg\n')
    term.expect('sleep 600\r\n')
    host.wait_for('sleep goes on', lambda: host.in_front('alice', 'sleep'))
    term.send('\x03')
    term.expect('READY ')
    assert term.run('jobs') == (0, '')


def names_of(user):
    known = host.processes()
    return {known[pid][1] for pid in host.of_user(user) if pid in known}


@case(1, same_by_design=True)
def ctrl_c_stops_the_program_and_not_the_login():
    term = box.terminal('alice')
    term.send('sleep 600; echo status:$?\n')
    host.wait_for('sleep runs', lambda: 'sleep' in names_of('alice'))
    term.send('\x03')
    term.expect('READY ')
    assert term.run('true')[0] == 0 and 'sleep' not in names_of('alice')


@case(1, same_by_design=True)
def resize_reaches_the_program():
    term = box.terminal('alice', rows=24, cols=80)
    assert term.run('stty size')[1] == '24 80\n'
    term.run('trap \'echo changed\' WINCH')
    term.resize(37, 111)
    term.send('\n')
    term.expect('changed')
    assert term.run('stty size')[1] == '37 111\n'


@case(1)
def cgroup_is_the_root():
    assert all(line.endswith(':/') for line in view()['cgroup']), view()['cgroup']


@case(1)
def cgroup_limits_stand_before_the_first_process():
    box.config(tenants={'MemoryMax': '96M', 'TasksMax': '77'})
    files = 'memory.max pids.max' if host.unified() else \
        'memory/memory.limit_in_bytes pids/pids.max'
    inside = box.out_of('alice', f'cd /sys/fs/cgroup && cat {files}')
    assert inside.split() == [str(96 << 20), '77'], inside


@case(1)
def groups_are_the_harmless_ones():
    view_groups = box.group_names(view()['groups'])
    assert view_groups == {'alice', 'tenants', 'project', 'users'}, view_groups
    named = box.out_of('alice', 'id -Gn; ls -ld ~').splitlines()
    assert named[0].split()[0] == 'alice' and set(named[0].split()) == view_groups, named
    assert named[1].split()[2:4] == ['alice', 'alice'], named


@case(1)
def capabilities_are_empty():
    status = view()['status']
    sets = {key: int(value, 16) for key, value in status.items() if key.startswith('Cap')}
    assert len(sets) == 5 and not any(sets.values()), sets
    assert status['NoNewPrivs'] == '1'


@case(1)
def no_core_file_can_be_asked_for():
    # 1 where 0 would still feed a core_pattern that is a pipe
    assert view()['limits']['RLIMIT_CORE'] in ([0, 0], [1, 1])


@case(1, same_by_design=True)
def scheduling_is_the_ordinary_one():
    got = {key: view()[key] for key in ('nice', 'oom', 'timerslack', 'affinity', 'umask')}
    umask = int(box.out_of('carol', 'umask'), 8)  # Debian 13's stack has pam_umask, 12's has not
    assert got == {'nice': 0, 'oom': ['0'], 'timerslack': 50000, 'umask': umask,
                   'affinity': sorted(os.sched_getaffinity(1))}, got


@case(1, same_by_design=True)
def only_three_files_are_open():
    assert set(view()['fds']) == {'0', '1', '2'}, view()['fds']
    term = box.terminal('alice')
    opened = set(term.run('ls /proc/$$/fd')[1].split())
    assert opened <= {'0', '1', '2', '255'}, opened


@contextlib.contextmanager
def privileged_copies():
    """A set-uid, a set-gid and a capable copy of programs, in /usr and in the tenant's own home."""
    made = []
    for directory in (Path('/usr/local/bin'), box.home('alice')):
        for name, mode in (('suid-id', 0o4755), ('sgid-id', 0o2755), ('capable', 0o755)):
            path = directory / name
            shutil.copy('/usr/bin/id' if mode > 0o777 else '/usr/bin/grep', path)
            path.chmod(mode)
            made.append(path)
        # version 2 with the effective bit, permitted: CAP_NET_RAW
        os.setxattr(made[-1], 'security.capability',
                    struct.pack('<5I', 0x02000001, 1 << CAP_NET_RAW, 0, 0, 0))
    try:
        yield made
    finally:
        for path in made:
            path.unlink()


@case(1)
def privileged_programs_gain_nothing():
    with privileged_copies():
        for directory in ('/usr/local/bin', '/home/alice'):
            got = box.out_of('alice', f'{directory}/suid-id -u; {directory}/sgid-id -gn; '
                                      f'{directory}/capable CapEff /proc/self/status')
            assert got.split() == ['3001', 'alice', 'CapEff:', '0' * 16], got
    assert box.ssh('alice', 'su -c true svc </dev/null').rc != 0


@case(1, same_by_design=True)
def edits_of_etc_reach_the_next_login():
    hosts = Path('/etc/hosts')
    old = hosts.read_text()
    fresh = Path('/etc/sessbox-new')
    with box.session('alice') as inside:
        inside('true')
        box.replace(hosts, old + '192.0.2.7 sessbox-marker\n')
        try:
            with box.host_file(fresh, 'fresh\n'):
                want = '192.0.2.7 sessbox-marker\nfresh'
                look = 'tail -n1 /etc/hosts; cat /etc/sessbox-new'
                assert box.out_of('alice', look) == want
                assert inside(look).out.strip() == want
                assert box.out_of('bob', look) == want
        finally:
            box.replace(hosts, old)


@case(1)
def accounts_of_the_host_stay_out_of_sight():
    look = 'getent passwd | cut -d: -f1 | sort; getent group | sort'
    with box.session('alice') as inside:
        before = inside(look).out
        assert 'alice' in before.split() and 'bob' not in before.split() and 'root' in before.split()
        try:
            box.run('useradd', '-m', '-u', '3190', 'newcomer')
            box.run('passwd', '-l', 'bob')
            for after in (inside, lambda command: box.ssh('alice', command)):
                assert after(look).out == before
                hidden = after('ls /etc/shadow /etc/gshadow /etc/shadow- /etc/gshadow- /etc/passwd.org')
                assert hidden.out == '' and hidden.err.count('No such file') == 5, hidden
                assert 'newcomer' not in after('cat /etc/passwd').out
        finally:
            box.run('userdel', '-r', 'newcomer', check=False)


@case(1)
def network_is_own_when_asked():
    box.config(tenants={'PrivateNetwork': 'yes'})
    inside = box.probe('alice')
    assert inside['ns']['net'] != os.readlink('/proc/self/ns/net')
    links = box.out_of('alice', 'cat /proc/net/dev | tail -n +3 | cut -d: -f1; '
                                'grep -c 127.0.0.1 /proc/net/fib_trie; '
                                f'(echo >/dev/tcp/127.0.0.1/{box.STATE["port"]}) 2>&1 | grep -q refused && echo refused')
    assert links.split() in (['lo', '2', 'refused'], ['lo', '1', 'refused']), links


@case(1)
def bound_paths_are_there():
    for name in ('rw', 'ro'):
        directory = Path('/mnt', 'sessbox-' + name)
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
        (directory / 'file').write_text('shared\n')
    box.config(tenants={'BindPaths': '/mnt/sessbox-rw', 'BindReadOnlyPaths': '/mnt/sessbox-ro'})
    try:
        inside = box.ssh('alice', 'cat /mnt/sessbox-??/file; ls /mnt; touch /mnt/sessbox-rw/mine '
                                  '&& touch /mnt/sessbox-ro/mine')
        assert inside.out.split() == ['shared', 'shared', 'sessbox-ro', 'sessbox-rw'], inside
        assert 'Read-only' in inside.err and inside.rc == 1, inside
        assert Path('/mnt/sessbox-rw/mine').owner() == 'alice'
    finally:
        for name in ('rw', 'ro'):
            shutil.rmtree(Path('/mnt', 'sessbox-' + name))


@case(1)
def tmp_has_its_size():
    box.config(tenants={'TmpSize': '8M'})
    full = box.ssh('alice', 'head -c 6M /dev/zero >/tmp/a && head -c 6M /dev/zero >/tmp/b')
    assert full.rc == 1 and 'No space left' in full.err, full


@case(1)
def one_size_for_all_that_is_in_memory():
    box.config(tenants={'TmpSize': '8M'})
    for place in '/dev/shm', '/var/tmp', '/run/user/$UID':
        full = box.ssh('alice', f'head -c 6M /dev/zero >/tmp/a && head -c 6M /dev/zero >{place}/b')
        assert full.rc == 1 and 'No space left' in full.err, (place, full)
    names = box.ssh('alice', 'cd /tmp && seq 20000 | xargs touch')
    assert names.rc and 'No space left' in names.err, names


@case(1)
def what_the_parts_are_made_of_is_closed():
    """Through the directory itself they would not have their mounts' flags."""
    seen = box.ssh('alice', 'ls /run/sessbox/parts; cd /run/sessbox/parts/shm; '
                            'unshare -Urm ls /run/sessbox/parts; '
                            'cp /usr/bin/true /dev/shm/true; /dev/shm/true')
    assert seen.out == '' and seen.err.count('Permission denied') == 4, seen
    # Neither the machine's own directories nor another's: mounts apart, it is one file system.
    linked = box.ssh('alice', 'echo x >/tmp/f; ln /tmp/f /var/tmp/f')
    assert 'cross-device' in linked.err, linked
    assert box.out_of('alice', 'touch /dev/x /home/x /x /sys/fs/cgroup/x 2>&1 | grep -c "Read-only"') == '4'


@case(1)
def namespaces_can_be_left_shared():
    box.config(tenants={'PrivateIPC': 'no', 'PrivateUTS': 'no', 'PrivateTmp': 'no'})
    inside = box.probe('alice')
    assert inside['ns']['ipc'] == os.readlink('/proc/self/ns/ipc')
    assert inside['ns']['uts'] == os.readlink('/proc/self/ns/uts')
    assert inside['ns']['pid'] != os.readlink('/proc/self/ns/pid')
    with box.host_file('/tmp/sessbox-marker'):
        assert 'sessbox-marker' in box.out_of('alice', 'ls /tmp')
