"""Every kind of pixels becomes the RGB that its format's specification says.

The files are written here byte by byte and the values expected are computed here, both without
Pillow, so that its own view of a file is not the measure.
"""

import io
import struct

import numpy as np
import pytest
from images_by_hand import png, tiff
from PIL import Image
from raw_toy import noise, write

from stackgan.data.images import BadImage, Crop, cut_image, read_image

RAMP = np.array([0, 1, 255, 256, 4095, 4096, 32767, 32768, 40000, 40001, 65279, 65280, 65535])


def read(tmp_path, data):
    """[H, W, 3] int of a file with these bytes, which `cut_image` must read as well."""
    path = write(tmp_path / 'image', data)
    found = np.asarray(read_image(path)).astype(int)
    cut_image(path, Crop('stretch', 0.75), None, (8,))
    return found


def grey(values):
    return np.repeat(np.reshape(values, (1, -1, 1)), 3, axis=2)


def rows16(values):
    return [np.asarray(values, '>u2').tobytes()]


def transparent(*values):
    return [(b'tRNS', struct.pack('>%dH' % len(values), *values))]


def test_grey_of_16_bits_keeps_its_ramp(tmp_path):
    count = len(RAMP)
    expected = grey(RAMP // 256)
    np.testing.assert_array_equal(read(tmp_path, png(count, 1, 16, 0, rows16(RAMP))), expected)
    for order in '<>':
        data = tiff(count, 1, [16], 1, RAMP.astype(order + 'u2').tobytes(), order=order)
        np.testing.assert_array_equal(read(tmp_path, data), expected)
    data = b'P5\n%d 1\n65535\n' % count + RAMP.astype('>u2').tobytes()
    np.testing.assert_array_equal(read(tmp_path, data), expected)


def test_a_transparent_grey_of_16_bits_is_compared_with_all_of_them(tmp_path):
    expected = RAMP // 256
    expected[8] = 255                               # 40000, and not 40001 with the same upper byte
    found = read(tmp_path, png(len(RAMP), 1, 16, 0, rows16(RAMP), transparent(40000)))
    np.testing.assert_array_equal(found, grey(expected))
    found = read(tmp_path, png(2, 1, 16, 0, rows16([0, 1]), transparent(0)))
    np.testing.assert_array_equal(found, grey([255, 0]))


@pytest.mark.parametrize('bits, row, values', [
    (1, 0b10100000, [255, 0, 255]), (2, 0b00011011, [0, 85, 170, 255]), (4, 0x1f, [17, 255]),
    (8, 200, [200])])
def test_grey_of_few_bits_and_its_transparent_value(tmp_path, bits, row, values):
    data = png(len(values), 1, bits, 0, [bytes([row])])
    np.testing.assert_array_equal(read(tmp_path, data), grey(values))
    most = (1 << bits) - 1
    for key in range(0, most + 1, max(1, most // 15)):
        data = png(len(values), 1, bits, 0, [bytes([row])], transparent(key))
        expected = [255 if value == key * 255 // most else value for value in values]
        np.testing.assert_array_equal(read(tmp_path, data), grey(expected))


def test_rgb_of_8_and_16_bits_and_its_transparent_colour(tmp_path):
    pixels = np.array([[0x1234, 0x5678, 0x9abc], [0x1234, 0x5678, 0x9abd], [0, 0, 0x0100]])
    expected = (pixels >> 8)[None]
    np.testing.assert_array_equal(read(tmp_path, png(3, 1, 16, 2, rows16(pixels))), expected)
    data = png(3, 1, 16, 2, rows16(pixels), transparent(*pixels[1]))
    only = expected.copy()
    only[0, 1] = 255                                # the first differs from it in the last bit
    np.testing.assert_array_equal(read(tmp_path, data), only)
    bytes8 = [(pixels >> 8).astype('u1').tobytes()]
    data = png(3, 1, 8, 2, bytes8, transparent(0, 0, 1))
    np.testing.assert_array_equal(read(tmp_path, data)[0, 2], [255] * 3)
    assert read(tmp_path, data)[0, 0].tolist() == [0x12, 0x56, 0x9a]


def test_large_rgb_of_16_bits_with_a_transparent_colour(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 3, (70, 90, 3)) * 257
    rows = [row.astype('>u2').tobytes() for row in pixels]
    expected = pixels >> 8
    expected[(pixels == 257).all(2)] = 255
    data = png(90, 70, 16, 2, rows, transparent(257, 257, 257))
    np.testing.assert_array_equal(read(tmp_path, data), expected)


def over_white(values, alpha):
    return np.asarray(values) * alpha / 255.0 + 255 - alpha


@pytest.mark.parametrize('bits, scale', [(8, 1), (16, 257)])
def test_alpha_is_laid_over_white(tmp_path, bits, scale):
    kind = '>u%d' % (bits // 8)
    for alpha in (0, 51, 128, 255):
        row = (np.array([10, 200, 30, alpha]) * scale).astype(kind).tobytes()
        found = read(tmp_path, png(1, 1, bits, 6, [row]))
        np.testing.assert_allclose(found[0, 0], over_white([10, 200, 30], alpha), atol=1)
        row = (np.array([77, alpha]) * scale).astype(kind).tobytes()
        found = read(tmp_path, png(1, 1, bits, 4, [row]))
        np.testing.assert_allclose(found[0, 0], over_white([77] * 3, alpha), atol=1)


def test_palettes_with_and_without_transparency(tmp_path):
    palette = [(b'PLTE', bytes([10, 200, 30, 250, 120, 5, 0, 0, 0]))]
    data = png(4, 1, 2, 3, [bytes([0b00011000])], palette)
    np.testing.assert_array_equal(
        read(tmp_path, data)[0], [[10, 200, 30], [250, 120, 5], [0, 0, 0], [10, 200, 30]])
    data = png(4, 1, 2, 3, [bytes([0b00011000])], palette + [(b'tRNS', bytes([255, 51]))])
    np.testing.assert_allclose(read(tmp_path, data)[0], [
        [10, 200, 30], over_white([250, 120, 5], 51), [0, 0, 0], [10, 200, 30]], atol=1)
    gif = Image.new('P', (2, 1))
    gif.putpalette([10, 200, 30, 250, 120, 5])
    gif.putdata([0, 1])
    out = io.BytesIO()
    gif.save(out, 'GIF', transparency=1)
    np.testing.assert_array_equal(read(tmp_path, out.getvalue())[0], [[10, 200, 30], [255] * 3])


def half(pixel):
    """The pixel over white, where its alpha is 128 and its colours are not yet multiplied by it."""
    return over_white(pixel, 128)


@pytest.mark.parametrize('bits, photometric, data, tags, expected', [
    ([1], 0, [0b10000000], (), [0, 0, 0]), ([1], 1, [0b10000000], (), [255] * 3),
    ([8], 0, [10], (), [245] * 3), ([4], 1, [0x30], (), [51] * 3),
    ([8, 8, 8], 2, [10, 200, 30], (), [10, 200, 30]),
    ([8] * 4, 2, [10, 200, 30, 128], [(338, [2])], half([10, 200, 30])),
    ([8] * 4, 2, [5, 100, 15, 128], [(338, [1])], half([10, 199, 30])),      # multiplied already
    ([8] * 4, 2, [10, 200, 30, 128], [(338, [0])], [10, 200, 30]),           # no alpha
    ([8, 8], 1, [77, 128], [(338, [2])], half([77] * 3)),
    ([8] * 4, 5, [0, 255, 255, 0], (), [255, 0, 0]),
    ([8] * 4, 5, [255, 0, 255, 102], (), [0, 153, 0]),
    ([8] * 3, 6, [76, 85, 255], [(530, [1, 1])], [254, 0, 0]),               # JFIF's formula
    ([8] * 3, 6, [150, 44, 21], [(530, [1, 1])], [0, 255, 1]),
    ([8] * 3, 8, [0, 0, 0], (), [0, 0, 0]), ([8] * 3, 8, [255, 0, 0], (), [255] * 3),
    ([8] * 3, 8, [137, 0, 0], (), [128] * 3),        # L* 53.6 is the luminance 0.2158 of sRGB 128
    ([8], 3, [1], [(320, [0, 257 * 250] + [0] * 254 + [0, 257 * 120] + [0] * 254
                    + [0, 257 * 5] + [0] * 254)], [250, 120, 5]),
])
def test_the_kinds_of_tiff(tmp_path, bits, photometric, data, tags, expected):
    data = tiff(1, 1, bits, photometric, bytes(data), tags)
    np.testing.assert_allclose(read(tmp_path, data)[0, 0], expected, atol=2)


def test_wide_tiffs(tmp_path):
    data = RAMP.astype('<u2').tobytes()
    np.testing.assert_array_equal(read(tmp_path, tiff(len(RAMP), 1, [16], 0, data)),
                                  grey((65535 - RAMP) // 256))               # white is zero
    np.testing.assert_array_equal(read(tmp_path, tiff(2, 1, [12], 1, b'\x12\x3f\xff')),
                                  grey([0x123 // 16, 255]))
    pixels = np.array([[0x1234, 0x5678, 0x9abc], [0xffff, 0, 0x00ff]])
    for order in '<>':
        data = tiff(2, 1, [16] * 3, 2, pixels.astype(order + 'u2').tobytes(), order=order)
        np.testing.assert_array_equal(read(tmp_path, data)[0], pixels >> 8)


@pytest.mark.parametrize('bits, photometric, size, tags, words', [
    ([16], 1, 2, [(339, [2])], 'signed numbers'),
    ([32], 1, 4, [(339, [1])], 'numbers of 32 bits'), ([32], 1, 4, [(339, [2])], 'signed'),
    ([32], 1, 4, [(339, [3])], 'floating-point'),
    ([64], 1, 8, [(339, [3])], 'a variant of TIFF that is not supported'),
    ([16] * 3, 2, 6, [(284, [2])], 'channels of 16 bits in separate planes'),
    ([8] * 3, 6, 6, [(530, [2, 2])], 'subsampled'),
])
def test_what_has_no_scale_is_refused_and_not_clipped(tmp_path, bits, photometric, size, tags,
                                                      words):
    with pytest.raises(BadImage, match=words):
        read(tmp_path, tiff(1, 1, bits, photometric, bytes(size), tags))


def test_cmyk_jpegs_of_adobe_are_stored_inverted(tmp_path):
    red = Image.new('CMYK', (16, 16), (0, 255, 255, 0))
    out = io.BytesIO()
    red.save(out, 'JPEG', quality=100)                       # with Adobe's marker, inverted
    assert b'Adobe' in out.getvalue()
    np.testing.assert_allclose(read(tmp_path, out.getvalue())[8, 8], [255, 0, 0], atol=4)


def test_ordinary_images_are_what_pillow_reads(tmp_path):
    for name in ('a.jpg', 'a.png', 'a.webp', 'a.bmp', 'a.tif', 'a.gif', 'a.ppm'):
        noise(4, 90, 70).save(str(tmp_path / name))
        with Image.open(str(tmp_path / name)) as image:
            expected = np.asarray(image.convert('RGB')).astype(int)
        data = (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(read(tmp_path, data), expected)
