"""The launcher of an app that writes to a file: all of it arrives and takes no space, whatever it does to the file."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.launcher import python, words
from tests.support.otlp import Receiver


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the app writes to."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder / "app.log"


def following(receiver: Receiver, spool: Path, file: Path, code: str) -> list[str]:
    """The words for an app that has ``file`` open as ``f``, unbuffered."""
    app = python(f"import os\nname = {str(file)!r}\nf = open(name, 'a', 1)\n{code}")
    return words(receiver.port, spool, *app, follow=file)


def test_a_line_that_a_kill_cuts_in_two_arrives_whole(receiver: Receiver, spool: Path, file: Path) -> None:
    begun = following(receiver, spool, file, "print('first\\nhalf', end='', file=f, flush=True)\ninput()")
    with subprocess.Popen(begun, stdin=subprocess.PIPE) as app:
        eventually(receiver.lines, ["first"])
        app.kill()
    subprocess.run(following(receiver, spool, file, "print(' and half', file=f)"), check=True)
    assert list(dict.fromkeys(receiver.lines())) == ["first", "half and half"]


def test_what_the_app_appends_to_a_file_arrives_and_its_output_stays_its_own(
    receiver: Receiver, spool: Path, file: Path
) -> None:
    code = "for n in range(1000): print(n, file=f)\nprint('no end', end='', file=f)\nprint('out')"
    done = subprocess.run(following(receiver, spool, file, code), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"out\n"
    assert receiver.lines() == [*map(str, range(1000)), "no end"]


def test_the_space_of_what_is_read_is_given_back(receiver: Receiver, spool: Path, file: Path) -> None:
    code = "for n in range(2000): print('x' * 10_000, file=f)\ninput()"
    with subprocess.Popen(following(receiver, spool, file, code), stdin=subprocess.PIPE) as app:
        eventually(lambda: file.exists() and file.stat().st_size == 2000 * 10_001, timeout=60)
        eventually(lambda: file.stat().st_blocks * 512 < 2 * 2**20, timeout=60)
        app.communicate(b"\n", timeout=60)
    assert set(receiver.lines()) == {"x" * 10_000}
    assert len(receiver.records) + receiver.dropped == 2000


def test_a_file_that_is_renamed_and_begun_anew_is_followed(receiver: Receiver, spool: Path, file: Path) -> None:
    code = """
for turn in range(3):
    for n in range(500): print(turn * 500 + n, file=f)
    input()
    os.rename(name, f'{name}.{turn}')
    print('last of', turn, file=f)
    f = open(name, 'a', 1)
"""
    expected = [
        line for turn in range(3) for line in (*map(str, range(turn * 500, turn * 500 + 500)), f"last of {turn}")
    ]
    with subprocess.Popen(following(receiver, spool, file, code), stdin=subprocess.PIPE) as app:
        assert app.stdin is not None
        for turn in range(3):
            eventually(lambda turn=turn: str(turn * 500 + 499) in receiver.lines())
            app.stdin.write(b"\n")
            app.stdin.flush()
        assert app.wait(timeout=60) == 0
    assert receiver.lines() == expected


def test_a_file_that_is_emptied_is_followed(receiver: Receiver, spool: Path, file: Path) -> None:
    code = "print('a long line before', file=f)\ninput()\nf.truncate(0)\nprint('after', file=f)\ninput()"
    with subprocess.Popen(following(receiver, spool, file, code), stdin=subprocess.PIPE) as app:
        assert app.stdin is not None
        eventually(receiver.lines, ["a long line before"])
        app.stdin.write(b"\n")
        app.stdin.flush()
        eventually(receiver.lines, ["a long line before", "after"])
        app.communicate(b"\n", timeout=60)
    assert receiver.lines() == ["a long line before", "after"]


def test_the_next_launcher_reads_on_where_a_killed_one_stopped(receiver: Receiver, spool: Path, file: Path) -> None:
    with subprocess.Popen(
        following(receiver, spool, file, "print('one', file=f)\ninput()"), stdin=subprocess.PIPE
    ) as app:
        eventually(receiver.lines, ["one"])
        app.kill()
    subprocess.run(following(receiver, spool, file, "print('two', file=f)"), check=True)
    assert [line for index, line in enumerate(receiver.lines()) if line not in receiver.lines()[:index]] == [
        "one",
        "two",
    ]
    assert len(set(receiver.ids())) == 2


def test_files_that_are_renamed_faster_than_anybody_looks_are_all_read(
    receiver: Receiver, spool: Path, file: Path
) -> None:
    """As Python's RotatingFileHandler does: each file is renamed again whenever there is another."""
    code = """
for turn in range(40):
    for n in range(10): print(turn * 10 + n, file=f)
    for old in range(turn, 0, -1):
        os.rename(f'{name}.{old}', f'{name}.{old + 1}')
    os.rename(name, name + '.1')
    f = open(name, 'a', 1)
"""
    subprocess.run(following(receiver, spool, file, code), check=True)
    assert receiver.lines() == [str(number) for number in range(400)]


def test_what_comes_to_a_renamed_file_after_the_next_is_begun_arrives(
    receiver: Receiver, spool: Path, file: Path
) -> None:
    code = """
print('first', file=f)
os.rename(name, name + '.1')
late, f = f, open(name, 'a', 1)
print('second', file=f)
input()
print('late', file=late)
"""
    with subprocess.Popen(following(receiver, spool, file, code), stdin=subprocess.PIPE) as app:
        eventually(receiver.lines, ["first", "second"])
        app.communicate(b"\n", timeout=60)
    assert receiver.lines() == ["first", "second", "late"]


def test_a_renamed_file_is_left_without_space(receiver: Receiver, spool: Path, file: Path) -> None:
    code = "print('x' * 10_000, file=f)\nos.rename(name, name + '.1')\nprint('new', file=open(name, 'a'))\ninput()"
    old = file.with_name("app.log.1")
    with subprocess.Popen(following(receiver, spool, file, code), stdin=subprocess.PIPE) as app:
        eventually(lambda: old.exists() and old.stat().st_blocks == 0)
        assert old.stat().st_size == 10_001
        app.communicate(b"\n", timeout=60)
    assert receiver.lines() == ["x" * 10_000, "new"]


def test_the_next_launcher_reads_the_rest_of_a_file_that_was_renamed_meanwhile(
    receiver: Receiver, spool: Path, file: Path
) -> None:
    with subprocess.Popen(
        following(receiver, spool, file, "print('one', file=f)\ninput()"), stdin=subprocess.PIPE
    ) as app:
        eventually(receiver.lines, ["one"])
        eventually((spool / "offset").exists)
        app.kill()
    os.rename(file, file.with_name("app.log.1"))
    with file.with_name("app.log.1").open("a") as old:
        old.write("two\n")
    subprocess.run(following(receiver, spool, file, "print('three', file=f)"), check=True)
    assert receiver.lines() == ["one", "two", "three"]
