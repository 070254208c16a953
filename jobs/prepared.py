"""What several jobs know of each other's outputs."""

import os

from jobs.contract import Input
from stackgan.errors import InputError


def prepared_folder(config):
    return 'prepared/%s' % config.data.name


def scorer_folder(config):
    """Beside the dataset, not in a run: all runs on a dataset are scored by the same scorer."""
    return 'prepared/%s-scorer' % config.data.name


def run_folder(config, part):
    return 'runs/%s/%s' % (config.run.name, part)


def prepared_input(config):
    return Input('prepared', prepared_folder(config), 'preprocess')


def embeddings_input(config):
    return Input('embeddings', run_folder(config, 'embeddings'), 'embed')


def text_encoder_inputs(config, volume):
    """[Input] of the text encoder, or none where the dataset brought its embeddings."""
    if uses_brought_embeddings(config, volume):
        return []
    return [Input('text-encoder', run_folder(config, 'text-encoder'), 'train-text-encoder')]


def uses_brought_embeddings(config, volume):
    """Whether the embeddings are those that came with the dataset (`text.source`)."""
    from stackgan.data.prepared import open_dataset
    if config.text.source == 'train':
        return False
    folder = os.path.join(volume, prepared_folder(config))
    if not os.path.isdir(folder):
        return False
    brought = open_dataset(folder).embedding_dim is not None
    if config.text.source == 'pickle' and not brought:
        raise InputError('text.source: pickle, but the dataset in %s came without '
                         '{train,test}/%s-embeddings.pickle; put the files there or use train'
                         % (config.data.raw, config.data.brought_embeddings))
    return brought
