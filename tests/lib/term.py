# SPDX-License-Identifier: LGPL-2.1-or-later
"""A terminal with a program on it, to type into and to wait for what it shows."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time


class Term:
    def __init__(self, argv, seconds, rows=24, cols=80):
        self.seconds = seconds
        self.text = ''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'xterm'
            os.execvp(argv[0], argv)
        self.resize(rows, cols)

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def more(self, until):
        """Read once; False when the program is gone or the time is up."""
        ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.text += data.decode(errors='replace')
        return bool(data)

    def expect(self, pattern):
        """Wait for the pattern in what has not been matched yet; what was read up to it is used up."""
        until = time.monotonic() + self.seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            assert self.more(until), f'{pattern!r} did not come, but {self.text!r}'

    def run(self, command):
        """A command of the shell there: its exit status and its output."""
        self.send(f'echo \'__\'; {command}; echo __"$?"__\n')
        found = self.expect(r'(?s)[\r\n]__\r\n(.*?)__(\d+)__\r\n')
        return int(found[2]), found[1].replace('\r\n', '\n')

    def closed(self):
        """Wait for the program's end; its exit status as the shell counts it."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            while self.more(until):  # until a hang-up, which login makes one of to begin with
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError(f'still running, last seen {self.text!r}')

    def stop(self):
        os.close(self.fd)  # a hang-up
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            self.pid = 0
