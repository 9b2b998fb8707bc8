"""What the bench of the way of records makes of what it measures."""

import json
from dataclasses import replace

from hack.bench_logs.chain import ChainFigures, Hop
from hack.bench_logs.launcher import LauncherFigures
from hack.bench_logs.report import AIMED_AT, build_aims, describe_aims, describe_chain, describe_launcher
from hack.bench_logs.sink import MARK, Arrivals

SECOND = 10**9
CHAIN = ChainFigures(
    rate=AIMED_AT,
    written=26_000,
    arrived=26_000,
    again=0,
    p50=180,
    p99=400,
    hops={"forwarder": Hop(cpu=3, each_us=30, memory=50), "bare": Hop(cpu=1, each_us=10, memory=40)},
)
LAUNCHER = LauncherFigures(rate=AIMED_AT, cpu=0.6, cat_cpu=0.4, memory_mib=11, delay_p50_ms=130, delay_p99_ms=240)


def request(*times: int) -> str:
    records = [{"body": {"kvlistValue": {"values": [{"value": {"stringValue": f"{MARK}{at}"}}]}}} for at in times]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def unmet(chain: ChainFigures = CHAIN, launcher: LauncherFigures = LAUNCHER) -> list[str]:
    return [aim.what for aim in build_aims([chain], [launcher]) if not aim.met]


def test_a_line_is_as_old_as_when_it_came_first() -> None:
    arrivals = Arrivals()
    arrivals.take(request(*range(1, 101)), SECOND)
    arrivals.take(request(1), 5 * SECOND)
    told = arrivals.tell()
    assert (told["count"], told["again"]) == (100, 1)
    assert round(told["p99"]) == 1000


def test_a_line_that_comes_twice_does_not_hide_one_that_is_lost() -> None:
    arrivals = Arrivals()
    arrivals.take(request(1, 2, 2), SECOND)
    assert replace(CHAIN, written=3, arrived=int(arrivals.tell()["count"])).lost == 1


def test_what_was_told_is_not_told_again() -> None:
    arrivals = Arrivals()
    arrivals.take(request(1, 1), SECOND)
    arrivals.tell()
    assert arrivals.tell() == {"count": 0, "again": 0, "p50": 0.0, "p99": 0.0}
    arrivals.take(request(1), SECOND)
    assert arrivals.tell()["again"] == 1


def test_percentiles_are_of_all_delays_by_rank() -> None:
    arrivals = Arrivals()
    arrivals.take(request(*(SECOND - number * 10**6 for number in range(1, 101))), SECOND)
    told = arrivals.tell()
    assert (told["p50"], told["p99"]) == (50, 99)


def test_each_hop_is_beside_the_bare_one() -> None:
    head, forwarder, bare = describe_chain(CHAIN)
    assert "26000 written, 0 lost, 0 delivered again, delay p50 180 ms, p99 400 ms" in head
    assert "3.00 times a bare hop" in forwarder
    assert "1.00 times a bare hop" in bare


def test_what_is_too_quick_to_measure_has_no_ratio() -> None:
    idle = replace(CHAIN, hops={**CHAIN.hops, "bare": Hop(0, 0, 40)})
    assert "? times a bare hop" in describe_chain(idle)[1]
    assert "1.50 times cat" in describe_launcher(LAUNCHER)
    assert "? times cat" in describe_launcher(replace(LAUNCHER, cat_cpu=0))


def test_each_aim_has_its_verdict() -> None:
    assert unmet() == []
    heavy = replace(CHAIN, hops={**CHAIN.hops, "forwarder": Hop(3, 30, 75.1)})
    assert [what.split(" at ")[0] for what in unmet(heavy)] == ["forwarder's memory"]
    assert [what.split(" at ")[0] for what in unmet(replace(CHAIN, p99=1001))] == ["delay p99"]
    assert [what.split(" at ")[0] for what in unmet(launcher=replace(LAUNCHER, cpu=2.1))] == ["launcher"]
    assert unmet(replace(CHAIN, arrived=25_999)) == ["lines lost, at any rate"]


def test_the_table_of_aims_has_a_row_each_with_its_ratio() -> None:
    _, forwarder, delay, *_ = describe_aims(build_aims([CHAIN], [LAUNCHER]))
    assert forwarder.split()[-3:] == ["50.00", "yes", "1.25"]
    assert delay.split()[-2:] == ["400.00", "yes"]
