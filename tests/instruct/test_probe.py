"""A writer that looks at images is told from one that does not."""

import json
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pytest

from zeusseg.errors import UsageError
from zeusseg.instruct.finding import Finding, LocalWriter
from zeusseg.instruct.measured import MeasuredWriter
from zeusseg.instruct.probe import Probe, Reading, probe, side_of


@dataclass
class Parrot(LocalWriter):
    """Says the same whatever it is shown, or with a number that depends on nothing."""

    numbered: bool = False
    name = "parrot"
    model = ""
    prompt_version = "1"

    def findings(self, case):
        number = f" number {crc32(case.reference.array.tobytes())}" if self.numbered else ""
        return {m: Finding(m, f"There is a bright lesion{number} in the left frontal lobe.") for m in case.images}


def test_measuring_depends_on_the_image_and_sides_turn_with_the_mirror(folder, tmp_path):
    found = probe(folder, MeasuredWriter(), tmp_path / "probe.json", progress=False)
    assert not found.ignores_the_image
    assert len(found.readings) == 3 * 3
    assert "of 2 readings that name one side, 2 then name the other" in found.to_text()
    assert "depend on the image" in found.to_text()
    anna = next(r for r in found.of("mirrored") if r.case == "anna")
    assert (side_of(anna.text), side_of(anna.text_instead)) == ("right", "left")
    assert not any(reading.same for reading in found.of("noise") if reading.case != "cora")


@pytest.mark.parametrize("numbered", [False, True])
def test_a_writer_that_says_the_same_for_noise_is_called_out(folder, tmp_path, numbered):
    found = probe(folder, Parrot(numbered), tmp_path / "probe.json", progress=False)
    assert found.ignores_the_image
    assert "do NOT depend on the image" in found.to_text()
    assert ("the same words in 3 of 3" in found.to_text()) != numbered


def probed(likenesses):
    """A probe of texts of ten words, of which so many are the image's, for (noise, another patient) per case."""
    words = [f"word{place}" for place in range(10)]
    return Probe("w", tuple(
        Reading(f"case{number}", "flair", " ".join(words), instead, " ".join(words[:same] + ["other"] * (10 - same)))
        for number, pair in enumerate(likenesses)
        for instead, same in zip(("noise", "another patient"), pair, strict=True)
    ), {})  # fmt: skip


@pytest.mark.parametrize(
    ("likenesses", "ignores"),
    [
        ([(1, 5), (2, 6), (0, 4)], False),  # 0.4 nearer to real images in every case
        ([(5, 1), (6, 2), (4, 0)], True),
        ([(5, 5), (6, 6)], True),
        ([(5, 1), (2, 4), (6, 5), (4, 5)], None),  # nearer to noise on average, but by chance perhaps
        ([(1, 9), (5, 3), (2, 3), (6, 4)], None),  # nearer on average, but by chance perhaps
        ([(1, 5)], None),  # one case says nothing of others
    ],
)
def test_dependence_is_called_only_where_it_is_beyond_chance(likenesses, ignores):
    assert probed(likenesses).ignores_the_image is ignores


def test_the_gap_between_noise_and_patients_is_stated_with_its_interval():
    assert "by 0.40 of likeness (95 % interval 0.40 to 0.40, 3 cases)" in probed([(1, 5), (2, 6), (0, 4)]).to_text()


def test_the_file_holds_every_reading(folder, tmp_path):
    probe(folder, Parrot(), tmp_path / "probe.json", progress=False)
    content = json.loads((tmp_path / "probe.json").read_text())
    assert content["ignores_the_image"]
    assert {(r["case"], r["instead"]) for r in content["readings"]} == {
        (case, instead) for case in ("anna", "bert", "cora") for instead in ("noise", "mirrored", "another patient")
    }
    assert {r["likeness"] for r in content["readings"]} == {1.0}


def test_noise_keeps_outline_and_brightness_and_nothing_else(folder, tmp_path):
    seen = []

    class Watcher(Parrot):
        def findings(self, case):
            seen.append(case.reference.array)
            return super().findings(case)

    probe(folder, Watcher(), tmp_path / "probe.json", case_ids=["anna", "bert"], progress=False)
    image, noise, mirrored, other = seen[:4]
    assert ((noise == 0) == (image == 0)).mean() > 0.95
    inside = image != 0
    assert noise[inside].mean() == pytest.approx(image[inside].mean(), rel=0.1)
    assert abs(np.corrcoef(noise[inside], image[inside])[0, 1]) < 0.05
    np.testing.assert_array_equal(mirrored, image[::-1])
    np.testing.assert_array_equal(other, folder.read("bert").reference.array)


def test_a_broken_case_costs_only_what_needs_it(folder, tmp_path):
    (folder.root / "bert" / "flair.nii.gz").write_bytes(b"broken")
    found = probe(folder, Parrot(), tmp_path / "probe.json", progress=False)
    assert set(found.failures) == {"anna", "bert"}  # anna was to be shown bert's image
    assert {reading.case for reading in found.readings} == {"cora"}


def test_one_case_cannot_be_probed(folder, tmp_path):
    with pytest.raises(UsageError, match="two cases or more"):
        probe(folder, Parrot(), tmp_path / "probe.json", case_ids=["anna"])


def test_likeness_counts_words_in_order():
    assert Reading("a", "t1", "one two three four", "noise", "one two five six").likeness == pytest.approx(0.5)
    assert Reading("a", "t1", "One, two!", "noise", "one two").same
