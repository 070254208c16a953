"""Inception score: exp(mean KL(p(y|x) || p(y))), over parts of a set (Salimans et al., 2016).

    KL of a part = mean_x sum_y p log p  -  sum_y q log q,    q = mean_x p

so sums over rows suffice, and no part has to be in memory. 0 log 0 is 0.
"""

from typing import Iterable

import numpy as np

from stackgan.scoring.statistics import Score

DROPPED = -1               # part of a row that does not count
PUBLIC_BATCH = 64
ROUNDING = 1e-3            # by which float32 probabilities of a row may miss a sum of 1


def full_parts(
        count: int,  # rows
        parts: int,
        seed: int,   # of the shuffle
) -> np.ndarray:
    """The part of each row, [count] int: every row counts.

    As torch-fidelity, whose seed is 2020: a permutation, cut at i * count // parts.
    """
    return _parts(np.random.RandomState(seed).permutation(count), count, parts)


def public_parts(
        count: int,  # rows
        parts: int,
        seed: int,   # of the shuffle
) -> np.ndarray:
    """The part of each row, [count] int, as hanzhanggit/StackGAN-inception-model takes them.

    `inception_score.py` there shuffles, without a seed, and drops what fills no batch of 64.
    """
    order = np.arange(count)
    np.random.RandomState(seed).shuffle(order)
    return _parts(order[:count // PUBLIC_BATCH * PUBLIC_BATCH], count, parts)


def _parts(order: np.ndarray, count: int, parts: int) -> np.ndarray:
    part_of_row = np.full(count, DROPPED)
    for part in range(parts):
        part_of_row[order[part * len(order) // parts:(part + 1) * len(order) // parts]] = part
    return part_of_row


def inception_score(
        predictions: Iterable[np.ndarray],  # blocks [n, classes] of probabilities, in row order
        part_of_row: np.ndarray,            # [rows] int: 0 to parts - 1, or DROPPED
        parts: int,
) -> Score:
    """`Score`. Raises ValueError for rows that are not probabilities and for empty parts."""
    totals, negative_entropy, counts, row = 0.0, np.zeros(parts), np.zeros(parts, int), 0
    for block in predictions:
        p = np.asarray(block, np.float64)
        _check(p, row)
        members = np.eye(parts + 1)[part_of_row[row:row + len(p)]][:, :parts]     # [n, parts]
        totals = totals + members.T @ p
        negative_entropy += members.T @ _sum_p_log_p(p)
        counts += members.sum(0).astype(int)
        row += len(p)
    if row != len(part_of_row) or not counts.all():
        raise ValueError(f'{row} rows for {len(part_of_row)} places in {parts} parts of '
                         f'{counts.tolist()} rows; each part needs a row')
    marginal = totals / counts[:, np.newaxis]
    scores = np.exp(negative_entropy / counts - _sum_p_log_p(marginal))
    return Score(float(scores.mean()), float(scores.std()), tuple(float(s) for s in scores))


def _sum_p_log_p(p: np.ndarray) -> np.ndarray:
    """[rows]: sum over the classes."""
    return np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)


def _check(p: np.ndarray, first_row: int) -> None:
    with np.errstate(invalid='ignore'):                     # no comparison with NaN holds
        is_bad = ~((p >= 0).all(1) & (np.abs(p.sum(1) - 1) < ROUNDING))
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(f'row {first_row + row} is not a probability distribution: sum '
                         f'{p[row].sum()}, smallest {p[row].min()}')


def softmax(
        logits: np.ndarray,  # [n, classes]
) -> np.ndarray:
    """Probabilities in float64: [n, classes]."""
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
