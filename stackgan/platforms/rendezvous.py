"""Where the workers of a data-parallel training are: from what starts them, by the environment.

Imports no TensorFlow. Known are this program's own variables (local workers, containers), Slurm's
and those of a Kubernetes Indexed Job.
"""

import re
from typing import Mapping, NamedTuple, Optional

from stackgan.errors import InputError

SIZE, RANK = 'STACKGAN_WORKERS', 'STACKGAN_WORKER_RANK'
ADDRESS, TOKEN = 'STACKGAN_WORKER_ADDRESS', 'STACKGAN_WORKER_TOKEN'
HERE, LOCAL_RANK = 'STACKGAN_WORKERS_HERE', 'STACKGAN_WORKER_LOCAL_RANK'
OWN = (SIZE, RANK, ADDRESS, TOKEN, HERE, LOCAL_RANK)
FIRST_PORT, PORTS = 20000, 10000     # where workers of a Slurm job meet; below ephemeral ports
MAX_WORKERS = 1024


class Place(NamedTuple):
    """One worker among the others."""

    rank: int             # 0 to size - 1; 0 keeps the records
    size: int             # number of workers, at least 2
    host: str             # where worker 0 listens
    port: int             # 0: any, where worker 0 starts the others
    token: str = ''       # what the workers of one training have in common
    here: int = 1         # workers on this machine
    local_rank: int = 0   # among those


def from_environment(
        environ: Mapping[str, str],
) -> Optional[Place]:
    """The place that the environment gives this process; None: it is on its own.

    Raises InputError for variables that contradict each other.
    """
    if environ.get(SIZE):
        return _own(environ)
    # Both are set in a step of srun alone; the shell of a batch script has no step.
    if environ.get('SLURM_STEP_ID') and environ.get('SLURM_PROCID'):
        return _of_slurm(environ)
    return None


def _own(environ: Mapping[str, str]) -> Optional[Place]:
    size = _number(environ, SIZE, 1, MAX_WORKERS)
    if size == 1:
        return None
    # An Indexed Job of Kubernetes numbers its pods.
    rank = _number(environ, RANK if environ.get(RANK) else 'JOB_COMPLETION_INDEX', 0, size - 1)
    host, _, port = environ.get(ADDRESS, '').rpartition(':')
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f'{ADDRESS} is {environ.get(ADDRESS, "")!r}; must be HOST:PORT of worker '
                         '0, such as train-0.train:20000')
    here = _number(environ, HERE, 1, size) if environ.get(HERE) else 1
    local = _number(environ, LOCAL_RANK, 0, size - 1) if environ.get(LOCAL_RANK) else 0
    return Place(rank, size, host, int(port), environ.get(TOKEN, ''), here, local)


def _of_slurm(environ: Mapping[str, str]) -> Optional[Place]:
    name = 'SLURM_STEP_NUM_TASKS' if environ.get('SLURM_STEP_NUM_TASKS') else 'SLURM_NTASKS'
    size = _number(environ, name, 1, MAX_WORKERS)
    if size == 1:
        return None
    nodes = environ.get('SLURM_STEP_NODELIST') or environ.get('SLURM_JOB_NODELIST', '')
    job = _number(environ, 'SLURM_JOB_ID', 0, 2 ** 62)
    tasks = (environ.get('SLURM_STEP_TASKS_PER_NODE') or environ.get('SLURM_TASKS_PER_NODE')
             or '1')
    count = re.match('[0-9]{1,4}', tasks)
    here = int(count.group()) if count else 1
    local = _number(environ, 'SLURM_LOCALID', 0, size - 1) if environ.get('SLURM_LOCALID') else 0
    return Place(_number(environ, 'SLURM_PROCID', 0, size - 1), size, first_node(nodes),
                 FIRST_PORT + job % PORTS, f'{job}', max(1, min(here, size)), local)


def first_node(
        nodes: str,           # as in SLURM_JOB_NODELIST: 'gpu[07-09,12],login1'
) -> str:
    """The name of the first node in a list of Slurm's. Raises InputError for no such list."""
    found = re.match(r'([A-Za-z0-9._-]+)(?:\[(\d+)[^\]]*\]([A-Za-z0-9._-]*))?(?:,|$)', nodes)
    if not found:
        raise InputError(f'SLURM_JOB_NODELIST is {nodes!r}; must be a list of nodes, such as '
                         'node[01-04]')
    start, number, end = found.groups()
    return start + (number or '') + (end or '')


def _number(environ: Mapping[str, str], name: str, minimum: int, maximum: int) -> int:
    text = environ.get(name, '')
    if not re.fullmatch(r'[0-9]{1,19}', text) or not minimum <= int(text) <= maximum:
        raise InputError(f'{name} is {text!r}; must be a number from {minimum} to {maximum}')
    return int(text)
