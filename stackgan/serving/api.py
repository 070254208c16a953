"""The API, in JSON. openapi.json describes it."""

import os

from flask import Blueprint, Response, jsonify, request, send_file, url_for

from stackgan.serving import asked
from stackgan.serving.refusals import Refusal
from stackgan.serving.service import all_runs, draw

PING_SECONDS = 2            # for the worker to answer
DESCRIPTION = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'openapi.json')


def api(
        service,           # Service
):
    """Blueprint of the API."""
    routes = Blueprint('api', __name__)

    @routes.route('/health')
    def health():
        runs, worker = all_runs(service), service.worker.state(PING_SECONDS)
        is_well = worker in ('ready', 'drawing', 'starting')
        bad = [{'name': run.name, 'faults': list(run.faults)} for run in runs if run.faults]
        answer = jsonify(
            ok=is_well, versions=service.versions, worker=worker,
            queue={'length': len(service.queue), 'limit': service.limits.queue},
            runs={'found': len(runs), 'bad': bad})
        answer.status_code = 200 if is_well else 503
        return answer

    @routes.route('/openapi.json')
    def description():
        return send_file(DESCRIPTION, mimetype='application/json')

    @routes.route('/api/runs')
    def runs():
        return jsonify(runs=[describe_run(run) for run in all_runs(service)])

    @routes.route('/api/draw', methods=['POST'])
    def draw_pictures():
        if request.mimetype != 'application/json':
            raise Refusal(415, 'Send JSON, with the header Content-Type: application/json')
        wanted = asked.from_json(request.get_data(), service.limits)
        drawn = draw(service, wanted, request.remote_addr)
        return jsonify(run=wanted.run, caption=wanted.caption, seed=wanted.seed,
                       notices=drawn.notices,
                       pictures=[describe_picture(each) for each in drawn.pictures])

    @routes.route('/api/gallery')
    def gallery():
        return jsonify(pictures=[describe_picture(each) for each in service.gallery.recent()])

    @routes.route('/api/pictures/<id>/<int:stage>.png')
    def picture(id, stage):
        found = service.gallery.get(id)
        if found is None or stage not in found.stages:
            raise Refusal(404, 'This picture is not there, or not any more; draw it again')
        answer = Response(found.stages[stage], mimetype='image/png')
        answer.headers['Cache-Control'] = 'private, max-age=3600'
        return answer

    return routes


def describe_run(
        run,               # Run
):
    """A run as the API tells of it."""
    facts = {'name': run.name, 'drawable': bool(run.stages), 'stages': run.stages,
             'sizes': run.sides, 'encoder': run.encoder_kind if run.encoder else 'none'}
    if run.stages:
        facts['by'] = 'onnx' if run.model else 'checkpoint'
    for name, value in (('why_not', run.why_not), ('note', run.note)):
        if value:
            facts[name] = value
    if 'index.html' in run.report:
        facts['report'] = url_for('pages.report', run=run.name)
    return facts


def describe_picture(
        picture,           # gallery.Picture
):
    """A picture as the API tells of it."""
    return {'id': picture.id, 'run': picture.run, 'caption': picture.caption,
            'seed': picture.seed, 'copy': picture.copy,
            'stages': {str(stage): url_for('api.picture', id=picture.id, stage=stage)
                       for stage in sorted(picture.stages)}}
