"""Scores of a run: its checkpoints, or a folder of images, beside the real test images."""

import logging
import os
from contextlib import ExitStack
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stackgan.config.schema import Config
from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.errors import InputError, StackganError
from stackgan.files import write_json
from stackgan.platforms.parts import ALONE, Parts
from stackgan.sampling.sampler import Sampler
from stackgan.scoring.attribute_judge import AttributeJudge
from stackgan.scoring.attributes import NETWORK, caption_attributes
from stackgan.scoring.clip import Clip, ClipCaptions
from stackgan.scoring.extractor import Extractor
from stackgan.scoring.extractors import (
    check_learned,
    open_imagenet,
    open_match,
    open_scorer,
    open_stackgan,
    read_scorer,
)
from stackgan.scoring.features import extract_parts
from stackgan.scoring.image_sets import (
    FolderImages,
    GeneratedImages,
    ImageSet,
    RealImages,
    SmallRealImages,
    VarietyImages,
    variety_count,
)
from stackgan.scoring.judge import Judge
from stackgan.scoring.protocol_scores import minimum_images
from stackgan.scoring.scored_set import Captions, ScoredSet, readable
from stackgan.scoring.scores import FEATURES, Origin, Rules, Scoring

logger = logging.getLogger(__name__)

UNREADABLE = 'unreadable.json'


class CheckpointToScore(NamedTuple):
    """A checkpoint of a stage."""

    path: str              # folder
    shown: str             # the path as the record names it
    step: int
    stage: int
    facts: Dict[str, Any]  # digests of the checkpoint and of its training


class Digests(NamedTuple):
    """Digests of the inputs' contents."""

    prepared: str
    embeddings: Optional[str]     # None: not read


def score_checkpoints(
        checkpoints: Sequence[CheckpointToScore],
        inputs: Dict[str, str],       # prepared, embeddings, scorer; text-encoder, clip if any
        folder: str,                  # to write to
        earlier: Sequence[str],       # folders of finished records
        config: Config,
        digests: Digests,
        parts: Parts = ALONE,       # of several workers: worker 0 scores, all make the features
) -> None:
    """Scores generated images of each checkpoint. `scores` says what is written."""
    settings = config.score
    test = Split(open_dataset(inputs['prepared']), 'test')
    embeddings = ArrayFile(os.path.join(inputs['embeddings'], 'test.npy'))
    with ExitStack() as opened:
        scoring = _open(opened, inputs, folder, earlier, config, digests, test, embeddings, parts)
        sets: List[Tuple[ImageSet, Origin]] = [(scoring.real, Origin())]
        if NETWORK in scoring.extractors:
            sets.append((SmallRealImages(test, digests.prepared, settings.seed), Origin()))
        for each in checkpoints:
            facts = dict(each.facts, prepared=digests.prepared, embeddings=digests.embeddings,
                         stage=each.stage)
            for stage in range(1, each.stage + 1):
                column = 'generated' if stage == each.stage else 'stage1'
                for kind, count in ((GeneratedImages, settings.images),
                                    (VarietyImages, variety_count(settings.images))):
                    sets.append((kind(partial(_open_sampler, each, stage, config), test,
                                      embeddings, count, settings.seed, facts, column),
                                 Origin(each.shown, each.step, stage)))
        if parts.rank:
            extract_parts([images for images, _ in sets], scoring.extractors,
                          os.path.join(folder, FEATURES), parts)
        for images, origin in sets:
            scoring.score(images, origin)
        scoring.finish()


def _open_sampler(checkpoint: CheckpointToScore, stage: int, config: Config) -> Sampler:
    return Sampler(os.path.dirname(os.path.dirname(checkpoint.path)), checkpoint.path,
                   config.sample.batch_size, config.platform, stage=stage)


def score_folder(
        image_folder: str,       # of images
        inputs: Dict[str, str],  # prepared, scorer
        folder: str,             # to write to
        earlier: Sequence[str],  # folders of finished records
        config: Config,
        digests: Digests,
        parts: Parts = ALONE,
) -> None:
    """Scores the images in a folder. Raises InputError if there are too few."""
    images = FolderImages(image_folder)
    _check_count(images, images.count, config.score.splits)
    test = Split(open_dataset(inputs['prepared']), 'test')
    with ExitStack() as opened:
        scoring = _open(opened, inputs, folder, earlier, config, digests, test, None, parts)
        if not scoring.protocols:
            raise StackganError(scoring.refused[0]['reason'])
        if parts.rank:
            extract_parts([scoring.real, images], scoring.extractors,
                          os.path.join(folder, FEATURES), parts)
        _report_unreadable(images, scoring.see(images), folder, config.score.splits)
        scoring.score(scoring.real, Origin())
        scoring.score(images, Origin())
        scoring.finish()


def _open(opened: ExitStack, inputs: Dict[str, str], folder: str, earlier: Sequence[str],
          config: Config, digests: Digests, test: Split,
          embeddings: Optional[ArrayFile], parts: Parts) -> Scoring:
    """`Scoring` with every network that this configuration and run have."""
    if parts.rank:
        earlier = ()                     # worker 0 takes over what is in them
    settings, scorer = config.score, read_scorer(inputs['scorer'])
    extractors, refused = _open_networks(inputs, config, scorer)
    captions = attributes = clip_captions = None
    if embeddings is not None:
        dataset = open_dataset(inputs['prepared'])
        attributes = caption_attributes(test, dataset.classes)
        if attributes:
            try:
                extractors.append(AttributeJudge(Split(dataset, 'train'), dataset.classes,
                                                 digests.prepared))
            except StackganError as error:
                refused[NETWORK] = str(error)
        classes = np.repeat(test.class_ids, np.diff(test.caption_starts))
        if 'text-encoder' in inputs:
            extractors.append(open_match(inputs['text-encoder'], config.platform))
            captions = Captions(embeddings, classes)
        if 'clip' in inputs:
            clip = Clip(inputs['clip'], settings.clip_prompt, config.platform)
            extractors.append(clip)
            clip_captions = Captions(ClipCaptions(
                clip, test, digests.prepared, os.path.join(folder, FEATURES),
                [os.path.join(path, FEATURES) for path in earlier]), classes)
    for each in extractors:
        opened.enter_context(each)
    rules = Rules(settings.splits, settings.seed, captions, digests.embeddings,
                  scorer['accuracy'], attributes, clip_captions)
    scoring = Scoring(folder, earlier, extractors, rules,
                      RealImages(test, digests.prepared, settings.seed), parts)
    for network, reason in refused.items():
        scoring.refuse_network(network, reason)
    return scoring


def _open_networks(inputs: Dict[str, str], config: Config,
                   scorer: Dict[str, Any]) -> Tuple[List[Extractor], Dict[str, str]]:
    """(those that need images alone, {network that may not score: why})."""
    settings, extractors, refused = config.score, [], {}
    try:
        check_learned(scorer, config.scorer.minimum_accuracy)
        extractors.append(open_scorer(inputs['scorer'], config.platform))
    except StackganError as error:
        refused['scorer'] = str(error)
    if 'stackgan-weights' in inputs:
        extractors.append(open_stackgan(inputs['stackgan-weights'], settings.stackgan_classes,
                                        config.platform))
    if 'imagenet-weights' in inputs:
        extractors.append(open_imagenet(inputs['imagenet-weights'], config.platform))
    if 'judge' in inputs:
        extractors.append(Judge(inputs['judge'], settings, config.platform))
    return extractors, refused


def _check_count(images: FolderImages, count: int, splits: int) -> None:
    if count < minimum_images(splits):
        readable_ones = ' that can be read' if count < images.count else ''
        raise InputError(f'{images.folder}: {count} images{readable_ones}, but {splits} splits '
                         f'need at least {minimum_images(splits)}; add images or lower '
                         'score.splits')


def _report_unreadable(images: FolderImages, scored: ScoredSet, folder: str, splits: int) -> None:
    """Records and logs the files that cannot be read; refuses a set with too few others."""
    features = next(iter(scored.features.values()))
    good = np.concatenate([rows['elongation'] > 0 for rows in features.blocks()])
    faults = [images.fault(int(index)) for index in np.flatnonzero(~good)]
    write_json(os.path.join(folder, UNREADABLE),
               [{'file': name, 'reason': reason} for name, reason in faults])
    for name, reason in faults[:3]:
        logger.warning(f'{name} cannot be read: {reason}')
    if len(faults) > 3:
        logger.warning(f'{len(faults) - 3} more cannot be read; all are listed in {UNREADABLE}')
    _check_count(images, readable(features), splits)
