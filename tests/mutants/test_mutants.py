"""The tests kill mutants of the core. A few here, all of them with `python -m tests.mutants` or AGENTRT_MUTANTS=1."""

import os

import pytest

from tests.mutants.catalog import MUTANTS
from tests.mutants.run import ROOT, attack, misfits, workshop

FEW = ("acknowledged before it is run", "a late result counts", "receipts are forgotten on terminate")


def test_every_mutant_fits_the_source_exactly_once():
    assert misfits() == []


def test_every_mutant_has_a_name_of_its_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_mutant_names_tests_that_are_there():
    """Else pytest finds nothing to run, and the mutant is killed by that."""
    files = {test for mutant in MUTANTS for test in mutant.tests if test.endswith(".py")}
    assert files
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in FEW], ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant):
    with workshop() as folder:
        assert attack(folder, mutant).verdict == "killed"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif("AGENTRT_MUTANTS" not in os.environ, reason="two minutes; set AGENTRT_MUTANTS=1")
def test_every_mutant_is_killed():
    with workshop() as folder:
        results = [attack(folder, mutant) for mutant in MUTANTS]
    assert [result for result in results if not result.verdict.startswith("killed")] == []
