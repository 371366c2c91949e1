# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each key of the configuration has a test that fails when the key is ignored.

For each key a case of tests/integration, or one of those below, is run with a helper that reads the key
and forgets it (tests/lib/ignore.c). The case has to fail; that it passes otherwise is shown by
tests/integration, and for those below here."""
import contextlib
import importlib
import re
from pathlib import Path

import pytest

import box
import host
from cases import CASES

HERE = Path(__file__).resolve().parent
TABLE = box.TREE / 'src/core/config_keys.c'
IGNORED = Path('/run/sessbox-ignored-key')

for path in sorted((HERE.parent / 'integration').glob('*.py')):
    if re.search('^from cases import case$', path.read_text(), re.M):
        importlib.import_module(path.stem)  # fills the table


# cases for keys that no case of tests/integration is about

def limit(key, text, value, **others):
    """In force in the kernel; where it cannot be, the log of each login says so."""
    def run():
        box.config(tenants={key: text, **others})
        mark = host.log_mark()
        with box.session('alice'):
            row = box.only([row for row in box.answer('limit', 'alice')['limits'] if row['limit'] == key])
            if row['supported']:
                assert row['value'] == value, row
            else:
                host.log_has(mark, f'not in force.*{key}', 2)
    return run


def uids_match():
    box.config(numbers={'MatchUIDs': '3100', 'Contain': 'yes', 'Hostname': 'by-number'})
    assert box.out_of('carol', 'hostname') == 'by-number'


def services_match():
    box.config(others={'MatchUsers': 'alice', 'MatchServices': 'cron', 'Contain': 'no'})
    with box.session('alice'):
        box.the_session('alice')


def the_deadline_of_a_login():
    box.config(tenants={'TimeoutSec': '1'})
    try:
        with box.helper_is(box.FAULT_HELPER):
            box.FAULT.write_text('hang:open:1\n')
            assert box.ssh('alice', 'echo in', timeout=6).rc != 0
    finally:
        box.FAULT.unlink()
        box.out_of('alice', 'true')  # a killed helper's directory goes with the next login


def the_end_of_a_container():
    box.config(tenants={'TimeoutStopSec': '100ms'})
    box.out_of('alice', 'trap "" TERM HUP; sleep 630 >/dev/null 2>&1 </dev/null &')
    host.wait_for('the end of what ignores SIGTERM', lambda: not host.of_user('alice'), 2.5)


def by_name(name):
    return next(entry.run for entry in CASES if entry.name == name)


KEYS = {
    'MatchUsers': 'an-excluded-tenant-has-the-same-session',
    'MatchGroups': 'only-tenants-are-listed',
    'MatchUIDs': uids_match,
    'MatchServices': services_match,
    'Contain': 'only-tenants-are-listed',
    'OnFailure': 'on-failure-allow-lets-the-login-go-on-loudly',
    'AllowServices': 'service-is-not-allowed',
    'TimeoutSec': the_deadline_of_a_login,
    'Scope': 'each-session-has-a-container',
    'RuntimeMaxSec': 'a-container-ends-after-its-time-and-says-so-before',
    'MatchUntil': 'without-its-timer-the-next-login-ends-it',
    'Reason': 'a-limit-for-a-while-ends-by-itself',
    'SessionsMax': 'one-session-too-many-is-refused',
    'TimeoutStopSec': the_end_of_a_container,
    'KillUserProcesses': 'processes-outlive-the-last-logout',
    'LingerSec': 'an-empty-container-lingers',
    'RootDirectory': 'a-tree-is-the-root',
    'RootOverlay': 'an-overlay-on-tmpfs-is-gone-with-the-container',
    'RootOverlaySize': 'an-overlay-on-tmpfs-is-gone-with-the-container',
    'Home': 'a-private-home-is-kept-and-not-the-hosts',
    'BindPaths': 'bound-paths-are-there',
    'BindReadOnlyPaths': 'bound-paths-are-there',
    'TemporaryFileSystem': 'tmpfs-by-path-has-its-options',
    'ReadOnlyPaths': 'read-only-paths-are',
    'InaccessiblePaths': 'inaccessible-paths-are-empty',
    'DeviceAllow': 'allowed-devices-are-there',
    'ProtectProc': 'processes-of-others-can-be-invisible',
    'PrivateTmp': 'namespaces-can-be-left-shared',
    'TmpSize': 'tmp-has-its-size',
    'Hostname': 'hostname-is-own',
    'PrivateIPC': 'namespaces-can-be-left-shared',
    'PrivateUTS': 'namespaces-can-be-left-shared',
    'PrivateNetwork': 'network-is-own-when-asked',
    'NoNewPrivileges': 'new-privileges-are-a-matter-of-the-configuration',
    'RestrictAbstractSockets': 'abstract-sockets-are-the-sessions-own-if-asked-for',
    'CapabilityBoundingSet': 'capabilities-of-the-bounding-set',
    'AllowGroups': 'groups-with-power-are-kept-if-they-are-named',
    'ProxyCommands': 'crontab-edits-inside',
    'MemoryMax': 'cgroup-limits-stand-before-the-first-process',
    'MemoryHigh': limit('MemoryHigh', '300M', 300 << 20),
    'MemorySwapMax': limit('MemorySwapMax', '30M', 30 << 20, MemoryMax='100M'),
    'TasksMax': 'cgroup-limits-stand-before-the-first-process',
    'CPUQuota': limit('CPUQuota', '70%', 700000),
    'CPUWeight': limit('CPUWeight', '70', 70),
    'AllowedCPUs': 'cpus-are-those-allowed',
    'IOWeight': limit('IOWeight', '70', 70),
    'IOReadBandwidthMax': 'a-disk-has-ioread-bandwidth-max',
    'IOWriteBandwidthMax': 'a-disk-has-iowrite-bandwidth-max',
    'IOReadIOPSMax': 'a-disk-has-ioread-iopsmax',
    'IOWriteIOPSMax': 'a-disk-has-iowrite-iopsmax',
    'ClassMemoryMax': 'memory-of-a-class-as-a-whole',
    'ClassTasksMax': 'tasks-of-a-class-as-a-whole',
    'ClassCPUQuota': 'processor-time-of-a-class-as-a-whole',
}


# What the helper has no use for.
SHOWN = ('Reason',)


@contextlib.contextmanager
def ignoring(key):
    """Programs that may ignore the key stand in the helper's place, and in sessctl's."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(box.helper_is(box.FAULT_HELPER))
        if key in SHOWN:
            box.run('mount', '--bind', str(box.TREE / 'build/test/sessctl'), '/usr/bin/sessctl')
            stack.callback(box.run, 'umount', '-l', '/usr/bin/sessctl')
        yield


def run_of(key):
    return by_name(KEYS[key]) if isinstance(KEYS[key], str) else KEYS[key]


@contextlib.contextmanager
def the_box_as_always():
    before, mark = host.snapshot(), host.log_mark()
    box.begin(True)
    try:
        yield
    except BaseException:
        print('the log:', *host.log_since(mark)[-40:], sep='\n')
        raise
    finally:
        IGNORED.unlink(missing_ok=True)
        box.end()
        box.sessctl('terminate', '--all')
        host.settle(before)


def test_every_key_is_in_the_table():
    rows = re.search(r'^const struct sb_key sb_keys.*?^};', TABLE.read_text(), re.M | re.S)[0]
    assert set(KEYS) == set(re.findall(r'^\t\{ "([A-Za-z]+)", ', rows, re.M))


@pytest.mark.parametrize('key', [key for key in KEYS if not isinstance(KEYS[key], str)])
def test_with_the_key(key):
    with the_box_as_always(), ignoring(key):
        run_of(key)()


@pytest.mark.parametrize('key', KEYS)
def test_without_the_key(key):
    run = run_of(key)
    with the_box_as_always(), ignoring(key):
        IGNORED.write_text(key)
        with pytest.raises((AssertionError, KeyError)) as caught:
            run()
        print('ignored:', *str(caught.value).splitlines()[:1])
