# SPDX-License-Identifier: LGPL-2.1-or-later
"""4. Every way ssh is used. What only has to keep working is the same by design; that each way ends up
inside is a case of its own."""
import contextlib
import hashlib
import os
import select
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import box
import host
from cases import case

NAMESPACE = 'readlink /proc/self/ns/pid'
PASSWORD = 'correct-horse'
# Listens on a port the kernel gives, prints it, then answers each line of one connection in capitals.
ECHO = '''
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.sendall(c.recv(100).upper())
    c.close()
'''


def outside():
    return os.readlink('/proc/self/ns/pid')


# exit codes, signals, streams

@case(4, same_by_design=True)
def exit_codes_come_back():
    with box.session('alice') as alice:
        for code in (0, 1, 2, 127, 254, 255):
            for tty in (False, True):
                assert alice(f'exit {code}', tty=tty).rc == code, (code, tty)
        assert alice('no-such-command').rc == 127
    for code in (0, 7, 255):
        assert box.ssh('alice', f'exit {code}').rc == code
        assert box.ssh('alice', f'exit {code}', tty=True).rc == code


@case(4, same_by_design=True)
def signals_come_back():
    with box.session('alice') as alice:
        for name, number in (('TERM', 15), ('KILL', 9), ('INT', 2), ('SEGV', 11)):
            assert alice(f'sh -c "kill -{name} \\$\\$"; exit $?').rc == 128 + number, name
    for tty in (False, True):
        assert box.ssh('alice', 'kill -KILL $$', tty=tty).rc == 255


@case(4, same_by_design=True)
def streams_are_clean():
    data = os.urandom(3 << 20)
    back = box.ssh('alice', 'cat; echo done >&2', stdin=data, text=False)
    assert back.rc == 0 and back.out == data and back.err == b'done\n'
    assert box.ssh('alice', 'head -c 8M /dev/zero | sha256sum').out.split()[0] == \
        hashlib.sha256(bytes(8 << 20)).hexdigest()


@case(4, same_by_design=True)
def a_terminal_is_given_only_when_asked():
    assert box.ssh('alice', 'tty').out == 'not a tty\n'
    assert box.ssh('alice', 'tty', tty=True).out.startswith('/dev/pts/')


@case(4, same_by_design=True)
def environment_is_passed():
    sent = box.ssh('alice', 'echo $SESSBOX_WORD $HOME $USER $SHELL', opts=['-o', 'SetEnv=SESSBOX_WORD=word'])
    assert sent.out == 'word /home/alice alice /bin/bash\n'


@case(4, same_by_design=True)
def a_login_shell_reads_its_stdin():
    done = box.ssh('alice', (), stdin='echo $0; pwd; exit 9\n', opts=['-T'])
    assert done.rc == 9 and done.out.endswith('-bash\n/home/alice\n') and not done.err, done


# passwords: there auth and account run in another child of sshd than with a key

def with_password(methods, with_key='no'):
    box.run('chpasswd', input=f'alice:{PASSWORD}\n')
    ask = box.DIR / 'askpass'
    box.replace(ask, f'#!/bin/sh\necho {PASSWORD}\n', 0o755)
    env = {**os.environ, 'SSH_ASKPASS': str(ask), 'SSH_ASKPASS_REQUIRE': 'force'}
    opts = ['-o', f'PreferredAuthentications={methods}', '-o', f'PubkeyAuthentication={with_key}']
    try:
        return box.ssh('alice', NAMESPACE, opts=opts, env=env)
    finally:
        box.run('usermod', '-p', '!', 'alice')


def inside_by_password(method):
    entered = with_password(method)
    assert entered.rc == 0 and entered.out.startswith('pid:'), entered
    assert entered.out.strip() != outside()


@case(4)
def password_login_is_inside():
    inside_by_password('password')


@case(4)
def keyboard_interactive_login_is_inside():
    inside_by_password('keyboard-interactive')


# files

@contextlib.contextmanager
def workplace():
    """A directory of the client's with a file of random bytes, and names for the way there and back."""
    place = box.DIR / 'work'
    box.run('rm', '-rf', str(place))
    place.mkdir()
    (place / 'sent').write_bytes(os.urandom(1 << 20))
    try:
        yield place
    finally:
        box.run('rm', '-rf', str(place), str(box.home('alice') / 'arrived'))


def options(*flags):
    words = box.argv('x')
    port = words.index('-p')
    return [*words[1:port], '-o', f'Port={words[port + 1]}', *words[port + 2:-1], *flags]


def arrives(there, back):
    """Send a file and fetch it again; it has to be alice's and the same."""
    with workplace() as place:
        for argv in (there(place / 'sent'), back(place / 'back')):
            done = box.finish(box.client(argv))
            assert done.rc == 0, (argv[0], done)
        assert (place / 'back').read_bytes() == (place / 'sent').read_bytes()
        assert (box.home('alice') / 'arrived').owner() == 'alice'


REMOTE = 'alice@127.0.0.1:arrived'


@case(4, same_by_design=True)
def scp_with_the_old_protocol():
    arrives(lambda sent: ['scp', *options('-q', '-O'), sent, REMOTE],
            lambda back: ['scp', *options('-q', '-O'), REMOTE, back])


@case(4, same_by_design=True)
def scp_with_the_new_protocol():
    arrives(lambda sent: ['scp', *options('-q', '-s'), sent, REMOTE],
            lambda back: ['scp', *options('-q', '-s'), REMOTE, back])


@case(4, same_by_design=True)
def rsync_over_ssh():
    remote_shell = ' '.join(['ssh', *options()])
    arrives(lambda sent: ['rsync', '-a', '--no-o', '--no-g', '-e', remote_shell, sent, REMOTE],
            lambda back: ['rsync', '-a', '--no-o', '--no-g', '-e', remote_shell, REMOTE, back])


def sftp(user, commands):
    return box.finish(box.client(['sftp', *options('-q', '-b', '-'), f'{user}@127.0.0.1'],
                                 stdin=subprocess.PIPE), commands)


def sftp_arrives(user):
    with workplace() as place:
        done = sftp(user, f'put {place}/sent arrived\nget arrived {place}/back\nrm arrived\n')
        assert done.rc == 0, done
        assert (place / 'back').read_bytes() == (place / 'sent').read_bytes()


def sftp_is_inside(user):
    listed = sftp(user, 'ls -1 /home\nls -1 /dev\n')
    assert listed.rc == 0, listed
    names = [line for line in listed.out.splitlines() if not line.startswith('sftp>')]
    homes = [name.split('/')[-1] for name in names if name.startswith('/home/')]
    assert homes == [user] and '/dev/fuse' not in names, names
    assert sftp(user, 'ls /etc/shadow\n').rc != 0


@case(4, same_by_design=True)
def sftp_by_the_external_server():
    sftp_arrives('alice')


@case(4, same_by_design=True)
def sftp_by_the_internal_server():
    sftp_arrives('ivan')


@case(4)
def external_sftp_is_inside():
    sftp_is_inside('alice')


@case(4)
def internal_sftp_is_inside():
    sftp_is_inside('ivan')


@case(4)
def scp_and_rsync_are_inside():
    mark = box.host_file('/tmp/sessbox-marker')
    with workplace() as place, mark, box.session('alice') as alice:
        alice('echo own >/tmp/own')
        shell = ' '.join(['ssh', *options()])
        for argv in (['scp', *options('-q', '-O')], ['scp', *options('-q', '-s')], ['rsync', '-e', shell]):
            hidden = box.finish(box.client([*argv, 'alice@127.0.0.1:/tmp/sessbox-marker', place / 'x']))
            own = box.finish(box.client([*argv, 'alice@127.0.0.1:/tmp/own', place / 'own']))
            assert hidden.rc != 0 and own.rc == 0, (argv[0], hidden, own)
            (place / 'own').unlink()


@case(4, same_by_design=True)
def git_over_ssh():
    with workplace() as place, box.session('alice') as alice:
        alice('git init -q --bare repo.git')
        env = {**os.environ, 'GIT_SSH_COMMAND': ' '.join(['ssh', *options()]), 'GIT_CONFIG_GLOBAL': '/dev/null'}
        ident = ['-c', 'user.name=tester', '-c', 'user.email=tester@localhost']
        work, copy, url = place / 'tree', place / 'copy', 'alice@127.0.0.1:repo.git'
        for argv in (['init', '-q', '-b', 'main', work],
                     ['-C', work, *ident, 'commit', '-q', '--allow-empty', '-m', 'first'],
                     ['-C', work, 'push', '-q', url, 'main'],
                     ['clone', '-q', '-b', 'main', url, copy]):
            done = box.finish(box.client(['git', *map(str, argv)], env=env))
            assert done.rc == 0, (argv, done)
        heads = {box.run('git', '-C', str(tree), 'rev-parse', 'HEAD').out for tree in (work, copy)}
        assert len(heads) == 1
        alice('rm -rf repo.git')


# forwardings

def echoes(connection):
    with connection:
        connection.settimeout(10 * host.SLOW)
        connection.sendall(b'hello\n')
        return connection.recv(100) == b'HELLO\n'


def connected(port):
    def look():
        with contextlib.suppress(ConnectionError, socket.timeout):
            return echoes(socket.create_connection(('127.0.0.1', port)))
        return False
    host.wait_for(f'an echo on port {port}', look)


@contextlib.contextmanager
def echo_server_inside(user='alice'):
    """A server the tenant runs; yields its port."""
    served = box.client(box.argv(user, f"python3 -c '{ECHO}'", tty=False), stdin=subprocess.PIPE)
    line = box.line(served)
    assert line.strip().isdigit(), (line, box.finish(served))
    try:
        yield int(line)
    finally:
        box.ssh(user, 'pkill -u $(id -u) python3')
        box.finish(served)


def echo_once(listener):
    with contextlib.suppress(OSError):  # nobody came
        connection, _ = listener.accept()
        with connection:
            connection.sendall(connection.recv(100).upper())


@contextlib.contextmanager
def echo_server_outside():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        threading.Thread(target=echo_once, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def forwarding(*flags):
    return box.client(box.argv('alice', opts=['-N', '-o', 'ExitOnForwardFailure=yes', *flags]))


@case(4, same_by_design=True)
def local_forwarding():
    port = box.free_port()
    with echo_server_inside() as inside:
        client = forwarding('-L', f'127.0.0.1:{port}:127.0.0.1:{inside}')
        connected(port)
        box.stop(client)


@case(4)
def local_forwarding_reaches_the_private_network():
    box.config(tenants={'PrivateNetwork': 'yes'})
    port = box.free_port()
    with echo_server_inside() as inside:
        client = forwarding('-L', f'127.0.0.1:{port}:127.0.0.1:{inside}')
        connected(port)
        with socket.socket() as direct:
            assert direct.connect_ex(('127.0.0.1', inside)) != 0, 'the port is open on the host'
        box.stop(client)


@case(4, same_by_design=True)
def remote_forwarding():
    with echo_server_outside() as there:
        client = forwarding('-R', f'127.0.0.1:0:127.0.0.1:{there}')
        port = box.line(client, 'stderr').split()[2]
        asked = box.out_of('alice', f'exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; head -n1 <&3')
        assert asked == 'HELLO', asked
        box.stop(client)


@case(4)
def remote_forwarding_listens_in_the_private_network():
    box.config(tenants={'PrivateNetwork': 'yes'})
    with echo_server_outside() as there:
        client = forwarding('-R', f'127.0.0.1:0:127.0.0.1:{there}')
        port = box.line(client, 'stderr').split()[2]
        with socket.socket() as direct:
            assert direct.connect_ex(('127.0.0.1', int(port))) != 0, 'the port is open on the host'
        asked = box.out_of('alice', f'exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; head -n1 <&3')
        assert asked == 'HELLO', asked
        box.stop(client)


@case(4, same_by_design=True)
def dynamic_forwarding():
    port = box.free_port()
    with echo_server_inside() as inside:
        client = forwarding('-D', f'127.0.0.1:{port}')

        def look():
            with contextlib.suppress(ConnectionError):
                proxy = socket.create_connection(('127.0.0.1', port))
                proxy.sendall(b'\x05\x01\x00')
                assert proxy.recv(2) == b'\x05\x00'
                proxy.sendall(b'\x05\x01\x00\x01\x7f\x00\x00\x01' + inside.to_bytes(2, 'big'))
                return proxy.recv(10)[:2] == b'\x05\x00' and echoes(proxy)
            return False

        host.wait_for('an echo through the proxy', look)
        box.stop(client)


@case(4)
def socket_forwarding_opens_sockets_inside():
    here = box.DIR / 'forwarded'
    with socket.socket(socket.AF_UNIX) as secret:
        secret.bind('/tmp/sessbox-secret')
        os.chmod('/tmp/sessbox-secret', 0o666)
        secret.listen()
        client = forwarding('-L', f'{here}:/tmp/sessbox-secret')
        host.wait_for('the forwarded socket', here.exists)
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(here))
                ready, _, _ = select.select([asking, secret], [], [], 10 * host.SLOW)
                assert ready == [asking] and asking.recv(1) == b'', 'a socket of the host is reached'
        finally:
            box.stop(client)
            here.unlink(missing_ok=True)
            Path('/tmp/sessbox-secret').unlink()


@case(4, same_by_design=True)
def agent_forwarding():
    started = box.run('ssh-agent', '-s').out.split(';')
    env = {**os.environ, 'SSH_AUTH_SOCK': started[0].split('=')[1]}
    try:
        box.run('ssh-add', '-q', str(box.DIR / 'key'), env=env)
        listed = box.ssh('alice', 'ssh-add -l; ls -ld $SSH_AUTH_SOCK', opts=['-A'], env=env)
        assert '(ED25519)' in listed.out and ' alice ' in listed.out, listed
    finally:
        os.kill(int(started[2].split('=')[1]), 15)


# -N, many channels, many logins

@case(4)
def a_login_that_asks_for_nothing_is_a_session_inside():
    before = host.snapshot()
    client = box.client(box.argv('alice', opts=['-N']))
    host.wait_for('the session', lambda: box.sessions('alice'), 4)
    pids = host.wait_for('its process', lambda: host.of_user('alice'))
    assert all(host.namespace(pid, 'pid') != outside() for pid in pids)
    client.terminate()
    box.finish(client)
    host.settle(before)


@case(4, same_by_design=True)
def ten_channels_of_one_connection():
    with box.session('alice') as alice:
        with ThreadPoolExecutor(10) as pool:
            done = list(pool.map(lambda n: alice(f'echo {n}; exit {n}', tty=n % 2 == 1), range(10)))
    assert [d.rc for d in done] == list(range(10))
    assert [d.out.strip() for d in done] == [str(n) for n in range(10)]


@case(4)
def ten_channels_are_one_session():
    with box.session('alice') as alice, ThreadPoolExecutor(10) as pool:
        spaces = {d.out for d in pool.map(lambda n: alice(NAMESPACE), range(10))}
        assert len(spaces) == 1 and spaces != {outside() + '\n'}, spaces
        assert len(box.sessions('alice')) == 1


def at_once(users):
    """Log them all in, look at them while all are in, let them all go; namespace by login."""
    before = host.snapshot()
    assert box.out_of(users[0], NAMESPACE) != outside()
    host.settle(before)
    clients = [box.client(box.argv(user, f'{NAMESPACE}; exec cat'), stdin=subprocess.PIPE) for user in users]
    spaces = [box.line(client).strip() for client in clients]
    assert all(s.startswith('pid:') for s in spaces), [(s, box.finish(c)) for s, c in zip(spaces, clients)
                                                       if not s.startswith('pid:')]
    listed = [s['user'] for s in box.sessions() if s['user'] in users]
    assert [box.leave(client, 60) for client in clients] == [0] * len(users)
    host.settle(before, 60)
    assert sorted(listed) == sorted(users)
    return spaces


@case(4)
def forty_logins_of_one_user():
    spaces = set(at_once(['alice'] * 40))
    assert len(spaces) == 1 and outside() not in spaces


@case(4)
def forty_logins_of_twenty_users():
    spaces = at_once(box.CROWD * 2)
    assert len(set(spaces)) == 20 and outside() not in spaces
    assert spaces[:20] == spaces[20:]
