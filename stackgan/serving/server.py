"""The server: waitress, and its end without an answer that is cut off."""

import ipaddress
import logging
import socket
import threading
import time

from stackgan.errors import InputError
from stackgan.serving.connections import MAX_CONNECTIONS, Listener

SPARE_THREADS = 8           # beside those that wait for their images: pages, images, refusals
SEND_SECONDS = 2            # for the last answers to be taken
LARGEST_BODY = 1 << 20      # that is read at all; the application refuses less than that


class Server:
    """An application on a port, in threads of its own."""

    def __init__(
            self,
            app,               # of app.create_app
            service,           # its Service
            host,              # to listen at
            port,              # 0: any that is free
            proxy=None,        # address of the reverse proxy whose word on addresses is taken
    ):
        logging.getLogger('waitress').setLevel(logging.CRITICAL)    # a full queue is no news
        proxy = _address(proxy) if proxy else None
        trust = {'trusted_proxy': proxy, 'trusted_proxy_headers': {
            'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'}} if proxy else {}
        self._service = service
        self._in_flight, self._counter = 0, threading.Lock()
        try:
            self._server = Listener(
                self._counted(app), host=_resolved(host), port=port, ident=None,
                threads=service.limits.queue + SPARE_THREADS,
                connection_limit=2 * MAX_CONNECTIONS,       # those that are closed make way first
                channel_timeout=30, cleanup_interval=1, max_request_header_size=16384,
                max_request_body_size=LARGEST_BODY, clear_untrusted_proxy_headers=True,
                asyncore_use_poll=True, **trust)
            self._server.unlimited = proxy
            self.port = int(self._server.effective_port)
        except (OSError, ValueError) as error:
            raise InputError(f'cannot listen at {host}, port {port}: {error}; name others with '
                             f'--host and '
                             '--port')
        self._thread = threading.Thread(target=self._server.run, daemon=True, name='server')

    def start(self):
        self._thread.start()

    def stop(
            self,
            seconds,           # to wait for what is being generated, and for its answer
    ):
        """Takes no more connections, lets the request in progress finish and be sent.

        What takes longer is ended with the worker.
        """
        listener = self._server
        listener.trigger.pull_trigger(lambda: listener.asyncore.dispatcher.close(listener))
        self._service.queue.close(seconds)
        self._service.worker.close()
        end = time.monotonic() + SEND_SECONDS
        while time.monotonic() < end and (self._in_flight or self._has_unsent()):
            time.sleep(0.02)

    def _has_unsent(self):
        return any(channel.total_outbufs_len or channel.requests
                   for channel in list(self._server.active_channels.values()))

    def _counted(self, app):
        """The application, with the number of requests under way."""
        def run(environ, start_response):
            with self._counter:
                self._in_flight += 1
            try:
                return app(environ, start_response)
            finally:
                with self._counter:
                    self._in_flight -= 1
        return run


def names_of(host):
    """A name to listen at, and the address it stands for where it has one."""
    try:
        return [host, _resolved(host)]
    except OSError:                                  # is told when it is listened at
        return [host]


def _resolved(host):
    return socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)[0][4][0]


def _address(text):
    """An address in the spelling that the system gives those of visitors."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InputError(f'--behind-proxy {ascii(text)}: not an address; give that from which the '
                         f'proxy asks, '
                         'as 127.0.0.1')
