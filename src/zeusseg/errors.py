"""What can go wrong, in two kinds: one input is bad (the others go on), or nothing can be done."""


class ZeusError(Exception):
    """Base of every error that `zeusseg` raises on purpose. Its text says what was given, expected, and to do next."""


class BadInputError(ZeusError):
    """One file, case or line cannot be used. It is skipped and listed; the others go on (exit code 1)."""


class UsageError(ZeusError):
    """The call itself is wrong (an unknown name, a missing folder, a bad configuration): nothing is done (exit 2)."""
