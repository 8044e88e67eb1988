"""The review page: every line with its pictures and checks, and a real browser that saves what was corrected."""

import base64
import io
import json
import shutil
import subprocess
from dataclasses import replace

import pytest
from PIL import Image

from helpers.page import Page
from zeusseg.errors import BadInputError
from zeusseg.instruct.corrections import take_corrections
from zeusseg.instruct.instruction import Check, Instruction, read_instructions
from zeusseg.report.review import write_review

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHECKS = (
    Check("t1", "On the left", "side", "left", "right", "differs"),
    Check("t1", "It is bright", "signal", "bright", "bright", "agrees"),
    Check("instruction", "Nothing is there", "presence", "nothing", "a bright area", "differs"),
)


@pytest.fixture
def out(tmp_path):
    lines = [
        Instruction("p1_a", "lesion", "Find <b>it</b> & more.", {"t1": "On the left. It is bright."}, checks=CHECKS),
        Instruction("p1_a", "core", "Find the core.", {"t1": "On the left. It is bright."}, text_before="The core."),
        Instruction("p2_a", "lesion", "Say \"hello\" to it.", {"t1": "Dark."}, checks=CHECKS[1:2]),
    ]
    lines = [replace(line, checked=line.words_digest) for line in lines]
    path = tmp_path / "i.jsonl"
    path.write_text("".join(line.to_json() + "\n" for line in lines))
    return path


@pytest.fixture
def page(out, dataset):
    path, failures = write_review(dataset, out, progress=False)
    assert failures == {}
    return path


def test_every_line_can_be_corrected_and_every_modality_is_shown(page):
    shown = Page(page.read_text())
    assert shown.open == []
    fields = [(found["data-case"], found["data-target"]) for found in shown.having("textarea")]
    assert fields == [("p1_a", "lesion"), ("p1_a", "core"), ("p2_a", "lesion")]
    assert len(shown.having("img")) == 2 * 2
    sheet = Image.open(io.BytesIO(base64.b64decode(shown.having("img")[0]["src"].split(",", 1)[1])))
    assert sheet.width <= 560
    words = " ".join(" ".join(shown.words).split())
    assert "Find <b>it</b> & more." in words
    assert "before: The core." in words


def test_what_differs_is_said_where_it_was_said(page):
    words = " ".join(" ".join(Page(page.read_text()).words).split())
    finding, instruction = (
        words.index("t1 , side: said left, measured right"),
        words.index("instruction , presence: said nothing, measured a bright area"),
    )
    assert finding < words.index("Find <b>it</b>") < instruction
    assert "1 of 2 details agree with the image; 1 differs" in words
    assert [found["data-doubtful"] for found in Page(page.read_text()).having("article")] == ["1", "0"]


def test_the_page_loads_nothing_from_elsewhere(page):
    for tag, attributes in Page(page.read_text()).elements:
        assert tag not in {"link", "iframe", "object"}
        assert attributes.get("src", "data:").startswith("data:")
        assert "href" not in attributes


def test_only_the_cases_asked_for_are_shown(out, dataset):
    path, _ = write_review(dataset, out, case_ids=["p2_a"], progress=False)
    assert {found["data-case"] for found in Page(path.read_text()).having("textarea")} == {"p2_a"}
    with pytest.raises(BadInputError, match="no line for any of these cases"):
        write_review(dataset, out, case_ids=["p3_a"], progress=False)


def test_a_case_without_pictures_keeps_its_words_and_is_listed(out, dataset, data_folder):
    (data_folder / "p2_a" / "t1.nii.gz").write_bytes(b"broken")
    path, failures = write_review(dataset, out, progress=False)
    assert "could not be drawn" in failures["p2_a"]
    shown = Page(path.read_text())
    assert len(shown.having("textarea")) == 3
    assert "Its images could not be read" in " ".join(shown.words)


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")
def test_a_browser_saves_what_was_corrected_and_the_file_comes_back(page, out, tmp_path):
    script = """<script>
    URL.createObjectURL = blob => {
      blob.text().then(text => { document.title = "saved " + btoa(text); });
      return "#";
    };
    const typed = document.querySelectorAll("textarea");
    for (const [field, text] of [[typed[0], "Find \\"this\\"."], [typed[1], "no"]]) {
      field.value = text;
      field.dispatchEvent(new Event("input"));
    }
    typed[1].nextElementSibling.click();  // undo
    document.getElementById("save").click();
    </script>"""
    acted = tmp_path / "acted.html"
    acted.write_text(page.read_text().replace("</body>", script + "</body>"))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=3000", "--dump-dom", acted.as_uri(),
    ]  # fmt: skip
    shown = Page(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    title = next(word for word in shown.words if word.startswith("saved "))
    saved = base64.b64decode(title.removeprefix("saved ")).decode()
    assert [json.loads(line) for line in saved.splitlines()] == [
        {"case": "p1_a", "target": "lesion", "text": 'Find "this".', "before": "Find <b>it</b> & more."}
    ]
    assert "1 changed, not saved in the instruction file yet" in " ".join(shown.words)
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(saved)
    assert take_corrections(out, corrected).changed == 1
    assert read_instructions(out)[0].text == 'Find "this".'
