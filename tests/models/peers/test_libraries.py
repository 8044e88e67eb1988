import sys

import pytest
import torch

from zeusseg.errors import UsageError
from zeusseg.models.peers.libraries import import_peer_library


@pytest.mark.parametrize("name", ["segmentation_models_pytorch", "open_clip", "timm", "torchvision", "transformers"])
def test_libraries_import_beside_the_torch_that_is_installed(name):
    assert import_peer_library(name).__name__ == name


def test_a_module_of_a_library_works():
    network = import_peer_library("torchvision.models").resnet18().eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_a_missing_library_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UsageError, match=r"this model needs open_clip: pip install 'zeusseg\[peers\]'"):
        import_peer_library("open_clip")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import torchvision_that_is_not_there", "No module named 'torchvision_that_is_not_there'"),
        ("raise RuntimeError('operator torchvision::nms does not exist')", "operator torchvision::nms does not exist"),
    ],
)
def test_a_library_that_misses_another_or_does_not_fit_torch_is_an_error_with_the_reason(
    monkeypatch, tmp_path, line, reason
):
    (tmp_path / "some_peer_library.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=rf"needs some_peer_library: pip install 'zeusseg\[peers\]' \({reason}\)"):
        import_peer_library("some_peer_library")
