"""Using a trained network: on videos and arrays, on long videos, with calibrated scores.

    Recognizer.from_checkpoint("output/mine/checkpoints/checkpoint_epoch_00030.pyth")("video.mp4").top

Shapes: V views of a video, C colours, T frames, H and W pixels, K classes.
"""

from pytorchvideo_autox3d.predict.prediction import ClipPrediction, Prediction
from pytorchvideo_autox3d.predict.recognizer import Recognizer
from pytorchvideo_autox3d.predict.segments import Segment
from pytorchvideo_autox3d.predict.timeline import Timeline, read_timeline
from pytorchvideo_autox3d.predict.video_clips import VideoClips, Views, read_clips

__all__ = [
    "ClipPrediction",
    "Prediction",
    "Recognizer",
    "Segment",
    "Timeline",
    "VideoClips",
    "Views",
    "read_clips",
    "read_timeline",
]
