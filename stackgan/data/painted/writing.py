"""Writes the dataset in the CUB layout.

    CUB_200_2011/images.txt                 number and <class>/<image>.jpg
                 bounding_boxes.txt         number, x, y, width, height in pixels, from 0
                 image_class_labels.txt     number and class number, from 1
                 classes.txt                class number and class name
                 images/<class>/<image>.jpg
    text_c10/<class>/<image>.txt            ten captions, one per line
    {train,test}/filenames.pickle           list of '<class>/<image>'
                 class_info.pickle          list of class numbers
    attributes.jsonl                        attributes of each image, in the same order

Image i depends only on the seed, the image size and i: the lines of a small dataset are the first
lines of a larger one, and their files are the same.
"""

import logging
import os
import pickle
import time
from collections import deque
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from stackgan.data.painted.captions import captions_of
from stackgan.data.painted.drawing import paint
from stackgan.data.painted.scene import Scene, scene_of
from stackgan.data.painted.species import Species, all_species, images_for_all
from stackgan.data.worker_pool import WorkerPool
from stackgan.errors import InputError
from stackgan.files import write_json_lines
from stackgan.platforms.cores import available_cores
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

JPEG_QUALITY = 93
PICKLE_PROTOCOL = 2      # readable by every Python
Request = Tuple[str, int, int, int, bool]     # folder, seed, number, image size, every
Record = Dict[str, Any]                  # a line of attributes.jsonl


def make_dataset(
        folder: str,         # exists; files of the same names are replaced
        images: int,         # number of images, at least one per species
        image_size: int,     # longer side in pixels
        seed: int,           # the same seed gives the same files
        workers: Optional[int] = None,       # processes; None: one per core
        every: bool = False,     # all combinations of colours, instead of 96 species
) -> None:
    """Paints birds and writes the images with boxes, captions and attributes."""
    species = all_species(every)
    least = images_for_all(species)
    if images < least:
        raise InputError(f'make_dataset.images: {images} pictures for {len(species)} species; at '
                         f'least {least}, one each')
    started = time.monotonic()
    for each in species:
        os.makedirs(os.path.join(folder, 'CUB_200_2011', 'images', each.name), exist_ok=True)
        os.makedirs(os.path.join(folder, 'text_c10', each.name), exist_ok=True)
    requests = [(folder, seed, number, image_size, every) for number in range(images)]
    by_number: Dict[int, Record] = {}
    with Progress('make-dataset', images, 'pictures') as progress:
        for number, record in _write_images(requests, workers or available_cores()):
            by_number[number] = record
            progress.advance()
    records = [by_number[number] for number in range(images)]
    _write_lists(folder, species, records)
    test = sum(record['split'] == 'test' for record in records)
    held_out = sum(each.split == 'test' for each in species)
    speed = images / max(time.monotonic() - started, 1e-9)
    logger.info(f'{images} pictures of {len(species)} species: {images - test} for training, '
                f'{test} of {held_out} held-out species for testing; {speed:.1f} pictures/s')


def _write_images(requests: List[Request], workers: int) -> Iterator[Tuple[int, Record]]:
    """Yields the result of `_write_image` for each request, in any order."""
    if workers == 1:
        yield from map(_write_image, requests)
        return
    with WorkerPool(_write_image, workers) as pool:
        yield from pool.results(deque(requests))


def _write_image(request: Request) -> Tuple[int, Record]:
    """Paints an image, writes it and its captions, and returns its number and attributes."""
    folder, seed, number, image_size, every = request
    scene = scene_of(seed, number, image_size, every)
    painting = paint(scene)
    name = _name_of(scene)
    path = os.path.join(folder, 'CUB_200_2011', 'images', name + '.jpg')
    with open(path, 'wb') as image:
        painting.picture.save(image, 'JPEG', quality=JPEG_QUALITY)
    with open(os.path.join(folder, 'text_c10', name + '.txt'), 'w', newline='\n') as stream:
        stream.write('\n'.join(captions_of(scene)) + '\n')
    return number, _record(scene, name, painting.box)


def _name_of(scene: Scene) -> str:
    """'<class>/<image>', numbered within the class from 1."""
    name = scene.species.name
    return f'{name}/{name.split(".")[1]}_{scene.among + 1:04d}'


def _record(scene: Scene, name: str, box: Tuple[int, int, int, int]) -> Record:
    species = scene.species
    return {
        'name': name, 'class': species.name, 'class_number': species.number,
        'split': species.split, 'body': species.body, 'wing': species.wing,
        'head': species.head, 'beak': species.beak, 'pose': scene.pose,
        'background': scene.background, 'build': scene.build, 'facing': scene.facing,
        'tilt': round(scene.tilt, 2), 'size': round(scene.size, 4),
        'brightness': round(scene.brightness, 4), 'warmth': round(scene.warmth, 4),
        'vignette': round(scene.vignette, 4), 'picture': list(scene.picture), 'box': list(box),
    }


def _write_lists(folder: str, species: Sequence[Species], records: List[Record]) -> None:
    """The files that list the images and the classes."""
    cub = os.path.join(folder, 'CUB_200_2011')
    numbered = list(enumerate(records, 1))
    _write_lines(cub, 'images.txt', ('%d %s.jpg' % (n, each['name']) for n, each in numbered))
    _write_lines(cub, 'bounding_boxes.txt', (
        '%d %.1f %.1f %.1f %.1f' % ((n,) + tuple(each['box'])) for n, each in numbered))
    _write_lines(cub, 'image_class_labels.txt', (
        '%d %d' % (n, each['class_number']) for n, each in numbered))
    _write_lines(cub, 'classes.txt', ('%d %s' % (each.number, each.name) for each in species))
    for split in ('train', 'test'):
        os.makedirs(os.path.join(folder, split), exist_ok=True)
        members = [each for each in records if each['split'] == split]
        for name, key in (('filenames', 'name'), ('class_info', 'class_number')):
            with open(os.path.join(folder, split, name + '.pickle'), 'wb') as stream:
                pickle.dump([each[key] for each in members], stream, PICKLE_PROTOCOL)
    write_json_lines(os.path.join(folder, 'attributes.jsonl'), records)


def _write_lines(folder: str, name: str, lines: Iterable[str]) -> None:
    with open(os.path.join(folder, name), 'w', newline='\n') as stream:
        stream.writelines(line + '\n' for line in lines)
