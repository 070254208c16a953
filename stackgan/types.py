"""Records that are passed between the data pipeline, the networks and the training loop."""

from typing import Any, Callable, List, NamedTuple


class Batch(NamedTuple):
    """One training batch: arrays where it is built, placeholders in the graph."""

    images: Any            # [N, S, S, 3] uint8; S is 64 for Stage-I, 256 for Stage-II
    wrong_images: Any      # [N, S, S, 3] uint8, each of another class than its caption
    embeddings: Any        # [N, embedding_dim] float32
    z: Any                 # [N, noise_dim] float32 from a unit normal
    noise1: Any            # [N, condition_dim] float32 from a unit normal cut at 2 sigma
    noise2: Any            # the same for Stage-II; None in Stage-I


class GanPair(NamedTuple):
    """A generator and its discriminator, to be trained against each other."""

    name: str                          # 'stage1' or 'stage2'
    generator_scope: str
    discriminator_scope: str
    fake: Any                          # [N, S, S, 3] float32 in [-1, 1]
    condition: Any                     # networks.conditioning.Condition
    real: Any                          # [N, S, S, 3] float32 in [-1, 1]
    wrong: Any                         # as real
    embeddings: Any                    # [N, embedding_dim] float32
    discriminate: Callable             # (images, embeddings, mode) -> logits [N]
    statistics: List[tuple]            # batch-norm statistics of the generator's forward pass
    learning_rate_ratio: float         # share of the scheduled learning rates
    terms: dict                        # name -> weighted scalar, added to the generator's loss
    adversarial_weight: float = 1.0    # of the generator's adversarial loss; 0: no discriminator
    compute_dtype: Any = 'float32'     # of the discriminator's ForwardMode


class TrainingGraph(NamedTuple):
    """One step of training as operations."""

    batch: Batch                               # placeholders
    generator_learning_rate: Any               # placeholder, scalar
    discriminator_learning_rate: Any           # placeholder, scalar
    ema_decay: Any                             # placeholder, scalar
    step: Any                                  # the operation that makes the step
    losses: dict                               # name -> scalar tensor
    start_ema: Any                             # operation: EMA weights := variables
    averaged: Callable                         # variable getter: EMA weights where there are any
    random_numbers: Callable[[int], dict]      # (steps done) -> feed, where the graph draws none
