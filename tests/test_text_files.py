"""Text of any encoding and line end is read alike; what is no text is named."""

import argparse
import os

import pytest
from raw_toy import (
    captions_of,
    flowers_settings,
    folder_settings,
    make_cub,
    make_folder,
    run,
    settings,
    write,
)

from jobs.engine.sample_options import _captions
from stackgan.data.layouts import read_plan
from stackgan.data.layouts.captions import read_caption_file
from stackgan.data.layouts.tables import read_table
from stackgan.errors import InputError
from stackgan.files import files_below, parse_json, read_json_lines
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
    with pytest.raises(UnreadableText, match='larger than 16777216 bytes'):     # no size to ask
        read_text('/proc/self/pagemap')


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


# ---- everything that people bring as text goes through it

@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_a_dataset_of_any_encoding_is_the_same_dataset(tmp_path, encoding):
    """Captions beside images, a table, lists of the splits and a file of captions to generate."""
    def saved(path, text):
        return write(path, ENCODINGS[encoding] + text.encode(encoding.split()[0]))

    raw = make_folder(tmp_path / 'files', 4)
    for name in files_below(raw):
        if name.endswith('.txt'):
            with open(os.path.join(raw, name), encoding='utf-8') as stream:
                saved(os.path.join(raw, name), stream.read().replace('\n', '\r'))
    saved(os.path.join(raw, 'train.txt'), 'kind0/picture00\rkind1/picture01\r')
    saved(os.path.join(raw, 'test.txt'), 'kind0/picture02\r\nkind1/picture03')
    plan = read_plan(raw, folder_settings(split_by='lists', split_train_list='train.txt',
                                          split_test_list='test.txt'))
    assert plan.remarks == []
    assert [item.captions for item in plan.splits['train']] == [captions_of(0), captions_of(1)]

    raw = make_folder(tmp_path / 'table', 3, classes=0)
    for end in ('\r', '\r\n'):
        saved(os.path.join(raw, 'captions.csv'), end.join((
            'file,caption', f'picture00.png,"two {end}lines"',
            'picture01.png,café', 'picture02.png,3', '')))
        plan = read_plan(raw, folder_settings())
        assert sorted(item.captions[0] for items in plan.splits.values() for item in items) == [
            '3', 'café', 'two lines']

    mine = saved(tmp_path / 'mine.txt', 'a red bird\r\r\na\u2028blue bird\f\n')
    options = argparse.Namespace(caption=[], captions=mine)
    assert _captions(options) == ['a red bird', 'a blue bird']


def test_published_birds_of_any_encoding_are_the_same(tmp_path):
    raw = make_cub(tmp_path, 8)
    plan = read_plan(raw, settings())
    for name in ('images.txt', 'classes.txt', 'image_class_labels.txt', 'bounding_boxes.txt'):
        path = os.path.join(raw, 'CUB_200_2011', name)
        with open(path, encoding='utf-8') as stream:
            write(path, stream.read().replace('\n', '\r\n').encode('utf-16'))
    for name in files_below(raw):
        if name.startswith('text_c10'):
            with open(os.path.join(raw, name), encoding='utf-8') as stream:
                text = stream.read().replace('\n', '\r')
            write(os.path.join(raw, name), text.encode('utf-8-sig'))
    assert read_plan(raw, settings()) == plan


def test_rows_of_brought_embeddings_are_counted_as_when_they_were_made(tmp_path):
    """misc/datasets.py splits at LF: a CR within a line made no embedding of its own."""
    path = write(tmp_path / 'a.txt', 'one\rstill one\n{}\r\ntwo\n')
    assert read_caption_file(path, lone_cr=False)[:3] == (['one still one', 'two'], (0, 2), 3)
    assert read_caption_file(path).captions == ['one', 'still one', 'two']


def test_captions_that_say_nothing_are_left_out_and_counted(tmp_path):
    raw = make_folder(tmp_path / 'raw', 4)
    write(os.path.join(raw, 'images', 'kind0', 'picture00.txt'), '{}\na bird\n...\n\n7\n鳥\n')
    lines = run(raw, tmp_path / 'out', folder_settings())
    assert lines[0] == ('captions left out because they hold no letter or digit: 2, the first in '
                        "images/kind0/picture00.txt: '{}'")
    read = [item for split in ('train', 'test') for item in read_json_lines(
        str(tmp_path / 'out' / split / 'items.jsonl')) if item['name'] == 'kind0/picture00.png']
    assert read[0]['captions'] == ['a bird', '7', '鳥']
    write(os.path.join(raw, 'images', 'kind1', 'picture01.txt'), '{}\n')
    with pytest.raises(InputError, match='1 of 4 images cannot be used .*picture01.png: it has no '
                                         'captions: .*01.txt holds none with a letter or digit'):
        run(raw, tmp_path / 'out2', folder_settings())


def test_the_captions_of_the_real_flowers(flowers):
    plan = read_plan(flowers, flowers_settings(split_by='class', split_test_share=0.2))
    captions = [caption for items in plan.splits.values() for item in items
                for caption in item.captions]
    assert len(captions) == 81890 - 13 and '{}' not in captions
    assert len(plan.remarks) == 1 and 'no letter or digit: 13, the first in' in plan.remarks[0]


@pytest.mark.parametrize('spoil, words', [
    (lambda path: os.mkfifo(path), 'cannot be read .not a regular file.'),
    (lambda path: os.symlink('/dev/zero', path), 'cannot be read .not a regular file.'),
    (lambda path: os.mkdir(path), 'cannot be read .not a regular file.'),
    (lambda path: write(path, b'a bird\0'), 'holds NUL characters'),
])
def test_files_that_are_no_text_are_named_wherever_they_stand(tmp_path, spoil, words):
    raw = make_folder(tmp_path, 4)
    caption = os.path.join(raw, 'images', 'kind0', 'picture00.txt')
    os.unlink(caption)
    spoil(caption)
    with pytest.raises(InputError, match='picture00.png: it has no captions: .*00.txt ' + words):
        run(raw, tmp_path / 'out', folder_settings())
    spoil(os.path.join(raw, 'list.txt'))
    with pytest.raises(InputError, match='list.txt ' + words):
        read_plan(raw, folder_settings(split_by='lists', split_train_list='list.txt',
                                       split_test_list='list.txt', on_bad_image='skip'))
    with pytest.raises(InputError, match='--captions .*list.txt: cannot be read: ') as caught:
        _captions(argparse.Namespace(caption=[], captions=os.path.join(raw, 'list.txt')))
    assert str(caught.value).count('cannot be read') == 1
    for name in ('captions.csv', 'captions.jsonl'):
        spoil(os.path.join(raw, name))
        with pytest.raises(InputError, match=name + ' ' + words):
            read_plan(raw, folder_settings())
        os.rename(os.path.join(raw, name), os.path.join(raw, 'spoilt'))
        if not os.path.isdir(os.path.join(raw, 'spoilt')):
            os.unlink(os.path.join(raw, 'spoilt'))


# ---- tables

@pytest.mark.parametrize('text', [
    'file;caption;class\nA;"red; round";x\n', 'file\tcaption\tclass\nA\tred; round\tx\n',
    'sep=;\r\nfile;caption;class\r\nA;"red; round";x\r\n',
    'File , CAPTION,Class\nA,red; round,x\n',
    'class|file|caption\nx|A|red; round\n', ',,\n\nfile,caption,class\nA,red; round,x\n',
    'file,caption,class,,\n,,,,\nA,red; round,x,,\n , ,\t,,\n\n,,,,\n',
    '"file","caption","class"\nA,red; round,x,,,,\n',
    'file,note,caption,class\nA,"file;caption",red; round,x\n',
])
def test_tables_as_spreadsheets_write_them(tmp_path, text):
    path = write(tmp_path / 'Captions.CSV', text)
    assert read_table(path).entries == {'A': (['red; round'], 'x', None)}


@pytest.mark.parametrize('name, text, words', [
    ('a.csv', 'file,caption,caption\nx,y,z\n', 'line 1 names the column caption twice'),
    ('a.csv', '\n\nfile,text\n', 'line 3 must name the columns file and caption'),
    ('a.csv', '\nfile;caption\nx;y\nz;one;two\n', "line 4: more values than columns; put quotes "
                                                  "around a caption with ';' in it"),
    ('a.csv', 'file,caption\n,a red bird\n', "line 2: file is ''; must be a path"),
    ('a.csv', b'file,caption\nx,caf\xe9\ncaf\xe9,y\n', 'line 3: file: .*not UTF-8'),
    ('a.csv', b'file,caption,class\nx,y,caf\xe9\n', 'line 2: class: .*not UTF-8'),
    ('a.jsonl', '{"file": "a", "caption": ' + '[' * 100000,
     'line 1: not JSON that is read .nested'),
    ('a.jsonl', '\n{"file": "a", "file": "b", "caption": "c"}', "line 2: .*duplicate key 'file'"),
    ('a.jsonl', '{"file": "a", "caption": "c", "class": NaN}', 'line 1: .*NaN is not a finite'),
    ('a.jsonl', '{"file": "a", "caption": "c", "class": 1.5}', 'line 1: class is a number'),
    ('a.jsonl', '{"file": "a", "caption": "c", "class": true}', 'class is a truth value; must'),
    ('a.jsonl', '{"file": "a", "caption": "c", "split": ["train"]}', 'split is a list; must be'),
    ('a.jsonl', '{"file": 3, "caption": "c"}', 'line 1: must hold "file".*; "file" is a number'),
    ('a.jsonl', '{"caption": "c"}', '"file" is missing'),
    ('a.jsonl', '{"file": "a", "captions": ["b", null]}', '"captions" holds null'),
    ('a.jsonl', '{"file": "a", "caption": {"en": "b"}}', '"caption" is an object'),
    ('a.jsonl', '{"file": "a"}', 'both captions are missing'),
    ('a.jsonl', '"a bird"', 'it is a text'),
    ('a.jsonl', '{"file": "a", "caption": "b" "c"}', 'not JSON .Expecting .* at column 30'),
])
def test_faults_of_tables_name_the_line_and_what_was_found(tmp_path, name, text, words):
    with pytest.raises(InputError, match=name + '.*' + words) as caught:
        read_table(write(tmp_path / name, text))
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 400


def test_a_value_that_the_header_makes_optional_may_be_missing(tmp_path):
    path = write(tmp_path / 'a.csv', 'file,caption,class,split\na,one\nb,two,x\nc,three,,Train\n')
    assert read_table(path).entries == {'a': (['one'], None, None), 'b': (['two'], 'x', None),
                                        'c': (['three'], None, 'train')}
