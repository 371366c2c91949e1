# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tenant's home names a program, and somebody sends him mail: the server runs it on the host until it is
told not to, by the very commands that check prints."""
import shutil

import pytest

import box
import host
import mail
from mail import RUN, SERVER

FORWARDS = {
    'a pipe': f'|{RUN}\n',
    'a pipe among others': f'bob@localhost, "|{RUN}"\n',
}


@pytest.mark.parametrize('forward', FORWARDS.values(), ids=FORWARDS)
def test_a_program_in_a_forward_file(forward):
    mail.plant(_forward=forward)
    mail.is_open()
    mail.shuts_for_good()


def test_he_sends_it_to_himself_from_inside():
    mail.plant(_forward=FORWARDS['a pipe'])
    with mail.listening(), box.session('alice') as alice:
        mail.send_from_inside(alice)
        host.wait_for('the program runs, on the host', mail.ran_on_the_host)
        mail.put_right(mail.finding(mail.NAMED))
        (box.home('alice') / mail.MARK).unlink()
        word = mail.send_from_inside(alice)
        host.wait_for('the mail has come back', lambda: word in mail.boxes(), 20)
        assert not mail.ran()


def test_other_forwards_go_on_working():
    mail.put_right(mail.finding(mail.NAMED))
    mail.plant(_forward='bob@localhost\n')
    word = mail.send()
    host.wait_for('bob has it', lambda: word in box.run('cat', '/var/mail/bob').out)


def test_nobody_is_contained_and_nothing_is_said():
    box.config(tenants={'Contain': 'no'})
    assert not mail.findings()


@pytest.mark.skipif(not shutil.which('procmail'), reason='there is no procmail')
def test_procmail():
    """The last one: exim's is shut by taking the program away."""
    mail.put_right(mail.finding(mail.NAMED))
    if SERVER.name == 'postfix':
        box.run('postconf', '-e', 'mailbox_command=/usr/bin/procmail -a "$EXTENSION"')
        mail.reload()
    mail.plant(_procmailrc=f':0\n|{RUN}\n')
    mail.is_open()
    mail.put_right(mail.finding('/.procmailrc names'))
    assert not mail.findings()
    mail.is_shut()
