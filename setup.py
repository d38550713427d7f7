"""Packaging. Lower bounds only: what is tested together is pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "pytorchvideo_autox3d/__init__.py").read_text()).group(1)
# The yaml files live at the top of the repository, where PySlowFast users look for them, and are installed as
# the data package `pytorchvideo_autox3d.configs`, so a wheel finds them too.
PACKAGES = find_packages(include=["pytorchvideo_autox3d", "pytorchvideo_autox3d.*"])

setup(
    name="pytorchvideo_autox3d",
    version=VERSION,
    description="AutoX3D: search, train, test and export efficient video-recognition networks",
    long_description=(ROOT / "README.md").read_text(encoding="utf8") if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*PACKAGES, "pytorchvideo_autox3d.configs"],
    package_dir={"pytorchvideo_autox3d.configs": "configs"},
    package_data={
        "pytorchvideo_autox3d": ["py.typed"],
        "pytorchvideo_autox3d.space": ["*.yaml"],
        "pytorchvideo_autox3d.nasbench": ["*.npz"],
        "pytorchvideo_autox3d.report": ["page.css", "page.html"],
        "pytorchvideo_autox3d.models": ["*.json", "packages/*/*"],
        "pytorchvideo_autox3d.configs": ["**/*.yaml"],
    },
    install_requires=[
        "torch>=2.11",
        "torchvision>=0.26",
        "pytorchvideo>=0.1.5",
        "fvcore>=0.1.5",
        "fsspec>=2024.2",
        "iopath>=0.1.10",
        "safetensors>=0.4",
        "simplejson>=3.17",
        "pyyaml>=6.0",
        "av>=17.0",
        "pillow>=10.0",
        "numpy>=1.26",
        "numba>=0.60",
        "rich>=13.0",
        "tensorboard>=2.14",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "scipy>=1.11",
    ],
    extras_require={
        "demo": ["scikit-image>=0.22", "scikit-learn>=1.3", "statsmodels>=0.14"],
        "test": [
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.10",
            "types-PyYAML",
            "types-simplejson",
            "onnx>=1.16",
            "onnxscript>=0.1",
            "onnxruntime>=1.18",
            "openvino>=2024.0",
            "nncf>=3.0",
            "opencv-python-headless>=4.8",
            "scikit-image>=0.22",
            "scikit-learn>=1.3",
            "statsmodels>=0.14",
            "scikit-video>=1.1.11",
            "huggingface_hub>=0.23",
            "grad-cam>=1.5.3",
            "submitit>=1.5",
            "pymoo>=0.6.2",
        ],
        "web": ["gradio>=5.0"],
        "probe": ["scikit-learn>=1.3"],
        "gradcam": ["grad-cam>=1.5.3"],
        "export": ["onnx>=1.16", "onnxscript>=0.1", "onnxruntime>=1.18", "openvino>=2024.0", "nncf>=3.0"],
        # These pin much, and can be installed together: an environment of their own is the safe place for them.
        "executorch": ["executorch>=1.5"],
        "litert": ["litert-torch>=0.10", "ai-edge-litert>=2.0"],
        "coreml": ["coremltools>=9.0"],
        "hub": ["huggingface_hub>=0.23"],
        "torchcodec": ["torchcodec>=0.11"],
        "slowfast": ["opencv-python-headless>=4.8", "pandas>=2.0", "scikit-learn>=1.3", "psutil>=5.9"],
        "slurm": ["submitit>=1.5"],
        "nsga2": ["pymoo>=0.6.2"],
        "flow": ["opencv-python-headless>=4.8"],
        "detection": ["opencv-python-headless>=4.8", "pandas>=2.0"],
    },
    entry_points={"console_scripts": ["autox3d = pytorchvideo_autox3d.cli:main"]},
)
