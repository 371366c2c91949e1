# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between open and close nobody becomes the tenant but the child that came through the hook."""
import machine
import pytest
from machine import SUCCESS, SYSTEM_ERR, changed, child, drive, stack

TENANT = machine.TENANT
EPERM = 1
UID = machine.ALICE

# ways of a process that did not call setcred; what comes before open, and what after
SWAP = 'saved=1', 'swap=1'  # daemon's euid and back, as atd does around its work
WAYS = {
    'child': ([], ['fork', f'setuid={UID}', 'done']),
    'grandchild': ([], ['fork', 'fork', f'setuid={UID}', 'done', 'done']),
    'groups first': ([], ['fork', 'initgroups=alice', 'setgid=2000', f'setuid={UID}', 'done']),
    'euid swap': (SWAP[:1], ['fork', SWAP[1], f'setuid={UID}', 'done']),
    'swap in the caller': (SWAP[:1], [SWAP[1], 'fork', f'setuid={UID}', 'done']),
    'exec': ([], ['fork', 'exec', f'setuid={UID}', 'done']),
    'swap and exec': (SWAP[:1], ['fork', SWAP[1], 'exec', f'setuid={UID}', 'done']),
    'exec twice': ([], ['fork', 'exec', 'exec', f'setuid={UID}', 'done']),
    'another user': ([], ['fork', 'setuid=3100', 'done']),
    'the caller': ([], [f'setuid={UID}']),
    'the caller, swapped': (SWAP[:1], [SWAP[1], f'setuid={UID}']),
}


def refused(way, seen):
    assert seen.codes('setuid') == [EPERM], (way, seen.told)
    assert all(result == '0 0' for result in seen.all('swap')), 'the swap itself is no privilege'


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_on(way):
    before, after = WAYS[way]
    seen = drive(TENANT, *before, 'account', 'open', *after, 'close')
    assert seen.code('open') == SUCCESS
    refused(way, seen)


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_off_before_open(way):
    """What the cases above would do without us."""
    before, after = WAYS[way]
    seen = drive(TENANT, *before, 'account', *after)
    assert seen.codes('setuid') == [0], seen.told


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_off_after_close(way):
    before, after = WAYS[way]
    seen = drive(TENANT, *before, 'account', 'open', 'close', *after)
    assert seen.code('close') == SUCCESS
    assert seen.codes('setuid') == [0], seen.told


@pytest.mark.parametrize('way', WAYS)
def test_leash_stays_after_a_failed_open(way):
    """For good: neither close nor a second open takes it off."""
    before, after = WAYS[way]
    seen = drive(TENANT, *before, 'account', 'open', *after, directory=stack(open='open'))
    assert seen.code('open') == SYSTEM_ERR
    refused(way, seen)
    words = [*before, 'account', 'open', 'close', 'open', *after]
    seen = drive(TENANT, *words, directory=stack(open='open'))
    assert seen.codes('open') == [SYSTEM_ERR, SYSTEM_ERR]
    refused(way, seen)


def test_groups_can_be_set():
    """login sets them after open: that capability stays."""
    seen = drive(TENANT, 'account', 'open', 'fork', 'initgroups=alice', 'setgid=2000', 'done', 'close')
    assert seen.codes('initgroups') == [0]
    assert seen.codes('setgid') == [0]




def test_caller_without_the_capability():
    """It has nothing that the leash could take: the tenant is refused, and the caller is as it was."""
    seen = drive(TENANT, 'account', 'drop=7', 'state=before', 'open', 'state=after', *child('alice'))
    assert seen.code('open') == SYSTEM_ERR
    assert changed(seen.state('before'), seen.state('after'), ('fd/', 'children')) == {}
    assert seen.children == ['exit 254']


def test_the_caller_lowers_its_euid_to_the_tenants():
    """sshd's monitor does with GSSAPIStoreCredentialsOnRekey, and ends when it may not: then the
    session is closed as any other."""
    seen = drive(TENANT, 'account', 'open', f'swap={UID}', 'fork', f'setuid={UID}', 'done', 'close')
    assert seen.all('swap') == [f'{EPERM} 0'], seen.told
    assert seen.codes('setuid') == [EPERM] and seen.code('close') == SUCCESS, seen.told
    without = drive(TENANT, 'account', f'swap={UID}')
    assert without.all('swap') == ['0 0'], without.told
