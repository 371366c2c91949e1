# SPDX-License-Identifier: LGPL-2.1-or-later
"""The helper of the next release meets the module that a caller loaded before the upgrade."""
import socket
import subprocess

import machine
import pytest
from machine import SUCCESS, begin, changed, child, drive
from stub import CONTAIN, MAGIC, REPLY, REQUEST, VERSION, WAIT

import host

TENANT = machine.TENANT
NEXT_HELPER = machine.HERE.parents[1] / 'build/test/next-helper'
ADDED = 100  # bytes that the next release's structs have more, see proto.h


def records():
    return [path for path in (host.RUN / 'u3001/sessions').glob('*') if path.name.isdigit()]


def test_upgrade_during_a_session():
    """Opened before it, closed after it: by the helper, at once, as ever."""
    driver = begin(TENANT, 'state=before', 'account', 'open', *child('alice', 'setuid=3001'), 'sync=upgrade',
                   'close', 'state=after')
    driver.until('upgrade')
    assert len(records()) == 1
    mark = host.log_mark()
    with machine.helper_is(NEXT_HELPER):
        driver.go_on()
        assert driver.end() == 0
        assert records() == [], 'init would notice later that the caller has ended'
    assert [driver.code('open'), driver.code('close')] == [SUCCESS, SUCCESS]
    assert driver.codes('setuid') == [0]
    assert not [line for line in host.log_since(mark) if 'version' in line]
    assert changed(driver.state('before'), driver.state('after'), ('module', 'fd/', 'ns/mnt', 'mount', 'pamenv')) == {}


def test_login_during_an_upgrade():
    """The caller has loaded the module, and then it is replaced."""
    driver = begin(TENANT, 'sync=upgrade', 'account', 'open', *child('alice', 'setuid=3001'), 'close')
    driver.until('upgrade')
    with machine.helper_is(NEXT_HELPER):
        driver.go_on()
        assert driver.end() == 0
    assert [driver.code('account'), driver.code('open'), driver.code('close')] == [SUCCESS] * 3
    assert driver.codes('setuid') == [0]


def test_container_from_before_the_upgrade():
    """It is joined, and the session from before goes on in it."""
    first = begin(TENANT, 'account', 'open', *child('alice', 'sync=inside'), 'close')
    first.until('inside')
    with machine.helper_is(NEXT_HELPER):
        second = begin(TENANT, 'account', 'open', *child('alice', 'sync=inside'), 'close')
        second.until('inside')
        assert [path.name for path in (host.RUN / 'u3001').glob('c[0-9]*')] == ['c1']
        assert len(records()) == 2
        first.go_on()
        assert first.end() == 0
        assert len(records()) == 1
        second.go_on()
        assert second.end() == 0


REQUESTS = {
    # helper, version, bytes more: is it answered, and in which version?
    'of its own version': (host.HELPER, VERSION, 0, VERSION),
    'of the next version': (host.HELPER, VERSION + 1, ADDED, None),
    'of the next version, cut': (host.HELPER, VERSION + 1, 0, None),
    'of no version': (host.HELPER, 0, 0, None),
    'a byte too short': (host.HELPER, VERSION, -1, None),
    'a byte too long': (host.HELPER, VERSION, 1, None),
    'the next release, of its own': (NEXT_HELPER, VERSION + 1, ADDED, VERSION + 1),
    'the next release, of the one before': (NEXT_HELPER, VERSION, 0, VERSION),
    'the next release, of its own, cut': (NEXT_HELPER, VERSION + 1, 0, None),
    'the next release, of the one before, long': (NEXT_HELPER, VERSION, ADDED, None),
    'the next release, of the one after': (NEXT_HELPER, VERSION + 2, ADDED, None),
}


def ask(helper, request):
    """All that a helper answers. It serves who made the socket and is its parent."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(10 * host.SLOW)
        ours.send(request)
        process = subprocess.Popen(['sh', '-c', f'exec {helper} 3<&0 0</dev/null'], stdin=theirs)
        theirs.close()
        answers = []
        while not answers or REPLY.unpack_from(answers[-1])[2] == WAIT:
            try:
                answers.append(ours.recv(4096))
            except ConnectionResetError:
                break
            if not answers[-1]:
                del answers[-1]
                break
    process.wait(10 * host.SLOW)
    return answers


@pytest.mark.parametrize('name', REQUESTS)
def test_request(name):
    helper, version, more, answered = REQUESTS[name]
    mark = host.log_mark()
    request = REQUEST.pack(MAGIC, version, 1, 0, 3001, 2000, 0, b'alice', b'/home/alice', b'/bin/bash', b'sshd',
                           b'client.example', b'')
    request = (request + b'\xff' * ADDED)[:REQUEST.size + more]
    answers = ask(helper, request)
    if answered is None:
        assert answers == []
        host.log_has(mark, f'sessbox-helper.*: a request of version {version}, |read the request')
        return
    added = ADDED if answered > VERSION else 0
    assert {(len(answer), REPLY.unpack_from(answer)[:2]) for answer in answers} == {
        (REPLY.size + added, (MAGIC, answered))}
    assert REPLY.unpack_from(answers[-1])[2] == CONTAIN
