"""`lower_to_4d`: a video network as one whose every tensor has at most four dimensions.

The runtimes of small devices know no Conv3d with groups, and some no tensor of five dimensions at all. The network is
exported, and every operator of it is replaced by what it does to frames: a t x s^2 convolution by t 2-D convolutions of
shifted frames, added up (exact, borders included); pooling, squeeze-excitation, GloRe and Non-local likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves, tree_map

from pytorchvideo_autox3d.errors import ExportError, ModelError
from pytorchvideo_autox3d.export.frames import Frames, Positions, fold_clip, frames_of
from pytorchvideo_autox3d.export.fuse import fuse_for_inference
from pytorchvideo_autox3d.export.rules import RULES, Kernel, NoRule, aten, conv3d, view_as_map

_MAPS = (Frames, Positions)
_VIEWS = (aten.view.default, aten.reshape.default, aten._unsafe_view.default)


def lower_to_4d(model: nn.Module, clip: Tensor | Sequence[int]) -> nn.Module:
    """Make a copy of `model`, for clips of one shape, in which no tensor has more than four dimensions.

    Args:
        model: a network that takes one clip (B, C, T, H, W) and returns logits.
        clip: such a clip, or its (T, H, W), for one clip of three channels.
    Returns:
        A network that takes frames (B * T, C, H, W), a clip's one after another, or the clip itself, which it turns
        into such frames. Its logits (B, K) are those of `model` in eval, to rounding; its graph is exported with
        frames.
    Raises:
        ExportError: an operator has no such form; names it and the module that it is in.
        ModelError: `clip` is neither a clip nor its sizes.
    """
    clip = example_clip(clip)
    fused = fuse_for_inference(model, clip.shape)
    with torch.no_grad():
        program = torch.export.export(fused, (clip,))
        interpreted = _OnFrames(program, clip.shape[2])
        graph = torch.export.export(interpreted, (fold_clip(clip),)).module()
    return LoweredNet(graph, tuple(clip.shape))


def example_clip(clip: Tensor | Sequence[int]) -> Tensor:
    """A clip to export with: a given one as it is, or random values of given sizes.

    Args:
        clip: floats (B, C, T, H, W), or the sizes (T, H, W) or (B, C, T, H, W).
    Raises:
        ModelError: it is neither; names what was given.
    """
    if isinstance(clip, Tensor):
        if clip.dim() == 5 and clip.is_floating_point():
            return clip
        raise ModelError(f"expected a float clip (B, C, T, H, W), got {clip.dtype} of shape {tuple(clip.shape)}")
    shape = tuple(clip)
    shape = (1, 3, *shape) if len(shape) == 3 else shape
    if len(shape) != 5 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ModelError(f"expected a clip's sizes (T, H, W) or (B, C, T, H, W), got {clip!r}")
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


class LoweredNet(nn.Module):
    """A network over frames (B * T, C, H, W).

    Args:
        graph: takes such frames.
        clip_shape: the (B, C, T, H, W) that it was made for.
    """

    def __init__(self, graph: nn.Module, clip_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = graph
        self.clip_shape = clip_shape
        # An exported module knows only the mode that it was exported in.
        self.training = False

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, K) of frames (B * T, C, H, W), or of a clip (B, C, T, H, W).

        Raises:
            ModelError: the shape is another than it was made for.
        """
        frames = fold_clip(clip) if clip.dim() == 5 else clip
        batch, channels, length, height, width = self.clip_shape
        if tuple(frames.shape) != (batch * length, channels, height, width):
            raise ModelError(f"lowered for a clip of shape {self.clip_shape}, got {tuple(clip.shape)}")
        logits: Tensor = self.network(frames)
        return logits

    def train(self, mode: bool = True) -> LoweredNet:
        """Accept eval, the only mode that the network has.

        Raises:
            ModelError: `mode` is True.
        """
        if mode:
            raise ModelError("a lowered network is for inference: train the network that it came from")
        return self


class _OnFrames(nn.Module):
    """An exported network, interpreted operator by operator on frames; exporting it writes the operators out."""

    def __init__(self, program: ExportedProgram, frames: int) -> None:
        super().__init__()
        self.graph_module = program.graph_module
        self.frames = frames
        self.kernels: dict[str, int] = {}
        signature = program.graph_signature
        sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        sources.update(signature.inputs_to_lifted_tensor_constants)
        values = {**program.state_dict, **program.constants}
        for node, source in sources.items():
            self._take(node, values[source])
        self.constants = _constants(program.graph_module)

    def _take(self, node: str, value: Tensor) -> None:
        """Keep a parameter as a buffer; a 3-D kernel becomes several 2-D ones."""
        if value.dim() < 5:
            self.register_buffer(node, value.detach())
            return
        kernel = Kernel.of(value.detach())
        self.kernels[node] = len(kernel.slices)
        if kernel.column is not None:
            self.register_buffer(f"{node}_column", kernel.column)
        for index, one in enumerate(kernel.slices):
            self.register_buffer(f"{node}_{index}", one)

    def parameter(self, node: str) -> Any:
        """What a placeholder stands for: a tensor, the kernel of a convolution, or None for the clip."""
        if node not in self.kernels:
            return getattr(self, node, None)
        slices = tuple(getattr(self, f"{node}_{index}") for index in range(self.kernels[node]))
        return Kernel(slices, getattr(self, f"{node}_column", None))

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (B, K) of frames (B * T, C, H, W)."""
        (out,) = _Interpreter(self, frames_of(frames, self.frames)).run(*[None] * self._inputs())
        return out.data if isinstance(out, Frames) else out  # a part of a network gives a map

    def _inputs(self) -> int:
        return sum(node.op == "placeholder" for node in self.graph_module.graph.nodes)


class _Interpreter(fx.Interpreter):
    """Runs the graph with maps held as `Frames`, each operator by its rule."""

    def __init__(self, net: _OnFrames, clip: Frames) -> None:
        super().__init__(net.graph_module, garbage_collect_values=False)
        self.extra_traceback = False
        self.net, self.clip = net, clip
        self.node: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, or take its value where it is a constant, a parameter or the clip."""
        self.node = n
        if n.name in self.net.constants:
            return self.net.constants[n.name]
        if n.op == "placeholder":
            value = self.net.parameter(n.name)
            return self.clip if value is None else value
        return super().run_node(n)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Run one operator, by its rule where it meets a map.

        Raises:
            ExportError: the operator has no form on four dimensions; names it and the module that it is in.
        """
        values = tree_leaves((args, kwargs), is_leaf=lambda value: isinstance(value, _MAPS))
        try:
            if target is aten.conv3d.default:
                return _conv3d(*args, **kwargs)
            if any(isinstance(value, _MAPS) for value in values):
                if target not in RULES:
                    raise NoRule("on five dimensions")
                return RULES[target](target, *args, **kwargs)
            if target in _VIEWS and len(args[1]) == 5:
                return view_as_map(*args)
            if target is aten.unflatten.int and args[0].dim() + len(args[2]) - 1 == 5:
                return view_as_map(args[0], [*args[0].shape[:2], *args[2]])
            if target is aten.einsum.default:
                return RULES[target](target, *args, **kwargs)
        except NoRule as error:
            raise ExportError(f"operator {target} {error} has no 4-D form{_where(self.node)}") from error
        return super().call_function(target, args, kwargs)


def _conv3d(
    x: Any, weights: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Frames:
    if not isinstance(x, Frames) or x.last or not isinstance(weights, Kernel):
        raise NoRule("on what is no map")
    return conv3d(x, weights, bias, stride, padding, dilation, groups)


def _where(node: fx.Node | None) -> str:
    stack = node.meta.get("nn_module_stack") if node else None
    names = [name for name, _ in stack.values() if name] if stack else []
    return f" (module {names[-1]})" if names else ""


def _constants(graph_module: fx.GraphModule) -> dict[str, Any]:
    """The values of nodes that depend on no input and no weight; index tensors as lists of numbers."""
    known: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for node in graph_module.graph.nodes:
        if node.op != "call_function" or not all(one.name in values for one in node.all_input_nodes):
            continue
        args, kwargs = tree_map(
            lambda one: values[one.name] if isinstance(one, fx.Node) else one, (node.args, node.kwargs)
        )
        value = values[node.name] = node.target(*args, **kwargs)
        whole = isinstance(value, Tensor) and value.dim() == 1 and not value.is_floating_point()
        known[node.name] = value.tolist() if whole else value
    return known
