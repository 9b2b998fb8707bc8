"""WASI commands for tests, assembled from text: each answers one HTTP request as the runner hands it on."""

from typing import Final

import wasmtime

FDS: Final = 8
"""File descriptors that ``snoop`` tries, from 0."""
_HEAD: Final = r"Content-Type: text/plain\0a\0a"
_IMPORTS: Final = """
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_open"
  (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
"""
_OUT: Final = """
(func $write (param $fd i32) (param $from i32) (param $size i32)
  (i32.store (i32.const 0) (local.get $from)) (i32.store (i32.const 4) (local.get $size))
  (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
(func $out (param $from i32) (param $size i32) (call $write (i32.const 1) (local.get $from) (local.get $size)))
;; Follows symbolic links, as libc's open does.
(func $open (param $fd i32) (param $path i32) (param $size i32) (result i32)
  (call $path_open (local.get $fd) (i32.const 1) (local.get $path) (local.get $size) (i32.const 0)
    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
"""


def assemble(start: str, *, text: str = "", pages: int = 4, head: str = _HEAD) -> bytes:
    """A command that does ``start``. ``head`` is at 64, ``text`` at 1024, free memory from 4096 on."""
    return bytes(
        wasmtime.wat2wasm(
            f'(module {_IMPORTS} (memory (export "memory") {pages}) (data (i32.const 64) "{head}")'
            f' (data (i32.const 1024) "{text}") {_OUT} (func (export "_start") {_locals()} {start}))'
        )
    )


def _locals() -> str:
    return "(local $i i32) (local $n i32)"


def _send_head(head: str = _HEAD) -> str:
    size = len(head.encode().replace(rb"\0a", b"\n").replace(rb"\0d", b"\r"))
    return f"(call $out (i32.const 64) (i32.const {size}))"


def says(head: str, text: str) -> bytes:
    """Answers with these headers (as WAT writes a string) and this text."""
    return assemble(f"{_send_head(head)} (call $out (i32.const 1024) (i32.const {len(text)}))", text=text, head=head)


def echo() -> bytes:
    """Answers with the body it got."""
    read = """
    (loop $more
      (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 65536))
      (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
      (local.set $n (i32.load (i32.const 24)))
      (if (local.get $n) (then (call $out (i32.const 4096) (local.get $n)) (br $more))))
    """
    return assemble(_send_head() + read)


def environment() -> bytes:
    """Answers with its environment: NAME=value, each ended by a NUL."""
    show = """
    (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $environ_get (i32.const 4096) (i32.const 16384)))
    (call $out (i32.const 16384) (i32.load (i32.const 20)))
    """
    return assemble(_send_head() + show)


def snoop(path: str) -> bytes:
    """Answers with two lists of WASI error numbers, a byte each, for the descriptors 0 to ``FDS``.

    The first is of opening ``path`` below the descriptor, the second of taking a connection on it. 0: it worked.
    """
    tries = f"""
    (loop $next
      (i32.store8 (i32.add (i32.const 4096) (local.get $i))
        (call $open (local.get $i) (i32.const 1024) (i32.const {len(path)})))
      (i32.store8 (i32.add (i32.const {4096 + FDS}) (local.get $i))
        (call $sock_accept (local.get $i) (i32.const 0) (i32.const 32)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const {FDS}))))
    (call $out (i32.const 4096) (i32.const {2 * FDS}))
    """
    return assemble(_send_head() + tries, text=path)


def reads(path: str) -> bytes:
    """Answers with what is in the file ``path`` below any of its folders."""
    show = f"""
    (loop $next
      (if (i32.eqz (call $open (local.get $i) (i32.const 1024) (i32.const {len(path)}))) (then
        (i32.store (i32.const 24) (i32.const 4096)) (i32.store (i32.const 28) (i32.const 65536))
        (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 32)))
        (call $out (i32.const 4096) (i32.load (i32.const 32)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const {FDS}))))
    """
    return assemble(_send_head() + show, text=path)


def creates(path: str) -> bytes:
    """Answers with WASI error numbers, a byte each, of making the file ``path`` below the descriptors 0 to ``FDS``."""
    tries = f"""
    (loop $next
      (i32.store8 (i32.add (i32.const 4096) (local.get $i))
        (call $path_open (local.get $i) (i32.const 0) (i32.const 1024) (i32.const {len(path)}) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const {FDS}))))
    (call $out (i32.const 4096) (i32.const {FDS}))
    """
    return assemble(_send_head() + tries, text=path)


def hoards() -> bytes:
    """Takes memory until it gets no more; answers with the pages it has, four bytes little-endian."""
    take = """
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (i32.store (i32.const 4096) (memory.size))
    (call $out (i32.const 4096) (i32.const 4))
    """
    return assemble(_send_head() + take)


def floods() -> bytes:
    """Never stops writing."""
    return assemble(f"{_send_head()} (loop $more (call $out (i32.const 4096) (i32.const 65536)) (br $more))")


def loops() -> bytes:
    """Never ends."""
    return assemble("(loop $for_ever (br $for_ever))")


def sleeps() -> bytes:
    """Waits for an hour, in a call of WASI's."""
    nap = """
    (i64.store (i32.const 4120) (i64.const 3600000000000)) (i32.store (i32.const 4112) (i32.const 1))
    (drop (call $poll_oneoff (i32.const 4096) (i32.const 8192) (i32.const 1) (i32.const 16)))
    """
    return assemble(nap)


def traps() -> bytes:
    """Does what no module may, after its headers."""
    return assemble(f"{_send_head()} unreachable")


def exits(status: int) -> bytes:
    """Ends with ``status`` after a complete answer."""
    return assemble(f"{_send_head()} (call $proc_exit (i32.const {status}))")
