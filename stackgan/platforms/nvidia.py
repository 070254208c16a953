"""What the driver's `nvidia-smi` knows of the GPUs. Imports no TensorFlow.

    python -m stackgan.platforms.nvidia

names the driver and the GPUs, or why there are none, with exit code 1: the health check of
containers (compose.gpu.yaml).
"""

import os
import re
import shutil
import subprocess
import sys
from typing import List, NamedTuple, Optional, Tuple

from stackgan import printing

FIELDS = 'name,driver_version,memory.total,compute_cap'
TIMEOUT = 20                       # seconds; a lost card can make it hang


class Card(NamedTuple):
    """A GPU."""

    name: str                      # such as 'NVIDIA H100 80GB HBM3'
    driver: str                    # version, such as '550.54.15'
    memory: str                    # such as '81559 MiB'
    capability: Optional[Tuple[int, int]]     # compute capability; None: the driver tells none


def cards() -> List[Card]:
    """The GPUs, the first one that CUDA sees at the start; none where there is no driver."""
    program = shutil.which('nvidia-smi')
    if program is None:
        return []
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    chosen = [name.strip() for name in visible.split(',')] if visible is not None else []
    if visible is not None and (not chosen[0] or chosen[0] == '-1'):
        return []
    command = [program, f'--query-gpu={FIELDS}', '--format=csv,noheader']
    command += ['-i', ','.join(chosen)] if chosen else []
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    rows = [re.split(r',\s*', line.strip())
            for line in done.stdout.decode('utf-8', 'replace').splitlines() if line.strip()]
    return [Card(row[0], row[1], row[2], _capability(row[3])) for row in rows if len(row) == 4]


def describe() -> str:
    """The GPUs and the driver in one line; '' where there is none."""
    return '; '.join(f'{each.name} ({each.memory}), driver {each.driver}' for each in cards())


def absence() -> str:
    """Why this process can have no GPU, as far as the driver tells; '' if it can have one."""
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if visible is not None and visible.strip() in ('', '-1'):
        return f'CUDA_VISIBLE_DEVICES={visible} hides them'
    if shutil.which('nvidia-smi') is None:
        return ('there is no NVIDIA driver; in a container, start it with compose.gpu.yaml or '
                '--gpus, which needs the NVIDIA container toolkit')
    return '' if cards() else 'nvidia-smi finds none; run it to see why'


def main() -> int:
    """Prints one line."""
    found = describe()
    printing.show(found or f'no GPU: {absence()}')
    return 0 if found else 1


def capability_by_driver() -> Optional[Tuple[int, int]]:
    """Compute capability of the first GPU, or None."""
    found = cards()
    return found[0].capability if found else None


def _capability(text: str) -> Optional[Tuple[int, int]]:
    found = re.fullmatch(r'(\d+)\.(\d+)', text)
    return (int(found.group(1)), int(found.group(2))) if found else None


if __name__ == '__main__':
    sys.exit(main())
