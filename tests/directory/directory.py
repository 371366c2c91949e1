# SPDX-License-Identifier: LGPL-2.1-or-later
"""A directory: Debian's slapd with some people in it, and sssd in front of it with two domains, one
whose names are written in full (ann@example.org) and one, campus, that shows no members of groups."""
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import box
import host

SUFFIX = 'dc=nodomain'
CONF = Path('/etc/sssd/sssd.conf')
PASSWORD = 'correct-horse'
# uid, and the groups beside the primary one; uids are within those that the box looks after.
PEOPLE = {
    'example.org': {'ann': (3151, ['students', 'docker']), 'ben': (3152, ['staff']), 'old': (950, ['students'])},
    'campus': {'cleo': (3161, ['pupils', 'project', 'docker']), 'dan': (3162, ['teachers']), 'eve': (3163, ['pupils'])},
}
GROUPS = {
    'example.org': {'domain users': 3150, 'students': 3158, 'staff': 3159, 'docker': 3157},
    'campus': {'campus': 3160, 'pupils': 3168, 'teachers': 3169, 'project': 3167, 'docker': 3166},
}
PRIMARY = {'example.org': 3150, 'campus': 3160}


def run(*argv, **options):
    return box.run(*argv, **options)


def ldif():
    for domain, groups in GROUPS.items():
        base = f'ou={domain},{SUFFIX}'
        yield f'dn: {base}\nobjectClass: organizationalUnit\n'
        people = PEOPLE[domain]
        for name, (uid, _) in people.items():
            yield (f'dn: uid={name},{base}\nobjectClass: account\nobjectClass: posixAccount\n'
                   f'cn: {name}\nuidNumber: {uid}\ngidNumber: {PRIMARY[domain]}\nloginShell: /bin/bash\n'
                   f'homeDirectory: /home/{domain}/{name}\nuserPassword: {PASSWORD}\n')
        for group, gid in groups.items():
            members = ''.join(f'memberUid: {name}\n' for name, (_, of) in people.items() if group in of)
            yield f'dn: cn={group},{base}\nobjectClass: posixGroup\ngidNumber: {gid}\n{members}'


def fill():
    run('systemctl', 'stop', 'slapd')
    run('slapadd', '-n', '1', input='\n'.join(ldif()))
    run('chown', '-R', 'openldap:', '/var/lib/ldap')


def configure(port=389, **more):
    """sssd's configuration: the directory's port, and what is to hold in each domain besides."""
    text = '[sssd]\nservices = nss, pam\ndomains = example.org, campus\n'
    particular = {'example.org': {'use_fully_qualified_names': 'true'},
                  'campus': {'ignore_group_members': 'true'}}
    for domain in PEOPLE:
        keys = {'id_provider': 'ldap', 'auth_provider': 'ldap', 'access_provider': 'permit',
                'ldap_uri': f'ldap://127.0.0.1:{port}', 'ldap_search_base': f'ou={domain},{SUFFIX}',
                'min_id': '500', 'cache_credentials': 'true',
                # passwords in the clear, on this machine alone
                'ldap_auth_disable_tls_never_use_in_production': 'true', **particular[domain], **more}
        text += f'\n[domain/{domain}]\n' + ''.join(f'{key} = {value}\n' for key, value in keys.items())
    box.replace(CONF, text, 0o600)


def restart_sssd(forget=True):
    """forget: as on the machine's first day."""
    run('systemctl', 'stop', 'sssd')
    if forget:
        run('sh', '-c', 'rm -rf /var/lib/sss/db/* /var/lib/sss/mc/*')
    run('systemctl', 'reset-failed')
    run('systemctl', 'start', 'sssd')


def set_up():
    fill()
    run('systemctl', 'start', 'slapd')
    run('pam-auth-update', '--enable', 'mkhomedir')
    configure()
    restart_sssd()
    run('useradd', '-m', '-s', '/bin/bash', '-u', '3190', '-G', 'sudo', 'ops')
    for name in ('ann@example.org', 'ben@example.org', 'old@example.org', 'cleo', 'dan', 'eve', 'ops'):
        (box.DIR / 'keys' / name).write_text((box.DIR / 'key.pub').read_text())


def by_password(user, command, password=PASSWORD):
    ask = box.DIR / 'askpass'
    box.replace(ask, f'#!/bin/sh\necho {password}\n', 0o755)
    env = {**os.environ, 'SSH_ASKPASS': str(ask), 'SSH_ASKPASS_REQUIRE': 'force'}
    opts = ['-o', 'PreferredAuthentications=password', '-o', 'PubkeyAuthentication=no']
    return box.ssh(user, command, opts=opts, env=env)


# what may go wrong with it

def pids(*pattern):
    """Of sssd's and slapd's processes; there is no other instance in the machine."""
    return [int(pid) for pid in box.run('pgrep', *pattern, check=False).out.split()]


def slapd():
    return pids('-x', 'slapd')


def responder():
    return pids('-x', 'sssd_nss')


@contextlib.contextmanager
def stopped(of):
    """Takes what is sent to it and does not answer."""
    held = of()
    assert held
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def down(unit):
    run('systemctl', 'stop', unit)
    try:
        yield
    finally:
        run('systemctl', 'reset-failed')
        run('systemctl', 'start', unit)


class Proxy:
    """In front of slapd, with a pause before each question is passed on."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(('127.0.0.1', 389))
                threading.Thread(target=self.carry, args=(near, far, self.seconds), daemon=True).start()
                threading.Thread(target=self.carry, args=(far, near, 0), daemon=True).start()

    @staticmethod
    def carry(source, sink, seconds):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(seconds)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


@contextlib.contextmanager
def slow(seconds, **more):
    """Each question takes so long; more: for sssd.conf. What sssd has seen it keeps."""
    proxy = Proxy(seconds)
    configure(proxy.port, **more)
    restart_sssd(forget=False)
    try:
        yield
    finally:
        proxy.close()
        configure()
        restart_sssd(forget=False)


def knows(name):
    return subprocess.run(['getent', 'passwd', name], stdout=subprocess.DEVNULL, check=False,
                          timeout=60 * host.SLOW).returncode == 0


def expire():
    """All that sssd has seen is out of date: it asks again, if it can."""
    run('sss_cache', '-E')


def forget():
    restart_sssd(forget=True)


def answers():
    """Back to the machine's first day with a directory that works."""
    for pid in [*slapd(), *pids('-f', '^/usr/(libexec/sssd|sbin)/sssd')]:
        os.kill(pid, signal.SIGCONT)
    run('systemctl', 'start', 'slapd')
    forget()
    host.wait_for('the directory answers', lambda: knows('cleo') and knows('ann@example.org'), 20)
