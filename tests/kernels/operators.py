"""Which operators a call runs."""

from torch.utils._python_dispatch import TorchDispatchMode


class Recorder(TorchDispatchMode):
    """Remembers the operators that ran."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func)
        return func(*args, **(kwargs or {}))

    def count(self, name):
        """How many operators ran whose name begins with `name`."""
        return sum(str(func).startswith(name) for func in self.seen)


def runs(kernel, call):
    """Whether `call` runs the operator `kernel`."""
    with Recorder() as recorder:
        call()
    return kernel in recorder.seen
