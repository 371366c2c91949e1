# SPDX-License-Identifier: LGPL-2.1-or-later
"""The box and the cases of tests/integration, for another purpose."""
import os
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / 'integration'), str(TESTS / 'lib')]

if os.environ.get('SESSBOX_TEST_WHERE') not in ('sandbox', 'vm'):
    pytest.exit('these tests change the machine: run them in tests/sandbox, or in tests/vm', 2)


@pytest.fixture(scope='session', autouse=True)
def the_box():
    import box
    box.set_up()
    yield
    box.tear_down()
