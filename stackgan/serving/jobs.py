"""The page and the API of the live view of jobs; only where `serve` shows a volume."""

import json
import os
from typing import Any, Dict, List, Tuple

from flask import Blueprint, Response, jsonify, render_template, request
from markupsafe import Markup
from werkzeug.wsgi import wrap_file

from stackgan.progress import duration
from stackgan.serving.job_files import JobProgress
from stackgan.serving.live import LiveJob, LiveJobs, version_of
from stackgan.serving.refusals import Refusal
from stackgan.serving.streams import Streams

EVENT = 'jobs'


def jobs(live: LiveJobs, streams: Streams) -> Blueprint:
    """Blueprint of the live view."""
    routes = Blueprint('jobs', __name__)

    @routes.route('/jobs/')
    def index() -> str:
        return render_template('jobs.html', jobs=live.all(), progress_text=progress_text,
                               share=share_of, markup=Markup)

    @routes.route('/api/jobs')
    def states() -> Response:
        return jsonify(describe_jobs(live.all(), request.script_root))

    @routes.route('/api/jobs/events')
    def events() -> Response:
        prefix = request.script_root           # the events are made outside of this request
        seen: List[Any] = [None, '', '']       # jobs, their version, their description

        def newest() -> Tuple[str, str]:
            found = live.all()                 # the same list until the volume is looked at again
            if found is not seen[0]:
                seen[:] = found, version_of(found), json.dumps(describe_jobs(found, prefix))
            return seen[1], seen[2]

        stream = streams.open(request.remote_addr or '', EVENT, newest)
        answer = Response(stream, mimetype='text/event-stream', direct_passthrough=True)
        answer.headers['X-Accel-Buffering'] = 'no'         # nginx passes events on at once
        return answer

    @routes.route('/jobs/<id>/<name>')
    def grid(id: str, name: str) -> Response:
        stream = live.grid(id, name)
        if stream is None:
            raise Refusal(404, 'There is no such sample grid any more')
        answer = Response(wrap_file(request.environ, stream), mimetype='image/png',
                          direct_passthrough=True)
        answer.content_length = os.fstat(stream.fileno()).st_size
        answer.headers['Cache-Control'] = 'private, max-age=60'
        return answer

    return routes


def describe_jobs(found: List[LiveJob], prefix: str) -> Dict[str, Any]:
    """The jobs as the API returns them; `prefix` is the path below which visitors see the page."""
    return {'jobs': [_described(each, prefix) for each in found]}


def _described(job: LiveJob, prefix: str) -> Dict[str, Any]:
    facts: Dict[str, Any] = {'job': job.job, 'state': job.state, 'output': job.output}
    for name, value in (('detail', job.detail), ('error', job.error), ('log', list(job.log)),
                        ('stats', dict(job.stats))):
        if value:
            facts[name] = value
    if job.progress:
        facts['progress'] = job.progress._asdict()
    if job.grid:
        facts['grid'] = f'{prefix}/jobs/{job.id}/{job.grid}'
    return facts


def share_of(progress: JobProgress) -> float:
    """How much is done, 0 to 1."""
    return min(1.0, progress.done / progress.total) if progress.total else 0.0


def progress_text(
        progress: JobProgress,
        is_running: bool,          # False: it stopped there
) -> str:
    """'45 %, 450 of 1000 images, 12.0 a second, 46s left'."""
    text = (f'{int(100 * share_of(progress))} %, {progress.done} of {progress.total} '
            f'{progress.unit}')
    if is_running and progress.rate > 0:
        text += f', {progress.rate:.3g} a second'
        left = progress.total - progress.done
        if left > 0:
            text += f', {duration(left / progress.rate)} left'
    return text
