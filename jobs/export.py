"""Exports the generators and the text encoder as frozen graphs and ONNX, checked for ATC."""

import argparse
import logging
import os
from typing import Any, Dict, Sequence

from stackgan.config import Config
from stackgan.config.loading import to_dict
from stackgan.errors import InputError
from stackgan.files import digest_of_file, user_path, write_json

from .engine import bundling
from .engine.contract import Input, Job, Work
from .engine.outputs import run_folder, text_encoder_of_own_captions, uses_precomputed_embeddings

logger = logging.getLogger(__name__)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--check', type=user_path, metavar='FILE',
                        help='export nothing, but check a frozen graph (.pb) for what ATC cannot '
                             'convert')
    parser.add_argument('--names', choices=('original', 'port'),
                        help='instead, write a checkpoint with the variable names of '
                             'hanzhanggit/StackGAN or of the Ascend port')
    parser.add_argument('--bundle', nargs='?', const='full', choices=('full', 'small'),
                        help=bundling.HELP)


def _variant(job: Job, options: argparse.Namespace) -> Job:
    """The job for these options: --names, --check and --bundle have outputs of their own."""
    given = [f'--{name}' for name in ('names', 'check', 'bundle') if getattr(options, name)]
    if len(given) > 1:
        raise InputError(f'export: {" and ".join(given)} do different things; give one of them')
    if options.bundle:
        return bundling.bundle_job(job, options.bundle)
    if options.names:
        return _names_job(job, options.names)
    if not options.check:
        return job
    path = os.path.abspath(options.check)
    if not os.path.isfile(path):
        raise InputError(f'export: --check {options.check}: no such file')
    digest = digest_of_file(path)
    return job._replace(
        output=lambda config: run_folder(config, 'export-check-' + digest[:8]),
        inputs=lambda config, volume: (),
        settings=lambda config: {'file': digest},
        run=lambda work: _check(work, path))


def _names_job(job: Job, layout: str) -> Job:
    def settings(config: Config) -> Dict[str, Any]:
        export = config.export
        return {'names': layout, 'checkpoint': export.checkpoint, 'weights': export.weights}

    def run(work: Work) -> None:
        from stackgan.published.writing import write_published
        write_published(work.inputs['stage'], work.folder, work.config.export, layout)

    def output(config: Config) -> str:
        return run_folder(config, f'export-{layout}-stage{config.export.stage}')

    return job._replace(output=output, settings=settings, run=run,
                        inputs=lambda config, volume: [_stage_input(config)])


def _check(work: Work, path: str) -> None:
    from stackgan.export import check
    graph_def = check.read_graph(path)
    findings = check.check_graph(graph_def)
    for finding in findings:
        logger.info(f'{finding.level}: {finding}')
    write_json(os.path.join(work.folder, 'check.json'), check.report_of(graph_def, findings))
    check.require_passed(path, findings)
    logger.info(f'{path} would pass: {len(graph_def.node)} nodes, {len(findings)} warnings')


def _stage_input(config: Config) -> Input:
    stage = f'stage{config.export.stage}'
    return Input('stage', run_folder(config, stage), 'train-' + stage)


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    """The stage, and the text encoder if there is one: an imported stage may have none.

    With precomputed embeddings, a text encoder left over from another training is not exported.
    """
    inputs = [_stage_input(config)]
    if config.export.onnx and (config.text.weights is not None
                               or not uses_precomputed_embeddings(config, volume)):
        encoder = text_encoder_of_own_captions(config)[0]
        if os.path.isdir(os.path.join(volume, encoder.path)):
            inputs.append(encoder)
    return inputs


def _run(work: Work) -> None:
    from stackgan.export.exporting import export
    export(work.inputs['stage'], work.folder, work.config.export, work.config.platform,
           work.inputs.get('text-encoder'))


JOB = Job(
    name='export',
    summary='write frozen graphs and ONNX of the generators, checked against the checkpoint',
    output=lambda config: run_folder(config, 'export'),
    inputs=_inputs,
    settings=lambda config: {'export': to_dict(config.export)},
    run=_run,
    add_options=_add_options,
    variant=_variant,
)
