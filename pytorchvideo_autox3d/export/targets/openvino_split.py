"""A rewrite for OpenVINO: the inner channels of a block in groups, each through the whole block by itself.

OpenVINO's depthwise convolution over time reads every row of its input once for each row of the kernel. A map of many
channels has left the processor's cache by then: on maps of 40^2 pixels 147 channels take far more than three times
what 48 take. The expansion before a depthwise convolution and the projection after it are matrix products, so their
inner channels can be taken group by group, and the projections' outputs added up: the same network, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as opset
from openvino.passes import ConstantFolding, Manager
from openvino.utils.node_factory import NodeFactory

GROUP = 32
"""Channels of a group: whole vectors of 16 floats."""
MIN_BYTES = 4 * 2**20
"""The smallest map of a clip, read by a depthwise convolution, that is worth splitting; smaller ones gain nothing."""
_ELEMENTWISE = ("Relu", "Sigmoid", "Swish", "Clamp", "Add", "Multiply")


def split_channels(model: openvino.Model, *, group: int = GROUP, min_bytes: int = MIN_BYTES) -> int:
    """Rewrite every block of `model` that it can, in place.

    A block is a 1x1x1 convolution, a depthwise one and a 1x1x1 one, with elementwise operators between them and with
    means over all positions beside them (squeeze-excitation). A block whose maps something else reads stays as it is.

    Args:
        model: OpenVINO's.
        group: channels of a group.
        min_bytes: of the smallest map of a clip, read by the depthwise convolution, that is worth it.
    Returns:
        How many blocks were rewritten.
    """
    manager = Manager()
    manager.register_pass(ConstantFolding())  # weights as constants, which the converter leaves reshapes of
    manager.run_passes(model)
    count = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "GroupConvolution" and _is_large(node, group, min_bytes):
            expansion = _expansion(node)
            count += expansion is not None and _Split(expansion, group).rewrite(model)
    model.validate_nodes_and_infer_types()
    return count


def _is_large(node: Any, group: int, min_bytes: int) -> bool:
    """Whether it is a depthwise convolution of more than a group of channels over a map of so many bytes a clip."""
    weight, shape = node.input(1).get_partial_shape(), node.input(0).get_partial_shape()
    if weight.is_dynamic or any(one.is_dynamic for one in list(shape)[1:]):
        return False
    sizes = [one.get_length() for one in list(shape)[1:]]
    depthwise = list(weight.to_shape())[:3] == [sizes[0], 1, 1]
    return depthwise and sizes[0] > group and 4 * math.prod(sizes) >= min_bytes


def _expansion(node: Any) -> Any:
    """The 1x1x1 convolution whose output, through elementwise operators, is what `node` reads; None without one."""
    source = node.input_value(0).get_node()
    while source.get_type_name() in _ELEMENTWISE:
        if len(source.output(0).get_target_inputs()) != 1:
            return None
        inputs = [one.get_node() for one in source.input_values() if one.get_node().get_type_name() != "Constant"]
        if len(inputs) != 1:
            return None
        source = inputs[0]
    return source if _is_pointwise(source) else None


def _is_pointwise(node: Any) -> bool:
    if node.get_type_name() != "Convolution" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    return all(size == 1 for size in node.input(1).get_shape()[2:])


def _is_mean(node: Any) -> bool:
    """Whether it is a mean over positions that leaves the channels where they are."""
    if node.get_type_name() != "ReduceMean" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    axes = np.atleast_1d(node.input_value(1).get_node().data) % len(node.input(0).get_partial_shape())
    return node.get_attributes()["keep_dims"] and not {0, 1} & set(axes.tolist())


class _Split:
    """The rewrite of one block, from its expansion on.

    Args:
        expansion: the block's first convolution.
        group: channels of a group.
    """

    def __init__(self, expansion: Any, group: int) -> None:
        self.expansion = expansion
        channels = expansion.input(1).get_shape()[0]
        self.ranges = [slice(first, min(first + group, channels)) for first in range(0, channels, group)]
        self.parts: dict[str, list[Any]] = {}

    def rewrite(self, model: openvino.Model) -> bool:
        """Replace the block; False where an operator of it can't be taken in groups, and then nothing is changed."""
        inside = self._inside(model.get_ordered_ops())
        if inside is None:
            return False
        weight = _constant(self.expansion.input_value(1))
        self.parts[self.expansion.get_name()] = [
            _with_weight(self.expansion, self.expansion.input_value(0), weight[one]) for one in self.ranges
        ]
        for node in inside[1:]:
            self._take(node)
        return True

    def _inside(self, order: Sequence[Any]) -> list[Any] | None:
        """The operators from the expansion to what ends the groups: projections and means."""
        split, inside = {self.expansion.get_name()}, [self.expansion]
        for node in order:
            if not any(one.get_node().get_name() in split for one in node.input_values()):
                continue
            kind = node.get_type_name()
            if (kind in _ELEMENTWISE and self._is_sliceable(node, split)) or (
                kind == "GroupConvolution" and list(node.input(1).get_shape())[:3] == [self.ranges[-1].stop, 1, 1]
            ):
                split.add(node.get_name())
            elif not (_is_pointwise(node) or _is_mean(node)):
                return None
            inside.append(node)
        return inside

    def _is_sliceable(self, node: Any, split: set[str]) -> bool:
        """Whether what it reads beside split maps is one value, or one a channel."""
        return all(
            one.get_node().get_name() in split or _is_one(one) or _channels(one) == self.ranges[-1].stop
            for one in node.input_values()
        )

    def _take(self, node: Any) -> None:
        kind, name = node.get_type_name(), node.get_name()
        if kind in _ELEMENTWISE:
            inputs = [self._groups(one) for one in node.input_values()]
            self.parts[name] = [_like(node, list(values)) for values in zip(*inputs, strict=True)]
        elif kind == "GroupConvolution":
            weight = _constant(node.input_value(1))
            pairs = zip(self._groups(node.input_value(0)), self.ranges, strict=True)
            self.parts[name] = [_with_weight(node, part, weight[one]) for part, one in pairs]
        elif kind == "ReduceMean":
            axes = node.input_value(1)
            means = [_like(node, [part, axes]) for part in self._groups(node.input_value(0))]
            _replace(node, opset.concat(means, 1))
        else:
            weight = _constant(node.input_value(1))
            pairs = zip(self._groups(node.input_value(0)), self.ranges, strict=True)
            products = [_with_weight(node, part, weight[:, one]) for part, one in pairs]
            total = products[0]
            for product in products[1:]:
                total = opset.add(total, product)
            _replace(node, total)

    def _groups(self, value: Any) -> list[Any]:
        """A value for each group: parts of a map or of a value for each channel; a single value as it is."""
        node = value.get_node()
        if node.get_name() in self.parts:
            return [part.output(0) for part in self.parts[node.get_name()]]
        if _is_one(value):
            return [value] * len(self.ranges)
        lengths = [one.stop - one.start for one in self.ranges]
        if node.get_type_name() == "Constant":
            return [opset.constant(node.data[:, one]).output(0) for one in self.ranges]
        return list(opset.variadic_split(value, opset.constant(1), opset.constant(lengths)).outputs())


def _is_one(value: Any) -> bool:
    shape = value.get_partial_shape()
    return shape.is_static and math.prod(shape.to_shape()) == 1


def _channels(value: Any) -> int | None:
    """C of a map (B, C, 1, 1, ...); None for any other value."""
    sizes = [None if one.is_dynamic else one.get_length() for one in value.get_partial_shape()]
    return sizes[1] if len(sizes) > 2 and all(size == 1 for size in sizes[2:]) else None


def _constant(value: Any) -> np.ndarray:
    return np.array(value.get_node().data)


def _with_weight(node: Any, source: Any, weight: np.ndarray) -> Any:
    return _like(node, [source, opset.constant(np.ascontiguousarray(weight)).output(0)])


def _like(node: Any, inputs: list[Any]) -> Any:
    """The same operator, with the same attributes, of other inputs."""
    return NodeFactory("opset13").create(node.get_type_name(), inputs, node.get_attributes())


def _replace(node: Any, other: Any) -> None:
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(other.output(0))
