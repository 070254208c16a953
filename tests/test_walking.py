"""Trees as people have them: what is walked, what is passed over, what is told."""

import ctypes
import errno
import json
import os
import socket
import subprocess
import sys

import pytest
from raw_toy import (
    captions_of,
    content,
    flowers_settings,
    folder_settings,
    image,
    make_cub,
    make_flowers,
    make_folder,
    pack,
    run,
    settings,
    write,
)
from toy import ROOT

from jobs.engine.contract import listing
from jobs.engine.execution import explain
from stackgan.data.archives import unpack
from stackgan.data.layouts import read_plan
from stackgan.data.layouts.pieces import cub_pieces
from stackgan.data.raw_view import view_raw
from stackgan.data.walking import Fault, is_junk, walk
from stackgan.errors import InputError
from stackgan.files import files_below
from stackgan.scoring.image_sets import FolderImages

JUNK = ['.Trash-1000/files', '.hidden', '@eaDir', '#recycle', '$RECYCLE.BIN', 'lost+found',
        'System Volume Information', '__MACOSX', '.AppleDouble', '@Recycle']
JUNK_FILES = ['._picture00.png', '.DS_Store', 'Thumbs.db', 'desktop.ini', 'Desktop.ini',
              'THUMBS.DB', '.image.png.swp']
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def spoilt(folder):
    """Puts into each folder below what systems leave there, all with the names of images."""
    for parent, _, _ in list(os.walk(folder)):
        for name in JUNK:
            image(os.path.join(parent, name, 'x.png'), 99)
            write(os.path.join(parent, name, 'x.txt'), 'of no image')
        for name in JUNK_FILES:
            write(os.path.join(parent, name), b'\0\5\x16\7 not an image')
        write(os.path.join(parent, '._picture00.txt'), b'\0\5\x16\7')
    return folder


def names(raw, chosen=None):
    plan = read_plan(str(raw), chosen or folder_settings())
    return sorted(item.name for items in plan.splits.values() for item in items)


def problems(raw):
    plan = read_plan(str(raw), folder_settings())
    return {item.name: item.problem for items in plan.splits.values() for item in items
            if item.problem}


# ---- the walk

def test_a_loop_of_links_ends_and_no_folder_is_read_twice(tmp_path):
    write(tmp_path / 'top' / 'a' / 'x')
    write(tmp_path / 'top' / 'b' / 'deep' / 'y')
    write(tmp_path / 'outside' / 'z')
    for target, link in (('..', 'a/up'), ('../..', 'a/above'), ('/', 'a/root'), ('../b', 'a/b'),
                         ('../a', 'b/deep/../a'), ('.', 'b/self'), ('../../outside', 'a/out'),
                         ('../outside', 'same'), (str(tmp_path / 'top'), '../outside/back')):
        os.symlink(target, os.path.join(str(tmp_path / 'top'), link))
    tree = walk(str(tmp_path / 'top'))
    assert tree.files == ['a/x', 'b/deep/y', 'same/z']
    assert tree.again == ['a/above', 'a/b', 'a/out', 'a/root', 'a/up', 'b/a', 'b/self',
                          'same/back'] and not tree.faults


def test_many_links_to_each_other_take_no_time(tmp_path):
    """Followed again below each other, 24 folders would be more than 10 ** 23."""
    for number in range(24):
        write(tmp_path / ('f%d' % number) / 'x')
    for number in range(24):
        for other in range(24):
            os.symlink('../f%d' % other, str(tmp_path / ('f%d' % number) / ('to%d' % other)))
    tree = walk(str(tmp_path))
    assert len(tree.files) == 24 and len(tree.again) == 24 * 24


def test_what_is_no_file_is_told(tmp_path):
    os.symlink('nowhere', str(tmp_path / 'gone.jpg'))
    os.symlink('self', str(tmp_path / 'self'))
    os.symlink('/dev/zero', str(tmp_path / 'zero.jpg'))
    os.mkfifo(str(tmp_path / 'pipe.jpg'))
    with socket.socket(socket.AF_UNIX) as server:
        path = os.getcwd()
        os.chdir(str(tmp_path))                       # an address has 108 bytes at most
        try:
            server.bind('socket.jpg')
        finally:
            os.chdir(path)
    no_file = 'cannot be read (not a regular file)'
    assert walk(str(tmp_path)).faults == [
        Fault('gone.jpg', 'is a link that leads nowhere', False),
        Fault('pipe.jpg', no_file, False),
        Fault('self', 'cannot be read (Too many levels of symbolic links)', False),
        Fault('socket.jpg', no_file, False), Fault('zero.jpg', no_file, False)]
    with pytest.raises(InputError, match='nothing cannot be read .No such file'):
        walk(str(tmp_path / 'nothing'))
    with pytest.raises(InputError, match='cannot be read .Not a directory'):
        walk(write(tmp_path / 'file'))


def test_junk_is_told_by_its_name_alone():
    assert all(is_junk(name.split('/')[0]) for name in JUNK + JUNK_FILES)
    assert not any(is_junk(name) for name in ('eaDir', 'thumbs', 'recycle', 'a.DS_Store', 'MACOSX'))


# ---- one rule for all who read trees

def test_what_systems_leave_in_folders_changes_nothing(tmp_path):
    plain, full = (make_folder(tmp_path / name, 6) for name in ('plain', 'full'))
    spoilt(full)
    chosen = folder_settings()
    run(plain, tmp_path / 'out1', chosen)
    run(full, tmp_path / 'out2', chosen)
    assert content(tmp_path / 'out1') == content(tmp_path / 'out2')
    images = [name for name in files_below(plain) if name.endswith('.png')]
    assert FolderImages(full).paths == FolderImages(plain).paths == images
    assert [row[0] for row in listing(full)] == files_below(plain)

    plain, full = (make_flowers(tmp_path / 'f' / name) for name in ('plain', 'full'))
    spoilt(full)
    assert read_plan(full, flowers_settings()) == read_plan(plain, flowers_settings())


def test_what_systems_leave_in_archives_is_not_unpacked(tmp_path):
    raw = make_cub(tmp_path / 'raw', 8)
    before = files_below(raw)
    archive = pack(tmp_path / 'birds.zip', spoilt(raw), 'birds/')
    unpack(archive, cub_pieces(settings()), str(tmp_path / 'out'))
    assert files_below(str(tmp_path / 'out')) == before


def test_a_raw_folder_with_loops_and_junk_still_finds_what_lies_deeper(tmp_path):
    raw = make_cub(tmp_path / 'raw' / 'Data' / 'birds', 8)
    os.symlink('../..', os.path.join(raw, 'loop'))
    os.symlink('Data', str(tmp_path / 'raw' / 'again'))
    spoilt(str(tmp_path / 'raw'))
    view = view_raw(str(tmp_path / 'raw'), cub_pieces(settings()), str(tmp_path / 'scratch'))
    assert len(read_plan(str(tmp_path / 'raw'), settings(), view.folder).splits['train']) == 6


def test_links_that_lead_to_images_and_classes_are_followed(tmp_path):
    store = make_folder(tmp_path / 'store', 4)
    for kind in ('kind0', 'kind1'):
        os.makedirs(str(tmp_path / 'raw' / 'images'), exist_ok=True)
        os.symlink(os.path.join(store, 'images', kind), str(tmp_path / 'raw' / 'images' / kind))
    write(tmp_path / 'raw' / 'images' / 'kind0' / 'linked.txt', 'a bird')
    os.symlink(os.path.join(store, 'images', 'kind1', 'picture01.png'),
               str(tmp_path / 'raw' / 'images' / 'kind0' / 'linked.png'))
    os.symlink('..', str(tmp_path / 'raw' / 'images' / 'loop'))
    plan = read_plan(str(tmp_path / 'raw'), folder_settings())
    assert names(tmp_path / 'raw') == [
        'kind0/linked.png', 'kind0/picture00.png', 'kind0/picture02.png', 'kind1/picture01.png',
        'kind1/picture03.png']
    assert plan.remarks == ['links that are not followed, to folders that are read in another '
                            'place: loop']


def test_images_that_cannot_be_reached_are_named_and_counted(tmp_path):
    raw = make_folder(tmp_path / 'raw', 6)
    folder = os.path.join(raw, 'images', 'kind0')
    os.mkfifo(os.path.join(folder, 'pipe.jpg'))
    os.symlink('nowhere.jpg', os.path.join(folder, 'gone.JPG'))
    os.symlink('gone', os.path.join(folder, 'gone'))
    os.mkfifo(os.path.join(folder, 'notes.md'))
    for name in ('pipe', 'gone'):
        write(os.path.join(folder, name + '.txt'), 'a bird')
    assert problems(raw) == {
        'kind0/pipe.jpg': 'it cannot be read (not a regular file)',
        'kind0/gone.JPG': 'it is a link that leads nowhere'}
    with pytest.raises(InputError, match='2 of 8 images cannot be used .*gone.JPG: it is a link'):
        run(raw, tmp_path / 'out', folder_settings())
    lines = run(raw, tmp_path / 'out', folder_settings(on_bad_image='skip'))
    assert 'bad images: 2, listed in bad-images.jsonl' in lines
    scored = FolderImages(os.path.join(raw, 'images'))
    pixels = [read().pixels for read in scored.readers(0)]
    assert [scored.fault(index) for index, each in enumerate(pixels) if each is None] == [
        ('kind0/gone.JPG', 'it is a link that leads nowhere'),
        ('kind0/pipe.jpg', 'it cannot be read (not a regular file)')]


def test_a_name_that_is_no_utf8_is_scored_and_shown(tmp_path):
    image(tmp_path / 'good.png')
    try:
        for name, source in ((b'caf\xe9.png', 'good.png'), (b'caf\xe8.png', 'nothing.png')):
            os.symlink(os.path.join(os.fsencode(str(tmp_path)), os.fsencode(source)),
                       os.path.join(os.fsencode(str(tmp_path)), name))
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    scored = FolderImages(str(tmp_path))
    pixels = [read().pixels is not None for read in scored.readers(0)]
    assert pixels == [False, True, True]
    assert scored.fault(0) == ('caf\ufffd.png', 'it is a link that leads nowhere')


def test_flowers_that_cannot_be_reached_are_named(tmp_path):
    raw = make_flowers(tmp_path)
    for name in ('jpg/image_00001.jpg', 'text_c10/class_00003/image_00002.txt'):
        os.unlink(os.path.join(raw, name))
        os.mkfifo(os.path.join(raw, name))
    plan = read_plan(raw, flowers_settings())
    assert {item.name: item.problem for item in plan.splits['train']} == {
        'jpg/image_00001': 'it cannot be read (not a regular file)', 'jpg/image_00004': None,
        'jpg/image_00002': 'it has no captions: text_c10/class_00003/image_00002.txt cannot be '
                           'read (not a regular file)'}


def test_capitals_in_names_and_extensions_do_not_matter(tmp_path):
    raw = make_folder(tmp_path / 'raw', 4)
    for name in files_below(raw):
        os.rename(os.path.join(raw, name), os.path.join(raw, name[:-4] + name[-4:].upper()))
    os.rename(os.path.join(raw, 'images'), os.path.join(raw, 'Images'))
    plan = read_plan(raw, folder_settings())
    captions = {item.name: item.captions for items in plan.splits.values() for item in items}
    assert captions['kind0/picture00.PNG'] == captions_of(0) and len(captions) == 4
    write(os.path.join(raw, 'Images', 'kind0', 'picture00.txt'), 'another')
    assert problems(raw) == {'kind0/picture00.PNG': 'it has two files of captions: Images/kind0/'
                             'picture00.TXT and Images/kind0/picture00.txt'}
    write(os.path.join(raw, 'Captions.CSV'), 'file,caption\n' + ''.join(
        f'{name},of the table\n' for name in captions))
    plan = read_plan(raw, folder_settings())
    assert {item.captions[0] for item in plan.splits['train']} == {'of the table'}
    write(os.path.join(raw, 'captions.jsonl'))
    with pytest.raises(InputError, match='holds Captions.CSV and captions.jsonl; remove one'):
        read_plan(raw, folder_settings())


# ---- as a user who may not read everything

def without_privileges():
    """Root may read everything; without these capabilities it is a user like others."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            os._exit(99)


def job(*words):
    """(exit code, output) of a job whose user may not read what is closed."""
    done = subprocess.run([sys.executable, '-m', 'jobs'] + list(words), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, cwd=ROOT,
                          preexec_fn=None if os.getuid() else without_privileges)
    if done.returncode == 99:
        pytest.skip('root may not give up its privileges here; run the tests as another user')
    return done.returncode, done.stdout


@pytest.fixture
def closed(tmp_path):
    """(raw folder, volume, close): `close` takes all rights of a path, until the test is over."""
    paths = []

    def close(path):
        paths.append(path)
        os.chmod(path, 0)
    yield make_folder(tmp_path / 'raw', 6), str(tmp_path / 'volume'), close
    for path in paths:
        os.chmod(path, 0o755)


def preprocess(raw, volume, *words):
    return job('preprocess', '--config', 'folder', '--data', volume, '--set',
               'data.raw=' + raw, '--set', 'data.workers=1', '--set',
               'data.max_bad_share=0.5', *words)


def test_a_closed_folder_that_nothing_needs_is_passed_over(closed):
    raw, volume, close = closed
    for name in ('lost+found', 'other'):
        os.makedirs(os.path.join(raw, name))
        close(os.path.join(raw, name))
    code, output = preprocess(raw, volume)
    assert code == 0 and 'Traceback' not in output, output
    code, output = job('status', '--config', 'folder', '--data', volume, '--set', 'data.raw=' + raw)
    assert code == 0 and 'Traceback' not in output, output


def test_a_closed_folder_of_images_counts_as_a_bad_image(closed):
    raw, volume, close = closed
    image(os.path.join(raw, 'images', 'kind2', 'deep', 'a.png'))
    close(os.path.join(raw, 'images', 'kind2', 'deep'))
    words = 'images/kind2/deep: the folder cannot be read (Permission denied)'
    code, output = preprocess(raw, volume, '--set', 'data.on_bad_image=fail')
    assert code == 2 and words in output and 'write' not in output.split('error:')[1], output
    code, output = preprocess(raw, volume, '--set', 'data.on_bad_image=skip')
    assert code == 0 and f'left out: 1 of 7 images ({words})' in output, output
    with open(os.path.join(volume, 'prepared', 'folder', 'bad-images.jsonl')) as stream:
        assert json.loads(stream.read())['file'] == 'images/kind2/deep'


@pytest.mark.parametrize('name, words', [
    ('captions.csv', 'captions.csv cannot be read (Permission denied)'),
    ('images', 'images cannot be read (Permission denied)'),
    ('images/kind0/picture00.png', 'it cannot be read (Permission denied)'),
    ('images/kind0/picture00.txt', 'picture00.txt cannot be read (Permission denied)'),
    ('', 'raw cannot be read (Permission denied)'),
])
def test_what_cannot_be_read_is_not_called_unwritable(closed, name, words):
    raw, volume, close = closed
    path = os.path.join(raw, name)
    if name.endswith('.csv'):
        write(path, 'file,caption\n')
    close(path.rstrip('/'))
    code, output = preprocess(raw, volume, '--set', 'data.on_bad_image=fail')
    assert code == 2 and words in output and 'Traceback' not in output, output
    assert 'writ' not in output.split('error:')[1]


def test_a_refusal_is_named_after_what_was_refused(tmp_path, monkeypatch):
    path = write(tmp_path / 'shard.npy')
    error = PermissionError(errno.EACCES, 'Permission denied', path)
    assert explain(error, str(tmp_path), None).startswith(f'cannot write {path}')
    monkeypatch.setattr(os, 'access', lambda path, mode: not mode & os.R_OK)
    assert explain(error, str(tmp_path), None) == (
        'cannot read %s: Permission denied; make it readable for user %d' % (path, os.getuid()))
    missing = PermissionError(errno.EACCES, 'Permission denied', path + '.tmp')
    assert explain(missing, str(tmp_path), None).startswith('cannot write')
