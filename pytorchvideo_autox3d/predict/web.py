"""A local web page: drop a video, see what it shows when. Needs gradio (the extra `web`)."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pytorchvideo_autox3d.data import open_video
from pytorchvideo_autox3d.errors import AutoX3DError, ConfigError, DataError
from pytorchvideo_autox3d.predict.recognizer import Recognizer
from pytorchvideo_autox3d.predict.timeline import Timeline, read_timeline
from pytorchvideo_autox3d.predict.timeline_picture import draw_timeline
from pytorchvideo_autox3d.report import figure_to_png

LOOPBACK = "127.0.0.1"
_SWEEP = (60, 600)  # seconds: every minute, files that were uploaded ten minutes ago or earlier are removed
_COLUMNS = ("from", "to", "label", "score")


@dataclass(frozen=True)
class Limits:
    """How much the page takes.

    Attributes:
        megabytes: of an uploaded file, at most.
        minutes: of a video, at most.
    Raises:
        ConfigError: one of them is not positive.
    """

    megabytes: float = 200
    minutes: float = 20

    def __post_init__(self) -> None:
        if not (self.megabytes > 0 and self.minutes > 0):
            raise ConfigError(f"limits: {self.megabytes:g} MB and {self.minutes:g} minutes, expected positive numbers")

    def check(self, path: str) -> None:
        """Check the length of a video.

        Raises:
            DataError: it is too long.
            DecodeError: it can't be read.
        """
        with open_video(path) as video:
            minutes = video.metadata().duration / 60
        if minutes > self.minutes:
            raise DataError(f"the video lasts {minutes:.1f} minutes, this page takes {self.minutes:g}")


def answer(
    recognizer: Recognizer, limits: Limits, path: str, min_seconds: float, *, progress: Any = None
) -> tuple[dict[str, float], Image.Image, list[list[Any]]]:
    """What the page shows of a video.

    Args:
        recognizer: what predicts.
        limits: what is taken.
        path: the video.
        min_seconds: as of `read_timeline`.
        progress: as of `read_timeline`.
    Returns:
        Scores by label, the timeline's picture, and a row (from, to, label, score) for each segment.
    Raises:
        DataError: the video is too long.
        DecodeError: it can't be read.
    """
    limits.check(path)
    timeline = read_timeline(recognizer, path, min_seconds=min_seconds, progress=progress)
    picture = Image.open(io.BytesIO(figure_to_png(draw_timeline(_renamed(timeline)))))
    rows = [[round(one.start, 1), round(one.end, 1), one.label, round(one.score, 3)] for one in timeline.segments]
    return dict(timeline.top), picture, rows


def _renamed(timeline: Timeline) -> Timeline:
    """With the file's name alone, as the folder where an upload lies is nobody's business."""
    return Timeline(**{**vars(timeline), "video": Path(timeline.video).name})


def build_page(recognizer: Recognizer, *, title: str, limits: Limits) -> Any:
    """Build the page as gradio's `Blocks`; an error of a video is shown on it as one line.

    Args:
        recognizer: what predicts.
        title: above the page.
        limits: what is taken.
    Raises:
        ConfigError: gradio is not installed.
    """
    gr = load_gradio()

    def recognise(path: str | None, min_seconds: float, progress: Any = gr.Progress()) -> Any:  # noqa: B008
        if path is None:
            raise gr.Error("drop a video first", print_exception=False)
        try:
            return answer(
                recognizer,
                limits,
                path,
                min_seconds,
                progress=lambda done, total: progress((done, total), unit="windows"),
            )
        except AutoX3DError as error:
            raise gr.Error(str(error).replace(path, Path(path).name), print_exception=False) from None

    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=_SWEEP) as page:
        gr.Markdown(f"## {title}\n{len(recognizer.labels)} classes: {', '.join(recognizer.labels[:12])}")
        with gr.Row():
            with gr.Column():
                video = gr.Video(label="video", sources=["upload"], height=320, elem_id="video")
                seconds = gr.Slider(0, 10, value=1, step=0.5, label="shortest segment, in seconds")
                button = gr.Button("Recognise", variant="primary", elem_id="recognise")
            scores = gr.Label(label="over the whole video", num_top_classes=recognizer.top, elem_id="scores")
        timeline = gr.Image(show_label=False, format="png", elem_id="timeline", buttons=[])
        segments = gr.Dataframe(headers=list(_COLUMNS), label="segments", elem_id="segments", interactive=False)
        inputs, outputs = [video, seconds], [scores, timeline, segments]
        button.click(recognise, inputs, outputs, concurrency_limit=1, api_visibility="private")
        video.upload(recognise, inputs, outputs, concurrency_limit=1, api_visibility="private")
    return page


@contextmanager
def served(
    recognizer: Recognizer, *, title: str, limits: Limits, host: str = LOOPBACK, port: int | None = None
) -> Iterator[str]:
    """Serve the page inside the `with`; leaving stops it and removes every file that was uploaded to it.

    Args:
        recognizer, title, limits: as of `build_page`.
        host: the address to listen on; the default is reached from this machine alone.
        port: None takes a free one.
    Yields:
        The page's address.
    Raises:
        ConfigError: gradio is not installed, or the port is taken.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="autox3d-web-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # of uploads, which gradio reads when the page is built
        page = build_page(recognizer, title=title, limits=limits)
        try:
            _, address, _ = page.queue(default_concurrency_limit=1).launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=int(limits.megabytes * 2**20),
                footer_links=[],
                ssr_mode=False,
                theme=load_gradio().themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            )
            yield address
        except OSError as error:
            raise ConfigError(f"--port {port}: can't serve there: {error}") from None
        finally:
            page.close()
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def load_gradio() -> Any:
    """Import gradio, with its telemetry off.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise ConfigError("serve: needs gradio: pip install 'pytorchvideo_autox3d[web]'") from None
    return gradio
