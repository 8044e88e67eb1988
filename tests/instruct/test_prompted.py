"""The writer `prompt:P5`: attributes from the picture and from what owners tell, never from labels or a diagnosis."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Case, Target, Volume
from zeusseg.datasets import load_dataset
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.instruction import read_instructions
from zeusseg.instruct.prompted import PromptWriter
from zeusseg.instruct.write import write_instructions
from zeusseg.instruct.writers import make_writer

POLYP, TUMOR = Target("polyp", (1,)), Target("breast tumor", (1,))
VENTRICLE, EFFUSION = Target("left ventricle", (1,)), Target("pleural effusion", (2,))
PINK, SKIN_RED = (230, 150, 150), (120, 40, 40)


def picture(discs, colour=PINK, ground=SKIN_RED, frame=8):
    """Pixels (240 rows, 160 columns, 3): discs (row, column, radius) of one colour on an even ground in a black frame,
    with a little noise."""
    rows, columns = np.indices((240, 160))
    pixels = np.zeros((240, 160, 3))
    pixels[frame:-frame, frame:-frame] = ground
    for row, column, radius in discs:
        pixels[np.hypot(rows - row, columns - column) <= radius] = colour
    pixels += np.random.default_rng(0).normal(0, 1.5, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def case_of(pixels, case_id="a"):
    """The case of a picture, as it is read from a file."""
    array = np.swapaxes(pixels, 0, 1)[:, :, None]
    volume = Volume.from_file(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture")
    return Case(case_id, case_id, {"rgb" if pixels.ndim == 3 else "us": volume}, spacing_known=False)


def text_of(kind, case, target=POLYP, about=None):
    writer = PromptWriter(kind, [target], {case.id: about or {}})
    return writer.unite(case.id, writer.findings(case), target)


def test_a_disc_is_described_as_it_was_drawn():
    # Radius 24 in 240 by 160: 1810 of 38400 pixels, 4.7 %.
    case = case_of(picture([(40, 130, 24)]))
    assert text_of("P6", case) == "one small pink round polyp, at the top right of the picture"
    assert text_of("P4", case) == "small pink round polyp"


def test_a_larger_disc_elsewhere_is_described_otherwise():
    # Radius 40: 5027 of 38400 pixels, 13 %.
    text = text_of("P6", case_of(picture([(190, 80, 40)], colour=(250, 245, 240))))
    assert text == "one medium white round polyp, at the bottom of the picture"


def test_sizes_are_shares_of_the_whole_picture_not_of_what_it_shows():
    # The disc of 4.7 % of the picture fills 14 % of what lies within a frame of 40 pixels.
    assert text_of("P4", case_of(picture([(120, 80, 24)], frame=40))) == "small pink round polyp"


def test_what_fills_more_than_three_tenths_does_not_stand_out_so_that_nothing_is_called_large():
    # Radius 55: 9503 of 38400 pixels, 25 %, and 29 % of what lies within the frame; radius 70: 15394, 40 %.
    assert text_of("P4", case_of(picture([(120, 80, 55)]))) == "medium pink round polyp"
    assert text_of("P4", case_of(picture([(120, 80, 70)]))) == "polyp"


def test_discs_are_counted():
    text = text_of("P6", case_of(picture([(50, 40, 22), (190, 120, 22)])))
    assert text.startswith("two small pink round polyps, at the ")
    assert {"top left", "bottom right"} == set(text[len("two small pink round polyps, at the ") :][:-15].split(" and "))


def test_where_nothing_stands_out_only_the_class_is_said():
    case = case_of(picture([]))
    assert {kind: text_of(kind, case) for kind in ("P0", "P2", "P6")} == {"P0": "", "P2": "polyp", "P6": "polyp"}


def test_grey_pictures_have_no_colour():
    case = case_of(picture([(120, 80, 26)], (40, 40, 40), (150, 150, 150))[..., 0])
    text = text_of("P5", case, TUMOR)
    assert text == "one small breast tumor in the ultrasound image, at the center of the picture"


def test_findings_tell_what_stood_out_and_only_where_the_prompt_needs_it():
    case = case_of(picture([(40, 130, 24)]))
    assert PromptWriter("P5", [POLYP], {}).findings(case)["rgb"].text.startswith("a round bright area")
    for kind in ("P0", "P1", "P7"):
        assert PromptWriter(kind, [POLYP], {}).findings(case) == {}


@pytest.mark.parametrize("kind", ["P1", "P2", "P6"])
def test_the_diagnosis_changes_no_prompt_and_no_tumor_is_ever_denied(kind):
    shown = case_of(picture([(120, 80, 26)], (40, 40, 40), (150, 150, 150))[..., 0], "1_malignant")
    empty = case_of(picture([])[..., 0], "1_malignant")
    for case in (shown, empty):
        texts = {
            text_of(kind, replace(case, id=f"1_{name}"), TUMOR, {"class": name})
            for name in ("benign", "malignant", "normal")
        }
        assert len(texts) == 1
        text = texts.pop()
        assert "breast tumor in the ultrasound image" in text
        assert not text.startswith("no ")


def test_what_owners_publish_of_a_heart_is_said_and_no_area_is_taken_for_a_chamber():
    case = case_of(picture([(120, 80, 26)])[..., 0])
    about = {"view": "2CH", "phase": "ED", "sex": "M", "age": "48", "quality": "Medium"}
    expected = (
        "left ventricle in the echocardiogram, two-chamber view, end of diastole, male patient, 48 years old, "
        "medium image quality"
    )
    assert text_of("P6", case, VENTRICLE, about) == text_of("P7", case, VENTRICLE, about) == expected
    assert text_of("P6", case, VENTRICLE) == "left ventricle in the echocardiogram"


def test_in_pooled_data_areas_describe_the_targets_of_one_kind_only():
    case = case_of(picture([(120, 80, 26)]))
    writer = PromptWriter("P3", [POLYP, EFFUSION], {})
    found = writer.findings(case)
    assert writer.unite("a", found, POLYP) == "pink round polyp"
    assert writer.unite("a", found, EFFUSION) == "pleural effusion in the chest X-ray"


@pytest.mark.parametrize(
    ("kind", "targets", "unsaid"),
    [
        ("P7", [VENTRICLE, Target("myocardium", (2,))], "shape (camus)"),
        ("P6", [EFFUSION], "findings (chest)"),
        ("P5", [EFFUSION], "shape, location and findings (chest)"),
        ("P2", [TUMOR], "presence and malignancy (breast)"),
        ("P3", [POLYP, EFFUSION, TUMOR], "shape (chest), presence and malignancy (breast)"),
    ],
)
def test_what_a_kind_would_say_with_the_mask_alone_is_told_before_it_starts(kind, targets, unsaid):
    notice = f"prompt:{kind} says nothing of {unsaid}: only a reference mask or a diagnosis would tell"
    assert PromptWriter(kind, targets, {}).notice == notice


@pytest.mark.parametrize(("kind", "target"), [("P6", VENTRICLE), ("P2", EFFUSION), ("P9", POLYP), ("P0", TUMOR)])
def test_nothing_is_told_where_nothing_is_left_out(kind, target):
    assert PromptWriter(kind, [target], {}).notice is None


def test_the_notice_is_given_before_the_first_prompt_is_written(tmp_path, capsys):
    class Hearts:
        targets = (VENTRICLE,)
        case_ids = ("a",)

        def read(self, case_id, *, labels=True):
            return case_of(picture([])[..., 0], case_id)

    write_instructions(Hearts(), make_writer("prompt:P7", source=Hearts()), tmp_path / "p7.jsonl", progress=False)
    assert "note: prompt:P7 says nothing of shape (camus)" in capsys.readouterr().err


def test_labels_are_refused_by_every_kind():
    case = case_of(picture([]))
    labels = Volume(np.ones(case.shape, dtype=np.uint8), case.reference.affine, case.reference.file_grid)
    for kind in ("P0", "P1", "P6"):
        with pytest.raises(ValueError, match="labels=False"):
            PromptWriter(kind, [POLYP], {}).findings(replace(case, labels=labels))


def test_a_volume_is_a_bad_case(make_case):
    with pytest.raises(BadInputError, match="one plane"):
        PromptWriter("P5", [POLYP], {}).findings(make_case())


@pytest.fixture
def pictures(tmp_path):
    """Three polyps and their masks on disk."""
    root = tmp_path / "polyps"
    for name, disc in {"anna": (40, 130, 24), "bert": (190, 80, 40), "cora": (120, 40, 18)}.items():
        mask = np.hypot(*(np.indices((240, 160)) - np.array(disc[:2])[:, None, None])) <= disc[2]
        for folder, pixels in {"images": picture([disc]), "masks": mask.astype(np.uint8) * 255}.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{name}.png")
    (root / "targets.yaml").write_text("targets: {polyp: {values: [1]}}\nmodalities: {rgb: [image]}\n")
    return load_dataset(root)


def lines(path):
    return [replace(line, created="") for line in read_instructions(path)]


def test_changing_corrupting_or_deleting_masks_never_changes_a_prompt(pictures, tmp_path):
    def write(dataset, name):
        writer = make_writer("prompt:P9", source=dataset)
        assert write_instructions(dataset, writer, tmp_path / name, progress=False).failures == {}
        return lines(tmp_path / name)

    masks = [pictures.root / "masks" / f"{name}.png" for name in ("anna", "bert", "cora")]
    before = write(pictures, "before.jsonl")
    assert [line.text.split(", ")[0] for line in before] == [
        "one small pink round polyp", "one medium pink round polyp", "one small pink round polyp",
    ]  # fmt: skip
    assert not any(line.oracle for line in before)
    masks[0].write_bytes(masks[1].read_bytes())
    Image.fromarray(np.zeros((240, 160), dtype=np.uint8)).save(masks[2])
    assert write(pictures, "changed.jsonl") == before
    for mask in masks:
        mask.write_bytes(b"no picture at all")
    assert write(pictures, "corrupted.jsonl") == before
    for mask in masks:
        mask.unlink()
    assert write(load_dataset(pictures.root), "deleted.jsonl") == before


def test_the_writer_goes_by_its_name_and_takes_what_the_data_tell(pictures):
    assert make_writer("prompt:P3", source=pictures).name == "prompt:P3"

    class Told:
        targets = (Target("left atrium", (3,)),)
        about = {"a": {"view": "4CH"}}  # noqa: RUF012

    writer = make_writer("prompt:P2", source=Told())
    assert writer.unite("a", {}, Told.targets[0]) == "left atrium in the echocardiogram, four-chamber view"


@pytest.mark.parametrize(
    ("spec", "targets", "cause"),
    [("prompt:P5", None, "needs a kind"), ("prompt", [POLYP], "needs a kind"), ("prompt:P10", [POLYP], "P8, P9"),
     ("prompt:P1", [POLYP, Target("liver", (2,))], "no published prompts for the target 'liver'"),
     ("oracle:P5", [POLYP], "only `zeusseg study` makes oracle text")],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_it_is_begun(spec, targets, cause):
    with pytest.raises(UsageError, match=cause):
        make_writer(spec, targets=targets)
