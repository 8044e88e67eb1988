"""Oracle text: attributes of masks that were drawn by hand, and the published prompts of real pictures."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Case, Target, Volume
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.instruct.controls import FileWriter
from zeusseg.instruct.prompts import NUMBERS
from zeusseg.studies.oracle import is_oracle, oracle_instructions, reference_facts

TUMOR, POLYP = Target("breast tumor", (1,)), Target("polyp", (1,))
SHAPE = (90, 120)


def disc(row, column, radius):
    """Pixels (row, column) of a disc."""
    rows, columns = np.indices(SHAPE)
    return np.hypot(rows - row, columns - column) <= radius


def box(rows, columns):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def case_of(mask, case_id="a", pixels=None):
    """The case of a mask (row, column), as it is read from picture files."""
    pixels = np.full(SHAPE, 80, dtype=np.uint8) if pixels is None else pixels
    image, labels = (
        Volume.from_file(np.swapaxes(array, 0, 1)[:, :, None], np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
        for array in (pixels, mask.astype(np.uint8))
    )
    return Case(case_id, case_id, {"rgb": image}, labels, spacing_known=False)


def source(*cases, targets=(TUMOR,), about=None):
    by_id = {case.id: case for case in cases}
    return SimpleNamespace(targets=targets, read=lambda case_id: by_id[case_id], about=about or {})


def texts(spec, dataset, *case_ids):
    lines, failures = oracle_instructions(spec, dataset, case_ids)
    assert failures == {}
    return [line.text for line in lines]


def facts_of(mask, target=TUMOR, about=None, **options):
    return reference_facts(case_of(mask, **options), [target], about or {})[target.name]


# 90 by 120 pixels are 10800: a disc of radius 10 fills 2.9 %, 20 rows by 60 columns 11 %, 60 by 60 a third.
@pytest.mark.parametrize(
    ("mask", "number", "size", "location", "shape"),
    [
        (disc(15, 20, 10), 1, "small", "top left", "round"),
        (disc(45, 60, 10), 1, "small", "center", "round"),
        (disc(70, 100, 10), 1, "small", "bottom right", "round"),
        (box((65, 85), (30, 90)), 1, "medium", "bottom", "irregular"),
        (box((15, 75), (60, 120)), 1, "large", "right", "round"),
        (box((44, 45), (2, 8)), 1, "tiny", "left", "irregular"),
        (disc(15, 60, 12) | disc(45, 20, 10), 2, "small", "top and left", "round"),
        (box((0, 20), (0, 60)) | disc(60, 100, 6) | disc(60, 60, 6), 3, "small and medium", None, "irregular"),
    ],
)
def test_a_mask_is_described_as_it_was_drawn(mask, number, size, location, shape):
    facts = facts_of(mask)
    assert (facts.present, facts.number, facts.size, facts.shape) == (True, number, size, shape)
    assert location in (facts.location, None)


def test_pieces_that_touch_by_corners_are_one_and_a_speck_counts_only_where_it_is_all():
    assert facts_of(box((10, 20), (10, 20)) | box((20, 30), (20, 30))).number == 1
    speck = box((80, 81), (110, 111))
    assert facts_of(disc(30, 30, 10) | speck).number == 1
    assert (facts_of(speck).number, facts_of(speck).size) == (1, "tiny")


def test_a_colour_is_that_under_the_mask():
    pixels = np.full((*SHAPE, 3), (230, 150, 150), dtype=np.uint8)
    pixels[disc(45, 60, 10)] = (110, 70, 40)
    assert facts_of(disc(45, 60, 10), POLYP, pixels=pixels).colour == "brown"
    assert facts_of(disc(20, 20, 10), POLYP, pixels=pixels).colour == "pink"
    assert facts_of(disc(20, 20, 10), POLYP).colour is None


def test_the_diagnosis_is_the_owners_or_that_of_the_case_id():
    mask = disc(45, 60, 10)
    assert facts_of(mask, case_id="100_benign").malignancy == "benign"
    assert facts_of(mask, case_id="100_benign", about={"class": "Malignant"}).malignancy == "malignant"
    assert facts_of(mask, case_id="case_7").malignancy is None


def test_breast_prompts_tell_the_answer():
    mask = disc(15, 20, 10)
    dataset = source(case_of(mask, "1_malignant"), case_of(~mask & mask, "2_normal"))
    told = {f"P{number}": texts(f"oracle:P{number}", dataset, "1_malignant", "2_normal") for number in range(7)}
    none = "no breast tumor in the ultrasound image"
    assert told["P0"] == ["", ""]
    assert told["P1"] == ["breast tumor in the ultrasound image", none]
    assert told["P6"] == [
        "one small round malignant breast tumor in the ultrasound image, at the top left of the picture", none,
    ]  # fmt: skip
    assert {pair[1] for kind, pair in told.items() if kind != "P0"} == {none}


def test_other_targets_that_are_absent_are_only_named():
    dataset = source(case_of(np.zeros(SHAPE, dtype=bool)), targets=(POLYP,))
    assert texts("oracle:P9", dataset, "a") == ["polyp"]


def test_a_chest_prompt_lists_what_is_there():
    targets = (Target("edema", (1,)), Target("pneumothorax", (2,)), Target("atelectasis", (3,)))
    labels = disc(15, 20, 10) + 3 * disc(70, 100, 10).astype(np.uint8)
    dataset = source(case_of(labels), targets=targets, about={"a": {"view": "frontal"}})
    assert texts("oracle:P6", dataset, "a") == [
        "edema in the chest X-ray; to be seen are: edema, atelectasis",
        "pneumothorax in the chest X-ray",
        "atelectasis in the chest X-ray; to be seen are: edema, atelectasis",
    ]
    assert texts("oracle:P4", dataset, "a")[0] == (
        "round edema in the chest X-ray, frontal view, at the top left of the picture"
    )


def test_every_line_is_marked_and_refused_outside_studies(tmp_path):
    lines, _ = oracle_instructions("oracle:P5", source(case_of(disc(15, 20, 10))), ["a"])
    assert [(line.oracle, line.writer, line.target) for line in lines] == [(True, "oracle:P5", "breast tumor")]
    path = tmp_path / "words.jsonl"
    path.write_text("".join(line.to_json() + "\n" for line in lines))
    with pytest.raises(UsageError, match="oracle text"):
        FileWriter(path)


def test_a_case_without_labels_or_of_several_planes_costs_that_case_only():
    good = case_of(disc(15, 20, 10), "good")
    bare = case_of(disc(15, 20, 10), "bare").without_labels()
    image = Volume.from_file(np.ones((4, 4, 3), dtype=np.uint8), np.eye(4))
    dataset = source(good, bare, Case("deep", "deep", {"us": image}, image))
    lines, failures = oracle_instructions("oracle:P1", dataset, ["bare", "deep", "good"])
    assert [line.case for line in lines] == ["good"]
    assert "no labels" in failures["bare"]
    assert "one plane" in failures["deep"]


@pytest.mark.parametrize("spec", ["oracle", "oracle:", "prompt:P5", "oracle:P7"])
def test_what_is_no_oracle_of_these_data_is_refused(spec):
    with pytest.raises(UsageError):
        oracle_instructions(spec, source(), [])


def test_oracles_are_told_from_writers():
    assert [is_oracle(spec) for spec in ("oracle:P5", "oracle", "prompt:P5", "file:oracle.jsonl")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_folder_of_pictures_is_read(tmp_path):
    for folder, pixels in {"images": 90 + 9 * disc(45, 100, 10), "masks": 255 * disc(45, 100, 10)}.items():
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / "7_benign.png")
    dataset = load_dataset(tmp_path)
    assert texts("oracle:P5", dataset, "7_benign") == [
        "one small benign breast tumor in the ultrasound image, at the right of the picture"
    ]


def test_busi_agrees_with_the_published_prompts(data):
    """Published numbers count specks of a few pixels, which masks scaled down to 224 pixels have lost. Published places
    cut the width, too, at thirds of the height, so that only top, middle and bottom are the same by rule."""
    dataset = load_dataset(data / "busi")
    published = json.loads((data / "busi" / "anns" / "val.json").read_text())
    agreed = {"presence": 0, "malignancy": 0, "size": 0, "number": 0, "row": 0}
    tumours = 0
    for entry in published:
        case = dataset.read(entry["segment_id"])
        facts = reference_facts(case, dataset.targets, {})["breast tumor"]
        prompts = entry["prompts"]
        there = not prompts["p1"].startswith("No ")
        agreed["presence"] += facts.present == there
        if not there:
            continue
        tumours += 1
        said = re.fullmatch(r"(\w+) (.+) (\w+) tumors? at the (.+) in the breast ultrasound image\.", prompts["p5"][0])
        assert said is not None
        number, size, malignancy, place = said.groups()
        agreed["number"] += NUMBERS[facts.number - 1] == number.lower()
        agreed["size"] += facts.size == size.replace(", ", " and ")
        agreed["malignancy"] += facts.malignancy == malignancy
        row = {"top", "bottom"} & set(place.replace(",", "").split())
        agreed["row"] += row == {"top", "bottom"} & set(facts.location.split())
    assert (len(published), tumours) == (78, 65)
    assert (agreed["presence"], agreed["malignancy"], agreed["size"]) == (78, 65, 65)
    assert agreed["number"] >= 55
    assert agreed["row"] >= 60
