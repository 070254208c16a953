"""What of an output counts when jobs that read it ask whether it has changed."""

import os
from fnmatch import fnmatchcase
from typing import Dict

from stackgan.files import digest_of, read_json_lines
from stackgan.manifests import look_at

from .contract import differences

CONFIG = 'config.yaml'               # holds settings of other jobs as well


def is_content(
        job,               # Job
        name: str,         # of a file, relative to the output
) -> bool:
    """Whether a file is what was made, and no record of how it was made."""
    return name != CONFIG and not any(fnmatchcase(name, pattern) for pattern in job.records)


def content_of(
        job,                       # Job
        folder: str,               # of the output; the new one is still in <folder>.partial
        request: dict,
        files: Dict[str, dict],    # of the new manifest
) -> str:
    """Digest of the content. Two runs that made the same have the same, whenever they ran."""
    made = {name: facts['sha256'] for name, facts in files.items() if is_content(job, name)}
    old = look_at(folder).manifest
    if old and not differences(old['request'], request) and _is_left_of(job, made, old['files']):
        return old['content']        # by the rule of its time; what follows stays up to date
    for name, keys in job.timed.items():
        if name in made:
            made[name] = digest_of([
                {key: value for key, value in line.items() if key not in keys}
                for line in read_json_lines(os.path.join(folder + '.partial', name))])
    return digest_of([request['job'], request['form'], made])


def _is_left_of(job, made, old_files):
    """Whether nothing is new: the same files, or of a training what was not lost of them."""
    old = {name: facts['sha256'] for name, facts in old_files.items() if is_content(job, name)}
    return made == old or (job.resumes and made and made.items() <= old.items())
