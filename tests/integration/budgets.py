# SPDX-License-Identifier: LGPL-2.1-or-later
"""11. Limits and budgets that are changed in the configuration while tenants are in."""
import os

import box
import host
from bounds import MIB, limit, rows
from cases import case

VALUES = {  # of the keys, before and after; as written, and as told
    'ClassTasksMax': (('100', 100), ('50', 50)),
    'ClassMemoryMax': (('512M', 512 * MIB), ('256M', 256 * MIB)),
    'ClassCPUQuota': (('100%', 1000000), ('70%', 700000)),
}


def configured(which):
    box.config(tenants={key: values[which][0] for key, values in VALUES.items()})


def is_live(which, user='alice'):
    """For sessctl, and for the kernel."""
    told, group = rows(user), host.group(user, 'pids').parent
    assert set(VALUES) <= set(told), told
    if group.name != 'c-tenants' or host.first_number(group / 'pids.max') != VALUES['ClassTasksMax'][which][1]:
        return False
    return {key: told[key]['value'] for key in VALUES} == {key: values[which][1] for key, values in VALUES.items()}


@case(11)
def a_changed_budget_is_set_by_anybodys_login():
    """Also when the one who logs in has seen that very value before."""
    configured(0)
    with box.session('alice'), box.session('bob'):
        assert is_live(0)
        configured(1)
        assert is_live(0)
        box.out_of('alice', 'true')
        assert is_live(1) and is_live(1, 'bob')
        configured(0)
        box.out_of('bob', 'true')
        assert is_live(0)
        configured(1)
        box.out_of('t00', 'true')
        assert is_live(1)


@case(11)
def a_changed_budget_is_set_by_gc():
    configured(0)
    with box.session('alice'):
        assert is_live(0)
        configured(1)
        assert box.sessctl('gc').rc == 0 and is_live(1)
        configured(0)
        assert box.sessctl('gc').rc == 0 and is_live(0)


@case(11)
def a_changed_budget_is_not_lost_when_limits_are_set():
    configured(0)
    with box.session('alice'):
        configured(1)
        limit('alice', 'TasksMax=40', '--runtime')
        assert host.tasks_max('alice') == 40 and is_live(0)
        box.out_of('alice', 'true')
        assert host.tasks_max('alice') == 40 and is_live(1)


def own_quota(user):
    return rows(user)['CPUQuota']['value']


@case(11)
def quotas_come_back_with_that_of_the_class():
    """v1 cuts those within it; they are given back when that of the class rises, by whose login ever."""
    cut = 800000 if host.unified() else 300000
    box.config(tenants={'CPUQuota': '80%', 'ClassCPUQuota': '30%'})
    with box.session('alice'), box.session('bob'):
        assert 'ClassCPUQuota' in rows()
        assert (own_quota('alice'), own_quota('bob')) == (cut, cut)
        box.config(tenants={'CPUQuota': '80%', 'ClassCPUQuota': '90%'})
        box.out_of('bob', 'true')
        assert rows()['ClassCPUQuota']['value'] == 900000
        assert (own_quota('alice'), own_quota('bob')) == (800000, 800000)


@case(11)
def what_comes_back_with_the_quota_of_the_class_is_the_own_one():
    """As it is by now; and not above that of the class."""
    box.config(tenants={'CPUQuota': '80%', 'ClassCPUQuota': '30%'})
    with box.session('alice'), box.session('bob'), box.session('t00'):
        assert box.the_session('alice')
        limit('alice', 'CPUQuota=50%', '--runtime')
        limit('bob', 'CPUQuota=infinity', '--runtime')
        for budget, expected in (('60%', (500000, 600000)), ('infinity', (500000, 800000))):
            box.config(tenants={'CPUQuota': '80%', 'ClassTasksMax': '400', 'ClassCPUQuota': budget})
            box.out_of('t01', 'true')
            assert own_quota('alice') == expected[0] and rows('bob')['CPUQuota']['value'] is None
            assert own_quota('t00') == (800000 if host.unified() else expected[1])


def below_what_is_in_use(key, mark_of_login):
    """Nobody is kept out: v2 ends processes, v1 keeps the old value until there is room."""
    box.config(tenants={key: '256M', 'MemorySwapMax': '0'})
    with box.session('alice') as alice, box.session('bob'):
        held = box.client(box.argv('alice', box.script('eat.py', 100, 600)))
        assert box.line(held) == 'ate 100\n' and key in rows()
        box.config(tenants={key: '64M', 'MemorySwapMax': '0'})
        mark = host.log_mark()
        for user in ('t00', 'bob', 'alice'):
            assert box.ssh(user, 'echo in').out.endswith('in\n')
        if host.unified():
            assert rows()[key]['value'] == 64 * MIB
            assert box.finish(held).rc != 0, 'it was killed'
            return
        host.log_has(mark, mark_of_login)
        assert rows()[key]['value'] == 256 * MIB and held.poll() is None
        refused = box.sessctl('gc')
        assert refused.rc == 1 and key in refused.err, refused
        alice('pkill python3')
        box.finish(held)
        host.wait_for('there is room', lambda: rows()[key]['usage'] < 64 * MIB)
        assert box.ssh('alice', 'echo in').out == 'in\n'
        assert rows()[key]['value'] == 64 * MIB


@case(11)
def what_a_new_container_could_not_set_is_set_later():
    """Another one of his was using more when it was made."""
    box.config(tenants={'Scope': 'session', 'MemoryMax': '256M', 'MemorySwapMax': '0'})
    held = box.client(box.argv('alice', box.script('eat.py', 100, 600)))
    assert box.line(held) == 'ate 100\n'
    box.config(tenants={'Scope': 'session', 'MemoryMax': '64M', 'MemorySwapMax': '0'})
    with box.session('alice'):
        assert host.memory_max('alice') == (64 if host.unified() else 256) * MIB
        box.stop(held)
        host.wait_for('the other has left', lambda: len(box.containers('alice')) == 1)
        assert box.sessctl('gc').rc == 0 and host.memory_max('alice') == 64 * MIB


@case(11)
def a_full_budget_is_no_way_onto_the_host():
    """A neighbour has filled it with files, and nobody who could be killed gives them back."""
    box.config(tenants={'ClassMemoryMax': '64M', 'MemorySwapMax': '0', 'TmpSize': '100M', 'OnFailure': 'allow'})
    outside = os.readlink('/proc/self/ns/pid')
    with box.session('bob') as bob:
        assert box.the_session('bob')
        for n in range(2):  # each but for what the one who writes needs himself
            budget = rows('bob').get('ClassMemoryMax')
            if budget and budget['usage'] is not None:  # on v2 he may have gone himself
                bob(f'head -c {max(budget["value"] - budget["usage"] - 2 * MIB, 0)} /dev/zero >/dev/shm/{n}')
        assert host.unified() or rows('bob')['ClassMemoryMax']['usage'] > 56 * MIB
        for _ in range(3):
            done = box.ssh('alice', 'readlink /proc/self/ns/pid')
            assert outside not in done.out, done
    assert box.ssh('alice', 'echo in').out == 'in\n'


@case(11)
def a_limit_below_what_is_in_use_keeps_nobody_out():
    below_what_is_in_use('MemoryMax', "'alice' contained: .*MemoryMax")


@case(11)
def a_budget_below_what_is_in_use_keeps_nobody_out():
    below_what_is_in_use('ClassMemoryMax', "'t00' contained: not in force, since more is in use: ClassMemoryMax")
