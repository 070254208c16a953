"""StackGAN (Zhang et al., 2017): text to image in two stages, as a library of parts.

The jobs in `jobs/` put the parts together; nothing here reads a configuration file.
"""

__version__ = '0.1.0'
