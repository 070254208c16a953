"""What tests of archives share."""

import os

import pytest
from raw_toy import settings

from stackgan.data.archives import unpack
from stackgan.data.layouts.pieces import cub_pieces
from stackgan.errors import InputError
from stackgan.files import files_below


def refused(archive, words, tmp_path):
    """Unpacking fails with one line that names the archive, and leaves nothing outside."""
    folder = tmp_path / 'scratch' / 'a'
    with pytest.raises(InputError, match=os.path.basename(str(archive)) + '.*' + words) as caught:
        unpack(str(archive), cub_pieces(settings()), str(folder))
    assert '\n' not in str(caught.value) and not folder.exists()
    outside = [name for name in files_below(str(tmp_path)) if 'evil' in name]
    assert not outside
