"""Writes the dataset in the CUB layout.

    CUB_200_2011/images.txt                 number and <class>/<image>.jpg
                 bounding_boxes.txt         number, x, y, width, height in pixels, from 0
                 image_class_labels.txt     number and class number, from 1
                 classes.txt                class number and class name
                 images/<class>/<image>.jpg
    text_c10/<class>/<image>.txt            ten captions, one a line
    {train,test}/filenames.pickle           list of '<class>/<image>'
                 class_info.pickle          list of class numbers
    attributes.jsonl                        what is true of each image, in the same order

Everything of image i depends on the seed, the image size and i: the lines of a small dataset
are the first lines of a larger one, and their files are the same.
"""

import logging
import os
import pickle
import time
from collections import deque

from stackgan.data.painted.captions import captions_of
from stackgan.data.painted.drawing import paint
from stackgan.data.painted.scene import scene_of
from stackgan.data.painted.species import all_species
from stackgan.data.worker_pool import WorkerPool
from stackgan.errors import InputError
from stackgan.files import write_json_lines
from stackgan.platforms.cores import available_cores
from stackgan.progress import Progress

logger = logging.getLogger(__name__)

JPEG_QUALITY = 93
PICKLE_PROTOCOL = 2      # readable by every Python there is


def make_dataset(
        folder,          # exists; files of the same names are replaced
        images,          # images to draw, at least one for each species
        image_size,      # longer side in pixels
        seed,            # the same seed gives the same files
        workers=None,    # processes; None: one per core
):
    """Draws `images` painted birds and writes them with boxes, captions and attributes."""
    species = all_species()
    if images < len(species):
        raise InputError('make_dataset.images: %d pictures for %d species; at least one each'
                         % (images, len(species)))
    started = time.monotonic()
    for each in species:
        os.makedirs(os.path.join(folder, 'CUB_200_2011', 'images', each.name), exist_ok=True)
        os.makedirs(os.path.join(folder, 'text_c10', each.name), exist_ok=True)
    requests = [(folder, seed, number, image_size) for number in range(images)]
    records = [None] * images
    with Progress('make-dataset', images, 'pictures') as progress:
        for number, record in _write_images(requests, workers or available_cores()):
            records[number] = record
            progress.advance()
    _write_lists(folder, species, records)
    test = sum(record['split'] == 'test' for record in records)
    logger.info('%d pictures of %d species: %d for training, %d of %d held-out species for testing; '
        '%.1f pictures/s' % (
            images, len(species), images - test, test,
            sum(each.split == 'test' for each in species),
            images / max(time.monotonic() - started, 1e-9)))


def _write_images(requests, workers):
    """Yields what `_write_image` returns for each request, in any order."""
    if workers == 1:
        yield from map(_write_image, requests)
        return
    with WorkerPool(_write_image, workers) as pool:
        yield from pool.results(deque(requests))


def _write_image(request):
    """Draws an image and writes it and its captions. Returns its number and its attributes."""
    folder, seed, number, image_size = request
    scene = scene_of(seed, number, image_size)
    painting = paint(scene)
    name = _name_of(scene)
    path = os.path.join(folder, 'CUB_200_2011', 'images', name + '.jpg')
    painting.picture.save(path, quality=JPEG_QUALITY)
    with open(os.path.join(folder, 'text_c10', name + '.txt'), 'w', newline='\n') as stream:
        stream.write('\n'.join(captions_of(scene)) + '\n')
    return number, _record(scene, name, painting.box)


def _name_of(scene):
    """'<class>/<image>', numbered within the class from 1."""
    species = scene.species
    within = scene.number // len(all_species()) + 1
    return '%s/%s_%04d' % (species.name, species.name.split('.')[1], within)


def _record(scene, name, box):
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


def _write_lists(folder, species, records):
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


def _write_lines(folder, name, lines):
    with open(os.path.join(folder, name), 'w', newline='\n') as stream:
        stream.writelines(line + '\n' for line in lines)
