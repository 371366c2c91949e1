# SPDX-License-Identifier: LGPL-2.1-or-later
"""22. Kerberos with a KDC of its own: logins by GSSAPI, and what becomes of the tickets they bring."""
import contextlib
import os
import subprocess
import time
from pathlib import Path

import box
import host
from cases import case
from features import NAMESPACE, inside

REALM = 'BOX.TEST'
SERVICE = 'host/127.0.0.1'
KDC_DIR = box.DIR / 'kdc'
HOME_OF_KDC = Path('/etc/krb5kdc')
FILES = {Path('/etc/krb5.conf'): f'''[libdefaults]
 default_realm = {REALM}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 forwardable = true
[realms]
 {REALM} = {{
  kdc = 127.0.0.1:PORT
 }}
''', HOME_OF_KDC / 'kdc.conf': f'''[kdcdefaults]
 kdc_listen = 127.0.0.1:PORT
 kdc_tcp_listen = 127.0.0.1:PORT
[realms]
 {REALM} = {{
  database_name = {KDC_DIR}/principal
  key_stash_file = {KDC_DIR}/stash
 }}
[logging]
 kdc = FILE:{KDC_DIR}/log
'''}
KEYTAB = Path('/etc/krb5.keytab')
CLIENT = {**os.environ, 'KRB5CCNAME': f'FILE:{KDC_DIR}/client'}
SSHD = '''GSSAPIAuthentication yes
GSSAPIKeyExchange yes
GSSAPIStrictAcceptorCheck no
'''
GSSAPI = ['-o', 'GSSAPIAuthentication=yes', '-o', 'PubkeyAuthentication=no', '-o', 'GSSAPIDelegateCredentials=yes',
          '-o', 'PreferredAuthentications=gssapi-with-mic']
REKEYING = ['-o', 'GSSAPIKeyExchange=yes', '-o', 'GSSAPIRenewalForcesRekey=yes',
            '-o', 'PreferredAuthentications=gssapi-keyex']


def make_realm(port):
    KDC_DIR.mkdir(mode=0o700, exist_ok=True)
    HOME_OF_KDC.mkdir(exist_ok=True)
    for path, text in FILES.items():
        box.replace(path, text.replace('PORT', str(port)))
    if (KDC_DIR / 'principal').exists():
        return
    box.run('kdb5_util', 'create', '-s', '-r', REALM, '-P', 'master')
    for what in (*(f'addprinc -pw secret {user}' for user in ('alice', 'bob')),
                 f'addprinc -randkey {SERVICE}', f'ktadd -k {KDC_DIR}/keytab {SERVICE}'):
        box.run('kadmin.local', '-q', what)


def kinit(user='alice', *options):
    box.run('kinit', *options, user, input='secret\n', env=CLIENT)


@contextlib.contextmanager
def realm(more=''):
    """A KDC on the loopback device, sshd with a key in its keytab, and alice's ticket on this side."""
    kept = {path: path.read_text() if path.exists() else None for path in FILES}
    port = box.free_port()
    make_realm(port)
    KEYTAB.write_bytes((KDC_DIR / 'keytab').read_bytes())
    KEYTAB.chmod(0o600)
    kdc = subprocess.Popen(['/usr/sbin/krb5kdc', '-n'], stdout=subprocess.DEVNULL)
    try:
        host.wait_for('the KDC answers', lambda: box.answers(port))
        kinit()
        with box.sshd_says(SSHD + more):
            yield
    finally:
        kdc.terminate()
        kdc.wait()
        KEYTAB.unlink()
        for path, text in kept.items():
            box.replace(path, text) if text is not None else path.unlink()


def tickets():
    """Files of alice's in the host's /tmp."""
    return sorted(Path('/tmp').glob('krb5cc_3001_*'))


@contextlib.contextmanager
def no_tickets_left():
    assert not tickets()
    try:
        yield
        host.wait_for('the tickets are gone from the host', lambda: not tickets())
    finally:
        for path in tickets():
            path.unlink()


def alice(command, *opts):
    return box.ssh('alice', command, opts=[*opts, *GSSAPI], env=CLIENT)


def held(command='exec cat', *opts):
    """A login that stays."""
    client = box.client(box.argv('alice', f'echo ready; {command}', opts=[*opts, *GSSAPI]),
                        stdin=subprocess.PIPE, env=CLIENT)
    assert box.line(client) == 'ready\n', box.finish(client)
    return client


SHOW = 'klist && stat -c %U:%a ${KRB5CCNAME#FILE:} && kvno -q host/127.0.0.1 && klist | grep -c host/127'


@case(22)
def gssapi_leads_inside():
    with realm(), no_tickets_left():
        without = alice(f'{NAMESPACE}; echo $KRB5CCNAME', '-o', 'GSSAPIDelegateCredentials=no')
        inside(without.out.split('\n')[0])
        assert without.out.endswith('\n\n'), without
        inside(alice(NAMESPACE).out)
        inside(alice(NAMESPACE, *REKEYING).out)
        kinit('bob')
        assert 'Permission denied' in alice(NAMESPACE).err


@case(22, same_by_design=True)
def delegated_tickets_are_there_and_of_use():
    with realm(), no_tickets_left():
        done = alice(SHOW)
        assert done.rc == 0 and f'krbtgt/{REALM}@{REALM}' in done.out, done
        assert done.out.endswith('alice:600\n1\n'), done


@case(22, same_by_design=True)
def each_login_has_tickets_of_its_own():
    with realm(), no_tickets_left():
        first, second = held(f'echo $KRB5CCNAME; {SHOW} >&2; exec cat'), held('echo $KRB5CCNAME; exec cat')
        names = {box.line(client).strip().removeprefix('FILE:') for client in (first, second)}
        assert names == {str(path) for path in tickets()} and len(names) == 2
        assert box.leave(first) == 0
        host.wait_for('one is left', lambda: len(tickets()) == 1)
        assert box.out_of('alice', 'ls /tmp | grep krb5cc_') == tickets()[0].name
        assert box.leave(second) == 0


@case(22, same_by_design=True)
def tickets_go_with_a_client_that_vanishes():
    """Then sshd's child, and not its monitor, removes the file."""
    with realm(), no_tickets_left():
        client = held()
        assert len(tickets()) == 1
        box.stop(client)


@case(22, same_by_design=True)
def tickets_destroyed_by_hand():
    with realm(), no_tickets_left():
        assert alice('kdestroy && ! klist -s').rc == 0


@case(22, same_by_design=True)
def tickets_that_sshd_is_to_leave():
    with realm('GSSAPICleanupCredentials no\n'), box.session('alice') as other:
        name = alice('echo $KRB5CCNAME').out.strip().removeprefix('FILE:')
        box.stop(held())
        host.wait_for('the logins have ended', lambda: len(host.of_user('alice')) <= 1 + (not box.STATE['contained']))
        time.sleep(1)
        left = tickets()
        for path in left:
            path.unlink()
        assert len(left) == 2 and Path(name) in left, left
        assert other(f'[ -e {name} ]').rc == (0 if box.STATE['contained'] else 1)
        other('rm -f /tmp/krb5cc_*')


@case(22, same_by_design=True)
def tickets_in_a_shared_tmp():
    box.config(tenants={'PrivateTmp': 'no'})
    with realm(), no_tickets_left():
        client = held(f'{SHOW}; stat -c %i ${{KRB5CCNAME#FILE:}}; exec cat')
        while (line := box.line(client).strip()) != '1':
            assert line or not client.poll(), 'SHOW failed'
        assert [path.stat().st_ino for path in tickets()] == [int(box.line(client))]
        box.stop(client)


@case(22)
def tickets_that_find_no_room():
    box.config(tenants={'TmpSize': '1M'})
    with realm(), no_tickets_left(), box.session('alice') as full:
        full('head -c 2M /dev/zero >/tmp/full')
        mark = host.log_mark()
        done = alice(f'klist -s; echo $?; ls /tmp; {NAMESPACE}')
        host.log_has(mark, 'his Kerberos tickets are not inside: No space left')
        assert done.out.startswith('1\nfull\n'), done
        inside(done.out.split('\n')[2])
        full('rm /tmp/full')


@case(22, same_by_design=True)
def tickets_in_a_keyring():
    """A persistent one is the user's, wherever he is; sshd puts none there, but pam_sss does."""
    ring = 'KEYRING:persistent:3001'
    as_alice = ['setpriv', '--reuid', 'alice', '--regid', 'alice', '--clear-groups']
    with realm():
        box.run(*as_alice, 'kinit', '-c', ring, 'alice', input='secret\n')
        assert f'krbtgt/{REALM}' in box.out_of('alice', f'klist -c {ring}')
        assert box.out_of('alice', f'kdestroy -c {ring}; klist -s -c {ring} || echo none') == 'none'
        assert box.run(*as_alice, 'klist', '-s', '-c', ring, check=False).rc == 1


# new tickets in the midst of a session

def say(client, line='\n'):
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(line)
        client.stdin.flush()


def rekeyed():
    """A session whose client gets new tickets, and says enough for an exchange of keys; the client
    and the line of the ticket it came with."""
    client = held('while read -r _; do klist | tail -n1; done', '-o', 'RekeyLimit=16K', *REKEYING)
    say(client)
    first = box.line(client)
    assert f'krbtgt/{REALM}' in first, first
    kinit('alice', '-l', '5h')
    say(client, 'x' * 30000 + '\n')
    return client, first


@case(22, same_by_design=True)
def keys_are_exchanged_again_with_new_tickets():
    with realm('GSSAPIStoreCredentialsOnRekey no\n'), no_tickets_left():
        client, first = rekeyed()
        say(client)
        assert {box.line(client) for _ in range(2)} == {first}
        assert box.leave(client) == 0


@case(22)
def new_tickets_that_sshd_is_to_store_end_the_connection():
    """Its monitor may not become the tenant while he is in; the session is closed as any other."""
    with realm('GSSAPIStoreCredentialsOnRekey yes\n'), no_tickets_left():
        mark, before = host.log_mark(), host.snapshot()
        client, _ = rekeyed()
        host.wait_for('the end of the connection', lambda: client.poll() == 255)
        host.log_has(mark, r'fatal: seteuid 3001: Operation not permitted')
        host.log_has(mark, 'session closed for user alice')
        host.settle(before)
        assert alice('klist -s').rc == 0
