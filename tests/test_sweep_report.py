"""The page of a sweep: its order, and what it shows."""

import functools
import os
import re

from test_sweeps import RATES, SMOKE, make
from volume_toy import run_job

from jobs.engine.command_line import main
from jobs.engine.contract import state_of
from jobs.engine.sweeps.plan import jobs_of
from stackgan.files import write_json, write_json_lines
from stackgan.reporting.sweep import SweepRun, place_of, ranked


def run_of(name, value, **more):
    return SweepRun(name, {}, None, [
        {'protocol': 'fid/scorer', 'set': 'real', 'value': 0.1, 'deviation': None},
        {'protocol': 'fid/scorer', 'set': 'generated', 'value': value, 'deviation': None}], **more)


def test_the_best_run_comes_first_and_runs_without_the_score_last():
    runs = [run_of('a', 30.0), SweepRun('b', {}, 'train-stage1 is missing'), run_of('c', 9.0)]
    assert [each.run for each in ranked(runs, 'fid/scorer', True)] == ['c', 'a', 'b']
    assert [each.run for each in ranked(runs, 'fid/scorer', False)] == ['a', 'c', 'b']
    runs.append(run_of('d', 9.0))
    assert [place_of(each, runs, 'fid/scorer', True) for each in runs] == ['3', '-', '1', '1']


def test_the_page_of_runs_with_fake_outputs(tmp_path, capsys):
    """Outputs that no job has made, but whole ones: the command ranks and shows them."""
    from PIL import Image
    words = ['sweep', '--config', SMOKE, '--data', str(tmp_path), '--stage', '1', '--report',
             '--grid', f'{RATES}=1e-4,2e-4,3e-4']
    sweep = make(tmp_path, [f'{RATES}=1e-4,2e-4,3e-4'], stage=1)

    def samples(folder):
        Image.new('RGB', (64, 64), (200, 30, 30)).save(os.path.join(folder, 'grid.png'))

    def scores(value, folder):
        write_json_lines(os.path.join(folder, 'scores.jsonl'), [
            {'protocol': 'fid/scorer', 'set': 'generated', 'value': value, 'deviation': 0.5}])
        write_json(os.path.join(folder, 'refused.json'), [])

    prepared = {'name': 'toy', 'layout': 'folder', 'classes': [], 'embedding_dim': None,
                'splits': {}}
    for trial, value in zip(sweep.trials[:2], (31.5, 12.25)):
        for job, _ in jobs_of(1, trial.config, str(tmp_path)):
            fill = {'sample': samples, 'score': functools.partial(scores, value)}.get(
                job.name, lambda folder: write_json(os.path.join(folder, 'dataset.json'), prepared))
            make_with_request(job, trial.config, tmp_path, fill)
    assert main(words) == 0, capsys.readouterr()
    assert re.search(r'1 +smoke-generator_learning_rate-0.0002 +12.25', capsys.readouterr().out)
    page = (tmp_path / 'sweeps' / 'smoke' / 'report' / 'index.html').read_text()
    cells = re.findall(r'<tr><td>(.*?)</td></tr>', page)
    assert [cell.split('</td><td>')[:4] for cell in cells] == [
        ['1', sweep.trials[1].run, '0.0002', '12.25 +- 0.5'],
        ['2', sweep.trials[0].run, '0.0001', '31.5 +- 0.5'],
        ['-', sweep.trials[2].run, '0.0003', 'train-stage1 is missing']]      # the rest was linked
    assert page.count('<img') == 2 and page.index('12.25') < page.index('31.5')
    assert main(words) == 0 and 'sweep-report: up to date' in capsys.readouterr().out
    assert main(words + ['--score', 'kid/scorer']) == 2
    assert 'no run has the score kid/scorer; the runs have fid/scorer' in capsys.readouterr().err


def make_with_request(job, config, volume, fill):
    """A whole output of a job's present request, filled by the test instead of the job."""
    if state_of(job, config, str(volume)).word not in ('done', 'not needed'):
        fake = job._replace(run=lambda work: fill(work.folder), uses_tensorflow=False,
                            variant=lambda job, options: job)
        assert run_job(fake, volume, config) == 0
