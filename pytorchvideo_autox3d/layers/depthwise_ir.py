"""LLVM code for the inner loops of the depthwise convolution: register tiles, unrolled, vectorised over channels.

Numba's own vectoriser keeps an accumulator in memory for every tap of a convolution; what makes these kernels
fast is that a tile of output columns (or of weight taps) stays in registers while the taps go by, so the tiles
are written as LLVM vectors here and the loops around them in numba (`depthwise_cpu.py`).

A row of a tensor is (W, C), channels last. A tile is a run of columns; which input column meets which output
column and which tap is decided while the code is generated, so the edges of a row cost no test: a tile that
touches an edge is simply another tile. Vectors cover V channels; the last vector of a row begins at C - V, so it
repeats a few channels of the one before instead of needing a mask (the same numbers are written twice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from llvmlite import binding, ir
from numba.core import cgutils

Kind = Literal["forward", "input_gradient"]
I64 = ir.IntType(64)
# Taps of one weight-gradient pass that are kept in registers: 3x3 and 5x5 whole, 7x7 two rows at a time.
_MOST_TAPS = 25
_CORRELATE_COLUMNS = 10
_WEIGHT_COLUMNS = 8


class Tap(NamedTuple):
    """Output column `out` of a tile takes input column `col` (relative to the tile) times tap `tap` of the kernel."""

    out: int
    col: int
    tap: int


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """Bytes of the widest vector register worth using on this machine."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


@dataclass(frozen=True)
class Element:
    """How numbers are stored in a tensor ("f32", "f64", "bf16") and how many channels make a vector."""

    name: str
    width: int

    @property
    def bytes(self) -> int:
        return {"f32": 4, "f64": 8, "bf16": 2}[self.name]

    @property
    def scalar(self) -> ir.Type:
        return ir.DoubleType() if self.name == "f64" else ir.FloatType()

    @property
    def accumulator_bytes(self) -> int:
        return 8 if self.name == "f64" else 4

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(self.scalar, self.width)

    def load(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        """Load V stored numbers at `address`, widened to the accumulator's type."""
        if self.name != "bf16":
            return load(builder, address, self.vector, self.bytes)
        words = load(builder, address, ir.VectorType(ir.IntType(16), self.width), 2)
        wide = ir.VectorType(ir.IntType(32), self.width)
        return builder.bitcast(builder.shl(builder.zext(words, wide), _splat(wide, 16)), self.vector)

    def store(self, builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
        """Store V accumulators at `address`; bfloat16 is rounded to nearest even and keeps NaN."""
        if self.name != "bf16":
            store(builder, value, address, self.bytes)
            return
        wide = ir.VectorType(ir.IntType(32), self.width)
        bits = builder.bitcast(value, wide)
        odd = builder.and_(builder.lshr(bits, _splat(wide, 16)), _splat(wide, 1))
        rounded = builder.add(bits, builder.add(odd, _splat(wide, 0x7FFF)))
        is_nan = builder.fcmp_unordered("uno", value, value)
        quiet = builder.or_(bits, _splat(wide, 0x400000))
        high = builder.lshr(builder.select(is_nan, quiet, rounded), _splat(wide, 16))
        store(builder, builder.trunc(high, ir.VectorType(ir.IntType(16), self.width)), address, 2)


def _splat(vector: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def load(builder: ir.IRBuilder, address: ir.Value, type_: ir.Type, align: int) -> ir.Value:
    return builder.load(builder.inttoptr(address, type_.as_pointer()), align=align)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def offset(builder: ir.IRBuilder, base: ir.Value, *terms: tuple[ir.Value, int | ir.Value]) -> ir.Value:
    """base + the sum of the products of `terms`."""
    for value, factor in terms:
        if isinstance(factor, int):
            factor = ir.Constant(I64, factor)
        base = builder.add(base, builder.mul(value, factor))
    return base


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """a * b + c, fused where the machine can."""
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def correlate_taps(kind: Kind, size: int, stride: int, columns: int, low: int | None, high: int | None) -> list[Tap]:
    """List the taps of a tile of `columns` output columns; input columns outside [low, high) are padding.

    For "input_gradient" the outputs are the columns of the convolution's input, and the tile begins at a multiple
    of the stride.
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
    """How many input columns may begin at a tile that holds the last `columns` output columns of a row."""
    if kind == "input_gradient":
        return [-(-columns // stride)]
    return list(range((columns - 1) * stride + 1, columns * stride + 1))


@contextmanager
def counted(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """A loop over 0 .. count - 1, giving the index."""
    with cgutils.for_range(builder, count, intp=I64) as loop:
        yield loop.index


@contextmanager
def channel_vectors(builder: ir.IRBuilder, channels: ir.Value, width: int) -> Iterator[tuple[ir.Value, ir.Value]]:
    """A loop over the vectors of a row's channels: (first channel of the vector, number of the vector * width)."""
    count = builder.udiv(builder.add(channels, ir.Constant(I64, width - 1)), ir.Constant(I64, width))
    last = builder.sub(channels, ir.Constant(I64, width))
    with counted(builder, count) as index:
        first = builder.mul(index, ir.Constant(I64, width))
        yield builder.select(builder.icmp_signed("<", first, last), first, last), first


def new_function(module: ir.Module, name: str, arguments: Sequence[str]) -> tuple[ir.IRBuilder, dict[str, ir.Value]]:
    """Begin an internal function of 64-bit integers; returns its builder and its arguments by name."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(arguments)), module.get_unique_name(name))
    function.linkage = "internal"
    function.attributes.add("noinline")
    return ir.IRBuilder(function.append_basic_block("entry")), dict(zip(arguments, function.args, strict=True))


def _zeros(builder: ir.IRBuilder, element: Element, count: int) -> list[ir.Value]:
    cells = [cgutils.alloca_once(builder, element.vector) for _ in range(count)]
    for cell in cells:
        builder.store(ir.Constant(element.vector, [0.0] * element.width), cell)
    return cells


CORRELATE_ARGUMENTS = ("x", "w", "out", "n_dt", "n_dh", "x_dt", "x_dh", "w_dt", "w_dh", "channels")


def _correlate_tile(module: ir.Module, element: Element, size: int, columns: int, taps: Sequence[Tap]) -> ir.Function:
    """Write `columns` output columns: the sum over n_dt x n_dh kernel rows of input columns times taps."""
    builder, arg = new_function(module, f"correlate_{columns}", CORRELATE_ARGUMENTS)
    acc_bytes = element.accumulator_bytes
    with channel_vectors(builder, arg["channels"], element.width) as (channel, _):
        cells = _zeros(builder, element, columns)
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
        for out, cell in enumerate(cells):
            address = offset(builder, arg["out"], (channel, element.bytes), (arg["channels"], out * element.bytes))
            element.store(builder, builder.load(cell), address)
    builder.ret_void()
    return builder.function


class _Tiles:
    """The tile functions of a module, one for each distinct list of taps."""

    def __init__(self, make: Callable[[int, Sequence[Tap]], Any], kind: Kind, size: int, stride: int) -> None:
        self._make, self._kind, self._size, self._stride = make, kind, size, stride
        self._made: dict[tuple[int, tuple[Tap, ...]], Any] = {}

    def get(self, columns: int, low: int | None, high: int | None) -> Any:
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
    """Branch on the `columns` left of a row and the `inputs` left beside them; `emit(columns, inputs)` fills a case."""
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


def correlate_row(module: ir.Module, element: Element, kind: Kind, size: int, stride: int) -> ir.Function:
    """Write one output row, by tiles: left edge, interior, right edge; or one tile where the row is short."""
    names = (*CORRELATE_ARGUMENTS, "w_out", "w_in")
    builder, arg = new_function(module, "correlate_row", names)
    tiles = _Tiles(lambda n, taps: _correlate_tile(module, element, size, n, taps), kind, size, stride)
    most, least = _CORRELATE_COLUMNS, max(size // 2, 1)
    x_step = most * stride if kind == "forward" else most // stride
    pixel = builder.mul(arg["channels"], ir.Constant(I64, element.bytes))

    def call(tile: ir.Function, x: ir.Value, out: ir.Value) -> None:
        builder.call(tile, [x if n == "x" else out if n == "out" else arg[n] for n in CORRELATE_ARGUMENTS])

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


WEIGHT_ARGUMENTS = (
    "x", "gout", "acc", "n_t", "x_t", "gout_t", "x_row", "dh_low", "dh_high", "channels", "slots", "w_out", "w_in",
)  # fmt: skip


def rows_per_pass(size: int) -> int:
    """Kernel rows whose weight gradient one pass accumulates in registers."""
    return max(1, min(size, _MOST_TAPS // size))


class _WeightPass:
    """Emits one pass of the weight gradient: for every vector of channels, sum over frames and columns.

    The `rows x size` taps of one kernel frame are accumulators in registers; `x` points at the input row that
    meets kernel row 0 (which may lie in the padding: only rows in [dh_low, dh_high) are read).
    """

    def __init__(self, module: ir.Module, element: Element, size: int, stride: int, name: str) -> None:
        self.element, self.size, self.stride = element, size, stride
        self.builder, self.arg = new_function(module, name, WEIGHT_ARGUMENTS)
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
            self.cells = _zeros(builder, element, self.rows * self.size)
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
        """Add the products of `columns` columns of the output gradient with the input columns they meet."""
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
    """Accumulate the weight gradient of `rows_per_pass` kernel rows over the frames of one output row."""
    builder, arg = new_function(module, "weight_row", WEIGHT_ARGUMENTS)
    limit = _WEIGHT_COLUMNS + max(size // 2, 1)
    values = [arg[name] for name in WEIGHT_ARGUMENTS]

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
    most, least = _WEIGHT_COLUMNS, max(size // 2, 1)
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
