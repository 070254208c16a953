"""What several jobs know of each other's outputs."""

import os

from stackgan.errors import InputError

from .contract import Input


def prepared_folder(config):
    return f'prepared/{config.data.name}'


def scorer_folder(config):
    """Beside the dataset, not in a run: all runs on a dataset are scored by the same scorer."""
    return f'prepared/{config.data.name}-scorer'


def run_folder(config, part):
    return f'runs/{config.run.name}/{part}'


def prepared_input(config):
    return Input('prepared', prepared_folder(config), 'preprocess')


def embeddings_input(config):
    return Input('embeddings', run_folder(config, 'embeddings'), 'embed')


def text_encoder_inputs(config, volume):
    """[Input] of what embeds the captions of the dataset; none where it came with embeddings."""
    if uses_precomputed_embeddings(config, volume):
        return []
    return text_encoder_of_own_captions(config)


def text_encoder_of_own_captions(config):
    """[Input] of what embeds other captions than those of the dataset."""
    return [Input('text-encoder', run_folder(config, 'text-encoder'), 'train-text-encoder')
            ] + skip_thought_inputs(config)


def judge_inputs(config, volume):
    """[Input] of the text encoder that has an image encoder beside it, which a trained one has."""
    if config.text.weights is not None:
        return []
    return text_encoder_inputs(config, volume)


def skip_thought_inputs(config):
    """[Input] of the skip-thought files, which are read where they are; a .t7 file is converted."""
    if config.text.weights is None or is_torch7(config.text.weights):
        return []
    return [weights_input(config)]


def weights_input(config):
    return Input('published', config.text.weights, hint='text.weights names it')


def is_torch7(path):
    """Whether text.weights names a .t7 file, and not the folder of the skip-thought files."""
    return path.endswith('.t7')


def uses_precomputed_embeddings(config, volume):
    """Whether the embeddings are those that came with the dataset (`text.source`)."""
    from stackgan.data.prepared import open_dataset
    if config.text.source in ('train', 'published'):
        return False
    folder = os.path.join(volume, prepared_folder(config))
    if not os.path.isdir(folder):
        return False
    brought = open_dataset(folder).embedding_dim is not None
    if config.text.source == 'pickle' and not brought:
        raise InputError(f'text.source: pickle, but the dataset in {config.data.raw} came without '
                         f'{{train,test}}/{config.data.precomputed_embeddings}-embeddings.pickle; '
                         f'put the files there or use train')
    return brought
