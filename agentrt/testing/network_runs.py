"""Run a scenario of several nodes under many seeds: each is another order, other losses and other repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from ..distributed.cluster import ClusterManager
from .network import Network, NetworkEngine
from .virtual import VirtualLoop

__all__ = ["ClusterScenario", "NetworkRuns", "create_runtime", "explore_network", "run_network"]

ClusterScenario = Callable[[ClusterManager, Network], Awaitable[Any]]


class NetworkRuns(msgspec.Struct):
    """What `explore_network` has found.

    Attributes:
        seeds: How many were run.
        failures: What the scenario has raised, by seed. `run_network(scenario, seed)` raises it again.
    """

    seeds: int = 0
    failures: dict[int, Exception] = {}


def explore_network(scenario: ClusterScenario, seeds: Iterable[int] = range(100), **options: Any) -> NetworkRuns:
    """Run a scenario once for each seed, and collect what fails.

    Args:
        scenario: `async def scenario(manager, network)`. It makes agents with `create_runtime`, uses them, and asserts
            what must hold. What it changes on the network holds from there on.
        seeds: Each decides the order of what is ready, and what becomes of each message.
        **options: Those of `run_network`.
    """
    runs = NetworkRuns()
    for seed in seeds:
        runs.seeds += 1
        try:
            run_network(scenario, seed, **options)
        except Exception as error:
            runs.failures[seed] = error
    return runs


def run_network(
    scenario: ClusterScenario,
    seed: int,
    *,
    nodes: int = 3,
    lose: float = 15,
    repeat: float = 15,
    delay: float = 0.2,
    **options: Any,
) -> Any:
    """Run a scenario with one seed, and return what it returns.

    Args:
        scenario: See `explore_network`.
        seed: Decides what happens: the same seed gives the same run.
        nodes: How many nodes.
        lose: How many of a hundred messages do not arrive.
        repeat: How many of a hundred arrive once more, later.
        delay: Seconds, at most, until a message arrives.
        **options: Those of `NetworkEngine`: `open_journal`, and those of each manager.
    """
    network = Network(seed, lose, repeat, delay)

    async def main() -> Any:
        manager = ClusterManager(NetworkEngine(nodes, network, **options), loop="current")
        try:
            return await scenario(manager, network)
        finally:
            await manager.aclose()

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed=seed)) as runner:
        return runner.run(main())


async def create_runtime(manager: ClusterManager, id: str, state: Any, workflow: Any, **options: Any) -> Any:
    """Make a runtime on its node, as `manager.create` does from another thread.

    Raises:
        AgentError: What `RuntimeManager.create` raises.
    """
    promise = manager.courier.command(manager.placement.node_of(id), "create", [(id, state, workflow, options)])
    await promise.wait()
    if isinstance(promise.value, Exception):
        raise promise.value
    return manager[id]
