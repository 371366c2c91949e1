# SPDX-License-Identifier: LGPL-2.1-or-later
"""8. The services, continued: login, shadow's of Debian 12 and util-linux' of Debian 13, on what they
are started on: a pts, a serial line, a virtual terminal."""
import contextlib
import fcntl
import os
import struct
import termios
import time
import tty
from pathlib import Path

import box
import host
from cases import case
from services import PASSWORD, contains, outside, shell
from term import Term

TIOCGPTN = 0x80045430
TIOCVHANGUP = 0x5437
LOGIN = Path('/usr/bin/login')
UTIL_LINUX = b'util-linux' in LOGIN.read_bytes()
SERIAL = '/dev/ttyS1', '/dev/ttyS2'  # in the virtual machine: two serial lines with a cable between


class Serial:
    """The cable of the virtual machine."""

    def __init__(self):
        self.near, far = SERIAL
        self.far = os.open(far, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.far)
        termios.tcflush(self.far, termios.TCIOFLUSH)

    def stop(self):
        """The end that is a terminal is closed as one."""


class Bind:
    """Where there is none: a pts with a name as a line has it."""

    def __init__(self):
        self.near = '/dev/tty97'
        self.far, self.slave = os.openpty()
        Path(self.near).touch()
        box.run('mount', '--bind', os.ttyname(self.slave), self.near)

    def stop(self):
        os.close(self.slave)
        box.run('umount', '-l', self.near)
        Path(self.near).unlink()


def cable():
    """A terminal with a name of its own, for as long as the case lasts, and what is at its other end."""
    made = Serial() if host.IN_VM else Bind()
    box.CLIENTS.append(made)
    return made


class Line(Term):
    """The far end of a cable, and a program at the near one, the leader of a session there."""

    def __init__(self, ends, argv):
        self.seconds = 20 * host.SLOW
        self.text = ''
        self.near, self.fd = ends.near, ends.far
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            end = os.open(self.near, os.O_RDWR)  # its controlling terminal from here on
            for fd in range(3):
                os.dup2(end, fd)
            os.environ['TERM'] = 'vt100'
            os.execvp(argv[0], argv)
        box.CLIENTS.append(self)

    def closed(self):
        """There is no end of a file on a line."""
        pid, status = host.wait_for('the end on the line', lambda: self.drained() and self.reaped(), 20)
        assert pid == self.pid
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def drained(self):
        while self.more(time.monotonic()):
            pass
        return True

    def reaped(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return (pid, status) if pid else None


def hang_up(term):
    """As when the terminal's window is closed, or the modem drops the line."""
    if isinstance(term, Line):
        near = os.open(term.near, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        fcntl.ioctl(near, TIOCVHANGUP)
        os.close(near)
    else:
        os.close(term.fd)
        term.fd = os.open('/dev/null', os.O_RDWR)


def getty(*options):
    ends = cable()
    return Line(ends, ['agetty', '--local-line', '--noissue', '--noclear', '--nohostname', *options,
                       '115200', Path(ends.near).name, 'vt100'])


def login():
    """Debian's login as getty starts it: on a terminal of the host's, util-linux' on a line, for it
    takes no other."""
    term = getty('--autologin', 'alice') if UTIL_LINUX else shell(['login', '-f', 'alice'])
    term.expect(r'[$] $')
    term.send('exec env PS1="READY " bash --norc --noprofile -i\n')
    term.expect('READY $')
    return term


@case(8)
@contains('login')
def login_is_inside():
    with box.session('alice') as alice:
        there = alice('readlink /proc/self/ns/pid /proc/self/ns/mnt; hostname; id').out
        term = login()
        status, text = term.run('readlink /proc/self/ns/pid /proc/self/ns/mnt; hostname; id')
        assert status == 0 and text == there and text.split()[0] != outside(), (text, there)
        term.send('exit 3\n')
        term.closed()


@case(8)
@contains('login')
def login_has_its_terminal_and_owns_it():
    term = login()
    status, name = term.run('tty')
    assert status == 0 and name.startswith(term.near if UTIL_LINUX else '/dev/pts'), name
    assert not name.startswith('/dev/pts/'), name
    assert term.run('test -O "$(tty)" -a -w "$(tty)"')[0] == 0
    assert box.the_session('alice')['service'] == 'login'
    term.send('exit\n')
    term.closed()


@case(8, same_by_design=True)
@contains('login')
def login_has_job_control():
    term = login()
    term.send('sleep 1000\n')
    host.wait_for('sleep runs', lambda: host.in_front('alice', 'sleep'))
    term.send('\x1a')
    term.expect('Stopped')
    term.expect('READY $')
    term.send('fg\n')
    term.expect('sleep 1000')
    host.wait_for('sleep goes on', lambda: host.in_front('alice', 'sleep'))
    term.send('\x03')
    term.expect('READY $')
    term.send('exit\n')
    term.closed()


def records_of(line):
    """What utmp has for a terminal, as (user, pid)."""
    return [(user, pid) for user, place, pid in host.login_records() if place == line]


def terminal_of(term):
    if isinstance(term, Line):
        return Path(term.near).name
    number = fcntl.ioctl(term.fd, TIOCGPTN, bytes(4))
    return f'pts/{struct.unpack("i", number)[0]}'


@case(8, same_by_design=True)
@contains('login')
def login_is_recorded_under_its_terminal():
    term = login()
    line = terminal_of(term)
    assert f'alice    {line}' in box.run('who').out
    if not UTIL_LINUX:  # Debian 13 has no utmp, where who asks logind, and its login writes no wtmp
        # of a login that was killed its record stays
        mine = [(user, pid) for user, pid in records_of(line) if Path(f'/proc/{pid}').exists()]
        assert [user for user, _ in mine] == ['alice'], (line, records_of(line))
        last = box.run('last', '-n', '1', 'alice').out
        assert line in last and 'still logged in' in last, last
    term.send('exit\n')
    term.closed()
    if not UTIL_LINUX and box.STATE['contained']:
        host.wait_for('the record is dead', lambda: mine[0] not in records_of(line))


@case(8)
@contains('login')
def a_hangup_of_logins_terminal_ends_the_session():
    term = login()
    term.run('(nohup setsid sleep 1000 >/dev/null 2>&1 </dev/null &)')
    hang_up(term)
    host.wait_for('its processes are gone', lambda: not host.of_user('alice'))
    host.wait_for('gc finds it', lambda: box.sessctl('gc').rc == 0 and not box.containers())


@contextlib.contextmanager
def login_of_util_linux():
    """By what the helper knows it from shadow's, where that is Debian's: its own name in the program."""
    if UTIL_LINUX:
        yield
        return
    copy = box.DIR / 'login'
    copy.write_bytes(LOGIN.read_bytes() + b'util-linux')
    copy.chmod(0o755)
    box.run('mount', '--bind', str(copy), str(LOGIN))
    try:
        yield
    finally:
        box.run('umount', '-l', str(LOGIN))


@case(8)
@contains('login')
def a_login_that_reopens_its_terminal_is_refused_on_a_pts():
    """Inside, that name would be nobody's terminal, or another one of the tenant's."""
    mark = host.log_mark()
    box.config(tenants={'OnFailure': 'allow'})  # which is not for what a tenant can choose
    with login_of_util_linux():
        begun = time.monotonic()
        term = shell(['login', '-f', 'alice'])
        term.closed()
    assert 'cannot be set up' in term.text, term.text
    assert time.monotonic() - begun < 10 * host.SLOW
    host.log_has(mark, 'opens its terminal by name')


def login_on(ends, command):
    """What one sees there of a login that gives a command and leaves."""
    with login_of_util_linux():
        term = Line(ends, ['login', '-f', 'alice'])
        term.expect(r'[$] $')  # util-linux' login forgets what was typed before
        term.send(f'{command}; echo o""ver\n')
        seen = term.expect(r'(?s)^(.*)over')[1]
        term.send('exit\n')
        term.closed()
    return seen


@case(8)
@contains('login')
def a_terminal_with_a_name_of_its_own_keeps_it():
    ends = cable()
    text = login_on(ends, 'tty; readlink /proc/self/ns/pid; ls /dev')
    lines = [line.split('\r')[-1] for line in text.replace('\r\n', '\n').split('\n')]
    assert ends.near in lines and outside() not in text and 'pts97' not in text, text


@case(8)
@contains('login')
def a_terminal_does_not_stay_in_a_container_that_lingers():
    """Its name may be somebody else's next."""
    ends = cable()
    box.config(tenants={'LingerSec': '30'})
    assert ends.near in login_on(ends, 'tty')
    host.wait_for('lingering', lambda: box.the_container('alice')['state'] == 'lingering')
    assert Path(ends.near).exists()
    assert box.out_of('alice', f'test ! -e {ends.near} && echo off') == 'off'
    box.sessctl('terminate', 'alice')


@case(8)
@contains('login')
def an_allowed_device_that_was_his_terminal_stays():
    ends = cable()
    box.config(tenants={'DeviceAllow': ends.near})
    with box.session('alice') as alice:
        text = login_on(ends, 'tty; readlink /proc/self/ns/pid')
        assert ends.near in text and outside() not in text and alice(f'ls {ends.near}').out == f'{ends.near}\n', text


# gettys: what the virtual machine has hardware for

def of_the_machine(add):
    return add if host.IN_VM else lambda run: run


@of_the_machine(case(8))
@contains('login')
def a_getty_on_a_serial_line_leads_inside():
    box.run('chpasswd', input=f'alice:{PASSWORD}\n')
    try:
        term = getty()
        term.expect('login: ')
        term.send('alice\r')
        term.expect('Password: ')
        term.send(f'{PASSWORD}\r')
        term.expect(r'[$] $')
        term.send('exec env PS1="READY " bash --norc --noprofile -i\n')
        term.expect('READY $')
        assert term.run('tty') == (0, f'{term.near}\n')
        assert term.run('readlink /proc/self/ns/pid')[1].strip() != outside()
        assert term.run('ps -o tty= -p $$')[1].strip() == Path(term.near).name
        assert term.run('stty -a | grep -c "speed 115200"') == (0, '1\n')
        term.send('exit\n')
        term.closed()
    finally:
        box.run('usermod', '-p', '!', 'alice')


def type_on(place, text):
    """As from the keyboard."""
    fd = os.open(place, os.O_RDWR | os.O_NOCTTY)
    for letter in text:
        fcntl.ioctl(fd, termios.TIOCSTI, letter.encode())
    os.close(fd)


@of_the_machine(case(8))
@contains('login')
def a_getty_on_a_virtual_terminal_leads_inside():
    place, seen = '/dev/tty9', box.home('alice') / 'seen'
    process = box.client(['setsid', 'agetty', '--autologin', 'alice', '--noclear', Path(place).name, 'linux'])
    host.wait_for('alice is in', lambda: host.of_user('alice'))
    type_on(place, f'{{ tty; readlink /proc/self/ns/pid; ps -o tty= -p $$; }} >new; mv new {seen.name}; exit\n')
    process.wait(20 * host.SLOW)
    name, inside, shown = seen.read_text().split()
    seen.unlink()
    assert (name, shown) == (place, Path(place).name) and inside != outside(), (name, inside, shown)
