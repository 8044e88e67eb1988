"""Which modality, or the label, a file's name tells of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Reference order: where several modalities were resampled to one of them, FLAIR is the one that lesions are drawn on.
MODALITY_WORDS: dict[str, list[str]] = {
    "flair": ["flair", "t2flair", "t2 flair", "t2f"],
    "t1ce": ["t1ce", "t1c", "t1gd", "t1post", "t1km", "t1 ce", "t1 gd", "t1 post", "t1 km", "t1 contrast"],
    "t1": ["t1", "t1w", "t1n", "t1 pre", "mprage"],
    "t2": ["t2", "t2w"],
    "pd": ["pd", "pdw"],
    "adc": ["adc"],
    "dwi": ["dwi"],
    "swi": ["swi"],
    "ct": ["ct"],
    "pet": ["pet"],
    "us": ["us", "ultrasound"],
    "cine": ["cine", "cinemri"],
    "mri": ["mri", "mr"],
    "image": ["image", "img"],
}
LABEL_WORDS = ["seg", "segmentation", "label", "labels", "mask", "masks", "gt", "ground truth", "gold standard"]


def words_of(name: str) -> tuple[str, ...]:
    """A name cut at everything but letters and digits, in lower case.

    >>> words_of("GOLD_STANDARD_N4-reg.v2")
    ('gold', 'standard', 'n4', 'reg', 'v2')
    """
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def place_of(words: str, name: str) -> int | None:
    """At which word of `name` these words stand, one after the other; None where they do not."""
    wanted, given = words_of(words), words_of(name)
    span = len(wanted)
    places = (start for start in range(len(given) - span + 1) if given[start : start + span] == wanted)
    return next(places, None) if wanted else None


def is_named(name: str, words: Sequence[str]) -> bool:
    """Whether one of these words, or runs of words, stands in the name."""
    return any(place_of(entry, name) is not None for entry in words)


def modality_of(name: str, modalities: Mapping[str, Sequence[str]]) -> str | None:
    """The modality whose words stand in the name: the longest run of words, of equal ones that which stands first.

    >>> modality_of("T1_post_N4", MODALITY_WORDS), modality_of("T1_N4_regtoFLAIR", MODALITY_WORDS)
    ('t1ce', 't1')
    """
    found = [
        (-len(words_of(entry)), place, order, key)
        for order, (key, entries) in enumerate(modalities.items())
        for entry in (*entries, key)
        if (place := place_of(entry, name)) is not None
    ]
    return min(found)[3] if found else None
