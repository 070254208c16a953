"""What a visitor sees: the page, which also works without JavaScript, and the reports of runs."""

import mimetypes
from typing import Any, Dict, List, Mapping, Optional

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from werkzeug.wsgi import wrap_file

from stackgan.serving import generate_request
from stackgan.serving.gallery import GeneratedImage
from stackgan.serving.neighbours import Neighbour
from stackgan.serving.refusals import Refusal
from stackgan.serving.service import (
    Service,
    all_runs,
    can_find_nearest,
    find_nearest,
    generate,
)

# A report is one page with its style and charts inline, written by the job `report`.
MORE = ('seeds', 'truncation', 'other_caption', 'other_seed')      # fields of the form
REPORT_POLICY = ("default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
                 "form-action 'none'; frame-ancestors 'none'")


def pages(service: Service) -> Blueprint:
    """Blueprint of the pages."""
    routes = Blueprint('pages', __name__)

    @routes.route('/')
    def index() -> str:
        id = request.args.get('image')
        shown = service.gallery.get(id) if id else None
        message = '' if shown or not id else 'This image is not kept any more; generate it again.'
        found = None
        if shown and 'nearest' in request.args:
            try:
                found = find_nearest(service, shown.id, request.remote_addr or '')
            except Refusal as refusal:
                message = str(refusal)
        return page(service, shown, message, _values(shown), found)

    @routes.route('/', methods=['POST'])
    def generate_by_form() -> Any:
        try:
            requested = generate_request.from_form(request.form, service.limits)
            generated = generate(service, requested, request.remote_addr)
        except Refusal as refusal:
            answer = Response(page(service, None, str(refusal), request.form),
                              status=refusal.status)
            if refusal.retry_after:
                answer.headers['Retry-After'] = str(refusal.retry_after)
            return answer
        return redirect(url_for('pages.index', image=generated.images[0].id), 303)

    @routes.route('/favicon.ico')           # requested by browsers that show a report
    def icon() -> Response:
        return current_app.send_static_file('icon.svg')

    @routes.route('/runs/<run>/report/')
    @routes.route('/runs/<run>/report/<path:name>')
    def report(run: str, name: str = 'index.html') -> Response:
        found = service.runs.report_file(run, name)
        if found is None:
            raise Refusal(404, 'There is no such file of a report')
        stream, size = found
        answer = Response(wrap_file(request.environ, stream), direct_passthrough=True,
                          mimetype=mimetypes.guess_type(name)[0] or 'application/octet-stream')
        answer.content_length = size
        answer.headers['Content-Security-Policy'] = REPORT_POLICY
        return answer

    return routes


def page(
        service: Service,
        shown: Optional[GeneratedImage],  # image to show
        message: str,                     # what to tell the visitor; '' for nothing
        values: Mapping[str, str],        # of the form
        neighbours: Optional[List[Neighbour]] = None,     # training images to show with it
) -> str:
    """The page as text."""
    runs = all_runs(service)
    can_generate = [run.name for run in runs if run.stages]
    chosen = values.get('run')
    names = can_generate + [f'{run.name}@{step}' for run in runs for step in run.checkpoints]
    if chosen not in names:
        chosen = (service.preferred if service.preferred in can_generate
                  else ''.join(can_generate[:1]))
    return render_template('page.html', runs=runs, can_generate=can_generate, chosen=chosen,
                           shown=shown, message=message, caption=values.get('caption', ''),
                           seed=values.get('seed', '0'), images=service.gallery.recent(),
                           has_jobs=service.live is not None,
                           limits=service.limits, largest_seed=generate_request.LARGEST_SEED,
                           neighbours=neighbours,
                           has_nearest=shown and can_find_nearest(service, shown.run),
                           more={name: values[name] for name in MORE if values.get(name)})


def _values(shown: Optional[GeneratedImage]) -> Dict[str, str]:
    if shown is None:
        return {}
    values = {'run': shown.run, 'caption': shown.caption, 'seed': str(shown.seed)}
    return dict(values, **{name: str(shown.more[name]) for name in MORE if name in shown.more})
