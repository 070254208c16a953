"""Sessions on an Ascend 910 through the TensorFlow adapter of CANN 20.2, `npu_bridge`.

The adapter ignores options it does not know, aborts the process for values it does not like and
runs everything on the CPU where it finds no list of operations, so all of that is checked here.
Its engine is initialised once a process, by the first session: precision and run mode cannot
change after that, and training and inference are separate processes.
"""

import json
import os
from typing import Any, Dict, List, Optional, Tuple, Union

import tensorflow.compat.v1 as tf

from stackgan.errors import InputError, MissingRequirement, StackganError

ROOT = '/usr/local/Ascend'
OPERATIONS = ('framework', 'built-in', 'tensorflow', 'npu_supported_ops.json')   # below the OPP
TOGGLE_OFF = 2                   # RewriterConfig.OFF
NO_MEMORY_OPTIMIZATION = 1       # RewriterConfig.NO_MEM_OPT; ports write OFF, which is MANUAL there
ONE_CARD = {'RANK_SIZE': '1', 'JOB_ID': '10087', 'ASCEND_DEVICE_ID': '0'}
# The scale of ModelZoo's trainings: halved after two overflows, doubled after 1000 good steps.
FIRST_SCALE, GOOD_STEPS, OVERFLOWS, SHRINKS = 2.0 ** 32, 1000, 2, 0.5

_first_options: dict = {}              # of this process; what its later sessions must ask for too


def require() -> None:
    """Checks that this machine can train on an NPU and completes the environment for one card.

    Raises MissingRequirement for what is not there, InputError for what would abort the process.
    """
    driver = os.path.join(ROOT, 'driver')
    if not os.path.isdir(driver):
        raise MissingRequirement(f'platform.device: npu, but there is no Ascend driver at {driver};'
                                 ' in a container, mount it from the host')
    _require_operations()
    _require_adapter()
    _complete_environment()


def _require_operations() -> None:
    opp = os.environ.get('ASCEND_OPP_PATH') or os.path.join(ROOT, 'opp')
    path = os.path.join(opp, *OPERATIONS)
    try:
        with open(path, encoding='utf-8') as stream:
            known = json.load(stream)
        if not isinstance(known, dict) or not known:
            raise ValueError('it lists no operation')
    except (OSError, ValueError) as error:
        raise MissingRequirement(f'platform.device: npu, but {path} cannot be used ({error}); '
                                 'without it the adapter would run everything on the CPU. Set '
                                 'ASCEND_OPP_PATH to the OPP package')


def _require_adapter() -> None:
    try:
        from npu_bridge.helper import helper
        helper.npu_bridge_handle  # noqa: B018  # not set where _tf_adapter.so could not be loaded
    except AttributeError:
        raise MissingRequirement('platform.device: npu, but npu_bridge could not load its library '
                                 '_tf_adapter.so; add the driver and fwkacllib to LD_LIBRARY_PATH '
                                 '(the image does so in a shell that is not cleared)')
    except ImportError as error:
        raise MissingRequirement(f'platform.device: npu, but npu_bridge cannot be imported '
                                 f'({error}); use an Ascend TensorFlow 1.15 image, with tfplugin '
                                 'on PYTHONPATH')
    _adapter()


def _adapter() -> Any:
    """The names of npu_bridge. Imported late: only an NPU machine has what it imports."""
    try:
        from npu_bridge import npu_init
    except (ImportError, NameError, AttributeError) as error:
        raise MissingRequirement(f'platform.device: npu, but npu_bridge.npu_init fails ({error}); '
                                 'it needs the hccl package of fwkacllib on PYTHONPATH')
    return npu_init


def _complete_environment() -> None:
    """Sets what the adapter reads for one card. Raises InputError for what it would abort at."""
    device = os.environ.get('ASCEND_DEVICE_ID') or os.environ.get('DEVICE_ID') or '0'
    if not device.isdigit():
        raise InputError(f'ASCEND_DEVICE_ID is {device!r}; must be the number of a card, such as 0')
    if os.environ.get('RANK_SIZE', '1') != '1' or os.environ.get('RANK_TABLE_FILE'):
        raise InputError('RANK_SIZE or RANK_TABLE_FILE asks for several cards; a training takes '
                         'one: unset both')
    for name, value in ONE_CARD.items():
        if name != 'ASCEND_DEVICE_ID' or not os.environ.get('DEVICE_ID'):
            os.environ.setdefault(name, value)


def options(
        training: bool,     # whether gradients are computed
        float16: bool,      # whether what gains from it is computed in float16
) -> Dict[str, Union[bool, int, str]]:
    """The options of NpuOptimizer, each of which CANN 20.2 reads."""
    return {
        'use_off_line': True,             # the whole graph on the NPU
        'graph_run_mode': 1 if training else 0,
        # Convolutions exist in float16 only, so without mixed precision the rest stays as it is.
        'precision_mode': 'allow_mix_precision' if float16 else 'allow_fp32_to_fp16',
        'enable_data_pre_proc': False,    # batches are fed by the host,
        'iterations_per_loop': 1,         # so a call is a step
        'mix_compile_mode': False,        # an operation that is not supported shows, not slows
    }


def session_config(training: bool, float16: bool) -> tf.ConfigProto:
    """tf.ConfigProto of an NPU session; the parameters are those of `options`."""
    wanted = options(training, float16)
    if _first_options and _first_options != wanted:
        raise StackganError('an NPU session with other options was opened in this process before; '
                            'train and generate in separate processes')
    _first_options.update(wanted)
    config = tf.ConfigProto(allow_soft_placement=True, device_count={'GPU': 0})
    rewrite = config.graph_options.rewrite_options
    rewrite.remapping = TOGGLE_OFF
    rewrite.memory_optimization = NO_MEMORY_OPTIMIZATION
    adapter = rewrite.custom_optimizers.add()
    adapter.name = 'NpuOptimizer'
    for name, value in wanted.items():
        parameter = adapter.parameter_map[name]
        if isinstance(value, bool):
            parameter.b = value
        elif isinstance(value, int):
            parameter.i = value
        else:
            parameter.s = value.encode()
    return config


def with_loss_scale(
        optimizer: tf.train.Optimizer,
        loss_scale: Optional[float],    # a fixed one, at least 1; None: dynamic
) -> '_Scaled':
    """The optimiser with its loss scaled up and its gradients down; it skips steps that overflow.

    Every optimiser has a scale of its own. All share the overflow register of the card, which is
    cleared as it is read, so updates must follow one another, as those of a step do.
    The variables of the scale are local: they are of this card and in no checkpoint.
    """
    adapter = _adapter()
    everything = tf.get_collection_ref(tf.GraphKeys.GLOBAL_VARIABLES)
    before = len(everything)
    if loss_scale is None:
        manager = adapter.ExponentialUpdateLossScaleManager(
            init_loss_scale=FIRST_SCALE, incr_every_n_steps=GOOD_STEPS,
            decr_every_n_nan_or_inf=OVERFLOWS, decr_ratio=SHRINKS)
    else:
        manager = adapter.FixedLossScaleManager(loss_scale)
    for variable in everything[before:]:
        tf.add_to_collection(tf.GraphKeys.LOCAL_VARIABLES, variable)
    del everything[before:]
    return _Scaled(optimizer, adapter.NPULossScaleOptimizer(optimizer, manager))


class _Scaled:
    """The adapter's optimiser around another.

    It applies updates within tf.cond, where the other's variables would get names that no other
    machine gives them; so they are made before.
    """

    def __init__(self, inner: tf.train.Optimizer, outer: tf.train.Optimizer) -> None:
        self.inner, self.outer = inner, outer

    def compute_gradients(self, loss: tf.Tensor, variables: List[tf.Variable],
                          **options: Any) -> List[Tuple[tf.Tensor, tf.Variable]]:
        self.inner._create_slots(variables)
        return self.outer.compute_gradients(loss, variables, **options)

    def apply_gradients(self, gradients: List[Tuple[tf.Tensor, tf.Variable]]) -> tf.Operation:
        return self.outer.apply_gradients(gradients)
