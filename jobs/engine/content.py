"""The part of an output by which the jobs that read it decide whether it has changed."""

import os
from fnmatch import fnmatchcase
from typing import Any, Dict

from stackgan.files import digest_of, read_json_lines
from stackgan.manifests import look_at

from .contract import Job, differences

CONFIG = 'config.yaml'               # holds settings of other jobs as well


def is_content(
        job: Job,
        name: str,    # of a file, relative to the output
) -> bool:
    """Whether a file is a result, rather than a record of how it was made."""
    return name != CONFIG and not any(fnmatchcase(name, pattern) for pattern in job.records)


def content_of(
        job: Job,
        folder: str,                       # of the output; the new one is still in <folder>.partial
        request: Dict[str, Any],
        files: Dict[str, Dict[str, Any]],  # of the new manifest
) -> str:
    """Digest of the content: equal for runs with equal results, whenever they ran."""
    made = {name: facts['sha256'] for name, facts in files.items() if is_content(job, name)}
    old = look_at(folder).manifest
    if old and not differences(old['request'], request) and _is_left_of(job, made, old['files']):
        return old['content']        # keeps later jobs up to date if this rule has changed since
    for name, keys in job.timed.items():
        if name in made:
            made[name] = digest_of([
                {key: value for key, value in line.items() if key not in keys}
                for line in read_json_lines(os.path.join(folder + '.partial', name))])
    return digest_of([request['job'], request['form'], made])


def _is_left_of(job: Job, made: Dict[str, str], old_files: Dict[str, Dict[str, Any]]) -> bool:
    """Whether nothing is new: the same files, or, for a training, those that were not lost."""
    old = {name: facts['sha256'] for name, facts in old_files.items() if is_content(job, name)}
    return made == old or (job.resumes and bool(made) and made.items() <= old.items())
