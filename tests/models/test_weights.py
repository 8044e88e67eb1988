import pytest
import torch
from safetensors.torch import save_file

from zeusseg.models.weights import fingerprint


@pytest.mark.parametrize("where", [0, 5_000, 9_999])
def test_a_fingerprint_tells_one_training_from_another(tmp_path, where):
    tensor = torch.zeros(10_000)
    save_file({"a": torch.ones(10), "b": tensor}, tmp_path / "model.safetensors")
    first = fingerprint(tmp_path)
    assert len(first) == 16
    assert fingerprint(tmp_path) == first
    tensor[where] = 1
    save_file({"a": torch.ones(10), "b": tensor}, tmp_path / "model.safetensors")
    assert fingerprint(tmp_path) != first


def test_a_fingerprint_follows_the_settings_and_pytorchs_own_files(tmp_path):
    found = set()
    for settings, value in (("{}", 0.0), ('{"a": 1}', 0.0), ("{}", 1.0)):
        (tmp_path / "config.json").write_text(settings)
        torch.save({"a": torch.full((3,), value)}, tmp_path / "pytorch_model.bin")
        found.add(fingerprint(tmp_path))
    assert len(found) == 3


def test_pytorchs_own_files_beside_safetensors_are_not_weights_that_are_used(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "model.safetensors")
    first = fingerprint(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"something")
    assert fingerprint(tmp_path) == first
