"""The documents name what exists, and all of it."""

import dataclasses
import os
import re
import typing

import pytest
from toy import ROOT

from jobs import chain
from stackgan.config import schema
from stackgan.config.loading import _strip_optional

DOCUMENTS = ['README.md'] + ['docs/' + name for name in sorted(os.listdir(ROOT + '/docs'))]


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as stream:
        return stream.read()


def keys(kind, prefix=''):
    for name, hint in typing.get_type_hints(kind).items():
        kind = _strip_optional(hint)[0]
        if dataclasses.is_dataclass(kind):
            yield from keys(kind, prefix + name + '.')
        else:
            yield prefix + name


def test_every_key_is_in_the_table_and_no_other():
    listed = re.findall(r'^\| `([a-z0-9_.]+)` \|', read('docs/configuration.md'), re.M)
    assert listed == list(keys(schema.Config))


def test_the_readme_names_every_job():
    text = read('README.md')
    assert all('| `%s` |' % name in text for name in chain.NAMES)


@pytest.mark.parametrize('name', DOCUMENTS)
def test_links_and_configurations_exist(name):
    text = read(name)
    for target in re.findall(r'\]\(([^)]+)\)', text):
        if not target.startswith('http'):
            assert os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)), target
    for config in re.findall(r'configs/([\w-]+)\.yaml', text):
        assert config == 'mine' or os.path.exists(ROOT + '/configs/%s.yaml' % config), config


@pytest.mark.parametrize('name', DOCUMENTS)
def test_keys_in_the_text_exist(name):
    known = set(keys(schema.Config)) | {'section.key'}
    sections = {key.split('.')[0] for key in known}
    for key in re.findall(r'(?:--set |`)([a-z0-9_]+(?:\.[a-z0-9_]+)+)', read(name)):
        if key.split('.')[0] in sections:
            assert key in known, key


@pytest.mark.parametrize('name', DOCUMENTS)
def test_no_unfinished_places(name):
    text = re.sub(r'(STACKGAN|PIP|CUB|COMPOSE|ASCEND|DEBIAN|DOCKER|LD)_\w+', '', read(name))
    assert not re.search(r'\b[A-Z]{3,}_[A-Z]{3,}\b|@[A-Z]+@', text)
