"""CheXlocalize is read as Stanford publishes it: radiographs, and overlapping masks as COCO's runs in JSON files."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from zeusseg.datasets import describe, load_dataset
from zeusseg.errors import BadInputError

HEIGHT, WIDTH = 3, 4
FIRST = "patient64541_study1_view1_frontal"
SECOND = "patient64541_study1_view2_lateral"
THIRD = "patient7_study2_view1_frontal"
# Three rows of four pixels, read column by column: 4 outside, 2 inside (column 1, rows 1 and 2), 6 outside. COCO writes
# a run below 16 as the character of its number and 48.
BY_HAND = {"size": [HEIGHT, WIDTH], "counts": "426"}
EMPTY = {"size": [HEIGHT, WIDTH], "counts": "<"}  # one run of 12, which is all of them


def runs(*pixels):
    marked = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    for pixel in pixels:
        marked[pixel] = 1
    encoded = coco.encode(marked)
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def radiograph(seed):
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "JPEG")
    return content.getvalue()


def files(val, test=None):
    return {
        "CheXpert/val/patient64541/study1/view1_frontal.jpg": radiograph(1),
        "CheXpert/val/patient64541/study1/view2_lateral.jpg": radiograph(2),
        "CheXpert/test/patient7/study2/view1_frontal.jpg": radiograph(3),
        "CheXpert/val_labels.csv": "Path\n",
        "CheXlocalize/gt_segmentations_val.json": val,
        "CheXlocalize/gt_segmentations_test.json": {} if test is None else test,
        "CheXlocalize/gt_annotations_val.json": {},
    }


def sizes(dataset, case_id):
    case = dataset.read(case_id)
    return {target.name: size for target in dataset.targets if (size := int(case.mask(target).sum()))}


def test_pictures_are_cases_in_the_published_splits_with_their_patients_and_views(make):
    dataset = load_dataset(make(files({})))
    assert (dataset.layout, dataset.name, dataset.modalities) == ("chexlocalize", "chexlocalize", ("xray",))
    assert dataset.splits == {"val": (FIRST, SECOND), "test": (THIRD,)}
    assert dataset.patients == {FIRST: "patient64541", SECOND: "patient64541", THIRD: "patient7"}
    assert [dataset.about[name]["view"] for name in (FIRST, SECOND)] == ["frontal", "lateral"]
    assert len(dataset.targets) == 10
    assert not dataset.spacing_known


def test_runs_worked_out_by_hand_mark_their_pixels(make):
    dataset = load_dataset(make(files({FIRST: {"Cardiomegaly": BY_HAND, "Edema": EMPTY}})))
    case = dataset.read(FIRST)
    (cardiomegaly,) = (target for target in dataset.targets if target.name == "cardiomegaly")
    # (column, row): x runs to the right of the patient, so file columns come back in reverse order.
    assert case.labels.to_file(case.mask(cardiomegaly))[:, :, 0].T.tolist() == [
        [False, False, False, False],
        [False, True, False, False],
        [False, True, False, False],
    ]
    assert sizes(dataset, FIRST) == {"cardiomegaly": 2}


def test_pathologies_may_overlap(make):
    both = {"Lung Lesion": runs((0, 0), (1, 1)), "Support Devices": runs((1, 1), (1, 2), (2, 3))}
    dataset = load_dataset(make(files({SECOND: both}, {THIRD: {"Airspace Opacity": runs((0, 0))}})))
    assert sizes(dataset, SECOND) == {"lung lesion": 2, "support devices": 3}
    # Bits 64 and 512, together 576.
    assert sorted(np.unique(dataset.read_labels(SECOND).array)) == [0, 64, 512, 576]
    assert sizes(dataset, THIRD) == {"airspace opacity": 1}


def test_a_targets_file_names_pathologies_by_their_bits(make):
    lesion, tube = runs((1, 1), (2, 2)), runs((2, 2))
    shown = {"Edema": runs((0, 0), (1, 1)), "Lung Lesion": lesion, "Support Devices": tube}
    root = make(files({FIRST: shown}) | {"targets.yaml": "targets: {edema: {values: [16]}}"})
    with pytest.raises(BadInputError, match=r"val\.json: label value 80, 576 belongs to no target \(known: \[0, 16\]"):
        load_dataset(root).read(FIRST)
    (root / "targets.yaml").write_text("targets: {edema: {values: [16]}}\nignore: [64, 512]")
    assert sizes(load_dataset(root), FIRST) == {"edema": 2}


def test_a_picture_that_the_file_does_not_name_shows_none_of_them(make):
    dataset = load_dataset(make(files({FIRST: {"Edema": runs((0, 0))}})))
    assert sizes(dataset, SECOND) == {}
    assert dataset.read(SECOND).labels.shape == (WIDTH, HEIGHT, 1)


def test_a_split_without_its_file_has_no_labels(make):
    content = files({})
    del content["CheXlocalize/gt_segmentations_test.json"]
    dataset = load_dataset(make(content))
    assert dataset.read(THIRD).labels is None
    assert dataset.read(FIRST).labels is not None


@pytest.mark.parametrize(
    ("val", "complaint"),
    [
        ({FIRST: {"Fracture": EMPTY}}, "'Fracture' is none of airspace opacity, atelectasis"),
        ({FIRST: {"Edema": {"size": [HEIGHT, WIDTH]}}}, "Edema: not a mask in COCO's run-length encoding"),
        ({FIRST: {"Edema": {**EMPTY, "counts": [12]}}}, "Edema: not a mask in COCO's run-length encoding"),
        ({FIRST: {"Edema": {**EMPTY, "counts": "zzzz"}}}, "Edema: not a mask in COCO's run-length encoding"),
        ({FIRST: {"Edema": {**EMPTY, "counts": "42"}}}, r"Edema: truncated or corrupt: .* \[3, 4\] pixels"),
        ({FIRST: {"Edema": {**EMPTY, "counts": ""}}}, r"Edema: truncated or corrupt"),
        ({FIRST: {"Edema": EMPTY, "Lung Lesion": {"size": [2, 6], "counts": "<"}}}, "its masks differ in size"),
        ({FIRST: {"Edema": {"size": [2, 6], "counts": "<"}}}, "pictures of one case must have the same size"),
        ([], "must map each picture to its pathologies"),
        ("{", "cannot be read"),
    ],
)
def test_a_mask_that_cannot_be_followed_costs_its_case_and_says_why(val, complaint, make):
    dataset = load_dataset(make(files(val)))
    with pytest.raises(BadInputError, match=rf"(?s){complaint}"):
        dataset.read(FIRST)
    assert dataset.read(FIRST, labels=False).labels is None
    assert dataset.read(THIRD).labels is not None


def test_a_changed_file_is_read_again(make):
    root = make(files({FIRST: {"Edema": runs((0, 0))}}))
    dataset = load_dataset(root)
    assert sizes(dataset, FIRST) == {"edema": 1}
    path = root / "CheXlocalize" / "gt_segmentations_val.json"
    path.write_text(json.dumps({FIRST: {"Edema": runs((0, 0), (1, 1))}}))
    os.utime(path, ns=(1, 1))
    assert sizes(dataset, FIRST) == {"edema": 2}


def test_the_digest_covers_the_files_of_masks(make):
    root = make(files({FIRST: {"Edema": runs((0, 0))}}))
    before = load_dataset(root).digest()
    make({"CheXlocalize/gt_segmentations_test.json": {THIRD: {"Edema": runs((0, 0))}}})
    assert load_dataset(root).digest() != before


def test_info_takes_the_masks_file_for_no_image(make):
    told = describe(load_dataset(make(files({FIRST: {"Edema": runs((0, 0))}}))))
    assert [problem for problem in told.problems if "gt_segmentations" in problem] == []
