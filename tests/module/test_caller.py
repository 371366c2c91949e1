# SPDX-License-Identifier: LGPL-2.1-or-later
"""The caller is somebody else's process: what it looks like before, between and after."""
import os
import resource
import signal
import socket

import machine
import pytest
from machine import SUCCESS, begin, changed, child, drive, named

import host

TENANT = machine.TENANT
ROUND = ['state=before', 'account', 'setcred', 'open', 'state=between', 'close', 'state=after']
LOADED = ('module',)
CAP_SETUID = 1 << 7
NO_SETUID_FIXUP, NOROOT = 1 << 2, 1 << 0


# how a caller may look when it calls

def block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGALRM})


def ignore_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def ignore_everything():
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)


def no_stdio():
    os.closerange(0, 3)


def odd_habits():
    os.umask(0o777)
    os.chdir('/var/tmp')
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 8192))
    signal.setitimer(signal.ITIMER_REAL, 1000)


def in_a_root_of_its_own():
    os.chroot('/')
    os.chdir('/usr')


def of_another_session():
    os.setsid()


def lower(limit, value):
    resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


# pam_limits sets a tenant's limits in the caller, before we are asked

def few_descriptors():
    lower(resource.RLIMIT_NOFILE, 64)


def small_files():
    lower(resource.RLIMIT_FSIZE, 200)


def few_processes():
    lower(resource.RLIMIT_NPROC, 1)


CALLERS = {'plain': None, 'blocked': block_signals, 'ignored-children': ignore_children,
           'ignored-all': ignore_everything, 'no-stdio': no_stdio, 'habits': odd_habits,
           'root': in_a_root_of_its_own, 'session': of_another_session, 'descriptors': few_descriptors,
           'files': small_files, 'processes': few_processes}


@pytest.mark.parametrize('user', ['root', machine.PLAIN])
@pytest.mark.parametrize('caller', CALLERS)
def test_not_a_tenants_caller_is_untouched(caller, user):
    seen = drive(user, *ROUND, prepare=CALLERS[caller])
    before = seen.state('before')
    assert changed(before, seen.state('between'), LOADED) == {}
    assert changed(before, seen.state('after'), LOADED) == {}
    assert seen.status == 0


@pytest.mark.parametrize('caller', CALLERS)
def test_tenants_caller_is_given_back(caller):
    """All but its private mount namespace, which it keeps to its end."""
    seen = drive(TENANT, *ROUND, prepare=CALLERS[caller])
    assert [seen.code('open'), seen.code('close')] == [SUCCESS, SUCCESS]
    difference = changed(seen.state('before'), seen.state('after'), (*LOADED, 'pamenv/'))
    assert list(difference) == ['ns/mnt']
    assert seen.status == 0


def test_between():
    """What a session costs its caller while it is open, all of it."""
    seen = drive(TENANT, *ROUND)
    before, between = seen.state('before'), seen.state('between')
    difference = changed(before, between, (*LOADED, 'fd/', 'pamenv/'))
    assert sorted(difference) == ['CapEff', 'ns/mnt', 'ns/pid_for_children', 'securebits']
    assert int(before['CapEff'], 16) & ~int(between['CapEff'], 16) == CAP_SETUID
    assert int(between['securebits']) == int(before['securebits']) | NO_SETUID_FIXUP | NOROOT
    new = {key: value for key, value in between.items() if key.startswith('fd/') and key not in before}
    assert new and all(value.startswith('cloexec ') for value in new.values()), new
    assert not [value for value in new.values() if value.endswith(('/proc', '/'))], 'directories'


PLACES = ('/', '/usr', '/dev/pts', '/run/utmp')


def seen_by(pid):
    """What a process has at the places, and whether some mount of its tree is shared with another."""
    seen = {place: (stat.st_dev, stat.st_ino) for place in PLACES
            for stat in [os.stat(f'/proc/{pid}/root{place}')]}
    mounts = (host.Path('/proc') / str(pid) / 'mountinfo').read_text()
    return seen, ' shared:' in mounts


def test_private_tree():
    """The host's, with the container's terminals and a utmp of its own; to the caller's end."""
    driver = begin(TENANT, 'account', 'sync=before', 'open', 'sync=between', 'close', 'sync=after')
    seen = {}
    for name in ('before', 'between', 'after'):
        seen[name] = seen_by(driver.until(name))
        driver.go_on()
    assert driver.end() == 0
    before, between = seen['before'][0], seen['between'][0]
    assert [place for place in PLACES if before[place] != between[place]] == ['/dev/pts', '/run/utmp']
    assert seen['after'][0]['/dev/pts'] == between['/dev/pts']
    assert seen['after'][0]['/run/utmp'] == between['/run/utmp']
    assert not seen['between'][1]


@pytest.fixture
def more_sources():
    """Sources that are libraries of their own, behind the files where everybody is found."""
    path = host.Path('/etc/nsswitch.conf')
    text = path.read_text()
    path.write_text('passwd: files compat\ngroup: files hesiod\nshadow: files\n')
    yield
    path.write_text(text)


@pytest.mark.parametrize('words', [['account', 'open'], ['open']])
def test_sources_of_names_are_loaded(words, more_sources):
    """On the host: no child may load one from the tenant's tree."""
    driver = begin(TENANT, *words, 'sync=now', *child('alice'), 'close')
    pid = driver.until('now')
    maps = (host.Path('/proc') / str(pid) / 'maps').read_text()
    driver.go_on()
    assert driver.end() == 0
    assert driver.code('open') == SUCCESS
    assert 'libnss_compat' in maps and 'libnss_hesiod' in maps


def test_environment():
    """PAM's, never the process's own."""
    seen = drive(TENANT, *ROUND)
    own = {key: value for key, value in seen.state('before').items() if key.startswith('env/')}
    assert 'SESSBOX_TEST=kept' in own.values()
    between = seen.state('between')
    assert [v for k, v in between.items() if k.startswith('pamenv/')] == ['XDG_RUNTIME_DIR=/run/user/3001']
    assert not changed(seen.state('before'), between, tuple(k for k in between if not k.startswith('env/')))


def test_child_handler_of_the_caller():
    """It hears of its own children and of none of ours."""
    number = signal.SIGCHLD
    word = f'caught={number:d}'
    seen = drive(TENANT, f'handle={number:d}', *ROUND, word, *child('alice'), word)
    before, _, after = (seen.state(name) for name in ('before', 'between', 'after'))
    assert before['SigCgt'] == after['SigCgt'] != '0000000000000000'
    assert seen.all('caught') == [f'{number:d} 0', f'{number:d} 1']
    assert seen.children == ['exit 0']


def test_ignored_children_of_the_caller():
    """Whose children the kernel reaps: the helper's end is waited for all the same."""
    seen = drive(TENANT, 'account', 'open', 'state=between', *child('alice', 'setuid=3001'), 'close',
                 'state=after', prepare=ignore_children)
    assert [seen.code('open'), seen.code('close')] == [SUCCESS, SUCCESS]
    assert seen.codes('setuid') == [0]
    assert seen.state('between')['children'] == '0'
    assert seen.state('after')['children'] == '0'


# a signal while the module works

SLOW_HELPER = '''#!/usr/bin/python3 -I
import os, time
if os.path.exists('{slow}'):
    os.rename('{slow}', '{slow}-seen')
    time.sleep(0.5)
os.execv('{real}', ['sessbox-helper'])
'''


@pytest.fixture
def slow_helper():
    """A file: when it is there, the next helper takes its time, and takes the file away at its start."""
    slow = machine.DIR / f'slow{next(machine.NUMBER)}'
    with machine.helper_does(SLOW_HELPER.format(slow=slow, real=machine.REAL_HELPER)):
        yield slow


def go_slowly(driver, slow):
    """Into the driver's next call, until its helper is at work."""
    driver.until('go')
    slow.touch()
    driver.go_on()
    host.wait_for('the helper starts', lambda: not slow.exists())


HELD = [('account', signal.SIGTERM), ('close', signal.SIGTERM)]
HELD += [('open', number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)]


@pytest.mark.parametrize('word,number', HELD)
def test_signal_while_the_helper_works(word, number, slow_helper):
    """A whole session is TERMed, helper and all: the call completes, then the caller has its signal."""
    words = ['open', 'close'] if word == 'open' else ['account', 'open', 'close']
    at = words.index(word)
    caught = f'caught={number:d}'
    driver = begin(TENANT, f'handle={number:d}', *words[:at], caught, 'sync=go', word, caught,
                   *words[at + 1:])
    go_slowly(driver, slow_helper)
    for pid in [driver.pid, *named('sessbox-helper')]:
        os.kill(pid, number)
    assert driver.end() == 0
    assert driver.code(word) == SUCCESS
    assert driver.all('caught') == [f'{number:d} 0', f'{number:d} 1']


@pytest.mark.parametrize('word', ['open', 'close'])
def test_deadly_signal_while_the_helper_works(word, slow_helper):
    """Without a handler it kills the caller when the call is over, and not before: the records are right."""
    driver = begin(TENANT, *([] if word == 'open' else ['open']), 'sync=go', word, 'sync=alive')
    go_slowly(driver, slow_helper)
    os.kill(driver.pid, signal.SIGTERM)
    assert driver.end() == -signal.SIGTERM
    assert driver.codes(word) == []
    if word == 'open':
        machine.wait_for_end()
        drive(TENANT, 'open', 'close')


@pytest.mark.parametrize('word', ['account', 'open'])
def test_killed_while_the_helper_works(word, slow_helper):
    """The helper's parent is another process then, to which nothing may be tied; nothing_stays looks."""
    driver = begin(TENANT, 'sync=go', word)
    go_slowly(driver, slow_helper)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.end() == -signal.SIGKILL
    host.wait_for('the helper ends', lambda: not named('sessbox-helper') and not named('real-helper'))
    assert not named('sessbox-init')


# the helper of the account phase stays until the open

def test_helper_rests():
    """A child of the caller's for that time, and its socket; all else is as it was."""
    driver = begin(TENANT, 'state=before', 'account', 'state=rest', 'sync=now', 'open', 'state=open', 'close')
    driver.until('now')
    assert len(named('sessbox-helper')) == 1
    driver.go_on()
    assert driver.end() == 0
    difference = changed(driver.state('before'), driver.state('rest'), LOADED)
    new = difference.pop(next(key for key in difference if 'socket:' in str(difference[key][1])))
    assert new[1].startswith('cloexec ')
    assert difference.pop('children') == ('0', '1')
    assert [after for _, after in difference.values()] == ['cloexec anon_inode:[pidfd]']
    assert driver.state('open')['children'] == '0'


@pytest.mark.parametrize('user', ['root', machine.PLAIN])
def test_no_helper_rests_for_others(user):
    seen = drive(user, 'state=before', 'account', 'state=after')
    assert changed(seen.state('before'), seen.state('after'), LOADED) == {}


def test_no_helper_rests_in_other_programs():
    """Which may wait for any child of theirs."""
    seen = drive(TENANT, 'state=before', 'account', 'state=after', program=machine.DRIVER)
    assert seen.code('account') == SUCCESS
    assert changed(seen.state('before'), seen.state('after'), LOADED) == {}


def test_resting_helper_is_one():
    driver = begin(TENANT, 'account', 'account', 'account', 'sync=now', 'open', 'close')
    driver.until('now')
    assert len(named('sessbox-helper')) == 1
    driver.go_on()
    assert driver.end() == 0
    assert driver.codes('account') == [SUCCESS] * 3
    assert driver.code('open') == SUCCESS


@pytest.mark.parametrize('prepare', [None, ignore_children])
def test_resting_helper_dies(prepare):
    """Another one takes its place."""
    driver = begin(TENANT, 'account', 'sync=now', 'open', *child('alice'), 'close', 'state=after',
                   prepare=prepare)
    driver.until('now')
    for pid in named('sessbox-helper'):
        os.kill(pid, signal.SIGKILL)
    driver.go_on()
    assert driver.end() == 0
    assert [driver.code('open'), driver.code('close')] == [SUCCESS, SUCCESS]
    assert driver.state('after')['children'] == '0'


def test_resting_helper_is_reaped_by_the_caller():
    """Who waits for any child of his may get ours; the open goes on."""
    driver = begin(TENANT, 'account', 'sync=now', 'state=reaped', 'open', 'close', 'state=after')
    driver.until('now')
    for pid in named('sessbox-helper'):
        os.kill(pid, signal.SIGKILL)
        host.wait_for('its end', lambda pid=pid: pid not in host.processes())
    driver.go_on()
    assert driver.end() == 0
    assert [driver.code('open'), driver.code('close')] == [SUCCESS, SUCCESS]


@pytest.mark.parametrize('last', ['exit', 'vanish'])
def test_account_and_no_open(last):
    """The login was refused by somebody else; the helper does not wait for long."""
    driver = begin(TENANT, 'account', 'sync=now', *(['vanish'] if last == 'vanish' else []))
    driver.until('now')
    assert named('sessbox-helper')
    driver.go_on()
    driver.end()
    host.wait_for('the helper ends', lambda: not named('sessbox-helper'), 2)


def test_unloaded_after_account():
    """pam_end takes along what the account phase left."""
    seen = drive(TENANT, 'state=before', 'account', 'end', 'state=after')
    assert changed(seen.state('before'), seen.state('after'), LOADED) == {}


# descriptors 0-2

def test_free_stdio_is_not_ours():
    """A program that starts with 0-2 closed and opens them later must not close what we keep."""
    seen = drive(TENANT, 'account', 'open', 'state=between', 'stdio', *child('alice', 'state=in'), 'close',
                 'fork', 'setuid=3001', 'done', prepare=no_stdio)
    assert seen.code('open') == SUCCESS
    between = seen.state('between')
    assert [between[key] for key in ('fd/0', 'fd/1', 'fd/2') if key in between] == []
    assert seen.children == ['exit 0', 'exit 0']
    assert seen.code('close') == SUCCESS


def test_free_stdio_is_not_the_resting_helpers():
    seen = drive(TENANT, 'account', 'state=rest', 'stdio', 'open', *child('alice'), 'close', prepare=no_stdio)
    rest = seen.state('rest')
    assert [rest[key] for key in ('fd/0', 'fd/1', 'fd/2') if key in rest] == []
    assert [seen.code('open'), seen.code('close')] == [SUCCESS, SUCCESS]
    assert seen.children == ['exit 0']


def test_stdio_of_the_child():
    """As sshd does it: the child puts its pipes on 0-2 and then calls setcred."""
    seen = drive(TENANT, 'account', 'open', 'fork', 'stdio', 'initgroups=alice', 'setcred', 'done', 'close')
    assert seen.children == ['exit 0']


def test_directory_on_stdio():
    """A way out of the root; the child ends, and the caller says why."""
    for fd in range(3):
        def prepare(fd=fd):
            os.dup2(os.open('/var', os.O_RDONLY | os.O_DIRECTORY), fd)
        mark = host.log_mark()
        seen = drive(TENANT, 'account', 'open', *child('alice'), 'close', prepare=prepare)
        assert seen.code('open') == SUCCESS
        assert seen.children == ['exit 254'], fd
        host.log_has(mark, 'could not join: a directory')


def test_socket_on_stdio():
    """What sshd's child has there is no directory."""
    one, other = socket.socketpair()
    with one, other:
        seen = drive(TENANT, 'account', 'open', *child('alice'), 'close', stdin=other)
    assert seen.children == ['exit 0']
