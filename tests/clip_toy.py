"""Small random towers in the shape of CLIP's, and what they compute in NumPy."""

import os

import numpy as np
from PIL import Image
from tokenizer_toy import write_tokenizer
from toy import COLOURS

from stackgan.files import write_json

SIDE, DIM, PATCH = 32, 12, 8
WORDS = ['[PAD]', '[CLS]', '[SEP]', '[UNK]', 'a', 'square', *sorted(COLOURS)]
CONFIG = {'do_resize': True, 'size': {'shortest_edge': 40}, 'resample': 3, 'do_center_crop': True,
          'crop_size': {'height': SIDE, 'width': SIDE}, 'do_rescale': True,
          'rescale_factor': 1 / 255, 'do_normalize': True, 'image_mean': [0.5, 0.5, 0.5],
          'image_std': [0.25, 0.5, 0.5], 'do_convert_rgb': True}


def weights():
    """(convolution [DIM, 3, PATCH, PATCH], matrix [DIM, DIM]) of the tower of images."""
    random = np.random.RandomState(7)
    return (random.standard_normal((DIM, 3, PATCH, PATCH)).astype(np.float32) / PATCH,
            random.standard_normal((DIM, DIM)).astype(np.float32))


def image_embedding(pixels):
    """[DIM] of an image [H, W, 3] uint8, in NumPy; only resizing is Pillow's."""
    high, wide = pixels.shape[:2]
    least = min(high, wide)
    image = np.asarray(Image.fromarray(pixels).resize(
        (40 * wide // least, 40 * high // least), Image.BICUBIC)).astype(np.float64)
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    image = image[top:top + SIDE, left:left + SIDE]
    image = (image / 255 - CONFIG['image_mean']) / CONFIG['image_std']
    kernel, matrix = weights()
    places = [(image[y:y + PATCH, x:x + PATCH, :] * kernel.transpose(0, 2, 3, 1)).sum((1, 2, 3))
              for y in range(0, SIDE, PATCH) for x in range(0, SIDE, PATCH)]
    return np.mean(places, 0) @ matrix


def table():
    """[words, DIM]: random and small, but those of colours embed an image of that colour."""
    rows = np.random.RandomState(8).standard_normal((len(WORDS), DIM)).astype(np.float32) * 0.05
    for name, colour in COLOURS.items():
        plain = np.full((64, 64, 3), 128, np.uint8)
        plain[12:52, 12:52] = colour
        rows[WORDS.index(name)] = image_embedding(plain)
    return rows


def caption_embedding(caption, prompt):
    """[DIM] of a caption after the prompt."""
    words = (prompt + caption).lower().split()
    return table()[[1, *[WORDS.index(word) if word in WORDS else 3 for word in words], 2]].sum(0)


def make_towers(folder, names=('image.onnx', 'text.onnx'), dim=DIM, more=(), **config):
    """Writes the folder that score.clip names; `more`: nodes that are added to the image's."""
    from onnx import TensorProto, helper, numpy_helper
    os.makedirs(os.path.join(str(folder), os.path.dirname(names[0])), exist_ok=True)
    kernel, matrix = weights()
    value = helper.make_tensor_value_info

    def write(name, nodes, inputs, outputs, arrays):
        graph = helper.make_graph(nodes, 'tower', inputs, outputs, [
            numpy_helper.from_array(array, key) for key, array in arrays.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
        with open(os.path.join(str(folder), name), 'wb') as stream:
            stream.write(model.SerializeToString())

    write(names[0], [
        helper.make_node('Conv', ['pixel_values', 'kernel'], ['c'], strides=[PATCH, PATCH]),
        helper.make_node('GlobalAveragePool', ['c'], ['p']),
        helper.make_node('Flatten', ['p'], ['f']),
        helper.make_node('MatMul', ['f', 'matrix'], ['image_embeds']), *more],
        [value('pixel_values', TensorProto.FLOAT, ['batch', 3, SIDE, SIDE])],
        [value('c', TensorProto.FLOAT, ['batch', DIM, 4, 4]),
         value('image_embeds', TensorProto.FLOAT, ['batch', DIM])],
        {'kernel': kernel, 'matrix': matrix})
    write(names[1], [
        helper.make_node('Gather', ['table', 'input_ids'], ['last_hidden_state']),
        helper.make_node('ReduceSum', ['last_hidden_state', 'axes'], ['text_embeds'], keepdims=0)],
        [value('input_ids', TensorProto.INT64, ['batch', 'tokens'])],
        [value('last_hidden_state', TensorProto.FLOAT, ['batch', 'tokens', dim]),
         value('text_embeds', TensorProto.FLOAT, ['batch', dim])],
        {'table': table()[:, :dim], 'axes': np.array([1], np.int64)})
    write_tokenizer(os.path.join(str(folder), 'tokenizer.json'), WORDS)
    write_json(os.path.join(str(folder), 'preprocessor_config.json'), dict(CONFIG, **config))
    return str(folder)
