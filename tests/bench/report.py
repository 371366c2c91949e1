# SPDX-License-Identifier: LGPL-2.1-or-later
"""From samples to a page: medians, ratios with intervals, the targets, and where the time goes."""
import math
import os
import random
import statistics
import subprocess
import time

from scene import IDLE

RESAMPLES = 2000
IDLE_RATIO = 1.5  # of an idle container's memory to a bare one's

SERVICES = (
    ('su', '`su`, its fork with it'),
    ('runuser', '`runuser`, likewise'),
    ('login', '`login`, likewise'),
    ('cron', 'a job of cron'),
    ('atd', 'a job of at, its fork with it'),
)

SERIES = (
    ('a', 'first login: a container is made (a)'),
    ('b', "second login: the user's container is joined (b)"),
    ('c', 'the bare system calls for (a), and one dynamic process start (c)'),
    ('c2', 'the bare system calls for (b), and one dynamic process start (c2)'),
    ('d', '`bwrap --unshare-all --ro-bind / / true` (d)'),
    ('e', '`unshare --fork --pid --mount --uts --ipc --cgroup true` (e)'),
    ('crun', '`crun run`, cgroups disabled'),
    ('pam_namespace', 'open of pam_namespace, for /tmp and /var/tmp alone'),
    ('a many', '(a) with {many} host mounts'),
    ('b many', '(b) with {many} host mounts'),
    *((f'{kind} {name}', f'({kind}) by {title}') for name, title in SERVICES for kind in 'ab'),
    ('b storm', '(b) while four others log another user in without a pause'),
    ('b busy', '(b) while four others only compute'),
    ('a close', 'close of (a), which ends the container'),
    ('b close', 'close of (b)'),
    ('a account', 'account phase before (a)'),
    ('b account', 'account phase before (b)'),
    ('a all', '(a) and its account phase together'),
    ('b all', '(b) and its account phase together'),
    ('a alone', '(a) without an account phase in the same process'),
    ('b alone', '(b) without an account phase in the same process'),
    ('a migrate', "not in (a): the child's move into the cgroup"),
    ('b migrate', "not in (b): the child's move into the cgroup"),
    ('a tree', "not in (a), (b): the caller's private tree"),
    ('a many tree', "the caller's private tree with {many} host mounts"),
    ('a fork', "not in (a), (b): the caller's fork"),
    ('ssh with', '`ssh host true` with the module, a first login'),
    ('ssh without', '`ssh host true` without'),
)

# What has to hold: at most `limit`; of the interval its end where `end` says so.
TARGETS = (
    ('first login / bare system calls', 'a', 'c', 2.0, False),
    ('first login / bwrap', 'a', 'd', 1.0, False),
    ('second login / bare system calls', 'b', 'c2', 2.0, False),
    ('first login, {many} / {few} host mounts', 'a many', 'a', 1.1, False),
    ('second login, {many} / {few} host mounts', 'b many', 'b', 1.1, False),
    ('second login, in a storm of logins / on busy processors', 'b storm', 'b busy', 1.25, False),
    ('whole ssh, with / without: end of the interval', 'ssh with', 'ssh without', 1.1, True),
)

MEMORY = (
    ('ours', 'of sessbox'),
    ('hold', 'bare: the same by bare system calls'),
    ('hold-empty', 'empty: namespaces, cgroups, a process'),
)

READING = '''\
## How to read it

Times are milliseconds of wall clock. All series were taken in turn, round by round, in one run, in
a throw-away copy of the machine (on v1 its cgroup takes the largest CPU weight); no sample is left
out. The driver does what sshd does - open through libpam, fork, setcred in the child, close - and
is a new process each time; the clock runs while open and the child's setcred do. (c) and (c2) are
one small program that makes the same mounts, namespaces, cgroups and limits without any check,
record or lock. An interval is the middle 95 % of {resamples} resamplings of the rounds.

The helper of the account phase, which sshd runs just before, stays and serves the open: its start,
the configuration and the look-up of groups are in the line of the account phase, not in (a) and
(b). With keyboard-interactive authentication sshd runs the account phase in another process; that
is the login "without an account phase in the same process".

The move into the cgroup waits for a grace period of the kernel when it is rare (about 20 ms without
the mount option `favordynmods`); the private tree grows with the host's mounts. Both are left out
of (a), (b), (c) and (c2) and are in the whole ssh login.

Of the memory kernel objects, stacks and tmpfs are the whole machine's, before and after. A bare
container has no record and no account files, and its process is a copy of the one that made it. In an
empty one nothing is mounted: it is what this kernel takes for namespaces, for a cgroup in each hierarchy,
and for one process.

The steps below are from a build of the helper that notes when each one begins, {traced} logins of
each kind. Those of a login follow one another, with what is left out of (a) and (b) among them; one
that waits for what goes on beside it shows only the wait.
'''


def p99(values):
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def ratio(over, under):
    """Median over median, with the interval of a bootstrap that draws whole rounds."""
    draw = random.Random(1)
    n = min(len(over), len(under))
    found = []
    for _ in range(RESAMPLES):
        rounds = draw.choices(range(n), k=n)
        found.append(statistics.median([over[i] for i in rounds]) /
                     statistics.median([under[i] for i in rounds]))
    found.sort()
    return (statistics.median(over) / statistics.median(under),
            found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)])


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |',
             '|---|' + '--:|' * (len(head) - 1)]
    return lines + ['| ' + ' | '.join(row) + ' |' for row in rows] + ['']


def ms(ns):
    return f'{ns / 1e6:.2f}'


def series_table(samples, mounts):
    rows = []
    for key, title in SERIES:
        values = samples[key]
        rows.append((title.format(**mounts), ms(statistics.median(values)), ms(p99(values)),
                     str(len(values))))
    return table(('', 'median', 'p99', 'n'), rows)


def targets_table(samples, mounts, memory):
    rows, missed = [], []
    for title, over, under, limit, end in TARGETS:
        middle, low, high = ratio(samples[over], samples[under])
        title = title.format(**mounts)
        met = (high if end else middle) <= limit
        if not met:
            missed.append(title)
        rows.append((title, f'{middle:.2f}', f'{low:.2f} - {high:.2f}', f'{limit:.2f}',
                     'yes' if met else '**no**'))
    title = f'memory of an idle container, one of {len(IDLE)} / of a bare one'
    over = memory_sum(memory['ours']) / memory_sum(memory['hold'])
    if over > IDLE_RATIO:
        missed.append(title)
    rows.append((title, f'{over:.2f}', '', f'{IDLE_RATIO:.2f}', 'yes' if over <= IDLE_RATIO else '**no**'))
    return table(('ratio of medians', '', '95 %', 'at most', 'met'), rows), missed


def spent(events, strand, first, last):
    """Nanoseconds of each name between two events: one lasts until the next of its strand."""
    found, running = {}, False
    events = [e for e in events if e[1] == strand]
    for (start, _, name), (end, _, _) in zip(events, events[1:]):
        running = (running or name == first) and name != last
        if running:
            found[name] = found.get(name, 0) + end - start
    return found


def medians(lines, strand, first, last):
    found = [spent(line, strand, first, last) for line in lines]
    names = {name: None for one in found for name in one}
    return {name: statistics.median([one.get(name, 0) for one in found]) for name in names}


def steps(timelines, strand, first, last):
    """Rows of a table: what one strand did between two events, in both kinds of login."""
    columns = [medians(timelines[key], strand, first, last) for key in ('a', 'b')]
    names = {name: None for column in columns for name in column}
    rows = [(name, *(ms(column[name]) if name in column else '' for column in columns))
            for name in names]
    return rows, ('sum', *(ms(sum(column.values())) for column in columns))


def steps_table(title, *parts):
    return table((title, 'first login', 'second login'), [row for part in parts for row in part])


def where(timelines):
    login, login_sum = steps(timelines, 'l', 'module: request', 'driver: end')
    init, _ = steps(timelines, 'i', 'init: enter the cgroups', 'init: end')
    nss, _ = steps(timelines, 'n', 'module: load NSS', 'module: end')
    close, close_sum = steps(timelines, 'l', 'close: begin', 'close: end')
    return (steps_table('login', login, [login_sum]) + steps_table('beside it', nss, init) +
            steps_table('close', close, [close_sum]))


def memory_sum(memory):
    """Without what is counted twice, which stands in brackets."""
    return sum(statistics.median(kib) for kind, kib in memory.items() if kind[0] != '(')


def memory_table(memory):
    columns = [{kind: statistics.median(kib) for kind, kib in memory[key].items()} for key, _ in MEMORY]
    rows = [(kind, *(f'{max(0, column[kind]):.0f}' for column in columns)) for kind in columns[0]]
    sums = [f'{memory_sum(memory[key]):.0f}' for key, _ in MEMORY]
    return table((f'an idle container, one of {len(IDLE)}: KiB', *(title for _, title in MEMORY)),
                 [*rows, ('sum', *sums)])


def commit(tree):
    def git(*args):
        return subprocess.run(['git', '-C', tree, *args], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()
    changed = git('status', '--porcelain', '--untracked-files=no', '--', ':!docs/performance.md')
    return (git('rev-parse', '--short', 'HEAD') or 'unknown') + (' with changes' if changed else '')


def page(data, tree):
    samples, mounts = data['samples'], data['mounts']
    targets, missed = targets_table(samples, mounts, data['memory'])
    mode = data['mode']
    if data['hierarchies'] > 1:
        mode += f' ({data["hierarchies"]} hierarchies)'
    lines = ['# What a login costs', '', '<!-- Written by tests/bench/run. -->', '',
             f'Commit {commit(tree)}, {time.strftime("%Y-%m-%d")}, kernel {data["kernel"]}, '
             f'cgroups {mode}, {os.cpu_count()} CPUs, {len(samples["a"])} rounds, '
             f'{mounts["few"]} host mounts where nothing else is said.', '']
    lines += targets + series_table(samples, mounts) + memory_table(data['memory'])
    traced = len(data['timelines']['a'])
    lines += [READING.format(resamples=RESAMPLES, traced=traced), '## Where the time goes', '']
    lines += where(data['timelines'])
    return '\n'.join(lines), missed


def report(data, tree):
    text, missed = page(data, tree)
    print(text)
    (tree / 'docs/performance.md').write_text(text)
    for title in missed:
        print(f'bench: missed: {title}')
    return 1 if missed else 0
