# SPDX-License-Identifier: LGPL-2.1-or-later
"""For the conftest.py of a directory whose tests use the box of tests/integration: the box, and
nowhere but where it may be set up."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / 'integration'))
pytest.register_assert_rewrite('box', 'host')

if os.environ.get('SESSBOX_TEST_WHERE') not in ('sandbox', 'vm'):
    pytest.exit('these tests change the machine: run them in tests/sandbox, or in tests/vm', 2)


@pytest.fixture(scope='session', autouse=True)
def the_box():
    import box
    box.set_up()
    yield
    box.tear_down()
