"""The errors a user can meet: one line each, with the exit code the job leaves with."""


class StackganError(Exception):
    """A failure explained by its message alone; no traceback is shown for it."""
    exit_code = 1


class ConfigError(StackganError):
    """A configuration that cannot be used. The message names the file and the key."""
    exit_code = 2


class InputError(StackganError):
    """Missing or unusable input. The message names the file, what was seen and what is right."""
    exit_code = 2


class MissingRequirement(StackganError):
    """Something this machine lacks: a package, a driver, a tool, an engine."""
    exit_code = 3


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP. Not an Exception, so that no handler of failures swallows it."""
    exit_code = 130
