"""Trains the text encoder on the captions, with an image encoder beside it."""

from jobs.contract import Job
from jobs.prepared import prepared_input, run_folder, uses_brought_embeddings
from jobs.training import precision
from stackgan.config.loading import to_dict


def _not_needed(config, volume):
    if uses_brought_embeddings(config, volume):
        return 'the dataset brought its embeddings'
    return None


def _settings(config):
    text = to_dict(config.text)
    del text['checkpoint_every_steps']            # changes what is kept, not what is trained
    return {'text': text, 'model': {'embedding_dim': config.model.embedding_dim},
            'run': {'seed': config.run.seed}, 'platform': precision(config)}


def _run(work):
    from stackgan.text.training import train_text_encoder
    config = work.config
    train_text_encoder(work.inputs['prepared'], work.folder, config.text,
                       config.model.embedding_dim, config.run.seed, config.platform, work.say,
                       work.stop)


JOB = Job(
    name='train-text-encoder',
    summary='train the char-CNN-RNN on the captions (structured joint embedding)',
    output=lambda config: run_folder(config, 'text-encoder'),
    inputs=lambda config, volume: [prepared_input(config)],
    settings=_settings,
    not_needed=_not_needed,
    run=_run,
)
