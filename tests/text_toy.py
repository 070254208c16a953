"""A small text encoder with its image encoder, trained in a moment."""

from logged import logged
from toy import NeverStop, tiny_config

from stackgan.training.text_encoder import train_text_encoder

TEXT = ['text.filters=[12, 12, 16]', 'text.image_filters=4', 'text.batch_size=4',
        'text.learning_rate=3e-3', 'text.checkpoint_every_steps=20']


def train(folder, prepared, *settings, **more):
    """What it logs while it trains into `folder`; `stop` as of `train_text_encoder`."""
    config = tiny_config(*(TEXT + list(settings)))
    with logged() as lines:
        train_text_encoder(prepared, folder, config.text, config.model.embedding_dim, 0,
                           config.platform, more.get('stop', NeverStop()))
    return lines
