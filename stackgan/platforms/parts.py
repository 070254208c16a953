"""Work of which several workers do a part each, with files in the folder of worker 0 as result.

Worker 0 begins, each does whole batches, which have the same rows whatever the number of workers,
and worker 0 goes on when all are done. Imports no TensorFlow.
"""

import os
from typing import Any, Dict, Iterator, Optional

from stackgan.platforms.worker_channel import Channel, Follower


class Parts:
    """This worker's parts, and the others to wait for; all of the work without others."""

    def __init__(
            self,
            channel: Optional[Channel] = None,     # to the others; None: there are none
    ) -> None:
        self.channel = channel
        self.rank, self.size = (channel.rank, channel.size) if channel else (0, 1)

    def begin(
            self,
            **task: Any,         # JSON values: what is to be done, for those who ask for `tasks`
    ) -> None:
        """Worker 0 waits until all are there. Raises StackganError."""
        if self.channel:
            self.channel.begin_part(task)

    def tasks(self) -> Iterator[Dict[str, Any]]:
        """Yields what worker 0 begins; never ends, since worker 0 ends the others."""
        assert isinstance(self.channel, Follower)
        while True:
            yield self.channel.tasks.get()
            self.finish()

    def advance(self) -> None:
        """Tells the others of progress: who makes none for long ends them all."""
        if self.channel:
            self.channel.advance()

    def finish(self) -> None:
        """This worker's part is done; worker 0 waits for all others'."""
        if self.channel:
            self.channel.finish_part()

    def share(
            self,
            count: int,          # of batches
    ) -> range:
        """The numbers of this worker's: one after the other, the first ones are worker 0's."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)


ALONE = Parts()              # of one process


def part_path(
        path: str,           # of the whole file
        rank: int,           # of the worker that has the part, less than 10000
) -> str:
    """Where a worker writes its part of a file; `remove_unfinished` removes what is left there."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f'.{name}.part{rank:04d}.tmp')
