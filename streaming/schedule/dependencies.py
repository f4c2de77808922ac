"""Dependencies between work items, derived from the arrays that they read and write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rate_models.rules import Ref
from streaming.schedule.items import Item, Schedule

Reason = Ref | str
Waits = dict[int, Reason]  # {an earlier item: the array, or another reason as text}


def dependencies(items: Sequence[Item], schedule: Schedule) -> Iterator[Waits]:
    """For each item the earlier items that must be finished before it starts, with the reason.

    In the order of ``items``, an item waits
    - for the items that wrote what it reads;
    - before it updates an array, for the previous update and for all items that have read the
      array since;
    - for the same task of the previous sample, so that results come in the order of samples;
    - in a sequential schedule, for the item before it.

    Here the arrays of a sample have a buffer slot of their own for each sample; the plan decides
    how many slots there are. With ``copies`` updates do not wait for readers.
    """
    in_place = schedule.weights != "copies"
    changing = {ref for item in items for ref in item.task.updates}
    written: dict[tuple[Ref, int], int] = {}
    updated: dict[Ref, int] = {}
    readers: defaultdict[Ref, list[int]] = defaultdict(list)
    same: dict[tuple[str, int], int] = {}
    for i, (task, sample) in enumerate(items):
        waits: Waits = {}
        for ref in task.reads:
            if (writer := written.get((ref, sample))) is not None:
                waits.setdefault(writer, ref)
            elif ref in changing:
                if (writer := updated.get(ref)) is not None:
                    waits.setdefault(writer, ref)
                if in_place and ref not in task.updates:
                    readers[ref].append(i)
        for ref in task.updates:
            if (writer := updated.get(ref)) is not None:
                waits.setdefault(writer, ref)
            for reader in readers.pop(ref, ()):
                waits.setdefault(reader, ref)
            updated[ref] = i
        for ref in task.writes:
            written[ref, sample] = i
        if (before := same.get((task.kind, task.layer))) is not None:
            waits.setdefault(before, "the order of samples")
        same[task.kind, task.layer] = i
        if schedule.kind == "sequential" and i > 0:
            waits.setdefault(i - 1, "one item after another")
        yield waits
