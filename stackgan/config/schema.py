"""Every key of a configuration file: its type, its limits and what it means.

A file is complete: each key stands in it. Keys that may be `null` say what null means; such
values are filled in when the file is loaded, so that the record of a run holds facts only.
"""

from dataclasses import dataclass, field
from typing import Optional, Tuple


def key(
        help,            # one line for people
        least=None,      # smallest value allowed
        most=None,       # largest value allowed
        above=None,      # the value must be larger than this
        choices=None,    # the values allowed
        pattern=None,    # regular expression that the whole text must match
):
    return field(metadata=dict(help=help, least=least, most=most, above=above,
                               choices=choices, pattern=pattern))


NAME = r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}'


@dataclass(frozen=True)
class Run:
    name: str = key('folder below runs/ that everything trained goes to', pattern=NAME)
    seed: int = key('seed of weights, data order and noise', least=0, most=2 ** 31 - 1)


@dataclass(frozen=True)
class MakeDataset:
    images: int = key('pictures to draw', least=96, most=200000)
    picture_size: int = key('longest side of a picture in pixels', least=96, most=2048)
    seed: int = key('seed of the drawing', least=0, most=2 ** 31 - 1)


@dataclass(frozen=True)
class Split:
    by: str = key('how test images are chosen: whole classes (zero-shot), lists of the dataset '
                  'or files, or a share of all images', choices=('class', 'lists', 'ratio'))
    test_share: float = key('share of classes (by: class) or images (by: ratio) for testing',
                            above=0.0, most=0.9)
    seed: int = key('seed of the choice', least=0, most=2 ** 31 - 1)
    train_list: Optional[str] = key('file with one training image a line, below the raw folder; '
                                    'null: what the layout brings')
    test_list: Optional[str] = key('file with one test image a line; null: as train_list')


@dataclass(frozen=True)
class Data:
    name: str = key('folder below prepared/ for the prepared arrays', pattern=NAME)
    raw: Optional[str] = key('folder of the raw dataset; null: raw/<data.name> on the volume')
    layout: str = key('how the raw dataset is laid out', choices=('cub', 'flowers', 'folder'))
    captions_file: Optional[str] = key('layout folder: a .csv or .jsonl with captions; '
                                       'null: captions.csv or captions.jsonl when there, '
                                       'else a .txt beside each image')
    brought_embeddings: str = key('layouts cub and flowers: which embeddings of the dataset are '
                                  'used when they are there, <this>-embeddings.pickle',
                                  choices=('char-CNN-RNN', 'skip-thought'))
    crop: str = key('box: around the bounding box; centre: largest centred square; '
                    'stretch: the whole picture', choices=('box', 'centre', 'stretch'))
    box_scale: float = key('half side of the crop as a share of the longer side of the box',
                           least=0.5, most=2.0)
    split: Split = key('which images are for testing')
    on_bad_image: str = key('what an unusable image does', choices=('fail', 'skip'))
    max_bad_share: float = key('share of unusable images above which preprocess fails anyway',
                               least=0.0, most=1.0)
    shard_images: int = key('images in one shard file', least=1, most=65536)
    workers: Optional[int] = key('processes; null: one per core', least=1, most=512)


@dataclass(frozen=True)
class Text:
    source: str = key('train: train an encoder on the captions; pickle: embeddings that came '
                      'with the dataset; published: the encoder that text.weights names; auto: '
                      'pickle when it is there, else published where text.weights names one, else '
                      'train', choices=('auto', 'train', 'pickle', 'published'))
    weights: Optional[str] = key('a published encoder: a .t7 file of reedscot/icml2016 or '
                                 'cvpr2016, or the folder of the skip-thought files; below the '
                                 'volume or absolute; null: none')
    cell: str = key('recurrent part: gru (standard, the fastest), published-gru (birds) or '
                    'published-rnn (flowers)', choices=('gru', 'published-gru', 'published-rnn'))
    filters: Tuple[int, int, int] = key('outputs of the three convolutions; the last is also the '
                                        'width of the recurrent part', least=1, most=4096)
    image_filters: int = key('width of the image encoder trained along', least=4, most=256)
    steps: int = key('training steps', least=1)
    batch_size: int = key('image-caption pairs a step', least=2, most=4096)
    learning_rate: float = key('of Adam at the start; falls to zero along a half cosine',
                               above=0.0, most=1.0)
    checkpoint_every_steps: int = key('steps between two checkpoints', least=1)


@dataclass(frozen=True)
class Model:
    embedding_dim: int = key('size of a caption embedding', least=8, most=16384)
    condition_dim: int = key('size of the conditioning variable', least=1, most=4096)
    noise_dim: int = key('size of z', least=1, most=4096)
    generator_filters: int = key('gf: width of the generators', least=4, most=1024)
    discriminator_filters: int = key('df: width of the discriminators', least=4, most=1024)


@dataclass(frozen=True)
class Train:
    batch_size: int = key('images a step, over all workers', least=2, most=65536)
    generator_learning_rate: float = key('of Adam, at the start', above=0.0, most=1.0)
    discriminator_learning_rate: float = key('of Adam, at the start', above=0.0, most=1.0)
    adam_beta1: float = key('decay of the first moment', least=0.0, most=0.999)
    kl_coefficient: float = key('weight of the conditioning augmentation loss', least=0.0)
    captions_averaged: int = key('caption embeddings of an image averaged into one', least=1)
    weight_decay: float = key('L2 coefficient on convolution and dense weights', least=0.0,
                              most=1.0)
    ema_decay: Optional[float] = key('decay of the moving average of the generator at each '
                                     'step; null: none', above=0.0, most=0.999999)
    log_every_steps: int = key('steps between two lines of stats.jsonl', least=1)
    sample_every_steps: int = key('steps between two sample grids', least=1)
    checkpoint_every_steps: int = key('steps between two checkpoints', least=1)
    keep_checkpoints: int = key('newest checkpoints kept besides the best', least=1, most=1000)


@dataclass(frozen=True)
class Stage1:
    epochs: float = key('passes over the training images', above=0.0)
    learning_rate_half_life_epochs: float = key('epochs after which learning rates are halved',
                                                above=0.0)
    batch_size: Optional[int] = key('null: train.batch_size', least=2, most=65536)


@dataclass(frozen=True)
class Stage2(Stage1):
    finetune_stage1: bool = key('go on training Stage-I along with Stage-II')
    finetune_learning_rate_ratio: float = key('learning rates of Stage-I as a share of those of '
                                              'Stage-II while fine-tuning', above=0.0, most=1.0)
    likeness_coefficient: float = key("weight of the mean difference between Stage-I's picture and "
                                      "Stage-II's shrunk to its size; the paper: 0", least=0.0)


@dataclass(frozen=True)
class Sample:
    images: int = key('pictures to draw from test captions', least=1)
    seed: int = key('seed of the noise', least=0, most=2 ** 31 - 1)
    batch_size: int = key('pictures drawn at once', least=1, most=4096)
    checkpoint: str = key('which checkpoint of Stage-II to draw with', choices=('last', 'best'))


@dataclass(frozen=True)
class Scorer:
    split: str = key('whose classes it tells apart: test, as the Inception of StackGAN, or train; '
                     'the same where the dataset is not split by class', choices=('test', 'train'))
    side: int = key('side of the pictures it sees, in pixels', least=32, most=299)
    filters: int = key('width of its first convolution', least=4, most=256)
    blocks: int = key('Inception blocks; between two the sides are halved', least=1, most=5)
    steps: int = key('training steps', least=1)
    batch_size: int = key('pictures a step', least=2, most=4096)
    learning_rate: float = key('of Adam at the start; falls to zero along a half cosine',
                               above=0.0, most=1.0)
    seed: int = key('seed of weights, pictures and what is held out', least=0, most=2 ** 31 - 1)
    held_out_share: float = key('share of the pictures of each class that measure its '
                                'accuracy', above=0.0, most=0.9)
    least_accuracy: float = key('accuracy on held-out pictures below which its scores are '
                                'refused', least=0.0, most=1.0)
    checkpoint_every_steps: int = key('steps between two checkpoints', least=1)


@dataclass(frozen=True)
class Score:
    images: int = key('pictures to draw from test captions and score', least=4)
    splits: int = key('parts of a set; a score is the mean over them', least=1, most=1000)
    seed: int = key('seed of captions, noise and shuffles', least=0, most=2 ** 31 - 1)
    checkpoint: str = key('which checkpoint to score', choices=('last', 'best'))
    stackgan_weights: Optional[str] = key(
        'the unpacked Inception-v3 checkpoint of StackGAN-inception-model: its path, or a folder '
        'that holds it alone, below the volume or absolute; null: none')
    stackgan_classes: int = key('classes that checkpoint tells apart, without the background: 50 '
                                'for its birds, 20 for its flowers', least=2, most=100000)
    imagenet_weights: Optional[str] = key(
        'the frozen Inception graph of 2015 (classify_image_graph_def.pb), below the volume or '
        'absolute; null: none')


@dataclass(frozen=True)
class Export:
    stage: int = key('2: both generators in one file; 1: Stage-I alone', least=1, most=2)
    checkpoint: str = key('which checkpoint of that stage', choices=('last', 'best'))
    weights: str = key('averages: the moving averages, where the checkpoint has them; trained: '
                       'the weights themselves', choices=('averages', 'trained'))
    batch_sizes: Tuple[int, ...] = key('pictures a run draws; a file each, fixed', least=1,
                                       most=1024)
    onnx: bool = key('write ONNX beside each frozen graph, and of the text encoder')
    soc_version: str = key('chip that ATC converts for, in the spelling of its CANN release',
                           pattern=NAME)
    fusion_switch_file: Optional[str] = key('file with which ATC switches fusions off; null: none')


@dataclass(frozen=True)
class Platform:
    device: str = key('auto: a GPU when TensorFlow sees one, else the CPU; npu: an Ascend 910',
                      choices=('auto', 'cpu', 'gpu', 'npu'))
    threads: Optional[int] = key('CPU threads; null: the cores there are', least=1, most=4096)
    mixed_precision: str = key('auto: bfloat16 on CPUs that compute in it, float16 with loss '
                               'scaling on an NPU; off: float32', choices=('auto', 'off'))
    loss_scale: Optional[float] = key('NPU with mixed precision: the fixed loss scale; null: one '
                                      'that follows the overflows', least=1.0, most=2.0 ** 32)
    deterministic: bool = key('one thread and float32: every run gives the same bits')


@dataclass(frozen=True)
class Config:
    run: Run = key('this run')
    make_dataset: Optional[MakeDataset] = key('the embedded dataset; null: the user brings one')
    data: Data = key('raw dataset and its preparation')
    text: Text = key('captions to embeddings')
    model: Model = key('dimensions of the networks')
    train: Train = key('training of both stages')
    stage1: Stage1 = key('training of Stage-I')
    stage2: Stage2 = key('training of Stage-II')
    sample: Sample = key('pictures from captions')
    scorer: Scorer = key('the classifier that scores pictures of the dataset')
    score: Score = key('scores of generated and real pictures')
    export: Export = key('model files for other machines')
    platform: Platform = key('the machine; changes speed, and results only by rounding')
