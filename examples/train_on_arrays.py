"""Trains a small Stage-I on NumPy arrays, and generates with it. Needs TensorFlow.

    python examples/train_on_arrays.py FOLDER [EPOCHS]

The images are squares of four colours. The embeddings are one-hot, where yours would come from a
sentence encoder: any that gives each caption a vector will do.
"""

import sys

import numpy as np
from PIL import Image

from stackgan import api

folder, epochs = sys.argv[1], float((sys.argv[2:] or ['200'])[0])
colours = {'red': (200, 40, 40), 'green': (40, 180, 60), 'blue': (50, 60, 200),
           'pink': (240, 150, 180)}
names = list(colours) * 16
images = np.full((len(names), 76, 76, 3), 128, np.uint8)
for image, name in zip(images, names):
    top, left = np.random.randint(0, 38, 2)
    image[top:top + 38, left:left + 38] = colours[name]
captions = [f'a {name} square' for name in names]
vectors = np.eye(16, dtype=np.float32)[[list(colours).index(name) for name in names]]

stage = api.train_stage1(folder, images, captions, vectors, [
    f'stage1.epochs={epochs}', 'train.batch_size=8', 'model.generator_filters=16',
    'model.discriminator_filters=16', 'model.condition_dim=16', 'model.noise_dim=16'])
with api.load(stage) as model:
    rows = model.generate(captions[:4], seeds=range(4), embeddings=vectors[:4])
sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
Image.fromarray(sheet).save(f'{folder}/generated.png')
