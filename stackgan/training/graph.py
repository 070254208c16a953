"""One training step as a graph: discriminators, then generators against them as updated.

Differs from hanzhanggit/StackGAN: the fake batch is made once a step and serves both updates,
because a second one costs a generator's forward pass and gives another generate of the same thing.
"""

import collections
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from stackgan.checkpoints import EMA
from stackgan.losses import (
    generator_loss,
    gradient_penalty,
    kl_to_unit_gaussian,
    matching_aware_discriminator_loss,
)
from stackgan.networks import stage1, stage2
from stackgan.networks.layers import BATCH_NORM_DECAY, ForwardMode
from stackgan.platforms.workers import Workers
from stackgan.training.augmentation import Augmentation, adapted, augmentation_of, augmented
from stackgan.training.gan_pairs import training_mode
from stackgan.training.random_numbers import RandomNumbers
from stackgan.training.steps_done import count_step, steps_done
from stackgan.types import Batch, GanPair, TrainingGraph

DISCRIMINATORS, GENERATORS = 1, 2      # whose gradients are summed apart from the others'
NETWORKS = {stage1.GENERATOR, stage1.DISCRIMINATOR, stage2.GENERATOR, stage2.DISCRIMINATOR}


def build_step(
        pairs: List[GanPair],
        batch: Batch,     # of placeholders
        train: Any,       # the `train` section of the configuration
        wrap: Callable[[Any], Any] = lambda optimizer: optimizer,     # of the platform
        workers: Optional[Workers] = None,     # that make the step together
        numbers: Optional[RandomNumbers] = None,     # of the platform; None: drawn in the graph
) -> TrainingGraph:
    """`TrainingGraph` of one alternating update of all adversaries."""
    rates = [tf.placeholder(tf.float32, [], name + '_learning_rate')
             for name in ('generator', 'discriminator')]
    decay = tf.placeholder(tf.float32, [], 'ema_decay')
    losses: Dict[str, tf.Tensor] = {}
    discriminator_updates = []
    numbers = numbers or RandomNumbers()
    augmentations = [augmentation_of(train, each.name, numbers) for each in pairs]
    for each, augmentation in zip(pairs, augmentations):
        update, parts = _discriminator_update(each, augmentation, rates[1], train, wrap, workers)
        discriminator_updates.append(update)
        losses.update(parts)
    with tf.control_dependencies(discriminator_updates):
        generator_losses = [_generator_loss(each, augmentation, train, losses, workers)
                            for each, augmentation in zip(pairs, augmentations)]
    updates = [_update(sum(generator_losses), each.generator_scope, each.statistics,
                       rates[0] * each.learning_rate_ratio, train, wrap, workers, GENERATORS)
               for each in pairs]
    step = tf.group(*updates)
    if workers is not None:
        losses = workers.averaged(losses)
    averages: Dict[str, Tuple[Any, Any]] = {}
    if train.ema_decay is not None:
        averages = _ema_of_generators([each.generator_scope for each in pairs])
        with tf.control_dependencies([step]):
            step = tf.group(*[
                average.assign_sub((1.0 - decay) * (average - variable.read_value()))
                for variable, average in averages.values()])
    with tf.control_dependencies([step]):
        step = tf.group(step, count_step())
    check_ownership(pairs)
    start = tf.group(*[average.assign(variable) for variable, average in averages.values()])
    return TrainingGraph(batch, rates[0], rates[1], decay, step, losses, start,
                         _getter(averages), numbers.feed)


def scope_variables(scope: str, trainable_only: bool = True) -> List[Any]:
    """The variables of a network, by its scope and a separator."""
    collection = (tf.GraphKeys.TRAINABLE_VARIABLES if trainable_only
                  else tf.GraphKeys.GLOBAL_VARIABLES)
    return [v for v in tf.get_collection(collection) if v.op.name.startswith(scope + '/')]


def _discriminator_update(pair: GanPair, augmentation: Optional[Augmentation],
                          learning_rate: tf.Tensor, train: Any,
                          wrap: Callable[[Any], Any], workers: Optional[Workers],
                          ) -> Tuple[tf.Operation, Dict[str, tf.Tensor]]:
    """(operation, losses) that train a discriminator on real, wrong and fake images."""
    names = ('discriminator', 'discriminator_real', 'discriminator_wrong', 'discriminator_fake')
    if not pair.adversarial_weight:
        return tf.no_op(), {f'{pair.name}/{name}': tf.constant(0.0) for name in names}
    statistics: List[tuple] = []
    images = augmented(tf.concat([pair.real, pair.wrong, tf.stop_gradient(pair.fake)], 0),
                       augmentation, 0, workers, groups=3)
    mode = _mode(pair, workers, statistics)._replace(groups=3)
    real, wrong, fake = tf.split(pair.discriminate(images, tf.tile(pair.embeddings, [3, 1]),
                                                   mode), 3)
    loss = matching_aware_discriminator_loss(real, wrong, fake, train.loss)
    losses = {f'{pair.name}/{name}': value for name, value in zip(names, loss)}
    total = loss.total
    if train.gradient_penalty != 'off':
        penalty = _penalty(pair, tf.split(images, 3)[0], train, workers)
        losses[f'{pair.name}/gradient_penalty'] = penalty
        total += penalty
    update = _update(total, pair.discriminator_scope, statistics,
                     learning_rate * pair.learning_rate_ratio, train, wrap, workers,
                     DISCRIMINATORS)
    if augmentation is not None:
        update = tf.group(update, adapted(augmentation, real, train, workers))
    return update, losses


def _mode(pair: GanPair, workers: Optional[Workers],
          statistics: Optional[List[tuple]] = None) -> ForwardMode:
    """Of a pass through the discriminator."""
    return training_mode(workers, statistics)._replace(compute_dtype=pair.compute_dtype)


def _penalty(pair: GanPair, real: tf.Tensor, train: Any,
             workers: Optional[Workers]) -> tf.Tensor:
    """The weighted gradient penalty; 0 in the steps that leave it out.

    Its pass is in float32: in float16, gradients of images underflow.
    """
    every = train.gradient_penalty_every_steps

    def due() -> tf.Tensor:
        images, embeddings = tf.identity(real), tf.identity(pair.embeddings)
        logits = pair.discriminate(images, embeddings, training_mode(workers))
        return every * train.gradient_penalty_weight * gradient_penalty(
            logits, images, embeddings, train.gradient_penalty)

    if every == 1:
        return due()
    return tf.cond(tf.equal(steps_done() % every, 0), due, lambda: tf.constant(0.0))


def _generator_loss(pair: GanPair, augmentation: Optional[Augmentation], train: Any,
                    losses: Dict[str, tf.Tensor], workers: Optional[Workers]) -> tf.Tensor:
    """Adversarial and conditioning loss of a generator; adds its parts to `losses`."""
    fake = tf.constant(0.0)
    if pair.adversarial_weight:
        images = augmented(pair.fake, augmentation, 1, workers)
        fake = generator_loss(pair.discriminate(images, pair.embeddings, _mode(pair, workers)),
                              train.loss)
    kl = kl_to_unit_gaussian(pair.condition.mean, pair.condition.log_sigma)
    total = pair.adversarial_weight * fake + train.kl_coefficient * kl
    for name, term in sorted(pair.terms.items()):
        total += term
        losses[f'{pair.name}/{name}'] = term
    for name, value in (('generator', total), ('generator_fake', fake), ('kl', kl)):
        losses[f'{pair.name}/{name}'] = value
    return total


def _update(loss: tf.Tensor, scope: str, statistics: List[tuple], learning_rate: tf.Tensor,
            train: Any, wrap: Callable[[Any], Any], workers: Optional[Workers],
            network: int) -> tf.Operation:
    """Adam on one network, and its batch-norm statistics: once, and by no other step."""
    variables = scope_variables(scope)
    if train.weight_decay:
        loss += train.weight_decay * tf.add_n(
            [tf.nn.l2_loss(v) for v in variables if v.op.name.endswith('/weights')])
    with tf.variable_scope('optimizer/' + scope):
        optimizer = tf.train.AdamOptimizer(learning_rate, beta1=train.adam_beta1, name='adam')
        optimizer = wrap(optimizer if workers is None else workers.reducing(optimizer, network))
        gradients = optimizer.compute_gradients(loss, variables,
                                                gate_gradients=tf.train.Optimizer.GATE_NONE)
        update = optimizer.apply_gradients(gradients)
    if workers is not None and not workers.synchronised:
        means = workers.means([value for _, value in statistics])
        statistics = [(moving, mean) for (moving, _), mean in zip(statistics, means)]
    moves = [moving.assign_sub((1.0 - BATCH_NORM_DECAY) * (moving - value))
             for moving, value in statistics]
    return tf.group(update, *moves)


def _ema_of_generators(scopes: Sequence[str]) -> Dict[str, Tuple[Any, Any]]:
    """{name: (variable, its moving average)} of generators, batch-norm statistics included."""
    pairs = {}
    for variable in [v for scope in scopes for v in scope_variables(scope, False)]:
        average = tf.get_variable(f'{EMA}/{variable.op.name}',
                                  variable.shape.as_list(), tf.float32,
                                  tf.zeros_initializer(), trainable=False, use_resource=True)
        pairs[variable.op.name] = (variable, average)
    return pairs


def _getter(averages: Dict[str, Tuple[Any, Any]]) -> Callable[..., Any]:
    """A getter for tf.variable_scope that puts the averages in place of their variables."""
    def averaged(getter: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        if name in averages:
            return averages[name][1]
        return getter(name, *arguments, **options)

    return averaged


def check_ownership(pairs: Sequence[GanPair]) -> None:
    """Raises ValueError unless each trainable variable belongs to exactly one network.

    One of two networks would be trained twice a step, one of none never. Networks that are in the
    graph and not trained (Stage-I under Stage-II) own theirs too.
    """
    trained = {scope for each in pairs
               for scope in (each.generator_scope, each.discriminator_scope)}
    scopes = sorted(trained | NETWORKS)
    owned = collections.Counter(v.op.name for scope in scopes for v in scope_variables(scope))
    twice = sorted(name for name, times in owned.items() if times > 1)
    if twice:
        raise ValueError(f'{twice[0]} belongs to two networks of {scopes}')
    lost = sorted({v.op.name for v in tf.trainable_variables()} - set(owned))
    if lost:
        raise ValueError(f'{lost[0]} belongs to no network of {scopes}, so nothing trains it')
