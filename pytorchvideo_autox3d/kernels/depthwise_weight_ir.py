"""LLVM code for the weight gradient of the depthwise convolution: the taps of a kernel frame stay in registers.

See `depthwise_ir.py` for rows, tiles and their edges.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from pytorchvideo_autox3d.kernels.depthwise_ir import correlate_taps, switch_tiles
from pytorchvideo_autox3d.kernels.vector_ir import (
    I64,
    Element,
    channel_vectors,
    counted,
    load,
    multiply_add,
    new_function,
    offset,
    store,
    zeros,
)

# Taps of one pass that are kept in registers: 3x3 and 5x5 whole, 7x7 three rows at a time.
_MOST_TAPS = 25
_COLUMNS = 8
_ARGUMENTS = (
    "x", "gout", "acc", "n_t", "x_t", "gout_t", "x_row", "dh_low", "dh_high", "channels", "slots", "w_out", "w_in",
)  # fmt: skip


def rows_per_pass(size: int) -> int:
    """How many kernel rows of width `size` have their weight gradient in registers during one pass."""
    return max(1, min(size, _MOST_TAPS // size))


class _WeightPass:
    """Emits one pass of the weight gradient: for every vector of channels, sum over frames and columns.

    The `rows x size` taps of one kernel frame are accumulators in registers; `x` points at the input row that
    meets kernel row 0 (which may lie in the padding: only rows in [dh_low, dh_high) are read).
    """

    def __init__(self, module: ir.Module, element: Element, size: int, stride: int, name: str) -> None:
        self.element, self.size, self.stride = element, size, stride
        self.builder, self.arg = new_function(module, name, _ARGUMENTS)
        self.rows = rows_per_pass(size)
        self.pixel = self.builder.mul(self.arg["channels"], ir.Constant(I64, element.bytes))
        self.valid: list[ir.Value] = []
        for row in range(self.rows):
            number = ir.Constant(I64, row)
            above = self.builder.icmp_signed(">=", number, self.arg["dh_low"])
            self.valid.append(self.builder.and_(above, self.builder.icmp_signed("<", number, self.arg["dh_high"])))
        self.cells: list[ir.Value] = []

    def run(self, body: Callable[[ir.Value, ir.Value], None]) -> ir.Function:
        """Wrap `body(x, gout)`, which adds one row's products, in the loops over channels and frames."""
        builder, arg, element = self.builder, self.arg, self.element
        acc_bytes = element.accumulator_bytes
        with channel_vectors(builder, arg["channels"], element.width) as (channel, slot):
            self.cells = zeros(builder, element, self.rows * self.size)
            x = offset(builder, arg["x"], (channel, element.bytes))
            gout = offset(builder, arg["gout"], (channel, element.bytes))
            with counted(builder, arg["n_t"]) as t:
                body(offset(builder, x, (t, arg["x_t"])), offset(builder, gout, (t, arg["gout_t"])))
            for row in range(self.rows):
                with builder.if_then(self.valid[row]):
                    for tap in range(self.size):
                        number = row * self.size + tap
                        terms = ((slot, acc_bytes), (arg["slots"], number * acc_bytes))
                        address = offset(builder, arg["acc"], *terms)
                        total = load(builder, address, element.vector, acc_bytes)
                        total = builder.fadd(total, builder.load(self.cells[number]))
                        store(builder, total, address, acc_bytes)
        builder.ret_void()
        return builder.function

    def tile(self, x: ir.Value, gout: ir.Value, columns: int, low: int | None, high: int | None) -> None:
        """Add the products of some columns of the output gradient with the input columns that they meet.

        Args:
            x: the address of the input row, at the tile's first column.
            gout: the address of the output gradient's row, at the tile's first column.
            columns: columns of the tile.
            low, high: the first input column and the one past the last, as in `correlate_taps`.
        """
        builder, element = self.builder, self.element
        taps = correlate_taps("forward", self.size, self.stride, columns, low, high)
        grads = [element.load(builder, offset(builder, gout, (self.pixel, c))) for c in range(columns)]
        for row in range(self.rows):
            with builder.if_then(self.valid[row]):
                x_row = offset(builder, x, (self.arg["x_row"], row))
                for col in sorted({tap.col for tap in taps}):
                    value = element.load(builder, offset(builder, x_row, (self.pixel, col)))
                    for tap in (t for t in taps if t.col == col):
                        cell = self.cells[row * self.size + tap.tap]
                        builder.store(multiply_add(builder, value, grads[tap.out], builder.load(cell)), cell)


def weight_row(module: ir.Module, element: Element, size: int, stride: int) -> ir.Function:
    """Emit a function that adds one output row's part of the weight gradient.

    It covers `rows_per_pass` kernel rows and all frames.
    """
    builder, arg = new_function(module, "weight_row", _ARGUMENTS)
    limit = _COLUMNS + max(size // 2, 1)
    values = [arg[name] for name in _ARGUMENTS]

    def one_tile(columns: int, high: int) -> None:
        one = _WeightPass(module, element, size, stride, f"weight_{columns}_{high}")
        builder.call(one.run(lambda x, gout: one.tile(x, gout, columns, 0, high)), values)

    with builder.if_else(builder.icmp_signed("<", arg["w_out"], ir.Constant(I64, limit))) as (short, long):
        with short:
            switch_tiles(builder, "forward", stride, range(1, limit), arg["w_out"], arg["w_in"], one_tile)
        with long:
            builder.call(_long_weight_row(module, element, size, stride), values)
    builder.ret_void()
    return builder.function


def _long_weight_row(module: ir.Module, element: Element, size: int, stride: int) -> ir.Function:
    """Emit the function for a row that has more than one tile."""
    most, least = _COLUMNS, max(size // 2, 1)
    emit = _WeightPass(module, element, size, stride, "weight_long")
    builder, arg = emit.builder, emit.arg

    def body(x: ir.Value, gout: ir.Value) -> None:
        emit.tile(x, gout, most, 0, None)
        middle = builder.udiv(builder.sub(arg["w_out"], ir.Constant(I64, most + least)), ir.Constant(I64, most))
        with counted(builder, middle) as index:
            start = builder.mul(builder.add(index, ir.Constant(I64, 1)), ir.Constant(I64, most))
            start = builder.mul(start, emit.pixel)
            emit.tile(offset(builder, x, (start, stride)), builder.add(gout, start), most, None, None)
        number = builder.mul(builder.add(middle, ir.Constant(I64, 1)), ir.Constant(I64, most))
        start = builder.mul(number, emit.pixel)
        x, gout = offset(builder, x, (start, stride)), builder.add(gout, start)
        columns, inputs = builder.sub(arg["w_out"], number), offset(builder, arg["w_in"], (number, -stride))
        switch_tiles(builder, "forward", stride, range(least, most + least), columns, inputs,
                     lambda n, high: emit.tile(x, gout, n, None, high))  # fmt: skip

    return emit.run(body)
