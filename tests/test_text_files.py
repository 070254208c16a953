"""Text of any encoding and line end is read alike; what is no text is named."""

import os

import pytest
from raw_toy import write

from stackgan.errors import InputError
from stackgan.files import parse_json
from stackgan.text_files import UnreadableText, read_lines, read_text, split_lines

TEXT = 'a small red bird\r\na café, ein Vögelchen\rthird\n'
LINES = ['a small red bird', 'a café, ein Vögelchen', 'third']
ENCODINGS = {
    'utf-8': b'', 'utf-8 with a mark': b'\xef\xbb\xbf',
    'utf-16-le': b'', 'utf-16-le with a mark': b'\xff\xfe',
    'utf-16-be': b'', 'utf-16-be with a mark': b'\xfe\xff',
    'utf-32-le with a mark': b'\xff\xfe\0\0', 'utf-32-be with a mark': b'\0\0\xfe\xff',
}


@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_encoding_that_can_be_told_gives_the_same_lines(tmp_path, encoding):
    path = write(tmp_path / 'a.txt', ENCODINGS[encoding] + TEXT.encode(encoding.split()[0]))
    assert read_text(path) == (TEXT, True)
    assert read_lines(path) == LINES


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_line_ends_of_every_system_end_lines_and_nothing_else_does(end):
    assert split_lines('a' + end + end + 'b' + end) == ['a', '', 'b']
    assert split_lines('a\u2028b\fc\x0bd\x85e' + end + 'f') == ['a\u2028b\fc\x0bd\x85e', 'f']


@pytest.mark.parametrize('data, words', [
    (b'a bird\0 and more', 'holds NUL characters'),
    (b'\0', 'holds NUL characters'),
    (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'holds NUL characters'),
    (b'abcdefghijkl\0m', 'holds NUL characters'),         # a NUL where UTF-16 has some
    ('ab'.encode('utf-32-le'), 'holds NUL characters'),
    (b'\xff\xfea\0b', 'is damaged UTF-16; save it as UTF-8'),
    (b'\xff\xfe\0\xd8a\0', 'is damaged UTF-16'),
])
def test_what_is_no_text_is_told_with_the_name_of_the_file(tmp_path, data, words):
    path = write(tmp_path / 'a.txt', data)
    with pytest.raises(UnreadableText, match='a.txt ' + words):
        read_text(path)


def test_a_list_that_is_not_utf8_names_the_line(tmp_path):
    path = write(tmp_path / 'list.txt', b'one\r\ncaf\xe9.jpg\n')
    assert read_text(path) == ('one\r\ncaf\ufffd.jpg\n', False)
    with pytest.raises(InputError, match='list.txt: line 2: .* not UTF-8; save the file as UTF-8'):
        read_lines(path)


def test_no_more_is_read_than_allowed(tmp_path):
    path = write(tmp_path / 'a.txt', b'x' * 100)
    assert read_text(path, 100).text == 'x' * 100
    with pytest.raises(UnreadableText, match='cannot be read .larger than 99 bytes'):
        read_text(path, 99)
    with open(path, 'ab') as stream:                      # no blocks on the disk
        stream.truncate(1 << 42)
    with pytest.raises(UnreadableText, match='cannot be read .larger than 16777216 bytes'):
        read_text(path)
    with pytest.raises(UnreadableText, match='cannot be read .larger than 16777216 bytes'):      # no size to ask
        read_text('/dev/../proc/self/pagemap')


def test_what_may_never_answer_is_not_waited_for(tmp_path):
    fifo, link = str(tmp_path / 'fifo'), str(tmp_path / 'link')
    os.mkfifo(fifo)
    os.symlink(fifo, link)
    for path in (fifo, link):
        with pytest.raises(UnreadableText, match=r'cannot be read \(not a regular file\)'):
            read_text(path)
    with pytest.raises(UnreadableText, match=r'zero cannot be read \(not a regular file\)'):
        read_text('/dev/zero')
    with pytest.raises(UnreadableText, match='is missing'):
        read_text(str(tmp_path / 'nothing'))
    with pytest.raises(UnreadableText, match=r'cannot be read \(not a regular file\)'):
        read_text(str(tmp_path))
    with pytest.raises(UnreadableText, match='cannot be read'):
        read_text(str(tmp_path / 'a\0b'))


@pytest.mark.parametrize('text, words', [
    ('[' * 200000, 'nested too deeply'),
    ('{"a":' * 100000, 'nested too deeply'),
    ('{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate key 'c'"),
    ('[NaN]', 'NaN is not a finite number'),
    ('[-Infinity]', '-Infinity is not a finite number'),
    ('[1e999]', '1e999 is not a finite number'),
    ('9' * 5000, 'a number of 5000 digits'),
])
def test_json_of_people_is_plain(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_json(text, strict=True)
    assert len(str(caught.value)) < 200 and '\n' not in str(caught.value)


def test_json_gives_what_it_holds():
    assert parse_json('{"a": [1, -2.5, "\\ud83d\\udc26", null, true]}', strict=True) == {
        'a': [1, -2.5, '\U0001f426', None, True]}
