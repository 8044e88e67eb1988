"""Models that run in this process: tiny real ones, built and saved here, of which one has learnt three answers."""

import io
import json
import re
import shutil
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers import tiny
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.instruction import read_instructions
from zeusseg.instruct.language.answer import Request, TooManyPicturesError, UnusableAnswerError
from zeusseg.instruct.language.local import LocalModel
from zeusseg.instruct.write import costs_of, write_instructions
from zeusseg.instruct.writers import make_writer, store_of

BRIGHT, DARK = '{"finding": "A bright area."}', '{"finding": "A dark area."}'


def png(value):
    file = io.BytesIO()
    Image.new("L", (60, 60), value).save(file, "PNG")
    return file.getvalue()


def reading(value, count=1):
    return Request(tiny.READING, "finding", (png(value),) * count)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    return tiny.taught_llava(tmp_path_factory.mktemp("models") / "taught")


@pytest.fixture(scope="module")
def model(taught):
    return LocalModel(str(taught), concurrency=3)


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    return tiny.llava(tmp_path_factory.mktemp("models") / "untaught")


def asked(usage):
    """How many calls were made, and how many answers came from the store."""
    return [int(number) for number in re.findall(r"\d+(?= calls| answers)", usage)]


@pytest.fixture
def prompts(tmp_path):
    return tiny.prompts(tmp_path / "prompts")


def test_the_answer_depends_on_the_picture_and_its_tokens_are_counted(model):
    bright = model.answer(reading(255))
    assert bright.text == BRIGHT
    assert model.answer(reading(0)).text == DARK
    # Of the words and four patches of the picture; of the answer without its end.
    words = model._load()[0].tokenizer
    asked = f"user:{'<image>' * 4}\n {tiny.READING}\nassistant:"
    assert bright.tokens_in == len(words(asked, add_special_tokens=False)["input_ids"])
    assert bright.tokens_out == len(words(BRIGHT, add_special_tokens=False)["input_ids"])


def test_what_waits_is_answered_together_and_everybody_gets_their_own_answer(taught, monkeypatch):
    model = LocalModel(str(taught), concurrency=3)
    sizes = []
    generate = LocalModel._generate
    monkeypatch.setattr(
        LocalModel, "_generate", lambda self, requests: (sizes.append(len(requests)), generate(self, requests))[1]
    )
    questions = [reading(255), Request(tiny.UNION, "instruction"), reading(0)] * 6
    with ThreadPoolExecutor(6) as threads:
        answers = [answer.text for answer in threads.map(model.answer, questions)]
    assert answers == [BRIGHT, '{"instruction": "Outline the lesion. It is bright."}', DARK] * 6
    assert max(sizes) <= 3
    assert len(sizes) < len(questions)


def test_it_is_frozen_and_in_bfloat16(model):
    _, network = model._load()
    assert network.dtype == torch.bfloat16
    assert not network.training


def test_a_batch_that_needs_too_much_memory_is_halved_and_holds_on_to_nothing(taught, monkeypatch):
    model = LocalModel(str(taught), concurrency=4)
    _, network = model._load()
    generate = network.generate
    held = []

    def scarce(**asked):
        assert not any(tensor() is not None for tensor in held)
        if len(asked["input_ids"]) > 1:
            taken = torch.zeros(8)
            held.append(weakref.ref(taken))
            raise torch.OutOfMemoryError("no more")
        return generate(**asked)

    monkeypatch.setattr(network, "generate", scarce)
    with ThreadPoolExecutor(4) as threads:
        answers = [answer.text for answer in threads.map(model.answer, [reading(255), reading(0)] * 4)]
    assert answers == [BRIGHT, DARK] * 4
    assert held


def test_one_bad_question_costs_nobody_elses_answer(taught):
    model = LocalModel(str(taught), concurrency=4)
    # The token of a picture, without a picture: the model refuses the whole batch.
    questions = [Request(tiny.UNION, "instruction"), Request("What is <image> here?", "instruction")] * 3
    with ThreadPoolExecutor(6) as threads:
        futures = [threads.submit(model.answer, question) for question in questions]
    for place, future in enumerate(futures):
        if place % 2:
            with pytest.raises(BadInputError, match="cannot be asked this"):
                future.result()
        else:
            assert "Outline the lesion" in future.result().text


def test_one_question_that_needs_too_much_memory_is_left_out(taught, monkeypatch):
    model = LocalModel(str(taught))

    def none_left(**_):
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(model._load()[1], "generate", none_left)
    with pytest.raises(BadInputError, match="OutOfMemoryError: no more"):
        model.answer(reading(0))


def test_a_model_that_took_several_pictures_once_is_given_several_again(taught, monkeypatch):
    model = LocalModel(str(taught))
    model.answer(reading(255, count=2))
    generate = model._load()[1].generate
    monkeypatch.setattr(model._load()[1], "generate", lambda **asked: 1 / 0)
    with pytest.raises(TooManyPicturesError):
        model.answer(reading(255, count=2))
    monkeypatch.setattr(model._load()[1], "generate", generate)
    assert model.answer(reading(255, count=2)).tokens_out


def test_no_code_of_a_models_folder_is_run(taught, tmp_path):
    folder = tmp_path / "code"
    shutil.copytree(taught, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UsageError, match="no folder with a model's config"):
        LocalModel(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def brief(monkeypatch):
    """A model without an end talks until it is stopped; tests need not wait for that long."""
    monkeypatch.setattr("zeusseg.instruct.language.local.MOST_TOKENS", 64)


def test_an_answer_without_an_end_is_cut_off(untaught, brief):
    with pytest.raises(UnusableAnswerError, match="cut off after 64 tokens"):
        LocalModel(str(untaught)).answer(reading(0))


@pytest.mark.parametrize("union", ["", "rule"])
def test_a_whole_folder_is_written_about_and_a_second_run_asks_nothing(taught, folder, prompts, tmp_path, union):
    out = tmp_path / "i.jsonl"
    order = {"source": folder, "store": store_of(out), "prompts": prompts, "union": union}
    writer = make_writer(f"local:{taught}", **order)
    result = write_instructions(folder, writer, out, progress=False)
    assert result.failures == {}
    lines = read_instructions(out)
    assert len(lines) == len(folder.case_ids) * len(folder.targets)
    assert lines[0].findings["flair"] in ("A bright area.", "A dark area.")
    assert lines[0].model.startswith("taught@")
    if not union:
        assert lines[0].text == "Outline the lesion. It is bright."
    # Three readings; the findings of two cases or more are alike, and so are the questions that unite them.
    assert sum(asked(result.usage)) == (3 if union else 3 + 6)
    assert asked(result.usage)[0] == (3 if union else 3 + 2)
    rows = costs_of(out).read_text().splitlines()
    assert rows[0] == "case,created,calls,stored,tokens_in,tokens_out,seconds"
    assert sum(int(row.split(",")[2]) for row in rows[1:]) == asked(result.usage)[0]
    out.unlink()
    again = write_instructions(folder, make_writer(f"local:{taught}", **order), out, progress=False)
    assert again.usage.startswith("0 calls")
    assert costs_of(out).read_text().splitlines() == rows


def test_a_model_that_writes_no_json_is_listed_and_nothing_is_written(untaught, folder, tmp_path, brief):
    out = tmp_path / "i.jsonl"
    writer = make_writer(f"local:{untaught}", source=folder, store=store_of(out), union="rule")
    result = write_instructions(folder, writer, out, case_ids=["anna"], progress=False)
    assert result.instructions == []
    assert "cut off" in result.failures["anna"]
    assert not out.exists()


def test_several_pictures_go_into_one_question_where_the_model_takes_them(model):
    one, three = model.answer(reading(255)), model.answer(reading(255, count=3))
    assert three.tokens_in > one.tokens_in + 2 * 4  # four patches each


def test_a_model_of_one_picture_is_asked_about_each(taught, folder, prompts, tmp_path):
    single = tmp_path / "single"
    shutil.copytree(taught, single)
    template = single / "chat_template.jinja"
    template.write_text(template.read_text().replace("{% if part['type'] == 'image' %}", tiny.FIRST_IMAGE_ONLY))
    with pytest.raises(TooManyPicturesError, match="one picture at a time"):
        LocalModel(str(single)).answer(reading(0, count=2))
    out = tmp_path / "i.jsonl"
    order = {"source": folder, "store": store_of(out), "prompts": prompts, "union": "rule", "pictures": "slices"}
    result = write_instructions(
        folder, make_writer(f"local:{single}", **order), out, case_ids=["anna"], progress=False
    )
    finding = result.instructions[0].findings["flair"]
    assert finding.startswith(("A bright area (slice ", "A dark area (slice "))
    assert finding.count("slice ") == 6
    assert finding.endswith("of 12).")
    out.unlink()
    again = write_instructions(folder, make_writer(f"local:{single}", **order), out, case_ids=["anna"], progress=False)
    assert again.instructions[0].findings["flair"] == finding
    assert again.usage.startswith("0 calls, 6 answers")


def test_a_language_model_without_eyes_unites_and_does_not_read(taught, folder, prompts, tmp_path):
    blind = tiny.taught_llama(tmp_path / "blind")
    with pytest.raises(UsageError, match="takes no pictures"):
        LocalModel(str(blind)).answer(reading(0))
    out = tmp_path / "i.jsonl"
    writer = make_writer(
        f"local:{taught}", source=folder, store=store_of(out), prompts=prompts, union=f"local:{blind}"
    )
    lines = write_instructions(folder, writer, out, progress=False).instructions
    assert {line.text for line in lines if line.target == "lesion"} == {"Outline the lesion, says the other."}
    assert ", union by blind@" in lines[0].model


def test_other_weights_are_another_model(taught, tmp_path):
    other = tmp_path / "taught"
    shutil.copytree(taught, other)
    assert LocalModel(str(other)).settings == LocalModel(str(taught)).settings
    weights = load_file(other / "model.safetensors")
    name = "language_model.model.layers.1.mlp.up_proj.weight"
    weights[name] = weights[name] + 0.01  # as a merged adapter leaves one matrix changed
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    assert LocalModel(str(other)).name != LocalModel(str(taught)).name


def test_what_cannot_be_loaded_is_said_before_anything_is_written(taught, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no folder with a model's config"):
        LocalModel(str(tmp_path / "nowhere"))
    speechless = tmp_path / "speechless"
    shutil.copytree(taught, speechless)
    (speechless / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="no chat template"):
        LocalModel(str(speechless)).answer(reading(0))
    (speechless / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="cannot be loaded"):
        LocalModel(str(speechless)).answer(reading(0))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"zeusseg\[local\]"):
        LocalModel(str(taught))


def test_it_warns_that_a_cpu_is_slow(model):
    assert torch.cuda.is_available() or "minutes for each answer" in model.notice
