"""One image file to its crops: colours, orientation, boxes, damage."""

import errno
import hashlib
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from raw_toy import noise, write

from stackgan.data import images
from stackgan.data.images import BadImage, Crop, cut_image, region_of

WHOLE = Crop('stretch', 0.75)
BOX = Crop('box', 0.75)
SIDES = (304, 76)


def cut(path, crop=WHOLE, box=None, sides=SIDES):
    """Arrays (side, side, 3) of an image file, the largest first."""
    found = cut_image(str(path), crop, box, sides)
    return [np.frombuffer(data, np.uint8).reshape(side, side, 3)
            for data, side in zip(found.pixels, sides)]


def colour_of(path):
    """The one colour of an image."""
    pixels = cut(path)[0]
    assert (pixels == pixels[0, 0]).all()
    return tuple(int(value) for value in pixels[0, 0])


def test_both_sizes_are_bicubic_the_small_one_from_the_large(tmp_path):
    noise(1, 90, 130).save(str(tmp_path / 'a.png'))
    large, small = cut(tmp_path / 'a.png')
    expected = noise(1, 90, 130).resize((304, 304), Image.BICUBIC)
    np.testing.assert_array_equal(large, np.asarray(expected))
    np.testing.assert_array_equal(small, np.asarray(expected.resize((76, 76), Image.BICUBIC)))


def test_every_pillow_gives_the_same_bytes(tmp_path):
    # Newer ones would resize this shape along its columns first, and round otherwise.
    pixels = np.random.RandomState(0).randint(0, 256, (306, 296, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(str(tmp_path / 'a.png'))
    digest = hashlib.sha256(b''.join(cut_image(str(tmp_path / 'a.png'), WHOLE, None,
                                               SIDES).pixels)).hexdigest()
    assert digest[:16] == 'dc27d5c140470138'


@pytest.mark.parametrize('mode, colour, name, expected', [
    ('RGB', (10, 200, 30), 'a.png', (10, 200, 30)),
    ('L', 77, 'a.png', (77, 77, 77)),
    ('L', 77, 'a.jpg', (77, 77, 77)),
    ('1', 1, 'a.png', (255, 255, 255)),
    ('RGBA', (10, 200, 30, 255), 'a.png', (10, 200, 30)),
    ('RGBA', (10, 200, 30, 0), 'a.png', (255, 255, 255)),
    ('RGBA', (0, 0, 0, 51), 'a.webp', (204, 204, 204)),
    ('LA', (0, 51), 'a.png', (204, 204, 204)),
    ('CMYK', (0, 255, 255, 0), 'a.tif', (255, 0, 0)),
    ('I;16', 40000, 'a.png', (156, 156, 156)),
    ('I;16', 40000, 'a.tif', (156, 156, 156)),
])
def test_colour_modes_become_rgb(tmp_path, mode, colour, name, expected):
    Image.new(mode, (40, 30), colour).save(str(tmp_path / name), lossless=True)
    assert colour_of(tmp_path / name) == expected


def test_cmyk_jpeg_palette_and_its_transparency_become_rgb(tmp_path):
    Image.new('CMYK', (40, 30), (0, 255, 255, 0)).save(str(tmp_path / 'c.jpg'), quality=100)
    assert colour_of(tmp_path / 'c.jpg')[0] > 240 and max(colour_of(tmp_path / 'c.jpg')[1:]) < 15
    palette = Image.new('P', (40, 30), 1)
    palette.putpalette([0, 0, 0, 250, 120, 5] + [0] * 762)
    palette.save(str(tmp_path / 'p.gif'))
    assert colour_of(tmp_path / 'p.gif') == (250, 120, 5)
    palette.save(str(tmp_path / 'p.png'), transparency=1)
    assert colour_of(tmp_path / 'p.png') == (255, 255, 255)


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new('F', (40, 30), 0.5).save(str(tmp_path / 'a.tif'))
    with pytest.raises(BadImage, match='floating-point'):
        cut(tmp_path / 'a.tif')


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.tif', 'a.webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_turns_the_image(tmp_path, name, orientation):
    upright = Image.new('RGB', (96, 64), (0, 0, 255))
    upright.paste((255, 0, 0), (0, 0, 48, 32))            # red at the top left
    upright.paste((0, 255, 0), (48, 0, 96, 32))           # green at the top right
    undo = {2: 'FLIP_LEFT_RIGHT', 3: 'ROTATE_180', 4: 'FLIP_TOP_BOTTOM', 5: 'TRANSPOSE',
            6: 'ROTATE_90', 7: 'TRANSVERSE', 8: 'ROTATE_270'}
    stored = (upright if orientation == 1 else
              upright.transpose(getattr(Image, undo[orientation])))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(str(tmp_path / name), exif=exif.tobytes())
    found = cut_image(str(tmp_path / name), WHOLE, None, (64,))
    pixels = np.frombuffer(found.pixels[0], np.uint8).reshape(64, 64, 3)
    assert found.size == (96, 64)
    corners = [pixels[12, 12], pixels[12, 52], pixels[52, 12], pixels[52, 52]]
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 255)]
    np.testing.assert_allclose(corners, expected, atol=40)


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
def test_damaged_exif_data_harm_nothing(tmp_path):
    noise(1).save(str(tmp_path / 'a.jpg'), exif=b'Exif\0\0MM\0*\0\0\xff\xff\xff\xff')
    assert cut(tmp_path / 'a.jpg')[0].shape == (304, 304, 3)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.gif', 'a.tif', 'a.webp', 'a.bmp'])
def test_truncated_files_are_bad(tmp_path, name):
    noise(1, 200, 150).save(str(tmp_path / name))
    data = (tmp_path / name).read_bytes()
    for share in (0.0, 0.02, 0.5, 0.9):
        write(tmp_path / name, data[:int(share * len(data))])
        with pytest.raises(BadImage, match='not an image|damaged'):
            cut(tmp_path / name)


@pytest.mark.parametrize('data', [
    b'', b'hello\n', b'version https://git-lfs.github.com/spec/v1\n', b'\0' * 99,
    b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n'])
def test_files_that_are_no_images_are_bad(tmp_path, data):
    with pytest.raises(BadImage, match='it is not an image'):
        cut(write(tmp_path / 'a.jpg', data))


def test_missing_and_unreadable_files_are_bad(tmp_path):
    with pytest.raises(BadImage, match='the file is missing'):
        cut(tmp_path / 'a.jpg')
    with pytest.raises(BadImage, match='cannot be read'):
        cut(tmp_path)


def test_a_failing_disk_is_no_fault_of_the_file(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(errno.EIO, 'Input/output error')
    noise(1).save(str(tmp_path / 'a.jpg'))
    monkeypatch.setattr(images.Image, 'open', fail)
    with pytest.raises(OSError) as caught:
        cut(tmp_path / 'a.jpg')
    assert caught.value.errno == errno.EIO


@pytest.mark.filterwarnings('ignore:Image size')
@pytest.mark.parametrize('width, height', [(12001, 10000), (60000, 60000)])
def test_decompression_bombs_are_refused_before_they_are_decoded(tmp_path, width, height):
    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    path = write(tmp_path / 'a.png', b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
                 + chunk(b'IDAT', zlib.compress(b'\0' * 1000)) + chunk(b'IEND', b''))
    with pytest.raises(BadImage, match='120 million'):
        cut(path)


def test_the_region_of_a_box_is_that_of_the_paper():
    # int(max(30, 20) * 0.75) = 22 around (10 + 15, 8 + 10), clipped at 0: not padded.
    assert region_of(BOX, (60, 44), (10, 8, 30, 20)) == (3, 0, 47, 40)
    assert region_of(BOX, (60, 44), (10.9, 8.9, 30.9, 20.9)) == (3, 0, 47, 40)
    assert region_of(Crop('box', 1.0), (60, 44), (10, 8, 30, 20)) == (0, 0, 55, 44)
    assert region_of(BOX, (60, 44), (-10, 8, 30, 20)) == (0, 0, 27, 40)      # partly outside
    assert region_of(BOX, (60, 44), (40, 30, 30, 20)) == (33, 18, 60, 44)


@pytest.mark.parametrize('box, words', [
    ((10, 8, 0, 20), 'is empty'), ((10, 8, 5, -1), 'is empty'),
    ((60, 8, 10, 10), 'is outside the image of 60 x 44'), ((10, 44, 10, 10), 'outside'),
    ((-10, 8, 10, 10), 'outside'), ((10, -10, 10, 10), 'outside'), ((10, 8, 1, 1), 'too small')])
def test_unusable_boxes_are_bad(box, words):
    with pytest.raises(BadImage, match=words):
        region_of(BOX, (60, 44), box)


def test_centre_and_stretch():
    assert region_of(Crop('centre', 0.75), (61, 44), None) == (8, 0, 52, 44)
    assert region_of(Crop('centre', 0.75), (44, 61), None) == (0, 8, 44, 52)
    assert region_of(WHOLE, (61, 44), None) == (0, 0, 61, 44)


def test_the_box_is_what_is_cut(tmp_path):
    noise(2).save(str(tmp_path / 'a.png'))
    expected = noise(2).crop((3, 0, 47, 40)).resize((304, 304), Image.BICUBIC)
    np.testing.assert_array_equal(cut(tmp_path / 'a.png', BOX, (10, 8, 30, 20))[0],
                                  np.asarray(expected))


@pytest.mark.parametrize('width, factor', [(607, 1), (1215, 1), (1216, 2), (2500, 4)])
def test_large_jpegs_are_shrunk_by_the_decoder_and_look_the_same(tmp_path, width, factor):
    path = str(tmp_path / 'a.jpg')
    noise(3, width, width).save(path, quality=95)
    with Image.open(path) as image:
        assert images._reduce_while_decoding(image, (0, 0, width, width), 304) == factor
    with Image.open(path) as image:
        exact = np.asarray(image.resize((304, 304), Image.BICUBIC)).astype(int)
    difference = np.abs(cut(path)[0] - exact)
    assert difference.max() <= (0 if factor == 1 else 4)


def test_a_box_in_a_shrunk_and_turned_jpeg_is_found(tmp_path):
    upright = Image.new('RGB', (3000, 2000), (0, 0, 255))
    upright.paste((255, 0, 0), (1000, 100, 2600, 1700))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.ROTATE_90).save(str(tmp_path / 'a.jpg'), exif=exif.tobytes())
    pixels = cut(tmp_path / 'a.jpg', Crop('box', 0.5), (1000, 100, 1600, 1600))[0]
    np.testing.assert_allclose(pixels[2:-2, 2:-2] - [255, 0, 0], 0, atol=6)


def test_real_photographs_match_the_public_arithmetic(birds_sample):
    """Crop in NumPy and two bicubic resizes, as misc/utils.py does, on real files."""
    top = os.path.join(birds_sample, 'CUB_200_2011', 'images')
    folder = os.path.join(top, sorted(os.listdir(top))[0])
    for name in sorted(os.listdir(folder))[:5]:
        path = os.path.join(folder, name)
        array = np.asarray(Image.open(path).convert('RGB'))
        part = Image.fromarray(array[12:250, 40:278])     # centre (159, 131), radius 119
        large = part.resize((304, 304), Image.BICUBIC)
        found = cut(path, BOX, (80, 100, 159, 62))
        np.testing.assert_array_equal(found[0], np.asarray(large))
        np.testing.assert_array_equal(found[1], np.asarray(large.resize((76, 76), Image.BICUBIC)))
