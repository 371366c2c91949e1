# SPDX-License-Identifier: LGPL-2.1-or-later
"""What takes a booted systemd: tests/vm/run tests/systemd. The box is that of tests/integration, but
with user managers, which it holds back."""
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

from boxed import the_box  # noqa: E402,F401 (a fixture of every test)

if not Path('/run/systemd/system').is_dir():
    pytest.exit('these tests ask systemd: run them by tests/vm/run tests/systemd', 2)
pytest.register_assert_rewrite('units')


@pytest.fixture(scope='session', autouse=True)
def managers(the_box):  # noqa: F811
    import box
    import units
    (units.RUNTIME / 'user@.service.d/50-sessbox-test.conf').unlink()
    units.systemctl('daemon-reload')
    box.run('systemctl', 'start', 'sessbox-monitor')
    yield


@pytest.fixture(autouse=True)
def settled(managers):
    """Each test begins with our lines in place, and leaves nothing."""
    import box
    import host
    import units
    box.begin(True)
    before, mark = {**host.snapshot(), **units.snapshot()}, host.log_mark()
    try:
        yield
        box.end()
        units.settle(before)
    except BaseException:
        print('the log:', *host.log_since(mark)[-60:], sep='\n')
        box.end()
        box.sessctl('terminate', '--all')
        raise
