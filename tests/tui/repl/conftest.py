"""Which tests of the REPL in a terminal belong to the quick ones."""

import pytest

QUICK = {
    "test_a_document_that_breaks_is_named_and_mended",
    "test_a_reply_comes_with_its_routing_openness_and_speed",
    "test_ctrl_c_stops_a_reply_keeps_what_was_said_and_marks_it",
    "test_ctrl_d_leaves_the_terminal_in_order_and_no_process",
    "test_escape_sequences_of_a_reply_are_shown_not_obeyed",
    "test_one_key_switches_the_gate_for_the_next_reply",
    "test_the_death_of_the_engine_is_a_sentence_and_restart_brings_it_back",
    "test_the_toolbar_shows_the_routing_of_the_line_being_typed",
    "test_training_shows_progress_and_ctrl_c_stops_it",
    "test_typing_goes_on_while_a_reply_streams",
}
"""Of those that start the REPL in a terminal, a second each: one of a kind. The others are slow ones."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name == "test_terminal.py" and item.name.partition("[")[0] not in QUICK:
            item.add_marker(pytest.mark.slow)
