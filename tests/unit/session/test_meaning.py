"""What texts mean, asked of an engine: in order, in pieces, from another thread, until it is stopped."""

import asyncio
import threading

import pytest

from dlm_core.errors import Stopped
from dlm_core.requests import Embed
from dlm_tui.session.meaning import meaning_from, vectors_of
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script

TEXTS = [f"{'What' if n % 3 else 'so'} {n}" for n in range(150)]


async def test_vectors_come_in_the_order_of_their_texts_however_many_requests_they_take() -> None:
    async with FakeClient(Script(encoder=True)) as client:
        found = await vectors_of(client, TEXTS)
        assert found is not None and found.tolist() == [[1, 0] if n % 3 else [0, 1] for n in range(150)]
        sent = [request for request in client.sent if isinstance(request, Embed)]
        assert len(sent) > 1 and [text for request in sent for text in request.texts] == TEXTS


async def test_there_are_none_without_an_encoder_and_without_an_engine() -> None:
    client = FakeClient()
    assert await vectors_of(client, TEXTS) is None
    async with client:
        assert await vectors_of(client, TEXTS) is None


async def test_another_thread_waits_for_them_until_it_is_stopped() -> None:
    stop = threading.Event()

    async def never(texts: object) -> None:
        stop.set()
        await asyncio.Event().wait()

    meaning = meaning_from(never, asyncio.get_running_loop(), stop.is_set)
    with pytest.raises(Stopped):
        await asyncio.to_thread(meaning, TEXTS)
