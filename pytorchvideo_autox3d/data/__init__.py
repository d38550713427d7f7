"""Video files in, batches of clips out: manifest -> views -> decode -> transforms -> loader.

Shapes: B clips, T frames, C channels (RGB), H, W; N videos of a list.
"""

from pytorchvideo_autox3d.data.action_splits import HMDB51, UCF101
from pytorchvideo_autox3d.data.array_reader import ArrayReader
from pytorchvideo_autox3d.data.augment import ClipMix, Erasing, policy_transform
from pytorchvideo_autox3d.data.batch import ClipBatch, collate_clips
from pytorchvideo_autox3d.data.classes import UNNAMED, ClassNames
from pytorchvideo_autox3d.data.dataset import Kinetics, VideoDataset, assemble_views, clip_generator
from pytorchvideo_autox3d.data.decode import VideoReader, check_reader, open_video
from pytorchvideo_autox3d.data.faults import FaultCounter, FaultPolicy
from pytorchvideo_autox3d.data.flow import MODALITIES
from pytorchvideo_autox3d.data.frames import FrameManifest
from pytorchvideo_autox3d.data.list_forms import find_list, read_list
from pytorchvideo_autox3d.data.loader import ClipLoader, build_loader
from pytorchvideo_autox3d.data.manifest import Manifest, VideoRecord
from pytorchvideo_autox3d.data.sampler import ClipBatchSampler
from pytorchvideo_autox3d.data.something import SomethingSomething
from pytorchvideo_autox3d.data.transforms import ClipNormalize, TrainTransform
from pytorchvideo_autox3d.data.video_metadata import VideoMetadata
from pytorchvideo_autox3d.data.views import View
from pytorchvideo_autox3d.data.worker_watch import lost_worker, naming_lost_workers

__all__ = [
    "HMDB51",
    "MODALITIES",
    "UCF101",
    "UNNAMED",
    "ArrayReader",
    "ClassNames",
    "ClipBatch",
    "ClipBatchSampler",
    "ClipLoader",
    "ClipMix",
    "ClipNormalize",
    "Erasing",
    "FaultCounter",
    "FaultPolicy",
    "FrameManifest",
    "Kinetics",
    "Manifest",
    "SomethingSomething",
    "TrainTransform",
    "VideoDataset",
    "VideoMetadata",
    "VideoReader",
    "VideoRecord",
    "View",
    "assemble_views",
    "build_loader",
    "check_reader",
    "clip_generator",
    "collate_clips",
    "find_list",
    "lost_worker",
    "naming_lost_workers",
    "open_video",
    "policy_transform",
    "read_list",
]
