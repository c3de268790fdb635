"""A peer for the tests that speaks the Fluent forward protocol."""
