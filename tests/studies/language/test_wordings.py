"""The reserve is complete, denotes what it says, and keeps apart from the words that data sets use."""

from importlib.resources import files

import numpy as np
import pytest
import yaml

from zeusseg.case import Target
from zeusseg.lexicon import words_of
from zeusseg.studies.language.wordings import (
    all_reserved,
    load_wordings,
    make_gibberish,
    paraphrases_of,
    structure_of,
)

KNOWN = files("zeusseg.datasets").joinpath("known")
SHIPPED = [*KNOWN.iterdir(), files("zeusseg.datasets").joinpath("phantom_targets.yaml")]


def shipped_targets() -> list[tuple[str, Target]]:
    contents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in SHIPPED if file.name.endswith(".yaml")]
    return [
        (content["name"], Target(name, (1,), tuple(entry.get("synonyms", ()))))
        for content in contents
        for name, entry in content["targets"].items()
    ]


@pytest.mark.parametrize(
    ("data", "target", "structure"),
    [
        ("acdc", "RV", "right ventricle"),
        ("acdc", "MLV", "left ventricular myocardium"),
        ("acdc", "LVC", "left ventricular cavity"),
        ("hippocampus", "Anterior", "anterior hippocampus"),
        ("hippocampus", "Posterior", "posterior hippocampus"),
        ("lgg", "lesion", "brain tumour"),
        ("brain", "enhancing tumour", "enhancing tumour"),
        ("brats2021", "whole tumor", "brain tumour"),
        ("brats2021", "edema", "oedema"),
        ("brats2021", "tumor core", None),  # part of the tumour is not the tumour
        ("open_ms", "lesion", None),  # nor is a plaque one
        ("busi", "breast tumor", "breast tumour"),
        ("prostate", "TZ", "transition zone"),
        ("phantom", "lesion", "focal lesion"),
        ("phantom", "ventricles", "ventricles of the brain"),
        ("phantom", "left kidney", "left kidney"),
    ],
)
def test_a_shipped_target_is_recognised_by_its_names(data, target, structure):
    found = structure_of(next(t for name, t in shipped_targets() if (name, t.name) == (data, target)))
    assert (found and found.name) == structure


def test_spelling_and_case_do_not_matter_and_a_stranger_has_no_paraphrase():
    assert paraphrases_of(Target("Oedema", (1,))) == paraphrases_of(Target("EDEMA", (1,))) != ()
    assert paraphrases_of(Target("label 3", (3,), ("thing",))) == ()


def test_every_structure_has_twelve_paraphrases_of_its_own():
    structures = load_wordings().structures
    assert {s.name: len(set(s.paraphrases)) for s in structures} == {s.name: 12 for s in structures}
    texts = [text for s in structures for text in s.paraphrases]
    assert len({words_of(text) for text in texts}) == len(texts)  # none denotes two structures
    assert max(len(text.split()) for text in texts) <= 15


def test_no_paraphrase_is_a_name_that_a_data_set_gives_its_targets():
    names = {name.casefold() for _, target in shipped_targets() for name in (target.name, *target.synonyms)}
    matches = {match.casefold() for s in load_wordings().structures for match in s.matches}
    texts = {text.casefold() for s in load_wordings().structures for text in s.paraphrases}
    assert texts & (names | matches) == set()


def test_left_and_right_are_told_apart():
    by_name = {s.name: s for s in load_wordings().structures}
    for side, other in (("left", "right"), ("right", "left")):
        sided = [text for text in by_name[f"{side} kidney"].paraphrases if other in text.split()]
        assert sided == []


def test_forms_hold_just_the_names_they_are_made_for():
    reserve = load_wordings()
    counts = (reserve.sentence_forms, reserve.negated_forms, reserve.contrast_forms, reserve.unrelated)
    assert [len(set(texts)) for texts in counts] == [15, 10, 6, 40]
    assert all(form.format(x="XX").count("XX") == 1 for form in (*reserve.sentence_forms, *reserve.negated_forms))
    filled = [form.format(x="XX", y="YY") for form in reserve.contrast_forms]
    assert all(text.count("XX") == text.count("YY") == 1 for text in filled)
    assert all("{" not in text for text in reserve.unrelated)


def test_what_is_absent_comes_from_all_regions_and_is_left_out_where_it_would_be_seen():
    reserve = load_wordings()
    assert sum(map(len, reserve.absent.values())) >= 70
    assert {s.region for s in reserve.structures} - {None} <= set(reserve.in_view)
    assert all(region in shown for region, shown in reserve.in_view.items())
    assert frozenset[str]().union(*reserve.in_view.values()) <= set(reserve.absent)


def test_nothing_is_reserved_twice_and_every_kind_of_text_is():
    reserved = all_reserved()
    assert len(set(reserved)) == len(reserved)
    for text in ("hepatoma, haemangioma or metastasis", "torn meniscus", "Now do the {x}", "Skip the {x} this time",
                 "Include the {x}, exclude the {y}", "Knead in the raisins last."):
        assert text in reserved


def test_the_same_seed_makes_the_same_gibberish():
    one, two = (make_gibberish(np.random.default_rng(5), frozenset()) for _ in range(2))
    assert one == two != make_gibberish(np.random.default_rng(6), frozenset())
    assert len(set(one)) == 3


def words_made(taken: frozenset[str] = frozenset()) -> set[str]:
    texts = [text for seed in range(40) for text in make_gibberish(np.random.default_rng(seed), taken)]
    return {word for text in texts for word in words_of(text)}


def test_gibberish_never_holds_a_word_that_is_taken():
    # With every other word of a first draw forbidden, the second draw has to go on to others.
    taken = frozenset(sorted(words_made())[::2])
    assert taken.isdisjoint(words_made(taken))
    assert all(len(word) >= 4 for word in words_made())


def test_keyboard_runs_are_neighbouring_keys():
    texts = [make_gibberish(np.random.default_rng(seed), frozenset())[1] for seed in range(30)]
    runs = " ".join(texts).split()
    rows = "qwertyuiop asdfghjkl zxcvbnm 1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm"
    assert all(run in rows or run[::-1] in rows for run in runs)
