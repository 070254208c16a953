"""The text encoder against NumPy, written from the published equations, and its sizes."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from char_cnn_rnn_oracle import Oracle

from stackgan.text.alphabet import encode_captions
from stackgan.text.char_cnn_rnn import text_encoder

CAPTIONS = ['this bird is red with black wings',
            'a small yellow-green bird, its bill is short; ' * 4, 'b']


@pytest.mark.parametrize('cell', ['published-rnn', 'published-gru', 'gru'])
def test_equations(cell):
    codes = encode_captions(CAPTIONS)
    with tf.Graph().as_default(), tf.Session() as session:
        output = text_encoder(tf.constant(codes), cell, (6, 5, 4), 7)
        random = np.random.RandomState(0)
        weights = {}
        for variable in tf.global_variables():
            value = random.normal(0, 0.4, variable.shape.as_list()).astype(np.float32)
            variable.load(value, session)
            weights[variable.op.name.split('/', 1)[1]] = value
        found = session.run(output)
    assert np.abs(found - Oracle(codes, weights).embed(cell)).max() < 1e-4


@pytest.mark.parametrize('cell, width, size', [
    ('published-rnn', 256, 1814144), ('published-rnn', 512, 2994560),
    ('published-gru', 512, 4045184)])
def test_published_sizes(cell, width, size):
    with tf.Graph().as_default():
        text_encoder(tf.zeros([2, 201], tf.uint8), cell, (384, 512, width), 1024)
        assert sum(v.shape.num_elements() for v in tf.trainable_variables()) == size


def test_other_lengths_are_refused():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match='codes: shape'):
            text_encoder(tf.zeros([2, 100], tf.uint8), 'gru', (4, 4, 4), 8)
