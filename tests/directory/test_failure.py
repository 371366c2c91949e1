# SPDX-License-Identifier: LGPL-2.1-or-later
"""A directory that is down, slow or silent. Whoever is the host's own gets in; a tenant gets in contained,
from sssd's cache, or is refused; and nobody's login takes longer than sshd's own look-ups do without us, but
for what TimeoutSec= allows. (sshd asks each source for the groups of everybody, root's too.)"""
import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import box
import directory
import host
from closed import enters, refused

ANN = 'ann@example.org'
SEEN = ('cleo', 'dan', ANN)
WHERE = 'readlink /proc/self/ns/pid'


@pytest.fixture(autouse=True)
def classes():
    """Tenants by groups of the directory, admins by one of /etc/group."""
    configure()


def configure(**more):
    box.config(orgs={'MatchGroups': 'students@example.org', 'Contain': 'yes'},
               pupils={'MatchGroups': 'pupils', 'Contain': 'yes'}, Defaults={'TimeoutSec': '10'},
               tenants={'TimeoutSec': '10'}, admins={'MatchGroups': 'sudo', 'Contain': 'no'}, **more)


def see():
    """sssd has them in its cache, with all their groups."""
    box.run('id', *SEEN)
    box.run('getent', 'group', 'pupils', 'teachers', 'students@example.org')


def see_account_alone(*users):
    """As after `ls -l`: sssd knows who they are, but not yet in which groups, though it has these."""
    directory.forget()
    box.run('getent', 'passwd', *users)
    box.run('getent', 'group', 'pupils', 'students@example.org')


def outcome(user, timeout=60):
    done = box.ssh(user, WHERE, timeout=timeout)
    if done.rc == 0:
        return 'on the host' if done.out.strip() == host.namespace('self', 'pid') else 'contained'
    assert done.rc in (254, 255) and 'pid:' not in done.out, done
    return 'refused'


def account(user):
    """The account phase alone, without sshd's own look-ups: its status, and seconds."""
    begin = time.monotonic()
    done = box.run('pamtester', 'sshd', user, 'acct_mgmt', check=False, timeout=60 * host.SLOW)
    return done.rc, time.monotonic() - begin


def alone():
    """Our account line without the others, which ask on their own."""
    box.replace(box.PAM, f'{box.LINES["account"]}\n')


def quick(user, seconds=3):
    rc, took = account(user)
    assert rc == 0 and took < seconds * host.SLOW, (user, rc, took)


@pytest.mark.parametrize('expired', [False, True], ids=['fresh', 'expired'])
def test_the_server_is_down(expired):
    see()
    with directory.down('slapd'):
        if expired:
            directory.expire()
        quick('root'), quick('ops')
        enters('root', 'ops')
        assert [outcome(user) for user in SEEN] == ['contained', 'on the host', 'contained']
        assert outcome('eve') == 'refused'  # nobody has ever heard of her
    directory.answers()
    assert outcome('eve') == 'contained'


@pytest.mark.parametrize('expired', [False, True], ids=['fresh', 'expired'])
def test_the_server_takes_what_is_sent_and_does_not_answer(expired):
    """sssd waits 6 s for each question, then goes by its cache for a minute."""
    see()
    with directory.stopped(directory.slapd):
        if expired:
            directory.expire()
        quick('root'), quick('ops')
        assert [outcome(user) for user in SEEN] == ['contained', 'on the host', 'contained']
        assert outcome('eve') == 'refused'
        enters('root', 'ops')


def test_sssd_is_down():
    """Its client goes on by a file of what was asked lately, which may have a user and not his groups."""
    see_account_alone('eve')
    with directory.down('sssd'):
        assert directory.knows('eve') and os.getgrouplist('eve', 3160) == [3160]
        mark = host.log_mark()
        refused('eve')
        host.log_has(mark, "pam_sessbox.*'eve'.*Host is down")
        quick('root'), quick('ops')
        enters('root', 'ops')
        assert {outcome(user) for user in SEEN} == {'refused'}
    directory.answers()
    assert outcome('eve') == 'contained'


def root_is_in(seconds=4):
    """By ssh, soon."""
    begin = time.monotonic()
    enters('root')
    assert time.monotonic() - begin < seconds * host.SLOW


def test_sssd_does_not_answer():
    """Its client waits five minutes, twice in a login by ssh; so libc lets nobody in, root neither. We let."""
    see()
    with directory.stopped(directory.responder):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(['id', '-G', 'root'], timeout=20, check=False)
        quick('root'), quick('ops')
        alone()
        quick('cleo')  # from the file
    box.begin(True), configure()
    see_account_alone('eve')
    with directory.stopped(directory.responder):
        alone()
        mark = host.log_mark()
        rc, took = account('eve')
        assert rc != 0 and 10 <= took < 10 + 8 * host.SLOW, (rc, took)
        host.log_has(mark, "pam_sessbox.*'eve'.*no source of groups answered .* within 10 s")


def waits_for():
    """What root's logins wait for, as check says."""
    return [re.search("wait for '(.*)' while", f['what'])[1] for f in box.answer_of('check')['findings']
            if "root's logins" in f['what']]


def test_nobody_of_etc_group_waits_if_nsswitch_says_so():
    """The line that sessbox.conf(5) gives, and what it says of root."""
    assert waits_for() == ['sss']
    switch = Path('/etc/nsswitch.conf')
    text = switch.read_text()
    box.replace(switch, text + 'initgroups: files [SUCCESS=return] systemd sss\n')
    try:
        assert waits_for() == ['sss']
        box.run('usermod', '-aG', 'adm', 'root')
        assert waits_for() == []
        see()
        assert 'sudo' in box.out_of('ops', 'id -Gn') and outcome('cleo') == 'contained'
        for fault in (directory.stopped(directory.slapd), directory.stopped(directory.responder)):
            with fault:
                begin = time.monotonic()
                enters('ops')
                assert time.monotonic() - begin < 4 * host.SLOW
                root_is_in()
    finally:
        box.replace(switch, text)
        box.run('gpasswd', '-d', 'root', 'adm')


def test_the_server_is_slow():
    """Slower than TimeoutSec= allows, but not so that sssd would go by its cache."""
    see()
    with directory.slow(5):
        directory.expire()
        root_is_in()
        quick('root'), quick('ops')
        assert directory.knows('cleo')
        rc, took = account('cleo')
        assert rc != 0 and 10 <= took < 10 + 8 * host.SLOW, (rc, took)
        assert outcome('cleo') in ('contained', 'refused')
    with directory.slow(10):
        directory.expire()
        root_is_in()
        assert outcome('cleo') in ('contained', 'refused')
        root_is_in()
    # What a helper leaves that ran out of time, his next login removes, the monitor, or this.
    host.wait_for('nothing is left', lambda: box.sessctl('gc').rc == 0 and not box.containers('cleo'))


def test_whoever_hangs_on_it_without_a_class_for_admins_is_told():
    box.config(pupils={'MatchGroups': 'pupils', 'Contain': 'yes'}, Defaults={'TimeoutSec': '10'})
    directory.forget()
    with directory.down('sssd'):
        refused('ops')
        enters('root', 'svc')
        found = [f['what'] for f in box.answer_of('check')['findings'] if f['check'] == 'directory']
        assert any("'pupils' is not in /etc/group" in what and 'local accounts' in what for what in found), found


def test_a_user_whose_groups_nobody_has_seen():
    """sssd without its server says of him that he is in no group, and nothing tells that from the truth. So
    who is contained has to be said by his uid, as sessbox.conf(5) says and check advises."""
    def found():
        return [f['what'] for f in box.answer_of('check')['findings']
                if f['check'] == 'directory' and 'contains by group' in f['what']]

    assert found()
    configure(users=BY_UID)
    assert not found()
    see()
    assert [outcome(user) for user in SEEN] == ['contained', 'on the host', 'contained']
    see_account_alone('eve', 'dan')
    box.run('getent', 'group', 'teachers')
    with directory.down('slapd'):
        assert os.getgrouplist('eve', 3160) == [3160]
        assert outcome('eve') != 'on the host' and outcome('dan') != 'on the host'
        assert outcome('eve') != 'on the host'  # another time: sssd has been asked for all by now
        enters('root', 'ops')


# in the middle of a login

BY_UID = {'MatchUIDs': '3150-3169', 'MatchGroups': '!teachers', 'Contain': 'yes'}
FAULTS = {
    'server-killed': lambda: [os.kill(pid, signal.SIGKILL) for pid in directory.slapd()],
    'responder-killed': lambda: [os.kill(pid, signal.SIGKILL) for pid in directory.responder()],
    'sssd-stopped': lambda: box.run('systemctl', 'stop', 'sssd'),
}
MOMENTS = [0.1, 0.4, 0.7, 1.0, 1.4, 2.0]


@pytest.mark.parametrize('fault', FAULTS)
def test_it_goes_in_the_middle_of_a_login(fault):
    """At any moment, while the questions about eve are on their way. When it is the server that goes sssd
    takes over from its cache, which may have half of her by then."""
    configure(**({'users': BY_UID} if fault == 'server-killed' else {}))
    seen = []
    for moment in MOMENTS:
        directory.answers()
        box.run('getent', 'group', 'pupils', 'students@example.org')
        with directory.slow(0.3):
            client = box.client(box.argv('eve', WHERE))
            time.sleep(moment * min(host.SLOW, 4))
            FAULTS[fault]()
            root_is_in()
            done = box.finish(client, timeout=60)
            assert done.rc in (0, 254, 255) and host.namespace('self', 'pid') not in done.out, (moment, done)
            seen.append(done.rc)
        with contextlib.suppress(AssertionError):
            host.wait_for('eve is out', lambda: not box.containers('eve'), 3)
    directory.answers()
    assert outcome('eve') == 'contained', seen
