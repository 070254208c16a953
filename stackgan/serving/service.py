"""What the page and the API have in common: a request to draw, from the limits to the gallery."""

from typing import Any, NamedTuple

from stackgan.serving.gallery import Gallery
from stackgan.serving.limits import Limits, Rates
from stackgan.serving.models import Models, find_run
from stackgan.serving.queue import DrawingQueue
from stackgan.serving.runs import Runs


class Service(NamedTuple):
    """Everything that serving a volume needs."""

    runs: Runs
    limits: Limits
    rates: Rates
    queue: DrawingQueue
    gallery: Gallery
    versions: dict          # of what takes part
    preferred: str          # the run that is chosen before the visitor chooses
    say: Any                # prints a line


def make_service(
        runs,              # Runs
        platform,          # the `platform` section
        limits,            # Limits
        versions,          # {name: version} of what takes part
        preferred,         # name of the run of the configuration
        say,               # prints a line
):
    """`Service` with nothing loaded yet."""
    models = Models(runs, platform, limits, say)
    return Service(runs, limits, Rates(limits), DrawingQueue(models.draw, limits),
                   Gallery(limits.gallery), versions, preferred, say)


def draw(
        service,           # Service
        asked,             # Asked
        address,           # of the visitor
):
    """`Drawn`, which the gallery has now. Raises Refusal."""
    find_run(service.runs, asked.run)            # a mistake costs no share of the drawings
    service.rates.admit(address)
    drawn = service.queue.draw(asked)
    service.gallery.add(drawn.pictures)
    return drawn
