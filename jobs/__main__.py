import os
import sys

from stackgan import printing


def in_utf8():
    """Starts this process anew where Python takes names of files for another encoding.

    A name must be the same text, and so have the same digest, in a terminal and in a cron job.
    What is shown keeps the encoding of the terminal.
    """
    is_utf8 = sys.getfilesystemencoding().replace('-', '').lower() == 'utf8'
    if is_utf8 or sys.flags.utf8_mode or __spec__ is None or not sys.executable:
        return
    os.environ.setdefault('PYTHONIOENCODING', printing.encoding() + ':backslashreplace')
    os.environ['PYTHONUTF8'] = '1'                 # for the processes that this one starts
    os.execv(sys.executable, [sys.executable, '-X', 'utf8', '-m', 'jobs'] + sys.argv[1:])


if __name__ == '__main__':
    in_utf8()
    printing.prepare()                      # before anything else can print
    from .engine.command_line import main
    try:
        sys.exit(main())
    finally:
        printing.finish()
