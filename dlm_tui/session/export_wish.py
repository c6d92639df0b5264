"""What an export is to be, as a value: what goes with what, and the command line that asks for the same."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_core.data.jsonl import FORMS, Form
from dlm_core.engine_protocol import EXPORT_FORMATS
from dlm_core.requests import Export, RoutingChoice, path_text

TARGETS: Mapping[str, str] = {
    "peft": "Adapter folders for PEFT; nothing of the rank gates is lost.",
    "hf": "A merged model for transformers, vLLM and whatever reads those folders.",
    "gguf": "For llama.cpp and programs on it: the base, and the adapters beside it or merged into it.",
    "ollama": "As gguf, with a Modelfile; `ollama create` is run where Ollama is installed.",
    "jsonl": "The sections, as saved, as rows for other trainers and `dlm import`; no training is needed.",
}
ALL, OWN = "all, as the gate weighs them on average", "as the document or the base says"


@dataclass(frozen=True)
class ExportWish:
    """As the options of `dlm export`; `output` "" means the store's folder for exports."""

    target: str = "peft"
    adapter: str | None = None
    quant: str | None = None
    fold: bool = False
    form: Form = "chat"
    merge: bool = False
    output: str = ""

    def to(self, target: str) -> "ExportWish":
        """The same for another target, without what does not go with it."""
        quant = self.quant if self.quant in EXPORT_FORMATS.get(target, ()) else None
        fold, merge = self.fold and target == "peft", self.merge and target in ("gguf", "ollama")
        form: Form = self.form if target == "jsonl" else "chat"
        return replace(self, target=target, quant=quant, fold=fold, merge=merge, form=form)

    @property
    def formats(self) -> Sequence[str]:
        """The number formats that weights can be written in."""
        return EXPORT_FORMATS.get(self.target, ())

    def with_form(self, name: str) -> "ExportWish":
        """The same with another form of rows."""
        return replace(self, form=next(form for form in FORMS if form == name))

    @property
    def goal(self) -> Path | None:
        """Where it goes; None leaves that to the engine."""
        return Path(self.output).expanduser().absolute() if self.output else None

    def request(self, request_id: str, *, overwrite: bool) -> Export:
        """What the engine is asked."""
        pinned = RoutingChoice(mode="pin", adapter=self.adapter) if self.adapter else RoutingChoice()
        return Export(
            request_id=request_id,
            target=self.target,
            choice=pinned,
            folder=path_text(self.goal) if self.goal is not None else None,
            quant=self.quant,
            fold=self.fold,
            merge=self.merge,
            overwrite=overwrite,
        )

    def command(self, file: str) -> str:
        """The command line for the document `file`."""
        words = ["dlm", "export", file, "--target", self.target]
        words += ["--adapter", self.adapter] if self.adapter else []
        words += ["--quant", self.quant] if self.quant else []
        words += ["--fold"] if self.fold else []
        words += ["--form", self.form] if self.form != "chat" else []
        words += ["--merge"] if self.merge else []
        words += ["-o", self.output] if self.output else []
        return shlex.join(words)
