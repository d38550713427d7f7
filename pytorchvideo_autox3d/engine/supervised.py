"""The supervised step: one update from labelled clips. Shapes: B clips, K classes, C x T x H x W pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pytorchvideo_autox3d import distributed
from pytorchvideo_autox3d.engine.optimizer import clip_gradients
from pytorchvideo_autox3d.engine.protocols import Batch, Loss, Position
from pytorchvideo_autox3d.engine.runtime import Runtime

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(clip_BCTHW, label_B) -> (clip_BCTHW, target_BK), such as mixup."""


class SupervisedStep:
    """Forward and backward passes, and one update.

    Several batches make one update with the mean gradient of all their clips, which equals that of one large batch
    except for batch norm. So do those of several processes, which may have unequally many clips.

    Args:
        model: in train mode, placed by `runtime`; may be wrapped in DistributedDataParallel.
        optimizer: over the model's parameters.
        loss: of logits and labels, a mean over the clips.
        runtime: device, precision and how clips are prepared.
        scaler: from `runtime.scaler()`; the caller saves its state.
        clip_norm, clip_value: limits of the gradient, at most one of them; see `clip_gradients`.
        mix: replaces clips and labels (mixup); targets may then be distributions.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        *,
        runtime: Runtime,
        scaler: torch.amp.GradScaler,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        mix: Mix | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.runtime = runtime
        self.scaler = scaler
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.mix = mix

    def __call__(self, batches: Sequence[Batch], loop: Position) -> Mapping[str, Tensor | float]:
        """Make one update.

        Returns:
            loss, top1_err and top5_err (percent), such that their mean over the processes is that over all clips; and
            grad_norm before clipping.
        """
        self.optimizer.zero_grad(set_to_none=True)
        clips = sum(len(batch.label_B) for batch in batches)
        of_all = distributed.relative_share(clips) / clips
        totals = torch.zeros(3, device=self.runtime.device)
        for position, batch in enumerate(batches):
            with self._gradient_exchange(at_last=position == len(batches) - 1):
                totals += self._backward(batch, share=len(batch.label_B) * of_all)
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model.parameters(), max_norm=self.clip_norm, max_value=self.clip_value)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss, top1_err, top5_err = totals
        return {"loss": loss, "top1_err": top1_err, "top5_err": top5_err, "grad_norm": norm}

    def _backward(self, batch: Batch, *, share: float) -> Tensor:
        """Add this batch's gradient; return its share of loss, top-1 and top-5 error."""
        clip_BCTHW = self.runtime.prepare(batch.clip_BCTHW)
        target = batch.label_B.to(self.runtime.device, non_blocking=True)
        if self.mix is not None:
            clip_BCTHW, target = self.mix(clip_BCTHW, target)
        with self.runtime.autocast():
            logits_BK = self.model(clip_BCTHW)
            loss = self.loss(logits_BK, target)
        self.scaler.scale(loss * share).backward()
        return share * torch.stack([loss.detach(), *_errors(logits_BK.detach(), target)])

    def _gradient_exchange(self, *, at_last: bool) -> contextlib.AbstractContextManager[object]:
        """DDP exchanges gradients in every backward; only that of the last batch needs it."""
        if isinstance(self.model, DistributedDataParallel) and not at_last:
            return self.model.no_sync()
        return contextlib.nullcontext()


def _errors(logits_BK: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Top-1 and top-5 error in percent; where the target is a distribution, its most probable class is the label."""
    label_B = target.argmax(1) if target.ndim == 2 else target
    top = logits_BK.topk(min(5, logits_BK.shape[1]), dim=1).indices
    hit = top == label_B[:, None]
    return 100.0 * (1.0 - hit[:, 0].float().mean()), 100.0 * (1.0 - hit.any(1).float().mean())
