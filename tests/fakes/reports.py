"""An evaluation with easy figures, of a document with three adapters."""

from dlm_core.reports import (
    AdapterRecall,
    Answers,
    ChatRetention,
    Drift,
    Evaluation,
    OffTopic,
    OpennessFigures,
    ProbeReply,
    Recall,
    Retention,
    RoutingFigures,
    Scores,
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
        chat=ChatRetention(kl=0.25, same_as_base=0.5, questions=24),
    ),
    openness=dict.fromkeys(_ADAPTERS, OpennessFigures(inside=0.4, outside=0.1)),
    questions=6,
    probes=9,
    seconds=65.0,
    answers=Answers(
        base=Scores(right=0.0, f1=0.125, verbatim=0.0),
        search=Scores(right=0.625, f1=0.7, verbatim=0.625),
        weights=Scores(right=0.5, f1=0.75, verbatim=0.375),
    ),
    offtopic=OffTopic(same_as_base=0.25, leaked=0.125, weight=0.875, prompts=32),
    replies=(
        ProbeReply(
            question="Whose is it?",
            expected="Ada's.",
            reply="The hedge's,\nof course.",
            adapter="tone",
            right=False,
            f1=0.0,
            routing={"knowledge": 0.75, "tone": 0.25},
        ),
        ProbeReply(
            question="Which port is it?",
            expected="8443.",
            reply="8443.",
            adapter="knowledge",
            right=True,
            f1=1.0,
            routing={"knowledge": 1.0, "tone": 0.0},
        ),
    ),
)
