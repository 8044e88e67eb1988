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


COMMANDS = [
    "info", "instruct", "pretrain", "train", "predict", "evaluate", "compare", "study", "check-splits", "demo",
    "lexicon", "phantoms", "probe-language",
]  # fmt: skip


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
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


def test_a_term_is_looked_up_by_any_of_its_names(zeusseg):
    code, out, _ = zeusseg("lexicon", "RV")
    assert code == 0
    assert out.startswith("right ventricle (heart)")
    assert "ventriculus dexter" in out
    assert "part of  heart" in out


def test_ones_own_terms_are_looked_up_beside_the_packages(zeusseg, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("flux capacitor: {part_of: [spleen], place: behind the seats}\n")
    assert "behind the seats" in zeusseg("lexicon", "Flux capacitors", "--lexicon", own)[1]
    parts = zeusseg("lexicon", "spleen", "--lexicon", own)[1].partition("its parts")[2]
    assert "flux capacitor" in parts


def test_an_unknown_term_is_answered_with_what_may_be_meant(zeusseg):
    code, _, err = zeusseg("lexicon", "hipocampus")
    assert code == 2
    assert "did you mean hippocampus" in err


def test_phantoms_are_written_once(zeusseg, tmp_path):
    code, out, _ = zeusseg("phantoms", "--count", 2, "--several", "--out", tmp_path / "p")
    assert (code, out.split()[0]) == (0, "2")
    truth = [json.loads(line) for line in (tmp_path / "p" / "truth.jsonl").read_text().splitlines()]
    counts = [entry["truth"]["t1"]["count"] for entry in truth]
    assert max(counts) >= 2
    assert 1 not in counts
    assert zeusseg("phantoms", "--out", tmp_path / "p")[0] == 2


def test_the_language_of_a_run_is_probed(zeusseg, run, phantoms, tmp_path):
    code, out, err = zeusseg(
        "probe-language", run, phantoms.root, "--split", "test", "--cases", 1, "--out", tmp_path / "l"
    )
    assert code == 0
    assert "left out" not in err
    assert "1 cases" in (tmp_path / "l" / "table.md").read_text()
    assert (tmp_path / "l" / "report.html").is_file()
    assert "gibberish" in out


def test_instructions_are_reviewed_and_taken_back(zeusseg, phantoms, tmp_path):
    out = tmp_path / "i.jsonl"
    zeusseg("instruct", phantoms.root, "--out", out, "--split", "test")
    code, shown, _ = zeusseg("instruct", phantoms.root, "--out", out, "--review")
    assert (code, shown.strip()) == (0, f"page: {out}.review.html")
    first = json.loads(out.read_text().splitlines()[0])
    corrected = tmp_path / "corrected.jsonl"
    lines = [{"case": first["case"], "target": first["target"], "text": "the bright spot"},
             {"case": "nobody", "target": first["target"], "text": "x"}]  # fmt: skip
    corrected.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, shown, errors = zeusseg("instruct", phantoms.root, "--out", out, "--corrected", corrected)
    assert (code, shown.strip()) == (1, f"1 lines corrected in {out}")
    assert "left out: nobody" in errors
    assert json.loads(out.read_text().splitlines()[0])["text"] == "the bright spot"
    code, _, errors = zeusseg("instruct", phantoms.root, "--out", tmp_path / "none.jsonl", "--review")
    assert code == 2
    assert "cannot be read as an instruction file" in errors


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


def test_masks_of_two_folders_are_compared(zeusseg, run, phantoms, tmp_path):
    for name, words in (("all", []), ("flair", ["--modalities", "flair"])):
        zeusseg("predict", run, phantoms.root, "--out", tmp_path / name, *words, "--probabilities")
    folders = (tmp_path / "all", tmp_path / "flair")
    code, out, _ = zeusseg("compare", *folders, phantoms.root, "--out", tmp_path / "c", "--split", "test")
    assert code == 0
    assert "2 patients" in out
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "comparison.json", "comparison.html", "patients.csv",
    }  # fmt: skip


def test_probabilities_and_pages_are_written_where_they_are_asked_for(zeusseg, run, phantoms, tmp_path):
    case_id = phantoms.splits["test"][0]
    zeusseg("predict", run, phantoms.root, "--out", tmp_path / "p", "--split", "test", "--probabilities")
    assert (tmp_path / "p" / case_id / "lesion_probability.nii.gz").exists()
    options = ("--split", "test", "--pages", "--tolerances", "1,3", "--empty", "one", "--surface", "elements")
    code, out, _ = zeusseg("evaluate", tmp_path / "p", phantoms.root, "--out", tmp_path / "e", *options)
    assert code == 0
    assert "--empty one" in out
    summary = json.loads((tmp_path / "e" / "summary.json").read_text())
    assert (summary["surface"], summary["nsd_tolerances"], summary["empty"]) == ("elements", [1.0, 3.0], "one")
    assert summary["targets"]["lesion"]["calibration"]["brier"]["n_cases"] == 2
    page = (tmp_path / "e" / "cases" / f"{case_id}.html").read_text()
    assert case_id in page
    assert f'href="cases/{case_id}.html"' in (tmp_path / "e" / "report.html").read_text()


def test_a_split_that_leaks_is_found_refused_and_mended(zeusseg, phantoms, tmp_path):
    import shutil

    shutil.copytree(phantoms.root, tmp_path / "data")
    train, test = phantoms.splits["train"], phantoms.splits["test"]
    shutil.rmtree(tmp_path / "data" / test[0])
    shutil.copytree(tmp_path / "data" / train[0], tmp_path / "data" / test[0])
    code, out, _ = zeusseg("check-splits", tmp_path / "data", "--out", tmp_path / "leaks")
    assert code == 1
    assert f"{train[0]!r} in train and {test[0]!r} in test look alike (correlation 1.000), the same image" in out
    tiny = "writer: name\nlexicon: {steps: 1}\nfit: {steps: 1, batch_size: 2}\nmodel: {width: 32}"
    (tmp_path / "tiny.yaml").write_text(tiny)
    words = ("train", tmp_path / "tiny.yaml", "--data", tmp_path / "data", "--out")
    code, _, err = zeusseg(*words, tmp_path / "run")
    assert code == 2
    assert "1 pairs of images look alike across splits" in err
    assert not (tmp_path / "run" / "config.yaml").exists()
    code, _, _ = zeusseg(*words, tmp_path / "mended", "--splits", tmp_path / "leaks" / "splits.json")
    assert code == 0
    assert train[0] not in json.loads((tmp_path / "mended" / "splits.json").read_text())["train"]
    code, _, _ = zeusseg(*words, tmp_path / "told", "--allow-leaks")
    assert code == 0


def test_the_split_that_a_run_was_trained_with_comes_before_the_datas_own(zeusseg, run, phantoms, tmp_path):
    import shutil

    shutil.copytree(phantoms.root, tmp_path / "data")
    train, test = phantoms.splits["train"], phantoms.splits["test"]
    (tmp_path / "data" / "splits.json").write_text(json.dumps({"train": test, "test": train}))
    code, out, _ = zeusseg("predict", run, tmp_path / "data", "--out", tmp_path / "p", "--split", "test")
    assert (code, out.split()[0]) == (0, "2")
    zeusseg("evaluate", tmp_path / "p", tmp_path / "data", "--out", tmp_path / "e", "--split", "test")
    assert json.loads((tmp_path / "e" / "summary.json").read_text())["n_cases"] == len(test)
    shutil.copytree(tmp_path / "p", tmp_path / "q")
    (tmp_path / "q" / "splits.json").write_text(json.dumps({"test": [train[0]]}))
    code, _, err = zeusseg("compare", tmp_path / "p", tmp_path / "q", tmp_path / "data", "--split", "test")
    assert code == 2
    assert "is not the same cases in all of" in err


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
        (["evaluate", "RUN", "DATA", "--out", "e", "--surface", "voxels"], "expected one of border, elements"),
        (["evaluate", "RUN", "DATA", "--out", "e", "--empty", "zero"], "expected nan or one"),
        (["evaluate", "RUN", "DATA", "--out", "e", "--tolerances", "1;2"], "--tolerances takes distances such as 1,2"),
        (["compare", "RUN", "DATA", "--out", "c"], "two or more folders of masks, and the data last"),
        (["check-splits", "DATA", "--out", "l", "--trained-on", "fit"], "no split 'fit'"),
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
