"""Writes .t7 files as Torch7 does: char-CNN-RNN networks of the published structure.

The order of modules comes from graphs built as reedscot's Lua code builds them, visited as nngraph
does; what `stackgan.text.published` assumes of it is not used here.
"""

import struct
import sys

import numpy as np

STEPS = {'published-gru': 18, 'published-rnn': 8}


class Torch:
    """An object with a class, and its fields."""

    def __init__(self, kind, **fields):
        self.kind, self.fields = kind, fields


class Storage:
    def __init__(self, values, kind='Float'):
        self.values, self.kind = values, kind


class Tensor:
    """A view into a storage; `offset` from 0."""

    def __init__(self, storage, offset, sizes, strides=None):
        self.storage, self.offset, self.sizes = storage, offset, list(sizes)
        self.strides = strides or [int(np.prod(sizes[i + 1:])) for i in range(len(sizes))]


class Writer:
    """Serialises to bytes; what is written twice becomes a reference."""

    def __init__(self):
        self.parts, self.indices, self.kept = [], {}, []

    def pack(self, form, *values):
        self.parts.append(struct.pack('<' + form, *values))

    def text(self, value):
        self.pack('i', len(value))
        self.parts.append(value.encode('latin1'))

    def write(self, value):
        if value is None:
            self.pack('i', 0)
        elif isinstance(value, bool):
            self.pack('ii', 5, value)
        elif isinstance(value, (int, float)):
            self.pack('id', 1, value)
        elif isinstance(value, str):
            self.pack('i', 2)
            self.text(value)
        else:
            self._object(value)
        return self

    def _object(self, value):
        is_table, is_new = isinstance(value, (dict, list)), id(value) not in self.indices
        index = self.indices.setdefault(id(value), len(self.indices) + 1)
        self.kept.append(value)                     # so that its id stays its own
        self.pack('ii', 3 if is_table else 4, index)
        if not is_new:
            return
        if is_table:
            pairs = list(value.items() if isinstance(value, dict) else enumerate(value, 1))
            self.pack('i', len(pairs))
            for key, each in pairs:
                self.write(key).write(each)
            return
        self.text('V 1')
        if isinstance(value, Torch):
            self.text(value.kind)
            self.write(value.fields)
        elif isinstance(value, Tensor):
            self.text(f'torch.{value.storage.kind}Tensor')
            self.pack('i', len(value.sizes))
            for number in value.sizes + value.strides + [value.offset + 1]:
                self.pack('q', number)
            self._object(value.storage)
        else:
            self.text(f'torch.{value.kind}Storage')
            self.pack('q', len(value.values))
            self.parts.append(value.values.tobytes())

    def bytes(self):
        return b''.join(self.parts)


def save(path, value):
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 8000))     # for chains of nodes
    with open(str(path), 'wb') as stream:
        stream.write(Writer().write(value).bytes())
    return str(path)


class Node:
    """A module applied to the outputs of others."""

    def __init__(self, module, *inputs):
        self.module, self.inputs = module, inputs


def graph(output, old):
    """nn.gModule: modules in the order in which nngraph computes them, and its chain of nodes."""
    order = []

    def visit(node):
        if node not in order:
            for each in node.inputs:
                visit(each)
            order.append(node)
    visit(output)
    modules = [node.module for node in order]
    after, nodes = None, []
    for module in reversed(modules):
        data = {'module': module, 'mapindex': {}, 'annotations': {}}
        after = Torch('nngraph.Node', data=data, children=[after] if after else [], visited=False)
        nodes.insert(0, after)
    fields = {'forwardnodes': nodes, 'verbose': False}
    if not old:
        fields['modules'] = modules
    return Torch('nn.gModule', **fields)


class Network:
    """A network of random weights. `weights`: its arrays in Torch's layout, by our names."""

    def __init__(self, cell, filters=(6, 5, 4), dim=7, seed=0, kind='Float', old=False,
                 averages=True):
        self.random, self.weights, self.kind = np.random.RandomState(seed), {}, kind
        self.places, self.views, self.total = {}, [], 0
        width = filters[2]
        stack, inputs = [], 70
        for number, outputs in enumerate(filters, 1):
            stack += [self.layer('nn.TemporalConvolution', 'conv%d' % number,
                                 (outputs, 4 * inputs), kW=4, dW=1,
                                 inputFrameSize=inputs, outputFrameSize=outputs),
                      Torch('nn.Threshold', threshold=1e-6, val=0)]
            if number < 3 or cell == 'published-rnn':
                stack.append(Torch('nn.TemporalMaxPooling', kW=3, dW=3 if number < 3 else 2))
            inputs = outputs
        steps = STEPS[cell]
        states = self.rnn(steps, width) if cell == 'published-rnn' else self.gru(steps, width)
        total = states[0]
        for state in states[1:]:
            total = Node(Torch('nn.CAddTable'), total, state)
        recurrent = graph(Node(Torch('nn.MulConstant', constant_scalar=1.0 / steps), total)
                          if averages else states[-1], old)
        self.recurrent = recurrent
        node = Node(Torch('nn.Identity'))
        for module in (Torch('nn.Sequential', modules=stack),
                       Torch('nn.SplitTable', dimension=2), recurrent,
                       Torch('nn.Dropout', p=0.0),
                       self.layer('nn.Linear', 'project', (dim, width))):
            node = Node(module, node)
        self.net = graph(node, old)
        self.fill()

    def layer(self, kind, name, shape, **fields):
        """A module with views into the storages that `fill` makes; a second one of a name shares.
        """
        tensors = {}
        for part, size in (('weight', shape), ('bias', shape[:1])):
            key = name, part
            if key not in self.places:
                self.places[key] = self.total
                self.weights[f'{name}/{part}'] = (
                    self.random.normal(0, 0.4, size).astype(np.float32))
                self.total += int(np.prod(size))
            for field in (part, 'grad' + part.capitalize()):
                tensors[field] = Tensor(None, self.places[key], size)
                self.views.append((tensors[field], field.startswith('grad')))
        return Torch(kind, **dict(fields, **tensors))

    def fill(self):
        """Puts all weights into one storage, and all gradients into another."""
        values = np.concatenate([value.ravel() for value in self.weights.values()])
        storages = Storage(values, self.kind), Storage(np.zeros_like(values), self.kind)
        for view, is_gradient in self.views:
            view.storage = storages[is_gradient]

    def linear(self, name, width):
        return Torch('nn.Sequential', modules=[self.layer('nn.Linear', name, (width, width))])

    def rnn(self, steps, width):
        states = []
        for _ in range(steps):
            x = Node(self.linear('i2h', width), Node(Torch('nn.Identity')))
            if states:
                x = Node(Torch('nn.CAddTable'), x, Node(self.linear('h2h', width), states[-1]))
            states.append(Node(Torch('nn.ReLU'), x))
        return states

    def gru(self, steps, width):
        states = [Node(Torch('nn.Tanh'), Node(self.linear('i2h', width),
                                              Node(Torch('nn.Identity'))))]
        for _ in range(steps - 1):
            x, h = Node(Torch('nn.Identity')), states[-1]

            def both(i2h, h2h, state):
                return Node(Torch('nn.CAddTable'), Node(self.linear(i2h, width), x),
                            Node(self.linear(h2h, width), state))
            update = Node(Torch('nn.Sigmoid'), both('i2h_update', 'h2h_update', h))
            reset = Node(Torch('nn.Sigmoid'), both('i2h_reset', 'h2h_reset', h))
            candidate = Node(Torch('nn.Tanh'), both('i2h', 'h2h',
                                                    Node(Torch('nn.CMulTable'), reset, h)))
            new = Node(Torch('nn.CMulTable'), update, candidate)
            keep = Node(Torch('nn.AddConstant', constant_scalar=1),
                        Node(Torch('nn.MulConstant', constant_scalar=-1), update))
            states.append(Node(Torch('nn.CAddTable'), new,
                               Node(Torch('nn.CMulTable'), keep, h)))
        return states

    def checkpoint(self):
        """The table that reedscot's training saves."""
        return {'protos': {'enc_doc': self.net, 'enc_image': Torch('nn.gModule', modules=[])},
                'opt': {'cnn_dim': 4, 'learning_rate': 0.0007}, 'train_losses': [0.5, 0.25],
                'val_losses': {}, 'val_loss': 0, 'i': 30000, 'epoch': 200.5}
