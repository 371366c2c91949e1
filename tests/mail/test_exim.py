# SPDX-License-Identifier: LGPL-2.1-or-later
"""What exim alone can do: filters, which a file that begins with "# Exim filter" is, and a configuration in
pieces."""
import pytest

import box
import mail
from mail import RUN, SERVER

FILTERS = {
    'a pipe': f'# Exim filter\npipe {RUN}\n',
    'an expansion': f'# Exim filter\nif "${{run{{{RUN}}}}}" is "x" then finish endif\n',
}


@pytest.mark.parametrize('forward', FILTERS.values(), ids=FILTERS)
def test_a_program_in_a_filter(forward):
    mail.plant(_forward=forward)
    mail.is_open()
    mail.shuts_for_good()


def test_with_the_configuration_in_pieces():
    switches = SERVER.configuration / 'update-exim4.conf.conf'
    box.replace(switches, switches.read_text().replace("dc_use_split_config='false'", "dc_use_split_config='true'"))
    mail.reload()
    mail.plant(_forward=f'|{RUN}\n')
    mail.is_open()
    assert 'conf.d/router' in mail.finding(mail.NAMED)['fix']
    mail.shuts_for_good()


def test_pipes_alone_are_half_of_it():
    mail.plant(_forward=FILTERS['an expansion'])
    row = mail.finding(mail.NAMED)
    mail.put_right({**row, 'fix': row['fix'].replace(r'forbid_pipe\nforbid_filter_run', 'forbid_pipe')})
    assert 'it lacks forbid_filter_run)' in mail.finding(mail.NAMED)['what']
    mail.is_open()
    mail.shuts_for_good()
