"""Rewording keeps the target; texts for what is absent never touch it, and look the same otherwise."""

from __future__ import annotations

import re

import numpy as np
import pytest

from zeusseg.case import Target
from zeusseg.datasets.known import known_targets_files
from zeusseg.instruct.absent import absent_text
from zeusseg.instruct.apart import apart_from
from zeusseg.instruct.knowledge import known_targets
from zeusseg.instruct.rewording import findings_of, reword
from zeusseg.lexicon import content_words, words_of
from zeusseg.lexicon.spelling import SIDES

RIGHT_VENTRICLE = Target(
    "RV", (1,), ("right ventricle",), "the thin-walled pool of blood at the front; it feeds the lungs"
)
LESION = Target("lesion", (1,), ("tumor",), "abnormal tissue of the brain")
FINDINGS = "FLAIR: a hyperintense area of about 34 mm on the left, sharp. T1 after contrast: a hypointense area."
KNOWN = {name: file.as_targets() for name, file in known_targets_files().items()}


def written(target: Target) -> str:
    return f"Segment the {target.name}: {target.definition}. {FINDINGS}"


def rewordings(text: str, target: Target, count: int = 300) -> list[str]:
    rng = np.random.default_rng(0)
    return [reword(text, target, rng) for _ in range(count)]


def absent_texts(targets: tuple[Target, ...], count: int = 200, text: str | None = "") -> list[str]:
    rng = np.random.default_rng(0)
    return [absent_text(targets, rng, text) for _ in range(count)]


def says(text: str, target: Target) -> bool:
    """Names, describes or defines the target, as a plain search finds it: two phrases of the lexicon's are a
    definition."""
    known = known_targets((target,))[0]
    names = (re.escape(name.casefold()) for name in known.names)
    named = bool(re.search(rf"\b({'|'.join(names)})\b", text.casefold()))
    described = any(said.casefold() in text.casefold() for said in known.descriptions)
    phrases = sum(phrase.casefold() in text.casefold() for phrase in known.phrases)
    return named or described or target.definition.casefold() in text.casefold() or phrases >= 2


@pytest.mark.parametrize("target", [t for targets in KNOWN.values() for t in targets], ids=lambda t: t.name)
def test_a_rewording_always_names_or_defines_the_target(target: Target) -> None:
    assert [text for text in rewordings(written(target), target, 60) if not says(text, target)] == []


def test_rewordings_vary_name_synonym_definition_and_the_text_as_written() -> None:
    texts = rewordings(written(RIGHT_VENTRICLE), RIGHT_VENTRICLE)
    assert len(set(texts)) > 100
    assert written(RIGHT_VENTRICLE) in texts
    assert any("right ventricle" in text.casefold() and "RV" not in text for text in texts)
    assert any(not re.search(r"\brv\b|ventric", text.casefold()) for text in texts), "never by definition alone"


def test_rewordings_use_the_lexicons_names_and_phrases() -> None:
    texts = " ".join(rewordings(written(RIGHT_VENTRICLE), RIGHT_VENTRICLE, 1000)).casefold()
    assert "ventriculus dexter" in texts
    known = known_targets((RIGHT_VENTRICLE,))[0]
    assert all(phrase.casefold() in texts for phrase in known.phrases)


def test_a_term_that_two_targets_share_words_neither() -> None:
    """A data set whose parts of the tumor are all called tumor: their names stay their own."""
    first, second = Target("core", (1,), ("glioma",)), Target("rim", (2,), ("glial tumor",))
    known = known_targets((first, second))
    assert known[0].names == ("core", "glioma")
    assert known[1].names == ("rim", "glial tumor")
    assert known[0].phrases == ()


def test_findings_are_sometimes_kept_whole_and_sometimes_dropped() -> None:
    texts = rewordings(written(LESION), LESION)
    kept = [text for text in texts if FINDINGS in text]
    dropped = [text for text in texts if "FLAIR: " not in text]
    assert len(kept) + len(dropped) == len(texts)
    assert len(kept) > 50
    assert len(dropped) > 50


def test_a_text_that_names_no_target_is_given_its_name() -> None:
    texts = rewordings("A bright spot on the left.", LESION)
    assert all(says(text, LESION) for text in texts)


def test_a_target_of_a_bare_name_is_reworded_by_its_name() -> None:
    assert all("hub" in text.casefold() for text in rewordings("hub", Target("hub", (2,))))


def test_an_empty_text_stays_empty() -> None:
    assert set(rewordings("", LESION)) == {""}


def test_the_same_seed_gives_the_same_words() -> None:
    assert rewordings(written(LESION), LESION) == rewordings(written(LESION), LESION)
    assert absent_texts((LESION,)) == absent_texts((LESION,))


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("Segment the lesion: a bright spot. FLAIR: bright. T1: dark.", "FLAIR: bright. T1: dark."),
        ("Segment the lesion. T1 after contrast: a ring.", "T1 after contrast: a ring."),
        ("Segment the breast tumor. ultrasound: hypoechoic.", "ultrasound: hypoechoic."),
        ("FLAIR: bright. T1: dark.", "FLAIR: bright. T1: dark."),
        ("Segment the lesion: a bright spot.", ""),
        ("lesion", ""),
        ("", ""),
    ],
)
def test_findings_start_at_the_first_modality(text: str, findings: str) -> None:
    assert findings_of(text) == findings


def test_a_colon_within_the_definition_starts_no_finding() -> None:
    target = Target("liver", (1,), (), "a large organ. On CT: grey")
    assert findings_of("Segment the liver: a large organ. On CT: grey. CT: a hypodense area.", target) == (
        "CT: a hypodense area."
    )


@pytest.mark.parametrize("name", KNOWN)
def test_an_absent_text_shares_no_content_word_with_any_target(name: str) -> None:
    forbidden = frozenset[str]().union(*(content_words(n) for t in KNOWN[name] for n in (t.name, *t.synonyms)))
    assert [text for text in absent_texts(KNOWN[name]) if content_words(text) & forbidden] == []


@pytest.mark.parametrize(
    ("target", "denoting"),
    [
        (Target("lesion", (1,)), "tumor tumour glioma edema oedema cyst cancer metastasis necrosis infarct"),
        (Target("breast tumor", (1,)), "tumor cyst fibroadenoma carcinoma breast lesion nodule"),
        (Target("edema", (1,)), "swelling oedema tumor lesion"),
        (Target("RV", (1,)), "heart cardiac chambers rv"),
        (Target("MLV", (1,)), "heart cardiac mlv lv myo myocardium"),
        (Target("LVC", (1,)), "lvc lv"),
        (Target("Anterior", (1,), ("anterior hippocampus",)), "hippocampus hippocampal brain"),
        (Target("prostate", (1,)), "peripheral transition PZ TZ prostate pelvis"),
        (Target("lungs", (1,)), "lung pulmonary chest thorax pneumonia emphysema"),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_an_absent_text_holds_no_lay_word_whole_part_or_kind_of_the_target(target: Target, denoting: str) -> None:
    said = frozenset[str]().union(*(words_of(text) for text in absent_texts((target,), 500)))
    assert said & frozenset(words_of(denoting)) == frozenset()


def test_the_other_side_is_absent_only_when_it_is_no_target_itself() -> None:
    right, left = Target("right kidney", (1,), ("right renal parenchyma",)), Target("left kidney", (2,))
    alone = {name for names in apart_from((right,)).names.values() for name in names}
    assert "left kidney" in alone
    assert "right kidney" not in alone
    assert "kidney" not in " ".join(absent_texts((right, left), 1000)).casefold()


def test_of_the_ventricles_only_the_other_one_is_absent() -> None:
    assert "right ventricle" not in " ".join(absent_texts((Target("RV", (1,)),), 1000)).casefold()
    assert "ventricle" not in " ".join(absent_texts(KNOWN["acdc"], 1000)).casefold()


def test_an_absent_text_is_a_term_gibberish_or_something_unrelated() -> None:
    texts = " ".join(absent_texts((RIGHT_VENTRICLE,), 1500)).casefold()
    assert "spleen" in texts
    assert "recipe for" in texts
    assert re.search(r"\b[asdfghjkl]{6,}\b", texts), "no keyboard mashing"


def test_findings_follow_an_absent_target_as_often_as_a_present_one() -> None:
    present = np.mean([FINDINGS in text for text in rewordings(written(RIGHT_VENTRICLE), RIGHT_VENTRICLE, 2000)])
    absent = np.mean([FINDINGS in text for text in absent_texts((RIGHT_VENTRICLE,), 2000, written(RIGHT_VENTRICLE))])
    assert present == pytest.approx(absent, abs=0.05)  # 4 standard errors of a difference of two such shares


@pytest.mark.parametrize("name", KNOWN)
def test_the_measured_writers_words_are_findings_of_no_target(name: str) -> None:
    """Else findings would be dropped from absent texts alone, and would tell that a target is there."""
    findings = (
        "T1 after contrast: a round ring-shaped hyperintense area filling about 3 % of the body part on the left, "
        "anterior and superior, sharp, homogeneous. cine MRI: no bright or dark area stands out from the tissue around "
        "it; left and right are alike. ultrasound: an irregular hypoechoic area of very small size in the upper left "
        "part of the picture, ill-defined, heterogeneous."
    )
    assert any(findings in text for text in absent_texts(KNOWN[name], 50, f"Segment it. {findings}"))


def test_a_finding_that_names_a_target_does_not_follow_an_absent_one() -> None:
    texts = absent_texts((LESION,), 300, "Segment the lesion. FLAIR: a large tumor. T1: dark on the left.")
    assert not any("FLAIR: a large" in text for text in texts)
    assert any("T1: dark on the left." in text for text in texts)


def test_without_an_instruction_findings_are_made_up() -> None:
    assert any("T2: " in text for text in absent_texts((LESION,), 300, None))
    assert not any("T2: " in text for text in absent_texts((LESION,), 300, "lesion"))


def test_present_and_absent_texts_open_with_the_same_words() -> None:
    """Any opening that is common on one side (names aside) occurs on the other too."""

    def openings(texts: list[str]) -> dict[str, float]:
        first = [words_of(text)[:1] for text in texts]
        return {word[0]: first.count(word) / len(first) for word in set(first) if word}

    present = openings(rewordings(written(RIGHT_VENTRICLE), RIGHT_VENTRICLE, 2000))
    absent = openings(absent_texts((RIGHT_VENTRICLE,), 2000, written(RIGHT_VENTRICLE)))
    own = content_words("RV right ventricle") | SIDES
    assert [word for word, share in present.items() if share > 0.01 and word not in own and word not in absent] == []
