from agentrt.views.server import rate
from agentrt.views.server.rate import Rate


def test_each_key_has_a_count_a_second():
    now = 0.0
    each = Rate(2, clock=lambda: now)
    assert [each.allow("a") for _ in range(3)] == [True, True, False]
    assert each.allow("b")
    now = 1.0
    assert each.allow("a")


def test_the_keys_are_bounded(monkeypatch):
    monkeypatch.setattr(rate, "MOST_KEYS", 3)
    each = Rate(1, clock=lambda: 0.0)
    for key in range(100):
        assert each.allow(key)
    assert len(each._counts) <= 3
