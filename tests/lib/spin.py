# SPDX-License-Identifier: LGPL-2.1-or-later
"""spin.py SECONDS [CPU]: burn one processor, pinned to CPU if that is given."""
import os
import sys
import time

if len(sys.argv) > 2:
    os.sched_setaffinity(0, {int(sys.argv[2])})
print('spinning', flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    pass
