"""`python -m pytorchvideo_autox3d` is the `autox3d` command."""

import sys

from pytorchvideo_autox3d.cli import main

if __name__ == "__main__":
    sys.exit(main())
