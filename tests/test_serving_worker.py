"""The process that generates for `serve`: what a model does to it, it does to no other run."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest
from logged import attach
from serve_toy import RUN, Served
from toy import tiny_config

from stackgan.export.onnx_check import read_onnx
from stackgan.files import digest_of_file, read_json, write_json
from stackgan.serving import frames
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.limits import Limits, Strikes
from stackgan.serving.process import Ended, Worker
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run

onnx = pytest.importorskip('onnx', reason='no onnx here; install the extra `export`')
HOSTILE = 'hostile'


def multiplying(path, side, times=0, others=0):
    """Makes a generator's .onnx one of the same ports that passes every check before it is run.

    It multiplies a matrix of [side, side] `times` by itself, and adds `others` of its kind.
    """
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    model = onnx.load(path)
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    nodes = [helper.make_node('MatMul', ['column', 'row'], ['x0'])]
    for i in range(times):
        nodes.append(helper.make_node('MatMul', ['x%d' % i, 'x0'], ['x%d' % (i + 1)]))
    for i in range(others):
        nodes.append(helper.make_node('MatMul', ['column', 'row%d' % i], ['other%d' % i]))
    nodes.append(helper.make_node('Sum', ['x%d' % times] + ['other%d' % i for i in range(others)],
                                  ['sum']))
    nodes += [helper.make_node('MatMul', ['row', 'sum'], ['y0']),
              helper.make_node('MatMul', ['y0', 'column'], ['y1']),
              helper.make_node('Reshape', ['y1', 'one'], ['y'])]
    constants = [numpy_helper.from_array(np.full(shape, 1e-3, np.float32), name)
                 for name, shape in [('column', (side, 1)), ('row', (1, side))]
                 + [('row%d' % i, (1, side)) for i in range(others)]]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), 'one'))
    for each in outputs:
        shape = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        constants.append(numpy_helper.from_array(np.zeros(shape, np.float32), each.name + '/zeros'))
        nodes.append(helper.make_node('Add', [each.name + '/zeros', 'y'], [each.name]))
    graph = helper.make_graph(nodes, 'hostile', inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=model.opset_import)
    made.ir_version = model.ir_version
    onnx.save(made, path)
    read_onnx(path)                             # which it passes


def slow(path):
    """About the work that is admitted: 2e12 multiplications an image."""
    multiplying(path, 3000, times=70)


def large(path):
    """Matrices of 4 GB each."""
    multiplying(path, 32000, others=3)


def volume_with(volume, folder, make_model):
    """A volume with the good run and a hostile one, whose files are as its manifest says."""
    for name in (RUN, HOSTILE):
        shutil.copytree(str(volume / 'runs' / RUN), str(folder / 'runs' / name))
    export = folder / 'runs' / HOSTILE / 'export'
    path, = export.glob('stackgan-*.onnx')
    make_model(str(path))
    size, digest = path.stat().st_size, digest_of_file(str(path))
    facts = read_json(str(export / 'export.json'))
    facts['models'][0]['onnx']['sha256'] = digest
    write_json(str(export / 'export.json'), facts)
    manifest = read_json(str(export / 'manifest.json'))
    for name in (path.name, 'export.json'):
        manifest['files'][name] = {'size': os.path.getsize(str(export / name)),
                                   'sha256': digest_of_file(str(export / name))}
    write_json(str(export / 'manifest.json'), manifest)
    assert manifest['files'][path.name]['size'] == size
    return folder


def health(server):
    return json.loads(server.ask('/health')[2].decode())


def workers_of(server):
    """Process ids of the children of a server."""
    found = []
    for name in os.listdir('/proc'):
        try:
            with open('/proc/%d/stat' % int(name)) as stream:
                words = stream.read().rpartition(')')[2].split()
        except (OSError, ValueError):
            continue
        if int(words[1]) == server.process.pid and words[0] != 'Z':
            found.append(int(name))
    return found


def states_of(process):
    """Letters of what its threads do: T is stopped, Z dead."""
    found = ''
    try:
        for thread in os.listdir('/proc/%d/task' % process):
            with open('/proc/%d/task/%s/stat' % (process, thread)) as stream:
                found += stream.read().rpartition(')')[2].split()[0]
    except OSError:
        pass
    return found


def is_alive(process):
    return bool(set(states_of(process)) - {'Z', 'X'})


class Busy:
    """A server of which somebody asks, in a thread, to generate with the hostile run."""

    def __init__(self, volume, seconds):
        self.server = Served(volume, '--rate', '1000', '--seconds', seconds, '--set',
                             'platform.threads=1')
        self.answers = []
        self.thread = threading.Thread(target=lambda: self.answers.append(
            self.server.ask('/api/generate', {'run': HOSTILE, 'caption': 'a', 'count': 8})))

    def __enter__(self):
        self.thread.start()
        while health(self.server)['worker'] != 'generating' and not self.answers:
            time.sleep(0.01)
        return self

    def __exit__(self, *failure):
        self.server.__exit__()
        self.thread.join()


def test_a_model_that_computes_for_ever_is_ended(volume, tmp_path):
    """Others are served, and generate on."""
    volume = volume_with(volume, tmp_path, slow)
    with Busy(volume, '3') as busy:
        assert busy.server.ask('/')[0] == busy.server.ask('/api/runs')[0] == 200
        assert busy.server.generate()[0] == 200                   # its turn comes
        busy.thread.join()
        status, headers, body = busy.answers[0]
        assert status == 503 and 'longer than 3 seconds' in body.decode()
        assert int(headers['Retry-After']) > 0
        code, text = busy.server.stop(signal.SIGTERM)
        assert code == 0 and 'run hostile ended the worker: it took longer' in text


def test_a_signal_ends_the_server_whatever_a_model_does(volume, tmp_path):
    volume = volume_with(volume, tmp_path, slow)
    with Busy(volume, '1000') as busy:
        worker, = workers_of(busy.server)
        code, text = busy.server.stop(signal.SIGTERM)
        busy.thread.join()
        assert code == 0 and text.rstrip().endswith('serve: stopped') and 'Traceback' not in text
        assert not is_alive(worker) and busy.answers[0][0] == 503


def test_a_model_that_takes_all_memory_fails_alone(volume, tmp_path):
    volume = volume_with(volume, tmp_path, large)
    with Served(volume, '--rate', '1000') as server:
        for _ in range(3):
            status, _, body = server.ask('/api/generate', {'run': HOSTILE, 'caption': 'a'})
            assert status in (409, 503) and list(json.loads(body.decode())) == ['error']
            assert server.generate()[0] == 200
        with open('/proc/%d/status' % server.process.pid) as stream:
            peak = int(stream.read().split('VmHWM:')[1].split()[0])
        assert peak < 200 << 10                               # KiB; the server runs no model
        with open('/proc/%d/maps' % server.process.pid) as stream:
            assert 'onnxruntime' not in stream.read()
        worker, = workers_of(server)
        with open('/proc/%d/limits' % worker) as stream:
            limits = {line[:26].strip(): line[26:].split()[0] for line in stream}
        assert int(limits['Max data size']) <= 4 << 30
        assert limits['Max address space'] != 'unlimited' and limits['Max core file size'] == '0'


def test_a_worker_that_is_killed_or_stands_still_is_replaced(volume):
    with Served(volume, '--rate', '1000') as server:
        assert health(server)['worker'] == 'ready' and server.generate()[0] == 200
        for number in (signal.SIGKILL, signal.SIGSTOP):
            worker, = workers_of(server)
            os.kill(worker, number)
            if number == signal.SIGSTOP:
                while set(states_of(worker)) != {'T'}:
                    time.sleep(0.01)
                status, _, body = server.ask('/health')
                assert status == 503 and json.loads(body.decode())['ok'] is False
                assert json.loads(body.decode())['worker'] == 'does not answer'
            assert server.generate()[0] == 200
            assert health(server)['worker'] == 'ready' and workers_of(server) != [worker]
        worker, = workers_of(server)
        server.process.kill()                                 # nothing is left of it
        while is_alive(worker):
            time.sleep(0.01)


# With a program in the place of the worker.

def run_of(program, **limits):
    limits = Limits(**dict({'generation_seconds': 0.5}, **limits))
    said = []
    attach(said)
    worker = Worker(tiny_config().platform, limits, (sys.executable, '-c', program))
    worker.said = said
    return worker


RUNNING = Run('a', stages=1, digest='d')
ASKED = GenerateRequest('a', 'a bird', 0, 1)
BEGINS = ('import sys, os, time, json\n'
          'from stackgan.serving import frames\n'
          'frames.read(0); frames.read(0); frames.write(1, frames.packed({"began": True}))\n')


@pytest.mark.parametrize('program, how', [
    (BEGINS + 'time.sleep(1000)', 'longer than 0.5 seconds'),
    (BEGINS + 'sys.exit(0)', 'exited'),
    (BEGINS + 'os.kill(os.getpid(), 11)', 'killed by SIGSEGV'),
    (BEGINS + 'os.write(1, b"\\xff" * 1000); time.sleep(1000)', 'a frame of'),
    (BEGINS + 'os.write(1, frames.HEAD.pack(1 << 19, 0) + b"[" * (1 << 19)); time.sleep(1000)',
     'invalid JSON'),
    (BEGINS + 'os.write(1, frames.HEAD.pack(1, 5)); time.sleep(1000)', 'longer than'),
    (BEGINS + 'frames.write(1, frames.packed([1])); time.sleep(1000)', 'did not send'),
    (BEGINS + 'frames.write(1, frames.packed({"refused": 7})); time.sleep(1000)', 'did not send'),
    (BEGINS + 'frames.write(1, frames.packed({"sizes": [[4]]}, b"GIF8")); time.sleep(1000)', 'PNG'),
    (BEGINS + 'frames.write(1, frames.packed({"sizes": [[9]]}, b"GIF8")); time.sleep(1000)',
     'other images'),
    (BEGINS + 'frames.write(1, frames.packed({"sizes": [[-1, 5]]}, b"GIF8")); time.sleep(1000)',
     'other images'),
    (BEGINS + 'frames.write(1, frames.packed({"sizes": 3}, b"GIF8")); time.sleep(1000)',
     'other images')])
def test_whatever_a_worker_does_is_told_and_ends_it(program, how):
    worker = run_of(program)
    with pytest.raises(Ended, match=how):
        worker.generate(RUNNING, ASKED)
    assert worker._process is None                            # the next is another
    worker.close()
    with pytest.raises(Refusal, match='is stopping'):
        worker.generate(RUNNING, ASKED)


def test_a_worker_that_cannot_be_started_is_no_fault_of_a_run():
    worker = run_of('raise SystemExit(3)')
    with pytest.raises(Refusal, match='cannot be started') as refused:
        worker.generate(RUNNING, ASKED)
    assert refused.value.status == 503 and 'cannot be started' in worker.said[0]
    assert worker.state(60) == 'ends when it is started'


def test_what_a_worker_says_is_short_and_printable():
    worker = run_of(BEGINS + 'frames.write(1, frames.packed({"refused": [503, "a\\x1b[1m" * 999, '
                    '30],"log": ["\\x1b]0;x\\x07\\nserve: ok" * 99, 7]})); time.sleep(1000)')
    with pytest.raises(Refusal) as refused:
        worker.generate(RUNNING, ASKED)
    assert str(refused.value).isprintable() and len(str(refused.value)) <= 400
    assert len(worker.said) == 1 and worker.said[0].isprintable() and len(worker.said[0]) <= 400
    worker.close()


def test_frames_have_bounds():
    reading, writing = os.pipe()
    os.write(writing, frames.HEAD.pack(2, frames.MAX_BYTES + 1))
    with pytest.raises(frames.Gone, match='a frame of 2 and'):
        frames.read(reading)
    frames.write(writing, frames.packed({'a': '\udcff'}, b'bytes'))
    assert frames.read(reading, time.monotonic() + 60) == ({'a': '\udcff'}, b'bytes')
    with pytest.raises(frames.Late):
        frames.read(reading, time.monotonic())
    os.close(writing)
    with pytest.raises(frames.Gone):
        frames.read(reading)
    os.close(reading)


def test_a_run_that_ends_the_worker_rests_for_a_while():
    now = [0.0]
    strikes = Strikes(Limits(strikes=2, strike_seconds=100), lambda: now[0])
    strikes.add('a', 'it took long')
    assert strikes.fault_of('a') is None
    strikes.forgive('a')
    strikes.add('a', 'it took long')
    strikes.add('a', 'it took longer')
    strikes.add('b', 'it took long')
    now[0] = 40.0
    assert '(the last: it took longer)' in strikes.fault_of('a')
    assert 'in 60 s' in strikes.fault_of('a') and strikes.fault_of('b') is None
    now[0] = 101.0
    assert strikes.fault_of('a') is None
    strikes.add('a', 'again')                                 # once more is enough
    assert strikes.fault_of('a')


def test_a_run_that_rests_holds_nobody_up(volume, tmp_path):
    """Told in its place; refused at once; the others generate."""
    from jobs.engine.contract import read_manifest
    from stackgan.serving.app import create_app
    from stackgan.serving.runs import Runs
    from stackgan.serving.service import make_service
    for name in (RUN, HOSTILE):
        shutil.copytree(str(volume / 'runs' / RUN), str(tmp_path / 'runs' / name))
    lines = []
    attach(lines)
    service = make_service(Runs(str(tmp_path), read_manifest), tiny_config().platform, Limits(), {},
                           RUN)
    client, generate = create_app(service).test_client(), service.worker.generate

    def ended(run, asked):
        if run.name == HOSTILE:
            raise Ended('it took longer')
        return generate(run, asked)

    service.worker.generate = ended
    statuses = [client.post('/api/generate', json={'run': name, 'caption': 'a'}).status_code
                for name in (HOSTILE, HOSTILE, HOSTILE, RUN)]
    assert statuses == [503, 503, 409, 200]
    assert lines[:2] == ['run hostile ended the worker: it took longer'] * 2
    runs = {run['name']: run for run in client.get('/api/runs').get_json()['runs']}
    assert 'ended the worker' in runs[HOSTILE]['why_not'] and runs[RUN]['can_generate']
    bad, = client.get('/health').get_json()['runs']['bad']
    assert bad['name'] == HOSTILE and 'ended the worker' in bad['faults'][0]
    assert 'Cannot generate: its last 2 requests' in client.get('/').get_data(as_text=True)
    service.worker.close()
