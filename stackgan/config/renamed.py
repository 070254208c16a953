"""Keys and values that had other names in earlier versions: files and finished work stay usable."""

import logging
from typing import Any, Dict, Tuple

logger = logging.getLogger(__name__)

KEYS = {
    'make_dataset.picture_size': 'make_dataset.image_size',
    'data.brought_embeddings': 'data.precomputed_embeddings',
    'stage2.likeness_coefficient': 'stage2.low_resolution_consistency',
    'scorer.least_accuracy': 'scorer.minimum_accuracy',
    'platform.mixed_precision': 'platform.precision',
}
# By the name that the earlier version had. YAML 1.1 reads off as false.
VALUES = {('export.weights', 'averages'): 'ema', ('platform.mixed_precision', 'off'): 'float32',
          ('platform.mixed_precision', False): 'float32'}
OTHER_MEANING = ('platform.mixed_precision',)      # keys that are told of when a file has them
_IN_REQUESTS = {'picture_size': 'image_size'}      # make-dataset records its keys without a section


def renamed(name: str, value: Any) -> Tuple[str, Any]:
    """The present name and value of a dotted key that an earlier version may have written."""
    known = VALUES.get((name, value), value) if isinstance(value, (str, bool)) else value
    return KEYS.get(name, name), known


def tell(
        origin: str,       # the file, or --set
        name: str,         # a dotted key as it is written there
        value: Any,
) -> None:
    """Logs a line for a key whose replacement can do more."""
    if name in OTHER_MEANING:
        new, value = renamed(name, value)
        logger.warning(f'{origin}: {name} is now {new}; it is read as {new}: {value}')


def rename_tree(tree: Dict[str, Any], origin: str, prefix: str = '') -> Dict[str, Any]:
    """A configuration file's nested dict with its keys and values under their present names.

    A key under both names is left as it is, for the check of unknown keys to name.
    """
    found = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found[name] = rename_tree(value, origin, f'{prefix}{name}.')
            continue
        tell(origin, f'{prefix}{name}', value)
        new, value = renamed(f'{prefix}{name}', value)
        short = new[len(prefix):] if new.startswith(prefix) else name
        found[name if short in tree else short] = value
    return found


def rename_settings(settings: Dict[str, Any]) -> Dict[str, Any]:
    """The flat settings of a manifest's request under their present names."""
    return dict(renamed(_IN_REQUESTS.get(name, name), value) for name, value in settings.items())
