"""Runs one job: check, lock, work in a sibling folder, write the manifest, rename."""

import argparse
import errno
import logging
import os
import platform as machine
import sys
import time
import traceback
from datetime import datetime
from typing import Any, Dict, List, Optional

import stackgan
from stackgan.config import Config
from stackgan.config.loading import to_yaml
from stackgan.errors import InputError, Interrupted, MissingRequirement, StackganError
from stackgan.file_systems import no_room, refusal, remove
from stackgan.files import atomic_write, digest_of_file, files_below, remove_unfinished, write_json
from stackgan.integrity import forget, settle
from stackgan.manifests import MANIFEST, look_at
from stackgan.platforms.cores import load_tensorflow
from stackgan.printing import echo_traceback
from stackgan.progress import RECORD, recorded

from . import workers
from .ascend_files import ascend_files
from .compile_cache import keep_compiled
from .content import content_of
from .contract import REQUEST, Job, Work, differences, folder_of, request_of
from .locks import locked
from .logs import Log, attached
from .places import check_place
from .replacing import asked_to_restart, check_replacing
from .resuming import request_in, resume_from
from .signals import Stop, handled
from .verify import check_inputs

logger = logging.getLogger(__name__)

UNRECORDED = (MANIFEST, REQUEST, 'log.txt', RECORD)


def execute(
        job: Job,
        config: Config,
        volume: str,    # absolute path of the data volume
        options: argparse.Namespace,
) -> int:
    """Brings a job's output up to date and returns the exit code. Shows every outcome.

    A worker that is not the first of several only computes with it.
    """
    log, group = Log(job.name), None
    with attached(log):
        try:
            place = workers.place_of(job, config, os.environ, options)
            config = workers.config_of(job, config, place)
            if place is None or place.rank == 0:
                group = workers.lead(job, config, volume, options, place)
        except StackganError as error:
            logger.error(str(error))
            return error.exit_code
        if place is None or place.rank == 0:
            code = StackganError.exit_code
            try:
                code = _exit_code(job, config, volume, options, log, group)
            finally:
                if group is not None:
                    group.leader.end(code)
            return code
    return workers.follow(job, config, volume, options, place)


def _exit_code(job: Job, config: Config, volume: str, options: argparse.Namespace, log: Log,
               group: Optional[workers.Group]) -> int:
    try:
        with handled() as stop:
            job = job.variant(job, options)
            options.restart = options.restart or asked_to_restart(job.name)
            _execute(job, config, volume, options, log, stop, group)
        return 0
    except Interrupted as signal:
        logger.info(f'interrupted by {signal}; what is done is kept, run the same command to '
                    'resume')
        return Interrupted.exit_code
    except StackganError as error:
        logger.error(str(error))
        return error.exit_code
    except Exception as error:                 # a failure of the job itself
        log.write(traceback.format_exc())
        logger.error(explain(error, volume, log.path))
        if log.path is None and not isinstance(error, OSError):
            echo_traceback()
        return exit_code_of(error, volume)


def explain(error: BaseException, volume: str, log_path: Optional[str]) -> str:
    """One line for an exception other than StackganError."""
    known = no_room(error, volume) or refusal_of(error, volume)
    if known:
        return known
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        reason, user = os.strerror(error.errno), os.getuid()
        if error.errno == errno.EACCES and _cannot_be_read(error.filename):
            return f'cannot read {error.filename}: {reason}; make it readable for user {user}'
        return (f'cannot write {error.filename or volume}: {reason}; make it writable for user '
                f'{user}, or pass another volume with --data')
    where = f'; the traceback is in {log_path}' if log_path else ''
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text[:400]}{where}'


def _cannot_be_read(path: object) -> bool:
    """Whether a path exists and may not be read, so that reading failed rather than writing."""
    return isinstance(path, str) and os.path.exists(path) and not os.access(
        path, os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK)


def refusal_of(error: BaseException, volume: str) -> Optional[str]:
    """The message for what the file system does not support; None for any other error."""
    return refusal(error, volume) if isinstance(error, OSError) else None


def exit_code_of(error: BaseException, volume: str) -> int:
    """3 if the file system lacks a feature, else 1."""
    return MissingRequirement.exit_code if refusal_of(error, volume) else 1


def _execute(job: Job, config: Config, volume: str, options: argparse.Namespace, log: Log,
             stop: Stop, group: Optional[workers.Group]) -> None:
    reason = job.not_needed(config, volume)
    if reason:
        logger.info(f'not needed: {reason}')
        return
    check_place(os.path.join(volume, job.output(config)))
    folder = folder_of(job, config, volume)
    check_place(folder + '.partial')
    request = request_of(job, config, volume)

    def is_done() -> bool:
        output = look_at(folder)
        return (output.manifest is not None and output.is_whole and not options.force
                and not differences(output.manifest['request'], request)
                and job.is_complete(folder, config, volume))

    if is_done():
        logger.info(f'up to date: {folder}')
        return
    with locked(folder, job.name):
        _finish_interrupted_commit(job, folder)
        if is_done():                                      # by the process that held the lock
            logger.info(f'up to date: {folder}')
            return
        forget()
        check_inputs(job, config, volume)
        partial = _prepare_partial(job, folder, request, options, log)
        log.path = os.path.join(partial, 'log.txt')
        leader = workers.begin(group, config)
        if job.uses_tensorflow:
            keep_compiled(config.platform, volume)
            load_tensorflow(config.platform)
        started = time.monotonic()
        before = (request_in(partial) or {}).get('seconds', 0.0)
        work = Work(config, volume, partial, _input_paths(job, config, volume),
                    job.settings(config), stop, {}, leader if job.takes_workers else None)
        assert job.run is not None                         # else `variant` has raised
        with ascend_files(job.name, config, volume, partial), recorded(partial):
            job.run(work)
        settle(stop)
        with atomic_write(os.path.join(partial, 'config.yaml'), 'w') as stream:
            stream.write(to_yaml(config))
        seconds = time.monotonic() - started
        logger.info(f'done in {seconds:.1f} s: {folder}')
        _write_manifest(job, folder, request, work.notes, before + seconds)
        _commit(job, folder, keep_previous=job.precious or (job.resumes and options.restart))
        log.path = os.path.join(folder, 'log.txt')


def _input_paths(job: Job, config: Config, volume: str) -> Dict[str, str]:
    return {each.name: os.path.join(volume, each.path) for each in job.inputs(config, volume)}


def _prepare_partial(job: Job, folder: str, request: Dict[str, Any], options: argparse.Namespace,
                     log: Log) -> str:
    """The folder to work in: the one of an interrupted job of the same request, or a new one."""
    partial = folder + '.partial'
    if os.path.isdir(partial):
        changed = _changes(job, partial, request)
        if changed and job.precious and not options.restart:
            names = ', '.join(changed)
            raise InputError(
                f'{partial} holds unfinished work made with other settings ({names}); set them '
                'back to resume, choose another run.name, or pass --restart to discard it')
        if changed or options.restart or (options.force and not job.precious):
            remove(partial)                       # if it is a link, only the link
    seconds = 0.0
    if os.path.isdir(partial):
        remove_unfinished(partial)
        seconds = seconds_before(partial)
    elif options.restart:
        os.makedirs(partial)
    else:
        check_replacing(job, folder, request)
        if resume_from(job, folder, request, options.force):
            seconds = (look_at(folder).manifest or {}).get('seconds', 0.0)
        else:
            os.makedirs(partial)
    write_json(os.path.join(partial, REQUEST), dict(request, seconds=seconds))
    return partial


def seconds_before(partial: str) -> float:
    """Seconds that earlier processes worked on the folder, as far as its files show.

    request.json has the seconds before the last process, which began by writing that file and
    worked at least until the time of its newest file.
    """
    known = (request_in(partial) or {}).get('seconds')
    if not isinstance(known, (int, float)):
        return 0.0
    began = os.path.getmtime(os.path.join(partial, REQUEST))
    times = [os.path.getmtime(os.path.join(partial, name)) for name in files_below(partial)]
    return known + max(max(times) - began, 0.0)


def _changes(job: Job, partial: str, request: Dict[str, Any]) -> List[str]:
    old = request_in(partial)
    return [f'no valid {REQUEST}'] if old is None else differences(old, request, job.growing)


def _write_manifest(job: Job, folder: str, request: Dict[str, Any], notes: Dict[str, Any],
                    seconds: float) -> None:
    """Writes manifest.json of the partial folder."""
    partial = folder + '.partial'
    files: Dict[str, Dict[str, Any]] = {}
    for name in files_below(partial):
        if name not in UNRECORDED:
            path = os.path.join(partial, name)
            files[name] = {'size': os.path.getsize(path), 'sha256': digest_of_file(path)}
    write_json(os.path.join(partial, MANIFEST), {
        'request': request,
        'files': files,
        'content': content_of(job, folder, request, files),
        'notes': notes,
        'versions': versions(),
        'seconds': round(seconds, 3),
        'finished': datetime.now().replace(microsecond=0).isoformat(),
    })


def versions() -> Dict[str, str]:
    """Versions of Python and the packages that this process has used."""
    found = {'stackgan': stackgan.__version__, 'python': machine.python_version()}
    for name in ('numpy', 'tensorflow', 'PIL'):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    return found


def _commit(job: Job, folder: str, keep_previous: bool) -> None:
    """Renames the partial folder, which has its manifest, to the output."""
    request = os.path.join(folder + '.partial', REQUEST)
    if os.path.exists(request) and not job.resumes:      # else it serves to repair the output
        os.unlink(request)
    previous = folder + '.previous'
    if os.path.isdir(folder):
        remove(previous)
        os.rename(folder, previous)
    os.rename(folder + '.partial', folder)
    if not keep_previous:
        try:
            remove(previous)
        except OSError:                          # the output is complete; the next run tries again
            pass


def _finish_interrupted_commit(job: Job, folder: str) -> None:
    """Renames the complete work of a process that died after writing the manifest."""
    partial = folder + '.partial'
    if look_at(partial).is_whole:
        _commit(job, folder, keep_previous=True)
    elif os.path.isdir(folder + '.previous') and not os.path.isdir(folder):
        os.rename(folder + '.previous', folder)
