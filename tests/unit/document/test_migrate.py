"""Migration edits the few places that changed, and leaves every other byte alone."""

import pytest

from dlm_core.document import parse_text
from dlm_core.document.migrate import migrate
from dlm_core.errors import DocumentError

HEAD = "---\ndlm_id: 01J0000000000000000000000A\n"
BODY = "---\n  kept text   \n\n::prose::\n\tmore\ttext\x0b \n\n\n"
OLD = (
    HEAD + "dlm_version: 1  # the first\nbase_model: smollm2-135m\ntraining:\n"
    "  # about dpo\n  dpo:   # here\n    # the rate\n    beta: 0.3  # small\n    enabled: true\n"
    "    # epochs\n    num_epochs: 2\n    reference: pre_dpo_adapter\n\n    # after\n    loss_type: hinge\n"
    "  seed: 3\n" + BODY
)
NEW = (
    HEAD + "dlm_version: 15  # the first\nbase_model: smollm2-135m\ntraining:\n"
    "  # about dpo\n  preference:   # here\n    hyperparams:\n      # the rate\n      beta: 0.3  # small\n"
    "      # epochs\n      num_epochs: 2\n    enabled: true\n"
    "    reference: pre_adapter\n\n    # after\n    loss_type: hinge\n  seed: 3\n" + BODY
)


def test_dpo_becomes_preference_and_comments_and_body_stay() -> None:
    migration = migrate(OLD.encode())
    assert migration.content.decode() == NEW
    assert (migration.from_version, migration.to_version) == (1, 15)
    assert len(migration.changes) == 2


def test_line_ends_and_byte_order_mark_stay() -> None:
    dos = b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode()
    assert migrate(dos).content == b"\xef\xbb\xbf" + NEW.replace("\n", "\r\n").encode()


def test_the_migrated_document_means_the_same_without_a_warning() -> None:
    old, new = parse_text(OLD), parse_text(migrate(OLD.encode()).content)
    assert old.document is not None and new.document is not None
    assert new.document.frontmatter.training == old.document.frontmatter.training
    assert new.document.sections[0].content_hash == old.document.sections[0].content_hash
    assert new.diagnostics == ()


@pytest.mark.parametrize("version", range(2, 15))
def test_later_versions_only_get_a_new_number(version: int) -> None:
    text = f"{HEAD}dlm_version:   {version} # v\nbase_model: a\n{BODY}"
    assert migrate(text.encode()).content.decode() == text.replace(f"  {version} #", "  15 #")


def test_an_up_to_date_document_is_left_alone() -> None:
    text = f"{HEAD}dlm_version: 15\nbase_model: a\n{BODY}".encode()
    migration = migrate(text)
    assert migration.content == text
    assert migration.changes == ()


def test_migrating_twice_changes_nothing_more() -> None:
    once = migrate(OLD.encode()).content
    assert migrate(once).content == once


def test_without_a_version_the_old_key_tells_it() -> None:
    migration = migrate(
        f"{HEAD}base_model: a\ntraining:\n  dpo: {{beta: 0.2, loss_type: ipo}} # x\n{BODY}".encode()
    )
    assert migration.content.decode() == (
        "---\ndlm_version: 15\ndlm_id: 01J0000000000000000000000A\nbase_model: a\ntraining:\n"
        f"  preference: {{loss_type: ipo, hyperparams: {{beta: 0.2}}}} # x\n{BODY}"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no frontmatter", "frontmatter-missing"),
        (b"\xff\xfe", "not-utf8"),
        (f"{HEAD}a: [\n---\n".encode(), "yaml-syntax"),
        (f"{HEAD}dlm_version: 16\n---\n".encode(), "newer dlm"),
        (f"{HEAD}training:\n  dpo: {{beta: 1,\n   enabled: true}}\n---\n".encode(), "several lines"),
        (b"---\n{dlm_id: 01J, dlm_version: 1, training: {dpo: {beta: 1}}}\n---\n", "one line"),
        (f"{HEAD}dlm_version: 1\ntraining:\n  dpo: {{}}\n  preference: {{}}\n---\n".encode(), "both"),
    ],
)
def test_what_cannot_be_migrated_is_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        migrate(content)
