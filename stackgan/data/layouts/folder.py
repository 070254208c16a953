"""A plain folder of pictures and captions, however people keep them.

    images/        pictures, in any depth; the first sub-folder is the class, and a picture that
                   lies in images/ itself is a class of its own
    captions       one of: <picture>.txt beside each picture, one caption a line; the same below
                   captions/ in a tree like that of images/; or one table for all, captions.csv or
                   captions.jsonl with file, caption, and if wanted class and split
"""

import os

from stackgan.data.image_kinds import EXTENSIONS, is_image, unreadable
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, Raw, is_plain_name, key_of, require, some
from stackgan.data.layouts.tables import read_table
from stackgan.errors import InputError

TABLES = ('captions.csv', 'captions.jsonl')
PREFIXES = ('images/',)
HOW = ('put <picture>.txt with one caption a line beside each picture or below captions/, or '
       'captions.csv with the columns file and caption')


def read_folder(raw, settings):
    """`Raw` of a plain folder. Raises InputError for what it lacks."""
    images = require(os.path.join(raw, 'images'), 'the pictures of layout folder belong there')
    files, others = _find_pictures(images)
    if not files:
        raise InputError('%s: holds no pictures (%s)' % (images, ', '.join(EXTENSIONS)))
    remarks = (['left out below images/, not pictures: %s' % some(others)] if others else [])
    items = [_item(images, file) for file in files]
    table_file = _table_file(raw, settings.captions_file)
    if table_file:
        items, lists, more = _with_table(items, raw, table_file)
    else:
        items, more = _with_caption_files(items, raw)
        lists = None
    classes = sorted({item.class_name for item in items})
    return Raw(items, classes, lists, [], remarks + more)


def _find_pictures(images):
    """(files that are or claim to be pictures, other files): paths below images/, sorted."""
    pictures, others = [], []
    for parent, folders, names in os.walk(images, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(parent, name), images).replace(os.sep, '/')
            if name.startswith('.') or name.lower().endswith('.txt'):
                continue
            if is_image(os.path.join(parent, name)):
                pictures.append(path)
            else:
                others.append(os.fsencode(path).decode('utf-8', 'replace'))
    return sorted(pictures), others


def _item(images, file):
    name = file if is_plain_name(file) else os.fsencode(file).decode('utf-8', 'replace')
    item = Item(name, 'images/' + name, name.split('/')[0], None, [])
    if name != file:
        return item.with_problem('its name is not UTF-8; rename it')
    return item.with_problem(unreadable(os.path.join(images, file)))


def _table_file(raw, wanted):
    """Path of the table of captions, or None where captions are text files."""
    if wanted:
        return os.path.join(raw, wanted)
    there = [name for name in TABLES if os.path.exists(os.path.join(raw, name))]
    if len(there) > 1:
        raise InputError('%s: holds %s; remove one or name one with data.captions_file'
                         % (raw, ' and '.join(there)))
    return os.path.join(raw, there[0]) if there else None


def _with_table(items, raw, path):
    """(items, lists or None, remarks) after reading a table of captions."""
    table = read_table(path)
    short = os.path.relpath(path, raw)
    entries = dict(table.entries)
    found, lists = [], {'train': [], 'test': []}
    for item in items:
        entry = entries.pop(key_of(item.name), None) or entries.pop('images/' + key_of(item.name),
                                                                    None)
        if entry is None or not entry.captions:
            found.append(item.with_problem('it has no captions: %s holds none for it' % short))
            continue
        found.append(item._replace(captions=entry.captions,
                                   class_name=entry.class_name or item.class_name))
        if entry.split:
            lists[entry.split].append(item.name)
    for file, entry in entries.items():
        missing = Item(file, 'images/' + file, entry.class_name or file.split('/')[0], None, [])
        found.append(missing.with_problem('%s names it, but it is not below images/' % short))
        if entry.split:
            lists[entry.split].append(file)
    notes = Notes()
    notes.odd = [] if table.is_utf8 else [short]
    notes.silent = [(short, caption) for caption in table.silent]
    return found, lists if table.has_splits else None, notes.remarks()


def _with_caption_files(items, raw):
    """(items, remarks) after reading the text file of each picture."""
    sharing, notes, found, any_file = {}, Notes(), [], False
    for item in items:
        sharing.setdefault(os.path.splitext(item.path)[0], []).append(item.name)
    for item in items:
        stem = os.path.splitext(item.path)[0]
        others = [name for name in sharing[stem] if name != item.name]
        file = stem + '.txt'
        if not os.path.exists(os.path.join(raw, file)):
            file = 'captions' + file[len('images'):]
        any_file = any_file or os.path.exists(os.path.join(raw, file))
        if others:
            item = item.with_problem('its name is that of %s but for the extension, so that the '
                                     'captions could be of either' % ', '.join(others))
        found.append(with_captions(item, raw, file, notes))
    if not any_file:
        raise InputError('%s: holds no captions; %s' % (raw, HOW))
    return found, notes.remarks()
