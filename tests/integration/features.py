# SPDX-License-Identifier: LGPL-2.1-or-later
"""13. What sshd and the modules beside ours in its stack can do. Each case asks for the feature, and
that what it starts is inside."""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

import box
import host
from cases import case
from ways import NAMESPACE, forwarding, outside, sftp, with_password

JAIL = Path('/srv/sessbox-jail')


def inside(text):
    """The last line that names a pid namespace names one that is not the host's."""
    found = re.findall(r'pid:\[\d+\]', text)
    assert found, f'no namespace in {text!r}'
    assert found[-1] != outside(), text


def runs_inside(user):
    """All there is of him, as the host sees it."""
    pids = host.wait_for(f'a process of {user}', lambda: host.of_user(user))
    assert all(host.namespace(pid, 'pid') != outside() for pid in pids), pids


def refused(user, *command, **options):
    done = box.ssh(user, *command, **options)
    assert done.rc == 255, done
    return done


# another root inside

def copy_program(program, name, root):
    """A program and its libraries, so that it runs in a root of its own."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, root / name)
    for library in re.findall(r'(/\S+) \(0x', box.run('ldd', program).out):
        to = root / library.lstrip('/')
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, to)


@contextlib.contextmanager
def jail(path=JAIL):
    (path / 'home/alice').mkdir(parents=True)
    (path / 'marker').write_text('jail\n')
    try:
        yield path
    finally:
        shutil.rmtree(path)


def chrooted_to(path, more=''):
    return box.sshd_says(f'Match User alice\n    ChrootDirectory {path}\n{more}')


def sftp_is_in_the_jail():
    listed = sftp('alice', 'ls -1 /\n')
    assert listed.rc == 0 and '/marker' in listed.out.split(), listed
    client = box.client(box.argv('alice', 'sftp', opts=['-s']), stdin=subprocess.PIPE)
    runs_inside('alice')
    assert box.leave(client) == 0


@case(13)
def chroot_with_internal_sftp():
    with jail() as path, chrooted_to(path, '    ForceCommand internal-sftp\n'):
        sftp_is_in_the_jail()


@case(13)
def chroot_with_a_shell():
    with jail() as path:
        for program in ('/bin/bash', '/bin/ls', '/bin/cat'):
            copy_program(program, program.lstrip('/'), path)
        with chrooted_to(path):
            assert box.out_of('alice', 'cat /marker; ls /proc /etc 2>/dev/null; pwd') == 'jail\n/home/alice'
            client = box.held('alice', 'read line')
            runs_inside('alice')
            box.leave(client)


@case(13)
def chroot_to_a_directory_that_is_bound_in():
    with jail(Path('/mnt/sessbox-jail')) as path, chrooted_to(path, '    ForceCommand internal-sftp\n'):
        box.config(tenants={'BindReadOnlyPaths': str(path)})
        sftp_is_in_the_jail()


@case(13)
def chroot_to_a_directory_that_is_not_shown():
    with jail(Path('/mnt/sessbox-jail')) as path, chrooted_to(path, '    ForceCommand internal-sftp\n'):
        mark = host.log_mark()
        assert sftp('alice', 'ls /\n').rc == 255
        host.log_has(mark, 'chroot path component|No such file')


@case(13)
def chroot_into_the_own_home_is_refused_by_sshd_itself():
    with chrooted_to('/home/alice'):
        refused('alice', NAMESPACE)
    inside(box.out_of('alice', NAMESPACE))


# commands that the server chooses

@case(13)
def force_command():
    with box.sshd_says(f'Match User alice\n    ForceCommand {NAMESPACE}; echo $SSH_ORIGINAL_COMMAND\n'):
        for tty in (False, True):
            done = box.ssh('alice', 'echo mine', tty=tty)
            assert done.rc == 0 and done.out.split()[-2:] == ['echo', 'mine'], done
            inside(done.out)


@contextlib.contextmanager
def key_options(text):
    path = box.DIR / 'keys/alice'
    key = path.read_text()
    box.replace(path, f'{text} {key}')
    try:
        yield
    finally:
        box.replace(path, key)


@case(13)
def command_of_a_key():
    with key_options(f'command="{NAMESPACE}; echo $SSH_ORIGINAL_COMMAND"'):
        done = box.ssh('alice', 'echo mine')
        assert done.rc == 0 and done.out.endswith('echo mine\n'), done
        inside(done.out)


def no_terminal():
    denied = box.ssh('alice', 'true', tty=True)
    assert denied.rc == 255 and 'PTY allocation request failed' in denied.err, denied
    inside(box.out_of('alice', NAMESPACE))


@case(13)
def restricted_key():
    with key_options('restrict'):
        no_terminal()


@case(13)
def permit_tty_no():
    with box.sshd_says('PermitTTY no\n'):
        no_terminal()


@case(13)
def user_rc_runs_inside():
    rc = box.home('alice') / '.ssh/rc'
    box.out_of('alice', f'mkdir -p ~/.ssh; echo "{NAMESPACE} >~/rc-ran" >~/.ssh/rc')
    try:
        inside(box.out_of('alice', 'cat ~/rc-ran'))
    finally:
        rc.unlink()
        (box.home('alice') / 'rc-ran').unlink(missing_ok=True)


# X11

# What a client of X sends first; reads the display's port and the cookie, prints what comes back.
X11_HELLO = '''python3 -c '
import os, socket, struct, subprocess
listed = subprocess.run(["xauth", "list", os.environ["DISPLAY"]], stdout=subprocess.PIPE, text=True).stdout
port = 6000 + int(os.environ["DISPLAY"].split(":")[1].split(".")[0])
name, data = b"MIT-MAGIC-COOKIE-1", bytes.fromhex(listed.split()[-1])
s = socket.create_connection(("127.0.0.1", port))
s.sendall(struct.pack("<BxHHHHxx", 108, 11, 0, len(name), len(data)) + name + bytes(2) + data)
print(data.hex(), s.recv(100).decode())
' '''


@contextlib.contextmanager
def x_server(cookie):
    """Knows the cookie and says so; the client of ssh believes that it is display :99."""
    directory = Path('/tmp/.X11-unix')
    directory.mkdir(mode=0o1777, exist_ok=True)
    path = directory / 'X99'
    path.unlink(missing_ok=True)
    authority = box.DIR / 'xauthority'
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    said = connection.recv(1000)
                    length, = struct.unpack_from('<H', said, 6)
                    at = 12 + length + -length % 4
                    connection.sendall(b'WELCOME' if said[at:at + 16].hex() == cookie else b'WHO?')

        threading.Thread(target=serve, daemon=True).start()
        box.run('xauth', '-f', str(authority), 'add', ':99', '.', cookie)
        try:
            yield {**os.environ, 'DISPLAY': ':99', 'XAUTHORITY': str(authority)}
        finally:
            server.shutdown(socket.SHUT_RDWR)
            path.unlink()
            authority.unlink()


def x11_works():
    """The tenant gets a cookie of his own, which the client at home exchanges for the display's."""
    cookie = 'ab' * 16
    with box.sshd_says('X11Forwarding yes\n'), x_server(cookie) as env:
        done = box.ssh('alice', f'{NAMESPACE}; {X11_HELLO}', opts=['-Y'], env=env)
        assert done.out.endswith(' WELCOME\n') and cookie not in done.out, done
        inside(done.out)


@case(13)
def x11_forwarding():
    x11_works()


@case(13)
def x11_forwarding_in_a_private_network():
    box.config(tenants={'PrivateNetwork': 'yes'})
    x11_works()


# sockets

def upper_server(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(connection.recv(100).upper())

    threading.Thread(target=serve, daemon=True).start()
    return server


TALK = ('python3 -c \'import socket; s = socket.socket(socket.AF_UNIX); s.connect("{}"); '
        's.sendall(b"hello"); print(s.recv(100).decode())\'')


@case(13)
def a_socket_is_forwarded_to_the_tenant():
    here = box.DIR / 'upper'
    with contextlib.closing(upper_server(here)):
        client = forwarding('-R', f'/tmp/sessbox-there:{here}')
        try:
            asked = host.wait_for('the answer', lambda: box.ssh('alice', TALK.format('/tmp/sessbox-there')).out)
            assert asked == 'HELLO\n'
            assert not Path('/tmp/sessbox-there').exists(), 'the socket is on the host'
        finally:
            box.stop(client)
            here.unlink()
            Path('/tmp/sessbox-there').unlink(missing_ok=True)


SERVE = '''python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("/tmp/sessbox-served")
s.listen()
print("ready", flush=True)
c, _ = s.accept()
c.sendall(c.recv(100).upper())
' '''


@case(13)
def a_socket_of_the_tenant_is_forwarded_here():
    here = box.DIR / 'forwarded'
    served = box.client(box.argv('alice', SERVE), stdin=subprocess.PIPE)
    assert box.line(served) == 'ready\n', box.finish(served)
    client = forwarding('-L', f'{here}:/tmp/sessbox-served')
    try:
        host.wait_for('the forwarded socket', here.exists)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10 * host.SLOW)
            asking.connect(str(here))
            asking.sendall(b'hello')
            assert asking.recv(100) == b'HELLO'
        assert not Path('/tmp/sessbox-served').exists(), 'the socket is on the host'
    finally:
        box.stop(client)
        box.finish(served)
        here.unlink(missing_ok=True)
        Path('/tmp/sessbox-served').unlink(missing_ok=True)


@case(13)
def stream_local_bind_unlink():
    here, there = box.DIR / 'upper', '/tmp/sessbox-there'
    with contextlib.closing(upper_server(here)), box.session('alice') as alice:
        alice(f"python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"{there}\")'")
        try:
            taken = box.finish(forwarding('-R', f'{there}:{here}'))
            assert taken.rc == 255 and 'forwarding failed' in taken.err, taken
            with box.sshd_says('StreamLocalBindUnlink yes\n'):
                client = forwarding('-R', f'{there}:{here}')
                asked = host.wait_for('the answer', lambda: box.ssh('alice', TALK.format(there)).out)
                assert asked == 'HELLO\n'
                box.stop(client)
            inside(alice(NAMESPACE).out)
        finally:
            here.unlink()
            Path(there).unlink(missing_ok=True)


# ways to log in

@case(13)
def a_key_and_then_a_password():
    with box.sshd_says('AuthenticationMethods publickey,keyboard-interactive\n'):
        entered = with_password('publickey,keyboard-interactive', 'yes')
        assert entered.rc == 0, entered
        inside(entered.out)


@case(13)
def authorized_keys_command():
    script = box.DIR / 'keys-command'
    box.replace(script, f'#!/bin/sh\ncat {box.DIR}/key.pub\n', 0o755)
    lines = f'AuthorizedKeysCommand {script}\nAuthorizedKeysCommandUser nobody\n'
    with box.sshd_says(lines, without=['AuthorizedKeysFile']):
        inside(box.out_of('alice', NAMESPACE))


@case(13)
def a_certificate_that_forces_a_command():
    authority, place = box.DIR / 'authority', box.DIR / 'certified'
    box.run('rm', '-rf', str(place), str(authority), f'{authority}.pub')
    place.mkdir()
    box.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(authority))
    for name in ('key', 'key.pub'):
        shutil.copy2(box.DIR / name, place)
    box.run('ssh-keygen', '-q', '-s', str(authority), '-I', 'test', '-n', 'alice',
            '-O', f'force-command={NAMESPACE}', str(place / 'key.pub'))
    with box.sshd_says(f'TrustedUserCAKeys {authority}.pub\n', without=['AuthorizedKeysFile']):
        done = box.ssh('alice', 'echo mine', opts=['-o', f'CertificateFile={place}/key-cert.pub'])
        assert done.rc == 0 and 'mine' not in done.out, done
        inside(done.out)


# what sshd does while a tenant is in

@case(13)
def keys_are_exchanged_again():
    with box.session('alice', '-o', 'RekeyLimit=128K') as alice:
        done = alice('head -c 1M /dev/zero | od -An -v -tx1 | sort -u', stdin='')
        assert done.out == ' 00' * 16 + '\n', done
        inside(alice(NAMESPACE).out)


@case(13)
def how_he_got_in_is_told():
    with box.sshd_says('ExposeAuthInfo yes\n'):
        told = box.out_of('alice', f'cat $SSH_USER_AUTH; {NAMESPACE}')
        assert told.startswith('publickey ssh-ed25519 '), told
        inside(told)


@case(13)
def sshd_is_restarted_while_a_tenant_is_in():
    with box.session('alice') as alice:
        before = alice(NAMESPACE).out
        box.restart_sshd()
        assert alice(NAMESPACE).out == before and alice('tty', tty=True).out.startswith('/dev/pts/')
        assert box.out_of('alice', NAMESPACE) + '\n' == before, 'the second login is in another container'
        host.wait_for('one session', lambda: len(box.sessions('alice')) == 1)
    inside(before)


@case(13)
def sshd_is_upgraded_while_a_tenant_is_in():
    program = Path('/usr/sbin/sshd')
    with box.session('alice') as alice:
        before = alice(NAMESPACE).out
        shutil.copy2(program, '/usr/sbin/sshd.new')
        os.rename('/usr/sbin/sshd.new', program)
        for tty in (False, True):
            done = alice(NAMESPACE, tty=tty)
            assert done.out.strip() == before.strip(), done
        # The listening one is the old program still: with OpenSSH 9 it starts the new one for a login.
        assert box.out_of('alice', NAMESPACE) + '\n' == before
        box.restart_sshd()
        assert alice(NAMESPACE).out == before and box.out_of('alice', NAMESPACE) + '\n' == before
    inside(before)


@case(13)
def the_module_is_upgraded_while_a_tenant_is_in():
    module, = Path('/lib').glob('*/security/pam_sessbox.so')
    with box.session('alice') as alice:
        before = alice(NAMESPACE).out
        for program in (module, box.HELPER, Path('/usr/libexec/sessbox/sessbox-init')):
            fresh = program.with_name(program.name + '.new')
            shutil.copy2(program, fresh)
            os.rename(fresh, program)
        assert alice(NAMESPACE).out == before and box.out_of('alice', NAMESPACE) + '\n' == before
    inside(before)


# the modules beside ours

def expect_on_a_terminal(pattern):
    term = box.Term(box.argv('alice', tty=True), 20 * host.SLOW)
    box.CLIENTS.append(term)
    found = term.expect(pattern)
    term.send('exit\n')
    term.closed()
    return found


@case(13, same_by_design=True)
def the_message_of_the_day():
    with box.host_file('/etc/motd', 'today all is well\n'):
        expect_on_a_terminal('today all is well')


@case(13, same_by_design=True)
def the_environment_of_pam_env():
    with box.host_file('/etc/environment', 'SESSBOX_OF_PAM="a b"\n'):
        assert box.out_of('alice', 'echo "$SESSBOX_OF_PAM"') == 'a b'


@case(13, same_by_design=True)
def the_limits_of_pam_limits():
    limits = 'alice hard nofile 512\nalice hard nproc 200\nalice soft priority 5\n@tenants hard fsize 4096\n'
    with box.host_file('/etc/security/limits.d/sessbox-test.conf', limits):
        for tty in (False, True):
            assert box.out_of('alice', 'ulimit -Hn; ulimit -Hu; ulimit -f; nice', tty=tty).split() == \
                ['512', '200', '4096', '5']


@contextlib.contextmanager
def more_in_the_stack(line):
    """A line before ours in the session part of sshd's file."""
    stack = box.STATE['stack']
    box.STATE['stack'] = f'{stack.rstrip()}\n{line}\n'
    box.stack()
    try:
        yield
    finally:
        box.STATE['stack'] = stack
        box.stack()


@case(13)
def a_home_that_pam_mkhomedir_makes():
    home = box.home('t19')
    away = home.with_name('t19-away')
    home.rename(away)
    try:
        with more_in_the_stack('session required pam_mkhomedir.so umask=0077'):
            done = box.out_of('t19', f'pwd; stat -c %U:%a .; ls -a; touch here; {NAMESPACE}')
        assert done.split()[:2] == ['/home/t19', 't19:700'] and '.bashrc' in done.split(), done
        assert (home / 'here').owner() == 't19'
        inside(done)
    finally:
        shutil.rmtree(home, ignore_errors=True)
        away.rename(home)


@case(13, same_by_design=True)
def the_last_login_of_pam_lastlog():
    with more_in_the_stack('session optional pam_lastlog.so nowtmp'):
        box.out_of('alice', 'true')
        expect_on_a_terminal(r'Last login: \w+ .* from (127\.0\.0\.1|localhost)')


@case(13, same_by_design=True)
def pam_keyinit_has_nothing_to_say():
    """Its session part changes the uid for a moment, at open and at close: the leash must be off."""
    mark = host.log_mark()
    for user in ('alice', 'carol'):
        for tty in (False, True):
            assert box.ssh(user, 'true', tty=tty).rc == 0
    host.log_has(mark, 'session closed for user carol')
    said = [line for line in host.log_since(mark) if re.search(r'pam_(keyinit|unix|loginuid|limits)\b.*'
                                                              r'([Uu]nable|[Ff]ail|[Ee]rror|denied)', line)]
    assert not said, said
