"""Words for people."""


def counted(number: int, what: str) -> str:
    """How many there are of something whose plural ends in s: "1 rule", "2 rules"."""
    return f"{number} {what}{'' if number == 1 else 's'}"
