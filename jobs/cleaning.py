"""What `clean` removes: containers, and outputs only where a job is named."""

import os
import shutil

from jobs.compose import Project
from jobs.contract import folder_of
from jobs.locks import locked
from stackgan.errors import MissingRequirement
from stackgan.printing import say


def clean_containers(environment):
    """Removes the project's containers; says so. Without an engine there are none."""
    try:
        Project(environment).call('--profile', '*', 'down', '--remove-orphans')
    except MissingRequirement as error:
        say('clean: no containers: %s' % error)
    else:
        say('clean: the containers of the project are removed; its data is kept')


def clean_output(job, config, volume):
    """Removes a job's output, finished or not. Raises StackganError while the job runs."""
    folder = folder_of(job, config, volume)
    kinds = [folder + ending for ending in ('', '.partial', '.partial.copy', '.previous')]
    if not any(os.path.isdir(path) for path in kinds):
        say('clean: %s has no output in %s' % (job.name, volume))
        return
    with locked(folder, 'clean'):
        for path in kinds:
            if os.path.isdir(path):
                shutil.rmtree(path)
                say('clean: removed %s' % path)
