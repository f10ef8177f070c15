"""What happened, to go back to: moments, the history of a runtime, branches, replays. `docs/time-machine.md` has it."""
