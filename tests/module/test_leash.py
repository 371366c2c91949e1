# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between open and close nobody becomes the tenant but the child that came through the hook."""
import machine
import pytest
from machine import SUCCESS, SYSTEM_ERR, drive, stack

TENANT = machine.TENANT
EPERM = 1
UID = machine.ALICE

# ways of a process that did not call setcred
WAYS = {
    'child': ['fork', f'setuid={UID}', 'done'],
    'grandchild': ['fork', 'fork', f'setuid={UID}', 'done', 'done'],
    'groups first': ['fork', 'initgroups=alice', 'setgid=2000', f'setuid={UID}', 'done'],
    'euid swap': ['fork', f'swap={UID}', f'setuid={UID}', 'done'],
    'swap to another': ['fork', 'swap=1', f'setuid={UID}', 'done'],
    'exec': ['fork', 'exec', f'setuid={UID}', 'done'],
    'swap and exec': ['fork', f'swap={UID}', 'exec', f'setuid={UID}', 'done'],
    'exec and swap': ['fork', 'exec', f'swap={UID}', f'setuid={UID}', 'done'],
    'exec twice': ['fork', 'exec', 'exec', f'setuid={UID}', 'done'],
    'another user': ['fork', 'setuid=3100', 'done'],
    'the caller': [f'setuid={UID}'],
    'the caller, swapped': [f'swap={UID}', f'setuid={UID}'],
}


def refused(way, seen):
    assert seen.codes('setuid') == [EPERM], (way, seen.told)


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_on(way):
    seen = drive(TENANT, 'account', 'open', *WAYS[way], 'close')
    assert seen.code('open') == SUCCESS
    refused(way, seen)


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_off_before_open(way):
    """What the cases above would do without us."""
    seen = drive(TENANT, 'account', *WAYS[way])
    assert seen.codes('setuid') == [0], seen.told


@pytest.mark.parametrize('way', WAYS)
def test_leash_is_off_after_close(way):
    seen = drive(TENANT, 'account', 'open', 'close', *WAYS[way])
    assert seen.code('close') == SUCCESS
    assert seen.codes('setuid') == [0], seen.told


@pytest.mark.parametrize('way', WAYS)
def test_leash_stays_after_a_failed_open(way):
    """For good: neither close nor a second open takes it off."""
    seen = drive(TENANT, 'account', 'open', *WAYS[way], directory=stack(open='open'))
    assert seen.code('open') == SYSTEM_ERR
    refused(way, seen)
    seen = drive(TENANT, 'account', 'open', 'close', 'open', *WAYS[way], directory=stack(open='open'))
    assert seen.codes('open') == [SYSTEM_ERR, SYSTEM_ERR]
    refused(way, seen)


def test_groups_can_be_set():
    """login sets them after open: that capability stays."""
    seen = drive(TENANT, 'account', 'open', 'fork', 'initgroups=alice', 'setgid=2000', 'done', 'close')
    assert seen.codes('initgroups') == [0]
    assert seen.codes('setgid') == [0]


