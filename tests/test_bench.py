"""scripts/bench: what its peak is made of, how operations are counted, what cannot be."""

import os
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf
from toy import ROOT, make_embeddings, make_prepared, tiny_config

from stackgan.data.prepared import ArrayFile, Split, open_dataset
from stackgan.platforms.session import resolve

sys.path.insert(0, os.path.join(ROOT, 'scripts'))
import bench  # noqa: E402
import bench_peak  # noqa: E402
import bench_rows  # noqa: E402
import bench_training  # noqa: E402
import bench_workers  # noqa: E402

ROW = {'lane': 'TF 1.15', 'what': 'Stage-I training, batch 16', 'value': 9.0, 'unit': 'images/s',
       'note': ''}


def test_the_peak_is_the_best_of_several_ways(monkeypatch):
    """TensorFlow's product may be slow where its convolution is not."""
    calls = []

    def seconds(action):
        action()
        calls.append(1)
        return float(len(calls))
    monkeypatch.setattr(bench_peak, 'timed', seconds)
    peak = bench_peak.Peak(resolve(tiny_config().platform), side=64, repeats=1)
    peak.measure()
    assert set(peak.speeds) == {'matmul', 'convolution 1x1', 'convolution 3x3', 'NumPy'}
    assert all(speed > 0 for speed in peak.speeds.values()) and len(calls) == 4
    first = dict(peak.speeds)
    assert peak.best[0] == max(first.values()) and first[peak.best[1]] == peak.best[0]
    peak.speeds = dict.fromkeys(first, 1e30)           # what was faster once stays
    peak.measure()
    assert set(peak.speeds.values()) == {1e30}


def test_operations_are_counted_as_by_hand():
    with tf.Graph().as_default() as graph:
        image, kernel = tf.ones([2, 8, 8, 3]), tf.Variable(tf.ones([3, 3, 3, 5]))
        maps = tf.nn.conv2d(image, kernel, [1, 2, 2, 1], 'SAME')
        assert bench_peak.op_flops(maps.op) == 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)
        product = tf.matmul(tf.ones([7, 4]), tf.ones([7, 6]), transpose_a=True)
        assert bench_peak.op_flops(product.op) == 2 * 7 * 4 * 6
        gradient, = tf.gradients(maps, kernel)         # that of the image stands there as well
    assert len([op for op in graph.get_operations() if op.type.startswith('Conv2D')]) == 3
    assert bench_peak.run_flops(maps, gradient) == 2 * 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)
    assert bench_peak.run_flops(product, maps) == 2 * (2 * 4 * 4 * 5) * 27 + 2 * 7 * 4 * 6


def test_a_step_is_measured_alone_and_with_the_loader(tmp_path):
    prepared = make_prepared(tmp_path / 'prepared')
    embeddings = make_embeddings(tmp_path / 'embeddings', prepared)
    dataset = Split(open_dataset(prepared), 'train'), ArrayFile(embeddings + '/train.npy')
    seconds, flops, memory, fed = bench_training.measure_stage(
        tiny_config('train.ema_decay=null'), 1, 4, 1, dataset)
    assert min(seconds, flops, memory, fed) > 0


def test_the_peer_needs_only_what_its_requirements_name():
    """PyTorch's environment has no other package, so what it imports of ours needs no other."""
    code = ('import sys; before = set(sys.modules); sys.path[:0] = [%r, %r]; '
            'import bench_memory, bench_rows, stackgan.platforms.cores; '
            'print(*sorted({name.split(".")[0] for name, module in sys.modules.items() '
            'if name not in before and "site-packages" in str(getattr(module, "__file__", ""))}))'
            % (ROOT, os.path.join(ROOT, 'scripts')))
    found = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, check=True,
                           universal_newlines=True).stdout.split()
    with open(os.path.join(ROOT, 'benchmarks', 'requirements.txt')) as stream:
        named = {line.split('>')[0].strip().replace('pyyaml', 'yaml') for line in stream}
    assert set(found) - {'_yaml'} <= named and 'yaml' in found


@pytest.mark.parametrize('share, code', [(0.54, 0), (1.0, 0), (2.27, 1)])
def test_more_than_the_peak_is_a_fault(capsys, share, code):
    assert bench.print_table([dict(ROW, what='preprocess'), dict(ROW, share=share)]) == code
    printed = capsys.readouterr()
    assert 'Stage-I training, batch 16' in printed.out
    assert ('Stage-I training, batch 16: 227 % of the GEMM peak' in printed.err) == bool(code)


def test_the_table_compares_with_the_best_of_pytorch(capsys):
    rows = [dict(ROW, value=9.0), dict(ROW, what='Stage-I memory, batch 16', unit='MiB', value=100)]
    rows += [dict(each, lane=f'{bench_rows.PEER} 2.13', value=value)
             for each, values in zip(rows, [(5.0, 6.0), (400, 250)]) for value in values]
    assert bench.print_table(rows) == 0
    ours, memory, *peers = capsys.readouterr().out.splitlines()[1:]
    assert '1.50x' in ours and '2.50x' in memory        # of speed the largest, of memory the least
    assert len(peers) == 4


def test_workers_share_the_cores_or_have_one_each():
    plans = bench_workers.plans_of([1, 2, 4], [4, 5])
    assert [plan.cores for plan in plans['strong']] == [[[4, 5]], [[4], [5]], [[4], [4], [5], [5]]]
    assert [(plan.size, plan.batch, plan.cores) for plan in plans['weak']] == [
        (1, 8, [[4]]), (2, 16, [[4], [5]])]
    assert bench_workers.plans_of([2], [0, 1, 2, 3, 4])['strong'][0].cores == [[0, 1], [2, 3, 4]]


def test_speeds_of_workers_and_the_share_of_the_sums():
    plans = bench_workers.plans_of([1, 2], [0, 1])
    seconds = [{'with': 1.0}, {'with': 1.25, 'without': 1.0}]
    weak = [each['note'] for each in bench_workers.rows_of('TF', plans['weak'], seconds)]
    assert weak == ['1.00 x the images of 1',
                    '1.60 x the images of 1; the sums take 20 % of a step']
    assert '0.80 x' in bench_workers.rows_of('TF', plans['strong'], seconds)[1]['note']
