"""What of an output is content: the same work has the same, whenever and however fast it ran."""

import json
import os
import random
import time

from test_contract import make_job, run
from toy import tiny_config

from jobs.engine.chain import BY_NAME
from jobs.engine.content import content_of, is_content
from jobs.engine.contract import Input, state_of
from stackgan.files import write_json, write_json_lines
from stackgan.manifests import look_at


def noting(work):
    """Work that leaves the same, with records of when and how fast."""
    os.makedirs(os.path.join(work.folder, 'events'), exist_ok=True)
    clock, speed = time.time(), random.random()
    with open(os.path.join(work.folder, 'events', f'events.{clock}'), 'w') as stream:
        stream.write(f'{clock}')
    write_json_lines(os.path.join(work.folder, 'stats.jsonl'), [{'per_second': speed}])
    write_json_lines(os.path.join(work.folder, 'scores.jsonl'), [{'value': 1, 'seconds': speed}])
    write_json(os.path.join(work.folder, 'made.json'), {'batch': work.config.train.batch_size})


def timed_job(**fields):
    return make_job('first', 'a', body=noting, records=('events/*', 'stats.jsonl'),
                    timed={'scores.jsonl': ('seconds',)}, **fields)


def content(folder):
    return look_at(str(folder)).manifest['content']


def test_times_change_nothing_for_what_follows(tmp_path):
    second = make_job('second', 'b', inputs=lambda config, volume: [Input('a', 'a', 'first')])
    run(timed_job(), tmp_path), run(second, tmp_path)
    before, files = content(tmp_path / 'a'), look_at(str(tmp_path / 'a')).manifest['files']
    run(timed_job(), tmp_path, force=True)
    assert look_at(str(tmp_path / 'a')).manifest['files'] != files
    assert content(tmp_path / 'a') == before
    assert state_of(second, tiny_config(), str(tmp_path)).word == 'done'
    run(timed_job(), tmp_path / 'elsewhere')
    assert content(tmp_path / 'elsewhere' / 'a') == before
    run(timed_job(), tmp_path, tiny_config('train.batch_size=8'))
    assert content(tmp_path / 'a') != before
    assert state_of(second, tiny_config(), str(tmp_path)) == ('stale', 'a changed')


def test_the_rest_of_a_file_with_times_is_content(tmp_path):
    def other(work):
        noting(work)
        write_json_lines(os.path.join(work.folder, 'scores.jsonl'), [{'value': 2, 'seconds': 1}])
    run(timed_job(), tmp_path / 'one')
    run(timed_job()._replace(run=other), tmp_path / 'two')
    assert content(tmp_path / 'one' / 'a') != content(tmp_path / 'two' / 'a')


def test_content_of_an_older_rule_is_kept_where_nothing_is_new(tmp_path):
    """So that what follows from an older volume stays done when an output is made again."""
    run(timed_job(), tmp_path)
    path = tmp_path / 'a' / 'manifest.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), content='of an older rule')))
    plain = timed_job()._replace(timed={}, records=('events/*', '*.jsonl'))
    run(plain, tmp_path, force=True)
    assert content(tmp_path / 'a') == 'of an older rule'
    run(plain, tmp_path, tiny_config('train.batch_size=8'))
    assert content(tmp_path / 'a') != 'of an older rule'


def test_fewer_files_are_the_same_only_of_a_training_that_lost_some(tmp_path):
    run(make_job(), tmp_path)
    manifest = look_at(str(tmp_path / 'out')).manifest
    less = {name: facts for name, facts in manifest['files'].items() if name == 'config.yaml'}
    for resumes, files, same in ((False, manifest['files'], True), (False, less, False),
                                 (True, less, False)):
        job = make_job(resumes=resumes)
        assert same == (manifest['content'] == content_of(
            job, str(tmp_path / 'out'), manifest['request'], files))


def test_each_job_says_which_of_its_files_are_records():
    for name, records, made in (
            ('train-stage1', ['stats.jsonl', 'events/events.out.tfevents.1', 'samples/00000000.png',
                              'config.yaml', 'options.json'], ['checkpoints/00000003/model.index']),
            ('train-stage2', ['stats.jsonl', 'events/x'], ['checkpoints/00000003/checkpoint.json']),
            ('train-text-encoder', ['stats.jsonl', 'image-encoder/stats.jsonl'],
             ['options.json', 'encoder/00000003/model.index', 'retrieval.json',
              'image-encoder/checkpoints/00000003/model.index']),
            ('train-scorer', ['stats.jsonl'], ['scorer.json', 'network/1/model.index']),
            ('score', ['events/x'], ['scores.jsonl', 'refused.json', 'features/a/rows.npy']),
            ('sample', ['config.yaml'], ['samples.jsonl', '64/00000.png', 'grid.png']),
            ('report', ['index.html'], ['contact-sheet.png']),
            ('convert-om', ['convert.json', 'a.atc.log'], ['a.om']),
            ('verify-om', ['verify.json', 'results/a/b.bin'], ['expected/a/0.bin'])):
        assert [each for each in records if is_content(BY_NAME[name], each)] == []
        assert [each for each in made if not is_content(BY_NAME[name], each)] == []
    assert BY_NAME['score'].timed == {'scores.jsonl': ('seconds',)}
