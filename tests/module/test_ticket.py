# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kerberos tickets in the caller's /tmp: which are shown to the helper, and what becomes of them."""
import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import machine
import pytest
from machine import SUCCESS, begin, changed, drive
from stub import FAIL, IGNORED, REQUEST, answering, place, reply, says

TENANT = machine.TENANT
TICKET = 1 << 2
NAME = 'krb5cc_of_alice'
FILE = Path('/tmp', NAME)


def own(path, uid=machine.ALICE):
    os.chown(path, uid, machine.GROUP, follow_symlinks=False)


def plain(path):
    path.write_text('tickets\n')
    own(path)


def of_another(path):
    path.write_text('tickets\n')
    own(path, machine.BOB)


def link(path):
    target = machine.DIR / 'target'
    plain(target)
    path.symlink_to(target)
    own(path)


def pipe(path):
    os.mkfifo(path)
    own(path)


def directory(path):
    path.mkdir()
    own(path)


def nothing(path):
    path.unlink(missing_ok=True)


CASES = {
    # what lies in /tmp, what KRB5CCNAME says, is it shown?
    'file': (plain, f'FILE:/tmp/{NAME}', True),
    'without its type': (plain, f'/tmp/{NAME}', True),
    "another's": (of_another, f'FILE:/tmp/{NAME}', False),
    'link': (link, f'FILE:/tmp/{NAME}', False),
    'pipe': (pipe, f'FILE:/tmp/{NAME}', False),
    'directory': (directory, f'FILE:/tmp/{NAME}', False),
    'nothing': (nothing, f'FILE:/tmp/{NAME}', False),
    'deeper': (plain, f'FILE:/tmp/./{NAME}', False),
    'elsewhere': (plain, f'FILE:{machine.DIR}/{NAME}', False),
    'above': (plain, 'FILE:/tmp/..', False),
    'no name': (plain, 'FILE:/tmp/', False),
    'other type': (plain, f'DIR:/tmp/{NAME}', False),
    'no file': (plain, 'KEYRING:persistent:3001', False),
}


@pytest.fixture(autouse=True)
def clean():
    yield
    if FILE.is_dir() and not FILE.is_symlink():
        FILE.rmdir()
    FILE.unlink(missing_ok=True)


@pytest.mark.parametrize('name', CASES)
def test_what_is_shown(name):
    make, value, shown = CASES[name]
    make(FILE)
    log = machine.DIR / f'ticket{next(machine.NUMBER)}'
    with place(answering(says(reply(IGNORED)), log=log)):
        seen = drive(TENANT, f'putenv=KRB5CCNAME={value}', 'state=before', 'open', 'state=after')
    flags = REQUEST.unpack_from(log.read_bytes(), 0)[6]
    assert flags & TICKET == (TICKET if shown else 0)
    assert changed(seen.state('before'), seen.state('after'), ('module',)) == {}


@pytest.mark.parametrize('verdict', [FAIL, None])
def test_nothing_is_kept_without_a_session(verdict):
    plain(FILE)
    with place(answering(says(reply(verdict))) if verdict else '#!/bin/false\n'):
        seen = drive(TENANT, f'putenv=KRB5CCNAME=FILE:{FILE}', 'state=before', 'open', 'state=after')
    assert not [value for key, value in seen.state('after').items() if key.startswith('fd/') and NAME in value]


def inside(uid=machine.ALICE):
    listed = machine.run('sessctl', 'list', '--containers', '--json')
    init, = [row['init'] for row in json.loads(listed)['containers'] if row['uid'] == uid]
    return Path(f'/proc/{init}/root/tmp')


def stays(_copy):
    pass


def goes(copy):
    copy.unlink()


def goes_and_the_hosts_is_a_new_one(copy):
    copy.unlink()
    fresh = FILE.with_name('fresh')
    plain(fresh)
    fresh.rename(FILE)


@pytest.mark.parametrize('change, left', [(stays, True), (goes, False), (goes_and_the_hosts_is_a_new_one, True)])
@pytest.mark.parametrize('account', [True, False])
def test_a_copy_is_inside_and_the_hosts_goes_with_it(change, left, account):
    """With the helper of the account phase, and with a new one."""
    plain(FILE)
    words = [f'putenv=KRB5CCNAME=FILE:{FILE}', 'state=before', *(['account'] if account else []), 'open',
             'sync=now', 'close', 'state=after']
    driver = begin(TENANT, *words)
    driver.until('now')
    copy = inside() / NAME
    found = copy.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (machine.ALICE, machine.GROUP, 0o600)
    assert copy.read_text() == 'tickets\n' and found.st_ino != FILE.stat().st_ino
    change(copy)
    driver.go_on()
    assert driver.end() == 0 and driver.code('close') == SUCCESS
    assert FILE.exists() == left
    assert list(changed(driver.state('before'), driver.state('after'), ('module', 'pamenv/'))) == ['ns/mnt']
    machine.wait_for_end()


def test_a_second_session_has_them_anew():
    """Under the same name; what somebody has put into its place is no obstacle, and nothing that is
    followed or written to."""
    plain(FILE)
    words = [f'putenv=KRB5CCNAME=FILE:{FILE}', 'open', 'sync=now', 'close']
    first = begin(TENANT, *words)
    first.until('now')
    copy = inside() / NAME
    copy.unlink()
    (inside() / 'mine').write_text('precious\n')
    own(inside() / 'mine')
    copy.symlink_to('mine')
    own(copy)
    FILE.write_text('newer\n')
    second = begin(TENANT, *words)
    second.until('now')
    assert copy.read_text() == 'newer\n' and not copy.is_symlink()
    assert (inside() / 'mine').read_text() == 'precious\n'
    for driver in (second, first):
        driver.go_on()
        assert driver.end() == 0
    machine.wait_for_end()


def test_a_later_session_leaves_the_hosts_where_it_is():
    """Its copy takes the place of the earlier one, which nobody inside has removed."""
    plain(FILE)
    words = [f'putenv=KRB5CCNAME=FILE:{FILE}', 'open', 'sync=now', 'close']
    first = begin(TENANT, *words)
    first.until('now')
    old = (inside() / NAME).stat().st_ino
    second = begin(TENANT, *words)
    second.until('now')
    assert (inside() / NAME).stat().st_ino != old
    first.go_on()
    assert first.end() == 0 and FILE.exists()
    (inside() / NAME).unlink()
    second.go_on()
    assert second.end() == 0 and not FILE.exists()
    machine.wait_for_end()


def test_a_lease_on_them_is_not_waited_for():
    plain(FILE)
    with FILE.open('r+') as file:
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        mark = machine.host.log_mark()
        start = time.monotonic()
        seen = drive(TENANT, f'putenv=KRB5CCNAME=FILE:{FILE}', 'open', 'close')
        assert time.monotonic() - start < 10
    assert [seen.code('open'), seen.code('close')] == [SUCCESS, SUCCESS]
    machine.host.log_has(mark, 'his Kerberos tickets are not inside: Resource temporarily unavailable')
    machine.wait_for_end()


def test_a_login_goes_on_without_them():
    """A directory in their place is the tenant's own doing."""
    plain(FILE)
    words = [f'putenv=KRB5CCNAME=FILE:{FILE}', 'open', 'sync=now', 'close']
    first = begin(TENANT, *words)
    first.until('now')
    copy = inside() / NAME
    copy.unlink()
    copy.mkdir()
    own(copy)
    mark = machine.host.log_mark()
    second = begin(TENANT, *words)
    second.until('now')
    machine.host.log_has(mark, "'alice' contained: his Kerberos tickets are not inside: File exists")
    for driver in (second, first):
        driver.go_on()
        assert driver.end() == 0
        assert driver.code('open') == SUCCESS
    machine.wait_for_end()


def test_many_tickets_are_none():
    FILE.write_bytes(bytes((1 << 20) + 1))
    own(FILE)
    mark = machine.host.log_mark()
    seen = drive(TENANT, f'putenv=KRB5CCNAME=FILE:{FILE}', 'open', 'close')
    assert [seen.code('open'), seen.code('close')] == [SUCCESS, SUCCESS]
    machine.host.log_has(mark, 'his Kerberos tickets are not inside: File too large')
    assert FILE.exists()
    machine.wait_for_end()


def test_a_mount_in_its_place_is_not_entered():
    plain(FILE)
    other = machine.DIR / 'mounted'
    plain(other)
    subprocess.run(['mount', '--bind', other, FILE], check=True)
    log = machine.DIR / f'ticket{next(machine.NUMBER)}'
    try:
        with place(answering(says(reply(IGNORED)), log=log)):
            drive(TENANT, f'putenv=KRB5CCNAME=FILE:{FILE}', 'open')
    finally:
        subprocess.run(['umount', FILE], check=True)
    assert REQUEST.unpack_from(log.read_bytes(), 0)[6] & TICKET == 0
