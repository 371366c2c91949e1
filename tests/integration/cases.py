# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one table of cases. A case is a function that asserts; it runs with the module, and once more
with our lines out of the PAM stack, where it has to fail unless it is the same by design."""
from collections import namedtuple

Case = namedtuple('Case', 'name run group same_by_design')
CASES = []


def case(group, same_by_design=False, name=None):
    def add(run):
        title = name or run.__name__.replace('_', '-')
        assert title not in [c.name for c in CASES], f'two cases named {title}'
        CASES.append(Case(title, run, group, same_by_design))
        return run
    return add
