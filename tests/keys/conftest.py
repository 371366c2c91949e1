# SPDX-License-Identifier: LGPL-2.1-or-later
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

from boxed import the_box  # noqa: E402,F401 (a fixture of every test)
