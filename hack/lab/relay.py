"""Carries TCP connections from a listener of the host to one address inside the lab, which has no wire to the host.

``python relay.py DESCRIPTOR HOST PORT``: the listener is inherited; this process runs in the lab's network. It knows
nothing but the standard library, so that it can be started by its path.
"""

import asyncio
import socket
import sys

_CHUNK = 64 * 1024


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until the end, which is passed on: the other way may go on."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Carry one connection both ways; when one side breaks, both are closed."""
    try:
        far_reader, far_writer = await asyncio.open_connection(host, port)
    except OSError as error:
        print(f"{host}:{port}: {error}", file=sys.stderr, flush=True)
        writer.close()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, far_writer))
            both.create_task(_pump(far_reader, writer))
    except* OSError as broken:
        print(f"{host}:{port}: {broken.exceptions[0]}", file=sys.stderr, flush=True)
    finally:
        far_writer.close()
        writer.close()


async def _serve(descriptor: int, host: str, port: int) -> None:
    listener = socket.socket(fileno=descriptor)
    server = await asyncio.start_server(lambda r, w: _relay(r, w, host, port), sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
