"""The web application: page, API, the headers of every response, and error responses."""

import logging
import time
import traceback
from typing import Collection, Optional, Union
from urllib.parse import urlsplit

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from stackgan.serving.api import api
from stackgan.serving.hosts import allowed_hosts, name_of
from stackgan.serving.jobs import jobs
from stackgan.serving.pages import pages
from stackgan.serving.refusals import Refusal
from stackgan.serving.service import Service

logger = logging.getLogger(__name__)

POLICY = ("default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
          "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',       # stricter ones hide the origin of our own form
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
}
PLAIN = {404: 'There is nothing of that name here', 405: 'Method not allowed',
         413: 'The request is too large'}
OWN_NAMES = allowed_hosts()
COSTLY = ('api.nearest', 'jobs.events')       # not for other sites, though they are GETs


def create_app(
        service: Service,
        hosts: Collection[str] = OWN_NAMES,  # Host names that are answered
) -> Flask:
    """The WSGI application."""
    app = Flask('stackgan.serving')
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(api(service))
    app.register_blueprint(pages(service))
    if service.live is not None:
        app.register_blueprint(jobs(service.live, service.streams))

    @app.before_request
    def refuse_at_once() -> None:
        """Refuses other host names, large bodies, and other sites that use a visitor's browser."""
        g.started = time.monotonic()
        if name_of(request.environ.get('HTTP_HOST', '')) not in hosts:
            raise Refusal(421, 'Host name not allowed; open the page as localhost, or start serve '
                               'with --allow-host and that name')
        if (request.content_length or 0) > service.limits.body_bytes:
            raise RequestEntityTooLarge()
        origin = request.headers.get('Origin')
        site = request.headers.get('Sec-Fetch-Site', 'none')        # sent by newer browsers
        if (request.method == 'POST' or request.endpoint in COSTLY) and (
                origin and _host_of(origin) != request.host or site not in ('none', 'same-origin')):
            raise Refusal(403, 'This request comes from another site')

    @app.after_request
    def add_headers(answer: Response) -> Response:
        service.metrics.count_request(request.endpoint, answer.status_code,
                                      time.monotonic() - g.get('started', time.monotonic()))
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if 'Location' in answer.headers:
            answer.headers['Location'] = _on_this_host(answer.headers['Location'])
        return answer

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return _error(refusal.status, str(refusal), refusal.retry_after)

    @app.errorhandler(HTTPException)
    def refuse_by_framework(error: HTTPException) -> Union[Response, HTTPException]:
        if error.code is None or error.code < 400:           # a redirect
            return error
        return _error(error.code, PLAIN.get(error.code, error.name))

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        logger.error(''.join(traceback.format_exception(
            type(error), error, error.__traceback__)).rstrip())
        return _error(500, 'Something went wrong here; its owner finds it in the log')

    return app


def _host_of(origin: str) -> Optional[str]:
    try:
        return urlsplit(origin).netloc
    except ValueError:                               # http://[
        return None


def _on_this_host(location: str) -> str:
    """A redirect without a host: it never leads elsewhere, whatever name was requested."""
    parts = urlsplit(location)
    return '/' + parts.path.lstrip('/') + ('?' + parts.query if parts.query else '')


def _error(status: int, message: str, retry_after: Optional[int] = None) -> Response:
    answer = jsonify(error=message)
    answer.status_code = status
    if retry_after:
        answer.headers['Retry-After'] = str(retry_after)
    return answer
