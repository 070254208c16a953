"""Reading your text files (captions, lists, tables), whatever program wrote them.

UTF-8, UTF-16 and UTF-32 are recognised by their byte order marks; UTF-16 without one, which some
Windows programs write, by its NULs. Lines end with LF, CR LF or CR. Other line separators (U+2028,
form feeds) count as white space, because they come from pasted text.
"""

import codecs
import errno
import re
from typing import List, NamedTuple, Optional

from stackgan.errors import InputError
from stackgan.files import read_bytes

MAX_TABLE_BYTES = 512 << 20          # a table or list for a whole dataset
MAX_TEXT_BYTES = 16 << 20            # a file of captions
MARK = '\ufeff'
MARKS = ((codecs.BOM_UTF32_LE, 'utf-32-le'), (codecs.BOM_UTF32_BE, 'utf-32-be'),
         (codecs.BOM_UTF8, 'utf-8'), (codecs.BOM_UTF16_LE, 'utf-16-le'),
         (codecs.BOM_UTF16_BE, 'utf-16-be'))         # UTF-32 first: its mark begins as UTF-16's
NUL_SHARE = 0.5                      # of the characters; UTF-16 of Latin text far exceeds it
LINE_END = re.compile('\r\n|\r|\n')
NOT_THE_FILES_FAULT = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)


class UnreadableText(InputError):
    """A text file that cannot be read; `reason` is the message without the file's name."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f'{path} {reason}')
        self.reason = reason


class Text(NamedTuple):
    """The content of a text file."""

    text: str              # without a byte order mark; line ends as in the file
    is_whole: bool         # False: bytes that are not UTF-8 became U+FFFD


def read_text(path: str, limit: int = MAX_TEXT_BYTES) -> Text:
    """`Text` of a file. Raises UnreadableText, or OSError if the fault is not in the file."""
    data = _read_bytes(path, limit)
    try:
        return decode(data)
    except ValueError as error:
        raise UnreadableText(path, str(error))


def read_lines(path: str, limit: int = MAX_TABLE_BYTES) -> List[str]:
    """The lines of a file in which each character matters, such as a list of names.

    Raises UnreadableText if it is missing or is not text, InputError for a line that is not UTF-8.
    """
    found = read_text(path, limit)
    lines = split_lines(found.text)
    if not found.is_whole:
        for number, line in enumerate(lines, 1):
            require_whole(line, f'{path}: line {number}')
    return lines


def require_whole(text: str, origin: str) -> None:
    """Raises InputError for text in which bytes were replaced; `origin` names file and line."""
    if '\ufffd' in text:
        raise InputError(f'{origin}: {text.strip()[:60]!r} holds bytes that are not UTF-8; save '
                         'the file as UTF-8')


def _read_bytes(path: str, limit: int) -> bytes:
    try:
        return read_bytes(path, limit)
    except FileNotFoundError:
        raise UnreadableText(path, 'is missing')
    except OSError as error:
        if error.errno in NOT_THE_FILES_FAULT:
            raise
        raise UnreadableText(path, f'cannot be read ({error.strerror or error})')
    except ValueError as error:                        # too large, or a NUL in its path
        raise UnreadableText(path, f'cannot be read ({error})')


def decode(data: bytes) -> Text:
    """`Text` of bytes. Raises ValueError for what is not text; its message follows a file name."""
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None)
    encoding = encoding or _encoding_by_nuls(data) or 'utf-8'
    is_whole = True
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != 'utf-8':
            raise ValueError(f'is damaged {encoding.upper()[:6]}; save it as UTF-8')
        text, is_whole = data.decode(encoding, 'replace'), False
    if '\0' in text:
        raise ValueError('holds NUL characters, so it is not text or its encoding is unknown; save '
                         'it as UTF-8')
    return Text(text[1:] if text.startswith(MARK) else text, is_whole)


def _encoding_by_nuls(data: bytes) -> Optional[str]:
    """UTF-16 without a mark: nearly every character has a NUL as its upper byte, none as lower."""
    characters = len(data) // 2
    if not characters or len(data) % 2 or b'\0' not in data:
        return None
    even, odd = data[::2].count(0), data[1::2].count(0)
    if not even and odd >= NUL_SHARE * characters:
        return 'utf-16-le'
    if not odd and even >= NUL_SHARE * characters:
        return 'utf-16-be'
    return None


def split_lines(text: str) -> List[str]:
    """The lines of a text; a line end at the end begins no further line."""
    lines = LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def clean_caption(text: str) -> str:
    """`text` with each run of white space as one space, and none at the ends."""
    text = text.replace(MARK, '')                       # from concatenated files
    return ' '.join(text.split()).encode('utf-8', 'replace').decode('utf-8')   # lone surrogates
