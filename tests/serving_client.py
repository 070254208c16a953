"""The application of `serve`, asked within this process."""

import io

import numpy as np
from logged import attach
from PIL import Image
from serve_toy import RUN
from toy import tiny_config

from jobs.engine.contract import read_manifest
from stackgan.serving.app import create_app
from stackgan.serving.limits import Limits
from stackgan.serving.runs import Runs
from stackgan.serving.service import make_service

CAPTION = 'a small red bird with black wings'
SERVICES = []          # that were made; the fixture `workers_end` ends their workers


def client_of(volume, has_tensorflow=True, live=None, **limits):
    """A client of the application; `lines` has what it says."""
    lines = []
    attach(lines)
    runs = Runs(str(volume), read_manifest)
    runs._has_tensorflow = has_tensorflow
    service = make_service(runs, tiny_config().platform, Limits(**dict({'rate': 10000}, **limits)),
                           {'stackgan': '0'}, RUN, live)
    SERVICES.append(service)
    app = create_app(service)
    client = app.test_client()
    client.lines, client.service, client.app = lines, service, app
    return client


def generate(client, caption=CAPTION, seed=0, **more):
    return client.post('/api/generate', json=dict(more, run=RUN, caption=caption, seed=seed))


def pixels(client, path):
    answer = client.get(path)
    assert answer.status_code == 200 and answer.mimetype == 'image/png'
    return np.asarray(Image.open(io.BytesIO(answer.data))).astype(int)


def one_line(answer, *statuses):
    """The message of a refusal: one plain sentence, as described."""
    assert answer.status_code in statuses, answer.data
    assert list(answer.get_json()) == ['error']
    message = answer.get_json()['error']
    assert message and '\n' not in message and 'Traceback' not in message and '<' not in message
    return message


def schema_of(document, schema):
    return dict(schema, components=document['components'])


def check_answer(document, path, method, answer):
    described = document['paths'][path][method]['responses'][str(answer.status_code)]
    if '$ref' in described:
        described = document['components']['responses'][described['$ref'].split('/')[-1]]
    assert answer.mimetype in described['content']
    for name in described.get('headers', ()):
        assert name in answer.headers
    if answer.mimetype == 'application/json':
        schema = described['content']['application/json']['schema']
        from jsonschema import validate
        validate(answer.get_json(), schema_of(document, schema))


def images_of(client, **asked):
    return generate(client, **asked).get_json()['images']


def finest(client, image):
    return pixels(client, image['stages']['2'])
