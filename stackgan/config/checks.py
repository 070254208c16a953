"""Rules between keys, and the values that `null` stands for."""

import dataclasses
import os
import re
from typing import Any, Dict, List, Tuple, TypeVar

from stackgan.config.keys import NAME
from stackgan.config.schema import Config, Stage1
from stackgan.errors import ConfigError

Stage = TypeVar('Stage', bound=Stage1)
# Keys of `train` that a stage may have for itself.
OF_BOTH_STAGES = ('batch_size', 'generator_learning_rate', 'discriminator_learning_rate')


def fill_nulls(
        config: Config,
        path: str,         # of the configuration file
) -> Config:
    """The configuration with each null that stands for another value replaced by that value.

    Raises ConfigError if a name is null and the name of the file cannot replace it.
    """
    def complete(stage: Stage) -> Stage:
        return dataclasses.replace(stage, **{
            name: getattr(stage, name) or getattr(config.train, name) for name in OF_BOTH_STAGES})
    run = config.run.name or _name_of(path, 'run.name')
    name = config.data.name or _name_of(path, 'data.name')
    raw = config.data.raw or f'raw/{name}'
    return dataclasses.replace(
        config, run=dataclasses.replace(config.run, name=run),
        data=dataclasses.replace(config.data, name=name, raw=raw),
        stage1=complete(config.stage1), stage2=complete(config.stage2))


def values_of_nulls(config: Config) -> Dict[str, Any]:
    """{dotted key: the value that its null stands for} of a configuration from `fill_nulls`."""
    found = {'run.name': config.run.name, 'data.name': config.data.name,
             'data.raw': f'raw/{config.data.name}'}
    for name in OF_BOTH_STAGES:
        for stage in ('stage1', 'stage2'):
            found[f'{stage}.{name}'] = getattr(config.train, name)
    return found


def _name_of(path: str, key: str) -> str:
    name = os.path.splitext(os.path.basename(path))[0]
    if not re.fullmatch(NAME, name):
        raise ConfigError(f"{path}: {key} is not given, and the file's own name cannot stand for "
                          'it: letters, digits, ".", "_" and "-", starting with a letter or digit; '
                          f'set {key}')
    return name


def check_config(
        config: Config,
        origin: str,       # the file, for messages
) -> None:
    """Raises ConfigError for a contradiction between keys."""
    data, split, score = config.data, config.data.split, config.score
    rules = [
        (config.make_dataset is None or data.layout == 'cub',
         'data.layout', 'make_dataset paints the cub layout, so it must be cub or make_dataset '
         'must be null'),
        (config.make_dataset is None or data.raw == f'raw/{data.name}',
         'data.raw', 'make_dataset writes raw/<data.name>, so it must be null'),
        (data.crop != 'box' or data.layout == 'cub',
         'data.crop', 'box needs the bounding boxes of layout cub; use centre or stretch'),
        (data.captions_file is None or data.layout == 'folder',
         'data.captions_file', 'only layout folder reads it; must be null'),
        ((split.train_list is None) == (split.test_list is None),
         'data.split.test_list', 'train_list and test_list are given together or both null'),
        (split.train_list is None or split.by == 'lists',
         'data.split.train_list', 'is read only with data.split.by: lists'),
        (config.text.source != 'pickle' or data.layout in ('cub', 'flowers'),
         'text.source', f'layout {data.layout} brings no embeddings; must be auto, train, '
         'published or onnx'),
        (config.text.source != 'published' or config.text.weights is not None,
         'text.weights', 'text.source: published needs the .t7 file or the folder of the '
         'skip-thought files here'),
        (config.text.source != 'onnx' or config.text.weights is not None,
         'text.weights', 'text.source: onnx needs the folder of model.onnx and tokenizer.json '
         'here'),
        (config.text.source == 'onnx' or (config.text.pooling, config.text.normalised,
                                          config.text.max_tokens) == ('auto', None, None),
         'text.source', 'pooling, normalised and max_tokens are read with text.source: onnx alone'),
        (config.text.source != 'train' or config.text.weights is None,
         'text.weights', 'is not read with text.source: train; must be null'),
        (score.images >= 2 * score.splits,
         'score.images', f'each of the {score.splits} splits needs 2 images; must be at least '
         f'{2 * score.splits}'),
        (not config.platform.deterministic or config.platform.threads in (None, 1),
         'platform.threads', 'deterministic runs on one thread; must be null or 1'),
        (len(set(config.export.batch_sizes)) == len(config.export.batch_sizes),
         'export.batch_sizes', 'a size is given twice; each has one file'),
        (not (config.stage2.finetune_stage1 and config.platform.device == 'npu'
              and config.platform.precision != 'float32'),
         'stage2.finetune_stage1', 'trains two networks at once, which share the overflow register '
         'of an NPU; must be false, or platform.precision float32'),
        (config.stage2.adversarial_weight > 0 or config.stage2.super_resolution_weight > 0,
         'stage2.super_resolution_weight', 'without it and adversarial_weight Stage-II learns '
         'nothing; must be above 0'),
        (not config.platform.deterministic or config.platform.precision in ('auto', 'float32'),
         'platform.precision', 'deterministic computes in float32; must be auto or float32'),
        (not config.platform.deterministic or config.platform.device not in ('gpu', 'npu'),
         'platform.device', 'deterministic is a setting of the CPU; must be auto or cpu'),
        *_rules_of_workers(config)]
    for holds, key, text in rules:
        if not holds:
            raise ConfigError(f'{origin}: {key}: {text}')


def _rules_of_workers(config: Config) -> List[Tuple[bool, str, str]]:
    workers = config.platform.workers
    if not isinstance(workers, int):         # as many as there are cards, and can share a batch
        return [(config.platform.worker_batch_norm == 'global', 'platform.workers',
                 f'is {workers}, but with worker_batch_norm: own results depend on the number; '
                 'must be a number')]
    return [
        (getattr(config, stage).batch_size % workers == 0,
         f'{stage}.batch_size', f'is shared by {workers} workers '
         '(platform.workers); must be a multiple of that')
        for stage in ('stage1', 'stage2')]
