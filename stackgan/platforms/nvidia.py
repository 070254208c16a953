"""What the driver's `nvidia-smi` knows of the GPUs."""

import os
import re
import shutil
import subprocess
from typing import List, NamedTuple, Optional, Tuple

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


def capability_by_driver() -> Optional[Tuple[int, int]]:
    """Compute capability of the first GPU, or None."""
    found = cards()
    return found[0].capability if found else None


def _capability(text: str) -> Optional[Tuple[int, int]]:
    found = re.fullmatch(r'(\d+)\.(\d+)', text)
    return (int(found.group(1)), int(found.group(2))) if found else None
