"""Configuration keys of `submit`: what a cluster gives the jobs."""

from typing import Optional

from stackgan.config.keys import NAME, dataclass, key, section


@dataclass(frozen=True)
class JobResources:
    cards: int = key(0, 'accelerator cards', minimum=0, maximum=64)
    cores: int = key(4, 'CPU cores', minimum=1, maximum=1024)
    memory_gib: int = key(16, 'memory in GiB', minimum=1, maximum=4096)
    hours: float = key(24.0, 'time limit in hours; a job that reaches it saves its work and is '
                       'queued again', above=0.0, maximum=8760.0)


@dataclass(frozen=True)
class Resources:
    training: JobResources = section(JobResources, 'each training')
    other: JobResources = section(JobResources, 'all other jobs')
    slurm_options: str = key('', 'more options for sbatch, e.g. "--partition=gpu --account=me"')
    card: str = key('nvidia.com/gpu', 'Kubernetes: resource name of a card, e.g. '
                    'huawei.com/Ascend910', pattern=r'[A-Za-z0-9./_-]{1,63}')
    storage_class: Optional[str] = key(None, 'Kubernetes: storage class of the volume; null: the '
                                       "cluster's default", pattern=NAME)
    storage_gib: int = key(50, 'Kubernetes: size of the volume in GiB', minimum=1, maximum=65536)
