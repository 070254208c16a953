"""Errors that are shown to the user as one line, and the exit code that each leads to."""


class StackganError(Exception):
    """A failure that its message explains; no traceback is shown."""

    exit_code = 1


class ConfigError(StackganError):
    """A configuration that cannot be used. The message names the file and the key."""

    exit_code = 2


class InputError(StackganError):
    """Missing or unusable input. The message names the file, what was found and what to do."""

    exit_code = 2


class MissingRequirement(StackganError):
    """Something that this machine lacks: a package, a driver, a tool, Docker."""

    exit_code = 3


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP. No Exception, so that `except Exception` does not swallow it."""

    exit_code = 130
