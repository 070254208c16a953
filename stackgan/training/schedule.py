"""Learning rate and length of a training as functions of what has been seen."""

import math


def total_steps(
        epochs,           # passes over the images
        images,           # number of training images
        batch_size,
):
    """Steps after which at least `epochs` passes are made."""
    return int(math.ceil(epochs * images / float(batch_size) - 1e-9))


def learning_rate(
        base,                 # at the start
        step,                 # steps done
        batch_size,
        images,               # number of training images
        half_life_epochs,
):
    """The rate of step `step`: `base`, halved after every `half_life_epochs` passes."""
    epochs = step * batch_size / float(images)
    return base * 0.5 ** math.floor(epochs / half_life_epochs)


def ema_decay(
        decay,                # `train.ema_decay`
        step,                 # steps done
):
    """The decay of the EMA at step `step`.

    At first it forgets faster, reaching back over a twentieth of the steps so far, because the
    mean of networks that are still far apart generates nothing.
    """
    return min(decay, step / (step + 20.0))
