"""Run by tests as a process of its own that can be killed: trains a text encoder on toy data.

    train_toy_text.py FOLDER PREPARED [key=value ...]
"""

import logging
import sys

from toy import pause_where_told, tiny_config

from jobs.engine.signals import handled
from stackgan.errors import Interrupted, StackganError
from stackgan.platforms.cores import prepare_environment


def main(folder, prepared, *settings):
    config = tiny_config(*settings)
    prepare_environment(config.platform)
    from stackgan.training.text_encoder import train_text_encoder  # loads TensorFlow
    try:
        with handled() as stop:
            train_text_encoder(prepared, folder, config.text, config.model.embedding_dim,
                               config.run.seed, config.platform, stop)
    except Interrupted as signal:
        print('interrupted', signal)
        return 130
    except StackganError as error:
        print('error:', error)
        return error.exit_code
    return 0


if __name__ == '__main__':
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format='%(message)s')
    pause_where_told()
    sys.exit(main(*sys.argv[1:]))
