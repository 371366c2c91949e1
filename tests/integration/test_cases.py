# SPDX-License-Identifier: LGPL-2.1-or-later
import importlib
import os

import pytest

import box
import host
from cases import CASES
from conftest import FILES_OF_CASES

for name in FILES_OF_CASES:
    importlib.import_module(name)  # fills the table

# SESSBOX_TEST_GROUPS="1 2": these groups alone; "!15": all but this one.
WORDS = os.environ.get('SESSBOX_TEST_GROUPS', '').split()
GROUPS = {word for word in WORDS if word[0] != '!'} or {str(entry.group) for entry in CASES}
GROUPS -= {word[1:] for word in WORDS if word[0] == '!'}
# SESSBOX_TEST_WITHOUT="1 2": without our lines these groups alone; "none": no case without them.
WITHOUT = os.environ.get('SESSBOX_TEST_WITHOUT', '').split() or GROUPS
RUNS = [pytest.param(entry, contained, id=f'{entry.name}-{"with" if contained else "without"}')
        for entry in sorted(CASES, key=lambda entry: entry.group) if str(entry.group) in GROUPS
        for contained in (True, False) if contained or str(entry.group) in WITHOUT]
# SESSBOX_TEST_AFTER=NAME: those after this one, which have not run yet.
LAST = os.environ.get('SESSBOX_TEST_AFTER')
LEFT = RUNS[[entry.id for entry in RUNS].index(LAST) + 1:] if LAST else RUNS


def run(entry, contained):
    box.begin(contained)
    try:
        if contained or entry.same_by_design:
            entry.run()
        else:
            with pytest.raises(AssertionError) as caught:
                entry.run()
            print('without our lines:', str(caught.value).splitlines()[0])
    finally:
        box.end()


def clean_up():
    """A case that failed must not make the next ones fail."""
    box.sessctl('terminate', '--all')
    box.kill_users()
    box.sessctl('gc')


@pytest.mark.parametrize('entry, contained', LEFT)
def test_case(entry, contained):
    before, mark = host.snapshot(), host.log_mark()
    try:
        run(entry, contained)
        host.settle(before)
    except BaseException:
        lines = [line for line in host.log_since(mark) if 'systemd[1]' not in line]
        ours = [line for line in lines if 'sessbox' in line or 'fatal' in line]
        print('the log:', *ours[:40], '...', *lines[-30:], sep='\n')
        clean_up()
        raise
