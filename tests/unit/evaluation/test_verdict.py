"""Which rate stands for a method, and which methods nothing beats."""

from dlm_core.evaluation import verdict
from dlm_core.reports import Drift, Learned, Method, Trial


def trial(
    method: Method = "lora",
    rate: float = 1e-3,
    *,
    verbatim: float | None = 1.0,
    f1: float | None = None,
    kl: float = 0.1,
    perplexity: float = 20.0,
    token_recall: float = 1.0,
) -> Trial:
    learned = Learned(
        verbatim=verbatim, paraphrase_f1=f1, token_recall=token_recall, loss=0.1, loss_probes=None
    )
    return Trial(
        method=method, learning_rate=rate, rehearsal=False, learned=learned,
        kept=Drift(perplexity=perplexity, kl=kl), epochs=1, steps=1, seconds=1.0, parameters=1,
        ended="recall",
    )  # fmt: skip


def test_the_gentlest_rate_that_learned_as_much_stands_for_a_method() -> None:
    slow = trial(rate=1e-3, verbatim=0.8, kl=0.01)
    gentle = trial(rate=2e-3, verbatim=0.99, kl=0.1)
    harsh = trial(rate=4e-3, verbatim=1.0, kl=0.5)
    assert verdict.best([slow, gentle, harsh]) is gentle
    assert verdict.best([slow, harsh]) is harsh


def test_without_questions_the_tokens_predicted_decide() -> None:
    poor, good = trial(verbatim=None, token_recall=0.5, kl=0.0), trial(verbatim=None, token_recall=0.9)
    assert verdict.best([poor, good]) is good


def test_what_is_beaten_on_both_counts_is_not_among_the_best() -> None:
    keeps = trial("disel", f1=0.5, perplexity=20.0)
    learns = trial("full", f1=0.7, perplexity=30.0)
    beaten = trial("dora", f1=0.5, perplexity=25.0)
    assert verdict.unbeaten([keeps, learns, beaten]) == (keeps, learns)
