# SPDX-License-Identifier: LGPL-2.1-or-later
"""hop.py: live on in a child, again and again."""
import os

while True:
    try:
        if os.fork():
            os._exit(0)
    except BlockingIOError:
        pass
