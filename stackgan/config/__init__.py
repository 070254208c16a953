"""Typed, frozen configuration, read from YAML files over defaults."""

from stackgan.config.loading import load_config
from stackgan.config.schema import Config

__all__ = ['Config', 'load_config']
