"""The images below a folder as items: for layouts in which an image is wherever its file is."""

import os
from typing import List, Optional, Sequence, Tuple

from stackgan.data.image_kinds import EXTENSIONS, OTHER_EXTENSIONS, is_image, unreadable
from stackgan.data.layouts.common import Item, is_plain_name
from stackgan.data.walking import Tree


def sort_images(
        raw: str,                # raw folder
        base: str,               # prefix of the names of images, e.g. 'images/' or ''
        tree: Tree,              # below raw + base
        texts: Sequence[str] = ('.txt',),    # extensions of the layout's own texts: not `others`
) -> Tuple[List[Item], List[str]]:
    """(items for images, by content or extension, and for unreadable folders; other files)."""
    items, others = [], []
    for file in tree.files:
        if file.lower().endswith(tuple(texts)):
            continue
        if is_image(os.path.join(raw, base, file)):
            items.append(_item(raw, base, file))
        else:
            others.append(shown_name(file))
    for fault in tree.faults:
        extension = os.path.splitext(fault.path)[1].lower()
        if fault.is_folder:
            name = shown_name(fault.path) + '/'
            items.append(Item(name, base + name[:-1], name.split('/')[0], None, []).with_problem(
                'the folder ' + fault.reason))
        elif extension in EXTENSIONS + OTHER_EXTENSIONS:
            items.append(_item(raw, base, fault.path, 'it ' + fault.reason))
        elif extension not in texts:
            others.append(f'{shown_name(fault.path)} ({fault.reason})')
    return sorted(items, key=lambda item: item.name), others


def _item(raw: str, base: str, file: str, problem: Optional[str] = None) -> Item:
    name = shown_name(file)
    item = Item(name, base + name, name.split('/')[0], None, []).with_problem(problem)
    if name != file:
        return item.with_problem('its name is not UTF-8; rename it')
    return item if problem else item.with_problem(unreadable(os.path.join(raw, base, file)))


def shown_name(path: str) -> str:
    """The path in UTF-8, with replacement characters for bytes that are not."""
    return path if is_plain_name(path) else os.fsencode(path).decode('utf-8', 'replace')
