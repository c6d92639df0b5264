"""The environment that libraries find."""

from dlm_core.surroundings import SETTINGS, settle


def test_what_is_unset_is_settled() -> None:
    environ: dict[str, str] = {}
    settle(environ)
    assert environ == SETTINGS


def test_a_persons_own_settings_win() -> None:
    environ = {"HF_HUB_VERBOSITY": "debug", "OMP_WAIT_POLICY": "ACTIVE"}
    settle(environ)
    assert environ["HF_HUB_VERBOSITY"] == "debug"
    assert "GOMP_SPINCOUNT" not in environ
