"""What a visitor is told who cannot be served."""


class Refusal(Exception):
    """One plain sentence, with its status of HTTP."""

    def __init__(
            self,
            status,            # of HTTP, 400 to 599
            message,
            retry_after=None,  # seconds after which it may work
    ):
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


def stopping():
    """What is answered once the server has been told to end."""
    return Refusal(503, 'The server is stopping; try again later', 10)
