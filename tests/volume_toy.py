"""A volume with a toy dataset and its embeddings as finished outputs, for the training jobs."""

import os
from argparse import Namespace

from toy import TINY, make_embeddings, make_prepared, tiny_config

from jobs.engine.contract import Job
from jobs.engine.execution import execute

SETTINGS = ['data.name=toy', 'run.name=toy', 'stage1.epochs=2', 'stage2.epochs=1']
# Stage-I: 6 steps of 4 images, checkpoints at 3 and 6, grids at 0, 4 and 6.
ARGUMENTS = ['--config', 'painted-birds'] + [word for text in TINY + SETTINGS
                                             for word in ('--set', text)]


def toy_config(*overrides):
    return tiny_config(*(SETTINGS + list(overrides)))


def run_job(job, volume, config=None, **options):
    """Exit code of a job, run in this process."""
    return execute(job, config or toy_config(), str(volume),
                   Namespace(**dict(dict(force=False, restart=False), **options)))


def make_output(volume, name, output, write):
    """A finished output that a function fills, as of the job of that name."""
    job = Job(name=name, summary='', output=lambda config: output,
              inputs=lambda config, volume: (), settings=lambda config: {},
              run=lambda work: write(work.folder), uses_tensorflow=False)
    assert run_job(job, volume) == 0


def make_volume(volume):
    """prepared/toy and runs/toy/embeddings; returns the volume's path."""
    volume = str(volume)

    def prepare(folder):
        _into(folder, lambda path: make_prepared(path))

    def embed(folder):
        _into(folder, lambda path: make_embeddings(path, os.path.join(volume, 'prepared', 'toy')))

    make_output(volume, 'preprocess', 'prepared/toy', prepare)
    make_output(volume, 'embed', 'runs/toy/embeddings', embed)
    return volume


def _into(folder, make):
    """Lets `make`, which wants a folder that is not there, write what belongs into `folder`."""
    made = folder + '.made'
    make(made)
    for name in os.listdir(made):
        os.rename(os.path.join(made, name), os.path.join(folder, name))
    os.rmdir(made)


def flip(path, at=-1):
    """Changes one byte of a file, not its size nor its times."""
    facts = os.stat(path)
    with open(path, 'r+b') as stream:
        stream.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def damage_manifest(folder, text):
    with open(os.path.join(str(folder), 'manifest.json'), 'w') as stream:
        stream.write(text)
