# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users whom a directory knows, while it works: their class, their home, and what they see of themselves
and of others inside, where there is neither sssd nor its cache."""
import os
import pwd
from pathlib import Path

import box
import directory
import host
from services import CLOSE, FORK, lines_in

ANN = 'ann@example.org'


def classes(**more):
    return box.config(orgs={'MatchGroups': r'domain\x20users@example.org', 'Contain': 'yes', 'Hostname': 'org'},
                      pupils={'MatchGroups': 'pupils', 'Contain': 'yes', 'Hostname': 'pupil'}, **more)


def test_a_group_of_the_directory_chooses_the_class():
    """With a blank and a domain in its name, as the primary group and as another; and by name of the user."""
    classes(ben={'MatchUsers': 'ben@example.org', 'Contain': 'yes', 'Hostname': 'by-name'})
    assert box.out_of(ANN, 'hostname') == 'org'
    assert box.out_of('cleo', 'hostname') == 'pupil'
    assert box.out_of('ben@example.org', 'hostname') == 'by-name'
    mine = box.out_of('dan', 'readlink /proc/self/ns/pid')
    assert mine == host.namespace('self', 'pid')  # in another group of the same domain
    box.config(orgs={'MatchGroups': r'domain\x20users@example.org !staff@example.org', 'Contain': 'yes'})
    assert box.out_of('ben@example.org', 'readlink /proc/self/ns/pid') == mine


def test_a_home_is_made_and_bound():
    for user in (ANN, 'cleo'):
        home = box.home(user)
        assert not home.exists() or os.listdir(home)
        box.run('rm', '-rf', str(home))
        classes()
        assert box.out_of(user, 'pwd; echo mine > file; ls -A ~').split()[:1] == [str(home)]
        assert (home / 'file').read_text() == 'mine\n' and (home / '.profile').exists()
        assert (home / 'file').stat().st_uid == pwd.getpwnam(user).pw_uid
        assert box.out_of(user, 'cat file') == 'mine'
        inside = box.out_of(user, f'ls {home.parent}').split('\n')
        assert inside == [home.name], inside


def test_a_tenant_sees_his_names():
    classes()
    seen = box.out_of(ANN, 'id -un; id -gn; id -Gn; stat -c %U:%G ~; whoami; echo ~; getent passwd 3151')
    lines = seen.split('\n')
    assert lines[0] == ANN and lines[1] == 'domain users@example.org', seen
    assert lines[2] == 'domain users@example.org students@example.org', seen
    assert lines[3] == f'{ANN}:domain users@example.org' and lines[4] == ANN, seen
    assert lines[5] == '/home/example.org/ann' and lines[6].startswith(f'{ANN}:x:3151:3150:'), seen
    # A group that the directory calls docker, in whatever domain, is as good as root for all we know.
    assert 'docker@example.org' in box.run('id', '-Gn', ANN).out
    groups = box.out_of('cleo', 'id -Gn').split()
    assert groups[0] == 'campus' and sorted(groups) == ['campus', 'project', 'pupils'], groups
    assert 'docker' in box.run('id', '-Gn', 'cleo').out.split()
    assert box.out_of('cleo', 'getent group project') == 'project:x:3167:cleo'


def test_a_tenant_sees_numbers_of_others_and_waits_for_nobody():
    classes()
    with box.host_file('/srv/of-dan'):
        os.chown('/srv/of-dan', 3162, 3169)
        assert box.out_of('cleo', 'stat -c %U:%G:%u:%g /srv/of-dan') == 'UNKNOWN:UNKNOWN:3162:3169'
    begin = 'import time, pwd, grp; begin = time.monotonic()\n'
    ask = 'for look in (lambda: pwd.getpwnam("dan"), lambda: pwd.getpwuid(3162), lambda: grp.getgrgid(3169),' \
          ' lambda: pwd.getpwnam("ann@example.org")):\n' \
          '    try: print(look())\n' \
          '    except KeyError: pass\n'
    end = 'print(time.monotonic() - begin)'
    said = box.ssh('cleo', 'exec python3 -', stdin=begin + ask + end)
    assert said.rc == 0 and float(said.out) < 0.5 * host.SLOW, said
    assert box.ssh('cleo', 'ls /var/lib/sss').out == ''
    assert box.ssh('cleo', 'ls /var/lib/sss/pipes').rc != 0


def test_passwords_of_the_directory():
    classes()
    for user, name in ((ANN, 'org'), ('cleo', 'pupil')):
        done = directory.by_password(user, 'hostname')
        assert done.rc == 0 and done.out == f'{name}\n', done
    refused = directory.by_password('cleo', 'hostname', 'wrong')
    assert refused.rc == 255 and 'Permission denied' in refused.err, refused
    with directory.down('slapd'):  # from sssd's cache
        done = directory.by_password('cleo', 'hostname')
        assert done.rc == 0 and done.out.endswith('pupil\n'), done


def test_root_becomes_one_of_them():
    classes()
    for user, name in ((ANN, 'org'), ('cleo', 'pupil')):
        assert box.out_of(user, 'hostname') == name  # his home is there
        with lines_in('su'), lines_in('su-l', lines=CLOSE):
            assert box.run('su', '-', user, '-c', 'hostname').out == f'{name}\n'
            assert box.run('su', user, '-c', 'id -un').out == f'{user}\n'
        with lines_in('runuser', lines={key: FORK[key] for key in ('close', 'open')}):
            assert box.run('runuser', '-u', user, '--', 'hostname').out == f'{name}\n'
        # sudo is never contained; that root asks for it is root's business
        assert box.run('sudo', '-u', user, 'readlink', '/proc/self/ns/pid').out.strip() == \
            host.namespace('self', 'pid')


def test_sessctl_knows_them():
    classes()
    assert box.sessctl('limit', ANN, 'TasksMax=77', '--runtime').rc == 0
    with box.session(ANN) as ann:
        assert box.the_session(ANN)['class'] == 'orgs' and host.tasks_max(ANN) == 77
        assert box.answer('show', ANN)['user'] == ANN
        assert ANN in ann('sessctl list --no-headings -o user').out
        assert 'orgs' in box.sessctl('policy', ANN).out
        assert box.sessctl('policy', 'cleo').out.startswith('cleo through sshd: class pupils, contained')
        assert not Path('/run/sessbox/u3161').exists()
        assert box.sessctl('terminate', ANN).rc == 0
