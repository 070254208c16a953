"""Where the tests find what is not in the repository."""

import os
import warnings
from glob import glob

import needs
import pytest

# Files whose tests run TensorFlow's operations, export them or train with them. All files run in
# the oldest and the newest Python; a further version of TensorFlow runs these alone
# (STACKGAN_TEST_ONLY=tensorflow). Marks of tests (pyproject.toml): scripts/test.sh selects by them.
OF_TENSORFLOW = [
    f'test_{name}.py' for name in (
        'augmentation', 'chain', 'char_cnn_rnn', 'checkpoints', 'export', 'export_check',
        'export_text', 'foreign_records', 'frozen_image_encoder', 'graph_files',
        'inception_v3', 'joint_embedding', 'losses', 'networks', 'precision', 'sampling', 'scorer',
        'sliced_wasserstein', 'tensorflow_paths', 'text_training', 'training', 'training_records',
        'worker_sums', 'workers')]
collect_ignore_glob = []
if os.environ.get('STACKGAN_TEST_ONLY') == 'tensorflow':
    collect_ignore_glob = [
        path for path in glob(os.path.join(os.path.dirname(__file__), 'test_*.py'))
        if os.path.basename(path) not in OF_TENSORFLOW]

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore', category=FutureWarning)


@pytest.fixture
def reference():
    """Folder of facts about public StackGAN checkpoints; the test is skipped without it."""
    return needs.shared('reference')


@pytest.fixture
def birds_sample():
    """Folder of real bird photographs in the CUB layout; the test is skipped without it."""
    return needs.shared('data', 'birds-sample')


@pytest.fixture
def other_python():
    """Interpreter of another lane's environment; the test is skipped without it."""
    return needs.other_python()


@pytest.fixture(scope='session')
def bundles(tmp_path_factory):
    """A volume with both bundles of a run, for all tests that only read it."""
    from bundle_toy import make_bundles
    return make_bundles(tmp_path_factory.mktemp('bundles'))


@pytest.fixture
def flowers():
    """Folder of all Oxford flowers with their captions; the test is skipped without it."""
    return needs.shared('data', 'flowers')


@pytest.fixture(scope='session')
def volume(tmp_path_factory):
    """A volume with an exported run, for all tests that only read it."""
    from serve_toy import make_volume
    return make_volume(tmp_path_factory.mktemp('volume'))


@pytest.fixture(scope='module')
def client(volume):
    """The application of `serve` with that volume, for a file of tests."""
    from serving_client import client_of
    client = client_of(volume)
    yield client
    client.service.worker.close()


@pytest.fixture
def workers_end(client):
    """Ends the workers of the clients that a test makes beside that one."""
    from serving_client import SERVICES
    before = len(SERVICES)
    yield
    for service in SERVICES[before:]:
        service.worker.close()


@pytest.fixture
def npu(request, tmp_path, monkeypatch):
    """The folder in the place of /usr/local/Ascend; CANN 20.2 and a fake adapter by default."""
    from npu_machine import FAKES, set_up
    for root in set_up(getattr(request, 'param', FAKES[0]), tmp_path, monkeypatch):
        yield root


@pytest.fixture
def scaled(monkeypatch):
    """The optimisers that are wrapped for an NPU from here on."""
    from stackgan.platforms import ascend_loss_scale
    found, real = [], ascend_loss_scale.with_loss_scale

    def with_loss_scale(*arguments, **options):
        found.append(real(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(ascend_loss_scale, 'with_loss_scale', with_loss_scale)
    return found
