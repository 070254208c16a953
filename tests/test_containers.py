"""The chain in real containers: kills, stops, failures, users, limits. Needs the CPU images.

`.ci/smoke.sh` builds the images and sets STACKGAN_TEST_ENGINE; elsewhere these are skipped.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from urllib.request import Request, urlopen

import needs
import pytest
from digests import digest
from serve_toy import RUN, make_volume
from toy import ROOT

from stackgan.files import files_below

pytestmark = needs.engine
USER = '12345'
SETTINGS = ('platform.deterministic=true stage1.epochs=4 train.checkpoint_every_steps=5 '
            'train.sample_every_steps=1000')


@pytest.fixture
def volume(tmp_path):
    """A folder with a space in its name that the containers' user owns."""
    return own(open_to_all(tmp_path) / 'a volume')


@pytest.fixture(scope='module')
def embedded(tmp_path_factory):
    """A volume on which the runner has made, in containers, all that a training reads."""
    volume = own(open_to_all(tmp_path_factory.mktemp('embedded')) / 'a volume')
    process = runner(volume, '--on', 'docker', '--until', 'embed')
    text = process.communicate()[0]
    assert process.returncode == 0 and 'embed done' in text, text
    return volume


def open_to_all(folder):
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)                                    # pytest's are for their owner only
    return folder


def fill(volume, source):
    """Copies what is on a volume to an empty one of the same user."""
    for name in os.listdir(str(source)):
        shutil.copytree(str(source / name), str(volume / name))
    for parent, _, names in os.walk(str(volume)):
        for name in [''] + names:
            os.chown(os.path.join(parent, name), int(USER), int(USER))


def own(folder):
    folder.mkdir()
    os.chown(str(folder), int(USER), int(USER))
    return folder


class Compose:
    """`docker compose` of one project on one volume."""

    def __init__(self, volume, name, **environment):
        self.environment = dict(
            os.environ, COMPOSE_PROJECT_NAME='test-' + name, STACKGAN_DATA=str(volume),
            STACKGAN_CONFIG='smoke', STACKGAN_UID=USER, STACKGAN_GID=USER,
            STACKGAN_SET=SETTINGS, **environment)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.call('down', '--timeout', '1')

    def start(self, *arguments):
        return subprocess.Popen(('docker', 'compose') + arguments, cwd=ROOT, env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                universal_newlines=True)

    def call(self, *arguments):
        process = self.start(*arguments)
        text = process.communicate()[0]
        return process.returncode, text

    def states(self):
        """{service: state} of the containers there are."""
        lines = self.call('ps', '--all', '--format', 'json')[1].splitlines()
        return {line['Service']: line['State'] for line in map(json.loads, lines)}


def runner(volume, *arguments, **environment):
    """`python -m jobs run`, started."""
    ours = dict(STACKGAN_SET=SETTINGS, STACKGAN_UID=USER, STACKGAN_GID=USER)
    ours.update(environment)
    return subprocess.Popen(
        [sys.executable, '-m', 'jobs', 'run', '--config', 'smoke', '--data', str(volume)]
        + list(arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, env=dict(os.environ, **ours))


def wait_for(condition, seconds=300):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, 'nothing happened in %d seconds' % seconds
        time.sleep(0.1)


def steps_done(volume):
    """Steps that the unfinished Stage-I has written down."""
    try:
        with open(str(volume / 'runs/smoke/stage1.partial/stats.jsonl')) as stream:
            return max([json.loads(line)['step'] for line in stream] or [0])
    except OSError:
        return 0


def trained(volume):
    folder = volume / 'runs' / 'smoke' / 'stage1'
    return {name: digest(folder / name) for name in files_below(str(folder))
            if name.startswith('checkpoints/') and 'model' in name}


def test_killed_and_stopped_trainings_equal_an_uninterrupted_one(volume, embedded, tmp_path):
    other = own(tmp_path / 'straight')
    for each in (volume, other):
        fill(each, embedded)
    with Compose(other, 'straight') as straight:
        code, text = straight.call('up', 'train-stage1')
        assert code == 0, text
    with Compose(volume, 'killed') as compose:
        for command, least in [('kill', 8), ('stop', 20)]:
            assert compose.call('up', '--detach', 'train-stage1')[0] == 0
            wait_for(lambda: steps_done(volume) >= least)
            assert compose.call(command, 'train-stage1')[0] == 0
            assert not (volume / 'runs/smoke/stage1').exists()
            log = (volume / 'runs/smoke/stage1.partial/log.txt').read_text()
            assert ('interrupted by' in log) == (command == 'stop')
        code, text = compose.call('up', 'train-stage1')
        assert code == 0 and 'resuming from step' in text, text
        code, text = compose.call('up', '--attach-dependencies', 'train-stage1')
        assert code == 0 and text.count('up to date') == 5, text
    assert trained(volume) and trained(volume) == trained(other)


def test_what_depends_on_a_failure_does_not_start(volume):
    with Compose(volume, 'failing') as compose:
        compose.environment['STACKGAN_CONFIG'] = 'birds'
        compose.environment['STACKGAN_SET'] = ''
        code, text = compose.call('up', 'train-stage2')
        assert code != 0 and "didn't complete successfully: exit 2" in text, text
        logs = compose.call('logs', 'preprocess')[1]
        assert '/data/raw/birds is missing; put the raw dataset there' in logs
        assert compose.states()['preprocess'] == 'exited'
        assert compose.states()['train-text-encoder'] == 'created'
    process = runner(volume, '--on', 'docker', '--config', 'birds', STACKGAN_SET='')
    text = process.communicate()[0]
    assert process.returncode == 2 and 'preprocess ended with exit code 2' in text, text


def test_a_second_runner_leaves_the_first_alone(volume, embedded):
    fill(volume, embedded)
    first = runner(volume, '--on', 'docker', '--until', 'train-stage1')
    wait_for(lambda: steps_done(volume) >= 2)
    second = runner(volume, '--on', 'docker', '--until', 'train-stage1')
    text = second.communicate()[0]
    assert second.returncode == 1 and 'train-stage1: already runs, in container' in text, text
    text = first.communicate()[0]
    assert first.returncode == 0, text


def test_two_projects_side_by_side(volume, tmp_path):
    other = own(tmp_path / 'other')
    with Compose(volume, 'one') as one, Compose(other, 'two') as two:
        processes = [each.start('run', '--rm', 'preprocess') for each in (one, two)]
        for process in processes:
            text = process.communicate()[0]
            assert process.returncode == 0 and 'preprocess: done' in text, text
    for where in (volume, other):
        manifest = where / 'prepared' / 'smoke' / 'manifest.json'
        assert manifest.exists() and os.stat(str(manifest)).st_uid == int(USER)


def test_two_jobs_on_one_volume(volume, embedded):
    fill(volume, embedded)
    with Compose(volume, 'first') as first, Compose(volume, 'second') as second:
        training = first.start('run', '--rm', 'train-stage1')
        wait_for(lambda: steps_done(volume) >= 2)
        code, text = second.call('run', '--rm', '--no-deps', 'train-stage1')
        assert code == 1 and 'another job is writing /data/runs/smoke/stage1' in text, text
        assert training.wait() == 0


def test_a_volume_of_another_user_is_named(volume):
    os.chown(str(volume), 4321, 4321)
    with Compose(volume, 'foreign') as compose:
        code, text = compose.call('run', '--rm', 'make-dataset')
        assert code == 1 and 'make it writable for user ' + USER in text, text
    process = runner(volume, '--on', 'docker')
    text = process.communicate()[0]
    assert process.returncode == 2, text
    assert f'chown -R {USER}:{USER} {volume}, or set STACKGAN_UID' in text


def test_a_full_volume_goes_on_when_there_is_room(volume):
    needs.program('mount')

    def mount(options):
        return subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs',
                               str(volume)]).returncode
    if mount(f'size=24m,uid={USER},gid={USER}'):
        pytest.skip('a small file system cannot be mounted here; run the tests as root')
    try:
        with Compose(volume, 'full') as compose:
            code, text = compose.call('run', '--rm', 'preprocess')
            assert code == 1 and 'no space left on /data' in text, text
            assert mount('remount,size=200m') == 0
            code, text = compose.call('run', '--rm', 'preprocess')
            assert code == 0 and 'preprocess: done' in text, text
    finally:
        subprocess.run(['umount', '-l', str(volume)])


def test_the_runner_follows_stops_and_leaves_nothing(volume, embedded):
    fill(volume, embedded)
    process = runner(volume, '--on', 'docker', '--until', 'train-stage1',
                     COMPOSE_PROJECT_NAME='test-runner')
    wait_for(lambda: steps_done(volume) >= 4)
    status = subprocess.run([sys.executable, '-m', 'jobs', 'status', '--config', 'smoke', '--data',
                             str(volume)], cwd=ROOT, stdout=subprocess.PIPE,
                            universal_newlines=True, env=dict(os.environ, STACKGAN_SET=SETTINGS))
    assert 'train-stage1        running' in status.stdout, status.stdout
    process.send_signal(signal.SIGINT)
    text = process.communicate()[0]
    assert process.returncode == 130 and 'stopping train-stage1' in text, text
    assert Compose(volume, 'runner').states() == {}
    done = runner(volume, '--until', 'train-stage1')                      # --on auto
    text = done.communicate()[0]
    assert done.returncode == 0 and 'run: docker, because Docker is reachable' in text, text
    assert 'resuming from step' in text and 'embed: up to date' in text


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def answers(url):
    try:
        return urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def test_the_page_answers_from_a_container_that_only_reads(volume):
    """By the exported ONNX, as another user than the one who wrote the volume."""
    make_volume(volume)
    before = files_below(str(volume))
    url = 'http://127.0.0.1:%d' % free_port()
    with Compose(volume, 'page', STACKGAN_SERVE_PORT=url.split(':')[-1],
                 STACKGAN_SERVE_OPTIONS='--rate 2') as compose:
        code, text = compose.call('up', '--detach', 'serve')
        assert code == 0, text
        wait_for(lambda: answers(url + '/health'))
        body = json.dumps({'run': RUN, 'caption': 'a red bird', 'seed': 7}).encode()
        generated = [json.loads(urlopen(Request(url + '/api/generate', body, {
            'Content-Type': 'application/json'})).read().decode()) for _ in range(2)]
        assert generated[0] == generated[1]
        image = urlopen(url + generated[0]['images'][0]['stages']['2']).read()
        assert image.startswith(b'\x89PNG')
        assert b'A sentence to an image' in urlopen(url + '/').read()
        code, text = compose.call('exec', '-T', 'serve', 'sh', '-c',
                                  'id -u; for at in /data /app; do touch $at/x; done; '
                                  '/opt/venv/bin/python -c "import tensorflow"')
        assert USER in text.splitlines() and text.count('Read-only file system') == 2, text
        assert "No module named 'tensorflow'" in text
        wait_for(lambda: '(healthy)' in compose.call('ps')[1])
        assert compose.call('stop', 'serve')[0] == 0
        status = json.loads(compose.call('ps', '--all', '--format', 'json')[1])
        logs = compose.call('logs', 'serve')[1]
        assert status['ExitCode'] == 0 and 'serve: stopped' in logs, logs
    assert files_below(str(volume)) == before


def test_too_little_memory_is_named(volume, embedded):
    fill(volume, embedded)
    shutil.rmtree(str(volume / 'runs'))
    process = runner(volume, '--on', 'docker', '--until', 'train-text-encoder',
                     STACKGAN_MEMORY='150m')
    text = process.communicate()[0]
    assert process.returncode == 1, text
    assert 'out of memory (killed); raise STACKGAN_MEMORY' in text


def test_images_that_cannot_be_had(volume):
    missing = {'STACKGAN_IMAGE': 'nowhere', 'STACKGAN_BASE': 'nowhere/base:1'}
    process = runner(volume, '--on', 'docker', '--until', 'make-dataset', **missing)
    text = process.communicate()[0]
    assert process.returncode == 2 and 'make a base image with scripts/base-image.sh' in text, text
    process = runner(volume, '--until', 'make-dataset', **missing)
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert 'run: local, because the base image nowhere/base:1 is not here' in text


ASCEND = '''FROM stackgan-base:3.7
RUN groupadd -g 1000 HwHiAiUser && useradd -u 1000 -g 1000 HwHiAiUser \
 && mkdir -p /usr/local/Ascend/nnae/latest \
 && rm /usr/local/bin/python3 && ln -s /bin/false /usr/local/bin/python3 \
 && python3.7 -m ensurepip && rm -r /usr/local/lib/python3.7/ensurepip \
 && printf 'version = 1\\n' > /usr/local/lib/python3.7/site-packages/adapter.py \
 && mkdir /usr/local/lib/python3.7/site-packages/tensorflow \
 && touch /usr/local/lib/python3.7/site-packages/tensorflow/__init__.py
ENV NNAE=/usr/local/Ascend/nnae/latest PYTHONPATH=/usr/local/Ascend/tfplugin \
    LD_LIBRARY_PATH=/usr/local/Ascend/nnae/latest/fwkacllib/lib64
USER HwHiAiUser
'''


def test_the_images_build_on_a_stand_in_for_the_ascend_base(volume):
    """Same user, Python, paths and missing parts as ascend-tensorflow 20.2.0; TensorFlow is an
    empty package."""
    done = subprocess.run(['docker', 'build', '-q', '-t', 'stand-in:20.2.0', '-'],
                          input=ASCEND.encode(), stdout=subprocess.PIPE)
    assert done.returncode == 0
    with Compose(volume, 'ascend', STACKGAN_PLATFORM='ascend', STACKGAN_BASE='stand-in:20.2.0',
                 STACKGAN_IMAGE='stand-in') as compose:
        code, text = compose.call('build', '--quiet', 'train-text-encoder')
        assert code == 0, text
        script = ('import os, sys, adapter; print(sys.version_info[:2], os.environ["PYTHONPATH"], '
                  'os.environ["ASCEND_AICPU_PATH"], os.environ["LD_LIBRARY_PATH"], os.getuid())')
        code, text = compose.call('run', '--rm', '--no-deps', '--entrypoint', 'sh', 'train-stage1',
                                  '-c', 'sed s/-m.jobs/-c/ /usr/local/bin/stackgan > /tmp/c && '
                                  f'sh /tmp/c \'{script}\'')
        assert code == 0, text
        assert ('(3, 7) /app:/usr/local/Ascend/tfplugin /usr/local/Ascend/nnae/latest '
                '/usr/local/Ascend/nnae/latest/fwkacllib/lib64 ' + USER) in text


def test_conversion_with_a_fake_atc_and_without(volume, embedded, tmp_path):
    """The fake of tests/fakes, mounted where the program would be."""
    fill(volume, embedded)
    program = tmp_path / 'atc'
    program.write_text('#!/bin/sh\nexec /opt/venv/bin/python -S -E /fakes/fake_atc.py "$@"\n')
    program.chmod(0o755)
    with Compose(volume, 'convert') as compose:
        compose.environment['STACKGAN_SET'] = SETTINGS.split()[0]        # of a short training
        code, text = compose.call('run', '--rm', 'convert-om')
        assert code == 3 and 'the frozen graph passed the check' in text, text
        assert 'atc --framework=3' in text
        code, text = compose.call(
            'run', '--rm', '--no-deps', '-v', f'{program}:/usr/local/bin/atc:ro',
            '-v', os.path.join(ROOT, 'tests', 'fakes') + ':/fakes:ro', 'convert-om')
        assert code == 0, text
    assert (volume / 'runs' / 'smoke' / 'om' / 'stackgan-stage2-b1.om').exists()
