"""Images that are weapons, and images that only look like ones."""

import ast
import io
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from images_by_hand import chunk, png, tiff
from PIL import Image
from raw_toy import folder_settings, make_folder, noise, run, write
from test_architecture import SOURCES
from test_images import cut
from toy import ROOT

from stackgan.data import images
from stackgan.data.images import MAX_BYTES, BadImage, read_image, require_image
from stackgan.errors import InputError
from stackgan.files import read_json_lines

ROW = [bytes([10, 200, 30])]
BOMB = zlib.compress(bytes(8 << 20))
TEXTS = {
    'zTXt': (b'zTXt', b'a\0\0' + BOMB), 'iTXt': (b'iTXt', b'a\0\1\0\0\0' + BOMB),
    'iCCP': (b'iCCP', b'a\0\0' + BOMB), 'tEXt': (b'tEXt', b'a\0' + bytes(68 << 20)),
    'zTXt of no method': (b'zTXt', b'a\0\1' + BOMB), 'pHYs of one byte': (b'pHYs', b'a'),
    'empty gAMA': (b'gAMA', b''), 'short acTL': (b'acTL', b'123'),
}


def bomb(width, height):
    """A PNG whose header promises pixels that are not there."""
    data = png(1, 1, 8, 0, [b'\0'])
    head = data[16:].index(b'IDAT') - 4 + 16
    header = chunk(b'IHDR', width.to_bytes(4, 'big') + height.to_bytes(4, 'big') + b'\x08\0\0\0\0')
    return data[:8] + header + data[head:]


@pytest.mark.filterwarnings('ignore:Image size')
@pytest.mark.parametrize('width, height', [(119000000, 1), (1, 100000000), (65536, 2), (2, 65536)])
def test_sides_are_bounded_before_anything_is_decoded(tmp_path, width, height):
    path = write(tmp_path / 'a.png', bomb(width, height))
    for use in (cut, read_image):
        with pytest.raises(BadImage, match='it has %d x %d pixels; at most 65535 per side'
                           % (width, height)):
            use(path)


@pytest.mark.parametrize('width, height', [(65535, 1), (1, 65535)])
def test_the_longest_sides_that_are_accepted(tmp_path, width, height):
    path = write(tmp_path / 'a.png', png(width, height, 1, 0, [bytes((width + 7) // 8)] * height))
    assert not cut(path)[0].any() and read_image(path).size == (width, height)


def test_a_bomb_is_left_out_by_name(tmp_path):
    raw = make_folder(tmp_path / 'raw', 10)
    for name, data in (('long', bomb(119000000, 1)), ('high', bomb(1, 100000000)),
                       ('large', bomb(60000, 60000)), ('text', b'hello')):
        write(os.path.join(raw, 'images', 'kind0', name + '.png'), data)
        write(os.path.join(raw, 'images', 'kind0', name + '.txt'), 'a caption')
    lines = run(raw, tmp_path / 'out', folder_settings(on_bad_image='skip'))
    bad = {each['file']: each['reason'] for each in read_json_lines(
        str(tmp_path / 'out' / 'bad-images.jsonl'))}
    assert sorted(bad) == [f'images/kind0/{name}.png' for name in ('high', 'large', 'long',
                                                                     'text')]
    assert 'at most 65535 per side' in bad['images/kind0/long.png']
    assert any('left out: 4 of 14 images' in line for line in lines)


@pytest.mark.parametrize('failure', [MemoryError(), RecursionError('too deep'), IndexError(),
                                     ValueError('no'), OSError(12, 'Cannot allocate memory')])
def test_any_failure_of_a_decoder_is_the_image_s(tmp_path, monkeypatch, failure):
    def fail(*arguments):
        raise failure
    path = write(tmp_path / 'a.png', png(1, 1, 8, 2, ROW))
    monkeypatch.setattr(images, 'to_rgb', fail)
    with pytest.raises(BadImage):
        cut(path)


def test_too_little_memory_is_told_of_the_image(tmp_path):
    path = write(tmp_path / 'a.png', png(9000, 9000, 1, 0, [bytes(1125)] * 9000))
    code = ('import resource, sys\nfrom stackgan.data.images import read_image, BadImage\n'
            'size = int(open("/proc/self/statm").read().split()[0]) * 4096 + (64 << 20)\n'
            'resource.setrlimit(resource.RLIMIT_AS, (size, size))\n'
            'try:\n    read_image(sys.argv[1])\nexcept BadImage as error:\n    print(error)\n')
    done = subprocess.run([sys.executable, '-c', code, path], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.stdout == 'there is not enough memory to decode it\n', done.stderr


@pytest.mark.parametrize('where', ['before', 'after'])
@pytest.mark.parametrize('name', sorted(TEXTS))
def test_what_is_no_pixel_of_a_png_does_no_harm(tmp_path, where, name):
    path = write(tmp_path / 'a.png', png(1, 1, 8, 2, ROW, **{where: [TEXTS[name]]}))
    assert read_image(path).getpixel((0, 0)) == (10, 200, 30)
    assert cut(path)[0][5, 5].tolist() == [10, 200, 30]


def test_a_damaged_text_does_no_harm_and_a_damaged_pixel_does(tmp_path):
    data = png(1, 1, 8, 2, ROW, before=[(b'tEXt', b'a\0bcdef')])
    assert read_image(write(tmp_path / 'a.png', data.replace(b'bcdef', b'bcdeg')))
    with pytest.raises(BadImage, match='damaged'):
        cut(write(tmp_path / 'b.png', png(2, 1, 8, 2, ROW, before=[TEXTS['iCCP']])))
    good = png(1, 1, 8, 2, ROW, before=[TEXTS['iCCP']])
    for length in range(9, len(good) - 12, 97):
        with pytest.raises(BadImage):
            cut(write(tmp_path / 'c.png', good[:length]))


def test_an_orientation_beside_a_large_text_is_kept(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = [bytes([255, 0, 0, 0, 0, 255])]
    data = png(2, 1, 8, 2, pixels, before=[(b'eXIf', exif.tobytes()[6:]), TEXTS['zTXt']])
    assert read_image(write(tmp_path / 'a.png', data)).size == (1, 2)


@pytest.mark.parametrize('kind', ['GIF', 'WEBP', 'PNG'])
def test_of_many_frames_the_first_is_taken(tmp_path, kind):
    frames = [noise(number, 24, 16) for number in range(300)]
    path = str(tmp_path / 'a')
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], lossless=True)
    found = np.asarray(read_image(path)).astype(int)
    assert np.abs(found - np.asarray(frames[0])).mean() < (20 if kind == 'GIF' else 0.01)


def test_no_program_is_started_for_an_image(tmp_path, monkeypatch):
    mark = tmp_path / 'started'
    program = write(tmp_path / 'bin' / 'gs', f'#!/bin/sh\ntouch {mark}\n')
    os.chmod(program, 0o755)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin') + os.pathsep + os.environ['PATH'])
    assert subprocess.call(['gs']) == 0 and mark.exists()
    mark.unlink()
    page = (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n')
    for name in ('a.eps', 'a.jpg', 'a'):
        with pytest.raises(BadImage):
            cut(write(tmp_path / name, page))
    assert not mark.exists()


@pytest.mark.parametrize('path', SOURCES)
def test_images_are_opened_with_a_list_of_formats(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        tree = ast.parse(stream.read())
    for node in ast.walk(tree):
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                and node.func.attr == 'open' and getattr(node.func.value, 'id', '') == 'Image'):
            assert any(each.arg == 'formats' for each in node.keywords), path


def test_files_that_are_too_large_are_not_read(tmp_path):
    path = write(tmp_path / 'a.tif', tiff(1, 1, [8], 1, b'\0'))
    os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(BadImage, match='larger than 1024 MiB'):
        cut(path)


def test_a_needed_image_is_told_by_name(tmp_path):
    path = write(tmp_path / 'a.png', b'hello')
    with pytest.raises(InputError, match='a.png: it is not an image'):
        require_image(path)
    out = io.BytesIO()
    noise(1).save(out, 'PNG')
    pixels = np.asarray(require_image(write(path, out.getvalue())))
    np.testing.assert_array_equal(pixels, np.asarray(noise(1)))
