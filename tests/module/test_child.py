# SPDX-License-Identifier: LGPL-2.1-or-later
"""The child that comes through the hook: what it sheds and where it is, against its caller."""
import ctypes
import os
import resource
import signal

import machine
import pytest
from machine import IGNORE, SUCCESS, SYSTEM_ERR, begin, changed, child, drive, named, stack

import host

TENANT = machine.TENANT
INSIDE = [*child('alice', 'state=in', 'setgid=2000', 'setuid=3001', 'state=tenant'), 'close']
WORDS = ['account', 'open', 'state=between', *INSIDE]
LIBC = ctypes.CDLL(None, use_errno=True)
NR_IOPRIO_SET, NR_KEYCTL, PR_SET_TIMERSLACK, PR_CAP_AMBIENT = 251, 250, 29, 47
KEYCTL_JOIN_SESSION_KEYRING, IOPRIO_BE = 1, 2 << 13


@pytest.fixture(scope='module')
def seen():
    """One login that all the cases look at."""
    before = host.snapshot()
    driver = drive(TENANT, *WORDS)
    assert [driver.code('open'), driver.code('close')] == [SUCCESS, SUCCESS]
    assert driver.children == ['exit 0'], driver.told
    host.settle(before)
    return driver


def test_namespaces(seen):
    caller, inside = seen.state('between'), seen.state('in')
    for name in ('mnt', 'ipc', 'uts', 'cgroup'):
        assert caller[f'ns/{name}'] != inside[f'ns/{name}'], name
    for name in ('net', 'user', 'time'):
        assert caller[f'ns/{name}'] == inside[f'ns/{name}'], name
    assert caller['ns/pid'] != inside['ns/pid'] == caller['ns/pid_for_children']
    assert inside['ns/pid_for_children'] == inside['ns/pid']
    assert inside['cwd'] == inside['root'] == '/'


def test_cgroup(seen):
    paths = {line.split(':')[2] for line in seen.state('in')['cgroup'].split()}
    assert paths == {'/'}
    assert seen.state('between')['cgroup'] != ''


def test_identity(seen):
    """The application's, not ours: root until it sets its uid; of the groups those that a tenant keeps."""
    inside, tenant = seen.state('in'), seen.state('tenant')
    assert set(inside['Uid'].split()) == {'0'}
    assert set(tenant['Uid'].split()) == {'3001'}
    kept = {int(gid) for gid in inside['Groups'].split()}
    assert kept == {2000, 100}, 'tenants and users, and not disk'
    assert tenant['Groups'] == inside['Groups']


CAPABILITIES = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')


def test_capabilities(seen):
    """Root's to the end of the application's work, without a way to more; none of the tenant's."""
    caller, inside, tenant = (seen.state(name) for name in ('between', 'in', 'tenant'))
    assert int(caller['CapBnd'], 16) and int(caller['CapPrm'], 16)
    assert inside['CapEff'] == inside['CapPrm'] == caller['CapPrm']
    assert [int(inside[name], 16) for name in ('CapInh', 'CapBnd', 'CapAmb')] == [0, 0, 0]
    assert [int(tenant[name], 16) for name in CAPABILITIES] == [0] * 5
    assert inside['securebits'] == '0'


def test_no_new_privileges(seen):
    assert seen.state('between')['NoNewPrivs'] == '0'
    assert seen.state('in')['NoNewPrivs'] == seen.state('tenant')['NoNewPrivs'] == '1'


def test_not_dumpable(seen):
    assert seen.state('between')['dumpable'] == '1'
    assert seen.state('in')['dumpable'] == '0'


def test_descriptors(seen):
    """Nothing of ours is left, and nothing of the caller's outlives an exec."""
    inside = {key: value for key, value in seen.state('in').items() if key.startswith('fd/')}
    caller = seen.state('between')
    for key, value in inside.items():
        number = int(key[3:])
        assert number < 3 or value.startswith('cloexec '), (key, value)
        assert key in caller
    ours = [key for key, value in caller.items() if key.startswith('fd/') and key not in inside]
    assert len(ours) >= 3, caller


def test_environment(seen):
    """The process's own is the application's business."""
    def environment(state):
        return {key: value for key, value in state.items() if key.startswith('env/')}
    assert environment(seen.state('in')) == environment(seen.state('between'))


def test_signals(seen):
    caller, inside = seen.state('between'), seen.state('in')
    for key in ('SigBlk', 'SigIgn', 'SigCgt', 'Umask', 'timer'):
        assert caller[key] == inside[key], key


# what a caller may have, and what of it the child still has

def syscall(*arguments):
    result = LIBC.syscall(*arguments)
    assert result >= 0, os.strerror(ctypes.get_errno())


def ambient():
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert LIBC.capget(header, data) == 0
    data[2] |= 1 << 10  # CAP_NET_BIND_SERVICE, inheritable
    assert LIBC.capset(header, data) == 0
    assert LIBC.prctl(PR_CAP_AMBIENT, 2, 10, 0, 0) == 0


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


INHERITED = {
    # name: (how the caller gets it, key, the caller's value, the child's)
    'nice': (lambda: os.nice(-5), 'nice', '-5', '0'),
    'nice up': (lambda: os.nice(7), 'nice', '7', '7'),
    'batch': (lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)), 'policy', '3', '0'),
    'idle': (lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)), 'policy', '5', '0'),
    'fifo': (lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(3)), 'policy', '1', '0'),
    'io': (lambda: syscall(NR_IOPRIO_SET, 1, 0, IOPRIO_BE | 1), 'ioprio', str(IOPRIO_BE | 1), '0'),
    'io realtime': (lambda: syscall(NR_IOPRIO_SET, 1, 0, 1 << 13), 'ioprio', str(1 << 13), '0'),
    'oom': (lambda: write('/proc/self/oom_score_adj', '-500'), 'oom_score_adj', '-500', '0'),
    'oom up': (lambda: write('/proc/self/oom_score_adj', '300'), 'oom_score_adj', '300', '300'),
    'slack': (lambda: LIBC.prctl(PR_SET_TIMERSLACK, 1), 'timerslack', '1', '50000'),
    # 1 and not 0: the kernel asks a core_pattern's pipe even at 0
    'core': (lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)), 'core', '-1', '1'),
    'core max': (lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)), 'core_max', '-1', '1'),
    'ambient': (ambient, 'CapAmb', '0000000000000400', '0000000000000000'),
    'inheritable': (ambient, 'CapInh', '0000000000000400', '0000000000000000'),
    'umask': (lambda: os.umask(0o027), 'Umask', '0027', '0027'),
}


def settable(prepare):
    """Not everything is where tests run: a container may lack CAP_SYS_RESOURCE, a kernel realtime groups."""
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize('name', [name for name, row in INHERITED.items() if settable(row[0])])
def test_inherited(name):
    prepare, key, callers, childs = INHERITED[name]
    driver = drive(TENANT, *WORDS, prepare=prepare)
    assert driver.state('between')[key] == callers, 'the case did not set it'
    assert driver.state('in')[key] == childs
    assert driver.state('tenant')[key] == childs
    assert driver.children == ['exit 0']


def one_cpu():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def test_affinity():
    driver = drive(TENANT, 'state=before', *WORDS, prepare=one_cpu)
    every = sorted(os.sched_getaffinity(0))
    if len(every) == 1:
        every = every * 2  # the caller's one is all there is
    assert driver.state('between')['Cpus_allowed'] == format(1 << every[-1], 'x')
    assert driver.state('in')['Cpus_allowed'] == format(sum(1 << cpu for cpu in set(every)), 'x')


def named_keyring():
    """Keyrings know no namespace: one of the caller's would be the tenant's, too."""
    syscall(NR_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, b'sessbox-test')


def test_keyring():
    driver = drive(TENANT, 'account', 'open', 'state=between', *child('alice', 'setuid=3001', 'state=one'),
                   *child('alice', 'setuid=3001', 'state=two'), 'close', 'state=after', prepare=named_keyring)
    rings = [driver.state(name)['keyring'] for name in ('between', 'one', 'two')]
    if rings[0] == '-1':
        pytest.fail('this kernel has no keyrings: run the test where it has')
    assert len(set(rings)) == 3, rings
    assert driver.state('after')['keyring'] == rings[0]


# the hook itself

def test_later_children_are_inside_already():
    """The child's own forks call setcred to no effect, whoever they are."""
    inner = ['fork', 'setcred', 'state=grandchild', 'done', 'state=in']
    driver = drive(TENANT, 'account', 'open', *child('alice', *inner), 'close')
    assert driver.codes('setcred') == [SUCCESS, IGNORE]
    assert driver.children == ['exit 0', 'exit 0']
    ignored = ('NSpid', 'fd/')
    assert changed(driver.state('in'), driver.state('grandchild'), ignored) == {}


def test_setcred_twice():
    driver = drive(TENANT, 'account', 'open', *child('alice', 'setcred', 'setuid=3001'), 'close')
    assert driver.codes('setcred') == [SUCCESS, IGNORE]
    assert driver.codes('setuid') == [0]


def test_callers_own_setcred():
    """Before, between and after: it is not the child, and stays outside."""
    driver = drive(TENANT, 'account', 'setcred', 'open', 'state=one', 'setcred', 'state=two',
                   *child('alice'), 'setcred', 'close', 'setcred')
    assert driver.codes('setcred') == [IGNORE, IGNORE, SUCCESS, IGNORE, IGNORE]
    assert changed(driver.state('one'), driver.state('two')) == {}


def test_child_after_close():
    """The session is over: whoever forks now is the host's."""
    driver = drive(TENANT, 'account', 'open', 'close', *child('alice', 'state=in'), 'state=after')
    assert driver.codes('setcred') == [IGNORE]
    assert driver.state('in')['ns/pid'] == driver.state('after')['ns/pid']


def test_two_children():
    driver = drive(TENANT, 'account', 'open', *child('alice', 'state=one'), *child('alice', 'state=two'),
                   'close')
    for key in ('ns/mnt', 'ns/pid', 'ns/ipc', 'ns/uts', 'ns/cgroup'):
        assert driver.state('one')[key] == driver.state('two')[key]
    assert driver.children == ['exit 0', 'exit 0']


def test_no_way_back():
    """As the tenant nothing of root's comes back, and the tenant's exec gains nothing."""
    attempts = ['setgid=2000', 'setuid=3001', 'setuid=0', 'swap=0']
    driver = drive(TENANT, 'account', 'open', *child('alice', *attempts), 'close')
    assert driver.codes('setuid') == [0, 1]
    assert driver.all('swap') == ['1 1']


def test_second_session_is_in_the_same_container():
    directory = stack()
    first = begin(TENANT, 'account', 'open', *child('alice', 'state=in'), 'sync=now', 'close',
                  directory=directory)
    first.until('now')
    second = drive(TENANT, 'account', 'open', *child('alice', 'state=in'), 'close', directory=directory)
    other = drive('bob', 'account', 'open', *child('bob', 'state=in'), 'close', directory=directory)
    first.go_on()
    assert first.end() == 0
    for key in ('ns/mnt', 'ns/pid', 'ns/ipc', 'ns/uts', 'ns/cgroup'):
        assert first.state('in')[key] == second.state('in')[key]
        assert first.state('in')[key] != other.state('in')[key]


# a container that is gone or does not answer when the child wants in

def test_container_died_before_the_child_came():
    driver = begin(TENANT, 'account', 'open', 'sync=now', *child('alice'), 'close',
                   'fork', 'setuid=3001', 'done')
    driver.until('now')
    os.kill(named('sessbox-init')[0], signal.SIGKILL)
    machine.wait_for_end()
    driver.go_on()
    assert driver.end() == 0
    assert driver.codes('setcred') == []
    assert driver.codes('close') == [SUCCESS]
    assert driver.codes('setuid') == [0], 'close takes the leash off and points forks back at the host'
    assert driver.all('fork') == ['12'], 'the kernel makes no process in a dead pid namespace'
    assert driver.children == ['exit 0']


def test_init_stopped():
    """It does not answer: the second login is refused in time, the first can still end."""
    first = begin(TENANT, 'account', 'open', 'sync=now', 'close')
    first.until('now')
    pid = named('sessbox-init')[0]
    os.kill(pid, signal.SIGSTOP)
    second = drive(TENANT, 'open', *child('alice'))
    assert second.code('open') == SYSTEM_ERR
    assert len(second.said) == 1
    os.kill(pid, signal.SIGCONT)
    first.go_on()
    assert first.end() == 0
    assert first.code('close') == SUCCESS
