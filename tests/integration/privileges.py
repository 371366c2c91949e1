# SPDX-License-Identifier: LGPL-2.1-or-later
"""12. What a tenant may be given back: privileges, capabilities, groups. Fewer by default than anything here."""
import ctypes
import grp
import socket

import box
import host
from cases import case

NET_RAW, CHOWN, LAST = 1 << 13, 1 << 0, 40
KEPT_ANYWAY = {'tenants', 'users', 'project'}  # of alice's groups


def status(run):
    """The fields of /proc/self/status that are numbers in hex, and NoNewPrivs."""
    lines = dict(line.split(':\t', 1) for line in run('cat /proc/self/status').out.splitlines() if ':\t' in line)
    found = {key: int(lines[key], 16) for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs')}
    return found


def only_bounding(seen, bounding, no_new_privs):
    want = {'CapInh': 0, 'CapPrm': 0, 'CapEff': 0, 'CapAmb': 0, 'CapBnd': bounding, 'NoNewPrivs': no_new_privs}
    assert seen == want, seen


@case(12)
def no_privileges_by_default():
    with box.session('alice') as alice:
        only_bounding(status(alice), 0, 1)


@case(12)
def capabilities_of_the_bounding_set():
    box.config(tenants={'CapabilityBoundingSet': 'CAP_NET_RAW cap_chown'}, rest={
        'MatchUsers': 'bob', 'CapabilityBoundingSet': '~CAP_SYS_ADMIN'})
    ours = int(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('CapBnd')), 16)
    with box.session('alice') as alice, box.session('bob') as bob:
        only_bounding(status(alice), (NET_RAW | CHOWN) & ours, 1)
        only_bounding(status(bob), ours & ~(1 << 21) & ((1 << (LAST + 1)) - 1), 1)
        # a key of the session: the next one into the same container goes by what is written then
        box.config()
        text = box.out_of('alice', 'grep CapBnd /proc/self/status')
        assert int(text.split()[1], 16) == 0, text
        only_bounding(status(alice), (NET_RAW | CHOWN) & ours, 1)


@case(12)
def new_privileges_are_a_matter_of_the_configuration():
    box.config(tenants={'NoNewPrivileges': 'no'}, rest={'MatchUsers': 'bob', 'NoNewPrivileges': 'yes'})
    with box.session('alice') as alice, box.session('bob') as bob:
        only_bounding(status(alice), 0, 0)
        only_bounding(status(bob), 0, 1)
        # nosuid still holds: a set-user-ID program runs as its user
        assert alice('test -u /usr/bin/su && head -c0 /etc/shadow').rc != 0
        alice('cp /usr/bin/id /tmp/id 2>/dev/null; chmod 4755 /tmp/id')
        assert 'euid' not in alice('/tmp/id').out
    found = [f['what'] for f in box.answer_of('check')['findings'] if f['check'] == 'configuration']
    assert [text for text in found if 'NoNewPrivileges' in text and '[tenants]' in text], found
    assert not [text for text in found if '[rest]' in text], found


def groups_inside(run):
    return set(run('id -Gn').out.split()) - {run('id -gn').out.strip()}


@case(12)
def groups_with_power_are_kept_if_they_are_named():
    box.config(tenants={'AllowGroups': 'docker disk shadow'})
    with box.session('alice') as alice, box.session('bob') as bob:
        assert groups_inside(alice) == KEPT_ANYWAY | {'docker', 'disk'}, groups_inside(alice)
        gids = {grp.getgrnam(name).gr_gid for name in ('docker', 'disk')}
        kernel = {int(g) for g in alice('grep ^Groups: /proc/self/status').out.split()[1:]}
        assert gids <= kernel and grp.getgrnam('adm').gr_gid not in kernel, kernel
        assert 'alice' in alice('grep ^disk: /etc/group').out and 'alice' not in alice('grep ^adm: /etc/group').out
        assert groups_inside(bob) == {'tenants'}  # who is not in a group does not get it
        # a key of the container: it holds from the next one on
        box.config()
        assert 'disk' in box.out_of('alice', 'id -Gn') and box.the_container('alice')['stale'] is True
    host.wait_for('alice is out', lambda: not box.containers('alice'))
    with box.session('alice') as alice:
        assert groups_inside(alice) == KEPT_ANYWAY
        assert alice('cat /etc/group').rc == 0


@case(12)
def groups_are_none_of_a_tenant_who_only_asks():
    box.config(tenants={'AllowGroups': 'disk'})
    with box.host_file('/srv/of-disk', 'secret\n', 0o640) as path, box.host_file('/srv/of-adm', 'secret\n', 0o640) as other:
        box.run('chgrp', 'disk', str(path))
        box.run('chgrp', 'adm', str(other))
        with box.session('alice') as alice:
            assert alice(f'cat {path}').out == 'secret\n'
            assert alice(f'cat {other}').rc != 0


def landlock():
    """Its version."""
    return ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)


TO_ABSTRACT = """python3 -c "
import socket, sys
name = chr(0) + sys.argv[1]
if len(sys.argv) > 2:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
socket.socket(socket.AF_UNIX).connect(name)
print('reached')" """


@case(12)
def abstract_sockets_are_the_sessions_own_if_asked_for():
    can = landlock() >= 6
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind('\0sessbox-of-the-host')
        listener.listen()
        assert box.out_of('alice', TO_ABSTRACT + 'sessbox-of-the-host') == 'reached'
        for privileges in ('yes', 'no'):
            box.config(tenants={'RestrictAbstractSockets': 'yes', 'NoNewPrivileges': privileges})
            mark = host.log_mark()
            with box.session('alice') as alice:
                done = alice(TO_ABSTRACT + 'sessbox-of-the-host')
                assert ('PermissionError' in done.err) == can and (done.out == 'reached\n') == (not can), done
                assert alice(TO_ABSTRACT + 'mine make').out == 'reached\n'
                assert alice('true').rc == 0 and box.the_session('alice')
            found = [row for row in box.answer_of('check')['findings'] if 'Landlock cannot' in row['what']]
            assert [row['severity'] for row in found] == ([] if can else ['error']), found
            if not can:
                host.log_has(mark, "'alice' contained: not in force.*RestrictAbstractSockets")


@case(12, same_by_design=True)
def one_whose_keys_are_used_up_gets_in():
    """Each session has a keyring, which counts among its user's keys."""
    with box.session('alice') as alice:
        try:
            assert int(alice(box.script('keys.py', 'fill')).out) > 10
            assert box.ssh('alice', 'echo in') == (0, 'in\n', '')
            assert int(alice(box.script('keys.py', 'fill')).out) < 3
        finally:
            alice(box.script('keys.py', 'clear'))
