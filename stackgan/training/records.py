"""The files in which a training says how it goes: stats.jsonl, TensorBoard events, sample grids."""

import json
import os
from contextlib import ExitStack
from typing import Any, Dict, List

import tensorflow.compat.v1 as tf

from stackgan.files import atomic_write, read_json_lines
from stackgan.tensorflow_paths import plain_path


class Records:
    """The records in a training's folder. A resumed training drops those it will write again."""

    def __init__(
            self,
            folder: str,               # of the training
            first_step: int,           # steps done before this process
            has_images: bool = True,   # False: stats.jsonl alone
    ) -> None:
        self.folder = folder
        self.stats_path = os.path.join(folder, 'stats.jsonl')
        self._cut_stats(first_step)
        self._place = ExitStack()                        # until the events are closed
        self.events: Any = None
        if has_images:
            self._cut_samples(first_step)
            plain = self._place.enter_context(plain_path(folder))
            self.events = tf.summary.FileWriter(os.path.join(plain, 'events'))
            self.events.add_session_log(tf.SessionLog(status=tf.SessionLog.START), first_step)

    def _cut_stats(self, first_step: int) -> None:
        kept = []
        if os.path.exists(self.stats_path):
            kept = [line for line in _whole_lines(self.stats_path) if line['step'] <= first_step]
        with atomic_write(self.stats_path, 'w') as stream:
            for line in kept:
                stream.write(json.dumps(line, sort_keys=True) + '\n')

    def _cut_samples(self, first_step: int) -> None:
        folder = os.path.dirname(sample_path(self.folder, first_step))
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name > os.path.basename(sample_path(self.folder, first_step)):
                os.unlink(os.path.join(folder, name))

    def stats(
            self,
            step: int,                     # steps done
            values: Dict[str, float],
    ) -> None:
        """Appends a line to stats.jsonl and the same values to the events."""
        with open(self.stats_path, 'a', encoding='utf-8') as stream:
            stream.write(json.dumps(dict(values, step=step), sort_keys=True) + '\n')
        if self.events is not None:
            self.events.add_summary(tf.Summary(value=[
                tf.Summary.Value(tag=name, simple_value=value) for name, value in values.items()
            ]), step)

    def close(self) -> None:
        """Writes the last events."""
        if self.events is not None:
            self.events.close()
        self._place.close()


def sample_path(
        folder: str,          # of the training
        step: int,            # steps done
) -> str:
    """Path of the grid of a step."""
    return os.path.join(folder, 'samples', f'{step:08d}.png')


def _whole_lines(path: str) -> List[Dict[str, Any]]:
    """The lines of a JSON-lines file; a last one that was cut off by a kill is left out."""
    try:
        return read_json_lines(path)
    except ValueError:
        with open(path, encoding='utf-8') as stream:
            lines = stream.read().splitlines()
        return [json.loads(line) for line in lines[:-1]]
