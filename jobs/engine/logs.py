"""The log of a job, wherever it runs or ran: it lies in the job's output."""

import os
import time

from stackgan import printing
from stackgan.errors import InputError

from .contract import folder_of
from .locks import is_locked

POLL_SECONDS = 0.5


def show(job, config, volume, follow):
    """Prints a job's log; with `follow`, goes on while the job runs. Raises InputError."""
    folder = folder_of(job, config, volume)
    paths = [path for path in (folder + '.partial/log.txt', folder + '/log.txt')
             if os.path.exists(path)]
    if not paths:
        raise InputError(f'logs: {job.name} has not run in {volume}')
    # The file stays open when its folder is renamed.
    with open(paths[0], encoding='utf-8', errors='replace') as stream:
        is_read = printing.show(stream.read(), end='')
        while follow and is_read and is_locked(folder):
            time.sleep(POLL_SECONDS)
            is_read = printing.show(stream.read(), end='')
        printing.show(stream.read(), end='')
