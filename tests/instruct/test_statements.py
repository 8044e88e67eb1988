"""What texts state that an image can be asked about, in the words of radiologists and of models."""

import pytest

from zeusseg.instruct.statements import statements

MODALITIES = ("flair", "t1", "t1ce", "t2")


def told(text, modality="flair"):
    """What is stated, as (what, value) pairs of each clause, without what is not."""
    empty = (None, False)
    return [
        {name: value for name, value in vars(s).items() if name not in ("text", "modality") and value not in empty}
        for s in statements(text, (), modality)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A hyperintense lesion in the left frontal lobe.",
         [{"polarity": "bright", "side": "left", "anterior_posterior": "anterior"}]),
        ("There is a large, dark mass on the right, posteriorly and low in the head.",
         [{"polarity": "dark", "side": "right", "anterior_posterior": "posterior", "extent": "large"}]),
        ("A 3.5 x 2 cm area of high signal, right occipital.",
         [{"polarity": "bright", "side": "right", "anterior_posterior": "posterior", "diameter_mm": 700**0.5}]),
        ("A focus of about 12 mm near the midline.", [{"side": "midline", "diameter_mm": 12.0}]),
        ("Bilateral hyperintensities.", [{"polarity": "bright", "side": "both"}]),
        ("an irregular hypoechoic area filling about 5 % of the picture in the upper left part of the picture.",
         [{"polarity": "dark", "side": "left", "superior_inferior": "superior", "share": 0.05}]),
        ("Left and right are alike.", [{"alike": True}]),
        ("No lesion is seen.", [{"absent": True}]),
        ("No bright or dark area stands out from the tissue around it.", [{"absent": True}]),
        ("No hyperintense focus in the right hemisphere.", [{"absent": True, "polarity": "bright", "side": "right"}]),
        ("Nothing stands out.", [{"absent": True}]),
        ("The brain appears unremarkable.", [{"absent": True}]),
        ("A lesion is not visible here.", [{"absent": True}]),
        # Two clauses, of which the second is about what is not there.
        ("A bright area on the left, not crossing the midline.", [{"polarity": "bright", "side": "left"}]),
        ("A bright area on the left without mass effect.", [{"polarity": "bright", "side": "left"}]),
        ("It is bright on the left, but no lesion is seen on the right.",
         [{"polarity": "bright", "side": "left"}, {"absent": True, "side": "right"}]),
    ],
)  # fmt: skip
def test_what_a_clause_states(text, expected):
    assert told(text) == [pytest.approx(statement) for statement in expected]


@pytest.mark.parametrize(
    "text",
    [
        "The lesion has no sharp border.",  # it is there
        "No other lesion is seen.",  # there is one
        "Nothing else stands out; elsewhere the brain is normal.",
        "No mass effect and no midline shift.",
        "No haemorrhage.",  # says nothing of other findings
        "No enhancement.",  # of an image without contrast
        "The CSF is dark and the skull bright.",
        "The left ventricle.",
        "The lesion lies 2 cm above the orbit.",  # a distance, not a size
        "Slices of 5 mm were shown.",
        "The lesion is brighter in its middle and darker at its rim.",  # both: neither
        "It reaches from the left to the right.",
        "",
    ],
)
def test_what_cannot_be_checked_is_no_statement(text):
    assert told(text) == []


def test_enhancement_is_bright_only_where_contrast_was_given():
    assert told("An enhancing lesion.", "t1ce") == [{"polarity": "bright"}]
    assert told("No enhancement.", "t1ce") == [{"absent": True, "polarity": "bright"}]
    assert told("An enhancing lesion.", "t1") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A lesion, bright on FLAIR and dark on T1.", [("flair", "bright"), ("t1", "dark")]),
        ("Bright on FLAIR, dark on T1, and bright on T2-weighted images.",
         [("flair", "bright"), ("t1", "dark"), ("t2", "bright")]),
        ("FLAIR: a bright area; a dark area. T1: a dark area.",
         [("flair", "bright"), ("flair", "dark"), ("t1", "dark")]),
        ("T1 after contrast: a bright area.", [("t1ce", "bright")]),
        ("Bright on contrast-enhanced T1.", [("t1ce", "bright")]),
        ("A bright area.", [(None, "bright")]),
        ("Bright on FLAIR, on the left, and large.", [("flair", "bright")]),
        ("Bright on FLAIR as well as T2.", [(None, "bright")]),  # of both: of either
    ],
)  # fmt: skip
def test_a_clause_speaks_of_the_modality_that_it_names(text, expected):
    assert [(s.modality, s.polarity) for s in statements(text, MODALITIES)] == expected
