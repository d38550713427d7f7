"""What `autox3d bench` runs: each module has `run(...)`, giving plain data, and `print_table(result)`."""
