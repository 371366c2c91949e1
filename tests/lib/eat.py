# SPDX-License-Identifier: LGPL-2.1-or-later
"""eat.py MIB: use that much memory, every page of it, and say so."""
import sys

eaten = bytearray(b'\1') * (int(sys.argv[1]) << 20)
print('ate', len(eaten) >> 20, flush=True)
