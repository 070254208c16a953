"""What preprocessor_config.json says becomes of an image. NumPy and Pillow only.

The keys are those of the image processors of Hugging Face transformers, with CLIP's defaults.
"""

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from PIL import Image

from stackgan.errors import InputError
from stackgan.files import read_json

PREPROCESSING = 'preprocessor_config.json'
MAX_SIDE = 2048
FILTERS = {1: 'lanczos', 2: 'bilinear', 3: 'bicubic'}        # Pillow's numbers, as in the file
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Preprocessing(NamedTuple):
    """From an image to the input of a network."""

    short: int                     # the shorter side after the image was resized
    is_square: bool                # resized to short x short, whatever its shape
    resample: int                  # Pillow's filter
    side: int                      # of the square that is cut from the middle
    factor: float                  # by which pixels are multiplied
    mean: Tuple[float, ...]        # subtracted, per colour
    deviation: Tuple[float, ...]   # divided by, per colour

    @property
    def described(self) -> str:
        """One line for the record."""
        kind = 'square' if self.is_square else 'shorter side'
        return (f'resized to {self.short} px ({kind}, {FILTERS[self.resample]}), the middle '
                f'{self.side} px, times {self.factor:.8g}, minus {_listed(self.mean)}, by '
                f'{_listed(self.deviation)}')

    def cropped(
            self,
            pixels: np.ndarray,      # [H, W, 3] uint8
    ) -> np.ndarray:
        """[side, side, 3] uint8."""
        image = Image.fromarray(pixels)
        wide, high = image.size
        least = min(wide, high)
        new = ((self.short, self.short) if self.is_square else
               (self.short * wide // least, self.short * high // least))
        if new != image.size:
            image = image.resize(new, self.resample)
        left, top = (new[0] - self.side) // 2, (new[1] - self.side) // 2
        return np.asarray(image.crop((left, top, left + self.side, top + self.side)))

    def as_input(
            self,
            pixels: np.ndarray,      # [side, side, 3] uint8
    ) -> np.ndarray:
        """[1, 3, side, side] float32."""
        values = pixels.astype(np.float32) * np.float32(self.factor)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


def read_preprocessing(path: str, remedy: str) -> Preprocessing:
    """`Preprocessing` of a file. Raises InputError for what is not supported."""
    try:
        config = read_json(path)
        if not isinstance(config, dict):
            raise ValueError('it is not an object')
        return _of(config)
    except OSError as error:
        raise InputError(f'{path}: cannot be read ({error.strerror}); {remedy}')
    except (ValueError, TypeError) as error:
        raise InputError(f'{path}: {str(error)[:200]}; {remedy}')


def _of(config: Dict[str, Any]) -> Preprocessing:
    for name in ('do_resize', 'do_rescale', 'do_normalize', 'do_center_crop'):
        if not isinstance(config.get(name, True), bool):
            raise ValueError(f'{name} must be true or false')
    if not config.get('do_resize', True):
        raise ValueError('do_resize: false is not supported: images have many sizes')
    size = config.get('size', 224)
    is_square = isinstance(size, dict) and 'shortest_edge' not in size
    short = _side('size', size['shortest_edge'] if isinstance(size, dict) and not is_square
                  else size)
    crops = config.get('do_center_crop', not is_square)
    side = _side('crop_size', config.get('crop_size', short)) if crops else short
    if side > short or not crops and not is_square:
        raise ValueError(f'images resized to {short} px do not give squares of {side} px')
    resample = config.get('resample', 3)
    if type(resample) is not int or resample not in FILTERS:
        raise ValueError(f'resample is {str(resample)[:40]}; must be one of '
                         f'{", ".join(f"{number} ({name})" for number, name in FILTERS.items())}')
    rescales, normalises = config.get('do_rescale', True), config.get('do_normalize', True)
    factor = _numbers('rescale_factor', [config.get('rescale_factor', 1 / 255)] * 3)[0]
    mean = _numbers('image_mean', config.get('image_mean', MEAN))
    deviation = _numbers('image_std', config.get('image_std', DEVIATION))
    if min(deviation) <= 0:
        raise ValueError('image_std must be above 0')
    if not normalises:
        mean, deviation = (0.0,) * 3, (1.0,) * 3
    return Preprocessing(short, is_square, resample, side, factor if rescales else 1.0, mean,
                         deviation)


def _side(name: str, value: Any) -> int:
    """A side in pixels, given as such or as equal height and width."""
    if isinstance(value, dict):
        if value.get('height') != value.get('width'):
            raise ValueError(f'{name} is not a square')
        value = value.get('height')
    if type(value) is not int or not 8 <= value <= MAX_SIDE:
        raise ValueError(f'{name} is {str(value)[:40]}; must be 8 to {MAX_SIDE} pixels')
    return value


def _numbers(name: str, values: Any) -> Tuple[float, ...]:
    """Three finite numbers."""
    if not isinstance(values, (list, tuple)) or len(values) != 3 or not all(
            type(value) in (int, float) and abs(value) < 1e6 for value in values):
        raise ValueError(f'{name} is {str(values)[:60]}; must be three numbers')
    return tuple(float(value) for value in values)


def _listed(values: Tuple[float, ...]) -> str:
    found: List[str] = [f'{value:.8g}' for value in values]
    return found[0] if len(set(found)) == 1 else '/'.join(found)
