"""Compiles kernels with numba: bodies that take items from a shared counter and call functions written as LLVM code.

A kernel is a C callback that takes the address of its parameters, 64-bit integers, and works on the next item until
none is left; any number of threads may run it at once. It is compiled at its first use and kept on disk.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pytorchvideo_autox3d.kernels import vector_ir

# Where a kernel's parameters have the number of items and, for kernels that ask, the count of those finished. The first
# parameter is the number of the next item.
ITEMS, FINISHED = 1, 2
_logger = logging.getLogger(__name__)


def _next_item(typingctx: Any, address: Any) -> Any:
    """Take the next item: increment the counter at `address` atomically and return its old value."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        counter = builder.bitcast(args[0], vector_ir.I64.as_pointer())
        # Ordered after what the thread has written; on x86 it also waits for what was written past the caches.
        return builder.atomic_rmw("add", counter, ir.Constant(vector_ir.I64, 1), "acq_rel")

    return types.int64(types.voidptr), codegen


def _finished_items(typingctx: Any, address: Any) -> Any:
    """Count one more finished item in the parameters at `address`; whoever counts the last sees all others' work."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        parameters = builder.bitcast(args[0], vector_ir.I64.as_pointer())
        counter = builder.gep(parameters, [ir.Constant(vector_ir.I64, FINISHED)])
        one = ir.Constant(vector_ir.I64, 1)
        return builder.add(builder.atomic_rmw("add", counter, one, "acq_rel"), one)

    return types.int64(types.voidptr), codegen


def _pointer(typingctx: Any, address: Any) -> Any:
    """The integer `address` as a pointer, for `numba.carray`."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


next_item: Any = intrinsic(_next_item)
finished_items: Any = intrinsic(_finished_items)
pointer: Any = intrinsic(_pointer)


def row_caller(build: Callable[[ir.Module, str], ir.Function]) -> Any:
    """Make a function that kernels call to run LLVM code of ours.

    Args:
        build: writes a function of 64-bit integers into the module, for the kernel that the string describes.
    Returns:
        A function (config, arguments) for use inside numba code: `config` is a literal string, `arguments` a tuple of
        64-bit integers.
    """

    def call_row(typingctx: Any, config: Any, arguments: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            values = [builder.extract_value(args[1], index) for index in range(len(arguments))]
            builder.call(build(builder.module, config.literal_value), values)
            return context.get_dummy_value()

        return types.void(config, arguments), codegen

    return intrinsic(prefer_literal=True)(call_row)


def revision(generators: Iterable[ModuleType]) -> str:
    """A short hash of the code generators' sources, to be part of a kernel's name.

    numba compiles a kernel anew when the kernel's own file changes, but not when a module that it imports does; with
    this hash in its name it does.
    """
    sources = (Path(str(module.__file__)).read_bytes() for module in generators)
    return hashlib.sha256(b"".join(sources)).hexdigest()[:16]


def compile_kernel(body: Callable[[Any], None], config: str) -> Any:
    """Compile `body(parameters)` to a C callback, and keep it on disk where numba finds a place it may write to.

    Args:
        body: takes the address of the parameters and works on items until none is left.
        config: what the kernel is compiled for, for the log.
    """
    compiler = partial(numba.cfunc, types.void(types.voidptr), error_model="numpy")
    start = time.perf_counter()
    try:
        compiled = compiler(cache=True)(body)
        where = "kept on disk"
    except RuntimeError:  # "cannot cache function": a read-only installation and no home
        compiled = compiler()(body)
        where = "for this process only: numba may write nowhere (NUMBA_CACHE_DIR)"
    if not compiled.cache_hits:
        kernel = config.rpartition("/")[0]
        _logger.info("compiled kernel %s in %.1f s, %s", kernel, time.perf_counter() - start, where)
    return compiled
