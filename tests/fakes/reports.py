"""An evaluation with easy figures, of a document with three adapters."""

from dlm_core.reports import (
    AdapterRecall,
    Drift,
    Evaluation,
    OpennessFigures,
    Recall,
    Retention,
    RoutingFigures,
    TextRetention,
)

_ADAPTERS = ("knowledge", "tone", "procedure")
_OWN = AdapterRecall(
    verbatim=1.0, verbatim_base=0.0, paraphrase_f1=0.75, paraphrase_f1_base=0.125, questions=2, probes=3
)
EVALUATION = Evaluation(
    version="g2",
    recall=Recall(
        verbatim=1.0,
        paraphrase_f1=0.75,
        per_adapter=dict.fromkeys(_ADAPTERS, _OWN),
        verbatim_base=0.0,
        paraphrase_f1_base=0.125,
    ),
    routing=RoutingFigures(
        accuracy=8 / 9,
        loo_accuracy=0.9,
        confusion={"knowledge": {"knowledge": 3}, "tone": {"tone": 2, "procedure": 1}},
        per_adapter={"knowledge": 1.0, "tone": 2 / 3},
    ),
    retention=Retention(
        perplexity_base=20.0,
        perplexity=20.5,
        kl=0.01,
        per_adapter=dict.fromkeys(_ADAPTERS, Drift(perplexity=21.0, kl=0.02)),
        tokens=1000,
        own=TextRetention(perplexity_base=10.0, perplexity=9.0, kl=0.01, per_adapter={}, tokens=50),
    ),
    openness=dict.fromkeys(_ADAPTERS, OpennessFigures(inside=0.4, outside=0.1)),
    questions=6,
    probes=9,
    seconds=65.0,
)
