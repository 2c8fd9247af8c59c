"""Tables and times as people read them."""

import time


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Write rows in columns, as many as the first row has; a shorter row spans the rest."""
    widths = [max(len(r[i]) for r in rows if i + 1 < len(r)) for i in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), *row[len(widths) :]]
        ).rstrip()
        for row in rows
    )


def ago(seconds: float) -> str:
    """A length of time, to the unit that tells enough."""
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} d"
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def moment(seconds: float) -> str:
    """A Unix time on this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
