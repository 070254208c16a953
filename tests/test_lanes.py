"""The other lane reads this lane's checkpoint and generates the same images.

scripts/test.sh names another environment's interpreter in STACKGAN_OTHER_PYTHON.
"""

import os
import subprocess
import sys

import numpy as np
from toy import ROOT, NeverStop, make_embeddings, make_prepared, tiny_config

from stackgan.training.stages import train_stage

DRAW = '''
import sys
sys.path[:0] = [{!r}, {!r}]
import numpy as np
from toy import tiny_config
from stackgan.platforms.cores import prepare_environment
prepare_environment(tiny_config().platform)
from stackgan.networks import stage1
from stackgan.sampling.sample_request import noise_of
from stackgan.sampling.sampler import Sampler
folder, out = sys.argv[1:]
with Sampler(folder, 'last', 4, tiny_config().platform) as sampler:
    noise = noise_of(['one', 'two', 'three', 'four'], [0] * 4, 1, sampler.dims)
    rows = np.random.RandomState(0).standard_normal((4, 16)).astype(np.float32)
    feed = {{sampler.graph.embeddings: rows}}
    feed.update(zip(sampler.graph.noise, noise))
    images = sampler.session.run(sampler.graph.images, feed)
np.savez(out, **{{str(side): value for side, value in images.items()}})
'''.format(ROOT, os.path.join(ROOT, 'tests'))


def generate(python, folder, out):
    done = subprocess.run([python, '-c', DRAW, folder, out], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    return dict(np.load(out))


def test_the_other_lane_draws_the_same_images_and_trains_on(tmp_path, other_python):
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared)
    folders = [str(tmp_path / name) for name in ('stage1', 'stage2')]
    for folder in folders:
        os.makedirs(folder)
    settings = ['stage1.epochs=2', 'stage2.epochs=0.5', 'train.ema_decay=0.9']
    train_stage(1, tiny_config(*settings), prepared, embeddings, folders[0], NeverStop())
    train_stage(2, tiny_config(*settings), prepared, embeddings, folders[1], NeverStop(),
                folders[0])
    ours = generate(sys.executable, folders[1], str(tmp_path / 'ours.npz'))
    theirs = generate(other_python, folders[1], str(tmp_path / 'theirs.npz'))
    assert set(ours) == set(theirs) == {'64', '256'}
    for side in ours:
        scale = np.abs(ours[side]).max()               # small: these networks are hardly trained
        assert np.abs(ours[side] - theirs[side]).max() < min(1e-3, 0.01 * scale), side
    longer = [other_python,
              os.path.join(ROOT, 'tests', 'train_toy.py'), '1', folders[0], prepared, embeddings,
              '--', 'stage1.epochs=3', 'train.ema_decay=0.9']
    done = subprocess.run(longer, env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0 and 'resuming from step 6 of 9' in done.stdout, done.stdout
