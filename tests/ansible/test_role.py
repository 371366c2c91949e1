# SPDX-License-Identifier: LGPL-2.1-or-later
"""The role on two hosts that have nothing of ours. It is one story: each test goes on where the last one ended."""
import json

from fleet import ACCEPTED, NAMES, packages

CONFIG = '/etc/security/sessbox.conf'
DROPIN = '/etc/security/sessbox.d/50-ansible.conf'
POLICY = '''[students]
MatchGroups=students
Contain=yes
AllowServices=sshd
Hostname=%u-box
TasksMax=60
'''
WRITTEN = '# Written by Ansible; what is changed here is lost at its next run.\n' + POLICY


def same(text):
    return dict.fromkeys(NAMES, text)


def where(fleet, name, user):
    return fleet.ssh(name, user, 'echo "$(id -un) $(cat /proc/1/comm)"').out.split()


def everybody_gets_in(fleet):
    for name in NAMES:
        assert where(fleet, name, 'alice') == ['alice', 'sessbox-init']
        for user in ('root', 'carol'):
            login, first = where(fleet, name, user)
            assert (login, first != 'sessbox-init') == (user, True)


def told(done, name):
    """The findings that the role tells of a host."""
    rest = done.out.partition('TASK [sessbox : Tell all findings]')[2].partition(f'ok: [{name}] => ')[2]
    return json.JSONDecoder().raw_decode(rest)[0]['msg']


def found(fleet, name):
    """What sessctl check finds on a host."""
    findings = json.loads(fleet.ssh(name, 'root', 'sessctl check --json').out)['findings']
    return [f'{finding["severity"]}: {finding["what"]}' for finding in findings]


def test_nothing_is_there(fleet):
    assert fleet.on_all('command -v sessctl; ls /etc/security | grep sessbox; grep -rl sessbox /etc/pam.d') == same('')


def test_first_run(fleet):
    done, counts = fleet.play(sessbox_policy=POLICY)
    assert done.rc == 0
    assert all(count.changed > 0 and count.failed == 0 for count in counts.values())
    assert fleet.on_all('dpkg-query -W -f "\\${db:Status-Abbrev}" libpam-sessbox sessctl') == same('ii ii ')
    assert fleet.on_all(f'cat {DROPIN}') == same(WRITTEN)
    assert fleet.on_all(f'stat -c "%U %G %a" {DROPIN}') == same('root root 644\n')
    everybody_gets_in(fleet)


def test_the_policy_counts(fleet):
    for name in NAMES:
        assert fleet.ssh(name, 'alice', 'hostname').out == 'alice-box\n'
        assert fleet.ssh(name, 'carol', 'hostname').out == f'{name}\n'
        assert 'fork' in fleet.ssh(name, 'alice', 'for i in $(seq 80); do sleep 5 & done; kill $(jobs -p)').out


def test_second_run_changes_nothing_and_checks(fleet):
    done, counts = fleet.play(sessbox_policy=POLICY)
    assert done.rc == 0
    assert counts == same((0, 0))
    for name in NAMES:
        assert any(finding.startswith('note: ') for finding in told(done, name))
        assert told(done, name) == found(fleet, name)


def test_a_dry_run_shows_a_change(fleet):
    done, counts = fleet.play('--check', '--diff', sessbox_policy=POLICY.replace('60', '70'))
    assert done.rc == 0
    assert counts == same((1, 0))
    assert done.out.count('+TasksMax=70') == 2
    assert fleet.on_all(f'cat {DROPIN}') == same(WRITTEN)


def test_a_change(fleet):
    done, counts = fleet.play(sessbox_policy=POLICY.replace('60', '70'))
    assert done.rc == 0
    assert counts == same((1, 0))
    assert fleet.on_all('sessctl policy alice -o key,value --no-headings | grep ^TasksMax | tr -s " "') == same(
        'TasksMax 70\n')


def test_a_mistake_is_put_in_place_nowhere(fleet):
    before = fleet.on_all(f'ls -li --time-style=full-iso {DROPIN}')
    done, counts = fleet.play(sessbox_policy=POLICY.replace('60', 'plenty'))
    assert done.rc != 0
    assert counts == same((0, 1))
    assert f'{DROPIN}:7: [students] TasksMax: ' in done.out
    assert fleet.on_all(f'ls -li --time-style=full-iso {DROPIN}') == before
    everybody_gets_in(fleet)


def test_a_mistake_beside_what_a_host_has(fleet):
    """Good for itself and on the first host. The class by that name on the second one may set no limit."""
    for name, more in ('one', ''), ('two', r'MatchServices=sshd\n'):
        fleet.ssh(name, 'root', rf'printf "[lab]\nMatchUsers=carol\n{more}" >/etc/security/sessbox.d/local.conf')
    done, counts = fleet.play(sessbox_policy=POLICY + '[lab]\nTasksMax=80\n')
    assert done.rc != 0
    assert counts == {'one': (1, 0), 'two': (0, 1)}
    assert '[lab]' not in fleet.ssh('two', 'root', f'cat {DROPIN}').out
    everybody_gets_in(fleet)
    fleet.ssh('one', 'root', 'rm /etc/security/sessbox.d/local.conf')


def test_a_finding_fails_its_host(fleet):
    """One host has a class of its own, which lets alice through a service that does not contain her."""
    fleet.ssh('two', 'root', r'printf "[local]\nMatchUsers=alice\nContain=yes\nAllowServices=sshd su\n" '
              '>/etc/security/sessbox.d/local.conf')
    done, counts = fleet.play(sessbox_policy=POLICY)
    assert done.rc != 0
    assert [count.failed for count in counts.values()] == [0, 1]
    assert "'su' lets tenants onto the host" in done.out
    done, _ = fleet.play(sessbox_policy=POLICY, sessbox_accepted_findings=[*ACCEPTED, "^'su"])
    assert done.rc == 0
    everybody_gets_in(fleet)


def test_one_more_service(fleet):
    fleet.ssh('two', 'root', 'rm /etc/security/sessbox.d/local.conf')
    assert fleet.on_all('su alice -c id') == same('This account may not use this service.\nsu: Permission denied\n')
    done, counts = fleet.play(sessbox_policy=POLICY.replace('=sshd', '=sshd su'), sessbox_services=['sshd', 'su'])
    assert done.rc == 0
    assert counts == same((2, 0))
    assert fleet.on_all('su alice -c "cat /proc/1/comm"') == same('sessbox-init\n')


def test_the_account_line_is_a_choice(fleet):
    """Without it the services that do not contain are findings."""
    done, counts = fleet.play(sessbox_policy=POLICY, sessbox_account_for_all=False)
    assert done.rc != 0
    assert counts == same((2, 1))
    assert "'cron' lets tenants onto the host" in done.out
    assert fleet.on_all('grep -c pam_sessbox /etc/pam.d/common-account') == same('0\n')
    done, counts = fleet.play(sessbox_policy=POLICY, sessbox_account_for_all=False, sessbox_fail_on=[])
    assert done.rc == 0
    assert counts == same((0, 0))
    everybody_gets_in(fleet)


def test_the_next_release(fleet):
    """Both packages at once. A dry run does not ask for files that are not there yet; who is in stays, and
    so does a configuration that was edited."""
    fleet.on_all(f'echo "# ours" >>{CONFIG}')
    new = {'sessbox_policy': POLICY, 'sessbox_package_files': packages('deb-next')}
    with fleet.echo('one', 'alice') as echo:
        assert echo('before') == 'before'
        done, counts = fleet.play('--check', **new, sessbox_fail_on=[])
        assert done.rc == 0
        assert fleet.on_all('sessctl --version') == same('sessctl 0.1.0\n')
        done, counts = fleet.play(**new)
        assert done.rc == 0
        assert all(count.changed > 0 for count in counts.values())
        assert fleet.on_all('sessctl --version') == same('sessctl 0.1.1\n')
        assert echo('after') == 'after'
    assert fleet.on_all(f'tail -n 1 {CONFIG}') == same('# ours\n')
    done, counts = fleet.play(**new)
    assert (done.rc, counts) == (0, same((0, 0)))
    everybody_gets_in(fleet)
