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
         [{"polarity": "dark", "side": "left", "superior_inferior": "superior", "share": 0.05,
           "of_picture": True}]),
        ("Left and right are alike.", [{"alike": True}]),
        ("No lesion is seen.", [{"absent": True}]),
        ("No bright or dark area stands out from the tissue around it.", [{"absent": True}]),
        ("No hyperintense focus in the right hemisphere.", [{"absent": True, "polarity": "bright", "side": "right"}]),
        ("Nothing stands out.", [{"absent": True}]),
        ("The brain appears unremarkable.", [{"absent": True}]),
        ("A lesion is not visible here.", [{"absent": True}]),
        ("There is no lesion on the right, and a bright area is seen on the left.",
         [{"absent": True, "side": "right"}, {"polarity": "bright", "side": "left"}]),
        ("A bright lesion on the left extending posteriorly, displacing the right ventricle.",
         [{"polarity": "bright", "side": "left"}]),
        ("A bright area in the left superior frontal gyrus, 3 cm in diameter.",
         [{"polarity": "bright", "diameter_mm": 30.0}]),
        ("There is no evidence of any focal lesion.", [{"absent": True}]),
        ("No lesion is visible on the right side.", [{"absent": True, "side": "right"}]),
        ("A bright area on the right side of the picture.",
         [{"polarity": "bright", "side": "right", "of_picture": True}]),
        # Two clauses, of which the second is about what is not there.
        ("A bright area on the left, not crossing the midline.", [{"polarity": "bright", "side": "left"}]),
        ("A bright area on the left without mass effect.", [{"polarity": "bright", "side": "left"}]),
        ("It is bright on the left, but no lesion is seen on the right.",
         [{"polarity": "bright", "side": "left"}, {"absent": True, "side": "right"}]),
    ],
)  # fmt: skip
def test_what_a_clause_states(text, expected):
    assert told(text) == [pytest.approx(statement) for statement in expected]


NOT_CHECKABLE = """
The lesion has no sharp border.
No other lesion is seen.
Nothing else stands out; elsewhere the brain is normal.
No mass effect and no midline shift.
No haemorrhage.
No enhancement.
The CSF is dark and the skull bright.
The left ventricle.
The lesion lies 2 cm above the orbit.
Slices of 5 mm were shown.
It reaches from the left to the right.
Outline any lesion.
If any lesion is present, outline it.
It is unclear whether there is any abnormality.
The cerebellum is normal.
The ventricles are normal in size.
The surrounding tissue is unremarkable.
The rest of the brain appears normal.
Image quality is normal.
The border of the lesion is not visible.
The exact extent of the lesion is not visible here.
No areas of necrosis.
No area of haemorrhage is visible.
No areas of restricted diffusion within it.
There are no areas of enhancement.
The brain is unremarkable except for a bright lesion on the left.
No abnormality apart from the lesion.
Apart from this, no focal abnormality.
No lesion outside the left frontal lobe.
No lesion in the cerebellum.
No abnormality in the posterior fossa.
No large lesion.
The lesion's left border is sharp.
The posterior margin of the lesion is sharp.
The mass displaces the midline to the right.
The lesion compresses the right lateral ventricle.
The lesion extends posteriorly.
The mass pushes towards the left.
A lesion of the basal ganglia.
A lesion of the superior temporal gyrus.
A lesion in the upper right panel.
The lesion lies at right angles to the ventricles.
The lesion is less bright than the swelling.
The lesion is of mixed brightness.
The non-enhancing lesion.
The lesion isn\u2019t dark.
The lesion doesn't cross to the right side.
The lesion shows a midline shift of 5 mm.
The lesion lies 15 mm deep to the cortex.
The lesion has a rim of 3 mm.
The ventricles are symmetric.
The lesion is round and symmetric.
Nothing stands out (slice 2 of 12).
The lesion may be on the left.
"""


@pytest.mark.parametrize("text", ["", *NOT_CHECKABLE.strip().splitlines()])
@pytest.mark.parametrize("modality", ["flair", "t1ce"])
def test_what_cannot_be_checked_is_no_statement(text, modality):
    if modality == "t1ce" and "nhancement" in text:
        return
    assert told(text, modality) == []


def test_a_lesion_that_is_bright_in_its_middle_and_dark_at_its_rim_is_neither():
    assert told("The lesion on the left is brighter in its middle and darker at its rim.") == [{"side": "left"}]


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
        ("Bright on FLAIR as well as T2.", []),  # of which?
        ("No abnormality is visible on T1 or T2.", []),
        ("A lesion on contrast-enhanced T1.", []),  # the sequence's name says nothing of what is seen
    ],
)  # fmt: skip
def test_a_clause_speaks_of_the_modality_that_it_names(text, expected):
    assert [(s.modality, s.polarity) for s in statements(text, MODALITIES)] == expected
