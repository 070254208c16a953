"""Where the outputs of the jobs are, for jobs that read them."""

import os
from typing import List

from stackgan.config import Config
from stackgan.data.dataset import open_dataset
from stackgan.errors import InputError

from .contract import Input


def raw_folder(config: Config) -> str:
    return config.data.raw or f'raw/{config.data.name}'


def prepared_folder(config: Config) -> str:
    return f'prepared/{config.data.name}'


def scorer_folder(config: Config) -> str:
    """Beside the dataset, not in a run: one scorer scores all runs on a dataset."""
    return f'prepared/{config.data.name}-scorer'


def run_folder(config: Config, part: str) -> str:
    return f'runs/{config.run.name}/{part}'


def prepared_input(config: Config) -> Input:
    return Input('prepared', prepared_folder(config), 'preprocess')


def embeddings_input(config: Config) -> Input:
    return Input('embeddings', run_folder(config, 'embeddings'), 'embed')


def text_encoder_inputs(config: Config, volume: str) -> List[Input]:
    """The encoder that embeds the dataset's captions; [] with precomputed embeddings."""
    if uses_precomputed_embeddings(config, volume):
        return []
    return text_encoder_of_own_captions(config)


def text_encoder_of_own_captions(config: Config) -> List[Input]:
    """The encoder that embeds other captions than those of the dataset."""
    return [Input('text-encoder', run_folder(config, 'text-encoder'), 'train-text-encoder')
            ] + skip_thought_inputs(config)


def judge_inputs(config: Config, volume: str) -> List[Input]:
    """The text encoder if it was trained here, and so with an image encoder, for R-precision."""
    if config.text.weights is not None:
        return []
    return text_encoder_inputs(config, volume)


def skip_thought_inputs(config: Config) -> List[Input]:
    """The folder of the skip-thought files or of a sentence encoder, which is used in place; a .t7
    file is converted instead."""
    if config.text.weights is None or is_torch7(config.text.weights):
        return []
    return [weights_input(config)]


def weights_input(config: Config) -> Input:
    return Input('published', config.text.weights or '',
                 hint='put it there, or change text.weights')


def is_torch7(path: str) -> bool:
    """Whether text.weights is a .t7 file rather than a folder that is used in place."""
    return path.endswith('.t7')


def uses_precomputed_embeddings(config: Config, volume: str) -> bool:
    """Whether the embeddings came precomputed with the dataset (`text.source`)."""
    if config.text.source in ('train', 'published', 'onnx'):
        return False
    folder = os.path.join(volume, prepared_folder(config))
    if not os.path.isdir(folder):
        return False
    are_precomputed = open_dataset(folder).embedding_dim is not None
    if config.text.source == 'pickle' and not are_precomputed:
        raise InputError(f'text.source: pickle, but the dataset in {config.data.raw} came without '
                         f'{{train,test}}/{config.data.precomputed_embeddings}-embeddings.pickle; '
                         'put the files there, or set text.source to train')
    return are_precomputed
