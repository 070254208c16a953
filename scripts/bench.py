"""Measures one TensorFlow version (`measure FILE`), or prints measurements (`table FILE`).

The figures of the public code were measured once on a 2-core machine with AVX-512 (TensorFlow
1.15.0, the Ascend port with its NPU lines removed); ratios to them are only rough on other
machines. Ratios between TensorFlow versions, and shares of the GEMM peak, are of one run on one
machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, List, Optional, Tuple

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(SCRIPTS)
sys.path.insert(0, ROOT)

import bench_rows  # noqa: E402
from bench_memory import peak_mib, resident_mib  # noqa: E402
from bench_peak import timed  # noqa: E402
from bench_rows import PAPER, Row, print_table  # noqa: E402
from bench_training import training_rows  # noqa: E402

from stackgan import printing  # noqa: E402
from stackgan.config import load_config  # noqa: E402
from stackgan.config.schema import Config  # noqa: E402
from stackgan.data.prepared import ArrayFile, Split  # noqa: E402
from stackgan.platforms.cores import available_cores, load_tensorflow  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('action', choices=('measure', 'table'))
    parser.add_argument('file')
    parser.add_argument('--images', help='photographs to preprocess (default: generated ones)')
    parser.add_argument('--quick', action='store_true', help='fewer repetitions')
    options = parser.parse_args()
    if options.action == 'table':
        return print_table([json.loads(line) for line in open(options.file)])
    config = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'), PAPER)
    load_tensorflow(config.platform)
    steps = 3 if options.quick else 8
    rows: List[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        rows += training_rows(lane(), config, steps, fake_dataset(os.path.join(folder, '512'), 512))
        rows += [preprocess_row(folder, options.images)]
        rows += loader_rows(folder, config)
        rows += scoring_rows(folder, 64 if options.quick else 256)
    with open(options.file, 'a') as stream:
        for each in rows:
            stream.write(json.dumps(each) + '\n')
    return 0


def lane() -> str:
    import tensorflow as tf
    return f'TF {tf.__version__}'


def row(what: str, value: float, unit: str, note: str = '') -> Row:
    return bench_rows.row(lane(), what, value, unit, note)


# Data.

def preprocess_row(folder: str, images: Optional[str]) -> Row:
    from stackgan.data.painted import make_dataset
    from stackgan.data.preprocessing import preprocess
    raw, source = os.path.join(folder, 'raw'), 'generated 500 px JPEG'
    overrides = ['data.split.by=lists']
    if images:
        raw, source = images, 'photographs of ' + os.path.basename(images)
    else:
        os.makedirs(raw)
        make_dataset(raw, 240, 500, 0)
    settings = load_config(os.path.join(ROOT, 'configs', 'painted-birds.yaml'), overrides).data
    rates = []
    for attempt in range(2):
        out = os.path.join(folder, f'prepared{attempt}')
        os.makedirs(out)
        seconds = timed(lambda: preprocess(raw, out, settings))  # noqa: B023
        with open(os.path.join(out, 'report.json')) as stream:
            report = json.load(stream)
        rates.append((report['train']['images'] + report['test']['images']) / seconds)
    return row('preprocess', round(max(rates), 1), 'images/s',
               f'{source}, {available_cores()} processes')


def loader_rows(folder: str, config: Config) -> List[Row]:
    import numpy as np

    from stackgan.data.batches import Batches
    rows = []
    for images in (2000, 8000):
        split, embeddings = fake_dataset(os.path.join(folder, str(images)), images)
        before = resident_mib()
        batches = Batches(split, embeddings, 2, 64, config.model, 4, 0)
        seconds = [timed(lambda: batches.make(step)) for step in range(12)]  # noqa: B023
        rows.append(row(f'loader with {images:,} images',
                        round(max(resident_mib() - before, 0.0), 1), 'MiB more',
                        'after 12 batches of 64 at 304 px'))
    rows.append(row('batch of 64 at 304 px', round(1000 * float(np.median(seconds)), 1), 'ms',
                    '64 images and 64 wrong ones'))
    return rows


def fake_dataset(folder: str, images: int) -> Tuple[Split, ArrayFile]:
    """Random images on disk, and embeddings of their captions."""
    import numpy as np

    from stackgan.data.prepared import open_dataset, shard_name
    from stackgan.files import write_json
    train = os.path.join(folder, 'train')
    os.makedirs(train)
    noise = np.random.RandomState(0).randint(0, 256, (1, 304, 304, 3), dtype=np.uint8)
    for side in (76, 304):
        shard = np.lib.format.open_memmap(os.path.join(train, shard_name(side, 0)), 'w+', np.uint8,
                                          (images, side, side, 3))
        for start in range(0, images, 100):
            shard[start:start + 100] = noise[:, :side, :side]
        del shard
    np.save(os.path.join(train, 'class_ids.npy'), (np.arange(images) % 200).astype(np.int32))
    np.save(os.path.join(train, 'caption_counts.npy'), np.full(images, 10, np.int32))
    rows = np.lib.format.open_memmap(os.path.join(folder, 'train.npy'), 'w+', np.float32,
                                     (images * 10, 1024))
    del rows
    write_json(os.path.join(folder, 'dataset.json'),
               {'name': 'fake', 'classes': [], 'embedding_dim': None})
    return Split(open_dataset(folder), 'train'), ArrayFile(os.path.join(folder, 'train.npy'))


# Scores.

def scoring_rows(folder: str, count: int) -> List[Row]:
    """StackGAN's Inception-v3, with random weights, over PNG files of 256 px: decode to statistics.

    It runs in a process of its own, whose peak size is the memory of scoring.
    """
    code = (f'import sys; sys.path[:0] = [{ROOT!r}, {SCRIPTS!r}]; import bench; '
            f'bench.score_files({folder!r}, {count})')
    done = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, check=True)
    rate, kind, mib = json.loads(done.stdout.decode().splitlines()[-1])
    return [row('Inception-v3, files', round(rate, 1), 'images/s',
                f'{kind}, {count} PNG files of 256 px, read to statistics'),
            row('memory of scoring', round(mib), 'MiB', 'largest size of the process')]


def score_files(folder: str, count: int) -> None:
    """Prints [images a second, precision, largest size in MiB]."""
    config = load_config(os.path.join(ROOT, 'configs', 'birds.yaml'))
    load_tensorflow(config.platform)
    from stackgan.scoring.features import extract
    from stackgan.scoring.image_sets import FolderImages
    from stackgan.scoring.protocols import Network, ScoredSet, protocols_of
    checkpoint, image_folder = random_inception(folder), random_images(folder, count)
    from stackgan.scoring.extractors import open_stackgan
    with open_stackgan(checkpoint, 50, config.platform) as network:
        network.run([network.prepare(np_zeros())] * 16)             # warms up
        images = FolderImages(image_folder)
        started = time.perf_counter()
        features = extract(images, [network], os.path.join(folder, 'features'), 'score')
        protocol = protocols_of([Network('stackgan')], 10, 0, None)[0]
        protocol.score(ScoredSet(images, features, 0.0), None)
        seconds = time.perf_counter() - started
        print(json.dumps([count / seconds, network.facts['precision'], peak_mib()]))


def np_zeros() -> Any:
    import numpy as np
    return np.zeros((256, 256, 3), np.uint8)


def random_inception(folder: str) -> str:
    """Folder of a checkpoint like that of StackGAN-inception-model; made in another process."""
    path = os.path.join(folder, 'inception')
    code = (f'import sys; sys.path[:0] = [{ROOT!r}, {SCRIPTS!r}]; import bench; '
            f'bench.write_inception({path!r})')
    subprocess.run([sys.executable, '-c', code], check=True)
    return path


def write_inception(path: str) -> None:
    import tensorflow.compat.v1 as tf

    from stackgan.scoring.inception_v3 import AVERAGE, inception_v3
    os.makedirs(path)
    with tf.Graph().as_default(), tf.Session() as session:
        inception_v3(tf.placeholder(tf.float32, [1, 299, 299, 3]), 50)
        names = {v.op.name + AVERAGE: v for v in tf.global_variables()}
        session.run([v.assign(tf.ones(v.shape) if name.count('moving_variance') else
                              tf.random_normal(v.shape, stddev=0.05)) for name, v in names.items()])
        tf.train.Saver(names).save(session, os.path.join(path, 'model.ckpt'))


def random_images(folder: str, count: int) -> str:
    import numpy as np
    from PIL import Image
    path = os.path.join(folder, 'images')
    os.makedirs(path)
    random = np.random.RandomState(0)
    for number in range(count):
        small = Image.fromarray(random.randint(0, 256, (32, 32, 3)).astype(np.uint8))
        small.resize((256, 256), Image.BICUBIC).save(os.path.join(path, f'{number:05d}.png'))
    return path


if __name__ == '__main__':
    printing.prepare()
    code = main()
    printing.finish()
    sys.exit(code)
