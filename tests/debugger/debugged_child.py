"""A program that stands in a breakpoint of debugpy: run by test_debugpy.py with the port to listen on."""

import sys
import threading

import debugpy

import agentrt


async def lands(activity, state):
    height = activity.payload
    return state + height  # BREAKPOINT


if __name__ == "__main__":
    debugpy.listen(("127.0.0.1", int(sys.argv[1])))
    print("listening", flush=True)
    debugpy.wait_for_client()
    ended = threading.Event()
    with agentrt.RuntimeManager(name=sys.argv[2]) as manager:
        runtime = manager.create("JFK", 0, lands)
        manager.create("other", 0, lands)
        print("state", runtime.send_nowait(7).result(120).state, flush=True)
        sys.stdin.readline()
