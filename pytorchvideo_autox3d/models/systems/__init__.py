"""The other systems of the paper's Tables 5 and 6, each from its own paper; importing this registers them."""

from pytorchvideo_autox3d.models.systems.c3d import create_c3d
from pytorchvideo_autox3d.models.systems.frame_resnets import (
    create_gst,
    create_smallbignet,
    create_stm,
    create_tsm_resnet,
)
from pytorchvideo_autox3d.models.systems.inception import create_i3d_inception, create_i3d_two_stream, create_s3d_g
from pytorchvideo_autox3d.models.systems.mfnet import create_mfnet
from pytorchvideo_autox3d.models.systems.tsm_mobilenet import create_tsm_mobilenet_v2
from pytorchvideo_autox3d.models.systems.video_resnets import (
    create_ip_csn,
    create_r2plus1d_basic,
    create_r2plus1d_two_stream,
)
from pytorchvideo_autox3d.models.systems.vov3d import create_vov3d_l, create_vov3d_m

__all__ = [
    "create_c3d",
    "create_gst",
    "create_i3d_inception",
    "create_i3d_two_stream",
    "create_ip_csn",
    "create_mfnet",
    "create_r2plus1d_basic",
    "create_r2plus1d_two_stream",
    "create_s3d_g",
    "create_smallbignet",
    "create_stm",
    "create_tsm_mobilenet_v2",
    "create_tsm_resnet",
    "create_vov3d_l",
    "create_vov3d_m",
]
