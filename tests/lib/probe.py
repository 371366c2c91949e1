# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run inside a login: print what a process there is given, as JSON."""
import ctypes
import json
import os
import resource
import socket

PR_GET_SECUREBITS = 27
PR_GET_TIMERSLACK = 30
SYS_IOPRIO_GET = 252
DIRECTORIES = ('/', '/dev', '/dev/pts', '/dev/mqueue', '/dev/shm', '/home', '/tmp', '/var/tmp', '/run')


def status():
    keep = ('Cap', 'NoNewPrivs', 'Seccomp', 'Uid', 'Gid', 'Groups', 'SigIgn', 'SigBlk')
    with open('/proc/self/status') as file:
        pairs = [line.rstrip('\n').split(':\t', 1) for line in file]
    return {key: value for key, value in pairs if key.startswith(keep)}


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


def fds():
    found = {}
    for number in os.listdir('/proc/self/fd'):
        try:
            found[number] = os.readlink('/proc/self/fd/' + number)
        except FileNotFoundError:  # the one that listed the directory
            pass
    return found


def listing(path):
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        return error.strerror


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def main():
    libc = ctypes.CDLL(None)
    limits = [name for name in dir(resource) if name.startswith('RLIMIT_')]
    print(json.dumps({
        'ns': {name: os.readlink('/proc/self/ns/' + name) for name in os.listdir('/proc/self/ns')},
        'cgroup': lines('/proc/self/cgroup'),
        'mounts': lines('/proc/self/mountinfo'),
        'status': status(),
        'limits': {name: resource.getrlimit(getattr(resource, name)) for name in limits},
        'env': dict(os.environ),
        'securebits': libc.prctl(PR_GET_SECUREBITS, 0, 0, 0, 0),
        'timerslack': libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0),
        'ioprio': libc.syscall(SYS_IOPRIO_GET, 1, 0),
        'oom': lines('/proc/self/oom_score_adj'),
        'nice': os.nice(0),
        'affinity': sorted(os.sched_getaffinity(0)),
        'umask': umask(),
        'groups': sorted(os.getgroups()),
        'cwd': os.getcwd(),
        'fds': fds(),
        'hostname': socket.gethostname(),
        'ls': {path: listing(path) for path in DIRECTORIES},
    }))


main()
