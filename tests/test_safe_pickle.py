"""Pickles are data here, never a program."""

import base64
import json
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from toy import ROOT

from stackgan.data import safe_pickle
from stackgan.data.safe_pickle import load_pickle
from stackgan.errors import InputError


class Attack:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _store(tmp_path, value, protocol=2):
    path = tmp_path / 'file.pickle'
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return str(path)


@pytest.mark.parametrize('protocol', range(5))
def test_what_datasets_hold_is_read(tmp_path, protocol):
    value = {'names': ['a/b', b'c', ('d', 1)], 'numbers': [1, 2.5, True, None, 10 ** 12],
             'bytes': b'', 'scalar': np.float32(0.5),
             'arrays': [np.arange(6, dtype='f4').reshape(2, 3), np.array([[1]], '>i8'),
                        np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(['x', 'yz']),
                        np.zeros((0, 3), 'f8'), np.array([True, False])]}
    found = load_pickle(_store(tmp_path, value, protocol))
    arrays, expected = found.pop('arrays'), value.pop('arrays')
    assert found == value
    for array, other in zip(arrays, expected):
        assert array.dtype == other.dtype
        np.testing.assert_array_equal(array, other)


def test_a_pickle_of_python_2_is_read(tmp_path):
    array = (b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS\'b\'\ntR'
             b'(I1\n(I1\nI2\ntcnumpy\ndtype\n(S\'f4\'\nI0\nI1\ntR(I3\nS\'<\'\nNNNI-1\nI-1\nI0\ntb'
             b'I00\nS\'\\x00\\x00\\x80?\\x00\\x00\\x00@\'\ntb.')
    np.testing.assert_array_equal(load_pickle(_store(tmp_path, array)), [[1, 2]])
    assert load_pickle(_store(tmp_path, b"(lp0\nS'caf\\xe9'\np1\na.")) == [u'caf\xe9']


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'python2_pickles.json')) as stream:
    PYTHON_2 = json.load(stream)['base64']


@pytest.mark.parametrize('writer', sorted(PYTHON_2))
@pytest.mark.parametrize('strings', ['latin1', 'bytes'])
def test_what_a_real_python_2_wrote(tmp_path, writer, strings):
    found = load_pickle(_store(tmp_path, base64.b64decode(PYTHON_2[writer])), strings)
    found = {key if strings == 'latin1' else key.decode(): value for key, value in found.items()}
    first = np.arange(6, dtype='f4').reshape(2, 3)
    arrays = found['embeddings'] + [found['one array'][1], found['ids']]
    for array, wanted in zip(arrays, [first, 2 * first.T, first, np.array([2, 3, 3])]):
        assert array.dtype == wanted.dtype
        np.testing.assert_array_equal(array, wanted)
    assert found['numbers'] == [2, 3, 5, 6]
    name = '002.Laysan_Albatross/Laysan_Albatross_0002_1027'
    assert found['names'] == [name if strings == 'latin1' else name.encode(), 'jpg/image_00001']


def python_2_pickle(arrays):
    """Protocol 2 of a list of float32 arrays, opcode by opcode as cPickle writes it."""
    parts = [b'\x80\x02]q\x01(']
    for number, array in enumerate(arrays):
        kind = b'h\x03' if number else (b'cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ'
                                        b'\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbq\x03')
        data = array.astype('<f4').tobytes()
        parts += [b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R',
                  b'(K\x01',
                  b''.join(b'J' + struct.pack('<i', size) for size in array.shape), b'\x86',
                  kind, b'\x89T', struct.pack('<i', len(data)), data,
                  b'r', struct.pack('<i', number + 4), b'tb']         # kept for a second mention
    return b''.join(parts) + b'e.'


MEMORY = f"""
import resource, sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))!r})
from stackgan.data.precomputed_embeddings import _load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
arrays = _load(sys.argv[1], 1000)
assert arrays[7][3, 5] == 7 and arrays[999].shape == (10, 1024)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_embeddings_of_python_2_take_their_own_size_in_memory(tmp_path):
    path = _store(tmp_path, python_2_pickle([np.full((10, 1024), number) for number in
                                             range(1000)]))
    assert os.path.getsize(path) > 40960000                             # bytes: 40000 KiB
    said = subprocess.run([sys.executable, '-c', MEMORY, path], stdout=subprocess.PIPE, check=True)
    assert int(said.stdout) < 55000                                     # KiB; with a copy: 80000


@pytest.mark.parametrize('protocol', range(5))
def test_a_call_of_the_system_is_refused_and_not_made(tmp_path, protocol):
    mark = tmp_path / 'was-here'
    path = _store(tmp_path, ['a', Attack(os.system, f'touch {mark}')], protocol)
    with pytest.raises(InputError, match=r'file\.pickle: refused .*posix\.system'):
        load_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize('value, words', [
    (Attack(eval, '1'), r'builtins?__\.eval|builtins\.eval'),
    (Attack(getattr, 'a', 'b'), r'getattr'),
    (Attack(np.load, 'x'), r'\.load'),
    (np.array([Attack(os.system, 'true')], object), r'posix\.system|type'),
    (np.array(['a', 1], object), r"array of type 'O8'"),
    (np.zeros(2, 'f4,i4'), r"array of type 'V8'"),
    ([{1, 2}], r'value of type set|set'),
])
def test_what_is_not_plain_data_is_refused(tmp_path, value, words):
    with pytest.raises(InputError, match=words):
        load_pickle(_store(tmp_path, value))


@pytest.mark.parametrize('program', [
    b'cnumpy\nndarray\n(I1000000000\ntR.',                        # ndarray called
    b'cnumpy\nndarray\n.',                                        # given as a value
    b'c_codecs\nencode\n}S\'x\'\nS\'y\'\nsb.',                    # a function changed
    b'c_codecs\nencode\n(V1\nVzlib\ntR.',
    b'cbuiltins\nbytes\n(I100000000000\ntR.',
    b'cnumpy\ndtype\n(S\'f4\'\nI0\nI1\ntR.',
    b'cnumpy\ndtype\n(S\'f4,O\'\nI0\nI1\ntR.',
    b'cnumpy.core.multiarray\n_reconstruct\n(tR.',                # an array that got no content
    b'Pposition\n.',
    b'cnumpy.core.multiarray\n_reconstruct.__globals__\n.',
    b'\x80\x04\x8c\x02os\x8c\x06system\x93.',
    (b'(l' * 100) + b'a' * 99 + b'.',
])
def test_crafted_programs_end_in_an_error(tmp_path, program):
    with pytest.raises(InputError):
        load_pickle(_store(tmp_path, program))


def test_an_array_must_have_the_bytes_of_its_shape(tmp_path):
    good = pickle.dumps(np.arange(4, dtype='u1'), 2)
    assert b'K\x04\x85' in good                                   # the shape, (4,)
    with pytest.raises(InputError, match='not a whole pickle'):
        load_pickle(_store(tmp_path, good.replace(b'K\x04\x85', b'K\xff\x85')))


def test_every_truncation_is_an_error(tmp_path):
    data = pickle.dumps([np.arange(4.0), 'text'], 2)
    for length in range(len(data) - 1):
        with pytest.raises(InputError, match='file.pickle'):
            load_pickle(_store(tmp_path, data[:length]))


def test_names_in_messages_are_short_and_printable(tmp_path):
    path = tmp_path / 'a.pickle'
    path.write_bytes(b'\x80\x04\x8c\x08os\x1b[31m\n\x8c\x06system\x93.')
    with pytest.raises(InputError) as error:
        load_pickle(str(path))
    assert r'os\x1b[31m\n.system' in str(error.value) and str(error.value).isprintable()


def test_a_note_of_a_large_number_takes_no_memory(tmp_path):
    """Where the reader in C makes room for 2 ** 31 notes, 32 GiB and more."""
    path = tmp_path / 'a.pickle'
    path.write_bytes(b'\x80\x02]r\xff\xff\xff\x7f.')
    assert load_pickle(str(path)) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match='none.pickle: cannot be read'):
        load_pickle(str(tmp_path / 'none.pickle'))


def test_values_that_refer_to_themselves_end(tmp_path):
    value = ['a']
    value.append(value)
    found = load_pickle(_store(tmp_path, value))
    assert found[0] == 'a' and found[1] is found
    bomb = [0] * 50
    for _ in range(10):
        bomb = [bomb] * 50
    assert len(load_pickle(_store(tmp_path, bomb))) == 50


# ---- what a few bytes can make: each case would take minutes to years, or all memory

def doubled(levels):
    """A program that leaves (x, x) of (y, y) of ... on the stack: 2 ** levels leaves."""
    return b'\x80\x02)' + b'2\x86' * levels


LONG_TEXT = b'\x80\x02X\x00\x00\x10\x00' + b'a' * (1 << 20) + b'q\x000'     # note 0: 1 MiB
ENCODE = b'c_codecs\nencode\nq\x010'                                        # note 1: a function
NUMBER = (b'cnumpy.core.multiarray\nscalar\nq\x010cnumpy\ndtype\nU\x02f4K\x00K\x01\x87Rq\x020')


@pytest.mark.parametrize('program, words', [
    (b'\x80\x02}' + doubled(60)[2:] + b'Ns.', 'a key of type tuple'),           # hashing
    (b'\x80\x02}(' + doubled(60)[2:] + b'Nu.', 'a key of type tuple'),
    (b'\x80\x02(' + doubled(60)[2:] + b'Nd.', 'a key of type tuple'),
    (b'\x80\x04\x8f(' + doubled(60)[2:] + b'\x90.', 'instruction'),             # a set
    (b'\x80\x04(' + doubled(60)[2:] + b'\x91.', 'instruction'),                 # a frozen set
    (b'cnumpy\ndtype\n' + doubled(60)[2:] + b'\x85R.', 'array of type tuple'),  # shown in a message
    (b'c_codecs\nencode\n(Vx\n' + doubled(60)[2:] + b'tR.', 'another encoding'),
    (b'}(N' + doubled(60)[2:] + b'u.', 'a key of type nonetype'),
    (b'}G' + struct.pack('>d', 1.5) + b'Ns.', 'a key of type float'),
    (b'I' + b'9' * 5000 + b'\n.', 'a number of 5001 letters'),                  # squares
    (b'L' + b'9' * 5000 + b'L\n.', 'a number of 5002 letters'),
    (b'F' + b'9' * 5000 + b'\n.', 'a number of 5001 letters'),
    (b']p' + b'9' * 5000 + b'\n.', 'a number of 5001 letters'),
    (b'g' + b'9' * 5000 + b'\n.', 'a number of 5001 letters'),
    (b'\x80\x02\x8b\xff\xff\xff\x7f', 'a whole number of 2147483647 bytes'),
    (b'\x80\x02\x8a\xff' + b'\1' * 255 + b'.', 'a whole number of 255 bytes'),
    (b'\x80\x02}\x8a\x08' + struct.pack('<q', 2 ** 61 - 1) + b'Ns.', 'more than 60 bits'),
    (LONG_TEXT + ENCODE + b'(' + b'h\x01h\x00\x85R' * 2000 + b't.', 'more bytes than the file has'),
    (LONG_TEXT + NUMBER + b'(' + b'h\x01h\x02h\x00\x86R' * 2000 + b't.', 'a number without'),
    (b'\x80\x04\x96' + struct.pack('<Q', 1 << 36), 'instruction'),              # 64 GiB of zeros
    (b'\x80\x04B' + b'\xff\xff\xff\x7f', 'not a whole pickle'),
    (b'\x80\x04\x8e' + struct.pack('<Q', 1 << 60), 'not a whole pickle'),
    (b'\x80\x04\x95' + struct.pack('<Q', 1 << 60), 'not a whole pickle'),
    (b'\x80\x02]' + b'}sNs' + b'.', 'file.pickle'),
    (b'\x80\x02]NNs.', 'keys of a value that is not a dict'),
    (b'\x80\x02]Nb.', 'a change to a value'),
    (b'\x80\x02K\x01Nb.', 'a change to a value'),
    (b'(i__builtin__\nint\n.', 'instruction'), (b'\x80\x02c__builtin__\nint\n)\x81.', 'int'),
    (b'\x80\x02\x82\x01.', 'instruction'),
], ids=lambda value: value if isinstance(value, str) else str(len(value)))
def test_a_small_file_takes_little_time_and_memory(tmp_path, program, words):
    code = ('import resource, sys\nsys.path.insert(0, sys.argv[2])\n'
            'from stackgan.data.safe_pickle import load_pickle\n'
            'from stackgan.errors import InputError\n'
            'size = int(open("/proc/self/statm").read().split()[0]) * 4096 + (300 << 20)\n'
            'resource.setrlimit(resource.RLIMIT_AS, (size, size))\n'
            'resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n'
            'try:\n    load_pickle(sys.argv[1])\nexcept InputError as error:\n    print(error)\n')
    path = _store(tmp_path, program)
    done = subprocess.run([sys.executable, '-c', code, path, ROOT], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1'))
    assert done.returncode == 0, done.stderr
    assert words in done.stdout and done.stdout.count('\n') == 1 and len(done.stdout) < 500


def test_instructions_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, 'MAX_STEPS', 100)
    assert load_pickle(_store(tmp_path, b'\x80\x02](' + b'N' * 90 + b'e.')) == [None] * 90
    with pytest.raises(InputError, match='more than 100 instructions'):
        load_pickle(_store(tmp_path, b'\x80\x02](' + b'N' * 100 + b'e.'))


def test_keys_of_dicts_and_shared_values_are_read(tmp_path):
    shared = np.arange(3.0)
    value = {'a': shared, b'b': [shared] * 3, 3: (shared, 'x'), -1: {'c': {}}, True: 10 ** 40}
    for protocol in range(5):
        found = load_pickle(_store(tmp_path, value, protocol))
        assert list(found) == list(value) and found[True] == 10 ** 40
        np.testing.assert_array_equal(found[3][0], shared)


def test_a_fifo_and_a_huge_file_are_refused(tmp_path):
    os.mkfifo(str(tmp_path / 'pipe'))
    with pytest.raises(InputError, match='pipe: cannot be read .not a regular file'):
        load_pickle(str(tmp_path / 'pipe'))
    path = _store(tmp_path, b'N.')
    os.truncate(path, safe_pickle.MAX_BYTES + 1)
    with pytest.raises(InputError, match='refused to open this pickle'):
        load_pickle(path)
