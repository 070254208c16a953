"""Every command in the documents is given, and what a terminal shows there is what it prints."""

import re

import documents
import pytest
from reader import Reader, settle

pytestmark = pytest.mark.newest
TEXT = """
    python -m jobs sample --caption "a b" \\
        --copies 2                # four are too many

Then `python -m jobs status`, and `data.raw`:

    $ scripts/test.sh
    passed: 3 environments
    ...
    $ docker compose stop

```text
    data/raw/birds
```
- a list
    goes on
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where the chain has been run once, for all documents."""
    folder = tmp_path_factory.mktemp('reader') / 'here'
    patch = pytest.MonkeyPatch()
    try:
        settle(folder, patch)
    finally:
        patch.undo()
    return folder


@pytest.fixture
def reader(folder, monkeypatch):
    return Reader(folder, monkeypatch)


def skeleton(line):
    """A line without what differs between machines, sizes and runs: numbers, folders, threads."""
    line = re.sub(r' \(\d+ of \d+ rows\)', '', line)       # of a grid, where not all are shown
    line = re.sub(r'\S*/data\b', 'data', line)
    line = re.sub(r'-[0-9a-f]{8}\b', '-#', line)
    line = re.sub(r'\d+ (thread|process)(e?s)?(, b?float\d\d)?', r'\1', line)
    line = re.sub(r'\d+(h\d+m|m\d+s|s)\b', '#', line)
    line = re.sub(r'\d[\d.,]*(e[-+]\d+)?', '#', line)
    return ' '.join(line.split())


def compared(line):
    """Whether a line of a document can be looked for in what a short run prints."""
    return line.strip(' .') and not re.search(r' left( |$)', line)


@pytest.mark.parametrize('name', documents.NAMES)
def test_every_command(name, reader):
    faults = []
    for command in documents.commands(name):
        try:
            printed = {skeleton(line) for line in reader.give(list(command.words)).splitlines()}
        except AssertionError as error:
            faults.append(f'{command}\n    {str(error)[:600]}')
            continue
        faults += [f'{command}\n    does not print: {line}' for line in command.printed
                   if compared(line) and skeleton(line) not in printed]
    assert not faults, '\n'.join(faults)


def test_what_is_a_command():
    found = documents.commands('X.md', TEXT)
    assert [(each.line, ' '.join(each.words), each.printed) for each in found] == [
        (2, 'python -m jobs sample --caption a b --copies 2', ()),
        (5, 'python -m jobs status', ()),
        (7, 'scripts/test.sh', ('passed: 3 environments', '...')),
        (10, 'docker compose stop', ())]


@pytest.mark.parametrize('command, text', [
    ('wget page', 'no known form'),
    ('python -m jobs sample --colour red', 'unrecognized arguments: --colour red'),
    ('python -m jobs sample --config burds', 'no such file, and configs/ has only'),
    ('python -m jobs train-stage1 --config birds --set train.batchsize=2', 'did you mean'),
    ('docker compose run --rm paint', 'no service paint'),
    ('docker compose run --rm report --colour red', 'unrecognized arguments'),
    ('docker compose --profile none up tensorboard', 'no profile none'),
    ('scripts/nothing.sh', 'is no program'),
    ('scripts/bundle.sh burn images.tar.gz', 'knows no burn'),
    ("pip install '.[tf3]'", 'tf3'),
    ('python3.7 -m pip wheel -r docker/requirements/none.txt', 'none.txt'),
    ('atc --framework=3', 'convert-om says: --framework=3 --model='),
    ('cp configs/none.yaml configs/mine.yaml', 'none.yaml')])
def test_a_command_that_cannot_be_given_is_a_fault(reader, command, text):
    with pytest.raises(AssertionError, match=re.escape(text)):
        reader.give(list(documents.commands('X.md', '\n    ' + command)[0].words))
