"""The converted models against the frozen graphs, by ais_bench or msame, here or elsewhere."""

import argparse
import os
from typing import Any, Dict, Optional, Sequence

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.files import digest_of, user_path

from .engine.contract import Input, Job, Work, listing, read_manifest
from .engine.outputs import run_folder

LOOPS, MAX_LOOPS, MAX_DEVICES = 10, 100, 255


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--loops', type=int, default=LOOPS, metavar='N',
                        help=f'runs of each model, whose mean time is reported (default: {LOOPS})')
    parser.add_argument('--device', type=int, default=0, metavar='N',
                        help='number of the NPU (default: 0)')
    parser.add_argument('--msame', type=user_path, metavar='FILE',
                        help='use this msame (default: ais_bench, or else msame on PATH)')
    parser.add_argument('--results', type=user_path, metavar='DIR',
                        help='compare the results/ that run-on-ascend.sh made elsewhere')


def _variant(job: Job, options: argparse.Namespace) -> Job:
    for name, minimum, maximum in (('loops', 1, MAX_LOOPS), ('device', 0, MAX_DEVICES)):
        value = getattr(options, name)
        if not minimum <= value <= maximum:
            raise InputError(f'verify-om: --{name} {value}: must be from {minimum} to {maximum}')
    if options.results and not os.path.isdir(options.results):
        raise InputError(f'verify-om: --results {options.results}: no such folder')
    results = options.results and os.path.abspath(options.results)
    return _job(options.loops, options.device, options.msame, results)


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    inputs = [Input('export', run_folder(config, 'export'), 'export')]
    om = Input('om', run_folder(config, 'om'), 'convert-om')
    if read_manifest(os.path.join(volume, om.path)):       # a machine may have no ATC
        inputs.append(om)
    return inputs


def _job(loops: int = LOOPS, device: int = 0, msame: Optional[str] = None,
         results: Optional[str] = None) -> Job:
    """The job for these options; it runs again when a tool or results have become available."""
    def settings(config: Config) -> Dict[str, Any]:
        from stackgan.export.om_tools import find_tool
        return {'loops': loops, 'results': results and digest_of(listing(results)),
                'msame': bool(not results and (msame or find_tool(None)))}

    def run(work: Work) -> None:
        from stackgan.export.om_check import verify
        from stackgan.export.om_tools import find_tool
        tool = None if results else find_tool(msame)
        om = work.inputs.get('om')
        if tool and om is None:
            missing = run_folder(work.config, 'om')
            raise InputError(f'verify-om: {missing} is not there yet; run convert-om first')
        verify(work.inputs['export'], om, work.folder, work.config.export,
               work.config.platform, tool, results, loops, device)

    return Job(
        name='verify-om',
        summary='compare the converted models with the frozen graphs, by ais_bench or msame',
        output=lambda config: run_folder(config, 'om-check'),
        inputs=_inputs,
        settings=settings,
        run=run,
        records=('verify.json', 'results/*'),
        add_options=_add_options,
        variant=lambda job, options: _variant(job, options),
        looks_for_programs=True,
    )


JOB = _job()
