"""The package: its verbs are there by name, and importing it costs nothing."""

import subprocess
import sys

import pytest

import zeusseg


@pytest.mark.parametrize("name", zeusseg.__all__)
def test_every_verb_is_a_function_or_class(name):
    assert callable(getattr(zeusseg, name))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="no 'segment_all': it has Case"):
        zeusseg.segment_all  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    script = "import sys, zeusseg; print([m for m in ('torch', 'numpy', 'nibabel') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
