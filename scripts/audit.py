"""Lists known vulnerabilities of pinned packages: see audit.sh. Runs where pip-audit is."""

import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Dict, List, Set

SECONDS = 300


def main() -> int:
    pins = read_pins(sys.argv[1:])
    print('audit: %d packages of %d lists, by pip-audit' % (
        sum(map(len, pins.values())), len(sys.argv) - 1), flush=True)
    looked, skipped, found = 0, [], 0
    for requirements in rounds(pins):
        for each in audit(requirements):
            if 'skip_reason' in each:
                skipped.append(each['name'])
                continue
            looked += 1
            for fault in each['vulns']:
                found += 1
                print('{} {}: {}{}'.format(each['name'], each['version'], fault['id'],
                                       ', mended in ' + ', '.join(fault['fix_versions'])
                                       if fault['fix_versions'] else ''))
    if not looked:
        return fail('nothing was looked up: the service knows none of the packages; behind a '
                    'mirror of the index it is not there')
    if skipped:
        print('audit: not looked up: {}'.format(', '.join(sorted(set(skipped)))))
    print('audit: %d known vulnerabilities in %d packages that were looked up' % (found, looked))
    return 0


def read_pins(paths: List[str]) -> Dict[str, Set[str]]:
    """{package: versions} of all lists, whatever Python or processor a line is for."""
    pins = {}                                                       # type: Dict[str, Set[str]]
    for path in paths:
        with open(path, encoding='utf-8') as stream:
            for name, version in re.findall(r'^([\w.-]+)==([^\s;\\]+)', stream.read(), re.M):
                pins.setdefault(name.lower(), set()).add(version)
    return pins


def rounds(pins: Dict[str, Set[str]]) -> List[List[str]]:
    """Lists of requirements in which no package stands twice."""
    most = max(map(len, pins.values()), default=0)
    ordered = {name: sorted(versions) for name, versions in pins.items()}
    return [[f'{name}=={ordered[name][number]}' for name in sorted(ordered)
             if len(ordered[name]) > number] for number in range(most)]


def audit(requirements: List[str]) -> List[dict]:
    """What pip-audit says of each; ends the program where it cannot ask."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'requirements.txt')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write('\n'.join(requirements))
        command = [sys.executable, '-m', 'pip_audit', '-r', path, '--no-deps', '--disable-pip',
                   '--progress-spinner', 'off', '--format', 'json']
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  universal_newlines=True, timeout=SECONDS)
            return json.loads(done.stdout)['dependencies']
        except subprocess.TimeoutExpired:
            sys.exit(fail('no answer in %d s' % SECONDS))
        except (ValueError, KeyError):
            last = (done.stderr.strip().splitlines() or ['no output'])[-1]
            sys.exit(fail('pip-audit ended with exit code %d: %s' % (done.returncode, last[:200])))


def fail(reason: str) -> int:
    print('audit: could not look: ' + reason, file=sys.stderr)
    return 3


if __name__ == '__main__':
    sys.exit(main())
