"""How good masks are: against references, and click by click."""
