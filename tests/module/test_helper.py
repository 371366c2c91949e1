# SPDX-License-Identifier: LGPL-2.1-or-later
"""The helper's place taken by something else: refused in time, leashed, and with one sentence."""
import os
import time

import machine
import pytest
from machine import IGNORE, SUCCESS, SYSTEM_ERR, changed, child, drive
from stub import (CONTAIN, DENY, FAIL, IGNORED, LEASHED, SENTENCE, UNCONTAINED, VERSION, WAIT, answering, place,
                  refuse, reply, says)

import host

TENANT = machine.TENANT
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
    'nothing handed over': (answering(says(reply(CONTAIN))), 'incomplete'),
    'too little': (answering(says(reply(CONTAIN, flags=8), '[init, files[0]]')), 'incomplete'),
    'no terminals': (answering(says(reply(CONTAIN), '[init, *files[:3]]')), 'incomplete'),
    'too little with records': (answering(says(reply(CONTAIN, flags=11), '[init, *files[:3]]')), 'incomplete'),
    'too many groups': (answering(says(reply(CONTAIN, flags=8, groups=257), '[init, *files[:3]]')), 'incomplete'),
    'no mount': (answering(says(reply(CONTAIN, flags=8), '[init, *files[:3]]')), '/dev/pts'),
    'no records': (answering(says(reply(CONTAIN, flags=11), '[init, *files[:5]]')), '/dev/pts'),
}


@pytest.mark.parametrize('name', STUBS)
def test_no_helper(name):
    begun = time.monotonic()
    with place(STUBS[name]):
        seen = drive(TENANT, 'state=before', 'account', 'open', 'state=after', *LEASHED)
    refuse(['account', 'open'], seen)
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize('name', OPEN_STUBS)
def test_bad_answer_to_open(name):
    stub, reason = OPEN_STUBS[name]
    mark = host.log_mark()
    with place(stub):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', *LEASHED)
    refuse(['open'], seen)
    host.log_has(mark, f'not contained and refused: .*{reason}')


@pytest.mark.parametrize('name, reason', [('not executable', 'run the helper .*libexec.*: Permission denied'),
                                          ('ends at once', 'the helper did not answer: ')])
def test_the_log_says_why(name, reason):
    mark = host.log_mark()
    with place(STUBS[name]):
        drive(TENANT, 'account')
    host.log_has(mark, f"'alice' refused: {reason}")


def test_missing_helper():
    mark = host.log_mark()
    with machine.helper_is(None):
        seen = drive(TENANT, 'state=before', 'account', 'open', 'state=after', *LEASHED)
        system = drive(machine.SYSTEM, 'account', 'open')
        root = drive('root', 'account', 'open')
    refuse(['account', 'open'], seen)
    host.log_has(mark, "'alice' refused: run the helper .*: No such file")
    for driver in (system, root):
        assert [driver.code('account'), driver.code('open')] == [IGNORE, IGNORE]


SILENT_STUBS = [name for name in STUBS if name not in ('fails', 'no verdict', 'unknown verdict')]


@pytest.mark.parametrize('user', ['root', machine.SYSTEM])
@pytest.mark.parametrize('name', SILENT_STUBS)
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


def started_by_carol():
    """As su is: her real uid, root's rights."""
    os.setresuid(machine.CAROL, 0, 0)


def test_nothing_is_forgiven_where_another_user_started_the_caller():
    """By its limits, or by signals, he could bring the failure about."""
    with place(answering(says(reply(UNCONTAINED, log=b'it broke')))):
        seen = drive(TENANT, 'account', 'open', prepare=started_by_carol)
    assert [seen.code('account'), seen.code('open')] == [SYSTEM_ERR, SYSTEM_ERR]
    assert seen.said == [SENTENCE, SENTENCE]
    with place(answering(says(reply(CONTAIN, flags=12), '[init, *files[:3]]'))):
        seen = drive(TENANT, 'open', *LEASHED, prepare=started_by_carol)
    assert seen.code('open') == SYSTEM_ERR
    assert seen.codes('setuid') == [1, 1]
    with place(STUBS['fails at once']):
        seen = drive(machine.SYSTEM, 'account', 'open', prepare=started_by_carol)
        root = drive('root', 'account', 'open', prepare=started_by_carol)
    assert [seen.code('account'), seen.code('open')] == [SYSTEM_ERR, SYSTEM_ERR]
    assert [root.code('account'), root.code('open')] == [IGNORE, IGNORE]


def test_failure_of_our_own_steps_when_allowed():
    with place(answering(says(reply(CONTAIN, flags=12), '[init, *files[:3]]'))):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', *child('alice', 'setuid=3001'), 'close')
    assert seen.code('open') == IGNORE
    assert seen.codes('setuid') == [0]
    assert changed(seen.state('before'), seen.state('after'), ('module', 'fd/')) == {}


def test_working_directory_survives_a_failed_open():
    """Of all a failure undoes, entering a mount namespace is what changes it."""
    with place(OPEN_STUBS['no mount'][0]):
        seen = drive(TENANT, 'state=before', 'open', 'state=after', cwd='/var/tmp')
    assert seen.state('before')['cwd'] == '/var/tmp'
    assert seen.state('after')['cwd'] == '/var/tmp'
