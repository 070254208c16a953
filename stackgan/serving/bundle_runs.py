"""Bundles in place of a volume: each is a run with one export and nothing else."""

from typing import BinaryIO, List, Optional, Sequence, Tuple

from stackgan.export.bundle_file import Bundle
from stackgan.serving.runs import Run, Runs


class BundleRuns(Runs):
    """Like `Runs`, of bundles."""

    def __init__(
            self,
            bundles: Sequence[Bundle],  # whose models stay unpacked
    ) -> None:
        self._runs = [Run(each.name, each.stage, note='pretrained', digest=each.digest,
                          model=each.generators, encoder=each.text_encoder,
                          encoder_kind=each.facts['encoder']) for each in bundles]

    def all(self) -> List[Run]:
        return list(self._runs)

    def get(self, name: str) -> Optional[Run]:
        return next((run for run in self._runs if run.name == name), None)

    def prepared_of(self, run: Run) -> Optional[str]:
        return None

    def report_file(self, run: str, name: str) -> Optional[Tuple[BinaryIO, int]]:
        return None
