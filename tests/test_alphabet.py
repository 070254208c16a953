"""Character codes of the char-CNN-RNN, with the traps of the published alphabet."""

import numpy as np

from stackgan.text.alphabet import ALPHABET, MAX_LENGTH, encode_captions, faults_of_captions


def codes(text):
    row = encode_captions([text])[0]
    return row[:len(text.encode())].tolist()


def test_published_positions():
    assert len(ALPHABET) == 70
    assert codes('az09 ') == [1, 26, 27, 36, 70]
    assert codes('-') == [60]                    # it stands twice; the last one wins
    assert not (encode_captions(['-' * 50]) == 37).any()


def test_every_character_but_the_first_dash_has_its_place():
    for place, character in enumerate(ALPHABET, 1):
        if place != 37:
            assert codes(character) == [place], character


def test_capitals_are_lowered_and_unknown_bytes_are_no_character():
    assert codes('Red') == codes('red')
    assert codes('a\tb') == [1, 0, 2]
    assert codes('\u00e9a') == [0, 0, 1]         # two bytes in UTF-8, as the published demo reads


def test_length():
    rows = encode_captions(['a' * 500, '', 'ab'])
    assert rows.shape == (3, MAX_LENGTH) and rows.dtype == np.uint8
    assert (rows[0] == 1).all() and not rows[1].any() and not rows[2, 2:].any()


def test_captions_that_cannot_be_read_in_full_are_reported():
    faults = faults_of_captions(['a' * 202, 'a bird', '\u9e1f', '...'])
    assert len(faults) == 2
    assert '1 of 4 captions are longer than 201' in faults[0]
    assert '2 of 4 captions hold no Latin letter' in faults[1]
    assert faults_of_captions(['a bird']) == []
