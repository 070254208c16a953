"""Converted models against their frozen graphs, by msame, the vendor's runner of .om files.

    inputs/stackgan-stage2-b1/embedding.bin, ...     float32 in C order, no header
    expected/stackgan-stage2-b1/0.bin, 1.bin         what the frozen graph makes of them
    results/stackgan-stage2-b1/<time>/..._output_0.bin, ..._output_1.bin
    run-on-ascend.sh                                 makes results/ on an Ascend host
    verify.json

msame (Ascend/tools, before CANN 5) takes its inputs in the order of the model's, checks no size,
and may leave with exit code 0 after a failure: what counts is the files it leaves.
"""

import glob
import logging
import os
import re
import shutil
import subprocess
import time
from typing import Any, Dict, List, Optional

import numpy as np

from stackgan.config.schema import Export, Platform
from stackgan.errors import InputError, StackganError
from stackgan.export.atc import arguments, as_shell
from stackgan.export.exporting import random_inputs
from stackgan.export.model_file import open_model
from stackgan.export.om import RECORD
from stackgan.export.ports import Arrays
from stackgan.export.record import Entry, read_export
from stackgan.file_systems import set_mode
from stackgan.files import read_json, write_json
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


def find_msame(
        given: Optional[str],   # a path, or None: the one on PATH
) -> Optional[str]:
    """Path of msame, or None. Raises InputError if the given one cannot be run."""
    if given is None:
        return shutil.which('msame')
    if not os.access(given, os.X_OK) or os.path.isdir(given):
        raise InputError(f'--msame {given}: not an executable file')
    return os.path.abspath(given)


def verify(
        export_folder: str,
        om_folder: Optional[str],   # None: nothing was converted here
        folder: str,                # gets the files above
        settings: Export,           # the `export` section
        platform: Platform,         # the `platform` section
        msame: Optional[str],       # path of it, or None
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
        'models': {}}
    for entry in models if msame or results else ():
        name = stem(entry)
        facts = {}
        if msame and results is None:
            facts = run_msame(msame, _command(entry, folder, loops, device), entry,
                              os.path.join(folder, 'results', name))
        facts.update(compare(entry, os.path.join(results or folder + '/results', name),
                             os.path.join(folder, 'expected', name)))
        verdict['models'][name] = facts
        logger.info(f'{name}: {_sentence(facts)}')
    write_json(os.path.join(folder, VERDICT), verdict)
    if not (msame or results):
        logger.info(f'prepared, not run: no msame here; copy {folder} to an Ascend host, run '
                    f'{SCRIPT} there, copy results/ back and pass it with --results')
    failed = [name for name, facts in verdict['models'].items() if not facts['passed']]
    if failed:
        raise StackganError(f'{", ".join(failed)}: farther from the frozen graph than float16 '
                            f'explains; see {os.path.join(folder, VERDICT)}')


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


def _command(entry: Entry, folder: str, loops: int, device: int) -> List[str]:
    """The arguments of msame."""
    name = stem(entry)
    inputs = [os.path.join(folder, 'inputs', name, each['name'] + '.bin')
              for each in entry['inputs']]
    return ['--model', os.path.join(folder, name + '.om'), '--input', ','.join(inputs),
            '--output', os.path.join(folder, 'results', name), '--outfmt', 'BIN',
            '--loop', str(loops), '--device', str(device)]


def _write_script(models: List[Entry], folder: str, settings: Export, loops: int,
                  device: int) -> None:
    """A script that makes results/ on a host with msame, and ATC for models not yet converted."""
    lines = ['#!/usr/bin/env bash', '# Runs the models beside it on an NPU. Needs msame, and ATC '
             'for a model that is not an .om yet.', 'set -euo pipefail', 'cd "$(dirname "$0")"']
    for entry in models:
        name = stem(entry)
        words = arguments(entry, entry['frozen']['file'], name, settings)
        lines += [f'[ -f {name}.om ] || {as_shell(["atc"] + words)}',
                  f'rm -rf results/{name}', 'mkdir -p results',
                  as_shell(['msame'] + _command(entry, '.', loops, device))]
    path = os.path.join(folder, SCRIPT)
    with open(path, 'w') as stream:
        stream.write('\n'.join(lines) + '\n')
    set_mode(path, 0o755)


def run_msame(msame: str, words: List[str], entry: Entry, results: str) -> Dict[str, Any]:
    """Runs msame; returns its latency. Raises StackganError if it leaves too few files."""
    shutil.rmtree(results, ignore_errors=True)
    os.makedirs(os.path.dirname(results), exist_ok=True)      # msame makes only the last folder
    started = time.monotonic()
    done = subprocess.run([msame] + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - started
    text = done.stdout.decode('utf-8', 'replace')
    os.makedirs(results, exist_ok=True)
    log = os.path.join(results, 'msame.log')
    with open(log, 'w') as stream:
        stream.write(text)
    if done.returncode or not _found(results, 0):
        raise StackganError(f'msame ended with exit code {done.returncode} and left '
                            f'{len(_outputs(results))} outputs, expected {len(entry["outputs"])}; '
                            f'its log is {log}')
    average = re.findall(r'average time[^:]*:\s*([0-9.]+)\s*ms', text)
    return {'seconds': round(seconds, 3),
            'milliseconds_a_run': float(average[-1]) if average else None}


def _outputs(results: str) -> List[str]:
    return sorted(glob.glob(os.path.join(glob.escape(results), '*', '*_output_*.bin')))


def _found(results: str, number: int) -> List[str]:
    return [path for path in _outputs(results) if path.endswith(f'_output_{number}.bin')]


def compare(
        entry: Entry,   # of export.json's models
        results: str,   # folder that msame wrote to
        expected: str,  # folder of the frozen graph's outputs
) -> Dict[str, Any]:
    """How far a model's outputs are from the frozen graph's.

    Raises StackganError for outputs that are missing, too many or of another size.
    """
    if len(_outputs(results)) != len(entry['outputs']):
        raise StackganError(f'{results}: holds {len(_outputs(results))} outputs of msame, expected '
                            f'{len(entry["outputs"])}')
    facts: Dict[str, Any] = {'outputs': {}, 'passed': True}
    for number, each in enumerate(entry['outputs']):
        wanted = np.fromfile(os.path.join(expected, f'{number}.bin'), '<f4')
        paths = _found(results, number)
        size = os.path.getsize(paths[0]) if paths else 0
        if size != wanted.nbytes:
            raise StackganError(f'{results}: output {number} has {size} bytes, expected '
                                f'{wanted.nbytes} ({each["shape"]} float32)')
        difference = np.abs(np.fromfile(paths[0], '<f4') - wanted)
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
