# SPDX-License-Identifier: LGPL-2.1-or-later
"""join=fork: the next child of the caller that the C library makes is the tenant's; no other is."""
import machine
import pytest
from machine import DRIVER, SUCCESS, SYSTEM_ERR, changed, drive, stack

import host

TENANT, UID = machine.TENANT, machine.ALICE
EPERM = 1
SU = host.Path('/usr/bin/su')
OPEN = ['account', 'open']
INSIDE = ['fork', 'state=child', f'setuid={UID}', 'state=tenant', 'done']
NAMESPACES = 'mnt', 'pid', 'ipc', 'uts', 'cgroup'


@pytest.fixture(scope='module', autouse=True)
def in_place_of_su():
    machine.put_over(SU, DRIVER)
    yield
    machine.take_off(SU)


def su(*words, user=TENANT, service='su', **changes):
    lines = {'auth': None, 'open': 'open join=fork', **changes}
    return drive(user, *words, directory=stack(service, **lines), service=service, program=SU)


def test_child_is_inside():
    seen = su(*OPEN, 'state=caller', *INSIDE, 'close')
    assert [seen.code('open'), seen.code('setuid'), seen.code('close')] == [SUCCESS, 0, SUCCESS]
    caller, child = seen.state('caller'), seen.state('child')
    assert [name for name in NAMESPACES if caller['ns/' + name] == child['ns/' + name]] == []
    assert child['CapBnd'].strip('0') == '' and child['NoNewPrivs'] == '1'
    assert child['CapEff'] == child['CapPrm'] and int(child['CapPrm'], 16), 'su needs them to drop its uid'
    assert int(seen.state('tenant')['CapPrm'], 16) == 0
    assert int(child['securebits']) == 0
    assert seen.status == 0


def test_caller_is_given_back():
    seen = su('state=before', *OPEN, *INSIDE, 'close', 'state=after')
    difference = changed(seen.state('before'), seen.state('after'), ('module', 'pamenv/'))
    assert list(difference) == ['ns/mnt']


def test_no_helper_stays():
    """su waits for its child alone, login for any: none of ours may be there, in no phase."""
    seen = su('account', 'state=account', 'open', 'state=open', *INSIDE, 'close', 'state=close')
    assert [seen.state(when)['children'] for when in ('account', 'open', 'close')] == ['0', '0', '0']


def test_a_child_of_the_child_stays_inside():
    seen = su(*OPEN, 'fork', 'fork', f'setuid={UID}', 'state=below', 'done', 'done', 'close')
    assert seen.codes('setuid') == [0]
    assert seen.state('below')['NoNewPrivs'] == '1'
    assert 'exit 254' not in seen.children


def test_the_child_can_end_pam():
    """login and su do, before they start the shell: the module is unloaded there."""
    seen = su(*OPEN, 'fork', 'end', 'state=child', f'setuid={UID}', 'done', 'close')
    assert seen.code('setuid') == 0 and seen.state('child')['module'] == '0'
    assert seen.code('close') == SUCCESS


def test_close_comes_in_the_child_too():
    seen = su(*OPEN, 'fork', 'close', 'done', 'close')
    assert seen.codes('close') == [SUCCESS, SUCCESS]


def test_second_session_of_a_process():
    seen = su(*OPEN, *INSIDE[:1], f'setuid={UID}', 'done', 'close', *OPEN, 'fork', f'setuid={UID}', 'done', 'close')
    assert seen.codes('open') == [SUCCESS, SUCCESS]
    assert seen.codes('setuid') == [0, 0]
    assert seen.children == ['exit 0', 'exit 0']


def test_forks_before_and_after_are_left_alone():
    seen = su('fork', 'state=before', 'done', *OPEN, 'close', 'fork', 'state=after', 'done')
    for label in ('before', 'after'):
        assert seen.state(label)['NoNewPrivs'] == '0'


# what did not come through the hook; daemon's euid and back is atd's way

UNHOOKED = {
    'raw': ['rawfork', f'setuid={UID}', 'done'],
    'raw, groups first': ['rawfork', 'initgroups=alice', 'setgid=2000', f'setuid={UID}', 'done'],
    'raw, swapped': ['rawfork', 'swap=1', f'setuid={UID}', 'done'],
    'raw, swapped before': ['swap=1', 'rawfork', f'setuid={UID}', 'done'],
    'raw and exec': ['rawfork', 'exec', f'setuid={UID}', 'done'],
    'vfork': [f'vfork={UID}'],
    'vfork, swapped': ['swap=1', f'vfork={UID}'],
    'spawn': [f'spawn={UID}'],
    'spawn, swapped': ['swap=1', f'spawn={UID}'],
    'the caller': [f'setuid={UID}'],
}


@pytest.mark.parametrize('way', UNHOOKED)
def test_unhooked(way):
    seen = su('saved=1', *OPEN, *UNHOOKED[way], 'close')
    assert seen.code('open') == SUCCESS
    assert seen.codes('setuid') == [EPERM], (way, seen.told)


@pytest.mark.parametrize('way', UNHOOKED)
def test_unhooked_is_the_host_without_us(way):
    seen = su('saved=1', *OPEN, *UNHOOKED[way], user=machine.PLAIN)
    assert seen.codes('setuid') == [0], (way, seen.told)


@pytest.mark.parametrize('way', UNHOOKED)
def test_unhooked_after_a_failed_open(way):
    seen = su('saved=1', *OPEN, *UNHOOKED[way], open='open')
    assert seen.code('open') == SYSTEM_ERR
    assert seen.codes('setuid') == [EPERM], (way, seen.told)


def test_hooked_after_a_failed_open():
    seen = su(*OPEN, 'fork', f'setuid={UID}', 'done', open='open')
    assert seen.code('open') == SYSTEM_ERR
    assert seen.children == ['exit 254'] and seen.codes('setuid') == []


def test_euid_of_the_child():
    """atd forks as daemon, without effective capabilities; they come back when it swaps."""
    seen = su('saved=1', *OPEN, 'lower=1', 'fork', 'state=child', 'lower=0', 'state=root', f'setuid={UID}',
              'state=tenant', 'done', 'lower=0', 'close', 'state=after')
    assert seen.children == ['exit 0'] and seen.codes('setuid') == [0]
    child, root, tenant = (seen.state(when) for when in ('child', 'root', 'tenant'))
    assert child['NoNewPrivs'] == '1' and int(child['CapEff'], 16) == 0 and int(child['CapPrm'], 16)
    assert root['CapEff'] == root['CapPrm']
    assert int(tenant['CapPrm'], 16) == 0
    assert seen.state('after')['CapEff'] == seen.state('after')['CapPrm']


def test_closing_with_another_euid():
    """The caller has what a process of that euid has without us."""
    seen = su('saved=1', *OPEN, 'lower=1', 'close', 'state=low', 'lower=0', 'state=root')
    assert seen.code('close') == SUCCESS
    assert int(seen.state('low')['CapEff'], 16) == 0
    assert seen.state('root')['CapEff'] == seen.state('root')['CapPrm']


# where the line may stand

@pytest.mark.parametrize('service, arguments', [('su', 'open'), ('su', 'open join=cred'),
                                                ('su', 'open join=fork join=cred'), ('runuser', 'open join=fork'),
                                                ('login', 'open join=fork'), ('sudo', 'open join=fork'),
                                                ('vsftpd', 'open join=fork')])
def test_wrong_lines_refuse(service, arguments):
    machine.CONFIG.write_text(machine.CLASSES + 'AllowServices+=sudo vsftpd\n')
    try:
        seen = su(*OPEN, service=service, open=arguments)
        plain = su(*OPEN, service=service, open=arguments, user=machine.PLAIN)
        root = su(*OPEN, service=service, open=arguments, user='root')
    finally:
        machine.CONFIG.write_text(machine.CLASSES)
    assert seen.code('open') == SYSTEM_ERR
    assert plain.code('open') == root.code('open') == machine.IGNORE
