"""StackGAN (Zhang et al., 2017): text to image in two stages, as a library of parts.

The jobs in `jobs/` put the parts together. Only `stackgan.config` reads configuration files.
"""

__version__ = '0.1.0'
