"""The rows of the table of runtimes."""

from agentrt.views.fleet.rows import READINGS, Rates, fleet_row
from agentrt.views.fleet.table import row_html
from tests.support import add, virtual


def test_a_rate_is_over_several_readings():
    rates = Rates()
    assert rates.of("a", 0.0, 100) == 0
    assert [rates.of("a", at, 100 + at // 3) for at in range(1, 7)] == [0, 0, 1 / 3, 1 / 4, 1 / 5, 1 / 3]
    assert rates.of("a", 6.5, 200) == 1 / 3, "less than a second later"
    for at in range(7, 7 + READINGS):
        rate = rates.of("a", at, 102)
    assert rate == 0
    rates.keep(set())
    assert rates.of("a", 50.0, 999) == 0


@virtual
async def test_all_rates_are_in_one_unit_whether_anything_happens_or_not(manager):
    await manager.create("a", 0, add).ask(1)
    shot = manager.source.snapshot("a")
    for speed, unit in ((1, "/s"), (60, "/min"), (3600, "/h")):
        for rate in (0, 0.01, 3):
            assert f"{unit}</td>" in str(row_html("a", fleet_row(shot, rate, speed)))
