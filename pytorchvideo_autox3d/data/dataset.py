"""Labelled videos as a torch data set: item i is video i of the list, as one training clip or as all its test views."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pytorchvideo_autox3d.data.assembly import assemble_views, channels_last, taken
from pytorchvideo_autox3d.data.augment import Erasing
from pytorchvideo_autox3d.data.batch import ClipBatch
from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.data.dataset_arguments import check_arguments, check_copies, check_modality
from pytorchvideo_autox3d.data.decode import VideoReader, find_reader
from pytorchvideo_autox3d.data.decoded_copies import DecodedCopies
from pytorchvideo_autox3d.data.flow import FlowReader, mirrored_flow
from pytorchvideo_autox3d.data.frames import FrameManifest, FramesReader
from pytorchvideo_autox3d.data.list_forms import find_list, read_list
from pytorchvideo_autox3d.data.manifest import Manifest, VideoRecord
from pytorchvideo_autox3d.data.segments import segment_frames, segment_views
from pytorchvideo_autox3d.data.time_limit import call_within
from pytorchvideo_autox3d.data.transforms import ClipNormalize, TrainTransform, jittered_scale
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import View, center_view, clip_span, frame_indices, random_view, uniform_views
from pytorchvideo_autox3d.errors import DataError, DecodeError, NoListError
from pytorchvideo_autox3d.registry import DATASET_REGISTRY

FRAME_SAMPLINGS = ("clip", "segments")


def clip_generator(seed: int, epoch: int, index: int) -> torch.Generator:
    """The generator of one clip's random choices: a function of these three numbers and nothing else."""
    state = np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


class VideoDataset(Dataset[ClipBatch]):
    """A list of labelled videos; the base of every data set.

    An item is a `ClipBatch`: one clip in "train" (random in time and space, augmented) and "val" (in the middle); all
    num_clips * num_crops views of the video, decoded once, in "test". A key is the index of a video, or the pair
    (epoch, index). What a clip holds depends on (seed, epoch, index) alone, not on workers or processes. A video
    shorter than a clip repeats its last frame.

    Args:
        manifest: the list, or its path.
        mode: "train", "val" or "test".
        num_frames, sampling_rate, target_fps: T frames, every `sampling_rate`-th at `target_fps` frames a second.
        crop_size: side of the square clip.
        jitter_scales: the range of the short side in training; its lower end is the short side in validation.
        test_short_side: the short side in tests; by default crop_size for three crops, which then reach both ends,
            and jitter_scales[0] for one, as in PySlowFast, unless the crop is larger.
        num_clips, num_crops: views of a test.
        path_prefix, num_classes: see `read_list`; for a manifest given as a path.
        horizontal_flip, auto_augment, interpolation, erasing: see `TrainTransform`.
        seed: of every random choice.
        frame_sampling: "clip", T frames at the sampling rate; "segments", one of each of T equal segments of the video
            (see `segment_frames`), where the sampling rate has no effect; "" is the data set's own, here "clip".
        modality: "rgb"; "flow", two channels of optical flow, which must lie beside the videos (see `data.flow`); or
            "rgb+flow", both in one clip of five channels. Flow takes no `auto_augment`.
        reader: the name of the video reader.
        decode_seconds: the time a video may take to decode, past which it is a `DecodeError`; 0 waits for ever.
        decoded_dir: a folder for decoded copies of the videos, see `DecodedCopies`; "" makes none.
        normalize: applied to the clips; None leaves them uint8, which is cheaper to move.

    Raises:
        DataError: a wrong argument or list.
        DecodeError: from items: the video can't be read; names the file, the cause, and the line of the list.
    """

    own_sampling = "clip"

    def __init__(
        self,
        *,
        manifest: Manifest | str,
        mode: str,
        num_frames: int,
        sampling_rate: int,
        crop_size: int,
        target_fps: float = 30,
        jitter_scales: Sequence[int] = (256, 320),
        test_short_side: int | None = None,
        num_clips: int = 10,
        num_crops: int = 3,
        path_prefix: str = "",
        num_classes: int | None = None,
        horizontal_flip: bool = True,
        auto_augment: str = "",
        interpolation: str = "nearest",
        erasing: Erasing | None = None,
        seed: int = 0,
        frame_sampling: str = "",
        modality: str = "rgb",
        reader: str = "pyav",
        decode_seconds: float = 60,
        decoded_dir: str = "",
        normalize: ClipNormalize | None = None,
    ) -> None:
        if isinstance(manifest, str):
            manifest = read_list(manifest, path_prefix=path_prefix, num_classes=num_classes)
        if test_short_side is None:
            test_short_side = crop_size if num_crops == 3 else max(crop_size, jitter_scales[0])
        check_arguments(
            mode, num_frames, sampling_rate, target_fps, crop_size, jitter_scales, num_clips, num_crops, test_short_side
        )
        if mode != "test" and not manifest.labelled:
            raise DataError(f"{manifest.name}: has no labels; only a test can do without")
        self.manifest, self.mode, self.seed, self.epoch = manifest, mode, seed, 0
        self.frame_sampling = self.sampling(frame_sampling)
        check_modality(modality, manifest, auto_augment)
        self.modality = modality
        self.num_frames, self.sampling_rate, self.target_fps = num_frames, sampling_rate, target_fps
        self.crop_size, self.jitter_scales = crop_size, tuple(jitter_scales)
        self.test_short_side, self.num_clips, self.num_crops = test_short_side, num_clips, num_crops
        self._augment = TrainTransform(
            crop_size=crop_size,
            horizontal_flip=horizontal_flip,
            auto_augment=auto_augment,
            interpolation=interpolation,
            erasing=erasing,
        )
        # The reader itself rather than its name: a worker that starts afresh has imported nothing that registers it.
        self._open_reader = find_reader(reader)
        if decoded_dir:
            check_copies(manifest)
            largest = max(*jitter_scales, test_short_side)
            self._open_reader = DecodedCopies(self._open_reader, decoded_dir, short_side=largest)
        self._decode_seconds, self._normalize = decode_seconds, normalize

    @classmethod
    def find(
        cls,
        folder: str,
        mode: str,
        *,
        path_prefix: str = "",
        num_classes: int | None = None,
        split: int = 1,
        classes: ClassNames = UNNAMED,
    ) -> Manifest:
        """The list of a mode in `folder`: `<mode>.csv`, `<mode>.json`, or the folder `<mode>/` of class folders.

        `classes` are those of a network that is tested; without, the folder's own numbering holds for all modes.

        Args:
            folder: where the lists are.
            mode: "train", "val" or "test".
            path_prefix: joined before the paths of the videos.
            num_classes: how many classes there must be; None takes any number.
            split: has no effect here; for data sets that publish several.
            classes: those of a network that is tested, which the data set's must agree with.
        Raises:
            NoListError: there is no such folder, or no list in it.
            DataError: a list has a fault; names the file and the line.
        """
        if "://" not in folder and not os.path.isdir(folder):
            raise NoListError(f"{folder}: no such folder")
        return find_list(folder, mode, path_prefix=path_prefix, num_classes=num_classes, classes=classes)

    @classmethod
    def sampling(cls, asked: str = "") -> str:
        """Which of `FRAME_SAMPLINGS` is meant: the one asked for, or the data set's own.

        Raises:
            DataError: there is no such sampling.
        """
        if asked and asked not in FRAME_SAMPLINGS:
            raise DataError(f"frame_sampling is {asked!r}, expected one of {', '.join(FRAME_SAMPLINGS)}")
        return asked or cls.own_sampling

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def num_videos(self) -> int:
        """N, the videos of the list."""
        return len(self.manifest)

    @property
    def num_views(self) -> int:
        """Views that every item holds."""
        return self.num_clips * self.num_crops if self.mode == "test" else 1

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The class of every video."""
        return self.manifest.labels

    @property
    def paths(self) -> Sequence[str]:
        """The file of every video."""
        return self.manifest.paths

    def set_epoch(self, epoch: int) -> None:
        """Draw the clips of this epoch when items are asked for by index alone."""
        self.epoch = epoch

    def __getitem__(self, key: int | tuple[int, int]) -> ClipBatch:
        epoch, index = key if isinstance(key, tuple) else (self.epoch, key)
        record = self.manifest.record(index)
        try:
            clips_BTCHW, flipped = self._clips(record, clip_generator(self.seed, epoch, index))
        except DecodeError as error:
            raise DecodeError(self.manifest.with_location(index, str(error))) from None
        clip_BCTHW = clips_BTCHW.transpose(1, 2)
        num_views = len(clip_BCTHW)
        return ClipBatch(
            clip_BCTHW if self._normalize is None else self._normalize(clip_BCTHW),
            torch.full((num_views,), self._label(record.label, flipped)),
            torch.full((num_views,), index),
            torch.arange(num_views),
        )

    def _clips(self, record: VideoRecord, generator: torch.Generator) -> tuple[Tensor, bool]:
        """uint8 clips_BTCHW of one video, stored channels last, and whether they are mirrored."""
        seconds = 0 if self._copied(record.path) else self._decode_seconds
        views, numbers, needed, frames_NCHW = call_within(
            lambda: self._decoded(record, generator), seconds=seconds, path=record.path
        )
        place = {number: n for n, number in enumerate(needed)}
        rows = [[place[number] for number in clip] for clip in numbers]
        if self.mode == "train":
            clip_TCHW, flipped = self._augment.with_flip(taken(frames_NCHW, rows[0]), generator)
            if flipped and self.modality != "rgb":
                clip_TCHW = mirrored_flow(clip_TCHW)
            return channels_last(clip_TCHW.unsqueeze(0)), flipped
        return assemble_views(frames_NCHW, rows, views, self.crop_size), False

    def _decoded(
        self, record: VideoRecord, generator: torch.Generator
    ) -> tuple[list[View], list[list[int]], list[int], Tensor]:
        """The views, each one's frame numbers, all of these once in order, and the frames_NCHW of that."""
        with self._open(record) as video:
            views, numbers = self._sampled(video.metadata(), generator)
            needed = sorted({number for clip in numbers for number in clip})
            return views, numbers, needed, video.read(needed, short_side=self._short_side(generator))

    def _copied(self, path: str) -> bool:
        """Whether nothing has to be decoded, and so nothing can hang."""
        reader = self._open_reader
        return isinstance(reader, DecodedCopies) and self.modality == "rgb" and reader.holds(path)

    def _open(self, record: VideoRecord) -> VideoReader:
        if isinstance(self.manifest, FrameManifest):
            return FramesReader(self.manifest.frame_paths(record.index), name=record.path)
        if self.modality != "rgb":
            return FlowReader(self._open_reader, record.path, colours=self.modality == "rgb+flow")
        return self._open_reader(record.path)

    def _label(self, label: int, flipped: bool) -> int:
        return label

    def _sampled(self, metadata: VideoMetadata, generator: torch.Generator) -> tuple[list[View], list[list[int]]]:
        """The views of an item, and the T frame numbers of each."""
        if self.frame_sampling == "segments":
            return self._segments(metadata.num_frames, generator)
        views = self._views(metadata, generator)
        return views, [frame_indices(view, self.num_frames, metadata.num_frames) for view in views]

    def _segments(self, video_frames: int, generator: torch.Generator) -> tuple[list[View], list[list[int]]]:
        if self.mode == "test":
            return segment_views(video_frames, self.num_frames, num_clips=self.num_clips, num_crops=self.num_crops)
        draw = generator if self.mode == "train" else None
        return [View(0, video_frames - 1)], [segment_frames(video_frames, self.num_frames, generator=draw)]

    def _views(self, metadata: VideoMetadata, generator: torch.Generator) -> list[View]:
        span = clip_span(self.num_frames, self.sampling_rate, self.target_fps, metadata.fps)
        if self.mode == "train":
            return [random_view(metadata.num_frames, span, generator)]
        if self.mode == "val":
            return [center_view(metadata.num_frames, span)]
        return uniform_views(metadata.num_frames, span, num_clips=self.num_clips, num_crops=self.num_crops)

    def _short_side(self, generator: torch.Generator) -> int:
        if self.mode == "train":
            return jittered_scale(self.jitter_scales, generator)
        return self.jitter_scales[0] if self.mode == "val" else self.test_short_side


@DATASET_REGISTRY.register(name="kinetics")
class Kinetics(VideoDataset):
    """Kinetics, or any data set whose lists are in one of the forms that `find_list` knows."""
