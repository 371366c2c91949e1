# SPDX-License-Identifier: LGPL-2.1-or-later
"""9. Trees of their own, homes, and what is shown, hidden and closed by path."""
import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import struct
import subprocess
import threading
from pathlib import Path

import box
import host
from cases import case

TREE = Path('/srv/sessbox-tree')
STORE = Path('/var/lib/sessbox')
PROGRAMS = ('bash', 'cat', 'cp', 'id', 'ls', 'mkdir', 'mv', 'rm', 'ln', 'stat', 'touch', 'sleep', 'head',
            'test', 'mount', 'umount', 'unshare')
LINKS = {'bin': 'usr/bin', 'sbin': 'usr/sbin', 'lib': 'usr/lib', 'lib64': 'usr/lib64'}
DIRECTORIES = ('usr/bin', 'usr/lib', 'usr/lib64', 'usr/sbin', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'home',
               'var/tmp', 'srv')


def libraries(program):
    return set(re.findall(r'(/\S+) \(0x', box.run('ldd', program).out))


def fill(tree):
    for name in DIRECTORIES:
        (tree / name).mkdir(parents=True)
    for name, target in LINKS.items():
        (tree / name).symlink_to(target)
    (tree / 'tmp').chmod(0o1777)
    needed = set()
    for name in PROGRAMS:
        shutil.copy(f'/usr/bin/{name}', tree / 'usr/bin')
        needed |= libraries(f'/usr/bin/{name}')
    for library in needed:
        target = tree / library[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (tree / 'usr/bin/sh').symlink_to('bash')
    (tree / 'etc/passwd').write_text('root:x:0:0::/root:/bin/bash\ngames:x:77:77::/:/bin/false\n'
                                     'alice:x:5:5::/:/bin/false\nother:x:3500:3500::/:/bin/sh\n')
    (tree / 'etc/group').write_text('root:x:0:\ngames:x:77:alice\n')
    (tree / 'etc/shadow').write_text('root:secret:1::::::\n')
    (tree / 'etc/mark').write_text('of the tree\n')


@contextlib.contextmanager
def tree(**keys):
    """A small tree that alice's class has as its root."""
    try:
        fill(TREE)
        box.config(tenants={'RootDirectory': str(TREE), **keys})
        yield TREE
    finally:
        box.sessctl('terminate', '--all')
        shutil.rmtree(TREE)
        shutil.rmtree(STORE / 'overlay', ignore_errors=True)


def gone(user='alice'):
    host.wait_for('no container is left', lambda: not box.containers(user))


def refused(user='alice', log=''):
    """A login that has to be refused, for the reason that the log gives."""
    mark = host.log_mark()
    done = box.ssh(user, 'echo got-in')
    assert done.rc != 0 and 'got-in' not in done.out, done
    host.log_has(mark, log)


@case(9)
def a_tree_is_the_root():
    with tree() as made:
        seen = box.out_of('alice', 'cat /etc/mark; ls /; echo --; ls -A /home /root /boot /mnt 2>/dev/null; true')
        names, rest = seen.split('--')
        assert names.split()[:3] == ['of', 'the', 'tree'], seen
        assert set(names.split()[3:]) == {p.name for p in made.iterdir()}, seen
        assert rest.split() == ['/home:', 'alice'], seen
        assert box.out_of('alice', 'stat -c %U:%a /proc /sys /dev /tmp /run; stat -fc %T /proc').split()[-1] == 'proc'


@case(9)
def a_tree_cannot_be_written():
    with tree() as made:
        (made / 'srv/open').mkdir(mode=0o777)
        (made / 'srv/open').chmod(0o777)
        done = box.ssh('alice', 'touch /srv/open/mine; echo $?; touch /tmp/mine ~/mine && rm ~/mine; echo $?')
        assert done.out.split() == ['1', '0'] and 'Read-only' in done.err, done
        assert not list((made / 'srv/open').iterdir())
        flags = box.out_of('alice', 'cat /proc/self/mountinfo').splitlines()
        root = next(line.split()[5].split(',') for line in flags if line.split()[4] == '/')
        assert {'ro', 'nosuid', 'nodev'} <= set(root), root


@case(9)
def accounts_are_the_trees():
    with tree():
        seen = box.out_of('alice', 'cat /etc/passwd /etc/group; id -un; ls /etc')
        assert re.search(r'^games:x:77:77:', seen, re.M) and re.search(r'^alice:x:3001:', seen, re.M), seen
        assert not re.search(r'^(other|daemon):', seen, re.M), seen  # a user of the tree, an account of the host
        assert not re.search(r'^shadow', seen, re.M), seen
        assert box.ssh('alice', 'cat /etc/shadow').rc != 0


@case(9)
def a_tree_must_be_roots_alone():
    with tree() as made:
        for path, uid, mode in ((made, 3001, 0o755), (made, 0, 0o775), (made, 0, 0o1777), (made / 'usr', 3001, 0o755),
                                (made / 'etc', 0, 0o757), (made.parent, 0, 0o777)):
            before = path.stat()
            os.chown(path, uid, 0)
            path.chmod(mode)
            try:
                refused(log=f"'{path}' is not root's alone")
            finally:
                os.chown(path, before.st_uid, before.st_gid)
                path.chmod(before.st_mode & 0o7777)
        box.out_of('alice', 'cat /etc/mark')


@case(9)
def a_tree_may_not_lead_elsewhere():
    """Links where we mount, and links that would show the host."""
    with tree() as made:
        for name, text in (('proc', 'etc'), ('etc', '/'), ('etc', '/etc'), ('dev', '/tmp'), ('run', 'tmp'),
                           ('home', '/home'), ('tmp', 'var/tmp'), ('sys', '../../..')):
            kept = made / (name + '.kept')
            (made / name).rename(kept)
            (made / name).symlink_to(text)
            try:
                refused(log='symbolic links')
            finally:
                (made / name).unlink()
                kept.rename(made / name)
        (made / 'etc/passwd').unlink()
        (made / 'etc/passwd').symlink_to('/etc/group')
        assert 'games:x:77:alice' not in box.out_of('alice', 'cat /etc/mark')
        (made / 'etc/passwd').unlink()
        os.mkfifo(made / 'etc/passwd')
        assert box.out_of('alice', 'id -un') == 'alice'


@case(9)
def missing_mount_points_are_made():
    with tree(BindReadOnlyPaths='/etc/security:/opt/a/b') as made:
        (made / 'proc').rmdir()
        assert 'sessbox.conf' in box.out_of('alice', 'ls /opt/a/b; ls -d /proc/1').split()
        assert (made / 'proc').owner() == 'root' and not list((made / 'opt/a/b').iterdir())


@case(9)
def mounts_in_a_tree_are_not_shown():
    with tree() as made:
        box.run('mount', '-t', 'tmpfs', 'sessbox-marker', str(made / 'srv'))
        (made / 'srv/hidden').write_text('')
        try:
            assert box.out_of('alice', 'ls -A /srv; cat /etc/mark') == 'of the tree'
        finally:
            box.run('umount', str(made / 'srv'))


@case(9)
def changes_of_a_tree_are_seen():
    with tree() as made, box.session('alice') as inside:
        box.replace(made / 'srv/fresh', 'first\n')
        box.replace(made / 'srv/fresh', 'second\n')
        assert inside('cat /srv/fresh').out == 'second\n'


@case(9)
def an_overlay_on_tmpfs_is_gone_with_the_container():
    with tree(RootOverlay='tmpfs', RootOverlaySize='8M') as made:
        (made / 'srv').chmod(0o1777)
        with box.session('alice') as inside:
            assert inside('echo mine >/srv/mine; cat /srv/mine; rm /etc/mark').out == 'mine\n'
            assert box.out_of('alice', 'cat /srv/mine') == 'mine'
            full = inside('head -c 16M /dev/zero >/srv/big')
            assert full.rc != 0 and 'No space left' in full.err, full
        gone()
        assert not list((made / 'srv').iterdir())
        assert box.out_of('alice', 'ls -A /srv; cat /etc/mark') == 'of the tree'


@case(9)
def a_persistent_overlay_stays():
    with tree(RootOverlay='persistent', RootOverlaySize='16M') as made:
        (made / 'srv').chmod(0o1777)
        assert box.ssh('alice', 'echo mine >/srv/mine; head -c 32M /dev/zero >/srv/big').err.count('No space') == 1
        # the next container's mount points are there already: it needs no room
        assert box.out_of('alice', 'cat /srv/mine; test -s /srv/big && echo full').split() == ['mine', 'full']
        assert not list((made / 'srv').iterdir())
        assert {p.stat().st_mode & 0o7777 for p in (STORE, STORE / 'overlay')} == {0o700}
        assert box.ssh('bob', 'ls -A /srv').out == ''


@case(9)
def a_persistent_overlay_full_of_files_lets_its_user_in():
    """To give some back: an overlay takes a few to be mounted."""
    with tree(RootOverlay='persistent', RootOverlaySize='16M') as made:
        (made / 'srv').chmod(0o1777)
        for _ in range(3):
            assert 'No space' in box.ssh('alice', 'i=0; while echo >/srv/$$.$i; do i=$((i+1)); done', timeout=120).err
        assert box.out_of('alice', 'rm -r /srv/*; touch /srv/mine; ls /srv') == 'mine'


@case(9)
def a_disk_without_room_for_an_overlay_is_no_way_onto_the_host():
    with tree(RootOverlay='persistent', RootOverlaySize='16M', OnFailure='allow'):
        overlays = STORE / 'overlay'
        overlays.mkdir(mode=0o700)
        box.run('mount', '-t', 'tmpfs', '-o', 'size=4M,mode=0700', 'small', str(overlays))
        try:
            refused(log='overlay')
        finally:
            box.run('umount', str(overlays))
        assert box.out_of('alice', 'cat /etc/mark') == 'of the tree'


@case(9)
def a_persistent_overlay_is_one_containers():
    """Whatever became of the last one: two would write into one upper layer."""
    with tree(RootOverlay='persistent', RootOverlaySize='16M', TimeoutStopSec='2') as made:
        (made / 'srv').chmod(0o1777)
        box.out_of('alice', 'echo mine >/srv/mine')
        stubborn = box.held('alice', "trap '' TERM HUP; while :; do sleep 1; done")
        box.stop(stubborn)
        assert box.out_of('alice', 'cat /srv/mine') == 'mine'  # waits for the other's end
        held = box.held('alice')
        init = box.the_container('alice')['init']
        os.kill(init, 9)
        assert box.closed_by_peer(held)
        assert box.out_of('alice', 'cat /srv/mine') == 'mine'


@case(9)
def nothing_leads_below_an_overlay():
    """Not even for root of a user namespace: what holds the layers stays out of reach."""
    with tree(RootOverlay='tmpfs', RootOverlaySize='8M'):
        tried = box.ssh('alice', "unshare --user --map-root-user --mount sh -c 'for m in / /etc /tmp; do umount $m; umount -l $m; done;"
                                 " ls -d /upper /work /tree /etc/mark; mount --bind / /srv && ls /srv; "
                                 " cat /proc/self/mountinfo; head -c 1 /etc/shadow'")
        assert '/etc/mark' in tried.out.split() and 'root:' not in tried.out, tried
        assert not {'/upper', '/work', '/tree', 'upper', 'work', 'tree'} & set(tried.out.split()), tried


# homes

@case(9)
def a_private_home_is_kept_and_not_the_hosts():
    box.config(tenants={'Home': 'private'})
    marker = box.home('alice') / 'of-the-host'
    try:
        with box.host_file(marker), box.host_file('/etc/skel/of-skel', mode=0o640):
            seen = box.out_of('alice', 'pwd; ls -A; stat -c "%a %U" . of-skel; echo mine >mine').split()
        assert seen[0] == '/home/alice' and 'of-skel' in seen and '.bashrc' in seen, seen
        assert 'of-host' not in seen and seen[-4:] == ['700', 'alice', '640', 'alice'], seen
        gone()
        assert box.out_of('alice', 'cat mine; ls of-skel') == 'mine\nof-skel'  # another container
        assert not (box.home('alice') / 'mine').exists()
        assert 'mine' not in box.out_of('bob', 'ls -A').split()
        assert (STORE / 'home').stat().st_mode & 0o7777 == 0o700
    finally:
        box.sessctl('terminate', '--all')
        gone()
        shutil.rmtree(STORE / 'home', ignore_errors=True)


@case(9)
def a_half_made_private_home_is_made_again():
    box.config(tenants={'Home': 'private'})
    try:
        (STORE / 'home/u3001.new/.bashrc').mkdir(parents=True)
        (STORE / 'home').chmod(0o700)
        assert box.out_of('alice', 'test -f .bashrc && pwd && echo mine >mine && cat mine') == '/home/alice\nmine'
        assert [p.name for p in (STORE / 'home').iterdir()] == ['u3001']
    finally:
        box.sessctl('terminate', '--all')
        gone()
        shutil.rmtree(STORE / 'home', ignore_errors=True)


@case(9)
def a_home_in_memory_is_gone_with_the_container():
    box.config(tenants={'Home': 'tmpfs', 'TmpSize': '4M'})
    assert box.out_of('alice', 'ls -A; stat -c "%a %U" .; echo mine >mine; stat -fc %T .') == '700 alice\ntmpfs'
    gone()
    full = box.ssh('alice', 'ls -A; head -c 8M /dev/zero >big')
    assert full.out == '' and 'No space left' in full.err, full
    assert not (box.home('alice') / 'big').exists()


@case(9)
def a_home_is_made_at_the_first_login():
    """pam_mkhomedir stands before our open line."""
    stack = box.PAM.read_text()
    box.run('useradd', '-M', '-s', '/bin/bash', '-u', '3191', '-G', 'tenants', 'homeless')
    (box.DIR / 'keys/homeless').write_text((box.DIR / 'key.pub').read_text())
    ours = stack.index(box.LINES['open']) if box.LINES['open'] in stack else len(stack)
    box.replace(box.PAM, stack[:ours] + 'session required pam_mkhomedir.so umask=0077\n' + stack[ours:])
    try:
        seen = box.out_of('homeless', 'pwd; ls -A; echo mine >mine; ls /home; stat -c %a .').split()
        assert seen[0] == '/home/homeless' and '.bashrc' in seen and seen[-2:] == ['homeless', '700'], seen
        assert (box.home('homeless') / 'mine').owner() == 'homeless'
    finally:
        gone('homeless')
        box.run('userdel', '-r', 'homeless', check=False)


@case(9, same_by_design=True)
def a_home_is_where_passwd_says_however_it_is_spelt():
    with home_at('/home//alice/'):
        assert box.out_of('alice', 'pwd; echo mine >mine; grep ^alice /etc/passwd').split()[0] == '/home/alice'
        assert Path('/home/alice/mine').owner() == 'alice'
    Path('/home/alice/mine').unlink()
    gone()


@case(9)
def what_is_hidden_does_not_come_back_as_a_home():
    with box.host_file('/tmp/sessbox-marker'):
        for home in ('/tmp', '/home', '/var'):
            mark = host.log_mark()
            with home_at(home):
                seen = box.ssh('alice', 'ls -A /tmp /home /var/lib/systemd; id -un').out
                assert 'marker' not in seen and 'bob' not in seen and 'random-seed' not in seen, seen
                assert seen.split()[-1] == 'alice', seen
            host.log_has(mark, "'alice' contained: has no home inside")
            gone()


@case(9)
def the_state_of_daemons_is_hidden_wherever_it_lies():
    """On another disk, behind a link; and below what is shown once more."""
    place, link, dangling = Path('/srv/sessbox-docker'), Path('/var/lib/docker'), Path('/var/lib/incus')
    place.mkdir()
    (place / 'secret').write_text('mine\n')
    assert not link.exists()
    link.symlink_to(place)
    dangling.symlink_to('/nowhere/incus')
    try:
        for binds in ({}, {'BindReadOnlyPaths': '/var/lib:/mnt'}):
            box.config(tenants=binds)
            seen = box.ssh('alice', 'ls -A /srv/sessbox-docker /var/lib/docker /mnt/systemd; cat /srv/*/secret; id -un').out
            assert seen.split()[-1] == 'alice' and not {'secret', 'mine', 'random-seed'} & set(seen.split()), seen
            gone()
    finally:
        link.unlink()
        dangling.unlink()
        shutil.rmtree(place)


@case(9, same_by_design=True)
def what_the_host_mounts_in_the_midst_of_a_login_refuses_nobody():
    """It comes inside without nosuid, perhaps before the finished tree is read back."""
    place, stop = Path('/srv/sessbox-busy'), threading.Event()
    libc = ctypes.CDLL(None)

    def busy():
        while not stop.is_set():
            libc.mount(b'busy', bytes(place), b'tmpfs', 0, None)
            libc.umount2(bytes(place), 2)

    place.mkdir()
    box.run('mount', '--bind', '/srv', '/srv')
    box.run('mount', '--make-shared', '/srv')
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            assert box.out_of('alice', 'echo in') == 'in'
    finally:
        stop.set()
        thread.join()
        box.run('umount', '-l', '/srv')
        place.rmdir()


@contextlib.contextmanager
def home_at(path):
    """alice's home is elsewhere."""
    was = box.home('alice')
    box.run('usermod', '-d', str(path), 'alice')
    try:
        yield
    finally:
        box.sessctl('terminate', 'alice')
        gone()
        box.run('usermod', '-d', str(was), 'alice')


@contextlib.contextmanager
def automounted(directory):
    """An autofs whose daemon is this one: a name that is asked for becomes a tmpfs."""
    packet, end = struct.Struct('=iiIIQIIIII256s'), os.pipe()
    directory.mkdir()
    asked = []
    # the daemon's process group is the one that the kernel does not hold up
    os.setpgid(0, 0)
    box.run('mount', '-t', 'autofs', 'sessbox-auto', str(directory), '-o',
            f'fd={end[1]},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect', pass_fds=[end[1]])
    os.close(end[1])
    control = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def serve():
        while True:
            data = os.read(end[0], 4096)
            if len(data) < packet.size:
                return
            fields = packet.unpack_from(data)
            name = fields[10][:fields[9]].decode()
            asked.append(name)
            (directory / name).mkdir()
            box.run('mount', '-t', 'tmpfs', '-o', 'uid=3001,mode=700', 'sessbox-auto-home', str(directory / name))
            fcntl.ioctl(control, AUTOFS_IOC_READY, fields[2])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        for mounted in directory.iterdir():
            box.run('umount', '-l', str(mounted), check=False)
        os.close(control)
        box.run('umount', '-l', str(directory))
        thread.join(5)
        os.close(end[0])
        directory.rmdir()


AUTOFS_IOC_READY = 0x9360


@case(9, same_by_design=True)
def a_home_on_autofs_is_mounted_by_the_login():
    directory = Path('/srv/auto')
    with automounted(directory) as asked, home_at(directory / 'ann'):
        seen = box.out_of('alice', 'pwd; touch mine; ls; stat -fc %T .; ls /srv/auto').split()
        assert asked == ['ann'], asked
        assert seen == [str(directory / 'ann'), 'mine', 'tmpfs', 'ann'], seen
        inside = box.out_of('alice', 'grep -c sessbox-auto-home /proc/self/mountinfo')
        assert int(inside) >= 1


@case(9)
def a_home_closed_to_root_is_shown():
    """What a network file system that takes root for nobody comes to: no right to pass a directory
    that is closed to others. Here it is root that lacks the capabilities to pass it all the same."""
    directory = Path('/srv/squashed')
    (directory / 'ann').mkdir(parents=True)
    for path in (directory, directory / 'ann'):
        os.chown(path, 3001, 3001)
        path.chmod(0o700)
    blocked = '-dac_override,-dac_read_search'
    box.STATE['sshd'].terminate()
    box.STATE['sshd'].wait()
    try:
        box.STATE['sshd'] = subprocess.Popen(
            ['setpriv', f'--bounding-set={blocked}', f'--inh-caps={blocked}', '/usr/sbin/sshd', '-D', '-f',
             box.DIR / 'sshd_config'], preexec_fn=None if host.IN_VM else box.into_own_group)
        host.wait_for('sshd answers', box.answers)
        with home_at(directory / 'ann'):
            seen = box.ssh('alice', 'pwd; touch mine; ls; ls -A /srv/squashed; ls -A /home')
            assert seen.out.split() == [str(directory / 'ann'), 'mine', 'ann'], seen
            assert (directory / 'ann/mine').owner() == 'alice'
    finally:
        box.STATE['sshd'].terminate()
        box.STATE['sshd'].wait()
        box.start_sshd()
        shutil.rmtree(directory)


# by path

@case(9)
def tmpfs_by_path_has_its_options():
    box.config(tenants={'TemporaryFileSystem': '/opt:size=1M,mode=0700,uid=3001,gid=3001 /srv:ro,noexec',
                        'BindReadOnlyPaths': '/etc/security:/srv/conf'})
    with box.host_file('/opt/of-the-host'), box.host_file('/srv/of-the-host'):
        seen = box.out_of('alice', 'ls -A /opt /srv; stat -c "%a %U" /opt; stat -c %a /srv').split()
        assert seen == ['/opt:', '/srv:', 'conf', '700', 'alice', '755'], seen
    full = box.ssh('alice', 'touch /opt/mine; head -c 2M /dev/zero >/opt/big')
    assert 'No space left' in full.err, full
    flags = {line.split()[4]: line.split()[5].split(',') for line in
             box.out_of('alice', 'cat /proc/self/mountinfo').splitlines()}
    assert {'ro', 'noexec', 'nosuid', 'nodev'} <= set(flags['/srv']), flags
    assert {'rw', 'nosuid', 'nodev'} <= set(flags['/opt']) and 'noexec' not in flags['/opt'], flags


@case(9)
def read_only_paths_are():
    box.config(tenants={'ReadOnlyPaths': '/home/alice /tmp -/none'})
    done = box.ssh('alice', 'touch ~/new /tmp/new; touch /var/tmp/new && echo one')
    assert done.out.split() == ['one'] and done.err.count('Read-only') == 2, done
    assert not (box.home('alice') / 'new').exists()


@case(9)
def inaccessible_paths_are_empty():
    """Through root's links too: /etc/security leads to the host's /etc."""
    box.config(tenants={'InaccessiblePaths': '/etc/security /usr/share/doc /opt -/none /proc/sys/net'})
    with box.host_file('/opt/of-the-host'):
        seen = box.ssh('alice', 'ls -A /etc/security/ /run/host/etc/security /usr/share/doc /opt /proc/sys/net; ls /etc/pam.d')
        names = [name for name in seen.out.split() if not name.endswith(':')]
        assert 'sshd' in names and not {'of-the-host', 'sessbox.conf', 'ipv4'} & set(names), seen
        assert box.ssh('alice', 'touch /opt/mine').rc != 0


@case(9)
def what_cannot_be_closed_refuses():
    """A file of the host, which a rename would bring back; what a tenant could move away; what is not
    there; a link of the tenant's. OnFailure=allow is for none of them."""
    foreign = "a directory above it is not root's alone"
    mine = box.home('alice') / 'closing'
    mine.mkdir()
    (mine / 'below').mkdir()
    os.chown(mine, 3001, 3001)
    try:
        for key in ('InaccessiblePaths', 'ReadOnlyPaths'):
            for path, reason in (('/usr/bin/id', 'it is no directory'), ('/etc/hosts', 'it is no directory'),
                                 ('/none', 'No such file'), ('/home/alice/closing', foreign),
                                 ('/home/alice/closing/below', foreign), ('/home/alice/link', foreign)):
                box.config(tenants={key: path, 'OnFailure': 'allow'})
                refused(log=f"build '{path}': {reason}")
    finally:
        shutil.rmtree(mine)


@case(9)
def processes_of_others_can_be_invisible():
    assert box.out_of('alice', 'ls -d /proc/1') == '/proc/1'
    gone()
    box.config(tenants={'ProtectProc': 'invisible'})
    seen = box.out_of('alice', 'ls -d /proc/1 2>/dev/null; ls -d /proc/$$; ps -e -o user= | sort -u').split()
    assert len(seen) == 2 and seen[1] == 'alice', seen


@case(9)
def allowed_devices_are_there():
    """The node alone: what is beside it on the host is not, and no other mount takes devices."""
    look = 'test -c /dev/fuse && exec 3<>/dev/fuse && echo open; ls /dev; grep " /dev/fuse " /proc/self/mountinfo'
    assert 'open' not in box.out_of('alice', look + '; true').split()
    gone()
    box.config(tenants={'DeviceAllow': '/dev/fuse -/dev/none'})
    fuse = Path('/dev/fuse')
    mode = fuse.stat().st_mode & 0o777
    fuse.chmod(0o600)
    try:
        assert 'open' not in box.ssh('alice', look).out.split()  # the node's own mode decides
        fuse.chmod(0o666)
        seen = box.out_of('alice', look).split()
    finally:
        fuse.chmod(mode)
    assert 'open' in seen and 'fuse' in seen and 'loop-control' not in seen and 'none' not in seen, seen
    for wrong, reason in (('/dev/none', 'No such file'), ('/dev/shm', 'is no device node'), ('/dev/log', 'is no device node')):
        gone()
        box.config(tenants={'DeviceAllow': wrong})
        refused(log=reason)


@case(9, same_by_design=True)
def check_names_what_is_wrong_with_a_tree():
    with tree() as made:
        def found():
            return [f['what'] for f in json.loads(box.sessctl('check', '--json').out)['findings'] if f['check'] == 'roots']
        assert found() == []
        (made / 'etc').chmod(0o777)
        assert len(found()) == 1 and f"'{made}/etc' is not root's alone" in found()[0], found()
        (made / 'etc').chmod(0o755)
        (made / 'tmp').rmdir()
        (made / 'tmp').symlink_to('/tmp')
        assert len(found()) == 1 and f"'{made}/tmp' is no directory" in found()[0], found()


def loops_of_ours():
    found = []
    for path in Path('/sys/block').glob('loop*/loop/backing_file'):
        with contextlib.suppress(OSError):  # it may go meanwhile
            found.append(path.read_text())
    return [file for file in found if file.startswith(str(STORE))]


@case(9)
def a_killed_helper_leaves_no_overlay_behind():
    """Whatever step of making the container it dies in: no loop device, and the next login comes in."""
    with tree(RootOverlay='persistent', RootOverlaySize='16M') as made, box.helper_is(box.FAULT_HELPER):
        (made / 'srv').chmod(0o1777)
        box.out_of('alice', 'echo mine >/srv/mine')
        steps = [line.split()[:2] for line in box.run(str(box.FAULT_HELPER), '--steps').out.splitlines()]
        for name, index in steps:
            if name != 'create':
                continue
            box.FAULT.write_text(f'kill:{name}:{index}\n')
            assert box.ssh('alice', 'echo in').rc != 0
            box.FAULT.unlink()
            assert box.out_of('alice', 'cat /srv/mine') == 'mine'
        box.sessctl('terminate', '--all')
        host.wait_for('no loop device is left', lambda: not loops_of_ours())


@case(9)
def a_half_made_overlay_is_made_again():
    with tree(RootOverlay='persistent', RootOverlaySize='16M') as made:
        (made / 'srv').chmod(0o1777)
        (STORE / 'overlay').mkdir(mode=0o700)
        (STORE / 'overlay/u3001.img.new').write_text('half')
        assert box.out_of('alice', 'echo mine >/srv/mine; cat /srv/mine') == 'mine'
        assert [p.name for p in (STORE / 'overlay').iterdir()] == ['u3001.img']
        assert (STORE / 'overlay/u3001.img').stat().st_blocks * 512 >= 16 << 20  # taken, not promised
