"""A folder of weights: complete, loadable without network, repeatable, resumable, blind to labels and to others."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from zeusseg.datasets import Dataset, load_dataset
from zeusseg.errors import UsageError
from zeusseg.pretraining import pretrain
from zeusseg.pretraining.encoder import make_encoder
from zeusseg.pretraining.fit import STATISTICS_BATCHES
from zeusseg.pretraining.slices import to_pixels

FILES = {
    "config.json", "model.safetensors", "preprocessor_config.json", "card.md", "pretrain.json", "config.yaml",
    "splits.json", "log.csv", "checkpoint.pt", "phantoms-cache",
}


def weights(folder):
    return load_file(folder / "model.safetensors")


def losses_of(folder):
    """The log without its seconds."""
    return [row.split(",")[:-1] for row in (folder / "log.csv").read_text().splitlines()]


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=0, msg=name)


def test_the_folder_explains_itself(pretrained, phantoms):
    _, folder = pretrained
    assert {path.name for path in folder.iterdir()} == FILES
    facts = json.loads((folder / "pretrain.json").read_text())
    assert facts["training_cases"] == list(phantoms.splits["train"])
    assert facts["training_patients"] == sorted(phantoms.patients[i] for i in phantoms.splits["train"])
    assert (facts["steps"], facts["seed"], facts["data_digest"]) == (4, 0, phantoms.digest())
    card = (folder / "card.md").read_text()
    assert "not for clinical use" in card
    assert "4 cases of 4 training patients" in card
    assert [row.split(",")[0] for row in (folder / "log.csv").read_text().splitlines()] == ["step", "4"]


def test_transformers_loads_all_weights_and_needs_no_others(pretrained, monkeypatch):
    from transformers import AutoModel

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    name, folder = pretrained
    model, loading = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(model).__name__ == {"vit-small-16": "ViTModel", "resnet-18": "ResNetModel"}[name]


def test_the_frozen_encoder_sees_what_it_was_taught_with(pretrained):
    from transformers import AutoModel

    from zeusseg.models.backbone import load_backbone

    _, folder = pretrained
    intensities = 2 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = AutoModel.from_pretrained(folder).eval()(to_pixels(intensities), output_hidden_states=True)
    maps = load_backbone(str(folder))(intensities)
    # The finest map is after the first quarter of a ViT, and the first stage of a ResNet: hidden state 1 of both.
    state = expected.hidden_states[1].detach()
    if state.ndim == 3:
        state = state[:, 1:].transpose(1, 2).reshape(maps[0].shape)
    torch.testing.assert_close(maps[0], state)
    assert len(maps) == 4


def test_training_changed_the_encoder_and_a_resnet_knows_statistics_of_both_streams(pretrained, tiny_config):
    name, folder = pretrained
    torch.manual_seed(0)
    config = tiny_config(name)
    untrained = make_encoder(config.encoder, config.image_size, config.encoder_config).model.state_dict()
    trained = {key: value for key, value in weights(folder).items() if key in untrained}
    unchanged = {key for key, value in trained.items() if value.ndim > 1 and torch.equal(value, untrained[key])}
    assert not unchanged
    # Of a ResNet's own run there are four batches of phantoms; its statistics are of the 25 that came after.
    counts = {int(value) for key, value in weights(folder).items() if key.endswith("num_batches_tracked")}
    assert counts == ({STATISTICS_BATCHES} if name == "resnet-18" else set())


def test_resuming_gives_the_weights_of_one_run(pretrained, phantoms, tmp_path, monkeypatch, tiny_config):
    import zeusseg.pretraining.fit as loop

    class PowerLossError(Exception):
        pass

    def fail_at_the_fourth(step, config):
        if step == 3:
            raise PowerLossError
        return rate(step, config)

    name, folder = pretrained
    rate = loop.learning_rate
    monkeypatch.setattr(loop, "learning_rate", fail_at_the_fourth)
    with pytest.raises(PowerLossError):
        pretrain(tiny_config(name), phantoms, tmp_path / "again", progress=False)
    assert not (tmp_path / "again" / "model.safetensors").exists()
    assert torch.load(tmp_path / "again" / "checkpoint.pt", weights_only=True)["step"] == 2
    monkeypatch.undo()
    pretrain(tiny_config(name), phantoms, tmp_path / "again", resume=True, progress=False)
    assert_same_weights(weights(folder), weights(tmp_path / "again"))
    assert losses_of(folder) == losses_of(tmp_path / "again")


def test_another_seed_gives_other_weights(phantoms, tmp_path, pretrained, tiny_config):
    name, folder = pretrained
    other = pretrain(tiny_config(name, seed=1), phantoms, tmp_path / "other", progress=False).folder
    assert any(not torch.equal(value, weights(other)[key]) for key, value in weights(folder).items())


def test_broken_labels_change_nothing(phantoms, tmp_path, pretrained, tiny_config):
    name, folder = pretrained
    shutil.copytree(phantoms.root, tmp_path / "data")
    for label in (tmp_path / "data").glob("*/labels.nii.gz"):
        label.write_bytes(b"no label")
    blind = pretrain(tiny_config(name), load_dataset(tmp_path / "data"), tmp_path / "out", progress=False)
    assert blind.failures == {}
    assert_same_weights(weights(folder), weights(blind.folder))


def test_only_training_patients_are_read_and_never_their_labels(phantoms, tmp_path, monkeypatch, tiny_config):
    read, seen = Dataset.read, []

    def watch(self, case_id, *, labels=True):
        seen.append((case_id, labels))
        return read(self, case_id, labels=labels)

    monkeypatch.setattr(Dataset, "read", watch)
    pretrain(tiny_config(steps=1), phantoms, tmp_path / "out", progress=False)
    assert seen == [(case_id, False) for case_id in phantoms.splits["train"]]


def test_a_broken_case_costs_only_itself(phantoms, tmp_path, tiny_config):
    shutil.copytree(phantoms.root, tmp_path / "data")
    bad = phantoms.splits["train"][0]
    image = next((tmp_path / "data" / bad).glob("t1.nii.gz"))
    image.write_bytes(image.read_bytes()[:500])
    done = pretrain(tiny_config(steps=1), load_dataset(tmp_path / "data"), tmp_path / "out", progress=False)
    assert list(done.failures) == [bad]
    assert bad not in json.loads((tmp_path / "out" / "pretrain.json").read_text())["training_cases"]


def test_phantoms_alone_suffice(tmp_path, tiny_config):
    folder = pretrain(tiny_config(steps=1), None, tmp_path / "out", progress=False).folder
    facts = json.loads((folder / "pretrain.json").read_text())
    assert (facts["data"], facts["training_patients"]) == (None, [])
    assert "No image of a real patient was seen" in (folder / "card.md").read_text()
    assert not (folder / "splits.json").exists()


@pytest.mark.parametrize("encoder", ["vit-small-16", "resnet-18"])
def test_losses_fall_on_a_tiny_problem(encoder, tmp_path, tiny_config):
    config = tiny_config(encoder, steps=40, learning_rate=5e-3, early=0.0)
    one = config.phantoms.model_copy(update={"count": 1, "batch_size": 4, "regions": ("abdomen",)})
    config = config.model_copy(update={"phantoms": one})
    folder = pretrain(config, None, tmp_path / "out", progress=False).folder
    rows = [row.split(",") for row in (folder / "log.csv").read_text().splitlines()]
    for name in ("cross_entropy", "dice", "attributes", "reconstruction"):
        column = rows[0].index(name)
        assert float(rows[-1][column]) < float(rows[1][column]), name


def test_what_is_there_is_not_overwritten(pretrained, phantoms, tiny_config):
    name, folder = pretrained
    with pytest.raises(UsageError, match="already holds a pretraining"):
        pretrain(tiny_config(name), phantoms, folder, progress=False)


def test_resuming_needs_a_beginning_of_the_same_configuration(pretrained, phantoms, tmp_path, tiny_config):
    name, folder = pretrained
    with pytest.raises(UsageError, match="nothing to resume"):
        pretrain(tiny_config(name), phantoms, tmp_path / "new", resume=True, progress=False)
    with pytest.raises(UsageError, match="begun with another configuration"):
        pretrain(tiny_config(name, steps=9), phantoms, folder, resume=True, progress=False)


def test_an_unknown_split_lists_the_known_ones(phantoms, tmp_path, tiny_config):
    with pytest.raises(UsageError, match="no cases called 'fold1': it has test, train"):
        pretrain(tiny_config(train_on="fold1"), phantoms, tmp_path / "new", progress=False)
    assert not (tmp_path / "new" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("encoder", "changes", "said"),
    [
        ("vit-small-16", {"hidden_size": "large"}, r"encoder_config .* does not fit vit-small-16: .*expected int"),
        ("resnet-18", {"layer_type": "plain"}, r"encoder_config .* does not fit resnet-18: .*bottleneck"),
        ("resnet-18", {"hidden_size": 8}, "encoder_config has hidden_size, which resnet-18 does not know"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused_first(phantoms, tmp_path, tiny_config, encoder, changes, said):
    config = tiny_config(encoder).model_copy(update={"encoder_config": changes})
    with pytest.raises(UsageError, match=f"(?s){said}"):
        pretrain(config, phantoms, tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()
