# SPDX-License-Identifier: LGPL-2.1-or-later
"""keys.py fill|clear: have as many keys as the kernel gives, or none; says how many were made."""
import ctypes
import os
import sys

ADD_KEY, KEYCTL = {'x86_64': (248, 250), 'aarch64': (217, 219)}[os.uname().machine]
CLEAR, USER_KEYRING = 7, -4
libc = ctypes.CDLL(None)
made = 0
if sys.argv[1] == 'fill':
    while libc.syscall(ADD_KEY, b'user', b'test%d-%d' % (os.getpid(), made), b'x', 1, USER_KEYRING) > 0:
        made += 1
else:
    libc.syscall(KEYCTL, CLEAR, USER_KEYRING)
print(made)
