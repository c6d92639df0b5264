"""What `dlm doctor` found, in lines: for the terminal and for the workbench."""

from dlm_core.reports import Checkup
from dlm_core.safetext import visible
from dlm_tui.session.output import megabytes


def checkup_lines(found: Checkup) -> list[str]:
    """Device, memory, base and encoder, what training takes and whether that fits, and what to change."""
    said = [f"device: {found.device}, {found.dtype}", f"  {found.reason}"]
    said.append(f"free memory: {megabytes(found.available)}")
    if found.base:
        said.append(f"base: {found.base}, {found.base_state}")
    if found.encoder:
        said += _encoder(found)
    if found.needs:
        about = "about, as the base is not here to be measured" if found.estimated else "about"
        said.append(f"training takes {about} {megabytes(found.needed)}:")
        said += _needs(found)
        said.append("that fits" if found.fits else "that does not fit")
    said += [f"advice: {sentence}" for sentence in found.advice]
    said += [found.platform, ", ".join(f"{name} {version}" for name, version in found.versions.items())]
    return [visible(line) for line in said]


def _needs(found: Checkup) -> list[str]:
    rows = [(need.label, megabytes(need.size), need.how) for need in found.needs]
    wide, long = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return [f"  {label:<{wide}}  {size:>{long}}  {how}" for label, size, how in rows]


def _encoder(found: Checkup) -> list[str]:
    if found.encoder_path:
        where = f"sha256 {found.encoder_sha256[:16]}…"
        return [f"encoder: {found.encoder}, cached, {where}", f"  {found.encoder_path}"]
    return [
        f"encoder: {found.encoder}, not fetched",
        "  without it the right section is found for fewer reworded questions, by words and the base alone,",
        f"  and more prompts about other things are answered; fetch it with `dlm base pull {found.encoder}`",
    ]
