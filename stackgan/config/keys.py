"""What a key and a section of the configuration are, for the schema."""

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

NAME = r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}'       # of a folder on every system
SEED: Dict[str, Any] = {'minimum': 0, 'maximum': 2 ** 31 - 1}


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    def dataclass(frozen: bool) -> Any:
        """`dataclasses.dataclass` without the docstring that it composes of all keys, which takes
        longer than the rest of the class."""
        def made(kind: type) -> type:
            kind.__doc__ = kind.__doc__ or kind.__name__
            return dataclasses.dataclass(frozen=frozen)(kind)
        return made


def key(
        default: Any,
        help: str,                              # one line for people
        minimum: Optional[float] = None,        # smallest value allowed
        maximum: Optional[float] = None,        # largest value allowed
        above: Optional[float] = None,          # the value must be larger than this
        choices: Optional[Sequence[str]] = None,    # the values allowed
        pattern: Optional[str] = None,          # regular expression for the whole text
) -> Any:
    """A key of a section."""
    return dataclasses.field(default=default, metadata=dict(
        help=help, minimum=minimum, maximum=maximum, above=above, choices=choices,
        pattern=pattern))


def section(kind: type, help: str) -> Any:
    """A section whose keys have their own defaults."""
    return dataclasses.field(default_factory=kind, metadata=dict(help=help))
