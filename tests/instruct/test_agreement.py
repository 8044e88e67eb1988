"""Statements beside what was measured: what agrees, what differs, and what nothing was found for."""

from dataclasses import replace

import pytest

from zeusseg.datasets.phantom import make_phantom
from zeusseg.instruct.agreement import agreement, check
from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.instruction import Check, Instruction, parse_instruction
from zeusseg.instruct.measured import MeasuredWriter

AREA = Outlier(
    polarity="bright", side="left", anterior_posterior="anterior", superior_inferior="middle", voxels=1000,
    volume_ml=14.0, diameter=30.0, in_plane=30.0, share=0.01, roundness=0.9, border="sharp", texture="homogeneous",
    contrast=0.8, centre=(0.0, 0.0, 0.0),
)  # fmt: skip


def image(*areas, asymmetry=0.6, frame="body", spacing_known=True):
    return FindingAttributes(areas, asymmetry, 0.4, frame, spacing_known)


def verdicts(text, measured, modality="flair"):
    line = Instruction("c", "lesion", "", findings={modality: text})
    return {c.about: c.verdict for c in check(line, {modality: measured})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A bright area on the left.", {"signal": "agrees", "side": "agrees"}),
        ("A dark area on the right.", {"signal": "differs", "side": "differs"}),
        ("A left frontal lesion of 3 cm.", {"side": "agrees", "front or back": "agrees", "size": "agrees"}),
        ("A left occipital lesion.", {"side": "agrees", "front or back": "differs"}),
        ("A lesion, superior.", {}),  # measured in the middle third: neither
        ("A lesion of 44 mm.", {"size": "agrees"}),  # 1.47 times as large
        ("A lesion of 46 mm.", {"size": "differs"}),  # 1.53
        ("A lesion of 19 mm.", {"size": "differs"}),
        ("A small lesion.", {"size": "agrees"}),
        ("A large lesion.", {}),  # 1 % of the body is not small enough to contradict it
        ("No lesion.", {"presence": "differs"}),
        ("No dark lesion.", {"presence": "agrees"}),
        ("No lesion on the right.", {"presence": "agrees"}),
        ("Bilateral lesions.", {"side": "differs"}),
        ("Left and right are alike.", {"symmetry": "differs"}),
    ],
)
def test_one_area_is_there(text, expected):
    assert verdicts(text, image(AREA)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A bright area on the left.", {"presence": "not found"}),
        ("Nothing stands out.", {"presence": "agrees"}),
        ("Left and right are alike.", {"symmetry": "agrees"}),
    ],
)
def test_nothing_is_there(text, expected):
    assert verdicts(text, image(asymmetry=0.1)) == expected


def test_of_two_areas_the_one_that_fits_is_meant():
    two = image(AREA, replace(AREA, polarity="dark", side="right"))
    assert verdicts("A dark area on the right.", two) == {"signal": "agrees", "side": "agrees"}
    assert verdicts("Bilateral lesions.", two) == {"side": "agrees"}


def test_in_a_picture_left_and_up_are_the_pictures_own():
    # The patient's left and front are the right and the top of the picture.
    shown = image(AREA, frame="picture")
    assert verdicts("A bright area in the upper right part.", shown) == {
        "signal": "agrees", "side": "agrees", "height": "agrees",
    }  # fmt: skip
    assert verdicts("A bright area on the left, lower part.", shown)["side"] == "differs"
    assert "size" not in verdicts("A lesion of 3 cm.", shown)


def test_in_a_volume_the_pictures_left_is_not_the_patients():
    assert verdicts("A bright area on the right side of the picture, upper part.", image(AREA)) == {"signal": "agrees"}


def test_a_crop_has_no_sides_of_the_body():
    crop = image(AREA, frame="crop")
    assert verdicts("A bright area on the right.", crop) == {"signal": "agrees"}
    assert verdicts("No lesion on the left.", crop) == {}
    assert verdicts("No lesion.", crop) == {"presence": "differs"}


def test_what_the_definition_says_is_not_said_of_this_image():
    definition = "A dark area that lies on the right, at the back of the brain."
    line = Instruction("c", "lesion", f"Segment the lesion: {definition} FLAIR: A bright area on the left.")
    measured = {"flair": image(AREA)}
    assert [(c.about, c.verdict) for c in check(line, measured, definition)] == [
        ("signal", "agrees"), ("side", "agrees"),
    ]  # fmt: skip
    assert "differs" in [c.verdict for c in check(line, measured)]


def test_without_spacing_millimetres_are_not_checked():
    assert verdicts("A lesion of 3 cm.", image(AREA, spacing_known=False)) == {}


def test_what_was_said_and_measured_is_kept_in_words():
    line = Instruction("c", "lesion", "", findings={"flair": "A lesion of 5 cm on the right. No lesion."})
    found = check(line, {"flair": image(AREA)})
    assert [(c.place, c.about, c.said, c.measured, c.verdict) for c in found] == [
        ("flair", "side", "right", "left", "differs"),
        ("flair", "size", "50 mm", "30 mm", "differs"),
        ("flair", "presence", "nothing", "hyperintense area of 30 mm on the left", "differs"),
    ]
    assert found[0].statement == "A lesion of 5 cm on the right"


def test_an_instruction_is_checked_by_the_modality_it_names_or_by_the_one_that_fits():
    measured = {"flair": image(AREA), "t1": image(replace(AREA, polarity="dark"))}

    def of(text):
        return [(c.about, c.verdict) for c in check(Instruction("c", "lesion", text), measured)]

    assert of("Outline the lesion: bright on FLAIR, dark on T1.") == [("signal", "agrees")] * 2
    assert of("Outline the lesion: bright on FLAIR and bright on T1.") == [("signal", "agrees"), ("signal", "differs")]
    assert of("Outline the dark lesion on the left.") == [("signal", "agrees"), ("side", "agrees")]
    assert of("No lesion is seen.") == [("presence", "differs")]


@pytest.mark.parametrize("seed", [3, 5, 8, 13])
def test_what_measured_writes_agrees_with_what_it_measured_and_mirrored_it_does_not(seed):
    case = make_phantom(seed).case.without_labels()
    findings = MeasuredWriter().findings(case)
    measured = {modality: finding.attributes for modality, finding in findings.items()}
    texts = {modality: finding.text for modality, finding in findings.items()}
    line = Instruction("c", "lesion", MeasuredWriter().unite("c", findings, make_phantom(seed).targets[0]), texts)
    own = check(line, measured)
    assert own
    assert {c.verdict for c in own} == {"agrees"}
    swapped = {
        modality: text.replace("left", "?").replace("right", "left").replace("?", "right")
        for modality, text in texts.items() if "alike" not in text and "nothing" not in text
    }  # fmt: skip
    sides = {m: {outlier.side for outlier in image.outliers} & {"left", "right"} for m, image in measured.items()}
    one_sided = {modality: text for modality, text in swapped.items() if len(sides[modality]) == 1}
    for found in check(Instruction("c", "lesion", "", one_sided), measured):
        assert found.verdict == ("differs" if found.about == "side" else "agrees")


def test_counts_are_for_people():
    checks = [Check("flair", "s", "side", "left", "right", verdict) for verdict in ("agrees", "differs", "not found")]
    assert agreement(checks) == "1 of 3 details agree with the image; 1 differs, 1 not found"
    assert agreement(checks[:1]) == "1 of 1 details agree with the image"
    assert agreement(()) == agreement(None) == ""


def test_checks_survive_the_file_and_belong_to_their_words():
    line = Instruction("c", "lesion", "It is on the left.", findings={"flair": "On the left."})
    made = (Check("flair", "s", "side", "left", "right", "differs"),)
    checked = replace(line, checks=made, checked=line.words_digest)
    assert parse_instruction(checked.to_json()) == checked
    assert checked.own_checks == made
    assert checked.edited("It is on the right.").own_checks is None
    with pytest.raises(ValueError, match="checks that are no list"):
        parse_instruction('{"case": "c", "target": "t", "text": "", "checks": [{"about": 1}]}')
