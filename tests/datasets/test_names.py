import pytest

from zeusseg.datasets.names import LABEL_WORDS, MODALITY_WORDS, is_named, modality_of, place_of


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("flair", "flair"),
        ("T2_FLAIR", "flair"),
        ("FLAIR_N4_noneck_reduced_winsor_regtoFLAIR", "flair"),
        ("T1_N4_noneck_reduced_winsor_regtoFLAIR_brain", "t1"),
        ("T1POST_N4_noneck_reduced_winsor_regtoFLAIR", "t1ce"),
        ("t1_post", "t1ce"),
        ("T1 Gd", "t1ce"),
        ("t1n", "t1"),
        ("t2f", "flair"),
        ("T2w", "t2"),
        ("cineMRI", "cine"),
        ("MRI", "mri"),
        ("CT", "ct"),
        ("perfusion", None),
        ("octagon", None),
    ],
)
def test_the_usual_names_tell_their_modality(name, modality):
    assert modality_of(name, MODALITY_WORDS) == modality


def test_a_key_names_itself_even_where_its_words_are_others():
    assert modality_of("dynamic", {"dynamic": ["dce"]}) == "dynamic"


def test_of_two_modalities_in_a_name_the_first_counts():
    assert modality_of("t1_registered_to_t2", {"t2": ["t2"], "t1": ["t1"]}) == "t1"


def test_words_are_whole_words_one_after_the_other():
    assert place_of("gold standard", "T1_GOLD_STANDARD_N4") == 1
    assert place_of("gold standard", "gold_N4_standard") is None
    assert place_of("seg", "segmentation") is None


@pytest.mark.parametrize("name", ["seg", "labels", "GOLD_STANDARD_N4", "breast-mask", "manual_segmentation"])
def test_the_usual_names_tell_a_label_file(name):
    assert is_named(name, LABEL_WORDS)
