"""The whole chain with the smoke configuration, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from digests import digest
from export_toy import install_fake
from PIL import Image
from toy import ROOT

from jobs.engine.chain import JOBS
from jobs.engine.contract import read_manifest
from stackgan.config.loading import load_config
from stackgan.files import digest_of_file, read_json

# With less of what other tests have: .ci/smoke.sh runs smoke as it is.
DETERMINISTIC = ['--config', 'smoke', '--set', 'platform.deterministic=true',
                 '--set', 'export.batch_sizes=[4]']


def call(volume, *arguments, **environment):
    return subprocess.run([sys.executable, '-m', 'jobs'] + list(arguments) + DETERMINISTIC
                          + ['--data', str(volume)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, **environment))


@pytest.fixture(scope='module')
def volume(tmp_path_factory):
    folder = tmp_path_factory.mktemp('volume')
    done = call(folder, 'run', '--on', 'local')
    assert done.returncode == 0, done.stdout
    CONTENT.update(content_of(folder))          # before other tests add to it
    return folder


CONTENT = {}             # of each output of `volume`


def content_of(volume):
    """{folder: content} by the manifests of all outputs."""
    folders = [job.output(load_config(os.path.join(ROOT, 'configs', 'smoke.yaml'))) for job in JOBS]
    return {folder: read_manifest(str(volume / folder))['content'] for folder in folders}


def test_every_job_leaves_its_files(volume):
    run = volume / 'runs' / 'smoke'
    for folder, names in {
            volume / 'raw' / 'smoke': ['attributes.jsonl', 'CUB_200_2011', 'text_c10'],
            volume / 'prepared' / 'smoke': ['dataset.json', 'contact-sheet.png', 'train', 'test'],
            run / 'text-encoder': ['checkpoints', 'options.json', 'retrieval.json'],
            run / 'embeddings': ['train.npy', 'test.npy'],
            run / 'stage1': ['checkpoints', 'options.json', 'stats.jsonl', 'samples', 'events'],
            run / 'stage2': ['checkpoints', 'options.json', 'stats.jsonl', 'samples', 'events'],
            run / 'samples': ['64', '256', 'samples.jsonl', 'grid.png', 'colours.json'],
            volume / 'prepared' / 'smoke-scorer': ['scorer.json', 'network', 'stats.jsonl'],
            run / 'scores': ['scores.jsonl', 'refused.json', 'features', 'events'],
            run / 'export': ['export.json', 'check.json', 'stackgan-stage2-b4.pb',
                             'stackgan-stage2-b4.onnx'],
            run / 'report': ['index.html']}.items():
        assert read_manifest(str(folder)), folder
        for name in names + ['config.yaml', 'log.txt', 'manifest.json']:
            assert (folder / name).exists(), f'{folder}/{name}'
    assert not [name for name in os.listdir(str(run)) if 'partial' in name]


def test_the_images(volume):
    folder = volume / 'runs' / 'smoke' / 'samples'
    with open(str(folder / 'samples.jsonl')) as stream:
        index = [json.loads(line) for line in stream]
    assert len(index) == 16
    for line in index:
        for side in (64, 256):
            assert Image.open(str(folder / line['files'][str(side)])).size == (side, side)
    with open(str(folder / 'colours.json')) as stream:
        assert set(json.load(stream)) == {'64', '256'}


def test_the_report_shows_what_exists(volume):
    folder = volume / 'runs' / 'smoke' / 'report'
    page = (folder / 'index.html').read_text()
    for text in ('Stage-I training', 'Stage-II training', '<svg', 'train-text-encoder', 'chance',
                 'inception_score/scorer/full', 'r_precision/top1_of_100', 'real test images'):
        assert text in page
    for name in page.split('src="')[1:]:
        assert (folder / name.split('"')[0]).exists()
    assert 'http://' not in page and 'https://' not in page


EACH_JOB = '''
import sys
from jobs.engine import chain, command_line
sys.exit(max(command_line.main([job.name] + sys.argv[1:]) for job in chain.JOBS))
'''


@pytest.mark.outermost
def test_a_second_run_does_nothing_and_does_not_load_tensorflow(volume, tmp_path):
    (tmp_path / 'tensorflow.py').write_text('raise SystemExit("tensorflow was imported")')
    trap = str(tmp_path)
    done = call(volume, 'run', '--on', 'local', PYTHONPATH=trap)
    assert done.returncode == 0 and 'run: everything is up to date' in done.stdout, done.stdout
    done = subprocess.run([sys.executable, '-c', EACH_JOB, '--data', str(volume)] + DETERMINISTIC,
                          cwd=ROOT, env=dict(os.environ, PYTHONPATH=trap), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0 and done.stdout.count('up to date') == len(JOBS), done.stdout
    table = call(volume, 'status', PYTHONPATH=trap).stdout.splitlines()[2:]
    assert [line.split()[1] for line in table] == ['done'] * len(JOBS) + ['missing'] * 2 + ['not']


@pytest.mark.outermost
def test_a_changed_setting_runs_only_what_depends_on_it(volume):
    done = call(volume, 'run', '--dry-run', '--set', 'sample.seed=5')
    plan = {line.split()[0]: ' '.join(line.split()[1:3])
            for line in done.stdout.split('JOB ')[1].splitlines()[1:]}
    assert [job for job, what in plan.items() if what == 'would run'] == ['sample', 'report']
    states = call(volume, 'status', '--set', 'stage1.epochs=2').stdout
    assert 'stage1.epochs 0.5 -> 2.0' in states


@pytest.mark.newest
def test_captions_of_one_s_own(volume, tmp_path):
    """Their images of a seed are the same whatever else is generated and however it is asked for.
    """
    (tmp_path / 'mine.txt').write_text('a blue bird\n\n  a   red bird with black wings \n')
    arguments = ['sample', '--caption', 'a green bird <b>', '--captions',
                 str(tmp_path / 'mine.txt'), '--copies', '2', '--set', 'sample.seed=5']
    folder = drawn_into(call(volume, *arguments))
    with open(os.path.join(folder, 'samples.jsonl')) as stream:
        index = [json.loads(line) for line in stream]
    assert [line['caption'] for line in index] == [
        caption for caption in ('a green bird <b>', 'a blue bird', 'a red bird with black wings')
        for _ in range(2)]
    seeds = ['sample', '--caption', 'a blue bird', '--caption', 'a red bird with black wings',
             '--seeds', '3,5']
    other = drawn_into(call(volume, *seeds))
    for mine, theirs in ((2, 1), (4, 3)):
        for side in ('64', '256'):
            images = [digest(os.path.join(where, side, '%05d.png' % number))
                      for where, number in ((folder, mine), (other, theirs))]
            assert images[0] == images[1]
    for each in (arguments, seeds):
        assert 'up to date' in call(volume, *each).stdout


@pytest.mark.outermost
@pytest.mark.parametrize('arguments, text', [
    (['--caption', '   '], 'the captions are empty'),
    (['--captions', 'nowhere.txt'], '--captions nowhere.txt: cannot be read'),
    (['--caption', 'a bird', '--copies', '0'], '--copies 0: must be at least 1')])
def test_bad_captions(volume, arguments, text):
    done = call(volume, 'sample', *arguments)
    assert done.returncode == 2 and text in done.stdout and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize('kind', ['pb', 'onnx'])
def test_an_exported_model_draws_what_its_checkpoint_draws(volume, kind):
    run = volume / 'runs' / 'smoke'
    done = call(volume, 'sample', '--model', str(run / 'export' / ('stackgan-stage2-b4.' + kind)))
    assert done.returncode == 0, done.stdout
    folder = done.stdout.strip().splitlines()[-1].split(': ')[-1]
    assert (run / 'samples' / 'samples.jsonl').read_text() == open(
        os.path.join(folder, 'samples.jsonl')).read()
    for name in ('64/00003.png', '256/00015.png'):
        ours, theirs = [np.asarray(Image.open(os.path.join(where, name))).astype(int)
                        for where in (folder, str(run / 'samples'))]
        assert np.abs(ours - theirs).max() <= 1


@pytest.mark.newest
def test_conversion_follows_export_on_request(volume, tmp_path):
    shutil.copytree(str(volume / 'runs'), str(tmp_path / 'runs'))
    for name in ('raw', 'prepared'):
        os.symlink(str(volume / name), str(tmp_path / name))
    done = call(tmp_path, 'run', '--on', 'local', '--until', 'convert-om', PATH='/usr/bin:/bin')
    assert done.returncode == 3 and 'the frozen graph passed the check' in done.stdout
    assert call(tmp_path, 'run', PATH='/usr/bin:/bin').returncode == 0
    install_fake(tmp_path / 'bin', 'atc')
    done = call(tmp_path, 'run', '--on', 'local', '--until', 'convert-om',
                PATH='%s:/bin' % (tmp_path / 'bin'))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / 'runs' / 'smoke' / 'om' / 'stackgan-stage2-b4.om').exists()


@pytest.mark.newest
def test_a_stage_that_was_imported_stands_in_for_its_training(volume, tmp_path):
    """`run` goes on from it, and what follows trains; nothing is trained in its place."""
    assert call(volume, 'export', '--names', 'original').returncode == 0
    assert call(volume, 'export', '--names', 'port', '--set', 'export.stage=1').returncode == 0
    published = volume / 'runs' / 'smoke'
    for name in ('raw', 'prepared'):
        os.symlink(str(volume / name), str(tmp_path / name))
    for name in ('text-encoder', 'embeddings'):
        shutil.copytree(str(published / name), str(tmp_path / 'runs' / 'smoke' / name))
    done = call(tmp_path, 'import-checkpoint', '--stage', '1', '--from',
                str(published / 'export-port-stage1' / 'model.ckpt'))
    assert done.returncode == 0, done.stdout
    done = call(tmp_path, 'run', '--on', 'local', '--until', 'train-stage2')
    assert done.returncode == 0 and 'run: train-stage2 done' in done.stdout, done.stdout
    assert 'train-stage1: not needed: runs/smoke/stage1 was imported from' in done.stdout
    shutil.rmtree(str(tmp_path / 'runs' / 'smoke' / 'stage1'))
    shutil.rmtree(str(tmp_path / 'runs' / 'smoke' / 'stage2'))
    done = call(tmp_path, 'import-checkpoint', '--stage', '2', '--from',
                str(published / 'export-original-stage2'))
    assert done.returncode == 0, done.stdout
    done = call(tmp_path, 'run', '--on', 'local')
    assert done.returncode == 0 and 'run: sample, score, export, report done' in done.stdout
    assert 'train-stage1: not needed: runs/smoke/stage2 was imported and' in done.stdout
    assert 'run: everything is up to date' in call(tmp_path, 'run', '--on', 'local').stdout
    page = (tmp_path / 'runs' / 'smoke' / 'report' / 'index.html').read_text()
    assert 'a checkpoint of hanzhanggit/StackGAN' in page and 'with the imported Stage-II' in page
    for name in ('64/00003.png', '256/00015.png'):
        images = [digest(where / 'runs' / 'smoke' / 'samples' / name)
                  for where in (volume, tmp_path)]
        assert images[0] == images[1]


def drawn_into(done):
    """The folder that a `sample` names at its end."""
    assert done.returncode == 0, done.stdout
    return done.stdout.strip().splitlines()[-1].split(': ')[-1]


def files_of(folder):
    return {os.path.relpath(os.path.join(parent, name), folder):
            digest(os.path.join(parent, name))
            for parent, _, names in os.walk(folder) for name in names
            if name not in ('log.txt', 'manifest.json')}


DIES_IN_THE_SECOND_BATCH = '''
import os, signal, sys
from stackgan.sampling import writing
write = writing.write_image
def write_or_die(path, pixels):
    if path.endswith('256/%05d.png'):
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, pixels)
writing.write_image = write_or_die
from jobs.engine.command_line import main
sys.exit(main())
'''


@pytest.mark.newest
def test_a_killed_way_goes_on(volume):
    """Killed while it generates; what comes out is what an undisturbed process makes."""
    arguments = ['sample', '--interpolate-captions', 'a blue bird', 'a red bird', '--steps', '12']
    batch = load_config(os.path.join(ROOT, 'configs', 'smoke.yaml')).sample.batch_size
    done = subprocess.run([sys.executable, '-c', DIES_IN_THE_SECOND_BATCH % (batch + 2)] + arguments
                          + DETERMINISTIC + ['--data', str(volume)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == -signal.SIGKILL, done.stdout
    partial, = (volume / 'runs' / 'smoke').glob('samples-*.partial')
    kept = {path.name: path.stat().st_mtime_ns for path in partial.glob('256/*.png')}
    assert sorted(kept) == ['%05d.png' % number for number in range(batch + 2)]
    folder = drawn_into(call(volume, *arguments))
    assert len(os.listdir(os.path.join(folder, '256'))) == 12
    for number, name in enumerate(sorted(kept)):
        is_old = os.stat(os.path.join(folder, '256', name)).st_mtime_ns == kept[name]
        assert is_old == (number < batch), name                         # a whole batch is kept
    resumed = files_of(folder)
    assert files_of(drawn_into(call(volume, *(arguments + ['--force'])))) == resumed
    with Image.open(os.path.join(folder, 'animations', '00000.gif')) as image:
        assert image.n_frames == 22


@pytest.mark.newest
def test_held_out_captions_truncated_beside_their_nearest_training_images(volume):
    before = files_of(str(volume / 'runs' / 'smoke' / 'samples'))
    arguments = ['sample', '--nearest', '2', '--truncation-noise', '0.5']
    folder = drawn_into(call(volume, *arguments))
    assert {'nearest.png', 'nearest.json', 'colours.json', 'grid.png'} <= set(os.listdir(folder))
    assert sorted(os.listdir(os.path.join(folder, '64'))) == ['%05d.png' % i for i in range(16)]
    with open(os.path.join(folder, 'samples.jsonl')) as stream:
        lines = [json.loads(line) for line in stream]
    with open(str(volume / 'prepared' / 'smoke' / 'train' / 'items.jsonl')) as stream:
        names = {json.loads(line)['name'] for line in stream}
    assert {each['image'] for line in lines for each in line['nearest']} <= names
    assert all(line['truncation_noise'] == 0.5 and 'truncation_z' not in line for line in lines)
    assert files_of(str(volume / 'runs' / 'smoke' / 'samples')) == before
    assert 'up to date' in call(volume, *arguments).stdout


@pytest.mark.newest
def test_an_exported_model_draws_ways_of_held_out_captions(volume):
    model = volume / 'runs' / 'smoke' / 'export' / 'stackgan-stage2-b4.onnx'
    folder = drawn_into(call(volume, 'sample', '--model', str(model), '--interpolate-noise', '1',
                             '2', '--steps', '3', '--set', 'sample.images=2'))
    assert sorted(os.listdir(os.path.join(folder, 'animations'))) == ['00000.gif', '00001.gif']
    for side in ('64', '256'):
        assert sorted(os.listdir(os.path.join(folder, side))) == ['%05d.png' % i for i in range(6)]


@pytest.mark.newest
def test_stage1_alone_can_be_sampled(volume):
    done = call(volume, 'sample', '--stage', '1')
    assert done.returncode == 0, done.stdout
    assert (volume / 'runs' / 'smoke' / 'samples-stage1' / '64').exists()
    assert not (volume / 'runs' / 'smoke' / 'samples-stage1' / '256').exists()


def scores(folder):
    with open(os.path.join(str(folder), 'scores.jsonl')) as stream:
        return [json.loads(line) for line in stream]


def test_scores_of_generated_and_real_images(volume):
    lines = scores(volume / 'runs' / 'smoke' / 'scores')
    of_scorer = ('inception_score/scorer/full', 'fid/scorer', 'kid/scorer', 'precision/scorer',
                 'recall/scorer', 'variety/scorer')
    found = {(line['protocol'], line['set']) for line in lines}
    assert found >= {(protocol, name) for name in ('stage1', 'generated', 'real')
                     for protocol in of_scorer + ('attribute_accuracy/all',)}
    for line in lines:
        assert line['images'] == (
            len(np.load(str(volume / 'prepared/smoke/test/class_ids.npy')))
            if line['set'].startswith('real') else 8 if line['protocol'].startswith('variety')
            else 16)
        assert (line['checkpoint'] is None) == line['set'].startswith('real')
    # Its text encoder has learned nothing, so it can say nothing of generated images.
    refused = json.loads((volume / 'runs/smoke/scores/refused.json').read_text())
    reasons = {each['protocol']: each['reason'] for each in refused}
    assert 'real test images score only' in reasons['r_precision/top1_of_100']
    path = [line['checkpoint'] for line in lines if line['checkpoint']][0]
    assert (volume / path / 'model.index').exists()


@pytest.mark.newest
def test_every_checkpoint(volume):
    """Scores what is kept; nothing is stale or done again afterwards."""
    kept = sorted(os.listdir(str(volume / 'runs/smoke/stage2/checkpoints')))
    assert len(kept) > 1
    before = scores(volume / 'runs/smoke/scores')
    done = call(volume, 'score', '--every-checkpoint')
    assert done.returncode == 0, done.stdout
    after = scores(volume / 'runs/smoke/scores')
    assert [line['step'] for line in after if line['protocol'] == 'fid/scorer'
            and line['set'] == 'generated'] == [int(name) for name in kept]
    assert [line for line in after if line in before] == [line for line in before if line in after]
    assert all(line in after for line in before)
    for arguments in (['score', '--every-checkpoint'], ['score']):
        assert 'up to date' in call(volume, *arguments).stdout
    again = call(volume, 'score', '--every-checkpoint', '--force')
    assert again.stdout.count('score generated 100%') == len(kept), again.stdout
    assert [line['value'] for line in scores(volume / 'runs/smoke/scores')] == [
        line['value'] for line in after]
    report = call(volume, 'report')
    assert report.returncode == 0, report.stdout
    page = (volume / 'runs/smoke/report/index.html').read_text()
    assert '<figcaption>fid/scorer</figcaption>' in page


PAUSING = '''
import sys
sys.path.append(%r)
from toy import pause_where_told
pause_where_told()
from jobs.engine.command_line import main
sys.exit(main())
'''


@pytest.mark.newest
def test_a_killed_score_goes_on(volume, tmp_path):
    """What a process that was killed has seen is not looked at again; the scores are the same."""
    shutil.copytree(str(volume), str(tmp_path / 'copy'))
    arguments = ['score', '--set', 'score.images=400']
    command = [sys.executable, '-c', PAUSING % os.path.join(ROOT, 'tests')] + arguments
    process = subprocess.Popen(command + DETERMINISTIC + ['--data', str(tmp_path / 'copy')],
                               cwd=ROOT, env=dict(os.environ, TOY_PAUSE='0.6 score generated'),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    features = tmp_path / 'copy/runs/smoke/scores.partial/features'
    while process.poll() is None and not seen_generated(features):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    rows = seen_generated(features)
    assert rows
    resumed = call(tmp_path / 'copy', *arguments)
    assert resumed.returncode == 0 and 'score generated' in resumed.stdout, resumed.stdout
    straight = call(volume, *arguments)
    assert straight.returncode == 0, straight.stdout
    lines, rows = [], []
    for where in (tmp_path / 'copy', volume):
        lines.append(scores(where / 'runs/smoke/scores'))
        rows.append({path.parent.name: digest(path) for path in
                     (where / 'runs/smoke/scores/features').glob('*/rows.npy')})
    assert rows[0] and rows[0].items() <= rows[1].items()
    for mine, want in zip(*lines):       # linear algebra may round differently in another process
        assert mine['key'] == want['key']
        assert np.allclose([mine['value']] + mine['splits'], [want['value']] + want['splits'],
                           rtol=1e-9, atol=0)
    assert len(lines[0]) == len(lines[1])


def seen_generated(features):
    """Bytes of rows of generated images, of which some but not all are there."""
    for name in os.listdir(str(features)) if features.exists() else ():
        try:
            key = json.loads((features / name / 'key.json').read_text())
            size = (features / name / 'rows.npy').stat().st_size
        except (OSError, ValueError):
            continue
        if key['pictures']['set'] == 'generated' and key['network']['extractor'] == 'match':
            return size if size > 20000 else 0
    return 0


@pytest.mark.outermost
@pytest.mark.parametrize('make, text', [
    (None, 'nowhere is missing; pass a folder of images to --image-folder'),
    (0, 'no image there'), (1, '1 images, but 2 splits need at least 4')])
def test_folders_that_cannot_be_scored(volume, tmp_path, make, text):
    folder = tmp_path / ('nowhere' if make is None else 'images')
    if make is not None:
        folder.mkdir()
        for number in range(make):
            Image.new('RGB', (20, 20)).save(str(folder / ('%d.png' % number)))
    done = call(volume, 'score', '--image-folder', str(folder))
    assert done.returncode == 2 and text in done.stdout and len(done.stdout.splitlines()) == 1


@pytest.mark.outermost
def test_missing_weights_are_named(volume):
    done = call(volume, 'score', '--set', 'score.stackgan_weights=weights/model.ckpt')
    assert done.returncode == 2 and 'change score.stackgan_weights' in done.stdout


@pytest.mark.newest
def test_a_chain_of_separate_jobs_gives_the_same_images(volume, tmp_path):
    """The jobs meet through files only, so one process each and one run agree to the bit.

    So do several workers where they only share rows.
    """
    for job in ('make-dataset', 'preprocess', 'train-text-encoder'):
        done = call(tmp_path, job)
        assert done.returncode == 0, done.stdout
    done = call(tmp_path, 'embed', '--workers', '2')
    assert done.returncode == 0, done.stdout
    assert call(tmp_path, 'train-stage1').returncode == 0
    grids = [[(path.name, digest(path))
              for path in sorted((where / 'runs' / 'smoke' / 'stage1' / 'samples').iterdir())]
             for where in (volume, tmp_path)]
    assert len(grids[0]) > 1 and grids[0] == grids[1]
    for words in (['run', '--on', 'local', '--until', 'train-stage2'],
                  ['sample', '--workers', '2'], ['train-scorer'], ['score', '--workers', '2'],
                  ['run', '--on', 'local']):
        done = call(tmp_path, *words)
        assert done.returncode == 0, done.stdout
    assert 'run: export, report done' in done.stdout, done.stdout
    assert len(CONTENT) == len(JOBS) and content_of(tmp_path) == CONTENT    # no clock is in it
    pretrained_as_its_manifest_says(tmp_path, tmp_path / 'model')


def pretrained_as_its_manifest_says(volume, folder):
    """The model that scripts/make-pretrained packs of the run."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, 'scripts', 'make-pretrained')]
                          + DETERMINISTIC + ['--data', str(volume), '--output', str(folder)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    manifest = read_json(str(folder / 'smoke.json'))
    assert manifest['sha256'] == digest_of_file(str(folder / 'smoke.zip'))
    assert manifest['bytes'] == os.path.getsize(str(folder / 'smoke.zip'))
    assert manifest['scores']['rows'] and manifest['checkpoint']['step'] > 0
