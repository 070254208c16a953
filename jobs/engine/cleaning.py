"""What `clean` removes: containers, and outputs only where a job is named."""

import os

from stackgan.errors import MissingRequirement, StackganError
from stackgan.file_systems import empty, remove
from stackgan.printing import echo, echo_error

from .compose import Project
from .contract import folder_of
from .locks import locked
from .places import check_place

ENDINGS = ('.partial', '.partial.copy', '.previous')


def clean_containers(environment):
    """Removes the project's containers; says so. Returns an exit code, and raises nothing.

    Without an engine, or without Compose, there are none. What else goes wrong is said, and is
    no reason to keep the outputs that were named.
    """
    try:
        Project(environment).call('--profile', '*', 'down', '--remove-orphans')
    except MissingRequirement as error:
        echo(f'clean: no containers: {error}')
    except StackganError as error:
        echo_error(f'clean: error: the containers are not removed: {error}')
        return error.exit_code
    else:
        echo('clean: the containers of the project are removed; its data is kept')
    return 0


def clean_output(job, config, volume):
    """Removes a job's output, finished or not. Raises StackganError while the job runs.

    Of an output that is a link (to a larger disk) the content goes; the link and the folder it
    leads to stay, for the next output.
    """
    named = os.path.join(volume, job.output(config))
    folder = folder_of(job, config, volume)
    found = _found(named, folder)
    if not found:
        echo(f'clean: {job.name} has no output in {volume}')
        return
    check_place(named)
    with locked(folder, 'clean'):
        for path in _found(named, folder):
            if path == folder and os.path.islink(named):
                empty(path)
                echo(f'clean: removed what is in {path}; the link {named} stays')
            else:
                remove(path)
                echo(f'clean: removed {path}')


def _found(named, folder):
    """What there is of an output, beside its name in the volume and beside what that leads to."""
    beside = [path + ending for path in sorted({named, folder}) for ending in ENDINGS]
    is_there = (os.path.isdir(folder) and os.listdir(folder) if os.path.islink(named)
                else os.path.lexists(folder))
    return ([folder] if is_there else []) + [path for path in beside if os.path.lexists(path)]
