"""`serve`: a web page and an API for the runs on a volume, which is only read."""

import argparse
import logging
import os
import re
import signal
import tempfile
from typing import TYPE_CHECKING, Optional

from stackgan.config import Config
from stackgan.errors import InputError, Interrupted, MissingRequirement
from stackgan.files import user_path
from stackgan.pretrained import path_of

from .engine.contract import read_manifest
from .engine.execution import versions
from .engine.logs import Log, attached
from .engine.signals import heeded

if TYPE_CHECKING:
    from stackgan.serving.live import LiveJobs
    from stackgan.serving.runs import Runs

logger = logging.getLogger(__name__)

MAX_PORT = 65535
GRACE_SECONDS = 10            # for the request in progress after a signal
ALLOW_HOSTS = 'STACKGAN_SERVE_ALLOW_HOSTS'       # names, separated by spaces or commas


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--pretrained', type=user_path, metavar='NAME|FILE.zip',
                        help='serve a model of the package, or a .zip that export --bundle wrote, '
                             'instead of the runs on the volume')
    parser.add_argument('--host', default='127.0.0.1', metavar='ADDRESS',
                        help='address to listen on (default: 127.0.0.1, this machine only; there '
                             'is no authentication)')
    parser.add_argument('--port', type=int, default=8080, metavar='N',
                        help='port to listen on; 0: any free port (default: 8080)')
    parser.add_argument('--rate', type=int, default=30, metavar='N',
                        help='requests per minute from one address (default: 30)')
    parser.add_argument('--queue', type=int, default=16, metavar='N',
                        help='maximum number of waiting requests; more are refused (default: 16)')
    parser.add_argument('--seconds', type=int, default=30, metavar='N',
                        help='time limit for one request, in seconds (default: 30)')
    parser.add_argument('--behind-proxy', metavar='ADDRESS',
                        help='trust the X-Forwarded-* headers of the reverse proxy at this '
                             'address')
    parser.add_argument('--path-prefix', metavar='/PATH', default='',
                        help='path under which a proxy shows the page, if not at the top')
    parser.add_argument('--no-jobs', action='store_true',
                        help='do not show the jobs of the volume, with their logs')
    parser.add_argument('--no-nearest', action='store_true',
                        help='do not show the training images nearest to a generated one')
    parser.add_argument('--allow-host', metavar='NAME', action='append', default=[],
                        help='also accept this host name, besides localhost and the address '
                             f'listened on; may be repeated (in addition to ${ALLOW_HOSTS})')


def serve(
        options: argparse.Namespace,
        config: Config,
        volume: str,    # absolute path of the data volume
) -> int:
    """Serves until a signal, and finishes the request in progress.

    Returns 0 after SIGTERM or SIGHUP, 130 after SIGINT.
    """
    for name in ('rate', 'queue', 'seconds'):
        if getattr(options, name) < 1:
            raise InputError(f'--{name} {getattr(options, name)}: must be at least 1')
    if not 0 <= options.port <= MAX_PORT:           # getaddrinfo may take it modulo 65536
        raise InputError(f'--port {options.port}: must be 0 to {MAX_PORT}')
    try:
        import flask  # noqa: F401
        import waitress  # noqa: F401
    except ImportError as error:
        raise MissingRequirement(f'serve needs packages that are not installed ({error}); install '
                                 'the extra `serve` of pyproject.toml')
    if not options.pretrained:
        from stackgan.serving.live import LiveJobs
        from stackgan.serving.runs import Runs

        from .engine.live import rows_of_jobs
        live = None if options.no_jobs else LiveJobs(volume, lambda: rows_of_jobs(config, volume))
        return _serve(options, config, Runs(volume, read_manifest, not options.no_nearest),
                      config.run.name, f'the runs of {volume}', live)
    from stackgan.export.bundle_file import open_bundle
    from stackgan.serving.bundle_runs import BundleRuns
    with tempfile.TemporaryDirectory() as scratch:
        bundle = open_bundle(path_of(options.pretrained), scratch)
        return _serve(options, config, BundleRuns([bundle]), bundle.name,
                      f'the pretrained model {bundle.name}')


def _prefix(text: str) -> str:
    """'/a/b' of '/a/b/' or 'a/b'; '' of '/'. Raises InputError."""
    if not re.fullmatch(r'/?([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?/?', text) or '..' in text:
        raise InputError(f'--path-prefix {text!r}: must be a path such as /birds, of letters, '
                         'digits and - . _ ~')
    return '/' + text.strip('/') if text.strip('/') else ''


def _serve(options: argparse.Namespace, config: Config, runs: 'Runs', preferred: Optional[str],
           what: str, live: Optional['LiveJobs'] = None) -> int:
    from stackgan.serving.app import create_app
    from stackgan.serving.hosts import allowed_hosts, url_host
    from stackgan.serving.limits import Limits
    from stackgan.serving.server import Server, names_of
    from stackgan.serving.service import make_service

    prefix = _prefix(options.path_prefix)
    signals = heeded()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)     # in all threads, for sigwait
    try:
        with attached(Log('serve')):
            service = make_service(runs, config.platform,
                                   Limits(rate=options.rate, queue=options.queue,
                                          generation_seconds=options.seconds,
                                          seconds=max(60, 2 * options.seconds)),
                                   versions(), preferred, live)
            added = options.allow_host + os.environ.get(ALLOW_HOSTS, '').replace(',', ' ').split()
            hosts = allowed_hosts(names_of(options.host), added)
            server = Server(create_app(service, hosts), service, options.host, options.port,
                            options.behind_proxy, prefix)
            server.start()
            logger.info(f'http://{url_host(options.host)}:{server.port} shows {what}')
            number = signal.sigwait(signals)
            logger.info(f'stopping after {signal.Signals(number).name}; finishing the request in '
                        'progress')
            server.stop(GRACE_SECONDS)
            logger.info('stopped')
    finally:
        while signal.sigtimedwait(signals, 0):       # drops those sent while it was stopping
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Interrupted.exit_code if number == signal.SIGINT else 0
