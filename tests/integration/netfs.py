# SPDX-License-Identifier: LGPL-2.1-or-later
"""23. Homes on a real NFS server that takes root for nobody, and those that a real automounter mounts. Only in the
virtual machine whose disk has both (flavour network)."""
import contextlib
import time
from pathlib import Path

import box
import host
from cases import case
from roots import home_at

SERVED = Path('/srv/nfs')
MOUNTED = Path('/nfs')
AUTO = Path('/auto')
IDLE = 4  # seconds after which the automounter unmounts what nobody uses


def kind(path):
    """The file system that is mounted right there, '' for none."""
    for line in Path('/proc/self/mounts').read_text().splitlines():
        _, where, what, *_ = line.split()
        if where == str(path):
            return what
    return ''


def export():
    box.run('exportfs', '-o', 'rw,root_squash,no_subtree_check,sync', f'127.0.0.1:{SERVED}')


@contextlib.contextmanager
def served():
    """A server on the loopback device with two homes that are closed to all but their owners."""
    for user in ('alice', 'bob'):
        home = SERVED / user
        home.mkdir(parents=True, exist_ok=True)
        box.run('chown', f'{user}:{user}', str(home))
        home.chmod(0o700)
    box.run('systemctl', 'start', 'proc-fs-nfsd.mount')
    for name in ('nfsv4leasetime', 'nfsv4gracetime'):
        with contextlib.suppress(OSError):  # while it runs they stay
            Path('/proc/fs/nfsd', name).write_text('10')
    box.run('systemctl', 'start', 'nfs-server')
    export()
    try:
        yield
    finally:
        box.run('exportfs', '-ua')
        box.run('systemctl', 'stop', 'nfs-server')
        box.run('systemctl', 'stop', 'proc-fs-nfsd.mount')


@contextlib.contextmanager
def mounted():
    MOUNTED.mkdir(exist_ok=True)
    with served():
        box.run('mount', '-t', 'nfs4', f'127.0.0.1:{SERVED}', str(MOUNTED))
        try:
            assert box.run('ls', str(MOUNTED / 'alice'), check=False).rc == 2, 'root is squashed'
            with home_at(MOUNTED / 'alice'):
                yield MOUNTED / 'alice'
        finally:
            box.run('umount', '-l', str(MOUNTED))


@case(23)
def a_home_on_nfs_with_root_squash():
    with mounted() as home:
        for tty in (False, True):
            seen = box.out_of('alice', 'pwd; stat -fc %T .; echo kept >note; stat -c %U:%a . note; ls /nfs',
                              tty=tty).split()
            assert seen == [str(home), 'nfs', 'alice:700', 'alice:644', 'alice'], seen
        assert (SERVED / 'alice/note').read_text() == 'kept\n' and (SERVED / 'alice/note').owner() == 'alice'
        assert box.out_of('alice', 'cd /nfs/bob 2>/dev/null || echo none') == 'none'
        with box.session('alice') as one, box.session('alice') as other:
            one('echo shared >note')
            assert other('cat note').out == 'shared\n'


@contextlib.contextmanager
def automounted():
    with served(), \
            box.host_file('/etc/auto.master.d/sessbox.autofs', f'{AUTO} /etc/auto.sessbox --timeout={IDLE} nobind\n'), \
            box.host_file('/etc/auto.sessbox', f'* -fstype=nfs4 127.0.0.1:{SERVED}/&\n'):
        box.run('systemctl', 'start', 'autofs')
        try:
            with home_at(AUTO / 'alice'):
                yield AUTO / 'alice'
        finally:
            box.run('systemctl', 'stop', 'autofs')


@case(23)
def an_automounter_mounts_the_home_and_may_unmount_it():
    """What the tenant has is a mount of its own: the automounter's may go while he is in, and comes back
    with the next login."""
    with automounted() as home:
        assert not kind(home)
        with box.session('alice') as alice:
            seen = alice('pwd; stat -fc %T .; echo kept >note; ls /auto').out.split()
            assert seen == [str(home), 'nfs', 'alice'], seen
            host.wait_for('the automounter has unmounted it', lambda: not kind(home), 10 * IDLE)
            assert alice('cat note; echo more >>note; ls /auto').out == 'kept\nalice\n'
            assert box.out_of('alice', 'cat note') == 'kept\nmore'
        host.wait_for('alice is out', lambda: not box.containers('alice'))
        host.wait_for('nobody uses it', lambda: not kind(home), 10 * IDLE)
        assert box.out_of('alice', 'cat note; stat -fc %T .') == 'kept\nmore\nnfs'


@case(23)
def a_server_that_does_not_answer_hangs_no_login_of_others_and_none_for_ever():
    """He himself is refused in time; Debian's pam_env would wait for his ~/.pam_environment before us, and sshd
    for the way to his keys."""
    stack = box.STATE['stack']
    box.STATE['stack'] = stack.replace('user_readenv=1', '')
    box.stack()
    try:
        with mounted() as home, box.sshd_says('StrictModes no\n'):
            assert box.out_of('alice', 'pwd') == str(home)
            host.wait_for('alice is out', lambda: not box.containers('alice'))
            with server_is_stopped():
                nobody_waits_for_him()
            host.wait_for('the server answers again', lambda: box.ssh('alice', 'pwd').out == f'{home}\n', 60)
    finally:
        box.STATE['stack'] = stack
        box.stack()


@contextlib.contextmanager
def server_is_stopped():
    Path('/proc/sys/vm/drop_caches').write_text('3')
    box.run('systemctl', 'stop', 'nfs-server')
    try:
        yield
    finally:
        box.run('systemctl', 'start', 'nfs-server')
        export()


def nobody_waits_for_him():
    start, mark = time.monotonic(), host.log_mark()
    gone = box.client(box.argv('alice', 'echo in'))
    assert box.out_of('bob', 'echo in') == 'in' and box.out_of('root', 'echo in') == 'in'
    assert box.out_of('bob', 'cd /nfs/alice 2>/dev/null || echo none') == 'none'
    done = box.finish(gone, timeout=30)
    assert done.rc != 0 and 'in\n' not in done.out, done
    assert time.monotonic() - start < 15 * host.SLOW
    host.log_has(mark, "'alice' refused: the helper hung")
