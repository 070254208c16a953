"""Every command in the documents is given, and what a terminal shows there is what it prints."""

import re

import documents
import pytest
from reader import settle


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder in which the chain has been run once, for all documents."""
    from reader import Reader
    folder = tmp_path_factory.mktemp('reader')
    with pytest.MonkeyPatch.context() as patch:
        settle(folder / 'here', patch)
    return folder / 'here', Reader


def skeleton(line):
    """A line without what differs between machines, sizes and runs: numbers, folders, threads."""
    line = re.sub(r'\S*/data/', 'data/', line)
    line = re.sub(r'\d+ threads?, (bfloat16|float32)', 'threads', line)
    line = re.sub(r'\d+(h\d+m|m\d+s|s)\b', '#', line)
    line = re.sub(r'\d[\d.,]*', '#', line)
    return re.sub(r'[ ,]+', ' ', line).strip()


def compared(line):
    """Whether a line of a document can be looked for in what a short run prints."""
    return line.strip(' .') and not re.search(r' left( |$)', line)


@pytest.mark.parametrize('name', documents.NAMES)
def test_every_command(name, place, monkeypatch):
    folder, reader_in = place
    reader, faults = reader_in(folder, monkeypatch), []
    for command in documents.commands(name):
        try:
            printed = {skeleton(line) for line in reader.give(list(command.words)).splitlines()}
        except AssertionError as error:
            faults.append('%s\n    %s' % (command, str(error)[:600]))
            continue
        faults += ['%s\n    does not print: %s' % (command, line) for line in command.printed
                   if compared(line) and skeleton(line) not in printed]
    assert not faults, '\n'.join(faults)
