"""Reading files that may be anything: what is no regular file, too large or nested too deeply."""

import os
import socket

import pytest

from stackgan.files import (
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_json_lines,
)


def make_fifo(path):
    os.mkfifo(str(path))


def make_socket(path):
    before = os.getcwd()
    os.chdir(str(path.parent))                  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


@pytest.mark.parametrize('make', [
    make_fifo, make_socket, lambda path: path.mkdir(), lambda path: path.symlink_to('/dev/zero'),
    lambda path: path.symlink_to('gone'), lambda path: path.symlink_to(path.name)])
def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path, make):
    path = tmp_path / 'x.json'
    make(path)
    for read in (open_regular, read_json, read_json_lines, lambda path: read_bytes(path, 10)):
        with pytest.raises(OSError):
            read(str(path))


def test_links_are_followed_unless_told_otherwise(tmp_path):
    (tmp_path / 'x').write_bytes(b'abc')
    (tmp_path / 'link').symlink_to('x')
    assert read_bytes(str(tmp_path / 'link'), 3) == b'abc'
    with pytest.raises(OSError):
        read_bytes(str(tmp_path / 'link'), 3, follow=False)


def test_sizes_have_a_bound(tmp_path):
    path = str(tmp_path / 'x.json')
    with open(path, 'wb') as stream:
        stream.truncate(3 << 30)                # sparse
    for read in (read_json, lambda path: read_bytes(path, MAX_JSON_BYTES)):
        with pytest.raises(ValueError, match='larger than'):
            read(path)
    with open(path, 'wb') as stream:
        stream.write(b'{"a": 1}')
    assert read_json(path, 8) == {'a': 1}
    with pytest.raises(ValueError, match='larger than 7 bytes'):
        read_json(path, 7)


def test_nesting_and_numbers_have_bounds(tmp_path):
    def nested(depth):
        return '{"a":[' * (depth // 2) + ']}' * (depth // 2)

    assert parse_json(nested(MAX_JSON_DEPTH))
    for text in (nested(MAX_JSON_DEPTH + 2), nested(900), '[' * 200000, '[' * 200000 + ']' * 200000,
                 '1' * 5000, '[-' + '9' * 2000000 + ']', '{"a": [', '\ufeff{}', ''):
        with pytest.raises(ValueError):
            parse_json(text)
    path = tmp_path / 'x.jsonl'
    path.write_text('{"a": 1}\n\n' + '[' * 100000 + '\n')
    with pytest.raises(ValueError):
        read_json_lines(str(path))
    path.write_bytes(b'"\xff"')
    with pytest.raises(ValueError):
        read_json(str(path))
