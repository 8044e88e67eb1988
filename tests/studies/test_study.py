"""A study from end to end: its files, its numbers, resuming it, and what one failing model costs."""

import csv
import json
import math
import statistics
import sys

import numpy as np
import pytest
import yaml

from zeusseg.cli import main
from zeusseg.errors import UsageError
from zeusseg.instruct.instruction import read_instructions
from zeusseg.studies import run as study_run
from zeusseg.studies.run import Clock, run_study

# Enough steps that masks are not empty: their numbers are compared, not judged.
FIT = {"steps": 24, "steps_per_round": 12, "batch_size": 4, "mirror": False, "learning_rate": 5e-3,
       "average_decay": 0.8, "foreground": 0.9, "absent_targets": 0, "augment": False}  # fmt: skip
STUDY = {
    "name": "tiny",
    "question": "Does dropping modalities help?",
    "config": {"writer": "name", "model": {"width": 32, "vision_channels": [8, 16, 16]},
               "slices": {"crop": [48, 48]}, "lexicon": {"steps": 2}, "fit": FIT},
    "arms": {"drop": None, "keep": {"fit.modality_dropout": 0, "note": "Shown all | always.", "control": True}},
    "seeds": [0, 1],
    "test_on": "test",
    "modalities": [["flair"]],
}  # fmt: skip
SHORT = {**STUDY, "seeds": [0], "modalities": [],
         "config": {**STUDY["config"], "fit": {**FIT, "steps": 4, "steps_per_round": 2}}}  # fmt: skip


def write(folder, content=STUDY):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    result = run_study(write(folder), phantoms, folder / "out", progress=False)
    return folder, result


@pytest.fixture
def trainings(monkeypatch):
    """Counts the trainings that a study begins or goes on with."""
    begun = []
    train = study_run.train

    def count(config, dataset, run, **options):
        begun.append((run.parent.name, config.fit.seed, options["resume"]))
        return train(config, dataset, run, **options)

    monkeypatch.setattr(study_run, "train", count)
    return begun


def test_a_study_writes_what_it_made(finished):
    folder, result = finished
    out = folder / "out"
    assert result.failures == {}
    assert {path.name for path in out.iterdir()} == {
        "study.yaml", "splits.json", "runs", "predictions", "instructions", "scores.csv", "table.csv", "table.md",
        "report.html",
    }  # fmt: skip
    for arm in ("drop", "keep"):
        for seed in (0, 1):
            run = out / "runs" / arm / f"seed-{seed}"
            assert json.loads((run / "run.json").read_text())["seed"] == seed
            assert not (run / "checkpoints").exists()
            masks = out / "predictions" / arm / f"seed-{seed}" / "test"
            assert len(list(masks.glob("*/prediction.json"))) == 2
            assert len(list((masks / "flair").glob("*/prediction.json"))) == 2


def test_the_table_is_what_the_scores_say(finished):
    folder, _ = finished
    scores, table = rows_of(folder / "out" / "scores.csv"), rows_of(folder / "out" / "table.csv")
    compared = 0
    for row in table:
        if row["target"] == "all targets":
            continue
        same = ("arm", "split", "modalities", "target")
        found = [s for s in scores if all(s[key] == row[key] for key in same)]
        dice = [(s["seed"], s["patient"], float(s["value"])) for s in found if s["metric"] == "dice"]
        dice = [entry for entry in dice if not math.isnan(entry[2])]
        if not dice:
            assert row["n_patients"] == "0"
            continue
        patients = {p: statistics.mean(v for _, q, v in dice if q == p) for _, p, _ in dice}
        seeds = [statistics.mean(v for s, _, v in dice if s == seed) for seed in sorted({s for s, _, _ in dice})]
        assert float(row["mean"]) == pytest.approx(statistics.mean(patients.values()), abs=2e-6)
        assert float(row["median"]) == pytest.approx(statistics.median(patients.values()), abs=2e-6)
        assert [float(row["seed_min"]), float(row["seed_max"])] == pytest.approx([min(seeds), max(seeds)], abs=2e-6)
        assert (int(row["n_patients"]), int(row["seeds"])) == (len(patients), 2)
        voxels = {m: [int(s["value"]) for s in found if s["metric"] == m]
                  for m in ("reference_voxels", "predicted_voxels")}  # fmt: skip
        both = list(zip(voxels["reference_voxels"], voxels["predicted_voxels"], strict=True))
        assert int(row["misses"]) == sum(r > 0 and p == 0 for r, p in both)
        assert int(row["false_masks"]) == sum(r == 0 and p > 0 for r, p in both)
        compared += float(row["mean"]) > 0.05
    assert compared >= 4


def test_the_table_tells_how_each_arm_was_trained(finished):
    folder, _ = finished
    runs = folder / "out" / "runs" / "keep"
    facts = [json.loads((runs / f"seed-{seed}" / "run.json").read_text()) for seed in (0, 1)]
    row = next(row for row in rows_of(folder / "out" / "table.csv") if row["arm"] == "keep")
    assert (row["control"], row["steps"], row["batch_size"], row["crop"]) == ("1", "24", "4", "48x48")
    assert (int(row["parameters_trained"]), int(row["parameters"])) == (
        facts[0]["parameters_trained"], facts[0]["parameters"],
    )  # fmt: skip
    assert float(row["seconds_per_training"]) == pytest.approx(np.mean([f["seconds"] for f in facts]), abs=0.06)


def test_readers_find_question_command_controls_caveats_and_pictures(finished):
    folder, result = finished
    text, page = ((folder / "out" / name).read_text() for name in ("table.md", "report.html"))
    for shown in (text, page):
        for part in (STUDY["question"], "zeusseg study", "too few to tell arms from chance", result.data):
            assert part in shown
    assert "| keep (control) |" in text
    assert "Shown all \\| always." in text
    assert 'keep <span class="mark">control</span>' in page
    pictures = page.count("<image href")
    assert pictures == page.count('path class="reference"') > 0
    assert pictures % 2 == 0  # both arms side by side
    assert page.count('class="dot seed"') == 2 * 2 * len({row.target for row in result.rows if row.seeds})
    assert "http" not in page.replace("http://www.w3.org", "")


def test_arms_share_the_words_that_were_written_once(finished):
    folder, _ = finished
    shared = {line.case: line for line in read_instructions(folder / "out" / "instructions" / "name" / "all.jsonl")}
    for arm in ("drop", "keep"):
        own = read_instructions(folder / "out" / "runs" / arm / "seed-1" / "instructions.jsonl")
        assert len({line.case for line in own}) == 4
        assert all(shared[line.case].created == line.created for line in own)


def test_running_again_makes_nothing_again(finished, phantoms, trainings, monkeypatch):
    folder, _ = finished
    monkeypatch.setattr("zeusseg.studies.scores.predict", None)
    monkeypatch.setattr("zeusseg.studies.scores.score_predictions", None)
    monkeypatch.setattr(study_run, "refuse_leaks", None)
    before = {p: p.stat().st_mtime_ns for p in (folder / "out" / "runs").rglob("*") if p.is_file()}
    tables = [(folder / "out" / name).read_text() for name in ("scores.csv", "table.csv", "table.md")]
    assert run_study(folder / "study.yaml", phantoms, folder / "out", progress=False).failures == {}
    assert trainings == []
    assert [(folder / "out" / name).read_text() for name in ("scores.csv", "table.csv", "table.md")] == tables
    assert {p: p.stat().st_mtime_ns for p in (folder / "out" / "runs").rglob("*") if p.is_file()} == before


def test_the_studys_own_copy_runs_as_the_study_itself(finished, phantoms, trainings):
    folder, _ = finished
    before = (folder / "out" / "scores.csv").read_text()
    run_study(folder / "out" / "study.yaml", phantoms, folder / "out", progress=False)
    assert trainings == []
    assert (folder / "out" / "scores.csv").read_text() == before


def test_a_changed_arm_is_refused_and_never_taken_for_the_old_one(finished, phantoms, trainings, tmp_path):
    folder, _ = finished
    with pytest.raises(UsageError, match=r"runs/drop/seed-0 was trained as another arm \(fit.steps was 24, is 25\)"):
        run_study(folder / "study.yaml", phantoms, folder / "out", overrides=["fit.steps=25"], progress=False)
    changed = write(tmp_path, {**STUDY, "arms": {"drop": None, "keep": {"model.width": 40}}})
    with pytest.raises(UsageError, match=r"runs/keep/seed-0 .*model.width was 32, is 40"):
        run_study(changed, phantoms, folder / "out", progress=False)
    assert trainings == []


def test_a_killed_study_goes_on_where_it_stopped(phantoms, tmp_path, trainings, monkeypatch):
    from zeusseg.training.module import TrainingModule

    class PowerLossError(BaseException):
        pass

    step = TrainingModule.training_step

    def fail_in_the_second_model(self, batch, index):
        if len(trainings) == 2 and self.trainer.global_step == 3:
            raise PowerLossError
        return step(self, batch, index)

    path = write(tmp_path, SHORT)
    monkeypatch.setattr(TrainingModule, "training_step", fail_in_the_second_model)
    with pytest.raises(PowerLossError):
        run_study(path, phantoms, tmp_path / "out", progress=False)
    assert trainings == [("drop", 0, False), ("keep", 0, False)]
    assert (tmp_path / "out" / "runs" / "keep" / "seed-0" / "checkpoints" / "last.ckpt").exists()
    monkeypatch.setattr(TrainingModule, "training_step", step)
    steps = []
    monkeypatch.setattr(
        TrainingModule, "training_step", lambda self, *a: steps.append(self.trainer.global_step) or step(self, *a)
    )
    result = run_study(path, phantoms, tmp_path / "out", progress=False)
    assert trainings[2:] == [("keep", 0, True)]
    assert steps == [2, 3]
    assert result.failures == {}
    assert {row.arm for row in result.rows} == {"drop", "keep"}


def test_a_failing_arm_costs_only_itself(phantoms, tmp_path, capsys, monkeypatch):
    path = write(tmp_path, {**SHORT, "arms": {"gone": {"model.vision": "nonsense"}, "drop": None}})
    words = ["zeusseg", "study", path, "--data", phantoms.root, "--out", tmp_path / "out", "--set", "fit.steps=3"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    assert left.value.code == 1
    assert "left out: gone, seed 0: UsageError: " in shown.err
    assert "Without any result: gone." in shown.out
    table = rows_of(tmp_path / "out" / "table.csv")
    assert {(row["arm"], row["steps"]) for row in table} == {("drop", "3")}
    assert "--set fit.steps=3" in (tmp_path / "out" / "table.md").read_text()


def test_a_study_of_which_nothing_works_says_so(phantoms, tmp_path):
    path = write(tmp_path, {**SHORT, "arms": {"gone": {"model.vision": "nonsense"}}})
    result = run_study(path, phantoms, tmp_path / "out", progress=False)
    assert result.rows == ()
    assert list(result.failures) == ["gone, seed 0"]
    assert "no arm could be trained" in result.to_text()


def test_folds_test_every_case_once_for_each_seed(phantoms, tmp_path):
    content = {key: value for key, value in SHORT.items() if key != "test_on"}
    path = write(tmp_path, {**content, "arms": {"drop": None}, "folds": 2})
    result = run_study(path, phantoms, tmp_path / "out", progress=False)
    assert result.failures == {}
    cases = [row["case"] for row in rows_of(tmp_path / "out" / "scores.csv")
             if (row["target"], row["metric"]) == ("lesion", "dice")]  # fmt: skip
    assert sorted(cases) == sorted(phantoms.case_ids)
    for fold in (0, 1):
        run = tmp_path / "out" / "runs" / "drop" / "seed-0" / f"fold-{fold}"
        trained = {line.case for line in read_instructions(run / "instructions.jsonl")}
        masks = tmp_path / "out" / "predictions" / "drop" / "seed-0" / f"fold-{fold}" / "test"
        tested = {path.parent.name for path in masks.glob("*/prediction.json")}
        assert trained | tested == set(phantoms.case_ids)
        assert not trained & tested


def test_a_case_that_cannot_be_read_is_listed_with_its_reason_and_counts_as_a_miss(phantoms, tmp_path):
    import shutil

    from zeusseg.datasets import load_dataset

    shutil.copytree(phantoms.root, tmp_path / "data")
    bad = phantoms.splits["test"][0]
    (tmp_path / "data" / bad / "flair.nii.gz").write_bytes(b"not an image")
    result = run_study(
        write(tmp_path, {**SHORT, "arms": {"drop": None}}), load_dataset(tmp_path / "data"), tmp_path / "out",
        allow_leaks=True, progress=False,
    )  # fmt: skip
    (reason,) = [why for what, why in result.failures.items() if bad in what and what.startswith("drop")]
    assert "flair.nii.gz" in reason
    lesion = next(row for row in result.rows if row.target == "lesion")
    assert (lesion.failed, lesion.found.n_patients, lesion.with_failures.n_patients) == (1, 1, 2)
    assert lesion.with_failures.mean == pytest.approx(lesion.found.mean / 2)
    assert "failed ones<br>as misses" in (tmp_path / "out" / "report.html").read_text()


def test_a_leaking_split_is_refused_before_anything_is_trained(phantoms, tmp_path, trainings):
    import shutil

    from zeusseg.datasets import load_dataset

    shutil.copytree(phantoms.root, tmp_path / "data")
    train, test = phantoms.splits["train"], phantoms.splits["test"]
    shutil.rmtree(tmp_path / "data" / test[0])
    shutil.copytree(tmp_path / "data" / train[0], tmp_path / "data" / test[0])
    with pytest.raises(UsageError, match="leaks"):
        run_study(write(tmp_path, SHORT), load_dataset(tmp_path / "data"), tmp_path / "out", progress=False)
    assert trainings == []
    assert not (tmp_path / "out").exists()


def test_an_unknown_metric_lists_the_known_ones(phantoms, tmp_path):
    with pytest.raises(UsageError, match="`metrics` names 'dsc': expected some of dice, iou"):
        run_study(write(tmp_path, {**SHORT, "metrics": ["dsc"]}), phantoms, tmp_path / "out", progress=False)


def test_the_time_left_goes_by_the_arm():
    clock = Clock()
    assert clock.left(["a"]) == ""
    clock.took("a", 60)
    clock.took("b", 600)
    assert clock.left(["a", "b", "b"]) == ", about 21 min left"


def test_a_frozen_encoder_sees_each_image_once_for_all_arms_and_seeds(phantoms, tmp_path, monkeypatch):
    from transformers import ViTConfig, ViTModel

    from zeusseg.models.backbone import Backbone

    size = ViTConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=48)
    ViTModel(size).save_pretrained(tmp_path / "vit")
    seen = []
    forward = Backbone.forward
    monkeypatch.setattr(Backbone, "forward", lambda self, image: seen.append(len(image)) or forward(self, image))
    frozen = {"model.vision": f"pretrained:{tmp_path / 'vit'}"}
    arms = {"late": {**frozen, "model.fusion": "late"}, "hybrid": {**frozen, "model.fusion": "hybrid"}}
    path = write(tmp_path, {**SHORT, "arms": arms, "seeds": [0, 1]})
    assert run_study(path, phantoms, tmp_path / "out", progress=False).failures == {}
    indexes = list((tmp_path / "out" / "store").rglob("*.index"))
    kept = [line for index in indexes for line in index.read_text().splitlines()]
    assert len(kept) == sum(seen) > 0
