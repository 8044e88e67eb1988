"""The command line: instant help, exit codes, one-line errors, and the verbs end to end."""

import csv
import json
import subprocess
import sys

import pytest

from zeusseg.cli import main


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["zeusseg", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        main()
    shown = capsys.readouterr()
    return int(exit_.value.code or 0), shown.out, shown.err


@pytest.fixture
def zeusseg(capsys, monkeypatch):
    return lambda *words: call(capsys, monkeypatch, *words)


@pytest.mark.parametrize("command", [[], ["info"], ["instruct"], ["train"], ["predict"], ["evaluate"], ["demo"]])
def test_help_loads_nothing_heavy(command):
    script = (
        f"import sys; sys.argv = ['zeusseg', *{command!r}, '--help']\n"
        "from zeusseg.cli import main\n"
        "try: main()\n"
        "except SystemExit as e: code = e.code\n"
        "heavy = {'torch', 'monai', 'numpy', 'scipy', 'nibabel', 'lightning', 'matplotlib'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip().endswith("0 []")


def test_the_verbs_lead_from_cases_to_scores(zeusseg, run, phantoms, tmp_path):
    code, out, _ = zeusseg("info", phantoms.root)
    assert code == 0
    assert "6 of 6 patients" in out
    code, out, _ = zeusseg("predict", run, phantoms.root, "--out", tmp_path / "p", "--split", "test")
    assert (code, out.split()[0]) == (0, "2")
    code, out, _ = zeusseg("evaluate", tmp_path / "p", phantoms.root, "--out", tmp_path / "e", "--split", "test")
    assert code == 0
    assert {path.name for path in (tmp_path / "e").iterdir()} == {"scores.csv", "summary.json", "report.html"}
    with (tmp_path / "e" / "scores.csv").open() as file:
        assert {row["case"] for row in csv.DictReader(file)} == set(phantoms.splits["test"])


def test_a_drawn_split_travels_with_the_run_and_its_predictions(zeusseg, run, phantoms, tmp_path):
    import shutil

    shutil.copytree(phantoms.root, tmp_path / "data")
    (tmp_path / "data" / "splits.json").unlink()
    code, _, _ = zeusseg("predict", run, tmp_path / "data", "--out", tmp_path / "p", "--split", "test")
    assert code == 0
    code, _, _ = zeusseg("evaluate", tmp_path / "p", tmp_path / "data", "--out", tmp_path / "e", "--split", "test")
    assert code == 0
    assert json.loads((tmp_path / "e" / "summary.json").read_text())["n_cases"] == 2


def test_one_bad_case_is_listed_and_the_exit_code_is_one(zeusseg, run, phantoms, tmp_path):
    import shutil

    shutil.copytree(phantoms.root, tmp_path / "data")
    bad = phantoms.splits["test"][0]
    (tmp_path / "data" / bad / "t1.nii.gz").write_bytes(b"not an image")
    code, out, err = zeusseg("predict", run, tmp_path / "data", "--out", tmp_path / "p", "--split", "test")
    assert code == 1
    assert out.startswith("1 cases")
    assert f"left out: {bad}: " in err
    assert "t1.nii.gz" in err
    code, out, _ = zeusseg("instruct", tmp_path / "data", "--out", tmp_path / "i.jsonl", "--split", "test")
    assert code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["info", "nowhere"], "nowhere"),
        (["predict", "nowhere", "DATA", "--out", "p"], "nowhere"),
        (["predict", "RUN", "DATA", "--out", "p", "--split", "fold9"], "no split 'fold9': there are train, test"),
        (["predict", "RUN", "DATA", "--out", "p", "--text", "a", "--instructions", "b"], "not both"),
        (["instruct", "DATA", "--out", "i.jsonl", "--writer", "gpt"], "unknown writer 'gpt'"),
        (["train", "nowhere.yaml", "--data", "DATA", "--out", "r"], "nowhere.yaml"),
        (["evaluate", "nowhere", "DATA", "--out", "e"], "nowhere"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_two(zeusseg, run, phantoms, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    places = {"DATA": phantoms.root, "RUN": run}
    code, _, err = zeusseg(*(places.get(word, word) for word in words))
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
