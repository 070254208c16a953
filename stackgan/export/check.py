"""Checks a frozen graph before ATC does: each finding names the node and what to do.

ATC stops at the first error, minutes into a conversion, often on another machine.
"""

import os
from collections import Counter
from typing import Any, Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from stackgan import graph_files
from stackgan.errors import InputError
from stackgan.files import read_json

OPERATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ascend_ops.json')
TYPES = {tf.float16, tf.float32, tf.uint8, tf.int32, tf.int64, tf.bool}
MAX_BYTES = 2 ** 31 - 1               # of one protocol buffer
ERROR, WARNING = 'error', 'warning'
# Operations that are safe to import, which is how shapes are checked.
IMPORTABLE = graph_files.OF_GENERATORS | graph_files.OF_CLASSIFIERS | frozenset('''
    Abs AddN Cos Elu Floor FloorDiv Greater GreaterEqual Less LessEqual Log Log1p Neg OneHot Pow
    RandomStandardNormal RandomUniform Reciprocal ReadVariableOp Select SelectV2 Sigmoid Sign Sin
    Sinh Softplus Square SquaredDifference TruncatedNormal Unpack VarHandleOp VariableV2
    '''.split())


class Finding(NamedTuple):
    """Something about a graph that stops ATC, or may."""

    level: str          # ERROR or WARNING
    node: str           # its name; '' for the graph as a whole
    text: str           # what was found
    remedy: str         # what to do

    def __str__(self) -> str:
        return f'{self.node or "the graph"}: {self.text}; {self.remedy}'


def read_graph(path: str) -> tf.GraphDef:
    """The tf.GraphDef of a .pb file. Raises InputError if it is not one."""
    return graph_files.read_graph(path, 'a frozen TensorFlow graph', 'name a .pb that export wrote')


def check_graph(
        graph_def: tf.GraphDef,     # tf.GraphDef
) -> List[Finding]:
    """Everything found, errors first."""
    known = read_json(OPERATIONS)
    findings = _whole(graph_def)
    for node in graph_def.node:
        findings += _operation(node, known) + _types(node)
    findings += _shapes(graph_def)
    return sorted(findings, key=lambda finding: finding.level != ERROR)


def report_of(
        graph_def: tf.GraphDef,     # tf.GraphDef
        findings: List[Finding],    # [Finding]
) -> Dict[str, Any]:
    """The result of a check, as a dict for JSON."""
    return {
        'passed': not errors_of(findings),
        'findings': [finding._asdict() for finding in findings],
        'operations': dict(Counter(node.op for node in graph_def.node)),
        'bytes': graph_def.ByteSize(),
    }


def errors_of(findings: List[Finding]) -> List[Finding]:
    return [finding for finding in findings if finding.level == ERROR]


def require_passed(
        path: str,                  # what the message calls the graph
        findings: List[Finding],    # [Finding]
) -> None:
    """Raises InputError with the first error, if there is one."""
    errors = errors_of(findings)
    if errors:
        more = f' (and {len(errors) - 1} more)' if len(errors) > 1 else ''
        raise InputError(f'{path}: would not pass ATC: {errors[0]}{more}')


def _whole(graph_def: tf.GraphDef) -> List[Finding]:
    findings = []
    if graph_def.ByteSize() > MAX_BYTES:
        findings.append(Finding(ERROR, '', f'{graph_def.ByteSize()} bytes, more than the 2 GiB of '
                                'a protocol buffer', 'export a smaller model'))
    if graph_def.library.function:
        example = graph_def.library.function[0].signature.name
        findings.append(Finding(ERROR, '', f'holds functions, such as {example}, which need '
                                'func2graph.py (E12029)', 'inline them when the graph is built'))
    if not any(node.op == 'Placeholder' for node in graph_def.node):
        findings.append(Finding(ERROR, '', 'has no placeholder (E12010)',
                                'make embedding and noise inputs of the graph'))
    return findings


def _operation(node: tf.NodeDef, known: Dict[str, Any]) -> List[Finding]:
    findings = []
    if node.op in known['fails']:
        source, remedy = known['fails'][node.op]
        findings.append(Finding(ERROR, node.name, f'{node.op} does not convert ({source})', remedy))
    elif node.op not in known['converts']:
        findings.append(Finding(WARNING, node.name, f'{node.op} is not known to convert',
                                'try it, or build the graph from other operations'))
    if any(name.startswith('^') for name in node.input):
        findings.append(Finding(ERROR, node.name, 'has a control input, although nothing in the '
                                'graph has side effects',
                                'build the graph without control dependencies'))
    return findings


def _types(node: tf.NodeDef) -> List[Finding]:
    for name, value in sorted(node.attr.items()):
        if value.type and tf.as_dtype(value.type).base_dtype not in TYPES:
            taken = ', '.join(sorted(each.name for each in TYPES))
            return [Finding(ERROR, node.name, f'{name} is {tf.as_dtype(value.type).name}',
                            f'ATC takes {taken} only')]
    return []


def _shapes(graph_def: tf.GraphDef) -> List[Finding]:
    checked, graph = tf.GraphDef(), tf.Graph()
    checked.CopyFrom(graph_def)
    checked.ClearField('library')
    try:
        graph_files.require_operations(checked, IMPORTABLE, 'a graph for inference')
    except graph_files.Unfit as fault:
        return [Finding(WARNING, '', f'shapes are not checked: {fault}',
                        'see the other findings first')]
    with graph.as_default():
        try:
            tf.import_graph_def(checked, name='')
        except (ValueError, KeyError, tf.errors.OpError) as error:
            reason = ' '.join(str(error).split())[:200]
            return [Finding(ERROR, '', f'TensorFlow cannot read it: {reason}', 'export it again')]
    findings = []
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            sides = tensor.shape.as_list() if tensor.shape.ndims is not None else None
            if sides is None or None in sides:
                findings.append(Finding(
                    ERROR, operation.name, f'its shape {tensor.shape} is not fixed (E10001)',
                    'export with a fixed batch'))
            elif 0 in sides:
                findings.append(Finding(
                    ERROR, operation.name, f'its shape {tensor.shape} has a side of 0',
                    'every side must be at least 1'))
    return findings
