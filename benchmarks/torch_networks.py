"""StackGAN's networks in PyTorch, to compare speeds with: those of stackgan/networks.

As there: convolutions without bias, dense layers with one, batch norm with epsilon 1e-5. Tensors
are [N, C, H, W], in memory channels last.
"""

from typing import Callable, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING, NOISE, CONDITION = 1024, 100, 128
PARAMETERS = {'Stage-I generator': 14264192, 'Stage-I discriminator': 4029824,
              'Stage-II generator': 26290080, 'Stage-II discriminator': 48603520}   # the paper's


def leaky_relu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)


def spread(vectors: Tensor, size: int) -> Tensor:
    """[N, C] repeated over a square: [N, C, size, size]."""
    return vectors[:, :, None, None].expand(-1, -1, size, size)


class ConvNorm(nn.Module):
    """Convolution, batch norm and activation; `upsample` doubles the sides first."""

    def __init__(
            self,
            inputs: int,
            outputs: int,
            activation: Optional[Callable[[Tensor], Tensor]] = None,
            kernel: int = 3,
            stride: int = 1,
            norm: bool = True,
            upsample: bool = False,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs) if norm else None
        self.activation, self.upsample = activation, upsample

    def forward(self, x: Tensor) -> Tensor:
        if self.upsample:
            x = functional.interpolate(x, scale_factor=2, mode='nearest')
        x = self.convolution(x)
        x = self.norm(x) if self.norm is not None else x
        return self.activation(x) if self.activation else x


class Residual(nn.Module):
    """activation(x + branch(x))."""

    def __init__(self, branch: nn.Module, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.branch, self.activation = branch, activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.branch(x))


def bottleneck(channels: int, width: int, activation: Callable[[Tensor], Tensor]) -> Residual:
    return Residual(nn.Sequential(ConvNorm(channels, width, activation, kernel=1),
                                  ConvNorm(width, width, activation),
                                  ConvNorm(width, channels)), activation)


class Conditioning(nn.Module):
    """Conditioning augmentation: (condition [N, 128], KL to the unit Gaussian)."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(EMBEDDING, 2 * CONDITION)

    def forward(self, embeddings: Tensor) -> Tuple[Tensor, Tensor]:
        mean, log_sigma = leaky_relu(self.dense(embeddings)).float().chunk(2, 1)
        kl = (-log_sigma + 0.5 * (-1.0 + torch.exp(2.0 * log_sigma) + mean ** 2)).mean()
        return mean + torch.exp(log_sigma) * torch.randn_like(mean), kl


class Stage1Generator(nn.Module):
    """(images [N, 3, 64, 64] in [-1, 1], KL) of embeddings [N, 1024]."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.width, self.conditioning = width, Conditioning()
        self.project = nn.Linear(CONDITION + NOISE, 4 * 4 * 8 * width)
        self.norm = nn.BatchNorm1d(4 * 4 * 8 * width)
        self.body = nn.Sequential(
            bottleneck(8 * width, 2 * width, torch.relu),
            ConvNorm(8 * width, 4 * width, upsample=True),
            bottleneck(4 * width, width, torch.relu),
            ConvNorm(4 * width, 2 * width, torch.relu, upsample=True),
            ConvNorm(2 * width, width, torch.relu, upsample=True),
            ConvNorm(width, 3, torch.tanh, norm=False, upsample=True))

    def forward(self, embeddings: Tensor) -> Tuple[Tensor, Tensor]:
        condition, kl = self.conditioning(embeddings)
        z = torch.randn(len(embeddings), NOISE, device=embeddings.device)
        x = self.norm(self.project(torch.cat([condition, z], 1)))
        x = x.view(-1, 8 * self.width, 4, 4).contiguous(memory_format=torch.channels_last)
        return self.body(x), kl


class Stage2Generator(nn.Module):
    """(images [N, 3, 256, 256] in [-1, 1], KL) of Stage-I's images and embeddings."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.conditioning = Conditioning()
        self.encode = nn.Sequential(ConvNorm(3, width, torch.relu, norm=False),
                                    ConvNorm(width, 2 * width, torch.relu, 4, 2),
                                    ConvNorm(2 * width, 4 * width, torch.relu, 4, 2))
        self.join = ConvNorm(4 * width + CONDITION, 4 * width, torch.relu)
        self.blocks = nn.Sequential(*[
            Residual(nn.Sequential(ConvNorm(4 * width, 4 * width, torch.relu),
                                   ConvNorm(4 * width, 4 * width)), torch.relu)
            for _ in range(4)])
        widths = [4 * width, 2 * width, width, width // 2, width // 4]
        self.decode = nn.Sequential(
            *[ConvNorm(inputs, outputs, torch.relu, upsample=True)
              for inputs, outputs in zip(widths, widths[1:])],
            ConvNorm(width // 4, 3, torch.tanh, norm=False))

    def forward(self, images: Tensor, embeddings: Tensor) -> Tuple[Tensor, Tensor]:
        condition, kl = self.conditioning(embeddings)
        x = self.encode(images)
        x = self.join(torch.cat([x, spread(condition.to(x.dtype), 16)], 1))
        return self.decode(self.blocks(x)), kl


class Discriminator(nn.Module):
    """Logits [N] of images of a stage and embeddings."""

    def __init__(self, stage: int, width: int = 64) -> None:
        super().__init__()
        widths = [2 ** i * width for i in range(4 if stage == 1 else 6)]
        last = [None if stage == 1 and i >= 2 else leaky_relu for i in range(1, len(widths))]
        layers = [ConvNorm(3, width, leaky_relu, 4, 2, norm=False)]
        layers += [ConvNorm(inputs, outputs, activation, 4, 2)
                   for inputs, outputs, activation in zip(widths, widths[1:], last)]
        if stage == 2:
            layers += [ConvNorm(32 * width, 16 * width, leaky_relu, kernel=1),
                       ConvNorm(16 * width, 8 * width, kernel=1)]
        self.body = nn.Sequential(*layers, bottleneck(8 * width, 2 * width, leaky_relu))
        self.text = nn.Linear(EMBEDDING, CONDITION)
        self.match = ConvNorm(8 * width + CONDITION, 8 * width, leaky_relu, kernel=1)
        self.logit = nn.Conv2d(8 * width, 1, 4, 4, bias=False)

    def forward(self, images: Tensor, embeddings: Tensor) -> Tensor:
        x = self.body(images)
        text = leaky_relu(self.text(embeddings)).to(x.dtype)
        return self.logit(self.match(torch.cat([x, spread(text, 4)], 1))).flatten()


def check_parameters(name: str, network: nn.Module) -> nn.Module:
    """The network. Raises ValueError where it is not the one that it is compared with."""
    count = sum(each.numel() for each in network.parameters())
    if count != PARAMETERS[name]:
        raise ValueError(f'{name}: {count} parameters, expected {PARAMETERS[name]}')
    return network
