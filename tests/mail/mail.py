# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mail server of the machine, exim or postfix: mail for a tenant, and what became of it."""
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import box
import host

Server = namedtuple('Server', 'name program configuration queue')
SERVERS = [
    Server('exim', 'exim4', Path('/etc/exim4'), ['exim4', '-bp']),
    Server('postfix', 'postfix', Path('/etc/postfix'), ['postqueue', '-p']),
]
SERVER = next((server for server in SERVERS if shutil.which(server.program, path='/usr/sbin')), None)
KEPT = Path('/var/lib/sessbox-test/mail.kept')
MARK = 'ran'
# What the tenant has the server run: says where it is.
PROGRAM = f'''#!/bin/sh
{{ readlink /proc/self/ns/mnt; id -un; cat /proc/self/cgroup; }} >/home/alice/{MARK}.new
mv /home/alice/{MARK}.new /home/alice/{MARK}
cat >/dev/null
'''


def reload():
    """Exim is started anew for each mail; postfix' processes are told."""
    if SERVER.name == 'postfix':
        box.run('postfix', 'reload')
    else:
        box.run('update-exim4.conf')


@contextlib.contextmanager
def as_installed():
    box.run('rm', '-rf', str(KEPT))
    shutil.copytree(SERVER.configuration, KEPT, symlinks=True)
    if SERVER.name == 'postfix':
        box.run('postfix', 'start')
    try:
        yield
    finally:
        box.run('cp', '-a', f'{KEPT}/.', str(SERVER.configuration))
        reload()
        if SERVER.name == 'postfix':
            box.run('postfix', 'stop')
        empty()


def queue():
    return box.run(*SERVER.queue, check=False).out


def boxes():
    """All that lies in mailboxes."""
    return ''.join(path.read_text(errors='replace') for path in sorted(Path('/var/mail').iterdir()) if path.is_file())


def empty():
    if SERVER.name == 'postfix':
        box.run('postsuper', '-d', 'ALL')
    else:
        waiting = [line.split()[2] for line in queue().splitlines() if '<' in line]
        if waiting:
            box.run('exim4', '-Mrm', *waiting)
    for path in Path('/var/mail').iterdir():
        path.write_text('')


def plant(**files):
    """The tenant writes them, in a login: '_x' for ~/.x."""
    with box.session('alice') as alice:
        assert alice('rm -f .forward .procmailrc ran; cat >run; chmod 755 run', stdin=PROGRAM).rc == 0
        for name, text in files.items():
            assert alice(f'cat >{name.replace("_", ".")}', stdin=text).rc == 0


def send(user='alice'):
    """Root sends him a mail; its one word. It has been dealt with when this returns."""
    word = f'word{time.monotonic_ns()}'
    text = f'From: root@localhost\nTo: {user}@localhost\nSubject: {word}\n\n{word}\n'
    now = ['-odf'] if SERVER.name == 'exim' else []
    subprocess.run(['/usr/sbin/sendmail', '-i', *now, f'{user}@localhost'], input=text, text=True, check=True)
    host.wait_for('the mail is delivered, or kept', lambda: done(word), 20)
    return word


@contextlib.contextmanager
def listening():
    """With its daemon, that takes mail from whoever reaches the loopback device."""
    if SERVER.name == 'exim':
        box.run(*(('systemctl', 'start', 'exim4') if host.IN_VM else ('exim4', '-bd')))
    host.wait_for('the server listens', lambda: box.answers(25))
    try:
        yield
    finally:
        if SERVER.name == 'exim' and host.IN_VM:
            box.run('systemctl', 'stop', 'exim4')
        elif SERVER.name == 'exim':
            os.kill(int(Path('/run/exim4/exim.pid').read_text()), signal.SIGTERM)
            host.wait_for('the server listens no more', lambda: not box.answers(25))


def send_from_inside(inside):
    """The tenant himself sends it, in a login; what comes back goes to bob."""
    word = f'word{time.monotonic_ns()}'
    done = inside(f"""python3 -c 'import smtplib
with smtplib.SMTP("127.0.0.1", local_hostname="localhost") as server:
    server.sendmail("bob@localhost", "alice@localhost", "Subject: {word}\\n\\n{word}\\n")'""")
    assert done.rc == 0, done
    return word


def done(word):
    """Postfix is through when nothing of it is on its way; what it put off stays in the queue."""
    if SERVER.name == 'exim':
        return True
    return '*' not in queue() and (word in boxes() or 'Mail queue is empty' in queue() or '(' in queue())


def ran():
    """Where the program was: its mount namespace, its user, its cgroups; None: it has not run."""
    try:
        namespace, user, *cgroups = (box.home('alice') / MARK).read_text().splitlines()
    except FileNotFoundError:
        return None
    return namespace, user, cgroups


def ran_on_the_host():
    seen = ran()
    if not seen:
        return False
    assert seen[0] == os.readlink('/proc/self/ns/mnt') and seen[1] == 'alice', seen
    assert not [line for line in seen[2] if 'u3001' in line], seen
    return True


def findings():
    return [row for row in box.answer_of('check')['findings'] if row['check'] == 'mail']


def finding(words):
    rows = [row for row in findings() if words in row['what']]
    assert len(rows) <= 1, rows
    return rows[0] if rows else None


# the hole, and how it is shut

RUN = '/home/alice/run'
NAMED = '.forward names'  # what the finding says, whichever the server


def put_right(row):
    """As the administrator would who copies it."""
    assert row['severity'] == 'warning' and row['fix'], row
    print(box.run('sh', '-c', row['fix'], check=False, input='y\n'))


def deliver():
    (box.home('alice') / MARK).unlink(missing_ok=True)
    return send()


def is_open():
    deliver()
    host.wait_for('the program runs, on the host', ran_on_the_host)


def is_shut():
    """It does not run, and the mail is not lost: it is in a mailbox, or has come back to root."""
    word = deliver()
    assert word in boxes(), queue()
    assert not ran()


def shuts_for_good():
    row = finding(NAMED)
    assert row, findings()
    put_right(row)
    assert not finding(NAMED), findings()
    is_shut()
