# SPDX-License-Identifier: LGPL-2.1-or-later
"""without_bpf.py PROGRAM [ARGUMENT...]: runs a program to which the kernel refuses bpf(2)."""
import ctypes
import os
import struct
import sys

BPF = {'x86_64': 321, 'aarch64': 280}[os.uname().machine]
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, EPERM = 22, 2, 1
LOAD_NUMBER, IF_IS, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7fff0000, 0x50000

filters = [(LOAD_NUMBER, 0, 0, 0), (IF_IS, 0, 1, BPF), (RETURN, 0, 0, ERRNO | EPERM), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *row) for row in filters))
program = ctypes.create_string_buffer(struct.pack('@HP', len(filters), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
