"""Pixels of any kind -> RGB with 8 bits per channel, from what the file stores.

Pillow clips samples wider than 8 bits, compares them with a transparent colour of another depth,
and returns some kinds of TIFF unconverted. This module corrects such images or refuses them, so
that none silently becomes white, black or inverted. Does not import NumPy.
"""

from typing import Any, List, NamedTuple, Optional, Tuple

from PIL import Image

WIDE = ('I', 'I;16', 'I;16L', 'I;16B', 'I;16N')       # Pillow's modes of 16-bit grey
WITH_ALPHA = ('RGBA', 'RGBa', 'LA', 'La', 'PA')
BITS, PHOTOMETRIC, COMPRESSION, PLANAR, SAMPLE_FORMAT, SUBSAMPLING = 258, 262, 259, 284, 339, 530
WHITE_IS_ZERO, YCBCR = 0, 6                # of PHOTOMETRIC
HOW = '; save it with 8 bits per channel'


class BadImage(Exception):
    """An image that cannot be used; the message says why and does not name the file."""


class Stored(NamedTuple):
    """Facts about the pixels of a file that Pillow does not keep."""

    bits: int = 8                         # per grey sample that Pillow widens or keeps
    is_inverted: bool = False             # 0 is white, and Pillow does not convert the samples
    is_ycbcr: bool = False                # although Pillow reports RGB
    low: Optional[Image.Image] = None     # 16-bit RGB with a transparent colour: lower bytes


def stored_as(image: Image.Image) -> Stored:
    """`Stored` of an opened image, before loading. Raises BadImage if its pixels have no scale."""
    if image.mode == 'F':
        raise BadImage('its pixels are floating-point numbers' + HOW)
    if image.format == 'PNG':
        return _stored_in_png(image)
    if image.format == 'TIFF':
        return _stored_in_tiff(image)
    return Stored(bits=16 if image.mode in WIDE else 8)


def to_rgb(image: Image.Image, stored: Stored) -> Image.Image:
    """RGB with 8 bits per channel: composited over white, wider samples cut to the upper 8 bits."""
    transparent = image.info.get('transparency')
    if image.mode in WIDE:
        return _from_wide(image, stored, transparent)
    if transparent is not None and image.mode in ('1', 'L'):
        return _from_grey(image, stored, transparent)
    if stored.low is not None:
        return _over_white(image, _where_not(image, stored.low, transparent))
    if stored.is_ycbcr:
        return Image.frombytes('YCbCr', image.size, image.tobytes()).convert('RGB')
    if image.mode in WITH_ALPHA or transparent is not None:
        image = (image.convert('LA') if image.mode == 'La' else image).convert('RGBA')
        return _over_white(image, image.getchannel('A'))
    return image if image.mode == 'RGB' else image.convert('RGB')


def _stored_in_png(image: Image.Image) -> Stored:
    codec, area, offset, layout = image.tile[0]
    low = None
    if layout == 'RGB;16B' and 'transparency' in image.info:
        low = Image.open(image.fp, formats=('PNG',))
        low.tile = [(codec, area, offset, 'RGB;16L')]      # the other byte of each sample
        low.load()
    bits = {'1': 1, 'L;2': 2, 'L;4': 4, 'I;16B': 16}.get(layout, 8)
    return Stored(bits=bits, low=low)


def _stored_in_tiff(image: Image.Image) -> Stored:
    tags = image.tag_v2
    bits = max(_values(tags, BITS, 1))
    photometric = _values(tags, PHOTOMETRIC, 1)[0]
    if 2 in _values(tags, SAMPLE_FORMAT, 1):
        raise BadImage('its pixels are signed numbers' + HOW)
    if image.mode == 'I':
        raise BadImage(f'its pixels are numbers of {bits} bits{HOW}')
    if bits > 8 and _values(tags, PLANAR, 1)[0] == 2 and len(image.getbands()) > 1:
        raise BadImage(f'it stores channels of {bits} bits in separate planes{HOW}')
    is_raw = _values(tags, COMPRESSION, 1)[0] == 1
    if photometric == YCBCR and is_raw and _values(tags, SUBSAMPLING, 2) != (1, 1):
        raise BadImage('it is YCbCr, subsampled and without compression; save it as RGB')
    return Stored(bits, photometric == WHITE_IS_ZERO and image.mode in WIDE,
                  photometric == YCBCR and is_raw and image.mode == 'RGB')


def _values(tags: Any, tag: int, default: int) -> Tuple[int, ...]:
    value = tags.get(tag, default)
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _from_wide(image: Image.Image, stored: Stored, transparent: Optional[int]) -> Image.Image:
    """From 12- or 16-bit grey; the transparent colour is compared at full depth."""
    maximum = (1 << stored.bits) - 1
    upper = [min(value, maximum) >> (stored.bits - 8) for value in range(1 << 16)]
    if stored.is_inverted:
        upper = [255 - value for value in upper]
    image = image.convert('I')
    grey = image.point(upper, 'L')
    if transparent is None:
        return grey.convert('RGB')
    return _over_white(grey, image.point(_all_but(transparent, 1 << 16), 'L'))


def _from_grey(image: Image.Image, stored: Stored, transparent: int) -> Image.Image:
    """From grey of up to 8 bits: Pillow scales the samples to 0 to 255, but not `transparent`."""
    if stored.bits == 1:
        transparent = 255 if transparent else 0
    elif stored.bits < 8:
        transparent = transparent * 255 // ((1 << stored.bits) - 1)
    grey = image.convert('L')
    return _over_white(grey, grey.point(_all_but(transparent, 1 << 8)))


def _all_but(value: int, count: int) -> List[int]:
    """A table of opacities: only `value` is transparent."""
    return [0 if each == value else 255 for each in range(count)]


def _where_not(high: Image.Image, low: Image.Image, colour: Tuple[int, int, int]) -> Image.Image:
    """An opacity mask: transparent where all 16-bit channels equal `colour`."""
    opaque = Image.new('L', high.size, 0)
    for image, values in ((high, [value >> 8 for value in colour]),
                          (low, [value & 255 for value in colour])):
        for channel, value in zip(image.split(), values):
            differs = channel.point(_all_but(value, 1 << 8))
            opaque.paste(255, mask=differs)
    return opaque


def _over_white(image: Image.Image, opacity: Image.Image) -> Image.Image:
    white = Image.new('RGB', image.size, (255, 255, 255))
    white.paste(image.convert('RGB') if image.mode == 'L' else image, mask=opacity)
    return white
