# SPDX-License-Identifier: LGPL-2.1-or-later
"""5. Root and users no class matches get exactly the session they had without us."""
import re
from concurrent.futures import ThreadPoolExecutor

import box
import host
from cases import case

OF_THE_CONNECTION = ('SSH_CLIENT', 'SSH_CONNECTION', 'XDG_SESSION_ID')


def comparable(entry):
    """What a login is given, without the numbers that are another's at the next login anyway."""
    for name in OF_THE_CONNECTION:
        entry['env'].pop(name, None)
    entry['cgroup'] = [re.sub(r'session-c?\d+', 'session-N', line) for line in entry['cgroup']]
    entry['fds'] = {n: re.sub(r'\d+', 'N', target) for n, target in entry['fds'].items()}
    entry['mounts'] = sorted(' '.join(line.split()[3:]) for line in entry['mounts'])
    return entry


def same_session(user, tty):
    ours = comparable(box.probe(user, tty=tty))
    box.stack(without=tuple(box.LINES))
    theirs = comparable(box.probe(user, tty=tty))
    box.stack()
    different = {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}
    assert not different, different


def compare(user):
    same_session(user, False)
    same_session(user, True)


@case(5, same_by_design=True)
def root_has_the_same_session():
    compare('root')


@case(5, same_by_design=True)
def an_unmatched_user_has_the_same_session():
    compare('carol')


@case(5, same_by_design=True)
def a_system_user_has_the_same_session():
    compare('svc')


@case(5, same_by_design=True)
def an_excluded_tenant_has_the_same_session():
    box.config(tenants={'MatchUsers': '!alice'})
    compare('alice')


@case(5)
def only_tenants_are_listed():
    with box.session('root') as root, box.session('carol') as carol, box.session('alice') as alice:
        assert root('id -u').out + carol('id -un').out + alice('id -un').out == '0\ncarol\nalice\n'
        assert [s['user'] for s in box.sessions()] == ['alice']


@case(5, same_by_design=True)
def plain_logins_leave_no_record():
    before = host.run_tree() | host.cgroup_directories()
    with box.session('root') as root, box.session('carol') as carol:
        root('true'), carol('true')
        assert host.run_tree() | host.cgroup_directories() == before


@case(5, same_by_design=True)
def exit_codes_of_plain_logins_come_back():
    for user in ('root', 'carol'):
        assert box.ssh(user, 'exit 7').rc == 7 and box.ssh(user, 'exit 7', tty=True).rc == 7
    assert box.ssh('carol', 'kill -KILL $$').rc == 255


@case(5, same_by_design=True)
def plain_users_see_the_host():
    with box.host_file('/tmp/sessbox-marker'):
        with ThreadPoolExecutor(2) as pool:
            seen = list(pool.map(lambda user: box.out_of(user, 'cat /tmp/sessbox-marker; hostname; ls /home'),
                                 ('root', 'carol')))
    for text in seen:
        assert text.startswith('marker\n') and '-box' not in text and 'bob' in text.split()
