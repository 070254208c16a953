"""What the page and the API share: handling a request, from the limits to the gallery."""

import logging
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from stackgan.config.schema import Platform
from stackgan.serving.gallery import Gallery
from stackgan.serving.generate_request import GenerateRequest
from stackgan.serving.limits import Limits, Rates, Strikes
from stackgan.serving.live import LiveJobs
from stackgan.serving.metrics import Metrics
from stackgan.serving.neighbours import KeptNeighbours, NearestRequest, Neighbour
from stackgan.serving.process import Ended, Generated, Worker
from stackgan.serving.queue import GenerationQueue
from stackgan.serving.refusals import Refusal
from stackgan.serving.runs import Run, Runs
from stackgan.serving.streams import Streams

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
    metrics: Metrics
    versions: Dict[str, str]    # of packages
    preferred: Optional[str]    # run that is chosen before the visitor chooses
    live: Optional[LiveJobs]    # None: there is no view of jobs
    streams: Streams            # of that view
    neighbours: KeptNeighbours


def make_service(
        runs: Runs,
        platform: Platform,
        limits: Limits,
        versions: Dict[str, str],  # of packages
        preferred: Optional[str],  # run that is chosen before the visitor chooses
        live: Optional[LiveJobs] = None,     # None: there is no view of jobs
) -> Service:
    """A service with nothing loaded yet."""
    worker, strikes = Worker(platform, limits), Strikes(limits)

    def generate_next(chosen: Union[Tuple[Run, GenerateRequest], NearestRequest]) -> Any:
        """Runs in the thread of the queue."""
        if isinstance(chosen, NearestRequest):
            try:
                return worker.find_nearest(chosen)
            except Ended as error:
                logger.info(f'nearest training images ended the worker: {error}')
                raise Refusal(503, f'The nearest training images were not found: {error}', 30)
        run, request = chosen
        _refuse_if_unable(_judged(run, strikes))       # may have changed while waiting
        try:
            generated = worker.generate(run, request)
        except Ended as error:
            strikes.add(run.name, str(error))
            logger.info(f'run {run.name} ended the worker: {error}')
            raise Refusal(503, f'The run {run.name} failed: {error}', 30)
        strikes.forgive(run.name)
        return generated

    return Service(runs, limits, Rates(limits), strikes, worker,
                   GenerationQueue(generate_next, limits), Gallery(limits.gallery), Metrics(),
                   versions, preferred, live, Streams(), KeptNeighbours())


def all_runs(service: Service) -> List[Run]:
    """All runs, by name; those that ended the worker too often are suspended for a while."""
    return [_judged(run, service.strikes) for run in service.runs.all()]


def generate(
        service: Service,
        request: GenerateRequest,
        address: str,  # of the visitor
) -> Generated:
    """Generates, and adds the images to the gallery. Raises Refusal."""
    run = _find_run(service, request.run)          # before counting: a mistake is free
    service.rates.admit(address)
    generated = service.queue.generate((run, request))
    service.gallery.add(generated.images)
    service.metrics.count_images(len(generated.images))
    return generated


def can_find_nearest(service: Service, name: str) -> bool:
    """Whether the volume has the training images of the run of that name."""
    run = service.runs.get(name)
    return run is not None and service.runs.prepared_of(run) is not None


def find_nearest(
        service: Service,
        id: str,       # of an image that is kept
        address: str,  # of the visitor
) -> List[Neighbour]:
    """The training images nearest to a generated one. Raises Refusal."""
    image = service.gallery.get(id)
    if image is None:
        raise Refusal(404, 'This image is not kept any more; generate it again')
    found = service.neighbours.get(id)
    if found is None:
        run = service.runs.get(image.run)
        prepared = service.runs.prepared_of(run) if run else None
        if prepared is None:
            raise Refusal(409, f'The images that the run {image.run} was trained on are not here')
        service.rates.admit(address)
        found = service.queue.generate(NearestRequest(prepared, image.stages[max(image.stages)]))
        service.neighbours.add(id, found)
    return found


def _find_run(service: Service, name: str) -> Run:
    """The run to generate with. Raises Refusal where there is none."""
    run = service.runs.get(name)
    if run is None:
        can_generate = [each.name for each in service.runs.all() if each.stages]
        others = ('available: ' + ', '.join(can_generate) if can_generate
                  else 'no run can generate images yet')
        raise Refusal(404, f'There is no run of that name; {others}')
    _refuse_if_unable(_judged(run, service.strikes))
    return run


def _refuse_if_unable(run: Run) -> None:
    if not run.stages:
        raise Refusal(409, f'The run {run.name} cannot generate images: {run.why_not}')


def _judged(run: Run, strikes: Strikes) -> Run:
    """The run, without stages while it is suspended for ending the worker too often."""
    fault = strikes.fault_of(run.name) if run.stages else None
    if fault is None:
        return run
    return run._replace(stages=0, why_not=fault, faults=run.faults + (fault,))
