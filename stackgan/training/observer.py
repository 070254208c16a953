"""What is looked at during training: grids of fixed captions, distance to held-out images."""

from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from stackgan.data.batches import CROPS
from stackgan.data.prepared import ArrayFile, Split
from stackgan.files import atomic_write
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import TESTING
from stackgan.sampling.generation import build_generation, generate
from stackgan.sampling.grids import captioned_grid
from stackgan.sampling.sample_request import Noise, noise_of
from stackgan.scoring.sliced_wasserstein import sliced_wasserstein

ROWS, COPIES = 8, {1: 6, 2: 2}      # of a grid
COMPARED = {1: 256, 2: 64}          # images in the distance, at most
BATCH = {1: 32, 2: 8}


class Observer:
    """Generates from held-out captions with the generators in training."""

    def __init__(
            self,
            stage: int,                # 1 or 2
            split: Split,              # the test part
            embeddings: ArrayFile,     # of its captions
            dims: Any,                 # the `model` section
            seed: int,
            getter: Optional[Callable[..., Any]],     # variable getter: EMA weights, if any
            compute_dtype: Any,        # of a ForwardMode
    ) -> None:
        self.stage, self.split = stage, split
        self.graph = build_generation(stage, BATCH[stage], dims, getter,
                                      TESTING._replace(compute_dtype=compute_dtype))
        self.compared = _evenly(len(split), COMPARED[stage])
        copies = COPIES[stage]
        chosen = _captions(split, _evenly(len(split), ROWS))
        self.captions = [caption for caption, _, _ in chosen]
        self.grid_inputs = _inputs(embeddings, [(caption, row, copies * again + copy)
                                                for caption, row, again in chosen
                                                for copy in range(copies)], dims, seed)
        self.distance_inputs = _inputs(embeddings, _captions(split, self.compared), dims, seed)

    def grid(self, session: Any) -> Callable[[str], None]:
        """Generates the images of a grid. Returns what writes it, as a PNG, to a path."""
        images = generate(session, self.graph, *self.grid_inputs)
        return lambda path: self._write_grid(images, path)

    def _write_grid(
            self,
            generated: Dict[int, np.ndarray],     # side -> images
            path: str,
    ) -> None:
        """Stage-I: copies of each caption. Stage-II: copies, each beside its Stage-I image."""
        copies = COPIES[self.stage]
        sides = [stage1.SIZE] if self.stage == 1 else [stage1.SIZE, stage2.SIZE]
        rows = [(caption, [generated[side][k] for k in range(i * copies, (i + 1) * copies)
                           for side in sides])
                for i, caption in enumerate(self.captions)]
        headings = ['Stage-I', 'Stage-II'] * copies if self.stage == 2 else None
        sheet = captioned_grid(rows, 96 if self.stage == 1 else stage2.SIZE // 2 * 3 // 2,
                               headings, columns=2)
        with atomic_write(path) as stream:
            sheet.save(stream, 'PNG')

    def distance(self, session: Any) -> Callable[[], float]:
        """Generates images. Returns what computes their sliced Wasserstein distance to the
        held-out images of the same captions.
        """
        side = CROPS[self.stage][1]
        generated = generate(session, self.graph, *self.distance_inputs)[side]
        return lambda: sliced_wasserstein(generated, self._held_out())

    def _held_out(self) -> np.ndarray:
        """The middles of the compared images: [N, S, S, 3] uint8."""
        stored, side = CROPS[self.stage]
        margin = (stored - side) // 2
        return np.stack([self.split.image(i, stored, margin, side)[:, margin:margin + side]
                         for i in self.compared])


def _evenly(count: int, wanted: int) -> np.ndarray:
    """At most `wanted` indices below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))


def _captions(split: Split, indices: np.ndarray) -> List[Tuple[str, int, int]]:
    """[(caption, its row of embeddings, how often it came before)] of images, one each.

    The first caption of an image that no image before it has shown: captions may repeat, and
    the same one with the same noise is the same image.
    """
    items, chosen = split.items(), []
    seen: Dict[str, int] = {}
    for i in indices:
        captions = items[i]['captions']
        number = min(range(len(captions)), key=lambda k: seen.get(captions[k], 0))
        caption = captions[number]
        chosen.append((caption, int(split.caption_starts[i]) + number, seen.get(caption, 0)))
        seen[caption] = seen.get(caption, 0) + 1
    return chosen


def _inputs(embeddings: ArrayFile, chosen: List[Tuple[str, int, int]], dims: Any,
            seed: int) -> Tuple[np.ndarray, Noise]:
    """(embeddings, Noise) of [(caption, row, copy)]."""
    captions, rows, copies = zip(*chosen)
    return (np.stack([embeddings.read(row) for row in rows]),
            noise_of(captions, copies, seed, dims))
