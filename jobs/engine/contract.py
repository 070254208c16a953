"""What a job is, and when its output counts as done.

A job reads folders and writes one folder. It works in `<output>.partial`, writes `manifest.json`
last and then renames the folder to `<output>`. The manifest records the request (settings, digests
of the inputs) and the files. A job is up to date if the request in its manifest is the one it would
get now. Nothing here imports TensorFlow, so finding out takes a fraction of a second.
"""

import argparse
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stackgan.config import Config
from stackgan.config.loading import default_settings
from stackgan.config.renamed import rename_settings
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import digest_of
from stackgan.manifests import MANIFEST, look_at, read_manifest  # noqa: F401

from .places import target_of
from .signals import Stop

if TYPE_CHECKING:
    from stackgan.platforms.worker_channel import Channel

REQUEST = 'request.json'


class Input(NamedTuple):
    """A folder that a job reads, or one of the user's files."""

    name: str                       # what the job calls it
    path: str                       # relative to the volume, or absolute
    made_by: Optional[str] = None   # the job that makes it; None: the user provides it
    hint: str = 'put it there'      # end of the error message if the user's is missing


class Work(NamedTuple):
    """The argument of a job's `run`."""

    config: Config
    volume: str                     # absolute path of the data volume
    folder: str                     # absolute path of the folder to write; may hold earlier work
    inputs: Dict[str, str]          # absolute path of each input, by name
    settings: Dict[str, Any]        # the result of the job's `settings`
    stop: Stop
    notes: Dict[str, Any]           # for the manifest: whatever readers of the output must know
    workers: 'Optional[Channel]' = None     # to the other workers; None: this process is alone


class Job(NamedTuple):
    """A batch job. Its module defines one as `JOB`.

    The functions take the configuration and the absolute path of the data volume.
    """

    name: str                                       # as typed: 'train-stage1'
    summary: str                                    # one line of help
    output: Callable[[Config], str]                 # folder it writes, relative to the volume
    inputs: Callable[[Config, str], Sequence[Input]]
    settings: Callable[[Config], Dict[str, Any]]    # the part of the configuration it depends on
    run: Optional[Callable[[Work], None]]           # None: `variant` gives it
    uses_tensorflow: bool = True
    form: int = 1                                   # incremented when the output format changes
    not_needed: Callable[[Config, str], Optional[str]] = lambda config, volume: None
    # The reason why there is no use for the job, or None.
    growing: Tuple[str, ...] = ()
    # Settings (dotted) that may change in a finished output: it is extended, not made again.
    precious: bool = False                          # days of work: never deleted unasked
    takes_workers: bool = False                     # several processes may do its work together
    resumes: bool = False
    # A finished output that lost files is repaired from its checkpoints, not made again.
    records: Tuple[str, ...] = ()
    # Patterns of files about the run itself (events, logs, times): not content of the output.
    timed: Dict[str, Tuple[str, ...]] = {}
    # {file of JSON lines: keys that hold times}: the rest of the file is content.
    is_complete: Callable[[str, Config, str], bool] = lambda folder, config, volume: True
    # Whether a finished output of the same request has everything; its folder comes first.
    add_options: Optional[Callable[[argparse.ArgumentParser], None]] = None
    variant: Callable[['Job', argparse.Namespace], 'Job'] = lambda job, options: job
    # The job for the options that `add_options` added.
    preview: Callable[[Config, str], Sequence[str]] = lambda config, volume: ()
    # Lines that --dry-run adds.
    looks_for_programs: bool = False
    # `settings` starts programs to find others: not asked about an output that is not there.


class State(NamedTuple):
    """Whether a job's output is what the job would make now."""

    word: str                       # done | stale | unfinished | missing | waiting | not needed
    reason: str = ''


def folder_of(job: Job, config: Config, volume: str) -> str:
    """Absolute path of the folder that a job writes; if the output is a link, its target."""
    return target_of(os.path.join(volume, job.output(config)))


def request_of(job: Job, config: Config, volume: str,
               inputs: Optional[Dict[str, str]] = None) -> Dict[str, Any]:
    """The request of a job, for its manifest. Raises InputError for a missing input.

    `inputs` are digests that are known already.
    """
    return {
        'job': job.name,
        'form': job.form,
        'settings': flat(job.settings(config)),
        'inputs': _inputs_of(job, config, volume) if inputs is None else inputs,
    }


def _inputs_of(job: Job, config: Config, volume: str) -> Dict[str, str]:
    """{name: digest} of the inputs. Raises InputError for a missing one."""
    return {each.name: input_digest(job, each, volume) for each in job.inputs(config, volume)}


def flat(settings: Dict[str, Any], prefix: str = '') -> Dict[str, Any]:
    """Nested settings as one dict with dotted keys, so that differences can be named."""
    values: Dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            values.update(flat(value, prefix + name + '.'))
        else:
            values[prefix + name] = value
    return values


def input_digest(job: Job, each: Input, volume: str) -> str:
    """Digest of an input's content. Raises InputError if the input is missing."""
    path = os.path.join(volume, each.path)
    if each.made_by:
        output = look_at(path)
        if output.manifest and output.is_whole:
            return output.manifest['content']
        if os.path.isdir(path) and os.listdir(path):
            raise InputError(f'{job.name}: {each.path} is damaged: {output.describe()}; run '
                             f'{each.made_by} first (or: run --until {job.name})')
        raise InputError(f'{job.name}: {each.path} is not there yet; run {each.made_by} first (or: '
                         f'run --until {job.name})')
    if os.path.isfile(path):
        facts = os.stat(path)
        return digest_of([facts.st_size, facts.st_mtime_ns])
    if not os.path.isdir(path):
        raise InputError(f'{job.name}: {path} is missing; {each.hint}')
    return digest_of(listing(path))


def listing(folder: str) -> List[List[Any]]:
    """[relative path, bytes, time of change] of every file, which changes when the files do."""
    found = []
    for path in walk(folder).files:
        try:
            facts = os.stat(os.path.join(folder, path))
        except FileNotFoundError:                    # removed since
            continue
        found.append([path, facts.st_size, facts.st_mtime_ns])
    return found


def state_of(job: Job, config: Config, volume: str) -> State:
    """`State` of a job's output. A missing input is a reason, not an error."""
    folder = folder_of(job, config, volume)
    output = look_at(folder)
    manifest = output.manifest if output.is_whole else None
    try:
        reason = job.not_needed(config, volume)
        if reason:
            return State('not needed', reason)
        found = _inputs_of(job, config, volume)
        if job.looks_for_programs and not os.path.isdir(folder) and not os.path.isdir(
                folder + '.partial'):
            return State('missing')
        request = request_of(job, config, volume, found)
    except InputError as error:
        return State('waiting', str(error).split('; ')[0].replace(job.name + ': ', '', 1))
    if manifest and not differences(manifest['request'], request):
        if job.is_complete(folder, config, volume):
            return State('done')
        return State('unfinished', 'more is to be added')
    if os.path.isdir(folder + '.partial'):
        return State('unfinished', 'resumes where it stopped')
    if manifest:
        return State('stale', ', '.join(differences(manifest['request'], request)))
    if os.path.isdir(folder) and os.listdir(folder):      # an empty one is the target of a link
        return State('stale', output.describe() + (
            ', resumes from its whole checkpoints' if job.resumes else ''))
    return State('missing')


def differences(old: Dict[str, Any], new: Dict[str, Any], ignored: Sequence[str] = ()) -> List[str]:
    """What changed between two requests, as texts: 'train.batch_size 64 -> 32'.

    A setting that is missing from the request of an earlier version had its default then.
    """
    found = []
    if old.get('form') != new['form']:
        found.append('made by another version of the job')
    before, after = rename_settings(old.get('settings', {})), new['settings']
    for name in sorted(set(before) | set(after)):
        if name not in ignored and _value(before, name) != _value(after, name):
            found.append(f'{name} {_value(before, name)} -> {_value(after, name)}')
    before, after = old.get('inputs', {}), new['inputs']
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            found.append(f'{name} changed')
    return found


@lru_cache(maxsize=1)
def _defaults() -> Dict[str, Any]:
    return default_settings()


def _value(settings: Dict[str, Any], name: str) -> Any:
    return settings[name] if name in settings else _defaults().get(name)
