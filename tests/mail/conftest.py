# SPDX-License-Identifier: LGPL-2.1-or-later
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

from boxed import the_box  # noqa: E402,F401 (a fixture of every test)

pytest.register_assert_rewrite('mail')

import mail  # noqa: E402

if not mail.SERVER:
    pytest.exit('these tests need a mail server: tests/mail/run, or in the virtual machine one of whose disk has it', 2)

collect_ignore = [] if mail.SERVER.name == 'exim' else ['test_exim.py']


@pytest.fixture(autouse=True)
def each(the_box):  # noqa: F811
    """The server as it was installed, and afterwards again; nobody's home names a program."""
    import box
    box.begin(True)
    try:
        with mail.as_installed():
            yield
    finally:
        box.end()
        box.sessctl('terminate', '--all')
        box.kill_users()
