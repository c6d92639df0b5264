"""Files are watched by what is told of their folders, whether the files are there yet or not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from dlm_tui.session import file_watch
from dlm_tui.session.file_watch import changes, stamp_of


async def told(path: Path, act: Callable[[], object]) -> set[Path]:
    """What a watch on `path` tells of `act`."""
    seen: asyncio.Queue[set[Path]] = asyncio.Queue()

    async def follow() -> None:
        async for changed in changes(lambda: [path], {path: stamp_of(path)}):
            seen.put_nowait(changed)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    act()
    try:
        return await asyncio.wait_for(seen.get(), 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_file_that_is_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.dlm"
    path.write_text("one")
    assert await told(path, lambda: path.write_text("another")) == {path}


async def test_a_file_that_is_replaced_by_another_is_told(tmp_path: Path) -> None:
    path, other = tmp_path / "a.dlm", tmp_path / "b"
    path.write_text("one")
    other.write_text("another")
    assert await told(path, lambda: other.replace(path)) == {path}


async def test_a_file_whose_folder_is_not_there_yet_is_told_once_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store" / "deep" / "manifest.json"

    def write() -> None:
        path.parent.mkdir(parents=True)
        path.write_text("{}")

    assert await told(path, write) == {path}


async def test_where_no_notices_are_to_be_had_files_are_looked_at_all_the_same(
    tmp_path: Path, monkeypatch: object
) -> None:
    path = tmp_path / "a.dlm"
    path.write_text("one")

    def refused(*folders: Path, **options: object) -> object:
        raise OSError("inotify watch limit reached")

    monkeypatch.setattr("watchfiles.awatch", refused)  # type: ignore[attr-defined]
    monkeypatch.setattr(file_watch, "RETRY_S", 0.01)  # type: ignore[attr-defined]
    assert await told(path, lambda: path.write_text("another")) == {path}
