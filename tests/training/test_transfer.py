"""The protocol of the transfer study: its loss without the published faults, its stops, and which weights are kept."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from helpers.clipseg import TINY_CLIPSEG, clipseg
from helpers.pictures import write_pictures
from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.inference.load import load_model
from zeusseg.inference.slices import SliceStack, Slicing
from zeusseg.training.config import TrainConfig
from zeusseg.training.run import train
from zeusseg.training.samples import PreparedCase
from zeusseg.training.transfer import TransferModule, WholeSlices, picture_dice, transfer_loss

SURE = 20.0
PEER = {"name": "clipseg", "changes": TINY_CLIPSEG}
TRANSFER = {
    "writer": "name",
    "model": {"peer": PEER},
    "slices": {"crop": [40, 40]},
    "threshold": "validation",
    "fit": {"protocol": "transfer", "steps": 6, "steps_per_round": 2, "batch_size": 2, "learning_rate": 1e-3,
            "absent_targets": 0, "turned_queries": 0, "reword": False, "augment": False, "mirror": False},
}  # fmt: skip


def config(**fit) -> TrainConfig:
    return TrainConfig.model_validate({**TRANSFER, "fit": {**TRANSFER["fit"], **fit}})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return load_dataset(write_pictures(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    return train(config(), pictures, tmp_path_factory.mktemp("run") / "clipseg", progress=False).folder


def square(rows: int, side: int = 8) -> torch.Tensor:
    """A mask (side, side) whose first rows are inside."""
    return (torch.arange(side) < rows).float()[:, None].expand(side, side)


def test_cross_entropy_is_that_of_a_sigmoid_and_follows_the_network():
    # The published term took a softmax over one channel, and was the same whatever the network said.
    masks = square(4)[None, None]
    unsure = transfer_loss(torch.zeros(1, 1, 8, 8), masks)["cross_entropy"]
    assert float(unsure) == pytest.approx(math.log(2), abs=1e-6)
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    transfer_loss(logits, masks)["cross_entropy"].backward()
    # By hand: (sigmoid(0) - mask) / 64 pixels.
    torch.testing.assert_close(logits.grad, (0.5 - masks) / 64)


def test_a_sure_and_right_answer_costs_nothing():
    # With a second sigmoid a sure pixel would count 0.73 inside and 0.5 outside, and Dice could not pass 0.73.
    masks = square(4)[None, None]
    losses = transfer_loss(SURE * (2 * masks - 1), masks)
    assert float(losses["total"]) == pytest.approx(0, abs=1e-5)


def test_the_total_is_dice_plus_a_fifth_of_the_cross_entropy():
    losses = transfer_loss(torch.full((1, 1, 8, 8), 0.3), square(2)[None, None])
    assert float(losses["total"]) == pytest.approx(float(losses["dice"]) + 0.2 * float(losses["cross_entropy"]))


def test_dice_is_of_each_picture_and_not_of_the_batch():
    # Fifty-six pixels found and eight missed: 0.5 by picture, 0.933 over the batch.
    masks = torch.stack([square(7), square(1)])[:, None]
    logits = torch.stack([SURE * (2 * square(7) - 1), torch.full((8, 8), -SURE)])[:, None]
    assert float(transfer_loss(logits, masks)["dice"]) == pytest.approx(0.5, abs=1e-3)
    assert picture_dice(logits, masks)[:, 0].tolist() == [1.0, 0.0]


def test_two_empty_masks_count_as_one_and_a_false_mask_as_nothing():
    masks = torch.zeros(2, 1, 8, 8)
    logits = torch.stack([torch.full((8, 8), -SURE), SURE * (2 * square(1) - 1)])[:, None]
    assert picture_dice(logits, masks)[:, 0].tolist() == [1.0, 0.0]


def test_a_run_keeps_the_weights_of_its_best_round(pictures, tmp_path, monkeypatch):
    scores = iter([0.2, 0.7, 0.4])
    states = []

    def validate(self, batch, index):
        if index == 0:
            self.told = next(scores)
            states.append({name: value.clone() for name, value in self.model.state_dict().items()})
        self.log("val/dice", self.told, batch_size=len(batch.masks))
        self.log("val/loss", 1 - self.told, batch_size=len(batch.masks))

    monkeypatch.setattr(TransferModule, "validation_step", validate)
    run = train(config(), pictures, tmp_path / "run", progress=False).folder
    assert len(states) == 3
    found = load_file(run / "model.safetensors")
    for name, value in states[1].items():
        torch.testing.assert_close(found[name], value)
    assert any(not torch.equal(found[name], states[2][name]) for name in found)


def test_it_stops_where_the_validation_dice_has_not_risen_for_twenty_rounds(pictures, tmp_path, monkeypatch):
    rounds = []

    def validate(self, batch, index):
        rounds.extend([self.trainer.global_step] * (index == 0))
        rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("val/dice", 0.5, batch_size=len(batch.masks))
        self.log("val/loss", 0.5, batch_size=len(batch.masks))

    rates: list[float] = []
    monkeypatch.setattr(TransferModule, "validation_step", validate)
    train(config(steps=200, steps_per_round=1), pictures, tmp_path / "run", progress=False)
    # The first round sets the mark; twenty more do not pass it.
    assert len(rounds) == 21
    # A tenth after five rounds without a lower loss, as torch counts: at the seventh round, and so on.
    assert rates[0] == pytest.approx(1e-3)
    assert min(rates) == pytest.approx(1e-6)


def test_resuming_ends_with_the_same_weights(trained, pictures, tmp_path, monkeypatch):
    class PowerLossError(Exception):
        pass

    step = TransferModule.training_step

    def fail_at_the_fourth(self, batch, index):
        if self.trainer.global_step == 3:
            raise PowerLossError
        return step(self, batch, index)

    monkeypatch.setattr(TransferModule, "training_step", fail_at_the_fourth)
    with pytest.raises(PowerLossError):
        train(config(), pictures, tmp_path / "again", progress=False)
    monkeypatch.undo()
    again = train(config(), pictures, tmp_path / "again", resume=True, progress=False).folder
    expected, found = load_file(trained / "model.safetensors"), load_file(again / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)


def test_resuming_keeps_the_schedule_of_the_learning_rate(pictures, tmp_path, monkeypatch):
    class PowerLossError(Exception):
        pass

    rates: list[float] = []

    def validate(self, batch, index):
        self.log("val/dice", 0.5, batch_size=len(batch.masks))
        self.log("val/loss", 0.5, batch_size=len(batch.masks))

    def step(self, batch, index):
        rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        if len(rates) == kill_at:
            raise PowerLossError
        return train_step(self, batch, index)

    train_step = TransferModule.training_step
    monkeypatch.setattr(TransferModule, "validation_step", validate)
    monkeypatch.setattr(TransferModule, "training_step", step)
    told = config(steps=9, steps_per_round=1)
    kill_at = 0
    train(told, pictures, tmp_path / "whole", progress=False)
    whole, rates = rates, []
    assert whole == pytest.approx([1e-3] * 7 + [1e-4] * 2)  # the first mark, six flat rounds, then a tenth
    kill_at = 5
    with pytest.raises(PowerLossError):
        train(told, pictures, tmp_path / "killed", progress=False)
    kill_at = 0
    train(told, pictures, tmp_path / "killed", resume=True, progress=False)
    assert rates[:4] + rates[5:] == pytest.approx(whole)  # the fifth step was begun twice


def test_a_run_that_had_stopped_does_not_learn_any_more(pictures, tmp_path, monkeypatch):
    class PowerLossError(Exception):
        pass

    def fail(*_, **__):
        raise PowerLossError

    def validate(self, batch, index):
        self.log("val/dice", 0.5, batch_size=len(batch.masks))
        self.log("val/loss", 0.5, batch_size=len(batch.masks))

    monkeypatch.setattr("zeusseg.training.transfer.STOP_PATIENCE", 1)
    monkeypatch.setattr("zeusseg.training.run.choose_threshold", fail)
    monkeypatch.setattr(TransferModule, "validation_step", validate)
    told = config(steps=40, steps_per_round=1)
    with pytest.raises(PowerLossError):
        train(told, pictures, tmp_path / "run", progress=False)
    steps = len((tmp_path / "run" / "log.csv").read_text().splitlines())
    monkeypatch.undo()
    monkeypatch.setattr("zeusseg.training.transfer.STOP_PATIENCE", 1)
    monkeypatch.setattr(TransferModule, "training_step", fail)
    run = train(told, pictures, tmp_path / "run", resume=True, progress=False).folder
    assert len((run / "log.csv").read_text().splitlines()) == steps
    assert (run / "model.safetensors").is_file()


def test_validation_asks_for_what_is_there_and_for_all_where_nothing_is():
    masks = torch.zeros(3, 2, 8, 8)  # target, plane, row, column
    masks[1, 0, 2:4] = 1
    images = torch.zeros(1, 2, 8, 8, 3)
    case = PreparedCase(SliceStack(images, torch.tensor([True]), 2, (2, 8, 8)), masks, ("a", "b", "c"), (), ())
    slices = WholeSlices([case], Slicing(1), (8, 8))
    asked = [(slices[i]["texts"], int(slices[i]["masks"].sum())) for i in range(len(slices))]
    assert asked == [(["b"], 16), (["a"], 0), (["b"], 0), (["c"], 0)]


def test_the_card_says_which_peer_it_is(trained):
    card = (trained / "card.md").read_text()
    assert "clipseg, a published model that others made" in card
    assert "drawn anew" in card
    assert "vision encoder" not in card
    assert "never asked for anything that is not there" in card
    versions = json.loads((trained / "run.json").read_text())["versions"]
    assert {"transformers", "open_clip_torch"} <= set(versions)


def test_a_run_is_opened_without_the_files_it_was_made_of(trained):
    loaded = load_model(trained)
    assert loaded.parts["peer"] == "clipseg"
    assert (loaded.calibration, loaded.model.training) == (None, False)
    assert 0.05 <= loaded.threshold <= 0.95


def test_without_steps_a_model_stays_as_it_was_loaded(pictures, tmp_path):
    published = load_file(clipseg(tmp_path / "clipseg") / "model.safetensors")
    peer = {"name": "clipseg", "weights": str(tmp_path / "clipseg")}
    zero_shot = {**TRANSFER, "model": {"peer": peer}, "fit": {**TRANSFER["fit"], "steps": 0}}
    run = train(TrainConfig.model_validate(zero_shot), pictures, tmp_path / "run", progress=False).folder
    found = load_file(run / "model.safetensors")
    assert set(published) <= set(found)
    for name, value in published.items():
        torch.testing.assert_close(found[name], value)


def test_held_out_cases_are_needed(pictures, tmp_path):
    alone = TrainConfig.model_validate({**TRANSFER, "calibrate_on": "train"})
    with pytest.raises(UsageError, match=r"none called 'train' beside 'train'"):
        train(alone, pictures, tmp_path / "run", progress=False)


def test_a_peer_reads_one_image(phantoms, tmp_path):
    with pytest.raises(UsageError, match=r"clipseg reads one image, but the case .* has t1, flair"):
        train(config().model_copy(update={"calibrate_on": "test"}), phantoms, tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fit": {"protocol": "transfer"}}, "model.peer"),
        ({"fit": {"steps": 0}}, "with their weights"),
        ({"model": {"peer": PEER}, "fit": {"steps": 0}}, "with their weights"),
        ({"model": {"peer": PEER}, "fit": {"click_share": 0.5}}, "takes no clicks"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"model": {"peer": PEER}, "fit": {"protocol": "transfer", "steps": 70}}, "within a round"),
        ({"model": {"peer": PEER}, "slices": {"context": 0}}, "three channels"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.model_validate(content)
