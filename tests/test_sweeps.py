"""Sweeps: their points and names, what runs share, the order of their jobs, kills and failures."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml
from toy import ROOT
from volume_toy import run_job

from jobs.engine.command_line import main
from jobs.engine.contract import Input, Job, folder_of, state_of
from jobs.engine.locks import locked
from jobs.engine.sweeps import arrays, local, points, sharing, trials
from jobs.engine.sweeps.plan import jobs_of, nodes_of
from jobs.engine.sweeps.schedule import DONE, HELD, TO_DO, Schedule
from stackgan.config import load_config
from stackgan.errors import InputError, StackganError
from stackgan.files import files_below, write_json

SMOKE = os.path.join(ROOT, 'configs', 'smoke.yaml')
RATES, EPOCHS = 'train.generator_learning_rate', 'stage2.epochs'


def load(overrides):
    return load_config(SMOKE, overrides)


def make(volume, grid, stage=None, **more):
    request = points.Request(points.grid_of(grid), {}, **more)
    return trials.make_sweep('smoke', points.points_of(request), load, str(volume), None, stage)


# ---- Points and names ----

def test_a_grid_is_all_combinations_in_their_order():
    request = points.Request(points.grid_of([
        f'{RATES}=1e-4,2e-4', 'text.filters=[1, 2, 3],[4, 5, 6]', 'train.loss=hinge']), {})
    assert points.points_of(request) == [
        {RATES: rate, 'text.filters': filters, 'train.loss': 'hinge'}
        for rate in ('1e-4', '2e-4') for filters in ([1, 2, 3], [4, 5, 6])]


def test_a_random_search_has_the_same_runs_for_the_same_seed():
    def chosen(seed):
        return points.points_of(points.Request(
            points.grid_of(['train.loss=hinge,cross-entropy']), points.ranges_of(
                [f'{RATES}=1e-5..1e-3:log', 'train.batch_size=8..12']), 40, seed))

    found = chosen(3)
    assert found == chosen(3) != chosen(4)
    assert len(found) == 40 and all(found.count(point) == 1 for point in found)
    rates = sorted(point[RATES] for point in found)
    assert 1e-5 <= rates[0] < 3e-5 and 3e-4 < rates[-1] <= 1e-3
    assert 8 < sum(rate < 1e-4 for rate in rates) < 32         # half of the orders of magnitude
    assert {point['train.batch_size'] for point in found} == {8, 9, 10, 11, 12}
    assert all(len(re.sub('[.0]|e.*', '', f'{rate:e}')) <= 3 for rate in rates)


def test_a_file_says_the_same_and_options_come_first(tmp_path):
    path = tmp_path / 'sweep.yaml'
    path.write_text(yaml.safe_dump({
        'grid': {RATES: [1e-4, 2e-4], EPOCHS: [1, 2]},
        'range': {'train.kl_coefficient': '1..4:log'}, 'random': 3, 'seed': 1,
        'score': 'kid/scorer', 'stage': 1, 'name': 'mine'}))
    found = points.merged(points.read_request(str(path)), points.Request(
        points.grid_of([f'{EPOCHS}=3']), {}, score='fid/scorer'))
    assert found == points.Request(
        {RATES: [1e-4, 2e-4], EPOCHS: [3]}, {'train.kl_coefficient': points.Range(1, 4, True)},
        3, 1, 'fid/scorer', 1, 'mine')


@pytest.mark.parametrize('words, text', [
    (['--grid', 'train.batch_size'], 'not of the form'),
    (['--grid', 'train.batch_size='], 'at least one value'),
    (['--grid', 'train.batch_size=4,4'], 'the value 4 is there twice'),
    (['--grid', 'train.batch_size=[4'], 'not a list of values'),
    (['--grid', 'train.batchsize=4,8'], 'did you mean batch_size?'),
    (['--grid', 'train.batch_size=4,one'], 'expected a whole number'),
    (['--grid', 'data.crop=box,centre'], 'data.crop cannot be varied: all runs of a sweep are'),
    (['--grid', 'run.name=a,b'], 'the sweep names its runs'),
    (['--grid', 'text.steps=1,2', '--score', 'r_precision/top1_of_100'], 'does not compare them'),
    (['--grid', 'text.steps=1,2', '--score', 'beauty'], 'must begin with one of fid, kid'),
    (['--range', 'train.kl_coefficient=1..2'], 'pass --random N'),
    (['--range', 'train.kl_coefficient=2..1', '--random', '2'], 'must be below the higher'),
    (['--range', 'train.kl_coefficient=0..1:log', '--random', '2'], 'above 0 with log'),
    (['--range', 'train.kl_coefficient=one', '--random', '2'], 'not of the form'),
    (['--grid', 'text.steps=1,2', '--random', '3'], 'there are only 2 different runs'),
    (['--grid', 'text.steps=' + ','.join(map(str, range(1, 1002)))], 'at most 1000'),
    (['--grid', 'text.steps=1,2', '--cards', '0,/dev/x'], 'must be numbers of cards'),
    (['--grid', 'text.steps=1,2', '--parallel', '0'], 'must be 1 to 1000'),
    (['--file', 'nowhere.yaml'], 'nowhere.yaml: cannot be read'),
    ([], 'there is no sweep smoke'),
    (['--name', '../x', '--grid', 'text.steps=1,2'], '--name ../x: may contain only')])
def test_what_cannot_be_is_one_line_and_leaves_nothing(tmp_path, capsys, words, text):
    assert main(['sweep', '--config', SMOKE, '--data', str(tmp_path)] + words) == 2
    error = capsys.readouterr().err
    assert text in error and len(error.splitlines()) == 1, error
    assert os.listdir(str(tmp_path)) == []


def test_runs_are_named_by_what_differs(tmp_path):
    sweep = make(tmp_path, [f'{RATES}=1e-4,2e-4', 'stage1.epochs=1,2', 'stage2.epochs=3'])
    assert [trial.run for trial in sweep.trials] == [
        f'smoke-generator_learning_rate-{rate}-epochs-{epochs}'
        for rate in ('0.0001', '0.0002') for epochs in (1, 2)]
    assert [trial.values for trial in sweep.trials][1] == {RATES: 1e-4, 'stage1.epochs': 2.0}
    both = make(tmp_path, ['stage1.epochs=1,2', 'stage2.epochs=3,4'])
    assert both.trials[0].run == 'smoke-stage1.epochs-1-stage2.epochs-3'
    many = make(tmp_path, [f'{RATES}=1e-4,2e-4', 'train.discriminator_learning_rate=1e-4,2e-4',
                           'stage1.learning_rate_half_life_epochs=1,2'])
    assert many.trials[0].run == 'smoke-glr-0.0001-dlr-0.0001-lrhle-1'
    same = make(tmp_path, [f'{RATES}=0.00010001,0.00010002'])       # equal when they are shown
    assert len({trial.run for trial in same.trials}) == 2
    assert all(len(trial.run) <= 64 for each in (sweep, both, many, same) for trial in each.trials)


def test_the_record_gives_the_same_sweep_again(tmp_path):
    sweep = make(tmp_path, [f'{RATES}=1e-4,2e-4', 'stage1.epochs=1,2'], stage=1)
    trials.write_record(sweep)
    found = trials.read_record('smoke', str(tmp_path), None)
    assert found == sweep and list(found.trials[0].values) == [RATES, 'stage1.epochs']
    assert trials.read_record('smoke', str(tmp_path), 'kid/scorer').score == 'kid/scorer'
    path = os.path.join(sweep.folder, 'sweep.json')
    outside = {'score': 'fid/scorer', 'stage': 1, 'keys': [],
               'runs': [{'run': '../x', 'values': {}}]}
    for damaged in ({}, outside):
        write_json(path, damaged)
        with pytest.raises(InputError, match='is damaged'):
            trials.read_record('smoke', str(tmp_path), None)


# ---- What runs share ----

def test_jobs_with_equal_settings_and_inputs_have_one_key(tmp_path):
    nodes = nodes_of(make(tmp_path, [f'{EPOCHS}=1,2']), str(tmp_path))
    keys = {}
    for node in nodes:
        keys.setdefault(node.job.name, set()).add(node.key)
    assert {name for name, each in keys.items() if len(each) == 1} == {
        'make-dataset', 'preprocess', 'train-text-encoder', 'embed', 'train-stage1', 'train-scorer'}
    assert {name for name, each in keys.items() if len(each) == 2} == {
        'train-stage2', 'sample', 'score', 'report'}


def test_stage1_alone_trains_no_stage2(tmp_path):
    names = [job.name for job, _ in jobs_of(1, load([]), str(tmp_path))]
    assert names == ['make-dataset', 'preprocess', 'train-text-encoder', 'embed', 'train-stage1',
                     'sample', 'train-scorer', 'score']


def toy_job(name, made_by=None, **more):
    """A fake of a job that runs no library: it writes its settings, or copies what it reads."""
    def write(work):
        os.makedirs(os.path.join(work.folder, 'inner'))
        with open(os.path.join(work.folder, 'inner', 'made'), 'w') as stream:
            stream.write(str(work.settings))

    return Job(**dict(dict(
        name=name, summary='', run=write, output=lambda config: f'runs/{config.run.name}/{name}',
        inputs=lambda config, volume: [Input('from', f'runs/{config.run.name}/{made_by}', made_by)]
        if made_by else [], settings=lambda config: {'stage1': {'epochs': config.stage1.epochs}}),
        **more))


def finish(job, run, volume, *overrides):
    config = load([f'run.name={run}'] + list(overrides))
    assert run_job(job._replace(uses_tensorflow=False), volume, config) == 0
    return folder_of(job, config, str(volume))


def test_an_equal_output_of_another_run_is_linked_and_up_to_date(tmp_path):
    first, second = toy_job('first'), toy_job('second', 'first')
    made = finish(first, 'a', tmp_path)
    finish(first, 'c', tmp_path, 'stage1.epochs=7')
    config = load(['run.name=b'])
    assert sharing.take_equal_output(second, config, str(tmp_path)) is None     # nothing to read
    assert sharing.take_equal_output(first, config, str(tmp_path)) == made
    assert state_of(first, config, str(tmp_path)).word == 'done'
    folder = folder_of(first, config, str(tmp_path))
    assert os.path.samefile(folder + '/inner/made', made + '/inner/made')
    assert not os.path.samefile(folder + '/log.txt', made + '/log.txt')         # which grow
    assert files_below(folder) == files_below(made)
    assert sharing.take_equal_output(second, config, str(tmp_path)) is None     # nobody has made it
    made = finish(second, 'a', tmp_path)
    assert sharing.take_equal_output(second, config, str(tmp_path)) == made
    assert sharing.take_equal_output(second, config, str(tmp_path)) is None     # it is there now


def test_what_is_damaged_other_or_begun_is_not_linked(tmp_path):
    job = toy_job('first')
    made, config = finish(job, 'a', tmp_path), load(['run.name=b'])
    folder = folder_of(job, config, str(tmp_path))
    assert sharing.take_equal_output(job, load(['run.name=b', 'stage1.epochs=9']),
                                     str(tmp_path)) is None
    os.makedirs(folder + '.partial')
    assert sharing.take_equal_output(job, config, str(tmp_path)) is None
    os.rmdir(folder + '.partial')
    os.rename(made + '/inner/made', str(tmp_path / 'elsewhere'))
    assert sharing.take_equal_output(job, config, str(tmp_path)) is None
    os.symlink(str(tmp_path / 'elsewhere'), made + '/inner/made')        # another file of theirs
    assert sharing.take_equal_output(job, config, str(tmp_path)) is None
    assert not os.path.exists(folder)


def test_two_tasks_of_a_run_that_link_the_same_do_not_fail(tmp_path, monkeypatch):
    job = toy_job('first')
    made, config = finish(job, 'a', tmp_path), load(['run.name=b'])
    with locked(folder_of(job, config, str(tmp_path)), 'other'):
        with pytest.raises(StackganError, match='another job is writing'):
            sharing.take_equal_output(job, config, str(tmp_path))
        waits = []
        monkeypatch.setattr(sharing.time, 'sleep', waits.append)
        with pytest.raises(StackganError):
            sharing.take_patiently(job, config, str(tmp_path))
        assert waits.count(1.0) == sharing.PATIENCE       # besides those for the lock itself
    assert sharing.take_patiently(job, config, str(tmp_path)) == made


# ---- The order of jobs ----

class FakeJobs:
    """Fakes of processes: they take turns as the test says, and record what ran beside what."""

    def __init__(self, codes=None, held=()):
        self.codes, self.held = codes or {}, dict.fromkeys(held, 2)
        self.running, self.log, self.most = set(), [], 0
        self.done, self.slots, self.alone = set(), set(), []
        self.lock = threading.Lock()

    def look(self, node):
        if self.held.get(node.key):
            self.held[node.key] -= 1
            return HELD
        return DONE if node.key in self.done else TO_DO

    def run(self, node, slot, alone):
        with self.lock:
            assert node.key not in self.running and slot not in self.slots
            self.running.add(node.key), self.slots.add(slot)
            self.most = max(self.most, len(self.running))
            self.log.append((node.number, node.job.name))
            if alone:
                self.alone.append(node.job.name)
        time.sleep(0.02)
        code = self.codes.get((node.number, node.job.name), 0)
        with self.lock:
            self.running.discard(node.key), self.slots.discard(slot)
            if code == 0:
                self.done.add(node.key)
        return code


def test_shared_jobs_run_once_and_no_more_at_once_than_allowed(tmp_path):
    nodes = nodes_of(make(tmp_path, [f'{EPOCHS}=1,2,3,4']), str(tmp_path))
    for limit in (1, 2, 3):
        fake = FakeJobs()
        outcome = Schedule(nodes, limit, fake.look, fake.run).run()
        assert (outcome.exit_code, outcome.not_run) == (0, []) and fake.most == limit
        assert len(fake.log) == len({node.key for node in nodes})
        for node in nodes:                      # after all that it reads
            if (node.number, node.job.name) in fake.log:
                own = fake.log.index((node.number, node.job.name))
                for name in node.after:
                    maker = next(each for each in fake.log if each in [
                        (other.number, name) for other in nodes if other.key == next(
                            mine.key for mine in nodes if (mine.number, mine.job.name)
                            == (node.number, name))])
                    assert fake.log.index(maker) < own
    assert fake.alone[:2] == ['make-dataset', 'preprocess']      # with all cores


def test_a_failure_ends_what_needs_it_alone(tmp_path):
    nodes = nodes_of(make(tmp_path, [f'{EPOCHS}=1,2,3']), str(tmp_path))
    fake = FakeJobs({(1, 'train-stage2'): 2})
    outcome = Schedule(nodes, 2, fake.look, fake.run).run()
    assert outcome.exit_code == 2
    assert {(node.number, node.job.name) for node in outcome.not_run} == {
        (1, 'sample'), (1, 'score'), (1, 'report')}
    fake = FakeJobs({(0, 'train-text-encoder'): 1})         # which no other run tries again
    outcome = Schedule(nodes, 2, fake.look, fake.run).run()
    assert outcome.exit_code == 1
    assert [name for _, name in fake.log].count('train-text-encoder') == 1
    assert {node.job.name for node in outcome.not_run} == {
        'train-text-encoder', 'embed', 'train-stage1', 'train-stage2', 'sample', 'score', 'report'}


def test_a_job_of_another_process_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr('jobs.engine.sweeps.schedule.HELD_SECONDS', 0.01)
    nodes = nodes_of(make(tmp_path, [f'{EPOCHS}=1,2']), str(tmp_path))
    held = [node.key for node in nodes if node.job.name in ('make-dataset', 'train-stage1')]
    fake = FakeJobs(held=held)
    assert Schedule(nodes, 2, fake.look, fake.run).run().not_run == []


def test_cores_are_divided_and_cards_taken_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(10)), raising=False)
    assert local.cores_of_slots(1) == []
    assert local.cores_of_slots(3) == [{0, 1, 2}, {3, 4, 5}, {6, 7, 8, 9}]
    assert local.cores_of_slots(11) == []


SLOW_JOB = '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'saved\\n'), os._exit(130)))
print('begun', os.environ.get('CUDA_VISIBLE_DEVICES'), 'STACKGAN_SET' in os.environ, flush=True)
time.sleep(60)
'''


def test_a_signal_asks_every_job_to_save(tmp_path, monkeypatch):
    """Real processes, of a fake of the command: both get it, and nothing starts afterwards."""
    if threading.current_thread() is not threading.main_thread():      # pytest-xdist in Python 3.7
        pytest.skip('needs the main thread, which alone gets signals: run this file without -n')
    monkeypatch.setattr(local, 'command_of', lambda node, volume: [sys.executable, '-c', SLOW_JOB])
    monkeypatch.setenv('STACKGAN_SET', 'train.batch_size=2')
    sweep = make(tmp_path, [f'{RATES}=1e-4,2e-4,3e-4'])
    nodes = [node._replace(after=()) for node in nodes_of(sweep, str(tmp_path))
             if node.job.name == 'train-stage1']

    def interrupt():
        logs = os.path.join(sweep.folder, 'logs')
        while sum('begun' in open(os.path.join(logs, name)).read() for name in (
                os.listdir(logs) if os.path.isdir(logs) else ())) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    with pytest.raises(BaseException, match='SIGTERM'):
        local.run_here(sweep, nodes, str(tmp_path), 2, ['4', '5'])
    texts = [open(os.path.join(sweep.folder, 'logs', name)).read()
             for name in sorted(os.listdir(os.path.join(sweep.folder, 'logs')))]
    assert texts == ['begun 4 False\nsaved\n', 'begun 5 False\nsaved\n']


# ---- Slurm ----

def test_arrays_wait_for_what_their_tasks_read(tmp_path):
    sweep = make(tmp_path, [f'{EPOCHS}=1,2', 'stage1.epochs=1,2'])
    found = arrays.arrays_of(nodes_of(sweep, str(tmp_path)), lambda node: False)
    by_name = {}
    for array in found:
        by_name.setdefault(array.job, []).append(array)
    assert [[node.number for node in array.nodes] for array in by_name['embed']] == [[0]]
    stage1, = by_name['train-stage1']
    assert [node.number for node in stage1.nodes] == [0, 1]     # of each number of epochs one
    assert stage1.shared == (('preprocess', 0), ('embed', 0)) and stage1.same == ()
    tasks = {tuple(node.number for node in array.nodes): array.shared
             for array in by_name['train-stage2']}
    assert {numbers: shared[-1] for numbers, shared in tasks.items()} == {
        (0, 2): ('train-stage1', 0), (1, 3): ('train-stage1', 1)}
    sample = by_name['sample']
    assert [found[each.same[0]].job for each in sample] == ['train-stage2'] * len(sample)
    assert sorted(node.number for each in sample for node in each.nodes) == [0, 1, 2, 3]
    text = arrays.script_of(stage1, 4, sweep, str(tmp_path), 1)
    assert '--array=0,1%1' in text and 'unset STACKGAN_SET' in text
    assert subprocess.run(['bash', '-n'], input=text, universal_newlines=True).returncode == 0
    assert subprocess.run(['bash', '-n'], universal_newlines=True, input=arrays.report_script(
        sweep, str(tmp_path))).returncode == 0


def test_what_is_done_is_not_submitted(tmp_path):
    nodes = nodes_of(make(tmp_path, [f'{EPOCHS}=1,2']), str(tmp_path))
    shared = {'make-dataset', 'preprocess', 'train-text-encoder', 'embed', 'train-stage1',
              'train-scorer'}
    found = arrays.arrays_of(nodes, lambda node: node.number == 0 or node.job.name in shared)
    assert [(array.job, [node.number for node in array.nodes], array.shared, array.same)
            for array in found] == [
        ('train-stage2', [1], (), ()), ('sample', [1], (), (0,)),
        ('score', [1], (), (0,)), ('report', [1], (), (0, 1, 2))]
