"""Compares converted models with their frozen graphs, by a runner of .om files (`om_tools`).

    inputs/stackgan-stage2-b1/embedding.bin, ...     float32 in C order, no header
    expected/stackgan-stage2-b1/0.bin, 1.bin         what the frozen graph makes of them
    results/stackgan-stage2-b1/<time>/..._0.bin, ..._1.bin
    results/npu-smi.txt                              the chips of the host that ran them
    run-on-ascend.sh                                 makes results/ on an Ascend host
    verify.json
"""

import logging
import os
import shutil
from typing import Any, Dict, List, Optional

import numpy as np

from stackgan.config.schema import Export, Platform
from stackgan.errors import InputError, StackganError
from stackgan.export import om_tools
from stackgan.export.atc import arguments, as_shell
from stackgan.export.exporting import random_inputs
from stackgan.export.model_file import open_model
from stackgan.export.om import RECORD
from stackgan.export.ports import Arrays
from stackgan.export.record import Entry, read_export
from stackgan.file_systems import set_mode
from stackgan.files import read_json, write_json
from stackgan.platforms.ascend_chip import chip_name, npu_info
from stackgan.platforms.session import exact

logger = logging.getLogger(__name__)

# An .om computes in float16 (ATC's default, and the only precision of convolutions on a 310), the
# frozen graph in float32. Rounding every tensor of a trained painted-birds model to float16 moved
# its images, which are in [-1, 1], by 2.4e-4 in the mean and 7.4e-3 at most; these are 13 times
# as much and more, for exponentials and hyperbolic tangents that are approximated.
MEAN_TOLERANCE = 0.005
LARGEST_TOLERANCE = 0.1
VERDICT = 'verify.json'
SCRIPT = 'run-on-ascend.sh'
NPU, MAX_NPU = 'npu-smi.txt', 65536        # of results/; characters of it that are kept


def verify(
        export_folder: str,
        om_folder: Optional[str],   # None: nothing was converted here
        folder: str,                # gets the files above
        settings: Export,           # the `export` section
        platform: Platform,         # the `platform` section
        tool: Optional[om_tools.Tool],
        results: Optional[str],     # results/ that was made elsewhere, or None
        loops: int,                 # runs of each model, 1 to 100
        device: int,                # number of the NPU
) -> None:
    """Prepares, runs where it can, and compares. Raises StackganError for a model that fails."""
    models = read_export(export_folder)['models']
    for entry in models:
        _prepare(entry, export_folder, om_folder, folder, platform)
    _write_script(models, folder, settings, loops, device)
    verdict: Dict[str, Any] = {
        'loops': loops, 'tolerances': {'mean': MEAN_TOLERANCE, 'largest': LARGEST_TOLERANCE},
        'npu': _npu(results) if tool or results else None, 'models': {}}
    for entry in models if tool or results else ():
        name = stem(entry)
        facts = {}
        if tool and results is None:
            facts = om_tools.run_tool(tool, _words(tool.kind, entry, folder, loops, device),
                                      os.path.join(folder, 'results', name), len(entry['outputs']))
        facts.update(compare(entry, os.path.join(results or folder + '/results', name),
                             os.path.join(folder, 'expected', name)))
        verdict['models'][name] = facts
        logger.info(f'{name}: {_sentence(facts)}')
    write_json(os.path.join(folder, VERDICT), verdict)
    if not (tool or results):
        logger.info('prepared, not run: neither ais_bench nor msame here; copy the finished folder '
                    f'to an Ascend host, run {SCRIPT} there, copy results/ back and pass it with '
                    '--results')
    failed = [name for name, facts in verdict['models'].items() if not facts['passed']]
    if failed:
        raise StackganError(f'{", ".join(failed)}: farther from the frozen graph than float16 '
                            f'explains; see {os.path.join(folder, VERDICT)}')


def _npu(results: Optional[str]) -> Dict[str, Any]:
    """The chips of the machine that ran the models, as `npu-smi info` describes them."""
    try:
        if results is None:
            text = npu_info([])
        else:
            with open(os.path.join(results, NPU), errors='replace') as stream:
                text = stream.read(MAX_NPU)
    except OSError:
        text = ''
    return {'chip': chip_name() if results is None else None, 'npu_smi': text.splitlines()}


def stem(entry: Entry) -> str:
    return os.path.splitext(entry['frozen']['file'])[0]


def _prepare(entry: Entry, export_folder: str, om_folder: Optional[str], folder: str,
             platform: Platform) -> None:
    """Writes inputs and expected outputs of a model, and copies the model itself."""
    name = stem(entry)
    model = open_model(os.path.join(export_folder, entry['frozen']['file']), exact(platform))
    arrays = random_inputs(model.inputs)
    try:
        images = model.run(arrays)
    finally:
        model.close()
    _write_bins(os.path.join(folder, 'inputs', name), arrays)
    _write_bins(os.path.join(folder, 'expected', name),
                {str(i): images[side] for i, side in enumerate(sorted(images))})
    if om_folder is None:
        shutil.copyfile(model.path, os.path.join(folder, entry['frozen']['file']))
        return
    made = read_json(os.path.join(om_folder, RECORD))['models'].get(name + '.om')
    if made is None or made['frozen_sha256'] != entry['frozen']['sha256']:
        raise InputError(f'{os.path.join(om_folder, name)}.om: was not made from the current '
                         f'{entry["frozen"]["file"]}; run convert-om')
    shutil.copyfile(os.path.join(om_folder, name + '.om'), os.path.join(folder, name + '.om'))


def _write_bins(folder: str, arrays: Arrays) -> None:
    os.makedirs(folder, exist_ok=True)
    for name, array in arrays.items():
        np.ascontiguousarray(array, '<f4').tofile(os.path.join(folder, name + '.bin'))


def _words(kind: str, entry: Entry, folder: str, loops: int, device: int) -> List[str]:
    """The arguments of a tool."""
    name = stem(entry)
    inputs = [os.path.join(folder, 'inputs', name, each['name'] + '.bin')
              for each in entry['inputs']]
    return om_tools.arguments(kind, os.path.join(folder, name + '.om'), inputs,
                              os.path.join(folder, 'results', name), loops, device)


def _write_script(models: List[Entry], folder: str, settings: Export, loops: int,
                  device: int) -> None:
    """A script that makes results/ on a host with a tool, and ATC for models not yet converted."""
    lines = ['#!/usr/bin/env bash', '# Runs the models beside it on an NPU. Needs ais_bench or '
             'msame, and ATC for a model that is not an .om yet.', 'set -euo pipefail',
             'cd "$(dirname "$0")"', 'mkdir -p results',
             f'npu-smi info > results/{NPU} 2>/dev/null || true',
             f"if python3 -c '{om_tools.HAS_AIS_BENCH}' 2>/dev/null; then tool=ais_bench; "
             'else tool=msame; fi']
    for entry in models:
        name = stem(entry)
        words = arguments(entry, entry['frozen']['file'], name, settings)
        lines += [f'[ -f {name}.om ] || {as_shell(["atc"] + words)}',
                  f'rm -rf results/{name}',
                  'if [ $tool = ais_bench ]; then',
                  '    ' + as_shell(['python3', '-m', 'ais_bench']
                                    + _words(om_tools.AIS_BENCH, entry, '.', loops, device)),
                  'else',
                  '    ' + as_shell(['msame']
                                    + _words(om_tools.MSAME, entry, '.', loops, device)),
                  'fi']
    path = os.path.join(folder, SCRIPT)
    with open(path, 'w') as stream:
        stream.write('\n'.join(lines) + '\n')
    set_mode(path, 0o755)


def compare(
        entry: Entry,   # of export.json's models
        results: str,      # folder that a tool wrote to
        expected: str,  # folder of the frozen graph's outputs
) -> Dict[str, Any]:
    """How far a model's outputs are from the frozen graph's.

    Raises StackganError for outputs that are missing, too many or of another size.
    """
    found = len(om_tools.outputs_in(results))
    if found != len(entry['outputs']):
        raise StackganError(f'{results}: holds {found} outputs, expected {len(entry["outputs"])}')
    facts: Dict[str, Any] = {'outputs': {}, 'passed': True}
    for number, each in enumerate(entry['outputs']):
        wanted = np.fromfile(os.path.join(expected, f'{number}.bin'), '<f4')
        path = om_tools.output_of(results, number)
        size = os.path.getsize(path) if path else 0
        if path is None or size != wanted.nbytes:
            raise StackganError(f'{results}: output {number} has {size} bytes, expected '
                                f'{wanted.nbytes} ({each["shape"]} float32)')
        difference = np.abs(np.fromfile(path, '<f4') - wanted)
        mean, largest = float(difference.mean()), float(difference.max())
        facts['outputs'][each['name']] = {'mean_difference': mean, 'largest_difference': largest}
        facts['passed'] &= bool(mean <= MEAN_TOLERANCE and largest <= LARGEST_TOLERANCE)
    return facts


def _sentence(facts: Dict[str, Any]) -> str:
    worst = max(each['mean_difference'] for each in facts['outputs'].values())
    text = f'mean difference from the frozen graph {worst:.2e}'
    if facts.get('milliseconds_a_run'):
        text += f', {facts["milliseconds_a_run"]:.2f} ms per run'
    return text + ('' if facts['passed'] else ', which is too far')
