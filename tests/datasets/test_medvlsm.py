"""Annotation files with one entry per mask: of a picture with several masks none is lost."""

import pytest

from helpers.pictures import PICTURE, mask
from zeusseg.datasets import dump_targets_file, load_dataset
from zeusseg.datasets.chexlocalize import PATHOLOGIES
from zeusseg.errors import UsageError
from zeusseg.instruct.writers import make_writer


def entry(picture, shown):
    return {"img_name": f"{picture}.png", "mask_name": f"{shown}.png", "prompts": {"p0": ""}}


def files(masks, anns, pictures):
    content = {f"images/{name}.png": PICTURE for name in pictures}
    content |= {f"masks/{name}.png": pixels for name, pixels in masks.items()}
    return content | {f"anns/{split}.json": entries for split, entries in anns.items()}


HEART = files(
    {
        "p1_cavity": mask((0, 0), (0, 1), (1, 1)),
        "p1_wall": mask((1, 1), (2, 2)),
        "p2_wall": mask((2, 3)),
    },
    {
        "train": [entry("p1", "p1_wall"), entry("p1", "p1_cavity")],
        "val": [entry("p2", "p2_wall")],
    },
    ("p1", "p2", "p3"),
)


def test_masks_of_several_structures_are_targets_that_may_overlap(make):
    dataset = load_dataset(make(HEART))
    assert [target.name for target in dataset.targets] == ["cavity", "wall"]
    case = dataset.read("p1")
    assert [int(case.mask(target).sum()) for target in dataset.targets] == [3, 2]
    # The cavity is bit 1, the wall bit 2, and where they meet stands 3.
    assert case.labels.to_file(case.labels.array)[:, :, 0].T.tolist() == [[1, 1, 0, 0], [0, 3, 0, 0], [0, 0, 2, 0]]
    assert dataset.splits == {"train": ("p1",), "val": ("p2",)}


def test_a_structure_without_an_entry_is_empty_and_a_picture_without_entries_has_no_labels(make):
    dataset = load_dataset(make(HEART))
    case = dataset.read("p2")
    assert [int(case.mask(target).sum()) for target in dataset.targets] == [0, 1]
    assert dataset.read("p3").labels is None


def test_a_targets_file_names_structures_by_their_bits_and_written_again_means_the_same(make):
    root = make(HEART | {"targets.yaml": "targets: {cavity: {values: [1]}, heart: {values: [1, 2]}}"})
    dataset = load_dataset(root)
    case = dataset.read("p1")
    assert [int(case.mask(target).sum()) for target in dataset.targets] == [3, 4]
    (root / "again.yaml").write_text(dump_targets_file(dataset))
    assert load_dataset(root, targets_file=root / "again.yaml").targets == dataset.targets


def test_structures_that_are_to_be_ignored_are_let_through_together(make):
    root = make(HEART | {"targets.yaml": "targets: {cavity: {values: [1]}}\nignore: [2]"})
    dataset = load_dataset(root)
    assert int(dataset.read("p1").mask(dataset.targets[0]).sum()) == 3


def test_one_mask_with_several_prompts_is_one_mask(make):
    twice = files({"a": mask((0, 0))}, {"train": [entry("a", "a"), entry("a", "a")]}, "a")
    dataset = load_dataset(make(twice))
    assert dataset.labels_are_masks
    assert int(dataset.read("a").labels.array.sum()) == 1


def test_several_masks_that_do_not_say_what_they_show_are_refused(make):
    two = files(
        {"a_liver": mask(), "second": mask()}, {"train": [entry("a", "a_liver")], "val": [entry("a", "second")]}, "a"
    )
    with pytest.raises(UsageError, match=r"the mask second\.png of the picture 'a' does not say .* a_liver\.png"):
        load_dataset(make(two))


def test_more_structures_than_can_overlap_are_refused(make):
    names = [f"a_{place}" for place in range(13)]
    many = files({name: mask() for name in names}, {"train": [entry("a", name) for name in names]}, "a")
    with pytest.raises(UsageError, match=r"tell 13 structures .* expected at most 12"):
        load_dataset(make(many))


def test_camus_has_the_names_of_its_structures_and_its_file_names_tell_patient_view_and_phase(make):
    pictures = [f"patient0010_{frame}" for frame in ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")]
    shown = {1: mask((0, 0), (0, 1), (0, 2)), 2: mask((0, 2), (1, 0)), 3: mask((2, 3))}
    masks = {f"{picture}_gt_{number}": pixels for picture in pictures for number, pixels in shown.items()}
    entries = [entry(name.partition("_gt_")[0], name) for name in masks]
    dataset = load_dataset(make(files(masks, {"val": entries}, pictures)))
    assert (dataset.name, dataset.modalities, dataset.problems) == ("camus", ("us",), ())
    assert set(dataset.patients.values()) == {"patient0010"}
    case = dataset.read("patient0010_4CH_ES")
    assert {target.name: int(case.mask(target).sum()) for target in dataset.targets} == {
        "left ventricular cavity": 3, "myocardium": 2, "left atrium": 1,
    }  # fmt: skip
    assert list(dataset.about.values()) == [
        {"view": view, "phase": phase} for view in ("2CH", "4CH") for phase in ("ED", "ES")
    ]
    writer = make_writer("prompt:P3", source=dataset)
    assert writer.unite("patient0010_4CH_ES", {}, dataset.targets[1]) == (
        "myocardium in the echocardiogram, four-chamber view, end of systole"
    )


@pytest.mark.parametrize("name", ["patient0010_3CH_ED", "a_patient0010_2CH_ED", "patient7_view1_frontal", "1_2CH_ED"])
def test_other_names_tell_nothing(name, make):
    dataset = load_dataset(make(files({name: mask((0, 0))}, {"train": [entry(name, name)]}, [name])))
    assert dataset.about == {name: {}}


def test_the_ten_pathologies_of_chexlocalize_are_known(make):
    shown = [name.replace(" ", "_") for name in PATHOLOGIES]
    picture, other = "patient64832_study1_view2_lateral", "patient64832_study1_view1_frontal"
    masks = {f"{picture}_{name}": mask((0, 0), *[(1, 1)] * (name == "edema")) for name in shown}
    entries = [*(entry(picture, name) for name in masks), entry(other, f"{other}_edema")]
    masks[f"{other}_edema"] = mask((0, 0))
    dataset = load_dataset(make(files(masks, {"test": entries}, [picture, other])))
    assert (dataset.name, dataset.modalities) == ("chexlocalize", ("xray",))
    assert dataset.patients == {picture: "patient64832", other: "patient64832"}
    assert dataset.about == {picture: {"view": "lateral"}, other: {"view": "frontal"}}
    case = dataset.read(picture)
    sizes = {target.name: int(case.mask(target).sum()) for target in dataset.targets}
    assert sizes.pop("edema") == 2
    assert set(sizes.values()) == {1}
    assert len(sizes) == 9
