"""The lab's relay carries bytes both ways, whole, and closes what it can't carry."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

RELAY = Path(__file__).parents[2] / "hack" / "lab" / "relay.py"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer only when the other side has said all."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


@asynccontextmanager
async def relayed(port: int) -> AsyncIterator[int]:
    """A relay to ``port`` of loopback; gives the port it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keep = listener.fileno()
        command = (sys.executable, str(RELAY), str(keep), "127.0.0.1", str(port))
        process = await asyncio.create_subprocess_exec(*command, pass_fds=(keep,), stderr=asyncio.subprocess.DEVNULL)
        here = int(listener.getsockname()[1])
    try:
        yield here
    finally:
        process.terminate()
        await process.wait()


async def ask(port: int, question: bytes) -> bytes:
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(question)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    return answer


async def test_what_is_sent_comes_back_whole_after_a_half_close() -> None:
    async with await asyncio.start_server(echo_at_the_end, "127.0.0.1", 0) as server:
        question = bytes(range(256)) * 40_000
        async with relayed(server.sockets[0].getsockname()[1]) as port:
            answers = await asyncio.gather(*(ask(port, question) for _ in range(3)))
    assert all(answer == question for answer in answers)


async def test_a_target_that_is_not_there_closes_the_connection_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = int(unused.getsockname()[1])
    async with relayed(nobody) as port:
        assert await ask(port, b"") == b""
        async with await asyncio.start_server(echo_at_the_end, "127.0.0.1", nobody):
            assert await ask(port, b"now") == b"now"
