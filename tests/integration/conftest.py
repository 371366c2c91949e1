# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import re
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))

# A file with cases in it belongs to the table.
FILES_OF_CASES = sorted(path.stem for path in Path(__file__).parent.glob('*.py')
                        if re.search('^from cases import case$', path.read_text(), re.M))
pytest.register_assert_rewrite('box', 'host', *FILES_OF_CASES)

if os.environ.get('SESSBOX_TEST_WHERE') not in ('sandbox', 'vm'):
    pytest.exit('these tests change the machine: run them in tests/sandbox, or in tests/vm', 2)


@pytest.fixture(scope='session', autouse=True)
def the_box():
    import box
    box.set_up()
    yield
    box.tear_down()
