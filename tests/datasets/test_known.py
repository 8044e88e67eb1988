"""The shipped targets files are well-formed, speak of each target in its own words, and find their data sets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from zeusseg.case import find_target
from zeusseg.datasets import load_dataset
from zeusseg.datasets.known import known_targets_files
from zeusseg.datasets.targets import TargetsFile

FILES = known_targets_files()
# Folder of the real data -> the shipped file, the label values by target, and the modalities in reference order.
REAL = {
    "lgg": ("lgg", {"lesion": (1,)}, ("flair", "t1", "t1ce")),
    "brats2013": ("brats2013", {"whole tumor": (1, 2, 3, 4), "tumor core": (1, 3, 4), "enhancing tumor": (4,)}, None),
    "Dataset027_ACDC": ("acdc", {"RV": (1,), "MLV": (2,), "LVC": (3,)}, ("cine",)),
    "Task04_Hippocampus": ("hippocampus", {"Anterior": (1,), "Posterior": (2,)}, ("t1",)),
    "open_ms": ("open_ms", {"lesion": (1,)}, ("flair", "t1ce", "t1", "t2")),
    "busi": ("busi", {"breast tumor": (1,)}, ("us",)),
}


def test_every_known_data_set_has_a_file() -> None:
    wanted = {"lgg", "brats2013", "brats2018", "brats2021", "brats2023", "acdc", "hippocampus", "prostate", "brain"}
    assert wanted | {"chaos", "open_ms", "busi"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_target_has_synonyms_and_a_short_definition(name: str) -> None:
    file = FILES[name]
    assert file.recognise is not None
    assert file.modalities
    for target in file.as_targets():
        assert 3 <= len(target.synonyms) <= 6, target.name
        assert 15 <= len(target.definition.split()) <= 60, target.name
        assert target.name.casefold() not in target.definition.casefold().split(), target.name
        assert not re.search(r"[A-Z][\w ]*: ", target.definition), f"{target.name}: reads like a finding"


@pytest.mark.parametrize("name", FILES)
def test_a_name_or_synonym_belongs_to_one_target(name: str) -> None:
    targets = FILES[name].as_targets()
    names = [word.casefold() for target in targets for word in (target.name, *target.synonyms)]
    assert len(names) == len(set(names))
    for target in targets:
        assert all(find_target(targets, word) is target for word in (target.name, *target.synonyms))


@pytest.mark.parametrize(
    ("name", "enhancing", "edema"),
    [("brats2013", 4, 2), ("brats2018", 4, 2), ("brats2021", 4, 2), ("brats2023", 3, 2), ("brain", 3, 1)],
)
def test_glioma_regions_lie_in_one_another(name: str, enhancing: int, edema: int) -> None:
    targets = {target.name.replace("tumour", "tumor"): set(target.values) for target in FILES[name].as_targets()}
    assert targets["enhancing tumor"] == {enhancing}
    assert targets["edema"] == {edema}
    assert targets["enhancing tumor"] < targets["tumor core"] < targets["whole tumor"]
    assert targets["whole tumor"] - targets["tumor core"] == targets["edema"]


@pytest.mark.parametrize(
    ("name", "case_id", "patient"),
    [
        ("lgg", "TCGA_CS_4942_19970222", "TCGA_CS_4942"),
        ("acdc", "patient004_frame15", "patient004"),
        ("brats2013", "brats_2013_pat0001_1", "brats_2013_pat0001"),
        ("brats2018", "Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB_1"),
        ("brats2023", "BraTS-GLI-00005-001", "BraTS-GLI-00005"),
        ("open_ms", "patient19", "patient19"),
        ("camus_medvlsm", "patient0010_2CH_ED", "patient0010"),
        ("chexlocalize", "patient64541_study1_view2_lateral", "patient64541"),
    ],
)
def test_a_case_id_tells_the_patient(name: str, case_id: str, patient: str) -> None:
    file = FILES[name]
    assert file.patient_of(case_id) == patient
    rule = file.recognise
    assert rule is not None
    assert rule.cases is None or re.search(rule.cases, case_id)


@pytest.mark.parametrize(
    "case_id", ["Brats17_CBICA_AAB_1", "BraTS20_Training_001", "BraTS2021_00000", "BraTS-GLI-00000-000"]
)
def test_a_brats_case_fits_one_years_file(case_id: str) -> None:
    def fits(file: TargetsFile) -> bool:
        return file.recognise is not None and bool(file.recognise.cases and re.search(file.recognise.cases, case_id))

    assert sum(fits(file) for file in FILES.values()) == 1


def test_where_the_header_cannot_be_trusted_the_spacing_is_unknown() -> None:
    pictures = {"busi", "kvasir", "clinicdb", "bkai", "cvc300", "colondb", "etis", "isic2016", "dfu2022"}
    assert {name for name, file in FILES.items() if file.spacing == "unknown"} == {"lgg", "acdc", *pictures}


def test_both_layouts_of_camus_have_the_same_words_and_the_studys_has_bits_for_values() -> None:
    own, study = FILES["camus"], FILES["camus_medvlsm"]
    assert [(t.name, t.synonyms, t.definition) for t in study.as_targets()] == [
        (t.name, t.synonyms, t.definition) for t in own.as_targets()
    ]
    assert [t.values for t in study.as_targets()] == [(1,), (2,), (4,)]
    assert (study.name, study.modalities) == (own.name, own.modalities)


@pytest.mark.parametrize("folder", REAL)
def test_a_real_folder_is_recognised(folder: str, data: Path) -> None:
    name, values, modalities = REAL[folder]
    dataset = load_dataset(data / folder)
    assert dataset.name == name
    assert values.items() <= {target.name: target.values for target in dataset.targets}.items()
    assert modalities is None or dataset.modalities == modalities
    assert dataset.targets == FILES[name].as_targets()


@pytest.mark.parametrize("folder", ["Dataset027_ACDC", "Task04_Hippocampus"])
def test_targets_are_named_as_dataset_json_names_them(folder: str, data: Path) -> None:
    labels = json.loads((data / folder / "dataset.json").read_text())["labels"]
    named = {key if isinstance(value, int) else value for key, value in labels.items()} - {"background"}
    assert {target.name for target in load_dataset(data / folder).targets} == named
