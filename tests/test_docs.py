"""The documents name what exists, and all of it."""

import ast
import dataclasses
import os
import re
import typing

import pytest
from documents import NAMES as DOCUMENTS
from documents import read
from test_architecture import SOURCES
from toy import ROOT

from jobs.engine import chain
from stackgan.config import schema
from stackgan.config.loading import strip_optional


def keys(kind, prefix=''):
    for name, hint in typing.get_type_hints(kind).items():
        kind = strip_optional(hint)[0]
        if dataclasses.is_dataclass(kind):
            yield from keys(kind, prefix + name + '.')
        else:
            yield prefix + name


def test_every_key_is_in_the_table_and_no_other():
    listed = re.findall(r'^\| `([a-z0-9_.]+)` \|', read('docs/configuration.md'), re.M)
    assert listed == list(keys(schema.Config))


def test_the_readme_names_every_job():
    text = read('README.md')
    assert all(f'| `{name}` |' in text for name in chain.NAMES)


def headings(text):
    """The names by which headings are linked to."""
    return {re.sub(r'[^\w -]', '', line).strip().lower().replace(' ', '-')
            for line in re.findall(r'^#+ (.*)$', text, re.M)}


@pytest.mark.parametrize('name', DOCUMENTS)
def test_links_and_configurations_exist(name):
    text = read(name)
    for target in re.findall(r'\]\(([^)]+)\)', text):
        if not target.startswith('http'):
            file, _, heading = target.partition('#')
            path = os.path.join(os.path.dirname(name), file) if file else name
            assert os.path.exists(os.path.join(ROOT, path)), target
            assert not heading or heading in headings(read(path)), target
    for config in re.findall(r'configs/([\w-]+)\.yaml', text):
        assert config == 'my-flowers' or os.path.exists(ROOT + f'/configs/{config}.yaml'), config


OF_OTHER_PROGRAMS = ('platform.npu_options.', 'export.atc_options.')


@pytest.mark.parametrize('name', DOCUMENTS)
def test_keys_in_the_text_exist(name):
    known = set(keys(schema.Config)) | {'section.key'}
    sections = {key.split('.')[0] for key in known}
    for key in re.findall(r'(?:--set |`)([a-z0-9_]+(?:\.[a-z0-9_]+)+)', read(name)):
        if key.split('.')[0] in sections and not key.startswith(OF_OTHER_PROGRAMS):
            assert key in known, key


@pytest.mark.parametrize('name', DOCUMENTS)
def test_no_unfinished_places(name):
    text = re.sub(r'(STACKGAN|PIP|CUB|COMPOSE|ASCEND|DEBIAN|DOCKER|LD|GLIBC|SLURM|RANK|JOB|CM|CUDA)'
                  r'_\w+', '', read(name))
    assert not re.search(r'\b[A-Z]{3,}_[A-Z]{3,}\b|@[A-Z]+@', text)


def _text(node):
    """Of a string or f-string, with `...` for what it fills in; None for another node."""
    if isinstance(node, ast.JoinedStr):
        return ''.join(_text(part) or '...' for part in node.values)
    text = node.value if hasattr(node, 'value') else getattr(node, 's', None)       # 3.7: s
    return text if isinstance(text, str) else None


def test_messages_that_are_explained_are_those_of_the_code():
    """Code spans in a first column under "it says", with `...` for what a message fills in."""
    nodes = [node for path in SOURCES for node in ast.walk(ast.parse(read(path)))]
    texts = [text for text in map(_text, nodes) if text is not None]
    tables = (read('docs/troubleshooting.md')
              + read('docs/containers.md').split('| what it says |')[1])
    rows = re.findall(r'^\| (`[^|]*) \|', tables, re.M)
    quoted = [span for row in rows for span in re.findall('`([^`]+)`', row)
              if span != 'ResourceExhaustedError']                      # TensorFlow's
    assert len(quoted) > 40
    for message in quoted:
        parts = [re.escape(part) for part in re.split(r' ?\.\.\. ?', message.strip('. '))]
        assert any(re.search('.*'.join(parts), text) for text in texts), message
