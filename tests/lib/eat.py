# SPDX-License-Identifier: LGPL-2.1-or-later
"""eat.py MIB [SECONDS]: use that much memory, every page of it, say so, and keep it that long."""
import sys
import time

eaten = bytearray(b'\1') * (int(sys.argv[1]) << 20)
print('ate', len(eaten) >> 20, flush=True)
time.sleep(float((sys.argv[2:] or '0')[0]))
