# SPDX-License-Identifier: LGPL-2.1-or-later
"""9. Trees of their own, homes, and what is shown, hidden and closed by path."""
import contextlib
import os
import re
import shutil
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
    done = box.ssh(user, 'echo in')
    assert done.rc != 0 and 'in' not in done.out.split(), done
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
        done = box.ssh('alice', 'touch /srv/open/mine; echo $?; touch /tmp/mine ~/mine; echo $?')
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
