"""A folder of data sets is one data set: cases apart, splits together, targets by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.pictures import PICTURE, mask
from zeusseg.case import find_target
from zeusseg.datasets import dump_targets_file, load_dataset
from zeusseg.errors import BadInputError, UsageError

POLYP = "targets: {polyp: {values: [1], synonyms: [growth]}}\nmodalities: {rgb: [image]}"
TUMOR = "targets: {breast tumor: {values: [1], synonyms: [growth, mass], definition: a dark mass}}"


def study(name, splits, targets=POLYP, shown=((0, 0),)):
    """A data set of pictures with annotation files."""
    cases = [case_id for ids in splits.values() for case_id in ids]
    files = {f"images/{case_id}.png": PICTURE for case_id in cases}
    files |= {f"masks/{case_id}.png": mask(*shown) for case_id in cases}
    for split, ids in splits.items():
        files[f"anns/{split}.json"] = [{"img_name": f"{i}.png", "mask_name": f"{i}.png"} for i in ids]
    return {f"{name}/{path}": content for path, content in (files | {"targets.yaml": targets}).items()}


def pictures(name, cases, targets=POLYP, shown=((0, 0),)):
    """A data set of pictures without splits."""
    files = {f"images/{case_id}.png": PICTURE for case_id in cases}
    files |= {f"masks/{case_id}.png": mask(*shown) for case_id in cases} | {"targets.yaml": targets}
    return {f"{name}/{path}": content for path, content in files.items()}


KVASIR = study("kvasir", {"train": "ab", "val": "c", "test": "d"})
CLINIC = study("clinic", {"train": "a", "test": "x"}, shown=((0, 0), (1, 1)))
ETIS = pictures("etis", "yz")


def test_cases_and_patients_of_members_stay_apart(make):
    dataset = load_dataset(make(KVASIR | CLINIC))
    assert (dataset.layout, dataset.name) == ("pooled", "data")
    clinic, kvasir = ("clinic__a", "clinic__x"), ("kvasir__a", "kvasir__b", "kvasir__c", "kvasir__d")
    assert dataset.case_ids == clinic + kvasir
    assert dataset.patients == {case_id: case_id for case_id in clinic + kvasir}
    case = dataset.read("kvasir__a")
    assert (case.id, case.patient, list(case.images), case.spacing_known) == ("kvasir__a", "kvasir__a", ["rgb"], False)
    with pytest.raises(UsageError, match="there is no case 'a'"):
        dataset.read("a")


def test_splits_of_one_name_are_put_together_and_each_is_there_by_itself(make):
    splits = load_dataset(make(KVASIR | CLINIC | ETIS)).splits
    assert splits == {
        "train": ("clinic__a", "kvasir__a", "kvasir__b"),
        "val": ("kvasir__c",),
        "test": ("clinic__x", "kvasir__d"),
        "clinic-train": ("clinic__a",),
        "clinic-test": ("clinic__x",),
        "kvasir-train": ("kvasir__a", "kvasir__b"),
        "kvasir-val": ("kvasir__c",),
        "kvasir-test": ("kvasir__d",),
        "etis-all": ("etis__y", "etis__z"),
    }


def test_the_pools_own_splits_take_the_place_of_the_members(make):
    own = {"train": ["kvasir__a", "etis__y"], "test": ["clinic__a"]}
    dataset = load_dataset(make(KVASIR | CLINIC | ETIS | {"splits.json": own}))
    assert dataset.splits == {"train": ("kvasir__a", "etis__y"), "test": ("clinic__a",)}


def test_a_member_that_splits_a_patient_is_refused_by_the_pools_names(make):
    leaking = study("kvasir", {"train": ["p1_a"], "test": ["p1_b"]}, POLYP + "\npatient_pattern: p\\d")
    root = make(leaking | CLINIC)
    with pytest.raises(UsageError, match="patient 'kvasir__p1' is on both sides"):
        load_dataset(root)
    assert len(load_dataset(root, allow_leaks=True).case_ids) == 4


def test_targets_of_one_name_and_value_are_one(make):
    dataset = load_dataset(make(KVASIR | CLINIC))
    (polyp,) = dataset.targets
    assert (polyp.name, polyp.values, polyp.synonyms) == ("polyp", (1,), ("growth",))
    assert [int(dataset.read(case_id).mask(polyp).sum()) for case_id in ("kvasir__a", "clinic__a")] == [1, 2]
    # Masks alone: whatever is marked in a predicted map is the one target.
    assert dataset.label_values(np.array([0, 255]), dataset.root).tolist() == [0, 1]


def test_other_targets_of_the_same_value_get_one_of_their_own(make):
    root = make(KVASIR | study("busi", {"train": "mn"}, TUMOR, shown=((0, 0), (1, 1), (2, 2))))
    dataset = load_dataset(root)
    assert {target.name: target.values for target in dataset.targets} == {"breast tumor": (1,), "polyp": (2,)}
    for case_id, expected in {"busi__m": [3, 0], "kvasir__a": [0, 1]}.items():
        case = dataset.read(case_id)
        assert [int(case.mask(target).sum()) for target in dataset.targets] == expected
        assert int((dataset.read_labels(case_id).array > 0).sum()) == sum(expected)
    # "growth" stays with the first that has it.
    assert find_target(dataset.targets, "growth").name == "breast tumor"
    assert find_target(dataset.targets, "mass").definition == "a dark mass"


def test_one_name_with_other_values_is_one_target_with_values_of_the_pool(make, image, labels):
    # labels: four voxels of 1, one of 2. Regions may lie in one another, and what is ignored is background.
    def scans(name, regions, values):
        found = np.select([labels == 1, labels == 2], values).astype(np.uint8)
        content = {"channel_names": {"0": "T1"}, "labels": {"background": 0, **regions}}
        files = {"dataset.json": content, "imagesTr/a_0000.nii.gz": image, "labelsTr/a.nii.gz": found}
        return {f"{name}/{path}": entry for path, entry in files.items()}

    old = scans("old", {"whole": [1, 4], "core": 4, "ignore": 2}, (4, 1))
    new = scans("new", {"whole": [2, 3], "core": 3, "ignore": 4}, (2, 4))
    dataset = load_dataset(make(old | new))
    assert dataset.spacing_known
    sizes = {
        case_id: {target.name: int(case.mask(target).sum()) for target in dataset.targets}
        for case_id, case in {case_id: dataset.read(case_id) for case_id in dataset.case_ids}.items()
    }
    assert sizes == {"old__a": {"whole": 5, "core": 4}, "new__a": {"whole": 4, "core": 0}}


def test_what_owners_publish_beside_the_images_is_kept(make):
    names = {"benign (1)": "benign", "malignant (1)": "malignant", "normal (1)": "normal"}
    busi = {f"Dataset_BUSI_with_GT/{kind}/{name}.png": PICTURE for name, kind in names.items()}
    busi |= {f"Dataset_BUSI_with_GT/{kind}/{name}_mask.png": mask((0, 0)) for name, kind in names.items()}
    busi["Dataset_BUSI_with_GT/benign/benign (1)_mask_1.png"] = mask((2, 2))
    dataset = load_dataset(make(KVASIR | busi))
    assert dataset.about["Dataset_BUSI_with_GT__malignant (1)"] == {"class": "malignant"}
    assert dataset.about["kvasir__a"] == {}
    case = dataset.read("Dataset_BUSI_with_GT__benign (1)")
    assert int(case.mask(find_target(dataset.targets, "breast tumor")).sum()) == 2


def test_a_targets_file_for_the_pool_goes_over_the_members(make):
    root = make(KVASIR | study("busi", {"train": "m"}, TUMOR))
    kept = load_dataset(root)
    (root / "kept.yaml").write_text(dump_targets_file(kept))
    again = load_dataset(root, targets_file=root / "kept.yaml")
    assert again.targets == kept.targets
    assert again.read("kvasir__a").labels.array.max() == 2
    (root / "targets.yaml").write_text("targets: {polyp: {values: [2]}}")
    with pytest.raises(BadInputError, match=r"m\.png: label value 1 belongs to no target"):
        load_dataset(root).read("busi__m")


def test_a_case_is_read_without_its_label_file(make):
    broken = KVASIR | {"kvasir/masks/a.png": b"broken"}
    dataset = load_dataset(make(broken | CLINIC))
    assert dataset.read("kvasir__a", labels=False).labels is None
    with pytest.raises(BadInputError, match=r"a\.png"):
        dataset.read("kvasir__a")


def test_with_other_splits_it_still_reads_through_its_members(make):
    dataset = replace(load_dataset(make(KVASIR | CLINIC)), splits={"train": ("clinic__a",)})
    assert int(dataset.read("clinic__a").labels.array.sum()) == 2


def test_problems_of_members_and_folders_that_are_none_are_listed(make):
    extra = {"kvasir/images/e.png": PICTURE, "notes/readme.txt": "nothing here"}
    problems = load_dataset(make(KVASIR | CLINIC | extra)).problems
    assert any(problem.endswith("notes: left out: of no known layout") for problem in problems)
    assert any(problem.startswith("kvasir: ") and "e.png: in no annotation file" in problem for problem in problems)


def test_the_digest_covers_every_members_labels(make):
    root = make(KVASIR | CLINIC)
    before = load_dataset(root).digest()
    make({"clinic/masks/x.png": np.eye(3, 4, dtype=np.uint8) * 255})
    assert load_dataset(root).digest() != before


def test_case_folders_are_no_pool_unless_it_is_asked_for(make, image):
    root = make({f"{grade}/{case}/{case}_t1.nii.gz": image for grade in ("HGG", "LGG") for case in ("01", "02")})
    assert load_dataset(root).layout == "brats"
    assert load_dataset(root, "pooled").splits == {
        "HGG-all": ("HGG__01", "HGG__02"),
        "LGG-all": ("LGG__01", "LGG__02"),
    }


def test_a_data_set_alone_is_no_pool(make):
    root = make(KVASIR)
    assert load_dataset(root).layout == "folder"
    with pytest.raises(UsageError, match="holds 1 data sets: expected at least two"):
        load_dataset(root, "pooled")
