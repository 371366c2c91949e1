# SPDX-License-Identifier: LGPL-2.1-or-later
"""14 and 18. What people do when they have logged in, one row each: its name, what is done, what must be
seen. Group 18 needs packages that are large. docs/what-works.md is made from the rows and their results
by tests/what-works."""
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import urllib.request
from collections import namedtuple
from pathlib import Path

import box
import host
import outside
from cases import case
from ways import forwarding, options

# what: a command line given to ssh, a list of steps at a terminal, or a function that returns what it saw
# sees: a regular expression, found in the output
# refused: it fails, and says so: that is what must be seen
# same: a login that is not contained shows the same
Row = namedtuple('Row', 'name what sees refused group same')
ROWS = []

ENTER, ESC, CTRL_C, CTRL_D, CTRL_X, CTRL_Z = '\r', '\x1b', '\x03', '\x04', '\x18', '\x1a'
HOME = 'cd $(mktemp -d ~/work.XXXX) && '
WORK = Path('/home/alice')
BIN = '/usr/bin'


def row(name, what, sees, refused=False, group=14, same=True):
    ROWS.append(Row(name, what, sees, refused, group, same))


def big(name, what, sees):
    row(name, what, sees, group=18)


def done_by(name, sees, group=14):
    """A row whose `what` is the function below; its first line of documentation describes it."""
    def add(function):
        ROWS.append(Row(name, function, sees, False, group, True))
        return function
    return add


def ssh_options():
    return ' '.join(['ssh', *options()])


@contextlib.contextmanager
def local_tree(name='people'):
    place = box.DIR / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place)


def client_says(*argv, stdin=None, timeout=60, **more):
    done = box.finish(box.client([*map(str, argv)], stdin=subprocess.PIPE, **more), stdin, timeout)
    assert done.rc == 0, done
    return done.out + done.err


# building and running

HELLO = r'''printf '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' >hello.c && '''
row('Compile C and run it', HOME + HELLO + 'gcc -O2 -o hello hello.c && ./hello', r'^hello$')
row('make with two jobs',
    HOME + r"printf 'all: a b\na b:\n\techo $@ >$@\n' >Makefile && make -j2 && cat a b", r'a\nb$')
row('A shared library of one\'s own', HOME + r'''printf 'int f(void) { return 42; }' >f.c &&
gcc -shared -fPIC -o libf.so f.c &&
python3 -c 'import ctypes; print(ctypes.CDLL("./libf.so").f())' ''', r'^42$')
row('Python with a pool of processes', '''python3 -c '
import multiprocessing
print(sum(multiprocessing.Pool(4).map(abs, range(100))))' ''', r'^4950$')
row('Python with shared memory', '''python3 -c '
from multiprocessing import shared_memory
m = shared_memory.SharedMemory(create=True, size=4096)
m.buf[0] = 7; print(m.buf[0]); m.close(); m.unlink()' ''', r'^7$')
row('A database file (SQLite)', HOME + '''python3 -c '
import sqlite3
c = sqlite3.connect("d"); c.execute("create table t(x)"); c.execute("insert into t values (5)"); c.commit()
print(c.execute("select x from t").fetchall())' ''', r'^\[\(5,\)\]$')
row('Perl', "perl -e 'print 6 * 7'", r'^42$')
row('Many files with find and xargs',
    HOME + 'seq 500 | xargs touch && find . -type f -print0 | xargs -0 -P4 -n50 ls | wc -l', r'^500$')
row('Archives: tar, gzip, unpacked again',
    HOME + 'seq 9 >n && tar czf n.tgz n && rm n && tar xzf n.tgz && tail -n1 n', r'^9$')
row('A local Git repository', HOME + '''git init -q . && echo a >a && git add a &&
git -c user.name=a -c user.email=a@localhost commit -qm first && git log --oneline | wc -l''', r'^1$')
row('strace', 'strace -f -e trace=openat sh -c "cat /etc/hostname" 2>&1 | grep -c hostname', r'^[1-9]')
big('gdb: run, break, backtrace', HOME + HELLO + '''gcc -g -o hello hello.c &&
gdb -batch -ex 'break main' -ex run -ex bt ./hello''', r'#0 +main \(\) at hello.c')
big('A virtual environment of Python, with pip', HOME + 'python3 -m venv v && v/bin/pip --version', r'^pip \d')
big('pip install from a local directory', HOME + r'''python3 -m venv v && mkdir -p p/greet &&
echo 'print("hi from a package")' >p/greet/__init__.py &&
printf 'from setuptools import setup\nsetup(name="greet", version="1", packages=["greet"])\n' >p/setup.py &&
v/bin/pip -q install --no-index --no-build-isolation ./p 2>&1
v/bin/python -c 'import greet' ''', r'^hi from a package$')
big('npm install, offline', HOME + r'''mkdir dep &&
echo '{"name":"dep","version":"1.0.0","main":"i.js"}' >dep/package.json && echo 'module.exports = 42' >dep/i.js &&
echo '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:./dep"}}' >package.json &&
npm install --offline --no-audit --no-fund --loglevel=error && node -p 'require("dep")' ''', r'^42$')

# looking around

row('ps, pgrep and kill', 'sleep 60 & pgrep -x sleep >/dev/null && ps -C sleep -o args=; kill %1', r'^sleep 60$')
row('free, uptime, df, nproc',
    'free -m | grep Mem && uptime && df -h / ~ /tmp && nproc', r'load average(?s:.*)\n\d+$')
row('id, groups and the own name',
    'id -un && groups && getent passwd $USER | cut -d: -f6', r'^alice\n.*tenants.*\n/home/alice$')
row('ls -l with names of owners', 'ls -ld ~ / /tmp', r' root +root (?s:.*) alice alice ')
row('A manual page', 'MANPAGER=cat man sessctl', r'show, limit and end contained sessions')
row('locale', 'locale -a && LC_ALL=C.UTF-8 locale charmap', r'UTF-8$')
row('The own limits and usage (sessctl)', 'sessctl show $USER', r'Limits\n', same=False)
row('Time zones', 'TZ=Asia/Tokyo date +%Z', r'^JST$')
row('A message to the system log', 'logger hello && echo sent', r'^sent$')

# editors and other programs of the terminal

row('nano', ['nano a.txt', '\x1b\\[.*GNU nano', 'some words' + CTRL_X + 'y' + ENTER, 'READY ',
             'cat a.txt', 'some words\r\n'], 'some words')
row('vi', ['vi -u NONE a.txt', '"a.txt"', 'isome words' + ESC + ':wq' + ENTER, 'READY ',
           'cat a.txt', 'some words\r\n'], 'some words')
row('less', ['seq 1000 | less', '\n23', 'G', '1000', 'q', 'READY '], '1000')
row('top', ['top', 'load average(?s:.*)COMMAND', 'q', 'READY '], 'load average')
row('htop', ['htop', r'Load average|Tasks', 'q', 'READY '], 'Tasks|Load')
row('tmux: start, detach, come back',
    ['tmux new -s people', r'\[people\]', 'echo in-"tmux"' + ENTER, 'in-tmux', '\x02d', 'detached',
     'tmux attach -t people', 'in-tmux', 'exit' + ENTER, 'exited'], 'in-tmux')
row('screen: start, detach, come back',
    ['screen -q -S people bash --norc', 'READY ', 'echo in-"screen"' + ENTER, 'in-screen', '\x01d', 'detached',
     'screen -r people', 'in-screen', 'exit' + ENTER, 'terminating'], 'in-screen')
row('Job control: Ctrl-Z, bg, fg, Ctrl-C',
    ["sh -c 'echo r''uns; sleep 5; echo sl''ept; read line; echo g''ot $line; exec sleep 100'", 'runs\r\n',
     CTRL_Z, 'Stopped', 'bg', r'100\S* &(?s:.*)slept\r\n', 'fg', 'sleep 100', 'a line', 'got a line\r\n',
     CTRL_C, 'READY ', 'echo code $?', r'code \d+'], 'code 130')
row('A recorded session (script)', ['script -q -c "tty; echo in-script" log', 'in-script',
                                    'cat log', r'/dev/pts/\d+(?s:.*)in-script'], 'in-script')

# what a user may not, or not here: said politely

row('sudo', f'{BIN}/sudo -n true', r'no new privileges', refused=True, same=False)
row('su to root', 'su -c id </dev/null', r'Authentication failure|su: ', refused=True)
row('A new password', 'passwd </dev/null', r'passwd: |Authentication', refused=True)
row('crontab -e', 'EDITOR=true crontab -e', r'crontab|/var/spool/cron', refused=True, same=False)
row('at', 'echo true | at now', r'at: |at\.', refused=True, same=False)
row('mount', 'mount -t tmpfs none ~', r'mount: .*(permission|superuser|denied)', refused=True)
row('Services of one\'s own (systemctl --user)', 'systemctl --user status',
    r'Failed to connect to bus|not found|System has not', refused=True)
row('Restarting the machine', 'systemctl reboot || /sbin/reboot',
    r'bus|permitted|denied|not found|No such|init daemon|as root', refused=True)

# from another machine


@done_by('rsync of 10 000 files, there and back', r'^10000 files, the same$')
def rsync_many():
    """rsync -a to the host, and back into another directory; then compared"""
    with local_tree() as place:
        for n in range(100):
            (place / f'there/{n}').mkdir(parents=True)
            for k in range(100):
                (place / f'there/{n}/{k}').write_text(f'{n} {k}\n')
        for way in ([f'{place}/there/', 'alice@127.0.0.1:many/'], ['alice@127.0.0.1:many/', f'{place}/back/']):
            client_says('rsync', '-a', '--no-o', '--no-g', '-e', ssh_options(), *way)
        box.run('diff', '-r', str(place / 'there'), str(place / 'back'))
        count = sum(len(files) for _, _, files in os.walk(place / 'back'))
        return f'{count} files, the same'


@done_by('A tree through tar and a pipe', r'^leaf$')
def tar_pipe():
    """tar c here, ssh tar x there"""
    with local_tree() as place:
        (place / 'a/b').mkdir(parents=True)
        (place / 'a/b/c').write_text('leaf\n')
        packed = subprocess.run(['tar', 'c', '-C', place, 'a'], stdout=subprocess.PIPE, check=True).stdout
        done = box.ssh('alice', 'tar x && cat a/b/c', stdin=packed, text=False)
        return done.out.decode()


@done_by('A script on stdin', r'^three 3$')
def script_on_stdin():
    """ssh bash -s three, with the script on stdin"""
    return box.ssh('alice', 'bash -s three', stdin='set -- "$1" $((1 + 2))\necho "$1" "$2"\n').out


@done_by('sshfs: the home mounted elsewhere', r'^from far\n')
def sshfs():
    """sshfs alice@host: mounted here; a file written through it is read by a login"""
    with local_tree() as place:
        client_says('sshfs', 'alice@127.0.0.1:', place, '-o', 'idmap=user', '-o', f'ssh_command={ssh_options()}')
        try:
            (place / 'far').write_text('from far\n')
            return box.out_of('alice', 'cat far; ls -l far')
        finally:
            box.run('umount', str(place))


@done_by('dropbear\'s client', r'^alice$')
def dropbear():
    """dbclient with a key of its own"""
    with local_tree() as place:
        key, keys = place / 'key', box.DIR / 'keys/alice'
        made = box.run('dropbearkey', '-t', 'ed25519', '-f', str(key)).out
        known = keys.read_text()
        box.replace(keys, known + re.search(r'^ssh-ed25519 .*$', made, re.M)[0] + '\n')
        try:
            return client_says('dbclient', '-y', '-y', '-i', key, '-p', box.STATE['port'], 'alice@127.0.0.1',
                               'id -un', env={**os.environ, 'HOME': str(place)})
        finally:
            box.replace(keys, known)


@done_by('mosh', r'mosh-inside')
def mosh():
    """mosh, of users whose programs survive a logout (KillUserProcesses=no)"""
    box.config(tenants={'KillUserProcesses': 'no'})
    argv = ['mosh', f'--ssh={ssh_options()}', '--bind-server=127.0.0.1', 'alice@127.0.0.1', '--',
            'sh', '-c', 'echo mosh-"inside"; cat']
    term = box.Term(['env', 'LC_ALL=C.UTF-8', *argv], 20 * host.SLOW)
    box.CLIENTS.append(term)
    try:
        return term.expect('mosh-inside')[0]
    finally:
        term.send(CTRL_D)
        box.ssh('alice', 'pkill mosh-server')
        box.sessctl('terminate', 'alice')


@done_by('crontab -e, of users who may', r'^@daily echo edited$')
@outside.open_to('crontab')
def crontab_edit():
    """EDITOR=... crontab -e, crontab -l, with ProxyCommands=crontab"""
    return box.out_of('alice', 'EDITOR=\'sleep 1; echo "@daily echo edited" >\' crontab -e; crontab -l')


@done_by('at, of users who may', r' a alice$')
@outside.open_to('at')
def at_and_atq():
    """echo true | at now + 1 hour, atq, with ProxyCommands=at"""
    return box.out_of('alice', 'echo true | at now + 1 hour; atq; atrm $(atq | cut -f1)')


@done_by('A new password, of users who may', r'updated successfully')
@outside.open_to('passwd')
def new_password():
    """passwd at a terminal, with ProxyCommands=passwd"""
    with outside.password():
        term = box.terminal('alice')
        term.send('passwd\n')
        outside.change(term)
        return term.expect('.*updated successfully')[0]


@done_by('A web server, through a forwarded port', r'^hello from far$')
def web_server():
    """python3 -m http.server there, ssh -L here, a page fetched"""
    box.out_of('alice', 'mkdir -p web && echo "hello from far" >web/page')
    served = box.held('alice', 'cd web && exec python3 -u -m http.server --bind 127.0.0.1 0')
    port = int(re.search(r'port (\d+)', box.line(served))[1])
    return through_forwarding(port, 'page')


def through_forwarding(port, path):
    here = box.free_port()
    client = forwarding('-L', f'127.0.0.1:{here}:127.0.0.1:{port}')

    def fetch():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f'http://127.0.0.1:{here}/{path}', timeout=10 * host.SLOW).read().decode()
        return None

    try:
        return host.wait_for('the page', fetch, 20)
    finally:
        box.stop(client)


NODE = '''const http = require("http"), fs = require("fs");
const s = http.createServer((q, r) => r.end("node " + process.version + " for " + process.env.USER + "\\n"));
s.listen(0, "127.0.0.1", () => fs.writeFileSync("port", String(s.address().port)));
'''


@done_by('An editor\'s server in the style of VS Code', r'^node v\d+.* for alice$', group=18)
def editors_server():
    """a server left running in the background by one login, its port forwarded by another"""
    with box.session('alice') as window:  # the window's own connection, which stays
        window(f'mkdir -p .server && cd .server && rm -f port && echo {shlex.quote(NODE)} >s.js; '
               'nohup node s.js >log 2>&1 </dev/null &')
        port = host.wait_for('its port', lambda: window('cat .server/port').out, 20)
        try:
            return through_forwarding(int(port), '')
        finally:
            window('pkill -x node')


PARAMIKO = '''
import paramiko, sys
c = paramiko.SSHClient()
c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
c.connect("127.0.0.1", int(sys.argv[1]), "alice", key_filename=sys.argv[2], look_for_keys=False, allow_agent=False)
_, out, _ = c.exec_command("id -un")
print(out.read().decode().strip(), out.channel.recv_exit_status())
s = c.open_sftp()
with s.open("paramiko", "w") as f: f.write("text")
print(s.stat("paramiko").st_size, sorted(s.listdir("/home")))
t = c.get_transport().open_session(); t.get_pty(); t.exec_command("tty"); print(t.recv(100).decode().strip())
'''


@done_by('paramiko: command, sftp, terminal', r"^alice 0\n4 \['alice'\]\n/dev/pts/\d+$", group=18)
def paramiko():
    """a Python program with exec_command, open_sftp and get_pty"""
    return client_says(f'{BIN}/python3', '-c', PARAMIKO, box.STATE['port'], box.DIR / 'key')


@done_by('Ansible: ping and copy', r'"ping": "pong"(?s:.*)"changed": true', group=18)
def ansible():
    """ansible -m ping, then -m copy of a file"""
    with local_tree() as place:
        arguments = ' '.join(options())
        (place / 'hosts').write_text(
            f'far ansible_host=127.0.0.1 ansible_port={box.STATE["port"]} ansible_user=alice '
            f'ansible_ssh_common_args="{arguments}" ansible_python_interpreter={BIN}/python3\n')
        (place / 'file').write_text('by ansible\n')
        env = {**os.environ, 'HOME': str(place), 'ANSIBLE_LOCAL_TEMP': str(place / 'tmp'), 'ANSIBLE_NOCOLOR': '1',
               'ANSIBLE_SSH_ARGS': '-C'}
        said = ''
        for module, words in (('ping', ''), ('copy', f'src={place}/file dest=by-ansible')):
            said += client_says('ansible', '-i', place / 'hosts', 'far', '-m', module, '-a', words, env=env)
        assert box.out_of('alice', 'cat by-ansible') == 'by ansible'
        return said


# the rows as cases

def at_a_terminal(steps):
    """What to type and what to wait for, in turn; all that was shown."""
    term = box.terminal('alice')
    seen = ''
    for typed, shown in zip(steps[::2], steps[1::2]):
        term.send(typed + ('' if len(typed) == 1 or typed[-1] in '\r\x1b' or typed[0] in '\x01\x02' else '\n'))
        if shown:
            seen += term.expect(shown)[0]
    box.CLIENTS.remove(term)
    term.stop()
    return seen


def clean_home():
    for name in WORK.iterdir():
        if not name.name.startswith('.bash') and name.name != '.profile':
            shutil.rmtree(name) if name.is_dir() and not name.is_symlink() else name.unlink()


def carry_out(entry):
    if callable(entry.what):
        return entry.what()
    if isinstance(entry.what, list):
        return at_a_terminal(entry.what)
    done = box.ssh('alice', entry.what, timeout=300 if entry.group == 18 else 60)
    assert (done.rc != 0) == entry.refused, done
    return (done.out + done.err).strip() if entry.refused else done.out.strip()


def tell(entry, seen):
    """For tests/what-works: that it went well, and the line that shows it."""
    line = next((line for line in seen.splitlines() if re.search(entry.sees, line)), '')
    if box.STATE['contained']:
        print('\nTOLD', json.dumps({'name': entry.name, 'seen': line.strip()}))


def slug(name):
    return re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')


def add(entry):
    def run():
        try:
            seen = carry_out(entry)
            assert re.search(entry.sees, seen.strip(), re.M), (entry.sees, seen)
            tell(entry, seen)
        finally:
            clean_home()
    case(entry.group, same_by_design=entry.same, name=f'people-{slug(entry.name)}')(run)


# An emulated machine is too slow for them.
for each in [] if host.IN_VM else ROWS:
    add(each)
