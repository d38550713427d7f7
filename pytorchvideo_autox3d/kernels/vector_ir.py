"""LLVM code on vectors of neighbouring channels, which all kernels here are written in.

A vector has V channels. The last vector of a row begins at channel C - V, so it repeats a few channels of the one
before instead of needing a mask (the same numbers are written twice).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from llvmlite import binding, ir
from numba.core import cgutils

I64 = ir.IntType(64)
LINE_BYTES = 64


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """Bytes of the widest vector register worth using on this machine."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


@dataclass(frozen=True)
class Element:
    """How a tensor stores numbers, and how many channels make a vector.

    Args:
        name: "f32", "f64" or "bf16".
        width: channels of a vector.
    """

    name: str
    width: int

    @property
    def bytes(self) -> int:
        """Bytes of one stored number."""
        return {"f32": 4, "f64": 8, "bf16": 2}[self.name]

    @property
    def scalar(self) -> ir.Type:
        """The type that is computed in: double for "f64", else float."""
        return ir.DoubleType() if self.name == "f64" else ir.FloatType()

    @property
    def accumulator_bytes(self) -> int:
        """Bytes of one number of the type that is computed in."""
        return 8 if self.name == "f64" else 4

    @property
    def vector(self) -> ir.VectorType:
        """The type of a vector of numbers that are computed with."""
        return ir.VectorType(self.scalar, self.width)

    def load(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        """Load a vector of stored numbers at `address`, as numbers to compute with."""
        if self.name != "bf16":
            return load(builder, address, self.vector, self.bytes)
        words = load(builder, address, ir.VectorType(ir.IntType(16), self.width), 2)
        wide = ir.VectorType(ir.IntType(32), self.width)
        return builder.bitcast(builder.shl(builder.zext(words, wide), _splat(wide, 16)), self.vector)

    def store(self, builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
        """Store a vector at `address` in the tensor's own type; bfloat16 is rounded to nearest even and keeps NaN."""
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
    """Emit the load of a value of `type_` at `address`, which must be a multiple of `align` bytes."""
    return builder.load(builder.inttoptr(address, type_.as_pointer()), align=align)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> None:
    """Emit the store of a value at `address`, which must be a multiple of `align` bytes."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def offset(builder: ir.IRBuilder, base: ir.Value, *terms: tuple[ir.Value, int | ir.Value]) -> ir.Value:
    """base + the sum of value * factor over `terms`."""
    for value, factor in terms:
        if isinstance(factor, int):
            factor = ir.Constant(I64, factor)
        base = builder.add(base, builder.mul(value, factor))
    return base


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """a * b + c, fused where the machine can."""
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


@contextmanager
def counted(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """Emit a loop over 0 .. count - 1; what is emitted inside the `with` is its body, and its index is given."""
    with cgutils.for_range(builder, count, intp=I64) as loop:
        yield loop.index


@contextmanager
def channel_vectors(builder: ir.IRBuilder, channels: ir.Value, width: int) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Emit a loop over the vectors of a row's channels; what is emitted inside the `with` is its body.

    Args:
        builder: where the loop is written.
        channels: channels of the row, at least `width`.
        width: channels of a vector.
    Yields:
        The first channel of the vector, and the vector's number times `width`.
    """
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


def store_past_caches(module: ir.Module, builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> None:
    """Emit the store of a value past the caches; the lines are not read first where all of each is written."""
    stored = builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)
    stored.set_metadata("nontemporal", module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


def copy_past_caches(
    module: ir.Module, builder: ir.IRBuilder, source: ir.Value, target: ir.Value, lines: ir.Value
) -> None:
    """Emit a copy of `lines` whole cache lines to `target`, which begins at one, past the caches."""
    width = vector_bytes()
    vector = ir.VectorType(ir.FloatType(), width // 4)
    with counted(builder, lines) as line:
        for part in range(0, LINE_BYTES, width):
            place = builder.add(builder.mul(line, ir.Constant(I64, LINE_BYTES)), ir.Constant(I64, part))
            value = load(builder, builder.add(source, place), vector, 4)
            store_past_caches(module, builder, value, builder.add(target, place), width)


def zeros(builder: ir.IRBuilder, element: Element, count: int) -> list[ir.Value]:
    """Emit `count` variables, each a vector that begins at zero."""
    cells = [cgutils.alloca_once(builder, element.vector) for _ in range(count)]
    for cell in cells:
        builder.store(ir.Constant(element.vector, [0.0] * element.width), cell)
    return cells
