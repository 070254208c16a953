"""The built-in synthetic dataset "painted birds".

Painted and described from a seed, true by construction.
"""

from stackgan.data.painted.writing import make_dataset

__all__ = ['make_dataset']
