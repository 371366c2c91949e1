# SPDX-License-Identifier: LGPL-2.1-or-later
"""cron: the job's child comes in by setcred, and then the caller forks once more for the mail."""
import machine
import pytest
from machine import DRIVER, SUCCESS, drive, stack

import host

TENANT, UID = machine.TENANT, machine.ALICE
EPERM = 1
CRON = host.Path('/usr/sbin/cron')
OPEN = ['account', 'setcred', 'open']
JOB = ['fork', 'initgroups=alice', 'setcred', 'state=job', f'setuid={UID}', 'done']
MAIL = ['fork', 'state=mail', f'setuid={UID}', 'done']


@pytest.fixture(scope='module', autouse=True)
def in_place_of_cron():
    machine.put_over(CRON, DRIVER)
    yield
    machine.take_off(CRON)


def cron(*words, user=TENANT, **changes):
    return drive(user, *words, directory=stack('cron', **changes), service='cron', program=CRON)


def test_job_is_inside_and_mail_is_not():
    seen = cron('state=before', *OPEN, *JOB, *MAIL, 'close', 'state=after')
    before, job, mail = (seen.state(when) for when in ('before', 'job', 'mail'))
    assert seen.codes('setuid') == [0, 0] and seen.code('close') == SUCCESS
    assert job['NoNewPrivs'] == '1' and job['ns/mnt'] != before['ns/mnt'] and job['ns/pid'] != before['ns/pid']
    assert mail['NoNewPrivs'] == '0' and mail['ns/pid'] == before['ns/pid']
    assert mail['ns/mnt'] == before['ns/mnt'], 'cron has no tree of its own'
    assert mail['CapEff'] == before['CapEff'] and mail['securebits'] == before['securebits']
    assert seen.state('after')['CapEff'] == before['CapEff']


def test_nothing_is_lifted_before_the_job_is_in():
    seen = cron(*OPEN, *MAIL, *JOB, 'close')
    assert seen.codes('setuid') == [EPERM, 0], seen.told


def test_a_job_that_misses_the_hook():
    seen = cron(*OPEN, 'fork', f'setuid={UID}', 'done', *MAIL, 'close')
    assert seen.codes('setuid') == [EPERM, EPERM], seen.told


def test_a_job_that_cannot_join_lifts_nothing():
    """Descriptor 0 is a directory: it ends, and so does what comes after."""
    fd = host.os.open('/var', host.os.O_RDONLY | host.os.O_DIRECTORY)
    try:
        seen = drive(TENANT, *OPEN, *JOB, *MAIL, 'close', directory=stack('cron'), service='cron', program=CRON,
                     stdin=fd)
    finally:
        host.os.close(fd)
    assert seen.children == ['exit 254', 'exit 0']
    assert seen.codes('setuid') == [EPERM], seen.told


@pytest.mark.parametrize('way', [['rawfork', f'setuid={UID}', 'done'], [f'vfork={UID}'], [f'spawn={UID}'],
                                 [f'setuid={UID}']])
def test_only_a_fork_is_lifted(way):
    """What the C library does not announce stays on the leash, also when the job is in."""
    seen = cron(*OPEN, *JOB, *way, 'close')
    assert seen.codes('setuid') == [0, EPERM], seen.told


def test_no_helper_stays():
    seen = cron('account', 'state=account', 'setcred', 'open', 'state=open', *JOB, 'state=job', 'close', 'state=close')
    assert [seen.state(when)['children'] for when in ('account', 'open', 'close')] == ['0', '0', '0']


def test_a_job_without_open_line():
    seen = cron(*OPEN, *JOB, 'close', open=None)
    assert seen.children == ['exit 254'] and seen.codes('setuid') == []
