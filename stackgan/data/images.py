"""One image file -> its crop in two sizes, as bytes.

The crop and the filter are those of hanzhanggit/StackGAN, misc/utils.py (custom_crop, transform)
and misc/preprocess_birds.py: crop, bicubic to 304 px, and from that, bicubic to 76 px.

Differs from hanzhanggit/StackGAN: the values of a crop are not stretched to 0..255, because that
came from scipy.misc.imresize being handed floats and makes an image's colours depend on its
single darkest and brightest pixel; transparent parts are laid over white, because the hidden
colours under them are accidental; images are turned as their EXIF orientation says, because
people see and caption them so.

Imports no NumPy: a process that only prepares images then starts in a tenth of a second.
"""

import errno
import os
from typing import NamedTuple, Tuple

from PIL import Image, UnidentifiedImageError

from stackgan.data.image_colours import BadImage, stored_as, to_rgb
from stackgan.data.image_kinds import HEAD_BYTES, READABLE, kind_of, unreadable_kind
from stackgan.data.png_chunks import only_pixels
from stackgan.errors import InputError
from stackgan.files import open_regular

FORMATS = READABLE
# Pillow knows others, and one of them (EPS) starts a program to read a file.
MAX_PIXELS = 120 * 1000 * 1000       # decoded: 480 MB
MAX_SIDE = 65535                     # what the filter needs grows with the side, not the area
MAX_BYTES = 1 << 30                  # of a file: an image of MAX_PIXELS that is not compressed
BICUBIC = getattr(Image, 'Resampling', Image).BICUBIC
TURNS = {2: 'FLIP_LEFT_RIGHT', 3: 'ROTATE_180', 4: 'FLIP_TOP_BOTTOM', 5: 'TRANSPOSE',
         6: 'ROTATE_270', 7: 'TRANSVERSE', 8: 'ROTATE_90'}     # EXIF orientation to upright
ORIENTATION = 0x0112
NOT_THE_FILES_FAULT = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE)


class Crop(NamedTuple):
    """How an image is cropped."""

    kind: str                # box | centre | stretch
    box_scale: float         # half side of the crop as a share of the longer side of the box


class Cut(NamedTuple):
    """What becomes of an image."""

    pixels: Tuple[bytes, ...]       # for each side: side * side * 3 bytes, RGB in [0, 255]
    size: Tuple[int, int]           # width, height of the upright image
    region: Tuple[int, int, int, int]     # left, top, right, bottom of the crop


def cut_image(
        path,            # image file
        crop,            # Crop
        box,             # (left, top, width, height) in pixels of the upright image, or None
        sides,           # sides of the squares to make, the largest first
):
    """`Cut` of an image file. Raises BadImage for one that cannot be used."""
    return _with_image(path, lambda image: _cut(image, crop, box, sides))


def read_image(
        path,            # image file
):
    """The whole image as a PIL image, upright and RGB. Raises BadImage as `cut_image`."""
    return _with_image(path, _whole)


def _whole(image):
    _check_size(image.size)
    stored = stored_as(image)
    image.load()
    return _turned(to_rgb(image, stored), _orientation(image))


def require_image(path: str) -> Image.Image:
    """`read_image` of a file that is needed. Raises InputError that names it."""
    try:
        return read_image(path)
    except BadImage as error:
        raise InputError(f'{path}: {error}')


def _with_image(path, use):
    kind = None
    try:
        with open_regular(path) as stream:
            kind = _checked_kind(stream)
            try:
                return _opened(stream, use)
            except (BadImage, MemoryError):
                raise
            except Exception:
                if kind != 'PNG':
                    raise
                return _opened(only_pixels(stream), use)
    except BadImage:
        raise
    except Exception as error:            # damaged files make Pillow raise nearly anything
        if getattr(error, 'errno', None) in NOT_THE_FILES_FAULT:
            raise
        raise BadImage(_reason(error, kind))


def _checked_kind(stream):
    kind = kind_of(stream.read(HEAD_BYTES))
    if kind and unreadable_kind(kind):
        raise BadImage(unreadable_kind(kind))
    if os.fstat(stream.fileno()).st_size > MAX_BYTES:
        raise BadImage('the file has more than the %d MiB that are accepted' % (MAX_BYTES >> 20))
    return kind


def _opened(stream, use):
    stream.seek(0)
    with Image.open(stream, formats=FORMATS) as image:
        return use(image)


def _cut(image, crop, box, sides):
    _check_size(image.size)
    stored = stored_as(image)
    is_jpeg = image.format in ('JPEG', 'MPO')
    if not is_jpeg:
        image.load()                 # PNG may have its EXIF data behind the pixels
    orientation = _orientation(image)
    size = image.size[::-1] if orientation >= 5 else image.size
    region = region_of(crop, size, box)
    shrunk = _shrink(image, region, sides[0]) if is_jpeg else 1
    upright = _turned(to_rgb(image, stored), orientation)
    part = upright.crop(_scaled(region, shrunk, upright.size))
    pixels = []
    for side in sides:
        part = _resized(part, side)
        pixels.append(part.tobytes())
    return Cut(tuple(pixels), size, region)


def _resized(part, side):
    """A square of an image: along the rows first, which newer Pillows do not always choose."""
    return part.resize((side, part.size[1]), BICUBIC).resize((side, side), BICUBIC)


def _check_size(size):
    if size[0] * size[1] > MAX_PIXELS:
        raise BadImage('it has %d x %d pixels, more than the %d million that are accepted'
                       % (size + (MAX_PIXELS // 10 ** 6,)))
    if max(size) > MAX_SIDE:
        raise BadImage('it has %d x %d pixels; a side of at most %d is accepted'
                       % (size + (MAX_SIDE,)))


def _reason(error, kind):
    if isinstance(error, FileNotFoundError):
        return 'the file is missing'
    if isinstance(error, MemoryError):
        return 'there is not enough memory to decode it'
    if getattr(error, 'errno', None):
        return f'it cannot be read ({error.strerror})'
    if isinstance(error, Image.DecompressionBombError):
        return 'it has more than the %d million pixels that are accepted' % (MAX_PIXELS // 10 ** 6)
    if isinstance(error, UnidentifiedImageError):
        return (f'it is damaged, or of a kind of {kind} that is not read' if kind else
                'it is not an image ({})'.format(', '.join(FORMATS)))
    return 'it is damaged ({})'.format(' '.join(str(error).split())[:120])


def region_of(
        crop,            # Crop
        size,            # (width, height) of the image
        box,             # (left, top, width, height), or None where crop.kind needs none
):
    """(left, top, right, bottom) of the part to use, within the image, at least 1 x 1."""
    width, height = size
    if crop.kind == 'stretch':
        return 0, 0, width, height
    if crop.kind == 'centre':
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
    return _region_of_box(size, [int(value) for value in box], crop.box_scale)


def _region_of_box(size, box, scale):
    """A square around the centre of the box, clipped (not padded) at the image's borders."""
    left, top, width, height = box
    text = 'its box (left %d, top %d, width %d, height %d)' % tuple(box)
    if width <= 0 or height <= 0:
        raise BadImage(text + ' is empty')
    if left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0:
        raise BadImage(text + ' lies outside the image of %d x %d' % tuple(size))
    centre_x, centre_y = int((2 * left + width) / 2), int((2 * top + height) / 2)
    radius = int(max(width, height) * scale)
    region = (max(0, centre_x - radius), max(0, centre_y - radius),
              min(size[0], centre_x + radius), min(size[1], centre_y + radius))
    if region[0] >= region[2] or region[1] >= region[3]:
        raise BadImage(text + ' is too small')
    return region


def _shrink(image, region, side):
    """Lets the JPEG decoder shrink a large image; returns by how much: 1, 2, 4 or 8.

    Differs from hanzhanggit/StackGAN: crops of at least 4 * side are shrunk by the decoder first,
    to no less than 2 * side, because decoding the pixels that the filter averages away takes most
    of the time. The images of CUB and Oxford flowers are smaller and never touched by this.
    """
    spare = min(region[2] - region[0], region[3] - region[1]) / (2.0 * side)
    factor = max(each for each in (1, 2, 4, 8) if each == 1 or each <= spare)
    full = image.size
    if factor > 1:
        image.draft(image.mode, (full[0] // factor, full[1] // factor))
    return int(round(full[0] / float(image.size[0])))


def _scaled(region, factor, size):
    """The region in an image of `size` that was shrunk by `factor`."""
    left, top, right, bottom = [int(round(each / float(factor))) for each in region]
    return left, top, min(right, size[0]), min(bottom, size[1])


def _orientation(image):
    if image.format == 'TIFF':        # Pillow has turned it, but may not say so
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:                 # damaged EXIF data harm no pixel
        return 1
    return orientation if orientation in TURNS else 1


def _turned(image, orientation):
    if orientation == 1:
        return image
    return image.transpose(getattr(getattr(Image, 'Transpose', Image), TURNS[orientation]))
