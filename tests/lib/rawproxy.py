# SPDX-License-Identifier: LGPL-2.1-or-later
"""rawproxy.py WHAT [ARGUMENT...]: speaks to the broker of ProxyCommands= as no client of ours would, and
prints its last answer: "refused TEXT", "exited N", "killed N", or "nothing"."""
import array
import os
import select
import socket
import struct
import sys
import time

SOCKET = '/run/sessbox/proxy/socket'
MAGIC, VERSION, TEXT = 0x5e55b0ca, 1, 4096
KINDS = {1: 'hello', 2: 'refused', 3: 'exited', 4: 'killed'}


def connect():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(60)
    sock.connect(SOCKET)
    return sock


def answer(sock):
    """Kind, value, nonce and text of a reply; kind 0 when the broker has hung up."""
    try:
        data = sock.recv(4096)
    except ConnectionResetError:
        data = b''
    if not data:
        return 0, 0, bytes(16), ''
    _, _, kind, value, nonce, text = struct.unpack('=IIIi16s160s', data)
    return kind, value, nonce, text.split(b'\0')[0].decode()


def told(sock):
    kind, value, _, text = answer(sock)
    return ' '.join([KINDS.get(kind, 'nothing'), text or str(value)]) if kind else 'nothing'


def request(words, nonce, env=(), magic=MAGIC, version=VERSION, counts=None):
    text = b''.join(word + b'\0' for word in [*words, *env])
    n_words, n_env = counts or (len(words), len(env))
    return struct.pack('=II16sIII', magic, version, nonce, 0o22, n_words, n_env) + text.ljust(TEXT, b'\0')


def send(sock, data, fds=(0, 1, 2)):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])


def ask(words, fds=(0, 1, 2), **options):
    """One whole conversation by the rules, but for what is asked."""
    sock = connect()
    kind, _, nonce, text = answer(sock)
    if kind != 1:
        return f'{KINDS.get(kind, "nothing")} {text}'
    send(sock, request([word.encode() for word in words], options.pop('nonce', nonce), **options), fds)
    return told(sock)


def run(*words):
    return ask(words)


def more_descriptors(number, *words):
    return ask(words, fds=[0, 1, 2, *[1] * (int(number) - 3)][:int(number)])


def wrong_nonce(*words):
    return ask(words, nonce=bytes(16))


def wrong_version(*words):
    return ask(words, version=2)


def environment(pair, *words):
    return ask(words, env=[pair.encode()])


def counts(n_words, n_env, *words):
    return ask(words, counts=(int(n_words), int(n_env)))


def raw(length, *_):
    """So many bytes in place of a request."""
    sock = connect()
    answer(sock)
    send(sock, b'x' * int(length))
    return told(sock)


def by_a_child(*words):
    """Who has connected is alive, and another process asks."""
    sock = connect()
    _, _, nonce, _ = answer(sock)
    if os.fork() == 0:
        send(sock, request([word.encode() for word in words], nonce))
        os._exit(0)
    return told(sock)


def wait_for(word):
    line = b''
    while not line.endswith(b'\n'):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(1)
        line += byte
    assert line.decode() == word + '\n', line


def asker(words, sock, nonce):
    """Made when its connection's maker is gone: 'asked PID ANSWER', and stays till the end of stdin."""
    send(sock, request([word.encode() for word in words], nonce))
    print('asked', os.getpid(), told(sock), flush=True)
    os.read(0, 1)
    os._exit(0)


def heir(words, sock, nonce):
    """Has the connection, and waits for 'go' to make the process that asks."""
    wait_for('go')
    if os.fork() == 0:
        asker(words, sock, nonce)
    os.wait()
    os._exit(0)


def of_another(*words):
    """A process makes a connection ('ready PID'), and ends when it is told to ('dead'); another one asks."""
    ended, end = os.pipe()
    over, others = os.pipe()
    maker = os.fork()
    if maker == 0:
        sock = connect()
        _, _, nonce, _ = answer(sock)
        if os.fork() == 0:
            os.close(end)
            os.read(ended, 1)
            heir(words, sock, nonce)
        print('ready', os.getpid(), flush=True)
        wait_for('die')
        os._exit(0)
    os.waitpid(maker, 0)
    print('dead', flush=True)
    os.close(end)
    os.close(others)
    os.read(over, 1)


def hold(number, seconds):
    """So many connections at once: how many were greeted, and how many turned away."""
    socks = [connect() for _ in range(int(number))]
    kinds = [answer(sock)[0] for sock in socks]
    print('greeted', kinds.count(1), 'refused', kinds.count(2), flush=True)
    time.sleep(float(seconds))


def slow_socket(address, seconds):
    """Has something to send, and takes that long to close."""
    tcp = socket.create_connection(address)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, seconds))
    tcp.setblocking(False)
    try:
        while True:
            tcp.send(b'x' * 65536)
    except BlockingIOError:
        pass
    return tcp


def send_lingering(listener, seconds):
    """A connection with such a socket behind it."""
    tcp = slow_socket(listener.getsockname(), seconds)
    sock = connect()
    send(sock, b'x', [tcp.fileno()])
    os._exit(0)


def linger(number, seconds):
    """So many of these, from processes that have ended: whose descriptors are closed without waiting."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=int(number))
    for _ in range(int(number)):
        child = os.fork()
        if child == 0:
            send_lingering(listener, int(seconds))
        os.waitpid(child, 0)
    print('sent', flush=True)
    time.sleep(float(seconds))


def keep(name):
    """Takes what give() gives, and keeps it till the end of stdin."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind('\0' + name)
        listener.listen()
        print('listening', flush=True)
        fds = socket.recv_fds(listener.accept()[0], 1, 8)[1]
    print('kept', len(fds), flush=True)
    os.read(0, 1)


def begin(words):
    """A program that runs till its input ends: the connection, and the other end of its input."""
    far, near = os.pipe()
    null = os.open('/dev/null', os.O_RDWR)
    sock = connect()
    send(sock, request([word.encode() for word in words], answer(sock)[2]), [far, null, null])
    if select.select([sock], [], [], 0.5)[0]:
        sys.exit('it does not run: ' + told(sock))
    return sock, near


def give(name, *words):
    sock, near = begin(words)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect('\0' + name)
        socket.send_fds(other, [b'x'], [sock.fileno(), near])
    return 'given'


def signal_with_a_socket(port, seconds, *words):
    """To a listener that reads nothing."""
    sock, _ = begin(words)
    with slow_socket(('127.0.0.1', int(port)), int(seconds)) as tcp:
        send(sock, struct.pack('=Ii', MAGIC, 2), [tcp.detach()])
    print('sent', flush=True)
    os._exit(0)


if __name__ == '__main__':
    result = globals()[sys.argv[1]](*sys.argv[2:])
    if result is not None:
        print(result)
