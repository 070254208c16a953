"""The Ascend Tensor Compiler (ATC): finding it, its command line, running it, its error codes.

The rules are those of CANN 20.x (graphengine r1.1, ge/offline/main.cc): a flag and its value are
one word, --output has no suffix, each of --out_nodes is name:index, and the rank of each
--input_shape is that of its placeholder.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from stackgan.config.schema import Export
from stackgan.errors import StackganError
from stackgan.export.atc_options import with_options
from stackgan.export.record import Entry

Conversion = Tuple[Entry, List[str], str]     # model, words after `atc`, path of the .om
ROOT = '/usr/local/Ascend'
TENSORFLOW = 3                   # --framework
CODES = {
    'E10001': 'a value in the command or a shape in the graph is not valid',
    'E10002': '--input_shape is not of the form name:1,2;name:1,2',
    'E10004': 'a flag has no value',
    'E10007': 'a flag that ATC needs is missing',
    'E10011': '--input_shape holds something other than positive numbers',
    'E10013': 'the value of a flag is out of range',
    'E10014': 'the value of a flag is not valid',
    'E10016': 'the command names a node that is not in the graph',
    'E10017': 'the command names a node as input that is not a placeholder',
    'E10022': '--output names a folder, not a file',
    'E12009': 'a node of the graph reads something that does not exist',
    'E12010': 'the graph has no placeholder',
    'E12011': 'this ATC has no converter for an operation of the graph',
    'E12029': 'the graph holds functions, which need func2graph.py',
    'EZ3003': 'no engine of this chip supports an operation of the graph',
    'EZ9999': 'an operation failed inside CANN',
}


def arguments(
        entry: Entry,       # of export.json's models
        model: str,         # path of the .pb
        output: str,        # path of the .om, without its suffix
        settings: Export,   # the `export` section
) -> List[str]:
    """The words of the command after `atc`."""
    shapes = [f'{each["name"]}:{",".join(map(str, each["shape"]))}' for each in entry['inputs']]
    words = [
        f'--framework={TENSORFLOW}',
        f'--model={model}',
        f'--output={output}',
        f'--soc_version={settings.soc_version}',
        '--input_format=NHWC',
        f'--input_shape={";".join(shapes)}',
        '--out_nodes=' + ';'.join(f'{each["name"]}:0' for each in entry['outputs']),
        '--output_type=FP32',         # otherwise that of the computation, float16
        '--log=error',
    ]
    if settings.fusion_switch_file:
        words.append(f'--fusion_switch_file={os.path.abspath(settings.fusion_switch_file)}')
    return with_options(words, settings.atc_options or {})


def commands(
        facts: Dict[str, Any],  # export.json
        export_folder: str,
        om_folder: str,
        settings: Export,       # the `export` section
) -> List[Conversion]:
    """A `Conversion` for every model."""
    rows = []
    for entry in facts['models']:
        name = entry['frozen']['file']
        om = os.path.join(om_folder, os.path.splitext(name)[0])
        rows.append((entry, arguments(entry, os.path.join(export_folder, name), om, settings),
                     om + '.om'))
    return rows


def as_shell(words: List[str]) -> str:
    return ' '.join(shlex.quote(word) for word in words)


def candidates(
        environ: Mapping[str, str],     # as os.environ
        root: str = ROOT,               # where CANN is installed
) -> List[str]:
    """Paths where ATC may be besides PATH, in search order."""
    latest = os.path.join(root, 'ascend-toolkit', 'latest')
    own = [os.path.join(environ['NNAE'], 'fwkacllib', 'bin', 'atc')] if environ.get('NNAE') else []
    return own + [
        os.path.join(root, 'cann', 'bin', 'atc'),               # since CANN 8.5
        os.path.join(latest, 'bin', 'atc'),                     # 5.1 to 8.3
        os.path.join(root, 'nnae', 'latest', 'fwkacllib', 'bin', 'atc'),        # 20.x
        os.path.join(latest, 'atc', 'bin', 'atc'),
        os.path.join(root, 'atc', 'bin', 'atc')]


def find_atc(environ: Mapping[str, str], root: str = ROOT) -> Optional[str]:
    """Path of ATC, or None."""
    found = shutil.which('atc', path=environ.get('PATH', ''))
    if found:
        return found
    return next((path for path in candidates(environ, root) if os.access(path, os.X_OK)), None)


def environment_for(
        atc: str,                       # path of ATC
        environ: Mapping[str, str],     # as os.environ
) -> Dict[str, str]:
    """The environment that ATC needs when its toolkit's setup script has not been sourced."""
    environment = dict(environ)
    base = os.path.dirname(os.path.dirname(os.path.abspath(atc)))      # .../atc; since 5.1 all
    is_old = os.path.basename(base) == 'atc'
    if not is_old and not os.path.isdir(os.path.join(base, 'opp')):
        return environment
    install = os.path.dirname(base) if is_old else base

    def put_before(name: str, *paths: str) -> None:
        there = [environment[name]] if environment.get(name) else []
        environment[name] = os.pathsep.join(list(paths) + there)

    compiler = os.path.join(base, *(() if is_old else ('tools',)), 'ccec_compiler', 'bin')
    put_before('PATH', compiler, os.path.join(base, 'bin'))
    put_before('PYTHONPATH', os.path.join(base, 'python', 'site-packages'))
    put_before('LD_LIBRARY_PATH', os.path.join(base, 'lib64'),
               *([os.path.join(install, 'acllib', 'lib64')] if is_old else []))
    environment.setdefault('ASCEND_OPP_PATH', os.path.join(install, 'opp'))
    environment.setdefault('ASCEND_HOME_PATH', install)
    return environment


def convert(
        atc: str,           # path of ATC
        words: List[str],   # its arguments
        om: str,            # path of the .om it must write
        log: str,           # path of a file for what ATC says
) -> float:
    """Runs ATC; returns the seconds it took. Raises StackganError if it writes no new .om."""
    for old in (om, log):
        if os.path.exists(old):
            os.unlink(old)
    scratch = om + '.work'                 # ATC writes kernel_meta/ and more into its folder
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    started = time.monotonic()
    with open(log, 'wb') as stream:
        process = subprocess.Popen([atc] + words, cwd=scratch, stdout=stream,
                                   stderr=subprocess.STDOUT, start_new_session=True,
                                   env=environment_for(atc, os.environ))
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)        # atc is a script around the compiler
            process.wait()
            raise
    shutil.rmtree(scratch, ignore_errors=True)
    if code:
        raise StackganError(f'ATC ended with exit code {code}: {explain(log)}; its log is {log}')
    if not os.path.exists(om) or not os.path.getsize(om):
        raise StackganError(f'ATC ended with exit code 0 but wrote no {os.path.basename(om)}; its '
                            f'log is {log}')
    return time.monotonic() - started


def explain(log: str) -> str:
    """The first error code in a log as a sentence, with what ATC said of it."""
    with open(log, errors='replace') as stream:
        lines = [' '.join(line.split()) for line in stream if line.strip()]
    for line in lines:
        code = re.search(r'\bE[0-9A-Z]\d{4}\b', line)
        if code:
            meaning = CODES.get(code.group())
            return f'{code.group()}{f", {meaning}" if meaning else ""} ("{line[:200]}")'
    return f'it said "{lines[-1][:200]}"' if lines else 'it said nothing'
