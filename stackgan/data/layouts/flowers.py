"""Oxford 102 flowers as StackGAN uses it.

    jpg/image_00001.jpg
    text_c10/class_00077/image_00001.txt  captions, one a line; its folder is the image's class
    {train,test}/filenames.pickle         optional: the zero-shot split, names 'jpg/image_00001'
    {train,test}/class_info.pickle        optional: checked against the folders of the captions
    {train,test}/char-CNN-RNN-embeddings.pickle    optional: one (captions, D) array an image
"""

import os

from stackgan.data.image_kinds import is_image, unreadable
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, NameIndex, Raw
from stackgan.data.layouts.own_lists import read_class_numbers, read_own_lists
from stackgan.errors import InputError

PREFIXES = ('jpg/',)


def read_flowers(raw, settings):
    """`Raw` of a folder in the layout of Oxford flowers. Raises InputError for what it lacks."""
    class_of = _read_tree(os.path.join(raw, 'text_c10'))
    lists, embedding_files, remarks = read_own_lists(raw, settings)
    items, notes = [], Notes()
    for file in sorted(os.listdir(os.path.join(raw, 'jpg'))):
        path = os.path.join(raw, 'jpg', file)
        if not is_image(path):
            continue
        stem = os.path.splitext(file)[0]
        class_name = class_of.get(stem, '')
        item = Item('jpg/' + stem, 'jpg/' + file, class_name, None, []).with_problem(
            unreadable(path))
        if not class_name:
            item = item.with_problem('it has no captions: text_c10 holds no class_*/%s.txt' % stem)
        else:
            item = with_captions(item, raw, 'text_c10/%s/%s.txt' % (class_name, stem), notes,
                                 lone_cr=not embedding_files)
        items.append(item)
    _check_classes(raw, items, lists)
    return Raw(items, sorted(set(class_of.values())), lists, embedding_files,
               remarks + notes.remarks())


def _read_tree(captions):
    """{image: class folder} of text_c10."""
    class_of = {}
    for folder in sorted(os.listdir(captions)):
        path = os.path.join(captions, folder)
        if not os.path.isdir(path):
            continue
        for file in sorted(os.listdir(path)):
            stem, extension = os.path.splitext(file)
            if extension == '.txt' and class_of.setdefault(stem, folder) != folder:
                raise InputError('%s: captions of %s are in two classes, %s and %s'
                                 % (captions, stem, class_of[stem], folder))
    if not class_of:
        raise InputError('%s: holds no captions; must hold class_00001/image_00001.txt and so on'
                         % captions)
    return class_of


def _check_classes(raw, items, lists):
    """The classes of class_info.pickle must be those of the folders of the captions."""
    index = NameIndex(items, PREFIXES)
    for split, names in (lists or {}).items():
        numbers = read_class_numbers(raw, split, len(names))
        for name, number in zip(names, numbers or ()):
            origin = os.path.join(raw, split, 'class_info.pickle')
            item = items[index.position(name, origin)]
            if item.class_name not in ('', 'class_%05d' % number):
                raise InputError('%s: class of %s is %d, but its captions are in %s'
                                 % (origin, name, number, item.class_name))
