"""What the language test asks is never said in training."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import yaml

from zeusseg.datasets.known import known_targets_files
from zeusseg.datasets.phantom_files import phantom_targets
from zeusseg.instruct.knowledge import phrases_of
from zeusseg.instruct.rewording import reword
from zeusseg.lexicon import shipped_lexicon, words_of
from zeusseg.studies.language.wordings import all_reserved, paraphrases_of

RESERVED = {words_of(text) for text in all_reserved()}
TARGETS = [t for file in known_targets_files().values() for t in file.as_targets()] + list(phantom_targets(["brain"]))


def test_no_name_or_phrase_of_the_lexicon_is_reserved() -> None:
    said = [text for term in shipped_lexicon().terms for text in (*term.names, *phrases_of(term), term.definition)]
    assert [text for text in said if words_of(text) in RESERVED] == []


def test_no_name_synonym_or_definition_of_a_shipped_target_is_reserved() -> None:
    said = [text for target in TARGETS for text in (target.name, *target.synonyms, target.definition)]
    assert [text for text in said if words_of(text) in RESERVED] == []


def test_no_mould_is_reserved() -> None:
    moulds = yaml.safe_load(files("zeusseg.instruct").joinpath("moulds.yaml").read_text(encoding="utf-8"))
    said = [text for values in moulds.values() if isinstance(values, list) for text in values]
    assert [text for text in said if words_of(text) in RESERVED] == []


@pytest.mark.parametrize("target", [t for t in TARGETS if paraphrases_of(t)], ids=lambda t: t.name)
def test_rewording_never_says_a_paraphrase_of_the_test(target) -> None:
    rng = np.random.default_rng(0)
    said = {words_of(reword(f"Segment the {target.name}.", target, rng)) for _ in range(500)}
    assert said & RESERVED == set()
