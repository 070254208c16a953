"""Starts the command line: `python -m jobs` in a checkout, `stackgan` where it is installed."""

import os
import sys

from stackgan import printing


def in_utf8() -> None:
    """Restarts this process in UTF-8 mode if Python would decode file names otherwise.

    A name must be the same text, and so have the same digest, in a terminal and in a cron job.
    Output keeps the encoding of the terminal.
    """
    is_utf8 = sys.getfilesystemencoding().replace('-', '').lower() == 'utf8'
    if is_utf8 or sys.flags.utf8_mode or __spec__ is None or not sys.executable:
        return
    os.environ.setdefault('PYTHONIOENCODING', printing.encoding() + ':backslashreplace')
    os.environ['PYTHONUTF8'] = '1'                 # for child processes
    os.execv(sys.executable, [sys.executable, '-X', 'utf8', '-m', str(__package__)] + sys.argv[1:])


def main() -> int:
    """Runs the command line of this process and returns the exit code."""
    in_utf8()
    printing.prepare()                      # before anything else can print
    from .engine import command_line
    try:
        return command_line.main()
    finally:
        printing.finish()


if __name__ == '__main__':
    sys.exit(main())
