import sys

from jobs.command_line import main

sys.exit(main())
