"""Findings in radiology's words."""

from dataclasses import replace

from zeusseg.instruct.finding import FindingAttributes, Outlier
from zeusseg.instruct.phrases import state

OUTLIER = Outlier(
    polarity="bright", side="right", anterior_posterior="anterior", superior_inferior="superior", voxels=900,
    volume_ml=20.6, diameter=34.0, in_plane=34.0, share=0.042, roundness=0.8, border="ill-defined",
    texture="heterogeneous", contrast=0.5, centre=(40.0, 50.0, 9.0),
)
BODY = FindingAttributes((OUTLIER,), asymmetry=0.3, foreground_share=0.4, frame="body", spacing_known=True)


def test_a_finding_names_signal_size_place_border_and_texture():
    assert state(BODY, "flair") == (
        "a hyperintense area of about 34 mm on the right, anterior and superior, ill-defined, heterogeneous."
    )


def test_each_modality_has_its_own_words_for_bright_and_dark():
    dark = replace(BODY, outliers=(replace(OUTLIER, polarity="dark"),))
    assert "a hypodense area" in state(dark, "ct")
    assert "a hypoechoic area" in state(dark, "us")
    assert "a hypointense area" in state(dark, "t1")


def test_shape_and_ring_are_said_where_they_are_seen():
    ring = replace(OUTLIER, roundness=0.95, texture="ring", border="sharp")
    assert state(replace(BODY, outliers=(ring,)), "t1ce").startswith("a round ring-shaped hyperintense area")
    ragged = replace(OUTLIER, roundness=0.6)
    assert state(replace(BODY, outliers=(ragged,)), "t1").startswith("an irregular hyperintense area")


def test_no_millimetres_are_said_where_the_spacing_is_unknown():
    text = state(replace(BODY, spacing_known=False), "flair")
    assert "mm" not in text
    assert "filling about 4 % of the body part" in text


def test_a_place_in_a_picture_is_as_one_looks_at_it():
    picture = replace(BODY, frame="picture", spacing_known=False, asymmetry=None)
    assert "in the upper left part of the picture" in state(picture, "us")
    middle = replace(OUTLIER, side="midline", anterior_posterior="middle")
    assert "in the centre of the picture" in state(replace(picture, outliers=(middle,)), "us")


def test_the_midline_of_a_body_and_the_middle_of_a_crop_are_told_apart():
    middle = replace(OUTLIER, side="midline", anterior_posterior="middle", superior_inferior="middle")
    assert "in the midline, ill-defined" in state(replace(BODY, outliers=(middle,)), "t1")
    crop = replace(BODY, frame="crop", outliers=(middle,), asymmetry=None)
    assert "in the middle of the image" in state(crop, "t1")


def test_as_many_areas_are_stated_as_asked_for():
    several = replace(BODY, outliers=(OUTLIER, replace(OUTLIER, side="left"), replace(OUTLIER, polarity="dark")))
    assert [state(several, "t1", areas).count("area") for areas in (1, 2, 3)] == [1, 2, 3]


def test_nothing_to_see_is_said_and_symmetry_with_it_where_it_was_seen():
    silent = replace(BODY, outliers=())
    assert state(silent, "t1") == (
        "no bright or dark area stands out from the tissue around it; left and right are alike."
    )
    assert "alike" not in state(replace(silent, asymmetry=0.9), "t1")
    assert "alike" not in state(replace(silent, asymmetry=None), "t1")
