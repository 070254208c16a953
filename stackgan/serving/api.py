"""The JSON API, described by openapi.json."""

import os
from typing import Any, Dict, List

from flask import Blueprint, Response, jsonify, request, send_file, url_for

from stackgan.serving import generate_request
from stackgan.serving.gallery import GeneratedImage
from stackgan.serving.metrics import TYPE
from stackgan.serving.neighbours import Neighbour
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run
from stackgan.serving.service import (
    Service,
    all_runs,
    can_find_nearest,
    find_nearest,
    generate,
)

PING_SECONDS = 2            # that the worker has to answer in
DESCRIPTION = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'openapi.json')


def api(service: Service) -> Blueprint:
    """Blueprint of the API."""
    routes = Blueprint('api', __name__)

    @routes.route('/health')
    def health() -> Response:
        return _health(service)

    @routes.route('/metrics')
    def metrics() -> Response:
        return Response(service.metrics.text(len(service.queue), service.limits.queue),
                        content_type=TYPE)

    @routes.route('/openapi.json')
    def description() -> Response:
        return send_file(DESCRIPTION, mimetype='application/json')

    @routes.route('/api/runs')
    def runs() -> Response:
        return jsonify(runs=[describe_run(run) for run in all_runs(service)])

    @routes.route('/api/generate', methods=['POST'])
    def generate_images() -> Response:
        if request.mimetype != 'application/json':
            raise Refusal(415, 'Send JSON, with the header Content-Type: application/json')
        requested = generate_request.from_json(request.get_data(), service.limits)
        generated = generate(service, requested, request.remote_addr)
        return jsonify(run=requested.run, caption=requested.caption, seed=requested.seed,
                       notices=generated.notices,
                       images=_described(service, generated.images))

    @routes.route('/api/gallery')
    def gallery() -> Response:
        return jsonify(images=_described(service, service.gallery.recent()))

    @routes.route('/api/images/<id>/<int:stage>.png')
    def image(id: str, stage: int) -> Response:
        found = service.gallery.get(id)
        if found is None or stage not in found.stages:
            raise Refusal(404, 'This image is not kept any more; generate it again')
        return _png(found.stages[stage])

    @routes.route('/api/images/<id>/nearest')
    def nearest(id: str) -> Response:
        found = find_nearest(service, id, request.remote_addr or '')
        return jsonify(images=describe_neighbours(id, found))

    @routes.route('/api/images/<id>/nearest/<int:number>.png')
    def neighbour(id: str, number: int) -> Response:
        found = service.neighbours.get(id)
        if found is None or number >= len(found):
            raise Refusal(404, 'These training images are not kept any more; ask for them again')
        return _png(found[number].png)

    return routes


def _health(service: Service) -> Response:
    runs, worker = all_runs(service), service.worker.state(PING_SECONDS)
    is_well = worker in ('ready', 'generating', 'starting')
    bad = [{'name': run.name, 'faults': list(run.faults)} for run in runs if run.faults]
    answer = jsonify(
        ok=is_well, versions=service.versions, worker=worker,
        queue={'length': len(service.queue), 'limit': service.limits.queue},
        runs={'found': len(runs), 'bad': bad})
    answer.status_code = 200 if is_well else 503
    return answer


def _png(data: bytes) -> Response:
    answer = Response(data, mimetype='image/png')
    answer.headers['Cache-Control'] = 'private, max-age=3600'
    return answer


def describe_neighbours(
        id: str,                     # of the generated image
        found: List[Neighbour],
) -> List[Dict[str, Any]]:
    """The nearest training images as the API returns them, the nearest first."""
    return [{'name': each.name, 'caption': each.caption, 'distance': each.distance,
             'mirrored': each.mirrored,
             'image': url_for('api.neighbour', id=id, number=number)}
            for number, each in enumerate(found)]


def describe_run(run: Run) -> Dict[str, Any]:
    """A run as the API returns it."""
    facts = {'name': run.name, 'can_generate': bool(run.stages), 'stages': run.stages,
             'sizes': run.sides, 'encoder': run.encoder_kind if run.encoder else 'none'}
    if run.stages:
        facts['by'] = 'onnx' if run.model else 'checkpoint'
    if run.checkpoints:
        facts['checkpoints'] = [f'{run.name}@{step}' for step in run.checkpoints]
    for name, value in (('why_not', run.why_not), ('note', run.note)):
        if value:
            facts[name] = value
    if 'index.html' in run.report:
        facts['report'] = url_for('pages.report', run=run.name)
    return facts


def _described(service: Service, images: List[GeneratedImage]) -> List[Dict[str, Any]]:
    """Images as the API returns them."""
    have_nearest = {name for name in {each.run for each in images}
                    if can_find_nearest(service, name)}
    return [_describe_image(each, each.run in have_nearest) for each in images]


def _describe_image(image: GeneratedImage, has_nearest: bool) -> Dict[str, Any]:
    more = {'nearest': url_for('api.nearest', id=image.id)} if has_nearest else {}
    return dict(
        image.more, **more, id=image.id, run=image.run, caption=image.caption, seed=image.seed,
        copy=image.copy, stages={str(stage): url_for('api.image', id=image.id, stage=stage)
                                 for stage in sorted(image.stages)})
