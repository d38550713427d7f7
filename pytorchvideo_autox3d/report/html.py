"""The report as one HTML file that needs nothing else: no script, no font, no picture from outside."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytorchvideo_autox3d.files import write_json, write_text
from pytorchvideo_autox3d.report.json_form import report_to_dict
from pytorchvideo_autox3d.report.results import DemoReport
from pytorchvideo_autox3d.report.sections import SECTIONS
from pytorchvideo_autox3d.report.style import THEME


def write_report(path: str | Path, report: DemoReport) -> tuple[Path, Path]:
    """Write the page to `path`, and the same content as JSON beside it with the suffix .json, both atomically.

    Sections whose data is absent are left out.

    Returns:
        The paths of the page and of the JSON file.

    Raises:
        AutoX3DError: a file can't be written.
    """
    page = Path(path)
    twin = page.with_suffix(".json")
    content = render_page(report)
    write_json(twin, report_to_dict(report))
    write_text(page, content)
    return page, twin


def render_page(report: DemoReport) -> str:
    """The whole page as text: the template `page.html` around the sections, with the style sheet `page.css` inside."""
    templates = Environment(
        loader=PackageLoader("pytorchvideo_autox3d.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [part for part in (section(report) for section in SECTIONS) if part]
    return templates.get_template("page.html").render(title=report.title, sections=sections, theme=THEME)
