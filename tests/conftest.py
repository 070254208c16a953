"""Where the tests find what is not in the repository."""

import os
import warnings

import needs
import pytest

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
