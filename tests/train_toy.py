"""Run by tests as a process of its own that can be killed: trains on a toy dataset.

    train_toy.py STAGE FOLDER PREPARED EMBEDDINGS [STAGE1_FOLDER] -- [key=value ...]

With STACKGAN_WORKERS and what goes with it, as one of several workers. TOY_NETWORKS=small: with
the networks of small_networks. TOY_TEXT_ENCODER: folder of the text encoder.
"""

import logging
import os
import sys

from toy import pause_where_told, tiny_config

from jobs.engine.signals import handled
from stackgan.errors import Interrupted, StackganError
from stackgan.files import remove_unfinished
from stackgan.platforms.cores import prepare_environment
from stackgan.platforms.rendezvous import from_environment
from stackgan.platforms.worker_channel import Follower
from stackgan.platforms.worker_leader import Leader


def main(arguments):
    split = arguments.index('--')
    (stage, folder, prepared, embeddings), rest = arguments[:4], arguments[4:split]
    config = tiny_config(*arguments[split + 1:])
    prepare_environment(config.platform)
    from stackgan.training.stages import train_stage  # loads TensorFlow
    if os.environ.get('TOY_NETWORKS') == 'small':
        import small_networks
        small_networks.use()
    place = from_environment(os.environ)
    channel = None
    if place is not None:
        channel = (Follower if place.rank else Leader)(place, config.platform.worker_timeout, '')
    if place is None or place.rank == 0:
        remove_unfinished(folder)                           # as the job contract does
    code = 0
    try:
        with handled() as stop:
            train_stage(int(stage), config, prepared, embeddings, folder, stop,
                        rest[0] if rest else None, os.environ.get('TOY_TEXT_ENCODER'),
                        channel=channel)
    except Interrupted as signal:
        print('interrupted', signal)
        code = 130
    except StackganError as error:
        print('error:', error)
        code = error.exit_code
    if isinstance(channel, Leader):
        channel.end(code)
    elif channel is not None:
        channel.wait_for_end()
    return code


if __name__ == '__main__':
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format='%(message)s')
    pause_where_told()
    sys.exit(main(sys.argv[1:]))
