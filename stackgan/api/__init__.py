"""The library for programs and notebooks: load, embed, generate, score, train on arrays.

    from stackgan import api
    with api.load('painted-birds.zip') as model:
        images = model.generate(['a red bird'], seeds=range(4))     # [1, 4, 256, 256, 3] uint8

docs/api.md describes it. What is not here may change without notice. All errors that a caller can
cause are `stackgan.errors.StackganError`, with one line that says what to do.
"""

from stackgan.api.comparing import images_of, score
from stackgan.api.models import Model, load
from stackgan.api.training import train_stage1
from stackgan.training.loggers import TrainingLogger

__all__ = ['Model', 'TrainingLogger', 'images_of', 'load', 'score', 'train_stage1']
