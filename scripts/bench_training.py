"""Training steps in TensorFlow: speed, share of the GEMM peak, memory; and fed by the loader."""

import itertools
import statistics
from typing import Any, Callable, Dict, List, Tuple

from bench_memory import peak_mib, reset_peak
from bench_peak import Peak, run_flops, timed
from bench_rows import Row, batch_sizes, row, training_rows_of

from stackgan.config.schema import Config
from stackgan.data.prepared import ArrayFile, Split

Feed = Dict[Any, Any]                # placeholder -> value


def training_rows(
        lane: str,
        config: Config,
        steps: int,                                 # timed, of each kind
        dataset: Tuple[Split, ArrayFile],           # images, and embeddings of their captions
) -> List[Row]:
    """Rows of both stages, with the GEMM peak measured before, between and after."""
    from stackgan.platforms.session import resolve
    resolved = resolve(config.platform)
    kind = resolved.compute_dtype
    peak, measured = Peak(resolved), []
    for stage, size in batch_sizes(resolved.device == 'gpu'):
        peak.measure()                      # more than once: other programs take cores at times
        measured.append((stage, size, *measure_stage(config, stage, size, steps, dataset)))
    peak.measure()
    best, way = peak.best
    others = ', '.join(f'{name} {speed / 1e9:.0f}' for name, speed in peak.speeds.items())
    rows = [row(lane, f'GEMM peak ({kind})', round(best / 1e9), 'GFLOP/s', f'by {way}; {others}')]
    for stage, size, seconds, flops, memory, fed in measured:
        rows += training_rows_of(lane, kind, best, stage, size, seconds, flops, memory)
        rows.append(row(lane, f"Stage-{'I' * stage} loop, batch {size}", round(size / fed, 2),
                        'images/s', f'with the loader; {100 * seconds / fed:.0f} % of the step'))
    return rows


def measure_stage(config: Config, stage: int, size: int, steps: int,
                  dataset: Tuple[Split, ArrayFile]) -> Tuple[float, int, float, float]:
    """(median seconds of a step, its operations, peak memory in MiB, seconds with the loader)."""
    import tensorflow.compat.v1 as tf

    from stackgan.data.batches import Batches
    from stackgan.platforms.session import optimizer_wrapper, resolve, session_config
    from stackgan.training.gan_pairs import (
        TRAINING,
        batch_placeholders,
        stage1_pairs,
        stage2_pairs,
    )
    from stackgan.training.graph import build_step
    resolved = resolve(config.platform)
    reset_peak()
    with tf.Graph().as_default():
        batch = batch_placeholders(size, stage, config.model)
        mode = TRAINING._replace(compute_dtype=resolved.network_dtype)
        pairs = (stage1_pairs(batch, config.model, mode=mode) if stage == 1
                 else stage2_pairs(batch, config.model, config.stage2, mode))
        training = build_step(pairs, batch, config.train, optimizer_wrapper(resolved))
        batches = Batches(*dataset, stage, size, config.model, config.train.captions_averaged, 0)
        rates = {training.generator_learning_rate: 2e-4, training.discriminator_learning_rate: 2e-4}

        def feed(values: Any) -> Feed:
            found = {placeholder: value for placeholder, value in zip(batch, values)
                     if placeholder is not None}
            found.update(rates)
            return found

        with tf.Session(config=session_config(resolved)) as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])

            def step(values: Feed) -> None:
                session.run([training.step, training.losses], values)

            same = feed(batches.make(0))
            step(same)                                  # builds the kernels
            seconds = statistics.median(timed(lambda: step(same)) for _ in range(steps))
            fed = seconds_with_loader(batches, feed, step, steps)
        flops = run_flops(training.step, *training.losses.values())
    return seconds, flops, peak_memory(resolved.device), fed


def seconds_with_loader(
        batches: Any,                        # data.batches.Batches
        feed: Callable[[Any], Feed],
        step: Callable[[Feed], None],
        steps: int,
) -> float:
    """Seconds of a step on batches that a thread makes meanwhile, without the first one."""
    stream = batches.stream(0)
    step(feed(next(stream)[1]))

    def loop() -> None:
        for _, values in itertools.islice(stream, steps):
            step(feed(values))

    seconds = timed(loop) / steps
    stream.close()
    return seconds


def peak_memory(device: str) -> float:
    """MiB: of the GPU since the start, or of this process since `reset_peak`."""
    if device != 'gpu':
        return peak_mib()
    import tensorflow as tf
    return tf.config.experimental.get_memory_info('GPU:0')['peak'] / 2 ** 20
