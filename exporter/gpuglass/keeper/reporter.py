"""What goes on being wrong is logged once."""

import logging


class Reporter:
    """Logs what is wrong when that changes, and when all is good again.

    Args:
        log: Where to.
        good: What to say when all is good again.
        level: How severe it is.
    """

    def __init__(self, log: logging.Logger, good: str, level: int = logging.ERROR) -> None:
        self._log, self._good, self._level = log, good, level
        self._reported = ""

    def tell(self, wrong: str, more: str = "") -> None:
        """Take what is wrong now, or nothing.

        Args:
            wrong: What it is; told when it differs from the last.
            more: What to add to it in the log.
        """
        before, self._reported = self._reported, wrong
        if wrong and wrong != before:
            self._log.log(self._level, "%s%s", wrong, more)
        elif before and not wrong:
            self._log.info("%s", self._good)
