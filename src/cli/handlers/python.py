"""Responds to warmd's pings and passes every other event to your handler. No dependencies.

    from warmd_handler import warmd

    @warmd
    def handler(event, context):
        ...
"""

import functools
import os
import time
import uuid

# The upper limit of a hold: callers cannot keep the function busy for longer.
_LONGEST_HOLD_MS = 10_000

# Set on the first invocation, because environments that are restored from one snapshot share
# everything that is set while the module is loaded.
_environment = None


def _hold_ms(event):
    """Returns the hold of a ping in ms, or None for other events."""
    ping = event.get("warmd") if isinstance(event, dict) else None
    if not isinstance(ping, dict) or ping.get("version") != 1:
        return None
    hold = ping.get("hold_ms")
    is_number = isinstance(hold, (int, float)) and not isinstance(hold, bool)
    return min(hold, _LONGEST_HOLD_MS) if is_number and 0 <= hold <= 900_000 else None


def warmd(handler):
    """Decorates a Lambda handler so that it responds to warmd's pings."""

    @functools.wraps(handler)
    def wrapper(event, context):
        global _environment
        if _environment is None:
            _environment = uuid.uuid4().hex
        hold_ms = _hold_ms(event)
        if hold_ms is None:
            return handler(event, context)
        time.sleep(hold_ms / 1000)  # keeps this environment busy, so that the next ping reaches another one
        initialization = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        return {"warmd": {"environment": _environment, "initialization": initialization}}

    return wrapper
