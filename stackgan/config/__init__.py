"""Typed, frozen configuration: one complete YAML file per result."""

from stackgan.config.loading import load_config
from stackgan.config.schema import Config

__all__ = ['Config', 'load_config']
