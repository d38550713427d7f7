"""LLVM code for the passes of batch normalisation with an activation: each goes once over a run of pixels.

A run is (pixels, C), channels last, of one clip; several neighbouring pixels may count as one of more channels, so that
vectors begin at the start of a line. The channels' coefficients are rows of C numbers: mean m, factor a,
offset k, and for the gradient b and c. With z = (x - m) * a + k + residual the passes are

    statistics   the sums of x - s and (x - s)^2, and s, the run's first pixel: no number of x is far from it
    apply        out = activation(z)
    reduce       the sums of h and h * (x - m), where h is grad brought back through the activation at z
    gradient     dx = h * a + (x - m) * b + c, and h where the residual needs it
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from pytorchvideo_autox3d.kernels.activation_ir import activate, through
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
    store_past_caches,
)

# Rows of the coefficients, and of the sums of a run.
MEAN, FACTOR, OFFSET, X_FACTOR, CONSTANT = range(5)
COEFFICIENT_ROWS = 5
SUM_ROWS = 3
# Pixels that are taken together: coefficients and sums are read once for all of them.
_TOGETHER = 4
_ARGUMENTS = ("x", "grad", "residual", "out", "out2", "coefficients", "sums", "pixels", "channels", "slots")


class _Pass:
    """Emits the loops of a pass: groups of pixels, and within a group the vectors of channels.

    Args:
        module: where the function is written.
        element: how the tensors store numbers, and channels of a vector.
        name: of the function.
        store_past_caches: whether results are written past the caches.
    """

    def __init__(self, module: ir.Module, element: Element, name: str, store_past_caches: bool = False) -> None:
        self.module, self.element, self.store_past_caches = module, element, store_past_caches
        self.builder, self.arg = new_function(module, name, _ARGUMENTS)

    def loops(self, body: Callable[[ir.Value, int], None]) -> None:
        """Emit `body(first pixel, number of pixels)` so that it covers all pixels of the run and all their channels."""
        builder, pixels = self.builder, self.arg["pixels"]
        together = ir.Constant(I64, _TOGETHER)
        groups = builder.udiv(pixels, together)
        for count, number in ((_TOGETHER, groups), (1, builder.urem(pixels, together))):
            start = ir.Constant(I64, 0) if count > 1 else builder.mul(groups, together)
            with (
                counted(builder, number) as index,
                channel_vectors(builder, self.arg["channels"], self.element.width) as (self.channel, self.slot),
            ):
                body(offset(builder, start, (index, count)), count)

    def row(self, number: int) -> ir.Value:
        """Load row `number` of the coefficients at the vector's channels."""
        size = self.element.accumulator_bytes
        terms = ((self.channel, size), (self.arg["channels"], number * size))
        return load(self.builder, offset(self.builder, self.arg["coefficients"], *terms), self.element.vector, size)

    def sum_address(self, number: int) -> ir.Value:
        """The address of row `number` of the run's sums at the vector's slot."""
        size = self.element.accumulator_bytes
        return offset(self.builder, self.arg["sums"], (self.slot, size), (self.arg["slots"], number * size))

    def add_to_sum(self, number: int, value: ir.Value) -> None:
        """Add a vector to row `number` of the run's sums."""
        address, size = self.sum_address(number), self.element.accumulator_bytes
        store(self.builder, self.builder.fadd(load(self.builder, address, value.type, size), value), address, size)

    def place(self, tensor: str, pixel: ir.Value) -> ir.Value:
        """The address, in `tensor`, of a pixel's numbers at the vector's channels."""
        channel = self.builder.add(self.builder.mul(pixel, self.arg["channels"]), self.channel)
        return offset(self.builder, self.arg[tensor], (channel, self.element.bytes))

    def put(self, value: ir.Value, tensor: str, pixel: ir.Value) -> None:
        """Store a vector in `tensor`; past the caches, if asked for, which spares reading the lines first."""
        if not self.store_past_caches:
            self.element.store(self.builder, value, self.place(tensor, pixel))
            return
        align = self.element.width * self.element.bytes
        store_past_caches(self.module, self.builder, value, self.place(tensor, pixel), align)

    def value(self, tensor: str, pixel: ir.Value) -> ir.Value:
        """Load a pixel's numbers at the vector's channels from `tensor`."""
        return self.element.load(self.builder, self.place(tensor, pixel))

    def with_and_without(self, tensor: str, emit: Callable[[bool], None]) -> None:
        """The code of `emit(True)` where `tensor` was given, that of `emit(False)` where its address is 0."""
        given = self.builder.icmp_unsigned("!=", self.arg[tensor], ir.Constant(I64, 0))
        with self.builder.if_else(given) as (there, missing):
            with there:
                emit(True)
            with missing:
                emit(False)

    def normalised(
        self, x: ir.Value, pixel: ir.Value, factor: ir.Value, added: ir.Value, has_residual: bool
    ) -> ir.Value:
        """The activation's input z of a pixel.

        Args:
            x: x - m of the pixel.
            pixel: its number in the run.
            factor: the row a.
            added: the row k.
            has_residual: whether the residual is added.
        """
        total = multiply_add(self.builder, x, factor, added)
        return self.builder.fadd(total, self.value("residual", pixel)) if has_residual else total

    def finish(self) -> ir.Function:
        """End the function and return it."""
        if self.store_past_caches:  # before anybody is told that the run is done
            self.builder.fence("seq_cst")
        self.builder.ret_void()
        return self.builder.function


def statistics_run(module: ir.Module, element: Element, _activation: str, _past: bool) -> ir.Function:
    """Emit the sums of x - s and of its square over a run; the sums must begin at zero."""
    emit = _Pass(module, element, "statistics")
    builder, acc = emit.builder, element.accumulator_bytes
    zero = ir.Constant(I64, 0)
    with channel_vectors(builder, emit.arg["channels"], element.width) as (emit.channel, emit.slot):
        store(builder, emit.value("x", zero), emit.sum_address(2), acc)

    def body(first: ir.Value, count: int) -> None:
        shift = emit.value("x", zero)
        total = squares = None
        for number in range(count):
            moved = builder.fsub(emit.value("x", offset(builder, first, (ir.Constant(I64, number), 1))), shift)
            total = moved if total is None else builder.fadd(total, moved)
            squares = builder.fmul(moved, moved) if squares is None else multiply_add(builder, moved, moved, squares)
        emit.add_to_sum(0, total)
        emit.add_to_sum(1, squares)

    emit.loops(body)
    return emit.finish()


def apply_run(module: ir.Module, element: Element, activation: str, past: bool) -> ir.Function:
    """Emit the pass that writes the activation of the normalised run."""
    emit = _Pass(module, element, "apply", past)
    builder = emit.builder

    def emit_loops(has_residual: bool) -> None:
        def body(first: ir.Value, count: int) -> None:
            mean, factor, added = emit.row(MEAN), emit.row(FACTOR), emit.row(OFFSET)
            for number in range(count):
                pixel = offset(builder, first, (ir.Constant(I64, number), 1))
                moved = builder.fsub(emit.value("x", pixel), mean)
                total = emit.normalised(moved, pixel, factor, added, has_residual)
                emit.put(activate(builder, element, activation, total), "out", pixel)

        emit.loops(body)

    emit.with_and_without("residual", emit_loops)
    return emit.finish()


def reduce_run(module: ir.Module, element: Element, activation: str, _past: bool) -> ir.Function:
    """Emit the sums of h and of h * (x - m) over a run; the sums must begin at zero."""
    emit = _Pass(module, element, "reduce")
    builder = emit.builder

    def emit_loops(has_residual: bool) -> None:
        def body(first: ir.Value, count: int) -> None:
            mean, factor, added = emit.row(MEAN), emit.row(FACTOR), emit.row(OFFSET)
            total = products = None
            for number in range(count):
                pixel = offset(builder, first, (ir.Constant(I64, number), 1))
                moved = builder.fsub(emit.value("x", pixel), mean)
                before = emit.normalised(moved, pixel, factor, added, has_residual)
                back = through(builder, element, activation, before, emit.value("grad", pixel))
                total = back if total is None else builder.fadd(total, back)
                products = (
                    builder.fmul(back, moved) if products is None else multiply_add(builder, back, moved, products)
                )
            emit.add_to_sum(0, total)
            emit.add_to_sum(1, products)

        emit.loops(body)

    emit.with_and_without("residual", emit_loops)
    return emit.finish()


def gradient_run(module: ir.Module, element: Element, activation: str, past: bool) -> ir.Function:
    """Emit the pass that writes the gradient of x, and h to `out2` where there is a residual."""
    emit = _Pass(module, element, "gradient", past)
    builder = emit.builder

    def emit_loops(has_residual: bool) -> None:
        def body(first: ir.Value, count: int) -> None:
            rows = [emit.row(number) for number in range(COEFFICIENT_ROWS)]
            mean, factor, added, x_factor, constant = rows
            for number in range(count):
                pixel = offset(builder, first, (ir.Constant(I64, number), 1))
                moved = builder.fsub(emit.value("x", pixel), mean)
                before = emit.normalised(moved, pixel, factor, added, has_residual)
                back = through(builder, element, activation, before, emit.value("grad", pixel))
                if has_residual:
                    emit.put(back, "out2", pixel)
                result = multiply_add(builder, back, factor, multiply_add(builder, moved, x_factor, constant))
                emit.put(result, "out", pixel)

        emit.loops(body)

    emit.with_and_without("residual", emit_loops)
    return emit.finish()


RUNS: dict[str, Callable[[ir.Module, Element, str, bool], ir.Function]] = {
    "statistics": statistics_run,
    "apply": apply_run,
    "reduce": reduce_run,
    "gradient": gradient_run,
}
