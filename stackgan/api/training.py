"""Training on arrays in memory: the same loop as the job, without its folders."""

import os
from contextlib import contextmanager
from typing import Any, Iterator, List, Sequence

import numpy as np

from stackgan.config.loading import load_config
from stackgan.config.places import find_config
from stackgan.data.prepared import HIGH, LOW, shard_name
from stackgan.errors import InputError
from stackgan.files import write_json, write_json_lines
from stackgan.platforms.cores import load_tensorflow
from stackgan.scoring.views import resized

MIN_IMAGES = 8
TEST_SHARE = 8          # one of so many images is for testing


class _Stop:
    """Never asks to stop: Ctrl-C raises KeyboardInterrupt as everywhere in Python."""

    requested = False

    @contextmanager
    def deferred(self) -> Iterator['_Stop']:
        yield self


def train_stage1(
        folder: str,                    # gets the dataset and the training; resumes what is there
        images: np.ndarray,             # [N, H, W, 3] uint8, N at least 8
        captions: Sequence[str],        # N
        embeddings: np.ndarray,         # [N, D] float32, by an encoder of yours
        settings: Sequence[str] = (),   # 'section.key=value' each (docs/configuration.md)
        loggers: Sequence[Any] = (),    # each a `TrainingLogger`: gets the records while it trains
) -> str:
    """Trains Stage-I (64 px) and returns the folder to `load`.

    One of 8 images is held out for the sample grids; each image is a class of its own, so that
    wrong images are any others. Needs TensorFlow. Raises InputError for arrays that do not fit.
    """
    _check(images, captions, embeddings)
    config = load_config(find_config('folder'), [
        f'model.embedding_dim={embeddings.shape[1]}', 'train.captions_averaged=1', *settings])
    load_tensorflow(config.platform)
    from stackgan.training.stages import train_stage
    prepared, embedded = (os.path.join(folder, name) for name in ('prepared', 'embeddings'))
    _write(prepared, embedded, images, captions, embeddings)
    stage = os.path.join(folder, 'stage1')
    os.makedirs(stage, exist_ok=True)
    train_stage(1, config, prepared, embedded, stage, _Stop(), loggers=loggers)
    return stage


def _check(images: np.ndarray, captions: Sequence[str], embeddings: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 \
            or len(images) < MIN_IMAGES:
        raise InputError(f'train_stage1: images have shape {images.shape} and type {images.dtype}, '
                         f'expected [N, H, W, 3] uint8 with N from {MIN_IMAGES} on')
    if len(captions) != len(images) or embeddings.ndim != 2 or len(embeddings) != len(images):
        raise InputError(f'train_stage1: {len(captions)} captions and embeddings of shape '
                         f'{embeddings.shape} for {len(images)} images; each image needs one')


def _write(prepared: str, embedded: str, images: np.ndarray, captions: Sequence[str],
           embeddings: np.ndarray) -> None:
    """Writes what preprocess and embed write (data.prepared)."""
    numbers = np.arange(len(images))
    splits = {'train': numbers[numbers % TEST_SHARE != 0], 'test': numbers[::TEST_SHARE]}
    os.makedirs(embedded, exist_ok=True)
    for split, chosen in splits.items():
        parent = os.path.join(prepared, split)
        os.makedirs(parent, exist_ok=True)
        for side in (LOW, HIGH):
            _save(parent, shard_name(side, 0), np.stack([resized(images[i], side)
                                                         for i in chosen]))
        _save(parent, 'class_ids.npy', chosen.astype(np.int32))
        _save(parent, 'caption_counts.npy', np.ones(len(chosen), np.int32))
        _save(embedded, split + '.npy', np.asarray(embeddings[chosen], np.float32))
        write_json_lines(os.path.join(parent, 'items.jsonl'), [
            {'name': str(i), 'class_id': int(i), 'captions': [captions[i]]} for i in chosen])
    write_json(os.path.join(prepared, 'dataset.json'), {
        'name': 'arrays', 'layout': 'arrays', 'classes': _names(len(images)),
        'embedding_dim': None, 'splits': {
            split: {'images': len(chosen), 'captions': len(chosen), 'shards': [len(chosen)]}
            for split, chosen in splits.items()}})


def _names(count: int) -> List[str]:
    return [str(number) for number in range(count)]


def _save(folder: str, name: str, values: np.ndarray) -> None:
    np.save(os.path.join(folder, name), values, allow_pickle=False)
