"""Raw images and captions -> a prepared dataset (see stackgan.data.prepared).

The work proceeds shard by shard. A finished shard has a record in unfinished/. A job that was
killed resumes with the shards that have none, and its output is the same as without the
interruption. The last file written is dataset.json.
"""

import logging
import os
import shutil
import time
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from stackgan.config.schema import Data
from stackgan.data.contact_sheet import write_contact_sheet
from stackgan.data.images import Crop
from stackgan.data.layouts import Plan, pieces_of, read_plan
from stackgan.data.layouts.common import SHOWN, Item
from stackgan.data.layouts.splits import check_splits
from stackgan.data.precomputed_embeddings import PrecomputedEmbeddings, gather, write_embeddings
from stackgan.data.prepared import HIGH, LOW, SPLITS, shard_name
from stackgan.data.raw_view import view_raw
from stackgan.data.report import BAD_IMAGES, report_lines, write_report
from stackgan.data.shards import Block, BlockDone, Closing, Target, perform, shard_bytes
from stackgan.data.worker_pool import WorkerPool
from stackgan.errors import InputError
from stackgan.files import atomic_write, digest_of, read_json, write_json, write_json_lines
from stackgan.platforms.cores import available_cores
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

BLOCK_IMAGES = 32            # images in one task of a worker
UNFINISHED = 'unfinished'    # folder of the records of finished shards, removed at the end
Record = Dict[str, Any]      # of a finished shard: digest, kept, sizes, problems


class Shard(NamedTuple):
    """Images that share a pair of files."""

    split: str
    number: int              # within the split
    items: List[Item]        # without a problem
    digest: str              # of everything that the files are made from


def preprocess(
        raw: str,          # folder of the raw dataset
        folder: str,       # folder to write; may hold the unfinished output of an interrupted call
                           # with the same arguments
        settings: Data,
) -> None:
    """Prepares a dataset. Raises InputError for an unusable raw dataset or too many bad images."""
    scratch = os.path.join(folder, UNFINISHED)
    os.makedirs(scratch, exist_ok=True)
    view = view_raw(raw, pieces_of(settings), scratch)
    with view.named():
        plan = read_plan(raw, settings, view.folder)
        for remark in plan.remarks:
            logger.info(remark)
        plan, embeddings = gather(view.folder, plan, os.path.join(scratch, 'embeddings'))
    digest = _digest(plan, settings)
    if not _is_finished(folder, digest):
        shards = _plan_shards(plan, settings)
        records = _make_shards(shards, view.folder, folder, settings)
        good, bad = _sort_out(plan, shards, records)
        _judge(plan, good, bad, folder, settings)
        _write_tables(folder, plan, good, embeddings)
        write_report(os.path.join(folder, 'report.json'), plan, good, records, bad, digest)
        write_contact_sheet(os.path.join(folder, 'contact-sheet.png'), folder, str(settings.name),
                            plan.classes)
        _write_description(folder, plan, settings, good, shards, records, embeddings)
    shutil.rmtree(scratch)
    for line in report_lines(read_json(os.path.join(folder, 'report.json'))):
        logger.info(line)


def _crop_of(settings: Data) -> Crop:
    return Crop(settings.crop, settings.box_scale)


def _digest(plan: Plan, settings: Data) -> str:
    """Digest of everything that the output is made from, except the pixels."""
    return digest_of([settings.name, settings.layout, _crop_of(settings), settings.shard_images,
                      settings.on_bad_image, settings.max_bad_share, plan.classes,
                      plan.embedding_files, plan.splits])


def _is_finished(folder: str, digest: str) -> bool:
    try:
        read_json(os.path.join(folder, 'dataset.json'))
        return read_json(os.path.join(folder, 'report.json'))['made_from'] == digest
    except (OSError, ValueError, KeyError):
        return False


def _plan_shards(plan: Plan, settings: Data) -> List[Shard]:
    """The shards of both splits, without the images that already have a problem."""
    shards = []
    for split in SPLITS:
        items = [item for item in plan.splits[split] if not item.problem]
        for number, first in enumerate(range(0, len(items), settings.shard_images)):
            part = items[first:first + settings.shard_images]
            source = [[item.path, item.box] for item in part]
            shards.append(Shard(split, number, part, digest_of([_crop_of(settings), source])))
    return shards


def _targets(folder: str, shard: Shard) -> List[Target]:
    """Where the files of a shard are written, the larger images first."""
    targets = []
    for side in (HIGH, LOW):
        final = os.path.join(folder, shard.split, shard_name(side, shard.number))
        targets.append(Target(side, final + '.tmp', final))
    return targets


def _record_path(folder: str, shard: Shard) -> str:
    return os.path.join(folder, UNFINISHED, f'{shard.split}-{shard.number:05d}.json')


def _finished_record(folder: str, shard: Shard) -> Optional[Record]:
    """The record of a finished shard; None if it is missing, outdated or its files are cut off."""
    try:
        record = read_json(_record_path(folder, shard))
        whole = record['digest'] == shard.digest and all(
            os.path.getsize(target.final) == shard_bytes(len(record['kept']), target.side)
            for target in _targets(folder, shard))
    except (OSError, ValueError, KeyError):
        return None
    return record if whole else None


def _make_shards(shards: List[Shard], raw: str, folder: str, settings: Data) -> List[Record]:
    """Writes the missing shards; returns the record of each shard."""
    started = time.monotonic()
    found = [_finished_record(folder, shard) for shard in shards]
    _clear(folder, [shard for shard, record in zip(shards, found) if record])
    records = {index: record for index, record in enumerate(found) if record is not None}
    missing = [index for index in range(len(shards)) if index not in records]
    total = sum(len(shard.items) for shard in shards)
    left = sum(len(shards[index].items) for index in missing)
    if left < total:
        logger.info(f'resuming: {total - left} of {total} images are done')
    blocks = [block for index in missing
              for block in _blocks(index, shards[index], raw, folder, settings)]
    if blocks:
        workers = min(settings.workers or available_cores(), len(blocks))
        with WorkerPool(perform, workers) as pool, \
                Progress('preprocess', total, 'images', done=total - left) as progress:
            _collect(pool, deque(blocks), shards, records, folder, progress)
        seconds = time.monotonic() - started
        processes = 'processes' if workers > 1 else 'process'
        logger.info(f'{left} images in {seconds:.1f} s: {left / max(seconds, 1e-9):.0f} images/s '
                    f'with {workers} {processes}')
    return [records[index] for index in range(len(shards))]


def _clear(folder: str, finished: List[Shard]) -> None:
    """Removes everything from the split folders except the finished shards."""
    if os.path.exists(os.path.join(folder, 'dataset.json')):   # written for other arguments
        os.unlink(os.path.join(folder, 'dataset.json'))
    kept = {target.final for shard in finished for target in _targets(folder, shard)}
    for split in SPLITS:
        parent = os.path.join(folder, split)
        os.makedirs(parent, exist_ok=True)
        for name in os.listdir(parent):
            if os.path.join(parent, name) not in kept:
                os.unlink(os.path.join(parent, name))


def _blocks(index: int, shard: Shard, raw: str, folder: str, settings: Data) -> List[Block]:
    targets = _targets(folder, shard)
    files = [(os.path.join(raw, item.path), item.box) for item in shard.items]
    return [Block(index, first, files[first:first + BLOCK_IMAGES], _crop_of(settings), targets)
            for first in range(0, len(files), BLOCK_IMAGES)]


def _collect(
        pool: WorkerPool,
        tasks: Deque[Any],               # shards.Block; a Closing is added for each shard
        shards: List[Shard],
        records: Dict[int, Record],      # index of a shard -> record; the new ones are added
        folder: str,
        progress: Progress,
) -> None:
    """Performs the tasks. A shard whose blocks are done is closed, then recorded."""
    done: Dict[int, List[BlockDone]] = {}        # index of a shard -> results of its blocks
    for result in pool.results(tasks):
        shard = shards[result.shard]
        if isinstance(result, BlockDone):
            progress.advance(len(result.problems))
            blocks = done.setdefault(result.shard, [])
            blocks.append(result)
            if sum(len(block.problems) for block in blocks) == len(shard.items):
                records[result.shard] = _record(shard, blocks)
                tasks.appendleft(Closing(result.shard, records[result.shard]['kept'],
                                         _targets(folder, shard)))
        else:
            del done[result.shard]
            write_json(_record_path(folder, shard), records[result.shard])


def _record(shard: Shard, blocks: List[BlockDone]) -> Record:
    blocks = sorted(blocks, key=lambda block: block.first_row)
    problems = [problem for block in blocks for problem in block.problems]
    sizes = [size for block in blocks for size in block.sizes]
    kept = [row for row, problem in enumerate(problems) if problem is None]
    return {'digest': shard.digest, 'kept': kept,
            'sizes': [list(size) for size in sizes if size is not None],
            'problems': [[row, problem] for row, problem in enumerate(problems) if problem]}


def _sort_out(
        plan: Plan, shards: List[Shard], records: List[Record],
) -> Tuple[Dict[str, List[Item]], List[Tuple[str, Item]]]:
    """({split: items in the shards}, [(split, item with a problem)]), in the order of the plan."""
    good: Dict[str, List[Item]] = {split: [] for split in SPLITS}
    problems: Dict[str, str] = {}        # name of an item -> its problem
    for shard, record in zip(shards, records):
        good[shard.split] += [shard.items[row] for row in record['kept']]
        problems.update((shard.items[row].name, problem) for row, problem in record['problems'])
    bad = [(split, item.with_problem(problems.get(item.name)))
           for split in SPLITS for item in plan.splits[split]]
    return good, [(split, item) for split, item in bad if item.problem]


def _judge(plan: Plan, good: Dict[str, List[Item]], bad: List[Tuple[str, Item]], folder: str,
           settings: Data) -> None:
    """Writes the list of unusable images; raises InputError if there are too many."""
    path = os.path.join(folder, BAD_IMAGES)
    write_json_lines(path, [{'split': split, 'file': item.path, 'reason': item.problem}
                            for split, item in bad])
    count, total = len(bad), sum(len(items) for items in plan.splits.values())
    first = '; '.join(f'{item.path}: {item.problem}' for _, item in bad[:SHOWN])
    first += f'; and {count - SHOWN} more' if count > SHOWN else ''
    if count == total:
        raise InputError(f'none of the {total} images can be used ({first}). All are listed in '
                         f'{path}')
    if bad and settings.on_bad_image == 'fail':
        raise InputError(f'{count} of {total} images cannot be used ({first}). All are listed in '
                         f'{path}. Fix or remove them, or skip them with '
                         '--set data.on_bad_image=skip')
    if count > settings.max_bad_share * total:
        raise InputError(f'{count} of {total} images cannot be used, more than '
                         f'data.max_bad_share: {settings.max_bad_share:g} allows ({first}). All '
                         f'are listed in {path}')
    if bad:
        logger.info(f'left out: {count} of {total} images ({first})')
    check_splits(good, 'without the images that cannot be used')


def _write_tables(folder: str, plan: Plan, good: Dict[str, List[Item]],
                  embeddings: Optional[PrecomputedEmbeddings]) -> None:
    class_ids = {name: index for index, name in enumerate(plan.classes)}
    for split in SPLITS:
        parent = os.path.join(folder, split)
        ids = [class_ids[item.class_name] for item in good[split]]
        _save(os.path.join(parent, 'class_ids.npy'), ids)
        _save(os.path.join(parent, 'caption_counts.npy'),
              [len(item.captions) for item in good[split]])
        write_json_lines(os.path.join(parent, 'items.jsonl'),
                         ({'name': item.name, 'class_id': number, 'captions': item.captions}
                          for item, number in zip(good[split], ids)))
        if embeddings:
            write_embeddings(os.path.join(parent, 'embeddings.npy'), embeddings, good[split])


def _save(path: str, values: List[int]) -> None:
    with atomic_write(path) as stream:
        np.save(stream, np.asarray(values, np.int32), allow_pickle=False)


def _write_description(folder: str, plan: Plan, settings: Data, good: Dict[str, List[Item]],
                       shards: List[Shard], records: List[Record],
                       embeddings: Optional[PrecomputedEmbeddings]) -> None:
    splits = {split: {'images': len(good[split]),
                      'captions': sum(len(item.captions) for item in good[split]),
                      'shards': [len(record['kept']) for shard, record in zip(shards, records)
                                 if shard.split == split]} for split in SPLITS}
    write_json(os.path.join(folder, 'dataset.json'), {
        'name': settings.name, 'layout': settings.layout, 'classes': plan.classes,
        'embedding_dim': embeddings.dim if embeddings else None, 'splits': splits})
