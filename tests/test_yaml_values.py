"""The YAML of configurations: what is read, and one line for each thing that is not."""

import os
import subprocess
import sys

import pytest
import yaml
from toy import ROOT

from stackgan.config import load_config
from stackgan.config.loading import to_yaml
from stackgan.config.yaml_values import MAX_BYTES, MAX_DEPTH, NotRead, parse_yaml
from stackgan.errors import ConfigError

ALIASES = 'a: &a0 [1]\n' + ''.join('b%d: &a%d [%s]\n' % (n, n, ', '.join(['*a%d' % (n - 1)] * 20))
                                   for n in range(1, 12))


@pytest.mark.parametrize('text, value', [
    ('', None), ('~', None), ('null', None), ('true', True), ('True', True), ('no', False),
    ('off', False), ('ON', True), ('12', 12), ('-3', -3), ('+3', 3), ('0', 0), ('0x1F', 31),
    ('1.5', 1.5), ('1.', 1.0), ('.5', 0.5), ('1.0e+3', 1000.0), ('-.inf', float('-inf')),
    ('1e3', '1e3'), ('08', '08'), ('0o10', '0o10'), ('2020-13-45', '2020-13-45'),
    ('2020-01-02', '2020-01-02'), ('12:5x', '12:5x'), ('=', '='), ('a b', 'a b'),
    ("'010'", '010'), ('"1:30"', '1:30'), ('"a\\tb"', 'a\tb'), ('"on"', 'on'),
    ('[1, [a, null]]', [1, ['a', None]]), ('{a: 1, b: {c: []}}', {'a': 1, 'b': {'c': []}}),
    ('a:\n- 1\n- b: 2 # said\n', {'a': [1, {'b': 2}]}), ('|\n a\n b\n', 'a\nb\n'),
    ('1: a\nnull: b\non: c\n', {'1': 'a', 'null': 'b', 'on': 'c'}), ('{{}: 1', NotRead),
    ('--- 1\n...\n', 1), ('\ufeffa: 1', {'a': 1}),
])
def test_values(text, value):
    if value is NotRead:
        with pytest.raises(NotRead):
            parse_yaml(text)
    else:
        found = parse_yaml(text)
        assert found == value and type(found) is type(value)


def test_a_number_that_is_none():
    assert str(parse_yaml('.nan')) == 'nan'


@pytest.mark.parametrize('text, words', [
    ('010', "010 is 8 in YAML 1.1 and 10 in YAML 1.2; write a plain number, or '010'"),
    ('-0777', '-0777 is -511 in YAML 1.1 and -777'), ('1:30', '1:30 is 90 in YAML 1.1 and a text'),
    ('1:00:00', 'is 3600 in YAML 1.1'), ('190:20:30.15', 'is 685230.15 in YAML 1.1'),
    ('1_000', '1_000 is 1000 in YAML 1.1 and a text'), ('1_0.5', 'is 10.5 in YAML 1.1'),
    ('0b11', '0b11 is 3 in YAML 1.1'), ('0b_', 'is no number in YAML 1.1'),
    ('0x_', 'is no number in YAML 1.1'), ('0_', 'is 0 in YAML 1.1'), ('0x1_0', 'is 16 in YAML'),
    ('9' * 5000, '999... is a number of more than 18 digits'), ('0x' + 'f' * 99, 'more than 18'),
    ('0' * 5000, 'is a number in YAML 1.1 and a text'), ('1' + ':1' * 900, 'is a number in YAML'),
    ('&a 1', 'anchors and aliases (&a) are not read'), ('[*a]', 'anchors and aliases (*a)'),
    ('a: &b [*b]', 'anchors'), ('<<: *a', 'anchors'), ('!!int x', 'tags (tag:yaml.org,2002:int)'),
    ('!!binary x', 'tags'), ('!!timestamp 2020-13-45', 'tags'), ('!mine {a: 1}', 'tags (!mine)'),
    ('!!set {a}', 'tags'), ('!!omap [a: 1]', 'tags'), ('!!python/name:os.system', 'tags'),
    ('! a', 'tags (!)'), ('!!float x', 'tags'), ('!!bool x', 'tags'), ('!!null x', 'tags'),
    ('a: 1\na: 2', "line 2: key 'a' is given twice"), ('{a: 1, "a": 2}', "key 'a' is given twice"),
    ('? [a]', 'line 1: a key must be a word'), ('? {a: 1}\n: 1', 'a key must be a word'),
    ('a: 1\n--- 2', 'line 2: holds more than one document'),
    ('[' * 5000, 'more than %d levels' % MAX_DEPTH), ('- ' * 5000, 'more than %d' % MAX_DEPTH),
    ('a: ' + '{a: ' * 99, 'more than %d levels' % MAX_DEPTH),
    ('"\\UFFFFFFFF"', ''), ('"\\ud800"', 'text with an invalid character'),
    ('"\\0"', 'text with an invalid character'), ('\x07', 'special characters'),
    ('%YAML ' + '1' * 5000 + '.1\n--- a', ''), ('%YAML 9.1\n--- a', 'version'),
    ('a: b: c', 'line 1'),
    ('a: 1\n\tb: 2', 'line 2'), ('a: [1', ''), ('"a', ''), ('*', ''), ('&', ''), ('@a', ''),
    ('a: 1\n b: 2\n  c', 'line 2'), ('#' * (MAX_BYTES + 1), 'has more than'), (ALIASES, 'line 1: '),
])
def test_what_is_not_read_is_one_line(text, words):
    with pytest.raises(NotRead) as caught:
        parse_yaml(text)
    assert words in str(caught.value)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 300


def test_the_largest_that_is_read():
    assert len(parse_yaml('[' + '1,' * ((MAX_BYTES - 2) // 2) + ']')) == (MAX_BYTES - 2) // 2
    nested = parse_yaml('[' * MAX_DEPTH + ']' * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        nested = nested[0]
    assert nested == []


@pytest.mark.parametrize('text', [
    '010', '1:30', '2020-01-01', '=', '<<', 'on', 'no', 'null', '~', '', '1_000', '1e3', '08',
    '0o1', '.nan', '1.5', 'a: b', '#a', '&a', '*a', '!a', ' a ', 'a\nb', '\xe9\u4e2d', "'", '"',
    '- a', '0x1'])
def test_any_text_survives_the_file_of_a_run(text):
    written = yaml.safe_dump({'a': text, 'b': [text]}, sort_keys=False, default_flow_style=False)
    assert parse_yaml(written) == {'a': text, 'b': [text]}


@pytest.mark.parametrize('override, words', [
    ('run.seed=010', "--set run.seed=010: not a valid value: 010 is 8 in YAML 1.1 and 10 in"),
    ('run.seed=2020-13-45', "run.seed: expected a whole number, found '2020-13-45'"),
    ('run.seed=' + '1' * 5000, 'is a number of more than 18 digits'),
    ('run.seed=!!int x', 'tags'), ('run.seed=1_0', 'is 10 in YAML 1.1'),
    ('train.adam_beta1=0.5:30', 'expected a number, found'),
    ('train.adam_beta1="0_5"', "expected a number, found '0_5'"),
    ('train.adam_beta1=nan', "expected a number, found 'nan'"),
    ('train.adam_beta1="\u0663"', 'expected a number'),
    ('data.raw="\\0"', 'an invalid character'), ('data.raw="\\ud800"', 'an invalid character'),
    ('run={? [a] : 1}', 'a key must be a word'),
    ('run.name=' + 'x' * 5000, 'may contain only letters'),
])
def test_settings_go_through_the_same_reader(override, words):
    with pytest.raises(ConfigError) as caught:
        load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'), [override])
    assert words in str(caught.value)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 600


def test_a_date_may_be_a_name():
    config = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'), ['run.name=2020-01-02'])
    assert config.run.name == '2020-01-02' and "'2020-01-02'" in to_yaml(config)


@pytest.mark.parametrize('data, words', [
    (b'run: {seed: 2020-13-45}', 'run.seed: expected a whole number'),
    (b'? [a]', 'mine.yaml: not valid YAML: line 1: a key must be a word'),
    (b'a: 1\nb: 010\n', 'mine.yaml: not valid YAML: line 2: 010 is 8'),
    (b'a: \xff', 'mine.yaml: cannot be read: bytes that are not UTF-8'),
    (b'abcd: ef \0', 'mine.yaml: cannot be read: holds NUL'),
    (b'#' * (MAX_BYTES + 1), 'cannot be read: larger'),
    (b'x' * 900 + b': 1', 'unknown key x'), (ALIASES.encode(), 'anchors and aliases'),
])
def test_the_command_ends_with_one_line_and_code_2(tmp_path, data, words):
    path = tmp_path / 'mine.yaml'
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert words in str(caught.value) and '\n' not in str(caught.value)
    assert caught.value.exit_code == 2


def test_utf_16_and_a_fifo(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_bytes('run: {name: caf}'.encode('utf-16'))
    assert load_config(str(path)).run.name == 'caf'
    os.mkfifo(str(tmp_path / 'pipe.yaml'))
    with pytest.raises(ConfigError, match='pipe.yaml: cannot be read: not a regular file'):
        load_config(str(tmp_path / 'pipe.yaml'))


def test_the_command_itself(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('run:\n  seed: !!int x\n')
    done = subprocess.run([sys.executable, '-m', 'jobs', 'status', '--config', str(path),
                           '--data', str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 2 and done.stdout == ''
    assert done.stderr.startswith(f'status: error: {path}: not valid YAML: line 2: tags (')
    assert done.stderr.count('\n') == 1
