"""One image file -> its crop at two sizes, as bytes.

Crop and filter are those of hanzhanggit/StackGAN, misc/utils.py (custom_crop, transform) and
misc/preprocess_birds.py: crop, bicubic to 304 px, and from that, bicubic to 76 px.

Differs from hanzhanggit/StackGAN: the values of a crop are not stretched to 0..255, because that
was a side effect of passing floats to scipy.misc.imresize and makes the colours of an image depend
on its single darkest and brightest pixel; transparent parts are composited over white, because the
colours hidden under them are accidental; images are rotated according to their EXIF orientation,
because that is how people saw and captioned them.

Does not import NumPy, so that a worker process starts in a tenth of a second.
"""

import errno
from typing import BinaryIO, Callable, NamedTuple, Optional, Sequence, Tuple, TypeVar

from PIL import Image, UnidentifiedImageError

from stackgan.data.image_colours import BadImage, stored_as, to_rgb
from stackgan.data.image_kinds import HEAD_BYTES, READABLE, kind_of, unreadable_kind
from stackgan.data.png_chunks import only_pixels
from stackgan.data.tar_members import open_file
from stackgan.errors import InputError

Box = Tuple[float, float, float, float]      # left, top, width, height in pixels
Region = Tuple[int, int, int, int]           # left, top, right, bottom in pixels
Size = Tuple[int, int]                       # width, height in pixels
T = TypeVar('T')

# Pillow reads other formats too, and for one of them (EPS) it starts another program.
FORMATS = READABLE
MAX_PIXELS = 120 * 1000 * 1000       # decoded: 480 MB
MAX_SIDE = 65535                     # the filter's memory grows with the side, not the area
MAX_BYTES = 1 << 30                  # file size of an uncompressed image of MAX_PIXELS
BICUBIC = getattr(Image, 'Resampling', Image).BICUBIC
TURNS = {2: 'FLIP_LEFT_RIGHT', 3: 'ROTATE_180', 4: 'FLIP_TOP_BOTTOM', 5: 'TRANSPOSE',
         6: 'ROTATE_270', 7: 'TRANSVERSE', 8: 'ROTATE_90'}     # EXIF orientation to upright
ORIENTATION = 0x0112
NOT_THE_FILES_FAULT = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE)


class Crop(NamedTuple):
    """How to crop an image."""

    kind: str                # box | centre | stretch
    box_scale: float         # half side of the crop as a share of the longer side of the box


class Cut(NamedTuple):
    """An image after cropping and resizing."""

    pixels: Tuple[bytes, ...]       # for each side: side * side * 3 bytes, RGB in [0, 255]
    size: Size                      # of the upright image
    region: Region                  # of the crop, in the upright image


def cut_image(
        path: str,
        crop: Crop,
        box: Optional[Box],      # in the upright image; None where crop.kind needs none
        sides: Sequence[int],    # sides of the squares to make in pixels, the largest first
) -> Cut:
    """Crops and resizes an image file. Raises BadImage if it cannot be used."""
    return _with_image(path, lambda image: _cut(image, crop, box, sides))


def read_image(path: str) -> Image.Image:
    """The whole image, upright and RGB. Raises BadImage as `cut_image` does."""
    return _with_image(path, _whole)


def _whole(image: Image.Image) -> Image.Image:
    _check_size(image.size)
    stored = stored_as(image)
    image.load()
    return _turned(to_rgb(image, stored), _orientation(image))


def require_image(path: str) -> Image.Image:
    """As `read_image`, but raises InputError with the path for an unusable file."""
    try:
        return read_image(path)
    except BadImage as error:
        raise InputError(f'{path}: {error}')


def _with_image(path: str, use: Callable[[Image.Image], T]) -> T:
    """use(image) of an image file. Raises BadImage for every fault of the file itself."""
    kind = None
    try:
        with open_file(path, MAX_BYTES) as (stream, size):
            kind = _checked_kind(stream, size)
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


def _checked_kind(stream: BinaryIO, size: int) -> Optional[str]:
    kind = kind_of(stream.read(HEAD_BYTES))
    reason = unreadable_kind(kind) if kind else None
    if reason:
        raise BadImage(reason)
    if size > MAX_BYTES:
        raise BadImage(f'the file is larger than {MAX_BYTES >> 20} MiB')
    return kind


def _opened(stream: BinaryIO, use: Callable[[Image.Image], T]) -> T:
    stream.seek(0)
    with Image.open(stream, formats=FORMATS) as image:
        return use(image)


def _cut(image: Image.Image, crop: Crop, box: Optional[Box], sides: Sequence[int]) -> Cut:
    _check_size(image.size)
    stored = stored_as(image)
    is_jpeg = image.format in ('JPEG', 'MPO')
    if not is_jpeg:
        image.load()                 # in a PNG the EXIF data may follow the pixels
    orientation = _orientation(image)
    size = image.size[::-1] if orientation >= 5 else image.size
    region = region_of(crop, size, box)
    factor = _reduce_while_decoding(image, region, sides[0]) if is_jpeg else 1
    upright = _turned(to_rgb(image, stored), orientation)
    part = upright.crop(_scaled(region, factor, upright.size))
    pixels = []
    for side in sides:
        part = _resized(part, side)
        pixels.append(part.tobytes())
    return Cut(tuple(pixels), size, region)


def _resized(part: Image.Image, side: int) -> Image.Image:
    """Resized to a square: width first, an order that newer versions of Pillow do not always use.
    """
    return part.resize((side, part.size[1]), BICUBIC).resize((side, side), BICUBIC)


def _check_size(size: Size) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise BadImage(f'it has {width} x {height} pixels; at most {MAX_PIXELS // 10 ** 6} million '
                       'are accepted')
    if max(size) > MAX_SIDE:
        raise BadImage(f'it has {width} x {height} pixels; at most {MAX_SIDE} per side are '
                       'accepted')


def _reason(error: Exception, kind: Optional[str]) -> str:
    """What an exception while reading says about the file."""
    if isinstance(error, FileNotFoundError):
        return 'the file is missing'
    if isinstance(error, MemoryError):
        return 'there is not enough memory to decode it'
    if isinstance(error, OSError) and error.errno:
        return f'it cannot be read ({error.strerror})'
    if isinstance(error, Image.DecompressionBombError):
        return f'it has more than {MAX_PIXELS // 10 ** 6} million pixels'
    if isinstance(error, UnidentifiedImageError):
        if kind:
            return f'it is damaged, or a variant of {kind} that is not supported'
        formats = ', '.join(FORMATS)
        return f'it is not an image in a supported format ({formats})'
    text = ' '.join(str(error).split())
    return f'it is damaged ({text[:120]})'


def region_of(
        crop: Crop,
        size: Size,
        box: Optional[Box],      # None where crop.kind needs none
) -> Region:
    """The part of an image to use: inside the image, at least 1 x 1 px.

    Raises BadImage for a box that does not fit the image.
    """
    width, height = size
    if crop.kind == 'stretch':
        return 0, 0, width, height
    if crop.kind == 'centre':
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
    if box is None:
        raise ValueError('crop.kind box needs a box')
    return _region_of_box(size, box, crop.box_scale)


def _region_of_box(size: Size, box: Box, scale: float) -> Region:
    """A square around the centre of the box, clipped (not padded) at the image's borders."""
    left, top, width, height = [int(value) for value in box]
    text = f'its box (left {left}, top {top}, width {width}, height {height})'
    if width <= 0 or height <= 0:
        raise BadImage(f'{text} is empty')
    if left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0:
        raise BadImage(f'{text} is outside the image of {size[0]} x {size[1]}')
    centre_x, centre_y = int((2 * left + width) / 2), int((2 * top + height) / 2)
    radius = int(max(width, height) * scale)
    region = (max(0, centre_x - radius), max(0, centre_y - radius),
              min(size[0], centre_x + radius), min(size[1], centre_y + radius))
    if region[0] >= region[2] or region[1] >= region[3]:
        raise BadImage(f'{text} is too small')
    return region


def _reduce_while_decoding(image: Image.Image, region: Region, side: int) -> int:
    """Makes the JPEG decoder reduce a large image; returns the factor: 1, 2, 4 or 8.

    Differs from hanzhanggit/StackGAN: the decoder reduces crops of at least 4 * side to no less
    than 2 * side, because most of the time goes into decoding pixels that the filter averages
    away. The images of CUB and Oxford flowers are smaller, so this does not affect them.
    """
    spare = min(region[2] - region[0], region[3] - region[1]) / (2 * side)
    factor = max(each for each in (1, 2, 4, 8) if each == 1 or each <= spare)
    full = image.size
    if factor > 1:
        image.draft(image.mode, (full[0] // factor, full[1] // factor))
    return int(round(full[0] / image.size[0]))


def _scaled(region: Region, factor: int, size: Size) -> Region:
    """The region in an image of `size` that was reduced by `factor`."""
    left, top, right, bottom = [int(round(each / factor)) for each in region]
    return left, top, min(right, size[0]), min(bottom, size[1])


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 is upright."""
    if image.format == 'TIFF':        # Pillow has rotated it already, but may not report that
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:                 # damaged EXIF data leave the pixels intact
        return 1
    return orientation if orientation in TURNS else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    return image.transpose(getattr(getattr(Image, 'Transpose', Image), TURNS[orientation]))
