"""Times the skip-thought encoder at full size, with random weights:

    OMP_NUM_THREADS=1 PYTHONPATH=.:tests python tests/time_skip_thought.py FOLDER

The first call puts files of 1.2 GB into FOLDER; the memory is that of a later one.
"""

import os
import resource
import sys
import time

import numpy as np
from skip_thought_toy import make

from stackgan.text.skip_thought import SkipThought, describe_skip_thought

WORDS, CAPTIONS = 200000, 1024


def main(folder):
    words = ['w%d' % number for number in range(WORDS - 1)] + ['UNK']
    if not os.path.exists(os.path.join(folder, 'bi_skip.npz.pkl')):
        make(folder, words, inputs=620, uni=2400, bi=1200)
    describe_skip_thought(folder, '.', folder, 4800)
    random = np.random.RandomState(0)
    captions = [' '.join(words[i] for i in random.randint(0, WORDS, random.randint(8, 23)))
                for _ in range(CAPTIONS)]
    with SkipThought(folder) as encoder:
        started = time.perf_counter()
        encoder.embed(captions)
        seconds = time.perf_counter() - started
    print('%.1f captions a second' % (CAPTIONS / seconds))


if __name__ == '__main__':
    main(sys.argv[1])
    print('peak memory: %d MiB' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10))
