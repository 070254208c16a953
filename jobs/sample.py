"""Generates images from held-out captions or your own, for seeds and along interpolations."""

import argparse
import logging
import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from stackgan.config import Config
from stackgan.config.loading import to_dict
from stackgan.errors import InputError
from stackgan.files import digest_of, digest_of_file, write_json

from .engine.contract import Input, Job, Work
from .engine.outputs import (
    embeddings_input,
    prepared_input,
    raw_folder,
    run_folder,
    text_encoder_of_own_captions,
    uses_precomputed_embeddings,
)
from .engine.sample_options import NOTHING, SampleOptions, add_options, sample_options_of

if TYPE_CHECKING:
    from stackgan.sampling.plans import Plan
    from stackgan.sampling.sample_request import SampleRequest

logger = logging.getLogger(__name__)


def _variant(job: Job, options: argparse.Namespace) -> Job:
    """The job for these options: each combination has a folder of its own."""
    options_given = sample_options_of(options)
    captions, more = options_given.captions, options_given.more()
    stage = None if options.model else f'stage{options.stage or 2}'
    model = _digest_of_model(options.model)

    def output(config: Config) -> str:
        kind = ('samples-model-' + model[:8] if model
                else 'samples' if stage == 'stage2' else 'samples-stage1')
        if captions or more:
            kind += '-' + digest_of([captions, options_given.copies, config.sample.seed]
                                    + ([more] if more else []))[:8]
        return run_folder(config, kind)

    def inputs(config: Config, volume: str) -> Sequence[Input]:
        # Attribute accuracy is measured only on one image of each held-out caption.
        is_judged = not (options_given.seeds or options_given.steps)
        return _inputs(config, volume, stage, bool(captions), is_judged,
                       bool(options_given.nearest))

    def settings(config: Config) -> Dict[str, Any]:
        named = {'model': model} if model else {}
        return dict(_settings(config), captions=captions, copies=options_given.copies,
                    **dict(named, **more))

    def not_needed(config: Config, volume: str) -> None:
        if (captions and config.text.weights is None
                and uses_precomputed_embeddings(config, volume)):
            raise InputError('sample: the embeddings of this run came with the dataset, without '
                             'the text encoder that made them, so your own captions cannot be '
                             'embedded; set text.weights to the published encoder, or train the '
                             'run with text.source=train')

    return job._replace(output=output, inputs=inputs, settings=settings, not_needed=not_needed,
                        run=lambda work: _run(work, options_given, options.model))


def _digest_of_model(path: Optional[str]) -> Optional[str]:
    if not path:
        return None
    try:
        return digest_of_file(path)
    except OSError as error:
        raise InputError(f'sample: --model {path}: cannot be read: {error.strerror}; name a .pb or '
                         '.onnx that export wrote')


def _inputs(config: Config, volume: str, stage: Optional[str] = 'stage2',
            own_captions: bool = False, is_judged: bool = True,
            nearest: bool = False) -> Sequence[Input]:
    inputs = []
    if not own_captions or nearest:          # else an imported stage needs no dataset
        inputs.append(prepared_input(config))
    if stage:
        inputs.append(Input('stage', run_folder(config, stage), 'train-' + stage))
    if own_captions:
        inputs += text_encoder_of_own_captions(config)
    else:
        inputs.append(embeddings_input(config))
        if config.make_dataset and is_judged:    # painted birds come with their attributes
            inputs.append(Input('raw', raw_folder(config), 'make-dataset'))
    return inputs


def _settings(config: Config) -> Dict[str, Any]:
    settings = to_dict(config.sample)
    del settings['batch_size']
    return {'sample': settings}


def _run(work: Work, options_given: SampleOptions = NOTHING, model: Optional[str] = None) -> None:
    from stackgan.platforms.parts import Parts
    from stackgan.sampling.writing import write_samples
    parts = Parts(work.workers)
    parts.begin()
    wanted = _own(work) if work.settings['captions'] else _held_out(work)
    plan = plan_of(options_given, wanted, work.config.sample.seed)
    with _sampler(work, model) as sampler:
        index = write_samples(sampler, plan, work.folder, parts)
    if parts.rank:
        return
    if 'raw' in work.inputs:
        _judge(work, index)
    if options_given.nearest:
        _show_nearest(work, index, options_given.nearest)


def plan_of(
        options_given: SampleOptions,
        wanted: 'Sequence[SampleRequest]',
        seed: int,      # of the noise, where no seeds are given
) -> 'Plan':
    """Which images are generated for the requests."""
    from stackgan.sampling import plans
    from stackgan.sampling.sample_request import Truncation
    truncation = Truncation(options_given.truncation_z, options_given.truncation_noise)
    steps = options_given.steps or 0                 # given wherever something is interpolated
    if options_given.from_caption_to_caption:
        return plans.caption_path_plan(wanted, options_given.seeds or [seed], steps, truncation)
    if options_given.from_seed_to_seed:
        return plans.noise_path_plan(wanted, options_given.from_seed_to_seed, steps, truncation)
    if options_given.seeds:
        return plans.seeds_plan(wanted, options_given.seeds, truncation)
    return plans.copies_plan(wanted, seed, truncation)


def _sampler(work: Work, model: Optional[str]) -> Any:
    if model:
        from stackgan.export.model_file import ModelSampler
        return ModelSampler(model, work.config.platform)
    from stackgan.sampling.sampler import Sampler
    settings = work.config.sample
    return Sampler(work.inputs['stage'], settings.checkpoint, settings.batch_size,
                   work.config.platform)


def _judge(work: Work, index: List[Dict[str, Any]]) -> None:
    from stackgan.scoring.painted import describe, judge_samples
    reports = judge_samples(work.folder, index, work.inputs['prepared'],
                            os.path.join(work.inputs['raw'], 'attributes.jsonl'))
    write_json(os.path.join(work.folder, 'colours.json'), reports)
    logger.info(describe(reports))


def _show_nearest(work: Work, index: List[Dict[str, Any]], count: int) -> None:
    from stackgan.data.prepared import Split, open_dataset
    from stackgan.sampling.nearest_sheet import add_nearest
    split = Split(open_dataset(work.inputs['prepared']), 'train')
    add_nearest(work.folder, index, split, count)


def _own(work: Work) -> 'List[SampleRequest]':
    from stackgan.sampling.sample_request import SampleRequest
    from stackgan.text.encoder import open_text_encoder
    captions = work.settings['captions']
    with open_text_encoder(work.inputs['text-encoder'], work.config.platform) as encoder:
        for fault in encoder.faults(captions):
            logger.info(fault)
        embeddings = encoder.embed(captions)
    return [SampleRequest(caption, embedding, copy, {})
            for caption, embedding in zip(captions, embeddings)
            for copy in range(work.settings['copies'])]


def _held_out(work: Work) -> 'List[SampleRequest]':
    from stackgan.data.prepared import ArrayFile, Split, open_dataset
    from stackgan.sampling.held_out import held_out_captions
    split = Split(open_dataset(work.inputs['prepared']), 'test')
    embeddings = ArrayFile(os.path.join(work.inputs['embeddings'], 'test.npy'))
    settings = work.config.sample
    return held_out_captions(split, embeddings, settings.images, settings.seed)


JOB = Job(
    name='sample',
    summary='generate images from held-out captions, or from --caption "..." / --captions FILE',
    output=lambda config: run_folder(config, 'samples'),
    inputs=_inputs,
    settings=lambda config: dict(_settings(config), captions=[], copies=None),
    run=_run,
    takes_workers=True,
    add_options=add_options,
    variant=_variant,
)
