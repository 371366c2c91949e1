# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'integration'))
pytest.register_assert_rewrite('host', 'machine', 'stub')

if os.environ.get('SESSBOX_TEST_WHERE') != 'sandbox':
    pytest.exit('these tests change the machine: run them in tests/sandbox', 2)


@pytest.fixture(scope='session', autouse=True)
def the_machine():
    import machine
    machine.set_up()
    yield
    machine.tear_down()


@pytest.fixture(autouse=True)
def nothing_stays():
    """After each test: no driver, and no cgroup, mount, process or record that was not there before."""
    import host
    import machine
    before, mark = host.snapshot(), host.log_mark()
    yield
    machine.end_drivers()
    print('log:', *host.log_since(mark), sep='\n')  # shown when a test fails
    host.settle(before)
