"""The images of `serve`: those that `sample` generates, whatever was asked besides."""

import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from serve_toy import RUN, SETTINGS
from serving_client import CAPTION, client_of, finest, generate, images_of, one_line, pixels
from toy import tiny_config

from jobs.engine.command_line import main
from stackgan.sampling.sample_request import NoiseSource, SampleRequest, Truncation
from stackgan.serving import models

pytestmark = pytest.mark.usefixtures('workers_end')


def test_images_are_those_of_sample(client, volume, tmp_path, capsys):
    """Same run, caption, seed and copy: the checkpoint by TensorFlow against ONNX."""
    (tmp_path / 'volume').mkdir()
    shutil.copytree(str(volume), str(tmp_path / 'volume' / 'of'))
    arguments = ['sample', '--caption', CAPTION, '--copies', '2',
                 '--data', str(tmp_path / 'volume' / 'of'), '--set', 'sample.seed=7']
    for text in SETTINGS:
        arguments += ['--set', text]
    assert main(arguments) == 0
    folder = capsys.readouterr().out.strip().splitlines()[-1].split(': ')[-1]
    answer = generate(client, '  a small   red bird with black wings', 7, count=2).get_json()
    assert [each['copy'] for each in answer['images']] == [0, 1]
    for number, image in enumerate(answer['images']):
        for stage, side in (('1', 64), ('2', 256)):
            ours = pixels(client, image['stages'][stage])
            theirs = np.asarray(Image.open(os.path.join(folder, '%d/%05d.png' % (side, number))))
            assert ours.shape == (side, side, 3) and np.abs(ours - theirs).max() <= 1
            assert ours.std() > 3                                 # there is something to compare


def test_an_image_depends_on_run_caption_seed_and_copy_alone(client, volume):
    def bytes_of(client, **asked):
        return [client.get(each['stages']['2']).data
                for each in generate(client, **asked).get_json()['images']]

    first = bytes_of(client)
    other = client_of(volume)                                     # another process, as it were
    assert bytes_of(other, caption='x', count=3) and bytes_of(other, count=2)[:1] == first
    assert bytes_of(client, seed=1) != first and bytes_of(client, caption='a bird') != first
    assert bytes_of(client, count=2)[1] != first[0]


def test_a_run_without_export_is_drawn_by_its_checkpoint(client, volume, tmp_path):
    shutil.copytree(str(volume), str(tmp_path / 'volume'))
    shutil.rmtree(str(tmp_path / 'volume' / 'runs' / RUN / 'export'))
    other = client_of(tmp_path / 'volume')
    assert other.get('/api/runs').get_json()['runs'][0]['by'] == 'checkpoint'
    ours, theirs = [pixels(each, generate(each, seed=5).get_json()['images'][0]['stages']['2'])
                    for each in (client, other)]
    assert np.abs(ours - theirs).max() <= 1
    without = client_of(tmp_path / 'volume', has_tensorflow=False)
    facts = without.get('/api/runs').get_json()['runs'][0]
    assert not facts['can_generate'] and 'run: python -m jobs export' in facts['why_not']
    assert 'run: python -m jobs export' in one_line(generate(without), 409)


def test_several_seeds_are_those_of_one_each(client):
    found = images_of(client, seed=3, seeds=2, count=2)
    assert [(each['seed'], each['copy']) for each in found] == [(3, 0), (3, 1), (4, 0), (4, 1)]
    alone, = images_of(client, seed=4)
    assert alone == found[2]


def test_between_two_seeds_the_ends_are_their_images(client):
    found = images_of(client, seed=1, other_seed=2, steps=3)
    assert [each['position'] for each in found] == [0, 0.5, 1] and found[0]['other_seed'] == 2
    first, last = [finest(client, images_of(client, seed=seed)[0]) for seed in (1, 2)]
    seen = [finest(client, each) for each in found]
    assert np.array_equal(seen[0], first) and np.abs(seen[2] - last).max() <= 1
    assert len({each['id'] for each in found}) == 3
    assert min(np.abs(seen[1] - each).mean() for each in (first, last)) > 1


def test_between_two_captions_the_noise_stays(client, volume):
    """The last image is that of the other embedding with the first one's noise, as in `sample`."""
    other = 'a large blue bird'
    found = images_of(client, seed=1, other_caption='  a large  blue bird ', steps=2)
    assert found[1]['other_caption'] == other
    first = finest(client, images_of(client, seed=1)[0])
    assert np.array_equal(finest(client, found[0]), first)
    run_, platform = client.service.runs.get(RUN), tiny_config().platform
    encoder, sampler = models.open_encoder(run_, platform), models.open_sampler(run_, platform)
    expected = sampler.generate([SampleRequest(CAPTION, encoder.embed([other])[0], 0, {})], 1)
    assert np.array_equal(finest(client, found[1]), expected[256][0])
    assert not np.array_equal(finest(client, found[1]), first)


def test_truncation(client):
    plain, wide, narrow = [finest(client, images_of(client, **more)[0]) for more in (
        {}, {'truncation': 10}, {'truncation': 0.1})]
    run_, platform = client.service.runs.get(RUN), tiny_config().platform
    encoder, sampler = models.open_encoder(run_, platform), models.open_sampler(run_, platform)
    expected = sampler.generate([SampleRequest(CAPTION, encoder.embed([CAPTION])[0], 0, {})],
                                [NoiseSource(0, Truncation(0.1))])
    assert np.array_equal(plain, wide) and np.array_equal(narrow, expected[256][0])
    assert not np.array_equal(plain, narrow)


def test_the_text_of_a_png_is_enough_to_generate_it_again(client):
    for more in ({'seeds': 2}, {'other_caption': 'a blue bird', 'steps': 3, 'truncation': 1.5}):
        image = images_of(client, seed=5, **more)[1]
        data = client.get(image['stages']['2']).data
        texts = Image.open(io.BytesIO(data)).text
        assert texts['Description'] == CAPTION
        facts = json.loads(texts['stackgan'])
        position = facts.pop('position')
        again = client.post('/api/generate', json=dict(
            facts, count=facts.pop('copy') + 1, steps=3 if position else 1))
        place = int(2 * position)
        assert client.get(again.get_json()['images'][place]['stages']['2']).data == data


def test_what_the_encoder_passes_over_is_said(client):
    def notices(caption):
        return generate(client, caption=caption).get_json()['notices']

    assert notices(CAPTION) == []
    assert 'first 201 characters' in notices('long ' * 60)[0] and len(notices('long ' * 60)) == 1
    assert 'unknown to the text encoder' in notices('a red \U0001f426')[0]
