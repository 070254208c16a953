"""Scores a folder of images beside another one, and half of the real images beside the rest.

    python examples/score_folder.py GENERATED REAL [JUDGE.onnx]

A score says little alone: the last line is what real images themselves get.
"""

import sys

from stackgan import api

generated, real, *judge = sys.argv[1:]
images = api.images_of(real, 128)
for name, first, second in (('generated', generated, images),
                            ('real', images[::2], images[1::2])):
    scores = api.score(first, second, *judge)
    print(f'{name:10}', '  '.join(f'{key} {value:.4g}' for key, value in scores.items()))
