# SPDX-License-Identifier: LGPL-2.1-or-later
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

if os.geteuid() != 0 or os.environ.get('SESSBOX_TEST_WHERE'):
    pytest.exit('these tests start sandboxes of their own: run them as root, outside of one', 2)


def leave_network():
    """The cables to the hosts end where no other process of the machine is."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        pytest.exit('no network of our own', 2)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)


@pytest.fixture(scope='session')
def fleet(tmp_path_factory):
    leave_network()
    import fleet
    with fleet.Fleet(tmp_path_factory.mktemp('fleet')) as running:
        yield running
