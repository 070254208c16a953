"""A checkpoint of the public codes to a finished stage of a run."""

import os
import shutil

from stackgan.errors import InputError
from stackgan.files import read_json, user_path

from .engine.contract import REQUEST, Input, Job
from .engine.imported import IMPORTER, request_of_output
from .engine.outputs import run_folder

LAYOUTS, COMPATS = ('auto', 'original', 'port'), ('ascend-port',)
ENDINGS = ('.index', '.meta', '.data-00000-of-00001')


def _add_options(parser):
    parser.add_argument('--stage', type=int, choices=(1, 2), help='which stage it is of')
    parser.add_argument('--from', type=user_path, dest='source', metavar='PATH',
                        help='the checkpoint, without .index; or the folder of a single one')
    parser.add_argument('--layout', choices=LAYOUTS, default='auto',
                        help='whose names it has: hanzhanggit/StackGAN, or the Ascend port '
                             '(default: auto)')
    parser.add_argument('--compat', choices=COMPATS,
                        help='generate as that code does, where ours generates otherwise; such a '
                             'stage is for generating alone')


def _variant(job, options):
    """The job for these options."""
    if options.stage is None or options.source is None:
        raise InputError('import-checkpoint: --%s is missing; say --stage 1 or 2 and --from PATH'
                         % ('stage' if options.stage is None else 'from'))
    path, file = _find(os.path.abspath(options.source))

    def output(config):
        return run_folder(config, 'stage%d' % options.stage)

    def not_needed(config, volume):
        """Never; but what a training made, or has begun to make, is not overwritten."""
        for maker in _makers(os.path.join(volume, output(config))):
            if maker != IMPORTER:
                raise InputError('%s was made by %s; choose another run.name, or remove it '
                                 'first: clean train-stage%d'
                                 % (output(config), maker, options.stage))

    def settings(config):
        return {'stage': options.stage, 'from': path, 'layout': options.layout,
                'compat': options.compat}

    def run(work):
        from stackgan.published.importing import import_checkpoint
        try:
            work.notes.update(import_checkpoint(path, options.stage, options.layout,
                                                options.compat, work.config, work.folder))
        except InputError:
            shutil.rmtree(work.folder)         # or a training would meet it as unfinished work
            raise

    return job._replace(output=output, settings=settings, run=run, not_needed=not_needed,
                        inputs=lambda config, volume: [Input('checkpoint', file)])


def _makers(folder):
    """The jobs that made what is in an output's folder, and in the one it is built in."""
    if os.path.isdir(folder):
        yield request_of_output(folder).get('job', 'an unknown job')
    try:
        yield read_json(os.path.join(folder + '.partial', REQUEST))['job']
    except (OSError, ValueError, KeyError, TypeError):
        pass


def _find(path):
    """(path as a Saver is given it, a file of it). Raises InputError where there is none."""
    if os.path.isdir(path):
        found = sorted(name for name in os.listdir(path) if name.endswith('.index'))
        if len(found) != 1:
            raise InputError('import-checkpoint: --from {}: a folder with {}; name one checkpoint'.format(path, ', '.join(found) or 'no .index file'))
        path = os.path.join(path, found[0])
    for ending in ENDINGS:
        if path.endswith(ending):
            path = path[:-len(ending)]
    for file in (path + '.index', path):                   # the second: the form before V2
        if os.path.isfile(file):
            return path, file
    raise InputError(f'import-checkpoint: --from {path}: no such checkpoint; its files are '
                     f'NAME.index '
                     'and NAME.data-00000-of-00001, name it without these endings')


JOB = Job(
    name=IMPORTER,
    summary='read a checkpoint of hanzhanggit/StackGAN or of the Ascend port as a stage of a run',
    output=lambda config: run_folder(config, 'imported'),     # asked for by options alone
    inputs=lambda config, volume: (),
    settings=lambda config: {},
    run=None,
    not_needed=lambda config, volume: 'asked for with --stage and --from',
    add_options=_add_options,
    variant=_variant,
)
