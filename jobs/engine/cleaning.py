"""What `clean` removes: containers, and outputs only where a job is named."""

import os
from typing import Dict, List

from stackgan.config import Config
from stackgan.errors import MissingRequirement, StackganError
from stackgan.file_systems import empty, remove
from stackgan.printing import echo, echo_error

from .compose import Project
from .contract import Job, folder_of
from .locks import locked
from .places import check_place

ENDINGS = ('.partial', '.partial.copy', '.previous')


def clean_containers(environment: Dict[str, str]) -> int:
    """Removes the project's containers and shows the result. Returns an exit code; never raises.

    Without Docker or Compose there are none. Any other failure is shown, but does not stop `clean`
    from removing the outputs that were named.
    """
    try:
        Project(environment).call('--profile', '*', 'down', '--remove-orphans')
    except MissingRequirement as error:
        echo(f'clean: no containers: {error}')
    except StackganError as error:
        echo_error(f'clean: error: the containers were not removed: {error}')
        return error.exit_code
    else:
        echo('clean: removed the containers of the project; its data is kept')
    return 0


def clean_output(job: Job, config: Config, volume: str) -> None:
    """Removes a job's output, finished or not. Raises StackganError while the job runs.

    If the output is a link (to a larger disk), its content is removed, but the link and the folder
    it points to stay for the next output.
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


def _found(named: str, folder: str) -> List[str]:
    """The paths of an output that exist, beside its name and beside the target of a link."""
    beside = [path + ending for path in sorted({named, folder}) for ending in ENDINGS]
    is_there = (os.path.isdir(folder) and os.listdir(folder) if os.path.islink(named)
                else os.path.lexists(folder))
    return ([folder] if is_there else []) + [path for path in beside if os.path.lexists(path)]
