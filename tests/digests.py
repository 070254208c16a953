"""What files hold, in a form that a failed comparison can show.

Of two unequal `bytes` pytest shows where they differ (with -v, and always where CI is set), which
takes hours for a checkpoint or an image.
"""

import hashlib


def digest(path):
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(str(path), 'rb') as stream:
        return digest_of(stream.read())


def digest_of(data):
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()
