"""Memory of this process, for the benchmarks."""

import os


def peak_mib() -> float:
    """The largest size since the start or `reset_peak`: getrusage counts the parent's as well."""
    with open('/proc/self/status') as stream:
        line = next(line for line in stream if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1024


def reset_peak() -> None:
    """Lets `peak_mib` begin anew, where the system permits it."""
    try:
        with open('/proc/self/clear_refs', 'w') as stream:
            stream.write('5')
    except OSError:
        pass


def resident_mib() -> float:
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20
