"""Names of the variables in checkpoints of the Ascend port (ModelZoo stackgan_ID0760).

A convolution of ours and its batch norm share a scope; the port has a scope for each.
"""

SCOPES = {        # our layer -> (the port's layer, its batch norm or None)
    'stage1/generator/condition': ('g_net/gen_cond/fc', None),
    'stage1/generator/project': ('g_net/g_n1.0/fc', 'batch_norm'),
    'stage1/generator/block1/conv1': ('g_net/g_n1.1/conv2d', 'batch_norm_1'),
    'stage1/generator/block1/conv2': ('g_net/g_n1.1/conv2d2', 'batch_norm_2'),
    'stage1/generator/block1/conv3': ('g_net/g_n1.1/conv2d3', 'batch_norm_3'),
    'stage1/generator/up1': ('g_net/g_n2.0/conv2d', 'batch_norm'),
    'stage1/generator/block2/conv1': ('g_net/g_n2.1/conv2d', 'batch_norm'),
    'stage1/generator/block2/conv2': ('g_net/g_n2.1/conv2d2', 'batch_norm2'),
    'stage1/generator/block2/conv3': ('g_net/g_n2.1/conv2d3', 'batch_norm3'),
    'stage1/generator/up2': ('g_net/g_OT/conv2d', 'batch_norm'),
    'stage1/generator/up3': ('g_net/g_OT/conv2d2', 'batch_norm2'),
    'stage1/generator/image': ('g_net/g_OT/conv2d3', None),
    'stage1/discriminator/down1': ('d_net/d_n1.0/conv2d', None),
    'stage1/discriminator/down2': ('d_net/d_n1.0/conv2d2', 'batch_norm'),
    'stage1/discriminator/down3': ('d_net/d_n1.0/conv2d3', 'batch_norm2'),
    'stage1/discriminator/down4': ('d_net/d_n1.0/conv2d4', 'batch_norm3'),
    'stage1/discriminator/block/conv1': ('d_net/d_n1.1/conv2d', 'batch_norm'),
    'stage1/discriminator/block/conv2': ('d_net/d_n1.1/conv2d2', 'batch_norm2'),
    'stage1/discriminator/block/conv3': ('d_net/d_n1.1/conv2d3', 'batch_norm3'),
    'stage1/discriminator/text': ('d_net/d_embedd/fc', None),
    'stage1/discriminator/match': ('d_net/d_template/conv2d', 'batch_norm'),
    'stage1/discriminator/logit': ('d_net/d_template/conv2d2', None),
    'stage2/generator/condition': ('hr_g_net/gen_cond/fc', None),
    'stage2/generator/encode1': ('hr_g_net/hr_g_OT/conv2d', None),
    'stage2/generator/encode2': ('hr_g_net/hr_g_OT/conv2d2', 'batch_norm'),
    'stage2/generator/encode3': ('hr_g_net/hr_g_OT/conv2d3', 'batch_norm2'),
    'stage2/generator/join': ('hr_g_net/hr_g_joint_OT/conv2d', 'batch_norm'),
    'stage2/generator/block1/conv1': ('hr_g_net/node1_resid_block/conv2d', 'batch_norm'),
    'stage2/generator/block1/conv2': ('hr_g_net/node1_resid_block/conv2d2', 'batch_norm2'),
    'stage2/generator/block2/conv1': ('hr_g_net/node2_resid_block/conv2d', 'batch_norm'),
    'stage2/generator/block2/conv2': ('hr_g_net/node2_resid_block/conv2d2', 'batch_norm2'),
    'stage2/generator/block3/conv1': ('hr_g_net/node3_resid_block/conv2d', 'batch_norm'),
    'stage2/generator/block3/conv2': ('hr_g_net/node3_resid_block/conv2d2', 'batch_norm2'),
    'stage2/generator/block4/conv1': ('hr_g_net/node4_resid_block/conv2d', 'batch_norm'),
    'stage2/generator/block4/conv2': ('hr_g_net/node4_resid_block/conv2d2', 'batch_norm2'),
    'stage2/generator/up1': ('hr_g_net/hr_gen/conv2d', 'batch_norm'),
    'stage2/generator/up2': ('hr_g_net/hr_gen/conv2d2', 'batch_norm2'),
    'stage2/generator/up3': ('hr_g_net/hr_gen/conv2d3', 'batch_norm3'),
    'stage2/generator/up4': ('hr_g_net/hr_gen/conv2d4', 'batch_norm4'),
    'stage2/generator/image': ('hr_g_net/hr_gen/conv2d5', None),
    'stage2/discriminator/down1': ('hr_d_net/hr_d_encode_n1.0/conv2d1', None),
    'stage2/discriminator/down2': ('hr_d_net/hr_d_encode_n1.0/conv2d2', 'batch_norm'),
    'stage2/discriminator/down3': ('hr_d_net/hr_d_encode_n1.0/conv2d3', 'batch_norm2'),
    'stage2/discriminator/down4': ('hr_d_net/hr_d_encode_n1.0/conv2d4', 'batch_norm3'),
    'stage2/discriminator/down5': ('hr_d_net/hr_d_encode_n1.0/conv2d5', 'batch_norm4'),
    'stage2/discriminator/down6': ('hr_d_net/hr_d_encode_n1.0/conv2d6', 'batch_norm5'),
    'stage2/discriminator/reduce1': ('hr_d_net/hr_d_encode_n1.0/conv2d7', 'batch_norm6'),
    'stage2/discriminator/reduce2': ('hr_d_net/hr_d_encode_n1.0/conv2d8', 'batch_norm7'),
    'stage2/discriminator/block/conv1': ('hr_d_net/hr_d_encode_n1.1/conv2d', 'batch_norm'),
    'stage2/discriminator/block/conv2': ('hr_d_net/hr_d_encode_n1.1/conv2d2', 'batch_norm2'),
    'stage2/discriminator/block/conv3': ('hr_d_net/hr_d_encode_n1.1/conv2d3', 'batch_norm3'),
    'stage2/discriminator/text': ('hr_d_net/d_embedd/fc', None),
    'stage2/discriminator/match': ('hr_d_net/d_template/conv2d', 'batch_norm'),
    'stage2/discriminator/logit': ('hr_d_net/d_template/conv2d2', None),
}


def port_name(
        name: str,        # of one of our network variables
) -> str:
    """The name of the same variable in a checkpoint of the port. KeyError for any other name."""
    layer, _, leaf = name.rpartition('/')
    theirs, norm = SCOPES[layer]
    if leaf in ('weights', 'biases'):
        return f'{theirs}/{leaf}'
    return '{}/{}/{}'.format(theirs.rpartition('/')[0], norm, leaf)
