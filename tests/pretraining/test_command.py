"""`zeusseg pretrain`: instant help, a folder of weights, and one-line errors."""

import subprocess
import sys

import pytest
from safetensors.torch import load_file

from zeusseg.cli import main
from zeusseg.pretraining.config import write_pretrain_config


@pytest.fixture
def zeusseg(capsys, monkeypatch):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["zeusseg", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return int(exit_.value.code or 0), *capsys.readouterr()

    return call


def test_help_loads_nothing_heavy():
    script = (
        "import sys; sys.argv = ['zeusseg', 'pretrain', '--help']\n"
        "from zeusseg.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip().endswith("[]")


def test_the_command_gives_the_weights_of_the_function(zeusseg, pretrained, phantoms, tiny_config, tmp_path):
    name, folder = pretrained
    (tmp_path / "c.yaml").write_text(write_pretrain_config(tiny_config(name, steps=9)))
    words = ("pretrain", tmp_path / "c.yaml", "--out", tmp_path / "out", "--data", phantoms.root, "--set", "steps=4")
    code, out, _ = zeusseg(*words)
    assert (code, out) == (0, f"pretrained {name} into {tmp_path / 'out'}\n")
    expected, weights = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "out"))
    assert all((weights[key] == value).all() for key, value in expected.items())
    code, _, error = zeusseg(*words)
    assert code == 2
    assert "already holds a pretraining" in error


def test_how_to_read_data_needs_data(zeusseg, tiny_config, tmp_path):
    (tmp_path / "c.yaml").write_text(write_pretrain_config(tiny_config()))
    code, _, error = zeusseg("pretrain", tmp_path / "c.yaml", "--out", tmp_path / "out", "--layout", "folder")
    assert code == 2
    assert "--data, which was not given" in error
    assert not (tmp_path / "out").exists()
