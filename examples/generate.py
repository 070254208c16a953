"""Generates four images of each of two sentences, and saves them as one PNG.

    python examples/generate.py painted-birds.zip out.png

The model is a bundle (`python -m jobs export --bundle`) or the name of one in the package.
"""

import sys

import numpy as np
from PIL import Image

from stackgan import api

path, output = sys.argv[1:]
captions = ['a red bird with white wings', 'a small blue bird with a long tail']
with api.load(path) as model:
    images = model.generate(captions, seeds=range(4))       # [2, 4, side, side, 3] uint8
    print(f'{model.name}: embeddings of shape {model.embed(captions).shape}')
sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in images])
Image.fromarray(sheet).save(output)
print(f'wrote {output}')
