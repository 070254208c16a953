"""Limits on connections: none can be held open by sending or reading slowly.

waitress closes idle connections; this also closes slow ones. When there are too many, from one
address or in all, the one that has been idle longest is closed, so that idle connections never
keep anyone out.
"""

import ipaddress
import time
from typing import Any, Dict, List, Optional, Union

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

MAX_CONNECTIONS = 400
MAX_OF_ADDRESS = 100
READ_SECONDS = 10.0         # from the first byte of a request to its last
IDLE_SECONDS = 30.0         # between requests
SEND_SECONDS = 120.0        # for the client to read a response


class Channel(HTTPChannel):
    """A connection that records when its current state began."""

    began: float                         # monotonic time of the first byte of the request
    waiting: float                       # monotonic time since which it has been idle
    sending: Optional[float] = None      # monotonic time since which it sends; None: it does not

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.waiting = time.monotonic()

    def received(self, data: bytes) -> Any:
        before = self.request
        result = super().received(data)
        if self.request is not before:
            self.began = time.monotonic()
        return result

    def is_busy(self) -> bool:
        """Whether a request is being processed, or its response sent."""
        return bool(self.requests or self.total_outbufs_len)

    def is_too_slow(self, now: float) -> bool:
        """Whether it has exceeded its time limit. Called about once a second."""
        if self.is_busy():
            self.waiting = now
        if self.requests or not self.total_outbufs_len:
            self.sending = None
        elif self.sending is None:
            self.sending = now
        if self.sending is not None:
            return now - self.sending > SEND_SECONDS
        if self.requests:
            return False
        if self.request is not None:
            return now - self.began > READ_SECONDS
        return now - self.waiting > IDLE_SECONDS


class Listener(TcpWSGIServer):
    """waitress's server with those limits."""

    channel_class = Channel
    unlimited: Optional[str] = None      # address without a limit: that of the reverse proxy

    def handle_accept(self) -> None:
        super().handle_accept()
        channels = [each for each in self.active_channels.values() if not each.will_close]
        if not channels:
            return
        newest = channels[-1]
        group = group_of(newest.addr[0])
        same = [each for each in channels if group_of(each.addr[0]) == group]
        if len(same) > MAX_OF_ADDRESS and newest.addr[0] != self.unlimited:
            _make_room(same)
        elif len(channels) > MAX_CONNECTIONS:
            _make_room(_largest_group(channels))

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.is_too_slow(now):
                channel.will_close = True
                channel.handle_close()      # at once: its peer may never read again


def group_of(address: str) -> Union[str, bytes]:
    """What counts as one visitor: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address
    return parsed.packed[:8] if parsed.version == 6 else parsed.packed


def _largest_group(channels: List[Channel]) -> List[Channel]:
    groups: Dict[Union[str, bytes], List[Channel]] = {}
    for each in channels:
        groups.setdefault(group_of(each.addr[0]), []).append(each)
    return max(groups.values(), key=len)


def _make_room(channels: List[Channel]) -> None:
    """Closes the one that has been idle longest, or the newest where all others are busy.

    Not within this turn of the loop: a new connection could get the descriptor of a closed one.
    """
    waiting = [each for each in channels[:-1] if not each.is_busy()]
    (min(waiting, key=lambda each: each.waiting) if waiting else channels[-1]).will_close = True
