"""All checks: the modules that enter theirs, in the order in which they are shown."""

from gpuglass.doctor import alerting, boards, model, node, pipeline, pushing, storing

MODULES = (node, pushing, pipeline, alerting, storing, boards)
CHECKS = tuple(
    each for module in MODULES for each in model.checks() if each.look.__module__ == module.__name__
)
