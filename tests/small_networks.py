"""Fakes of the four networks, with few operations, where a test asks how they are trained.

They have the interfaces and scopes of the real ones and their kinds of layers: dense and
convolutional ones, batch norm of two and four dimensions, upsampling.
"""

import tensorflow.compat.v1 as tf

from stackgan.networks import stage1, stage2
from stackgan.networks.conditioning import augmented_condition
from stackgan.networks.layers import batch_norm, conv, conv_norm, dense, leaky_relu, spread


def stage1_generator(embeddings, noise, z, dims, mode):
    with tf.variable_scope(stage1.GENERATOR, reuse=tf.AUTO_REUSE):
        condition = augmented_condition(embeddings, noise, dims)
        x = dense(tf.concat([condition.value, z], 1), 4 * 4 * 8, 'project')
        with tf.variable_scope('project'):
            x = tf.reshape(batch_norm(x, mode), [-1, 4, 4, 8])
        x = conv_norm(x, 8, 'up1', mode, tf.nn.relu, upsample=True)
        logits = tf.image.resize_nearest_neighbor(conv(x, 3, 'image'), [64, 64])
        return stage1.Generated(tf.tanh(logits), condition, logits)


def stage2_generator(low, embeddings, noise, dims, mode):
    with tf.variable_scope(stage2.GENERATOR, reuse=tf.AUTO_REUSE):
        condition = augmented_condition(embeddings, noise, dims)
        x = conv_norm(low.images, 8, 'encode2', mode, tf.nn.relu, 8, 8)
        x = tf.concat([x, spread(condition.value, 8)], 3)
        x = conv_norm(x, 8, 'join', mode, tf.nn.relu, 1)
        logits = tf.image.resize_nearest_neighbor(conv(x, 3, 'image'), [256, 256])
        logits += stage2.enlarge(tf.stop_gradient(low.logits))
        return stage1.Generated(tf.tanh(logits), condition, logits)


def stage1_discriminator(images, embeddings, dims, mode, maps=(), scope=stage1.DISCRIMINATOR):
    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        side = images.shape.as_list()[1] // 8
        x = tf.nn.avg_pool(images, [1, side, side, 1], [1, side, side, 1], 'VALID')
        x = conv_norm(x, 8, 'down1', mode, leaky_relu, 4, 2)
        x = tf.concat([tf.reshape(x, [-1, 4 * 4 * 8]), leaky_relu(dense(embeddings, 8, 'text'))]
                      + [tf.reduce_mean(each, [1, 2]) for each in maps], 1)
        x = dense(x, 8, 'match')
        with tf.variable_scope('match'):
            x = leaky_relu(batch_norm(x, mode))
        return tf.reshape(dense(x, 1, 'logit'), [-1])


def stage2_discriminator(images, embeddings, dims, mode):
    return stage1_discriminator(images, embeddings, dims, mode, scope=stage2.DISCRIMINATOR)


def use(set_attribute=setattr):
    """Puts them in the place of the real ones; `set_attribute`: of a pytest.MonkeyPatch."""
    for module, generator, discriminator in (
            (stage1, stage1_generator, stage1_discriminator),
            (stage2, stage2_generator, stage2_discriminator)):
        set_attribute(module, 'generator', generator)
        set_attribute(module, 'discriminator', discriminator)


def two_networks(scaled):
    """(placeholders of two factors, step): a discriminator, then a generator, one weight each.

    `scaled` wraps their optimizers.
    """
    factors, updates = [], []
    for name in ('discriminator', 'generator'):
        with tf.variable_scope('optimizer/' + name):
            factors.append(tf.placeholder(tf.float32, []))
            weight = tf.get_variable(name, [], use_resource=True,
                                     initializer=tf.ones_initializer())
            with tf.control_dependencies(updates):           # as in training.graph
                loss = weight.read_value() * factors[-1]
            optimizer = scaled(tf.train.AdamOptimizer(0.5))
            updates = [optimizer.apply_gradients(optimizer.compute_gradients(loss, [weight]))]
    return factors, updates[0]
