# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine that is booted again while a tenant is in, and one whose clock is set. From outside, since
the stock sshd and all that systemd orders take part."""
import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from vm import VM  # noqa: E402

# /home is a file system of its own, or nobody would see that it is unmounted.
SET_UP = r'''
set -e
truncate -s 64M /srv/home.img
mke2fs -q -t ext4 /srv/home.img
echo '/srv/home.img /home ext4 loop 0 0' >>/etc/fstab
systemctl daemon-reload
systemctl start home.mount
useradd -m -u 3001 -s /bin/bash alice
install -d -m 700 -o alice -g alice /home/alice/.ssh
install -m 600 -o alice -g alice /root/.ssh/authorized_keys /home/alice/.ssh/
cp /usr/share/doc/sessbox/examples/sshd.example /etc/pam.d/sshd
cat >/etc/security/sessbox.conf <<'END'
[tenants]
MatchUsers=alice
Contain=yes
TasksMax=50
TimeoutStopSec=3
TimeoutSec=60
END
systemctl enable --now sessbox-tenants
systemctl is-system-running --wait >/dev/null || systemctl is-active ssh
sessctl check >/dev/null || [ $? = 1 ]
'''
# One that takes its leave in the home, and one that does not care for signals and holds it. What a shell
# says to an sshd that has ended before would end it.
AT_WORK = r'''
cd ~
(trap '' TERM HUP; exec sleep 1000) &
trap 'echo told >told; sync; exit' TERM HUP
echo ready
exec >/dev/null 2>&1
while :; do echo >alive; sleep 0.1; done
'''
FOR = '/etc/security/sessbox.d/95-limit-3001-for.conf'


@pytest.fixture(scope='module')
def vm(tmp_path_factory):
    tar = tmp_path_factory.mktemp('stage') / 'push.tar'
    subprocess.run([HERE / 'stage', tar], check=True)
    with VM() as machine:
        machine.push(tar)
        machine.check(SET_UP)
        yield machine


@contextlib.contextmanager
def login(vm, script='echo ready; exec cat'):
    """A login of alice's through the stock sshd."""
    argv = ['ssh', '-F', 'none', '-p', str(vm.ssh_port), '-i', vm.key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes',
            '-o', 'ConnectTimeout=60', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
            '-o', 'LogLevel=ERROR', 'alice@127.0.0.1', script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout.readline() == 'ready\n'
            yield client
        finally:
            client.kill()


def tasks_max(vm):
    return vm.check('cat /sys/fs/cgroup/system.slice/sessbox-tenants.service/u3001/pids.max').strip()


def until(vm):
    return json.loads(vm.check('sessctl list --json'))['sessions'][0]['until']


def becomes(vm, value, seconds=60):
    end = time.monotonic() + seconds
    while tasks_max(vm) != value:
        assert time.monotonic() < end, f'TasksMax is {tasks_max(vm)}, not {value}'
        time.sleep(0.5)


def limit_for_an_hour(vm):
    vm.check("sessctl limit alice TasksMax=70 --for 1h --reason 'until the work is done'")
    return int(vm.check('date +%s')) + 3600


def set_clock(vm, moment):
    vm.check(f'date -s @{moment}')


def boot_again(vm):
    vm.reboot()
    vm.run('systemctl is-system-running --wait')  # 'degraded' will do
    vm.check('systemctl is-active ssh sessbox-tenants')


def is_there(vm, path):
    return vm.run(f'test -e {path}').rc == 0


def ends_told(vm):
    return vm.check('journalctl -b --no-pager').count('the limits that uid 3001 had until')


def line_of(journal, pattern):
    found = [n for n, line in enumerate(journal) if re.search(pattern, line)]
    assert len(found) == 1, (pattern, [journal[n] for n in found], journal[-60:])
    return found[0]


def test_a_tenant_is_ended_before_his_home_goes_and_his_limit_survives(vm):
    with login(vm, AT_WORK):
        assert tasks_max(vm) == '50'
        end = limit_for_an_hour(vm)
        assert tasks_max(vm) == '70'
        told = until(vm)
        boot_again(vm)
    journal = vm.check('journalctl -b -1 --no-pager -o short-monotonic').splitlines()
    ended = line_of(journal, r'Stopped sessbox-tenants\.service')
    unmounted = line_of(journal, r'Unmounted home\.mount')
    assert ended < unmounted
    stopping = line_of(journal, r'Stopping sessbox-tenants\.service')
    took = [float(re.search(r'\[ *([\d.]+)\]', journal[n])[1]) for n in (stopping, ended)]
    assert took[1] - took[0] < 30, took
    bad = [line for line in journal[stopping:] if re.search(
        r'(sessbox-tenants|sessbox-helper|sessctl).*([Ee]rror|[Ff]ailed)|home.*([Ff]ailed|busy)|timed out', line)]
    assert not bad, bad
    assert vm.check('cat /home/alice/told') == 'told\n', 'he could still write when he was told'
    assert json.loads(vm.check('sessctl list --json'))['sessions'] == []
    with login(vm):
        assert tasks_max(vm) == '70' and until(vm) == told
        assert abs(int(vm.check(f'date -d {told} +%s')) - end) < 60
        set_clock(vm, end - 600)
        time.sleep(5)
        assert tasks_max(vm) == '70' and is_there(vm, FOR)
        set_clock(vm, end + 60)
        becomes(vm, '50')
        assert not is_there(vm, FOR)


def test_a_clock_that_is_set_back_and_forth(vm):
    """A limit ends when the clock on the wall says so: later if that is set back, for good if it was
    ahead, and the log tells."""
    start, before = int(vm.check('date +%s')), ends_told(vm)
    with login(vm):
        end = limit_for_an_hour(vm)
        set_clock(vm, start - 7200)
        time.sleep(5)
        assert tasks_max(vm) == '70'
        set_clock(vm, end - 60)
        time.sleep(5)
        assert tasks_max(vm) == '70' and is_there(vm, FOR)
        set_clock(vm, end + 60)
        becomes(vm, '50')
        set_clock(vm, start)
        time.sleep(5)
        assert tasks_max(vm) == '50' and not is_there(vm, FOR)
        assert ends_told(vm) == before + 1
    with login(vm):
        assert tasks_max(vm) == '50' and until(vm) is None


def test_a_limit_that_ended_while_the_machine_was_down(vm):
    with login(vm):
        end = limit_for_an_hour(vm)
    # Only what the machine's own clock says at the next boot.
    vm.check(f"hwclock --set --utc --date \"$(date -d @{end + 600} '+%F %T')\"")
    assert is_there(vm, FOR)
    boot_again(vm)
    assert int(vm.check('date +%s')) > end and is_there(vm, FOR)
    with login(vm):
        assert tasks_max(vm) == '50' and until(vm) is None
    assert 'had until' in vm.check('sessctl gc')
    assert not is_there(vm, FOR)
