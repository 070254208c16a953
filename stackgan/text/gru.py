"""A GRU in NumPy over many captions at once, a caption's state independent of the others.

BLAS adds up a row of a product in an order that depends on the product's shape and, on some CPUs,
on the row's position. So all products have `SLOTS` rows, and the slot of a caption follows from its
own words. The captions of a slot are read one after the other.
"""

import os
import zlib
from typing import List, NamedTuple, Sequence

import numpy as np

from stackgan.data.prepared import ArrayFile
from stackgan.errors import InputError
from stackgan.text.npz import Archive

SLOTS = 32


class Schedule(NamedTuple):
    """Which word each slot reads at each of T times. What is past a slot's last word is ignored."""

    words: np.ndarray            # [T, SLOTS] int: numbers of words
    backwards: np.ndarray        # the same, each caption from its last word to its first
    is_first: np.ndarray         # [T, SLOTS] bool: a caption begins
    ends: np.ndarray             # [T, SLOTS] int: the caption whose last word it is, or -1


def schedule(
        captions: Sequence[Sequence[int]],     # numbers of words, one or more each; all different
) -> Schedule:
    """The `Schedule` that reads all captions."""
    slots: List[List[int]] = [[] for _ in range(SLOTS)]
    for number, words in enumerate(captions):
        slots[zlib.crc32(np.array(words, '<i8').tobytes()) % SLOTS].append(number)
    shape = (max(sum(len(captions[number]) for number in slot) for slot in slots), SLOTS)
    made = Schedule(np.full(shape, captions[0][0]), np.full(shape, captions[0][0]),
                    np.zeros(shape, bool), np.full(shape, -1))
    for column, slot in enumerate(slots):
        start = 0
        for number in slot:
            end = start + len(captions[number])
            made.words[start:end, column] = captions[number]
            made.backwards[start:end, column] = captions[number][::-1]
            made.is_first[start, column] = True
            made.ends[end - 1, column] = number
            start = end
    return made


class Gru:
    """r, u = sigmoid(x W + b + h U);  h' = u h + (1 - u) tanh(x Wx + bx + r (h Ux));  h0 = 0."""

    def __init__(
            self,
            archive: Archive,      # of the weights
            prefix: str,           # of their names: 'encoder' or 'encoder_r'
            table: ArrayFile,      # of the words it reads
    ) -> None:
        weights = {name: archive.read(f'{prefix}_{name}')
                   for name in ('W', 'b', 'U', 'Wx', 'bx', 'Ux')}
        self.inputs, self.size = table.shape[1], len(weights['bx'])
        expected = {'W': (self.inputs, 2 * self.size), 'b': (2 * self.size,),
                    'U': (self.size, 2 * self.size), 'Wx': (self.inputs, self.size),
                    'bx': (self.size,), 'Ux': (self.size, self.size)}
        for name, shape in expected.items():
            if weights[name].shape != shape:
                raise InputError(f'{archive.path}: {prefix}_{name} has the shape '
                                 f'{weights[name].shape}, expected {shape} as '
                                 f'{os.path.basename(table.path)} has {self.inputs} columns')
        self.input_weights = np.concatenate([weights['W'], weights['Wx']], 1)
        self.input_biases = np.concatenate([weights['b'], weights['bx']])
        self.state_weights = np.concatenate([weights['U'], weights['Ux']], 1)

    def last_states(
            self,
            words: np.ndarray,         # [T, SLOTS] int: rows of `vectors`
            vectors: np.ndarray,       # [words, inputs] float32
            order: Schedule,           # of these words
    ) -> np.ndarray:
        """[captions, size] float32: the state after the last word of each caption."""
        states = np.empty((order.ends.max() + 1, self.size), np.float32)
        h = np.zeros((SLOTS, self.size), np.float32)
        for rows, is_first, ends in zip(words, order.is_first, order.ends):
            h[is_first] = 0
            h = self._step(vectors[rows], h)
            states[ends[ends >= 0]] = h[ends >= 0]
        return states

    def _step(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        size = self.size
        a = x.dot(self.input_weights) + self.input_biases
        b = h.dot(self.state_weights)
        gates = _sigmoid(a[:, :2 * size] + b[:, :2 * size])
        r, u = gates[:, :size], gates[:, size:]
        return u * h + (1 - u) * np.tanh(a[:, 2 * size:] + r * b[:, 2 * size:])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * x) + 0.5
