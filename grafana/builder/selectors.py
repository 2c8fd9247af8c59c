"""Words that stand for matchers by the dashboard's variables, so that queries stay readable."""

import re

_CLUSTERS = 'cluster=~"$cluster"'
_NODES = f'{_CLUSTERS},node=~"$node"'
_GPUS = f'{_NODES},gpu=~"$gpu"'
WORDS = {
    "clusters": _CLUSTERS,
    "nodes": _NODES,
    "gpus": _GPUS,
    "users": f'{_CLUSTERS},user=~"$user"',
    "owners": f'{_GPUS},user=~"$user"',
}
_WORD = re.compile(rf"\$({'|'.join(WORDS)})\b")


def filled_in(expr: str) -> str:
    """The expression with matchers in place of the words, as ``$gpus``."""
    return _WORD.sub(lambda match: WORDS[match.group(1)], expr)
