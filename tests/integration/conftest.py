# SPDX-License-Identifier: LGPL-2.1-or-later
import re
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

from boxed import the_box  # noqa: E402,F401 (a fixture of every test)

# A file with cases in it belongs to the table.
FILES_OF_CASES = sorted(path.stem for path in Path(__file__).parent.glob('*.py')
                        if re.search('^from cases import case$', path.read_text(), re.M))
pytest.register_assert_rewrite(*FILES_OF_CASES)
