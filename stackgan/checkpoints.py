"""Checkpoints: a folder each, whole or absent, with its step and its facts beside the variables.

    checkpoints/
        00001200/model.index, model.data-00000-of-00001, checkpoint.json

checkpoint.json holds the step, what the training adds, and `distance`: the smaller, the better
the checkpoint.

The variables are a TensorFlow V2 checkpoint, readable in every lane.
"""

import logging
import os
import re
import shutil
from typing import Any, Callable, Dict

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
    """The checkpoints of one training. With `keep` None, opening makes and removes nothing."""

    def __init__(
            self,
            folder,            # need not be there
            keep,              # newest ones kept besides the best; None: all, e.g. to read them
    ):
        self.folder, self.keep = folder, keep
        if keep is not None:
            self._sweep()

    def all(self):
        """Paths of the whole ones, from oldest to newest."""
        return [os.path.join(self.folder, name) for name, lacks in self._found() if not lacks]

    def halves(self):
        """{path: the files it lacks} of what is no whole checkpoint: half removed, or damaged."""
        return {os.path.join(self.folder, name): lacks for name, lacks in self._found() if lacks}

    def last(self):
        """Path of the newest one, or None."""
        return (self.all() or [None])[-1]

    def best(self):
        """Path of the one with the smallest distance (the newest of equals), or None.

        Imported ones have no distance; where none has one it is the newest.
        """
        rated = [path for path in self.all() if read_facts(path).get('distance') is not None]
        return min(reversed(rated), key=lambda path: read_facts(path)['distance'],
                   default=self.last())

    def clean(self) -> None:
        """Removes what a killed process left: to be called by a training, at its start and end.

        Half a checkpoint that is newer than all whole ones is told and left: no removal of old
        ones left it, and the training will write it again.
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
            session,
            saver,             # tf.train.Saver
            step,              # training steps done
            facts,             # dict for checkpoint.json
    ):
        """Writes one and removes what need not be kept. Returns its path."""
        return self.write(step, facts, lambda prefix: saver.save(
            session, prefix, write_meta_graph=False, write_state=False))

    def write(
            self,
            step: int,                             # training steps done
            facts: Dict[str, Any],                 # for checkpoint.json
            write_model: Callable[[str], Any],     # gets the prefix of the paths to write
    ) -> str:
        """As `save`, with the variables from anywhere."""
        name = '%08d' % step
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

    def _sweep(self):
        """Removes what was being built or removed when a process was killed."""
        for name in _names(self.folder):
            if name.startswith('.'):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _found(self):
        """[(name, the files it lacks)] of the folders named by a step, from oldest to newest."""
        return sorted(((name, _lacks(os.path.join(self.folder, name)))
                       for name in _names(self.folder) if STEP.match(name)),
                      key=lambda found: int(found[0]))

    def _remove_old(self):
        if self.keep is not None:
            best = self.best()
            for path in self.all()[:-self.keep]:
                if path != best:
                    self._remove(path)

    def _remove(self, path):
        """Takes away the name first: a process killed in between leaves no half checkpoint."""
        if os.path.isdir(path):
            removed = os.path.join(self.folder, '.removed-' + os.path.basename(path))
            shutil.rmtree(removed, ignore_errors=True)
            os.rename(path, removed)
            shutil.rmtree(removed)


def _names(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _lacks(path):
    """The files that a checkpoint in a folder would have, and this one has not."""
    names = _names(path) if os.path.isdir(path) else []
    lacks = [name for name in (FACTS, 'model.index') if name not in names]
    return lacks + ([] if any(name.startswith(DATA) for name in names) else [DATA + '...'])


def _step(path):
    return int(os.path.basename(path))


def read_facts(path):
    """What checkpoint.json says. Raises InputError where there is no whole checkpoint."""
    try:
        facts = read_json(os.path.join(path, FACTS))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a checkpoint ({error})')
    if not isinstance(facts, dict) or not isinstance(facts.get('step'), int):
        raise InputError(f'{path}: not a checkpoint ({FACTS} tells no step)')
    return facts


def variables_of(path):
    """{name: shape} of a checkpoint folder. Raises InputError where it cannot be read."""
    try:
        with plain_path(path) as plain:
            return open_checkpoint(os.path.join(plain, 'model')).get_variable_to_shape_map()
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise _unreadable(path, error)


def _unreadable(path, error):
    """InputError. It advises to remove only what was opened and is damaged, not what is refused."""
    reason = ' '.join(str(error).split())[:200]
    try:
        for name in sorted(os.listdir(path)):
            with open(os.path.join(path, name), 'rb') as stream:
                while stream.read(BLOCK_BYTES):
                    pass
    except OSError as refused:
        return InputError(f'{refused.filename or path}: cannot be read: {refused.strerror}; the '
                          f'checkpoint may be intact: check the '
                          'disk and the file permissions')
    return InputError(f'{path}: not a readable checkpoint ({reason}); remove that folder to resume '
                      f'from the '
                      'one before it')


def restore(
        session,
        saver,             # tf.train.Saver over `variables`
        variables,         # what the saver was made of: variables, or {stored name: variable}
        path,              # checkpoint folder
        is_part=False,     # True: the checkpoint may hold more than `variables`
):
    """Fills `variables`, all or none.

    Raises InputError that names missing variables, unexpected ones and those of another shape;
    of a finished training also for a file that has other bytes than were written.
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
    faults = [_few('missing', missing), _few('not expected', extra),
              _few('of other dimensions', reshaped)]
    if any(faults):
        raise InputError('{}: a checkpoint of another network or of other dimensions: {}; set '
                         'the model section as it was, or start a new run with run.name'.format(path, '; '.join(f for f in faults if f)))
    with session.graph.as_default():         # outside of it TensorFlow 2 thinks it is eager
        try:
            with plain_path(path) as plain:
                saver.restore(session, os.path.join(plain, 'model'))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise _unreadable(path, error)


def ema_of(
        variables,         # of generators
        path,              # checkpoint folder
):
    """{stored name: variable}, the EMA of each variable that has one there."""
    stored = variables_of(path)
    named = {v.op.name: v for v in variables}
    averages = {name: f'{EMA}/{name}' for name in named}
    return {averages[name] if averages[name] in stored else name: variable
            for name, variable in named.items()}


def _few(label, names):
    if not names:
        return ''
    more = ' and %d more' % (len(names) - 2) if len(names) > 2 else ''
    return '{}: {}{}'.format(label, ', '.join(names[:2]), more)
