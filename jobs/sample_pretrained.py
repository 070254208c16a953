"""`sample --pretrained`: generates with a bundle, without TensorFlow and without a volume.

The images go to a folder of their own, complete or absent: samples/<caption>-<digest>/.
"""

import argparse
import logging
import os
import re
import tempfile
from typing import TYPE_CHECKING, List

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.file_systems import remove
from stackgan.files import digest_of
from stackgan.pretrained import path_of

from .engine.locks import locked
from .engine.logs import Log, attached
from .engine.sample_options import SampleOptions, sample_options_of

if TYPE_CHECKING:
    from stackgan.export.bundle_file import Bundle
    from stackgan.sampling.sample_request import SampleRequest

logger = logging.getLogger(__name__)

OUTPUT = 'samples'          # default of --output
SLUG_LENGTH = 40            # characters of a folder's name that come from the caption


def sample_pretrained(
        options: argparse.Namespace,
        config: Config,
) -> int:
    """Writes the images and returns 0. Raises InputError for options it cannot follow."""
    given = sample_options_of(options)
    for name in ('stage', 'model', 'nearest', 'dry_run'):
        if getattr(options, name):
            raise InputError(f'sample: --pretrained and --{name.replace("_", "-")} cannot be '
                             'combined; leave one of them out')
    if not given.captions:
        raise InputError('sample: --pretrained has no held-out captions; say what to generate with '
                         '--caption, --captions or --interpolate-captions')
    from stackgan.export.bundle_file import open_bundle
    with attached(Log('sample')), tempfile.TemporaryDirectory() as scratch:
        bundle = open_bundle(path_of(options.pretrained), scratch)
        request = [bundle.digest, given.captions, given.copies, config.sample.seed, given.more()]
        folder = os.path.join(options.output or OUTPUT,
                              f'{_slug(given.captions[0])}-{digest_of(request)[:8]}')
        with locked(os.path.abspath(folder), 'sample'):
            if os.path.isdir(folder) and not options.force:
                logger.info(f'up to date: {folder}')
                return 0
            _write(bundle, given, config, folder)
    return 0


def _write(bundle: 'Bundle', given: SampleOptions, config: Config, folder: str) -> None:
    from stackgan.export.model_file import ModelSampler
    from stackgan.sampling.writing import write_samples

    from .sample import plan_of
    plan = plan_of(given, _requests(bundle, given, config), config.sample.seed)
    partial = folder + '.partial'
    remove(partial)                              # of an interrupted one
    os.makedirs(partial)
    with ModelSampler(bundle.generators, config.platform) as sampler:
        sampler.label = f'pretrained model {bundle.name}'
        write_samples(sampler, plan, partial)
    remove(folder)
    os.rename(partial, folder)
    logger.info(f'wrote {os.path.join(folder, "grid.png")}')


def _requests(bundle: 'Bundle', given: SampleOptions, config: Config) -> 'List[SampleRequest]':
    from stackgan.export.bundle_encoder import open_encoder
    from stackgan.export.onnx_file import OnnxTextEncoder
    from stackgan.sampling.sample_request import SampleRequest
    from stackgan.text.alphabet import faults_of_captions
    with open_encoder(bundle.text_encoder, config.platform) as encoder:
        faults = faults_of_captions if isinstance(encoder, OnnxTextEncoder) else encoder.faults
        for fault in faults(given.captions):
            logger.info(fault)
        embeddings = encoder.embed(given.captions)
    return [SampleRequest(caption, embedding, copy, {})
            for caption, embedding in zip(given.captions, embeddings)
            for copy in range(given.copies or 1)]


def _slug(caption: str) -> str:
    """'A red bird!' as 'a-red-bird'."""
    return re.sub(r'[^a-z0-9]+', '-', caption.lower())[:SLUG_LENGTH].strip('-') or 'images'
