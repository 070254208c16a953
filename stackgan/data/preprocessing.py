"""Raw images and captions -> a prepared dataset (see stackgan.data.prepared).

Work goes shard by shard. A finished shard has a record in unfinished/; a job that was killed
starts with the first shard that has none, and its output is that of a job that was not. The last
file written is dataset.json.
"""

import logging
import os
import shutil
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from stackgan.data.contact_sheet import write_contact_sheet
from stackgan.data.images import Crop
from stackgan.data.layouts import PIECES, read_plan
from stackgan.data.layouts.common import SHOWN
from stackgan.data.layouts.splits import check_splits
from stackgan.data.precomputed_embeddings import gather, write_embeddings
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
UNFINISHED = 'unfinished'    # folder of the records of finished shards, until all is done


class Shard(NamedTuple):
    """Images that share a pair of files."""

    split: str
    number: int              # within the split
    items: list              # Item without a problem
    digest: str              # of what the files are made from


def preprocess(
        raw,           # folder of the raw dataset
        folder,        # folder to write; may hold what an interrupted call with the same arguments
                       # left
        settings,      # config Data
):
    """Prepares a dataset. Raises InputError where the raw dataset or too much of it is bad."""
    scratch = os.path.join(folder, UNFINISHED)
    os.makedirs(scratch, exist_ok=True)
    view = view_raw(raw, PIECES[settings.layout](settings), scratch)
    with view.named():
        plan = read_plan(raw, settings, view.folder)
        for remark in plan.remarks:
            logger.info(remark)
        plan, brought = gather(view.folder, plan, os.path.join(scratch, 'embeddings'))
    digest = _digest(plan, settings)
    if not _is_finished(folder, digest):
        shards = _plan_shards(plan, settings)
        records = _make_shards(shards, view.folder, folder, settings)
        good, bad = _sort_out(plan, shards, records)
        _judge(plan, good, bad, folder, settings)
        _write_tables(folder, plan, good, brought)
        write_report(os.path.join(folder, 'report.json'), plan, good, records, bad, digest)
        write_contact_sheet(os.path.join(folder, 'contact-sheet.png'), folder, settings.name,
                            plan.classes)
        _write_description(folder, plan, settings, good, shards, records, brought)
    shutil.rmtree(scratch)
    for line in report_lines(read_json(os.path.join(folder, 'report.json'))):
        logger.info(line)


def _crop_of(settings):
    return Crop(settings.crop, settings.box_scale)


def _digest(plan, settings):
    """Digest of everything that the output is made from, but for the pixels."""
    return digest_of([settings.name, settings.layout, _crop_of(settings), settings.shard_images,
                      settings.on_bad_image, settings.max_bad_share, plan.classes,
                      plan.embedding_files, plan.splits])


def _is_finished(folder, digest):
    try:
        read_json(os.path.join(folder, 'dataset.json'))
        return read_json(os.path.join(folder, 'report.json'))['made_from'] == digest
    except (OSError, ValueError, KeyError):
        return False


def _plan_shards(plan, settings):
    """The shards of both splits: images with a problem that is known already have no place."""
    shards = []
    for split in SPLITS:
        items = [item for item in plan.splits[split] if not item.problem]
        for number, first in enumerate(range(0, len(items), settings.shard_images)):
            part = items[first:first + settings.shard_images]
            source = [[item.path, item.box] for item in part]
            shards.append(Shard(split, number, part, digest_of([_crop_of(settings), source])))
    return shards


def _targets(folder, shard):
    """Where the files of a shard are written, the larger images first."""
    targets = []
    for side in (HIGH, LOW):
        final = os.path.join(folder, shard.split, shard_name(side, shard.number))
        targets.append(Target(side, final + '.tmp', final))
    return targets


def _record_path(folder, shard):
    return os.path.join(folder, UNFINISHED, '%s-%05d.json' % (shard.split, shard.number))


def _finished_record(folder, shard):
    """The record of a shard that is whole: {digest, kept, sizes, problems}; else None."""
    try:
        record = read_json(_record_path(folder, shard))
        whole = record['digest'] == shard.digest and all(
            os.path.getsize(target.final) == shard_bytes(len(record['kept']), target.side)
            for target in _targets(folder, shard))
    except (OSError, ValueError, KeyError):
        return None
    return record if whole else None


def _make_shards(shards, raw, folder, settings):
    """Writes the shards that are not there yet; returns the record of each."""
    started = time.monotonic()
    records = [_finished_record(folder, shard) for shard in shards]
    _clear(folder, [shard for shard, record in zip(shards, records) if record])
    missing = [index for index, record in enumerate(records) if record is None]
    total = sum(len(shard.items) for shard in shards)
    left = sum(len(shards[index].items) for index in missing)
    if left < total:
        logger.info('resuming: %d of %d images are done' % (total - left, total))
    blocks = [block for index in missing
              for block in _blocks(index, shards[index], raw, folder, settings)]
    workers = min(settings.workers or available_cores(), len(blocks))
    if not blocks:
        return records
    with WorkerPool(perform, workers) as pool, \
            Progress('preprocess', total, 'images', done=total - left) as progress:
        _collect(pool, deque(blocks), shards, records, folder, progress)
    seconds = time.monotonic() - started
    logger.info('%d images in %.1f s: %.0f images/s with %d process%s'
        % (left, seconds, left / max(seconds, 1e-9), workers, 'es' if workers > 1 else ''))
    return records


def _clear(folder, finished):
    """Leaves the finished shards in the split folders, and nothing that a killed job began."""
    if os.path.exists(os.path.join(folder, 'dataset.json')):       # of other arguments
        os.unlink(os.path.join(folder, 'dataset.json'))
    wanted = {target.final for shard in finished for target in _targets(folder, shard)}
    for split in SPLITS:
        parent = os.path.join(folder, split)
        os.makedirs(parent, exist_ok=True)
        for name in os.listdir(parent):
            if os.path.join(parent, name) not in wanted:
                os.unlink(os.path.join(parent, name))


def _blocks(index, shard, raw, folder, settings):
    targets = _targets(folder, shard)
    files = [(os.path.join(raw, item.path), item.box) for item in shard.items]
    return [Block(index, first, files[first:first + BLOCK_IMAGES], _crop_of(settings), targets)
            for first in range(0, len(files), BLOCK_IMAGES)]


def _collect(pool, tasks, shards, records, folder, progress):
    """Performs the tasks; a shard whose blocks are done is closed, then recorded."""
    done = {}                                    # shard -> the results of its blocks
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


def _record(shard, blocks):
    blocks = sorted(blocks, key=lambda block: block.first_row)
    problems = [problem for block in blocks for problem in block.problems]
    sizes = [size for block in blocks for size in block.sizes]
    kept = [row for row, problem in enumerate(problems) if problem is None]
    return {'digest': shard.digest, 'kept': kept,
            'sizes': [list(sizes[row]) for row in kept],
            'problems': [[row, problem] for row, problem in enumerate(problems) if problem]}


def _sort_out(plan, shards, records):
    """({split: Items in the shards}, [(split, Item with a problem)]), in the order of the plan."""
    good = {split: [] for split in SPLITS}
    problems = {}
    for shard, record in zip(shards, records):
        good[shard.split] += [shard.items[row] for row in record['kept']]
        problems.update((shard.items[row].name, problem) for row, problem in record['problems'])
    bad = [(split, item.with_problem(problems.get(item.name)))
           for split in SPLITS for item in plan.splits[split]]
    return good, [(split, item) for split, item in bad if item.problem]


def _judge(plan, good, bad, folder, settings):
    """Writes the list of unusable images and raises InputError where they are too many."""
    path = os.path.join(folder, BAD_IMAGES)
    write_json_lines(path, [{'split': split, 'file': item.path, 'reason': item.problem}
                            for split, item in bad])
    total = sum(len(items) for items in plan.splits.values())
    first = '; '.join(f'{item.path}: {item.problem}' for _, item in bad[:SHOWN])
    first += '; and %d more' % (len(bad) - SHOWN) if len(bad) > SHOWN else ''
    if len(bad) == total:
        raise InputError('none of the %d images can be used (%s). All are listed in %s'
                         % (total, first, path))
    if bad and settings.on_bad_image == 'fail':
        raise InputError('%d of %d images cannot be used (%s). All are listed in %s. Fix or '
                         'remove them, or skip them with --set data.on_bad_image=skip'
                         % (len(bad), total, first, path))
    if len(bad) > settings.max_bad_share * total:
        raise InputError('%d of %d images cannot be used, more than data.max_bad_share: %g allows '
                         '(%s). All are listed in %s'
                         % (len(bad), total, settings.max_bad_share, first, path))
    if bad:
        logger.info('left out: %d of %d images (%s)' % (len(bad), total, first))
    check_splits(good, 'without the images that cannot be used')


def _write_tables(folder, plan, good, brought):
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
        if brought:
            write_embeddings(os.path.join(parent, 'embeddings.npy'), brought, good[split])


def _save(path, values):
    with atomic_write(path) as stream:
        np.save(stream, np.asarray(values, np.int32), allow_pickle=False)


def _write_description(folder, plan, settings, good, shards, records, brought):
    splits = {split: {'images': len(good[split]),
                      'captions': sum(len(item.captions) for item in good[split]),
                      'shards': [len(record['kept']) for shard, record in zip(shards, records)
                                 if shard.split == split]} for split in SPLITS}
    write_json(os.path.join(folder, 'dataset.json'), {
        'name': settings.name, 'layout': settings.layout, 'classes': plan.classes,
        'embedding_dim': brought.dim if brought else None, 'splits': splits})
