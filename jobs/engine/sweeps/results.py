"""The report of a sweep, as a job whose inputs are the outputs of its runs."""

import os
from typing import Any, Dict, List, Sequence

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.files import read_json, read_json_lines
from stackgan.manifests import look_at

from ..contract import Input, Job, State, Work, folder_of, state_of
from .plan import jobs_of
from .trials import Sweep, Trial, text_of

PARTS = ('samples', 'scores')          # of a run, that the page shows
NOT_SHOWN = ('report',)                # whose state says nothing about the scores


def state_of_run(trial: Trial, stage: int, volume: str) -> State:
    """'done', or the state of the first job of the run that is not."""
    for job, _ in jobs_of(stage, trial.config, volume):
        state = state_of(job, trial.config, volume)
        if state.word not in ('done', 'not needed') and job.name not in NOT_SHOWN:
            return State(state.word, job.name)
    return State('done')


def report_job(sweep: Sweep, volume: str) -> Job:
    """The job that writes sweeps/<sweep>/report/."""
    states = [state_of_run(trial, sweep.stage, volume) for trial in sweep.trials]
    finished = [trial for trial, state in zip(sweep.trials, states) if state.word == 'done']

    def inputs(config: Config, volume: str) -> Sequence[Input]:
        return [Input(f'{trial.run}/{part}', os.path.relpath(path, volume), made_by)
                for trial in finished
                for part, made_by, path in _parts(trial, sweep.stage, volume)]

    def settings(config: Config) -> Dict[str, Any]:
        return {'score': sweep.score, 'stage': sweep.stage, 'runs': [
            [trial.run, trial.values, state.word if state.word == 'done' else
             f'{state.reason} {state.word}'] for trial, state in zip(sweep.trials, states)]}

    def run(work: Work) -> None:
        from stackgan.reporting.sweep import SweepRun, write_sweep_report
        write_sweep_report(work.folder, sweep.name, sweep.score, sweep.lower_is_better, [
            SweepRun(trial.run, {key: text_of(value) for key, value in trial.values.items()},
                     None if state.word == 'done' else f'{state.reason} is {state.word}',
                     **_found(trial, sweep, work) if trial in finished else {})
            for trial, state in zip(sweep.trials, states)])

    return Job(
        name='sweep-report', summary='', output=lambda config: f'sweeps/{sweep.name}/report',
        inputs=inputs, settings=settings, run=run, records=('index.html',), uses_tensorflow=False)


def _parts(trial: Trial, stage: int, volume: str) -> List[Any]:
    """(name, job, folder) of the outputs that the page shows."""
    jobs = {job.name: job for job, _ in jobs_of(stage, trial.config, volume)}
    return [(part, name, folder_of(jobs[name], trial.config, volume))
            for part, name in zip(PARTS, ('sample', 'score'))]


def _found(trial: Trial, sweep: Sweep, work: Work) -> Dict[str, Any]:
    """What is known of a finished run."""
    samples, scores = [work.inputs[f'{trial.run}/{part}'] for part in PARTS]
    run = os.path.join(work.volume, 'runs', trial.run)
    page = os.path.join(run, 'report', 'index.html')
    return {
        'lines': read_json_lines(os.path.join(scores, 'scores.jsonl')),
        'refused': read_json(os.path.join(scores, 'refused.json')),
        'grid': os.path.join(samples, 'grid.png'),
        'stats': [(name, read_json_lines(path)) for name, path in (
            (f'Stage-{"I" * number}', os.path.join(run, f'stage{number}', 'stats.jsonl'))
            for number in range(1, sweep.stage + 1)) if os.path.exists(path)],
        'page': os.path.relpath(page, os.path.join(sweep.folder, 'report'))
        if os.path.exists(page) else None,
        'seconds': sum((look_at(folder_of(job, trial.config, work.volume)).manifest or {}).get(
            'seconds', 0.0) for job, _ in jobs_of(sweep.stage, trial.config, work.volume)
            if job.output(trial.config).startswith(f'runs/{trial.run}/')),
    }


def best_of(sweep: Sweep, volume: str) -> List[List[str]]:
    """Rows of run, score and values, the best first, of the runs that are done."""
    from stackgan.reporting.sweep import SweepRun, place_of, ranked, score_text
    found = []
    for trial in sweep.trials:
        if state_of_run(trial, sweep.stage, volume).word != 'done':
            continue
        for part, _, path in _parts(trial, sweep.stage, volume):
            if part == 'scores':
                found.append(SweepRun(trial.run, {key: text_of(value) for key, value
                                                  in trial.values.items()}, None,
                                      read_json_lines(os.path.join(path, 'scores.jsonl'))))
    return [[place_of(each, found, sweep.score, sweep.lower_is_better), each.run,
             score_text(each, sweep.score)]
            for each in ranked(found, sweep.score, sweep.lower_is_better)]


def require_score(sweep: Sweep, volume: str) -> None:
    """Raises InputError if runs are scored, and none has the score by which they are ranked."""
    known = set()
    for trial in sweep.trials:
        if state_of_run(trial, sweep.stage, volume).word == 'done':
            for part, _, path in _parts(trial, sweep.stage, volume):
                if part == 'scores':
                    known |= {line['protocol'] for line in read_json_lines(
                        os.path.join(path, 'scores.jsonl')) if line['set'] == 'generated'}
    if known and sweep.score not in known:
        raise InputError(f'sweep: no run has the score {sweep.score}; the runs have '
                         f'{", ".join(sorted(known))}; choose one of them with --score')
