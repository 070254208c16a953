"""Measures what is worth switching on for a training on a GPU, in under six minutes.

    python benchmarks/gpu_variants.py [--seconds 350] [--tiny]

Each variant runs in a process of its own and prints a line: images a second, milliseconds of a
step, the first step (which includes compiling), peak memory. Variants that no time is left for are
named. --tiny measures tiny networks, to try the script on a CPU.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time
from typing import Any, Dict, List, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'scripts')]

from bench_peak import Peak, timed  # noqa: E402
from bench_rows import PAPER  # noqa: E402
from bench_training import peak_memory  # noqa: E402

from stackgan.config import load_config  # noqa: E402
from stackgan.config.schema import Config  # noqa: E402
from stackgan.platforms.cores import load_tensorflow  # noqa: E402

TINY = ['model.generator_filters=8', 'model.discriminator_filters=8', 'train.ema_decay=null']
PRECISIONS = ('tf32', 'float16', 'float32')      # besides that of `auto`
# Most wanted first. `xla`: compiled, as on a GPU by default; `resize`: upsampling in two steps.
VARIANTS: List[Tuple[int, str]] = [
    (1, ''), (2, ''), (1, 'xla'), (2, 'xla'), (0, 'peak'), (1, 'tf32'), (2, 'tf32'), (2, 'resize'),
    (1, 'float16'), (2, 'float16'), (1, 'resize')]
LIMIT = 110               # seconds for a variant; compiling Stage-II took 95 on an H100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=float, default=350.0, help='for all variants')
    parser.add_argument('--steps', type=int, default=20, help='timed, of each variant')
    parser.add_argument('--tiny', action='store_true', help='tiny networks, batch 2')
    parser.add_argument('--one', nargs=2, metavar=('STAGE', 'VARIANT'), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        stage, variant = int(options.one[0]), options.one[1]
        return measure(stage, variant, options.steps, options.tiny)
    end = time.monotonic() + options.seconds
    for stage, variant in VARIANTS:
        left = min(LIMIT, end - time.monotonic())
        command = [sys.executable, __file__, '--steps', str(options.steps), '--one', str(stage),
                   variant] + (['--tiny'] if options.tiny else [])
        name = title(stage, variant)
        if left < 5.0:
            echo(f'{name}: no time left')
            continue
        try:
            code = subprocess.run(command, timeout=left).returncode
        except subprocess.TimeoutExpired:
            echo(f'{name}: not done in {left:.0f} s')
        else:
            if code:
                echo(f'{name}: failed with exit code {code}')
    return None


def title(stage: int, variant: str) -> str:
    return f"Stage-{'I' * stage}, {variant or 'not compiled'}" if stage else 'GEMM peak'


def measure(stage: int, variant: str, steps: int, is_tiny: bool) -> None:
    """Prints the line of one variant."""
    config = load_config(
        os.path.join(ROOT, 'configs', 'birds.yaml'),
        (TINY if is_tiny else PAPER)
        + [f'platform.precision={each}' for each in PRECISIONS if each in variant.split()]
        + ([] if 'xla' in variant else ['platform.compile=off']))
    load_tensorflow(config.platform)
    import tensorflow.compat.v1 as tf

    from stackgan.platforms.session import resolve, session_config
    resolved = resolve(config.platform)
    if not stage:
        peak = Peak(resolved, 256 if is_tiny else 8192)
        peak.measure()
        return echo(f'{title(stage, variant)}: {peak.best[0] / 1e12:.3g} TFLOP/s by {peak.best[1]}')
    size = 2 if is_tiny else 64
    options = session_config(resolved)
    if 'xla' in variant:
        options.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    with tf.Graph().as_default():
        fetches, feed = training_step(config, stage, size, resolved, 'resize' not in variant)
        with tf.Session(config=options) as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])

            def step() -> None:
                session.run(fetches, feed)

            first = timed(step)
            step()
            seconds = statistics.median(timed(step) for _ in range(steps))
    return echo(f'{title(stage, variant)}: {size / seconds:.1f} images/s, {1000 * seconds:.1f} ms, '
                f'first step {first:.1f} s, {peak_memory(resolved.device):.0f} MiB, '
                f'{resolved.device}, {resolved.compute_dtype}')


def training_step(config: Config, stage: int, size: int, resolved: Any,
                  transposed: bool) -> Tuple[List[Any], Dict[Any, Any]]:
    """(what a step fetches, what is fed)."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from stackgan.platforms.session import optimizer_wrapper
    from stackgan.training import gan_pairs
    from stackgan.training.graph import build_step
    batch = gan_pairs.batch_placeholders(size, stage, config.model)
    mode = gan_pairs.TRAINING._replace(transposed=transposed,
                                       compute_dtype=resolved.network_dtype)
    pairs = (gan_pairs.stage1_pairs(batch, config.model, mode=mode) if stage == 1
             else gan_pairs.stage2_pairs(batch, config.model, config.stage2, mode))
    graph = build_step(pairs, batch, config.train, optimizer_wrapper(resolved))
    random = np.random.RandomState(0)
    feed: Dict[Any, Any] = {graph.generator_learning_rate: 2e-4,
                            graph.discriminator_learning_rate: 2e-4}
    for each in batch:
        if each is not None:
            shape = each.shape.as_list()
            feed[each] = (random.randint(0, 256, shape).astype(np.uint8)
                          if each.dtype == tf.uint8 else random.standard_normal(shape))
    return [graph.step, graph.losses], feed


echo = functools.partial(print, flush=True)      # at once: the lines of several processes

if __name__ == '__main__':
    main()
