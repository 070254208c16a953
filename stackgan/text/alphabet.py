"""Captions as character codes, as the char-CNN-RNN reads them (reedscot/cvpr2016, icml2016).

Like the published demo this works on the bytes of UTF-8: a character outside the alphabet keeps
its place and becomes code 0, an all-zero column, once for each of its bytes.

Differs from reedscot/icml2016: captions are lower-cased first, because there a capital letter is
an unknown character and lost; text that is in lower case already gives the same codes.
"""

from typing import List, Sequence

import numpy as np

ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:\'"/\\|_@#$%^&*~`+-=<>()[]{} '
MAX_LENGTH = 201           # characters read; what follows is cut off
NO_CHARACTER = 0


def encode_captions(captions: Sequence[str]) -> np.ndarray:
    """Codes of the characters of N captions: [N, 201] uint8, 1 to 70, or 0 where there is none."""
    table = _code_of_byte()
    codes = np.zeros((len(captions), MAX_LENGTH), np.uint8)
    for row, caption in zip(codes, captions):
        text = np.frombuffer(_bytes_of(caption)[:MAX_LENGTH], np.uint8)
        row[:len(text)] = table[text]
    return codes


def faults_of_captions(captions: Sequence[str]) -> List[str]:
    """One line for each thing that keeps the encoder from reading all of all captions."""
    long = sum(len(_bytes_of(caption)) > MAX_LENGTH for caption in captions)
    unreadable = [caption for caption, codes in zip(captions, encode_captions(captions))
                  if not has_word(codes)]
    faults = []
    if long:
        faults.append(f'{long} of {len(captions)} captions are longer than {MAX_LENGTH} '
                      'characters: the rest of them is not read')
    if unreadable:
        faults.append(f'{len(unreadable)} of {len(captions)} captions hold no Latin letter or '
                      f'digit, the first is {unreadable[0]!r}: the encoder cannot tell them apart')
    return faults


def has_word(
        codes: np.ndarray,     # [201] uint8, a row of `encode_captions`
) -> bool:
    """Whether a letter or a digit is among the characters."""
    return bool(np.any((codes > NO_CHARACTER) & (codes <= ALPHABET.index('-'))))


def _bytes_of(caption: str) -> bytes:
    return caption.lower().encode('utf-8', 'replace')


def _code_of_byte() -> np.ndarray:
    """[256] uint8. The alphabet holds '-' twice; as in the published code the last one, 60, wins.
    """
    table = np.full(256, NO_CHARACTER, np.uint8)
    for code, character in enumerate(ALPHABET, 1):
        table[ord(character)] = code
    return table
