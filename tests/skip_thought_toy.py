"""Files of a skip-thought encoder with small dimensions and random weights."""

import os
import pickle

import numpy as np

WORDS = ['<eos>', 'UNK', 'a', 'red', 'bird', 'with', 'black', 'wings', '.', ',', 'small', 'red']


def make(folder, words=WORDS, inputs=6, uni=8, bi=5, seed=0):
    """Writes the seven files; returns the folder."""
    os.makedirs(str(folder), exist_ok=True)
    random = np.random.RandomState(seed)

    def array(*shape):
        return random.normal(0, 0.6, shape).astype(np.float32)

    def gru(prefix, size):
        return {f'{prefix}_{name}': array(*shape) for name, shape in (
            ('W', (inputs, 2 * size)), ('b', (2 * size,)), ('U', (size, 2 * size)),
            ('Wx', (inputs, size)), ('bx', (size,)), ('Ux', (size, size)))}

    def path(name):
        return os.path.join(str(folder), name)
    with open(path('dictionary.txt'), 'w', encoding='utf-8') as stream:
        stream.write(''.join(word + '\n' for word in words))
    for name in ('utable.npy', 'btable.npy'):
        np.save(path(name), array(len(words), inputs))
    np.savez(path('uni_skip.npz'), Wemb=array(4, inputs), **gru('encoder', uni))
    np.savez(path('bi_skip.npz'), **dict(gru('encoder', bi), **gru('encoder_r', bi)))
    for name, size in (('uni_skip.npz.pkl', uni), ('bi_skip.npz.pkl', bi)):
        with open(path(name), 'wb') as stream:
            pickle.dump({'dim_word': inputs, 'dim': size, 'encoder': 'gru', 'n_words_src': 4},
                        stream, 2)
    return str(folder)
