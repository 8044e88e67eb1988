"""Training from stored features: the same samples and losses as from images, and the encoder is asked only once."""

import json

import numpy as np
import pytest
import torch

from helpers.encoders import tiny_vision
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.inference.load import load_model
from zeusseg.inference.predict import predict
from zeusseg.inference.segment import segment
from zeusseg.inference.store import feature_store
from zeusseg.models.backbone import Backbone
from zeusseg.training.config import TrainConfig
from zeusseg.training.run import train


def configure(tiny: TrainConfig, encoder, fusion: str, **fit) -> TrainConfig:
    model = {
        "fusion": fusion, "vision": f"pretrained:{encoder}", "vision_channels": [8, 16], "width": 32, "norm": "group",
    }  # fmt: skip
    return TrainConfig.model_validate({**tiny.model_dump(), "model": model, "fit": {**tiny.fit.model_dump(), **fit}})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_vision("vit", tmp_path_factory.mktemp("encoder") / "vit")


@pytest.fixture
def seen(monkeypatch):
    """How many images the encoder was shown."""
    count = [0]
    forward = Backbone.forward

    def counted(self, image):
        count[0] += len(image)
        return forward(self, image)

    monkeypatch.setattr(Backbone, "forward", counted)
    return count


def losses(run) -> list[list[float]]:
    rows = (run / "log.csv").read_text().splitlines()[1:]
    return [[float(value) for value in row.split(",")[:5]] for row in rows]


@pytest.mark.parametrize(("fusion", "fit"), [
    ("early", {"views": 2}),
    ("hybrid", {"views": 2}),
    ("late", {"views": 2, "mirror": True}),
    ("late", {"augment": False}),
])  # fmt: skip
def test_losses_are_those_of_training_without_a_store(phantoms, tiny, encoder, tmp_path, monkeypatch, fusion, fit):
    monkeypatch.setattr("zeusseg.training.callbacks.EVERY", 1)
    config = configure(tiny, encoder, fusion, modality_dropout=0.5, **fit)
    train(config, phantoms, tmp_path / "without", progress=False)
    train(config, phantoms, tmp_path / "with", store=tmp_path / "store", progress=False)
    expected, found = losses(tmp_path / "without"), losses(tmp_path / "with")
    assert len(found) == 6
    # Features are kept in bfloat16, of which every number has eight bits.
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=2e-2, rtol=2e-2)


def test_the_encoder_is_asked_once_for_all_seeds_and_for_prediction(phantoms, tiny, encoder, tmp_path, seen):
    store = tmp_path / "store"
    first = configure(tiny, encoder, "late", views=1)
    run = train(first, phantoms, tmp_path / "run", store=store, progress=False).folder
    once = seen[0]
    assert once == sum(len(p.read_text().splitlines()) for p in store.rglob("*.index")) > 0
    train(first, phantoms, tmp_path / "again", store=store, progress=False)
    assert seen[0] == once
    ids = phantoms.splits["test"]
    predict(run, phantoms, tmp_path / "masks", case_ids=ids, store=store, progress=False)
    more = seen[0]
    assert more > once
    predict(tmp_path / "again", phantoms, tmp_path / "others", case_ids=ids, store=store, modalities=["flair"],
            progress=False)  # fmt: skip
    assert seen[0] == more


def test_masks_from_stored_features_are_those_from_images(phantoms, tiny, encoder, tmp_path):
    run = train(configure(tiny, encoder, "hybrid", views=1), phantoms, tmp_path / "run", progress=False).folder
    ids = phantoms.splits["test"]
    presence = []
    for name, store in (("plain", None), ("stored", tmp_path / "store")):
        predict(run, phantoms, tmp_path / name, case_ids=ids, store=store, progress=False)
        records = [json.loads((tmp_path / name / case / "prediction.json").read_text()) for case in ids]
        presence.append([entry["presence"] for record in records for entry in record["targets"].values()])
    assert presence[1] == pytest.approx(presence[0], abs=5e-3)


def test_views_without_end_cannot_be_stored(phantoms, tiny, encoder, tmp_path):
    with pytest.raises(UsageError, match=r"set fit\.views"):
        train(configure(tiny, encoder, "late"), phantoms, tmp_path / "run", store=tmp_path / "store", progress=False)


def test_what_is_trained_cannot_be_stored(phantoms, tiny, tmp_path):
    with pytest.raises(UsageError, match="leave --store out"):
        train(tiny, phantoms, tmp_path / "run", store=tmp_path / "store", progress=False)


def test_a_run_with_an_encoder_says_which_one_and_holds_little(phantoms, tiny, encoder, tmp_path):
    run = train(configure(tiny, encoder, "late", views=1), phantoms, tmp_path / "run", progress=False).folder
    facts = json.loads((run / "run.json").read_text())
    model = load_model(run).model
    assert facts["frozen"] == {"vision": model.backbone.fingerprint}
    assert facts["parameters"] - facts["parameters_trained"] == sum(p.numel() for p in model.backbone.parameters())
    held = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not any("backbone" in name for name in held)


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_patches_that_do_not_divide_the_slices_are_padded_for(phantoms, tiny, tmp_path, fusion):
    config = configure(tiny, tiny_vision("dinov2", tmp_path / "dinov2"), fusion, views=1)
    run = train(config, phantoms, tmp_path / "run", store=tmp_path / "store", progress=False).folder
    case = phantoms.splits["test"][0]
    loaded = load_model(run)
    texts = {"lesion": "lesion"}
    plain = segment(loaded, phantoms.read(case, labels=False), texts)
    store = feature_store(tmp_path / "store", loaded.model)
    stored = segment(loaded, phantoms.read(case, labels=False), texts, store=store)
    # 48 x 40 pixels are not multiples of 14.
    assert plain["lesion"].probability.shape == phantoms.read(case).shape
    np.testing.assert_allclose(stored["lesion"].probability, plain["lesion"].probability, atol=2e-2)


def test_clicks_are_learnt_from_the_errors_of_the_words(phantoms, tiny, tmp_path, monkeypatch):
    from zeusseg.models.zeus import ZeusModel

    given = []
    forward = ZeusModel.forward

    def noted(self, images, present, texts, which, clicks=None):
        given.append(clicks)
        return forward(self, images, present, texts, which, clicks)

    monkeypatch.setattr(ZeusModel, "forward", noted)
    config = tiny.model_copy(update={"fit": tiny.fit.model_copy(update={"click_share": 1.0})})
    train(config, load_dataset(phantoms.root), tmp_path / "run", progress=False)
    # Words first, then the click, in every step.
    assert [clicks is None for clicks in given] == [True, False] * 6
    assert any((clicks.labels >= 0).any() for clicks in given[1::2])
    assert any(clicks.boxes.isfinite().any() for clicks in given[1::2])
