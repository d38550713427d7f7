"""The demo's X3D trained for 200 steps with the depthwise kernels and without: is the loss the same?

    python projects/autox3d/depthwise_loss_curve.py [--quick]

Same start, clips, order and dropout. A third run, torch's convolution in its other memory layout, shows how far two
runs drift apart that differ only in the order of their float32 sums.
"""

from __future__ import annotations

import experiment_tools as tools
import numpy as np
import torch
from matplotlib.figure import Figure

from pytorchvideo_autox3d.engine import build_optimizer, clip_gradients, make_schedule, set_lr
from pytorchvideo_autox3d.files import write_json
from pytorchvideo_autox3d.kernels.depthwise import depthwise_kernels
from pytorchvideo_autox3d.registry import MODEL_REGISTRY

STEPS = 200
RUNS = {
    "kernels": (True, torch.channels_last_3d),
    "torch, channels_last_3d": (False, torch.channels_last_3d),
    "torch, contiguous": (False, torch.contiguous_format),
}


def main() -> None:
    """All runs; figures to results/depthwise_loss_curve.json and .png."""
    args = tools.parse_arguments(__doc__ or "")
    train = tools.load_videos(args.data, "train")
    steps = 5 if args.quick else STEPS
    losses = {name: np.array(loss_curve(train, steps, *run)) for name, run in RUNS.items()}
    drifts = {
        f"{first} / {second}": np.abs(losses[first] / losses[second] - 1)
        for first, second in (("kernels", "torch, channels_last_3d"), ("torch, contiguous", "torch, channels_last_3d"))
    }
    write_json(
        args.results / "depthwise_loss_curve.json",
        {
            "losses": {k: v.tolist() for k, v in losses.items()},
            "relative_drift": {k: v.tolist() for k, v in drifts.items()},
        },
    )
    draw(losses, drifts).savefig(args.results / "depthwise_loss_curve.png", dpi=150, bbox_inches="tight")
    for name, drift in drifts.items():
        parts = ", ".join(f"first {n}: {drift[:n].max():.1e}" for n in (1, 10, 50, steps) if n <= steps)
        print(f"largest relative difference of the loss, {name}: {parts}")


def loss_curve(train: tools.Videos, steps: int, kernels: bool, layout: torch.memory_format) -> list[float]:
    """The loss at every step of one training."""
    torch.manual_seed(0)
    clip = {"input_clip_length": tools.CLIP_LENGTH, "input_crop_size": tools.CROP}
    net = MODEL_REGISTRY.get("X3D")(depth_factor=1.0, model_num_class=tools.NUM_CLASSES, **clip)
    net = net.to(memory_format=layout).train()
    optimizer = build_optimizer(net, base_lr=0.1, weight_decay=5e-5)
    loader = tools.Clips(train, train=True)
    epochs = -(-steps // len(loader))
    schedule = make_schedule(base_lr=0.1, max_epoch=epochs, warmup_epochs=0.1 * epochs, warmup_start_lr=0.01)
    losses: list[float] = []
    with depthwise_kernels(kernels):
        for epoch in range(epochs):
            loader.set_epoch(epoch)
            for step, batch in enumerate(loader):
                if len(losses) == steps:
                    break
                set_lr(optimizer, schedule((epoch + step / len(loader)) / epochs))
                optimizer.zero_grad()
                clip_BCTHW = tools.NORMALIZE(batch.clip_BCTHW).contiguous(memory_format=layout)
                loss = torch.nn.functional.cross_entropy(net(clip_BCTHW), batch.label_B)
                loss.backward()
                clip_gradients(net.parameters(), max_norm=5.0)
                optimizer.step()
                losses.append(loss.item())
    return losses


def draw(losses: dict[str, np.ndarray], drifts: dict[str, np.ndarray]) -> Figure:
    """The curves, and how far they are apart."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in losses.items():
        left.plot(values, linewidth=0.8, label=name)
    left.set(xlabel="step", ylabel="training loss")
    for name, values in drifts.items():
        right.semilogy(np.maximum(values, 1e-9), linewidth=0.8, label=name)
    right.set(xlabel="step", ylabel="relative difference")
    for axes in (left, right):
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
