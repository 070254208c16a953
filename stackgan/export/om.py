"""Conversion of the frozen graphs of an export to .om files, one after the other."""

import logging
import os
import shutil
from typing import Any, Dict, List

from stackgan.config.schema import Export
from stackgan.errors import InputError, MissingRequirement
from stackgan.export import atc, check
from stackgan.export.atc import Conversion
from stackgan.export.atc_options import check_options
from stackgan.export.record import read_export
from stackgan.files import digest_of_file, read_json, write_json
from stackgan.integrity import check_file

logger = logging.getLogger(__name__)

RECORD = 'convert.json'


def convert_all(
        export_folder: str,
        folder: str,        # gets the .om files, their logs and convert.json
        settings: Export,   # the `export` section
) -> None:
    """Checks and converts every model; models that an interrupted job converted are kept.

    Raises MissingRequirement without ATC, InputError for a graph that it would refuse.
    """
    check_options(settings.atc_options or {})
    rows = atc.commands(read_export(export_folder), export_folder, folder, settings)
    for entry, _, _ in rows:
        path = os.path.join(export_folder, entry['frozen']['file'])
        check.require_passed(path, check.check_graph(check.read_graph(path)))
        check_file(path)
    compiler = atc.find_atc(os.environ)
    if compiler is None:
        raise MissingRequirement(no_atc(export_folder, rows, settings))
    if settings.fusion_switch_file and not os.path.isfile(settings.fusion_switch_file):
        raise InputError(f'export.fusion_switch_file: {settings.fusion_switch_file}: no such file')
    done = _record(folder)
    for number, (entry, words, om) in enumerate(rows):
        name = os.path.basename(om)
        if name in done and os.path.exists(om) and digest_of_file(om) == done[name]['sha256']:
            continue
        logger.info(f'converting model {number + 1} of {len(rows)}, {name}, for '
                    f'{settings.soc_version}; takes minutes; its log is {_log(om)}')
        seconds = atc.convert(compiler, words, om, _log(om))
        done[name] = {'batch_size': entry['batch_size'], 'frozen_sha256': entry['frozen']['sha256'],
                      'bytes': os.path.getsize(om), 'sha256': digest_of_file(om),
                      'seconds': round(seconds, 1), 'command': atc.as_shell([compiler] + words)}
        write_json(os.path.join(folder, RECORD), {
            'atc': compiler, 'soc_version': settings.soc_version, 'models': done})
    logger.info(f'{len(done)} models converted for {settings.soc_version} by {compiler}')


def no_atc(export_folder: str, rows: List[Conversion], settings: Export) -> str:
    """The message for a machine without ATC."""
    here = [atc.as_shell(['atc'] + atc.arguments(
        entry, entry['frozen']['file'], os.path.splitext(entry['frozen']['file'])[0], settings))
        for entry, _, _ in rows]
    return (f'no ATC on this machine: looked on PATH and at {", ".join(atc.candidates(os.environ))}'
            '; the frozen graph passed the check; on an Ascend host run: '
            f'cd {export_folder} && {" && ".join(here)}')


def _log(om: str) -> str:
    return os.path.splitext(om)[0] + '.atc.log'


def _record(folder: str) -> Dict[str, Dict[str, Any]]:
    """What an interrupted job has converted: {name of the .om: its entry of convert.json}."""
    for name in os.listdir(folder):
        if name.endswith('.work'):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    try:
        return dict(read_json(os.path.join(folder, RECORD))['models'])
    except (OSError, ValueError, KeyError):
        return {}
