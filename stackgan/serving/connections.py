"""Connections with bounds: none can be held open by sending or reading slowly.

waitress closes a connection on which nothing happens; here one is closed as well on which too
little does. Where there are too many, of one address or in all, the one that has waited longest
makes room, so that nobody who asks is kept out by those who only wait.
"""

import ipaddress
import time

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

MAX_CONNECTIONS = 400
MAX_OF_ADDRESS = 100
READ_SECONDS = 10.0         # from the first byte of a request to its last
IDLE_SECONDS = 30.0         # between requests
SEND_SECONDS = 120.0        # for an answer to be taken


class Channel(HTTPChannel):
    """A connection that knows since when it is doing what it does."""

    began = waiting = sending = None     # monotonic times; None: it is not

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.waiting = time.monotonic()

    def received(self, data):
        before = self.request
        result = super().received(data)
        if self.request is not before:
            self.began = time.monotonic()
        return result

    def is_busy(self):
        """Whether a request is being answered, or its answer sent."""
        return bool(self.requests or self.total_outbufs_len)

    def is_too_slow(self, now):
        """Whether it has had its time. Called about once a second."""
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
    """waitress's server with those connections."""

    channel_class = Channel
    unlimited = None         # an address that may have any number: the reverse proxy's

    def handle_accept(self):
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

    def maintenance(self, now):
        super().maintenance(now)
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.is_too_slow(now):
                channel.will_close = True
                channel.handle_close()      # at once: its peer may take nothing any more


def group_of(address):
    """What counts as one visitor: an address, of IPv6 the network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address
    return parsed.packed[:8] if parsed.version == 6 else parsed.packed


def _largest_group(channels):
    groups = {}
    for each in channels:
        groups.setdefault(group_of(each.addr[0]), []).append(each)
    return max(groups.values(), key=len)


def _make_room(channels):
    """Closes the one that has waited longest; the newest where all others are being answered.

    Not within this turn of the loop: a new connection could get the number of a closed one.
    """
    waiting = [each for each in channels[:-1] if not each.is_busy()]
    (min(waiting, key=lambda each: each.waiting) if waiting else channels[-1]).will_close = True
