"""What words claim of a target, and how the same thing is asked for without that."""

import pytest

from zeusseg.case import Target
from zeusseg.inference.claims import claims_of

DEFINITION = "abnormal tissue on one side: bright on FLAIR and T2, dark on T1"
TARGETS = (
    Target("lesion", (1,), ("tumor", "glioma"), DEFINITION),
    Target("left kidney", (2,)),
    Target("RV", (3,), ("right ventricle",), "the pool at the front on the right; dark"),
)


def claimed(key: str, text: str, modalities=("flair", "t1")) -> list[tuple]:
    told = claims_of(key, text, TARGETS, modalities).told
    return [(s.side, s.diameter_mm or s.share or s.extent, s.polarity, s.modality) for s in told]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the smaller lesion on the left that is bright on FLAIR", ("left", None, "bright", "flair")),
        ("left-sided lesion", ("left", None, None, None)),
        ("lesion (right)", ("right", None, None, None)),
        ("the T2/FLAIR hyperintense glioma, left", ("left", None, "bright", "flair")),
        ("a small lesion", (None, "small", None, None)),
        ("a lesion of about 40 mm in the left frontal lobe", ("left", 40.0, None, None)),
        ("bilateral tumors, dark on T1", ("both", None, "dark", "t1")),
        ("the lesion, bright on T2", (None, None, "bright", "t2")),
        ("the lesion on the left side of the brain", ("left", None, None, None)),
        ("the RV on the left", ("left", None, None, None)),
        ("the small left kidney", (None, "small", None, None)),
        # The place in a picture of a slice is not the patient's side.
        ("a dark lesion on the left in the image", (None, None, "dark", None)),
    ],
)
def test_side_size_and_signal_are_understood(text, expected):
    assert claimed("text", text) == [expected]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("lesion", ""),
        ("lesion", "Segment the lesion."),
        ("text", "the lesion, not on the left"),
        ("text", "no lesion on the left"),
        ("text", "lesion not on the left"),
        # A target's own name and definition say what it is, not how it is here.
        ("left kidney", "Segment the left kidney"),
        ("RV", "Outline the right ventricle: the pool at the front on the right; dark"),
        ("RV", "RV, the pool at the front on the right"),
        # What the run's writer found is checked where it is written.
        ("lesion", f"Segment the lesion: {DEFINITION}. FLAIR: a hyperintense area of 30 mm on the left. T1: dark."),
        ("text", "Segment the lesion. FLAIR: a hyperintense area of 30 mm on the left."),
        # Directions seen from something else, and what is said of another target.
        ("lesion", "the lesion to the left of the RV"),
        ("lesion", "the lesion beside the dark left kidney"),
        ("RV", "the RV, on the right side of the heart"),
    ],
)
def test_names_definitions_findings_negations_and_neighbours_are_no_claims(key, text):
    assert claimed(key, text) == []


def test_a_claim_beside_findings_is_still_one():
    assert claimed("lesion", "Segment the lesion on the right. FLAIR: a bright area on the left.") == [
        ("right", None, None, None)
    ]


def test_ways_to_name_t1_after_contrast_are_not_plain_t1():
    assert claimed("text", "lesion, bright on T1 after contrast", ("t1", "t1c")) == [(None, None, "bright", "t1c")]
    assert claimed("text", "lesion, bright on T1 after contrast", ("t1",)) == [(None, None, "bright", "t1ce")]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("the smaller lesion on the left that is bright on FLAIR", "the lesion"),
        ("left-sided lesion", "lesion"),
        ("lesion (left)", "lesion"),
        ("a hyperintense lesion of 12 mm in the right hemisphere", "a lesion"),
        ("Segment the tumour on the left side of the brain, please.", "Segment the tumour, please."),
        ("the largest tumor, 3 x 4 cm, bright and on the left", "the tumor"),
        ("T2-hyperintense lesion", "lesion"),
        ("Mark the dark mass that is small and on the right.", "Mark the mass."),
        ("the small left kidney", "the left kidney"),
        ("on the left", ""),
    ],
)
def test_a_text_of_ones_own_is_asked_without_its_attributes(text, plain):
    queries = claims_of("text", text, TARGETS, ("flair",)).queries
    assert (queries[0] if plain else queries) == ((plain,) if plain else ())


def test_a_target_is_asked_by_its_name_and_other_text_by_the_names_in_it_next():
    assert claims_of("lesion", "the glioma on the left", TARGETS, ("flair",)).queries == (("lesion",),)
    assert claims_of("tumor", "the glioma on the left", TARGETS, ("flair",)).queries == (("lesion",),)
    found = claims_of("text", "small RV and left kidney", TARGETS, ("flair",)).queries
    assert found == (("RV and left kidney",), ("left kidney", "RV"))
