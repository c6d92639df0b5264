"""An evaluation, a comparison and a checkup with easy figures."""

from dlm_core.reports import (
    AdapterRecall,
    Answers,
    ChatRetention,
    Checkup,
    Comparison,
    Drift,
    Evaluation,
    Learned,
    MemoryNeed,
    Method,
    OffTopic,
    OpennessFigures,
    ProbeReply,
    Recall,
    Retention,
    RoutingFigures,
    Scores,
    TextRetention,
    Trial,
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


def trial(method: Method, rate: float, perplexity: float, *, f1: float = 0.5, **more: object) -> Trial:
    learned = Learned(verbatim=1.0, paraphrase_f1=f1, token_recall=1.0, loss=0.01, loss_probes=1.5)
    plain = {"rehearsal": False, "epochs": 9, "steps": 90, "seconds": 70.0, "parameters": 2_400_000}
    values = plain | {"ended": "recall", "chosen": True} | more
    kept = Drift(perplexity=perplexity, kl=0.1, chat_kl=0.2)
    return Trial(method=method, learning_rate=rate, learned=learned, kept=kept, **values)  # type: ignore[arg-type]


COMPARISON = Comparison(
    document="guide.dlm",
    base="smollm2-135m",
    key="k",
    device="cpu",
    settings={"rank": "8", "seed": "42"},
    rows=6,
    tokens=300,
    questions=6,
    probes=4,
    neutral_tokens=1000,
    perplexity_base=20.0,
    learned_base=Learned(verbatim=0.0, paraphrase_f1=0.1, token_recall=0.3, loss=4.0, loss_probes=4.2),
    trials=(
        trial("full", 1e-4, 30.0, f1=0.7),
        trial("disel", 3e-3, 21.0, f1=0.6),
        trial("disel", 6e-3, 25.0, chosen=False),
        trial("disel", 3e-3, 20.2, f1=0.65, rehearsal=True),
    ),
    notes=("one run each",),
)

CHECKUP = Checkup(
    device="cpu",
    dtype="float32",
    reason="cpu, because no GPU that torch can use; fp32, because that is exact",
    available=8_000_000_000,
    platform="Linux x86_64, Python 3.11.7",
    versions={"torch": "2.13.0"},
    base="smollm2-135m",
    base_state="not fetched",
    needs=(MemoryNeed("base", 538_000_000, "134,515,008 parameters in float32"),),
    needed=538_000_000,
    fits=True,
    estimated=False,
    advice=("fetch the base with `dlm base pull smollm2-135m`",),
)
