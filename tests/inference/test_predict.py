"""Prediction: files on the case's own grid, words from where they were asked for, one bad case costing itself."""

import json
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from zeusseg.case import Case, Target, Volume
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.inference.load import load_model, save_model
from zeusseg.inference.predict import multilabel_map, predict
from zeusseg.inference.segment import SegmentedTarget, segment
from zeusseg.instruct.instruction import Check, Instruction
from zeusseg.metrics.calibration import Calibration
from zeusseg.report.scoring import read_prediction_record


def record(folder) -> dict:
    return json.loads((folder / "prediction.json").read_text())


@pytest.fixture
def certain(monkeypatch) -> None:
    """A model that is sure of every target everywhere: what is written is then known."""
    from zeusseg.models.zeus import ZeusModel, ZeusOutput

    def everything(self, images, present, texts, which, clicks=None):
        shape = (*which.shape, *images.shape[-2:])
        return ZeusOutput(torch.full(shape, 9.0), torch.full(which.shape, 9.0))

    monkeypatch.setattr(ZeusModel, "forward", everything)


def test_every_case_gets_a_mask_per_target_on_its_own_grid(run, phantoms, tmp_path):
    ids = phantoms.splits["test"]
    predicted = predict(run, phantoms, tmp_path, case_ids=ids, progress=False)
    assert (predicted.done, predicted.failures) == (list(ids), {})
    for case_id in ids:
        entry = record(tmp_path / case_id)
        assert set(entry["targets"]) == {target.name for target in phantoms.targets}
        source = nibabel.load(next((phantoms.root / case_id).glob("t1.nii.gz")))
        for target in entry["targets"].values():
            image = nibabel.load(tmp_path / case_id / target["file"])
            assert image.shape == source.shape
            np.testing.assert_allclose(image.affine, source.affine, atol=1e-5)
            assert image.get_data_dtype() == np.uint8
            assert int(np.asarray(image.dataobj).sum()) == target["voxels"]
            assert (target["voxels"] == 0) == (target["empty_reason"] is not None)


@pytest.mark.usefixtures("certain")
def test_words_are_used_as_given_for_one_target_called_text(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    predict(run, phantoms, tmp_path, case_ids=[case_id], text="the Lesion, please", progress=False)
    targets = record(tmp_path / case_id)["targets"]
    assert list(targets) == ["text"]
    assert targets["text"]["instruction"] == "the Lesion, please"
    assert targets["text"]["voxels"] == np.prod(phantoms.read(case_id).shape)


@pytest.mark.usefixtures("certain")
def test_an_empty_text_asks_for_nothing(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    predict(run, phantoms, tmp_path, case_ids=[case_id], text="  ", progress=False)
    entry = record(tmp_path / case_id)["targets"]["text"]
    assert (entry["voxels"], entry["empty_reason"]) == (0, "the instruction is empty, so it asks for nothing")


def test_a_low_presence_empties_the_mask_and_says_so(run, phantoms, monkeypatch):
    from zeusseg.models.zeus import ZeusModel, ZeusOutput

    def unsure(self, images, present, texts, which, clicks=None):
        return ZeusOutput(torch.full((*which.shape, *images.shape[-2:]), 9.0), torch.full(which.shape, -2.0))

    monkeypatch.setattr(ZeusModel, "forward", unsure)
    found = segment(load_model(run), phantoms.read(phantoms.case_ids[0]), {"liver": "liver"})["liver"]
    assert found.presence == pytest.approx(1 / (1 + np.exp(2)), abs=1e-4)
    assert not found.mask.any()
    assert "presence 0.12 is below 0.5" in found.empty_reason


def test_presence_is_kept_calibrated_and_as_the_model_gave_it(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    for calibration, calibrated, n in ((None, False, None), (Calibration(0.5, -3.0, 40, 20), True, 40)):
        folder = tmp_path / str(n)
        shutil.copytree(run, folder / "run")
        save_model(folder / "run" / "model.safetensors", replace(load_model(run), calibration=calibration))
        predict(folder / "run", phantoms, folder, case_ids=[case_id], text="lesion", progress=False)
        content = record(folder / case_id)
        entry = content["targets"]["text"]
        assert (content["presence_calibrated"], content["presence_calibrated_on"]) == (calibrated, n)
        logit = np.log(entry["presence_raw"] / (1 - entry["presence_raw"]))
        expected = 1 / (1 + np.exp(3 - 0.5 * logit)) if calibrated else entry["presence_raw"]
        assert entry["presence"] == pytest.approx(expected, abs=1e-3)


@pytest.fixture
def follows_sides(monkeypatch) -> None:
    """A model that sees something on the patient's right and nothing on the left, whatever it is called."""
    from zeusseg.models.text import TextTokens
    from zeusseg.models.zeus import ZeusModel, ZeusOutput

    texts: list[str] = []

    def encode(self, asked):
        texts[:] = asked
        return TextTokens(torch.zeros(len(asked), 1, 32), torch.ones(len(asked), 1).bool(), torch.zeros(len(asked), 32))

    def forward(self, images, present, encoded, which, clicks=None):
        masks = torch.full((*which.shape, *images.shape[-2:]), -9.0)
        rows, columns = images.shape[-2:]
        masks[..., rows // 2 - 4 : rows // 2 + 4, columns // 4 : columns // 4 + 6] = 9.0
        sure = torch.tensor([-9.0 if "left" in texts[i] else 9.0 for i in which.flatten().tolist()])
        return ZeusOutput(masks, sure.reshape(which.shape))

    monkeypatch.setattr(ZeusModel, "encode_text", encode)
    monkeypatch.setattr(ZeusModel, "forward", forward)


@pytest.mark.usefixtures("follows_sides")
def test_a_mask_that_is_empty_for_a_wrong_side_says_what_the_name_alone_shows(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    name = phantoms.targets[0].name
    texts = {name: f"the {name} on the left", phantoms.targets[1].name: f"the {phantoms.targets[1].name} on the right"}
    lines = [Instruction(case_id, target, text).to_json() for target, text in texts.items()]
    (tmp_path / "i.jsonl").write_text("\n".join(lines) + "\n")
    predict(run, phantoms, tmp_path / "out", case_ids=[case_id], instructions=tmp_path / "i.jsonl", progress=False)
    contradicted, agreed = record(tmp_path / "out" / case_id)["targets"].values()
    (conflict,) = contradicted["conflicts"]
    assert contradicted["voxels"] == 0
    assert (conflict["about"], conflict["said"], conflict["seen"]) == ("side", "left", "right")
    assert conflict["text"].startswith("the words say left; what the model finds by the name alone lies on the right")
    assert conflict["text"].endswith("asked with these words, it finds nothing")
    assert agreed["voxels"] > 0
    assert agreed["conflicts"] == []


def test_an_instruction_file_is_followed_and_cases_without_a_line_are_listed(run, phantoms, tmp_path):
    first, second = phantoms.splits["test"]
    (tmp_path / "i.jsonl").write_text(Instruction(first, "cyst", "a dark cyst").to_json() + "\n")
    predicted = predict(
        run, phantoms, tmp_path / "out", case_ids=[first, second], instructions=tmp_path / "i.jsonl", progress=False
    )
    assert predicted.done == [first]
    assert "no instruction" in predicted.failures[second]
    assert (tmp_path / "out" / first / "cyst.nii.gz").exists()


def test_what_the_image_says_of_the_words_goes_with_the_mask(run, phantoms, tmp_path):
    case_id = phantoms.case_ids[0]
    checks = (Check("flair", "On the left", "side", "left", "right", "differs"),)
    line = Instruction(case_id, phantoms.targets[0].name, "the lesion on the left", checks=checks)
    line = replace(line, checked=line.words_digest)
    (tmp_path / "i.jsonl").write_text(line.to_json() + "\n")
    predict(run, phantoms, tmp_path / "out", case_ids=[case_id], instructions=tmp_path / "i.jsonl", progress=False)
    record = read_prediction_record(tmp_path / "out" / case_id)
    assert record.target(phantoms.targets[0].name).checks == checks


def test_oracle_text_is_refused(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    (tmp_path / "i.jsonl").write_text(Instruction(case_id, "lesion", "on the left", oracle=True).to_json() + "\n")
    with pytest.raises(UsageError, match="oracle text"):
        predict(run, phantoms, tmp_path / "out", case_ids=[case_id], instructions=tmp_path / "i.jsonl", progress=False)


def test_any_subset_of_modalities_and_no_unknown_one(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    predict(run, phantoms, tmp_path / "a", case_ids=[case_id], modalities=["flair"], progress=False)
    assert record(tmp_path / "a" / case_id)["modalities_used"] == ["flair"]
    with pytest.raises(UsageError, match="no modality 'pet': it knows t1, flair"):
        predict(run, phantoms, tmp_path / "b", modalities=["pet"], progress=False)


def test_a_case_without_any_of_the_modalities_costs_only_itself(run, phantoms, tmp_path):
    first, second = phantoms.splits["test"]
    shutil.copytree(phantoms.root, tmp_path / "data")
    (tmp_path / "data" / first / "flair.nii.gz").unlink()
    predicted = predict(
        run, load_dataset(tmp_path / "data"), tmp_path / "out", case_ids=[first, second], modalities=["flair"],
        progress=False,
    )
    assert predicted.done == [second]
    assert "none of ['flair']" in predicted.failures[first]


def test_a_second_run_does_nothing_again_and_a_changed_word_does(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    for text, changed in (("lesion", True), ("lesion", False), ("tumor", True)):
        before = (tmp_path / case_id / "prediction.json").stat().st_ino if changed is False else None
        predict(run, phantoms, tmp_path, case_ids=[case_id], text=text, progress=False)
        after = (tmp_path / case_id / "prediction.json").stat().st_ino
        assert changed or after == before
    assert record(tmp_path / case_id)["targets"]["text"]["instruction"] == "tumor"


def test_where_masks_overlap_the_more_probable_wins_and_regions_are_left_to_their_parts():
    def found(*values: float) -> SegmentedTarget:
        return SegmentedTarget(np.array(values, dtype=np.float32).reshape(1, 1, -1), 0.9, None)

    targets = (Target("whole", (1, 4)), Target("edema", (4,)), Target("core", (1,)))
    segmented = {"whole": found(1, 1, 1), "edema": found(0.9, 0.6, 0.2), "core": found(0.7, 0.8, 0.3)}
    assert multilabel_map(segmented, targets).ravel().tolist() == [4, 1, 0]
    with pytest.raises(UsageError, match="label value of its own"):
        multilabel_map(segmented, targets[:1])


@pytest.mark.usefixtures("certain")
def test_a_label_map_has_the_values_of_the_data_set(run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    predict(run, phantoms, tmp_path, case_ids=[case_id], multilabel=True, progress=False)
    labels = np.asarray(nibabel.load(tmp_path / case_id / "labels.nii.gz").dataobj)
    assert set(np.unique(labels)) <= {value for target in phantoms.targets for value in target.values}


def test_a_rotated_file_gives_the_same_mask_rotated(run, phantoms, tmp_path):
    case = phantoms.read(phantoms.splits["test"][0], labels=False)
    turned = {
        name: Volume.from_file(
            np.ascontiguousarray(v.array[::-1].transpose(1, 2, 0)),
            v.affine @ np.array([[0, 0, -1, v.shape[0] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
        )
        for name, v in case.images.items()
    }
    loaded = load_model(run)
    first = segment(loaded, case, {"lesion": "lesion"})["lesion"]
    second = segment(loaded, Case("c", "p", turned), {"lesion": "lesion"})["lesion"]
    np.testing.assert_allclose(first.probability, second.probability, atol=1e-5)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path, phantoms):
    with pytest.raises(UsageError, match="no trained model"):
        predict(tmp_path, phantoms, tmp_path / "out")
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(UsageError, match="damaged"):
        predict(tmp_path, phantoms, tmp_path / "out")
