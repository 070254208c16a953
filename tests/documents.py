"""The documents, and the commands in them.

An indented block holds commands and nothing else, or, with `$ ` before its first line, what a
terminal shows: commands behind `$ `, and below each what it prints, a line of dots for what is left
out. What is no command (folders, files) stands in a fenced block, ```text.
"""

import os
import re
import shlex
from typing import NamedTuple, Tuple

from toy import ROOT

NAMES = ['README.md'] + ['docs/' + name for name in sorted(os.listdir(os.path.join(ROOT, 'docs')))
                         if name.endswith('.md')]
INDENT = '    '
PROMPT = '$ '
CODE_SPAN = re.compile(r'`([^`\n]+)`')
IN_THE_TEXT = re.compile(r'(python -m jobs|docker compose|scripts/[\w.-]+) \S')


class Command(NamedTuple):
    document: str
    line: int                      # the first is 1
    words: Tuple[str, ...]         # as a shell splits them, without comments
    printed: Tuple[str, ...]       # the lines below it in a terminal

    def __str__(self):
        return '%s:%d: %s' % (self.document, self.line, ' '.join(self.words))


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as stream:
        return stream.read()


def commands(name, text=None):
    """[Command] of a document, of its blocks and of its text, in their order."""
    found, block, fenced = [], [], False
    lines = (read(name) if text is None else text).splitlines()
    for number, line in enumerate(lines + [''], 1):
        if line.startswith('```'):
            fenced = not fenced
        elif fenced:
            continue
        elif line.startswith(INDENT) and (block or not lines[number - 2].strip()):
            block.append((number, line[len(INDENT):]))
        elif block and not line.strip() and lines[number:number + 1] and lines[number].startswith(
                INDENT):
            block.append((number, ''))                # an empty line inside a block
        else:
            found += _of_block(name, block)
            block = []
            found += [_command(name, number, span, ()) for span in CODE_SPAN.findall(line)
                      if IN_THE_TEXT.match(span) and '...' not in span]
    return [command for command in found if command.words]


def _of_block(name, block):
    """The commands of a block of (number, line)."""
    terminal = bool(block) and block[0][1].startswith(PROMPT)
    found, pending, start, printed = [], '', None, []
    for number, line in block:
        if pending:
            pending += line.strip()
        elif not terminal or line.startswith(PROMPT):
            printed = []
            pending, start = line[len(PROMPT) if terminal else 0:], number
        else:
            printed.append(line)
            continue
        if pending.endswith('\\'):
            pending = pending[:-1].rstrip() + ' '
        else:
            found.append((start, pending, printed))
            pending = ''
    return [_command(name, *each) for each in found]


def _command(name, number, text, printed):
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise AssertionError('%s:%d: %s: %s' % (name, number, text, error))
    return Command(name, number, tuple(words), tuple(printed))
