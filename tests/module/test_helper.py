# SPDX-License-Identifier: LGPL-2.1-or-later
"""The helper's place taken by something else: refused in time, leashed, and with one sentence."""
import signal
import struct
import time

import machine
import pytest
from machine import IGNORE, SUCCESS, SYSTEM_ERR, begin, changed, child, drive, stack

import host

TENANT = machine.TENANT
SENTENCE = 'Your session cannot be set up right now. Please tell the administrator.'
MAGIC, VERSION = 0x5e55b0c5, 1
WAIT, IGNORED, CONTAIN, DENY, FAIL, UNCONTAINED = 1, 2, 3, 4, 5, 6
REPLY = struct.Struct('=8I1024s160s256s')
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


def reply(verdict, magic=MAGIC, version=VERSION, flags=0, wait=0, ns_flags=NEWNS, groups=0, user=b'', log=b''):
    return REPLY.pack(magic, version, verdict, flags, 7, wait, ns_flags, groups, b'', user, log)


def answering(*acts, log='/dev/null'):
    return ANSWERING.format(log=str(log), acts='\n'.join(acts))


def says(data, fds='[]'):
    return f'answer({data!r}, {fds})'


# what may stand in the helper's place; all of it must refuse a tenant
STUBS = {
    'not executable': ('#!/bin/sh\nexit 0\n', 0o644),
    'empty': (b'', 0o755),
    'garbage': (bytes(range(256)) * 8, 0o755),
    'no interpreter': ('#!/nonexistent\n', 0o755),
    'ends at once': ('#!/bin/sh\nexit 0\n', 0o755),
    'fails at once': ('#!/bin/sh\nexit 1\n', 0o755),
    'kills itself': ('#!/bin/sh\nkill -9 $$\n', 0o755),
    'another program': ('#!/bin/sh\necho no >&3\n', 0o755),
    'half an answer': answering(says(reply(CONTAIN)[:-1])),
    'more than an answer': answering(says(reply(CONTAIN) + b'x')),
    'no verdict': answering(says(reply(0))),
    'unknown verdict': answering(says(reply(99))),
    'another magic': answering(says(reply(CONTAIN, magic=1))),
    'another version': answering(says(reply(CONTAIN, version=VERSION + 1))),
    'fails': answering(says(reply(FAIL, user=SENTENCE.encode()))),
    'waits and ends': answering(says(reply(WAIT, wait=1))),
    'waits and dies': answering(says(reply(WAIT, wait=1)), 'os.kill(os.getpid(), 9)'),
}
# refused at open alone: at the account phase nothing is looked at but the verdict
OPEN_STUBS = {
    'nothing handed over': answering(says(reply(CONTAIN))),
    'too little': answering(says(reply(CONTAIN), '[init, files[0]]')),
    'too little with records': answering(says(reply(CONTAIN, flags=3), '[init, *files[:3]]')),
    'too many groups': answering(says(reply(CONTAIN, groups=257), '[init, *files[:3]]')),
    'no mount': answering(says(reply(CONTAIN), '[init, *files[:3]]')),
    'no records': answering(says(reply(CONTAIN, flags=3), '[init, *files[:5]]')),
}


def place(stub):
    return machine.helper_does(*(stub if isinstance(stub, tuple) else (stub,)))


LEASHED = [*child('alice'), 'fork', 'setuid=3001', 'done', 'close', *child('alice'), 'fork', 'setuid=3001', 'done']


def refuse(words, seen):
    """No session, in time, with a sentence; and the tenant gets nowhere, before close and after it."""
    for word in words:
        assert seen.code(word) == SYSTEM_ERR, (word, seen.told)
    assert seen.said == [SENTENCE] * len(words)
    assert seen.children == ['exit 254', 'exit 0', 'exit 254', 'exit 0']
    assert seen.codes('setcred') == []
    assert seen.codes('setuid') == [1, 1]
    difference = changed(seen.state('before'), seen.state('after'), ('module', 'fd/'))
    assert sorted(difference) == ['CapEff', 'securebits']


@pytest.mark.parametrize('name', STUBS)
def test_no_helper(name):
    begun = time.monotonic()
    with place(STUBS[name]):
        seen = drive(TENANT, 'state=before', 'account', 'open', 'state=after', *LEASHED)
    refuse(['account', 'open'], seen)
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize('name', OPEN_STUBS)
def test_bad_answer_to_open(name):
    with place(OPEN_STUBS[name]):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', *LEASHED)
    refuse(['open'], seen)


def test_missing_helper():
    with machine.helper_is(None):
        seen = drive(TENANT, 'state=before', 'account', 'open', 'state=after', *LEASHED)
        system = drive(machine.SYSTEM, 'account', 'open')
        root = drive('root', 'account', 'open')
    refuse(['account', 'open'], seen)
    for driver in (system, root):
        assert [driver.code('account'), driver.code('open')] == [IGNORE, IGNORE]


@pytest.mark.parametrize('user', ['root', machine.SYSTEM])
@pytest.mark.parametrize('name', [name for name in STUBS if name not in ('fails', 'no verdict', 'unknown verdict')])
def test_system_accounts_enter(name, user):
    """Without an answer the uids below 1000 are let in as they are, silently for them, said in the log."""
    mark = host.log_mark()
    with place(STUBS[name]):
        seen = drive(user, 'state=before', 'account', 'open', 'state=after', *child(user), 'close')
    assert [seen.code('account'), seen.code('open')] == [IGNORE, IGNORE]
    assert seen.said == []
    assert seen.children == ['exit 0']
    assert changed(seen.state('before'), seen.state('after'), ('module', 'fd/')) == {}
    if user != 'root':
        host.log_has(mark, "'svc' enters uncontained")


def test_other_users_are_refused_too():
    """Nobody can say that carol is no tenant."""
    with place(STUBS['fails at once']):
        seen = drive(machine.PLAIN, 'account', 'open')
    assert [seen.code('account'), seen.code('open')] == [SYSTEM_ERR, SYSTEM_ERR]


def test_root_needs_no_helper():
    log = machine.DIR / 'asked'
    with place(answering(says(reply(FAIL)), log=log)):
        drive('root', 'account', 'open', 'close')
        assert not log.exists()
        drive(TENANT, 'account')
        assert log.exists()


# deadlines

HANG = 'time.sleep(60)'
HANGING = {
    'silent': (answering(HANG), 12, 14),
    'waits no time': (answering(says(reply(WAIT, wait=0)), HANG), 2, 4),
    'waits two seconds': (answering(says(reply(WAIT, wait=2)), HANG), 4, 6),
    'waits again': (answering(*[says(reply(WAIT, wait=0)), 'time.sleep(1)'] * 3, says(reply(WAIT, wait=0)), HANG), 5, 7),
    'blocks signals': (answering(says(reply(WAIT, wait=0)), 'signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))', HANG),
                       2, 4),
    'stops itself': (answering(says(reply(WAIT, wait=0)), 'os.kill(os.getpid(), signal.SIGSTOP)'), 2, 4),
}


@pytest.mark.parametrize('name', HANGING)
def test_hanging_helper(name):
    stub, least, most = HANGING[name]
    with place(stub):
        driver = begin(TENANT, 'state=before', 'sync=go', 'open', 'sync=done', 'state=after', *LEASHED)
        driver.until('go')
        begun = time.monotonic()
        driver.go_on()
        driver.until('done')
        assert least - 0.2 <= time.monotonic() - begun < most
        driver.go_on()
        assert driver.end() == 0
    refuse(['open'], driver)


LINGERING = {
    'ignores': (answering(says(reply(IGNORED)), HANG), machine.PLAIN, ['account', 'open'], IGNORE),
    'refuses': (answering(says(reply(FAIL, user=b'Sorry.')), HANG), TENANT, ['open'], SYSTEM_ERR),
    'welcomes': (answering(says(reply(CONTAIN)), HANG), TENANT, ['account', 'end'], SUCCESS),
    'stops': (answering(says(reply(IGNORED)), 'os.kill(os.getpid(), signal.SIGSTOP)'), machine.PLAIN, ['account'], IGNORE),
}


@pytest.mark.parametrize('name', LINGERING)
def test_helper_that_answers_and_stays(name):
    """Its answer counts; its end is not waited for without end."""
    stub, user, words, code = LINGERING[name]
    begun = time.monotonic()
    with place(stub):
        seen = drive(user, *words)
    assert seen.code(words[0]) == code
    assert time.monotonic() - begun < 4 * len(words)


def test_hanging_after_the_account():
    """The helper that rested: its second answer has a deadline, too."""
    again = ["request = sock.recv(65536)", says(reply(WAIT, wait=0)), HANG]
    with place(answering(says(reply(CONTAIN)), *again)):
        driver = begin(TENANT, 'account', 'sync=go', 'open', 'sync=done', 'state=after', *LEASHED)
        driver.until('go')
        begun = time.monotonic()
        driver.go_on()
        driver.until('done')
        assert 1.8 <= time.monotonic() - begun < 4
        driver.go_on()
        assert driver.end() == 0
    assert [driver.code('account'), driver.code('open')] == [SUCCESS, SYSTEM_ERR]
    assert driver.said == [SENTENCE]
    assert driver.children == ['exit 254', 'exit 0', 'exit 254', 'exit 0']
    assert driver.codes('setuid') == [1, 1]
    assert driver.state('after')['children'] == '0'


def test_patience():
    """A helper that asks for time and then answers is waited for."""
    with place(answering(says(reply(WAIT, wait=5)), 'time.sleep(3)', says(reply(IGNORED)))):
        seen = drive(TENANT, 'account')
    assert seen.code('account') == IGNORE


# verdicts

VERDICTS = {
    'ignored': (reply(IGNORED), IGNORE, []),
    'welcome': (reply(CONTAIN), SUCCESS, []),
    'denied': (reply(DENY, user=b'No.', log=b'policy says no'), 6, ['No.']),
    'failed': (reply(FAIL, user=b'Sorry.', log=b'it broke'), SYSTEM_ERR, ['Sorry.']),
    'uncontained': (reply(UNCONTAINED, log=b'it broke'), IGNORE, []),
    'full strings': (reply(DENY, user=b'u' * 160, log=b'l' * 256), 6, ['u' * 159]),
}


@pytest.mark.parametrize('name', VERDICTS)
def test_verdict(name):
    data, code, said = VERDICTS[name]
    mark = host.log_mark()
    with place(answering(says(data))):
        seen = drive(TENANT, 'account')
    assert seen.code('account') == code
    assert seen.said == said
    text = data[-256:].rstrip(b'\0').decode()[:255]
    if text:
        assert host.log_has(mark, text).endswith(text)


def test_verdicts_at_open():
    """OnFailure=allow: the login goes on, loudly; nothing is on the leash then."""
    mark = host.log_mark()
    with place(answering(says(reply(UNCONTAINED, log=b'it broke')))):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', *child('alice', 'setuid=3001'), 'close')
    assert seen.code('open') == IGNORE
    assert seen.codes('setuid') == [0]
    assert changed(seen.state('before'), seen.state('after'), ('module', 'fd/')) == {}
    host.log_has(mark, 'NOT CONTAINED .OnFailure=allow.: it broke')


def test_failure_of_our_own_steps_when_allowed():
    with place(answering(says(reply(CONTAIN, flags=4), '[init, *files[:3]]'))):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', *child('alice', 'setuid=3001'), 'close')
    assert seen.code('open') == IGNORE
    assert seen.codes('setuid') == [0]
    assert changed(seen.state('before'), seen.state('after'), ('module', 'fd/')) == {}


def test_working_directory_survives_a_failed_open():
    """Of all a failure undoes, entering a mount namespace is what changes it."""
    with place(OPEN_STUBS['no mount']):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', cwd='/var/tmp')
    assert seen.state('before')['cwd'] == '/var/tmp'
    assert seen.state('after')['cwd'] == '/var/tmp'


# at close

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
    assert list(changed(driver.state('before'), driver.state('after'), ('module', 'fd/', 'pamenv/'))) == ['ns/mnt']
    host.log_has(mark, 'pam_sessbox.*close')
    host.wait_for('the container ends', lambda: not any(n == 'sessbox-init' for _, n in host.our_processes()))
    drive(TENANT, 'open', 'close')


def test_helper_hangs_at_close():
    with place(answering(says(reply(WAIT, wait=0)), HANG)):
        with machine.helper_is(machine.DIR / 'real'):
            driver = begin(TENANT, 'open', 'sync=now', 'close', 'fork', 'setuid=3001', 'done')
            driver.until('now')
        begun = time.monotonic()
        driver.go_on()
        assert driver.end() == 0
        assert 1.5 < time.monotonic() - begun < 4
    assert driver.code('close') == SUCCESS
    assert driver.codes('setuid') == [0]
    host.wait_for('the container ends', lambda: not any(n == 'sessbox-init' for _, n in host.our_processes()))
    drive(TENANT, 'open', 'close')


@pytest.fixture(autouse=True, scope='module')
def real_helper(the_machine):
    real = machine.DIR / 'real'
    real.write_bytes(machine.HELPER.read_bytes())
    real.chmod(0o755)


# what the helper is given

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
    import os
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
    assert not [line for line in descriptors[4:] if 'surroundings' not in line and str(machine.HELPER) not in line]
    status = dict(line.split(':\t', 1) for line in rest if ':\t' in line)
    assert int(status['SigBlk'], 16) == HELD
    assert int(status['SigCgt'], 16) & ~(1 << (signal.SIGINT - 1)) == 0
    assert int(status['SigIgn'], 16) & (1 << (signal.SIGUSR1 - 1) | 1 << (signal.SIGALRM - 1)) == 0
    assert int(status['PPid']) == driver.pid
    assert int(status['CapEff'], 16) & 1 << 7, 'the leash is off before the helper is born'
    assert rest[-2:] == ['True', 'True'], 'the mount and pid namespaces of the host'
    if word == 'close':
        host.wait_for('the container ends', lambda: not any(n == 'sessbox-init' for _, n in host.our_processes()))
        drive(TENANT, 'open', 'close')
