# SPDX-License-Identifier: LGPL-2.1-or-later
"""A refused tenant's child in sshd, which is to tell him why: it gets nowhere, and not for long."""
import os
import time
from pathlib import Path

from machine import ALICE, SUCCESS, SYSTEM_ERR, TENANT, begin, drive, stack

WORDS = ['account', 'open', 'fork', 'initgroups=alice', 'setcred', f'setuid={ALICE}', 'sync=here', 'done']


def refused():
    """Up to the place where the child has become the tenant; its pid."""
    driver = begin(TENANT, *WORDS, directory=stack(open='open'))
    return driver, driver.until('here')


def status(pid):
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(':') for line in lines)}


def test_nowhere():
    driver, pid = refused()
    for name in ('net', 'mnt', 'ipc', 'uts'):
        assert os.readlink(f'/proc/{pid}/ns/{name}') != os.readlink(f'/proc/self/ns/{name}'), name
    assert os.listdir(f'/proc/{pid}/root') == []
    assert os.path.samefile(f'/proc/{pid}/cwd', f'/proc/{pid}/root')
    assert os.statvfs(f'/proc/{pid}/root').f_flag & os.ST_RDONLY
    devices = Path(f'/proc/{pid}/net/dev').read_text().splitlines()[2:]
    assert [line.split(':')[0].strip() for line in devices] == ['lo']
    driver.go_on()
    assert driver.end() == 0
    assert driver.children == ['exit 0']
    assert [driver.code('account'), driver.code('open'), driver.code('setcred')] == [SUCCESS, SYSTEM_ERR, SUCCESS]


def test_nothing():
    driver, pid = refused()
    seen = status(pid)
    assert seen['Uid'].split() == [str(ALICE)] * 4
    assert seen['Groups'] == ''
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        assert int(seen[name], 16) == 0, name
    assert seen['NoNewPrivs'] == '1'
    driver.go_on()
    assert driver.end() == 0


def test_not_for_long():
    driver, pid = refused()
    begun = time.monotonic()
    while driver.read():  # the child's end, and what comes after it
        pass
    assert driver.children == ['signal 9']
    assert 8 < time.monotonic() - begun < 100
    assert not os.path.exists(f'/proc/{pid}')


def test_without_a_leash():
    """Nothing that could be sealed off: the child ends at once."""
    seen = drive(TENANT, 'account', 'drop=7', 'open', 'fork', 'setcred', 'done')
    assert seen.code('open') == SYSTEM_ERR
    assert seen.children == ['exit 254']
