"""Small raw datasets for tests, in each layout: images of noise with captions."""

import os
import pickle
import tarfile
import zipfile

import numpy as np
from logged import logged
from PIL import Image

from stackgan.config.schema import Data, Split
from stackgan.data.preprocessing import preprocess
from stackgan.files import files_below

CLASSES = ('001.Red', '002.Green', '003.Blue', '004.Grey')


def settings(**changes):
    """config Data for the CUB layout; `split_by` and so on change its `split`."""
    split = dict(by='lists', test_share=0.25, seed=0, train_list=None, test_list=None)
    data = dict(name='toy', raw=None, layout='cub', captions_file=None,
                precomputed_embeddings='char-CNN-RNN', crop='box', box_scale=0.75,
                on_bad_image='fail', max_bad_share=0.5, shard_images=8, workers=2)
    for key, value in changes.items():
        if key.startswith('split_'):
            split[key[len('split_'):]] = value
        else:
            data[key] = value
    return Data(split=Split(**split), **data)


def folder_settings(**changes):
    changes = dict(dict(layout='folder', crop='centre', split_by='ratio'), **changes)
    return settings(**changes)


def flowers_settings(**changes):
    return settings(**dict(dict(layout='flowers', crop='stretch'), **changes))


def write(path, data=''):
    """Writes text or bytes, making the folders above."""
    path = str(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as stream:
        stream.write(data.encode('utf-8') if isinstance(data, str) else data)
    return path


def write_pickle(path, value, protocol=2):
    return write(path, pickle.dumps(value, protocol))


def noise(number, width=60, height=44):
    """An image like no other: (height, width, 3) uint8, smooth enough for JPEG."""
    random = np.random.RandomState(number)
    small = Image.fromarray(random.randint(0, 256, (6, 8, 3)).astype(np.uint8))
    return small.resize((width, height), Image.BILINEAR)


def image(path, number=0, **size):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    noise(number, **size).save(str(path))
    return str(path)


def captions_of(number, count=3):
    return ['image %d told in words %d' % (number, k) for k in range(count)]


def make_cub(raw, images=24, lists=True, embeddings=None):
    """CUB layout of `images` images in four classes, the last class for testing."""
    raw = str(raw)
    top = os.path.join(raw, 'CUB_200_2011')
    names, lines, labels, boxes = [], [], [], []
    for number in range(images):
        label = number % len(CLASSES)
        name = '%s/picture_%04d' % (CLASSES[label], number)
        names.append(name)
        lines.append('%d %s.jpg' % (number + 1, name))
        labels.append('%d %d' % (number + 1, label + 1))
        boxes.append('%d 10.0 8.0 30.0 20.0' % (number + 1))
        image(os.path.join(top, 'images', name + '.jpg'), number)
        write(os.path.join(raw, 'text_c10', name + '.txt'), '\n'.join(captions_of(number)) + '\n')
    write(os.path.join(top, 'images.txt'), '\n'.join(lines) + '\n')
    write(os.path.join(top, 'image_class_labels.txt'), '\n'.join(labels) + '\n')
    write(os.path.join(top, 'bounding_boxes.txt'), '\n'.join(boxes) + '\n')
    write(os.path.join(top, 'classes.txt'),
          ''.join('%d %s\n' % (i + 1, name) for i, name in enumerate(CLASSES)))
    if lists:
        for split in ('train', 'test'):
            chosen = [name for name in names if name.startswith('004') == (split == 'test')]
            write_pickle(os.path.join(raw, split, 'filenames.pickle'), chosen)
            if embeddings:
                arrays = [embedding_of(int(name[-4:]), embeddings) for name in chosen]
                write_pickle(os.path.join(raw, split, 'char-CNN-RNN-embeddings.pickle'), arrays)
    return raw


def embedding_of(number, dim, captions=3):
    """(captions, dim) float32 that tells which image and caption it is of."""
    rows = np.zeros((captions, dim), np.float32)
    rows[:, 0], rows[:, 1] = number, np.arange(captions)
    return rows


def make_flowers(raw, images=6):
    """Layout of Oxford flowers: images in three classes, some of them in neither list."""
    for number in range(1, images + 1):
        image(os.path.join(str(raw), 'jpg', 'image_%05d.jpg' % number), number)
        write(os.path.join(str(raw), 'text_c10', 'class_%05d' % (number % 3 + 1),
                           'image_%05d.txt' % number), '\n'.join(captions_of(number)))
    for split, numbers in (('train', (1, 2, 4)), ('test', (3, 6))):
        write_pickle(os.path.join(str(raw), split, 'filenames.pickle'),
                     ['jpg/image_%05d' % n for n in numbers])
        write_pickle(os.path.join(str(raw), split, 'class_info.pickle'),
                     [n % 3 + 1 for n in numbers])
    return str(raw)


def make_folder(raw, images=8, classes=2):
    """Plain folder with a .txt beside each image; classes 0: all in images/ itself."""
    for number in range(images):
        below = 'kind%d/' % (number % classes) if classes else ''
        path = os.path.join(str(raw), 'images', '%spicture%02d' % (below, number))
        image(path + '.png', number)
        write(path + '.txt', '\n'.join(captions_of(number)))
    return str(raw)


def run(raw, folder, chosen):
    """Prepares a dataset; returns the lines that were said."""
    with logged() as lines:
        preprocess(str(raw), str(folder), chosen)
    return lines


def content(folder):
    """{file: bytes} of everything in a folder."""
    found = {}
    for name in files_below(str(folder)):
        with open(os.path.join(str(folder), name), 'rb') as stream:
            found[name] = stream.read()
    return found


def pack(archive, folder, top='', but=()):
    """Packs all files below a folder, except those in folders named in `but`, under `top`."""
    archive = str(archive)
    os.makedirs(os.path.dirname(archive), exist_ok=True)
    names = [name for name in files_below(str(folder)) if not name.startswith(tuple(but))]
    if archive.endswith('.zip'):
        with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as stream:
            for name in names:
                stream.write(os.path.join(str(folder), name), top + name)
    else:
        with tarfile.open(archive, 'w' if archive.endswith('.tar') else 'w:gz') as stream:
            for name in names:
                stream.add(os.path.join(str(folder), name), top + name)
    return archive


def pack_published(raw, folder):
    """Packs a folder in the CUB layout as its two archives are published; returns `raw`."""
    write(os.path.join(str(folder), 'CUB_200_2011', 'attributes', 'attributes.txt'), 'not read')
    write(os.path.join(str(folder), 'text_c10', '001.Red.t7'), 'not read')
    write(os.path.join(str(folder), 'train', '76images.pickle'), 'not read')
    pack(os.path.join(str(raw), 'CUB_200_2011.tgz'), folder, but=('text_c10', 'train', 'test'))
    pack(os.path.join(str(raw), 'birds.zip'), folder, 'birds/', but=('CUB_200_2011',))
    return str(raw)
