"""The report as one HTML file that needs nothing else: no script, no font, no picture from outside."""

from html import escape
from pathlib import Path

from pytorchvideo_autox3d.files import write_json, write_text
from pytorchvideo_autox3d.report.results import DemoReport, report_to_dict
from pytorchvideo_autox3d.report.sections import SECTIONS
from pytorchvideo_autox3d.report.stylesheet import STYLESHEET


def write_report(path: str | Path, report: DemoReport) -> tuple[Path, Path]:
    """Writes the page to `path` and the same content as JSON beside it, with the suffix .json.

    Sections whose data is absent are left out. Both files are written under other names and then renamed.

    Returns:
        The paths of the page and of the JSON file.
    """
    page = Path(path)
    twin = page.with_suffix(".json")
    content = render_page(report)
    write_json(twin, report_to_dict(report))
    write_text(page, content)
    return page, twin


def render_page(report: DemoReport) -> str:
    """The whole page as text."""
    body = "\n".join(part for part in (section(report) for section in SECTIONS) if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.title)}</title>
<style>{STYLESHEET}</style>
</head>
<body>
{body}
</body>
</html>
"""
