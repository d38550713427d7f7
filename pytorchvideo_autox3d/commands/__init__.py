"""The subcommands of `autox3d`: one module each, with `add_arguments(parser)` and `run(args)`.

A module is imported only when its command runs, so that `autox3d --help` answers at once.
"""
