"""report.html of the language test: one file that says at a glance whether the words decide."""

import re

import numpy as np
import pytest

from helpers.page import Page
from zeusseg.studies.language.command import probe_language
from zeusseg.studies.language.page import gauge
from zeusseg.studies.language.pictures import draw_examples
from zeusseg.studies.language.rates import ROWS, Rate


@pytest.fixture
def out(phantoms, peers, tmp_path):
    """A perfect model and one that ignores its words, asked about four cases, one of which is missing."""
    models = [f"{peers}:perfect", f"{peers}:deaf"]
    probe_language(models, phantoms, phantoms.case_ids[:4], tmp_path / "out", seed=0, progress=False)
    return tmp_path / "out"


@pytest.fixture
def page(out):
    return Page((out / "report.html").read_text())


def words(page):
    return " ".join(" ".join(page.words).split())


def test_every_element_is_closed_and_nothing_is_needed_from_outside(page):
    assert page.open == []
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"@import|url\(", words(page))


def test_the_verdicts_come_first_and_differ(page):
    verdicts = {found["class"] for found in page.having("section")}
    assert verdicts == {"verdict good", "verdict ignored"}
    text = words(page)
    assert text.index("words decide") < text.index("IGNORES ITS WORDS") < text.index("Against the goals")


def test_rates_stand_against_their_goals(page):
    assert "absent a structure or finding that is not there no mask ≥ 99 % 100 % ✓ met" in words(page)
    # What one of them meets the other misses.
    assert len(page.having("svg", class_="gauge met")) == len(page.having("svg", class_="gauge missed")) >= 6


def test_right_and_wrong_answers_are_shown_with_their_text(page):
    text = words(page)
    assert "“ventricles”" in text
    assert "no text" in text
    figures = len(page.having("figure"))
    assert len(page.having("path", class_="reference")) == len(page.having("path", class_="prediction")) == figures
    assert len(page.having("span", class_="dot wrong")) + len(page.having("span", class_="dot right")) == figures
    assert len(page.having("span", class_="dot wrong")) >= 3 * 5


def test_an_example_whose_mask_is_gone_is_told_without_a_picture(out, phantoms, peers):
    for mask in (out / "peers.deaf" / "examples").iterdir():
        mask.unlink()
    probe_language([f"{peers}:deaf"], phantoms, phantoms.case_ids[:4], out, seed=0, progress=False)
    page = Page((out / "report.html").read_text())
    assert page.having("image") == []
    assert "no picture: a file is missing" in words(page)


def test_a_picture_shows_the_slice_that_tells_most(phantoms, peers, tmp_path):
    test = probe_language([f"{peers}:perfect"], phantoms, phantoms.case_ids[:1], tmp_path, seed=0, progress=False)
    drawn = draw_examples(test.judged, {"peers.perfect": tmp_path / "peers.perfect"}, phantoms, seed=0)
    (name,), (absent,) = drawn["name"]["peers.perfect"], drawn["absent"]["peers.perfect"]
    case = phantoms.read(phantoms.case_ids[0])
    covered = {target.name: case.mask(target).sum(axis=(0, 1)) for target in phantoms.targets}
    most = int(np.argmax(covered[name.judged.question.target]))
    assert name.picture.plane == f"axial slice {most + 1} of 6"
    assert name.picture.reference_path == name.picture.prediction_path != ""
    # Where nothing is right and nothing was marked, a slice with a target shows what was left alone.
    present = next(voxels for voxels in covered.values() if voxels.any())
    assert absent.picture.plane == f"axial slice {int(np.argmax(present)) + 1} of 6"
    assert absent.picture.prediction_path == ""


@pytest.mark.parametrize(("name", "value", "look"), [
    ("absent", 0.99, "gauge met"), ("absent", 0.98, "gauge missed"), ("negation", 0.5, "gauge "),
])  # fmt: skip
def test_a_gauge_shows_rate_interval_and_goal(name, value, look):
    row = next(row for row in ROWS if row.name == name)
    drawn = gauge(Rate("m", row, value, 0.25, 0.75, 4, 2))
    assert f'class="{look}"' in drawn
    assert '<rect class="band" x="30.0" y="4" width="60.0"' in drawn
    assert f'cx="{120 * value:.1f}"' in drawn
    assert ('class="goal" x1="118.8"' in drawn) == (name == "absent")
