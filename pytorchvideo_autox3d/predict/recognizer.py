"""`Recognizer`: a trained network, and everything it takes to use it on a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorchvideo_autox3d.data import ArrayReader, ClipNormalize, VideoReader, check_reader, open_video
from pytorchvideo_autox3d.data.array_reader import read_array
from pytorchvideo_autox3d.data.flow import FlowReader
from pytorchvideo_autox3d.data.frame_stream import FrameSource, FrameStream
from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.engine import usable_device
from pytorchvideo_autox3d.errors import ConfigError, DataError, DecodeError
from pytorchvideo_autox3d.export import fuse_for_inference
from pytorchvideo_autox3d.kernels import accelerate
from pytorchvideo_autox3d.models import ClipNet, ModelCard, load_package
from pytorchvideo_autox3d.predict.decode_ahead import decoded_ahead
from pytorchvideo_autox3d.predict.loading import load_checkpoint
from pytorchvideo_autox3d.predict.prediction import ClipPrediction, Prediction, combined_scores, top_of
from pytorchvideo_autox3d.predict.video_clips import VideoClips, Views, read_clips

Video = str | Path | np.ndarray | Tensor


class Recognizer:
    """Tells what a video shows; called with a video, it returns a `Prediction`.

    Args:
        network: maps a normalised clip (B, C, T, H, W) to logits (B, K).
        card: its classes, its clips, their normalisation, and its views.
        views: clips x crops of a video ("1", "3x1", "10x3"); by default those of the card.
        device: where to run; by default a GPU where there is one.
        batch_size: clips of one forward pass.
        top: how many classes a `Prediction` names.
        workers: threads that decode, where there are several videos.
        reader: the name of the video reader.
        decode_seconds: how long one video may take to decode; 0 sets no limit.
    Raises:
        ConfigError: an argument is out of range, or there is no such device.
        DataError: there is no such reader.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        card: ModelCard,
        *,
        views: str | Views | None = None,
        device: str | torch.device | None = None,
        batch_size: int = 8,
        top: int = 5,
        workers: int = 2,
        reader: str = "pyav",
        decode_seconds: float = 60,
    ) -> None:
        for name, value, low in (("batch_size", batch_size, 1), ("top", top, 1), ("workers", workers, 0)):
            if value < low:
                raise ConfigError(f"{name}: {value} is below {low}")
        check_reader(reader)
        self.card = card
        self.views = Views.parse(views) if isinstance(views, str) else views or Views(card.num_clips, card.num_crops)
        self.device = usable_device(device)
        self.network = network
        if isinstance(network, nn.Module):
            network.eval().to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            accelerate(network)
        self.batch_size, self.top, self._workers = batch_size, top, workers
        self._reader, self._decode_seconds = reader, decode_seconds
        self._normalize = ClipNormalize(card.preprocessing.mean, card.preprocessing.std)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, *, cfg: str | None = None, classes: str | Sequence[str] | None = None, **options: Any
    ) -> Recognizer:
        """Load a checkpoint of training.

        Args:
            path: the file.
            cfg: the yaml file that it was trained with; needed where the checkpoint does not say.
            classes: the classes' names in their order, or a file that holds them; needed for a checkpoint that was
                saved before checkpoints had them.
            options: as of `Recognizer`.
        Raises:
            CheckpointError, ModelError: the file is no checkpoint, or does not say what is needed; names what to give.
        """
        return cls(*load_checkpoint(str(path), cfg=cfg, classes=classes), **options)

    @classmethod
    def from_package(cls, path_or_name: str | Path, **options: Any) -> Recognizer:
        """Load a package: its folder, or the name of one that comes with this library ("demo").

        Raises:
            ModelError: there is no such package, or it is damaged.
        """
        network = load_package(path_or_name)
        return cls(network, network.card, **options)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names in the order of their numbers; the numbers themselves where there are no names."""
        return self.card.labels

    @property
    def modality(self) -> str:
        """What the network sees: "rgb", or optical flow that must lie beside the videos."""
        return self.card.preprocessing.modality

    @property
    def temperature(self) -> float:
        """The number that logits are divided by; 1 without a calibration."""
        return self.card.calibration.temperature if self.card.calibration else 1.0

    @property
    def threshold(self) -> float:
        """The score below which a video shows none of the classes; 0 without a calibration."""
        return self.card.calibration.threshold if self.card.calibration else 0.0

    def __call__(self, video: Video, *, fps: float | None = None, name: str | None = None) -> Prediction:
        """Predict what a video shows.

        Args:
            video: a file's path, or uint8 RGB frames: (T, H, W, 3), (T, 3, H, W) or (3, T, H, W).
            fps: of the frames, where they are an array; by default the rate that the card counts at, and an array of as
                many frames as a clip has is one clip.
            name: of the video in the result; by default its path.
        Raises:
            DecodeError: the video can't be read; names the file and the cause.
            DataError: the array is of another type or shape.
        """
        return self._predicted(self.name_of(video, name), self._clips(video, fps=fps))

    def video_logits(self, videos: Iterable[Video]) -> Iterator[Tensor]:
        """The logits of each video's views, logits_VK; raises `DecodeError` for a video that can't be read."""
        for _, clips in self.decoded(videos):
            yield self.logits(clips.clip_VCTHW)

    def decoded(
        self, videos: Iterable[Video], *, on_fault: Callable[[Video, DecodeError], None] | None = None
    ) -> Iterator[tuple[Video, VideoClips]]:
        """Each video with its views, the next ones decoded meanwhile.

        Raises:
            DecodeError: a video can't be read, and there is no `on_fault` (as in `predict`).
        """
        for video, found in decoded_ahead(self._clips, videos, workers=self._workers):
            if not isinstance(found, DecodeError):
                yield video, found
            elif on_fault is None:
                raise found
            else:
                on_fault(video, found)

    def predict(
        self, videos: Iterable[Video], *, on_fault: Callable[[Video, DecodeError], None] | None = None
    ) -> Iterator[Prediction]:
        """The predictions of many videos in their order, the next ones decoded meanwhile.

        Args:
            videos: as for a call.
            on_fault: told of a video that can't be read, which is then left out; None raises the error.
        """
        waiting: list[tuple[Video, VideoClips]] = []
        for video, found in self.decoded(videos, on_fault=on_fault):
            waiting.append((video, found))
            if sum(len(clips) for _, clips in waiting) >= self.batch_size:
                yield from self._predicted_together(waiting)
                waiting = []
        yield from self._predicted_together(waiting)

    @cached_property
    def forward(self) -> Callable[[Tensor], Tensor]:
        """The function that gives the logits: the network, on a CPU with its BN folded and its operators fused."""
        if self.device.type != "cpu" or not isinstance(self.network, ClipNet):
            return self.network
        preprocessing = self.card.preprocessing
        return fuse_for_inference(self.network, (1, len(preprocessing.mean), *preprocessing.clip))

    def logits(self, clip_BCTHW: Tensor) -> Tensor:
        """Logits (B, K) of uint8 clips (B, C, T, H, W), on the CPU."""
        return self.run(self.forward, clip_BCTHW)

    def run(self, function: Callable[[Tensor], Tensor], clip_BCTHW: Tensor) -> Tensor:
        """Apply a function of prepared clips, in batches and without gradients; its results are on the CPU."""
        with torch.no_grad():
            return torch.cat(
                [function(self.prepared(part)).float().cpu() for part in clip_BCTHW.split(self.batch_size)]
            )

    def prepared(self, clip_BCTHW: Tensor) -> Tensor:
        """What the network takes for uint8 clips: normalised floats on its device."""
        return self._normalize(clip_BCTHW.to(self.device))

    def scores(self, clip_BCTHW: Tensor) -> NDArray[np.float32]:
        """Scores (B, K) of uint8 clips, each clip by itself."""
        score_BK: NDArray[np.float32] = (self.logits(clip_BCTHW) / self.temperature).softmax(dim=1).numpy()
        return score_BK

    def open(self, video: Video, *, fps: float | None = None) -> VideoReader:
        """A reader of the video, for a `with` statement; raises `DecodeError` or `DataError` as a call does."""
        if isinstance(video, np.ndarray | Tensor):
            return self._array(video, fps, "the array")
        if not isinstance(video, str | Path):
            raise DataError(f"a video is a path, an array or a tensor, not a {type(video).__name__}")
        if str(video).endswith(".npy"):
            try:
                return self._array(read_array(str(video)), fps, str(video))
            except DataError as error:  # as of any file that is no video
                raise DecodeError(str(error)) from None
        if self.modality != "rgb":
            return FlowReader(partial(open_video, reader=self._reader), str(video), colours=self.modality == "rgb+flow")
        return open_video(str(video), reader=self._reader)

    def stream(self, video: Video, *, fps: float | None = None) -> FrameSource:
        """All frames of the video in turn, to be used in a `with` statement; see `open`."""
        if isinstance(video, np.ndarray | Tensor) or str(video).endswith(".npy"):
            reader = self.open(video, fps=fps)
            assert isinstance(reader, ArrayReader)
            return reader
        return FrameStream(str(video))

    def combined(self, logits_VK: Tensor) -> NDArray[np.float32]:
        """A video's scores (K) from the logits of its views, combined as a test combines them."""
        return combined_scores(logits_VK, self.card.ensemble, self.temperature)

    def _array(self, frames: np.ndarray | Tensor, fps: float | None, name: str) -> ArrayReader:
        """A reader of frames in memory; `DataError` where the network sees optical flow, or the frames are no video."""
        if self.modality != "rgb":
            raise DataError(f"{name}: the network sees {self.modality}, which lies beside video files: name one")
        clip = self.card.preprocessing
        reader = ArrayReader(frames, fps=fps or clip.fps, name=name)
        if fps is None and reader.metadata().num_frames == clip.num_frames:
            return ArrayReader(frames, fps=clip.fps / clip.sampling_rate, name=name)  # every frame of it is taken
        return reader

    def _clips(self, video: Video, *, fps: float | None = None) -> VideoClips:
        def decoded() -> VideoClips:
            with self.open(video, fps=fps) as opened:
                return read_clips(opened, self.card.preprocessing, self.views)

        return call_within(decoded, seconds=self._decode_seconds, path=self.name_of(video))

    def _predicted(self, name: str, clips: VideoClips, logits_VK: Tensor | None = None) -> Prediction:
        logits_VK = self.logits(clips.clip_VCTHW) if logits_VK is None else logits_VK
        name_top = partial(top_of, labels=self.labels, count=self.top)
        crops = self.views.num_crops
        parts = [
            ClipPrediction(*clips.spans[first], name_top(self.combined(logits_VK[first : first + crops])))
            for first in range(0, len(clips), crops)
        ]
        score_K = self.combined(logits_VK)
        rejected = bool(score_K.max() < self.threshold) if self.card.calibration else None
        return Prediction(name, name_top(score_K), tuple(parts), score_K, rejected)

    def _predicted_together(self, videos: Sequence[tuple[Video, VideoClips]]) -> Iterator[Prediction]:
        """Predict several videos with one run over all of their clips."""
        if not videos:
            return
        logits_BK = self.logits(torch.cat([clips.clip_VCTHW for _, clips in videos]))
        per_video = logits_BK.split([len(clips) for _, clips in videos])
        for (video, clips), logits_VK in zip(videos, per_video, strict=True):
            yield self._predicted(self.name_of(video), clips, logits_VK)

    @staticmethod
    def name_of(video: Video, name: str | None = None) -> str:
        """The name that a video has in results: `name`, or its path, or its shape."""
        shape = getattr(video, "shape", None)
        return name or (str(video) if shape is None else f"an array of shape {tuple(shape)}")
