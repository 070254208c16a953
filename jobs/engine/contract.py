"""What a job is, and when its output counts as done.

A job reads folders, writes one folder and nothing else. The folder is built in `<output>.partial`,
gets `manifest.json` last and then its name. The manifest says what the job was asked (settings,
digests of the inputs) and what it made; a job whose manifest says what would be asked now is up
to date. Nothing here imports TensorFlow, so asking takes a fraction of a second.
"""

import os
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from stackgan.config import Config
from stackgan.config.loading import default_settings
from stackgan.config.renamed import rename_settings
from stackgan.data.walking import walk
from stackgan.errors import InputError
from stackgan.files import digest_of
from stackgan.manifests import MANIFEST, look_at, read_manifest  # noqa: F401

from .places import target_of

REQUEST = 'request.json'


class Input(NamedTuple):
    """A folder, or a file of the user's, that a job reads."""

    name: str                       # what the job calls it
    path: str                       # relative to the volume, or absolute
    made_by: Optional[str] = None   # the job that makes it; None: the user brings it
    hint: str = 'put the raw dataset there, or name its folder with data.raw'
    # What a user does about one that is missing.


class Work(NamedTuple):
    """What a job's `run` is given."""

    config: Config
    volume: str                     # absolute path of the data volume
    folder: str                     # absolute path of the folder to write; may hold earlier work
    inputs: Dict[str, str]          # absolute path of each input, by name
    settings: dict                  # what the job's `settings` gave
    stop: Any                       # jobs.signals.Stop
    notes: dict                     # of the manifest: what else a reader of the output must know


def no_settings(config):
    return {}


class Job(NamedTuple):
    """A batch job. Its module defines one as `JOB`."""

    name: str                                       # as typed: 'train-stage1'
    summary: str                                    # one line of help
    output: Callable[[Config], str]                 # folder it writes, relative to the volume
    inputs: Callable[[Config, str], Sequence[Input]]
    settings: Callable[[Config], dict]              # the part of the configuration it depends on
    run: Optional[Callable[[Work], None]]           # None: what `variant` gives
    uses_tensorflow: bool = True
    form: int = 1                                   # raised when the output's form changes
    not_needed: Callable[[Config, str], Optional[str]] = lambda config, volume: None
    # Why this configuration and volume have no use for the job, or None.
    growing: Tuple[str, ...] = ()
    # Settings (dotted) that may change without starting anew: a finished output is extended.
    precious: bool = False                          # days of work: never thrown away unasked
    resumes: bool = False
    # A finished output that lost a file is made whole from its checkpoints, not made anew.
    records: Tuple[str, ...] = ()
    # Patterns of files that tell of the run (events, logs, times): no content of the output.
    timed: Dict[str, Tuple[str, ...]] = {}
    # {file of JSON lines: keys of its lines that hold times}: the rest of the file is content.
    is_complete: Callable = lambda folder, config, volume: True
    # Whether a finished output of this very request holds all that is asked of it.
    add_options: Optional[Callable] = None          # adds options of its own to a parser
    variant: Callable = lambda job, options: job    # the job that those options make of it
    preview: Callable = lambda config, volume: ()   # lines that --dry-run adds


class State(NamedTuple):
    """Whether a job's output is what the job would make now."""

    word: str                       # done | stale | unfinished | missing | waiting | not needed
    reason: str = ''


def folder_of(job, config, volume):
    """Absolute path of the folder that a job writes; of an output that is a link, its target."""
    return target_of(os.path.join(volume, job.output(config)))


def request_of(job, config, volume):
    """What a job is asked: a dict for its manifest. Raises InputError for a missing input."""
    return {
        'job': job.name,
        'form': job.form,
        'settings': flat(job.settings(config)),
        'inputs': {each.name: input_digest(job, each, volume)
                   for each in job.inputs(config, volume)},
    }


def flat(settings, prefix=''):
    """Nested settings as one dict of dotted keys, so that differences can be named."""
    values = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            values.update(flat(value, prefix + name + '.'))
        else:
            values[prefix + name] = value
    return values


def input_digest(job, each, volume):
    """Digest of an input's content. Raises InputError where the input is missing."""
    path = os.path.join(volume, each.path)
    if each.made_by:
        output = look_at(path)
        if output.is_whole:
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


def listing(folder):
    """[relative path, bytes, time of change] of every file: changes when the files do."""
    found = []
    for path in walk(folder).files:
        try:
            facts = os.stat(os.path.join(folder, path))
        except FileNotFoundError:                    # removed since
            continue
        found.append([path, facts.st_size, facts.st_mtime_ns])
    return found


def state_of(job, config, volume):
    """`State` of a job's output. Raises nothing for missing inputs: they are a reason."""
    folder = folder_of(job, config, volume)
    output = look_at(folder)
    manifest = output.manifest if output.is_whole else None
    try:
        reason = job.not_needed(config, volume)
        if reason:
            return State('not needed', reason)
        request = request_of(job, config, volume)
    except InputError as error:
        return State('waiting', str(error).split('; ')[0].replace(job.name + ': ', '', 1))
    if manifest and not differences(manifest['request'], request):
        if job.is_complete(folder, config, volume):
            return State('done')
        return State('unfinished', 'there is more to add')
    if os.path.isdir(folder + '.partial'):
        return State('unfinished', 'resumes where it stopped')
    if manifest:
        return State('stale', ', '.join(differences(manifest['request'], request)))
    if os.path.isdir(folder) and os.listdir(folder):      # an empty one: what a link leads to
        return State('stale', output.describe() + (
            ', resumes from its whole checkpoints' if job.resumes else ''))
    return State('missing')


def differences(old, new, ignored=()):
    """What changed between two requests, a text each: 'train.batch_size 64 -> 32'.

    A setting that a request of an earlier version lacks had its default then.
    """
    found = []
    if old.get('form') != new['form']:
        found.append('made by another version of the job')
    before, after = rename_settings(old.get('settings', {})), new['settings']
    defaults = default_settings()
    for name in sorted(set(before) | set(after)):
        if name not in ignored and _value(before, name, defaults) != _value(after, name, defaults):
            found.append(f'{name} {_value(before, name, defaults)} -> '
                         f'{_value(after, name, defaults)}')
    before, after = old.get('inputs', {}), new['inputs']
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            found.append(f'{name} changed')
    return found


def _value(settings, name, defaults):
    return settings[name] if name in settings else defaults.get(name)
