"""GloRe: global reasoning over a graph of regions (Chen et al., CVPR 2019), for clips of any size.

Shapes: B clips, C channels, T frames, H and W pixels, L = T * H * W positions, S states, N nodes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from fvcore.nn.weight_init import c2_msra_fill
from torch import nn

from pytorchvideo_autox3d.kernels.batch_norm import norm_act

# Nodes over channels. The AutoX3D paper does not give it: 1.29 fits the rows of its Table 3 best, and this is the
# nearest quarter, whose error is hardly larger (projects/autox3d/fit_glore.py prints the fit).
NODE_RATIO = 1.25


def node_count(channels: int, node_ratio: float = NODE_RATIO) -> int:
    """The number of nodes N of a GloRe block on a map of `channels`, at least one; its state has 2 N channels."""
    return max(1, round(channels * node_ratio))


class GloRe(nn.Module):
    """Project positions to graph nodes, reason over the graph, project back by the same projection, and add.

    ::

        clip (B, C, T, H, W) --+-- state 1x1x1 -> (B, S, L) --+
              |                |                              @ -> nodes (B, S, N) / L -> graph convolution
              |                +-- nodes 1x1x1 -> (B, N, L) --+                                |
              |                                    +--------------------------------------- @ -> (B, S, L)
              +------------------------ (+) <- BN (weight 0 at init) <- extend 1x1x1 <---------+

    The nodes are divided by the number of positions, so that their scale is the same for every clip size. A position
    costs 5 C N + 4 N^2 multiply-adds and the graph convolution 6 N^3.

    Args:
        channels: C of the input and the output.
        node_ratio: N over C; S is 2 N.
        norm: makes the last normalisation from a number of channels.
    """

    def __init__(
        self,
        channels: int,
        *,
        node_ratio: float = NODE_RATIO,
        norm: Callable[[int], nn.Module] = nn.BatchNorm3d,
    ) -> None:
        super().__init__()
        nodes = node_count(channels, node_ratio)
        states = 2 * nodes
        self.state = nn.Conv3d(channels, states, kernel_size=1)
        self.node = nn.Conv3d(channels, nodes, kernel_size=1)
        self.mix_nodes = nn.Conv1d(nodes, nodes, kernel_size=1)
        self.mix_states = nn.Conv1d(states, states, kernel_size=1, bias=False)
        self.extend = nn.Conv3d(states, channels, kernel_size=1, bias=False)
        self.norm = norm(channels)
        # pytorchvideo's initialisation starts a BN marked so at weight 0: the block begins as identity. It does not
        # know Conv1d, which is initialised here.
        self.norm.block_final_bn = True  # type: ignore[assignment]
        c2_msra_fill(self.mix_nodes)
        c2_msra_fill(self.mix_states)

    def forward(self, clip_BCTHW: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C, T, H, W)."""
        state_BSL = self.state(clip_BCTHW).flatten(2)
        projection_BNL = self.node(clip_BCTHW).flatten(2)
        positions = projection_BNL.shape[2]
        # Divided before the product: in half precision a sum over all positions of a clip may overflow.
        nodes_BSN = torch.matmul(state_BSL, projection_BNL.transpose(1, 2) / positions)
        back_BSL = torch.matmul(self._reason(nodes_BSN), projection_BNL)
        extended = self.extend(back_BSL.unflatten(2, clip_BCTHW.shape[2:]))
        return norm_act(self.norm, None, extended, residual=clip_BCTHW)

    def _reason(self, nodes_BSN: torch.Tensor) -> torch.Tensor:
        """Graph convolution: mix over nodes with a residual, ReLU, then mix over states (GloRe, equation 5)."""
        nodes_BNS = nodes_BSN.transpose(1, 2)
        mixed_BNS = torch.relu(nodes_BNS + self.mix_nodes(nodes_BNS))
        return self.mix_states(mixed_BNS.transpose(1, 2))
