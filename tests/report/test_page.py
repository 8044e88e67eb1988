"""report.html: one file, safe, with every patient, the chosen cases and their instructions."""

import re
import shutil

import pytest

from helpers.page import Page
from zeusseg.report import evaluate


@pytest.fixture
def page(predictions, dataset, tmp_path):
    evaluate(predictions, dataset, tmp_path / "out")
    return Page((tmp_path / "out" / "report.html").read_text())


def test_every_element_is_closed(page):
    assert page.open == []


def test_the_page_needs_nothing_outside_itself(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\(", " ".join(page.words))


def test_instructions_are_text_and_never_markup(page):
    assert "Segment the <b>lesion</b>: a bright spot & more." in "".join(page.words)


def test_what_the_image_says_of_the_words_is_shown(page):
    words = " ".join(" ".join(page.words).split())
    assert "1 of 2 details agree with the image; 1 differs" in words
    assert "t2 , side: said left, measured right" in words
    assert "1 of 2 details that the words state agree with the images" in words


def test_links_from_dots_lead_to_cards(page):
    anchors = {attributes["id"] for attributes in page.having("article")}
    links = {attributes["href"][1:] for attributes in page.having("a")}
    assert links
    assert links <= anchors


def test_best_median_worst_and_the_false_mask_are_shown_with_every_modality(page):
    words = " ".join(page.words)
    assert len(page.having("article", class_="card")) == 4
    for kind in ("best", "median", "worst", "false mask"):
        assert f" {kind} " in words
    assert len(page.having("image")) == 4 * 2  # t2 and t1 of each card
    assert len(page.having("path", class_="reference")) == len(page.having("path", class_="prediction")) == 8
    assert words.count("not used") == 4  # t1 of each card


def test_every_patient_with_a_reference_has_a_dot(page):
    titles = [word for word in page.words if re.match(r"p\d: ", word)]
    assert sorted(title[:2] for title in titles) == ["p1", "p2"]
    assert any("p1: Dice 0.833 (mean of 2 cases)" in title for title in titles)


def test_an_empty_mask_says_why(page):
    assert "Left empty: the target does not seem to be there" in " ".join(page.words)


def test_failed_cases_are_listed_with_their_reason(predictions, dataset, tmp_path):
    shutil.rmtree(predictions / "p2_a")
    evaluate(predictions, dataset, tmp_path / "out")
    words = " ".join(Page((tmp_path / "out" / "report.html").read_text()).words)
    assert "What went wrong" in words
    assert "no prediction of this case" in words


def test_a_page_without_anything_wrong_does_not_speak_of_it(page):
    assert "What went wrong" not in " ".join(page.words)


def test_a_report_about_masks_alone_can_be_written(predictions, dataset, tmp_path):
    for path in predictions.glob("*/prediction.json"):
        path.unlink()
    evaluate(predictions, dataset, tmp_path / "out")
    words = " ".join(Page((tmp_path / "out" / "report.html").read_text()).words)
    assert "No instruction text is recorded" in words
    assert "Presence where" not in words
