"""Prompts P0 to P9: what each says, in which words, and what is left out."""

from collections import Counter

import pytest

from zeusseg.case import Target
from zeusseg.errors import UsageError
from zeusseg.instruct.prompts import (
    Facts,
    Region,
    attributes_of,
    colour_word,
    describe,
    families,
    family_of,
    location_word,
    only_from_reference,
    prompt_text,
    shape_word,
    variant_of,
    with_told,
)

POLYP, TUMOR = Target("polyp", (1,)), Target("breast tumor", (1,))
VENTRICLE, EFFUSION = Target("left ventricle", (1,)), Target("pleural effusion", (1,))
ALL = Facts(
    present=True, malignancy="benign", number=2, size="small", colour="pink", shape="oval", location="top left",
    view="four-chamber", phase="end of diastole", sex="female", age="56", quality="good",
    findings="edema, pneumothorax",
)  # fmt: skip
EVERY = [(family, kind) for family, plan in families().items() for kind in plan.kinds]


def target_of(family):
    return Target(families()[family].targets[0], (1,))


@pytest.mark.parametrize(("family", "last"), [
    ("polyp", 9), ("skin", 9), ("foot", 9), ("breast", 6), ("camus", 7), ("chest", 6),
])  # fmt: skip
def test_every_family_has_the_published_kinds(family, last):
    assert list(families()[family].kinds) == [f"P{number}" for number in range(last + 1)]


@pytest.mark.parametrize(("family", "kind"), EVERY)
def test_every_kind_gives_text_but_p0_which_is_empty(family, kind):
    target = target_of(family)
    for facts in (ALL, Facts(), Facts(present=False)):
        text = prompt_text(family, kind, target, facts)
        assert (text == "") == (kind == "P0")
        assert kind == "P0" or target.name in text
        assert not {"None", "{", "  ", " ,"} & {text[i : i + n] for n in (1, 2, 4) for i in range(len(text))}


@pytest.mark.parametrize(("family", "kind"), EVERY)
def test_every_attribute_of_a_kind_is_said_and_no_other(family, kind):
    wanted = attributes_of(family, kind)
    text = prompt_text(family, kind, target_of(family), ALL)
    values = {name: value for name, value in vars(ALL).items() if isinstance(value, str)} | {"number": "two"}
    assert {name for name, value in values.items() if value in text} == set(wanted) & set(values)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("P1", "polyp"),
        ("P2", "oval polyp"),
        ("P3", "pink oval polyp"),
        ("P4", "small pink oval polyp"),
        ("P5", "two small pink oval polyps"),
        ("P6", "two small pink oval polyps, at the top left of the picture"),
        ("P7", "polyp, tissue grown out of the bowel wall"),
        ("P8", "two small pink oval polyps, tissue grown out of the bowel wall"),
        ("P9", "two small pink oval polyps, tissue grown out of the bowel wall, at the top left of the picture"),
    ],
)
def test_each_polyp_prompt_says_more_than_the_one_before(kind, text):
    assert prompt_text("polyp", kind, POLYP, ALL) == text


def test_the_longest_prompts_of_the_other_families():
    assert prompt_text("breast", "P6", TUMOR, ALL) == (
        "two small oval benign breast tumors in the ultrasound image, at the top left of the picture"
    )
    assert prompt_text("camus", "P7", VENTRICLE, ALL) == (
        "oval left ventricle in the echocardiogram, four-chamber view, end of diastole, female patient, 56 years old, "
        "good image quality"
    )
    assert prompt_text("chest", "P5", EFFUSION, ALL) == (
        "oval pleural effusion in the chest X-ray, four-chamber view, at the top left of the picture; "
        "to be seen are: edema, pneumothorax"
    )


def test_what_is_unknown_is_left_out():
    assert prompt_text("polyp", "P6", POLYP, Facts(size="tiny", number=1)) == "one tiny polyp"
    assert prompt_text("camus", "P6", VENTRICLE, Facts(age="70")) == (
        "left ventricle in the echocardiogram, 70 years old"
    )


def test_an_absent_target_is_denied_in_the_breast_and_only_named_elsewhere():
    absent = Facts(present=False, size="small", location="top", findings="edema")
    assert prompt_text("breast", "P5", TUMOR, absent) == "no breast tumor in the ultrasound image"
    assert prompt_text("polyp", "P9", POLYP, absent) == "polyp"
    assert prompt_text("chest", "P6", EFFUSION, absent) == "pleural effusion in the chest X-ray"


@pytest.mark.parametrize("family", ["polyp", "skin", "foot"])
@pytest.mark.parametrize("kind", ["P7", "P8", "P9"])
def test_all_five_descriptions_occur_and_each_case_keeps_its_own(family, kind):
    texts = Counter(
        prompt_text(family, kind, target_of(family), Facts(), variant_of(f"case {number}")) for number in range(500)
    )
    assert len(texts) == 5
    assert min(texts.values()) > 60
    assert variant_of("123456789") == 0xCBF43926  # the published check value of CRC-32


def test_only_the_reference_tells_presence_diagnosis_and_what_several_structures_look_like():
    assert only_from_reference("polyp", "P9") == ()
    assert only_from_reference("breast", "P6") == ("presence", "malignancy")
    assert only_from_reference("camus", "P7") == ("shape",)
    assert only_from_reference("chest", "P5") == ("shape", "location", "findings")


def test_sizes_are_shares_of_the_picture():
    def size(*shares):
        return describe([Region(share, 1.0, 0.5, 0.5) for share in shares]).size

    assert [size(share) for share in (0.0009, 0.001, 0.08, 0.081, 0.3, 0.31)] == [
        "tiny", "small", "small", "medium", "medium", "large",
    ]  # fmt: skip
    assert size(0.2, 0.01, 0.02) == "small and medium"


def test_places_are_the_cells_of_three_by_three_from_the_top_left_corner():
    centres = (1 / 6, 1 / 2, 5 / 6)
    assert [[location_word(across, down) for across in centres] for down in centres] == [
        ["top left", "top", "top right"],
        ["left", "center", "right"],
        ["bottom left", "bottom", "bottom right"],
    ]
    assert location_word(0.0, 1.0) == "bottom left"


def test_several_regions_are_one_description_with_the_looks_of_the_largest():
    pink, brown = (0.9, 0.6, 0.6), (0.45, 0.3, 0.2)
    small, large = Region(0.01, 0.95, 0.1, 0.1, brown), Region(0.1, 0.6, 0.9, 0.5, pink)
    facts = describe([small, large, small])
    assert facts == Facts(
        number=3, size="small and medium", colour="pink", shape="irregular", location="right and top left"
    )
    assert describe([]) == Facts()


@pytest.mark.parametrize(
    ("rgb", "word"),
    [((0.95, 0.93, 0.9), "white"), ((0.05, 0.02, 0.02), "black"), ((0.8, 0.1, 0.1), "red"), ((0.8, 0.1, 0.2), "red"),
     ((0.9, 0.5, 0.1), "orange"), ((0.8, 0.65, 0.5), "tan"), ((0.4, 0.25, 0.1), "brown"), ((0.9, 0.85, 0.2), "yellow"),
     ((0.2, 0.6, 0.3), "green"), ((0.1, 0.2, 0.7), "blue"), ((0.6, 0.2, 0.7), "purple")],
)  # fmt: skip
def test_colours_have_their_everyday_names(rgb, word):
    assert colour_word(*rgb) == word


def test_shapes_follow_roundness():
    assert [shape_word(value) for value in (1.0, 0.91, 0.9, 0.7, 0.69)] == [
        "round", "round", "oval", "oval", "irregular",
    ]  # fmt: skip


def test_what_owners_publish_is_said_but_never_their_diagnosis():
    about = {"view": "4CH", "phase": "ES", "sex": "F", "age": "61", "quality": "Poor", "class": "malignant"}
    facts = with_told(Facts(), about)
    assert facts == Facts(view="four-chamber", phase="end of systole", sex="female", age="61", quality="poor")
    assert with_told(Facts(), {"view": "Frontal", "age": ""}) == Facts(view="frontal")


def test_targets_belong_to_families_by_name_and_others_are_refused():
    names = ("Polyp", "skin lesion", "foot ulcer", "breast tumor", "left atrium", "Pleural Effusion")
    assert [family_of(Target(name, (1,))) for name in names] == list(families())
    with pytest.raises(UsageError, match=r"'whole tumor'.*polyp \(.*chest \("):
        family_of(Target("whole tumor", (1,)))


def test_an_unknown_kind_or_family_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="'P7' for breast: expected one of P0, P1, P2, P3, P4, P5, P6"):
        attributes_of("breast", "P7")
    with pytest.raises(UsageError, match="'liver': expected one of polyp, skin"):
        attributes_of("liver", "P1")
