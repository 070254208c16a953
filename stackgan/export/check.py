"""Looks a frozen graph over before ATC does: each finding names the node and what to do.

ATC stops at the first fault, minutes into a conversion, often on another machine.
"""

import os
from collections import Counter
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from stackgan import graph_files
from stackgan.errors import InputError
from stackgan.files import read_json

OPERATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ascend_ops.json')
TYPES = {tf.float16, tf.float32, tf.uint8, tf.int32, tf.int64, tf.bool}
MAX_BYTES = 2 ** 31 - 1               # of one protocol buffer
ERROR, WARNING = 'error', 'warning'
# Operations that do nothing while a graph is imported, which is how shapes are looked at.
LOOKED_AT = graph_files.OF_GENERATORS | graph_files.OF_CLASSIFIERS | frozenset('''
    Abs AddN Cos Elu Floor FloorDiv Greater GreaterEqual Less LessEqual Log Log1p Neg OneHot Pow
    RandomStandardNormal RandomUniform Reciprocal ReadVariableOp Select SelectV2 Sigmoid Sign Sin
    Sinh Softplus Square SquaredDifference TruncatedNormal Unpack VarHandleOp VariableV2
    '''.split())


class Finding(NamedTuple):
    """Something about a graph that stops ATC, or may."""

    level: str          # ERROR or WARNING
    node: str           # its name; '' for the graph as a whole
    text: str           # what was seen
    remedy: str         # what to do

    def __str__(self):
        return '{}: {}; {}'.format(self.node or 'the graph', self.text, self.remedy)


def read_graph(path):
    """The tf.GraphDef of a .pb file. Raises InputError where it is none."""
    return graph_files.read_graph(path, 'a frozen TensorFlow graph', 'name a .pb that export wrote')


def check_graph(
        graph_def,        # tf.GraphDef
):
    """[Finding], errors first."""
    known = read_json(OPERATIONS)
    findings = _whole(graph_def)
    for node in graph_def.node:
        findings += _operation(node, known) + _types(node)
    findings += _shapes(graph_def)
    return sorted(findings, key=lambda finding: finding.level != ERROR)


def report_of(
        graph_def,        # tf.GraphDef
        findings,         # [Finding]
):
    """What a check says, as a dict for JSON."""
    return {
        'passed': not errors_of(findings),
        'findings': [finding._asdict() for finding in findings],
        'operations': dict(Counter(node.op for node in graph_def.node)),
        'bytes': graph_def.ByteSize(),
    }


def errors_of(findings):
    return [finding for finding in findings if finding.level == ERROR]


def require_passed(
        path,             # what the message calls the graph
        findings,         # [Finding]
):
    """Raises InputError with the first error, if there is one."""
    errors = errors_of(findings)
    if errors:
        more = ' (and %d more)' % (len(errors) - 1) if len(errors) > 1 else ''
        raise InputError(f'{path}: would not pass ATC: {errors[0]}{more}')


def _whole(graph_def):
    findings = []
    if graph_def.ByteSize() > MAX_BYTES:
        findings.append(Finding(ERROR, '', '%d bytes, more than the 2 GiB of a protocol buffer'
                                % graph_def.ByteSize(), 'export a smaller model'))
    if graph_def.library.function:
        findings.append(Finding(ERROR, '', f'holds functions, such as '
                                           f'{graph_def.library.function[0].signature.name}, which '
                                           f'need func2graph.py '
                                '(E12029)',
                                'inline them when the graph is built'))
    if not any(node.op == 'Placeholder' for node in graph_def.node):
        findings.append(Finding(ERROR, '', 'has no placeholder (E12010)',
                                'make embedding and noise inputs of the graph'))
    return findings


def _operation(node, known):
    findings = []
    if node.op in known['fails']:
        source, remedy = known['fails'][node.op]
        findings.append(Finding(ERROR, node.name, f'{node.op} does not convert ({source})',
                                remedy))
    elif node.op not in known['converts']:
        findings.append(Finding(WARNING, node.name, f'{node.op} is not known to convert',
                                'try it, or build the graph of other operations'))
    if any(name.startswith('^') for name in node.input):
        findings.append(Finding(ERROR, node.name, 'has a control input, which orders what has no '
                                'side effects', 'build the graph without control dependencies'))
    return findings


def _types(node):
    for name, value in sorted(node.attr.items()):
        if value.type and tf.as_dtype(value.type).base_dtype not in TYPES:
            return [Finding(ERROR, node.name, f'{name} is {tf.as_dtype(value.type).name}',
                            'ATC takes {} only'.format(', '.join(sorted(t.name for t in TYPES))))]
    return []


def _shapes(graph_def):
    looked_at, graph = tf.GraphDef(), tf.Graph()
    looked_at.CopyFrom(graph_def)
    looked_at.ClearField('library')
    try:
        graph_files.require_operations(looked_at, LOOKED_AT, 'a graph for inference')
    except graph_files.Unfit as fault:
        return [Finding(WARNING, '', f'shapes are not checked: {fault}',
                        'see the other findings first')]
    with graph.as_default():
        try:
            tf.import_graph_def(looked_at, name='')
        except (ValueError, KeyError, tf.errors.OpError) as error:
            return [Finding(ERROR, '', 'TensorFlow cannot read it: {}'.format(' '.join(str(error).split())[:200]), 'export it anew')]
    findings = []
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            sides = tensor.shape.as_list() if tensor.shape.ndims is not None else None
            if sides is None or None in sides:
                findings.append(Finding(ERROR, operation.name, f'its shape {tensor.shape} is not '
                                                               f'fixed (E10001)', 'export with a fixed batch'))
            elif 0 in sides:
                findings.append(Finding(ERROR, operation.name, f'its shape {tensor.shape} has a '
                                                               f'side of 0', 'every side must be at least 1'))
    return findings
