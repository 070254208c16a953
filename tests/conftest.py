"""Where the tests find what is not in the repository."""

import os
import warnings

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get('STACKGAN_SHARED', os.path.join(os.path.dirname(ROOT), 'shared'))

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore', category=FutureWarning)


def _folder(*parts):
    path = os.path.join(SHARED, *parts)
    if not os.path.isdir(path):
        pytest.skip('%s is not on this machine (STACKGAN_SHARED names its parent)'
                    % os.path.join(*parts))
    return path


@pytest.fixture
def reference():
    """Folder of facts about public StackGAN checkpoints; the test is skipped without it."""
    return _folder('reference')


@pytest.fixture
def birds_sample():
    """Folder of real bird photographs in the CUB layout; the test is skipped without it."""
    return _folder('data', 'birds-sample')
