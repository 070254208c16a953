"""Run by tests as a process of its own that can be killed: trains on a toy dataset.

    train_toy.py STAGE FOLDER PREPARED EMBEDDINGS [STAGE1_FOLDER] -- [key=value ...]
"""

import logging
import sys

from toy import pause_where_told, tiny_config

from jobs.engine.signals import handled
from stackgan.errors import Interrupted, StackganError
from stackgan.files import remove_unfinished
from stackgan.platforms.cores import prepare_environment


def main(arguments):
    split = arguments.index('--')
    (stage, folder, prepared, embeddings), rest = arguments[:4], arguments[4:split]
    config = tiny_config(*arguments[split + 1:])
    prepare_environment(config.platform)
    from stackgan.training.stages import train_stage  # loads TensorFlow
    remove_unfinished(folder)                               # as the job contract does
    try:
        with handled() as stop:
            train_stage(int(stage), config, prepared, embeddings, folder, stop, *rest)
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
    sys.exit(main(sys.argv[1:]))
