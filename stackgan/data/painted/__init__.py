"""The built-in synthetic dataset "painted birds".

Painted and described from a seed, true by construction.
"""

from stackgan.data.painted.asked import VALUES, are_species, asked_by, true_of
from stackgan.data.painted.species import PALETTE
from stackgan.data.painted.writing import make_dataset

__all__ = ['PALETTE', 'VALUES', 'are_species', 'asked_by', 'make_dataset', 'true_of']
