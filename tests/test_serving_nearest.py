"""The nearest training images on the page of `serve`: those that a search by hand finds."""

import io
import json
import re
import shutil

import needs
import numpy as np
import pytest
from browser import Browser
from PIL import Image
from serve_toy import RUN, Served
from serving_client import check_answer, client_of, generate, images_of, one_line, pixels

from jobs.engine.contract import read_manifest
from stackgan.data.prepared import Split, open_dataset
from stackgan.files import write_json
from stackgan.serving import frames
from stackgan.serving.gallery import GeneratedImage
from stackgan.serving.neighbours import KEPT, KeptNeighbours
from stackgan.serving.process import _neighbours

pytest.importorskip('jsonschema')
pytestmark = pytest.mark.usefixtures('workers_end')


def prepared_of(volume):
    return next(each for each in (volume / 'prepared').iterdir() if each.is_dir())


@pytest.fixture(scope='module')
def trained(volume, tmp_path_factory):
    """The volume, whose stage says what it was trained on."""
    folder = tmp_path_factory.mktemp('trained') / 'volume'
    shutil.copytree(str(volume), str(folder))
    prepared = prepared_of(folder)
    stage = folder / 'runs' / RUN / 'stage2'
    manifest = read_manifest(str(stage))
    manifest['request']['inputs']['prepared'] = read_manifest(str(prepared))['content']
    write_json(str(stage / 'manifest.json'), manifest)
    return folder


@pytest.fixture(scope='module')
def training_images(trained):
    """[N, 64, 64, 3] int: the middles of the stored 76 px images, read without the searcher."""
    prepared = prepared_of(trained)
    return np.concatenate([np.load(str(path)) for path in sorted(
        (prepared / 'train').glob('images-076-*.npy'))])[:, 6:70, 6:70].astype(int)


def by_hand(image, training_images):
    """[(distance, index, mirrored)] of all training images, the nearest first."""
    found = []
    for index, each in enumerate(training_images):
        straight, turned = [np.sqrt(np.mean((image - one) ** 2.0)) for one in (
            each, each[:, ::-1])]
        found.append((min(straight, turned), index, turned < straight))
    return sorted(found)


def test_they_are_those_of_a_search_by_hand(trained, training_images):
    client = client_of(trained)
    image, = images_of(client, seed=2)
    small = Image.fromarray(pixels(client, image['stages']['2']).astype(np.uint8))
    small = np.asarray(small.resize((64, 256), Image.BICUBIC).resize((64, 64), Image.BICUBIC))
    expected = by_hand(small.astype(int), training_images)[:4]
    answer = client.get(image['nearest'])
    document = client.get('/openapi.json').get_json()
    check_answer(document, '/api/images/{id}/nearest', 'get', answer)
    check_answer(document, '/api/images/{id}/nearest/{number}.png', 'get',
                 client.get(image['nearest'] + '/0.png'))
    found = answer.get_json()['images']
    prepared = prepared_of(trained)
    split = Split(open_dataset(str(prepared)), 'train')
    items = split.items()
    for each, (distance, index, mirrored) in zip(found, expected):
        assert each['name'] == items[index]['name'] and each['mirrored'] == mirrored
        assert each['caption'] == items[index]['captions'][0]
        assert abs(each['distance'] - distance) < 1e-3
        shown = split.image(index, 304)[24:280, 24:280].astype(int)
        assert np.array_equal(pixels(client, each['image']), shown[:, ::-1] if mirrored else shown)
    assert len(found) == 4
    assert client.get(image['nearest'] + '/4.png').status_code == 404


def test_a_copy_is_at_distance_zero(trained, training_images):
    client, stream = client_of(trained), io.BytesIO()
    Image.fromarray(training_images[3][:, ::-1].astype(np.uint8)).save(stream, 'PNG')
    client.service.gallery.add([GeneratedImage('of', RUN, 'a', 0, 0, {1: stream.getvalue()})])
    first = client.get('/api/images/of/nearest').get_json()['images'][0]
    assert first['distance'] == 0 and first['mirrored']
    page = client.get('/?image=of&nearest=1').get_data(as_text=True)
    assert 'distance 0.0, mirrored' in page and first['image'] in page
    assert re.search(r'id="find-nearest" href="/\?image=of&amp;nearest=1#nearest"', page)


def test_only_where_the_volume_has_them(trained, volume, tmp_path):
    client = client_of(trained)
    assert one_line(client.get('/api/images/gone/nearest'), 404)
    assert one_line(client.get('/api/images/gone/nearest', headers={
        'Sec-Fetch-Site': 'cross-site'}), 403)
    shutil.copytree(str(trained), str(tmp_path / 'volume'))
    other = client_of(tmp_path / 'volume')
    image, = images_of(other)
    assert 'nearest' in image
    shutil.rmtree(str(tmp_path / 'volume' / 'prepared'))
    assert 'are not here' in one_line(other.get(image['nearest']), 409)
    assert 'nearest' not in other.get('/api/gallery').get_json()['images'][0]
    assert 'href="/?image' not in re.search(r'<p id="find".*?</p>', other.get(
        '/?image=' + image['id']).get_data(as_text=True), re.S).group()
    other.service.runs._shows_training_images = False          # --no-nearest
    assert 'nearest' not in images_of(other)[0]


def test_damaged_images_are_one_sentence_and_kept_results_cost_nothing(trained, tmp_path):
    shutil.copytree(str(trained), str(tmp_path / 'volume'))
    client = client_of(tmp_path / 'volume', rate=4)
    image, = images_of(client)
    prepared = prepared_of(tmp_path / 'volume')
    path = str(next((prepared / 'train').glob('images-076-*.npy')))
    with open(path, 'rb') as stream:
        whole = stream.read()
    with open(path, 'wb') as stream:
        stream.write(b'x' * len(whole))
    message = one_line(client.get(image['nearest']), 503)
    assert 'cannot be read' in message and str(tmp_path) not in message
    assert any('not a readable array' in line for line in client.lines)
    with open(path, 'wb') as stream:
        stream.write(whole)
    for _ in range(5):
        assert client.get(image['nearest']).status_code == 200
    assert generate(client, 'another').status_code == 200          # the fourth that counts
    assert generate(client, 'more').status_code == 429


@pytest.mark.parametrize('facts, sizes', [
    (None, []), ([['a', 'b', 1.0, True]], []), ([['a', 'b', 1.0, True]], [9]),
    ([['a', 'b', 1, True]], [8]), ([['a', 'b', float('nan'), True]], [8]),
    ([['a', 'b', 1.0]], [8]), ([['a', 'b', 1.0, True]] * 5, [8] * 5)])
def test_what_a_taken_over_worker_sends_is_refused(facts, sizes):
    png = b'\x89PNG\r\n\x1a\n' * max(1, len(sizes))
    with pytest.raises(frames.Gone):
        _neighbours({'nearest': facts, 'sizes': sizes}, png)


def test_few_are_kept():
    kept = KeptNeighbours()
    for number in range(KEPT + 1):
        kept.add(str(number), [])
    assert kept.get('0') is None and kept.get('1') == []


@pytest.mark.newest
@needs.browser
def test_the_page_shows_them(trained):
    with Served(trained) as server, Browser() as browser:
        browser.open(server.url + '/')
        browser.click('#caption')
        browser.type('a small red bird')
        browser.click('#generate')
        browser.wait('document.getElementById("progress").textContent === "Done."')
        browser.click('#find-nearest')
        browser.wait('!document.getElementById("nearest").hidden')
        images = json.loads(server.ask('/api/gallery')[2].decode())['images']
        expected = json.loads(server.ask(images[0]['nearest'])[2].decode())['images']
        assert browser.evaluate('[...document.querySelectorAll("#nearest .name")].map('
                                'each => each.title)') == [each['name'] for each in expected]
        browser.wait('[...document.querySelectorAll("#nearest img")].every('
                     'each => each.naturalWidth === 256)')
        assert browser.complaints == []
