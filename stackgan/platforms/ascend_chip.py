"""Which Ascend chip this machine has, asked of `npu-smi`, which comes with the driver."""

import re
import shutil
import subprocess
from typing import List, Optional

PLACES = ('/usr/local/bin', '/usr/local/sbin')       # where the driver or a mount puts it
TIMEOUT = 20                                          # seconds; a lost card can make it hang
# Rows of `npu-smi info -m`: card, chip, logical number, name, such as "Ascend 910B3".
ROW = re.compile(r'^\s*\d+\s+\d+\s+\d+\s+Ascend\s*([0-9A-Za-z_]+)\s*$', re.MULTILINE)
# Chips whose matrix unit takes float32 (A2: 910B1 to 910B4; A3: 910_93.., also called 910C; 950).
FLOAT32 = re.compile(r'910B[1-4]|910_?93|910C|950')


def npu_info(
        words: List[str],       # arguments of `npu-smi info`
) -> str:
    """What `npu-smi info` prints; '' where it is missing or fails."""
    program = shutil.which('npu-smi') or shutil.which('npu-smi', path=':'.join(PLACES))
    if program is None:
        return ''
    try:
        done = subprocess.run([program, 'info'] + words, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return '' if done.returncode else done.stdout.decode('utf-8', 'replace')


def chip_name() -> Optional[str]:
    """Name of the first chip, such as '910B3' or '310P3'; None if it cannot be found out."""
    found = ROW.search(npu_info(['-m']))
    return found.group(1) if found else None


def multiplies_float32(
        chip: Optional[str],    # as `chip_name` gives it
) -> bool:
    """Whether matrix products stay float32 if asked to. The first 910 and the 310 have no such."""
    return chip is not None and FLOAT32.match(chip) is not None
