# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'integration'))
pytest.register_assert_rewrite('host', 'stock')

if os.environ.get('SESSBOX_TEST_WHERE') != 'vm':
    pytest.exit('these tests install packages: tests/vm/run tests/packages', 2)
