"""LLVM code for the inner loops of the depthwise convolution: register tiles, unrolled, vectorised over channels.

Numba's own vectoriser keeps an accumulator in memory for every tap of a convolution; what makes these kernels
fast is that a tile of output columns (or of weight taps, `depthwise_weight_ir.py`) stays in registers while the taps go
by, so the tiles are written as LLVM vectors here and the loops around them in numba (`depthwise_loops.py`).

A row of a tensor is (W, C), channels last. A tile is a run of columns; which input column meets which output
column and which tap is decided while the code is generated, so the edges of a row cost no test: a tile that
touches an edge is simply another tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from llvmlite import ir

from pytorchvideo_autox3d.kernels.activation_ir import activate
from pytorchvideo_autox3d.kernels.vector_ir import (
    I64,
    LINE_BYTES,
    Element,
    channel_vectors,
    copy_past_caches,
    counted,
    load,
    multiply_add,
    new_function,
    offset,
    zeros,
)

Kind = Literal["forward", "input_gradient"]
_COLUMNS = 10


class Tap(NamedTuple):
    """One product of a tile: input column `col` times kernel tap `tap` is added to output column `out`.

    Columns are counted from the beginning of the tile, so an input column may be negative.
    """

    out: int
    col: int
    tap: int


def correlate_taps(kind: Kind, size: int, stride: int, columns: int, low: int | None, high: int | None) -> list[Tap]:
    """List the products of a tile, without those that meet padding.

    Args:
        kind: "forward", or "input_gradient", whose outputs are the columns of the convolution's input.
        size: width of the kernel, odd.
        stride: along the row.
        columns: output columns of the tile; for "input_gradient" it begins at a multiple of the stride.
        low: the first input column of the row, relative to the tile; None where the tile can't reach it.
        high: one past the last input column; None where the tile can't reach it.
    """
    pad = size // 2
    taps = []
    for out in range(columns):
        for tap in range(size):
            if kind == "forward":
                col, aligned = out * stride + tap - pad, True
            else:
                col, rest = divmod(out + pad - tap, stride)
                aligned = rest == 0
            if aligned and (low is None or col >= low) and (high is None or col < high):
                taps.append(Tap(out, col, tap))
    return taps


def input_columns(kind: Kind, stride: int, columns: int) -> list[int]:
    """List how many input columns a row may have left where a tile holds its last `columns` output columns."""
    if kind == "input_gradient":
        return [-(-columns // stride)]
    return list(range((columns - 1) * stride + 1, columns * stride + 1))


# Output rows longer than this are not written past the caches: they are put together on the stack first.
MOST_ROW_BYTES = 1 << 16
_ARGUMENTS = ("x", "w", "out", "bias", "n_dt", "n_dh", "x_dt", "x_dh", "w_dt", "w_dh", "channels")
# What a tile does with its sums before it stores them: nothing, or add the bias and apply an activation.
PLAIN = "plain"


def _correlate_tile(
    module: ir.Module, element: Element, size: int, columns: int, taps: Sequence[Tap], epilogue: str
) -> ir.Function:
    """Emit a function for `columns` output columns: sum input columns times taps over n_dt x n_dh kernel rows.

    `epilogue` is PLAIN or the name of an activation, which is applied to the sums plus the bias.
    """
    builder, arg = new_function(module, f"correlate_{columns}", _ARGUMENTS)
    acc_bytes = element.accumulator_bytes
    with channel_vectors(builder, arg["channels"], element.width) as (channel, _):
        cells = zeros(builder, element, columns)
        x = offset(builder, arg["x"], (channel, element.bytes))
        w = offset(builder, arg["w"], (channel, acc_bytes))
        with counted(builder, arg["n_dt"]) as dt, counted(builder, arg["n_dh"]) as dh:
            x_row = offset(builder, x, (dt, arg["x_dt"]), (dh, arg["x_dh"]))
            w_row = offset(builder, w, (dt, arg["w_dt"]), (dh, arg["w_dh"]))
            weights = [
                load(builder, offset(builder, w_row, (arg["channels"], tap * acc_bytes)), element.vector, acc_bytes)
                for tap in range(size)
            ]
            for col in sorted({tap.col for tap in taps}):
                value = element.load(builder, offset(builder, x_row, (arg["channels"], col * element.bytes)))
                for tap in (t for t in taps if t.col == col):
                    cell = cells[tap.out]
                    builder.store(multiply_add(builder, value, weights[tap.tap], builder.load(cell)), cell)
        has_bias = epilogue != PLAIN
        if has_bias:
            bias = load(builder, offset(builder, arg["bias"], (channel, acc_bytes)), element.vector, acc_bytes)
        for out, cell in enumerate(cells):
            address = offset(builder, arg["out"], (channel, element.bytes), (arg["channels"], out * element.bytes))
            total = builder.load(cell)
            if has_bias:
                total = activate(builder, element, epilogue, builder.fadd(total, bias))
            element.store(builder, total, address)
    builder.ret_void()
    return builder.function


class _Tiles:
    """The tile functions of a module, one for each distinct list of taps."""

    def __init__(self, make: Callable[[int, Sequence[Tap]], Any], kind: Kind, size: int, stride: int) -> None:
        self._make, self._kind, self._size, self._stride = make, kind, size, stride
        self._made: dict[tuple[int, tuple[Tap, ...]], Any] = {}

    def get(self, columns: int, low: int | None, high: int | None) -> Any:
        """The function for a tile of `columns` columns with these limits, made once."""
        taps = correlate_taps(self._kind, self._size, self._stride, columns, low, high)
        key = (columns, tuple(taps))
        if key not in self._made:
            self._made[key] = self._make(columns, taps)
        return self._made[key]


def switch_tiles(
    builder: ir.IRBuilder,
    kind: Kind,
    stride: int,
    sizes: Sequence[int],
    columns: ir.Value,
    inputs: ir.Value,
    emit: Callable[[int, int], None],
) -> None:
    """Emit a branch to the tile that fits what is left of a row.

    Args:
        builder: where the branch is written.
        kind: "forward" or "input_gradient".
        stride: along the row.
        sizes: the numbers of output columns that may be left.
        columns: the number of output columns that are left.
        inputs: the number of input columns beside them.
        emit: writes the code of one case, (output columns, input columns).
    """
    done = builder.append_basic_block("done")
    key = offset(builder, inputs, (columns, 1024))
    choice = builder.switch(key, done)
    for count in sizes:
        for high in input_columns(kind, stride, count):
            block = builder.append_basic_block(f"tile_{count}_{high}")
            choice.add_case(ir.Constant(I64, count * 1024 + high), block)
            builder.position_at_end(block)
            emit(count, high)
            builder.branch(done)
    builder.position_at_end(done)


def correlate_row(
    module: ir.Module, element: Element, kind: Kind, size: int, stride: int, epilogue: str
) -> ir.Function:
    """Emit a function for one output row: tiles for its left edge, interior and right edge, or one tile if it is short.

    Args:
        module: where the function is written.
        element: how the tensors store numbers, and channels of a vector.
        kind: "forward" or "input_gradient".
        size: width of the kernel.
        stride: along the row.
        epilogue: PLAIN, or the activation of the sums plus the bias.
    """
    names = (*_ARGUMENTS, "w_out", "w_in")
    builder, arg = new_function(module, "correlate_row", names)
    tiles = _Tiles(lambda n, taps: _correlate_tile(module, element, size, n, taps, epilogue), kind, size, stride)
    most, least = _COLUMNS, max(size // 2, 1)
    x_step = most * stride if kind == "forward" else most // stride
    pixel = builder.mul(arg["channels"], ir.Constant(I64, element.bytes))

    def call(tile: ir.Function, x: ir.Value, out: ir.Value) -> None:
        builder.call(tile, [x if n == "x" else out if n == "out" else arg[n] for n in _ARGUMENTS])

    # The last tile has at least `least` columns, so that no other touches the right edge.
    with builder.if_else(builder.icmp_signed("<", arg["w_out"], ir.Constant(I64, most + least))) as (short, long):
        with short:
            switch_tiles(builder, kind, stride, range(1, most + least), arg["w_out"], arg["w_in"],
                         lambda n, high: call(tiles.get(n, 0, high), arg["x"], arg["out"]))  # fmt: skip
        with long:
            call(tiles.get(most, 0, None), arg["x"], arg["out"])
            middle = builder.udiv(builder.sub(arg["w_out"], ir.Constant(I64, most + least)), ir.Constant(I64, most))
            with counted(builder, middle) as index:
                number = builder.mul(builder.add(index, ir.Constant(I64, 1)), pixel)
                x = offset(builder, arg["x"], (number, x_step))
                call(tiles.get(most, None, None), x, offset(builder, arg["out"], (number, most)))
            number = builder.add(middle, ir.Constant(I64, 1))
            x = offset(builder, arg["x"], (builder.mul(number, pixel), x_step))
            out = offset(builder, arg["out"], (builder.mul(number, pixel), most))
            columns = offset(builder, arg["w_out"], (number, -most))
            inputs = offset(builder, arg["w_in"], (number, -x_step))
            switch_tiles(builder, kind, stride, range(least, most + least), columns, inputs,
                         lambda n, high: call(tiles.get(n, None, high), x, out))  # fmt: skip
    builder.ret_void()
    return builder.function


def past_caches(module: ir.Module, element: Element, row: ir.Function) -> ir.Function:
    """Emit a function like `row`, the result of `correlate_row`, that writes its output row past the caches.

    A tile writes vectors of many pixels, each a piece of a line, which would have to be read first. So the row is put
    together in a few kilobytes of the stack and copied from there, line by line. It must be whole lines, at most
    `MOST_ROW_BYTES`, and begin at one.
    """
    names = (*_ARGUMENTS, "w_out", "w_in")
    builder, arg = new_function(module, "row_past_caches", names)
    size = builder.mul(builder.mul(arg["w_out"], arg["channels"]), ir.Constant(I64, element.bytes))
    buffer = builder.alloca(ir.IntType(8), size=size)
    buffer.align = LINE_BYTES
    source = builder.ptrtoint(buffer, I64)
    builder.call(row, [source if name == "out" else arg[name] for name in names])
    copy_past_caches(module, builder, source, arg["out"], builder.udiv(size, ir.Constant(I64, LINE_BYTES)))
    builder.ret_void()
    return builder.function
