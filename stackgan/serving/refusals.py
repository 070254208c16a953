"""The error that a request is refused with."""

from typing import Optional


class Refusal(Exception):
    """A refusal: one plain sentence and an HTTP status."""

    def __init__(
            self,
            status: int,                        # HTTP status, 400 to 599
            message: str,
            retry_after: Optional[int] = None,  # seconds after which another try may succeed
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


def stopping() -> Refusal:
    """The answer to every request once the server is stopping."""
    return Refusal(503, 'The server is stopping; try again later', 10)
