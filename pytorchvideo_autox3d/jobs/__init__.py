"""The jobs that a config asks for: search, train, test. `build` turns each config key into the argument it stands for.

A job is made `from_config`, which checks config, lists and checkpoints and raises every error that they can show, so
that days of training don't end in a typing error in a key of the test. Nothing is written and no video is opened before
its `run`.
"""

from pytorchvideo_autox3d.jobs.launch import Job, launch, make_jobs, run
from pytorchvideo_autox3d.jobs.search import SearchJob
from pytorchvideo_autox3d.jobs.test import TestJob
from pytorchvideo_autox3d.jobs.train import TrainJob

__all__ = ["Job", "SearchJob", "TestJob", "TrainJob", "launch", "make_jobs", "run"]
