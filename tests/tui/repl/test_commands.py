"""Slash commands: how a line is read, what is refused with which advice, what is offered while typing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice, Sampling, Train
from dlm_tui.session.commands import (
    COMMANDS,
    Invocation,
    candidates,
    completes_file,
    parse_again,
    parse_params,
    parse_train,
    read_line,
    shown_params,
)

ADAPTERS = ("knowledge", "tone")


def offered(text: str) -> list[str]:
    return [c.text for c in candidates(text, ADAPTERS)]


@pytest.mark.parametrize("line", ["hello", "what is / good for?", "/etc/hosts says what?", "1/2", "", "/"])
def test_a_line_without_a_command_is_a_question(line: str) -> None:
    assert read_line(line) == line


def test_two_slashes_ask_something_that_begins_with_one() -> None:
    assert read_line("//gate is a word") == "/gate is a word"


@pytest.mark.parametrize(
    ("line", "name", "argument"),
    [
        ("/gate off", "gate", "off"),
        ("  /HELP  ", "help", ""),
        ("/quit", "exit", ""),
        ("/? gate", "help", "gate"),
        ("/system two\nlines", "system", "two\nlines"),
    ],
)
def test_a_command_is_read_with_its_argument(line: str, name: str, argument: str) -> None:
    read = read_line(line)
    assert isinstance(read, Invocation)
    assert (read.name, read.argument) == (name, argument)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("/trian", "/train"), ("/adaptr x", "/adapter"), ("/warning", None), ("/histroy", "/history")],
)
def test_an_unknown_command_names_the_nearest(typed: str, nearest: str | None) -> None:
    if nearest is None:
        assert isinstance(read_line(typed), Invocation)
        return
    with pytest.raises(UsageError) as caught:
        read_line(typed)
    assert f"did you mean {nearest}?" in caught.value.hint


@given(st.text(max_size=40))
def test_any_line_is_a_question_a_command_or_advice(line: str) -> None:
    try:
        read_line(line)
        candidates(line, ADAPTERS)
    except UsageError as error:
        assert error.hint


@pytest.mark.parametrize(
    ("argument", "choice"),
    [
        ("", None),
        ("--gate off", RoutingChoice(mode="off")),
        ("--gate=auto", RoutingChoice()),
        ("--adapter tone", RoutingChoice(mode="pin", adapter="tone")),
        ("--mix tone:1,knowledge:1", RoutingChoice(mode="mix", mix={"tone": 1.0, "knowledge": 1.0})),
        ("--adapter-mix tone:1", RoutingChoice(mode="mix", mix={"tone": 1.0})),
        ("--base", RoutingChoice(mode="base")),
    ],
)
def test_again_takes_the_flags_of_the_prompt(argument: str, choice: RoutingChoice | None) -> None:
    assert parse_again(argument, ADAPTERS) == choice


@pytest.mark.parametrize(
    "argument", ["off", "--gate", "--gate maybe", "--adapter", "--base --gate off", "--mix 'tone:1", "--warm"]
)
def test_again_refuses_what_it_does_not_know(argument: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_again(argument, ADAPTERS)
    assert caught.value.hint


def test_train_takes_its_flags() -> None:
    assert parse_train("") == Train(request_id="")
    kept = Train(request_id="", keep=True, keep_versions=3)
    assert parse_train("--keep --keep-versions 3") == kept
    assert parse_train("--fresh --seed 7 --epochs=2") == Train(request_id="", fresh=True, seed=7, epochs=2)


@pytest.mark.parametrize("argument", ["--epochs 0", "--seed x", "--epochs", "now", "--fresh --resume"])
def test_train_refuses_what_makes_no_sense(argument: str) -> None:
    with pytest.raises(UsageError):
        parse_train(argument)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("temperature=99", "from 0 to 10"),
        ("temperature=nan", "from 0 to 10"),
        ("temperature=inf", "from 0 to 10"),
        ("top_p=0", "to 1"),
        ("temprature=1", "temperature=…"),
        ("seed", "seed=…"),
        ("max_tokens=x", "max_tokens"),
    ],
)
def test_a_parameter_out_of_bounds_or_unknown_is_explained(argument: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(argument, Sampling())
    assert said in str(caught.value)


def test_what_params_shows_can_be_set_again() -> None:
    sampling = Sampling(temperature=0.5, top_k=40, seed=9)
    assert parse_params(shown_params(sampling), Sampling()) == sampling
    assert parse_params("max-tokens=9", Sampling()).max_tokens == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/ga", ["/gate"]),
        ("/gate ", ["auto", "off"]),
        ("/adapter t", ["tone"]),
        ("/mix ", ["knowledge:", "tone:"]),
        ("/mix knowledge:0.5,", ["tone:"]),
        ("/again --gate o", ["off"]),
        ("/again --ad", ["--adapter"]),
        ("/again --adapter ", ["knowledge", "tone"]),
        ("/params temp", ["temperature="]),
        ("/train --fresh --e", ["--epochs"]),
        ("/help ga", ["gate"]),
        ("hello /ga", []),
        ("//ga", []),
        ("/nonsense ", []),
    ],
)
def test_what_is_offered_while_typing(text: str, expected: list[str]) -> None:
    assert offered(text) == expected


def test_a_candidate_says_how_much_it_replaces() -> None:
    (candidate,) = candidates("/adapter to", ADAPTERS)
    assert (candidate.text, candidate.replaces) == ("tone", 2)


def test_file_names_are_expected_after_save_and_load_only() -> None:
    assert completes_file("/save talk") == "talk"
    assert completes_file("/load ") == ""
    assert completes_file("/save") is None
    assert completes_file("/gate a") is None


def test_every_command_is_described() -> None:
    assert all(command.summary.endswith(".") for command in COMMANDS)
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))
