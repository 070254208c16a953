"""As in the adapter: from r1.9.0 on, importing this replaces tf.Session.__init__.

By the last lines of npu_init.py of Ascend/tensorflow r1.9.0 and hicann/tensorflow 82957b9.
"""

import os

import tensorflow.compat.v1 as tf

if os.environ.get('FAKE_NPU_RELEASE') != '20.2':
    def refuse(self, *arguments, **options):
        raise AssertionError('a session was made after npu_init had replaced tf.Session.__init__')

    tf.Session.__init__ = refuse
