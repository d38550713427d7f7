"""Which MobileNetV2-3D has the 6.5 GFLOPs and 4.4 M parameters of the paper's Table 5? The paper does not say.

Counts every combination of what the paper leaves open (crop, stem, head, squeeze-excitation, the first blocks'
expansion, blocks and widths), keeps those within 3% of both figures, and ranks them by how far they depart from
MobileNetV2.

    python projects/autox3d/fit_mobilenet.py --json projects/autox3d/results/fit_mobilenet.json
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pytorchvideo_autox3d.analysis.formulas import (
    Cost,
    batch_norm,
    chain,
    convolution,
    depthwise,
    head,
    squeeze_excitation,
    stem,
)
from pytorchvideo_autox3d.files import write_json

GFLOPS, PARAMS_M, FRAMES, CLASSES = 6.5, 4.4, 16, 400
TOLERANCE = 0.03

# Channels, blocks and stride of each stage; the stem has halved the picture.
PLANS = {
    # Sandler et al., Table 2.
    "mobilenetv2": ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)),
    # X3D's widths and blocks at depth 2.2, which are the blocks of the paper's Table 2.
    "x3d": ((24, 3, 2), (48, 5, 2), (96, 11, 2), (192, 7, 2)),
    # The paper's Table 2: its blocks with MobileNetV2's widths at their resolutions.
    "table2": ((24, 3, 2), (32, 5, 2), (64, 5, 2), (96, 6, 1), (160, 7, 2)),
    # The same with MobileNetV2's last stage.
    "table2-320": ((24, 3, 2), (32, 5, 2), (64, 5, 2), (96, 6, 1), (160, 6, 2), (320, 1, 1)),
}


@dataclass(frozen=True)
class Construction:
    """One MobileNetV2-3D.

    Args:
        plan: of `PLANS`.
        crop: height and width of a clip.
        stem: temporal kernel: 1, 3 (a full 3x3x3) or 5 (depthwise after 1x3x3, as X3D).
        stem_channels: 32 is MobileNetV2's, 24 that of the paper's Table 2, 16 the first block's.
        first_expands: the first block's expansion is 6 like the others', not 1.
        se: squeeze-excitation in "no", "every" or every "other" block, a sixteenth of its width.
        head: "linear" (1280 channels at every position, pool, linear), "x3d" (432, pool, 2048, linear), or "hidden"
            (1280 at every position, pool, 1280, linear), or "small" (pool, 1280, linear).
    """

    plan: str
    crop: int
    stem: int
    stem_channels: int
    first_expands: bool
    se: str
    head: str

    @property
    def departures(self) -> int:
        """In how many ways it differs from MobileNetV2 inflated at 224^2 or 256^2."""
        plain = ("mobilenetv2", 1, 32, False, "no", "linear")
        own = (self.plan, self.stem, self.stem_channels, self.first_expands, self.se, self.head)
        return sum(one != other for one, other in zip(plain, own, strict=True))


def constructions() -> Iterator[Construction]:
    """Every combination."""
    heads = ("linear", "x3d", "hidden", "small")
    axes = (PLANS, (224, 256), (1, 3, 5), (16, 24, 32), (False, True), ("no", "other", "every"), heads)
    return itertools.starmap(Construction, itertools.product(*axes))


def cost(one: Construction) -> Cost:
    """Multiply-adds and parameters, 16 frames, 400 classes, kernels 3x3x3."""
    size = -(-one.crop // 2)
    parts = [_stem(one, FRAMES * size**2)]
    width, number = one.stem_channels, 0
    for channels, count, stride in PLANS[one.plan]:
        for index in range(count):
            before = FRAMES * size**2
            size = -(-size // stride) if index == 0 else size
            expansion = 6 if number or one.first_expands else 1
            gated = one.se == "every" or (one.se == "other" and number % 2 == 0)
            parts.append(_block(width, channels, expansion, before, FRAMES * size**2, gated))
            width, number = channels, number + 1
    parts.append(_head(one.head, width, FRAMES * size**2))
    return chain(parts)


def _stem(one: Construction, positions: int) -> Cost:
    if one.stem == 3:
        return chain([convolution(3, one.stem_channels, positions, taps=27), batch_norm(one.stem_channels)])
    return stem(3, one.stem_channels, one.stem, positions)


def _block(width: int, channels: int, expansion: int, before: int, after: int, gated: bool) -> Cost:
    inner = width * expansion
    expand = [convolution(width, inner, before), batch_norm(inner)] if expansion > 1 else []
    gate = [squeeze_excitation(inner, 0.0625)] if gated else []
    layers = [depthwise(inner, after, taps=27), batch_norm(inner), convolution(inner, channels, after)]
    return chain([*expand, *layers, batch_norm(channels), *gate])


def _head(kind: str, width: int, positions: int) -> Cost:
    if kind == "x3d":
        return head(width, 432, 2048, CLASSES, positions)
    if kind == "small":
        return chain([convolution(width, 1280, 1), batch_norm(1280), convolution(1280, CLASSES, 1, bias=True)])
    last = [convolution(width, 1280, positions), batch_norm(1280)]
    hidden = [convolution(1280, 1280, 1, bias=True)] if kind == "hidden" else []
    return chain([*last, *hidden, convolution(1280, CLASSES, 1, bias=True)])


def search() -> list[tuple[Construction, float, float]]:
    """(construction, GFLOPs, millions of parameters) within the tolerance of both, the plainest first."""
    found = []
    for one in constructions():
        total = cost(one)
        gflops, params = float(total.macs) / 1e9, float(total.params) / 1e6
        if max(abs(gflops / GFLOPS - 1), abs(params / PARAMS_M - 1)) <= TOLERANCE:
            found.append((one, gflops, params))
    return sorted(found, key=lambda row: (row[0].departures, abs(row[1] / GFLOPS - 1) + abs(row[2] / PARAMS_M - 1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    args = parser.parse_args()
    found = search()
    print(f"{len(found)} of {len(list(constructions()))} constructions are within {TOLERANCE:.0%} of both figures")
    for one, gflops, params in found:
        print(f"{gflops:6.2f} G {params:6.2f} M  {one.departures} departures  {one}")
    if args.json:
        write_json(args.json, [{**asdict(one), "gflops": gflops, "params_m": params} for one, gflops, params in found])


if __name__ == "__main__":
    main()
