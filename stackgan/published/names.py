"""Names of the variables in published checkpoints, derived from one table of layers.

PrettyTensor names a layer after its kind and counts the kinds within a network, in the order in
which `networks.ascend_port.SCOPES` lists the layers.
"""

from typing import Collection, Dict, Optional, Tuple

from stackgan.networks.ascend_port import SCOPES, port_name

ORIGINAL, PORT = 'original', 'port'
TITLES = {ORIGINAL: 'hanzhanggit/StackGAN', PORT: 'the Ascend port'}
NETWORKS = {'g_net': 'stage1/generator', 'd_net': 'stage1/discriminator',
            'hr_g_net': 'stage2/generator', 'hr_d_net': 'stage2/discriminator'}   # in both layouts
SIGNS = {ORIGINAL: '/custom_fully_connected/Linear/Matrix', PORT: '/gen_cond/fc/weights'}
LEAVES = {'gamma': 'gamma', 'beta': 'beta', 'moving_mean': 'mean',
          'moving_variance': 'variance'}


def original_scopes() -> Dict[str, Tuple[str, Optional[str], bool]]:
    """{our layer: (the original's layer, its batch norm or None, whether it is dense)}."""
    counts: Dict[Tuple[str, str], int] = {}
    scopes = {}

    def counted(network: str, kind: str) -> str:
        number = counts.get((network, kind), 0)
        counts[network, kind] = number + 1
        return f'{kind}_{number}' if number else kind

    for layer, (theirs, norm) in SCOPES.items():
        network, is_dense = theirs.split('/')[0], theirs.endswith('/fc')
        name = counted(network, 'custom_fully_connected' if is_dense else 'custom_conv2d')
        inner = 'Linear' if is_dense else name
        if norm:
            outer = 'fc_batch_norm' if is_dense else counted(network, 'conv_batch_norm')
            norm = f"{network}/{outer}/{'batch_norm' if is_dense else outer}"
        scopes[layer] = f'{network}/{name}/{inner}', norm, is_dense
    return scopes


ORIGINAL_SCOPES = original_scopes()


def original_name(
        name: str,  # of one of our network variables
) -> str:
    """The name of the same variable in a checkpoint of the original. KeyError for any other."""
    layer, _, leaf = name.rpartition('/')
    theirs, norm, is_dense = ORIGINAL_SCOPES[layer]
    if leaf == 'biases':
        return f'{theirs}/bias'
    if leaf == 'weights':
        return f"{theirs}/{'Matrix' if is_dense else 'w'}"
    return f'{norm}/{LEAVES[leaf]}'


NAMES = {ORIGINAL: original_name, PORT: port_name}


def layout_of(
        stored: Collection[str],  # names in a checkpoint
) -> Optional[str]:
    """The layout that has such names, or None."""
    for layout, sign in SIGNS.items():
        if 'g_net' + sign in stored:
            return layout
    return None


def kind_of(
        name: str,  # of a stored variable that is none of the networks'
) -> Optional[str]:
    """'optimiser', 'debiasing' or 'step': what training stores besides; None: unknown."""
    leaf = name.rpartition('/')[2]
    if leaf.startswith(('beta1_power', 'beta2_power')) or leaf in ('Adam', 'Adam_1', 'Adam_2',
                                                                   'Adam_3'):
        return 'optimiser'
    if leaf in ('biased', 'local_step'):
        return 'debiasing'
    return 'step' if name == 'global_step' else None
