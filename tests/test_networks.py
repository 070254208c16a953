"""The networks against the public checkpoints: names, sizes, outputs."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from published_toy import listed
from toy import tiny_config

from stackgan.losses import generator_loss, kl_to_unit_gaussian, matching_aware_discriminator_loss
from stackgan.networks import stage1, stage2
from stackgan.networks.ascend_port import port_name
from stackgan.networks.conditioning import augmented_condition
from stackgan.networks.layers import TESTING, ForwardMode, check_shape
from stackgan.networks.upsampling import upsample_and_convolve

PAPER = ['model.generator_filters=128', 'model.discriminator_filters=64',
         'model.condition_dim=128', 'model.noise_dim=100', 'model.embedding_dim=1024']
FIXTURE = ['model.generator_filters=16', 'model.discriminator_filters=8',
           'model.condition_dim=128', 'model.noise_dim=100', 'model.embedding_dim=1024']
PUBLISHED_SIZES = {stage1.GENERATOR: 14264192, stage1.DISCRIMINATOR: 4029824,
                   stage2.GENERATOR: 26290080, stage2.DISCRIMINATOR: 48603520}


def build_all(dims, batch=2):
    """All four networks in the current graph; returns the generated images."""
    embeddings = tf.zeros([batch, dims.embedding_dim])
    noise, z = tf.zeros([batch, dims.condition_dim]), tf.zeros([batch, dims.noise_dim])
    first = stage1.generator(embeddings, noise, z, dims, ForwardMode(True))
    second = stage2.generator(first, embeddings, noise, dims, ForwardMode(True))
    stage1.discriminator(first.images, embeddings, dims, ForwardMode(True))
    stage2.discriminator(second.images, embeddings, dims, ForwardMode(True))
    return first.images, second.images


def test_parameter_counts_are_the_published_ones():
    with tf.Graph().as_default():
        build_all(tiny_config(*PAPER).model)
        for scope, size in PUBLISHED_SIZES.items():
            variables = [v for v in tf.trainable_variables() if v.name.startswith(scope + '/')]
            assert sum(v.shape.num_elements() for v in variables) == size, scope


@pytest.mark.parametrize('file, scopes', [
    ('port_stage1.json', ('stage1/',)),
    ('port_stage2.json', ('stage1/', 'stage2/'))])
def test_variables_are_those_of_the_port(file, scopes):
    public = {v['name']: (v['shape'], v['trainable']) for v in listed(file)
              if 'Adam' not in v['name'] and '_power' not in v['name']}
    with tf.Graph().as_default():
        build_all(tiny_config(*PAPER).model)
        trainable = {v.op.name for v in tf.trainable_variables()}
        ours = {port_name(v.op.name): (v.shape.as_list(), v.op.name in trainable)
                for v in tf.global_variables() if v.op.name.startswith(scopes)}
    assert ours == public


def test_variable_names_are_the_checkpoint_format():
    with tf.Graph().as_default():
        build_all(tiny_config().model)
        names = sorted(v.op.name for v in tf.global_variables()
                       if v.op.name.startswith('stage1/generator'))
    assert names[:9] == [
        'stage1/generator/block1/conv1/beta', 'stage1/generator/block1/conv1/gamma',
        'stage1/generator/block1/conv1/moving_mean',
        'stage1/generator/block1/conv1/moving_variance',
        'stage1/generator/block1/conv1/weights', 'stage1/generator/block1/conv2/beta',
        'stage1/generator/block1/conv2/gamma', 'stage1/generator/block1/conv2/moving_mean',
        'stage1/generator/block1/conv2/moving_variance']
    assert len(names) == 2 + 6 + 9 * 5 + 1      # condition, project, nine with norm, image


class PortSession:
    """Our Stage-I networks with the weights of the port's checkpoint."""

    def __init__(self, reference, mode):
        folder = os.path.join(reference, 'port_stage1_checkpoint')
        self.io = np.load(os.path.join(folder, 'io.npz'))
        dims = tiny_config(*FIXTURE).model
        self.graph = tf.Graph()
        with self.graph.as_default():
            constants = {name: tf.constant(self.io[name]) for name in
                         ('images', 'wrong_images', 'embeddings', 'eps', 'z')}
            self.generated = stage1.generator(constants['embeddings'], constants['eps'],
                                              constants['z'], dims, mode)
            self.logits = [stage1.discriminator(images, constants['embeddings'], dims,
                                                ForwardMode(True))
                           for images in (constants['images'], constants['wrong_images'],
                                          self.generated.images)]
            self.session = tf.Session()
            tf.train.Saver({port_name(v.op.name): v for v in tf.global_variables()}).restore(
                self.session, os.path.join(folder, 'model_before.ckpt'))

    def run(self, tensors):
        return self.session.run(tensors)

    def published(self, prefix):
        keys = sorted(key for key in self.io.files if key.startswith(prefix))
        return [self.io[key] for key in keys]


def test_port_checkpoint_gives_its_training_outputs(reference):
    port = PortSession(reference, ForwardMode(True, ascend_port=True))
    images, mean, log_sigma = port.run([port.generated.images, port.generated.condition.mean,
                                        port.generated.condition.log_sigma])
    assert np.abs(images - port.published('tanh/g_net/')[0]).max() < 1e-4
    condition = port.published('cond/g_net/')[0]
    assert np.abs(np.concatenate([mean, log_sigma], 1) - condition).max() < 1e-4


def test_port_checkpoint_gives_its_test_outputs(reference):
    port = PortSession(reference, TESTING._replace(ascend_port=True))
    assert np.abs(port.run(port.generated.images)
                  - port.published('tanh/g_net_1/')[0]).max() < 1e-4


def test_port_outputs_differ_without_its_deviations(reference):
    port = PortSession(reference, TESTING)
    assert np.abs(port.run(port.generated.images)
                  - port.published('tanh/g_net_1/')[0]).max() > 1e-2


def test_port_checkpoint_gives_its_logits(reference):
    port = PortSession(reference, ForwardMode(True, ascend_port=True))
    for ours, suffix in zip(port.run(port.logits), ('', '_1', '_2')):
        theirs = port.io[f'logit/d_net/d_template/conv2d2{suffix}/Conv2D'].reshape(-1)
        assert np.abs(ours - theirs).max() < 1e-4, suffix


def test_port_checkpoint_gives_its_losses(reference):
    port = PortSession(reference, ForwardMode(True, ascend_port=True))
    with port.graph.as_default():
        loss = matching_aware_discriminator_loss(*port.logits)
        kl = kl_to_unit_gaussian(port.generated.condition.mean, port.generated.condition.log_sigma)
        ours = (port.run(loss._asdict()), 2.0 * port.run(kl),
                port.run(generator_loss(port.logits[2])))
    for name, value in (('d_loss', ours[0]['total']), ('d_loss_real', ours[0]['real']),
                        ('d_loss_wrong', ours[0]['wrong']), ('d_loss_fake', ours[0]['fake']),
                        ('g_loss_kl_loss', ours[1]), ('g_loss', ours[1] + ours[2])):
        assert abs(value - port.io['log/' + name]) < 1e-4, name


def test_grouped_batch_norm_equals_separate_batches():
    dims = tiny_config().model
    random = np.random.RandomState(0)
    images = random.uniform(-1, 1, (3, 4, 64, 64, 3)).astype(np.float32)
    embeddings = random.standard_normal((4, dims.embedding_dim)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        statistics, separate = [], []
        together = stage1.discriminator(
            tf.constant(images.reshape(12, 64, 64, 3)), tf.constant(np.tile(embeddings, [3, 1])),
            dims, ForwardMode(True, statistics, groups=3))
        alone = [stage1.discriminator(tf.constant(each), tf.constant(embeddings), dims,
                                      ForwardMode(True, separate)) for each in images]
        session.run(tf.global_variables_initializer())
        joint, single = session.run([together, alone])
        means = session.run([value for _, value in statistics])
        apart = session.run([value for _, value in separate])
    assert np.abs(joint - np.concatenate(single)).max() < 1e-5
    for i, mean in enumerate(means):
        assert np.allclose(mean, np.mean(apart[i::len(means)], axis=0), atol=1e-5)


def test_test_mode_does_not_mix_samples():
    dims = tiny_config().model
    with tf.Graph().as_default(), tf.Session() as session:
        z = tf.placeholder(tf.float32, [2, dims.noise_dim])
        first = stage1.generator(tf.ones([2, dims.embedding_dim]),
                                 tf.zeros([2, dims.condition_dim]), z, dims, TESTING)
        session.run(tf.global_variables_initializer())
        noise = np.ones((2, dims.noise_dim), np.float32)
        alone = session.run(first.images, {z: noise})[0]
        noise[1] = -5
        assert np.array_equal(session.run(first.images, {z: noise})[0], alone)


def test_shapes_and_range():
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = build_all(tiny_config().model)
        session.run(tf.global_variables_initializer())
        low, high = session.run(tensors)
    assert low.shape == (2, 64, 64, 3) and high.shape == (2, 256, 256, 3)
    assert np.abs(low).max() <= 1 and np.abs(high).max() <= 1


def test_wrong_shape_is_named():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match=r'images: shape \[2, 3\], expected \[None, 4\]'):
            check_shape(tf.zeros([2, 3]), [None, 4], 'images')


def test_the_caption_scales_and_shifts_the_features_of_stage1():
    """With weights of zero, the biases say what it does in each channel: as batch norm's own do."""
    dims = tiny_config('model.stage1_modulation=true').model
    random = np.random.RandomState(2)
    with tf.Graph().as_default(), tf.Session() as session:
        embeddings, noise, z = [tf.constant(random.standard_normal((3, width)), tf.float32)
                                for width in (dims.embedding_dim, dims.condition_dim,
                                              dims.noise_dim)]
        image = stage1.generator(embeddings, noise, z, dims, ForwardMode(True)).images
        plain = stage1.generator(embeddings, noise, z,
                                 dataclasses.replace(dims, stage1_modulation=False),
                                 ForwardMode(True)).images
        session.run(tf.global_variables_initializer())
        values = {v.op.name[len(stage1.GENERATOR) + 1:]: v for v in tf.global_variables()}
        assert np.abs(np.subtract(*session.run([image, plain]))).max() > 1e-4
        for layer in ('up1', 'up2', 'up3'):
            weights, biases = values[layer + '/text/weights'], values[layer + '/text/biases']
            assert weights.shape.as_list()[0] == dims.condition_dim
            weights.load(np.zeros(weights.shape.as_list()), session)
            gain, offset = 0.3 * random.standard_normal((2, biases.shape.as_list()[0] // 2))
            biases.load(np.concatenate([gain, offset]), session)
            found = session.run(image)
            gamma, beta = values[layer + '/gamma'], values[layer + '/beta']
            own = session.run([gamma, beta])
            gamma.load(own[0] * (1 + gain), session)
            beta.load(own[1] * (1 + gain) + offset, session)
            biases.load(np.zeros(2 * len(gain)), session)
            assert np.abs(session.run(image) - found).max() < 1e-5


@pytest.mark.parametrize('limit', [None, 0.75])
def test_sigma_of_the_conditioning_augmentation_may_be_limited(limit):
    dims = dataclasses.replace(tiny_config().model, condition_sigma_limit=limit)
    random = np.random.RandomState(5)
    embeddings = random.standard_normal((4, dims.embedding_dim)).astype(np.float32)
    noise = random.standard_normal((4, dims.condition_dim)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        found = augmented_condition(tf.constant(embeddings), tf.constant(noise), dims)
        weights, biases = tf.global_variables()
        session.run(tf.global_variables_initializer())
        weights.load(random.standard_normal(weights.shape.as_list()), session)
        value, mean, log_sigma = session.run(found)
        both = embeddings.dot(session.run(weights)) + session.run(biases)
    both = np.where(both > 0, both, 0.2 * both)
    sigma = np.exp(both[:, dims.condition_dim:])
    assert (sigma > 0.75).any() and (sigma < 0.75).any()
    sigma = sigma if limit is None else np.minimum(sigma, limit)
    assert np.allclose(np.exp(log_sigma), sigma, rtol=1e-4)
    assert np.allclose(mean, both[:, :dims.condition_dim], atol=1e-4)
    assert np.allclose(value, mean + sigma * noise, rtol=1e-3, atol=1e-4)


def test_a_discriminator_sees_the_maps_that_have_a_side_of_its_own():
    dims = tiny_config().model
    random = np.random.RandomState(4)
    with tf.Graph().as_default(), tf.Session() as session:
        images, embeddings, *maps = [tf.constant(random.standard_normal(shape), tf.float32)
                                     for shape in ([2, 64, 64, 3], [2, dims.embedding_dim],
                                                   [2, 16, 16, 3], [2, 8, 8, 5], [2, 4, 4, 7],
                                                   [2, 2, 2, 9])]
        logits = stage1.discriminator(images, embeddings, dims, ForwardMode(True), maps)
        slopes = tf.gradients(logits[0] - logits[1], maps)
        shapes = {v.op.name.split('/')[2]: v.shape.as_list() for v in tf.trainable_variables()
                  if v.op.name.endswith('/weights')}
        session.run(tf.global_variables_initializer())
        for slope in session.run(slopes[:3]):
            assert np.abs(slope).max(axis=(0, 1, 2)).min() > 0        # of every channel
    assert slopes[3] is None
    assert [shapes[name][2] for name in ('down2', 'down3', 'down4')] == [8, 16 + 3, 32 + 5]
    assert shapes['match'][2:] == [64 + 7 + dims.condition_dim, 64 + 7]


def test_a_sub_pixel_stage2_unfolds_each_position_into_a_square():
    dims = tiny_config('model.stage2_sub_pixel=true', 'model.stage2_skip_connections=true').model
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        build_all(dims)
        with tf.variable_scope(stage2.GENERATOR, reuse=True):
            weights = tf.get_variable('image/weights', use_resource=True)
        assert weights.shape.as_list() == [3, 3, 8, 48]
        folded = random.rand(2, 3, 5, 48).astype(np.float32)
        found = session.run(stage2.unfolded(tf.constant(folded)))
    want = np.zeros((2, 12, 20, 3), np.float32)
    for y, x in np.ndindex(12, 20):
        first = 3 * (4 * (y % 4) + x % 4)
        want[:, y, x] = folded[:, y // 4, x // 4, first:first + 3]
    assert np.array_equal(found, want)


# Upsampling and its convolution as one transposed convolution.

def upsampled_and_convolved(x, kernel):
    """By the definition, in NumPy: every pixel doubled, zeros around, nine products each."""
    large = np.pad(x.repeat(2, 1).repeat(2, 2), [(0, 0), (1, 1), (1, 1), (0, 0)], 'constant')
    height, width = 2 * x.shape[1], 2 * x.shape[2]
    return sum(np.einsum('nhwc,cf->nhwf', large[:, i:i + height, j:j + width], kernel[i, j])
               for i in range(3) for j in range(3))


def test_both_forms_of_upsampling_are_its_definition_and_have_the_same_gradients():
    random = np.random.RandomState(0)
    x, kernel = random.standard_normal((2, 8, 10, 5)), random.standard_normal((3, 3, 5, 7))
    weighting = random.standard_normal((2, 16, 20, 7)).astype(np.float32)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        inputs = [tf.constant(x, tf.float32), tf.constant(kernel, tf.float32)]
        forms = [upsample_and_convolve(*inputs, transposed) for transposed in (False, True)]
        kinds = [op.type for op in graph.get_operations()]
        gradients = [tf.gradients(form * weighting, inputs) for form in forms]
        values, (plain, transposed) = session.run([forms, gradients])
    assert kinds.count('Conv2D') == kinds.count('Conv2DBackpropInput') == 1
    for value in values:
        assert np.abs(value - upsampled_and_convolved(x, kernel)).max() < 1e-4
    for one, other in zip(plain, transposed):
        assert np.abs(one - other).max() < 1e-4 * np.abs(one).max()


def test_the_form_of_upsampling_changes_neither_initial_weights_nor_images():
    dims, found = tiny_config().model, []
    random = np.random.RandomState(0)
    inputs = [random.standard_normal((2, size)).astype(np.float32)
              for size in (dims.embedding_dim, dims.condition_dim, dims.noise_dim)]
    for transposed in (False, True):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(5)
            images = stage1.generator(*[tf.constant(each) for each in inputs], dims,
                                      ForwardMode(True, transposed=transposed)).images
            stage1.discriminator(images, tf.constant(inputs[0]), dims, ForwardMode(True))
            session.run(tf.global_variables_initializer())
            found.append(session.run([{v.op.name: v for v in tf.global_variables()}, images]))
    (weights, images), (others, others_images) = found
    assert all(np.array_equal(weights[name], others[name]) for name in weights)
    assert np.abs(images - others_images).max() < 1e-4 and np.abs(images).max() > 1e-2
