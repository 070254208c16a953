"""`verify`: whether every file of every output has the bytes that its job wrote.

A worn disk, an interrupted copy or an editor can change a file without changing its size, and
`status` looks only at sizes. Here all bytes are read. A job checks its inputs here as well.
"""

import argparse
import os
import threading
from fnmatch import fnmatchcase
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from stackgan.config import Config
from stackgan.errors import InputError, Interrupted
from stackgan.integrity import damage, damaged_files
from stackgan.manifests import MANIFEST, Output, look_at
from stackgan.printing import echo, echo_error
from stackgan.progress import Progress

from .chain import BY_NAME
from .content import CONFIG
from .contract import Job
from .signals import handled

# Checked when they are opened: arrays (stackgan.data.prepared), checkpoints and models.
READ_LATER = ('*.npy', '*/model.index', '*/model.data-*', '*.pb', '*.onnx')
PLACES = ('raw', 'prepared', os.path.join('runs', '*'))      # of outputs on a volume
UNFINISHED = ('.partial', '.partial.copy')
MEBIBYTE = 1 << 20


class Found(NamedTuple):
    """An output to verify."""

    path: str                # relative to the volume
    output: Output


def check_inputs(job: Job, config: Config, volume: str) -> None:
    """Checks the inputs of a job, except for large files. Raises InputError for a damaged one."""
    for each in job.inputs(config, volume):
        folder = os.path.join(volume, each.path)
        manifest = look_at(folder).manifest if each.made_by else None
        if manifest is None:
            continue
        maker = BY_NAME.get(manifest['request']['job'])
        later = READ_LATER + (maker.records if maker else ())
        files = {name: facts for name, facts in manifest['files'].items()
                 if not any(fnmatchcase(name, pattern) for pattern in later)}
        for name, fault in sorted(damaged_files(folder, files).items()):
            raise damage(os.path.join(folder, name), fault, manifest['request']['job'])


def verify(
        jobs: Sequence[Job],    # whose outputs to read; none: all outputs on the volume
        config: Config,
        volume: str,            # absolute path of the data volume
) -> int:
    """Reads all bytes, shows which outputs are whole or damaged, and returns the exit code."""
    found = _outputs_of(jobs, config, volume) if jobs else _all_outputs(volume)
    try:
        with handled():
            faults = _read(found, volume)
    except Interrupted as signal:
        echo(f'verify: interrupted by {signal}; nothing was changed')
        return Interrupted.exit_code
    for path, output in found:
        if not faults[path]:
            echo(f'verify: {path} is whole: {len(_files(output))} files, '
                 f'{_bytes(output) / MEBIBYTE:.1f} MiB')
    damaged = [each for each in found if faults[each.path]]
    for path, output in damaged:
        for text in faults[path]:
            echo_error(f'verify: error: {path}/{text}')
        echo_error(f'verify: error: {_advice(path, output)}')
    echo(f'verify: {len(found) - len(damaged)} of {len(found)} outputs are whole')
    return 1 if damaged else 0


def _outputs_of(jobs: Sequence[Job], config: Config, volume: str) -> List[Found]:
    """The output of each job, and those that it made with other options."""
    found: Dict[str, Found] = {}
    for job in jobs:
        own = job.output(config)
        beside = [each for each in _outputs_below(volume, os.path.dirname(own))
                  if own.startswith('runs' + os.sep) and _maker(each.output) == job.name]
        if os.path.isdir(os.path.join(volume, own)):
            beside.append(Found(own, look_at(os.path.join(volume, own))))
        if not beside:
            raise InputError(f'{job.name} has no finished output in {volume}; run it first: '
                             f'{job.name}')
        found.update((each.path, each) for each in beside)
    return [found[path] for path in sorted(found)]


def _all_outputs(volume: str) -> List[Found]:
    """All finished outputs on the volume, of any configuration."""
    found = []
    for place in PLACES:
        parents = [place] if '*' not in place else [
            os.path.join('runs', name) for name in _folders(os.path.join(volume, 'runs'))]
        for parent in parents:
            found += _outputs_below(volume, parent)
    if not found:
        raise InputError(f'{volume} holds no finished output; pass the volume with --data')
    return found


def _outputs_below(volume: str, parent: str) -> List[Found]:
    paths = [os.path.join(parent, name) for name in _folders(os.path.join(volume, parent))
             if not name.endswith(UNFINISHED)]
    # A raw dataset may have a manifest.json of its own.
    signs = (CONFIG,) if parent == 'raw' else (CONFIG, MANIFEST)
    return [Found(path, look_at(os.path.join(volume, path))) for path in paths
            if any(os.path.lexists(os.path.join(volume, path, sign)) for sign in signs)]


def _folders(folder: str) -> List[str]:
    try:
        return sorted(name for name in os.listdir(folder)
                      if os.path.isdir(os.path.join(folder, name)))
    except OSError:
        return []


def _maker(output: Output) -> str:
    return output.manifest['request']['job'] if output.manifest else ''


def _files(output: Output) -> Dict[str, Dict[str, Any]]:
    return output.manifest['files'] if output.manifest else {}


def _bytes(output: Output) -> int:
    return sum(facts['size'] for facts in _files(output).values())


def _read(found: List[Found], volume: str) -> Dict[str, List[str]]:
    """{path: faults, as texts} of outputs."""
    total = sum(_bytes(output) for _, output in found if output.manifest)
    faults, counter = {}, _Mebibytes()
    with Progress('verify', counter.of(total), 'MiB') as progress:
        for path, output in found:
            texts = list(output.faults)
            if output.manifest:
                files = {name: facts for name, facts in output.manifest['files'].items()
                         if name not in output.lost}
                damaged = damaged_files(os.path.join(volume, path), files,
                                        lambda count: counter.add(count, progress))
                texts += [f'{name} {damaged[name]}' for name in sorted(damaged)]
            faults[path] = _unless_replaced(os.path.join(volume, path), output, texts)
        progress.advance(max(progress.total - progress.done, 0))
    return faults


def _unless_replaced(folder: str, output: Output, texts: List[str]) -> List[str]:
    """The faults of an output; a note instead if a job has replaced it meanwhile."""
    if texts and output.manifest and look_at(folder).manifest not in (None, output.manifest):
        return [f'{MANIFEST} changed during verification; run verify again']
    return texts


class _Mebibytes:
    """Counts bytes, from several threads, as whole MiB for a progress bar."""

    def __init__(self) -> None:
        self._lock, self._bytes = threading.Lock(), 0

    def of(self, count: int) -> int:
        """MiB, rounded up."""
        return -(-count // MEBIBYTE)

    def add(self, count: int, progress: Progress) -> None:
        """Counts bytes and shows them."""
        with self._lock:
            self._bytes += count
            progress.advance(self._bytes // MEBIBYTE - progress.done)


def _advice(path: str, output: Output) -> str:
    job = _maker(output)
    if path.endswith('.previous'):
        return f'{path} is an earlier output of its job, kept beside the current one'
    if not job:
        return f'{path}: which job made it is unknown; run that job again, or put {MANIFEST} back'
    if job.startswith('train-'):
        return f'{path}: {job} --force resumes from its newest complete checkpoint'
    return f'{path}: make it again with the options it was made with: {job} --force'


def add_options(parser: argparse.ArgumentParser, names: Tuple[str, ...]) -> None:
    """Adds the jobs to a parser."""
    parser.add_argument('jobs', metavar='JOB', nargs='*', choices=names + ([],),
                        help=f"a job whose outputs to read: {', '.join(names)} (default: all "
                             'outputs on the volume)')
