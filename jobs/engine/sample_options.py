"""The options of `sample`, and which of them can be combined."""

import argparse
import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from stackgan.errors import InputError
from stackgan.files import user_path
from stackgan.printing import typed

COPIES = 4                             # default number of images of each of the user's captions
STEPS = 8                              # default number of images of an interpolation
MAX_SEED, MAX_SEEDS = 2 ** 31 - 1, 1000
MAX_STEPS = 60
MAX_NEAREST = 8
MIN_TRUNCATION, MAX_Z, CUT = 0.01, 10.0, 2.0
EXAMPLES = '''examples:
  python -m jobs sample --caption "a red bird with black wings" --seeds 0-7
  python -m jobs sample --captions mine.txt --truncation-z 0.7
  python -m jobs sample --interpolate-captions "a red bird" "a blue bird" --steps 12
  python -m jobs sample --caption "a red bird" --interpolate-noise 3 8
  python -m jobs sample --nearest 4 --set sample.images=16

docs/sampling.md shows what each of them writes'''


class SampleOptions(NamedTuple):
    """What to generate instead of one image of each held-out caption."""

    captions: List[str]                # the user's, or the two to interpolate; []: held-out ones
    copies: Optional[int]              # images of each of `captions`; None for held-out ones
    seeds: Optional[List[int]] = None
    from_caption_to_caption: bool = False
    from_seed_to_seed: Optional[List[int]] = None
    steps: Optional[int] = None        # of an interpolation
    truncation_z: Optional[float] = None
    truncation_noise: Optional[float] = None
    nearest: Optional[int] = None      # training images beside each sample

    def more(self) -> Dict[str, Any]:
        """The options that were given, by name, without captions and copies."""
        return {name: value for name, value in self._asdict().items()
                if name not in ('captions', 'copies') and value is not None and value is not False}


NOTHING = SampleOptions([], None)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_argument_group('captions', 'without these: held-out captions of the dataset')
    what.add_argument('--caption', action='append', default=[], metavar='TEXT',
                      help='generate images from this caption; may be repeated')
    what.add_argument('--captions', type=user_path, metavar='FILE',
                      help='generate images from the captions in a file, one per line')
    noise = parser.add_argument_group('noise')
    noise.add_argument('--copies', type=int, metavar='N',
                       help=f'images of each of your captions (default: {COPIES})')
    noise.add_argument('--seeds', action='append', default=[], metavar='LIST',
                       help='one image of each caption for each of these seeds, instead of '
                            'sample.seed: 0,1,5-9; may be repeated')
    noise.add_argument('--truncation-z', type=float, metavar='T',
                       help='truncation trick: resample values of z beyond T standard deviations, '
                            'for more typical images with less variety; 0: no z')
    noise.add_argument('--truncation-noise', type=float, metavar='T',
                       help='the same for the noise of conditioning augmentation, which is always '
                            f'truncated at {CUT:g}')
    ways = parser.add_argument_group('interpolation')
    ways.add_argument('--interpolate-captions', nargs=2, metavar=('TEXT', 'TEXT'),
                      help='from one caption to another, with the same noise')
    ways.add_argument('--interpolate-noise', nargs=2, type=int, metavar=('SEED', 'SEED'),
                      help='from the noise of one seed to that of another, with the same caption')
    ways.add_argument('--steps', type=int, metavar='N',
                      help=f'images of an interpolation, including both ends (default: {STEPS})')
    beside = parser.add_argument_group('memorisation')
    beside.add_argument('--nearest', type=int, metavar='K',
                        help='show the K nearest training images beside each image')
    model = parser.add_argument_group('model')
    model.add_argument('--stage', type=int, choices=(1, 2),
                       help='1: generate with Stage-I alone (default: 2, for both image sizes)')
    model.add_argument('--model', type=user_path, metavar='FILE',
                       help='generate with an exported .pb or .onnx instead of a checkpoint')
    model.add_argument('--pretrained', type=user_path, metavar='NAME|FILE.zip',
                       help='generate with a model of the package, or with a .zip that export '
                            '--bundle wrote; needs neither TensorFlow nor a volume')
    model.add_argument('--output', type=user_path, metavar='DIR',
                       help='with --pretrained: folder for the folders of images (default: '
                            './samples)')


def sample_options_of(
        options: argparse.Namespace,
) -> SampleOptions:
    """The `SampleOptions`. Raises InputError for invalid options or combinations."""
    _check_together(options)
    seeds = _seeds(options.seeds) if options.seeds else None
    if options.interpolate_captions:
        captions = [' '.join(_typed(text).split()) for text in options.interpolate_captions]
        if not all(captions) or captions[0] == captions[1]:
            raise InputError('sample: --interpolate-captions needs two different captions')
    else:
        captions = _captions(options)
    copies = COPIES if options.copies is None else options.copies
    if seeds or options.interpolate_captions or options.interpolate_noise:
        copies = 1
    is_path = options.interpolate_captions or options.interpolate_noise
    return SampleOptions(
        captions, copies if captions else None, seeds, bool(options.interpolate_captions),
        options.interpolate_noise, (options.steps or STEPS) if is_path else None,
        options.truncation_z, options.truncation_noise, options.nearest)


def _check_together(options: argparse.Namespace) -> None:
    """Raises InputError for numbers out of range and options that exclude each other."""
    own = bool(options.caption or options.captions)
    between = options.interpolate_captions
    noise = options.interpolate_noise
    rules = [
        (not (between and own), '--interpolate-captions already sets both captions; remove '
                                '--caption and --captions'),
        (not (between and noise), '--interpolate-captions and --interpolate-noise cannot be '
                                  'combined; use one of them'),
        (not (noise and options.seeds), '--interpolate-noise already sets both seeds; remove '
                                        '--seeds'),
        (options.copies is None or not (options.seeds or between or noise),
         '--copies goes with captions alone; use --seeds for more images of each'),
        (options.copies is None or own, '--copies is for --caption and --captions; for held-out '
                                        'captions set sample.images'),
        (options.copies is None or options.copies >= 1,
         f'--copies {options.copies}: must be at least 1'),
        (options.steps is None or between or noise,
         '--steps is for --interpolate-captions and --interpolate-noise'),
        (options.steps is None or 2 <= options.steps <= MAX_STEPS,
         f'--steps {options.steps}: must be 2 to {MAX_STEPS}'),
        (not noise or (noise[0] != noise[1] and 0 <= min(noise) and max(noise) <= MAX_SEED),
         f"--interpolate-noise {' '.join(map(str, noise or []))}: must be two different seeds of "
         f'0 to {MAX_SEED}'),
        (_is_limit(options.truncation_z, MAX_Z),
         f'--truncation-z {options.truncation_z}: must be 0, or {MIN_TRUNCATION:g} to {MAX_Z:g}'),
        (_is_limit(options.truncation_noise, CUT),
         f'--truncation-noise {options.truncation_noise}: must be 0, or {MIN_TRUNCATION:g} to '
         f'{CUT:g}, where the noise is truncated in training'),
        (options.nearest is None or 1 <= options.nearest <= MAX_NEAREST,
         f'--nearest {options.nearest}: must be 1 to {MAX_NEAREST}'),
        (options.output is None or options.pretrained, '--output is for --pretrained; the images '
                                                       'of a run go to its folder on the volume'),
        (options.stage is None or not options.model,
         '--model has the stages it was exported with; leave out --stage'),
    ]
    for holds, text in rules:
        if not holds:
            raise InputError('sample: ' + text)


def _is_limit(value: Optional[float], most: float) -> bool:
    return value is None or value == 0 or (math.isfinite(value)
                                           and MIN_TRUNCATION <= value <= most)


def _seeds(texts: Sequence[str]) -> List[int]:
    """Seeds of '0,1,5-9', each once, in the order given."""
    seeds: Dict[int, None] = {}
    for part in ','.join(texts).split(','):
        first, dash, last = part.strip().partition('-')
        if not (_is_seed(first) and (_is_seed(last) if dash else True)) or \
                (dash and int(last) < int(first)):
            raise InputError(f'sample: --seeds: {part!r} is neither a seed of 0 to {MAX_SEED} nor '
                             'a range of them like 5-9')
        several = range(int(first), int(last if dash else first) + 1)
        if len(seeds) + len(several) > MAX_SEEDS:
            raise InputError(f'sample: --seeds: more than {MAX_SEEDS} seeds')
        seeds.update(dict.fromkeys(several))
    return list(seeds)


def _is_seed(text: str) -> bool:
    return len(text) <= 10 and text.isascii() and text.isdigit() and int(text) <= MAX_SEED


def _typed(text: str) -> str:
    try:
        return typed(text)
    except UnicodeDecodeError as error:
        raise InputError(f'sample: the caption {text} is not {error.encoding} text; set the '
                         'terminal to UTF-8, or write it to a UTF-8 file for --captions')


def _captions(options: argparse.Namespace) -> List[str]:
    from stackgan.text_files import clean_caption
    captions = [_typed(text) for text in options.caption]
    if options.captions:
        captions += _lines_of(options.captions)
    cleaned = [clean_caption(caption) for caption in captions]
    if (options.caption or options.captions) and not any(cleaned):
        raise InputError('sample: the captions are empty; write at least one word')
    return [caption for caption in cleaned if caption]


def _lines_of(path: str) -> List[str]:
    from stackgan.text_files import MAX_TEXT_BYTES, UnreadableText, read_lines
    try:
        return read_lines(path, MAX_TEXT_BYTES)
    except UnreadableText as error:
        reason = error.reason.replace('cannot be read ', '')
        reason = f'it {reason}' if reason == error.reason else reason.strip('()')
        raise InputError(f'sample: --captions {path}: cannot be read: {reason}')
    except InputError as error:
        raise InputError(f'sample: --captions {error}')
