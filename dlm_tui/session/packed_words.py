"""What a pack holds, in sentences: for the terminal and for the workbench."""

from dlm_core.pack import Packed
from dlm_core.safetext import visible_line
from dlm_tui.session.output import megabytes
from dlm_tui.session.wording import counted


def packed_lines(written: Packed) -> list[str]:
    """Where the pack is, what is in it, and what it needs but does not hold."""
    holds = held(written.adapters, written.gate)
    return [
        f"Wrote {visible_line(str(written.path))}: {holds}, {megabytes(written.size)}.",
        f"It needs the base {visible_line(written.base_model)}, which is not in it.",
        *(f"note: {visible_line(sentence)}" for sentence in written.outside),
    ]


def held(adapters: tuple[str, ...], gate: bool) -> str:
    """Adapters by number and name, and the gate where there is one."""
    count = f"{counted(len(adapters), 'adapter')} ({', '.join(adapters)})"
    return f"{count} and the gate" if gate else count
