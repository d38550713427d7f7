"""Clips as pictures: a strip of frames for each clip, and sheets of labelled strips."""

import io
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont

from pytorchvideo_autox3d.errors import DataError
from pytorchvideo_autox3d.report.style import INK, PAPER

_GAP = 2


def film_strip(clip_CTHW: torch.Tensor, *, num_frames: int = 8, height: int = 72) -> bytes:
    """Frames of a clip side by side, as PNG bytes.

    Args:
        clip_CTHW: uint8 (3, T, H, W).
        num_frames: at most so many frames, evenly spread from the first to the last.
        height: of a frame, in pixels; the width keeps the proportions.
    Raises:
        DataError: the clip is not uint8 (3, T, H, W).
    """
    return _to_png(_strip(clip_CTHW, num_frames, height))


def contact_sheet(
    clips: Sequence[torch.Tensor], labels: Sequence[str], *, num_frames: int = 8, height: int = 72
) -> bytes:
    """A sheet with a labelled strip for each clip, as PNG bytes; clips may differ in size.

    Args:
        clips: uint8 (3, T, H, W) each.
        labels: a text for each.
        num_frames: at most so many frames of a clip, evenly spread.
        height: of a frame, in pixels.
    Raises:
        DataError: no clips, another number of labels, or a clip that is not uint8 (3, T, H, W).
    """
    if not clips or len(clips) != len(labels):
        raise DataError(f"a contact sheet needs one label a clip: {len(clips)} clips, {len(labels)} labels")
    strips = [_strip(clip, num_frames, height) for clip in clips]
    font = ImageFont.load_default(size=max(10.0, height / 5))
    margin = 10
    column = int(max(font.getlength(label) for label in labels)) + 2 * margin
    row = height + 8
    sheet = Image.new("RGB", (column + max(s.width for s in strips) + margin, row * len(strips) + 8), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (strip, label) in enumerate(zip(strips, labels, strict=True)):
        top = 8 + index * row
        sheet.paste(strip, (column, top), mask=strip)
        draw.text((margin, top + height / 2), label, fill=INK, font=font, anchor="lm")
    return _to_png(sheet)


def _strip(clip_CTHW: torch.Tensor, num_frames: int, height: int) -> Image.Image:
    if clip_CTHW.dtype != torch.uint8 or clip_CTHW.ndim != 4 or clip_CTHW.shape[0] != 3 or not clip_CTHW.numel():
        raise DataError(f"a clip for a picture is uint8 (3, T, H, W), got {clip_CTHW.dtype} {tuple(clip_CTHW.shape)}")
    frames_THWC = clip_CTHW.permute(1, 2, 3, 0).contiguous().cpu().numpy()
    total, frame_height, frame_width = frames_THWC.shape[:3]
    count = min(num_frames, total)
    width = max(1, round(frame_width * height / frame_height))
    # Enlarged pixels stay pixels, so that a small clip is shown as what it is.
    resample = Image.Resampling.NEAREST if height > 2 * frame_height else Image.Resampling.LANCZOS
    strip = Image.new("RGBA", (count * width + (count - 1) * _GAP, height))  # gaps are transparent
    for position in range(count):
        index = round(position * (total - 1) / max(count - 1, 1))
        frame = Image.fromarray(frames_THWC[index]).resize((width, height), resample)
        strip.paste(frame, (position * (width + _GAP), 0))
    return strip


def _to_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
