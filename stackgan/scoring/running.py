"""Scores of a run: its checkpoints, or a folder of images, beside the real test images."""

import logging
import os
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError, StackganError
from stackgan.files import write_json
from stackgan.sampling.sampler import Sampler
from stackgan.scoring.extractors import (
    check_learned,
    open_imagenet,
    open_match,
    open_scorer,
    open_stackgan,
    read_scorer,
)
from stackgan.scoring.image_sets import FolderImages, GeneratedImages, RealImages
from stackgan.scoring.protocols import Captions, minimum_images, readable
from stackgan.scoring.scores import Origin, Rules, Scoring

logger = logging.getLogger(__name__)

UNREADABLE = 'unreadable.json'


class CheckpointToScore(NamedTuple):
    """A checkpoint of a stage."""

    path: str              # folder
    shown: str             # the path as the record names it
    step: int
    stage: int
    facts: dict            # digests of the checkpoint and of its training


class Digests(NamedTuple):
    """Contents of what is read."""

    prepared: str
    embeddings: str        # None: not read


def score_checkpoints(
        checkpoints,       # [CheckpointToScore]
        inputs,            # {name: folder}: prepared, embeddings, scorer; text-encoder if any
        folder,            # to write to
        earlier,           # folders of finished records
        config,            # Config
        digests,           # Digests
):
    """Scores generated images of each checkpoint. See `scores` for what is written."""
    settings = config.score
    test = Split(open_dataset(inputs['prepared']), 'test')
    embeddings = ArrayFile(os.path.join(inputs['embeddings'], 'test.npy'))
    with ExitStack() as opened:
        scoring = _open(opened, inputs, folder, earlier, config, digests, test, embeddings)
        scoring.score(scoring.real, Origin())
        for each in checkpoints:
            def open_sampler(path=each.path):
                return Sampler(os.path.dirname(os.path.dirname(path)), path,
                               config.sample.batch_size, config.platform)
            facts = dict(each.facts, prepared=digests.prepared, embeddings=digests.embeddings,
                         stage=each.stage)
            images = GeneratedImages(open_sampler, test, embeddings, settings.images,
                                     settings.seed, facts)
            scoring.score(images, Origin(each.shown, each.step, each.stage))
        scoring.finish()


def score_folder(
        image_folder,      # of images
        inputs,            # {name: folder}: prepared, scorer
        folder,            # to write to
        earlier,           # folders of finished records
        config,            # Config
        digests,           # Digests
):
    """Scores the images in a folder. Raises InputError when they are too few to be scored."""
    images = FolderImages(image_folder)
    _check_count(images, images.count, config.score.splits)
    test = Split(open_dataset(inputs['prepared']), 'test')
    with ExitStack() as opened:
        scoring = _open(opened, inputs, folder, earlier, config, digests, test, None)
        if not scoring.protocols:
            raise StackganError(scoring.refused[0]['reason'])
        _report_unreadable(images, scoring.see(images), folder, config.score.splits)
        scoring.score(scoring.real, Origin())
        scoring.score(images, Origin())
        scoring.finish()


def _open(opened, inputs, folder, earlier, config, digests, test, embeddings):
    """`Scoring` with every network that this configuration and run have."""
    settings, scorer = config.score, read_scorer(inputs['scorer'])
    extractors, not_learned = [], None
    try:
        check_learned(scorer, config.scorer.minimum_accuracy)
        extractors.append(open_scorer(inputs['scorer'], config.platform))
    except StackganError as error:
        not_learned = str(error)
    if 'stackgan-weights' in inputs:
        extractors.append(open_stackgan(inputs['stackgan-weights'], settings.stackgan_classes,
                                        config.platform))
    if 'imagenet-weights' in inputs:
        extractors.append(open_imagenet(inputs['imagenet-weights'], config.platform))
    captions = None
    if 'text-encoder' in inputs and embeddings is not None:
        extractors.append(open_match(inputs['text-encoder'], config.platform))
        captions = Captions(embeddings, np.repeat(test.class_ids, np.diff(test.caption_starts)))
    for each in extractors:
        opened.enter_context(each)
    rules = Rules(settings.splits, settings.seed, captions, digests.embeddings,
                  scorer['accuracy'])
    scoring = Scoring(folder, earlier, extractors, rules,
                      RealImages(test, digests.prepared, settings.seed))
    if not_learned:
        scoring.refuse_network('scorer', not_learned)
    return scoring


def _check_count(images, count, splits):
    if count < minimum_images(splits):
        raise InputError('%s: %d images%s, but %d splits need at least %d; add images or '
                         'lower score.splits'
                         % (images.folder, count, ' that can be read' if
                            count < images.count else '', splits, minimum_images(splits)))


def _report_unreadable(images, scored, folder, splits):
    """Writes and says which files cannot be read; refuses a set with too few others."""
    features = next(iter(scored.features.values()))
    good = np.concatenate([rows['elongation'] > 0 for rows in features.blocks()])
    faults = [images.fault(int(index)) for index in np.flatnonzero(~good)]
    write_json(os.path.join(folder, UNREADABLE),
               [{'file': name, 'reason': reason} for name, reason in faults])
    for name, reason in faults[:3]:
        logger.warning(f'{name} cannot be read: {reason}')
    if len(faults) > 3:
        logger.warning('%d more cannot be read; all are in %s' % (len(faults) - 3, UNREADABLE))
    _check_count(images, readable(features), splits)
