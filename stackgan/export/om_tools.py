"""The vendor's runners of .om files: `ais_bench`, and the older `msame`.

Both take the inputs in the order of the model's and write one file per output into a folder named
after the time:

    msame       <results>/<time>/<model>_output_<i>.bin
    ais_bench   <results>/<time>/<first input>_<i>.bin and <results>/<time>_summary.json

(Ascend/tools: msame/src/sample_process.cpp, and ais-bench_workload/tool/ais_bench/ais_bench/infer/
io_oprations.py and summary.py.) msame checks no size and may end with exit code 0 after a failure:
what counts is the files they leave.
"""

import functools
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional

from stackgan.errors import InputError, StackganError
from stackgan.files import read_json

MSAME, AIS_BENCH = 'msame', 'ais_bench'
HAS_AIS_BENCH = ('import importlib.util as u, sys; '
                 'sys.exit(u.find_spec("ais_bench") is None or u.find_spec("aclruntime") is None)')


class Tool(NamedTuple):
    """A runner of .om files on this machine."""

    kind: str              # MSAME or AIS_BENCH
    command: List[str]     # the words before its arguments


def find_tool(
        msame: Optional[str],        # path that the user gave, or None
) -> Optional[Tool]:
    """The given msame; else ais_bench of a Python on this machine; else msame on PATH; else None.

    Raises InputError if the given one cannot be run.
    """
    if msame is not None:
        if not os.access(msame, os.X_OK) or os.path.isdir(msame):
            raise InputError(f'--msame {msame}: not an executable file')
        return Tool(MSAME, [os.path.abspath(msame)])
    if all(importlib.util.find_spec(name) for name in ('ais_bench', 'aclruntime')):
        return Tool(AIS_BENCH, [sys.executable, '-m', 'ais_bench'])
    python = shutil.which('python3')
    if python and _has_ais_bench(python, os.environ.get('PYTHONPATH')):
        return Tool(AIS_BENCH, [python, '-m', 'ais_bench'])
    found = shutil.which('msame')
    return Tool(MSAME, [found]) if found else None


@functools.lru_cache(maxsize=None)
def _has_ais_bench(python: str, path: Optional[str]) -> bool:
    """Whether another Python has it, where its packages are on `path`, as PYTHONPATH."""
    done = subprocess.run([python, '-c', HAS_AIS_BENCH], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


def arguments(
        kind: str,             # MSAME or AIS_BENCH
        model: str,            # path of the .om
        inputs: List[str],     # paths, in the order of the model's inputs
        results: str,          # folder
        loops: int,            # runs, 1 to 100
        device: int,           # number of the NPU
) -> List[str]:
    """The words after the tool's command."""
    return ['--model', model, '--input', ','.join(inputs), '--output', results, '--outfmt', 'BIN',
            '--loop', str(loops), '--device', str(device)]


def run_tool(
        tool: Tool,
        words: List[str],      # of `arguments`
        results: str,          # the folder among them
        expected: int,         # number of outputs
) -> Dict[str, Any]:
    """Runs it; returns its latency. Raises StackganError if it leaves no output."""
    shutil.rmtree(results, ignore_errors=True)
    os.makedirs(os.path.dirname(results), exist_ok=True)      # msame makes only the last folder
    started = time.monotonic()
    done = subprocess.run(tool.command + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - started
    text = done.stdout.decode('utf-8', 'replace')
    os.makedirs(results, exist_ok=True)
    log = os.path.join(results, tool.kind + '.log')
    with open(log, 'w') as stream:
        stream.write(text)
    if done.returncode or output_of(results, 0) is None:
        raise StackganError(f'{tool.kind} ended with exit code {done.returncode} and left '
                            f'{len(outputs_in(results))} outputs, expected {expected}; its log is '
                            f'{log}')
    return {'tool': tool.kind, 'seconds': round(seconds, 3),
            'milliseconds_a_run': _milliseconds(results, text)}


def outputs_in(results: str) -> List[str]:
    """Paths of all outputs in a folder of results, by either tool's names."""
    return sorted(glob.glob(os.path.join(glob.escape(results), '*', '*_[0-9]*.bin')))


def output_of(results: str, number: int) -> Optional[str]:
    """Path of the output of that number, or None."""
    return next((path for path in outputs_in(results) if path.endswith(f'_{number}.bin')), None)


def _milliseconds(results: str, text: str) -> Optional[float]:
    """Mean time of a run as the tool measured it."""
    for path in glob.glob(os.path.join(glob.escape(results), '*_summary.json')):
        try:
            return float(read_json(path)['NPU_compute_time']['mean'])
        except (OSError, ValueError, KeyError, TypeError):
            pass
    average = re.findall(r'average time[^:]*:\s*([0-9.]+)\s*ms', text)
    return float(average[-1]) if average else None
