"""Published archives are read like the folders they hold; what is wrong is said by name."""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time

import pytest
from raw_toy import (
    content,
    flowers_settings,
    make_cub,
    make_flowers,
    pack,
    pack_published,
    run,
    settings,
    write,
)
from refusals import refused
from toy import make_prepared, tiny_config

from jobs.engine.outputs import uses_precomputed_embeddings
from stackgan.data import raw_view
from stackgan.data.archives import unpack
from stackgan.data.layouts import read_plan
from stackgan.data.layouts.pieces import cub_pieces, flowers_pieces
from stackgan.data.raw_view import view_raw
from stackgan.errors import InputError
from stackgan.files import files_below, read_json

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope='module')
def cub(tmp_path_factory):
    """A folder in the CUB layout; no test may change it."""
    return make_cub(tmp_path_factory.mktemp('cub') / 'raw', 12, embeddings=6)


@pytest.fixture(scope='module')
def prepared(cub, tmp_path_factory):
    """What comes of `cub`: {file: bytes}."""
    folder = str(tmp_path_factory.mktemp('out'))
    run(cub, folder, settings())
    return content(folder)


@pytest.fixture
def published(cub, tmp_path):
    """A raw folder with the archives of `cub`."""
    shutil.copytree(cub, str(tmp_path / 'unpacked'))
    return pack_published(tmp_path / 'raw', tmp_path / 'unpacked')


def state(folder):
    """Names, sizes and times of all below a folder."""
    return [(name, os.stat(os.path.join(folder, name)).st_size,
             os.stat(os.path.join(folder, name)).st_mtime_ns) for name in files_below(folder)]


def view(raw, tmp_path, **changes):
    return view_raw(str(raw), cub_pieces(settings(**changes)), str(tmp_path / 'scratch'))


def assert_same(raw, tmp_path, cub):
    """A raw folder is read as `cub` is: plan, images, embeddings."""
    folder = view(raw, tmp_path).folder
    plan = read_plan(str(raw), settings(), folder)
    assert plan == read_plan(cub, settings())
    files = [item.path for items in plan.splits.values() for item in items]
    for name in files + [file for file, _ in plan.embedding_files]:
        with open(os.path.join(folder, name), 'rb') as found, \
                open(os.path.join(cub, name), 'rb') as wanted:
            assert found.read() == wanted.read()


# ---- what a dataset may lie in

def test_archives_give_what_the_folders_give(prepared, published, tmp_path):
    before = state(published)
    lines = run(published, tmp_path / 'out', settings())
    assert content(tmp_path / 'out') == prepared
    assert state(published) == before
    assert lines[:2] == [
        'CUB_200_2011.tgz: used for CUB_200_2011/images, CUB_200_2011/images.txt, '
        'CUB_200_2011/image_class_labels.txt, CUB_200_2011/classes.txt, '
        'CUB_200_2011/bounding_boxes.txt',
        'birds.zip: used for text_c10, train/filenames.pickle, train/char-CNN-RNN-embeddings.pickle'
        ', test/filenames.pickle, test/char-CNN-RNN-embeddings.pickle']


def test_only_what_the_layout_reads_is_unpacked(published, tmp_path):
    view(published, tmp_path, crop='centre')
    names = files_below(str(tmp_path / 'scratch' / 'archives'))
    assert len([name for name in names if name.endswith('.jpg')]) == 12
    assert len([name for name in names if name.startswith('birds.zip/text_c10/')]) == 12
    assert not [name for name in names
                if name.endswith(('attributes.txt', '.t7', '76images.pickle'))]
    assert len(names) == 12 + 4 + 12 + 4


@pytest.mark.parametrize('form', ['.zip', '.tgz', '.tar.gz', '.tar'])
@pytest.mark.parametrize('top', ['', './', 'Data/birds/'])
def test_any_archive_with_any_top_folder(cub, tmp_path, form, top):
    pack(tmp_path / 'raw' / ('all' + form), cub, top)
    assert_same(tmp_path / 'raw', tmp_path, cub)


@pytest.mark.parametrize('moves', [
    [('train', 'birds/train'), ('test', 'birds/test'), ('text_c10', 'birds/text_c10')],
    [('CUB_200_2011', 'Data/birds/CUB_200_2011')],
    [('CUB_200_2011/images', 'images'), ('text_c10', 'text')],
])
def test_unpacked_folders_may_lie_deeper(cub, tmp_path, moves, caplog):
    caplog.set_level(logging.INFO, 'stackgan')
    raw = tmp_path / 'raw'
    shutil.copytree(cub, str(raw))
    for old, new in moves:
        os.makedirs(os.path.dirname(str(raw / new)), exist_ok=True)
        os.rename(str(raw / old), str(raw / new))
    write(raw / '__MACOSX' / 'birds' / 'train' / 'filenames.pickle', 'x')
    write(raw / 'cvpr2016_cub' / 'images' / '001.Red.t7', 'x')
    before = state(str(raw))
    assert_same(raw, tmp_path, cub)
    said = caplog.text
    assert caplog.messages[0].startswith(f'used in place: {raw}') and str(raw / moves[0][1]) in said
    shutil.rmtree(str(tmp_path / 'scratch'))                 # of links: what they lead to stays
    assert state(str(raw)) == before


def test_a_mix_of_both_takes_the_folders_first(cub, published, tmp_path):
    shutil.copytree(os.path.join(cub, 'text_c10'), os.path.join(published, 'text_c10'))
    assert_same(published, tmp_path, cub)
    write(os.path.join(published, 'text_c10', '001.Red', 'picture_0000.txt'), 'mended\nby\nhand')
    plan = read_plan(published, settings(), view(published, tmp_path).folder)
    assert plan.splits['train'][0].captions == ['mended', 'by', 'hand']
    assert not (tmp_path / 'scratch' / 'archives' / 'birds.zip' / 'text_c10').exists()


def test_archives_beside_what_was_unpacked_are_left_alone(cub, published, tmp_path):
    for name in os.listdir(cub):
        shutil.copytree(os.path.join(cub, name), os.path.join(published, name))
    for split in ('train', 'test'):
        write(os.path.join(published, split, 'class_info.pickle'), 'all pieces are there')
    write(os.path.join(published, 'birds.zip'), 'never opened')
    found = view_raw(published, cub_pieces(settings()), str(tmp_path / 'scratch'))
    assert found.folder == published and not (tmp_path / 'scratch').exists()


def test_captions_in_an_archive_of_their_own_within_another(cub, tmp_path):
    """AttnGAN's birds.zip."""
    shutil.copytree(cub, str(tmp_path / 'all'))
    os.rename(str(tmp_path / 'all' / 'text_c10'), str(tmp_path / 'captions'))
    pack(tmp_path / 'all' / 'text.zip', tmp_path / 'captions', 'text/')
    pack(tmp_path / 'raw' / 'birds.zip', tmp_path / 'all', 'birds/')
    assert_same(tmp_path / 'raw', tmp_path, cub)
    assert not [name for name in files_below(str(tmp_path / 'scratch')) if 'zip' in name[-4:]]


def test_flowers_as_published(tmp_path):
    folder, raw = make_flowers(tmp_path / 'all', 9), str(tmp_path / 'raw')
    pack(os.path.join(raw, '102flowers.tgz'), folder, but=('text_c10', 'train', 'test'))
    pack(os.path.join(raw, 'flowers.zip'), folder, 'flowers/', but=('jpg',))
    found = view_raw(raw, flowers_pieces(flowers_settings()), str(tmp_path / 'scratch'))
    assert read_plan(raw, flowers_settings(), found.folder) == read_plan(folder, flowers_settings())
    assert len(os.listdir(os.path.join(found.folder, 'jpg'))) == 9


def test_what_is_in_no_archive_is_named_with_the_archive_that_has_it(published, tmp_path):
    os.unlink(os.path.join(published, 'birds.zip'))
    with pytest.raises(InputError) as caught:
        run(published, tmp_path / 'out', settings())
    text = str(caught.value)
    assert text.startswith(published + ': missing, of birds.zip: text_c10/ (the captions), train/')
    assert 'train/filenames.pickle' in text and 'test/filenames.pickle' in text
    assert 'CUB_200_2011' not in text


def test_messages_name_the_archive_and_not_where_it_was_unpacked(cub, tmp_path):
    shutil.copytree(cub, str(tmp_path / 'all'))
    write(tmp_path / 'all' / 'CUB_200_2011' / 'bounding_boxes.txt', '1 1 2 3\n')
    raw = pack_published(tmp_path / 'raw', tmp_path / 'all')
    with pytest.raises(InputError) as caught:
        run(raw, tmp_path / 'out', settings())
    assert str(caught.value).startswith(
        f'{raw}/CUB_200_2011.tgz: CUB_200_2011/bounding_boxes.txt: image 1: ')


def test_two_of_a_kind_are_an_error(cub, published, tmp_path):
    pack(os.path.join(published, 'old.tar'), cub, but=('CUB_200_2011', 'text_c10'))
    with pytest.raises(InputError, match='birds.zip and .*old.tar both hold train/filenames'):
        view(published, tmp_path)
    os.unlink(os.path.join(published, 'old.tar'))
    for copy in ('a', 'b'):
        shutil.copytree(os.path.join(cub, 'train'), os.path.join(published, copy, 'train'))
    with pytest.raises(InputError, match='a/train/filenames.pickle and .*b/train/.* could both'):
        view(published, tmp_path)


def test_an_archive_of_no_use_is_told(published, tmp_path, caplog):
    caplog.set_level(logging.INFO, 'stackgan')
    pack(os.path.join(published, 'segmentations.tgz'), os.path.join(published))
    view(published, tmp_path)
    assert 'segmentations.tgz: nothing in it is needed' in caplog.text


def test_a_file_instead_of_a_folder_is_an_error(published, tmp_path):
    with pytest.raises(InputError, match='birds.zip: must be a folder that holds'):
        view(os.path.join(published, 'birds.zip'), tmp_path)


# ---- archives that are not what they should be

def cut(path, length):
    with open(path, 'rb+') as stream:
        stream.truncate(length if length >= 0 else os.path.getsize(path) + length)


@pytest.mark.parametrize('name', ['birds.zip', 'CUB_200_2011.tgz'])
@pytest.mark.parametrize('length', [4, 700, -4000, -5])
def test_a_download_that_broke_off(published, tmp_path, name, length):
    cut(os.path.join(published, name), length)
    refused(os.path.join(published, name), 'damaged or cut off', tmp_path)


def test_a_tar_that_was_cut_between_two_members(cub, tmp_path):
    path = pack(tmp_path / 'a.tar', cub)
    with tarfile.open(path) as stream:
        fifth = stream.getmembers()[5].offset
    cut(path, fifth)
    refused(path, 'end-of-archive marker is missing', tmp_path)


def test_tar_files_are_read_and_bounded_where_tarfile_does_not_call_frombuf(
        cub, tmp_path, monkeypatch):
    """As of Python 3.13.12 and Debian's 3.11.2-6+deb12u8: a method of its own makes headers."""
    made = tarfile.TarInfo.frombuf.__func__

    def fromtarfile(cls, archive):
        info = made(cls, archive.fileobj.read(512), archive.encoding, archive.errors)
        info.offset = archive.fileobj.tell() - 512
        return info._proc_member(archive)
    monkeypatch.setattr(tarfile.TarInfo, 'fromtarfile', classmethod(fromtarfile))
    path = pack(tmp_path / 'a.tar', cub)
    unpack(path, cub_pieces(settings()), str(tmp_path / 'x'))
    assert (tmp_path / 'x' / 'CUB_200_2011' / 'images.txt').exists()
    with tarfile.open(path) as stream:
        fifth = stream.getmembers()[5].offset
    cut(path, fifth)
    refused(path, 'end-of-archive marker is missing', tmp_path)


@pytest.mark.parametrize('name', ['birds.zip', 'CUB_200_2011.tgz'])
def test_a_changed_byte_in_an_image_or_pickle(published, tmp_path, name):
    path = os.path.join(published, name)
    with open(path, 'rb+') as stream:
        stream.seek(os.path.getsize(path) // 3)
        byte = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte[0] ^ 64]))
    refused(path, 'damaged or cut off', tmp_path)


@pytest.mark.parametrize('start, words', [
    (b'<!DOCTYPE html><html><title>Google Drive - Quota exceeded', 'is a web page'),
    (b'\n <html lang="en">', 'is a web page'),
    (b'', 'is empty'),
    (b'Rar!\x1a\x07', r"neither a zip nor a tar file.*begins with b'Rar!"),
])
def test_what_is_no_archive(tmp_path, start, words):
    refused(write(tmp_path / 'birds.zip', start), words, tmp_path)


def test_what_an_archive_is_shows_in_its_bytes_not_in_its_name(cub, tmp_path):
    os.rename(pack(tmp_path / 'a.tgz', cub), str(tmp_path / 'a.zip'))
    unpack(str(tmp_path / 'a.zip'), cub_pieces(settings()), str(tmp_path / 'x'))
    assert (tmp_path / 'x' / 'CUB_200_2011' / 'images.txt').exists()


def test_an_encrypted_zip(published, tmp_path):
    path = os.path.join(published, 'birds.zip')
    with open(path, 'rb') as stream:
        data = bytearray(stream.read())
    place = data.find(b'PK\x01\x02')
    while place >= 0:                                # its flags, in the directory at the end
        data[place + 8] |= 1
        place = data.find(b'PK\x01\x02', place + 4)
    refused(write(path, bytes(data)), 'is encrypted', tmp_path)


def test_a_zip_of_another_method(published, tmp_path):
    path = os.path.join(published, 'birds.zip')
    with open(path, 'rb') as stream:
        data = stream.read()
    head = b'PK\x01\x02\x14\x03\x14\x00\x00\x00'
    changed = data.replace(head + b'\x08', head + b'\x09')          # deflate64, as by Windows
    assert changed != data
    refused(write(path, changed), 'packed in a way that Python does not read', tmp_path)


# ---- kill, command line

UNPACK = f"""
import sys, time
sys.path[:0] = [{HERE!r}, {os.path.dirname(HERE)!r}]
from raw_toy import settings
from stackgan.data import raw_view, archives
from stackgan.data.layouts.pieces import cub_pieces
take = archives._Take.take
def slowly(self, member, show):
    take(self, member, show)
    if self.path.endswith('birds.zip'):
        time.sleep(600)                              # until the kill
archives._Take.take = slowly
raw_view.view_raw(sys.argv[1], cub_pieces(settings()), sys.argv[2])
"""


def test_a_kill_while_unpacking_loses_that_archive_only(prepared, published, tmp_path,
                                                        monkeypatch):
    scratch = str(tmp_path / 'out' / 'unfinished')
    process = subprocess.Popen([sys.executable, '-c', UNPACK, published, scratch],
                               stdout=subprocess.DEVNULL)
    begun = os.path.join(scratch, 'archives', 'birds.zip.tmp')
    deadline = time.monotonic() + 30
    while not (os.path.isdir(begun) and files_below(begun)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert sorted(os.listdir(os.path.join(scratch, 'archives'))) == [
        'CUB_200_2011.tgz', 'birds.zip.tmp']
    unpacked = []
    monkeypatch.setattr(raw_view, 'unpack', lambda path, *others: (
        unpacked.append(os.path.basename(path)), unpack(path, *others)))
    run(published, tmp_path / 'out', settings())
    assert unpacked == ['birds.zip'] and content(tmp_path / 'out') == prepared


def command(tmp_path, raw, *arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'jobs', 'preprocess', '--config', 'birds', '--data',
         str(tmp_path / 'volume'), '--set', 'data.raw=' + str(raw)] + list(arguments),
        cwd=os.path.dirname(HERE), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True)
    return done.returncode, done.stdout, done.stderr


def test_embeddings_that_did_not_come_are_named_by_the_kind_that_is_wanted(tmp_path):
    make_prepared(tmp_path / 'prepared' / 'painted-birds')
    for kind in ('char-CNN-RNN', 'skip-thought'):
        config = tiny_config('text.source=pickle', 'data.precomputed_embeddings=' + kind)
        with pytest.raises(InputError, match=f'came without .train,test./{kind}-embeddings'):
            uses_precomputed_embeddings(config, str(tmp_path))


def test_the_job_on_archives(published, tmp_path):
    for name in os.listdir(published):
        os.chmod(os.path.join(published, name), 0o444)
    os.chmod(published, 0o555)
    assert command(tmp_path, published, '--dry-run')[0] == 0
    assert not (tmp_path / 'volume').exists()
    code, out, error = command(tmp_path, published)
    assert code == 0, error
    assert ('9 images for training and 3 for testing, in 3 and 1 classes; CUB-200-2011 as StackGAN '
            'splits it has 8855 and 2933 in 150 and 50: ') in out
    assert read_json(str(tmp_path / 'volume' / 'prepared' / 'birds' / 'dataset.json'))[
        'embedding_dim'] == 6
    assert sorted(os.listdir(str(tmp_path / 'volume' / 'prepared'))) == ['birds', 'birds.lock']
    assert not (tmp_path / 'volume' / 'prepared' / 'birds' / 'unfinished').exists()
    code, out, _ = command(tmp_path, published)
    assert code == 0 and 'up to date' in out
    os.chmod(published, 0o755)
    os.unlink(os.path.join(published, 'birds.zip'))
    write(os.path.join(published, 'birds.zip'), '<!DOCTYPE html>')
    code, _, error = command(tmp_path, published)
    assert code == 2 and 'birds.zip: is a web page' in error and 'Traceback' not in error
    assert (tmp_path / 'volume' / 'prepared' / 'birds' / 'dataset.json').exists()
