"""Where the tests find what is not in the repository."""

import os
import warnings

import needs
import pytest

# Files whose tests do not run TensorFlow. They run in the oldest and the newest Python; a further
# version of TensorFlow needs the others alone (STACKGAN_TEST_ONLY=tensorflow).
WITHOUT_TENSORFLOW = [
    f'test_{name}.py' for name in (
        'alphabet', 'architecture', 'archives', 'arguments', 'audit', 'bases', 'bench',
        'chain_order', 'cleaning', 'command_line', 'commands', 'completion', 'compose', 'config',
        'contract', 'docker_chain', 'docs', 'download_layouts', 'earlier_version', 'environments',
        'file_systems', 'files', 'image_colours', 'image_guards', 'image_kinds', 'images',
        'inspect', 'layouts', 'locks', 'manifests', 'needs', 'packaging', 'painted', 'places',
        'preprocessing', 'preprocessing_killed', 'printing', 'progress', 'safe_pickle',
        'sample_options', 'scripts', 'serving_hosts', 'signals', 'skip_thought', 'split_folders',
        'text_files', 'walking',
        'wheels', 'yaml_values')]
collect_ignore = (WITHOUT_TENSORFLOW if os.environ.get('STACKGAN_TEST_ONLY') == 'tensorflow'
                  else [])

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


@pytest.fixture
def flowers():
    """Folder of all Oxford flowers with their captions; the test is skipped without it."""
    return needs.shared('data', 'flowers')
