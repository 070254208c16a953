"""Lists known vulnerabilities of pinned packages, by pip-audit: see audit.sh."""

import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Set

SECONDS = 300


def main() -> int:
    pins = read_pins(sys.argv[1:])
    count = sum(map(len, pins.values()))
    print(f'audit: {count} packages of {len(sys.argv) - 1} lists, by pip-audit', flush=True)
    looked, skipped, found = 0, set(), 0
    for requirements in rounds(pins):
        for each in audit(requirements):
            if 'skip_reason' in each:
                skipped.add(each['name'])
                continue
            looked += 1
            for fault in each['vulns']:
                found += 1
                versions = ', '.join(fault['fix_versions'])
                fixed = f', fixed in {versions}' if versions else ''
                print(f"{each['name']} {each['version']}: {fault['id']}{fixed}")
    if not looked:
        return fail('no package was looked up: the vulnerability service knows none of them; a '
                    'mirror of the package index may lack it')
    if skipped:
        print('audit: not looked up: ' + ', '.join(sorted(skipped)))
    print(f'audit: {found} known vulnerabilities in {looked} packages that were looked up')
    return 0


def read_pins(paths: List[str]) -> Dict[str, Set[str]]:
    """{package: versions} of all lists, whatever Python or processor a line is for."""
    pins: Dict[str, Set[str]] = {}
    for path in paths:
        with open(path, encoding='utf-8') as stream:
            for name, version in re.findall(r'^([\w.-]+)==([^\s;\\]+)', stream.read(), re.M):
                pins.setdefault(name.lower(), set()).add(version)
    return pins


def rounds(pins: Dict[str, Set[str]]) -> List[List[str]]:
    """Lists of requirements, each package once per list."""
    most = max(map(len, pins.values()), default=0)
    ordered = {name: sorted(versions) for name, versions in pins.items()}
    return [[f'{name}=={ordered[name][number]}' for name in sorted(ordered)
             if len(ordered[name]) > number] for number in range(most)]


def audit(requirements: List[str]) -> List[Dict[str, Any]]:
    """What pip-audit reports of each; ends the program if pip-audit fails."""
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
            sys.exit(fail(f'no answer in {SECONDS} s'))
        except (ValueError, KeyError):
            last = (done.stderr.strip().splitlines() or ['no output'])[-1]
            sys.exit(fail(f'pip-audit ended with exit code {done.returncode}: {last[:200]}'))


def fail(reason: str) -> int:
    print('audit: failed: ' + reason, file=sys.stderr)
    return 3


if __name__ == '__main__':
    sys.exit(main())
