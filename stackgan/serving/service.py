"""What the page and the API share: a request to generate, from the limits to the gallery."""

import logging
from typing import NamedTuple

from stackgan.serving.gallery import Gallery
from stackgan.serving.limits import Limits, Rates, Strikes
from stackgan.serving.process import Ended, Worker
from stackgan.serving.queue import GenerationQueue
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Runs

logger = logging.getLogger(__name__)


class Service(NamedTuple):
    """Everything that serving a volume needs."""

    runs: Runs
    limits: Limits
    rates: Rates
    strikes: Strikes
    worker: Worker
    queue: GenerationQueue
    gallery: Gallery
    versions: dict          # of what takes part
    preferred: str          # the run that is chosen before the visitor chooses


def make_service(
        runs,              # Runs
        platform,          # the `platform` section
        limits,            # Limits
        versions,          # {name: version} of what takes part
        preferred,         # name of the run of the configuration
):
    """`Service` with nothing loaded yet."""
    worker, strikes = Worker(platform, limits), Strikes(limits)

    def draw_next(wanted):
        """In the thread of the queue."""
        run, request = wanted
        _refuse_if_unable(_judged(run, strikes))       # since it began to wait
        try:
            generated = worker.generate(run, request)
        except Ended as error:
            strikes.add(run.name, str(error))
            logger.info(f'run {run.name} ended the worker: {error}')
            raise Refusal(503, f'The run {run.name} failed: {error}', 30)
        strikes.forgive(run.name)
        return generated

    return Service(runs, limits, Rates(limits), strikes, worker, GenerationQueue(draw_next, limits),
                   Gallery(limits.gallery), versions, preferred)


def all_runs(
        service,           # Service
):
    """[Run], by name; those that ended the worker too often cannot generate images for a while."""
    return [_judged(run, service.strikes) for run in service.runs.all()]


def generate(
        service,           # Service
        request,           # GenerateRequest
        address,           # of the visitor
):
    """`Generated`, which the gallery has now. Raises Refusal."""
    run = _find_run(service, request.run)          # a mistake costs no share of the requests
    service.rates.admit(address)
    generated = service.queue.generate((run, request))
    service.gallery.add(generated.images)
    return generated


def _find_run(service, name):
    """The `Run` to generate with. Raises Refusal where there is none."""
    run = service.runs.get(name)
    if run is None:
        can_generate = [each.name for each in service.runs.all() if each.stages]
        raise Refusal(404, 'There is no run of that name; %s'
                      % ('available: ' + ', '.join(can_generate) if can_generate
                         else 'no run can generate images yet'))
    _refuse_if_unable(_judged(run, service.strikes))
    return run


def _refuse_if_unable(run):
    if not run.stages:
        raise Refusal(409, f'The run {run.name} cannot generate images: {run.why_not}')


def _judged(run, strikes):
    """A run as it is now: one that ended the worker too often rests."""
    fault = strikes.fault_of(run.name) if run.stages else None
    if fault is None:
        return run
    return run._replace(stages=0, why_not=fault, faults=run.faults + (fault,))
