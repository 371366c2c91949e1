# SPDX-License-Identifier: LGPL-2.1-or-later
"""forever.py MOST SECONDS: a fork bomb that goes on: its processes fork again and again, and some end.
The user never has more than MOST, with or without a limit of ours; all are gone after SECONDS."""
import os
import random
import resource
import signal
import sys
import time

most, seconds = int(sys.argv[1]), float(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
first, end = os.getpid(), time.monotonic() + seconds
while time.monotonic() < end:
    try:
        os.fork()
    except BlockingIOError:
        time.sleep(0.02)
    if os.getpid() != first and random.random() < 0.2:
        break
