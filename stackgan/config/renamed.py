"""Keys and values that had other names in earlier versions: files and finished work stay usable."""

from typing import Any, Dict, Tuple

KEYS = {
    'make_dataset.picture_size': 'make_dataset.image_size',
    'data.brought_embeddings': 'data.precomputed_embeddings',
    'stage2.likeness_coefficient': 'stage2.low_resolution_consistency',
    'scorer.least_accuracy': 'scorer.minimum_accuracy',
}
VALUES = {('export.weights', 'averages'): 'ema'}
_IN_REQUESTS = {'picture_size': 'image_size'}      # make-dataset records its keys without a section


def renamed(name: str, value: Any) -> Tuple[str, Any]:
    """The present name and value of a dotted key that an earlier version may have written."""
    name = KEYS.get(name, name)
    known = VALUES.get((name, value), value) if isinstance(value, str) else value
    return name, known


def rename_tree(tree: Dict[str, Any], prefix: str = '') -> Dict[str, Any]:
    """A configuration file's nested dict with its keys and values under their present names.

    A key under both names is left as it is, for the check of unknown keys to name.
    """
    found = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found[name] = rename_tree(value, f'{prefix}{name}.')
            continue
        new, value = renamed(f'{prefix}{name}', value)
        short = new[len(prefix):] if new.startswith(prefix) else name
        found[name if short in tree else short] = value
    return found


def rename_settings(settings: Dict[str, Any]) -> Dict[str, Any]:
    """The flat settings of a manifest's request under their present names."""
    return dict(renamed(_IN_REQUESTS.get(name, name), value) for name, value in settings.items())
