"""The exported graphs as .om files for an Ascend chip, by ATC."""

import os
from typing import Any, Dict, List, Sequence

from stackgan.config import Config
from stackgan.errors import InputError
from stackgan.files import digest_of_file

from .engine.contract import Input, Job, Work, folder_of
from .engine.outputs import run_folder


def _inputs(config: Config, volume: str) -> Sequence[Input]:
    return [Input('export', run_folder(config, 'export'), 'export')]


def _settings(config: Config) -> Dict[str, Any]:
    switches = config.export.fusion_switch_file
    if switches and os.path.isfile(switches):
        switches = digest_of_file(switches)
    found: Dict[str, Any] = {'soc_version': config.export.soc_version,
                             'fusion_switch_file': switches}
    if config.export.atc_options:           # so that models from before the key stay up to date
        found['atc_options'] = config.export.atc_options
    return {'export': found}


def _preview(config: Config, volume: str) -> List[str]:
    """The commands, for --dry-run."""
    from stackgan.export.atc import as_shell, commands, find_atc
    from stackgan.export.record import read_export
    export = os.path.join(volume, run_folder(config, 'export'))
    try:
        rows = commands(read_export(export), export, folder_of(JOB, config, volume), config.export)
    except InputError as error:
        return [f'the commands are known once export is done ({error})']
    atc = find_atc(os.environ)
    return [as_shell([atc or 'atc'] + words) for _, words, _ in rows]


def _run(work: Work) -> None:
    from stackgan.export.om import convert_all
    convert_all(work.inputs['export'], work.folder, work.config.export)


JOB = Job(
    name='convert-om',
    summary='convert the exported graphs for an Ascend chip with ATC',
    output=lambda config: run_folder(config, 'om'),
    inputs=_inputs,
    settings=_settings,
    run=_run,
    records=('convert.json', '*.atc.log'),
    preview=_preview,
)
