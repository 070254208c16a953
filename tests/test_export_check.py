"""The check before ATC: every fault is found, named with its node, and given a remedy."""

import pytest
import tensorflow.compat.v1 as tf
from export_toy import graph_of, make_stage, placeholder, run
from toy import tiny_config

from jobs import export as export_job
from stackgan.export.check import check_graph
from stackgan.export.exporting import export


@pytest.mark.parametrize('build, level, node, text, remedy', [
    (lambda: tf.get_variable('v', [2], use_resource=True) + placeholder(), 'error', 'v',
     'VarHandleOp does not convert', 'freeze the graph'),
    (lambda: placeholder() + tf.random_normal([1, 2], name='r'), 'error', 'r/RandomStandardNormal',
     'AI CPU', 'make the noise an input'),
    (lambda: placeholder((None, 2)), 'error', 'x', r'shape (?, 2) is not fixed (E10001)',
     'fixed batch'),
    (lambda: placeholder(None), 'error', 'x', 'is not fixed', 'fixed batch'),
    (lambda: placeholder((0, 2)), 'error', 'x', 'a side of 0', 'at least 1'),
    (lambda: placeholder(dtype=tf.float64), 'error', 'x', 'dtype is float64', 'float32'),
    (lambda: tf.nn.relu(tf.ones([2])), 'error', '', 'no placeholder (E12010)', 'inputs'),
    (lambda: tf.sinh(placeholder(), name='s'), 'warning', 's', 'Sinh is not known', 'other'),
    (lambda: (placeholder(), tf.no_op('n')), 'error', 'n', 'NoOp does not convert', 'training'),
])
def test_findings_name_the_node_and_the_remedy(build, level, node, text, remedy):
    findings = [finding for finding in check_graph(graph_of(build)) if finding.node == node]
    found = [finding for finding in findings
             if text.replace('?', '') in finding.text.replace('None', '').replace('?', '')]
    assert found, findings
    assert found[0].level == level and remedy in found[0].remedy


def test_control_flow_is_found():
    def build():
        x = placeholder()
        tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)])
        with tf.control_dependencies([tf.exp(x, name='first')]):
            tf.identity(x, name='second')

    findings = check_graph(graph_of(build))
    assert any('unroll the loop' in finding.remedy for finding in findings)
    assert [finding.level for finding in findings if finding.node == 'second'] == ['error']
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels)                            # errors first


def test_a_graph_that_cannot_be_read_and_one_with_functions():
    graph_def = graph_of(placeholder)
    graph_def.node[0].input.append('nowhere')
    graph_def.library.function.add().signature.name = 'f'
    texts = ' '.join(str(finding) for finding in check_graph(graph_def))
    assert 'TensorFlow cannot read it' in texts and 'holds functions, such as f' in texts


def test_the_check_as_a_command(tmp_path, capsys):
    config = tiny_config()
    stage = make_stage(tmp_path / 'stage1', 1, config.model)
    (tmp_path / 'out').mkdir()
    settings = tiny_config('export.batch_sizes=[1]', 'export.onnx=false').export
    export(stage, str(tmp_path / 'out'), settings, config.platform)
    good = str(tmp_path / 'out' / 'stackgan-stage1-b1.pb')
    assert run(export_job.JOB, tmp_path, check=good) == 0
    assert 'would pass' in capsys.readouterr().out
    bad = tmp_path / 'bad.pb'
    bad.write_bytes(graph_of(lambda: placeholder((None, 2))).SerializeToString())
    assert run(export_job.JOB, tmp_path, config, check=str(bad)) == 2
    assert 'would not pass ATC: x: its shape' in capsys.readouterr().err
    bad.write_bytes(b'this is no graph')
    assert run(export_job.JOB, tmp_path, config, check=str(bad)) == 2
    assert 'bad.pb: not a frozen TensorFlow graph' in capsys.readouterr().err
    assert run(export_job.JOB, tmp_path, config, check='nowhere.pb') == 2
    assert 'nowhere.pb: no such file' in capsys.readouterr().err
