"""Learning rate and length of a training as functions of what has been seen."""

import math


def total_steps(
        epochs: float,        # passes over the images
        images: int,          # number of training images
        batch_size: int,
) -> int:
    """Steps after which at least `epochs` passes are made."""
    return int(math.ceil(epochs * images / batch_size - 1e-9))


def learning_rate(
        base: float,          # at the start
        step: int,            # steps done
        batch_size: int,
        images: int,          # number of training images
        half_life_epochs: float,
) -> float:
    """The rate of step `step`: `base`, halved after every `half_life_epochs` passes."""
    epochs = step * batch_size / images
    return base * 0.5 ** math.floor(epochs / half_life_epochs)


def half_cosine(
        base: float,          # at the start
        step: int,            # steps done
        steps: int,           # in all
) -> float:
    """The rate of step `step`: along half a cosine from `base` to zero."""
    return base * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def ema_decay(
        decay: float,         # `train.ema_decay`
        step: int,            # steps done
) -> float:
    """The decay of the EMA at step `step`.

    At first it forgets faster, reaching back over a twentieth of the steps so far, because the
    mean of networks that are still far apart generates nothing.
    """
    return min(decay, step / (step + 20.0))
