import sys

from stackgan import printing

if __name__ == '__main__':
    printing.prepare()                      # before anything else can print
    from jobs.command_line import main
    try:
        sys.exit(main())
    finally:
        printing.finish()
