"""What the training loop trains: a stage of the GAN, the text encoder, the scorer."""

from typing import Any, Callable, Dict, Generator, NamedTuple, Optional

import tensorflow.compat.v1 as tf

Feeds = Generator[Dict[Any, Any], None, None]      # {placeholder: value} of step after step


class Plan(NamedTuple):
    """How long a training is and when it records what."""

    label: str                    # of the progress bar
    unit: str                     # what a batch is made of, plural
    batch_size: int
    steps: int
    steps_per_epoch: int          # after so many, each file of the dataset has been opened
    log_every_steps: int
    sample_every_steps: Optional[int]     # None: neither sample grids nor TensorBoard events
    checkpoint_every_steps: int
    keep_checkpoints: int         # newest ones, besides the best
    length: str                   # the setting that `steps` comes from, e.g. 'text.steps=100'
    advice: str                   # what to do when the training diverges

    @property
    def batch_key(self) -> str:
        """The key of the configuration that `batch_size` comes from."""
        return self.length.partition('.')[0] + '.batch_size'


class Trainable:
    """One training. Its graph is the default graph while `training.loop.run` runs."""

    plan: Plan
    update: Any                   # the operation that makes a step
    losses: Dict[str, Any]        # name -> scalar tensor, of the batch before the update

    def initialise(self, session: Any) -> None:
        """Gives all variables their initial values."""
        session.run(tf.global_variables_initializer())

    def fill(self, session: Any) -> None:
        """Fills initialised variables that begin with other values than their initial ones."""

    def feeds(self, first: int) -> Feeds:
        """What to feed in step `first` (0-based) and in those that follow.

        The order of random draws within a step is the format of exact resume: with another one, a
        training that an earlier version began continues with other batches.
        """
        raise NotImplementedError

    def resume(self, facts: Dict[str, Any]) -> None:
        """Takes back what `facts` put into the checkpoint from which the training resumes."""

    def count(self, losses: Dict[str, float]) -> None:
        """Is called with the losses of each step."""
        raise NotImplementedError

    def note(self, losses: Dict[str, float]) -> str:
        """The losses as text for the progress bar."""
        raise NotImplementedError

    def summary(
            self,
            step: int,            # steps done
            rate: float,          # units a second since the last summary
    ) -> Dict[str, float]:
        """A line of stats.jsonl."""
        raise NotImplementedError

    def sample(self, session: Any) -> Callable[[str], None]:
        """Generates samples. Returns what writes them to a path."""
        raise NotImplementedError

    def distance(self, session: Any) -> Optional[Callable[[], float]]:
        """Generates what rates a checkpoint. Returns what computes the sliced Wasserstein distance.

        None: checkpoints are not rated.
        """
        return None

    def facts(self) -> Dict[str, Any]:
        """What checkpoint.json holds besides step and distance: the state of now."""
        raise NotImplementedError
