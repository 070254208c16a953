"""Where the workers of a data-parallel training are: from what starts them, by the environment.

Imports no TensorFlow. Known are this program's own variables (local workers, containers), Slurm's
and those of a Kubernetes Indexed Job, and a list of the machines.
"""

import re
import socket
import subprocess
from typing import List, Mapping, NamedTuple, Optional, Tuple

from stackgan.errors import InputError

SIZE, RANK = 'STACKGAN_WORKERS', 'STACKGAN_WORKER_RANK'
ADDRESS, TOKEN = 'STACKGAN_WORKER_ADDRESS', 'STACKGAN_WORKER_TOKEN'
HERE, LOCAL_RANK = 'STACKGAN_WORKERS_HERE', 'STACKGAN_WORKER_LOCAL_RANK'
PORT, HOSTS, PHASE = 'STACKGAN_WORKER_PORT', 'STACKGAN_WORKER_HOSTS', 'STACKGAN_WORKER_PHASE'
FIRST_PORT, PORTS = 20000, 10000     # where workers of a Slurm job meet; below ephemeral ports
MAX_WORKERS, MAX_PHASE = 1024, 99
SECONDS = 30                         # for an answer of scontrol
MACHINE = re.compile(r'([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[(\d{1,6})-(\d{1,6})\]([A-Za-z0-9._-]*))?'
                     r'(?::(\d{1,5}))?')


class Place(NamedTuple):
    """One worker among the others."""

    rank: int             # 0 to size - 1; 0 keeps the records
    size: int             # number of workers, at least 2
    host: str             # where worker 0 listens
    port: int             # 0: any, where worker 0 starts the others
    token: str = ''       # what the workers of one training have in common
    here: int = 1         # workers on this machine
    local_rank: int = 0   # among those
    own_port: int = 0     # where this worker gets gradients; 0: any
    phase: int = 0        # of a chain of jobs that the same workers do one after the other
    starts: int = 0       # workers with the next ranks, which this process starts beside it


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
    own_port = _number(environ, PORT, 0, 65535) if environ.get(PORT) else 0
    phase = _number(environ, PHASE, 0, MAX_PHASE) if environ.get(PHASE) else 0
    return Place(rank, size, host, int(port), environ.get(TOKEN, ''), here, local, own_port, phase)


def from_hosts(
        text: str,                 # 'node1:20000,node2' or 'node[1-2]'
        number: Optional[int],     # of this machine in the list; None: found by the addresses
        each: int,                 # workers on each machine
        environ: Mapping[str, str],
) -> Optional[Place]:
    """The place of the first worker of this machine; None: it is on its own. Raises InputError."""
    machines = machines_of(text)
    if number is None:
        number = _number_here(machines)
    elif not 0 <= number < len(machines):
        raise InputError(f'--rank is {number}; must be a number from 0 to {len(machines) - 1}, of '
                         f'this machine among --hosts')
    rank, size = number * each, len(machines) * each
    if not 1 < size <= MAX_WORKERS:
        if size == 1:
            return None
        raise InputError(f'--hosts: {size} workers; must be at most {MAX_WORKERS}')
    (host, port), own_port = machines[0], machines[number][1]
    # Of one machine too several containers may be workers, each as a machine of the list.
    here = _number(environ, HERE, each, size) if environ.get(HERE) else each
    return Place(rank, size, host, port or FIRST_PORT, environ.get(TOKEN, ''), here,
                 rank if here > each else 0, own_port + (number == 0) if own_port else 0,
                 starts=each - 1)


def machines_of(
        text: str,
) -> List[Tuple[str, int]]:
    """[(host, port)] of a list of machines; port 0: none is named. Raises InputError."""
    found: List[Tuple[str, int]] = []
    for item in text.split(','):
        match = MACHINE.fullmatch(item.strip())
        if not match or int(match.group(5) or 1) not in range(1, 65535):
            raise InputError(f'--hosts: {item.strip()[:80]!r}; must be HOST or HOST:PORT, such as '
                             'node1:20000, or several as node[1-4]')
        start, first, last, end, port = match.groups()
        names = [start] if first is None else [
            f'{start}{i:0{len(first)}d}{end}'
            for i in range(int(first), min(int(last), int(first) + MAX_WORKERS) + 1)]
        found += [(name, int(port or 0)) for name in names]
    if not found or len(set(found)) < len(found):
        raise InputError(f'--hosts: {text[:80]} names none, or one twice; several workers of a '
                         'machine are --workers, or have a port each')
    return found


def _number_here(machines: List[Tuple[str, int]]) -> int:
    """The number of this machine in the list."""
    names = ', '.join(name for name, _ in machines[:8])
    found = [i for i, (name, _) in enumerate(machines) if _is_here(name)]
    if len(found) != 1:
        raise InputError(f'--hosts: {"several" if found else "none"} of {names} '
                         f'{"are" if found else "is"} this machine; add --rank, its number from 0 '
                         f'to {len(machines) - 1}')
    return found[0]


def _is_here(host: str) -> bool:
    """Whether a host is this machine: then one can listen at its address."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:                              # no such name, or not yet
        return False
    for *_, address in found:
        with socket.socket() as probe:
            try:
                probe.bind((address[0], 0))
                return True
            except OSError:
                pass
    return False


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
    rank, host = _number(environ, 'SLURM_PROCID', 0, size - 1), first_node(nodes)
    return Place(rank, size, address_of_node(host) if rank else host,
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


def address_of_node(
        name: str,            # of a node of Slurm's, which need not be known to DNS
) -> str:
    """A name or address that can be connected to; the name itself if nobody knows another."""
    try:
        socket.getaddrinfo(name, None)
        return name
    except OSError:
        pass
    try:
        done = subprocess.run(['scontrol', 'show', 'node', name], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return name
    found = re.search(r'\bNodeAddr=(\S+)', done.stdout.decode('utf-8', 'replace'))
    return found.group(1) if found else name


def _number(environ: Mapping[str, str], name: str, minimum: int, maximum: int) -> int:
    text = environ.get(name, '')
    if not re.fullmatch(r'[0-9]{1,19}', text) or not minimum <= int(text) <= maximum:
        raise InputError(f'{name} is {text!r}; must be a number from {minimum} to {maximum}')
    return int(text)
