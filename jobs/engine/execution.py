"""Running one job: check, lock, work in a sibling folder, manifest, name."""

import errno
import logging
import os
import platform as machine
import sys
import time
import traceback
from datetime import datetime

import stackgan
from stackgan.config.loading import to_yaml
from stackgan.errors import InputError, Interrupted, MissingRequirement, StackganError
from stackgan.file_systems import no_room, refusal, remove
from stackgan.files import atomic_write, digest_of_file, files_below, remove_unfinished, write_json
from stackgan.integrity import forget, settle
from stackgan.manifests import MANIFEST, look_at
from stackgan.platforms.cores import load_tensorflow
from stackgan.printing import echo_traceback

from .ascend_files import ascend_files
from .content import content_of
from .contract import REQUEST, Work, differences, folder_of, request_of
from .locks import locked
from .logs import Log, attached
from .places import check_place
from .replacing import asked_to_restart, check_replacing
from .resuming import request_in, resume_from
from .signals import handled
from .verify import check_inputs

logger = logging.getLogger(__name__)

UNRECORDED = (MANIFEST, REQUEST, 'log.txt')


def execute(
        job,              # Job
        config,           # Config
        volume,           # absolute path of the data volume
        options,          # the parsed command line
):
    """Brings a job's output up to date and returns the exit code. Prints every outcome."""
    log = Log(job.name)
    with attached(log):
        return _exit_code(job, config, volume, options, log)


def _exit_code(job, config, volume, options, log):
    try:
        with handled() as stop:
            job = job.variant(job, options)
            options.restart = options.restart or asked_to_restart(job.name)
            _execute(job, config, volume, options, log, stop)
        return 0
    except Interrupted as signal:
        logger.info(f'interrupted by {signal}; what is done is kept, run the same command to resume')
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


def explain(error, volume, log_path):
    """One line for an exception that is no StackganError."""
    known = no_room(error, volume) or refusal_of(error, volume)
    if known:
        return known
    number = getattr(error, 'errno', None)
    if number == errno.EACCES and _cannot_be_read(error.filename):
        return ('cannot read %s: %s; make it readable for user %d'
                % (error.filename, os.strerror(number), os.getuid()))
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ('cannot write %s: %s; make it writable for user %d or name another volume with '
                '--data' % (error.filename or volume, os.strerror(number), os.getuid()))
    where = f'; the traceback is in {log_path}' if log_path else ''
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text[:400]}{where}'


def _cannot_be_read(path):
    """Whether a path that was refused is there and may not be read: it was not to be written."""
    return isinstance(path, str) and os.path.exists(path) and not os.access(
        path, os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK)


def refusal_of(error, volume):
    """What a file system refuses, in one line that names it; None for any other error."""
    return refusal(error, volume) if isinstance(error, OSError) else None


def exit_code_of(error, volume):
    """3 where the file system is what is missing, else 1."""
    return MissingRequirement.exit_code if refusal_of(error, volume) else 1


def _execute(job, config, volume, options, log, stop):
    reason = job.not_needed(config, volume)
    if reason:
        logger.info(f'not needed: {reason}')
        return
    check_place(os.path.join(volume, job.output(config)))
    folder = folder_of(job, config, volume)
    check_place(folder + '.partial')
    request = request_of(job, config, volume)

    def is_done():
        output = look_at(folder)
        return (output.is_whole and not options.force
                and not differences(output.manifest['request'], request)
                and job.is_complete(folder, config, volume))

    if is_done():
        logger.info(f'up to date: {folder}')
        return
    with locked(folder, job.name):
        _finish_interrupted_commit(job, folder)
        if is_done():                                      # by whoever held the lock
            logger.info(f'up to date: {folder}')
            return
        forget()
        check_inputs(job, config, volume)
        partial = _prepare_partial(job, folder, request, options, log)
        log.path = os.path.join(partial, 'log.txt')
        if job.uses_tensorflow:
            load_tensorflow(config.platform)
        started, notes = time.monotonic(), {}
        before = request_in(partial)['seconds']
        with ascend_files(job.name, config, volume, partial):
            job.run(Work(config, volume, partial, _input_paths(job, config, volume),
                         job.settings(config), stop, notes))
        settle(stop)
        with atomic_write(os.path.join(partial, 'config.yaml'), 'w') as stream:
            stream.write(to_yaml(config))
        seconds = time.monotonic() - started
        logger.info(f'done in {seconds:.1f} s: {folder}')
        _write_manifest(job, folder, request, notes, before + seconds)
        _commit(job, folder, keep_previous=job.precious or (job.resumes and options.restart))
        log.path = os.path.join(folder, 'log.txt')


def _input_paths(job, config, volume):
    return {each.name: os.path.join(volume, each.path) for each in job.inputs(config, volume)}


def _prepare_partial(job, folder, request, options, log):
    """The folder to work in: what an interrupted job of the same request left, or a new one."""
    partial = folder + '.partial'
    if os.path.isdir(partial):
        changed = _changes(job, partial, request)
        if changed and job.precious and not options.restart:
            raise InputError(
                '{} holds unfinished work made with other settings ({}); set them back to resume, '
                'choose another run.name, or pass --restart to throw it away'.format(partial, ', '.join(changed)))
        if changed or options.restart or (options.force and not job.precious):
            remove(partial)                       # of a link the link alone
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


def seconds_before(partial):
    """Seconds that earlier processes worked on what is in the folder, as far as files tell.

    request.json has those before the last one, which wrote it first of all, and worked at least
    until its newest file.
    """
    known = (request_in(partial) or {}).get('seconds')
    if not isinstance(known, (int, float)):
        return 0.0
    began = os.path.getmtime(os.path.join(partial, REQUEST))
    times = [os.path.getmtime(os.path.join(partial, name)) for name in files_below(partial)]
    return known + max(max(times) - began, 0.0)


def _changes(job, partial, request):
    old = request_in(partial)
    return ['it does not say which'] if old is None else differences(old, request, job.growing)


def _write_manifest(job, folder, request, notes, seconds):
    """manifest.json of the partial folder."""
    partial, files = folder + '.partial', {}
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


def versions():
    """Versions of what took part in this process."""
    found = {'stackgan': stackgan.__version__, 'python': machine.python_version()}
    for name in ('numpy', 'tensorflow', 'PIL'):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    return found


def _commit(job, folder, keep_previous):
    """Gives the partial folder, which has its manifest, the name of the output."""
    request = os.path.join(folder + '.partial', REQUEST)
    if os.path.exists(request) and not job.resumes:      # which is mended without a manifest, too
        os.unlink(request)
    previous = folder + '.previous'
    if os.path.isdir(folder):
        remove(previous)
        os.rename(folder, previous)
    os.rename(folder + '.partial', folder)
    if not keep_previous:
        try:
            remove(previous)
        except OSError:                          # the output is whole; the next commit tries again
            pass


def _finish_interrupted_commit(job, folder):
    """A process may die between the manifest and the name: the work is whole, name it."""
    partial = folder + '.partial'
    if look_at(partial).is_whole:
        _commit(job, folder, keep_previous=True)
    elif os.path.isdir(folder + '.previous') and not os.path.isdir(folder):
        os.rename(folder + '.previous', folder)
