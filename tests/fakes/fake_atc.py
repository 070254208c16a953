"""A fake of ATC (CANN 20.x) for tests: checks its command against the graph, writes a fake .om.

It reads the protocol buffer by itself, so that nothing of the code under test is believed.
FAKE_ATC in the environment: 'silent' leaves with 0 and no .om; 'E12345' fails with that code.
"""

import json
import os
import sys

FLAGS = ('model framework output soc_version input_shape input_format out_nodes output_type '
         'precision_mode insert_op_conf fusion_switch_file op_select_implmode log mode').split()
OFFLINE_ONLY_IN_TRAINING = ('VariableV2', 'VarHandleOp', 'ReadVariableOp', 'NoOp')


def fail(code, text):
    print('ATC start working now, please wait for a moment.')
    print(f'[ERROR] GE(1,atc.bin):{code}: {text}' if code else text)
    print('ATC run failed, Please check the detail log, Try \'atc --help\' for more information')
    sys.exit(1)


def fields(data):
    """[(number, value)] of a protocol buffer message: integers, or bytes."""
    at, found = 0, []

    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 128:
                return value, at

    while at < len(data):
        tag, at = varint(at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(at)
        elif kind == 2:
            size, at = varint(at)
            value, at = data[at:at + size], at + size
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, at = data[at:at + width], at + width
        else:
            raise ValueError('wire type %d' % kind)
        found.append((tag >> 3, value))
    return found


def nodes_of(path):
    """{name: (operation, shape or None)} of a GraphDef."""
    with open(path, 'rb') as stream:
        data = stream.read()
    nodes = {}
    for number, node in fields(data):
        if number != 1:
            continue
        parts = fields(node)
        name = next(value for key, value in parts if key == 1).decode()
        operation = next(value for key, value in parts if key == 2).decode()
        shape = None
        for key, value in parts:
            entry = dict(fields(value)) if key == 5 else {}
            if entry.get(1) == b'shape':
                dims = [fields(dim) for key, dim in fields(dict(fields(entry[2]))[7]) if key == 2]
                shape = [dict(dim).get(1, 0) for dim in dims]
        nodes[name] = (operation, shape)
    return nodes


def parse(words):
    given = {}
    for word in words:
        name, separator, value = word.partition('=')
        if not name.startswith('--') or not separator or name[2:] not in FLAGS:
            fail(None, f'ERROR: unknown command line flag \'{word}\'')
        if not value:
            fail('E10004', f'Value for {name} is empty.')
        given[name[2:]] = value
    for name in ('framework', 'model', 'output', 'soc_version'):
        if name not in given:
            fail('E10007', f'--{name} is required.')
    return given


def input_shapes(text, nodes):
    """{name: shape}, by the rules of omg.cc and tensorflow_data_parser.cc."""
    shapes = {}
    for part in text.split(';'):
        name, separator, dims = part.partition(':')
        if not separator or not all(each.isdigit() and int(each) for each in dims.split(',')):
            fail('E10002', f'Value [{text}] for parameter --input_shape is invalid.')
        if name not in nodes:
            fail('E10016', f'Opname [{name}] specified in --input_shape is not found.')
        if nodes[name][0] != 'Placeholder':
            fail('E10017', f'Input op [{name}] specified in --input_shape is not Data.')
        shapes[name] = [int(each) for each in dims.split(',')]
        if nodes[name][1] is not None and len(shapes[name]) != len(nodes[name][1]):
            fail('E10001', 'Value [%s] for parameter [%s] is invalid: rank %d of a placeholder of '
                 'rank %d.' % (dims, name, len(shapes[name]), len(nodes[name][1])))
    return shapes


def main(words):
    given = parse(words)
    wanted = os.environ.get('FAKE_ATC', '')
    if wanted.startswith('E'):
        fail(wanted, 'as the test wants it')
    if given['framework'] != '3' or given.get('input_format', 'NHWC') not in ('NHWC', 'ND', 'NCHW'):
        fail('E10014', 'Value for parameter --framework or --input_format is invalid.')
    if given['soc_version'] not in ('Ascend310', 'Ascend910'):
        fail(None, 'Failed to initialise the platform of soc {}'.format(given['soc_version']))
    if given['output'].endswith('.om') or given['output'].endswith('/'):
        fail('E10022', 'Path [{}] for parameter --output is invalid.'.format(given['output']))
    try:
        nodes = nodes_of(given['model'])
    except (OSError, ValueError, IndexError, StopIteration):
        fail(None, 'Parse model file [{}] failed'.format(given['model']))
    for name, (operation, _) in nodes.items():
        if operation in OFFLINE_ONLY_IN_TRAINING:
            fail('E12011', f'op type [{operation}] of op [{name}] is not registered.')
    if not any(operation == 'Placeholder' for operation, _ in nodes.values()):
        fail('E12010', 'The model has no placeholder.')
    shapes = input_shapes(given['input_shape'], nodes)
    outputs = []
    for part in given['out_nodes'].split(';'):
        name, separator, index = part.rpartition(':')
        if not separator or not index.isdigit():
            fail('E10001', f'Value [{part}] for parameter [--out_nodes] is invalid.')
        if name not in nodes:
            fail('E10016', f'Opname [{name}] specified in --out_nodes is not found.')
        outputs.append(name)
    if given.get('output_type') != 'FP32':
        fail(None, 'this project wants float32 outputs')
    os.makedirs('kernel_meta', exist_ok=True)             # where it stands, as the real one
    print('ATC start working now, please wait for a moment.')
    if wanted != 'silent':
        with open(given['output'] + '.om', 'w') as stream:
            json.dump({'inputs': [[name, shapes[name]] for name in shapes], 'outputs': outputs},
                      stream)
    print('ATC run success, welcome to the next use.')


if __name__ == '__main__':
    main(sys.argv[1:])
