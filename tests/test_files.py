"""Files appear whole or not at all."""

import pytest

from zeusseg.files import target_file_name, write_atomically, write_text


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a" / "scores.csv"
    write_text(path, "old")

    def fill_the_disk() -> None:
        with write_atomically(path) as temporary:
            temporary.write_text("half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_that_libraries_look_at(tmp_path):
    with write_atomically(tmp_path / "mask.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.touch()


@pytest.mark.parametrize(("name", "stem"), [("whole tumor", "whole tumor"), ("GTV/p: 1", "GTV_p_ 1"), ("..", "_")])
def test_target_names_become_file_names(name, stem):
    assert target_file_name(name) == stem
