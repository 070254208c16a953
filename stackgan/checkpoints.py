"""Checkpoints: one folder each, either complete or absent, with facts beside the variables.

    checkpoints/
        00001200/model.index, model.data-00000-of-00001, checkpoint.json

checkpoint.json holds the step, what the training adds, and `distance`: the smaller it is, the
better the checkpoint.

The variables are a TensorFlow V2 checkpoint, which every TensorFlow version here can read.
"""

import logging
import os
import re
import shutil
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

from stackgan.checkpoint_files import open_checkpoint
from stackgan.errors import InputError
from stackgan.files import BLOCK_BYTES, read_json, write_json
from stackgan.integrity import check_file
from stackgan.tensorflow_paths import plain_path

logger = logging.getLogger(__name__)

FACTS = 'checkpoint.json'
DATA = 'model.data-'
STEP = re.compile(r'[0-9]+\Z')
EMA = 'moving_average'      # scope of the EMA weights of generator variables


class Checkpoints:
    """The checkpoints of one training. With `keep` None, opening creates and removes nothing."""

    def __init__(
            self,
            folder: str,          # need not be there
            keep: Optional[int],  # newest ones kept besides the best; None: all, e.g. to read them
    ) -> None:
        self.folder, self.keep = folder, keep
        if keep is not None:
            self._sweep()

    def all(self) -> List[str]:
        """Paths of the complete ones, from oldest to newest."""
        return [os.path.join(self.folder, name) for name, lacks in self._found() if not lacks]

    def halves(self) -> Dict[str, List[str]]:
        """{path: missing files} of incomplete checkpoints: half removed, or damaged."""
        return {os.path.join(self.folder, name): lacks for name, lacks in self._found() if lacks}

    def last(self) -> Optional[str]:
        """Path of the newest one, or None."""
        paths = self.all()
        return paths[-1] if paths else None

    def best(self) -> Optional[str]:
        """Path of the one with the smallest distance (the newest of equals), or None.

        Imported ones have no distance; if none has one, the newest counts as the best.
        """
        rated = [path for path in self.all() if read_facts(path).get('distance') is not None]
        return min(reversed(rated), key=lambda path: read_facts(path)['distance'],
                   default=self.last())

    def clean(self) -> None:
        """Removes what a killed process left behind. A training calls it at its start and end.

        An incomplete checkpoint newer than all complete ones is reported and kept: it is not the
        rest of an interrupted removal, and the training will write it again.
        """
        self._sweep()
        last = self.last()
        for path, lacks in self.halves().items():
            is_old = last is not None and _step(path) < _step(last)
            fate, files = 'removed' if is_old else 'not used', ', '.join(lacks)
            logger.warning(f'{path} is not a complete checkpoint (without {files}) and is {fate}')
            if is_old:
                self._remove(path)

    def save(
            self,
            session: Any,
            saver: Any,
            step: int,                # training steps done
            facts: Dict[str, Any],    # for checkpoint.json
    ) -> str:
        """Writes a checkpoint, removes those no longer kept and returns its path."""
        return self.write(step, facts, lambda prefix: saver.save(
            session, prefix, write_meta_graph=False, write_state=False))

    def write(
            self,
            step: int,                             # training steps done
            facts: Dict[str, Any],                 # for checkpoint.json
            write_model: Callable[[str], Any],     # gets the prefix of the paths to write
    ) -> str:
        """As `save`, with the variables from anywhere."""
        name = f'{step:08d}'
        building, path = os.path.join(self.folder, '.' + name), os.path.join(self.folder, name)
        shutil.rmtree(building, ignore_errors=True)
        os.makedirs(building)
        with plain_path(building) as plain:
            write_model(os.path.join(plain, 'model'))
        write_json(os.path.join(building, FACTS), dict(facts, step=step))
        self._remove(path)
        os.rename(building, path)
        self._remove_old()
        return path

    def _sweep(self) -> None:
        """Removes what a killed process was writing or removing."""
        for name in _names(self.folder):
            if name.startswith('.'):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _found(self) -> List[Tuple[str, List[str]]]:
        """[(name, missing files)] of the folders named after a step, from oldest to newest."""
        return sorted(((name, _lacks(os.path.join(self.folder, name)))
                       for name in _names(self.folder) if STEP.match(name)),
                      key=lambda found: int(found[0]))

    def _remove_old(self) -> None:
        if self.keep is not None:
            best = self.best()
            for path in self.all()[:-self.keep]:
                if path != best:
                    self._remove(path)

    def _remove(self, path: str) -> None:
        """Renames first, so that a process killed meanwhile leaves no incomplete checkpoint."""
        if os.path.isdir(path):
            removed = os.path.join(self.folder, '.removed-' + os.path.basename(path))
            shutil.rmtree(removed, ignore_errors=True)
            os.rename(path, removed)
            shutil.rmtree(removed)


def _names(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _lacks(path: str) -> List[str]:
    """The files that are missing for a folder to be a complete checkpoint."""
    names = _names(path) if os.path.isdir(path) else []
    lacks = [name for name in (FACTS, 'model.index') if name not in names]
    return lacks + ([] if any(name.startswith(DATA) for name in names) else [DATA + '...'])


def _step(path: str) -> int:
    return int(os.path.basename(path))


def read_facts(path: str) -> Dict[str, Any]:
    """The content of checkpoint.json. Raises InputError if it is missing or damaged."""
    try:
        facts = read_json(os.path.join(path, FACTS))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a checkpoint ({error})')
    if not isinstance(facts, dict) or not isinstance(facts.get('step'), int):
        raise InputError(f'{path}: not a checkpoint (no step in {FACTS})')
    return facts


def variables_of(path: str) -> Dict[str, List[int]]:
    """{name: shape} of a checkpoint folder. Raises InputError if it cannot be read."""
    try:
        with plain_path(path) as plain:
            return open_checkpoint(os.path.join(plain, 'model')).get_variable_to_shape_map()
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _unreadable(path, error)


def _unreadable(path: str, error: Exception) -> InputError:
    """The InputError for a checkpoint that TensorFlow cannot read.

    It advises to remove the checkpoint only if its files can be read, so that a failing disk or
    missing permissions cost nobody an intact checkpoint.
    """
    reason = ' '.join(str(error).split())[:200]
    try:
        for name in sorted(os.listdir(path)):
            with open(os.path.join(path, name), 'rb') as stream:
                while stream.read(BLOCK_BYTES):
                    pass
    except OSError as refused:
        return InputError(f'{refused.filename or path}: cannot be read: {refused.strerror}; the '
                          'checkpoint may be intact: check the disk and the file permissions')
    return InputError(f'{path}: not a readable checkpoint ({reason}); remove that folder to resume '
                      'from the one before it')


def restore(
        session: Any,
        saver: Any,                # tf.train.Saver over `variables`
        variables: Union[Sequence[Any], Dict[str, Any]],    # as given to the saver; a dict is
                                   # {stored name: variable}
        path: str,                 # checkpoint folder
        is_part: bool = False,     # True: the checkpoint may hold more than `variables`
) -> None:
    """Restores all of `variables`, or none.

    Raises InputError that names missing and unexpected variables and variables of another shape;
    for a finished training also if a file is not as it was written.
    """
    for name in sorted(_names(path)):
        check_file(os.path.join(path, name))
    stored = variables_of(path)
    named = variables if isinstance(variables, dict) else {v.op.name: v for v in variables}
    wanted = {name: variable.shape.as_list() for name, variable in named.items()}
    missing = sorted(set(wanted) - set(stored))
    extra = [] if is_part else sorted(set(stored) - set(wanted))
    reshaped = [f'{name} {list(stored[name])} (wanted {wanted[name]})'
                for name in sorted(set(wanted) & set(stored))
                if list(stored[name]) != wanted[name]]
    faults = [_few('missing', missing), _few('unexpected', extra),
              _few('another shape', reshaped)]
    if any(faults):
        found = '; '.join(fault for fault in faults if fault)
        raise InputError(f'{path}: a checkpoint of another network or of other dimensions: '
                         f'{found}; set the model section back to what it was, or choose a new '
                         'run.name')
    with session.graph.as_default():         # without this TensorFlow 2 is in eager mode
        try:
            with plain_path(path) as plain:
                saver.restore(session, os.path.join(plain, 'model'))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise _unreadable(path, error)


def ema_of(
        variables: Iterable[Any],    # of generators
        path: str,                   # checkpoint folder
) -> Dict[str, Any]:
    """{stored name: variable}, with the EMA of each variable that has one in the checkpoint."""
    stored = variables_of(path)
    named = {v.op.name: v for v in variables}
    averages = {name: f'{EMA}/{name}' for name in named}
    return {averages[name] if averages[name] in stored else name: variable
            for name, variable in named.items()}


def _few(label: str, names: Sequence[str]) -> str:
    if not names:
        return ''
    shown, more = ', '.join(names[:2]), f' and {len(names) - 2} more' if len(names) > 2 else ''
    return f'{label}: {shown}{more}'
