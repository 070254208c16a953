"""What a training says of itself: stats.jsonl, TensorBoard events, sample grids."""

import json
import os
from contextlib import ExitStack

import tensorflow.compat.v1 as tf

from stackgan.files import atomic_write, read_json_lines
from stackgan.tensorflow_paths import plain_path


class Records:
    """The records below a training's folder; a resumed training drops what it will say again."""

    def __init__(
            self,
            folder,           # of the training
            first_step,       # steps done before this process
    ):
        self.folder = folder
        self.stats_path = os.path.join(folder, 'stats.jsonl')
        self.samples = os.path.join(folder, 'samples')
        os.makedirs(self.samples, exist_ok=True)
        self._cut_stats(first_step)
        for name in os.listdir(self.samples):
            if name > '%08d.png' % first_step:
                os.unlink(os.path.join(self.samples, name))
        self._place = ExitStack()                        # until the events are closed
        plain = self._place.enter_context(plain_path(folder))
        self.events = tf.summary.FileWriter(os.path.join(plain, 'events'))
        self.events.add_session_log(tf.SessionLog(status=tf.SessionLog.START), first_step)

    def _cut_stats(self, first_step):
        kept = []
        if os.path.exists(self.stats_path):
            kept = [line for line in _whole_lines(self.stats_path) if line['step'] <= first_step]
        with atomic_write(self.stats_path, 'w') as stream:
            for line in kept:
                stream.write(json.dumps(line, sort_keys=True) + '\n')

    def stats(
            self,
            step,             # steps done
            values,           # name -> number
    ):
        """Appends a line to stats.jsonl and the same values to the events."""
        with open(self.stats_path, 'a', encoding='utf-8') as stream:
            stream.write(json.dumps(dict(values, step=step), sort_keys=True) + '\n')
        self.events.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag=name, simple_value=value) for name, value in values.items()
        ]), step)

    def sample_path(self, step):
        return sample_path(self.folder, step)

    def close(self):
        self.events.close()
        self._place.close()


def sample_path(
        folder,           # of the training
        step,             # steps done
):
    """Path of the grid of a step."""
    return os.path.join(folder, 'samples', '%08d.png' % step)


def _whole_lines(path):
    """The lines of a JSON-lines file; a last one that was cut off by a kill is left out."""
    try:
        return read_json_lines(path)
    except ValueError:
        with open(path, encoding='utf-8') as stream:
            lines = stream.read().splitlines()
        return [json.loads(line) for line in lines[:-1]]
