"""Train, test or search from PySlowFast-style yaml configs: the same as `autox3d run`.

python tools/run_net.py --cfg configs/autox3d/S.yaml [more.yaml ...] [--opts] [KEY VALUE ...]
torchrun --nproc-per-node 8 tools/run_net.py --cfg configs/autox3d/S.yaml
"""

import sys

from pytorchvideo_autox3d.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
