# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the helper is asked, and what it is born with; and a close without one."""
import os
import signal

import machine
import pytest
from machine import SUCCESS, begin, changed, child, drive, stack
from stub import IGNORED, MAGIC, REQUEST, VERSION, answering, place, reply, says

import host

TENANT = machine.TENANT

def text(field):
    return field.split(b'\0')[0].decode()


def test_request():
    log = machine.DIR / 'requests'
    directory = stack(account='conf=/some/where', open='open join=cred conf=/some/where')
    with place(answering(says(reply(IGNORED)), log=log)):
        drive(TENANT, 'account', 'open', directory=directory)
    data = log.read_bytes()
    assert len(data) == 2 * REQUEST.size
    for op, at in ((1, 0), (2, REQUEST.size)):
        *numbers, flags = REQUEST.unpack_from(data, at)[:7]
        texts = REQUEST.unpack_from(data, at)[7:]
        assert (numbers, flags) == ([MAGIC, VERSION, op, 0, 3001, 2000], 0)
        assert [text(field) for field in texts] == [
            'alice', '/home/alice', '/bin/bash', 'sshd', 'client.example', '/some/where']


ASKED = {
    # who, and what: how often the helper is asked
    'plain': (machine.PLAIN, ['account', 'setcred', 'open', *child('carol'), 'close'], [1, 2]),
    'root': ('root', ['account', 'setcred', 'open', *child('root'), 'close'], []),
    'plain, no account': (machine.PLAIN, ['open', *child('carol'), 'close'], [2]),
}


@pytest.mark.parametrize('name', ASKED)
def test_how_often(name):
    """No more often than needed: each is a process of the login."""
    user, words, operations = ASKED[name]
    log = machine.DIR / f'asked{next(machine.NUMBER)}'
    log.touch()
    with place(answering(says(reply(IGNORED)), log=log)):
        drive(user, *words)
    data = log.read_bytes()
    assert [REQUEST.unpack_from(data, at)[2] for at in range(0, len(data), REQUEST.size)] == operations


LOOKING = '''#!/usr/bin/python3 -I
import os
with open({log!r}, 'w') as log:
    print(sorted(os.environ.items()), file=log)
    print(os.getcwd(), file=log)
    for fd in sorted(map(int, os.listdir('/proc/self/fd'))):
        try:
            print(fd, os.readlink('/proc/self/fd/%d' % fd), file=log)
        except OSError:
            pass
    for line in open('/proc/self/status'):
        if line.startswith(('Sig', 'CapEff', 'PPid')):
            print(line.rstrip(), file=log)
    print(os.readlink('/proc/self/ns/mnt') == os.readlink('/proc/1/ns/mnt'), file=log)
    print(os.readlink('/proc/self/ns/pid') == os.readlink('/proc/1/ns/pid'), file=log)
'''


def odd_caller():
    os.chdir('/var/tmp')
    os.environ['LD_DEBUG'] = 'all'
    for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})
    os.open('/etc', os.O_RDONLY)
    os.set_inheritable(os.open('/etc/passwd', os.O_RDONLY), True)


HELD = sum(1 << (number - 1) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT))


@pytest.mark.parametrize('word', ['account', 'close'])
def test_helpers_surroundings(word):
    """Nothing of the caller's but its socket; at close, too, where the caller has a tree of its own."""
    log = machine.DIR / f'surroundings-{word}'
    driver = begin(TENANT, *([] if word == 'account' else ['open']), 'sync=now', word, prepare=odd_caller)
    driver.until('now')
    with place(LOOKING.format(log=str(log))):
        driver.go_on()
        driver.end()
    environment, cwd, *rest = log.read_text().splitlines()
    assert environment == "[('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')]" or 'LC_CTYPE' in environment
    assert 'LD_DEBUG' not in environment and 'SESSBOX_TEST' not in environment
    assert cwd == '/'
    descriptors = [line for line in rest if line[0].isdigit()]
    assert descriptors[:3] == ['0 /dev/null', '1 /dev/null', '2 /dev/null']
    assert descriptors[3].startswith('3 socket:')
    own = ('surroundings', str(machine.HELPER))  # the stand-in's log and its script
    assert not [line for line in descriptors[4:] if not any(name in line for name in own)]
    status = dict(line.split(':\t', 1) for line in rest if ':\t' in line)
    assert int(status['SigBlk'], 16) == HELD
    assert int(status['SigCgt'], 16) & ~(1 << (signal.SIGINT - 1)) == 0
    assert int(status['SigIgn'], 16) & (1 << (signal.SIGUSR1 - 1) | 1 << (signal.SIGALRM - 1)) == 0
    assert int(status['PPid']) == driver.pid
    assert int(status['CapEff'], 16) & 1 << 7, 'the leash is off before the helper is born'
    assert rest[-2:] == ['True', 'True'], 'the mount and pid namespaces of the host'
    if word == 'close':
        machine.wait_for_end()
        drive(TENANT, 'open', 'close')


def test_helper_gone_at_close():
    """The caller gets its state back all the same; init, the next login or gc do the rest."""
    mark = host.log_mark()
    driver = begin(TENANT, 'state=before', 'open', *child('alice'), 'sync=now', 'close', 'state=after',
                   'fork', 'setuid=3001', 'done')
    driver.until('now')
    with machine.helper_is(None):
        driver.go_on()
        assert driver.end() == 0
    assert driver.code('close') == SUCCESS
    assert driver.codes('setuid') == [0]
    assert driver.said == []
    difference = changed(driver.state('before'), driver.state('after'), ('module', 'fd/', 'pamenv/'))
    assert list(difference) == ['ns/mnt']
    host.log_has(mark, 'pam_sessbox.*close')
    machine.wait_for_end()
    drive(TENANT, 'open', 'close')
