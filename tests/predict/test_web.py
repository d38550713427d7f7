"""The page by its functions, and in a real browser where there is one."""

import shutil
import tempfile

import pytest

from pytorchvideo_autox3d.errors import ConfigError, DataError
from pytorchvideo_autox3d.predict.web import Limits, answer, served


def test_the_answer_to_a_video(recognizer, ramp):
    scores, picture, rows = answer(recognizer, Limits(), str(ramp), 0.5)
    assert set(scores) == {"dark", "grey", "bright"}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-3)
    assert picture.size[0] > 800
    assert [row[2] for row in rows] == ["dark", "grey", "bright"][: len(rows)]
    assert rows[0][0] == 0.0
    assert rows[-1][1] == 4.0


def test_limits(recognizer, ramp):
    with pytest.raises(DataError, match=r"lasts 0\.1 minutes, this page takes 0\.05"):
        answer(recognizer, Limits(minutes=0.05), str(ramp), 0.5)
    for wrong in ({"megabytes": 0}, {"minutes": -1}):
        with pytest.raises(ConfigError, match="limits"):
            Limits(**wrong)


@pytest.fixture
def page(recognizer, monkeypatch, tmp_path):
    pytest.importorskip("gradio")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with served(recognizer, title="greys", limits=Limits(megabytes=1)) as address:
        yield address
    assert list(tmp_path.glob("autox3d-web-*")) == []


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not (chromium and driver):
        pytest.skip("no chromium with its driver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1200,1300",
        f"user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def wait_for(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 90).until(condition)


def drop(browser, path):
    wait_for(browser, lambda b: b.find_elements("css selector", "#video input[type=file]"))[0].send_keys(str(path))


def test_a_video_dropped_on_the_page_in_a_browser(page, browser, ramp, broken, tmp_path):
    assert page.startswith("http://127.0.0.1:")
    browser.get(page)
    drop(browser, ramp)
    wait_for(browser, lambda b: b.find_elements("css selector", "#timeline img"))
    wait_for(browser, lambda b: "dark" in b.find_element("id", "scores").text)
    wait_for(browser, lambda b: "dark" in b.find_element("id", "segments").text)
    assert browser.save_screenshot(str(tmp_path / "page.png"))
    browser.get(page)
    drop(browser, broken)
    wait_for(browser, lambda b: "broken.mp4: not a readable video" in b.find_element("tag name", "body").text)
    browser.get(page)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2**21))
    drop(browser, large)
    wait_for(browser, lambda b: "size" in b.find_element("tag name", "body").text)
