"""Measures the training steps of the same networks in PyTorch: a lane of scripts/bench.

    python benchmarks/torch_peer.py FILE [--quick]      adds rows to FILE, as bench.py does

Needs benchmarks/requirements.txt and nothing of this project but its scripts.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from typing import Any, Callable, ContextManager, Dict, List, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'scripts')]

import torch  # noqa: E402
from bench_memory import peak_mib, reset_peak  # noqa: E402
from bench_rows import batch_sizes, row, training_rows_of  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from torch_networks import (  # noqa: E402
    EMBEDDING,
    Discriminator,
    Stage1Generator,
    Stage2Generator,
    check_parameters,
)

from stackgan.platforms.cores import available_cores, cpu_computes_bfloat16  # noqa: E402

GEMM_SIDE = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('file')
    parser.add_argument('--quick', action='store_true', help='fewer repetitions')
    options = parser.parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.set_num_threads(available_cores())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    rows: List[Dict[str, Any]] = []
    for dtype in dtypes(device):
        rows += measure(device, dtype, 3 if options.quick else 8)
    with open(options.file, 'a') as stream:
        for each in rows:
            stream.write(json.dumps(each) + '\n')


def dtypes(device: str) -> List[torch.dtype]:
    """float32 (on a GPU TF32), and bfloat16 where the device multiplies in it."""
    has_bfloat16 = torch.cuda.is_bf16_supported() if device == 'cuda' else cpu_computes_bfloat16()
    return [torch.float32] + ([torch.bfloat16] if has_bfloat16 else [])


def measure(device: str, dtype: torch.dtype, steps: int) -> List[Dict[str, Any]]:
    """Rows of both stages in one precision, with the GEMM peak before, between and after."""
    lane, kind = f'PyTorch {torch.__version__}', str(dtype).replace('torch.', '')
    peak, measured = gemm_flops_per_second(device, dtype), []
    for stage, size in batch_sizes(device != 'cpu'):
        reset(device)
        measured.append((stage, size, *step_seconds(device, dtype, stage, size, steps),
                         memory_mib(device)))
        peak = max(peak, gemm_flops_per_second(device, dtype))
    rows = [row(lane, f'GEMM peak ({kind})', round(peak / 1e9), 'GFLOP/s', 'by matmul')]
    for each in measured:
        rows += training_rows_of(lane, kind, peak, *each)
    return rows


def step_seconds(device: str, dtype: torch.dtype, stage: int, size: int,
                 steps: int) -> Tuple[float, int]:
    """(median seconds of a step, its floating point operations)."""
    step = build_step(device, dtype, stage, size)
    with FlopCounterMode(display=False) as counter:
        step()
    step()
    return statistics.median(timed(step, device) for _ in range(steps)), counter.get_total_flops()


def build_step(device: str, dtype: torch.dtype, stage: int, size: int) -> Callable[[], Tuple]:
    """A training step as in stackgan/training/graph.py: the discriminator, then the generator."""
    numeral, side = 'I' * stage, 64 if stage == 1 else 256
    layout: Dict[str, Any] = {'device': device, 'memory_format': torch.channels_last}
    stage1 = check_parameters('Stage-I generator', Stage1Generator()).to(**layout)
    generator = stage1 if stage == 1 else check_parameters('Stage-II generator',
                                                           Stage2Generator()).to(**layout)
    discriminator = check_parameters(f'Stage-{numeral} discriminator',
                                     Discriminator(stage)).to(**layout)
    if stage == 2:
        stage1.eval()
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))
                  for network in (discriminator, generator)]
    stored = [torch.randint(0, 256, (size, 3, side, side), dtype=torch.uint8).contiguous(
        memory_format=torch.channels_last) for _ in range(2)]
    embeddings = torch.randn(size, EMBEDDING, device=device)

    def precision() -> ContextManager:
        if dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(device, dtype)

    def generate() -> Tuple[torch.Tensor, torch.Tensor]:
        if stage == 1:
            return stage1(embeddings)
        with torch.no_grad():
            low = stage1(embeddings)[0]
        return generator(low, embeddings)

    def logits(images: torch.Tensor) -> torch.Tensor:
        return discriminator(images, embeddings).float()

    def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def step() -> Tuple[float, float]:
        real, wrong = [images.to(device, non_blocking=True).float() * (2 / 255) - 1
                       for images in stored]
        with precision():
            fake, kl = generate()
            loss = cross_entropy(logits(real), 1.0) + 0.5 * (
                cross_entropy(logits(wrong), 0.0) + cross_entropy(logits(fake.detach()), 0.0))
        update(optimizers[0], loss)
        with precision():
            other = cross_entropy(logits(fake), 1.0) + 2.0 * kl
        update(optimizers[1], other)
        return loss.item(), other.item()

    return step


def cross_entropy(logits: torch.Tensor, label: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def gemm_flops_per_second(device: str, dtype: torch.dtype) -> float:
    left, right = torch.randn(2, GEMM_SIDE, GEMM_SIDE, device=device).to(dtype)
    with torch.no_grad():
        seconds = min(timed(lambda: left @ right, device) for _ in range(6))
    return 2.0 * GEMM_SIDE ** 3 / seconds


def timed(action: Callable[[], Any], device: str) -> float:
    """Seconds that it takes, on the device as well."""
    started = time.perf_counter()
    action()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - started


def reset(device: str) -> None:
    if device == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        reset_peak()


def memory_mib(device: str) -> float:
    """Peak memory: of the GPU, or of this process."""
    return torch.cuda.max_memory_allocated() / 2 ** 20 if device == 'cuda' else peak_mib()


if __name__ == '__main__':
    main()
