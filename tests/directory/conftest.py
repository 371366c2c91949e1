# SPDX-License-Identifier: LGPL-2.1-or-later
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

from boxed import the_box  # noqa: E402,F401 (a fixture of every test)

pytest.register_assert_rewrite('closed', 'directory')

if not shutil.which('slapd', path='/usr/sbin'):
    pytest.exit('these tests need slapd and sssd: SESSBOX_VM_FLAVOUR=directory tests/vm/run tests/directory', 2)


@pytest.fixture(scope='session', autouse=True)
def the_directory(the_box):  # noqa: F811
    import directory
    directory.set_up()


@pytest.fixture(autouse=True)
def each():
    """Everything answers, nobody is logged in, and nothing stays of the test before."""
    import box
    import directory
    import host
    before, mark = host.snapshot(), host.log_mark()
    box.begin(True)
    try:
        yield
        box.end()
        directory.answers()
        host.settle(before)
    except BaseException:
        print('the log:', *host.log_since(mark)[-60:], sep='\n')
        raise
    finally:
        directory.answers()
        box.sessctl('terminate', '--all')
        box.kill_users()
        subprocess.run(['sessctl', 'gc'], check=False)
