"""Generates images from sentences, with the models beside this file.

    python generate.py "a small red bird with black wings" --seeds 0 1 2

Needs the packages in requirements.txt, and nothing else. The same sentence and seed
always give the same image.
"""

import argparse
import json
import os
import zlib
from typing import Any, List, Tuple

import numpy as np
import onnxruntime
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:\'"/\\|_@#$%^&*~`+-=<>()[]{} '
CODES = {ord(character): code for code, character in enumerate(ALPHABET, 1)}


def open_model(name: str) -> Any:
    return onnxruntime.InferenceSession(os.path.join(HERE, name),
                                        providers=['CPUExecutionProvider'])


def embed(encoder: Any, caption: str) -> np.ndarray:
    """[1, embedding_dim]: the char-CNN-RNN reads the codes of the first 201 bytes, 0 to 70."""
    length = encoder.get_inputs()[0].shape[1]
    codes = [CODES.get(byte, 0) for byte in caption.lower().encode('utf-8', 'replace')[:length]]
    codes += [0] * (length - len(codes))
    return encoder.run(None, {'codes': np.array([codes], np.uint8)})[0]


def embed_by_tokens(encoder: Any, caption: str, options: Any) -> np.ndarray:
    """[1, embedding_dim]: by a sentence encoder and its tokenizer."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(HERE, 'text-encoder-tokenizer.json'))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=options['max_tokens'])
    tokens = tokenizer.encode(caption).ids
    inputs = {each.name: each for each in encoder.get_inputs()}
    length = inputs['input_ids'].shape[1]
    length = length if isinstance(length, int) else max(1, len(tokens))
    ids, mask = np.zeros((1, length), np.int64), np.zeros((1, length), np.int64)
    ids[0, :len(tokens)], mask[0, :len(tokens)] = tokens, 1
    values = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': np.zeros_like(ids)}
    rank, best = ((2, ('sentence_embedding', 'text_embeds', 'pooler_output'))
                  if options['pooling'] == 'pooler' else
                  (3, ('last_hidden_state', 'token_embeddings')))
    outputs = [each.name for each in encoder.get_outputs() if len(each.shape) == rank]
    output = ([name for name in best if name in outputs] + outputs)[0]
    types = {'tensor(int64)': np.int64, 'tensor(int32)': np.int32}
    rows = np.asarray(encoder.run([output], {name: values[name].astype(types[each.type])
                                             for name, each in inputs.items()})[0], np.float32)
    if rank == 3:
        rows = rows[:, 0] if options['pooling'] == 'cls' else rows[:, :max(1, len(tokens))].mean(1)
    return rows / np.linalg.norm(rows) if options['normalised'] else rows


def noise_of(caption: str, seed: int, z: int, condition: int) -> List[np.ndarray]:
    """z from a unit normal; the noise of both conditioning augmentations, truncated at 2 sigma."""
    random = np.random.RandomState([seed, zlib.crc32(('sample: ' + caption).encode()), 0])
    noise = [random.standard_normal(z)]
    for _ in range(2):
        values = random.standard_normal(condition)
        while (np.abs(values) > 2).any():
            beyond = np.abs(values) > 2
            values[beyond] = random.standard_normal(beyond.sum())
        noise.append(values)
    return noise


def generate(generators: Any, embedding: np.ndarray, caption: str, seed: int) -> np.ndarray:
    """The largest image that the generators make: [side, side, 3] uint8."""
    shapes = {each.name: each.shape for each in generators.get_inputs()}
    noise = noise_of(caption, seed, shapes['z'][1], shapes['noise1'][1])
    rows = dict(zip(('embedding', 'z', 'noise1', 'noise2'), [embedding[0], *noise]))
    images = generators.run(None, {name: np.tile(rows[name], (shape[0], 1)).astype(np.float32)
                                   for name, shape in shapes.items()})
    pixels = max(images, key=lambda each: each.shape[1])[0]         # float32 in [-1, 1]
    return np.clip(np.rint((pixels + 1) * 127.5), 0, 255).astype(np.uint8)


def options() -> Tuple[List[str], List[int], str]:
    parser = argparse.ArgumentParser(description='Generates images from sentences.')
    parser.add_argument('caption', nargs='+', help='a sentence; each gives one image per seed')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='default: 0')
    parser.add_argument('--output', default='.', help='folder for the images (default: this one)')
    given = parser.parse_args()
    return [' '.join(each.split()) for each in given.caption], given.seeds, given.output


def main() -> None:
    captions, seeds, folder = options()
    encoder, generators = open_model('text-encoder.onnx'), open_model('generators.onnx')
    with open(os.path.join(HERE, 'bundle.json'), encoding='utf-8') as stream:
        options_of_sentences = json.load(stream).get('sentences')
    os.makedirs(folder, exist_ok=True)
    for number, caption in enumerate(captions):
        embedding = (embed_by_tokens(encoder, caption, options_of_sentences)
                     if options_of_sentences else embed(encoder, caption))
        for seed in seeds:
            path = os.path.join(folder, f'image-{number}-seed{seed}.png')
            Image.fromarray(generate(generators, embedding, caption, seed)).save(path)
            print(path)


if __name__ == '__main__':
    main()
