"""Pictures of held-out captions, or of captions of your own."""

import os

from jobs.contract import Input, Job
from jobs.prepared import (embeddings_input, prepared_input, run_folder,
                           text_encoder_of_own_captions, uses_brought_embeddings)
from stackgan.config.loading import to_dict
from stackgan.errors import InputError
from stackgan.files import digest_of, digest_of_file, write_json


def _add_options(parser):
    parser.add_argument('--caption', action='append', default=[], metavar='TEXT',
                        help='draw this caption instead of held-out ones; may be repeated')
    parser.add_argument('--captions', metavar='FILE', help='draw the captions of a file, one a line')
    parser.add_argument('--copies', type=int, default=4, metavar='N',
                        help='pictures of each of your captions (default: 4)')
    parser.add_argument('--stage', type=int, choices=(1, 2), default=2,
                        help='1: draw with Stage-I alone (default: 2, which gives both sizes)')
    parser.add_argument('--model', metavar='FILE',
                        help='draw with an exported .pb or .onnx instead of a checkpoint')


def _variant(job, options):
    """The job for these options: captions of one's own have a folder of their own."""
    captions = _captions(options)
    stage = None if options.model else 'stage%d' % options.stage
    model = _digest_of_model(options.model)
    if captions and options.copies < 1:
        raise InputError('sample: --copies %d: must be at least 1' % options.copies)

    def output(config):
        kind = ('samples-model-' + model[:8] if model
                else 'samples' if options.stage == 2 else 'samples-stage1')
        if captions:
            kind += '-' + digest_of([captions, options.copies, config.sample.seed])[:8]
        return run_folder(config, kind)

    def inputs(config, volume):
        return _inputs(config, volume, stage, bool(captions))

    def settings(config):
        more = {'model': model} if model else {}
        return dict(_settings(config), captions=captions,
                    copies=options.copies if captions else None, **more)

    def not_needed(config, volume):
        if (captions and config.text.weights is None
                and uses_brought_embeddings(config, volume)):
            raise InputError('sample: the embeddings of this run came with the dataset, without '
                             'the encoder that made them, so captions of your own cannot be '
                             'embedded; name the published encoder with text.weights, or train '
                             'the run with text.source=train')

    return job._replace(output=output, inputs=inputs, settings=settings, not_needed=not_needed,
                        run=lambda work: _run(work, options.model))


def _digest_of_model(path):
    if not path:
        return None
    try:
        return digest_of_file(path)
    except OSError as error:
        raise InputError('sample: --model %s: cannot be read: %s; name a .pb or .onnx that export '
                         'wrote' % (path, error.strerror))


def _inputs(config, volume, stage='stage2', own_captions=False):
    inputs = [prepared_input(config)]
    if stage:
        inputs.append(Input('stage', run_folder(config, stage), 'train-' + stage))
    if own_captions:
        inputs += text_encoder_of_own_captions(config)
    else:
        inputs.append(embeddings_input(config))
        if config.make_dataset:                  # which knows what the captions ask for
            inputs.append(Input('raw', config.data.raw, 'make-dataset'))
    return inputs


def _captions(options):
    captions = list(options.caption)
    if options.captions:
        try:
            with open(options.captions, encoding='utf-8') as stream:
                captions += stream.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError('sample: --captions %s: cannot be read: %s' % (options.captions, error))
    cleaned = [' '.join(caption.split()) for caption in captions]
    if (options.caption or options.captions) and not any(cleaned):
        raise InputError('sample: the captions given are empty; write at least one word')
    return [caption for caption in cleaned if caption]


def _settings(config):
    settings = to_dict(config.sample)
    del settings['batch_size']
    return {'sample': settings}


def _run(work, model=None):
    from stackgan.sampling.sampler import write_samples
    wanted = _own(work) if work.settings['captions'] else _held_out(work)
    with _sampler(work, model) as sampler:
        index = write_samples(sampler, wanted, work.config.sample.seed, work.folder, work.say)
    if 'raw' in work.inputs:
        _judge(work, index)


def _sampler(work, model):
    if model:
        from stackgan.export.model_file import ModelSampler
        return ModelSampler(model, work.config.platform)
    from stackgan.sampling.sampler import Sampler
    settings = work.config.sample
    return Sampler(work.inputs['stage'], settings.checkpoint, settings.batch_size,
                   work.config.platform)


def _judge(work, index):
    from stackgan.scoring.painted import describe, judge_samples
    reports = judge_samples(work.folder, index, work.inputs['prepared'],
                            os.path.join(work.inputs['raw'], 'attributes.jsonl'))
    write_json(os.path.join(work.folder, 'colours.json'), reports)
    work.say(describe(reports))


def _own(work):
    from stackgan.sampling.wanted import Wanted
    from stackgan.text.encoder import open_text_encoder
    captions = work.settings['captions']
    with open_text_encoder(work.inputs['text-encoder'], work.config.platform) as encoder:
        for fault in encoder.faults(captions):
            work.say(fault)
        embeddings = encoder.embed(captions)
    return [Wanted(caption, embedding, copy, {}) for caption, embedding in zip(captions, embeddings)
            for copy in range(work.settings['copies'])]


def _held_out(work):
    from stackgan.data.prepared import ArrayFile, Split, open_dataset
    from stackgan.sampling.held_out import held_out_captions
    split = Split(open_dataset(work.inputs['prepared']), 'test')
    embeddings = ArrayFile(os.path.join(work.inputs['embeddings'], 'test.npy'))
    settings = work.config.sample
    return held_out_captions(split, embeddings, settings.images, settings.seed)


JOB = Job(
    name='sample',
    summary='draw pictures of held-out captions, or of --caption "..." / --captions FILE',
    output=lambda config: run_folder(config, 'samples'),
    inputs=_inputs,
    settings=lambda config: dict(_settings(config), captions=[], copies=None),
    run=_run,
    add_options=_add_options,
    variant=_variant,
)
