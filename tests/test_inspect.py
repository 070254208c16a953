"""`stackgan inspect` names the layout of every kind of folder, and its configuration works."""

import os
import subprocess
import sys

import pytest
import yaml
from needs import ROOT
from PIL import Image
from raw_toy import image, make_cub, make_flowers, make_folder, pack_published, write
from test_download_layouts import (
    jpeg,
    lines,
    make_coco,
    make_imagefolder,
    make_shard,
    sample,
)

from jobs.engine.command_line import main
from stackgan.config import load_config
from stackgan.data.layouts import read_plan


def make_sidecars(raw, images=4):
    for number in range(images):
        write(raw / ('%d.jpg' % number), jpeg(number))
        write(raw / ('%d.caption' % number), 'a caption')
    return raw


def make_hugging_face(raw):
    make_imagefolder(raw / 'train')
    write(raw / 'train' / 'metadata.jsonl', lines(
        [{'file_name': '%d.png' % n, 'text': 'x'} for n in range(4)]))


def make_webdataset(raw):
    make_shard(raw / 'a' / '00000.tar', sample(0) + sample(1) + sample(2))
    write(raw / 'a' / '00000.parquet', 'x')


MAKERS = {'cub': lambda raw: make_cub(raw, 8), 'flowers': make_flowers, 'folder': make_folder,
          'imagefolder': make_hugging_face, 'coco': make_coco, 'webdataset': make_webdataset,
          'sidecars': make_sidecars}


@pytest.mark.parametrize('layout', sorted(MAKERS))
def test_a_folder_is_named_and_its_configuration_reads_it(tmp_path, capsys, layout):
    raw, sheet = tmp_path / 'raw set', tmp_path / 'sheet.png'
    MAKERS[layout](raw)
    assert main(['inspect', str(raw), '--sheet', str(sheet)]) == 0
    output = capsys.readouterr().out
    assert output.split('\n')[1].startswith(f'layout {layout}, because of ')
    config = write(tmp_path / 'mine.yaml', output[output.index('\n# a configuration'):])
    data = load_config(config).data
    assert data.layout == layout and data.raw == str(raw) and data.name == 'raw-set'
    plan = read_plan(str(raw), data)
    assert 'train: %d images, ' % len(plan.splits['train']) in output
    assert 'test: %d images, ' % len(plan.splits['test']) in output
    assert Image.open(str(sheet)).size[0] > 1000


def test_what_is_odd_is_told_and_not_fatal(tmp_path, capsys, monkeypatch):
    raw = make_sidecars(tmp_path / 'set', 5)
    write(raw / '0.jpg', b'no JPEG')
    write(raw / '9.jpg', jpeg(9))
    write(raw / '1.caption', 'птица')
    write(raw / 'evil\x1b[2J.jpg', jpeg(9))
    monkeypatch.chdir(str(tmp_path))
    assert main(['inspect', 'set']) == 0
    output = capsys.readouterr().out
    assert 'images that cannot be used: 3\n' in output and '\x1b' not in output
    assert '  9.jpg: it has no captions: there is no 9.caption' in output
    assert '  0.jpg: it is not an image' in output
    assert 'captions without a Latin letter or digit: 1;' in output
    assert os.path.exists('inspect-set.png') and sorted(os.listdir('set'))[-1] != 'inspect-set.png'


@pytest.mark.parametrize('make, words', [
    (lambda raw: image(raw / 'a.png'), 'holds images, but no captions'),
    (lambda raw: write(raw / 'data' / 'train-0.parquet', 'x'), 'may hold images in a table'),
    (lambda raw: write(raw / 'set.zip', 'x'), 'unpack set.zip'),
    (lambda raw: write(raw / 'a.tar', 'x'), 'unpack a.tar'),
    (lambda raw: os.makedirs(str(raw)), 'it holds no images'),
    (lambda raw: write(raw, 'x'), 'not a folder')])
def test_a_folder_of_no_layout_is_told_what_to_do(tmp_path, capsys, make, words):
    make(tmp_path / 'raw')
    assert main(['inspect', str(tmp_path / 'raw')]) == 2
    error = capsys.readouterr().err
    assert error.startswith('inspect: error: ') and words in error and error.count('\n') == 1


def test_archives_as_published_are_known_by_their_names(tmp_path, capsys):
    raw = pack_published(tmp_path / 'raw', make_cub(tmp_path / 'cub', 8))
    assert main(['inspect', raw]) == 0
    output = capsys.readouterr().out
    assert 'layout cub, because of CUB_200_2011.tgz' in output and 'unpacked by preproc' in output


def test_the_layout_may_be_said(tmp_path, capsys):
    raw = make_folder(tmp_path / 'raw')
    assert main(['inspect', raw, '--layout', 'sidecars', '--sheet', str(tmp_path / 'a.png')]) == 0
    output = capsys.readouterr().out
    assert 'layout sidecars' in output and yaml.safe_load(output[output.index('\ndata:'):])[
        'data']['layout'] == 'sidecars'
    assert main(['inspect', raw, '--layout', 'coco']) == 2
    assert 'holds no annotations/captions_' in capsys.readouterr().err


def test_inspect_needs_neither_tensorflow_nor_a_configuration(tmp_path):
    raw = make_sidecars(tmp_path / 'raw')
    code = ('import sys; sys.modules["tensorflow"] = None; from jobs.engine.command_line import '
            'main; sys.exit(main(["inspect", %r, "--sheet", "a.png"]))' % str(raw))
    environment = dict(os.environ, PYTHONPATH=ROOT, STACKGAN_CONFIG='no such file')
    assert subprocess.call([sys.executable, '-c', code], cwd=str(tmp_path), env=environment,
                           stdout=subprocess.DEVNULL) == 0
