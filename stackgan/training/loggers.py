"""Where a training also sends its records while it runs: trackers that people already have.

A `TrainingLogger` gets what stats.jsonl and the sample grids get, in the thread that writes them
(see writer.py), so a slow one delays checkpoints, not steps. One that fails is let go with a
warning: a tracker that cannot be reached never ends a training.
"""

import logging
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence

from stackgan.errors import MissingRequirement
from stackgan.files import read_json, write_json

logger = logging.getLogger(__name__)

MLFLOW_RUN = 'mlflow.json'       # in the training's folder: which run a resumed training continues
EXPERIMENT = 'stackgan'
MAX_VALUE = 250                  # characters of a parameter; the oldest servers take no more


class TrainingLogger:
    """What a training tells others. Derive from it, and override what you need."""

    def start(
            self,
            folder: str,             # of the training; a logger may keep a file there
            step: int,               # steps done before: 0, or what is resumed from
    ) -> None:
        """Is called once, before all others. May raise StackganError, which ends the training."""

    def stats(
            self,
            step: int,               # steps done
            values: Mapping[str, float],     # losses and rates, as in stats.jsonl
    ) -> None:
        """Every `train.log_every_steps`, and the distance with each checkpoint."""

    def sample(
            self,
            step: int,
            path: str,               # of the PNG, which is there already
    ) -> None:
        """Every `train.sample_every_steps`."""

    def close(
            self,
            is_finished: bool,       # False: interrupted or failed
    ) -> None:
        """Is called once, after all others."""


class Loggers:
    """Several as one; those that fail are let go."""

    def __init__(self, loggers: Sequence[TrainingLogger]) -> None:
        self._waiting = list(loggers)
        self._loggers: List[TrainingLogger] = []         # that were started and have not failed

    def start(self, folder: str, step: int) -> None:
        for each in self._waiting:
            each.start(folder, step)
            self._loggers.append(each)

    def stats(self, step: int, values: Mapping[str, float]) -> None:
        self._call(lambda each: each.stats(step, dict(values)))

    def sample(self, step: int, path: str) -> None:
        self._call(lambda each: each.sample(step, path))

    def close(self, is_finished: bool) -> None:
        self._call(lambda each: each.close(is_finished))
        self._loggers = []

    def _call(self, call: Callable[[TrainingLogger], None]) -> None:
        for each in list(self._loggers):
            try:
                call(each)
            except Exception as error:           # whatever its package raises
                reason = ' '.join(str(error).split())[:200]
                logger.warning(f'{type(each).__name__} failed and gets no more records of this '
                               f'training: {type(error).__name__}: {reason}')
                self._loggers.remove(each)


class MlflowLogger(TrainingLogger):
    """Metrics, parameters and sample grids in an MLflow run."""

    def __init__(
            self,
            store: str,                      # folder of a file store, without MLFLOW_TRACKING_URI
            name: str,                       # of the run
            parameters: Mapping[str, Any],   # settings of the training
    ) -> None:
        self.store, self.name, self.parameters = store, name, parameters

    def start(self, folder: str, step: int) -> None:
        uri = os.environ.get('MLFLOW_TRACKING_URI')
        os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')    # no third party is told
        if not uri:
            os.environ.setdefault('MLFLOW_ALLOW_FILE_STORE', 'true')     # MLflow 3.14 and later ask
            uri = Path(self.store).as_uri()
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingRequirement(f'train.loggers: mlflow needs the mlflow package ({error}); '
                                     "pip install 'stackgan[mlflow]', or leave mlflow out")
        self.client = MlflowClient(uri)
        self.run = self._resumed(os.path.join(folder, MLFLOW_RUN), uri) if step else None
        if self.run is None:
            self.run = self._new()
            write_json(os.path.join(folder, MLFLOW_RUN), {'run': self.run, 'uri': uri})
        logger.info(f'also recorded in MLflow: {uri}, run {self.run}')

    def _resumed(self, path: str, uri: str) -> Any:
        """Id of the run that a training began, if it is still there."""
        try:
            found = read_json(path)
            if found['uri'] != uri:
                return None
            self.client.update_run(found['run'], status='RUNNING')
            return found['run']
        except Exception:                        # no such file or run: another is begun
            return None

    def _new(self) -> str:
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        id = experiment.experiment_id if experiment else self.client.create_experiment(EXPERIMENT)
        run = self.client.create_run(id, tags={'mlflow.runName': self.name}).info.run_id
        for name, value in self.parameters.items():
            self.client.log_param(run, name, str(value)[:MAX_VALUE])
        return run

    def stats(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run, name, value, step=step)

    def sample(self, step: int, path: str) -> None:
        self.client.log_artifact(self.run, path, 'samples')

    def close(self, is_finished: bool) -> None:
        self.client.set_terminated(self.run, 'FINISHED' if is_finished else 'KILLED')


def open_loggers(
        names: Sequence[str],            # train.loggers
        volume: str,                     # absolute path of the data volume
        name: str,                       # of this training
        parameters: Dict[str, Any],      # its settings
) -> List[TrainingLogger]:
    """The loggers that a configuration names."""
    kinds: Dict[str, Callable[[], TrainingLogger]] = {
        'mlflow': lambda: MlflowLogger(os.path.join(volume, 'mlruns'), name, parameters)}
    return [kinds[each]() for each in dict.fromkeys(names)]
