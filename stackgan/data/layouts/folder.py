"""A plain folder of images and captions, however people keep them.

    images/        images, in any depth; the first sub-folder is the class, and an image that
                   lies in images/ itself is a class of its own. Where the sub-folders are train
                   and val or test, they are the splits, and the classes are the folders in them;
                   these may also lie in the raw folder itself
    captions       one of: <image>.txt beside each image, one caption a line; the same below
                   captions/ in a tree like that of images/; or one table for all, captions.csv,
                   .tsv or .jsonl with file, caption, and if wanted class and split
"""

import os

from stackgan.data.image_kinds import EXTENSIONS, OTHER_EXTENSIONS, is_image, unreadable
from stackgan.data.layouts.captions import Notes, with_captions
from stackgan.data.layouts.common import Item, Raw, is_plain_name, key_of, require, some
from stackgan.data.layouts.split_folders import role_of, sort_by_folders
from stackgan.data.layouts.tables import read_table
from stackgan.data.walking import Tree, subfolders, walk
from stackgan.errors import InputError

TABLES = ('captions.csv', 'captions.tsv', 'captions.jsonl')
PREFIXES = ('images/',)
HOW = ('put <image>.txt with one caption a line beside each image or below captions/, or '
       'captions.csv with the columns file and caption')


def read_folder(raw, settings):
    """`Raw` of a plain folder. Raises InputError for what it lacks."""
    base, tree = _read_tree(raw)
    items, others = _sort_out(raw, base, tree)
    if not any(item.name[-1] != '/' for item in items):
        raise InputError('{}: holds no images ({}){}'.format(
            os.path.join(raw, base).rstrip('/'), ', '.join(EXTENSIONS),
            ''.join(f'; {item.path}: {item.problem}' for item in items[:1])))
    remarks = []
    if others:
        remarks.append(f'left out below {base or raw}, not images: {some(others)}')
    if tree.again:
        remarks.append(f'links that are not followed, to folders that are read in another place: '
                       f'{some([_shown(path) for path in tree.again])}')
    items, folder_splits, more = sort_by_folders(items, base)
    remarks += more
    table_file = _table_file(raw, settings.captions_file)
    if table_file:
        items, lists, more = _with_table(items, raw, base, table_file)
    else:
        items, more = _with_caption_files(items, raw, base, tree)
        lists = None
    if folder_splits is None and all(item.class_name == item.name for item in items):
        remarks.append('no classes, neither folders nor named by a table: each image is a class of '
                       'its own, and no scorer can be trained on them')
    classes = sorted({item.class_name for item in items})
    return Raw(items, classes, lists, [], remarks + more, folder_splits)


def _read_tree(raw):
    """(what lies before the names of images: 'images/' or '', Tree of what lies below that)."""
    images = _named(raw, 'images')
    if images:
        return images + '/', walk(os.path.join(raw, images))
    splits = [path for path in subfolders(raw) if role_of(os.path.basename(path))]
    if 'train' not in [role_of(os.path.basename(path)) for path in splits]:
        require(os.path.join(raw, 'images'), 'the images of layout folder belong there')
    trees = [(os.path.basename(path) + '/', walk(path)) for path in splits]
    return '', Tree([top + file for top, tree in trees for file in tree.files],
                    [fault._replace(path=top + fault.path) for top, tree in trees
                     for fault in tree.faults],
                    [top + path for top, tree in trees for path in tree.again])


def _named(raw, name):
    """The entry of the raw folder that has a name in whatever capitals, or None."""
    try:
        found = sorted(each for each in os.listdir(raw) if each.lower() == name)
    except OSError as error:
        raise InputError(f'{raw} cannot be read ({error.strerror})')
    return name if name in found else (found or [None])[0]


def _sort_out(raw, base, tree):
    """(Items of what are or claim to be images and of folders that cannot be read, other files).
    """
    items, others = [], []
    for file in tree.files:
        if file.lower().endswith('.txt'):
            continue
        if is_image(os.path.join(raw, base, file)):
            items.append(_item(raw, base, file))
        else:
            others.append(_shown(file))
    for fault in tree.faults:
        extension = os.path.splitext(fault.path)[1].lower()
        if fault.is_folder:
            name = _shown(fault.path) + '/'
            items.append(Item(name, base + name[:-1], name.split('/')[0], None, []).with_problem(
                'the folder ' + fault.reason))
        elif extension in EXTENSIONS + OTHER_EXTENSIONS:
            items.append(_item(raw, base, fault.path, 'it ' + fault.reason))
        elif extension != '.txt':
            others.append(f'{_shown(fault.path)} ({fault.reason})')
    return sorted(items, key=lambda item: item.name), others


def _item(raw, base, file, problem=None):
    name = _shown(file)
    item = Item(name, base + name, name.split('/')[0], None, []).with_problem(problem)
    if name != file:
        return item.with_problem('its name is not UTF-8; rename it')
    return item if problem else item.with_problem(unreadable(os.path.join(raw, base, file)))


def _shown(path):
    return path if is_plain_name(path) else os.fsencode(path).decode('utf-8', 'replace')


def _table_file(raw, wanted):
    """Path of the table of captions, or None where captions are text files."""
    if wanted:
        return os.path.join(raw, wanted)
    there = sorted(name for name in os.listdir(raw) if name.lower() in TABLES)
    if len(there) > 1:
        raise InputError('{}: holds {}; remove one or name one with data.captions_file'.format(raw, ' and '.join(there)))
    return os.path.join(raw, there[0]) if there else None


def _with_table(items, raw, base, path):
    """(items, lists or None, remarks) after reading a table of captions."""
    table = read_table(path)
    short = os.path.relpath(path, raw)
    entries = dict(table.entries)
    found, lists = [], {'train': [], 'test': []}
    for item in items:
        key = key_of(item.name)
        entry = entries.pop(key, None) or entries.pop((base or 'images/') + key, None)
        if entry is None or not entry.captions:
            found.append(item.with_problem(f'it has no captions: {short} holds none for it'))
            continue
        found.append(item._replace(captions=entry.captions,
                                   class_name=entry.class_name or item.class_name))
        if entry.split:
            lists[entry.split].append(item.name)
    for file, entry in entries.items():
        missing = Item(file, base + file, entry.class_name or file.split('/')[0], None, [])
        found.append(missing.with_problem('{} names it, but it is not below {}'.format(short, base or 'the raw folder')))
        if entry.split:
            lists[entry.split].append(file)
    notes = Notes()
    notes.odd = [] if table.is_utf8 else [short]
    notes.silent = [(short, caption) for caption in table.silent]
    return found, lists if table.has_splits else None, notes.remarks()


def _with_caption_files(items, raw, base, tree):
    """(items, remarks) after reading the text file of each image."""
    texts = _texts(base, tree)
    place = _named(raw, 'captions')
    if place:
        for stem, files in _texts(place + '/', walk(os.path.join(raw, place))).items():
            texts.setdefault(base + stem[len(place) + 1:], files)
    sharing, notes, found = {}, Notes(), []
    for item in items:
        sharing.setdefault(os.path.splitext(item.path)[0], []).append(item.name)
    for item in items:
        stem = os.path.splitext(item.path)[0]
        others = [name for name in sharing[stem] if name != item.name]
        files = texts.get(stem) or [f'{place}/{stem[len(base):]}.txt' if place
                                    else stem + '.txt']
        if others:
            item = item.with_problem('its name is that of {} but for the extension, so that the '
                                     'captions could be of either'.format(', '.join(others)))
        if len(files) > 1:
            item = item.with_problem('it has two files of captions: {}'.format(' and '.join(files)))
        found.append(with_captions(item, raw, files[0], notes))
    if not texts:
        raise InputError(f'{raw}: holds no captions; {HOW}')
    return found, notes.remarks()


def _texts(base: str, tree: Tree):
    """{path of a text file without its extension: files of that name}, faults included."""
    found: dict = {}
    for path in sorted(tree.files + [fault.path for fault in tree.faults]):
        stem, extension = os.path.splitext(path)
        if extension.lower() == '.txt':
            found.setdefault(base + stem, []).append(base + path)
    return found
