# SPDX-License-Identifier: LGPL-2.1-or-later
"""16. What sessctl prints: for programs as the schema says, for scripts the columns they choose, for
people lines that fit their terminal."""
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import jsonschema

import box
import host
from cases import case

SCHEMA = Path('/usr/share/doc/sessbox/sessctl.schema.json')  # as it is installed


def strict(schema):
    """The schema with no room for keys that it does not name."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        if 'properties' in schema and schema.get('type') == 'object':
            schema['additionalProperties'] = False
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


def definition(verb):
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return strict({'$defs': schema['$defs'], '$ref': f'#/$defs/{verb}'.replace(' ', '%20')})


def fits(verb, *arguments, rc=0):
    done = box.sessctl(*arguments, '--json')
    assert done.rc in (rc, 0), done
    answer = json.loads(done.out)
    try:
        jsonschema.Draft202012Validator(definition(verb)).validate(answer)
    except jsonschema.ValidationError as error:
        raise AssertionError(f'{arguments}: {error.message} at {list(error.absolute_path)}') from None
    return answer


@case(16)
def json_of_each_verb_is_as_the_schema_says():
    box.config(tenants={'MemoryMax': '256M', 'AllowedCPUs': '0', 'ClassTasksMax': '300'})
    box.held('alice')
    with_tty = box.held('alice', tty=True)
    assert len(fits('list', 'list')['sessions']) == 2
    assert len(fits('list --containers', 'list', '--containers')['containers']) == 1
    assert len(fits('show USER', 'show', 'alice')['sessions']) == 2
    one = fits('show ID', 'show', str(box.sessions('alice')[0]['id']))
    assert one['user'] == 'alice' and len(one['process-list']) == one['processes'] > 0
    assert fits('limit USER', 'limit', 'alice')['limits']
    assert fits('policy USER', 'policy', 'alice')['policy']
    assert fits('policy USER --mounts', 'policy', 'alice', '--mounts')['mounts']
    fits('check', 'check', rc=1)
    box.stop(with_tty)


@case(16, same_by_design=True)
def json_about_nobody_is_as_the_schema_says():
    for user in ('alice', 'carol', 'root'):
        assert fits('show USER', 'show', user)['sessions'] == []
        fits('limit USER', 'limit', user)
        fits('policy USER', 'policy', user)
    assert fits('list', 'list') == {'sessions': []}
    assert fits('list --containers', 'list', '--containers') == {'containers': []}


@case(16)
def json_of_what_a_user_asks_about_himself():
    with box.session('alice') as alice:
        for verb, command in (('list', 'list'), ('show USER', 'show alice'), ('limit USER', 'limit alice'),
                              ('list --containers', 'list --containers')):
            done = alice(f'sessctl {command} --json')
            assert done.rc == 0, done
            answer = json.loads(done.out)
            jsonschema.Draft202012Validator(definition(verb)).validate(answer)
        assert answer['containers'][0]['user'] == 'alice'


@case(16, same_by_design=True)
def limits_that_hold_for_nobody_are_said():
    for user, words in (('root', 'root is never contained'), ('carol', "no class contains 'carol'")):
        done = box.sessctl('limit', user, 'TasksMax=50', '--runtime')
        assert done.rc == 0 and words in done.err, done
        assert box.sessctl('limit', user, 'TasksMax=', '--runtime').rc == 0


COLUMNS = {
    'list': ('user,id', 'USER ID'),
    'list --containers': ('state,USER', 'STATE USER'),
    'limit alice': ('limit,source', 'LIMIT SOURCE'),
    'policy alice': ('overrode,key', 'OVERRODE KEY'),
    'check': ('check,severity', 'CHECK SEVERITY'),
    'show alice': ('sessions,tasks,cpu-usec', 'SESSIONS TASKS CPU-USEC'),
}


@case(16)
def columns_are_chosen():
    box.held('alice')
    number = box.the_session('alice')['id']
    for verb, (names, heading) in {**COLUMNS, f'show {number}': ('user,leader', 'USER LEADER')}.items():
        table = box.sessctl(*verb.split(), '-o', names)
        assert table.rc in (0, 1) and table.out.splitlines()[0].split() == heading.split(), (verb, table)
        assert len(table.out.splitlines()) > 1, (verb, table)
        raw = box.sessctl(*verb.split(), '--no-headings', '--output', names)
        assert all(len(line.split(' ')) == len(heading.split()) for line in raw.out.splitlines()), (verb, raw)
        chosen = json.loads(box.sessctl(*verb.split(), '--json', '-o', names).out)
        rows = chosen if verb.startswith('show') else next(iter(chosen.values()))[0]
        assert list(rows) == names.lower().split(','), (verb, chosen)


@case(16)
def an_unknown_column_names_the_others():
    box.held('alice')
    number = box.the_session('alice')['id']
    for verb in [*COLUMNS, f'show {number}']:
        wrong = box.sessctl(*verb.split(), '-o', 'user,nonsense')
        known = box.sessctl(*verb.split(), '-o', 'nonsense').err
        assert wrong.rc == 2 and not wrong.out, (verb, wrong)
        there = re.fullmatch(r"sessctl: no column 'nonsense'; there are: (.*)\n", known)
        assert there, (verb, known)
        assert box.sessctl(*verb.split(), '-o', there[1].replace(' ', '')).rc in (0, 1), (verb, there[1])


def watching(*arguments):
    return box.client(['sessctl', 'list', *arguments])


@case(16)
def a_list_is_watched():
    client = watching('--watch=200ms', '--no-headings', '-o', 'user')
    assert box.line(client) == '\n', 'the first look is at nobody'
    alice = box.held('alice')
    host.wait_for('alice in the list', lambda: box.line(client) == 'alice\n')
    box.leave(alice)
    host.wait_for('nobody in the list', lambda: box.line(client) == '\n' and box.line(client) == '\n')
    os.kill(client.pid, signal.SIGINT)
    assert box.finish(client).rc == -signal.SIGINT


@case(16)
def a_watched_list_stays_in_its_place():
    box.held('alice')
    term = box.Term(['sessctl', 'list', '--watch'], 20 * host.SLOW)
    box.CLIENTS.append(term)
    for _ in range(2):
        term.expect(r'\x1b\[H\x1b\[2Jsessctl list, [\d:]{8}; every 2s, Ctrl-C ends it\s+ID USER .*\s+\d+ alice')
    term.send('\x03')
    assert term.closed() == -signal.SIGINT


@case(16, same_by_design=True)
def a_wrong_pace_is_a_usage_error():
    for pace in ('0', '10ms', 'soon', '-1', 'infinity', ''):
        assert box.sessctl('list', f'--watch={pace}').rc == 2, pace


@case(16, same_by_design=True)
def a_watched_list_ends_with_its_reader():
    client = watching('--watch=100ms', '--json')
    box.line(client)
    client.stdout.close()
    host.wait_for('its end', lambda: client.poll() is not None)
    assert client.returncode in (-signal.SIGPIPE, 1)


def on_a_terminal(cols, *arguments):
    term = box.Term(['sessctl', *arguments], 20 * host.SLOW, 24, cols)
    box.CLIENTS.append(term)
    term.closed()
    return term.text.replace('\r\n', '\n')


@case(16, same_by_design=True)
def findings_are_sentences_that_fit():
    long = box.sessctl('check')
    assert long.rc == 1 and re.search(r'^warning  .{70,}\n {9}Fix: .+$', long.out, re.M), long
    for cols in (60, 90):
        text = on_a_terminal(cols, 'check')
        assert all(len(line) <= cols for line in text.splitlines()), text
        assert ' '.join(text.split()) == ' '.join(long.out.split()), 'the words are the same'
    assert max(map(len, on_a_terminal(300, 'check').splitlines())) <= 100


@case(16, same_by_design=True)
def a_policy_says_what_it_overrode():
    box.config(strong={'MatchUsers': 'alice', 'MemoryMax': '512M', 'TasksMax': '100'}, tenants={'MemoryMax': '1G'})
    text = box.sessctl('policy', 'alice').out
    assert text.startswith('alice through sshd: class strong, contained\n\nKEY '), text
    below = text.split('Overridden:\n')[1]
    assert f'  MemoryMax=1G from [tenants] in {box.CONFIG}\n' in below, below
    assert 'not contained' in box.sessctl('policy', 'carol').out


def without_a_terminal(*arguments):
    return subprocess.run(['sessctl', *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)


@case(16)
def a_user_in_words():
    box.held('alice')
    text = without_a_terminal('show', 'alice').stdout
    for part in ('state logged in', 'Containers\n', 'Sessions\n', 'Limits\n', 'CPU time ',
                 'forks that failed at TasksMax 0'):
        assert part in text, text
