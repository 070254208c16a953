"""Which files count as images: their first bytes decide, where their names do not say enough."""

import os
import shutil
import struct

import pytest
from PIL import Image
from raw_toy import folder_settings, image, make_flowers, noise, write
from test_images import cut

from stackgan.data.image_kinds import HEAD_BYTES, is_image, kind_of, kind_of_file, unreadable
from stackgan.data.images import BadImage
from stackgan.data.layouts import read_plan
from stackgan.scoring.image_sets import FolderImages

SAVED = {'a.jpg': 'JPEG', 'b.png': 'PNG', 'c.gif': 'GIF', 'd.bmp': 'BMP', 'e.dib': 'DIB',
         'f.tif': 'TIFF', 'g.webp': 'WEBP', 'h.ppm': 'PPM', 'i.pgm': 'PPM', 'j.pbm': 'PPM'}


def saved(folder, name):
    """An image of noise, written by Pillow under the name; returns its path."""
    mode = {'.pgm': 'L', '.pbm': '1'}.get(os.path.splitext(name)[1], 'RGB')
    path = str(folder / name)
    noise(1).convert(mode).save(path)
    return path


def box(brand):
    return struct.pack('>I', 24) + b'ftyp' + brand + b'\0\0\0\0mif1' + brand


OTHERS = [
    (box(b'heic'), 'HEIC'), (box(b'mif1'), 'HEIC'), (box(b'avif'), 'AVIF'),
    (box(b'crx '), 'camera RAW'), (box(b'isom'), 'video'),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'SVG'),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- generated -->\n<svg width="3">', 'SVG'),
    (b'8BPS\0\1' + b'\0' * 30, 'Photoshop'), (b'\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL'),
    (b'\0\0\0\x0cjP  \r\n\x87\n', 'JPEG 2000'), (b'II*\0\x10\0\0\0CR\2\0', 'camera RAW'),
]
NOTHING = [b'', b'hello\n', b'P', b'P2 is a pencil\n', b'BM is short for benchmark\n', b'\0' * 99,
           b'\xff\xfe\0\0', b'GIF', b'RIFF\x24\0\0\0WAVE', b'<annotation><svg/></annotation>',
           b'<html><svg></svg></html>', b'%PDF-1.7\n',
           b'%!PS-Adobe-3.0 EPSF-3.0\n', b'PK\3\4', b'\x80\4\x95']


@pytest.mark.parametrize('name', sorted(SAVED))
def test_what_pillow_writes_is_known_by_its_bytes(tmp_path, name):
    path = saved(tmp_path, name)
    assert kind_of_file(path) == SAVED[name]
    with Image.open(path) as image:
        assert image.format == SAVED[name]
    bare = str(tmp_path / 'no_extension')
    shutil.copy(path, bare)
    assert is_image(bare) and unreadable(bare) is None and cut(bare)[0].shape == (304, 304, 3)


@pytest.mark.parametrize('head, kind', OTHERS)
def test_kinds_that_are_not_read_are_told_by_name(tmp_path, head, kind):
    assert kind_of(head) == kind
    path = write(tmp_path / 'photo', head)
    assert is_image(path)
    assert unreadable(path) == (f'images of this kind ({kind}) are not read; convert it to PNG or '
                                f'JPEG')
    with pytest.raises(BadImage, match=rf'kind \({kind}\) are not read; convert'):
        cut(write(tmp_path / 'photo.jpg', head))          # whatever it is called


@pytest.mark.parametrize('head', NOTHING)
def test_other_bytes_are_no_image(tmp_path, head):
    assert kind_of(head) is None
    assert not is_image(write(tmp_path / 'file', head))
    assert is_image(write(tmp_path / 'file.jpg', head))   # but by its name it claims to be one


def test_names_decide_where_they_say_enough(tmp_path):
    png = open(saved(tmp_path, 'b.png'), 'rb').read()
    for name in ('a.JFIF', 'a.jpe', 'a.Pgm', 'a.APNG', 'a.heic', 'a.unknown', 'A.JPG', 'a.jpg.bak'):
        path = write(tmp_path / name, png)
        assert is_image(path) and unreadable(path) is None, name      # HEIC by its name only
    for name in ('a.txt', 'a.TXT', 'captions.csv', 'a.json'):
        assert not is_image(write(tmp_path / name, png)), name        # captions are not opened
    tiff = open(saved(tmp_path, 'f.tif'), 'rb').read()
    assert 'DNG' in unreadable(write(tmp_path / 'a.dng', tiff))       # its preview is a TIFF
    assert 'SVG' in unreadable(write(tmp_path / 'a.svg', b'not one'))


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(str(tmp_path / 'pipe'))
    os.symlink('nowhere', str(tmp_path / 'link'))
    for name in ('pipe', 'link', '', 'missing'):
        assert kind_of_file(str(tmp_path / name)) is None and not is_image(str(tmp_path / name))
    os.mkfifo(str(tmp_path / 'pipe.jpg'))
    with pytest.raises(BadImage, match='it cannot be read .not a regular file'):
        cut(tmp_path / 'pipe.jpg')


def test_only_the_head_of_a_file_is_read(tmp_path):
    path = write(tmp_path / 'a', b' ' * HEAD_BYTES + b'<svg>')
    assert kind_of_file(path) is None


def test_a_folder_of_images_under_all_kinds_of_names(tmp_path):
    jpeg = open(saved(tmp_path, 'a.jpg'), 'rb').read()
    images = tmp_path / 'raw' / 'images'
    names = ['a.jfif', 'b.jpe', 'c.JPG', 'd.pgm', 'e', 'f.jpg.1', 'g.png', 'h.jpg', 'i.HEIC']
    for number, name in enumerate(names):
        write(images / ('kind%d' % (number % 2)) / name,
              {'h.jpg': b'no image', 'i.HEIC': box(b'heic')}.get(name, jpeg))
        stem = os.path.splitext(name)[0]
        write(images / ('kind%d' % (number % 2)) / (stem + '.txt'), 'a caption')
    write(images / 'kind0' / 'notes.md', 'left out')
    write(images / 'kind0' / 'index.bin', b'\xd0\xcf\x11\xe0')
    plan = read_plan(str(tmp_path / 'raw'), folder_settings())
    items = plan.splits['train'] + plan.splits['test']
    assert sorted(os.path.basename(item.path) for item in items) == sorted(names)
    assert {os.path.basename(item.path): item.problem for item in items if item.problem} == {
        'i.HEIC': 'images of this kind (HEIC) are not read; convert it to PNG or JPEG'}
    assert any('index.bin' in remark and 'notes.md' in remark for remark in plan.remarks)
    with pytest.raises(BadImage, match='it is not an image'):
        cut(images / 'kind1' / 'h.jpg')
    assert FolderImages(str(images)).count == len(names)            # score --image-folder


def test_flowers_under_other_names(tmp_path):
    raw = make_flowers(tmp_path)
    os.rename(os.path.join(raw, 'jpg', 'image_00001.jpg'), os.path.join(raw, 'jpg', 'image_00001'))
    os.rename(os.path.join(raw, 'jpg', 'image_00002.jpg'),
              os.path.join(raw, 'jpg', 'image_00002.JFIF'))
    image(os.path.join(raw, 'jpg', 'index.txt.png'))
    os.rename(os.path.join(raw, 'jpg', 'index.txt.png'), os.path.join(raw, 'jpg', 'index.txt'))
    plan = read_plan(raw, folder_settings(layout='flowers', split_by='lists', crop='stretch'))
    paths = {item.path for split in plan.splits.values() for item in split}
    assert 'jpg/image_00001' in paths and not any(path.endswith('.txt') for path in paths)
