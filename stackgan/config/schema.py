"""Every configuration key (those of `submit` in cluster.py): type, default, limits, what it means.

The defaults are the paper's values (section 4.2), for images and captions of your own. A file
holds what differs from them. Keys that may be `null` say what null means; such values are filled
in when the file is loaded, so that the record of a run holds facts only.
"""

from typing import Dict, Optional, Tuple, Union

from stackgan.config.cluster import Resources
from stackgan.config.keys import NAME, SEED, dataclass, key, section

Options = Dict[str, Union[bool, int, str]]      # options of another program, by its names
CountOrAuto = Union[int, str]                   # the only text is AUTO
AUTO = 'auto'


@dataclass(frozen=True)
class Run:
    name: Optional[str] = key(None, 'folder below runs/ for everything trained; null: the name of '
                              'the configuration file', pattern=NAME)
    seed: int = key(0, 'seed of weights, data order and noise', **SEED)


@dataclass(frozen=True)
class MakeDataset:
    images: int = key(1920, 'images to paint', minimum=96, maximum=200000)
    image_size: int = key(320, 'longest side of an image in pixels', minimum=96, maximum=2048)
    all_combinations: bool = key(
        False, 'all colours with all others; false: 96 species, whose crown and beak mostly follow '
        'from body and wings')
    seed: int = key(0, 'seed of the painting', **SEED)


@dataclass(frozen=True)
class Split:
    by: str = key('ratio', 'how test images are chosen: class (whole classes, zero-shot), lists '
                  '(of the dataset or your files) or ratio (a share of all images)',
                  choices=('class', 'lists', 'ratio'))
    test_share: float = key(0.2, 'share of classes (by: class) or images (by: ratio) for testing',
                            above=0.0, maximum=0.9)
    seed: int = key(0, 'seed of the choice', **SEED)
    train_list: Optional[str] = key(None, 'file with one training image per line, below the raw '
                                    'folder; null: the list that comes with the layout')
    test_list: Optional[str] = key(None, 'file with one test image per line; null: as train_list')


@dataclass(frozen=True)
class Data:
    name: Optional[str] = key(None, 'folder below prepared/ for the prepared arrays; null: the '
                              'name of the configuration file', pattern=NAME)
    raw: Optional[str] = key(None, 'folder of the raw dataset; null: raw/<data.name> on the volume')
    licence: Optional[str] = key(None, 'licence of images and captions, for the model card of '
                                 '`export --bundle`; null: not stated')
    layout: str = key('folder', 'how the raw dataset is laid out',
                      choices=('cub', 'flowers', 'folder', 'imagefolder', 'coco', 'webdataset',
                               'sidecars'))
    captions_file: Optional[str] = key(None, 'layout folder: a .csv or .jsonl file; null: captions'
                                       '.csv or .jsonl if present, else a .txt beside each image')
    precomputed_embeddings: str = key(
        'char-CNN-RNN', 'layouts cub and flowers: which of the embeddings that come with the '
        'dataset to use if present, <this>-embeddings.pickle',
        choices=('char-CNN-RNN', 'skip-thought'))
    crop: str = key('centre', 'box: around the bounding box; centre: largest centred square; '
                    'stretch: the whole image', choices=('box', 'centre', 'stretch'))
    box_scale: float = key(0.75, 'half side of the crop as a share of the longer side of the box',
                           minimum=0.5, maximum=2.0)
    split: Split = section(Split, 'which images are for testing')
    on_bad_image: str = key('fail', 'what to do with an unusable image', choices=('fail', 'skip'))
    max_bad_share: float = key(0.01, 'share of unusable images above which preprocess fails anyway',
                               minimum=0.0, maximum=1.0)
    shard_images: int = key(256, 'images per shard file', minimum=1, maximum=65536)
    workers: Optional[int] = key(None, 'processes; null: one per core', minimum=1, maximum=512)


@dataclass(frozen=True)
class Text:
    source: str = key(
        'auto', 'train: train an encoder on the captions; pickle: embeddings that come with the '
        'dataset; published: the encoder in text.weights; onnx: any sentence encoder, in the '
        'folder text.weights; auto: pickle if present, else published if text.weights names one, '
        'else train',
        choices=('auto', 'train', 'pickle', 'published', 'onnx'))
    weights: Optional[str] = key(
        None, 'a published encoder: a .t7 file of reedscot/icml2016 or cvpr2016, or the folder of '
        'the skip-thought files; with source: onnx, the folder of model.onnx and tokenizer.json; '
        'below the volume or absolute; null: none')
    pooling: str = key(
        'auto', "source: onnx: from vectors of tokens to one of the caption: mean, cls (the first "
        "token's), pooler (the model's own output); auto: as 1_Pooling/config.json says, else "
        'pooler', choices=('auto', 'mean', 'cls', 'pooler'))
    normalised: Optional[bool] = key(None, 'source: onnx: embeddings of length 1; null: as '
                                     'modules.json says, else false')
    max_tokens: Optional[int] = key(
        None, 'source: onnx: tokens of a caption that are read; null: as sentence_bert_config.json '
        'or tokenizer_config.json says, at most 512', minimum=4, maximum=8192)
    cell: str = key('gru', 'recurrent part: gru (standard, the fastest), published-gru (birds) or '
                    'published-rnn (flowers)', choices=('gru', 'published-gru', 'published-rnn'))
    filters: Tuple[int, int, int] = key(
        (384, 512, 512), 'outputs of the three convolutions; the last is also the width of the '
        'recurrent part', minimum=1, maximum=4096)
    image_filters: int = key(32, 'width of the image encoder that is trained along with it',
                             minimum=4, maximum=256)
    image_pooling: str = key(
        'max', 'of its responses over an image: max or root-mean-square, which a speck does not '
        'please: better for train.caption_similarity_weight', choices=('max', 'root-mean-square'))
    steps: int = key(12000, 'training steps', minimum=1)
    batch_size: int = key(40, 'image-caption pairs per step', minimum=2, maximum=4096)
    learning_rate: float = key(7e-4, 'learning rate of Adam at the start; falls to zero along a '
                               'half cosine', above=0.0, maximum=1.0)
    whitening: bool = key(
        False, 'embeddings in which all that tells images apart has the same variance, by '
        'within-class covariance normalisation (Hatch et al., 2006) over the captions of each '
        'image; false: each dimension standardised')
    image_steps: int = key(
        1500, 'with whitening, steps in which an image encoder learns what they say', minimum=1)
    checkpoint_every_steps: int = key(1000, 'steps between two checkpoints', minimum=1)


@dataclass(frozen=True)
class Model:
    embedding_dim: int = key(1024, 'size of a caption embedding', minimum=8, maximum=16384)
    condition_dim: int = key(128, 'size of the conditioning variable', minimum=1, maximum=4096)
    noise_dim: int = key(100, 'size of the noise z', minimum=1, maximum=4096)
    generator_filters: int = key(128, 'gf: width of the generators', minimum=4, maximum=1024)
    discriminator_filters: int = key(64, 'df: width of the discriminators', minimum=4, maximum=1024)
    condition_sigma_limit: Optional[float] = key(
        None, 'largest sigma of the conditioning augmentation, so that no caption is drowned in '
        'noise; null: none, as the paper', above=0.0, maximum=1000.0)
    stage1_modulation: bool = key(False, "the caption also scales and shifts Stage-I's features of "
                                  '8, 16 and 32 px (de Vries et al., 2017); the paper: false')
    stage1_encoder_features: bool = key(False, "Stage-I's discriminator also sees the features of "
                                        'the trained image encoder (Projected GANs, Sauer et al., '
                                        '2021); the paper: false')
    stage2_residual: bool = key(
        False, "Stage-II adds to Stage-I's enlarged image (before its tanh) and so starts from it, "
        'after the residual images of LAPGAN (Denton et al., 2015); the paper: false')
    stage2_skip_connections: bool = key(
        False, "Stage-II's features of 64 and 32 px are added to those of the same size on the way "
        'up, after U-Net (Ronneberger et al., 2015); the paper: false')
    stage2_sub_pixel: bool = key(
        False, "Stage-II's last layers stay at 64 px and give 4 x 4 pixels each, a sub-pixel "
        'convolution (Shi et al., 2016): several times as fast; the paper: false')
    stage2_residual_blocks: int = key(4, "residual blocks at Stage-II's 16 px; the paper: 4",
                                      minimum=0, maximum=16)


@dataclass(frozen=True)
class Train:
    batch_size: int = key(64, 'images per step, over all workers', minimum=2, maximum=65536)
    generator_learning_rate: float = key(2e-4, 'learning rate of Adam at the start', above=0.0,
                                         maximum=1.0)
    discriminator_learning_rate: float = key(2e-4, 'learning rate of Adam at the start', above=0.0,
                                             maximum=1.0)
    adam_beta1: float = key(0.5, 'decay of the first moment', minimum=0.0, maximum=0.999)
    kl_coefficient: float = key(2.0, 'weight of the conditioning augmentation loss', minimum=0.0)
    loss: str = key('cross-entropy', 'adversarial loss: cross-entropy (the paper) or hinge (Lim '
                    'and Ye, 2017)', choices=('cross-entropy', 'hinge'))
    gradient_penalty: str = key(
        'off', "penalty on the discriminator's gradient at real images with their captions: r1 "
        '(Mescheder et al., 2018), matching-aware (DF-GAN, Tao et al., 2022) or off (the paper)',
        choices=('off', 'r1', 'matching-aware'))
    gradient_penalty_weight: float = key(2.0, 'its weight', above=0.0)
    gradient_penalty_every_steps: int = key(
        1, 'compute it every so many steps and weigh it by as much (lazy regularisation, Karras et '
        'al., 2020)', minimum=1, maximum=1000)
    augment_translation: float = key(
        0.0, 'differentiable augmentation of all that the discriminator sees (Zhao et al., 2020): '
        'largest shift as a share of the side; 0: none', minimum=0.0, maximum=0.5)
    augment_cutout: float = key(0.0, 'the same: side of a square that is blanked out, as a share '
                                "of the image's; 0: none", minimum=0.0, maximum=1.0)
    augment_probability: float = key(1.0, 'share of the images that are augmented', above=0.0,
                                     maximum=1.0)
    augment_target: Optional[float] = key(
        None, 'adaptive augmentation (Karras et al., 2020): the probability starts at 0 and '
        'follows the mean sign of the logits of real images to this; null: fixed', above=0.0,
        maximum=1.0)
    augment_adapts_over_images: int = key(
        100000, 'images over which an adaptive probability can go from 0 to 1', minimum=1)
    mode_seeking_weight: float = key(
        0.0, 'weight of the term that makes two noises of a caption give two images in Stage-I '
        '(Mao et al., 2019); the paper: 0', minimum=0.0)
    caption_matching_weight: float = key(
        0.0, "weight of the generators' term by which the image encoder finds an image's caption "
        'among those of the batch, after AttnGAN (Xu et al., 2018); needs a text encoder that is '
        'trained here; the paper: 0', minimum=0.0)
    caption_similarity_weight: float = key(
        0.0, "weight of the generators' term 1 - cosine of an image, by the same image encoder, "
        'and its caption; the paper: 0', minimum=0.0)
    wrong_candidates: int = key(
        1, "random images of other classes, of which the one whose class's captions are most "
        "like those of the image's own is the wrong image; the paper: 1", minimum=1, maximum=1024)
    captions_averaged: int = key(4, 'caption embeddings of an image averaged into one', minimum=1)
    weight_decay: float = key(0.0, 'L2 coefficient on convolution and dense weights', minimum=0.0,
                              maximum=1.0)
    ema_decay: Optional[float] = key(
        None, "decay per step of the exponential moving average (EMA) of the generator's weights; "
        'null: no EMA', above=0.0, maximum=0.999999)
    log_every_steps: int = key(50, 'steps between two lines of stats.jsonl', minimum=1)
    sample_every_steps: int = key(1000, 'steps between two sample grids', minimum=1)
    checkpoint_every_steps: int = key(1000, 'steps between two checkpoints', minimum=1)
    keep_checkpoints: int = key(5, 'newest checkpoints to keep besides the best', minimum=1,
                                maximum=1000)
    loggers: Optional[Tuple[str, ...]] = key(
        None, 'a list of trackers that also get the records: mlflow, at MLFLOW_TRACKING_URI or in '
        'mlruns/ on the volume; null: none', choices=('mlflow',))


@dataclass(frozen=True)
class Stage1:
    epochs: float = key(600.0, 'passes over the training images', above=0.0)
    learning_rate_half_life_epochs: float = key(50.0, 'epochs after which learning rates are '
                                                'halved', above=0.0)
    batch_size: Optional[int] = key(None, 'images per step; null: train.batch_size', minimum=2,
                                    maximum=65536)
    generator_learning_rate: Optional[float] = key(
        None, 'rate at the start; null: train.generator_learning_rate', above=0.0, maximum=1.0)
    discriminator_learning_rate: Optional[float] = key(
        None, 'rate at the start; null: train.discriminator_learning_rate', above=0.0, maximum=1.0)


@dataclass(frozen=True)
class Stage2(Stage1):
    learning_rate_half_life_epochs: float = key(100.0, 'epochs after which learning rates are '
                                                'halved', above=0.0)
    finetune_stage1: bool = key(False, 'keep training Stage-I along with Stage-II')
    finetune_learning_rate_ratio: float = key(
        0.1, 'learning rates of Stage-I as a share of those of Stage-II while fine-tuning',
        above=0.0, maximum=1.0)
    low_resolution_consistency: float = key(
        0.0, "weight of the mean difference between Stage-I's image and Stage-II's downsampled to "
        'its size; the paper: 0', minimum=0.0)
    adversarial_weight: float = key(
        1.0, "weight of the adversarial loss in Stage-II's generator; 0: Stage-II has no "
        'discriminator and needs super_resolution_weight', minimum=0.0)
    super_resolution_weight: float = key(
        0.0, 'weight of the mean difference between real images and what Stage-II makes of them '
        'reduced to 64 px, after Dong et al. (2014); the paper: 0', minimum=0.0)
    super_resolution_noise: float = key(
        0.0, 'largest deviation of the noise on those reduced images (they range from -1 to 1), so '
        "that Stage-II also learns to remove Stage-I's speckle, after the noise on the inputs of "
        'cascaded diffusion models (Ho et al., 2022)', minimum=0.0, maximum=2.0)
    super_resolution_scatter: float = key(
        0.0, 'largest distance, in pixels of 64, by which the pixels of those reduced images are '
        "scattered, so that Stage-II also learns to straighten Stage-I's ragged edges, after the "
        'glass blur of Hendrycks and Dietterich (2019)', minimum=0.0, maximum=8.0)
    low_resolution_consistency_half_life_steps: Optional[int] = key(
        None, 'steps after which that weight is halved, again and again; null: it stays', minimum=1)


@dataclass(frozen=True)
class Sample:
    images: int = key(256, 'images to generate from test captions', minimum=1)
    seed: int = key(0, 'seed of the noise', **SEED)
    batch_size: int = key(8, 'images generated at once', minimum=1, maximum=4096)
    checkpoint: str = key('last', 'which checkpoint of Stage-II to use', choices=('last', 'best'))


@dataclass(frozen=True)
class Scorer:
    split: str = key('test', "whose classes it tells apart: test, as StackGAN's own Inception, or "
                     'train; the same unless the dataset is split by class',
                     choices=('test', 'train'))
    side: int = key(128, 'side of the images it sees, in pixels', minimum=32, maximum=299)
    filters: int = key(32, 'width of its first convolution', minimum=4, maximum=256)
    blocks: int = key(4, 'Inception blocks; sides are halved between two', minimum=1, maximum=5)
    steps: int = key(6000, 'training steps', minimum=1)
    batch_size: int = key(32, 'images per step', minimum=2, maximum=4096)
    learning_rate: float = key(1e-3, 'learning rate of Adam at the start; falls to zero along a '
                               'half cosine', above=0.0, maximum=1.0)
    seed: int = key(0, 'seed of weights, data order and what is held out', **SEED)
    held_out_share: float = key(0.1, 'share of the images of each class that measures its accuracy',
                                above=0.0, maximum=0.9)
    minimum_accuracy: float = key(0.3, 'accuracy on held-out images below which its scores are '
                                  'refused', minimum=0.0, maximum=1.0)
    checkpoint_every_steps: int = key(1000, 'steps between two checkpoints', minimum=1)


@dataclass(frozen=True)
class Score:
    images: int = key(30000, 'images to generate from test captions and score', minimum=4)
    splits: int = key(10, 'parts of a set; a score is the mean over them', minimum=1, maximum=1000)
    seed: int = key(0, 'seed of captions, noise and shuffles', **SEED)
    checkpoint: str = key('last', 'which checkpoint to score', choices=('last', 'best'))
    judge: Optional[str] = key(
        None, 'a network of your own that scores, FILE.onnx or FILE.tflite, below the volume or '
        'absolute; null: none')
    judge_output: str = key('features', 'features: FID, KID, precision, recall and variety; '
                            'classes: logits or probabilities, for the inception score',
                            choices=('features', 'classes'))
    judge_range: str = key('-1..1', 'what a judge with float inputs takes pixels as: a range, or '
                           'normalised by the mean and deviation of ImageNet; one with uint8 '
                           'inputs takes them as they are',
                           choices=('-1..1', '0..1', '0..255', 'imagenet'))
    clip: Optional[str] = key(
        None, 'CLIPScore and R-precision by networks like CLIP: a folder with image.onnx, '
        'text.onnx, tokenizer.json and preprocessor_config.json, below the volume or absolute; '
        'null: none')
    clip_prompt: str = key('A photo depicts ', 'what it is given before each caption; the default '
                           "is CLIPScore's")
    stackgan_weights: Optional[str] = key(
        None, 'the unpacked Inception-v3 checkpoint of StackGAN-inception-model: its path, or a '
        'folder that holds it alone, below the volume or absolute; null: none')
    stackgan_classes: int = key(50, 'classes that checkpoint tells apart, without the background: '
                                '50 for its birds, 20 for its flowers', minimum=2, maximum=100000)
    imagenet_weights: Optional[str] = key(
        None, 'the frozen Inception graph of 2015 (classify_image_graph_def.pb), below the volume '
        'or absolute; null: none')


@dataclass(frozen=True)
class Export:
    stage: int = key(2, '2: both generators in one file; 1: Stage-I alone', minimum=1, maximum=2)
    checkpoint: str = key('last', 'which checkpoint of that stage', choices=('last', 'best'))
    weights: str = key('ema', 'ema: the exponential moving average, if the checkpoint has one; '
                       'trained: the weights themselves', choices=('ema', 'trained'))
    batch_sizes: Tuple[int, ...] = key((1, 64), 'fixed batch sizes; one file each', minimum=1,
                                       maximum=1024)
    onnx: bool = key(True, 'write ONNX beside each frozen graph, and of the text encoder')
    soc_version: str = key('Ascend310', 'chip that ATC converts for, as its CANN release spells '
                           'it: Ascend310 or Ascend910 (20.x), Ascend310P3, Ascend910A, '
                           'Ascend910B1 to B4 (A2), Ascend910_9391 (A3)', pattern=NAME)
    fusion_switch_file: Optional[str] = key(None, 'file with which ATC switches fusions off; '
                                            'null: none')
    atc_options: Optional[Options] = key(
        None, 'more options of ATC, `name: value` without the dashes, such as precision_mode or '
        'op_precision_mode; null: none')


@dataclass(frozen=True)
class Platform:
    device: str = key('auto', 'auto: a GPU if TensorFlow sees one, else the CPU; npu: an Ascend '
                      '910, A2 (910B) or A3', choices=('auto', 'cpu', 'gpu', 'npu'))
    threads: Optional[int] = key(None, 'CPU threads; null: as many as cores', minimum=1,
                                 maximum=4096)
    precision: str = key('auto', 'what networks multiply in; auto: bfloat16 on GPUs from Ampere '
                         'on and on CPUs that compute in it, float16 with loss scaling on older '
                         'GPUs and on an NPU, else float32',
                         choices=('auto', 'float32', 'tf32', 'bfloat16', 'float16'))
    loss_scale: Optional[float] = key(None, 'float16: a fixed loss scale; null: dynamic loss '
                                      'scaling', minimum=1.0, maximum=2.0 ** 32)
    compile: str = key('auto', 'auto: training steps are compiled by XLA on a GPU with TensorFlow '
                       '2, which takes minutes at the first start; off: they are not',
                       choices=('auto', 'off'))
    npu_options: Optional[Options] = key(
        None, 'more options of NpuOptimizer, `name: value`, such as modify_mixlist, '
        'op_precision_mode, deterministic, dump_path or profiling_options; null: none')
    gpu_memory_mib: Optional[int] = key(None, 'MiB of a GPU that a job may take, where several '
                                        'share it; null: what it needs', minimum=256,
                                        maximum=1048576)
    deterministic: bool = key(False, 'one thread and float32: every run gives the same bits')
    workers: CountOrAuto = key(1, 'processes that do a job together on this machine: both '
                               'trainings, embed, sample, score; auto: one a card, on a CPU one',
                               minimum=1, maximum=64)
    worker_batch_norm: str = key(
        'global', 'several workers: global: batch norm over the batch of all, so the training is '
        'the same for any number of workers; own: over the rows of each worker, which is faster '
        'and another training', choices=('global', 'own'))
    worker_sums: str = key('grpc', 'several workers on GPUs: what sums their gradients; nccl has '
                           'not been tried', choices=('grpc', 'nccl'))
    worker_timeout: float = key(600.0, 'seconds after which a worker without progress ends the '
                                'job; saving must take less', minimum=2.0, maximum=86400.0)
    worker_check_every_steps: int = key(1000, 'steps between comparisons of parameters', minimum=1)


@dataclass(frozen=True)
class Config:
    run: Run = section(Run, 'this run')
    make_dataset: Optional[MakeDataset] = key(
        None, 'the built-in synthetic dataset, painted birds; null: your own data')
    data: Data = section(Data, 'raw dataset and its preparation')
    text: Text = section(Text, 'captions to embeddings')
    model: Model = section(Model, 'dimensions of the networks')
    train: Train = section(Train, 'training of both stages')
    stage1: Stage1 = section(Stage1, 'training of Stage-I')
    stage2: Stage2 = section(Stage2, 'training of Stage-II')
    sample: Sample = section(Sample, 'images from captions')
    scorer: Scorer = section(Scorer, 'the classifier that scores images of the dataset')
    score: Score = section(Score, 'scores of generated and real images')
    export: Export = section(Export, 'model files for other machines')
    platform: Platform = section(Platform, 'the machine; changes speed, and results only by '
                                 'rounding')
    resources: Resources = section(Resources, 'what `submit` asks a cluster for; changes no result')
