# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the machine has to say when a test of it fails."""
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    machine = item.funcargs.get('vm')
    if outcome.get_result().failed and machine and machine.dir:
        machine.explain()
