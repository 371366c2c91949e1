# SPDX-License-Identifier: LGPL-2.1-or-later
"""forks.py N: have N children at once or as many as the kernel gives, say how many, and end with them."""
import os
import sys

wait, hold = os.pipe()
children = 0
while children < int(sys.argv[1]):
    try:
        child = os.fork()
    except BlockingIOError:
        break
    if child == 0:
        os.close(hold)
        os.read(wait, 1)
        os._exit(0)
    children += 1
print(children, flush=True)
