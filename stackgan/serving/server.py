"""The server: waitress, with a shutdown that does not cut off responses."""

import ipaddress
import logging
import socket
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from flask import Flask

from stackgan.errors import InputError
from stackgan.serving.connections import MAX_CONNECTIONS, Listener
from stackgan.serving.service import Service
from stackgan.serving.streams import MAX_STREAMS

SPARE_THREADS = 8           # beside those of the queue and streams: for pages, images, refusals
SEND_SECONDS = 2            # for the last responses to be read
LARGEST_BODY = 1 << 20      # read at all; the application has a lower limit


class Server:
    """An application that listens on a port, in threads of its own."""

    def __init__(
            self,
            app: Flask,
            service: Service,
            host: str,                    # to listen on
            port: int,                    # 0: any free one
            proxy: Optional[str] = None,  # address whose X-Forwarded-* headers are trusted
            prefix: str = '',             # path under which visitors see the page, '/birds'
    ) -> None:
        logging.getLogger('waitress').setLevel(logging.CRITICAL)    # a full queue is normal
        proxy = _address(proxy) if proxy else None
        trust: Dict[str, Any] = {'trusted_proxy': proxy, 'trusted_proxy_headers': {
            'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'}} if proxy else {}
        self._service = service
        self._in_flight, self._counter = 0, threading.Lock()
        try:
            self._server = Listener(
                self._counted(app), host=_resolved(host), port=port, ident=None,
                threads=service.limits.queue + SPARE_THREADS + MAX_STREAMS,
                connection_limit=2 * MAX_CONNECTIONS,       # connections.py closes some before this
                channel_timeout=30, cleanup_interval=1, max_request_header_size=16384,
                max_request_body_size=LARGEST_BODY, clear_untrusted_proxy_headers=True,
                asyncore_use_poll=True, url_prefix=prefix, **trust)
            self._server.adj.send_bytes = 1     # or events would wait for more to send
            self._server.unlimited = proxy
            self.port = int(self._server.effective_port)
        except (OSError, ValueError) as error:
            raise InputError(f'cannot listen on {host}, port {port}: {error}; name others with '
                             f'--host and --port')
        self._thread = threading.Thread(target=self._server.run, daemon=True, name='server')

    def start(self) -> None:
        self._thread.start()

    def stop(
            self,
            seconds: float,  # to wait for the request in progress and its answer
    ) -> None:
        """Accepts no more connections; lets the request in progress finish and be sent.

        A request that takes longer is ended with the worker.
        """
        listener = self._server
        listener.trigger.pull_trigger(lambda: listener.asyncore.dispatcher.close(listener))
        self._service.streams.close()
        self._service.queue.close(seconds)
        self._service.worker.close()
        end = time.monotonic() + SEND_SECONDS
        while time.monotonic() < end and (self._in_flight or self._has_unsent()):
            time.sleep(0.02)

    def _has_unsent(self) -> bool:
        return any(channel.total_outbufs_len or channel.requests
                   for channel in list(self._server.active_channels.values()))

    def _counted(self, app: Flask) -> Callable:
        """The application, wrapped to count the requests in progress."""
        def run(environ: dict, start_response: Callable) -> Any:
            with self._counter:
                self._in_flight += 1
            try:
                return app(environ, start_response)
            finally:
                with self._counter:
                    self._in_flight -= 1
        return run


def names_of(host: str) -> List[str]:
    """A name to listen on, and its address where it resolves to one."""
    try:
        return [host, _resolved(host)]
    except OSError:                                  # reported when the server tries to listen
        return [host]


def _resolved(host: str) -> str:
    return str(socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)[0][4][0])


def _address(text: str) -> str:
    """An address in the spelling that the system uses for those of visitors."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InputError(f'--behind-proxy {ascii(text)}: not an address; give the one that the '
                         f'proxy connects from, as 127.0.0.1')
