# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the module answers to whom, line by line of its stack."""
import machine
import pytest
import stub
from machine import DENIED, IGNORE, SUCCESS, SYSTEM_ERR, UNKNOWN_USER, begin, child, drive, stack

import host

ALL = ['account', 'open', *child('alice'), 'close']
PLAIN_USERS = ('root', machine.PLAIN)


def codes(driver, words=('account', 'open', 'close')):
    return [driver.code(word) for word in words]


def refusal(driver):
    """Close is left out: libpam goes by what the lines said at open, and that was an error."""
    return codes(driver, ('account', 'open'))


@pytest.mark.parametrize('user', [machine.TENANT, machine.SYSTEM])
def test_tenant(user):
    seen = drive(user, 'account', 'open', *child(user, 'setuid=%d' % machine.UIDS[user]), 'close')
    assert codes(seen) == [SUCCESS, SUCCESS, SUCCESS]
    assert seen.codes('setcred') == [SUCCESS]
    assert seen.codes('setuid') == [0]
    assert seen.children == ['exit 0']
    assert seen.said == []


@pytest.mark.parametrize('user', PLAIN_USERS)
def test_not_a_tenant(user):
    seen = drive(user, 'account', 'setcred', 'open', *child(user), 'close')
    assert codes(seen) == [IGNORE, IGNORE, IGNORE]
    assert seen.codes('setcred') == [IGNORE, IGNORE]
    assert seen.children == ['exit 0']
    assert seen.said == []


def test_unknown_user():
    seen = drive('nobody-has-this-name', 'account', 'open', 'close')
    assert refusal(seen) == [UNKNOWN_USER, UNKNOWN_USER]


def test_authenticate_is_not_ours():
    """pam_debug alone decides, before and after us."""
    seen = drive(machine.TENANT, 'authenticate', 'setcred')
    assert [seen.code('authenticate'), seen.code('setcred')] == [SUCCESS, IGNORE]


# lines that are wrong: what the tenant gets at account and open, and a word of the log
WRONG = {
    'account': ({'account': 'colour=green'}, [SYSTEM_ERR, SUCCESS], 'colour=green'),
    'close': ({'close': 'close colour=green'}, [SUCCESS, SYSTEM_ERR], 'colour=green'),
    'open': ({'open': 'open join=cred colour=green'}, [SUCCESS, SYSTEM_ERR], 'colour=green'),
    'open-no-join': ({'open': 'open'}, [SUCCESS, SYSTEM_ERR], 'join=cred'),
    'open-fork': ({'open': 'open join=fork'}, [SUCCESS, SYSTEM_ERR], 'no join=cred'),
    'open-join': ({'open': 'open join='}, [SUCCESS, SYSTEM_ERR], 'join='),
    'open-and-close': ({'open': 'open close join=cred'}, [SUCCESS, SYSTEM_ERR], 'open. or .close'),
    'neither': ({'open': 'join=cred'}, [SUCCESS, SYSTEM_ERR], 'open. or .close'),
    'nothing': ({'open': ''}, [SUCCESS, SYSTEM_ERR], 'open. or .close'),
    'case': ({'open': 'OPEN join=cred'}, [SUCCESS, SYSTEM_ERR], 'OPEN'),
}


@pytest.mark.parametrize('name', WRONG)
def test_wrong_line_refuses_tenants(name):
    lines, want, word = WRONG[name]
    mark = host.log_mark()
    seen = drive(machine.TENANT, 'account', 'open', *child('alice'), 'close', directory=stack(**lines))
    assert refusal(seen) == want
    assert len(seen.said) == 1, seen.said
    host.log_has(mark, word)
    assert not [line for line in host.log_since(mark) if 'opened twice' in line]


@pytest.mark.parametrize('user', PLAIN_USERS)
@pytest.mark.parametrize('name', WRONG)
def test_wrong_line_leaves_others_alone(name, user):
    seen = drive(user, 'state=before', 'account', 'open', 'state=after', 'close',
                 directory=stack(**WRONG[name][0]))
    assert seen.code('account') == IGNORE
    assert seen.code('open') == IGNORE
    assert seen.said == []
    ours = ('module', 'fd/')  # loaded by now; libpam's own way to the log
    assert machine.changed(seen.state('before'), seen.state('after'), ours) == {}


def test_unknown_argument_on_the_auth_line():
    """The session opens, since nobody has looked at that line yet; the child does not get in."""
    mark = host.log_mark()
    seen = drive(machine.TENANT, *ALL, directory=stack(auth='join=cred colour=green'))
    assert seen.children == ['exit 254']
    assert seen.said == [stub.SENTENCE]
    host.log_has(mark, 'colour=green')


@pytest.mark.parametrize('user', PLAIN_USERS)
def test_unknown_argument_on_the_auth_line_for_others(user):
    directory = stack(auth='join=cred colour=green')
    seen = drive(user, 'account', 'open', *child(user), 'close', directory=directory)
    assert codes(seen) == [IGNORE, IGNORE, IGNORE]
    assert seen.children == ['exit 0']


NO_OPEN = {'no open line': {'open': None}, 'no session line': {'open': None, 'close': None},
           'the auth line alone': {'account': None, 'open': None, 'close': None}}


@pytest.mark.parametrize('name', NO_OPEN)
def test_open_line_missing(name):
    """No leash then; the auth line ends the tenant's child. sshd calls setcred before it forks, too."""
    mark = host.log_mark()
    seen = drive(machine.TENANT, 'account', 'setcred', *child('alice'), directory=stack(**NO_OPEN[name]))
    assert seen.children == ['exit 254']
    assert seen.said == [stub.SENTENCE]
    host.log_has(mark, 'no `open` line')


@pytest.mark.parametrize('user', PLAIN_USERS)
@pytest.mark.parametrize('name', NO_OPEN)
def test_open_line_missing_for_others(name, user):
    words = ['account', 'setcred', *child(user, 'state=in'), 'state=after']
    seen = drive(user, *words, directory=stack(**NO_OPEN[name]))
    assert seen.codes('setcred') == [IGNORE, IGNORE]
    assert seen.children == ['exit 0']
    ours = ('fd/', 'NSpid', 'Groups')
    assert machine.changed(seen.state('after'), seen.state('in'), ours) == {}


def test_wrong_program():
    mark = host.log_mark()
    seen = drive(machine.TENANT, *ALL, program=machine.DRIVER)
    assert refusal(seen) == [SUCCESS, SYSTEM_ERR]
    assert seen.children == ['exit 254']
    assert len(seen.said) == 1
    host.log_has(mark, "not this service's own")


@pytest.mark.parametrize('user', PLAIN_USERS)
def test_wrong_program_for_others(user):
    seen = drive(user, 'account', 'open', 'close', program=machine.DRIVER)
    assert codes(seen) == [IGNORE, IGNORE, IGNORE]


def test_service_that_is_not_allowed():
    """Refused at the account phase; whoever opens all the same is refused again, and leashed."""
    directory = stack('vsftpd')
    mark = host.log_mark()
    seen = drive(machine.TENANT, 'account', 'open', *child('alice'), 'fork', 'setuid=3001', 'done', 'close',
                 directory=directory, service='vsftpd')
    assert refusal(seen) == [DENIED, SYSTEM_ERR]
    assert seen.children == ['exit 254', 'exit 0']
    assert seen.codes('setuid') == [1]
    assert seen.said == ['This account may not use this service.', stub.SENTENCE]
    host.log_has(mark, 'vsftpd.*AllowServices')


@pytest.mark.parametrize('user', PLAIN_USERS)
def test_service_that_is_not_allowed_for_others(user):
    seen = drive(user, 'account', 'open', 'close', directory=stack('vsftpd'), service='vsftpd')
    assert codes(seen) == [IGNORE, IGNORE, IGNORE]


# messages

def test_silence():
    """PAM_SILENT: the same answers without a word."""
    seen = drive(machine.TENANT, 'silent=1', 'account', 'open', directory=stack('vsftpd'), service='vsftpd')
    assert refusal(seen) == [DENIED, SYSTEM_ERR]
    assert seen.said == []
    seen = drive(machine.TENANT, 'silent=1', 'account', 'open', directory=stack(account='x', open='x'))
    assert refusal(seen) == [SYSTEM_ERR, SYSTEM_ERR]
    assert seen.said == []


def test_one_sentence_each():
    seen = drive(machine.TENANT, 'account', 'open', *child('alice'), directory=stack(account='x', open='x'))
    assert seen.said == [stub.SENTENCE] * 2


# conf=

def config_dir(text):
    directory = machine.DIR / f'conf{next(machine.NUMBER)}'
    directory.mkdir()
    (directory / 'sessbox.conf').write_text(text)
    return directory


def lines_with(argument):
    return {'account': argument, 'open': f'open join=cred {argument}', 'close': f'close {argument}'}


def test_other_configuration():
    """Who is a tenant is a matter of the directory that the lines name."""
    elsewhere = config_dir('[c]\nMatchUsers=carol\nContain=yes\n')
    directory = stack(**lines_with(f'conf={elsewhere}'))
    seen = drive('carol', 'account', 'open', *child('carol'), 'close', directory=directory)
    assert codes(seen) == [SUCCESS, SUCCESS, SUCCESS]
    assert seen.children == ['exit 0']
    seen = drive('alice', 'account', 'open', 'close', directory=directory)
    assert codes(seen) == [IGNORE, IGNORE, IGNORE]


@pytest.mark.parametrize('text', [None, '[c]\nNoSuchKey=1\n'], ids=['missing', 'broken'])
def test_no_configuration(text):
    """Nobody can say who is a tenant: the system's accounts enter, the others do not."""
    elsewhere = config_dir(text) if text else '/nonexistent'
    directory = stack(**lines_with(f'conf={elsewhere}'))
    for user in (machine.TENANT, machine.PLAIN):
        seen = drive(user, 'account', 'open', *child(user), 'close', directory=directory)
        assert refusal(seen) == [SYSTEM_ERR, SYSTEM_ERR]
        assert seen.children == ['exit 0'], 'sealed off, see test_seal.py'
        assert len(seen.said) == 2
    for user in ('root', machine.SYSTEM):
        seen = drive(user, 'account', 'open', *child(user), 'close', directory=directory)
        assert codes(seen) == [IGNORE, IGNORE, IGNORE]
        assert seen.children == ['exit 0']


# the order of calls

def test_double_open():
    """The second is refused and changes nothing: the first goes on as if it had not been."""
    mark = host.log_mark()
    seen = drive(machine.TENANT, 'account', 'open', 'state=once', 'open', 'state=twice', *child('alice'),
                 'close', 'fork', 'setuid=3001', 'done')
    assert seen.codes('open') == [SUCCESS, SYSTEM_ERR]
    assert machine.changed(seen.state('once'), seen.state('twice'), ('fd/',)) == {}
    assert seen.children == ['exit 0', 'exit 0']
    assert seen.codes('setuid') == [0]
    host.log_has(mark, 'opened twice')


def test_two_lines_open():
    """su-l, say, includes su: the stack as a whole is refused, and no session stays."""
    directory = stack()
    text = (directory / 'sshd').read_text()
    line = next(line for line in text.splitlines() if line.endswith('open join=cred'))
    twice = line.replace('success=done', 'success=ok') + '\n' + line
    (directory / 'sshd').write_text(text.replace(line, twice))
    seen = drive(machine.TENANT, 'open', 'close', directory=directory)
    assert seen.code('open') == SYSTEM_ERR


def test_close_twice():
    seen = drive(machine.TENANT, 'account', 'open', 'close', 'state=once', 'close', 'state=twice')
    assert seen.codes('close') == [SUCCESS, SUCCESS]
    assert machine.changed(seen.state('once'), seen.state('twice')) == {}


def test_open_again_after_close():
    seen = drive(machine.TENANT, *ALL, *ALL[1:], *ALL[1:])
    assert seen.codes('open') == [SUCCESS] * 3
    assert seen.children == ['exit 0'] * 3
    assert seen.codes('close') == [SUCCESS] * 3


CLOSERS = {
    'plain': ['fork', 'close', 'done'],
    'in the container': child('alice', 'close'),
    'as the tenant': child('alice', 'setgid=2000', 'setuid=3001', 'close'),
    'exec': ['fork', 'exec', 'start=sshd:alice:{}', 'close', 'end', 'done'],
    'twice removed': ['fork', 'fork', 'close', 'done', 'done'],
}


@pytest.mark.parametrize('name', CLOSERS)
def test_close_in_another_process(name):
    """It ends nothing: the caller's session stays until the caller's own close."""
    directory = stack()
    mark = host.log_mark()
    words = [word.format(directory) for word in CLOSERS[name]]
    driver = begin(machine.TENANT, 'account', 'open', *words, 'state=before', 'sync=now',
                   *child('alice', 'state=in'), 'close', directory=directory)
    driver.until('now')
    sessions = list((host.RUN / 'u3001/sessions').glob('[0-9]'))
    sessions += list((host.RUN / 'u3001/sessions').glob('[0-9]*[0-9]'))
    assert sessions, list((host.RUN / 'u3001').rglob('*'))
    driver.go_on()
    assert driver.end() == 0
    assert driver.children[-1] == 'exit 0'
    assert driver.state('in')['ns/mnt'] != driver.state('before')['ns/mnt']
    assert set(driver.codes('close')) <= {SUCCESS, IGNORE}
    assert not [line for line in host.log_since(mark) if 'pam_sessbox' in line]


@pytest.mark.parametrize('last', ['exit', 'vanish'])
def test_close_never(last):
    """The caller is gone: its container ends, and the next login takes the records along."""
    words = ['vanish'] if last == 'vanish' else []
    driver = begin(machine.TENANT, 'account', 'open', *child('alice'), 'sync=now', *words)
    driver.until('now')
    assert machine.named('sessbox-init')
    driver.go_on()
    assert driver.end() == (-9 if words else 0)
    machine.wait_for_end()
    clean_up_by_login()


def clean_up_by_login():
    seen = drive(machine.TENANT, *ALL)
    assert codes(seen) == [SUCCESS, SUCCESS, SUCCESS]
    assert not list((host.RUN / 'u3001/sessions').glob('*'))


def test_loaded_again():
    """pam_end unloads the module, a new pam_start loads it with nothing of the old."""
    directory = stack()
    again = [f'start=sshd:alice:{directory}', *ALL, 'state=loaded', 'end', 'state=unloaded']
    seen = drive(machine.TENANT, 'end', *again, *again, *again, directory=directory)
    assert seen.codes('open') == [SUCCESS] * 3
    assert seen.children == ['exit 0'] * 3
    assert seen.state('loaded')['module'] == '1'
    assert seen.state('unloaded')['module'] == '0'


def test_unloaded_with_a_session_open():
    """The leash outlives the module; an open of the newly loaded one is refused, and nothing is undone."""
    directory = stack()
    seen = drive(machine.TENANT, 'open', 'end', f'start=sshd:alice:{directory}', 'open', *child('alice'),
                 'fork', 'setuid=3001', 'done', 'close', directory=directory)
    assert seen.codes('open') == [SUCCESS, SYSTEM_ERR]
    assert seen.children[0] == 'exit 254'
    assert seen.codes('setuid') == [1]
    machine.wait_for_end()
    clean_up_by_login()
