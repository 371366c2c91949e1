# SPDX-License-Identifier: LGPL-2.1-or-later
"""bomb.py FORKS SECONDS: a fork bomb that knows its end: every process forks until FORKS attempts,
counted by the bytes of one pipe, are used up; all of them are gone after SECONDS."""
import os
import signal
import sys
import time

attempts, seconds = int(sys.argv[1]), int(sys.argv[2])
tokens, fill = os.pipe()
os.write(fill, b'x' * attempts)
os.close(fill)
end = time.monotonic() + seconds
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while os.read(tokens, 1):
    try:
        os.fork()
    except BlockingIOError:
        time.sleep(0.02)
print('exploded', flush=True)
time.sleep(max(0, end - time.monotonic()))
