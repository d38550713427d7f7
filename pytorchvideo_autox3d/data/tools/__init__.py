"""The data tools: what makes, checks and rewrites lists and videos before a job reads them."""

from pytorchvideo_autox3d.data.tools.demo import DemoSettings, make_demo_data
from pytorchvideo_autox3d.data.tools.demo_motion import CLASSES as DEMO_CLASSES

__all__ = ["DEMO_CLASSES", "DemoSettings", "make_demo_data"]
