"""scripts/audit.py with a pip-audit that says what a test wants, and scripts/sbom.sh's usage."""

import json
import os
import subprocess
import sys

import needs
import pytest
from toy import ROOT

# Writes what it was asked, and prints what the test has put beside it.
FAKE = '''
import os, sys
folder = os.path.dirname(os.path.abspath(__file__))
asked = open(sys.argv[sys.argv.index('-r') + 1]).read()
with open(os.path.join(folder, 'asked'), 'a') as stream:
    stream.write(asked + '\\n--\\n')
sys.stderr.write(open(os.path.join(folder, 'stderr')).read())
print(open(os.path.join(folder, 'answer')).read())
sys.exit(1)
'''
LIST = '''# Python 3.11; made by a test.
one==1.0 ; python_full_version < '3.8' \\
    --hash=sha256:aa
one==2.0 ; python_full_version >= '3.8' \\
    --hash=sha256:bb
Two==3.0 \\
    --hash=sha256:cc
'''


@pytest.fixture
def audit(tmp_path):
    (tmp_path / 'pip_audit.py').write_text(FAKE)
    (tmp_path / 'list.txt').write_text(LIST)

    def call(answer, stderr=''):
        (tmp_path / 'answer').write_text(answer)
        (tmp_path / 'stderr').write_text(stderr)
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, 'scripts', 'audit.py'), str(tmp_path / 'list.txt')],
            env=dict(os.environ, PYTHONPATH=str(tmp_path)), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout
    return call


def answer(*dependencies):
    return json.dumps({'dependencies': list(dependencies), 'fixes': []})


def test_what_is_found_is_listed_and_is_no_failure(audit, tmp_path):
    found = {'id': 'PYSEC-1', 'fix_versions': ['1.1', '2.1'], 'aliases': [], 'description': ''}
    code, said = audit(answer({'name': 'one', 'version': '1.0', 'vulns': [found]},
                              {'name': 'three', 'skip_reason': 'not found'}))
    assert code == 0 and 'one 1.0: PYSEC-1, fixed in 1.1, 2.1\n' in said
    assert 'audit: 2 known vulnerabilities in 2 packages that were looked up' in said
    assert 'not looked up: three' in said
    assert (tmp_path / 'asked').read_text() == 'one==1.0\ntwo==3.0\n--\none==2.0\n--\n'


def test_a_service_that_knows_nothing_is_no_all_clear(audit):
    code, said = audit(answer({'name': 'one', 'skip_reason': 'not found on the index'}))
    assert code == 3 and 'no package was looked up' in said and ' 0 known' not in said


def test_a_service_that_cannot_be_reached_is_told(audit):
    code, said = audit('', 'a traceback\nConnectionError: no route\n')
    assert code == 3 and 'pip-audit ended with exit code 1: ConnectionError: no route' in said


def test_the_list_of_packages_has_a_usage():
    done = subprocess.run([needs.program('bash'), os.path.join(ROOT, 'scripts', 'sbom.sh')],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    assert done.returncode == 2 and done.stdout.startswith('Usage: scripts/sbom.sh FOLDER')
