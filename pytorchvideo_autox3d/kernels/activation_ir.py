"""LLVM code for activations on vectors: none, ReLU and SiLU (Swish), and their slopes.

SiLU needs an exponential: e^v = 2^n * e^r with n = round(v / ln 2), so |r| <= ln 2 / 2, where the Taylor series is
exact to rounding after 8 terms in float32 and 14 in float64.
"""

from __future__ import annotations

from math import factorial, log

from llvmlite import ir

from pytorchvideo_autox3d.kernels.vector_ir import Element, multiply_add

# ln 2 as a sum of a number with trailing zeros, whose products with n are exact, and the rest.
_LN2_HIGH = {"float": 0.693359375, "double": 0.693147180369123816490}
# Beyond these the exponential leaves the normal numbers.
_LIMITS = {"float": (-87.0, 88.0), "double": (-708.0, 709.0)}
_TERMS = {"float": 8, "double": 14}


def _constant(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def exponential(builder: ir.IRBuilder, element: Element, value: ir.Value) -> ir.Value:
    """e^value for a vector, with the value clamped so that the result is a normal number.

    NaN gives some finite number; a caller that must keep NaN multiplies the result by a term that has it.
    """
    vector = element.vector
    kind = "double" if element.name == "f64" else "float"
    for bound, comparison in zip(_LIMITS[kind], (">", "<"), strict=True):
        limit = _constant(vector, bound)
        value = builder.select(builder.fcmp_ordered(comparison, value, limit), value, limit)
    # Adding and subtracting 1.5 * 2^mantissa rounds to the nearest whole number.
    shifter = _constant(vector, 1.5 * 2.0 ** (52 if kind == "double" else 23))
    number = builder.fsub(
        builder.fadd(builder.fmul(value, _constant(vector, 1 / log(2))), shifter), shifter
    )  # fmt: skip
    high = _LN2_HIGH[kind]
    rest = multiply_add(builder, number, _constant(vector, -high), value)
    rest = multiply_add(builder, number, _constant(vector, high - log(2)), rest)
    terms = _TERMS[kind]
    series = _constant(vector, 1 / factorial(terms - 1))
    for term in range(terms - 2, -1, -1):
        series = multiply_add(builder, series, rest, _constant(vector, 1 / factorial(term)))
    bits, mantissa, bias = (64, 52, 1023) if kind == "double" else (32, 23, 127)
    whole = ir.VectorType(ir.IntType(bits), element.width)
    exponent = builder.add(builder.fptosi(number, whole), ir.Constant(whole, [bias] * element.width))
    power = builder.shl(exponent, ir.Constant(whole, [mantissa] * element.width))
    return builder.fmul(series, builder.bitcast(power, vector))


def sigmoid(builder: ir.IRBuilder, element: Element, value: ir.Value) -> ir.Value:
    """1 / (1 + e^-value) for a vector."""
    one = _constant(element.vector, 1.0)
    return builder.fdiv(one, builder.fadd(one, exponential(builder, element, builder.fneg(value))))


def activate(builder: ir.IRBuilder, element: Element, name: str, value: ir.Value) -> ir.Value:
    """Apply the activation `name` ("none", "relu" or "silu") to a vector; NaN stays NaN."""
    if name == "relu":
        zero = _constant(element.vector, 0.0)
        return builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
    if name == "silu":
        return builder.fmul(value, sigmoid(builder, element, value))
    assert name == "none", name
    return value


def through(builder: ir.IRBuilder, element: Element, name: str, value: ir.Value, grad: ir.Value) -> ir.Value:
    """Bring a gradient back through an activation.

    Args:
        builder: where the code is written.
        element: the type and length of the vectors.
        name: the activation: "none", "relu" or "silu".
        value: the activation's input.
        grad: the gradient of its output.
    Returns:
        The gradient of its input.
    """
    if name == "relu":
        zero = _constant(element.vector, 0.0)
        return builder.select(builder.fcmp_ordered("<=", value, zero), zero, grad)
    if name == "silu":
        one, share = _constant(element.vector, 1.0), sigmoid(builder, element, value)
        slope = multiply_add(builder, value, builder.fsub(one, share), one)
        return builder.fmul(grad, builder.fmul(share, slope))
    assert name == "none", name
    return grad
