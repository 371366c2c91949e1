# SPDX-License-Identifier: LGPL-2.1-or-later
"""no_filter.py DIRECTORY: takes the programs on devices off a cgroup, and fails if there is none."""
import ctypes
import os
import struct
import sys

BPF = {'x86_64': 321, 'aarch64': 280}[os.uname().machine]
PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = 9, 13, 16
CGROUP_DEVICE, MAX = 6, 8
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    r = libc.syscall(BPF, command, attr, len(attr))
    if r < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return r


group = os.open(sys.argv[1], os.O_RDONLY)
ids = (ctypes.c_uint32 * MAX)()
query = ctypes.create_string_buffer(struct.pack('=IIIIQI4x', group, CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), MAX))
bpf(PROG_QUERY, query)
count, = struct.unpack_from('=I', query, 24)
for number in ids[:count]:
    program = bpf(PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack('=III4x', number, 0, 0)))
    bpf(PROG_DETACH, ctypes.create_string_buffer(struct.pack('=IIII', group, program, CGROUP_DEVICE, 0)))
sys.exit(not count)
