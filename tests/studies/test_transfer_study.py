"""A study of published models beside ours, from end to end: oracle text, both conventions, and the language test."""

import csv
import json

import pytest
import yaml

from helpers.clipseg import TINY_CLIPSEG, clipseg
from helpers.pictures import write_pictures
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.inference.predict import predict
from zeusseg.instruct.instruction import read_instructions
from zeusseg.report.summary import number
from zeusseg.studies import run as study_run
from zeusseg.studies.config import read_study
from zeusseg.studies.run import run_study

UNET = {"name": "unet", "changes": {"size": 64, "encoder": "resnet18", "decoder_channels": [16, 8, 8, 8, 8]}}
STUDY = {
    "name": "transfer",
    "question": "Do they read the words?",
    "seeds": [0, 1],
    "test_on": "test",
    "splits": {"test": {"of": "val"}, "val": {"of": "train", "share": 0.25}},
    "leaks": "leave out",
    "language": True,
    "metrics": ["dice", "dice_empty_is_1"],
    "config": {
        "writer": "prompt:P1",
        "threshold": "validation",
        "slices": {"longest_side": 40, "crop": [40, 40]},
        "model": {"peer": UNET},
        "fit": {"protocol": "transfer", "steps": 2, "steps_per_round": 2, "batch_size": 4, "reword": False,
                "absent_targets": 0, "turned_queries": 0, "augment": False, "mirror": False},
    },
    "arms": {
        "unet": None,
        "clipseg": {"model.peer": {"name": "clipseg", "changes": TINY_CLIPSEG}, "seeds": [0]},
        "oracle": {"model.peer": {"name": "clipseg", "changes": TINY_CLIPSEG}, "writer": "oracle:P5", "oracle": True,
                   "seeds": [0]},
        "zero-shot": {"model.peer": {"name": "clipseg", "weights": "WEIGHTS"}, "fit.steps": 0, "seeds": [0]},
    },
}  # fmt: skip


def write(folder, content):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return load_dataset(write_pictures(tmp_path_factory.mktemp("pictures"), 16, 6, twins=1))


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    content = json.loads(json.dumps(STUDY).replace("WEIGHTS", str(clipseg(folder / "weights"))))
    return folder, run_study(write(folder, content), pictures, folder / "out", progress=False)


def table(folder):
    with (folder / "out" / "table.csv").open(newline="") as file:
        return {(row["arm"], row["metric"]): row for row in csv.DictReader(file)}


def test_arms_have_their_own_seeds_and_nothing_fails(finished):
    folder, result = finished
    assert result.failures == {}
    runs = sorted(path.parent.relative_to(folder / "out" / "runs").as_posix()
                  for path in (folder / "out" / "runs").rglob("run.json"))  # fmt: skip
    assert runs == ["clipseg/seed-0", "oracle/seed-0", "unet/seed-0", "unet/seed-1", "zero-shot/seed-0"]
    assert result.caveats == ["2 seed(s): too few to tell arms from chance in training; take three."]


def test_oracle_text_is_made_by_the_study_and_marked_in_every_file_and_table(finished):
    folder, _ = finished
    for path in (folder / "out" / "instructions" / "oracle_P5" / "all.jsonl",
                 folder / "out" / "runs" / "oracle" / "seed-0" / "instructions.jsonl"):  # fmt: skip
        lines = read_instructions(path)
        assert lines
        assert all(line.oracle for line in lines)
        normal = next(line for line in lines if "normal" in line.case)
        assert normal.text.startswith("no ")
    deployable = read_instructions(folder / "out" / "instructions" / "prompt_P1" / "all.jsonl")
    assert len({line.text for line in deployable}) == 1
    assert not any(line.oracle for line in deployable)
    text, page = ((folder / "out" / name).read_text() for name in ("table.md", "report.html"))
    assert text.count("| oracle (oracle text) |") >= 3
    assert "oracle (oracle text)" in page
    assert table(folder)["oracle", "dice"]["oracle"] == "1"


def test_nobody_else_may_use_oracle_text(finished, pictures, tmp_path):
    folder, _ = finished
    run = folder / "out" / "runs" / "oracle" / "seed-0"
    with pytest.raises(UsageError, match="only `zeusseg study`"):
        predict(run, pictures, tmp_path, case_ids=pictures.case_ids[:1], progress=False)
    with pytest.raises(UsageError, match="oracle text"):
        predict(run, pictures, tmp_path, case_ids=pictures.case_ids[:1], progress=False,
                instructions=folder / "out" / "instructions" / "oracle_P5" / "all.jsonl")  # fmt: skip
    (tmp_path / "s").mkdir()
    unmarked = {**STUDY, "arms": {"a": {"writer": "oracle:P1"}}}
    with pytest.raises(UsageError, match="mark it `oracle: true`"):
        read_study(write(tmp_path / "s", unmarked))


def test_both_conventions_for_empty_masks_are_printed(finished):
    folder, _ = finished
    found = table(folder)
    for arm in ("unet", "clipseg", "zero-shot"):
        ours, published = found[arm, "dice"], found[arm, "dice_empty_is_1"]
        # Six tested pictures, two of them without a disc: ours leaves them out, the other counts them as 1 or 0.
        assert (ours["n_patients"], published["n_patients"]) == ("4", "6")
        free, false = int(ours["target_free"]), int(ours["false_masks"])
        right = (free - false) / int(ours["seeds"])
        assert float(published["mean"]) == pytest.approx((4 * float(ours["mean"]) + right) / 6, abs=2e-6)


def test_sentences_are_of_the_first_metric_and_the_tables_of_all(finished):
    folder, result = finished
    text = (folder / "out" / "table.md").read_text()
    for shown in (text, result.to_text()):
        sentences = [line for line in shown.splitlines() if "Wilcoxon p" in line]
        assert len(sentences) == 6  # four arms in pairs, one target
        assert not any("empty_is_1" in line for line in sentences)
    assert text.count("| dice_empty_is_1 |") >= 4


def test_a_case_that_leaks_was_not_trained_on(finished, pictures):
    folder, _ = finished
    splits = json.loads((folder / "out" / "splits.json").read_text())
    assert pictures.splits["train"][0] not in splits["train"] + splits["val"]
    trained = {line.case for line in read_instructions(folder / "out" / "runs/unet/seed-0/instructions.jsonl")}
    assert pictures.splits["train"][0] not in trained


def test_every_model_takes_the_language_test_on_the_tested_cases(finished):
    folder, result = finished
    assert result.language is not None
    assert sorted(result.language.models) == ["clipseg_seed-0", "oracle_seed-0", "unet", "zero-shot_seed-0"]
    assert {one.case for one in result.language.judged["unet"]} == set(
        json.loads((folder / "out" / "splits.json").read_text())["test"]
    )
    # A network without words gives one mask for all of them, and is told so.
    verdicts = {found.model: found.verdict for found in result.language.verdicts}
    assert verdicts["unet"] == "IGNORES ITS WORDS"
    text = (folder / "out" / "table.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| unet | `prompt:P1`"))
    assert line.endswith("| IGNORES ITS WORDS |")
    assert (folder / "out" / "language" / "report.html").is_file()


def test_seconds_and_parameters_stand_in_the_table(finished):
    folder, result = finished
    row = table(folder)["unet", "dice"]
    assert float(row["seconds_per_case"]) > 0
    assert int(row["parameters"]) == result.arms["unet"].parameters > 11_000_000
    assert row["writer"] == "prompt:P1"


def test_what_breaks_the_language_test_of_a_model_costs_that_model(finished, pictures, monkeypatch):
    folder, _ = finished
    ask = study_run.ask_model

    def break_one(run, *arguments, **options):
        if "zero-shot" in run:
            raise RuntimeError("out of memory")
        return ask(run, *arguments, **options)

    monkeypatch.setattr(study_run, "ask_model", break_one)
    again = run_study(folder / "study.yaml", pictures, folder / "out", progress=False)
    assert again.failures == {"language test, zero-shot, seed 0": "RuntimeError: out of memory"}
    assert sorted(again.language.models) == ["clipseg_seed-0", "oracle_seed-0", "unet"]
    line = next(line for line in (folder / "out" / "table.md").read_text().splitlines()
                if line.startswith("| zero-shot | `prompt:P1`"))  # fmt: skip
    assert line.endswith(f"| {number(None)} |")
    monkeypatch.undo()
    assert run_study(folder / "study.yaml", pictures, folder / "out", progress=False).failures == {}


def test_an_oracle_arm_says_so_in_its_name(tmp_path):
    hidden = {**STUDY, "arms": {"best": {"writer": "oracle:P1", "oracle": True}}}
    with pytest.raises(UsageError, match="let its name say so"):
        read_study(write(tmp_path, hidden))


def test_running_again_makes_nothing_again(finished, pictures, monkeypatch):
    folder, first = finished
    for name in ("train", "refuse_leaks"):
        monkeypatch.setattr(f"zeusseg.studies.run.{name}", None)
    monkeypatch.setattr("zeusseg.studies.scores.predict", None)
    monkeypatch.setattr("zeusseg.studies.language.ask.put_questions", None)
    before = (folder / "out" / "table.csv").read_text()
    again = run_study(folder / "study.yaml", pictures, folder / "out", progress=False)
    assert again.failures == first.failures
    assert (folder / "out" / "table.csv").read_text() == before
