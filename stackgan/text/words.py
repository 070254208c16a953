"""Captions to sentences and words, as the skip-thought encoder reads them.

Words are those of the Penn Treebank's tokenizer (the sed script of Robert MacIntyre), which
ryankiros/skip-thoughts calls through nltk; a test compares the two. Upper and lower case stay.

Differs from ryankiros/skip-thoughts: sentences are found by the rule in `sentences`, because the
Punkt model that finds them there is a file of its own to download. A caption of one sentence gives
the same words; where one holds several, the rule misses Punkt's less common abbreviations.
"""

import re
from typing import List

# Words whose period ends no sentence; `sentences` adds single letters.
ABBREVIATIONS = frozenset('approx ca cf cm dr e.g ed eds esp etc fig ft i.e in inc jr lb ltd mm mr '
                          'mrs ms mt no oz prof sp spp sr st vol vs'.split()) - {'in', 'no'}
SENTENCE_END = re.compile(r'(\S*?)([.?!])(["\')\]}]*)\s+(?=(\S))')

# Applied one after the other, to one sentence. What is replaced gets spaces around it.
RULES = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r'^"', '`` '),                                  # opening quotes
    (r'``', ' `` '),
    (r"(?<=[ (\[{<])(?:\"|'')", ' `` '),
    (r'([:,])(\D)', r' \1 \2'),                      # not within a number
    (r'[:,]$', r' \g<0> '),
    (r'\.\.\.', ' ... '),
    (r'[;@#$%&]', r' \g<0> '),
    (r'(?<=[^.])(\.)([\])}>"\']*)\s*$', r' \1\2 '),  # the period of the sentence
    (r'[?!]', r' \g<0> '),
    (r"(?<=[^'])' ", " ' "),
    (r'[\][(){}<>]', r' \g<0> '),
    (r'--', ' -- '),
    (r'^|$', ' '),
    (r"''|\"", " '' "),                              # closing quotes
    (r"(?<=[^' ])('[sSmMdD]?) ", r' \1 '),           # it's, I'm, he'd, birds'
    (r"(?<=[^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r' \1 '),
    (r'(?i)\b(can)(not)\b', r' \1 \2 '),
    (r"(?i)\b(d)('ye)\b", r' \1 \2 '),
    (r'(?i)\b(gim|lem)(me)\b', r' \1 \2 '),
    (r'(?i)\b(gon)(na)\b', r' \1 \2 '),
    (r'(?i)\b(got)(ta)\b', r' \1 \2 '),
    (r"(?i)\b(more)('n)\b", r' \1 \2 '),
    (r'(?i)\b(wan)(na)(?=\s)', r' \1 \2 '),
    (r"(?i) ('t)(is)\b", r' \1 \2 '),
    (r"(?i) ('t)(was)\b", r' \1 \2 '),
)]


def words_of(caption: str) -> List[str]:
    """The words of a caption; none for a caption of spaces."""
    caption = ' '.join(caption.split())
    return [word for sentence in sentences(caption) for word in _words(sentence)]


def sentences(caption: str) -> List[str]:
    """Sentences: each ends with . ? or ! before a space, and closing quotes or brackets.

    A period ends none after an abbreviation or dots; nor, when a space follows it at once, after a
    single letter and before a letter, or after a number and before a small letter.
    """
    found, start = [], 0
    for match in SENTENCE_END.finditer(caption):
        before, mark, closing, after = match.groups()
        if mark != '.' or _ends(before.strip('"\'()[]{}'), '' if closing else after):
            found.append(caption[start:match.end()].strip())
            start = match.end()
    return [sentence for sentence in found + [caption[start:].strip()] if sentence]


def _ends(word: str, after: str) -> bool:
    """Whether a period after `word` ends a sentence; `after`: what follows, '' for a bracket."""
    word = word.lower()
    is_number = bool(re.match(r'[-+]?[\d.,]*\d$', word))
    is_initial = len(word) == 1 and word.isalpha()
    return not (word.rsplit('-', 1)[-1] in ABBREVIATIONS or word.endswith('.')
                or after.isalpha() and is_initial or after.islower() and is_number)


def _words(sentence: str) -> List[str]:
    for pattern, replacement in RULES:
        sentence = pattern.sub(replacement, sentence)
    return sentence.split()
