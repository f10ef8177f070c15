"""The runtimes of a manager, by id; and what is kept of those that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakMethod, WeakValueDictionary

from .activity import SendNowaitOptions, SendOptions
from .clock import Clock
from .engine.entry import RuntimeEntry
from .engine.id_changes import IdChanges
from .engine.loop_host import LoopHost
from .engine.retention import LastErrors, RememberedKeys
from .errors import JournalError, RuntimeNotFoundError, RuntimeTerminatedError
from .grants import Grant, recipient_of
from .metrics import Fates
from .receipt import Promise, Receipt
from .runtime import Runtime
from .schema.bounded import BoundedDict
from .schema.preview import preview
from .snapshot import Snapshot, add_fates, fates, snapshot

if TYPE_CHECKING:
    from .journal import Journal

__all__ = ["RuntimeMap"]

Entry = RuntimeEntry[Any, Any]
Handle = Runtime[Any, Any]
KEEP_TERMINATED = 1000  # last snapshots of runtimes that ended


class RuntimeMap(LoopHost):
    """A thread-safe map from ids to handles, in the order in which the runtimes were made.

    A handle is made when somebody asks for it, and is the same object for everybody as long as anybody keeps it.
    `terminated` has the last snapshots of the newest runtimes that ended, bounded by count and by bytes.
    """

    journal: Journal | None = None

    def __init__(self, name: str, loop: str, clock: Clock | None) -> None:
        super().__init__(name, loop, clock)
        self.terminated: BoundedDict[str, Snapshot] = BoundedDict(KEEP_TERMINATED)
        self.last_errors = LastErrors()
        self.remembered = RememberedKeys()
        self.id_changes = IdChanges()
        self._entries: dict[str, Entry] = {}
        self._handles: WeakValueDictionary[str, Handle] = WeakValueDictionary()
        self._retired = Fates()
        self._end_listeners: list[WeakMethod[Callable[[Entry], None]]] = []

    def __getitem__(self, id: str) -> Handle:
        return self._handle(self.entry(id))

    def get(self, id: str) -> Handle | None:
        """Return the handle of an id, or None if there is no such runtime."""
        entry = self._entries.get(id) if isinstance(id, str) else None
        return None if entry is None else self._handle(entry)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def runtimes(self) -> list[Handle]:
        """Return the handles of all runtimes, in the order they were made."""
        return [self._handle(entry) for entry in tuple(self._entries.values())]

    def entries(self) -> tuple[Entry, ...]:
        """The entries of all runtimes, in the order they were made. For the modules of this package."""
        return tuple(self._entries.values())

    def snapshots(self, metrics: bool = False) -> list[Snapshot]:
        """Return a snapshot of every runtime; without metrics it takes a few microseconds each."""
        return [snapshot(entry, metrics) for entry in tuple(self._entries.values())]

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot:
        """Return a snapshot of one runtime, the last one if it was terminated."""
        entry = self._entries.get(id)
        if entry is None and id in self.terminated:
            return self.terminated[id]
        return snapshot(self.entry(id), metrics)

    def entry(self, to: Any) -> Entry:
        """The entry of an id or a handle. For the modules of this package."""
        if isinstance(to, Runtime):
            return to.entry
        if not isinstance(to, str):
            raise RuntimeNotFoundError(f"{preview(to, 80)} is no runtime: give its id or its handle")
        entry = self._entries.get(to)
        if entry is None:
            if to in self.terminated:
                raise RuntimeTerminatedError(f"{to!r} was terminated; create it again", runtime=to)
            known = ", ".join(list(self._entries)[:8]) or "none yet"
            stored = "; the journal holds it: run the code that creates it" if self._is_stored(to) else ""
            raise RuntimeNotFoundError(f"no runtime has the id {to!r}{stored}; there are: {known}", runtime=to)
        return entry

    def _is_stored(self, id: str) -> bool:
        """Whether a journal holds a runtime, created here or not."""
        try:
            return self.journal is not None and self.journal.find(id) is not None
        except JournalError:  # it is closed
            return False

    def recipient(self, to: Any) -> Entry | Grant:
        """Who takes a send to an id, a handle or a grant. For the modules of this package."""
        if isinstance(to, str) and to not in self._entries and (dormant := self._find_dormant(to)) is not None:
            return dormant
        return self.entry(to) if isinstance(to, str | Runtime) else recipient_of(to)

    def _find_dormant(self, id: str) -> Entry | None:
        """The entry of an id that a journal holds and nobody has created yet."""
        return None

    def elsewhere(self, entry: Entry) -> Any:
        """What takes a send in place of an entry that was moved to another manager; None of any other."""
        return None

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is in the map."""
        return self._entries.get(entry.id) is entry

    def on_end(self, call: Callable[[Entry], None]) -> None:
        """Call a method with each entry that is taken out of the map: on any thread, with the lock held.

        It may not raise, and its object is not kept alive by this. For the modules of this package.
        """
        self._end_listeners.append(WeakMethod(call))

    def _add(self, entry: Entry) -> None:
        """Put an entry into the map. The lock is held."""
        self._entries[entry.id] = entry
        if entry.id in self.terminated:
            del self.terminated[entry.id]
        self.id_changes.add(entry.id, made=True)

    def _remove(self, entry: Entry) -> None:
        """Take an entry out of the map; its counts and its last snapshot stay. The lock is held."""
        self.last_errors.remove(entry)
        for key in tuple(entry.keys or ()):  # whoever has its handle keeps them
            self.remembered.remove(entry, key)
        for listener in tuple(self._end_listeners):
            call = listener()
            if call is None:
                self._end_listeners.remove(listener)
            else:
                call(entry)
        retired = self._retired + fates(entry)
        self.terminated[entry.id] = snapshot(entry)
        self._retired = retired  # with the next line: no call in between, so both or none
        del self._entries[entry.id]
        self.id_changes.add(entry.id, made=False)

    def _handle(self, entry: Entry) -> Handle:
        with self.lock:
            handle = self._handles.get(entry.id)
            if handle is None or handle.entry is not entry:
                handle = self._handles[entry.id] = self._make_handle(entry)
            return handle

    def _make_handle(self, entry: Entry) -> Handle:
        raise NotImplementedError

    # ---- by id

    async def send(self, id: str, payload: Any, **options: Unpack[SendOptions]) -> Receipt:
        """`Runtime.send` by id."""
        return await self.recipient(id).send(payload, **options)

    def send_nowait(self, id: str, payload: Any, **options: Unpack[SendNowaitOptions]) -> Receipt:
        """`Runtime.send_nowait` by id."""
        return self.recipient(id).send_nowait(payload, **options)

    async def ask(self, id: str, payload: Any, **options: Unpack[SendOptions]) -> Any:
        """`Runtime.ask` by id."""
        return await self.recipient(id).ask(payload, **options)

    def terminate(self, id: str, drain: bool = False) -> Promise[bool]:
        """`Runtime.terminate` by id."""
        return self[id].terminate(drain)

    def fates(self) -> Fates:
        """Return the counts of all runtimes, terminated ones included."""
        with self.lock:
            return self._retired + add_fates(self._entries.values())
