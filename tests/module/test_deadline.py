# SPDX-License-Identifier: LGPL-2.1-or-later
"""Helpers that hang: no call of the module waits without end."""
import time

import machine
import pytest
from machine import IGNORE, SUCCESS, SYSTEM_ERR, begin, drive
from stub import (CONTAIN, FAIL, IGNORED, LEASHED, REQUEST, SENTENCE, WAIT, answering, place, refuse, reply,
                  says)

import host

TENANT = machine.TENANT
HANG = 'time.sleep(60)'
BLOCK = 'signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))'
STOP = 'os.kill(os.getpid(), signal.SIGSTOP)'
NO_TIME = says(reply(WAIT, wait=0))  # the module waits two seconds more
HANGING = {
    'silent': (answering(HANG), 32, 35),
    'waits no time': (answering(NO_TIME, HANG), 2, 4),
    'waits two seconds': (answering(says(reply(WAIT, wait=2)), HANG), 4, 6),
    'waits again': (answering(*[NO_TIME, 'time.sleep(1)'] * 3, NO_TIME, HANG), 5, 7),
    'blocks signals': (answering(NO_TIME, BLOCK, HANG), 2, 4),
    'stops itself': (answering(NO_TIME, STOP), 2, 4),
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


LINGER = 'time.sleep(15)'
LINGERING = {
    'ignores': (answering(says(reply(IGNORED)), LINGER), machine.PLAIN, ['account', 'open'], IGNORE),
    'refuses': (answering(says(reply(FAIL, user=b'Sorry.')), LINGER), TENANT, ['open'], SYSTEM_ERR),
    'stops': (answering(says(reply(IGNORED)), STOP), machine.PLAIN, ['account'], IGNORE),
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


def test_helper_that_answers_and_finishes():
    """Nor is it killed while it puts things in order."""
    done = machine.DIR / 'finished'
    with place(answering(says(reply(IGNORED)), 'time.sleep(0.4)', f"open({str(done)!r}, 'w')")):
        seen = drive(machine.PLAIN, 'account')
    assert seen.code('account') == IGNORE
    assert done.exists()


def test_hanging_after_the_account():
    """The helper that rested: its second answer has a deadline, too."""
    again = ['request = sock.recv(65536)', NO_TIME, HANG]
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
    assert driver.children == ['exit 0'] * 4
    assert driver.codes('setuid') == [1, 1]
    assert driver.state('after')['children'] == '0'


@pytest.mark.parametrize('signal, reason', [('ALRM', 'the helper hung, maybe in a file system that does not answer: '
                                                     'Connection timed out'),
                                            ('KILL', 'the helper did not answer: ')])
def test_dying_at_work_after_the_account(signal, reason):
    """Nobody is asked a second time, and the log has what an alarm means."""
    asked, mark = machine.DIR / f'asked-{signal}', host.log_mark()
    dies = f'time.sleep(0.5); os.kill(os.getpid(), signal.SIG{signal})'
    with place(answering(says(reply(CONTAIN)), 'sock.recv(65536)', NO_TIME, dies, log=asked)):
        seen = drive(TENANT, 'account', 'open', *LEASHED)
    assert [seen.code('account'), seen.code('open')] == [SUCCESS, SYSTEM_ERR]
    assert seen.codes('setuid') == [1, 1]
    assert asked.stat().st_size == REQUEST.size, 'one helper'
    host.log_has(mark, f"'alice' refused: {reason}")


def test_patience():
    """A helper that asks for time and then answers is waited for."""
    with place(answering(says(reply(WAIT, wait=5)), 'time.sleep(3)', says(reply(IGNORED)))):
        seen = drive(TENANT, 'account')
    assert seen.code('account') == IGNORE


def test_helper_hangs_at_close():
    with place(answering(says(reply(WAIT, wait=0)), HANG)):
        with machine.helper_is(machine.REAL_HELPER):
            driver = begin(TENANT, 'open', 'sync=now', 'close', 'fork', 'setuid=3001', 'done')
            driver.until('now')
        begun = time.monotonic()
        driver.go_on()
        assert driver.end() == 0
        assert 1.5 < time.monotonic() - begun < 4
    assert driver.code('close') == SUCCESS
    assert driver.codes('setuid') == [0]
    machine.wait_for_end()
    drive(TENANT, 'open', 'close')
