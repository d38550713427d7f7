"""The benchmarks of `autox3d bench`: each has `run(...)`, which returns plain data, and a function to print it."""
