# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tenant's home names a program, and somebody sends him mail: the server runs it on the host until it is
told not to, by the very commands that check prints."""
import shutil

import pytest

import box
import host
import mail
from mail import SERVER

RUN = '/home/alice/run'
FORWARDS = {
    'a pipe': f'|{RUN}\n',
    'a pipe among others': f'bob@localhost, "|{RUN}"\n',
}
FILTERS = {
    'a pipe of a filter': f'# Exim filter\npipe {RUN}\n',
    'an expansion of a filter': f'# Exim filter\nif "${{run{{{RUN}}}}}" is "x" then finish endif\n',
}
ALL = {**FORWARDS, **(FILTERS if SERVER.name == 'exim' else {})}
# What the finding says of ~/.forward, whichever the server.
NAMED = '.forward names'
only_exim = pytest.mark.skipif(SERVER.name != 'exim', reason='it is about exim')


def put_right(row):
    """As the administrator would who copies it."""
    assert row['severity'] == 'warning' and row['fix'], row
    print(box.run('sh', '-c', row['fix'], check=False, input='y\n'))


def deliver():
    (box.home('alice') / mail.MARK).unlink(missing_ok=True)
    return mail.send()


def is_open():
    deliver()
    host.wait_for('the program runs, on the host', mail.ran_on_the_host)


def is_shut():
    """It does not run, and the mail is not lost: it is in a mailbox, or has come back to root."""
    word = deliver()
    assert word in mail.boxes(), mail.queue()
    assert not mail.ran()


def shuts_for_good():
    row = mail.finding(NAMED)
    assert row, mail.findings()
    put_right(row)
    assert not mail.finding(NAMED), mail.findings()
    is_shut()


@pytest.mark.parametrize('forward', ALL.values(), ids=ALL)
def test_a_program_in_a_forward_file(forward):
    mail.plant(_forward=forward)
    is_open()
    shuts_for_good()


def test_he_sends_it_to_himself_from_inside():
    mail.plant(_forward=FORWARDS['a pipe'])
    with mail.listening(), box.session('alice') as alice:
        mail.send_from_inside(alice)
        host.wait_for('the program runs, on the host', mail.ran_on_the_host)
        put_right(mail.finding(NAMED))
        (box.home('alice') / mail.MARK).unlink()
        word = mail.send_from_inside(alice)
        host.wait_for('the mail has come back', lambda: word in mail.boxes(), 20)
        assert not mail.ran()


@only_exim
def test_with_the_configuration_in_pieces():
    switches = SERVER.configuration / 'update-exim4.conf.conf'
    box.replace(switches, switches.read_text().replace("dc_use_split_config='false'", "dc_use_split_config='true'"))
    mail.reload()
    mail.plant(_forward=FORWARDS['a pipe'])
    is_open()
    assert 'conf.d/router' in mail.finding(NAMED)['fix']
    shuts_for_good()


@only_exim
def test_pipes_alone_are_half_of_it():
    mail.plant(_forward=FILTERS['an expansion of a filter'])
    row = mail.finding(NAMED)
    put_right({**row, 'fix': row['fix'].replace(r'forbid_pipe\nforbid_filter_run', 'forbid_pipe')})
    assert 'it lacks forbid_filter_run)' in mail.finding(NAMED)['what']
    is_open()
    shuts_for_good()


def test_other_forwards_go_on_working():
    put_right(mail.finding(NAMED))
    mail.plant(_forward='bob@localhost\n')
    word = mail.send()
    host.wait_for('bob has it', lambda: word in box.run('cat', '/var/mail/bob').out)


def test_nobody_is_contained_and_nothing_is_said():
    box.config(tenants={'Contain': 'no'})
    assert not mail.findings()


@pytest.mark.skipif(not shutil.which('procmail'), reason='there is no procmail')
def test_procmail():
    """The last one: exim's is shut by taking the program away."""
    put_right(mail.finding(NAMED))
    if SERVER.name == 'postfix':
        box.run('postconf', '-e', 'mailbox_command=/usr/bin/procmail -a "$EXTENSION"')
        mail.reload()
    mail.plant(_procmailrc=f':0\n|{RUN}\n')
    is_open()
    put_right(mail.finding('/.procmailrc names'))
    assert not mail.findings()
    is_shut()
