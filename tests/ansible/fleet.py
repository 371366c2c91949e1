# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hosts, each a sandbox with a network and an sshd of its own, and Ansible to manage them."""
import contextlib
import json
import os
import socket
import subprocess
import time
from collections import namedtuple
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NETWORKS = {'one': '10.83.1', 'two': '10.83.2'}
NAMES = tuple(NETWORKS)
PLAYBOOK = '''- hosts: all
  gather_facts: false
  roles: [sessbox]
'''
# What the kernel below a sandbox is set to is none of the host's.
ACCEPTED = [r'^fs\.protected_']

Result = namedtuple('Result', 'rc out')
Counts = namedtuple('Counts', 'changed failed')


def packages(release='deb'):
    return [str(next((TREE / 'build' / release).glob(f'{name}_*.deb'))) for name in ('libpam-sessbox', 'sessctl')]


class Host:
    def __init__(self, name, key):
        self.address = f'{NETWORKS[name]}.2'
        network = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.process = subprocess.Popen(
            [TREE / 'tests/sandbox', '--', HERE / 'host', str(network), name, NETWORKS[name], key],
            pass_fds=[network], stdin=subprocess.PIPE)
        os.close(network)

    def wait(self):
        for _ in range(300):
            assert self.process.poll() is None
            try:
                socket.create_connection((self.address, 22), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(self.address)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)


class Fleet:
    def __init__(self, directory):
        self.directory = directory
        self.key = directory / 'key'

    def __enter__(self):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', self.key], check=True)
        public = self.key.with_suffix('.pub').read_text().strip()
        self.hosts = {name: Host(name, public) for name in NAMES}
        try:
            for host in self.hosts.values():
                host.wait()
        except BaseException:
            self.__exit__()
            raise
        self.write('inventory', ''.join(
            f'{name} ansible_host={host.address} ansible_user=root ansible_python_interpreter=/usr/bin/python3\n'
            for name, host in self.hosts.items()))
        self.write('play.yml', PLAYBOOK)
        return self

    def __exit__(self, *_):
        for host in self.hosts.values():
            host.stop()

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def run(self, *argv):
        done = subprocess.run([str(word) for word in argv], cwd=self.directory, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env={
                                  'PATH': os.environ['PATH'], 'HOME': str(self.directory), 'LC_ALL': 'C.UTF-8',
                                  'ANSIBLE_ROLES_PATH': str(TREE / 'contrib/ansible/roles'),
                                  'ANSIBLE_HOST_KEY_CHECKING': 'no', 'ANSIBLE_PIPELINING': 'yes',
                                  'ANSIBLE_SSH_ARGS': '-F none -o ControlMaster=auto -o ControlPersist=10s'})
        return Result(done.returncode, done.stdout)

    def play(self, *options, **variables):
        """The role on all hosts; the result, and how many tasks changed something or failed, by host."""
        variables = {'sessbox_package_files': packages(), 'sessbox_accepted_findings': ACCEPTED, **variables}
        done = self.run('ansible-playbook', '-i', 'inventory', '--private-key', self.key, '-e', json.dumps(variables),
                        *options, 'play.yml')
        print(done.out)
        return done, {name: self.recap(done.out, name) for name in NAMES}

    @staticmethod
    def recap(output, name):
        line = next(line for line in output.splitlines() if line.startswith(f'{name} ') and 'changed=' in line)
        counts = dict(word.split('=') for word in line.split(':')[1].split())
        assert counts['unreachable'] == '0'
        return Counts(int(counts['changed']), int(counts['failed']))

    def way(self, name, user, command):
        return ['ssh', '-F', 'none', '-i', self.key, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no',
                '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR',
                f'{user}@{self.hosts[name].address}', command]

    def ssh(self, name, user, command):
        return self.run(*self.way(name, user, command))

    @contextlib.contextmanager
    def echo(self, name, user):
        """A login that stays; yields what sends a line there and back."""
        with subprocess.Popen(self.way(name, user, 'cat'), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as process:
            def there_and_back(line):
                process.stdin.write(line + '\n')
                process.stdin.flush()
                return process.stdout.readline().strip()
            yield there_and_back

    def on_all(self, command):
        """What root's command prints, by host."""
        return {name: self.ssh(name, 'root', command).out for name in NAMES}
