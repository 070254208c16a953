"""A volume with an exported run for the tests of `serve`, and the server as a process."""

import http.client
import json
import os
import re
import subprocess
import sys

from export_toy import finished_stage, finished_text_encoder, run
from toy import ROOT, TINY, heed, make_prepared, tiny_config

from jobs import export
from jobs.engine.contract import Job
from jobs.engine.outputs import prepared_folder, run_folder

SETTINGS = TINY + ['export.batch_sizes=[1]']
RUN = 'painted-birds'
REPORT = '<!doctype html><title>A report</title><style>p { color: red }</style><p>of a run'


def make_volume(
        folder,           # made here
):
    """A finished volume with random weights: dataset, text encoder, Stage-II, export, report."""
    config = tiny_config(*SETTINGS[len(TINY):])
    finish(folder, 'preprocess', prepared_folder, lambda work: make_prepared(work.folder))
    finished_text_encoder(folder)
    finished_stage(folder, 2)
    assert run(export.JOB, folder, config) == 0
    finish(folder, 'report', lambda config: run_folder(config, 'report'), write_report)
    return folder


def finish(volume, name, output, make):
    """Makes the output of a job as a finished one."""
    job = Job(name, 'makes', output, lambda config, volume: (), lambda config: {}, make)
    assert run(job, volume) == 0


def write_report(work):
    for name, text in (('index.html', REPORT), ('a b.svg', '<svg/>')):
        with open(os.path.join(work.folder, name), 'w') as stream:
            stream.write(text)


class Served:
    """`python -m jobs serve` on a free port. Use as a context manager."""

    def __init__(self, volume, *arguments, **environment):
        command = [sys.executable, '-u', '-m', 'jobs', 'serve', '--data', str(volume),
                   '--port', '0']
        for text in SETTINGS:
            command += ['--set', text]
        self.process = subprocess.Popen(
            command + list(arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True, env=dict(os.environ, **environment), preexec_fn=heed)
        self.first_line = self.process.stdout.readline()
        found = re.search(r'(http://(\S+):(\d+)) shows', self.first_line)
        assert found, self.first_line + self.process.communicate()[0]
        self.url, self.host, self.port = found.group(1), found.group(2), int(found.group(3))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.communicate()

    def ask(self, path, body=None, source='', **headers):
        """(status, headers, bytes) of a GET, or of a POST of JSON; from the address `source`."""
        connection = http.client.HTTPConnection(self.host.strip('[]'), self.port, timeout=60,
                                                source_address=(source, 0) if source else None)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        try:
            if body is None:
                connection.request('GET', path, headers=headers)
            else:
                connection.request('POST', path, json.dumps(body),
                                   dict(headers, **{'Content-Type': 'application/json'}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def generate(self, caption='a red bird', seed=0, **more):
        return self.ask('/api/generate', dict(more, run=RUN, caption=caption, seed=seed))

    def stop(self, number):
        """Sends a signal; (exit code, what it printed)."""
        self.process.send_signal(number)
        text = self.process.communicate(timeout=60)[0]
        return self.process.returncode, text
