"""Explore a scenario: every order of delivery that makes a difference, and the shortest schedule to a failure."""

from .exploration import Exploration, ScheduleError, ScheduleFailure, explore, replay
from .schedule import Move, Schedule

__all__ = ["Exploration", "Move", "Schedule", "ScheduleError", "ScheduleFailure", "explore", "replay"]
