# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs for the helper's place that say what a test wants them to say."""
import struct

import machine
from machine import SUCCESS, SYSTEM_ERR, changed, child

MAGIC, VERSION = 0x5e55b0c5, 1
WAIT, IGNORED, CONTAIN, DENY, FAIL, UNCONTAINED = 1, 2, 3, 4, 5, 6
REPLY = struct.Struct('=8I1024s160s256s2I')
REQUEST = struct.Struct('=7I256s1024s256s64s256s256s')
NEWNS = 0x20000

ANSWERING = '''#!/usr/bin/python3 -I
import array, os, signal, socket, struct, time
sock = socket.socket(fileno=3)
request = sock.recv(4096)
with open({log!r}, 'ab') as log:
    log.write(request)
def answer(data, fds=()):
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
    sock.sendmsg([data], control)
files = [os.open('/dev/null', os.O_RDWR) for _ in range(8)]
init = os.pidfd_open(1)
{acts}
'''


def reply(verdict, magic=MAGIC, version=VERSION, flags=0, wait=0, groups=0, user=b'', log=b''):
    return REPLY.pack(magic, version, verdict, flags, 7, wait, NEWNS, groups, b'', user, log, 0, 0)


def answering(*acts, log='/dev/null'):
    return ANSWERING.format(log=str(log), acts='\n'.join(acts))


def says(data, fds='[]'):
    return f'answer({data!r}, {fds})'


def place(stub):
    return machine.helper_does(*(stub if isinstance(stub, tuple) else (stub,)))


# how it ends for a tenant whose open was refused

SENTENCE = 'Your session cannot be set up right now. Please tell the administrator.'
LEASHED = [*child('alice'), 'fork', 'setuid=3001', 'done']
LEASHED += ['close', *LEASHED]


def refuse(words, seen):
    """No session, in time, with a sentence; and the tenant gets nowhere, before close and after it."""
    for word in words:
        assert seen.code(word) == SYSTEM_ERR, (word, seen.told)
    assert seen.said == [SENTENCE] * len(words)
    assert seen.children == ['exit 0'] * 4
    assert seen.codes('setcred') == [SUCCESS] * 2, 'sealed off, see test_seal.py'
    assert seen.codes('setuid') == [1, 1]
    difference = changed(seen.state('before'), seen.state('after'), ('module',))
    new = [after for key, (before, after) in difference.items() if key.startswith('fd/')]
    assert [what.split(':')[0] for what in new] in ([], ['cloexec socket']), 'the C library\'s to the log'
    assert sorted(key for key in difference if not key.startswith('fd/')) == ['CapEff', 'securebits']
