import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

from pytorchvideo_autox3d.report import DemoReport, ModelResult, write_report
from pytorchvideo_autox3d.report.html import render_page

VOID = {"meta", "img", "br", "use", "path"}


class Checker(HTMLParser):
    """Collects ids, tags and alt texts, and checks that elements nest."""

    def __init__(self):
        super().__init__()
        self.stack, self.ids, self.references, self.unnamed, self.headings = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.check(tag, dict(attrs))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.check(tag, dict(attrs))

    def check(self, tag, attrs):
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if (tag == "img" and not attrs.get("alt")) or (tag == "svg" and not attrs.get("aria-label")):
            self.unnamed.append(tag)
        self.references += [v for k, v in attrs.items() if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "h2":
            self.headings.append(data)


def parsed(page):
    checker = Checker()
    checker.feed(page)
    assert not checker.stack
    return checker


def test_page_is_well_formed_self_contained_and_accessible(report):
    page = render_page(report)
    checker = parsed(page)
    assert len(checker.ids) == len(set(checker.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in checker.references)
    assert {link[1:] for link in checker.references if link.startswith("#")} <= set(checker.ids)
    assert not checker.unnamed
    assert not re.search(r"<script|<link|@import|url\((?!#)", page)
    assert checker.headings == [
        "Accuracy and cost", "The data", "Architecture", "Search", "Training", "Classes and errors",
        "How this was measured",
    ]  # fmt: skip


def test_names_are_escaped(report):
    page = render_page(report)
    assert "<title>Tiny &amp; small</title>" in page
    assert "AutoX3D-tiny &lt;1&gt;" in page
    assert "AutoX3D-tiny <1>" not in page


def test_verdict_gives_the_numbers_and_the_conventions(report):
    text = re.sub(r"<[^>]+>", "", render_page(report))
    # Wilson: 0.8256 to 0.9448 and 0.6042 to 0.7811; so 0.2 - hypot(0.0744, 0.0811) and 0.2 + hypot(0.0448, 0.0958).
    assert "is ahead of X3D-tiny: 90.0% against 70.0% top-1 (+20.0 points, 95% interval +9.0 to +30.6)" in text
    assert "beats 2 of 3 randomly drawn architectures; their median is 80.0%" in text
    assert "that median: +10.0 points, 95% interval" in text
    assert "chance 50%" in text
    assert "multiply-adds of convolutions, linear layers and matrix products" in text
    assert "median of one forward pass of one clip (Abacus, 2 threads)" in text
    assert "make demo" in text


def test_other_costs_are_not_called_equal(report):
    dear = dataclasses.replace(report.models[0], macs=90_000_000)
    page = render_page(dataclasses.replace(report, models=[dear, report.ours]))
    assert "At equal multiply-adds" not in page
    assert "No other model here has equal multiply-adds" in page


def test_absent_data_leaves_no_section():
    model = ModelResult(name="alone", role="X3D", top1=50.0, macs=10, params=10)
    report = DemoReport(title="t", class_names=["a", "b"], num_test_videos=4, clip=(1, 8, 8), models=[model])
    page = render_page(report)
    assert parsed(page).headings == ["How this was measured"]
    assert "<figure" not in page


def test_files_are_written_whole_and_the_same_twice(report, tmp_path):
    page, twin = write_report(tmp_path / "new" / "report.html", report)
    assert (page, twin) == (tmp_path / "new/report.html", tmp_path / "new/report.json")
    first = page.read_bytes()
    assert json.loads(twin.read_text())["title"] == "Tiny & small"
    write_report(page, report)
    assert page.read_bytes() == first
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.json"]


def test_clips_are_in_the_page(report):
    data = re.search(r"data:image/png;base64,([^\"]+)", render_page(report))
    assert base64.b64decode(data.group(1)) == report.clips[0].png


def test_random_models_alone_still_make_a_page():
    models = [ModelResult(name=f"r{i}", role="random", top1=50.0 + i, macs=10, params=10) for i in range(2)]
    page = render_page(DemoReport(title="t", class_names=["a", "b"], num_test_videos=4, clip=(1, 8, 8), models=models))
    assert parsed(page).headings == ["Accuracy and cost", "How this was measured"]
