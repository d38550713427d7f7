"""What a user's own package might hold: one component of every kind, each made known by one registration."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from pytorchvideo_autox3d.analysis.formulas import convolution
from pytorchvideo_autox3d.data import UNNAMED, VideoDataset, VideoMetadata, read_list
from pytorchvideo_autox3d.layers.elastic import ChannelWindow, ElasticConv3d, copy_conv
from pytorchvideo_autox3d.registry import (
    CHANNEL_SELECTION_REGISTRY,
    DATASET_REGISTRY,
    HEAD_REGISTRY,
    READER_REGISTRY,
    SEARCH_REGISTRY,
    register_attention,
    register_model,
)
from pytorchvideo_autox3d.search import ParsecSearch
from pytorchvideo_autox3d.supernet import ElasticAttention


class ChannelGate(nn.Module):
    """A gate from the mean over all positions; it has no elastic form and no formula of its cost."""

    def __init__(self, channels: int, *, norm=nn.BatchNorm3d) -> None:
        super().__init__()
        self.gate = nn.Conv3d(channels, channels, 1)

    def forward(self, clip_BCTHW):
        return clip_BCTHW * torch.sigmoid(self.gate(clip_BCTHW.mean((2, 3, 4), keepdim=True)))


class PositionGate(nn.Module):
    """One gate a position."""

    def __init__(self, channels: int, *, norm=nn.BatchNorm3d) -> None:
        super().__init__()
        self.gate = nn.Conv3d(channels, 1, 1)

    def forward(self, clip_BCTHW):
        return clip_BCTHW * torch.sigmoid(self.gate(clip_BCTHW))


class ElasticPositionGate(ElasticAttention):
    """`PositionGate` with one set of weights for every width."""

    def __init__(self, channels, *, selection, norm) -> None:
        super().__init__(channels, selection=selection, norm=norm)
        self.gate = ElasticConv3d(max(channels), 1, kernel_size=1)

    def forward(self, clip_BCTHW, window):
        return clip_BCTHW * torch.sigmoid(self.gate(clip_BCTHW, ChannelWindow(0, 1, 1), window))

    def copy_to(self, block, window):
        copy_conv(self.gate, block.get_submodule("gate"), ChannelWindow(0, 1, 1), window)


register_attention("channel_gate", ChannelGate)
register_attention(
    "position_gate",
    PositionGate,
    elastic=ElasticPositionGate,
    cost=lambda channels, positions: convolution(channels, 1, positions, bias=True),
)


@CHANNEL_SELECTION_REGISTRY.register(name="last")
def last_windows(sizes, width):
    return tuple(ChannelWindow(width - size, size, width) for size in sizes)


class PooledPixels(nn.Module):
    """A network of one layer over the clip's mean colours."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, clip_BCTHW):
        return self.layers(clip_BCTHW.mean((2, 3, 4)))


def create_pooled_pixels(*, model_num_class, input_clip_length, input_crop_size, dropout_rate, width):
    return PooledPixels(model_num_class, width)


register_model("PooledPixels", create_pooled_pixels, keys={"WIDTH": 5})


@HEAD_REGISTRY.register(name="mean")
def create_mean_head(*, in_channels, num_classes, dropout_rate):
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(in_channels, num_classes))


@SEARCH_REGISTRY.register(name="my_search")
class MySearch(ParsecSearch):
    """PARSEC under another name."""


@DATASET_REGISTRY.register(name="my_lists")
class MyLists(VideoDataset):
    """Lists named after me."""

    @classmethod
    def find(cls, folder, mode, *, path_prefix="", num_classes=None, split=1, classes=UNNAMED):
        path = str(Path(folder, f"my_{mode}.csv"))
        return read_list(path, path_prefix=path_prefix, num_classes=num_classes, classes=classes)


@READER_REGISTRY.register(name="npy")
class ArrayReader:
    """Videos kept as arrays (T, H, W, 3), uint8."""

    def __init__(self, path: str) -> None:
        self.frames = np.load(path)

    def metadata(self):
        count, height, width, _ = self.frames.shape
        return VideoMetadata(count, 30.0, height, width)

    def read(self, frames, *, short_side=None):
        frames_TCHW = torch.from_numpy(self.frames[list(frames)]).permute(0, 3, 1, 2)
        if short_side is None:
            return frames_TCHW
        scale = short_side / min(frames_TCHW.shape[2:])
        size = [round(side * scale) for side in frames_TCHW.shape[2:]]
        return nn.functional.interpolate(frames_TCHW.float(), size=size).to(torch.uint8)

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()
