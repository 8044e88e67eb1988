"""Clicks at prediction time: from voxels of a file to pixels that the model gets, and what is refused."""

import json
import sys

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from zeusseg import cli
from zeusseg.case import Case, Target, Volume
from zeusseg.errors import BadInputError, UsageError
from zeusseg.inference.clicks import TargetClicks, parse_clicks, read_clicks, stack_clicks
from zeusseg.inference.load import LoadedModel, load_model
from zeusseg.inference.predict import predict
from zeusseg.inference.segment import segment
from zeusseg.inference.slices import Slicing, stack_slices
from zeusseg.io import read_volume
from zeusseg.models.zeus import ZeusModel, ZeusOutput
from zeusseg.training.run import train

PARTS = {"modalities": 1, "channels": 3, "width": 32, "vision_channels": [8, 16]}
TURNS = {
    "RAS": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "LPS": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "permuted": [[0, 0, -1], [1, 0, 0], [0, -1, 0]],
    "permuted otherwise": [[0, -1, 0], [0, 0, 1], [1, 0, 0]],
    "oblique": [[0, 0.96, 0.28], [-1, 0, 0], [0, -0.28, 0.96]],
}
turned = pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
coarse_axis = pytest.mark.parametrize("spacing", [(3, 1, 1), (1, 3, 1), (1, 1, 3)])


def build(*, mirror: bool = False, clicks: bool = True) -> LoadedModel:
    torch.manual_seed(0)
    model, targets = ZeusModel(**PARTS).eval(), (Target("lesion", (1,)), Target("liver", (2,)))
    return LoadedModel(model, PARTS, ("t1",), targets, Slicing(), "name", mirror, clicks)


@pytest.fixture
def asked(monkeypatch) -> list:
    """What the model is asked, as images (b, m, c, h, w) and clicks; it answers nothing of interest."""
    seen = []

    def forward(self, images, present, texts, which, clicks=None):
        seen.append((images, clicks))
        return ZeusOutput(torch.zeros(*which.shape, *images.shape[-2:]), torch.zeros(which.shape))

    monkeypatch.setattr(ZeusModel, "forward", forward)
    return seen


def written(path, bright, turn, spacing) -> Case:
    """A case read from a file of noise with bright voxels, whose axes `turn` (3, 3) flips and permutes."""
    array = np.random.default_rng(0).random((9, 7, 5), dtype=np.float32)
    array[bright] = 100.0
    affine = np.eye(4)
    affine[:3, :3] = np.array(turn) @ np.diag(spacing)
    affine[:3, 3] = (12.5, -40.0, 7.0)
    nibabel.save(nibabel.Nifti1Image(array, affine), path / "t1.nii.gz")
    return Case("c", "p", {"t1": read_volume(path / "t1.nii.gz")})


def bright_pixels(images: torch.Tensor) -> list[list[int]]:
    """Sample, row and column of the bright pixels in the slices themselves, not in their neighbours."""
    return (images[:, 0, 1] > 3).nonzero().tolist()


@turned
@coarse_axis
@pytest.mark.parametrize("mirror", [False, True])
def test_the_voxel_that_was_clicked_in_the_file_is_the_pixel_that_the_model_gets(
    asked, tmp_path, turn, spacing, mirror
):
    case = written(tmp_path, (6, 2, 1), turn, spacing)
    given = {"lesion": TargetClicks(((6, 2, 1),), (1,))}
    segment(build(mirror=mirror), case, {"liver": "a", "lesion": "b"}, clicks=given, batch_size=2)
    assert sum(clicks is not None for _, clicks in asked) == 1 + mirror
    for images, clicks in asked:
        if clicks is None:
            assert bright_pixels(images) == []
            continue
        (sample, row, column), = bright_pixels(images)
        assert clicks.points[sample, 1, 0].tolist() == [row, column]
        # In no other slice, and for no other target.
        assert (clicks.labels != -1).nonzero().tolist() == [[sample, 1, 0]]
        assert clicks.boxes.isnan().all()


@turned
@coarse_axis
def test_a_box_holds_the_same_voxels_in_every_slice_that_it_spans(asked, tmp_path, turn, spacing):
    case = written(tmp_path, np.s_[2:5, 1:5, 2:4], turn, spacing)
    given = {"lesion": TargetClicks(box=((4, 1, 3), (2, 4, 2)))}
    segment(build(), case, {"lesion": "a"}, clicks=given, batch_size=16)
    (images, clicks), = asked
    bright = bright_pixels(images)
    for sample, box in enumerate(clicks.boxes[:, 0].tolist()):
        rows, columns = [r for s, r, _ in bright if s == sample], [c for s, _, c in bright if s == sample]
        assert box == [min(rows), min(columns), max(rows), max(columns)] if rows else np.isnan(box).all()


@pytest.mark.parametrize("index", [(3, 5), (3, 5, 0)])
def test_of_a_picture_column_and_row_are_given_in_its_own_pixels(asked, tmp_path, index):
    pixels = np.random.default_rng(0).integers(0, 20, size=(10, 7), dtype=np.uint8)
    pixels[5, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "t1.png")
    case = Case("c", "p", {"t1": read_volume(tmp_path / "t1.png")})
    segment(build(), case, {"lesion": "a"}, clicks={"lesion": TargetClicks((index,), (0,))})
    (images, clicks), = asked
    assert clicks.points.tolist() == [[[[5, 3]]]]
    assert bright_pixels(images) == [[0, 5, 3]]


@pytest.mark.parametrize(
    ("pixel_mm", "point", "box", "single"),
    [
        (None, [11, 7], [6, 3, 9, 6], [9, 5, 9, 5]),
        # A pixel's centre moves with the pixel; a box keeps its outer edges, at rows 6 and 10 and columns 3 and 7.
        (0.5, [22.5, 14.5], [12, 6, 19, 13], [18, 10, 19, 11]),
        (2.0, [5.25, 3.25], [3, 1.5, 4, 2.5], [4.25, 2.25, 4.25, 2.25]),
    ],
)
def test_clicks_follow_their_slice_to_its_new_pixels(pixel_mm, point, box, single):
    volume = Volume.from_file(np.random.default_rng(0).normal(size=(8, 12, 3)), np.diag([1.0, 1.0, 3.0, 1.0]))
    case = Case("c", "p", {"t1": volume})
    given = {
        "a": TargetClicks(((0, 0, 1),), (1,), ((1, 5, 1), (4, 2, 0))),
        "b": TargetClicks(box=((2, 2, 1), (2, 2, 1))),
    }
    stack = stack_slices(case, ("t1",), Slicing(1, pixel_mm))
    clicks = stack_clicks(case, stack, ["a", "b"], given).read(range(3))
    assert clicks.points[1, 0].tolist() == [point]
    assert clicks.labels[:, :, 0].tolist() == [[-1, -1], [1, -1], [-1, -1]]
    assert clicks.boxes[:2, 0].tolist() == [box, box]
    assert clicks.boxes[1, 1].tolist() == single
    assert clicks.boxes.isnan().all(dim=-1).tolist() == [[False, True], [False, False], [True, True]]


def test_targets_with_fewer_points_are_padded():
    case = Case("c", "p", {"t1": Volume.from_file(np.random.default_rng(0).normal(size=(8, 12, 3)), np.eye(4))})
    given = {"a": TargetClicks(((1, 1, 0), (2, 2, 0), (3, 3, 2)), (1, 0, 1)), "b": TargetClicks(((4, 4, 0),), (0,))}
    clicks = stack_clicks(case, stack_slices(case, ("t1",), Slicing()), ["a", "b"], given)
    assert clicks.read([0, 2]).labels.tolist() == [[[1, 0], [0, -1]], [[1, -1], [-1, -1]]]
    assert clicks.read([1]) is None


def test_a_click_changes_its_target_in_its_slice_and_nothing_else():
    case = Case("c", "p", {"t1": Volume.from_file(np.random.default_rng(0).normal(size=(16, 24, 3)), np.eye(4))})
    texts = {"lesion": "the lesion", "liver": "the liver"}
    given = {"liver": TargetClicks(((4, 9, 1),), (1,))}
    plain, clicked = segment(build(), case, texts), segment(build(), case, texts, clicks=given)
    np.testing.assert_allclose(clicked["lesion"].probability, plain["lesion"].probability, atol=1e-6)
    changed = np.abs(clicked["liver"].probability - plain["liver"].probability).max(axis=(0, 1))
    assert (changed > 1e-3).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"lesion": TargetClicks(((8, 7, 0),), (1,))}, BadInputError, r"'lesion': .* \[8, 7, 0\] is not .* 9x7x5"),
        ({"lesion": TargetClicks(((0, -1, 0),), (1,))}, BadInputError, r"\[0, -1, 0\] is not in the image"),
        ({"lesion": TargetClicks(((1, 1),), (1,))}, BadInputError, r"\[1, 1\] is not in the image"),
        ({"lesion": TargetClicks(box=((0, 0, 0), (1, 1, 5)))}, BadInputError, r"\[1, 1, 5\] is not in the image"),
        ({"spleen": TargetClicks(((1, 1, 1),), (1,))}, UsageError, "target 'spleen' of case 'c', .* there are lesion"),
    ],
)
def test_points_outside_the_image_and_targets_without_words_are_refused(given, error, reason, tmp_path):
    with pytest.raises(error, match=reason):
        segment(build(), written(tmp_path, (0, 0, 0), TURNS["LPS"], (1, 1, 3)), {"lesion": "a"}, clicks=given)


def test_a_model_that_was_not_trained_with_clicks_refuses_them(tmp_path):
    case = written(tmp_path, (0, 0, 0), TURNS["RAS"], (1, 1, 3))
    given = {"lesion": TargetClicks(((1, 1, 1),), (1,))}
    with pytest.raises(UsageError, match=r"train with fit\.click_share"):
        segment(build(clicks=False), case, {"lesion": "a"}, clicks=given)


def line(**more) -> str:
    return json.dumps({"case": "c", "target": "lesion", **more})


def test_a_line_gives_points_labels_and_a_box():
    points, corners = [[1, 2, 3], [4, 5, 6]], [[0, 0, 3], [9, 9, 3]]
    assert parse_clicks(line(points=points)) == ("c", "lesion", TargetClicks(((1, 2, 3), (4, 5, 6)), (1, 1)))
    found = parse_clicks(line(points=points, labels=[0, 1], box=corners))[2]
    assert found == TargetClicks(((1, 2, 3), (4, 5, 6)), (0, 1), ((0, 0, 3), (9, 9, 3)))
    assert parse_clicks(line(box=corners, points=[]))[2] == TargetClicks(box=((0, 0, 3), (9, 9, 3)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "holds a JSON list: expected an object with case, target"),
        (json.dumps({"target": "lesion", "points": [[1, 2, 3]]}), "has case None: expected text"),
        (line(), "has neither points nor a box"),
        (line(points=[]), "has neither points nor a box"),
        (line(points=[[1, 2, 3]], lables=[1]), "has a field 'lables': expected case, target, points, labels, box"),
        (line(points=[1, 2, 3]), "expected a list of voxel indices"),
        (line(points=[[1, 2, 3.5]]), "expected a list of voxel indices"),
        (line(points=[[1, 2, True]]), "expected a list of voxel indices"),
        (line(points=[[1, 2, 3, 4]]), "expected a list of voxel indices"),
        (line(points=[[1, 2, 3]], labels=[2]), r"expected a list of 1 \(inside of the target\) and 0"),
        (line(points=[[1, 2, 3]], labels=[1, 0]), "has 2 labels for 1 points"),
        (line(box=[[1, 2, 3]]), "expected two opposite corners"),
        (line(box=[1, 2, 3, 4]), "expected two opposite corners"),
    ],
)
def test_a_bad_line_is_refused_with_file_and_line(tmp_path, text, reason):
    path = tmp_path / "clicks.jsonl"
    path.write_text(line(target="liver", points=[[1, 2, 3]]) + "\n\n" + text + "\n")
    with pytest.raises(BadInputError, match=rf"clicks\.jsonl, line 3: .*{reason}"):
        read_clicks(path)


def test_a_target_stands_once_in_a_file(tmp_path):
    path = tmp_path / "clicks.jsonl"
    path.write_text(line(points=[[1, 2, 3]]) + "\n" + line(box=[[1, 2, 3], [4, 5, 3]]) + "\n")
    with pytest.raises(BadInputError, match=r"line 2: case 'c', target 'lesion' already stands in line 1"):
        read_clicks(path)
    with pytest.raises(BadInputError, match="cannot be read as a file of clicks"):
        read_clicks(tmp_path / "nowhere.jsonl")


@pytest.fixture(scope="module")
def clicking_run(phantoms, tmp_path_factory, run):
    """A run that was trained with clicks."""
    from zeusseg.training.config import read_config

    config = read_config(run / "config.yaml", ["fit.click_share=1", "fit.steps=2"])
    return train(config, phantoms, tmp_path_factory.mktemp("clicking") / "run", progress=False).folder


def clicks_file(folder, *lines: dict):
    path = folder / "clicks.jsonl"
    path.write_text("".join(json.dumps(values) + "\n" for values in lines))
    return path


def test_a_run_says_whether_it_was_trained_with_clicks(run, clicking_run):
    assert (load_model(run).clicks, load_model(clicking_run).clicks) == (False, True)


def test_what_was_given_is_recorded_and_a_changed_click_is_predicted_again(
    clicking_run, phantoms, tmp_path, monkeypatch
):
    case_id, (first, second) = phantoms.splits["test"][0], [target.name for target in phantoms.targets][:2]
    given = {"case": case_id, "target": first, "points": [[4, 4, 2], [9, 9, 2]], "labels": [1, 0]}

    def predicted(*lines: dict) -> tuple[dict, int]:
        path = clicks_file(tmp_path, *lines)
        words = ["predict", str(clicking_run), str(phantoms.root), "--out", str(tmp_path / "out"), "--split", "test"]
        monkeypatch.setattr(sys, "argv", ["zeusseg", *words, "--clicks", str(path)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 0
        record = tmp_path / "out" / case_id / "prediction.json"
        return json.loads(record.read_text())["targets"], record.stat().st_ino

    entries, written_first = predicted(given)
    assert entries[first]["clicks"] == {"points": 2, "box": False}
    assert "clicks" not in entries[second]
    assert predicted(given)[1] == written_first
    entries, written_then = predicted({**given, "labels": [1, 1]}, {**given, "target": second, "box": [[0, 0, 1]] * 2})
    assert written_then != written_first
    assert entries[second]["clicks"] == {"points": 2, "box": True}


def test_no_clicks_for_a_case_leave_its_earlier_prediction_as_it_is(clicking_run, phantoms, tmp_path):
    first, second = phantoms.splits["test"]
    path = clicks_file(tmp_path, {"case": second, "target": phantoms.targets[0].name, "points": [[1, 1, 1]]})
    records = []
    for clicks in (None, path):
        predict(clicking_run, phantoms, tmp_path / "out", case_ids=[first], clicks=clicks, progress=False)
        records.append((tmp_path / "out" / first / "prediction.json").stat().st_ino)
    assert records[0] == records[1]


def test_a_point_outside_costs_its_own_case_only(clicking_run, phantoms, tmp_path):
    first, second = phantoms.splits["test"]
    path = clicks_file(tmp_path, {"case": first, "target": phantoms.targets[0].name, "points": [[48, 0, 0]]})
    predicted = predict(
        clicking_run, phantoms, tmp_path / "out", case_ids=[first, second], clicks=path, progress=False
    )
    assert predicted.done == [second]
    assert "the point [48, 0, 0] is not in the image" in predicted.failures[first]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"case": "nobody"}, r"clicks\.jsonl: gives clicks for the case 'nobody'"),
        ({"target": "spleen"}, "for the target 'spleen' of case"),
        ({"points": "here"}, r"clicks\.jsonl, line 1: has points 'here'"),
    ],
)
def test_unknown_cases_targets_and_bad_lines_stop_before_anything_is_done(
    clicking_run, phantoms, tmp_path, change, reason
):
    case_id = phantoms.splits["test"][0]
    values = {"case": case_id, "target": phantoms.targets[0].name, "points": [[1, 1, 1]], **change}
    with pytest.raises(UsageError, match=reason):
        predict(
            clicking_run, phantoms, tmp_path / "out", case_ids=[case_id], clicks=clicks_file(tmp_path, values),
            progress=False,
        )
    assert not (tmp_path / "out" / case_id).exists()


def test_a_run_without_clicks_refuses_a_file_of_them(run, phantoms, tmp_path):
    with pytest.raises(UsageError, match=r"train with fit\.click_share"):
        predict(run, phantoms, tmp_path / "out", clicks=clicks_file(tmp_path), progress=False)
